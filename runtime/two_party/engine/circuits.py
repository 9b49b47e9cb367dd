"""Small computations on shared values, from which operations make their correlations.

Each is an operation's part as `Making` says, to be used with `yield from`: both parties run it on their own
shares. Planes and words are as kernels have them: element i of a plane is bit i % 64 of word i // 64, and
bits after the last element are arbitrary.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.two_party.engine.requests import BitProducts, Choose, Making, Request

Circuit = Generator[list[Request], list[Any], U64]
WORD = 64


def together(makings: Sequence[Making]) -> Generator[list[Request], list[Any], list[Any]]:
    """Several at once, in step: what they ask for is asked for together. Returns what each returned."""
    results: list[Any] = [None] * len(makings)
    answers: list[Any] = [None] * len(makings)
    live = dict(enumerate(makings))
    while live:
        asked: dict[int, list[Request]] = {}
        for index, making in live.items():
            try:
                asked[index] = making.send(answers[index])
            except StopIteration as end:
                results[index] = end.value
        live = {index: live[index] for index in asked}
        if live:
            answered = iter((yield [request for requests in asked.values() for request in requests]))
            answers = [[next(answered) for _ in asked.get(index, ())] for index in range(len(makings))]
    return results


def completed(making: Making, answer: Callable[[list[Request]], list[Any]]) -> Any:
    """What a making returns, its requests answered step by step."""
    answers = None
    while True:
        try:
            requests = making.send(answers)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value
        answers = answer(requests)


def plane_of(x: U64, bit: int) -> U64:
    """One bit of every element, as a plane."""
    plane: U64 = kernels.planes_split(x, bit, 1)[0]
    return plane


def bits_of(plane: U64, count: int) -> np.ndarray:
    """A plane's bits, uint8[count]."""
    return np.asarray(kernels.planes_unpack(np.ascontiguousarray(plane)[None], count)[0])


def elements_of(plane: U64, count: int) -> U64:
    """A plane's bits as numbers 0 and 1."""
    return kernels.planes_join(np.ascontiguousarray(plane)[None], count)


def and_shared(x: U64, y: U64, party: int) -> Circuit:
    """x and y of xor-shared words, uint64[m]: two bit products a bit."""
    own = np.concatenate([x, y] if party == 0 else [y, x])
    [crossed] = yield [BitProducts(own)]
    product: U64 = (x & y) ^ crossed[: x.size] ^ crossed[x.size :]
    return product


def sum_bits(own: U64, bits: int, party: int) -> Circuit:
    """Bits of (a0 + a1) mod 2^bits, xor-shared, from each party's addend, uint64[n]: uint64[bits, ceil(n /
    64)]. Two bit products a bit and step, one for the first and none for the last. The carry out of addends
    of k bits is bit k of their sum.

    With c the carry into a bit, the next one is (a0 xor c) (a1 xor c) xor c.
    """
    planes = kernels.planes_split(own, 0, bits)
    result = planes.copy()
    for bit in range(bits - 1):
        if bit == 0:
            [carried] = yield [BitProducts(planes[0])]
        else:
            incoming = carried
            mine = planes[bit] ^ incoming
            pair = (mine, incoming) if party == 0 else (incoming, mine)
            carried = (yield from and_shared(*pair, party)) ^ incoming
        result[bit + 1] ^= carried
    return result


def select_bits(bit: U64, words: U64, widths: Sequence[int], party: int) -> Circuit:
    """A xor-shared bit times each xor-shared column: a plane of n bits, words uint64[columns, n] of so many
    bits each: two transfers a bit.
    """
    count = words.shape[1]
    result = words & (np.uint64(0) - elements_of(bit, count))
    requests: list[Request] = []
    for chooser in (0, 1):
        bits, values = (bit, None) if party == chooser else (None, tuple(words))
        requests.append(Choose(chooser, count, tuple(widths), bits, values, boolean=True, into=tuple(result)))
    yield requests
    return result


