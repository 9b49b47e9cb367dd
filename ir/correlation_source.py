"""Where a program's correlated randomness comes from: a third party, or the two parties themselves."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line names the sources before it needs a program
    from mpcc.ir.program import Attributes

ATTRIBUTE = "correlations"  # of a program of any stage; absent for a dealer


class CorrelationSource(StrEnum):
    """DEALER: a party without inputs, ahead of time. TWO_PARTY: both parties, by homomorphic encryption and
    oblivious transfer.
    """

    DEALER = "dealer"
    TWO_PARTY = "two-party"


def source_of(attributes: Attributes) -> CorrelationSource:
    """Of a program with these attributes. Raises ValueError when it names no source."""
    return CorrelationSource(str(attributes.get(ATTRIBUTE, CorrelationSource.DEALER)))


def source_attributes(source: CorrelationSource) -> Attributes:
    """What a program says of its source."""
    return {} if source is CorrelationSource.DEALER else {ATTRIBUTE: str(source)}
