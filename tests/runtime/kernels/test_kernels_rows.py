"""Counts along rows, and bits looked up in one-hot words."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import Draw


@pytest.mark.parametrize("lane", [np.uint8, np.uint16])
@pytest.mark.parametrize("bits", range(1, 11))
def test_counts_match_the_twin(native: Any, ring: Draw, bits: int, lane: type[np.unsignedinteger]) -> None:
    for rows, length in ((0, 3), (3, 0), (1, 1), (2, 7), (5, 130)):
        opened = ring(64, rows, length)  # what is above `bits` does not count
        onehots = ring(8, rows * length << bits).astype(lane) * lane(251)
        for low, levels in ((0, 1), (-3, (1 << bits) - 1), (2**40 + 5, max(1, (1 << bits) // 2))):
            args = (opened, onehots, bits, low, levels)
            counts = native.row_counts(*args)
            assert counts.shape == (rows, levels)
            assert np.array_equal(counts, twin.row_counts(*args))


def test_the_shares_sum_to_the_counts(kernels: Any) -> None:
    """Two parties and a dealer: how many elements of a row have at least each value."""
    bits, low, levels, rows, length = 5, -3, 18, 20, 100
    generator = np.random.default_rng(0)
    x = generator.integers(low, low + levels + 1, (rows, length))
    a = generator.integers(0, 1 << bits, (rows, length))
    onehots = (a[..., None] == np.arange(1 << bits)).astype(np.uint8).reshape(-1)
    share = generator.integers(0, 256, onehots.shape, dtype=np.uint8)
    opened = ((x - a) % (1 << bits)).astype(np.uint64)
    counts = sum(kernels.row_counts(opened, part, bits, low, levels) for part in (share, onehots - share))
    expected = [[(row >= v).sum() for v in range(low + 1, low + levels + 1)] for row in x]
    assert np.array_equal(counts % 256, expected)


@pytest.mark.parametrize(("words", "word_bits"), [(1, 1), (1, 2), (1, 64), (2, 64), (4, 64), (16, 8)])
def test_bits_match_the_twin(native: Any, ring: Draw, words: int, word_bits: int) -> None:
    for size in (0, 1, 1000, 70_001):
        rows, places = ring(64, size, words), ring(64, size)
        got = native.lookup_bits(rows, places, word_bits)
        assert np.array_equal(got, twin.lookup_bits(rows, places, word_bits))


def test_every_bit_of_a_row(kernels: Any, ring: Draw) -> None:
    row = ring(64, 1, 4)
    whole = int.from_bytes(row.tobytes(), "little")
    places = np.arange(300, dtype=np.uint64)  # modulo 256
    got = kernels.lookup_bits(np.repeat(row, 300, axis=0), places, 64)
    assert got.tolist() == [whole >> (place % 256) & 1 for place in range(300)]


def test_wrong_arguments_of_counts(kernels: Any) -> None:
    opened, onehots = np.zeros((2, 3), dtype=np.uint64), np.zeros(6 << 4, dtype=np.uint8)
    for arguments in (
        (opened, onehots, 0, 0, 1),
        (opened, onehots, 11, 0, 1),
        (opened, onehots, 4, 0, 0),
        (opened, onehots, 4, 0, 16),
        (opened, onehots, 5, 0, 1),
        (opened[:1].copy(), onehots, 4, 0, 1),
    ):
        with pytest.raises(ValueError, match="row_counts"):
            kernels.row_counts(*arguments)
    for wrong in (onehots.astype(np.uint32), onehots.astype(np.int8), onehots.reshape(6, 16), onehots[::2]):
        with pytest.raises(TypeError):
            kernels.row_counts(opened, wrong, 4, 0, 1)
    with pytest.raises(TypeError):
        kernels.row_counts(opened.reshape(-1), onehots, 4, 0, 1)


def test_wrong_arguments_of_lookups(kernels: Any) -> None:
    words, places = np.zeros((5, 2), dtype=np.uint64), np.zeros(5, dtype=np.uint64)
    for arguments in (
        (words, places[:4].copy(), 64),
        (words, places, 0),
        (words, places, 3),
        (words, places, 128),
        (np.zeros((5, 3), dtype=np.uint64), places, 64),
        (np.zeros((5, 0), dtype=np.uint64), places, 64),
    ):
        with pytest.raises(ValueError, match="lookup_bits"):
            kernels.lookup_bits(*arguments)
    with pytest.raises(TypeError):
        kernels.lookup_bits(words, places.astype(np.int64), 64)
