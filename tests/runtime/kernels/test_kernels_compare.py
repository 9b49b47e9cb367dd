from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import carry_subsets, twin
from mpcc.runtime.kernels.subsets import MAX_BLOCKS, carry_subset_count
from tests.runtime.kernels.levels import U64, Draw

CASES = [(2, 4), (3, 1), (5, 4), (8, 1), (10, 4), (17, 4), (20, 4), (24, 5), (33, 6), (64, 6)]


def leaves_input(bits: int, width: int, n: int, seed: int = 0) -> tuple[U64, U64, U64, U64]:
    """What a dealer and an opening give: x, opened, one-hot words and sign plane of a; x = opened + a."""
    generator = np.random.default_rng(seed)
    mask = np.uint64((1 << bits) - 1)
    a = generator.integers(0, 2**64 - 1, n, dtype=np.uint64, endpoint=True) & mask
    x = generator.integers(0, 2**64 - 1, n, dtype=np.uint64, endpoint=True) & mask
    blocks = -(-(bits - 1) // width)
    low = a & (mask >> np.uint64(1))
    digits = [(low >> np.uint64(width * b)) & np.uint64((1 << width) - 1) for b in range(blocks)]
    onehots = np.stack([np.uint64(1) << digit for digit in digits])
    sign = twin.planes_pack((a >> np.uint64(bits - 1)).astype(np.uint8))
    return x, (x - a) & mask, onehots, sign


def split(secret: U64, generator: np.random.Generator) -> tuple[U64, U64]:
    """Two XOR shares."""
    share = generator.integers(0, 2**64 - 1, secret.shape, dtype=np.uint64, endpoint=True)
    return share, secret ^ share


def open_carry(kernels: Any, planes: tuple[U64, U64], generator: np.random.Generator) -> Any:
    """The carry of shared leaf planes: the dealer's masks and their products, the opening, the node."""
    values = (planes[0] ^ planes[1])[1:]
    rho = generator.integers(0, 2**64 - 1, values.shape, dtype=np.uint64, endpoint=True)
    subsets = carry_subsets(len(values) // 2 + 1)
    products = np.array([np.bitwise_and.reduce(rho[list(s)], axis=0) for s in subsets], dtype=np.uint64)
    shares = split(products.reshape(len(subsets), values.shape[1]), generator)
    return kernels.carry_node(values ^ rho, shares[0], 0) ^ kernels.carry_node(values ^ rho, shares[1], 1)


@pytest.mark.parametrize(("bits", "width"), CASES)
@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_comparison_end_to_end(kernels: Any, bits: int, width: int, n: int) -> None:
    generator = np.random.default_rng(n)
    x, opened, onehots, sign = leaves_input(bits, width, n)
    if len(onehots) > MAX_BLOCKS:
        pytest.skip("more blocks than a node takes")
    thresholds = np.array([0, 1, (1 << bits) - 1, int(x[0]), 1 << (bits - 1)], dtype=np.uint64)
    onehot_shares, sign_shares = split(onehots, generator), split(sign, generator)
    leaves = [
        kernels.compare_leaves(opened, onehot_shares[p], sign_shares[p], thresholds, bits, width, p)
        for p in (0, 1)
    ]
    for t, threshold in enumerate(thresholds):
        carry = open_carry(kernels, (leaves[0][t], leaves[1][t]), generator)
        (got,) = kernels.planes_unpack((leaves[0][t, 0] ^ leaves[1][t, 0] ^ carry)[None], n)
        sign_of_difference = ((x - threshold) >> np.uint64(bits - 1)) & np.uint64(1)
        assert np.array_equal(got, sign_of_difference)


def test_less_than_is_exhaustive_on_a_small_ring(kernels: Any) -> None:
    """Every x and every mask of 6 bits, every threshold that keeps |x - t| < 2^5."""
    bits, width = 6, 4
    pairs = np.arange(1 << 12, dtype=np.uint64)
    x, a = pairs >> np.uint64(6), pairs & np.uint64(63)
    low = a & np.uint64(31)
    onehots = np.stack([np.uint64(1) << (low & np.uint64(15)), np.uint64(1) << (low >> np.uint64(4))])
    sign = twin.planes_pack((a >> np.uint64(5)).astype(np.uint8))
    thresholds = np.arange(64, dtype=np.uint64)
    opened = (x - a) & np.uint64(63)
    zeros = np.zeros_like(onehots), np.zeros_like(sign)
    leaves = (
        kernels.compare_leaves(opened, onehots, sign, thresholds, bits, width, 0),
        kernels.compare_leaves(opened, *zeros, thresholds, bits, width, 1),
    )
    signed_x = x.astype(np.int64) - 64 * (x >= 32)
    for t in range(-32, 32):
        planes = (leaves[0][t % 64], leaves[1][t % 64])
        carry = open_carry(kernels, planes, np.random.default_rng(t + 32))
        (got,) = kernels.planes_unpack((planes[0][0] ^ planes[1][0] ^ carry)[None], len(x))
        near = np.abs(signed_x - t) < 32
        assert np.array_equal(got[near], (signed_x < t)[near])


@pytest.mark.parametrize(("bits", "width"), [*CASES, (64, 1), (64, 3)])
@pytest.mark.parametrize("n", [0, 1, 64, 65, 45_001])
def test_leaves_match_the_twin(native: Any, bits: int, width: int, n: int) -> None:
    generator = np.random.default_rng(n)
    _, opened, onehots, sign = leaves_input(bits, width, n)
    # Shares are random words: bits beyond the last element and beyond the block must not matter.
    share, sign_share = split(onehots, generator)[0], split(sign, generator)[0]
    thresholds = generator.integers(0, 2**64 - 1, 3, dtype=np.uint64)
    for party in (0, 1):
        arguments = (opened, share, sign_share, thresholds, bits, width, party)
        got = native.compare_leaves(*arguments)
        assert np.array_equal(got, twin.compare_leaves(*arguments))
        if n % 64:
            assert not (got[:, :, -1] >> np.uint64(n % 64)).any()


@pytest.mark.parametrize("blocks", range(1, MAX_BLOCKS + 1))
@pytest.mark.parametrize("words", [0, 1, 7, 8, 9, 600])
def test_node_matches_the_twin(native: Any, ring: Draw, blocks: int, words: int) -> None:
    if words == 600 and blocks > 6:
        words = 17
    opened, products = ring(64, 2 * blocks - 2, words), ring(64, carry_subset_count(blocks), words)
    for party in (0, 1):
        assert np.array_equal(
            native.carry_node(opened, products, party), twin.carry_node(opened, products, party)
        )


@pytest.mark.parametrize("blocks", range(1, 9))
def test_subsets_are_those_of_the_terms(blocks: int) -> None:
    terms = [{*range(blocks - 1 - i), 2 * blocks - 3 - i} for i in range(blocks - 1)]
    needed = {
        frozenset(plane for k, plane in enumerate(sorted(term)) if chosen >> k & 1)
        for term in terms
        for chosen in range(1, 1 << len(term))
    }
    subsets = carry_subsets(blocks)
    assert len(subsets) == carry_subset_count(blocks)
    assert needed == set(map(frozenset, subsets))
    assert all((plane,) in subsets for plane in range(2 * blocks - 2))


def test_wrong_arguments(kernels: Any) -> None:
    _, opened, onehots, sign = leaves_input(20, 4, 100)
    t = np.zeros(2, dtype=np.uint64)
    with pytest.raises(ValueError, match="onehots must be"):
        kernels.compare_leaves(opened, onehots[:4].copy(), sign, t, 20, 4, 0)
    with pytest.raises(ValueError, match="onehots must be"):
        kernels.compare_leaves(opened, onehots, sign[:1].copy(), t, 20, 4, 0)
    with pytest.raises(ValueError, match="width"):
        kernels.compare_leaves(opened, onehots, sign, t, 20, 7, 0)
    with pytest.raises(ValueError, match="party"):
        kernels.compare_leaves(opened, onehots, sign, t, 20, 4, 2)
    with pytest.raises(TypeError):
        kernels.compare_leaves(opened, onehots.T, sign, t, 20, 4, 0)
    with pytest.raises(TypeError):
        kernels.compare_leaves(opened, onehots, sign.astype(np.uint8), t, 20, 4, 0)
    planes = np.zeros((4, 5), dtype=np.uint64)
    with pytest.raises(ValueError, match="products must be"):
        kernels.carry_node(planes, planes, 0)
    with pytest.raises(ValueError, match="2L-2"):
        kernels.carry_node(planes[:3].copy(), planes, 0)
    with pytest.raises(ValueError, match="1 to 12"):
        carry_subsets(0)
