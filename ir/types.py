"""Types of the three stages. A type carries everything that decides cost and meaning.

Two families: `TensorType` (tensor stage: real values with a visibility) and `RingType` (share and party
stage: values of Z/2^ring with fraction bits, under a sharing). Ranges are real numbers: the value an element
stands for, not its integer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

Shape = tuple[int, ...]


class Visibility(StrEnum):
    """Who knows a tensor-stage value."""

    PUBLIC = "public"
    PARTY0 = "party0"
    PARTY1 = "party1"
    SECRET = "secret"

    def joined(self, other: Visibility) -> Visibility:
        """Visibility of a value computed from both."""
        if self is other or other is Visibility.PUBLIC:
            return self
        return other if self is Visibility.PUBLIC else Visibility.SECRET


class Sharing(StrEnum):
    """Who holds what of a share-stage value."""

    SHARE = "share"  # x = x0 + x1 mod 2^ring
    BITS = "bits"  # b = b0 xor b1, packed
    MASKED = "masked"  # x - a is known to both, a is the dealer's
    MASKED_BITS = "masked_bits"  # b xor rho is known to both, rho is the dealer's
    SERVED = "served"  # x1 - a is known to party 0, a is known to party 1
    PRIVATE0 = "private0"  # known to party 0 in the clear
    PRIVATE1 = "private1"  # known to party 1 in the clear
    PUBLIC = "public"


@dataclass(frozen=True)
class Range:
    """Closed interval of real values."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"not a finite, ordered range: [{self.low}, {self.high}]")

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    def symmetric(self) -> Range:
        """The smallest range around 0 that holds this one and its negative."""
        return Range(-self.magnitude, self.magnitude)

    def join(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))

    def widen(self, factor: float) -> Range:
        """The range with both ends moved away from zero by `factor`."""
        return Range(
            self.low * factor if self.low < 0 else self.low / factor,
            self.high * factor if self.high > 0 else self.high / factor,
        )


@dataclass(frozen=True)
class TensorType:
    """A real (`float`), integer (`int`) or truth (`bool`) tensor and who knows it."""

    visibility: Visibility
    dtype: str
    shape: Shape
    range: Range | None = None

    def with_range(self, value: Range | None) -> TensorType:
        return replace(self, range=value)


@dataclass(frozen=True)
class RingType:
    """An integer tensor of Z/2^ring standing for value / 2^fraction, under a sharing.

    For `masked` values `ring` is the width of the opening. Private and public values have ring 64: they are
    exact signed integers, reduced where they meet a share.
    """

    sharing: Sharing
    ring: int
    fraction: int
    shape: Shape
    range: Range | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.ring <= 64:
            raise ValueError(f"ring width {self.ring} is not within 1..64")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def integer_bits(self) -> int:
        """Bits of a two's complement integer that holds every value of the range, without any slack bit."""
        if self.range is None:
            return self.ring
        scaled = self.range.magnitude * 2.0**self.fraction
        return max(1, math.ceil(math.log2(scaled + 1))) + 1


@dataclass(frozen=True)
class PendingType:
    """The result of a party-stage `start`: a protocol under way, finished by `finish`."""

    protocol: str


Type = TensorType | RingType | PendingType
