"""What each party receives while two parties make correlations, message by message, with their own OTs and
keys: sessions of one connection, as `mpcc prepare` makes them.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.kernels import NttTables
from mpcc.runtime.ring import I64, U64
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.engine import Engine
from mpcc.runtime.two_party.ot.silent_choice import Extension
from mpcc.runtime.two_party.ot.silent_parameters import Stages
from mpcc.runtime.two_party.rlwe import encryption, matrix_product
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters
from mpcc.runtime.two_party.rlwe.ole_scheme import Packing, _Scheme
from mpcc.runtime.two_party.rlwe.parameters import tables
from tests.runtime.protocols.cases import Case
from tests.runtime.protocols.fixed import FIXED
from tests.runtime.protocols.harness import Prepared
from tests.runtime.protocols.products import nested, products
from tests.runtime.two_party.engines import both_parties
from tests.runtime.two_party.sessions import Made, Seeds

ELEMENTS = 128
TREE_BITS = 4


@dataclass(frozen=True, eq=False)
class Numbers:
    """Uniform below `modulus`, in multiples of `step`, if they are what they should be."""

    values: U64
    modulus: int
    step: int = 1


@dataclass
class Received:
    """By one party in one session. `form`: of each message who takes it and its length, in order."""

    form: list[tuple[str, int]] = field(default_factory=list)
    numbers: dict[str, list[Numbers]] = field(default_factory=dict)

    def add(self, label: str, numbers: Numbers) -> None:
        self.numbers.setdefault(label, []).append(numbers)


class Observer:
    """Both parties run in threads of their own; `views` are those of the session under way."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def session(self) -> Iterator[Received]:
        """What this thread's party receives."""
        self._local.view = Received()
        yield self._local.view
        self._local.view = None

    @property
    def view(self) -> Received | None:
        return getattr(self._local, "view", None)

    def exchange(self, original: Callable[..., memoryview]) -> Callable[..., memoryview]:
        """`StreamChannel.exchange`: all of it is uniform bits, but the points of base OTs."""

        def call(channel: StreamChannel, outgoing: Any, incoming_length: int) -> memoryview:
            received = original(channel, outgoing, incoming_length)
            self._raw(sys._getframe(1).f_code.co_qualname, received)
            return received

        return call

    def receive(self, original: Callable[..., memoryview]) -> Callable[..., memoryview]:
        """`StreamChannel.receive`. What is unpacked to residues is kept where that is done."""

        def call(channel: StreamChannel, length: int) -> memoryview:
            received = original(channel, length)
            self._raw(sys._getframe(1).f_code.co_qualname, received)
            return received

        return call

    def _raw(self, label: str, received: memoryview) -> None:
        if self.view is not None:
            self.view.form.append((label, len(received)))
            if label in BITS and len(received):
                self.view.add(label, Numbers(np.frombuffer(bytes(received), np.uint8).astype(np.uint64), 256))

    def residues(self, original: Callable[..., U64]) -> Callable[..., U64]:
        """`receive_residues`, of keys and ciphertexts modulo the primes of the chain."""

        def call(channel: StreamChannel, rows: tuple[int, ...], count: int) -> U64:
            values = original(channel, rows, count)
            for part, prime in zip(values, tables(rows).moduli, strict=True):
                self._keep("residues of " + sys._getframe(1).f_code.co_qualname, part, int(prime))
            return values

        return call

    def words(self, original: Callable[..., U64]) -> Callable[..., U64]:
        """`_receive` of a reply's rounded coefficients."""

        def call(channel: StreamChannel, count: int, bits: int) -> U64:
            values = original(channel, count, bits)
            if sys._getframe(1).f_code.co_name == "_receive_pair":
                self._keep("words of replies", values, 1 << bits)
            return values

        return call

    def unpack(self, original: Callable[..., U64]) -> Callable[..., U64]:
        """`Packing.unpack`, of keys, requests and replies of elementwise products."""

        def call(packing: Packing, data: memoryview, count: int) -> U64:
            values = original(packing, data, count)
            if self.view is not None:
                label = f"slots for {sys._getframe(1).f_code.co_qualname}"
                seen, (transform, domains) = values.copy(), DOMAINS[packing]
                if transform is not None:  # where errors are small
                    kernels.ntt_inverse(seen, transform)
                for place, (prime, step) in enumerate(domains):
                    self._keep(label, seen[:, place].reshape(-1) * np.uint64(step), prime, step)
            return values

        return call

    def _keep(self, label: str, values: U64, modulus: int, step: int = 1) -> None:
        if self.view is not None and values.size:
            self.view.add(label, Numbers(values.copy(), modulus, step))


