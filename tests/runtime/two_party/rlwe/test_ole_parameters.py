"""Parameters of elementwise products: security, exactness and privacy of every set that can be chosen."""

import math

import pytest

from mpcc.runtime.two_party.rlwe.ole_costs import encryption_is_cheaper, product_bytes
from mpcc.runtime.two_party.rlwe.ole_parameters import MAX_SIZE, SlotParameters, slot_parameters, value_range
from mpcc.runtime.two_party.rlwe.parameters import FAILURE_BITS, SECURE_BITS, STATISTICAL_BITS
from mpcc.runtime.two_party.rlwe.sampling import ERROR_BOUND, ERROR_VARIANCE


def check(chosen: SlotParameters) -> None:
    check_security(chosen)
    check_exactness(chosen)
    check_privacy(chosen)


def check_security(chosen: SlotParameters) -> None:
    assert (chosen.plain_modulus * chosen.scale).bit_length() <= SECURE_BITS[chosen.degree]
    primes = chosen.plain + chosen.wide
    assert len(set(primes)) == len(primes)
    assert all(p % (2 * chosen.degree) == 1 and p.bit_length() <= 50 for p in primes)


def check_exactness(chosen: SlotParameters) -> None:
    """Flood, noise and all that is dropped stay below q / 2t: in the worst case, but for the last rounding of
    c1, whose tail is bounded at 2^-80.
    """
    t, scale, p, degree = chosen.plain_modulus, chosen.scale, chosen.wide[0], chosen.degree
    assert 2 * value_range(chosen.sizes, chosen.terms) < t
    noise = ERROR_BOUND * degree * (chosen.terms * ((t - 1) // 2) + 2)
    before = ((1 << (chosen.flood_bits - 1)) + noise) / scale
    tail = 2 ** (chosen.dropped[1] - 1) * math.sqrt(2 * degree / 3 * math.log(2.0 ** (FAILURE_BITS + 1)))
    after = (2 ** (chosen.dropped[0] - 1) + tail + (1 + degree) / 2) / p
    assert before <= 0.25
    assert before + after <= 0.5


def check_privacy(chosen: SlotParameters) -> None:
    """Of a whole reply, on average over party 1's errors; of a coefficient, whatever they are."""
    lifted = (chosen.plain_modulus - 1) // 2
    deviation = math.sqrt(ERROR_VARIANCE * chosen.degree * (chosen.terms * lifted**2 + 2))
    assert chosen.degree * deviation / 2**chosen.flood_bits <= 2**-STATISTICAL_BITS
    if chosen.terms <= 64:
        worst = ERROR_BOUND * chosen.degree * (chosen.terms * lifted + 2)
        assert worst / 2**chosen.flood_bits <= 2**-STATISTICAL_BITS


@pytest.mark.parametrize("terms", [1, 2, 64])
@pytest.mark.parametrize("sizes", [(1, 1), (8, 8), (26, 26), (33, 33), (44, 44), (64, 64)])
def test_a_set(sizes: tuple[int, int], terms: int) -> None:
    check(slot_parameters(sizes, terms))


@pytest.mark.slow
def test_every_set() -> None:
    """Parameters depend on the sum of the sizes and on the terms."""
    for total in range(2, 2 * MAX_SIZE + 1):
        for terms in (1, 2, 12, 64):
            check(slot_parameters((total // 2, total - total // 2), terms))


@pytest.mark.parametrize(
    ("sizes", "ring", "terms", "most"),
    [((44, 44), 44, 1, 56.5), ((26, 26), 33, 1, 38), ((44, 44), 44, 2, 89.5), ((20, 20), 30, 1, 32)],
)
def test_bytes_of_an_element(sizes: tuple[int, int], ring: int, terms: int, most: float) -> None:
    count = 1 << 20
    assert sum(product_bytes(sizes, ring, count, terms)) <= most * count


@pytest.mark.parametrize("terms", [1, 2])
def test_the_cheaper_way(terms: int) -> None:
    assert encryption_is_cheaper((44, 44), 44, 1 << 16, terms)
    assert encryption_is_cheaper((26, 26), 33, 1 << 16, terms)
    assert not encryption_is_cheaper((44, 44), 44, 100, terms)
    assert not encryption_is_cheaper((1, 40), 40, 1 << 16, terms)


@pytest.mark.parametrize(("sizes", "terms"), [((0, 4), 1), ((4, 65), 1), ((4, 4), 0)])
def test_sizes_out_of_range(sizes: tuple[int, int], terms: int) -> None:
    with pytest.raises(ValueError, match="slot_parameters"):
        slot_parameters(sizes, terms)
