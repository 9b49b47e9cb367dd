"""The choice: every candidate of every node is lowered alone for its cost and error, the cheapest plan wins.

An error at a node moves the outputs by its gain; errors of different nodes are independent, so their squares
add up. Minimised is the predicted time online, and a small share of the time offline, which somebody pays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mpcc.compiler.choose.candidates import Candidate, candidates_of
from mpcc.compiler.choose.gains import KINDS, gains
from mpcc.compiler.choose.nodes import ELEMENTWISE, Node, nodes_of, sampled
from mpcc.compiler.choose.price import Price
from mpcc.compiler.choose.probe import Probes
from mpcc.compiler.choose.solve import cheapest
from mpcc.compiler.choose.uses import OWN, Uses
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.check import run_local
from mpcc.compiler.frontend.imported import Imported
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.program import Operation
from mpcc.ir.types import Range
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.plan import Plan

Arrays = dict[str, np.ndarray]
SAMPLES = 2  # calibration samples that errors are measured on
TURNS = 2  # of all kinds of noise, for the gains
APPROXIMATIONS_SHARE = 0.5  # of --max-error; rounding has the rest
# Without --max-error: how much less accurate than by lowering's own a node may become. Without a dealer three
# bits of accuracy are a half of what two parties send each other for a GeLU.
ROOMS = {CorrelationSource.DEALER: 1.05, CorrelationSource.TWO_PARTY: 8.0}
NEAR = 1.2  # to the most accurate plan, where none keeps the budget
DIGITS = 3  # of gains and errors: machines differ in the last ones
BEATEN = 1.25  # by another that is so much cheaper and at most so much less accurate: not tried at like nodes
DEFAULT = "default"  # what lowering takes on its own, where that is refused


@dataclass(frozen=True)
class Option:
    """A candidate that computes a node: `approximation` is what lowering really takes for `candidate`.

    `range` is that of its argument. `rms` and `max` are its error at the node's result: the root mean square
    of all elements of a function, else of the worst row.
    """

    candidate: Candidate
    approximation: Approximation
    range: tuple[float, float]
    price: Price
    rms: float
    max: float

    @property
    def cost(self) -> float:
        """Seconds, as they are minimised."""
        return self.price.cost


@dataclass
class Choice:
    """One node's options, and the position of the chosen one. `gain`: the outputs' change per rms error."""

    node: Node
    fixed: bool
    room: float  # of ROOMS
    gain: float = 0.0
    options: list[Option] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)  # (candidate, why it does not do)
    chosen: int = 0
    reference: float = 0.0  # rms error of what lowering takes on its own

    @property
    def taken(self) -> Option:
        return self.options[self.chosen]

    def error(self, option: Option) -> float:
        """Of the outputs, from this node alone."""
        return self.gain * option.rms

    @property
    def counted(self) -> bool:
        """Whether the error is one of an approximation: a replaced function is no longer the model's."""
        return not self.taken.approximation.changes_model

    @property
    def standard(self) -> float:
        """The rms error of lowering's own approximation, or the least there is, where it has none as good."""
        return max(self.reference, min(o.rms for o in self.options))

    def good(self, option: Option) -> bool:
        """Accurate enough where no error is asked for."""
        return option.rms <= self.room * self.standard

    def runner_up(self) -> Option | None:
        """The cheapest that was not taken."""
        others = [o for o in self.options if o.approximation != self.taken.approximation]
        return min(others, key=lambda o: (o.cost, o.rms)) if others else None


@dataclass(frozen=True)
class Choices:
    """All choices of a program. `budget` bounds `error`, both of the outputs; it comes from `max_error`, or
    from how good each choice has to be.
    """

    choices: tuple[Choice, ...]
    budget: float
    max_error: float | None

    @property
    def plan(self) -> Plan:
        taken = {c.node.value: c.taken.candidate for c in self.choices}
        return {name: candidate for name, candidate in taken.items() if candidate is not None}

    @property
    def taken(self) -> dict[str, str]:
        """The names of the choices by value, as ranges.json keeps them."""
        return {c.node.value: _name(c.taken.candidate) for c in self.choices}

    @property
    def error(self) -> float:
        return _together(c.error(c.taken) for c in self.choices if c.counted)


