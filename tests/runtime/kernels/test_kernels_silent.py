"""Correlated trees of seeds and the local linear code of silent oblivious transfer."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from mpcc.runtime.kernels.twin_silent import code_rows
from tests.runtime.kernels.levels import U64, Draw, load_native

SEED = bytes(range(16))
ONE = np.uint64(1)


class Instance:
    """Trees of one depth, what the receiver knows of them, and a table of correlated transfers."""

    def __init__(self, ring: Draw, trees: int, depth: int, entries: int) -> None:
        self.trees, self.depth = trees, depth
        self.keys, self.roots, self.delta = ring(64, trees, 2), ring(64, trees, 2), ring(64, 2)
        self.delta[0] |= ONE
        self.points = ring(depth, trees)
        self.table, choices = ring(64, entries, 2), ring(1, entries)
        self.table[:, 0] &= ~ONE
        self.received = self.table ^ choices[:, None] * self.delta

    def sums(self, kernels: Any) -> U64:
        sums: U64 = kernels.tree_sums(self.keys, self.roots, self.delta, self.depth)
        return sums

    def known(self, kernels: Any) -> U64:
        """On each level the sum of the side that the point's path leaves."""
        places = np.arange(self.depth - 1, -1, -1, dtype=np.uint64)
        goes_left = ONE - (self.points[:, None] >> places & ONE)
        return self.sums(kernels) ^ goes_left[:, :, None] * self.delta

    def send(self, kernels: Any, first: int = 0) -> U64:
        out = np.empty((self.trees << self.depth, 2), dtype=np.uint64)
        kernels.silent_send(out, self.table, SEED, first, self.keys, self.roots, self.delta, self.depth)
        return out

    def receive(self, kernels: Any, first: int = 0) -> U64:
        out = np.empty((self.trees << self.depth, 2), dtype=np.uint64)
        known = self.known(kernels)
        kernels.silent_receive(out, self.received, SEED, first, self.keys, known, self.points, self.depth)
        return out


SIZES = [(0, 3, 5), (1, 1, 1), (3, 1, 7), (2, 2, 100), (5, 6, 1000), (7, 7, 64), (2, 9, 4097), (1, 12, 33)]


@pytest.mark.parametrize(("trees", "depth", "entries"), SIZES)
def test_all_parts_match_the_twin(
    natives: dict[str, Any], ring: Draw, trees: int, depth: int, entries: int
) -> None:
    instance = Instance(ring, trees, depth, entries)
    sums, sent, received = instance.sums(twin), instance.send(twin, 13), instance.receive(twin, 13)
    for level, native in natives.items():
        assert np.array_equal(instance.sums(native), sums), level
        assert np.array_equal(instance.send(native, 13), sent), level
        assert np.array_equal(instance.receive(native, 13), received), level


@pytest.mark.parametrize(("trees", "depth", "entries"), SIZES)
def test_outputs_are_correlated(kernels: Any, ring: Draw, trees: int, depth: int, entries: int) -> None:
    instance = Instance(ring, trees, depth, entries)
    sent, received = instance.send(kernels), instance.receive(kernels)
    choices = received[:, :1] & ONE
    assert np.array_equal(sent, received ^ choices * instance.delta)
    assert not np.any(sent[:, 0] & ONE)


def test_every_point_of_a_tree(kernels: Any, ring: Draw) -> None:
    depth = 5
    instance = Instance(ring, 1 << depth, depth, 1)
    instance.points = np.arange(1 << depth, dtype=np.uint64)
    instance.table[:], instance.received[:] = 0, 0  # only the noise is left
    plane = kernels.lowest_bits(instance.receive(kernels))
    noise = kernels.planes_unpack(plane.reshape(1, -1), 1 << 2 * depth)
    assert np.array_equal(noise.reshape(1 << depth, 1 << depth), np.eye(1 << depth, dtype=np.uint8))
    leaves = instance.send(kernels).reshape(1 << depth, 1 << depth, 2)
    total = np.bitwise_xor.reduce(leaves, axis=1)
    assert np.array_equal(total, np.broadcast_to(instance.delta ^ np.array([1, 0], np.uint64), total.shape))


