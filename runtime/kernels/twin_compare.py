"""Comparison of masked values with thresholds, on planes."""

import numpy as np

from mpcc.runtime.kernels.subsets import MAX_BLOCKS, carry_subset_count
from mpcc.runtime.kernels.twin_arrays import U64, check, low_mask, to_plane, words_of

__all__ = ["carry_node", "compare_leaves"]


def compare_leaves(
    opened: U64, onehots: U64, sign_share: U64, thresholds: U64, bits: int, width: int, party: int
) -> U64:
    """The local half of comparing x with public thresholds, from one opening (docs/protocols/less_than.md).

    The public `opened`[n] and the secret a with x = opened + a mod 2^bits. `onehots`[L,n]: XOR share of the
    one-hot word (2^width bits, width <= 6) of each `width`-bit block of the low bits-1 bits of a, lowest
    block first, L = ceil((bits-1)/width). `sign_share`[ceil(n/64)]: XOR share, as a plane, of bit bits-1 of
    a.

    Returns planes uint64[T, 2L-1, ceil(n/64)], XOR shares. For each threshold t, with E = opened - t mod
    2^bits and v = 2^(bits-1) - 1 - (E mod 2^(bits-1)), the carry into the sign of x - t is [a mod 2^(bits-1)
    > v]. Block b of a exceeds v there (G_b) or equals it (P_b). Plane 0 is the sign without what the lower
    blocks carry: sign_share ^ msb(E) (party 0) ^ G_{L-1}; planes 1..L-1 are P_{L-1} .. P_1; planes L..2L-2
    are G_{L-2} .. G_0.
    """
    check(opened, np.uint64, 1, "compare_leaves: opened")
    check(onehots, np.uint64, 2, "compare_leaves: onehots")
    check(sign_share, np.uint64, 1, "compare_leaves: sign_share")
    check(thresholds, np.uint64, 1, "compare_leaves: thresholds")
    low_mask(bits)
    n, words = len(opened), words_of(len(opened))
    if bits < 2 or not 1 <= width <= 6 or party not in (0, 1):
        raise ValueError("compare_leaves: bits >= 2, width 1 to 6, party 0 or 1")
    blocks = (bits - 2 + width) // width
    if onehots.shape != (blocks, n) or len(sign_share) != words:
        raise ValueError("compare_leaves: onehots must be [ceil((bits-1)/width), n], sign_share [ceil(n/64)]")
    low = np.uint64((1 << (bits - 1)) - 1)
    one, digit_mask = np.uint64(1), np.uint64((1 << width) - 1)
    planes = np.zeros((len(thresholds), 2 * blocks - 1, words), dtype=np.uint64)
    for row, threshold in zip(planes, thresholds, strict=True):
        difference = opened - threshold
        v = low - (difference & low)
        row[0] = sign_share & _tail_mask(n)
        if party == 0:
            row[0] ^= to_plane((difference >> np.uint64(bits - 1)) & one)
        for block in range(blocks):
            digit = (v >> np.uint64(block * width)) & digit_mask
            at_or_above = onehots[block] >> digit
            greater = to_plane(np.bitwise_count(at_or_above >> one) & np.uint8(1))
            if block == blocks - 1:
                row[0] ^= greater
            else:
                row[2 * blocks - 2 - block] = greater
            if block > 0:
                row[blocks - block] = to_plane(at_or_above & one)
    return planes


def carry_node(opened: U64, products: U64, party: int) -> U64:
    """XOR share uint64[m] of sum over i = 0..L-2 of G_i * P_{i+1} * .. * P_{L-1}: one AND-OR node of any
    fan-in.

    `opened`[2L-2, m]: the public masked planes d = value ^ rho, in the order P_{L-1} .. P_1, G_{L-2} .. G_0.
    `products`[S, m]: XOR shares of the products of the masks rho over `carry_subsets(L)`, in that order. Each
    product of values is expanded over d ^ rho; the term without any mask is public and belongs to party 0
    (ABY2.0, section 3).
    """
    check(opened, np.uint64, 2, "carry_node: opened")
    check(products, np.uint64, 2, "carry_node: products")
    blocks = len(opened) // 2 + 1
    if len(opened) % 2 or blocks > MAX_BLOCKS or party not in (0, 1):
        raise ValueError(f"carry_node: 2L-2 opened planes, L at most {MAX_BLOCKS}, party 0 or 1")
    if products.shape != (carry_subset_count(blocks), opened.shape[1]):
        raise ValueError("carry_node: products must be [len(carry_subsets(L)), m]")
    propagate, generate = opened[: blocks - 1], opened[blocks - 1 :]
    of_propagates = np.zeros((1 << (blocks - 1), opened.shape[1]), dtype=np.uint64)
    of_propagates[0] = np.uint64(0xFFFFFFFFFFFFFFFF if party == 0 else 0)
    of_propagates[1:] = products[: len(of_propagates) - 1]
    # sums[s]: what has been collected so far as the factor of the propagate masks in s.
    sums = np.zeros_like(of_propagates)
    end = len(products)
    for plane in range(blocks - 2, -1, -1):
        half = 1 << plane
        sums[: 2 * half] ^= generate[plane] & of_propagates[: 2 * half]
        sums[: 2 * half] ^= products[end - 2 * half : end]
        end -= 2 * half
        sums[:half] = (propagate[plane] & sums[:half]) ^ sums[half : 2 * half]
    share: U64 = sums[0].copy()
    return share


def _tail_mask(count: int) -> U64:
    mask = np.full(words_of(count), 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    if count % 64:
        mask[-1] = (1 << (count % 64)) - 1
    return mask
