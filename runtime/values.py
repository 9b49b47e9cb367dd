"""What a party holds of a share-stage value while a program runs.

A share, a private or a public value is a plain uint64 array (int64 bit patterns for private and public
integers); shares may carry garbage above their ring, which is cut off where it matters. Bits are uint8 arrays
of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpcc.ir.dialects.base import apply_view
from mpcc.ir.program import Attributes
from mpcc.runtime.ring import U64


@dataclass(frozen=True, eq=False)
class Masked:
    """`opened` = x - a mod 2^bits, known to both; `mask` is this party's share of a. Same shape."""

    opened: U64
    mask: U64

    def view(self, kind: str, attributes: Attributes) -> Masked:
        return Masked(apply_view(kind, self.opened, attributes), apply_view(kind, self.mask, attributes))


@dataclass(frozen=True, eq=False)
class MaskedBits:
    """`opened` = b xor rho, known to both, uint8."""

    opened: np.ndarray

    def view(self, kind: str, attributes: Attributes) -> MaskedBits:
        return MaskedBits(apply_view(kind, self.opened, attributes))


@dataclass(frozen=True, eq=False)
class Served:
    """Party 0: x - a mod 2^bits. Party 1: the mask a."""

    data: U64

    def view(self, kind: str, attributes: Attributes) -> Served:
        return Served(apply_view(kind, self.data, attributes))


RuntimeValue = np.ndarray | Masked | MaskedBits | Served | None  # None: the other party's private value