def test_trees_may_be_made_in_pieces(kernels: Any, ring: Draw) -> None:
    """The code's rows go on where the trees before ended, at any tree."""
    instance = Instance(ring, 9, 4, 500)
    whole = instance.send(kernels, 100)
    for first, last in ((0, 4), (4, 5), (5, 9)):
        out = np.empty(((last - first) << 4, 2), dtype=np.uint64)
        some = slice(first, last)
        kernels.silent_send(
            out,
            instance.table,
            SEED,
            100 + first,
            instance.keys[some],
            instance.roots[some],
            instance.delta,
            4,
        )
        assert np.array_equal(out, whole[first << 4 : last << 4])


def test_many_trees_on_several_threads(ring: Draw) -> None:
    """More than one task, at a size that the twin manages."""
    instance = Instance(ring, 400, 7, 3000)
    native = load_native("portable", threads=4)
    assert np.array_equal(instance.send(native), instance.send(twin))
    assert np.array_equal(instance.receive(native), instance.receive(twin))


def test_rows_of_the_code_are_spread_evenly() -> None:
    """Pearson's statistic over 64 classes of entries; false alarm below 1e-9."""
    entries = 64 * 1000
    rows = code_rows(SEED, 5, 50_000, entries)
    assert rows.shape == (50_000, 10)
    counts = np.bincount((rows // np.uint64(1000)).reshape(-1).astype(np.int64), minlength=64)
    expected = rows.size / 64
    assert float(((counts - expected) ** 2 / expected).sum()) < 160  # 63 degrees of freedom
    assert np.array_equal(code_rows(SEED, 15, 10, entries), rows[10:20])


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200_001])
def test_lowest_bits(kernels: Any, ring: Draw, count: int) -> None:
    blocks = ring(64, count, 2)
    expected = twin.planes_pack((blocks[:, 0] & ONE).astype(np.uint8))
    assert np.array_equal(kernels.lowest_bits(blocks), expected)


def test_wrong_arguments(kernels: Any, ring: Draw) -> None:
    instance = Instance(ring, 2, 3, 10)
    out, known = instance.send(kernels), instance.known(kernels)
    send: list[Any] = [out, instance.table, SEED, 0, instance.keys, instance.roots, instance.delta, 3]
    receive: list[Any] = [out, instance.received, SEED, 0, instance.keys, known, instance.points, 3]
    kernels.silent_send(*send)
    kernels.silent_receive(*receive)
    empty = np.empty((0, 2), dtype=np.uint64)
    sizes: list[tuple[int, Any]] = [(0, out[1:]), (1, empty), (2, SEED[:15]), (3, -1), (4, instance.keys[1:])]
    sizes += [(6, instance.delta[1:]), (7, 0), (7, 17)]
    for arguments, kernel, fifth in (
        (send, kernels.silent_send, instance.roots[1:]),
        (receive, kernels.silent_receive, known[:, 1:].copy()),
    ):
        for place, value in [*sizes, (5, fifth)]:
            with pytest.raises(ValueError, match=r"silent|16 bytes"):
                kernel(*arguments[:place], value, *arguments[place + 1 :])
        for place in (0, 1, 4, 5, 6):
            with pytest.raises(TypeError):
                kernel(*arguments[:place], arguments[place].astype(np.int64), *arguments[place + 1 :])
    with pytest.raises(ValueError, match="depth"):
        kernels.tree_sums(instance.keys, instance.roots, instance.delta, 17)
    with pytest.raises(ValueError, match="lowest_bits"):
        kernels.lowest_bits(np.zeros((4, 3), dtype=np.uint64))