def select_planes(bit: U64, planes: U64, party: int) -> Circuit:
    """A xor-shared plane and each of several, uint64[c, words] -> the same: two transfers a bit."""
    count = WORD * planes.shape[1]
    groups = [planes[start : start + WORD] for start in range(0, len(planes), WORD)]
    words = np.stack([kernels.planes_join(np.ascontiguousarray(group), count) for group in groups])
    selected = yield from select_bits(bit, words, [len(group) for group in groups], party)
    rows = [kernels.planes_split(word, 0, len(group)) for word, group in zip(selected, groups, strict=True)]
    return np.concatenate(rows)


def one_hot(planes: U64, count: int, party: int) -> Circuit:
    """One-hots of numbers of w xor-shared bits, planes [w, ceil(count / 64)], lowest first: xor-shared words
    uint64[ceil(2^w / 64), count]. Two transfers a bit but the first, in w - 1 steps.

    With each bit b the vector h of the bits before it becomes (h - b h, b h). The bits of b h have the parity
    b, so that one of them need not be transferred.
    """
    first = elements_of(planes[0], count)
    words = ((first ^ np.uint64(1 - party)) | first << np.uint64(1))[None]
    for place in range(1, len(planes)):
        size = min(1 << place, WORD)
        widths = [size] * len(words)
        widths[0] -= 1
        short = words.copy()
        short[0] >>= np.uint64(1)
        selected = yield from select_bits(planes[place], short, widths, party)
        selected[0] <<= np.uint64(1)
        selected[0] |= parity(np.bitwise_xor.reduce(selected)) ^ elements_of(planes[place], count)
        words ^= selected
        if size < WORD:
            words |= selected << np.uint64(size)
        else:
            words = np.concatenate([words, selected])
    return words


def parity(words: U64) -> U64:
    """0 or 1: the xor of each word's bits."""
    return (np.bitwise_count(words) & np.uint8(1)).astype(np.uint64)


def multiply_bits(own: U64, count: int, width: int, party: int) -> Circuit:
    """Shares mod 2^width of x y for party 0's private bits x and party 1's private bits y, as planes: one
    transfer a bit, half of them in each direction.
    """
    middle = min(count, WORD * (own.size // 2))
    requests: list[Request] = []
    for chooser, start, stop in ((0, 0, middle), (1, middle, count)):
        part = own[start // WORD : -(-stop // WORD)]
        if party == chooser:
            requests.append(Choose(chooser, stop - start, (width,), part, None))
        else:
            values = (bits_of(part, stop - start),)
            requests.append(Choose(chooser, stop - start, (width,), None, values))
    return np.concatenate([share for [share] in (yield requests)])


def to_arithmetic(bit: U64, count: int, width: int, party: int) -> Circuit:
    """Shares mod 2^width of xor-shared bits, from a plane, as b0 xor b1 = b0 + b1 - 2 b0 b1: one transfer a
    bit.
    """
    if width == 1:
        return elements_of(bit, count)
    products = yield from multiply_bits(bit, count, width - 1, party)
    products <<= np.uint64(1)
    return reduce(np.subtract(bits_of(bit, count), products, out=products), width)


def one_hot_numbers(
    own: U64, bits: int, width: int, party: int, dtype: type[np.unsignedinteger] = np.uint64
) -> Circuit:
    """One-hots of (a0 + a1) mod 2^bits as shares mod 2^width, from each party's addend, uint64[n]:
    `dtype`[n, 2^bits]. A transfer an entry but one, which the others' sum gives.
    """
    count = own.size
    planes = yield from sum_bits(own, bits, party)
    words = yield from one_hot(planes, count, party)
    entries = np.unpackbits(np.ascontiguousarray(words.T).view(np.uint8), axis=1, bitorder="little")
    entries = np.ascontiguousarray(entries[:, : (1 << bits) - 1])
    plane = kernels.planes_pack(entries.reshape(-1))
    shape = entries.shape
    del entries, words
    numbers = yield from to_arithmetic(plane, shape[0] * shape[1], width, party)
    rows = numbers.astype(dtype).reshape(shape)
    last = reduce(np.uint64(1 - party) - rows.sum(axis=1, dtype=np.uint64), width)
    return np.concatenate([rows, last.astype(dtype)[:, None]], axis=1)
