"""Pads by hashing, and transfers of values and bits under them."""

from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpcc.runtime.kernels import twin
from mpcc.runtime.kernels.twin_transfer import KEY_OTS, hash_pads, pad_places
from tests.runtime.kernels.levels import U64, Draw

SIZES = [0, 1, 63, 64, 65, 511, 512, 513, 1300]
WIDTHS = [(1,), (64,), (13, 52), (1, 1, 63, 64, 1), (40, 24, 8, 64, 64, 5), ()]


def words_of(count: int) -> int:
    return (count + 63) // 64


def correlated(draw: Draw, count: int) -> tuple[U64, U64, U64, U64, U64]:
    """Delta, q, t, corrections, and the wanted bits, all as the parties have them."""
    delta, q = draw(64, 2), draw(64, count, 2)
    random_bits, wanted = draw(1, 2, count)
    t = q ^ random_bits[:, None] * delta
    return delta, q, t, plane(random_bits ^ wanted), plane(wanted)


def plane(bits: U64) -> U64:
    return twin.planes_pack(bits.astype(np.uint8))


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_transfers_match_the_twin(natives: dict[str, Any], ring: Draw, size: int, boolean: bool) -> None:
    delta, q, t, corrections, wanted = correlated(ring, size)
    for widths in WIDTHS:
        values, before, tweak = ring(64, len(widths), size), ring(64, len(widths), size), 7 * KEY_OTS
        for negated in (None,) if boolean else (None, ring(64, words_of(size))):
            arguments = q, delta, corrections, list(values), widths, tweak, boolean
            sent = before.copy()
            message = twin.transfer_send(*arguments, list(sent), negated)
            for level, native in natives.items():
                shares = before.copy()
                got = native.transfer_send(*arguments, list(shares), negated)
                assert np.array_equal(got, message), (level, widths)
                assert np.array_equal(shares, sent), (level, widths)
        received = before.copy()
        twin.transfer_receive(t, wanted, message, widths, tweak, boolean, list(received))
        for level, native in natives.items():
            shares = before.copy()
            native.transfer_receive(t, wanted, message, widths, tweak, boolean, list(shares))
            assert np.array_equal(shares, received), (level, widths)


@pytest.mark.parametrize("size", SIZES)
def test_bit_transfers_match_the_twin(natives: dict[str, Any], ring: Draw, size: int) -> None:
    delta, q, t, corrections, wanted = correlated(ring, size)
    bits, tweak = ring(64, words_of(size)), 2**40
    message, share = twin.transfer_send_bits(q, delta, corrections, bits, tweak)
    for level, native in natives.items():
        got = native.transfer_send_bits(q, delta, corrections, bits, tweak)
        assert np.array_equal(got[0], message), level
        assert np.array_equal(got[1], share), level
    dirty = message | np.uint64(1 << 63)  # bits after the last element mean nothing
    for sent in (message, dirty):
        expected = twin.transfer_receive_bits(t, wanted, sent, tweak)
        for level, native in natives.items():
            assert np.array_equal(native.transfer_receive_bits(t, wanted, sent, tweak), expected), level


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize("wanted_bits", ["random", "zero", "one"])
def test_shares_make_the_products(kernels: Any, ring: Draw, wanted_bits: str, boolean: bool) -> None:
    size, widths = 1300, (13, 64, 1, 30)
    delta, q, t, corrections, wanted = correlated(ring, size)
    if wanted_bits != "random":
        asked = plane(np.full(size, int(wanted_bits == "one"), dtype=np.uint64))
        corrections, wanted = corrections ^ wanted ^ asked, asked
    values = ring(64, len(widths), size)
    values[:, :3] = np.array([0, 1, 2**64 - 1], dtype=np.uint64)
    mine, theirs = np.zeros_like(values), np.zeros_like(values)
    message = kernels.transfer_send(q, delta, corrections, list(values), widths, 0, boolean, list(mine))
    kernels.transfer_receive(t, wanted, message, widths, 0, boolean, list(theirs))
    bits = twin.planes_unpack(wanted[None], size)[0].astype(np.uint64)
    for column, width in enumerate(widths):
        mask = np.uint64((1 << width) - 1)
        both = mine[column] ^ theirs[column] if boolean else mine[column] + theirs[column]
        assert np.array_equal(both & mask, bits * values[column] & mask)
        assert max(mine[column].max(), theirs[column].max()) <= mask
    own = ring(64, words_of(size))
    sent, mine = kernels.transfer_send_bits(q, delta, corrections, own, 512)
    theirs = kernels.transfer_receive_bits(t, wanted, sent, 512)
    assert np.array_equal(mine ^ theirs, wanted & own)


