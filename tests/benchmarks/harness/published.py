"""Other systems on the same work, measured before on a machine of the same kind, and bars set from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """MB are all parties' sends together, online, on loopback; `dealt` MB are counted for SIGMA only."""

    name: str
    seconds: float
    megabytes: float
    rounds: int | None
    max_error: float
    dealt: float | None = None


@dataclass(frozen=True)
class Bar:
    """What mpcc is to stay under, on loopback; MB online both ways, and dealt."""

    seconds: float
    megabytes: float
    rounds: int | None = None
    dealt: float | None = None


PEERS = {
    "matmul": (
        Peer("SPU SEMI2K", 0.55, 40, 2, 3e-4),
        Peer("SPU ABY3", 0.34, 20, 3, 3e-4),
        Peer("CrypTen", 0.45, 39, 1, 1e-3),
        Peer("SIGMA", 0.83, 20, 5, 2e-2),
    ),
    "gelu": (
        Peer("SPU SEMI2K", 1.93, 255, 39, 0.018),
        Peer("SPU ABY3", 2.17, 362, 55, 0.018),
        Peer("SPU CHEETAH", 21.8, 477, None, 0.018),
        Peer("CrypTen", 6.4, 327, 26, 0.0016),
        Peer("SIGMA", 1.3, 28, 8, 0.0076),
    ),
    "softmax": (
        Peer("SPU SEMI2K", 0.75, 77, 119, 0.008),
        Peer("SPU ABY3", 0.77, 133, 166, 0.008),
        Peer("SPU CHEETAH", 10.8, 313, None, 0.008),
        Peer("CrypTen", 12.3, 293, 116, 0.008),
        Peer("SIGMA", 1.26, 34, 30, 0.025),
    ),
    "layernorm": (
        Peer("SPU SEMI2K", 0.12, 12, 34, 0.003),
        Peer("SPU ABY3", 0.16, 16, 61, 0.003),
        Peer("SPU CHEETAH", 1.3, 65, None, 0.003),
        Peer("CrypTen", 0.98, 4.8, 20, 0.003),
        Peer("SIGMA", 0.12, 6.7, 16, 0.028),
    ),
    "bert-layer": (
        Peer("SPU SEMI2K", 5.3, 530, 287, 0.037),
        Peer("SPU ABY3", 5.5, 627, 425, 0.037),
        Peer("CrypTen", 20, 765, 190, 0.03),
        Peer("SIGMA", 7.2, 144, 588, 0.058, 3800),
    ),
    "bert-base": (
        Peer("SPU SEMI2K", 70.6, 6360, 3444, 0.063),
        Peer("SPU ABY3", 70.4, 7520, 4999, 0.063),
        Peer("CrypTen", 233, 9175, 2280, 1.02),
    ),
    "minilm32": (
        Peer("SPU SEMI2K", 6.5, 442, 1626, 0.057),
        Peer("SPU ABY3", 7.7, 404, 2363, 0.057),
        Peer("SPU CHEETAH", 121, 900, None, 0.057),
        Peer("CrypTen", 30, 547, 1074, 0.01),
        Peer("SIGMA", 4.5, 89, 3240, 0.089, 2400),
    ),
}
BARS = {
    "matmul": Bar(0.06, 0.8),
    "gelu": Bar(0.12, 4, 2),
    "softmax": Bar(0.25, 25, 35),
    "layernorm": Bar(0.03, 4, 12),
    "bert-layer": Bar(0.6, 40, 85, 200),
    "bert-base": Bar(6, 500, 1000, 2400),
    "minilm32": Bar(0.5, 25, 400),
}
