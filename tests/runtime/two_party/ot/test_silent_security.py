"""The parameters of silent OT against the estimates of all known attacks."""

import pytest

from mpcc.runtime.two_party.ot.silent_parameters import LARGE, SMALL, Parameters
from tests.runtime.two_party.ot.lpn_attacks import algebraic, estimates, hybrid, pooled_gauss


@pytest.mark.parametrize("parameters", [SMALL, LARGE], ids=["small", "large"])
def test_every_attack_takes_128_bits(parameters: Parameters) -> None:
    assert {attack: bits for attack, bits in estimates(parameters).items() if bits < 128} == {}


def test_estimates_tell_sizes_in_use_apart() -> None:
    """Ferret's own main size holds; one chosen before the algebraic attacks does not."""
    ferret, later = (10805248, 589760, 1319), (10180608, 124000, 4971)
    assert min(pooled_gauss(*ferret), algebraic(*ferret), hybrid(*ferret)) > 128
    assert pooled_gauss(*later) > 128 > algebraic(*later) > hybrid(*later)
