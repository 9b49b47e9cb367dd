"""A party's side of the correlations of one session."""

from __future__ import annotations

import numpy as np

from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.store.session_file import Payload


class CorrelationSource:
    """Hands out this party's part of every slot, each once.

    `payload` has the derived slots, and is read slot by slot; `offsets` maps a value's name to where they
    begin in it, in bytes. Where a dealer made them (`two_party` false), party 0's part is expanded from its
    seed instead.
    """

    def __init__(
        self, party: int, seed: bytes, payload: Payload, offsets: dict[str, int], two_party: bool = False
    ) -> None:
        self._party = party
        self._stored = two_party or party == 1
        self._seed = seed
        self._payload = payload
        self._offsets = offsets
        self._drawn: set[str] = set()

    def draw(self, value_name: str, slots: list[Slot]) -> dict[str, Part]:
        """Parts by slot name; slots of the other party are left out. Raises RuntimeError on a second draw,
        MPC-S008 for a damaged payload.
        """
        if value_name in self._drawn:
            raise RuntimeError(f"the correlation of %{value_name} was already used")
        self._drawn.add(value_name)
        parts: dict[str, Part] = {}
        offset = self._offsets.get(value_name, 0)
        for slot in slots:
            if slot.role is Role.DERIVED and self._stored:
                data = self._payload[offset : offset + slot.correction_bytes]
                parts[slot.name] = slot.unpack(np.frombuffer(data, dtype=np.uint8))
                offset += slot.correction_bytes
            elif slot.role in (Role.UNIFORM, Role.DERIVED, Role(f"party{self._party}")):
                parts[slot.name] = slot.expand(self._seed, value_name)
        return parts
