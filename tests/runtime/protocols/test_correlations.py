"""Correlated randomness: each part alone is uniform, both satisfy the relation, each is drawn once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Attributes, Operation, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.dealing.corrections import Dealing, weight_mask
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.ring import U64, reduce, signed
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES, Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.fixed import FIXED, Fixed
from tests.runtime.protocols.harness import MASK_SEED, SEEDS, Prepared, seed_pair
from tests.runtime.protocols.products import nested, products
from tests.runtime.protocols.uniformity import assert_independent, assert_uniform

SESSIONS = 3
Parts = dict[str, np.ndarray]


def drawn(prepared: Prepared, session: int) -> dict[str, tuple[Parts, Parts]]:
    """Both parties' parts of every correlated operation, by its value's name."""
    sources = prepared.correlations(seed_pair(session))
    result = {}
    for operation in prepared.operations:
        slots = protocols[operation.kind].slots(operation)
        if slots:
            name = operation.result.name
            result[name] = (sources[0].draw(name, slots), sources[1].draw(name, slots))
    return result


PROGRAMS = [
    *((f.kind, Prepared(f.case(1, 2048).program)) for f in FIXED),
    ("products", Prepared(products().program)),
    ("nested", Prepared(nested().program)),
]


def as_elements(part: np.ndarray | None) -> U64:
    return np.asarray(part).astype(np.uint64)


@pytest.mark.parametrize(("name", "prepared"), PROGRAMS, ids=lambda p: p if isinstance(p, str) else "")
def test_each_party_draws_uniform_parts(name: str, prepared: Prepared) -> None:
    sessions = [drawn(prepared, number) for number in range(SESSIONS)]
    for operation in prepared.operations:
        for slot in protocols[operation.kind].slots(operation):
            if slot.count * (64 if slot.boolean and slot.bits == 64 else 1) < 1024:
                continue
            for party in (0, 1):
                parts = [s[operation.result.name][party].get(slot.name) for s in sessions]
                if parts[0] is None:
                    assert slot.role is (Role.PARTY0, Role.PARTY1)[1 - party]
                    continue
                samples = np.stack([as_elements(p) for p in parts])
                assert samples.shape[1] == slot.count
                bits = slot.bits
                if slot.boolean and bits == 64:  # packed planes
                    samples, bits = np.unpackbits(samples.view(np.uint8), axis=1).astype(np.uint64), 1
                assert_uniform(samples, bits)
                assert_independent(samples[1:], samples[:-1], bits)


def test_no_two_slots_of_a_program_share_their_randomness() -> None:
    """All parts of 1024 elements and more, of both parties: a stream used twice shows as equal elements."""
    for _, prepared in PROGRAMS:
        heads = []
        for parts in drawn(prepared, 0).values():
            heads += [
                as_elements(p)[:64].tobytes() for side in parts for p in side.values() if p.size >= 1024
            ]
        assert len(set(heads)) == len(heads)


def test_slot_names_of_an_operation_differ() -> None:
    """A name is a stream: two slots of one name would share their randomness."""
    s = Setting(seeded(0, 0))
    one, two = (s.masked(np.ones(3, dtype=np.int64), 8) for _ in range(2))
    row = tuple(range(12))  # powers of two digits in both factors
    product = s.emit(
        "product", one, two, factors=("polynomial",) * 2, coefficients=(row, row), fractions=(0, 0)
    )
    operations = [o for o in s.end(product).program.operations if protocols[o.kind].slots(o)]
    for kind in CASES:
        operations += [o for n in range(5) for o in CASES[kind](seeded(n, n)).program.operations]
    for operation in operations:
        names = [slot.name for slot in protocols[operation.kind].slots(operation)]
        assert len(set(names)) == len(names)


# ---- the relations


def combined(operation: Operation, parts: tuple[Parts, Parts]) -> dict[str, np.ndarray]:
    """Values of the slots, by name: the sum or xor of both parts, or the one party's."""
    result = {}
    for slot in protocols[operation.kind].slots(operation):
        sides = [side[slot.name] for side in parts if slot.name in side]
        result[slot.name] = slot.combine(*sides) if len(sides) == 2 else sides[0]
    return result


def _truncate(o: Operation, v: Parts) -> None:
    assert np.array_equal(v["product"], v["alpha"] * v["beta"])


