"""Faithful truncation for two bits, into a ring of any width (docs/protocols/truncate.md).

x' = x + 2^(k-2) >= 0 has the one-sided wrap w = msb(y0) or msb(y1) over its shares, and 1 - w is a product
of two private bits. Each party opens its bit under its own dealt bit (alpha, beta); shares of alpha beta
make the product. Party 0 rounds its share up and party 1 down, which makes the rounding stochastic and
unbiased and keeps multiples of 2^f exact; as the top bits are those of the shares of x' itself, this holds
for every x in [-2^(k-2), 2^(k-2)). Opened: u xor alpha and v xor beta, uniform. Sources: Cheetah (USENIX
Security 2022), BumbleBee (NDSS 2025).
"""

from __future__ import annotations

from collections.abc import Mapping

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Maker,
    Party,
    ProtocolClass,
    Step,
    as_share,
    flat,
    implements,
    message,
    packed_bytes,
    ring_type,
    size,
)
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.two_party.engine.circuits import multiply_bits, plane_of
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import RuntimeValue


def wrap_bits(operation: Operation) -> int:
    """Ring of the product alpha beta: what the result's ring has above the shifted shares."""
    bits = integer(operation.attributes, "bits")
    return max(1, ring_type(operation).ring - (ring_type(operation, 0).ring - bits))


@implements("truncate")
class Truncate(ProtocolClass):
    """One tick, one bit an element each way."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        count = size(operation)
        return [
            Slot("alpha", Role.PARTY0, count, 1),
            Slot("beta", Role.PARTY1, count, 1),
            Slot("product", Role.DERIVED, count, wrap_bits(operation)),
        ]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), 1)
        return [(count, count)]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        return Dealt({"product": drawn["alpha"] & drawn["beta"]})

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """One transfer an element."""
        own = plane_of(drawn[("alpha", "beta")[maker.index]], 0)
        product = yield from multiply_bits(own, size(operation), wrap_bits(operation), maker.index)
        return {"product": product}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        bits, source, result = (
            integer(operation.attributes, "bits"),
            ring_type(operation, 0),
            ring_type(operation),
        )
        share = flat(as_share(party, operands[0], source))
        drawn = party.draw(operation)
        own = drawn["alpha" if party.index == 0 else "beta"]
        mine = kernels.truncate_open(share, own, source.ring, party.index)
        theirs = yield mine
        truncated = kernels.truncate_close(
            share,
            own,
            drawn["product"],
            mine,
            message(theirs),
            bits,
            source.ring,
            result.ring,
            party.index,
        )
        return truncated.reshape(result.shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        bits = integer(operation.attributes, "bits")
        return operands[0] if bits == 0 else (operands[0] + (1 << (bits - 1))) >> bits

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]
