"""Takes the requests of a step apart into transfers and products under encryption, and puts their answers
together. Both parties do it the same way, from public sizes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.two_party.engine.circuits import plane_of
from mpcc.runtime.two_party.engine.requests import (
    BitProducts,
    Choose,
    InnerProduct,
    MatrixProduct,
    Multiply,
    Request,
)
from mpcc.runtime.two_party.engine.transfers import Crossed, Transfer
from mpcc.runtime.two_party.rlwe.ole import terms_of
from mpcc.runtime.two_party.rlwe.ole_costs import encryption_is_cheaper

Product = Multiply | InnerProduct
Shares = list[list[U64]]
Finish = Callable[["Answers"], Any]


class Answers:
    """To the parts of a step: shares of each transfer's columns, of each product and of each matrix."""

    def __init__(self, transfers: Shares, products: list[U64], matrices: list[U64]) -> None:
        self.transfers = transfers
        self.products = products
        self.matrices = matrices


class Step:
    """`transfers`, `products` and `matrices` are to be answered, the latter two under encryption; `assemble`
    makes the requests' answers of theirs. `extension_bits`: what making an OT sends.
    """

    def __init__(self, party: int, requests: Sequence[Request], extension_bits: float) -> None:
        self.transfers: list[Transfer] = []
        self.products: list[Product] = []
        self.matrices: list[MatrixProduct] = []
        self._finish: list[Finish] = []
        self._cross([request.own for request in requests if isinstance(request, BitProducts)])
        places = [0, 0]  # in the words of bit products, by direction
        for request in requests:
            if isinstance(request, BitProducts):
                first, second = halves(request.own)
                ends = places[0] + first.size, places[1] + second.size
                self._finish.append(_words(slice(places[0], ends[0]), slice(places[1], ends[1])))
                places = list(ends)
            elif isinstance(request, Choose):
                self._finish.append(_columns(len(self.transfers)))
                self.transfers.append(request)
            elif isinstance(request, MatrixProduct) and 0 in request.shape:
                self._finish.append(_zeros(request))
            elif isinstance(request, MatrixProduct):
                self._finish.append(_matrix(len(self.matrices)))
                self.matrices.append(request)
            elif by_encryption(
                request.sizes, request.ring, request.own.shape[-1], terms_of(request), extension_bits
            ):
                self._finish.append(_product(len(self.products)))
                self.products.append(request)
            else:
                transfers = list(bit_by_bit(request, party))
                self._finish.append(_sum(request, transfers, len(self.transfers)))
                self.transfers += [transfer for _, transfer in transfers]

    def _cross(self, words: list[U64]) -> None:
        """The bit products of all requests, half of each in either direction."""
        if words:
            for chooser, parts in enumerate(zip(*map(halves, words), strict=True)):
                self.transfers.append(Crossed(chooser, np.concatenate(parts)))

    def assemble(self, answers: Answers) -> list[Any]:
        return [finish(answers) for finish in self._finish]


def halves(words: U64) -> tuple[U64, U64]:
    middle = words.size // 2
    return words[:middle], words[middle:]


def bit_by_bit(request: Product, party: int) -> Iterator[tuple[int, Choose]]:
    """Products as sums of bits times values mod 2^(ring - place) (Gilboa, CRYPTO 1999): each transfer and its
    place.
    """
    count, ring = request.own.shape[-1], request.ring
    for own in request.own.reshape(terms_of(request), count):
        for chooser, start, stop, places in parts_of(request.sizes, ring, count):
            part = own[start:stop]
            for place in range(places):
                bits = plane_of(part, place) if party == chooser else None
                values = None if party == chooser else (part,)
                yield place, Choose(chooser, stop - start, (ring - place,), bits, values)


def parts_of(sizes: tuple[int, int], ring: int, count: int) -> list[tuple[int, int, int, int]]:
    """Who receives for which of the numbers, from .. to, and for how many places: the party with shorter ones
    or, where both are equally long, each for a half of them.
    """
    places = min(*sizes, ring)
    if sizes[0] != sizes[1]:
        return [(0 if sizes[0] < sizes[1] else 1, 0, count, places)]
    middle = 64 * (count // 128)
    return [(0, 0, middle, places), (1, middle, count, places)]


def by_encryption(sizes: tuple[int, int], ring: int, count: int, terms: int, extension_bits: float) -> bool:
    """Whether sums of products take less time under encryption than by transfers."""
    return encryption_is_cheaper(sizes, ring, count, terms, extension_bits)


def _words(first: slice, second: slice) -> Finish:
    def finish(answers: Answers) -> U64:
        (one,), (other,), *_ = answers.transfers
        return np.concatenate([one[first], other[second]])

    return finish


def _columns(number: int) -> Finish:
    return lambda answers: answers.transfers[number]


def _product(number: int) -> Finish:
    return lambda answers: answers.products[number]


def _matrix(number: int) -> Finish:
    return lambda answers: answers.matrices[number]


def _zeros(request: MatrixProduct) -> Finish:
    batch, rows, _, columns = request.shape
    return lambda _: np.zeros((batch, rows, columns), dtype=np.uint64)


def _sum(request: Product, transfers: list[tuple[int, Choose]], first: int) -> Finish:
    def finish(answers: Answers) -> U64:
        sums: dict[int, U64] = {}
        for number, (place, transfer) in enumerate(transfers, first):
            term = answers.transfers[number][0] << np.uint64(place)
            sums[transfer.chooser] = sums.get(transfer.chooser, np.uint64(0)) + term
        return reduce(np.concatenate([sums[chooser] for chooser in sorted(sums)]), request.ring)

    return finish