def _less_than(o: Operation, v: Parts) -> None:
    bits, width = integer(o.attributes, "bits"), integer(o.attributes, "width")
    low, words = v["mask"] % (1 << (bits - 1)), -(-v["mask"].size // 64)
    blocks = v["onehots"].reshape(-1, low.size)
    assert sum(int(b.bit_length() - 1) << (width * i) for i, b in enumerate(map(int, blocks[:, 0]))) == int(
        low[0]
    )
    for index, block in enumerate(blocks):
        assert np.array_equal(block, np.uint64(1) << (low >> np.uint64(width * index)) % (1 << width))
    (sign,) = kernels.planes_unpack(v["sign"][None], low.size)
    assert np.array_equal(sign, (v["mask"] >> np.uint64(bits - 1)).astype(np.uint8))
    planes = 2 * len(blocks) - 2
    rho = v["rho"].reshape(-1, planes, words)
    products = v["products"].reshape(len(rho), -1, words)
    wanted = [s for s in kernels.carry_subsets(len(blocks)) if len(s) > 1]
    assert products.shape[1] == len(wanted)
    for position, subset in enumerate(wanted):
        assert np.array_equal(products[:, position], np.bitwise_and.reduce(rho[:, list(subset)], axis=1))


def _row_reaches(o: Operation, v: Parts) -> None:
    bits = integer(o.attributes, "bits")
    onehots = v["onehots"].reshape(-1, 1 << bits)
    assert np.array_equal(onehots.argmax(axis=1), v["mask"])
    assert (onehots.sum(axis=1) == 1).all()
    assert np.array_equal(v["zero_onehots"], np.uint64(1) << v["count_mask"])


def _one_hot(o: Operation, v: Parts) -> None:
    table = v["onehot"].reshape(-1, 1 << integer(o.attributes, "bits"))
    assert np.array_equal(table.argmax(axis=1), v["mask"])
    assert (table.sum(axis=1) == 1).all()


def _exponential(o: Operation, v: Parts) -> None:
    bits, f = integer(o.attributes, "bits"), ring_type(o, 0).fraction
    low, high = v["factors"].reshape(2, -1).astype(np.float64)
    t = v["mask"].astype(np.float64)
    inside = t < 2 ** (bits - 1)
    half = 2.0 ** (bits - 1 - f)
    scale = low[inside] / np.exp(t[inside] * 2.0**-f - half)  # signed(t) is t there
    big = low[inside] > 2.0**20
    s1 = round(np.log2(np.median(scale[big])))
    assert np.abs(high * 2.0**-s1 - np.exp(t * 2.0**-f - 2 * half)).max() < 2.0**-s1
    assert np.abs(low[inside] * 2.0**-s1 - np.exp(t[inside] * 2.0**-f - half)).max() < 2.0**-s1
    wrapped = (t[~inside] - 2.0**bits) * 2.0**-f - half
    assert np.abs(low[~inside] * 2.0**-s1 - np.exp(wrapped)).max() < 2.0**-s1


def _sine_series(o: Operation, v: Parts) -> None:
    harmonics = np.array(o.attributes["harmonics"], dtype=np.float64)
    scale = 2.0 ** integer(o.attributes, "secret_fraction")
    angle = np.multiply.outer(harmonics, v["mask"].astype(np.float64)) * (
        2 * np.pi / 2.0 ** integer(o.attributes, "bits")
    )
    values = signed(v["harmonics"], ring_type(o).ring).reshape(2 * len(harmonics), -1)
    assert np.abs(values - scale * np.concatenate([np.cos(angle), np.sin(angle)])).max() <= 0.5001


def test_waves_from_a_table_are_those_computed_one_by_one() -> None:
    """The dealer takes them from a table where there are more elements than angles."""
    attributes: Attributes = {"bits": 9, "harmonics": (1, 3, 511), "secret_fraction": 14}
    mask = np.random.default_rng(0).integers(0, 1 << 9, 1200, dtype=np.uint64)

    def dealt(part: U64) -> U64:
        value = Value("y", RingType(Sharing.SHARE, 37, 30, part.shape))
        operation = Operation("sine_series", (value,), (value,), attributes)
        harmonics = protocols["sine_series"].deal(operation, {"mask": part}, [], Dealing(SEEDS, MASK_SEED))
        return harmonics.derived["harmonics"].reshape(6, -1)

    assert np.array_equal(dealt(mask), np.hstack([dealt(part) for part in np.split(mask, 12)]))


RELATIONS: dict[str, Callable[[Operation, Parts], None]] = {
    "truncate": _truncate,
    "less_than": _less_than,
    "row_reaches": _row_reaches,
    "one_hot": _one_hot,
    "exponential": _exponential,
    "sine_series": _sine_series,
}


@pytest.mark.parametrize("fixed", [f for f in FIXED if f.kind in RELATIONS], ids=lambda f: f.kind)
def test_both_parts_satisfy_the_relation(fixed: Fixed) -> None:
    prepared = Prepared(fixed.case(1, 2048).program)
    parts = drawn(prepared, 9)
    (operation,) = [o for o in prepared.operations if o.kind == fixed.kind]
    openings = [o for o in prepared.operations if o.result in operation.operands and o.kind == "open_masked"]
    values = [combined(o, parts[o.result.name]) for o in (*openings, operation)]
    RELATIONS[fixed.kind](operation, {name: part for v in values for name, part in v.items()})


def test_products_of_masks() -> None:
    """Matrix products and server products, from the openings' masks."""
    prepared = dict(PROGRAMS)["products"]
    parts = drawn(prepared, 4)
    by_kind: dict[str, list[Operation]] = {}
    for o in prepared.operations:
        by_kind.setdefault(o.kind, []).append(o)

    def value(o: Operation, slot: str) -> U64:
        return combined(o, parts[o.result.name])[slot]

    a, b = (value(o, "mask").reshape(ring_type(o).shape) for o in by_kind["open_masked"][:2])
    (matrix,) = by_kind["matmul"]
    assert np.array_equal(value(matrix, "product"), reduce(a @ b.transpose(0, 2, 1), 30).reshape(-1))
    (serve,) = by_kind["serve"]
    served = value(serve, "mask").reshape(ring_type(serve).shape)
    for kind in ("linear", "gain"):
        (o,) = by_kind[kind]
        fixed = np.concatenate(list(weight_mask(MASK_SEED, o))).reshape(ring_type(o, 1).shape)
        expected = served @ fixed if kind == "linear" else served * fixed
        assert np.array_equal(value(o, "product"), reduce(expected, 41).reshape(-1))


def test_each_matrix_of_a_batch_has_a_mask_of_its_own() -> None:
    s = Setting(seeded(2, 2))
    served = s.emit("serve", s.share(np.ones((5, 2, 40), dtype=np.int64)), bits=29)
    s.emit("linear", served, s.source("weight", np.ones((5, 40, 30), dtype=np.int64)))
    rows = np.concatenate(list(weight_mask(MASK_SEED, s.builder.program.operations[-1])))
    masks = rows.reshape(5, 40 * 30)
    assert_uniform(masks, 29)
    assert_independent(masks[1:], masks[:-1], 29)


def atoms(masks: list[U64], widths: tuple[int, int], rho: U64, rows: list[tuple[int, ...]]) -> list[Any]:
    """Integers of the rows (bit, power, power): no wrap, one of the first or the second mask, of both."""
    powers = []
    for a, k in zip(masks, widths, strict=True):
        whole = a.astype(object)
        shorter = whole - ((a >> np.uint64(k - 1)) << np.uint64(k)).astype(object)
        powers.append([(whole**i, (shorter**i - whole**i) >> k) for i in range(3)])
    selected = [np.ones(masks[0].size, dtype=object), *rho.astype(object)]
    return [
        [powers[0][i][z] * powers[1][j][w] * selected[t] for t, i, j in rows if i >= z and j >= w]
        for w, z in itertools.product(range(2), range(2))
    ]


def assert_dealt(values: Parts, rows: list[Any], bits: tuple[int, ...], prefix: str = "") -> None:
    """Each variant's slot holds these integers, mod 2^bits."""
    for name, expected, width in zip(("atoms", "wraps_z", "wraps_w", "wraps_zw"), rows, bits, strict=True):
        assert values[prefix + name].tolist() == [int(v) % 2**width for row in expected for v in row]


def masks_and_operation(name: str, kind: str) -> tuple[list[U64], U64, Parts]:
    """Of a program: the masks of its values, those of its bits [T, n], and what an operation is dealt."""
    prepared = dict(PROGRAMS)[name]
    parts = drawn(prepared, 4)
    values = {o: combined(o, parts[o.result.name]) for o in prepared.operations if o.result.name in parts}
    compared = {o.operands[0] for o in values if o.kind == "less_than"}
    masks = [v["mask"] for o, v in values.items() if o.kind == "open_masked" and o.result not in compared]
    rho = next(v["rho"] for o, v in values.items() if o.kind == "open_bits")
    return masks, rho.reshape(-1, masks[0].size), next(v for o, v in values.items() if o.kind == kind)


GRID = list(itertools.product(range(3), range(3), range(2)))[1:]  # (bit, power, power) but for the constant


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("product", GRID),
        # the second bit's only coefficient is a constant's
        ("segmented_polynomial", [row for row in GRID if row[0] < 2] + [(2, 0, 0)]),
    ],
)
def test_atoms_of_masks(kind: str, rows: list[tuple[int, ...]]) -> None:
    """Powers of both masks and a bit's, without a wrap and the wraps, each in its own ring."""
    masks, rho, values = masks_and_operation("products", kind)
    assert_dealt(values, atoms(masks, (30, 33), rho, rows), (64, 34, 31, 1))


