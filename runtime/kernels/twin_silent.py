"""Silent oblivious transfer: correlated trees of seeds, and the local linear code that spreads their leaves.

A tree starts with two nodes, (root, root xor Delta). A node x has the children (h, x xor h) with

    h = E_key(sigma(x)) xor sigma(x),    sigma(low, high) = (high, low xor high)

with AES-128 under the tree's own public key: the correlated tree of Guo, Yang, Wang, Zhang, Xie, Zhang and
Liu (EUROCRYPT 2023) with the circular correlation-robust hash of Guo, Katz, Wang and Yu (S&P 2020). So every
level's nodes add up to Delta by xor. Node 2 i is the left child of node i, node 2 i + 1 the right one.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpcc.runtime.kernels.twin_arrays import U64, check, to_plane
from mpcc.runtime.kernels.twin_rings import expand

__all__ = ["lowest_bits", "silent_receive", "silent_send", "tree_sums"]

LOCALITY = 10  # entries of the code's table that are added up for one output
MAX_DEPTH = 16


def tree_sums(keys: U64, roots: U64, delta: U64, depth: int) -> U64:
    """Of each tree and level, first to last, the sum of the level's left children, uint64[t, depth, 2].

    `keys` and `roots`: uint64[t, 2]; `delta`: uint64[2]; `depth`: 1 to 16.
    """
    _check_trees(keys, depth)
    _check_roots(keys, roots, delta)
    sums = np.empty((len(keys), depth, 2), dtype=np.uint64)
    for tree, key in enumerate(keys):
        for level, nodes in enumerate(_levels(key, roots[tree], delta, depth)):
            sums[tree, level] = np.bitwise_xor.reduce(nodes[::2], axis=0)
    return sums


def silent_send(
    out: U64, table: U64, seed: bytes, first_tree: int, keys: U64, roots: U64, delta: U64, depth: int
) -> None:
    """Write the sender's q of t trees' leaves into `out`, uint64[t 2^depth, 2].

    q is the leaf with its lowest bit cleared, xor the code's row of the leaf's number (see `code_rows`) times
    `table`, uint64[k, 2], 1 <= k < 2^32. The trees are number `first_tree` and its successors of those that
    `table` and `seed` serve; the other arguments are those of `tree_sums`.
    """
    _check_trees(keys, depth)
    _check_roots(keys, roots, delta)
    _check_blocks(out, len(keys) << depth, "silent_send: out")
    for tree, key in enumerate(keys):
        *_, leaves = _levels(key, roots[tree], delta, depth)
        out[tree << depth : (tree + 1) << depth] = leaves
    out[:, 0] &= ~np.uint64(1)
    _encode(out, table, seed, first_tree << depth)


def silent_receive(
    out: U64, table: U64, seed: bytes, first_tree: int, keys: U64, sums: U64, points: U64, depth: int
) -> None:
    """Write the receiver's t into `out`: of a tree, q xor Delta at the leaf `points`[tree], else q.

    `sums`, uint64[t, depth, 2]: of each level, the sum of its left children where the path to the point goes
    right there, else of its right children. `points`: uint64[t], below 2^depth. The lowest bit of t is the
    choice bit: the leaf's is 1 at the point, else 0, and the table's entries have theirs. The rest as for
    `silent_send`.

    The node on the path is kept as its value xor Delta, so that a level adds up to zero.
    """
    _check_trees(keys, depth)
    check(sums, np.uint64, 3, "silent_receive: sums")
    check(points, np.uint64, 1, "silent_receive: points")
    _check_blocks(out, len(keys) << depth, "silent_receive: out")
    if sums.shape != (len(keys), depth, 2) or len(points) != len(keys):
        raise ValueError("silent_receive: sums must be [t, depth, 2], points [t]")
    for tree, (key, point) in enumerate(zip(keys, points, strict=True)):
        nodes = np.stack([sums[tree, 0], sums[tree, 0]])
        for level in range(1, depth):
            on_path = int(point) >> (depth - level)
            nodes = _children(key, nodes)
            missing = sums[tree, level] ^ np.bitwise_xor.reduce(nodes[::2], axis=0)
            nodes[2 * on_path : 2 * on_path + 2] ^= missing
        nodes[:, 0] &= ~np.uint64(1)
        nodes[int(point), 0] |= np.uint64(1)
        out[tree << depth : (tree + 1) << depth] = nodes
    _encode(out, table, seed, first_tree << depth)


def lowest_bits(blocks: U64) -> U64:
    """The lowest bit of each of uint64[n, 2], a plane."""
    _check_blocks(blocks, len(blocks), "lowest_bits: blocks")
    return to_plane(blocks[:, 0] & np.uint64(1))


def code_rows(seed: bytes, first: int, count: int, entries: int) -> U64:
    """Rows `first` .. of the public code: for each output the table entries that are added up,
    uint64[count, LOCALITY], below `entries`; those that occur twice cancel.

    Entry j of row i is v * entries >> 32 for element LOCALITY i + j, of 32 bits, of stream 0 of `seed`.
    """
    values = expand(seed, 0, LOCALITY * count, 32, LOCALITY * first)
    return (values * np.uint64(entries) >> np.uint64(32)).reshape(count, LOCALITY)


def _encode(out: U64, table: U64, seed: bytes, first: int) -> None:
    _check_blocks(table, len(table), "silent: table")
    if not 1 <= len(table) < 1 << 32 or not 0 <= first < 1 << 48:
        raise ValueError("silent: the table has 1 to 2^32 - 1 entries, outputs are numbered below 2^48")
    for entry in code_rows(seed, first, len(out), len(table)).T:
        out ^= table[entry]


def _levels(key: U64, root: U64, delta: U64, depth: int) -> list[U64]:
    levels = [np.stack([root, root ^ delta])]
    while len(levels) < depth:
        levels.append(_children(key, levels[-1]))
    return levels


def _children(key: U64, nodes: U64) -> U64:
    low, high = nodes[:, 0], nodes[:, 1]
    sigma = np.stack([high, low ^ high], axis=1)
    encryptor = Cipher(algorithms.AES(key.tobytes()), modes.ECB()).encryptor()
    hashes = np.frombuffer(encryptor.update(sigma.tobytes()), dtype=np.uint64).reshape(-1, 2) ^ sigma
    return np.stack([hashes, nodes ^ hashes], axis=1).reshape(-1, 2)


def _check_trees(keys: U64, depth: int) -> None:
    _check_blocks(keys, len(keys), "silent: keys")
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"silent: depth 1 to {MAX_DEPTH}")


def _check_roots(keys: U64, roots: U64, delta: U64) -> None:
    _check_blocks(roots, len(keys), "silent: roots")
    check(delta, np.uint64, 1, "silent: delta")
    if len(delta) != 2:
        raise ValueError("silent: delta must be [2]")


def _check_blocks(blocks: U64, count: int, what: str) -> None:
    check(blocks, np.uint64, 2, what)
    if blocks.shape != (count, 2):
        raise ValueError(f"{what} must be [{count}, 2]")
