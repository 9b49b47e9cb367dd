from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpcc.runtime.kernels import element_bytes, twin

# FIPS 197, appendix C.1: one block of AES-128.
FIPS_KEY = bytes(range(16))
FIPS_PLAINTEXT = bytes.fromhex("00112233445566778899aabbccddeeff")
FIPS_CIPHERTEXT = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")


def test_known_answer_of_the_cipher(kernels: Any) -> None:
    # The second half of a counter block is the block number, so `expand` cannot reach the standard's block:
    # the library, which is the oracle of all tests here, is checked against it instead.
    encryptor = Cipher(algorithms.AES(FIPS_KEY), modes.ECB()).encryptor()
    assert encryptor.update(FIPS_PLAINTEXT) == FIPS_CIPHERTEXT
    zero_block = encryptor.update((0x0123456789ABCDEF).to_bytes(8, "big") + bytes(8))
    got = kernels.expand(FIPS_KEY, 0x0123456789ABCDEF, 2, 64)
    assert got.tobytes() == zero_block


@pytest.mark.parametrize("bits", range(1, 65))
def test_every_width_is_the_key_stream(kernels: Any, bits: int) -> None:
    key, stream, count = bytes(range(7, 23)), 0xFEDCBA9876543210, 777
    width = element_bytes(bits)
    cipher = Cipher(algorithms.AES(key), modes.CTR(stream.to_bytes(8, "big") + bytes(8)))
    keystream = cipher.encryptor().update(bytes(count * width))
    expected = [
        int.from_bytes(keystream[i * width : (i + 1) * width], "little") % (1 << bits) for i in range(count)
    ]
    assert kernels.expand(key, stream, count, bits).tolist() == expected


@pytest.mark.parametrize("bits", [1, 13, 32, 52])
@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 511, 513, 4095, 4097, 70_001])
def test_sizes(native: Any, count: int, bits: int) -> None:
    assert np.array_equal(native.expand(b"k" * 16, 5, count, bits), twin.expand(b"k" * 16, 5, count, bits))


def test_threads_do_not_change_the_stream(native: Any) -> None:
    big = native.expand(b"x" * 16, 2**64 - 1, 300_001, 64)
    assert np.array_equal(big, twin.expand(b"x" * 16, 2**64 - 1, 300_001, 64))
    assert np.array_equal(big[:1000], native.expand(b"x" * 16, 2**64 - 1, 1000, 64))


@pytest.mark.parametrize("bits", [1, 13, 32, 52])
@pytest.mark.parametrize("first", [1, 7, 8, 511, 512, 4095, 4096, 4097, 123_457])
def test_the_stream_from_an_element_on(kernels: Any, first: int, bits: int) -> None:
    whole = kernels.expand(b"k" * 16, 5, first + 40_000, bits)
    for count in (0, 1, 600, 40_000):
        part = kernels.expand(b"k" * 16, 5, count, bits, first)
        assert np.array_equal(part, whole[first : first + count])


def test_far_along_the_stream(native: Any) -> None:
    for first in (2**36 - 3, 2**60 - 1):
        expected = twin.expand(b"k" * 16, 5, 5000, 64, first)
        assert np.array_equal(native.expand(b"k" * 16, 5, 5000, 64, first), expected)


@pytest.mark.parametrize("bits", [0, 65, -1])
def test_wrong_bits(kernels: Any, bits: int) -> None:
    with pytest.raises(ValueError, match="bits must be 1 to 64"):
        kernels.expand(bytes(16), 0, 1, bits)


def test_wrong_arguments(kernels: Any) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        kernels.expand(bytes(15), 0, 1, 8)
    with pytest.raises(ValueError, match="not negative"):
        kernels.expand(bytes(16), 0, -1, 8)
    for first in (-1, 1 << 60):
        with pytest.raises(ValueError, match="first"):
            kernels.expand(bytes(16), 0, 1, 8, first)
    with pytest.raises(TypeError):
        kernels.expand(bytearray(16), 0, 1, 8)
    with pytest.raises((TypeError, ValueError)):
        kernels.expand(bytes(16), 1 << 64, 1, 8)