@dataclass(frozen=True)
class Judge:
    """What decides: the model and its samples, where probes are lowered, and what was asked for.

    `taken` are the names of an earlier compilation's choices by value: they stay, so that what depends on the
    weights is decided once.
    """

    imported: Imported
    model: Path
    samples: Sequence[Arrays]
    probes: Probes
    uses: Uses
    max_error: float | None
    taken: Mapping[str, str] = field(default_factory=dict)
    _beaten: dict[tuple[object, ...], dict[str, str]] = field(default_factory=dict)

    def choices(self) -> Choices:
        """Raises what lowering raises where nothing computes a node."""
        nodes = nodes_of(self.imported.program)
        if not nodes:
            return Choices((), 0.0, self.max_error)
        sites = [n.site.name for n in nodes]
        with ThreadPoolExecutor(1) as pool:  # onnxruntime leaves this thread free for the lowering
            tested = spread(self.samples, self._turns * len(KINDS))
            moved = pool.submit(gains, self.imported, self.model, tested, sites, self._turns)
            computed = [self._parts(sample, nodes) for sample in spread(self.samples, SAMPLES)]
            choices = []
            with Diagnostics() as diagnostics:
                for node in nodes:
                    try:
                        choices.append(self._tried(node, [parts[node.value] for parts in computed]))
                    except MpccError as error:
                        diagnostics.collect(error)
            for choice in choices:
                choice.gain = _short(moved.result()[choice.node.site.name])
        return self._decided(choices)

    @property
    def _turns(self) -> int:
        """Of noise: gains decide with --max-error only, else they are shown."""
        return 1 if self.max_error is None else TURNS

    def _parts(self, sample: Arrays, nodes: Sequence[Node]) -> dict[str, Arrays]:
        """Of what each node reads, the part that is looked at, by the node's value; no more is kept."""
        program = self.imported.program
        reading = {o.result: node for node in nodes for o in node.operations}
        read: dict[str, Arrays] = {node.value: {} for node in nodes}

        def observe(operation: Operation, operands: list[np.ndarray], y: np.ndarray) -> None:
            if (node := reading.get(operation.result)) is None:
                return
            pairs = zip(operation.operands, operands, strict=True)
            whole = read[node.value] | {v.name: array for v, array in pairs if v in node.operands}
            read[node.value] = sampled(node, whole) if operation.result is node.site else whole

        inputs, replaced = run_local(self.imported, sample), self.uses.replaced(program)
        evaluate(program, inputs, observe=observe, keep_all=False, replaced=replaced)
        return read

    def _tried(self, node: Node, parts: list[Arrays]) -> Choice:
        """A node's options. Raises the first refusal where no candidate computes it."""
        source = source_of(self.imported.program.attributes)
        choice, first = Choice(node, self.uses.fixed(node.kind) is not None, ROOMS[source]), None
        beaten = self._beaten.get(node.alike, {})
        safety = self.probes.formats.safety
        candidates = candidates_of(node, self._argument(node), safety, self.uses, source)
        earlier = [c for c in candidates if _name(c) == self.taken.get(node.value)]
        for candidate in earlier or candidates:
            name = _name(candidate)
            if candidate is not None and (reason := beaten.get(name) or self._outside(choice, candidate)):
                choice.refused.append((name, reason))
                continue
            try:
                option = self._option(node, candidate, parts)
            except MpccError as error:
                first = first or error
                choice.refused.append((name, error.message))
                continue
            if choice.fixed or candidate is None:
                choice.reference = option.rms
            if self.uses.allows(node.kind, option.approximation):
                choice.options.append(option)
        if not choice.options:
            raise first or self._none(choice)
        self._beaten.setdefault(node.alike, _beaten(choice))
        return choice

    def _none(self, choice: Choice) -> MpccError:
        """Only kinds of fits were allowed of which none does."""
        node, extent = choice.node, self._argument(choice.node)
        own, safety = self.uses.own[node.kind], self.probes.formats.safety
        seen = "" if extent is None else f" within [{extent.low / safety:.3g}, {extent.high / safety:.3g}]"
        return MpccError(
            "MPC-P026",
            f"no {' or '.join(own)} of the compiler's own is accurate enough for {node.kind}{seen}",
            where=", ".join(node.operation.onnx_nodes) or node.value,
            remedy=f"let the compiler choose with --approximate {node.kind}=best, or ask for another kind: "
            f"{', '.join(name for name, kinds in OWN.items() if kinds != own)}",
        )

    def _outside(self, choice: Choice, candidate: Approximation) -> str:
        """Both ranges where a domain is too small; what was asked for, lowering judges."""
        extent = self._argument(choice.node)
        if choice.fixed or extent is None:
            return ""
        low, high = (end / self.probes.formats.safety for end in (extent.low, extent.high))
        if candidate.covers(low, high):
            return ""
        domain = "[{:.3g}, {:.3g}]".format(*candidate.domain)
        return f"the calibrated range [{low:.3g}, {high:.3g}] leaves its domain {domain}"

    def _option(self, node: Node, candidate: Candidate, parts: list[Arrays]) -> Option:
        price, used = self.probes.price(node, candidate)
        assert used is not None
        differences = self.probes.error(node, candidate, parts)
        rms = _rms(node, differences)
        largest = max(float(np.max(np.abs(d), initial=0.0)) for d in differences)
        return Option(
            candidate, used.approximation, (used.low, used.high), price, _short(rms), _short(largest)
        )

    def _argument(self, node: Node) -> Range | None:
        """The calibrated and widened range of a function's argument or of a softmax's scores."""
        quantity = "scores" if node.kind == "softmax" else "input"
        return self.probes.internals.get((node.value, quantity))

    def _decided(self, choices: list[Choice]) -> Choices:
        """The cheapest plan within the budget; where there is none, within reach of the most accurate."""
        counted = [c for c in choices if c.counted]
        if self.max_error is not None:
            allowed = [c.options for c in counted]
            budget = APPROXIMATIONS_SHARE * self.max_error
        else:
            allowed = [[o for o in c.options if c.good(o)] for c in counted]
            budget = _together(max(map(c.error, a)) for c, a in zip(counted, allowed, strict=True))
        errors = [[c.error(o) ** 2 for o in a] for c, a in zip(counted, allowed, strict=True)]
        costs = [[o.cost for o in a] for a in allowed]
        picked = cheapest(costs, errors, max(budget**2, NEAR**2 * sum(map(min, errors))))
        assert picked is not None
        for choice, options, index in zip(counted, allowed, picked, strict=True):
            choice.chosen = choice.options.index(options[index])
        return Choices(tuple(choices), budget, self.max_error)


def _name(candidate: Candidate) -> str:
    return candidate.name if candidate else DEFAULT


def _beaten(choice: Choice) -> dict[str, str]:
    """Options that another one beats by far, and a reason not to try them again."""
    return {
        option.approximation.name: f"beaten by {other.approximation.name} in {choice.node.layer}"
        for option in choice.options
        for other in choice.options
        if option.candidate is not None
        and BEATEN * other.cost <= option.cost
        and other.rms <= BEATEN * option.rms
    }


def spread(samples: Sequence[Arrays], count: int) -> list[Arrays]:
    """So many of the samples, evenly apart."""
    positions = np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int)
    return [samples[i] for i in positions]


def _rms(node: Node, differences: Sequence[np.ndarray]) -> float:
    """Of all elements, or of the worst row where rows err together: a model may look at that one only."""
    if node.kind in ELEMENTWISE:
        return math.sqrt(float(np.mean([np.mean(np.square(d)) for d in differences])))
    return math.sqrt(max(float(np.max(np.mean(np.square(np.atleast_1d(d)), axis=-1))) for d in differences))


def _together(errors: Iterable[float]) -> float:
    """Of independent errors."""
    return math.sqrt(sum(e * e for e in errors))


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS - 1}e}")
