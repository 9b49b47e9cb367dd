"""What two papers report for the same question, and what their models cost here."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.experts.predicted import Mixture

# GB by number of experts: SecMoE (AAAI 2026), Switch-Base, top-1. Iron and BumbleBee evaluate all experts.
SECMOE_EXPERTS = (16, 32, 64, 128)
SECMOE = {
    "Iron": (7.13, 9.44, 17.19, 24.17),
    "BumbleBee": (1.42, 2.04, 3.37, 5.81),
    "SecMoE": (0.81, 0.84, 0.81, 0.82),
}
# Minutes of MoE-Small over its LAN and WAN, and of Switch-Base.
SECMOE_MINUTES = {
    "Iron": (12.07, 59.14, 35.5, 143.78),
    "BumbleBee": (9.76, 13.88, 32.3, 34.89),
    "SecMoE": (2.52, 3.68, 12.1, 14.73),
}


@dataclass(frozen=True)
class CryptoMoe:
    """A row of CryptoMoE (NeurIPS 2025), table 2: MB a token of one layer for 128 tokens; `even` and `double`
    are its own protocol with slots for one and two even loads.
    """

    name: str
    mixture: Mixture
    dense: float
    even: float
    double: float


def _silu(experts: int, top_k: int, hidden: int) -> Mixture:
    return Mixture(128, experts, top_k, 2048, hidden, "silu", gated=True)


CRYPTOMOE = (
    CryptoMoe("DeepSeekMoE 16.4B", _silu(64, 6, 1408), 310.9, 39.1, 71.9),
    CryptoMoe("OLMoE 6.9B", _silu(64, 8, 1024), 232.0, 42.2, 75.0),
    CryptoMoe("QWenMoE 14.3B", _silu(60, 4, 1408), 291.4, 25.8, 47.7),
)
