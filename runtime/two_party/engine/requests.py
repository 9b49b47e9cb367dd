"""What an operation may ask for while the parties make its correlations: products of their private values.

Both parties make the same requests in the same order, each with its own private values; the sizes are public.
A request is answered with this party's shares. What is asked for together is answered together.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpcc.runtime.ring import U64


@dataclass(frozen=True, eq=False)
class BitProducts:
    """x and y for party 0's private bits x and party 1's private bits y.

    `own`: this party's bits, uint64[m]. Answered with xor shares, uint64[m].
    """

    own: U64


@dataclass(frozen=True, eq=False)
class Choose:
    """b * v for private bits b of party `chooser` and private values v of the other, in columns that share
    the bits: one transfer a bit, whatever the columns are.

    `bits`: the chooser's `count` bits as a plane, uint64[ceil(count / 64)]; None at the other party.
    `values`: the other's columns, uint64 (uint8 where they are bits) of `count` elements in any shape; None
    at the chooser. Those that the plane `negated` names are taken negative. `widths`: bits of each column.
    Answered with a list of shares, uint64[count] a column, mod 2^width or, if `boolean`, by xor: new arrays,
    or those of `into`, to which they are added.
    """

    chooser: int
    count: int
    widths: tuple[int, ...]
    bits: U64 | None
    values: tuple[np.ndarray, ...] | None
    boolean: bool = False
    negated: U64 | None = None
    into: tuple[U64, ...] | None = None


@dataclass(frozen=True, eq=False)
class Multiply:
    """u * v elementwise for party 0's private u and party 1's private v, unsigned, below 2^sizes[0] and
    2^sizes[1].

    `own`: this party's values, uint64[n]. Answered with shares mod 2^ring, uint64[n].
    """

    own: U64
    sizes: tuple[int, int]
    ring: int


@dataclass(frozen=True, eq=False)
class InnerProduct:
    """The sum over l of u_l * v_l, elementwise, with u and v as in `Multiply`: one answer for all terms.

    `own`: this party's values, uint64[terms, n]. Answered with shares mod 2^ring, uint64[n].
    """

    own: U64
    sizes: tuple[int, int]
    ring: int


@dataclass(frozen=True, eq=False)
class MatrixProduct:
    """left @ right for party 1's private left [batch, m, k] and party 0's private right [batch, k, n].

    `shape` = (batch, m, k, n). `own`: this party's factor; party 1's has elements mod 2^ring as uint64, party
    0's signed integers of magnitude at most 2^`right_bits` as int64 or int32 (`right_bits` = ring for
    elements of the ring, which are then uint64). Answered with shares mod 2^ring, uint64[batch, m, n].
    """

    own: np.ndarray
    shape: tuple[int, int, int, int]
    right_bits: int
    ring: int


Request = BitProducts | Choose | Multiply | InnerProduct | MatrixProduct
Making = Generator[list[Request], list[Any], Any]
"""An operation's part: yields requests that may be answered together, is sent their answers in order, and
returns what was made."""
