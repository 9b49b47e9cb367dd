"""Residues of signed, scaled, rounded and random numbers, against Python's integers and the twins."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.integers import (
    U64,
    divide_rounding,
    random_residues,
    some_moduli,
    to_integers,
    to_residues,
)

MODULI = some_moduli(1024, (50, 50, 50, 46, 31))
COUNTS = st.integers(1, len(MODULI))
SIZES = [0, 1, 7, 8, 9, 1000, 4100]
examples = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def corners(high: int) -> st.SearchStrategy[int]:
    """0 .. high - 1, with the first, the middle and the last more often."""
    near = [st.integers(0, 3), st.integers(high // 2 - 2, high // 2 + 2), st.integers(high - 3, high - 1)]
    return st.one_of(st.integers(0, high - 1), *near)


@examples
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), count=COUNTS)
def test_residues(kernels: Any, values: list[int], count: int) -> None:
    moduli = MODULI[:count].copy()
    wide = np.array([values], dtype=np.int64)
    assert np.array_equal(kernels.residues(wide, moduli)[0], to_residues(values, moduli))
    for part in (wide.view(np.uint64), wide.astype(np.int32)):
        assert np.array_equal(kernels.residues(part, moduli)[0], to_residues(part[0].tolist(), moduli))


@examples
@given(values=st.lists(corners(2**64), max_size=20), bits=st.integers(1, 64), count=COUNTS)
def test_scale_up(kernels: Any, values: list[int], bits: int, count: int) -> None:
    moduli = MODULI[:count].copy()
    q = math.prod(moduli.tolist())
    expected = [divide_rounding(q * (value % 2**bits), 2**bits) for value in values]
    got = kernels.scale_up(np.array([values], dtype=np.uint64), bits, moduli)
    assert np.array_equal(got[0], to_residues(expected, moduli))


@examples
@given(data=st.data(), bits=st.integers(1, 64), count=COUNTS)
def test_scale_down(kernels: Any, data: st.DataObject, bits: int, count: int) -> None:
    moduli = MODULI[:count].copy()
    q = math.prod(moduli.tolist())
    values = data.draw(st.lists(corners(q), max_size=20))
    # Where the result steps from one integer to the next, too.
    values += [min(q - 1, ((2 * step + 1) * q >> (bits + 1)) + side) for step in range(3) for side in (0, 1)]
    expected = [divide_rounding(value << bits, q) % 2**bits for value in values]
    assert kernels.scale_down(to_residues(values, moduli)[None], moduli, bits)[0].tolist() == expected


@examples
@given(data=st.data(), count=COUNTS)
def test_drop_primes(kernels: Any, data: st.DataObject, count: int) -> None:
    moduli = MODULI[:count].copy()
    keep = data.draw(st.integers(1, count))
    dropped = math.prod(moduli[keep:].tolist())
    values = data.draw(st.lists(corners(math.prod(moduli.tolist())), max_size=20))
    values += [dropped // 2, dropped // 2 + (dropped > 1)]
    expected = [divide_rounding(value, dropped) for value in values]
    got = kernels.drop_primes(to_residues(values, moduli)[None], moduli, keep)
    assert np.array_equal(got[0], to_residues(expected, moduli[:keep]))


@pytest.mark.parametrize("length", SIZES)
def test_sizes_match_the_twin(natives: dict[str, Any], length: int) -> None:
    words = np.random.default_rng(length).integers(0, 2**64, (3, length), dtype=np.uint64)
    x = random_residues(MODULI, 3, length)

    def results(kernels: Any) -> list[U64]:
        signed = (words, words.view(np.int64), words.astype(np.int32))
        return [
            *(kernels.residues(values, MODULI) for values in signed),
            *(kernels.scale_up(words, bits, MODULI) for bits in (1, 37, 64)),
            *(kernels.scale_down(x, MODULI, bits) for bits in (1, 37, 64)),
            *(kernels.drop_primes(x, MODULI, keep) for keep in (1, 3, 5)),
            kernels.uniform_residues(b"k" * 16, 5, 3, length, MODULI),
        ]

    expected = results(twin)
    for level, native in natives.items():
        for got, wanted in zip(results(native), expected, strict=True):
            assert np.array_equal(got, wanted), level


def test_up_and_down_is_the_message(kernels: Any) -> None:
    for bits in (1, 20, 64):
        values = np.random.default_rng(bits).integers(
            0, 2**bits - 1, (2, 300), dtype=np.uint64, endpoint=True
        )
        up = kernels.scale_up(values, bits, MODULI)
        assert np.array_equal(kernels.scale_down(up, MODULI, bits), values)
        fewer = kernels.drop_primes(up, MODULI, 2)
        assert np.array_equal(kernels.scale_down(fewer, MODULI[:2].copy(), bits), values)


def test_sixteen_primes(kernels: Any) -> None:
    moduli = some_moduli(1024, (50,) * 16)
    q = math.prod(moduli.tolist())
    values = [0, 1, q // 3, q // 2, q // 2 + 1, q - 1]
    x = to_residues(values, moduli)[None]
    assert to_integers(x[0], moduli) == values
    expected = [divide_rounding(value << 64, q) % 2**64 for value in values]
    assert kernels.scale_down(x, moduli, 64)[0].tolist() == expected


def test_uniform_residues_are_blocks_of_the_key_stream(kernels: Any) -> None:
    key, stream, count, degree = bytes(range(16)), 2**64 - 3, 2, 19
    drawn = kernels.uniform_residues(key, stream, count, degree, MODULI)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(stream.to_bytes(8, "big") + bytes(8))).encryptor()
    keystream = encryptor.update(bytes(16 * drawn.size))
    blocks = (int.from_bytes(keystream[i : i + 16], "little") for i in range(0, len(keystream), 16))
    moduli = np.broadcast_to(MODULI[:, None], drawn.shape).reshape(-1).tolist()
    assert drawn.reshape(-1).tolist() == [block % p for block, p in zip(blocks, moduli, strict=True)]


@pytest.mark.parametrize(
    "primes", [[], [4], [1], [2**50 + 1], [7, 7], [9, 15], [3, 2**50 - 2], list(range(3, 100, 2))]
)
def test_wrong_moduli(kernels: Any, primes: list[int]) -> None:
    moduli = np.array(primes, dtype=np.uint64)
    x = np.zeros((1, len(primes), 8), dtype=np.uint64)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: kernels.residues(x[0].view(np.int64), moduli),
        lambda: kernels.scale_up(x[0], 8, moduli),
        lambda: kernels.scale_down(x, moduli, 8),
        lambda: kernels.drop_primes(x, moduli, 1),
        lambda: kernels.uniform_residues(bytes(16), 0, 1, 8, moduli),
        lambda: kernels.automorphism(x, 3, moduli),
        lambda: kernels.multiply_accumulate(x[None], x[None], x[None], moduli),
    )
    for call in calls:
        with pytest.raises(ValueError, match="modul"):
            call()


def test_wrong_arguments(kernels: Any) -> None:
    x, values = np.zeros((2, 5, 8), dtype=np.uint64), np.zeros((2, 8), dtype=np.uint64)
    for bits in (0, 65, -1):
        with pytest.raises(ValueError, match="bits must be 1 to 64"):
            kernels.scale_up(values, bits, MODULI)
        with pytest.raises(ValueError, match="bits must be 1 to 64"):
            kernels.scale_down(x, MODULI, bits)
    for keep in (0, 6, -1):
        with pytest.raises(ValueError, match="keep"):
            kernels.drop_primes(x, MODULI, keep)
    fewer = MODULI[:4].copy()
    with pytest.raises(ValueError, match=r"\[R, P, n\]"):
        kernels.scale_down(x, fewer, 8)
    with pytest.raises(ValueError, match=r"\[R, P, n\]"):
        kernels.drop_primes(x, fewer, 1)
    for wrong in (
        values.astype(np.float64),
        values[0],
        values[:, ::2],
        values.tolist(),
        values.astype(np.uint32),
    ):
        with pytest.raises(TypeError):
            kernels.residues(wrong, MODULI)
    with pytest.raises(TypeError):
        kernels.scale_up(values.view(np.int64), 8, MODULI)
    with pytest.raises(TypeError):
        kernels.scale_up(values, 8, MODULI.astype(np.int64))
    for arguments in ((bytes(15), 0, 1, 8), (bytes(16), 0, -1, 8), (bytes(16), 0, 1, -8)):
        with pytest.raises(ValueError, match=r"16 bytes|not negative"):
            kernels.uniform_residues(*arguments, MODULI)
    with pytest.raises(TypeError):
        kernels.uniform_residues(bytearray(16), 0, 1, 8, MODULI)
