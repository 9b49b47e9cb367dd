"""One file a protocol: correlations, messages, both parties' steps, the dealer's part, the plain meaning."""

from mpcc.runtime.protocols import (
    exponential,
    less_than,
    linear,
    local,
    matmul,
    one_hot,
    openings,
    product,
    row_reaches,
    segmented_polynomial,
    sine_series,
    truncate,
)
from mpcc.runtime.protocols.base import ProtocolClass, protocols

__all__ = [
    "ProtocolClass",
    "exponential",
    "less_than",
    "linear",
    "local",
    "matmul",
    "one_hot",
    "openings",
    "product",
    "protocols",
    "row_reaches",
    "segmented_polynomial",
    "sine_series",
    "truncate",
]
