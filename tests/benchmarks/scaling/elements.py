"""What a program costs for each element of each kind of its arrays: from the protocols' declarations.

An encoder layer of width d on T tokens has arrays of five sizes, h = d / 64 being its heads: one number a
token (T), hidden states (T d), what is inside the feed-forward part (4 T d), attention scores (h T^2) and one
number a row of scores (h T). Messages and correlations are so many bits for each element of one of these, a
matrix product so many multiplications for each of T d^2 or T^2 d, a weight so many bits of set-up. So what a
program of one size declares says what any size costs, as long as lowering decides alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import RingType
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.linear import difference_sizes
from mpcc.runtime.weight_differences import TOKEN_BYTES
from tests.benchmarks.scaling.encoder import HEAD, Encoder

TOKEN, STATES, INNER, SCORES, SCORE_ROWS = "T", "T d", "4 T d", "h T^2", "h T"
LINEAR_PRODUCT, SCORE_PRODUCT, WEIGHT, GAIN, ONCE = "T d^2", "T^2 d", "d^2", "d", "1"
Counts = dict[str, float]  # by kind of element


def elements(encoder: Encoder) -> dict[str, int]:
    """How many there are of each kind."""
    tokens, width, heads = encoder.tokens, encoder.width, encoder.heads
    return {
        TOKEN: tokens,
        STATES: tokens * width,
        INNER: 4 * tokens * width,
        SCORES: heads * tokens**2,
        SCORE_ROWS: heads * tokens,
        LINEAR_PRODUCT: tokens * width**2,
        SCORE_PRODUCT: tokens**2 * width,
        WEIGHT: width**2,
        GAIN: width,
        ONCE: 1,
    }


@dataclass
class Declared:
    """Of a program, for each element of a kind that there is in a layer: bits that party 0 and party 1 send,
    dealt bits, bits of set-up, and ring multiplications.
    """

    party0: Counts = field(default_factory=dict)
    party1: Counts = field(default_factory=dict)
    dealt: Counts = field(default_factory=dict)
    setup: Counts = field(default_factory=dict)
    multiplications: Counts = field(default_factory=dict)

    def at(self, encoder: Encoder) -> dict[str, float]:
        """The totals that the counts amount to at a size: bytes, and multiplications."""
        sizes = elements(encoder)
        totals = {
            name: sum(count * sizes[kind] for kind, count in counts.items())
            for name, counts in vars(self).items()
        }
        return {name: total / (1 if name == "multiplications" else 8) for name, total in totals.items()}

    def plus(self, other: Declared, times: int) -> Declared:
        """With so many times the other's counts added."""
        return Declared(**{name: _sum(mine, vars(other)[name], times) for name, mine in vars(self).items()})


def _sum(first: Counts, second: Counts, times: int) -> Counts:
    return {k: first.get(k, 0.0) + times * second.get(k, 0.0) for k in {**first, **second}}


def declared(program: Program, encoder: Encoder) -> Declared:
    """Of a share-stage program that an encoder was compiled to. Raises ValueError for an array of none of the
    kinds.
    """
    sizes = elements(encoder)
    totals: dict[str, defaultdict[str, float]] = {name: defaultdict(float) for name in vars(Declared())}
    totals["setup"][ONCE] += 8 * TOKEN_BYTES
    kinds: dict[Value, str] = {}
    for operation in program.operations:
        kinds[operation.result] = _kind(operation, kinds, encoder)
        for kind, (first, second) in _messages(operation, kinds):
            totals["party0"][kind] += 8 * first
            totals["party1"][kind] += 8 * second
        for kind, bits in _dealt(operation, kinds, sizes):
            totals["dealt"][kind] += bits
        if operation.kind in ("linear", "gain"):
            weights = WEIGHT if operation.kind == "linear" else GAIN
            totals["setup"][weights] += 8 * sum(difference_sizes(operation))
        if count := protocols[operation.kind].multiplications(operation):
            totals["multiplications"][_product(operation, kinds)] += count
    found = {name: {k: n / sizes[k] for k, n in counts.items()} for name, counts in totals.items()}
    return Declared(**found)


def _shape(value: Value) -> tuple[int, ...]:
    assert isinstance(value.type, RingType)
    return value.type.shape


def _kind(operation: Operation, kinds: dict[Value, str], encoder: Encoder) -> str:
    """Of the operation's result; of comparisons, the kind of what they compare, however many thresholds."""
    first = kinds[operation.operands[0]] if operation.operands else ONCE
    if operation.kind in ("less_than", "open_bits"):
        return first
    if operation.kind == "row_reaches":
        return SCORE_ROWS if first == SCORES else TOKEN
    if operation.kind in ("weight", "constant"):
        return ONCE
    fitting = _kinds_of(_shape(operation.result), encoder)
    if len(fitting) == 1:
        return fitting[0]
    if operation.kind == "matmul" and {first, *fitting} == {STATES, SCORES}:
        return SCORES if first == STATES else STATES  # for 64 tokens both products are [h, 64, 64]
    if first in fitting:
        return first
    raise ValueError(f"{operation.kind} yields {_shape(operation.result)}: no array of an encoder layer")


def _kinds_of(shape: Sequence[int], encoder: Encoder) -> list[str]:
    tokens, width, heads = encoder.tokens, encoder.width, encoder.heads
    shapes: dict[str, list[tuple[int, ...]]] = {
        TOKEN: [(tokens,)],
        STATES: [(tokens, width), (tokens, heads, HEAD), (heads, tokens, HEAD), (heads, HEAD, tokens)],
        INNER: [(tokens, 4 * width)],
        SCORES: [(heads, tokens, tokens)],
        SCORE_ROWS: [(heads, tokens)],
    }
    squeezed = tuple(size for size in shape if size != 1)
    return [kind for kind, known in shapes.items() if squeezed in known] if squeezed else [ONCE]


def _messages(operation: Operation, kinds: dict[Value, str]) -> list[tuple[str, tuple[int, int]]]:
    messages = protocols[operation.kind].messages(operation)
    if operation.kind == "row_reaches":  # first every element, then the counts of every row
        return list(zip((kinds[operation.operands[0]], kinds[operation.result]), messages, strict=True))
    return [(kinds[operation.result], message) for message in messages]


def _dealt(operation: Operation, kinds: dict[Value, str], sizes: dict[str, int]) -> list[tuple[str, float]]:
    """A product's slot has atoms of several sizes one after another: as many of the largest as there are."""
    found: list[tuple[str, float]] = []
    for slot in protocols[operation.kind].slots(operation):
        bits = 8 * slot.correction_bytes
        if operation.kind == "row_reaches":
            of_rows = slot.name == "zero_onehots"
            found.append((kinds[operation.result if of_rows else operation.operands[0]], bits))
        elif operation.kind == "product" and bits:
            left = slot.count
            involved = {kinds[v] for v in (operation.result, *operation.operands)}
            for kind in sorted(involved, key=sizes.__getitem__, reverse=True):
                number, left = divmod(left, sizes[kind])
                found.append((kind, bits * number * sizes[kind] / slot.count))
        else:
            found.append((kinds[operation.result], bits))
    return found


def _product(operation: Operation, kinds: dict[Value, str]) -> str:
    products = {"linear": LINEAR_PRODUCT, "matmul": SCORE_PRODUCT}
    return products.get(operation.kind) or kinds[operation.result]
