"""Trees of seeds and correlated transfers from their leaves."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from mpcc.runtime.kernels.twin_softspoken import tree_bits
from tests.runtime.kernels.levels import U64, Draw

DELTAS = {
    "random": (0x0123456789ABCDEF, 0xFEDCBA9876543210),
    "ones": (2**64 - 1, 2**64 - 1),
}


def leaves(bits: int) -> int:
    return sum(1 << size for size in tree_bits(bits))


def for_sender(seeds: U64, delta: U64, bits: int) -> U64:
    """Each tree's leaf x at place x xor its bits of Delta, and nothing known of the leaf at place 0."""
    of_delta = sum(int(word) << 64 * i for i, word in enumerate(delta))
    known, start, first = np.empty_like(seeds), 0, 0
    for size in tree_bits(bits):
        missing = of_delta >> first & ((1 << size) - 1)
        for leaf in range(1 << size):
            known[start + (leaf ^ missing)] = seeds[start + leaf]
        known[start] = 7
        start, first = start + (1 << size), first + size
    return known


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_children_are_the_key_stream(kernels: Any, ring: Draw, count: int) -> None:
    seeds = ring(64, count, 2)
    children = kernels.double_seeds(seeds)
    assert children.shape == (2 * count, 2)
    for node in range(min(count, 70)):
        stream = twin.expand(seeds[node].tobytes(), 0, 4, 64)
        assert np.array_equal(children[2 * node : 2 * node + 2].reshape(4), stream)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (2, 3),
        (3, 128),
        (4, 0),
        (4, 1),
        (4, 131),
        (5, 9),
        (5, 127),
        (6, 10),
        pytest.param(8, 33, marks=pytest.mark.slow),
    ],
)
def test_both_parts_match_the_twin(natives: dict[str, Any], ring: Draw, bits: int, words: int) -> None:
    seeds, chunk = ring(64, leaves(bits), 2), 3
    delta = np.array(DELTAS["random"], dtype=np.uint64)
    expected = twin.softspoken_receive(seeds, bits, chunk, words)
    expected_sent = twin.softspoken_send(seeds, bits, delta, expected[1], chunk)
    for level, native in natives.items():
        for got, part in zip(native.softspoken_receive(seeds, bits, chunk, words), expected, strict=True):
            assert np.array_equal(got, part), level
        sent = native.softspoken_send(seeds, bits, delta, expected[1], chunk)
        assert np.array_equal(sent, expected_sent), level


@pytest.mark.parametrize(("bits", "delta_name"), [(2, "ones"), (4, "random"), (5, "random"), (5, "ones")])
def test_the_correlation_holds(kernels: Any, ring: Draw, bits: int, delta_name: str) -> None:
    seeds, delta = ring(64, leaves(bits), 2), np.array(DELTAS[delta_name], dtype=np.uint64)
    choices, corrections, received = kernels.softspoken_receive(seeds, bits, 11, 5)
    sent = kernels.softspoken_send(for_sender(seeds, delta, bits), bits, delta, corrections, 11)
    chosen = twin.planes_unpack(choices[None], 320)[0].astype(np.uint64)
    assert np.array_equal(sent ^ received, chosen[:, None] * delta)
    assert 80 < chosen.sum() < 240


def test_many_chunks_are_one_stream(native: Any, ring: Draw) -> None:
    """Threads and chunks do not show; a later chunk begins where the one before it would have gone on."""
    seeds = ring(64, leaves(4), 2)
    choices, corrections, pads = native.softspoken_receive(seeds, 4, 0, 520)
    later = native.softspoken_receive(seeds, 4, 3, 136)
    for whole, part in ((choices, later[0]), (corrections.T, later[1].T), (pads.reshape(-1, 128), later[2])):
        assert np.array_equal(whole[384:].reshape(-1), part.reshape(-1))


def test_wrong_arguments_of_softspoken(kernels: Any) -> None:
    seeds, delta = np.zeros((leaves(4), 2), dtype=np.uint64), np.zeros(2, dtype=np.uint64)
    corrections = np.zeros((31, 5), dtype=np.uint64)
    kernels.softspoken_send(seeds, 4, delta, corrections, 0)
    wrong_values: list[tuple[Any, ...]] = [
        (kernels.double_seeds, np.zeros((5, 3), dtype=np.uint64)),
        (kernels.softspoken_receive, seeds, 1, 0, 1),
        (kernels.softspoken_receive, seeds, 9, 0, 1),
        (kernels.softspoken_receive, seeds[1:].copy(), 4, 0, 1),
        (kernels.softspoken_receive, np.zeros((leaves(4), 3), dtype=np.uint64), 4, 0, 1),
        (kernels.softspoken_receive, seeds, 4, -1, 1),
        (kernels.softspoken_receive, seeds, 4, 1 << 48, 1),
        (kernels.softspoken_receive, seeds, 4, 0, -1),
        (kernels.softspoken_send, seeds, 5, delta, corrections, 0),
        (kernels.softspoken_send, seeds, 4, delta[:1].copy(), corrections, 0),
        (kernels.softspoken_send, seeds, 4, delta, corrections[1:].copy(), 0),
        (kernels.softspoken_send, seeds, 4, delta, corrections, -1),
    ]
    for function, *arguments in wrong_values:
        with pytest.raises(ValueError, match=r"softspoken|double_seeds"):
            function(*arguments)
    wrong_types: list[tuple[Any, ...]] = [
        (kernels.double_seeds, seeds.astype(np.int64)),
        (kernels.softspoken_receive, seeds[::2], 4, 0, 1),
        (kernels.softspoken_send, seeds, 4, delta.astype(np.float64), corrections, 0),
        (kernels.softspoken_send, seeds, 4, delta, corrections[:, ::2], 0),
    ]
    for function, *arguments in wrong_types:
        with pytest.raises(TypeError):
            function(*arguments)
