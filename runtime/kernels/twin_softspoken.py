"""SoftSpoken OT: trees of seeds, and correlated oblivious transfers from their leaves."""

import numpy as np

from mpcc.runtime.kernels.twin_arrays import U64, check
from mpcc.runtime.kernels.twin_rings import expand

__all__ = ["double_seeds", "softspoken_receive", "softspoken_send"]

DELTA_BITS = 128
SOFTSPOKEN_CHUNK = 128  # words of a leaf's key stream: an extension begins at a multiple


def tree_bits(bits: int) -> list[int]:
    """Bits of Delta that each tree holds: `bits`, 2 to 8, and in the last what is left of 128."""
    if not 2 <= bits <= 8:
        raise ValueError(f"softspoken: 2 to 8 bits of Delta in a tree, got {bits}")
    return [min(bits, DELTA_BITS - first) for first in range(0, DELTA_BITS, bits)]


def double_seeds(seeds: U64) -> U64:
    """Both children of each node of a tree: uint64[n, 2] to uint64[2 n, 2], the first 32 bytes of the
    AES-128 key stream (stream 0 of `expand`) under the node as key.
    """
    check(seeds, np.uint64, 2, "double_seeds: seeds")
    if seeds.shape[1] != 2:
        raise ValueError("double_seeds: seeds must be [n, 2]")
    children = np.empty((2 * len(seeds), 2), dtype=np.uint64)
    for node, seed in enumerate(seeds):
        children[2 * node : 2 * node + 2] = expand(seed.tobytes(), 0, 4, 64).reshape(2, 2)
    return children


def softspoken_receive(seeds: U64, bits: int, first_chunk: int, words: int) -> tuple[U64, U64, U64]:
    """The OT receiver's part of 64 `words` correlated OTs (Roy, CRYPTO 2022, figures 7 and 8).

    `seeds`: all leaves of its trees, uint64[leaves, 2], tree after tree, 2^bits each; the last tree has the
    bits of Delta that are left of 128. A leaf's key stream is read from word 128 `first_chunk` on.
    Returns random choices b as a plane uint64[words], corrections uint64[trees - 1, words] for the sender,
    and t uint64[64 words, 2] with t = q xor b Delta for the sender's q.
    """
    groups = _groups(seeds, bits)
    rows, sums = _fold(seeds, groups, first_chunk, words)
    return sums[0].copy(), sums[1:] ^ sums[0], _transpose(rows)


def softspoken_send(seeds: U64, bits: int, delta: U64, corrections: U64, first_chunk: int) -> U64:
    """The OT sender's part: q uint64[64 words, 2].

    Leaf y of a tree is the receiver's leaf y xor Delta_tree; leaf 0, which the sender does not know, is not
    read into the result. `delta` is uint64[2]; `corrections` uint64[trees - 1, words] is the receiver's
    message.
    """
    groups = _groups(seeds, bits)
    check(delta, np.uint64, 1, "softspoken_send: delta")
    check(corrections, np.uint64, 2, "softspoken_send: corrections")
    if len(delta) != 2 or len(corrections) != len(groups) - 1:
        raise ValueError("softspoken_send: delta must be [2], corrections [trees - 1, words]")
    rows, _ = _fold(seeds, groups, first_chunk, corrections.shape[1])
    delta_bits = np.unpackbits(delta.view(np.uint8), bitorder="little")
    chosen = np.uint64(0) - delta_bits.astype(np.uint64)
    row = groups[0]  # the first tree's sum is the choices themselves
    for size, correction in zip(groups[1:], corrections, strict=True):
        rows[row : row + size] ^= chosen[row : row + size, None] & correction
        row += size
    return _transpose(rows)


def _groups(seeds: U64, bits: int) -> list[int]:
    check(seeds, np.uint64, 2, "softspoken: seeds")
    groups = tree_bits(bits)
    if seeds.shape != (sum(1 << size for size in groups), 2):
        raise ValueError("softspoken: seeds must be [leaves, 2]")
    return groups


def _fold(seeds: U64, groups: list[int], first_chunk: int, words: int) -> tuple[U64, U64]:
    """Rows uint64[128, words]: for each bit of a leaf's number, the xor of the streams of the leaves that
    have it; and each tree's xor of all streams, uint64[trees, words].
    """
    if words < 0 or not 0 <= first_chunk < 1 << 48:
        raise ValueError("softspoken: words is not negative, first_chunk is 0 to 2^48 - 1")
    rows, sums, start = [], [], 0
    for size in groups:
        keys = seeds[start : start + (1 << size)]
        start += 1 << size
        streams = np.stack(
            [expand(key.tobytes(), 0, words, 64, first_chunk * SOFTSPOKEN_CHUNK) for key in keys]
        ).reshape(1 << size, words)
        leaf = np.arange(1 << size)
        rows += [np.bitwise_xor.reduce(streams[leaf >> bit & 1 == 1], axis=0) for bit in range(size)]
        sums.append(np.bitwise_xor.reduce(streams, axis=0))
    return np.stack(rows), np.stack(sums)


def _transpose(rows: U64) -> U64:
    """uint64[128, words] bit by bit to uint64[64 words, 2]."""
    bits = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")
    return np.packbits(np.ascontiguousarray(bits.T), axis=1, bitorder="little").view(np.uint64)
