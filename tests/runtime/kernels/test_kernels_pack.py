from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import Draw

SIZES = [0, 1, 2, 7, 63, 64, 65, 129, 1000]


def test_a_packed_stream_is_one_big_integer(kernels: Any) -> None:
    values = np.array([5, 1, 7, 0, 3], dtype=np.uint64)
    expected = 5 | 1 << 3 | 7 << 6 | 0 << 9 | 3 << 12
    assert kernels.pack(values, 3).tobytes() == expected.to_bytes(2, "little")


@pytest.mark.parametrize("bits", range(1, 65))
def test_every_width_matches_the_twin(native: Any, ring: Draw, bits: int) -> None:
    for size in SIZES:
        values = ring(bits, size)
        packed = native.pack(values, bits)
        assert packed.dtype == np.uint8
        assert np.array_equal(packed, twin.pack(values, bits))
        assert np.array_equal(native.unpack(packed, size, bits), values)


@pytest.mark.parametrize("bits", [1, 5, 8, 16, 31, 32, 52, 64])
def test_big_arrays(native: Any, ring: Draw, bits: int) -> None:
    values = ring(bits, 200_003)
    packed = native.pack(values, bits)
    assert np.array_equal(packed, twin.pack(values, bits))
    assert np.array_equal(native.unpack(packed, len(values), bits), values)


def test_only_the_low_bits_are_packed(kernels: Any) -> None:
    values = np.full(70, 2**64 - 1, dtype=np.uint64)
    values[::2] = 2**64 - 8
    assert kernels.unpack(kernels.pack(values, 3), 70, 3).tolist() == [0, 7] * 35


def test_data_at_any_address(kernels: Any, ring: Draw) -> None:
    values = ring(13, 300)
    padded = np.concatenate([np.zeros(3, dtype=np.uint8), twin.pack(values, 13)])
    assert np.array_equal(kernels.unpack(padded[3:], 300, 13), values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), bits=st.integers(1, 64))
def test_round_trip(kernels: Any, data: st.DataObject, bits: int) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=200))
    array = np.array(values, dtype=np.uint64)
    packed = kernels.pack(array, bits)
    assert len(packed) == (len(values) * bits + 7) // 8
    assert int.from_bytes(packed.tobytes(), "little") == sum(v << (i * bits) for i, v in enumerate(values))
    assert kernels.unpack(packed, len(values), bits).tolist() == values


@pytest.mark.parametrize("size", [*SIZES, 600_001])
def test_planes(kernels: Any, size: int) -> None:
    bits = np.random.default_rng(size).integers(0, 2, size, dtype=np.uint8)
    words = kernels.planes_pack(bits)
    assert len(words) == (size + 63) // 64
    assert int.from_bytes(words.tobytes(), "little") == int("0" + "".join(map(str, bits[::-1])), 2)
    assert np.array_equal(kernels.planes_unpack(words[None], size), bits[None])


def test_planes_take_the_lowest_bit(kernels: Any) -> None:
    bits = np.array([2, 3, 255, 254, 1] * 20, dtype=np.uint8)
    assert kernels.planes_unpack(kernels.planes_pack(bits)[None], 100).tolist() == [[0, 1, 1, 0, 1] * 20]


@pytest.mark.parametrize("size", [*SIZES, 200_001])
@pytest.mark.parametrize(("first", "count"), [(0, 64), (0, 1), (63, 1), (5, 22), (64, 0)])
def test_planes_of_some_bits(kernels: Any, ring: Draw, size: int, first: int, count: int) -> None:
    values = ring(64, size)
    planes = kernels.planes_split(values, first, count)
    assert planes.shape == (count, (size + 63) // 64)
    for place, plane in enumerate(planes):
        bits = (values >> np.uint64(first + place) & np.uint64(1)).astype(np.uint8)
        assert np.array_equal(plane, twin.planes_pack(bits))
    joined = kernels.planes_join(planes, size)
    assert np.array_equal(joined, (values >> np.uint64(first % 64)) & np.uint64((1 << count) - 1))
    assert np.array_equal(kernels.planes_join(~planes, size), joined ^ np.uint64((1 << count) - 1))


@pytest.mark.parametrize(("planes", "size"), [(0, 5), (3, 0), (2, 64), (43, 1536), (5, 130_001)])
def test_many_planes(native: Any, ring: Draw, planes: int, size: int) -> None:
    words = ring(64, planes, (size + 63) // 64)
    assert np.array_equal(native.planes_unpack(words, size), twin.planes_unpack(words, size))


def test_wrong_arguments(kernels: Any) -> None:
    values = np.zeros(10, dtype=np.uint64)
    for wrong in (
        values.astype(np.int64),
        values.astype(np.float64),
        values.reshape(2, 5),
        values[::2],
        [0] * 10,
    ):
        with pytest.raises(TypeError):
            kernels.pack(wrong, 8)
    unaligned = np.frombuffer(bytes(81), dtype=np.uint64, offset=1)
    with pytest.raises(TypeError):
        kernels.pack(unaligned, 8)
    with pytest.raises(ValueError, match="bits must be 1 to 64"):
        kernels.pack(values, 0)
    for size, count in ((9, 10), (11, 10), (0, 1), (10, -1)):
        with pytest.raises(ValueError, match="exactly"):
            kernels.unpack(np.zeros(size, dtype=np.uint8), count, 8)
    with pytest.raises(TypeError):
        kernels.unpack(values, 10, 8)
    with pytest.raises(TypeError):
        kernels.planes_pack(values)
    with pytest.raises(TypeError):
        kernels.planes_unpack(values, 64 * 10)
    with pytest.raises(ValueError, match="ceil"):
        kernels.planes_unpack(values.reshape(2, 5), 64 * 4)
    for first, count in ((-1, 2), (0, -1), (60, 5), (0, 65)):
        with pytest.raises(ValueError, match="first_bit"):
            kernels.planes_split(values, first, count)
    for planes in (values.reshape(2, 5), np.zeros((65, 2), dtype=np.uint64)):
        with pytest.raises(ValueError, match="ceil"):
            kernels.planes_join(planes, 65)
