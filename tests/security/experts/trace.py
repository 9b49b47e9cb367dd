"""Everything that an observer of one party's process could see of a run, but for the values themselves.

In order: every line of the runtime that is executed; what each operation reads and writes, with types, shapes
and memory layout; the length of every message; every draw of correlations, with slots and offset; every call
of a kernel, with shapes and numbers; every index into an array, with its contents. The kernels are their
NumPy twins, whose indices are seen, too.

Three operations look up tables at places that follow from what they open: `OPENED`. Their indices are kept
apart, in `opened`.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

import numpy as np

import mpcc.runtime
from mpcc.ir.dialects import base as dialect_base
from mpcc.ir.program import Operation
from mpcc.runtime import interpreter, kernels, ring, values
from mpcc.runtime.correlations import draw, slots
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.slots import Slot
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.kernels import twin
from mpcc.runtime.protocols import base, masked_polynomial, protocols
from mpcc.runtime.protocols.base import Party, ProtocolClass, Step
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue, Served
from tests.runtime.protocols.harness import Arrays, Prepared, Run
from tests.security.experts.subscripts import reported_indices

OPENED = ("exponential", "row_reaches", "sine_series")
NOT_ON_DATA = {"isa", "keep_memory", "return_memory"}
KERNELS = sorted(set(twin.KERNELS) - NOT_ON_DATA)
TWINS = [module for name, module in sys.modules.items() if name.startswith(twin.__name__)]
RUNTIME = os.path.dirname(str(mpcc.runtime.__file__))
Event = tuple[Any, ...]


@dataclass
class Trace:
    """`opened`: operation, line and contents of indices that follow from openings."""

    events: list[Event] = field(default_factory=list)
    opened: list[tuple[str, int, np.ndarray]] = field(default_factory=list)

    def difference(self, other: Trace) -> str:
        """The first one, in words; none at all is the empty string."""
        for number, (mine, theirs) in enumerate(zip_longest(self.events, other.events)):
            if mine != theirs:
                return f"event {number}: {mine} or {theirs}"
        return ""


def described(value: RuntimeValue) -> Event:
    """The form of what an operation reads or writes: its type, and of each array all but the contents."""
    if isinstance(value, Masked):
        return ("masked", *described(value.opened), *described(value.mask))
    if isinstance(value, MaskedBits):
        return ("bits", *described(value.opened))
    if isinstance(value, Served):
        return ("served", *described(value.data))
    if value is None:
        return ("absent",)
    return (value.shape, value.strides, str(value.dtype), value.nbytes)


def contents(index: Any) -> Any:
    """An index with its arrays written out, for comparison."""
    if isinstance(index, np.ndarray):
        return (index.shape, str(index.dtype), index.tobytes())
    return tuple(map(contents, index)) if isinstance(index, tuple) else index


def arrays(index: Any) -> list[np.ndarray]:
    if isinstance(index, tuple):
        return [array for part in index for array in arrays(part)]
    return [index.copy()] if isinstance(index, np.ndarray) else []


def executed_lines(events: list[Event]) -> Callable[..., Any]:
    """A trace function of `sys.settrace` that appends the lines of the runtime."""

    def executed(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            events.append(("line", frame.f_code.co_name, frame.f_lineno))
        return executed

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        return executed if frame.f_code.co_filename.startswith(RUNTIME) else None

    return called


class Recorder:
    """Traces of both parties; a thread is one party's during that party's run."""

    def __init__(self) -> None:
        self.traces = (Trace(), Trace())
        self._here = threading.local()

    def add(self, *event: Any) -> None:
        """To the trace of the party whose run this thread is in; what the dealer does is not traced."""
        if (trace := getattr(self._here, "trace", None)) is not None:
            trace.events.append(event)

    def run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`Interpreter.run`, with the lines it executes."""

        def call(party: Interpreter, *arguments: Any) -> Any:
            self._here.trace, before = self.traces[party.index], sys.gettrace()
            sys.settrace(executed_lines(self._here.trace.events))
            try:
                return original(party, *arguments)
            finally:
                sys.settrace(before)
                self._here.trace = None

        return call

    def protocol(self, original: type[ProtocolClass]) -> type[ProtocolClass]:
        """The protocol, with what it reads, sends, receives and writes."""

        def run(cls: Any, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
            self.add("reads", operation.kind, operation.result.name, *map(described, operands))
            steps, received = original.run(operation, party, operands), None
            while True:
                self._here.kind = operation.kind
                try:
                    message = next(steps) if received is None else steps.send(received)
                except StopIteration as stop:
                    self.add("writes", operation.result.name, described(stop.value))
                    return stop.value
                finally:
                    self._here.kind = ""
                self.add("sends", operation.result.name, len(message))
                received = yield message
                self.add("receives", operation.result.name, len(received))

        return type(original.__name__, (original,), {"run": classmethod(run)})

    def draw(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`CorrelationSource.draw`, offline or online."""

        def call(source: CorrelationSource, name: str, slots: list[Slot]) -> Any:
            drawn = [(s.name, str(s.role), s.count, s.bits) for s in slots]
            self.traces[source._party].events.append(("draws", name, drawn, source._offsets.get(name)))
            return original(source, name, slots)

        return call

    def kernel(self, name: str) -> Callable[..., Any]:
        original = getattr(twin, name)

        def call(*arguments: Any) -> Any:
            forms = (a if isinstance(a, int | np.integer) else np.shape(a) for a in arguments)
            self.add("kernel", name, *forms)
            return original(*arguments)

        return call

    def index(self, index: Any) -> None:
        if not arrays(index) or getattr(self._here, "trace", None) is None:
            return
        kind, line = getattr(self._here, "kind", ""), sys._getframe(2).f_lineno
        if kind not in OPENED:
            self.add("index", line, contents(index))
            return
        self.add("index", line, [(array.shape, str(array.dtype)) for array in arrays(index)])
        self._here.trace.opened += [(kind, line, array) for array in arrays(index)]


def traced_modules() -> list[ModuleType]:
    """All that works on run-time values."""
    implementations = {sys.modules[protocol.__module__] for protocol in protocols.values()}
    helpers = [base, masked_polynomial, interpreter, values, ring, slots, draw, dialect_base, *TWINS]
    return [*sorted(implementations, key=lambda module: module.__name__), *helpers]


@contextmanager
def recording() -> Iterator[Recorder]:
    """Runs of interpreters in this block are traced."""
    recorder = Recorder()
    wrapped = {kind: recorder.protocol(protocol) for kind, protocol in protocols.items()}
    with ExitStack() as stack:
        gc.disable()  # other tests' garbage may have lines of the runtime to execute when it goes
        stack.callback(gc.enable)
        stack.enter_context(reported_indices(traced_modules(), recorder.index))
        stack.enter_context(mock.patch.dict(protocols, wrapped))
        stack.enter_context(mock.patch.object(Interpreter, "run", recorder.run(Interpreter.run)))
        stack.enter_context(
            mock.patch.object(CorrelationSource, "draw", recorder.draw(CorrelationSource.draw))
        )
        for name in KERNELS:
            stack.enter_context(mock.patch.object(kernels, name, recorder.kernel(name)))
        yield recorder


def traced(prepared: Prepared, inputs: Arrays, seeds: tuple[bytes, bytes]) -> tuple[tuple[Trace, Trace], Run]:
    """One run. The first one of a program also fills caches of what depends on the program alone."""
    with recording() as recorder:
        run = prepared.run(inputs, seeds)
    return recorder.traces, run