def test_the_hash_is_the_stated_one(ring: Draw) -> None:
    """Of a pad at a time, by the definition; the twin that the kernels are compared with uses it."""
    pads, tweak = ring(64, 600, 2), 5 * KEY_OTS
    got = hash_pads(pads, tweak, 3)
    for ot in (0, 1, 511, 512, 599):
        low, high = (int(word) for word in pads[ot])
        sigma = high | (low ^ high) << 64
        key = b"mpcc OT " + ((tweak + ot) // 512).to_bytes(8, "little")
        for block in range(3):
            entered = (sigma ^ (tweak + ot) ^ block << 64).to_bytes(16, "little")
            out = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(entered)
            expected = int.from_bytes(out, "little") ^ sigma
            assert [int(word) for word in got[ot, 2 * block : 2 * block + 2]] == [
                expected & (2**64 - 1),
                expected >> 64,
            ]


def test_columns_do_not_share_bits() -> None:
    for widths in WIDTHS:
        blocks, places = pad_places(widths)
        taken = [
            64 * word + shift + bit
            for (word, shift), width in zip(places, widths, strict=True)
            for bit in range(width)
        ]
        assert len(set(taken)) == len(taken)
        assert max(taken, default=0) < 128 * blocks


def test_wrong_arguments_of_transfers(kernels: Any, ring: Draw) -> None:
    delta, q, t, corrections, wanted = correlated(ring, 100)
    values, message, shares = [ring(13, 100)], np.zeros(163, dtype=np.uint8), [ring(13, 100)]
    send, receive = kernels.transfer_send, kernels.transfer_receive
    send_bits, receive_bits = kernels.transfer_send_bits, kernels.transfer_receive_bits
    receive(t, wanted, message, (13,), 0, False, shares)
    wrong_values: list[tuple[Any, ...]] = [
        (send, q[:, :1].copy(), delta, corrections, values, (13,), 0, False, shares),
        (send, q, delta[:1].copy(), corrections, values, (13,), 0, False, shares),
        (send, q, delta, corrections[:1].copy(), values, (13,), 0, False, shares),
        (send, q, delta, corrections, [values[0][1:]], (13,), 0, False, shares),
        (send, q, delta, corrections, values, (13, 13), 0, False, shares),
        (send, q, delta, corrections, values, (0,), 0, False, shares),
        (send, q, delta, corrections, values, (65,), 0, False, shares),
        (send, q, delta, corrections, values, (13,), 1, False, shares),
        (send, q, delta, corrections, values, (13,), -512, False, shares),
        (send, q, delta, corrections, values, (13,), 1 << 62, False, shares),
        (send, q, delta, corrections, values * 2, (13,), 0, False, shares),
        (send, q, delta, corrections, values, (13,), 0, False, shares * 2),
        (send, q, delta, corrections, values, (13,), 0, False, [shares[0][1:]]),
        (send, q, delta, corrections, values, (13,), 0, False, shares, wanted[:1].copy()),
        (send, q, delta, corrections, values, (13,), 0, True, shares, wanted),
        (receive, t, wanted, message, (13,), 0, False, []),
        (receive, t, wanted[:1].copy(), message, (13,), 0, False, shares),
        (receive, t, wanted, message[1:].copy(), (13,), 0, False, shares),
        (receive, t, wanted, message, (14,), 0, False, shares),
        (send_bits, q, delta, corrections, wanted[:1].copy(), 0),
        (receive_bits, t, wanted, wanted[:1].copy(), 0),
        (receive_bits, t, wanted, wanted, 3),
    ]
    for function, *arguments in wrong_values:
        with pytest.raises(ValueError, match=r"transfer|bits must be"):
            function(*arguments)
    wrong_types: list[tuple[Any, ...]] = [
        (send, q.astype(np.int64), delta, corrections, values, (13,), 0, False, shares),
        (
            send,
            q[:50].copy(),
            delta,
            corrections[:1].copy(),
            [values[0][::2]],
            (13,),
            0,
            False,
            [shares[0][:50]],
        ),
        (receive, t, wanted, message.astype(np.int8), (13,), 0, False, shares),
        (send_bits, q, delta, corrections, wanted.astype(np.float64), 0),
        (receive_bits, t, wanted, wanted.view(np.uint8), 0),
    ]
    for function, *arguments in wrong_types:
        with pytest.raises(TypeError):
            function(*arguments)
