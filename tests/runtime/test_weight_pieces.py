"""Pieces of weights change no bit: of the mask B, of F, of the products, of what the parties send."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import stream
from mpcc.runtime.dealing.corrections import weight_mask
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.protocols import linear
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.weight_pieces import pieces
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import MASK_SEED, SEEDS, Prepared, Run, encoded, run_both

LEADING = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 70), max_size=3).map(tuple),
    elements=st.integers(0, 3000),
    least=st.integers(8, 100),
)
def test_pieces_are_all_rows_cut_at_whole_bytes(shape: tuple[int, ...], elements: int, least: int) -> None:
    rows, columns = math.prod(shape[:-1]), shape[-1] if shape else 1
    found = pieces(shape, elements, least)
    assert [p.first_row for p in found] == [0, *(p.last_row for p in found)][: len(found)]
    assert sum(p.count for p in found) == math.prod(shape)
    assert all(p.count % 8 == 0 for p in found[:-1])
    assert all(p.count <= max(elements, least * columns) for p in found)
    weight = np.arange(rows * columns).reshape(shape)
    parts = [p.of(weight).reshape(-1) for p in found]
    assert np.array_equal(np.concatenate([[], *parts]), weight.reshape(-1))


def linear_operation(leading: tuple[int, ...], rows: int, weight: tuple[int, ...], ring: int) -> Operation:
    s = Setting(seeded(0, 0))
    x = np.zeros((*leading, *weight[:-2], rows, weight[-2]), np.int64)
    served = s.emit("serve", s.share(x), bits=ring)
    s.emit("linear", served, s.source("weight", np.zeros(weight, np.int64)), ring=ring)
    return s.builder.program.operations[-1]


@settings(deadline=None)
@given(
    leading=LEADING,
    rows=st.integers(0, 5),
    weight=st.tuples(st.integers(0, 70), st.integers(0, 9))
    | st.tuples(st.integers(1, 4), st.integers(0, 40), st.integers(0, 9)),
    elements=st.integers(0, 200),
    ring=st.integers(1, 64),
    seed=st.integers(0, 9),
)
def test_products_and_masks_are_those_of_the_whole(
    leading: tuple[int, ...], rows: int, weight: tuple[int, ...], elements: int, ring: int, seed: int
) -> None:
    operation = linear_operation(leading, rows, weight, ring)
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 2**64, ring_type(operation, 0).shape, dtype=np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "pieces", partial(pieces, elements=elements, least=8))
        mask = list(weight_mask(MASK_SEED, operation))
        product = linear.Linear.product_of_pieces(operation, x, mask, ring)
        packed = b"".join(kernels.pack(rows.reshape(-1), ring).tobytes() for rows in mask)
    number = stream(operation.result.name, "weight_mask")
    whole = kernels.expand(MASK_SEED, number, math.prod(weight), ring)
    assert packed == kernels.pack(whole, ring).tobytes()
    by_token = np.matmul(x, whole.reshape(weight)) & np.uint64((1 << ring) - 1)
    assert np.array_equal(product, by_token)
    assert np.array_equal(linear.Linear.product(operation, x, whole.reshape(weight), ring), by_token)


def two_layers(values: int) -> Setting:
    """A matrix, a batch of matrices and a gain with biases, on different rings; the batch is added, too."""
    s = Setting(seeded(1, values))
    c = s.choices
    x = s.share(c.signed((2, 3, 4, 33), 20))
    served = s.emit("serve", x, bits=44)
    matrix = s.emit("linear", served, s.source("weight", c.signed((33, 5), 12)), ring=44)
    batch = s.source("weight", c.signed((3, 33, 5), 12))
    experts = s.emit("linear", served, batch, s.source("weight", c.signed((5,), 20)), ring=41)
    gain = s.emit("gain", served, s.source("weight", c.signed((33,), 10)), ring=40)
    again = s.emit("serve", gain, bits=40)
    wide = s.emit("linear", again, s.source("weight", c.signed((33, 5), 12)), ring=40)
    total = s.emit("add", s.emit("add", matrix, experts), wide)
    s.builder.program.outputs["y"] = s.emit("reveal", total, name="y", to="party1")
    s.builder.program.attributes = {"reveals": ("y=party1",)}
    return s


def run(s: Setting, source: Callable[[Operation], np.ndarray]) -> tuple[Run, list[int]]:
    """With a source of integers; also the sizes of F's pieces."""
    prepared = Prepared(s.builder.program)
    correlations = prepared.correlations(SEEDS)
    parties = [Interpreter(p, i, source, correlations[i]) for i, p in enumerate(prepared.parsed)]
    parts = list(parties[0].setup_message(MASK_SEED))
    parties[1].prepare(parts)
    outputs, transcripts = run_both(parties)
    setup, rounds = b"".join(parts), len(transcripts[0])
    return Run(outputs, (0, 0), rounds, transcripts, 0, setup, ({}, {})), [len(part) for part in parts]


def test_runs_in_pieces_are_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    s = two_layers(5)
    whole, sizes = run(s, lambda o: encoded(s.arrays, o))
    assert len(sizes) == 4
    monkeypatch.setattr(linear, "pieces", partial(pieces, elements=0, least=8))
    cut, smaller = run(s, lambda o: encoded(s.arrays, o))
    assert len(smaller) == 5 + 13 + 1 + 5
    assert (sum(smaller), cut.setup) == (sum(sizes), whole.setup)
    assert cut.transcripts == whole.transcripts
    assert np.array_equal(cut.outputs[1]["y"], whole.outputs[1]["y"])


def test_integers_of_32_bits_are_the_same_weights() -> None:
    s = two_layers(6)
    wide, _ = run(s, lambda o: encoded(s.arrays, o))

    def narrow(operation: Operation) -> np.ndarray:
        array = encoded(s.arrays, operation)
        return array.astype(np.int32) if operation.kind == "weight" else array

    short, _ = run(s, narrow)
    assert short.setup == wide.setup
    assert short.transcripts == wide.transcripts
    assert np.array_equal(short.outputs[1]["y"], wide.outputs[1]["y"])
