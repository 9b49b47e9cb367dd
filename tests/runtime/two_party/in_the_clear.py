"""Correlations of a compiled program as the parties would make them, made by party 0 from both seeds.

Nothing of it is secret: party 1 tells its seed. What the parties hold afterwards is as it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.ring import I32, I64, U64, reduce
from mpcc.runtime.store.session_file import SEED_BYTES
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.just_in_time import Make


class InTheClear(PreparedProgram):
    """A program whose parties make their correlations so."""

    def make_with(self, channel: Channel) -> Make:
        operations = plan.correlated(self._operations)
        if self._folder.party == 1:
            return lambda seed: _received(operations, channel, seed)
        return lambda seed: _dealt(operations, channel, seed, self._weight)


class _Dealing(Dealing):
    """With the weights for their own mask."""

    def __init__(self, seeds: tuple[bytes, bytes], weight: Callable[[Operation], I64 | I32]) -> None:
        super().__init__(seeds, b"")
        self._weight = weight

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        weight, bits = self._weight(operation), ring_type(operation).ring
        for piece in weight_pieces(operation):
            yield reduce(piece.of(weight).astype(np.int64).view(np.uint64), bits)


def _dealt(
    operations: list[Operation], channel: Channel, seed: bytes, weight: Callable[[Operation], I64 | I32]
) -> Iterator[memoryview]:
    other = bytes(channel.exchange(b"", SEED_BYTES))
    corrections = _Dealing((seed, other), weight).corrections(operations)
    for operation in operations:
        for slot in protocols[operation.kind].slots(operation):
            if slot.role is Role.DERIVED:
                own = slot.expand(seed, operation.result.name)
                channel.exchange(next(corrections), 0)
                yield slot.pack(own)
    assert next(corrections, None) is None


def _received(operations: list[Operation], channel: Channel, seed: bytes) -> Iterator[memoryview]:
    channel.exchange(seed, 0)
    for operation in operations:
        for slot in protocols[operation.kind].slots(operation):
            if slot.role is Role.DERIVED:
                yield channel.exchange(b"", slot.correction_bytes)
