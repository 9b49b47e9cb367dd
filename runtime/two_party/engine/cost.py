"""What making correlations costs, exactly, without the cryptography.

`make` runs as party 0 on zeros, and what it asks for is counted with the sizes that the engine goes by. Where
all operands of an operation have the same n elements (or rows), treated alike, it runs at two small n: its
requests' counts are linear in n as long as n mod 128 stays the same (planes have words of 64 bits, and halves
of them go each way), so that both give those of any n.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np

from mpcc.ir.dialects import definition
from mpcc.ir.program import Attribute, Operation, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type, size
from mpcc.runtime.ring import I64, U64
from mpcc.runtime.two_party.engine.circuits import completed
from mpcc.runtime.two_party.engine.requests import BitProducts, Choose, MatrixProduct, Request
from mpcc.runtime.two_party.engine.steps import by_encryption, parts_of
from mpcc.runtime.two_party.engine.transfers import answer_rounds
from mpcc.runtime.two_party.ot.transfer import bits_bytes, choose_bytes, corrections_bytes, ots
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes, key_bytes, matrix_product_bytes
from mpcc.runtime.two_party.rlwe.ole import terms_of
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters, slot_parameters

ELEMENTWISE = (
    "exponential",
    "less_than",
    "one_hot",
    "product",
    "row_reaches",
    "segmented_polynomial",
    "sine_series",
    "truncate",
)
BY_ROW = ("row_reaches",)
PERIOD = 128  # of the number of elements, for counts that are linear in it
Kind = tuple[Any, ...]  # of a request: all of its sizes but the count
Trace = list[list[tuple[Kind, int]]]  # the requests of each step, as kinds and counts


@dataclass
class Cost:
    """Of requests that are made together.

    `ots`: correlated OTs with party 0 and with party 1 as receiver. `sent`: bytes of party 0 and party 1 for
    transfers, but for making the OTs. `products`: sums of products under encryption by their parameters;
    `wraps`: OTs of theirs, which are asked for after the others. `matrices`: matrix products.
    """

    ots: list[int] = field(default_factory=lambda: [0, 0])
    sent: list[int] = field(default_factory=lambda: [0, 0])
    products: Counter[SlotParameters] = field(default_factory=Counter)
    wraps: int = 0
    matrices: Counter[Sizes] = field(default_factory=Counter)

    def add(self, other: Cost) -> None:
        for party in (0, 1):
            self.ots[party] += other.ots[party]
            self.sent[party] += other.sent[party]
        self.products += other.products
        self.wraps += other.wraps
        self.matrices += other.matrices

    def take(self, kind: Kind, count: int, extension_bits: float) -> None:
        """One more request."""
        match kind:
            case ("bits",):
                for chooser, words in enumerate((count // 2, count - count // 2)):
                    self._transfer(chooser, 64 * words, bits_bytes(words))
            case ("choose", chooser, widths):
                self._transfer(chooser, count, choose_bytes(count, widths))
            case ("product", sizes, ring, terms):
                self._product(sizes, ring, terms, count, extension_bits)
            case ("matrix", sizes) if 0 not in sizes[0]:
                self.matrices[sizes] += count

    def _product(
        self, sizes: tuple[int, int], ring: int, terms: int, count: int, extension_bits: float
    ) -> None:
        if not by_encryption(sizes, ring, count, terms, extension_bits):
            for chooser, start, stop, places in parts_of(sizes, ring, count):
                for place in range(places):
                    self._choose(chooser, stop - start, ring - place, terms)
            return
        self.products[slot_parameters(sizes, terms)] += count
        middle = min(count, 64 * (-(-count // 64) // 2))  # as `multiply_bits` cuts the wraps
        self._choose(0, middle, ring)
        self._choose(1, count - middle, ring)
        self.wraps += ots(middle) + ots(count - middle)

    def _choose(self, chooser: int, count: int, width: int, times: int = 1) -> None:
        self._transfer(chooser, count, choose_bytes(count, (width,)), times)

    def _transfer(self, chooser: int, count: int, message: int, times: int = 1) -> None:
        self.ots[chooser] += times * ots(count)
        self.sent[chooser] += times * corrections_bytes(count)
        self.sent[1 - chooser] += times * message

    @property
    def sent_in_all(self) -> tuple[int, int]:
        """Bytes of party 0 and party 1 with ciphertexts, but for keys and for making the OTs."""
        total = list(self.sent)
        of_products = [p.sent_bytes(p.ciphertexts(count)) for p, count in self.products.items()]
        of_matrices = [(*matrix_product_bytes(*sizes), count) for sizes, count in self.matrices.items()]
        for party in (0, 1):
            total[party] += sum(sent[party] for sent in of_products)
            total[party] += sum(sent[party] * sent[2] for sent in of_matrices)
        return total[0], total[1]

    @property
    def rounds(self) -> int:
        """But for those of making the OTs. Keys are sent with the first ciphertexts."""
        transfers = answer_rounds(sum(self.ots) - self.wraps) + answer_rounds(self.wraps)
        return transfers + bool(self.products) + 2 * bool(self.matrices)


def merged(costs: Iterable[Sequence[Cost]]) -> list[Cost]:
    """The steps of several operations that run together."""
    result = []
    for step in zip_longest(*costs):
        result.append(Cost())
        for cost in step:
            if cost is not None:
                result[-1].add(cost)
    return result


def keys_bytes(costs: Iterable[Cost]) -> int:
    """What party 1 sends once a connection for these."""
    products: set[SlotParameters] = set()
    matrices: set[Sizes] = set()
    for cost in costs:
        products |= cost.products.keys()
        matrices |= cost.matrices.keys()
    return sum(parameters.key_bytes for parameters in products) + key_bytes(list(matrices))


def sum_cost(value: Value, bits: int) -> list[Cost]:
    """Of each step of summing both parts of a mask to so many bits."""
    assert isinstance(value.type, RingType)
    return _sum_cost(-(-math.prod(value.type.shape) // 64), bits)


@lru_cache(maxsize=4096)  # as `_making_cost`
def _sum_cost(words: int, bits: int) -> list[Cost]:
    steps = []
    for bit in range(bits - 1):
        steps.append(Cost())
        steps[-1].take(("bits",), words if bit == 0 else 2 * words, 0)
    return steps


def making_cost(operation: Operation, extension_bits: float) -> list[Cost]:
    """Of each step of an operation; none without derived slots. Bits of its operands' masks are extra
    (`sum_cost`). `extension_bits`: as the engine has them.
    """
    return _making_cost(_Sizes.of(operation), extension_bits)


@lru_cache(maxsize=4096)  # those of a whole program, and of a compiler's choices
def _making_cost(sizes: _Sizes, extension_bits: float) -> list[Cost]:
    steps = []
    for requests in trace_of(sizes.operation()):
        steps.append(Cost())
        for kind, count in requests:
            steps[-1].take(kind, count, extension_bits)
    return steps


@dataclass(frozen=True)
class _Sizes:
    """What an operation's cost depends on. `operands` numbers the values: one may stand in two places."""

    kind: str
    operands: tuple[int, ...]
    types: tuple[RingType, ...]
    result: RingType
    attributes: tuple[tuple[str, Attribute], ...]

    @classmethod
    def of(cls, operation: Operation) -> _Sizes:
        values = list(dict.fromkeys(operation.operands))
        return cls(
            operation.kind,
            tuple(values.index(value) for value in operation.operands),
            tuple(replace(ring_type(operation, operation.operands.index(v)), range=None) for v in values),
            replace(ring_type(operation), range=None),
            tuple(sorted(operation.attributes.items())),
        )

    def operation(self) -> Operation:
        """Of these sizes."""
        values = [Value(f"x{index}", ring) for index, ring in enumerate(self.types)]
        operands = tuple(values[index] for index in self.operands)
        return Operation(self.kind, operands, (Value("y", self.result),), dict(self.attributes))


