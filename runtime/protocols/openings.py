"""Openings under a fresh mask, and the reveal of an output (docs/protocols/openings.md).

What is opened is x - a mod 2^bits (or b xor rho) for a mask that is uniform and used for this opening only:
the opened value is uniform whatever x is.
"""

from __future__ import annotations

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
from mpcc.ir.types import Sharing
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.protocols.base import (
    Party,
    ProtocolClass,
    Step,
    as_share,
    flat,
    implements,
    masked_difference,
    message,
    pack,
    packed_bytes,
    ring_type,
    size,
    unpack_add,
)
from mpcc.runtime.ring import F64, I64, signed
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue, Served


@implements("open_masked")
class OpenMasked(ProtocolClass):
    """One tick, `bits` bits an element each way, nothing dealt: the mask's parts are the parties' seeds."""

    mask_slot = "mask"

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return [Slot("mask", Role.UNIFORM, size(operation), integer(operation.attributes, "bits"))]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), integer(operation.attributes, "bits"))
        return [(count, count)]

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        bits = integer(operation.attributes, "bits")
        mask = party.draw(operation)["mask"].reshape(ring_type(operation).shape)
        share = as_share(party, operands[0], ring_type(operation, 0))
        opened = yield from masked_difference(share, mask, bits)
        return Masked(opened, mask)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return operands[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]


@implements("open_bits")
class OpenBits(ProtocolClass):
    """One tick, one bit an element each way; the products that use the bits bring shares of their masks."""

    mask_slot = "rho"

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return [Slot("rho", Role.UNIFORM, size(operation), 1, boolean=True)]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), 1)
        return [(count, count)]

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        rho = party.draw(operation)["rho"].astype(np.uint8)
        bits = operands[0]
        assert isinstance(bits, np.ndarray)
        mine = np.packbits(bits.reshape(-1) ^ rho, bitorder="little")
        theirs = yield mine
        opened = np.unpackbits(mine ^ message(theirs), count=rho.size, bitorder="little")
        return MaskedBits(opened.reshape(bits.shape))

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return operands[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]


@implements("serve")
class Serve(ProtocolClass):
    """One tick, `bits` bits an element to party 0; the mask is party 1's own, never a Beaver mask."""

    mask_slot = "mask"

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return [Slot("mask", Role.PARTY1, size(operation), integer(operation.attributes, "bits"))]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        return [(0, packed_bytes(size(operation), integer(operation.attributes, "bits")))]

    @classmethod
    def offline(cls, operation: Operation, party: Party) -> Served:
        """Party 1's side of the value, known before the input is: its mask."""
        return Served(party.draw(operation)["mask"].reshape(ring_type(operation).shape))

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        bits = integer(operation.attributes, "bits")
        share = as_share(party, operands[0], ring_type(operation, 0))
        if party.index == 1:
            mask = party.prepared(operation)
            yield kernels.pack_difference(flat(share), flat(mask), bits)
            return Served(mask)
        received = yield b""
        return Served(unpack_add(share, received, bits))

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return operands[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]


@implements("reveal")
class Reveal(ProtocolClass):
    """One tick: the other party's share, in the value's ring, to whoever may know it."""

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), ring_type(operation, 0).ring)
        to = ring_type(operation).sharing
        return [(0 if to is Sharing.PRIVATE0 else count, 0 if to is Sharing.PRIVATE1 else count)]

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        source, to = ring_type(operation, 0), ring_type(operation).sharing
        share = as_share(party, operands[0], source)
        learns = to is Sharing.PUBLIC or to is (Sharing.PRIVATE0, Sharing.PRIVATE1)[party.index]
        sends = to is not (Sharing.PRIVATE0, Sharing.PRIVATE1)[party.index]
        received = yield pack(share, source.ring) if sends else b""
        if not learns:
            return None
        return signed(unpack_add(share, received, source.ring), source.ring)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return operands[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]