def test_atoms_of_a_further_factor() -> None:
    """The first two values' atoms and the constant, for each atom of the third: 1, its mask, its wrap."""
    (*masks, third), rho, values = masks_and_operation("nested", "product")
    rows = list(itertools.product(range(2), repeat=3))
    wrap = -(third >> np.uint64(16)).astype(object)
    for name, scale, bits, dealt in (
        ("0_0_0_atoms", 1, 60, rows[1:]),
        ("0_1_0_atoms", third.astype(object), 60, rows),
        ("0_1_0_wraps_z", wrap, 43, rows),
    ):
        expected = [[atom * scale for atom in variant] for variant in atoms(masks, (20, 13), rho, dealt)]
        assert_dealt(values, expected, (bits, bits - 20, bits - 13, bits - 33), f"{name}_")
    assert len(values) == 3 * 4


# ---- one time, and of the stated size


@pytest.mark.parametrize("fixed", FIXED, ids=lambda f: f.kind)
def test_a_correlation_is_drawn_once(fixed: Fixed) -> None:
    prepared = Prepared(fixed.case(1, 8).program)
    for source in prepared.correlations(seed_pair(0)):
        for operation in prepared.operations:
            slots = protocols[operation.kind].slots(operation)
            source.draw(operation.result.name, slots)
            with pytest.raises(RuntimeError, match="already used"):
                source.draw(operation.result.name, slots)


