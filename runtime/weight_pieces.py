"""Weights in pieces: the dealer and the parties work through a large weight piece by piece, so that neither
its mask B nor the difference F = W - B ever exists whole, at 64 bits an element.

A weight is taken as the rows of a matrix, all axes but the last together; a piece is some of its rows. Pieces
change no bit: B is one stream of the mask's key, read from the piece's first element on, and F is one packed
bit stream, cut at whole bytes. A stream read in pieces is still read once, for one version of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

PIECE_ELEMENTS = 3 << 20  # at most, unless LEAST_ROWS rows have more
LEAST_ROWS = 128  # products of fewer rows would mostly wait for the sums they are added to
_ROWS_AT_ONCE = 8  # pieces begin at multiples of it: eight elements of any width fill whole bytes


@dataclass(frozen=True)
class Piece:
    """Rows first_row .. last_row of a weight of `columns` columns."""

    first_row: int
    last_row: int
    columns: int

    @property
    def first(self) -> int:
        """Number of the first element."""
        return self.first_row * self.columns

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        return self.last_row - self.first_row, self.columns

    def of(self, weight: np.ndarray) -> np.ndarray:
        """The piece's rows of a weight, as a view."""
        return weight.reshape(math.prod(weight.shape[:-1]), self.columns)[self.first_row : self.last_row]

    def by_matrix(self, height: int) -> Iterator[tuple[int, slice, slice]]:
        """The matrices of `height` rows that the piece touches: number, rows of the matrix, of the piece."""
        row = self.first_row
        while row < self.last_row:
            matrix, start = divmod(row, height)
            length = min(height - start, self.last_row - row)
            offset = row - self.first_row
            yield matrix, slice(start, start + length), slice(offset, offset + length)
            row += length


def pieces(shape: tuple[int, ...], elements: int = PIECE_ELEMENTS, least: int = LEAST_ROWS) -> list[Piece]:
    """The pieces of a weight, in order: of at most so many elements, or else of the least number of rows, but
    for the last.
    """
    columns = shape[-1] if shape else 1
    rows = math.prod(shape[:-1])
    step = max(elements // max(columns, 1), least) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
    return [Piece(row, min(row + step, rows), columns) for row in range(0, rows, step)]
