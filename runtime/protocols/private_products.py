"""Products of arrays that two parties share, from their private products; shapes broadcast.

Both work on additive shares in parts that are integers below 2^bits (narrow ones, such as the parts of a
mask) or elements of the ring.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from mpcc.runtime.ring import U64, mask, reduce
from mpcc.runtime.two_party.engine.circuits import multiply_bits, plane_of
from mpcc.runtime.two_party.engine.requests import Choose, InnerProduct, Making, Multiply, Request

MOST_COLUMNS = 1024  # of one transfer; a bit that serves more elements is repeated for them
Shape = tuple[int, ...]


def multiply(x: U64, y: U64, bits: tuple[int, int], ring: int, party: int) -> Making:
    """Shares mod 2^ring of (x0 + x1)(y0 + y1): x0 y1 + y0 x1 is an inner product of private vectors. `bits`:
    of the parts of x and of y, where they are fewer than the ring's.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    size = min(max(bits), ring)
    left, right = (_flat(reduce(v, min(k, ring)), shape) for v, k in zip((x, y), bits, strict=True))
    own = np.stack([left, right] if party == 0 else [right, left])
    [crossed] = yield [InnerProduct(own, (size, size), ring)]
    return reduce(left * right + crossed, ring).reshape(shape)


def square(x: U64, bits: int, ring: int, party: int) -> Making:
    """Shares mod 2^ring of (x0 + x1)^2: one private product an element."""
    own = _flat(x, x.shape)
    if ring == 1:
        return reduce(x * x, 1)
    size = min(bits, ring - 1)
    [crossed] = yield [Multiply(reduce(own, size), (size, size), ring - 1)]
    return reduce(own * own + (crossed << np.uint64(1)), ring).reshape(x.shape)


def select(
    bit: U64, columns: Sequence[U64], widths: Sequence[int], party: int, unit: int = 0
) -> Generator[list[Request], list[Any], tuple[U64, list[U64]]]:
    """An xor-shared bit, as numbers 0 and 1, times each additively shared column, mod 2^width: two transfers
    a bit for all columns that it serves. Also the bit itself as a number mod 2^unit, with `unit` > 0.

    Each party's addend x is multiplied as (b0 xor b1) x0 = b0 x0 + b1 (1 - 2 b0) x0. A bit that is broadcast
    to several elements of a column serves them as so many columns.
    """
    layouts = [_Layout.of(bit.shape, column.shape) for column in columns]
    groups: dict[Shape, list[int]] = {bit.shape: []} if unit else {}
    for index, layout in enumerate(layouts):
        groups.setdefault(layout.bit_shape, []).append(index)
    requests: list[Request] = []
    results: dict[Shape, list[U64]] = {}
    for shape, members in groups.items():
        own = _flat(bit, shape)
        plane = plane_of(own, 0)
        parts = [part for index in members for part in layouts[index].split(columns[index])]
        sizes = [widths[index] for index in members for _ in range(layouts[index].count)]
        results[shape] = [(part * own.reshape(part.shape)).reshape(-1) for part in parts]
        for chooser in (0, 1):
            if chooser == 1 and unit and shape == bit.shape:
                parts.append(np.ones_like(own))
                sizes.append(unit)
                results[shape].append(own.copy() if party == 0 else np.zeros_like(own))
            if sizes:
                choice = Choose(chooser, own.size, tuple(sizes), plane, None, into=tuple(results[shape]))
                value = replace(choice, bits=None, values=tuple(parts), negated=plane)
                requests.append(choice if party == chooser else value)
    if requests:
        yield requests
    selected: list[U64] = [np.zeros(0, dtype=np.uint64)] * len(columns)
    for shape, members in groups.items():
        made = iter(results[shape])
        for index in members:
            selected[index] = layouts[index].join([next(made) for _ in range(layouts[index].count)])
    return results[bit.shape][-1].reshape(bit.shape) if unit else np.zeros_like(bit), selected


def truncated(x: U64, ring: int, bits: int, target: int, party: int) -> Making:
    """Shares mod 2^target of x / 2^bits, uint64[n], from shares mod 2^ring of x within [-2^r, 3 * 2^r) for
    r = ring - 3 >= bits: error below one unit, none without `bits`. One transfer an element where the target
    is wider than what is left.

    As `truncate` does it, but with the private top bits themselves in the place of masked ones.
    """
    share = reduce(x + np.uint64(0 if party else 1 << (ring - 3)), ring)
    total = share >> np.uint64(bits)
    if party == 0:  # rounds up, party 1 down
        inexact = (share & mask(bits)) != 0
        total = total + inexact - np.uint64(1 << (ring - 3 - bits))
    left = ring - bits
    if target > left:
        clear = (share >> np.uint64(ring - 1)) ^ np.uint64(1)
        both = yield from multiply_bits(plane_of(clear, 0), x.size, target - left, party)
        total = total + ((both - np.uint64(1 - party)) << np.uint64(left))
    return reduce(total, target)


class _Layout:
    """How a bit of one shape meets a column of another: `count` arrays of as many elements as it has bits."""

    def __init__(self, bit: Shape, column: Shape) -> None:
        self.shape = np.broadcast_shapes(bit, column)
        self.bit_shape = (1,) * (len(self.shape) - len(bit)) + bit
        self.count = math.prod(self.shape) // max(1, math.prod(bit))
        if self.count > min(MOST_COLUMNS, math.prod(bit)) or self.count == 0:
            self.bit_shape, self.count = self.shape, 1
        pairs = enumerate(zip(self.bit_shape, self.shape, strict=True))
        self._served = [axis for axis, (own, whole) in pairs if own != whole]

    @classmethod
    @lru_cache(maxsize=4096)  # those of a whole program
    def of(cls, bit: Shape, column: Shape) -> _Layout:
        return cls(bit, column)

    def split(self, column: U64) -> list[U64]:
        """`count` arrays: the elements that each bit serves, one after another."""
        if not self._served:
            return [np.broadcast_to(column, self.shape)]  # may be repeated, and is not copied
        moved = np.moveaxis(np.broadcast_to(column, self.shape), self._served, range(len(self._served)))
        return list(np.ascontiguousarray(moved).reshape(self.count, -1))

    def join(self, parts: list[U64]) -> U64:
        """The opposite."""
        if not self._served:
            return parts[0].reshape(self.shape)
        moved = [self.shape[axis] for axis in self._served]
        moved += [size for axis, size in enumerate(self.shape) if axis not in self._served]
        return np.moveaxis(np.stack(parts).reshape(moved), range(len(self._served)), self._served)


def _flat(x: U64, shape: Shape) -> U64:
    if x.shape == shape and x.flags.c_contiguous:
        return x.reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1)