@pytest.mark.parametrize("kind", sorted(CASES))
def test_corrections_have_the_planned_lengths(kind: str) -> None:
    """Every piece of the payload lies where the plan says, for each operation."""
    for number in range(5):
        prepared = Prepared(CASES[kind](seeded(number, 0)).program)
        pieces = list(Dealing(seed_pair(number), MASK_SEED).corrections(prepared.operations))
        derived = [
            (o.result.name, slot)
            for o in prepared.operations
            for slot in protocols[o.kind].slots(o)
            if slot.role is Role.DERIVED
        ]
        assert [len(p) for p in pieces] == [slot.correction_bytes for _, slot in derived]
        position = 0
        for (name, _), piece in zip(derived, pieces, strict=True):
            assert prepared.offsets[name] <= position
            position += len(piece)
        assert position == prepared.payload_bytes


@pytest.mark.parametrize(
    "slot",
    [
        *(Slot("s", Role.DERIVED, 37, bits) for bits in (1, 2, 7, 8, 13, 31, 52, 63, 64)),
        *(Slot("s", Role.DERIVED, 37, bits, boolean=True) for bits in (1, 16, 64)),
        *(Slot("s", Role.DERIVED, 37, bits, lanes=True) for bits in (8, 16)),
        Slot("s", Role.DERIVED, 0, 9),
    ],
)
def test_a_correction_restores_the_value(slot: Slot) -> None:
    generator = np.random.default_rng(slot.bits)
    value = reduce(generator.integers(0, 2**64, size=slot.count, dtype=np.uint64, endpoint=False), slot.bits)
    if slot.lanes:
        value = value.astype(slot.lane_type)
    part0 = slot.expand(bytes(16), "v")
    data = slot.correct(value, part0.copy())
    assert len(data) == slot.correction_bytes
    part1 = slot.unpack(np.frombuffer(data, dtype=np.uint8))
    assert np.array_equal(slot.combine(part0, part1), value)
