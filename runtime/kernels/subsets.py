"""Which products of masks a carry node needs: one list, shared by the dealer that makes them and the node
that uses them.
"""

MAX_BLOCKS = 12  # 3 * 2^11 products: far beyond any sensible block width


def carry_subset_count(blocks: int) -> int:
    """Length of `carry_subsets(blocks)`: 3 * 2^(blocks-1) - 3."""
    return 3 * (1 << (blocks - 1)) - 3


def carry_subsets(blocks: int) -> list[tuple[int, ...]]:
    """Subsets of the 2L-2 planes of `carry_node` (L = `blocks`) whose mask products it takes, as plane
    indices.

    Planes 0..L-2 are P_{L-1} .. P_1, planes L-1..2L-3 are G_{L-2} .. G_0. The order: first every non-empty
    set of P planes, in binary counting order (bit b of the counter is plane b); then, for each g = 0..L-2,
    plane L-1+g together with every set, the empty one included, of the P planes 0..g, in the same order.
    Singletons are among them. Raises ValueError when `blocks` is not 1 to MAX_BLOCKS.
    """
    if not 1 <= blocks <= MAX_BLOCKS:
        raise ValueError(f"blocks must be 1 to {MAX_BLOCKS}, got {blocks}")
    subsets = [_planes(counter) for counter in range(1, 1 << (blocks - 1))]
    for g in range(blocks - 1):
        subsets += [(*_planes(counter), blocks - 1 + g) for counter in range(1 << (g + 1))]
    return subsets


def _planes(counter: int) -> tuple[int, ...]:
    return tuple(plane for plane in range(counter.bit_length()) if counter >> plane & 1)
