"""A party's side of the correlations of one session."""

from __future__ import annotations

import numpy as np

from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.store.session_file import Payload


class CorrelationSource:
    """Hands out this party's part of every slot, each once.

    `corrections` is party 1's payload (empty for party 0), read slot by slot, and `offsets` maps a value's
    name to where its derived slots begin in it, in bytes.
    """

    def __init__(self, party: int, seed: bytes, corrections: Payload, offsets: dict[str, int]) -> None:
        self._party = party
        self._seed = seed
        self._corrections = corrections
        self._offsets = offsets
        self._drawn: set[str] = set()

    def draw(self, value_name: str, slots: list[Slot]) -> dict[str, Part]:
        """Parts by slot name; slots of the other party are left out. Raises RuntimeError on a second draw,
        MPC-S008 for damaged corrections.
        """
        if value_name in self._drawn:
            raise RuntimeError(f"the correlation of %{value_name} was already used")
        self._drawn.add(value_name)
        parts: dict[str, Part] = {}
        offset = self._offsets.get(value_name, 0)
        for slot in slots:
            if slot.role is Role.DERIVED and self._party == 1:
                data = self._corrections[offset : offset + slot.correction_bytes]
                parts[slot.name] = slot.unpack(np.frombuffer(data, dtype=np.uint8))
                offset += slot.correction_bytes
            elif slot.role in (Role.UNIFORM, Role.DERIVED, Role(f"party{self._party}")):
                parts[slot.name] = slot.expand(self._seed, value_name)
        return parts