def trace_of(operation: Operation) -> Trace:
    """As `trace`, from smaller operations where that can be."""
    shapes = {_elements(operation, index) for index in range(len(operation.operands))}
    n = math.prod(min(shapes)[: -1 if operation.kind in BY_ROW else None])
    if operation.kind not in ELEMENTWISE or len(shapes) != 1 or n < 4 * PERIOD:
        return trace(operation)
    first = n % PERIOD + PERIOD
    small, large = (trace(flattened(operation, size)) for size in (first, first + PERIOD))
    steps = (n - first) // PERIOD
    return [
        [(kind, count + steps * (other - count)) for (kind, count), (_, other) in zip(*both, strict=True)]
        for both in zip(small, large, strict=True)
    ]


def trace(operation: Operation) -> Trace:
    """What `make` asks for, step by step."""
    protocol = protocols[operation.kind]
    drawn = {
        slot.name: np.zeros(slot.count, dtype=slot.lane_type if slot.lanes else np.uint64)
        for slot in protocol.slots(operation)
        if slot.role in (Role.UNIFORM, Role.PARTY0)
    }
    masks = [_mask(operation, index) for index in range(len(operation.operands))]
    result: Trace = []

    def count(requests: list[Request]) -> list[Any]:
        result.append([_sizes(request) for request in requests])
        return [_zeros(request) for request in requests]

    completed(protocol.make(operation, drawn, masks, _Counting(operation)), count)
    return result


