"""From correlated oblivious transfers to transfers of values: pads by hashing with a public AES key.

The hash of x, 128 bits as uint64[2] = (low, high), for OT number t and block j is

    E_key(sigma(x) xor (t, j)) xor sigma(x),    sigma(low, high) = (high, low xor high)

with AES-128, key = b"mpcc OT " and t // 512 as 8 bytes, little endian: the tweakable, correlation-robust
hash of Guo, Katz, Wang and Yu (S&P 2020), its key changed with the number (Guo, Katz, Wang, Weng and Yu,
CRYPTO 2020).
"""

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpcc.runtime.kernels.twin_arrays import U8, U64, check, low_mask, to_plane, words_of
from mpcc.runtime.kernels.twin_rings import pack, planes_unpack, unpack

__all__ = ["transfer_receive", "transfer_receive_bits", "transfer_send", "transfer_send_bits"]

KEY_OTS = 512  # OTs that share a key; the first tweak of a call is a multiple
KEY_PREFIX = b"mpcc OT "


def hash_pads(pads: U64, first_tweak: int, blocks: int) -> U64:
    """The hashes uint64[n, 2 blocks] of `pads` uint64[n, 2], OT numbers from `first_tweak` on."""
    numbers = np.broadcast_to(np.arange(blocks, dtype=np.uint64), (len(pads), blocks))
    return hash_blocks(pads, first_tweak, numbers)


