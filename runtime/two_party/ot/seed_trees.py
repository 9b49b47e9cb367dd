"""All seeds of a tree to one party and all but one to the other, from base OTs, one a level.

The tree of Goldreich, Goldwasser and Micali as SoftSpoken OT has it (Roy, CRYPTO 2022), without the check
that semi-honest parties do not need: (2^k - 1)-out-of-2^k transfer from k base OTs. Both functions take all
trees of a session at once: `kernels.tree_bits` gives k of each, and base OT number first + b belongs to bit
b of the tree whose bits of Delta begin at `first`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64


def full_trees(keys: U64, bits: int) -> tuple[U64, U64]:
    """All leaves, uint64[leaves, 2], tree after tree, and the message for `punctured_trees`, uint64[128, 2,
    2]: of each level the xors of all left and of all right children, under both base OT keys, uint64[128, 2,
    2].
    """
    leaves, message = [], keys.copy()
    for levels in _levels(bits):
        nodes = np.frombuffer(secrets.token_bytes(16), dtype=np.uint64).reshape(1, 2)
        for level in levels:
            nodes = kernels.double_seeds(nodes)
            for side in (0, 1):
                message[level, side] ^= np.bitwise_xor.reduce(nodes[side::2], axis=0)
        leaves.append(nodes)
    return np.concatenate(leaves), message


def punctured_trees(keys: U64, message: U64, delta_bits: NDArray[np.uint8], bits: int) -> U64:
    """The leaves of `full_trees`, leaf x of a tree at place x xor (the tree's bits of Delta); place 0, the
    leaf that this party does not have, means nothing. `keys`: base OT keys uint64[128, 2] of the choices 1
    xor `delta_bits`.

    The same steps are done whatever Delta is: places are relative to the path of the missing leaf.
    """
    masks = np.uint64(0) - delta_bits.astype(np.uint64)
    left, right = message[:, 0], message[:, 1]
    sums = keys ^ right ^ (left ^ right) & masks[:, None]
    leaves = []
    for levels in _levels(bits):
        nodes = np.zeros((1, 2), dtype=np.uint64)
        for level in levels:
            pairs = kernels.double_seeds(nodes).reshape(-1, 2, 2)
            pairs ^= ((pairs[:, 0] ^ pairs[:, 1]) & masks[level])[:, None]
            nodes = pairs.reshape(-1, 2)
            nodes[1] = sums[level] ^ np.bitwise_xor.reduce(nodes[3::2], axis=0)
        leaves.append(nodes)
    return np.concatenate(leaves)


def _levels(bits: int) -> Iterator[range]:
    """The base OTs of each tree, from the root down: a leaf's number begins with its highest bit."""
    first = 0
    for size in kernels.tree_bits(bits):
        yield range(first + size - 1, first - 1, -1)
        first += size
