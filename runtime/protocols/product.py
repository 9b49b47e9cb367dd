"""Elementwise products of masked values, polynomials and bits, in a ring wider than the openings.

Widening for free. Let |z| < 2^(k-2), z' = z + 2^(k-2), and E = z' - a mod 2^k be opened. As z' < 2^(k-1),
the wrap of E + a is msb(E) or msb(a), so with v = msb(E), public:  z = E - 2^k v - 2^(k-2) + s_v,  where
s_0 is a as a signed and s_1 as an unsigned integer. The dealer shares s_0 and s_1 (and their powers and
products) in any ring: a narrow opening gives a product of any width, without a truncation round. Masked
bits are b = d + (1 - 2d) rho.

A factor is public + sum of public coefficients times *atoms* (powers of s_v, or the rho_t); the product
expands into products of atoms, each one dealt slot. Sources: the affine form is ABY2.0's; the widening
identity is ours, an application of the one-sided wrap of Cheetah's truncation (USENIX Security 2022) to
openings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mpcc.ir.dialects.base import integers
from mpcc.ir.program import Operation
from mpcc.ir.types import RingType
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.protocols.base import DealerView, Dealt, Party, ProtocolClass, Step, implements, ring_type
from mpcc.runtime.ring import I64, U64, constant, reduce, signed, to_ring
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue


@dataclass(frozen=True)
class Factor:
    """One factor as the protocol sees it: `coefficients` of a polynomial, or of bits (constant first)."""

    kind: str
    coefficients: tuple[int, ...]
    ring: RingType

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ring.shape[1:] if self.kind == "bits" else self.ring.shape

    @property
    def atoms(self) -> int:
        """Kinds of atoms: powers of the mask, or one vector of bits."""
        return len(self.coefficients) - 1 if self.kind == "polynomial" else 1

    @property
    def variants(self) -> int:
        """Dealt variants of an atom: two for a mask (by the public msb), one a bit."""
        return self.ring.shape[0] if self.kind == "bits" else 2

    def expand_mask(self, mask: U64) -> list[U64]:
        """The dealer's atoms, each [variants, *shape], as integers mod 2^64."""
        if self.kind == "bits":
            return [mask]
        mask = reduce(mask, self.ring.ring)
        both = np.stack([to_ring(signed(mask, self.ring.ring)), mask])
        powers = [both]
        for _ in range(self.atoms - 1):
            powers.append(powers[-1] * both)
        return powers

    def public_parts(self, value: RuntimeValue) -> tuple[list[U64], U64 | None]:
        """[public part, coefficient of each atom], and the variant index (None: sum over variants)."""
        if self.kind == "bits":
            assert isinstance(value, MaskedBits)
            d = value.opened.astype(np.uint64)
            row = np.array([c & (2**64 - 1) for c in self.coefficients[1:]], dtype=np.uint64)
            row = row.reshape(-1, *(1,) * len(self.shape))
            base = (row * d).sum(axis=0, dtype=np.uint64) + constant(self.coefficients[0])
            return [base, row * (np.uint64(1) - np.uint64(2) * d)], None
        assert isinstance(value, Masked)
        k = self.ring.ring
        # the opening was of z itself: adding the public offset to it opens z'
        opened = reduce(value.opened + constant(1 << (k - 2)), k)
        msb = opened >> np.uint64(k - 1)
        public = opened - (msb << np.uint64(k) if k < 64 else np.uint64(0)) - constant(1 << (k - 2))
        if self.kind == "value":
            return [public, np.ones_like(public)], msb
        degree = len(self.coefficients) - 1
        powers = [np.ones_like(public)]
        for _ in range(degree):
            powers.append(powers[-1] * public)
        parts = []
        for j in range(degree + 1):
            terms = [
                constant(self.coefficients[i] * math.comb(i, j)) * powers[i - j]
                for i in range(j, degree + 1)
                if self.coefficients[i]
            ]
            parts.append(sum(terms, np.zeros_like(public)))
        return parts, msb


def factors_of(operation: Operation) -> list[Factor]:
    kinds, rows = operation.attributes["factors"], operation.attributes["coefficients"]
    assert isinstance(kinds, tuple)
    assert isinstance(rows, tuple)
    result = []
    for index, kind in enumerate(kinds):
        result.append(Factor(str(kind), integers({"row": rows[index]}, "row"), ring_type(operation, index)))
    return result


