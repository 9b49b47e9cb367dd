"""All that lowering decides by where a program's correlations come from, and what it saves.

What has a price of its own is chosen by it: approximations, a softmax's maximum, layouts of experts
(compiler/choose). These are parts of such candidates, decided before rings are known, on which prices
depend; each was measured by the price of whole programs, and one side was as good as always the better one.
Shares of bytes are of what both parties send offline and online, compiled for the LAN.
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.program import Program
from mpcc.ir.types import RingType

WIDEST_BLOCK, FEWER_DEALT = 6, 4  # bits of a comparison's blocks, each of which deals 2^bits bits
FEWER_MADE = ((10, 3), (25, 4))  # without a dealer: bits compared up to which blocks of so many send least
SWITCH_ERROR = 2.0**-14  # of a result, from comparing an argument that was rounded
SWITCH_SHARE = 0.5  # of an approximation's own error, where two parties pay for every bit compared
WEIGHTED = ("linear", "gain")
WEIGHT_STEP = 4  # of the public bound on a weight's magnitude, in bits


def block_width(source: CorrelationSource, bits: int, thresholds: int) -> int:
    """Width of the blocks of a comparison of so many bits.

    Several thresholds have the fewest, whatever the source: each pays for the number of blocks, a dealer in
    openings, two parties in oblivious transfers. One threshold pays for 2^width bits a block: without a
    dealer narrower blocks send 3 % less of a softmax 12x128x128 than the fewest would, and 0.5 % less of a
    BERT-base layer than a dealer's.
    """
    fewest = fewest_blocks(bits)
    if thresholds > 1:
        return fewest
    if source is CorrelationSource.DEALER:
        return FEWER_DEALT if fewest < bits - 1 else fewest
    return next((min(width, bits - 1) for most, width in FEWER_MADE if bits <= most), fewest)


def fewest_blocks(bits: int) -> int:
    """Width of a comparison's blocks: the narrowest among the fewest."""
    return math.ceil((bits - 1) / math.ceil((bits - 1) / WIDEST_BLOCK))


def switch_error(source: CorrelationSource, error: float) -> float:
    """How much a comparison of a rounded argument may add to the result of an approximation with an error of
    its own.

    Without a dealer every bit that is compared is a sum of both parties' masks, made by oblivious transfers,
    and more accuracy than the approximation's is wasted: this saves 8 % of the bytes of a GeLU 128x3072, 3 %
    of MiniLM's with 32 tokens, 2 % of a BERT-base layer's.
    """
    return max(SWITCH_ERROR, SWITCH_SHARE * error) if source is CorrelationSource.TWO_PARTY else SWITCH_ERROR


def outer_by_matmul(source: CorrelationSource) -> bool:
    """Whether an outer product of a selection with values is a matrix product, or one of elements.

    Two parties pack a matrix product into fewer ciphertexts: of layers of 768-3072-768 with 8 to 64 experts,
    2 for each of 128 tokens, it saves 6 to 19 % of the bytes and 1 to 10 % of the time. With a dealer,
    elements are opened in fewer bits than the result has: 1 to 2 % of the bytes online, for 7 to 25 % more
    dealt.
    """
    return source is CorrelationSource.TWO_PARTY


def state_weights(program: Program) -> None:
    """Gives the layers of a program whose parties make its correlations `weight_bits`, of the magnitude of a
    weight's integers: the least of its fraction bits and 4, 8, 12, .. more that holds it; none above 64.

    It decides about the noise of ciphertexts and is public: so it is coarse. A dealer needs nothing of it.
    """
    producers = program.producers()
    for operation in program.operations:
        if operation.kind not in WEIGHTED:
            continue
        weight = operation.operands[1]
        assert isinstance(weight.type, RingType)
        array, fraction = program.constants[str(producers[weight].attributes["name"])], weight.type.fraction
        largest = max(abs(float(np.max(array, initial=0.0))), abs(float(np.min(array, initial=0.0))))
        bits = fraction + WEIGHT_STEP
        while bits <= 64 and largest * 2.0**fraction + 1 >= 2.0**bits:
            bits += WEIGHT_STEP
        if bits <= 64:
            operation.attributes["weight_bits"] = bits