def hash_blocks(pads: U64, first_tweak: int, blocks: U64) -> U64:
    """`hash_pads` for the block numbers uint64[n, B] of each OT: uint64[n, 2 B]."""
    _check_pads(pads, first_tweak)
    low, high = pads[:, 0], pads[:, 1]
    sigma = np.stack([high, low ^ high], axis=1)[:, None, :]
    tweaks = np.empty((*blocks.shape, 2), dtype=np.uint64)
    tweaks[:, :, 0] = (np.uint64(first_tweak) + np.arange(len(pads), dtype=np.uint64))[:, None]
    tweaks[:, :, 1] = blocks
    inputs = sigma ^ tweaks
    hashes: U64 = np.empty(inputs.shape, dtype=np.uint64)
    for first in range(0, len(pads), KEY_OTS):
        key = KEY_PREFIX + ((first_tweak + first) // KEY_OTS).to_bytes(8, "little")
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        part = inputs[first : first + KEY_OTS]
        hashes[first : first + KEY_OTS] = np.frombuffer(
            encryptor.update(part.tobytes()), dtype=np.uint64
        ).reshape(part.shape)
    hashes ^= sigma
    return hashes.reshape(len(pads), 2 * blocks.shape[1])


def pad_places(widths: Sequence[int]) -> tuple[int, list[tuple[int, int]]]:
    """Where each column's bits lie in an OT's hash, as (word, shift), one after the other and none across two
    words; and the number of blocks that hold them.
    """
    places, end = [], 0
    for width in widths:
        low_mask(width)
        if end % 64 + width > 64:
            end = words_of(end) * 64
        places.append(divmod(end, 64))
        end += width
    return max(1, (end + 127) // 128), places


def transfer_send(
    pads: U64,
    delta: U64,
    corrections: U64,
    values: Sequence[U64],
    widths: Sequence[int],
    first_tweak: int,
    boolean: bool,
    shares: Sequence[U64],
    negated: U64 | None = None,
) -> U8:
    """The sender's part of n transfers: shares of b v for the receiver's bits b and its own values v.

    `pads`: q uint64[n, 2] of the correlated OTs, `delta` uint64[2]; `corrections`: the receiver's message, a
    plane. `values`: uint64[n] a column, column c mod 2^widths[c]; those that the plane `negated` names are
    taken negative. Returns the message, uint8[], column after column as `pack` makes it. Its shares are added
    to the columns `shares` mod 2^width or, where `boolean`, by xor.
    """
    zero, one = _both_pads(pads, delta, corrections, first_tweak, pad_places(widths)[0])
    _check_columns(values, len(pads), widths, "transfer_send: values")
    _check_columns(shares, len(pads), widths, "transfer_send: shares")
    if negated is not None and boolean:
        raise ValueError("transfer_send: bits have no sign")
    signs = np.uint64(0) if negated is None else _as_masks(negated, len(pads), "transfer_send: negated")
    messages = [np.empty(0, dtype=np.uint8)]
    for width, (word, shift), own, share in zip(widths, pad_places(widths)[1], values, shares, strict=True):
        if_zero, if_one = zero[:, word] >> np.uint64(shift), one[:, word] >> np.uint64(shift)
        value = (own ^ signs) - signs
        share[:] = (share ^ if_zero if boolean else share - if_zero) & low_mask(width)
        messages.append(pack(value ^ if_zero ^ if_one if boolean else value + if_zero - if_one, width))
    return np.concatenate(messages)


def transfer_receive(
    pads: U64,
    choices: U64,
    message: U8,
    widths: Sequence[int],
    first_tweak: int,
    boolean: bool,
    shares: Sequence[U64],
) -> None:
    """The receiver's part. `pads`: t uint64[n, 2]; `choices`: its bits, a plane; `shares` as the sender's."""
    blocks, places = pad_places(widths)
    chosen = _as_masks(choices, len(pads), "transfer_receive: choices")
    check(message, np.uint8, 1, "transfer_receive: message")
    lengths = [(len(pads) * width + 7) // 8 for width in widths]
    if len(message) != sum(lengths):
        raise ValueError("transfer_receive: message must hold ceil(n*width/8) bytes a column")
    _check_columns(shares, len(pads), widths, "transfer_receive: shares")
    hashes = hash_pads(pads, first_tweak, blocks)
    start = 0
    for width, (word, shift), length, share in zip(widths, places, lengths, shares, strict=True):
        pad = hashes[:, word] >> np.uint64(shift)
        sent = unpack(message[start : start + length], len(pads), width) & chosen
        share[:] = (share ^ pad ^ sent if boolean else share + pad + sent) & low_mask(width)
        start += length


def transfer_send_bits(
    pads: U64, delta: U64, corrections: U64, bits: U64, first_tweak: int
) -> tuple[U64, U64]:
    """`transfer_send` of one boolean column of width 1 whose values, message and share are planes."""
    values = _as_masks(bits, len(pads), "transfer_send_bits: bits") & np.uint64(1)
    zero, one = _both_pads(pads, delta, corrections, first_tweak, 1)
    message = values ^ zero[:, 0] ^ one[:, 0]
    return to_plane(message & np.uint64(1)), to_plane(zero[:, 0] & np.uint64(1))


def transfer_receive_bits(pads: U64, choices: U64, message: U64, first_tweak: int) -> U64:
    """The receiver's part of `transfer_send_bits`: its share, a plane."""
    chosen = _as_masks(choices, len(pads), "transfer_receive_bits: choices")
    sent = _as_masks(message, len(pads), "transfer_receive_bits: message")
    return to_plane((hash_pads(pads, first_tweak, 1)[:, 0] ^ sent & chosen) & np.uint64(1))


def _check_pads(pads: U64, first_tweak: int) -> None:
    check(pads, np.uint64, 2, "transfer: pads")
    if pads.shape[1] != 2:
        raise ValueError("transfer: pads must be [n, 2]")
    if first_tweak % KEY_OTS != 0 or not 0 <= first_tweak < 1 << 62:
        raise ValueError(f"transfer: first_tweak is a multiple of {KEY_OTS}, from 0 to 2^62 - 1")


def _check_columns(columns: Sequence[U64], count: int, widths: Sequence[int], what: str) -> None:
    if len(columns) != len(widths):
        raise ValueError(f"{what} must be an array for each column")
    for column in columns:
        check(column, np.uint64, 1, what)
        if len(column) != count:
            raise ValueError(f"{what} must be [n] each")


def _as_masks(plane: U64, count: int, what: str) -> U64:
    """All ones for each bit that is set: uint64[count]."""
    check(plane, np.uint64, 1, what)
    if len(plane) != words_of(count):
        raise ValueError(f"{what} must be a plane of n bits")
    masks: U64 = np.uint64(0) - planes_unpack(plane.reshape(1, -1), count)[0].astype(np.uint64)
    return masks


def _both_pads(pads: U64, delta: U64, corrections: U64, first_tweak: int, blocks: int) -> tuple[U64, U64]:
    """What the receiver has as its hash where its bit is 0, and where it is 1."""
    _check_pads(pads, first_tweak)
    check(delta, np.uint64, 1, "transfer: delta")
    if len(delta) != 2:
        raise ValueError("transfer: delta must be [2]")
    if_zero = pads ^ _as_masks(corrections, len(pads), "transfer: corrections")[:, None] & delta
    return hash_pads(if_zero, first_tweak, blocks), hash_pads(if_zero ^ delta, first_tweak, blocks)