BITS = (
    "Transfers._corrections",
    "Transfers._receive",
    "SoftSpokenSender.__init__",
    "SoftSpokenSender.extend",
    "SilentReceiver._begin",
)


Domains = tuple[NttTables | None, list[tuple[int, int]]]
DOMAINS: WeakKeyDictionary[Packing, Domains] = WeakKeyDictionary()
"""How what a packing has is transformed; modulo what its residues are, and in what multiples."""


def _with_domains(original: Callable[..., None]) -> Callable[..., None]:
    """`_Scheme.__init__`."""

    def init(scheme: _Scheme, parameters: SlotParameters) -> None:
        original(scheme, parameters)
        DOMAINS[scheme.requests] = parameters.tables, [(int(p), 1) for p in parameters.moduli]
        for replies, dropped in zip(scheme.replies, parameters.dropped, strict=True):
            DOMAINS[replies] = (
                None,
                [*((p, 1) for p in parameters.plain), (parameters.wide[0], 1 << dropped)],
            )

    return init


@contextmanager
def observing() -> Iterator[Observer]:
    observer = Observer()
    wrapped: list[tuple[Any, str, Callable[..., Any]]] = [
        (StreamChannel, "exchange", observer.exchange),
        (StreamChannel, "receive", observer.receive),
        (encryption, "receive_residues", observer.residues),
        (matrix_product, "receive_residues", observer.residues),
        (encryption, "_receive", observer.words),
        (Packing, "unpack", observer.unpack),
        (_Scheme, "__init__", _with_domains),
    ]
    with ExitStack() as stack:
        for owner, name, wrap in wrapped:
            stack.enter_context(mock.patch.object(owner, name, wrap(getattr(owner, name))))
        yield observer


Views = tuple[list[Received], list[Received]]
"""Each party's, session by session, after that of what is made once: base OTs and seeds of the extension."""


def views(made: Sequence[Made], seeds: Sequence[Seeds], stages: Stages = ()) -> Views:
    """All programs with each session's seeds, one after another, over one connection."""

    def work(party: int, channel: StreamChannel) -> list[Received]:
        with observer.session() as setup:
            engine = Engine.connect(party, channel, Extension(TREE_BITS, stages))
        found = [setup]
        for pair in seeds:
            with observer.session() as view:
                for each in made:
                    for _ in each.generation(engine, _seeds_of(each, pair)).pieces():
                        pass
            found.append(view)
        return found

    with observing() as observer:
        return both_parties(work)


def _seeds_of(made: Made, seeds: Seeds) -> Seeds:
    """A session of each program has seeds of its own: values of two programs have the same names."""
    first, second = (hashlib.sha256(made.name.encode() + seed).digest()[:16] for seed in seeds)
    return first, second


class Weighted(Made):
    """All weights are one number."""

    def __init__(self, case: Case, weight: int, name: str) -> None:
        super().__init__(Prepared(case.program), case.arrays, name)
        self._weight = weight

    def weight(self, operation: Operation) -> I64:
        return np.full_like(super().weight(operation), self._weight)


def programs(weight: int) -> list[Made]:
    """Every kind with derived slots."""
    return [
        *small_programs(weight, ELEMENTS),
        Weighted(products(), weight, "products"),
        Weighted(nested(), weight, "nested"),
    ]


def small_programs(weight: int, elements: int, names: Sequence[str] = ()) -> list[Made]:
    """Those of one operation, all or the ones named."""
    chosen = [fixed for fixed in FIXED if not names or fixed.kind in names]
    return [Weighted(fixed.case(1, elements), weight, fixed.kind) for fixed in chosen]