class _Counting:
    """A `Maker` whose weights and bits are zero."""

    index = 0

    def __init__(self, operation: Operation) -> None:
        self._counts = protocols[operation.kind].mask_planes(operation)

    def weight(self, operation: Operation) -> I64:
        return np.zeros(ring_type(operation, 1).shape, dtype=np.int64)

    def planes(self, operation: Operation, index: int) -> U64:
        return np.zeros((self._counts[index], -(-size(operation, index) // 64)), dtype=np.uint64)


def _mask(operation: Operation, index: int) -> U64 | None:
    ring = ring_type(operation, index)
    masked = ring.sharing in (Sharing.MASKED, Sharing.MASKED_BITS)
    return np.zeros(ring.shape, dtype=np.uint64) if masked else None


def _sizes(request: Request) -> tuple[Kind, int]:
    if isinstance(request, BitProducts):
        return ("bits",), request.own.size
    if isinstance(request, Choose):
        return ("choose", request.chooser, request.widths), request.count
    if isinstance(request, MatrixProduct):
        return ("matrix", (request.shape, request.right_bits, request.ring)), 1
    return ("product", request.sizes, request.ring, terms_of(request)), request.own.shape[-1]


def _zeros(request: Request) -> Any:
    if isinstance(request, Choose):
        return [np.zeros(request.count, dtype=np.uint64) for _ in request.widths]
    if isinstance(request, MatrixProduct):
        batch, m, _, n = request.shape
        return np.zeros((batch, m, n), dtype=np.uint64)
    return np.zeros(request.own.shape[-1], dtype=np.uint64)


def _elements(operation: Operation, index: int) -> tuple[int, ...]:
    """The shape of an operand's elements: there are several bits of each."""
    ring = ring_type(operation, index)
    return ring.shape[1:] if ring.sharing is Sharing.MASKED_BITS else ring.shape


def flattened(operation: Operation, count: int) -> Operation:
    """The same operation on vectors of so many elements, or on so many rows."""
    operands = []
    for value in operation.operands:
        ring = value.type
        assert isinstance(ring, RingType)
        leading = ring.shape[:1] if ring.sharing is Sharing.MASKED_BITS else ()
        row = ring.shape[-1:] if operation.kind in BY_ROW else ()
        operands.append(Value(value.name, replace(ring, shape=(*leading, count, *row))))
    types = [value.type for value in operands]
    [inferred] = definition(Stage.SHARE, operation.kind).infer(types, operation.attributes)
    assert isinstance(inferred, RingType)
    result = Value(operation.result.name, replace(ring_type(operation), shape=inferred.shape))
    return Operation(operation.kind, tuple(operands), (result,), operation.attributes)