def terms_of(factors: list[Factor]) -> list[tuple[int, ...]]:
    """For each dealt product: which atom of each factor takes part, 0 for its public part."""
    choices = itertools.product(*(range(f.atoms + 1) for f in factors))
    return [choice for choice in choices if any(choice)]


def slot_name(term: tuple[int, ...]) -> str:
    """A name of its own for every term, powers of two digits included."""
    return "_".join(map(str, term))


def term_shape(factors: list[Factor], term: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a term's slot: an axis of variants for every factor in it, then their broadcast shape."""
    parts = [f for f, atom in zip(factors, term, strict=True) if atom]
    return (*(f.variants for f in parts), *np.broadcast_shapes(*(f.shape for f in parts)))


def _spread(array: U64, position: int, count: int, rank: int) -> U64:
    """[variants, *shape], its variants at axis `position` of `count`, its shape aligned to `rank` axes."""
    axes = [1] * count
    axes[position] = array.shape[0]
    return array.reshape(*axes, *(1,) * (rank - array.ndim + 1), *array.shape[1:])


@implements("product")
class Product(ProtocolClass):
    """Local: the openings of the factors were the messages."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        factors, bits = factors_of(operation), ring_type(operation).ring
        return [
            Slot(slot_name(term), Role.DERIVED, math.prod(term_shape(factors, term)), bits)
            for term in terms_of(factors)
        ]

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return math.prod(ring_type(operation).shape) * len(terms_of(factors_of(operation)))

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        factors, bits = factors_of(operation), ring_type(operation).ring
        atoms = [f.expand_mask(m) for f, m in zip(factors, masks, strict=True) if m is not None]
        derived = {}
        for term in terms_of(factors):
            involved = [i for i, atom in enumerate(term) if atom]
            rank = max(len(factors[i].shape) for i in involved)
            value = np.ones((), dtype=np.uint64)
            for position, i in enumerate(involved):
                value = value * _spread(atoms[i][term[i] - 1], position, len(involved), rank)
            derived[slot_name(term)] = reduce(value, bits).reshape(-1)
        return Dealt(derived)

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        factors, ring = factors_of(operation), ring_type(operation)
        publics = [f.public_parts(v) for f, v in zip(factors, operands, strict=True)]
        drawn = party.draw(operation)
        total = np.zeros(ring.shape, dtype=np.uint64)
        if party.index == 0:
            total = total + math.prod([p[0] for p, _ in publics], start=np.ones((), np.uint64))
        for term in terms_of(factors):
            share = drawn[slot_name(term)].reshape(term_shape(factors, term))
            involved = [i for i, atom in enumerate(term) if atom]
            for i in involved:  # each step consumes the leading variants axis
                share = cls._contract(
                    share, publics[i][0][term[i]], publics[i][1], len(involved) - 1 - involved.index(i)
                )
            for i, atom in enumerate(term):
                if not atom:
                    share = share * publics[i][0][0]
            total = total + share
        return reduce(total, ring.ring)
        yield

    @staticmethod
    def _contract(share: U64, coefficient: U64, variant: U64 | None, later: int) -> U64:
        """Selects or sums the leading variants axis, weighted by `coefficient`; `later` more axes follow."""
        if variant is None:  # coefficient is [variants, *shape]
            rank = share.ndim - 1 - later
            spread = coefficient.reshape(
                coefficient.shape[0], *(1,) * (later + rank - coefficient.ndim + 1), *coefficient.shape[1:]
            )
            return np.asarray((share * spread).sum(axis=0, dtype=np.uint64))
        return np.asarray(np.where(variant.astype(bool), share[1], share[0]) * coefficient)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        result = np.ones((), dtype=np.int64)
        for factor, value in zip(factors_of(operation), operands, strict=True):
            if factor.kind == "value":
                part = value
            elif factor.kind == "polynomial":
                part = np.zeros_like(value)
                for c in reversed(factor.coefficients):
                    part = part * value + c
            else:
                row = np.array(factor.coefficients[1:], dtype=np.int64).reshape(-1, *(1,) * len(factor.shape))
                part = (row * value).sum(axis=0) + factor.coefficients[0]
            result = result * part
        return result
