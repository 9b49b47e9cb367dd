"""What a protocol declares: correlations, messages, both parties' steps, the dealer's part, its meaning.

A protocol serves one share-stage operation kind. Costs are declared here once: the compiler's choice, the
report, the scheduler and the tests all read `messages` and `slots`.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from typing import Protocol as Interface

import numpy as np

from mpcc.ir.program import Operation
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Slot
from mpcc.runtime.ring import F64, I32, I64, U64
from mpcc.runtime.transport.channel import BytesLike
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import RuntimeValue

Step = Generator[BytesLike, memoryview, Any]  # yields this party's message of a tick, is sent the peer's


class Party(Interface):
    """What a protocol may ask of the interpreter that runs it."""

    @property
    def index(self) -> int: ...

    def draw(self, operation: Operation) -> dict[str, U64]:
        """This party's correlation parts of the operation, by slot name. Once."""

    def source(self, operation: Operation) -> I64 | I32:
        """The encoded array that a source operation names; of 32 bits only where `linear` alone reads it."""

    def prepared(self, operation: Operation) -> U64:
        """What `prepare` returned in the offline phase."""


class DealerView(Interface):
    """What the dealer's part of a protocol may ask for."""

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        """The fixed mask B of a linear operation's weight, in the ring of its result, piece by piece."""


class Maker(Interface):
    """What a party may ask for when it makes correlations together with the other."""

    @property
    def index(self) -> int: ...

    def weight(self, operation: Operation) -> I64 | I32:
        """The encoded weight of a linear operation, whole, in its own shape. Party 0 only."""

    def planes(self, operation: Operation, index: int) -> U64:
        """Bits of the sum of both parties' parts of an operand's mask, lowest first, xor-shared planes
        uint64[.., words], at least as many as `mask_planes` states: made once for all that read the value.
        """


@dataclass
class Dealt:
    """Values of the derived slots by name, and the mask of the result if it is a masked value."""

    derived: dict[str, U64] = field(default_factory=dict)
    mask: U64 | None = None


class ProtocolClass:
    """Base: a local protocol without correlations or messages. Subclasses are stateless."""

    kind: ClassVar[str]
    mask_slot: ClassVar[str] = ""  # of an opening: the slot that is the mask of its result

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        """Correlations drawn, in order."""
        return []

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        """Bytes that party 0 and party 1 send, one pair a tick. Its length is the number of ticks."""
        return []

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        """Compute and keep what is public and depends on the operation only; before the input is known."""

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        """Ring multiplications of the busier party, online."""
        return 0

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        """The dealer's part. `drawn` holds uniform and private slots' values, `masks` the operands' masks."""
        return Dealt(mask=cls.mask(operation, drawn))

    @classmethod
    def mask(cls, operation: Operation, drawn: Mapping[str, U64]) -> U64 | None:
        """The mask of an opening's result, or a party's part of it from the parts it draws."""
        mask = drawn.get(cls.mask_slot)
        return None if mask is None else mask.reshape(ring_type(operation).shape)

    @classmethod
    def mask_planes(cls, operation: Operation) -> dict[int, int]:
        """How many bits of the sum of both parts of an operand's mask `make` reads, by operand: one more than
        the mask has is with the carry.
        """
        return {}

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """One party's share of the dealer's part, where there is no dealer: its parts of the derived slots.

        `drawn` holds its own parts of the uniform and of its private slots, `masks` its part of each
        operand's mask, None where it has none.
        """
        return {}
        yield

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        """Both parties' steps, as a generator: one yield a tick."""
        raise NotImplementedError(cls.kind)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        """The meaning on integers, no rounding beyond what the operation states."""
        raise NotImplementedError(cls.kind)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        """The meaning on the real numbers that the integers stand for: approximations without rounding."""
        raise NotImplementedError(cls.kind)


protocols: dict[str, type[ProtocolClass]] = {}


def implements(kind: str) -> Any:
    """Class decorator: the protocol of a share-stage operation."""

    def decorate(cls: type[ProtocolClass]) -> type[ProtocolClass]:
        cls.kind = kind
        protocols[kind] = cls
        return cls

    return decorate


def ring_type(operation: Operation, index: int | None = None) -> RingType:
    """Type of an operand, or of the single result when `index` is None."""
    value = operation.result if index is None else operation.operands[index]
    if not isinstance(value.type, RingType):
        raise TypeError(f"%{value.name} is no ring value")
    return value.type


def size(operation: Operation, index: int | None = None) -> int:
    return math.prod(ring_type(operation, index).shape)


def packed_bytes(count: int, bits: int) -> int:
    return (count * bits + 7) // 8


def as_share(party: Party, value: RuntimeValue, ring: RingType) -> U64:
    """This party's share of a share, private or public operand: a private value is its holder's share."""
    holder = {Sharing.PRIVATE0: 0, Sharing.PRIVATE1: 1, Sharing.PUBLIC: 0}.get(ring.sharing)
    if holder is None or holder == party.index:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {ring.sharing} operand has no array at party {party.index}")
        return value.view(np.uint64)
    return np.zeros(ring.shape, dtype=np.uint64)


def flat(x: np.ndarray) -> np.ndarray:
    """The elements in order, as kernels take them: a copy of what is not contiguous only."""
    return np.ascontiguousarray(x).reshape(-1)


def pack(x: U64, bits: int) -> np.ndarray:
    """Elements mod 2^bits as uint8[ceil(n * bits / 8)], little-endian bit stream."""
    return kernels.pack(flat(x), bits)


def message(data: BytesLike) -> np.ndarray:
    """What the other party sent, as uint8[n]."""
    return np.frombuffer(data, dtype=np.uint8)


def unpack(data: BytesLike, count: int, bits: int) -> U64:
    return kernels.unpack(message(data), count, bits)


def unpack_add(share: U64, data: BytesLike, bits: int) -> U64:
    """A share plus the other party's message, mod 2^bits."""
    return kernels.unpack_add(flat(share), message(data), bits).reshape(share.shape)


def masked_difference(
    share: U64, mask: U64, bits: int, offset: int = 0
) -> Generator[BytesLike, memoryview, U64]:
    """Opens x - a mod 2^bits from both parties' shares of x and a: one tick, `bits` bits each way. This party
    adds `offset` to its share of x.
    """
    mine = kernels.pack_difference(flat(share), flat(mask), bits, offset)
    theirs = yield mine
    return kernels.unpack_sum(mine, message(theirs), share.size, bits).reshape(share.shape)
