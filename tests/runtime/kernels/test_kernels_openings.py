"""Messages of openings and truncations."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import U64, Draw

SIZES = [0, 1, 7, 8, 63, 64, 65, 511, 513, 100_003]


@pytest.mark.parametrize("bits", [1, 5, 11, 34, 52, 63, 64])
@pytest.mark.parametrize("size", SIZES)
def test_openings_match_the_twin(native: Any, ring: Draw, size: int, bits: int) -> None:
    a, b, c = ring(64, 3, size)
    offset = int(ring(64, 1)[0])
    mine, theirs = twin.pack_difference(a, b, bits, offset), twin.pack(c, bits)
    assert np.array_equal(native.pack_difference(a, b, bits, offset), mine)
    assert np.array_equal(
        native.unpack_sum(mine, theirs, size, bits), twin.unpack_sum(mine, theirs, size, bits)
    )
    assert np.array_equal(native.unpack_add(a, theirs, bits), twin.unpack_add(a, theirs, bits))


def test_both_messages_open_the_difference(kernels: Any, ring: Draw) -> None:
    x, a = ring(30, 2, 1000)
    x0, a0 = ring(64, 2, 1000)
    first = kernels.pack_difference(x0, a0, 30, 5)
    second = kernels.pack_difference(x - x0, a - a0, 30)
    opened = (x - a + np.uint64(5)) & np.uint64((1 << 30) - 1)
    assert np.array_equal(kernels.unpack_sum(first, second, 1000, 30), opened)
    assert np.array_equal(kernels.unpack_add(x0 - a0 + np.uint64(5), second, 30), opened)


@pytest.mark.parametrize(
    ("bits", "ring_bits", "result"), [(0, 2, 64), (0, 64, 64), (17, 35, 45), (62, 64, 1)]
)
@pytest.mark.parametrize("size", SIZES)
def test_truncations_match_the_twin(
    native: Any, ring: Draw, size: int, bits: int, ring_bits: int, result: int
) -> None:
    share, product = ring(64, 2, size)
    own, theirs = ring(1, size), twin.pack(ring(1, size), 1)
    for party in (0, 1):
        mine = twin.truncate_open(share, own, ring_bits, party)
        assert np.array_equal(native.truncate_open(share, own, ring_bits, party), mine)
        args = (share, own, product, mine, theirs, bits, ring_bits, result, party)
        assert np.array_equal(native.truncate_close(*args), twin.truncate_close(*args))


def truncated(kernels: Any, x: U64, bits: int, ring_bits: int, result: int, draw: Draw) -> U64:
    """Two parties and a dealer."""
    shares = [(s := draw(64, x.size)), x - s]
    masks = draw(1, 2, x.size)
    products = [(p := draw(64, x.size)), masks[0] * masks[1] - p]
    messages = [kernels.truncate_open(shares[i], masks[i], ring_bits, i) for i in (0, 1)]
    one, other = (
        kernels.truncate_close(
            shares[i], masks[i], products[i], messages[i], messages[1 - i], bits, ring_bits, result, i
        )
        for i in (0, 1)
    )
    return np.asarray(one + other) & np.uint64((1 << result) - 1)


@pytest.mark.parametrize(
    ("bits", "ring_bits", "result"), [(3, 12, 40), (13, 20, 7), (30, 64, 64), (0, 9, 50)]
)
def test_truncation_is_faithful(kernels: Any, ring: Draw, bits: int, ring_bits: int, result: int) -> None:
    """The floor or the ceiling of x / 2^bits, over the whole range."""
    limit = 1 << (ring_bits - 2)
    x = np.random.default_rng(bits).integers(-limit, limit, 3000)
    x[:4] = (-limit, limit - 1, 0, -1)
    x[4:1000] = x[4:1000] >> bits << bits
    got = truncated(kernels, x.view(np.uint64), bits, ring_bits, result, ring)
    above = (got - (x >> bits).view(np.uint64)) & np.uint64((1 << result) - 1)
    assert (above <= 1).all()
    assert not above[(x & ((1 << bits) - 1)) == 0].any()


@pytest.mark.parametrize(
    ("offset", "ring_bits", "bits"), [(0, 64, 0), (7, 35, 3), (2**64 - 1, 64, 63), (1, 9, 40)]
)
@pytest.mark.parametrize("size", SIZES)
def test_shifts_match_the_twin(
    native: Any, ring: Draw, size: int, offset: int, ring_bits: int, bits: int
) -> None:
    x = ring(64, size)
    args = (x, offset, ring_bits, bits)
    assert np.array_equal(native.shift_right(*args), twin.shift_right(*args))
    expected = [(int(v) + offset) % 2**ring_bits >> bits for v in x[:100]]
    assert twin.shift_right(*args)[:100].tolist() == expected


def test_wrong_arguments_of_openings(kernels: Any) -> None:
    a, b, data = np.zeros(10, dtype=np.uint64), np.zeros(9, dtype=np.uint64), np.zeros(10, dtype=np.uint8)
    wrong_values: list[tuple[Any, ...]] = [
        (kernels.pack_difference, a, b, 8),
        (kernels.pack_difference, a, a, 0),
        (kernels.unpack_sum, data, data[:9], 10, 8),
        (kernels.unpack_sum, data, data, -1, 8),
        (kernels.unpack_sum, data, data, 10, 65),
        (kernels.unpack_add, b, data, 8),
        (kernels.unpack_add, a, data, 9),
        (kernels.shift_right, a, 0, 0, 1),
        (kernels.shift_right, a, 0, 10, 64),
        (kernels.shift_right, a, 0, 10, -1),
    ]
    for function, *arguments in wrong_values:
        with pytest.raises(ValueError, match=r"bits|length|bytes"):
            function(*arguments)
    wrong_types: list[tuple[Any, ...]] = [
        (kernels.pack_difference, a.astype(np.int64), a, 8),
        (kernels.pack_difference, a, a[::2], 8),
        (kernels.unpack_sum, a, data, 10, 8),
        (kernels.unpack_add, a.reshape(2, 5), data, 8),
        (kernels.shift_right, a.astype(np.float64), 0, 10, 1),
    ]
    for function, *arguments in wrong_types:
        with pytest.raises(TypeError):
            function(*arguments)


def test_wrong_arguments_of_truncations(kernels: Any) -> None:
    a, bits = np.zeros(10, dtype=np.uint64), np.zeros(2, dtype=np.uint8)
    good: list[Any] = [a, a, a, bits, bits, 3, 20, 30, 0]
    kernels.truncate_close(*good)
    for position, wrong in (
        (0, a[:9].copy()),
        (1, a[:9].copy()),
        (2, a[:9].copy()),
        (3, bits[:1].copy()),
        (4, bits[:1].copy()),
        (5, -1),
        (5, 19),
        (6, 1),
        (6, 65),
        (7, 0),
        (8, 2),
    ):
        changed = [*good[:position], wrong, *good[position + 1 :]]
        with pytest.raises(ValueError, match=r"truncate|bits must be|party must be"):
            kernels.truncate_close(*changed)
    for arguments in ((a, a[:9].copy(), 20, 0), (a, a, 1, 0), (a, a, 65, 0), (a, a, 20, 2)):
        with pytest.raises(ValueError, match=r"truncate|party must be"):
            kernels.truncate_open(*arguments)
    for position in range(5):
        changed = [*good[:position], good[position].astype(np.float64), *good[position + 1 :]]
        with pytest.raises(TypeError):
            kernels.truncate_close(*changed)
