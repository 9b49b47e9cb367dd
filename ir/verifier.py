"""What a program must satisfy after every pass: SSA form, operation classes, types, information flow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.dialects import OperationClass, definition
from mpcc.ir.dialects.party import START
from mpcc.ir.information_flow import flow_problems, known_to
from mpcc.ir.legality import STAGE_TABLES
from mpcc.ir.printer import operation_place, print_type
from mpcc.ir.program import Attributes, Operation, Program, Stage, Value
from mpcc.ir.types import PendingType, RingType, Sharing, TensorType, Type, Visibility

_NAME = re.compile(r"[A-Za-z0-9_.]+")
_EXACT = (Sharing.PRIVATE0, Sharing.PRIVATE1, Sharing.PUBLIC)


def verify(program: Program, *, rings_assigned: bool = True) -> None:
    """Checks everything, then raises one MpccErrors with all offenders.

    Lowering states rings as wide as they get: with `rings_assigned` false the widths are not compared.

    MPC-I020 legality, MPC-I021 SSA form, MPC-I022 attributes, MPC-I023 operands that do not fit, MPC-I024
    stated result types, MPC-I025 information flow, MPC-I026 reveals that the compile request did not ask for.
    """
    verifier = _Verifier(program, rings_assigned)
    for index, operation in enumerate(program.operations):
        verifier.check(operation, operation_place(index, operation))
    verifier.check_outputs()
    verifier.diagnostics.raise_if_any()


@dataclass(frozen=True)
class _Meaning:
    """What is to be inferred: the operation itself, or for a `finish` the protocol that it ends."""

    operation_class: type[OperationClass]
    operands: list[Type]
    attributes: Attributes


class _Verifier:
    def __init__(self, program: Program, rings_assigned: bool) -> None:
        self.program = program
        self._rings_assigned = rings_assigned
        self.diagnostics = Diagnostics()
        self._defined: dict[str, Value] = {}
        self._started: dict[Value, tuple[Operation, str]] = {}  # protocols under way, and where they started
        self._reveals = program.attributes.get("reveals", ())

    def check(self, operation: Operation, place: str) -> None:
        refusals = STAGE_TABLES[self.program.stage].refusals(operation)
        self._report("MPC-I020", refusals, place)
        self._check_ssa(operation, place)
        if refusals:
            return
        meaning = self._meaning(operation, place)
        if meaning is None:
            return
        try:
            definition(self.program.stage, operation.kind).check_attributes(operation.attributes)
        except ValueError as error:
            self._report("MPC-I022", [str(error)], place)
            return
        try:
            inferred = meaning.operation_class.infer(meaning.operands, meaning.attributes)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            self._report("MPC-I023", [f"{operation.kind} does not accept its operands: {error}"], place)
            return
        stated = [value.type for value in operation.results]
        if len(stated) != len(inferred):
            self._report(
                "MPC-I024", [f"{len(stated)} results are stated, {len(inferred)} are inferred"], place
            )
            return
        for value, expected in zip(operation.results, inferred, strict=True):
            if not self._agrees(value.type, expected, is_source=not meaning.operands):
                message = (
                    f"%{value.name} is stated as {print_type(value.type)}, inferred is {print_type(expected)}"
                )
                self._report("MPC-I024", [message], place)
        self._report("MPC-I025", flow_problems(meaning.operation_class, meaning.operands, stated), place)
        if getattr(meaning.operation_class, "opens", None) == "reveal":
            for value in operation.results:
                self._check_reveal(value, meaning.attributes, place)

    def check_outputs(self) -> None:
        for number, (name, value) in enumerate(self.program.outputs.items()):
            if self._defined.get(value.name) is not value:
                line = len(self.program.operations) + 2 + number
                self._report(
                    "MPC-I021", [f"output '{name}': %{value.name} is not defined"], f"line {line}: output"
                )
        for value, (_, place) in self._started.items():
            self._report("MPC-I021", [f"%{value.name} is started and never finished"], place)

    def _report(self, code: str, messages: list[str], place: str) -> None:
        for message in messages:
            self.diagnostics.add(code, message, where=place)

    def _check_ssa(self, operation: Operation, place: str) -> None:
        for value in operation.operands:
            if self._defined.get(value.name) is not value:
                self._report("MPC-I021", [f"%{value.name} is used before it is defined"], place)
        for value in operation.results:
            if value.name in self._defined:
                self._report("MPC-I021", [f"%{value.name} is defined a second time"], place)
            if not _NAME.fullmatch(value.name):
                self._report("MPC-I021", [f"'{value.name}' is no name of a value"], place)
            self._defined[value.name] = value

    def _meaning(self, operation: Operation, place: str) -> _Meaning | None:
        """None, and reported, for a `finish` without its `start`."""
        stage = self.program.stage
        types = [value.type for value in operation.operands]
        if stage is Stage.PARTY and operation.kind == "finish":
            started = self._started.pop(operation.operands[0], None) if len(types) == 1 else None
            if started is None:
                self._report(
                    "MPC-I021", ["finish needs one protocol that is started and not finished yet"], place
                )
                return None
            start, _ = started
            protocol = definition(stage, start.kind.removeprefix(START))
            return _Meaning(protocol, [value.type for value in start.operands], start.attributes)
        if stage is Stage.PARTY and operation.kind.startswith(START):
            self._started.update(dict.fromkeys(operation.results, (operation, place)))
        return _Meaning(definition(stage, operation.kind), types, operation.attributes)

    def _check_reveal(self, value: Value, attributes: Attributes, place: str) -> None:
        """A revealed value must be in the program's `reveals`, as NAME=WHO with WHO party0, party1 or public.

        At the share stage it must be the output of that name. A protocol that is only started has a secret
        result; that it is finished is checked elsewhere.
        """
        who = known_to(value.type)
        if who is Visibility.SECRET:
            return
        name = str(attributes.get("name"))
        request = f"{name}={who}"
        if not isinstance(self._reveals, tuple) or request not in self._reveals:
            self.diagnostics.add(
                "MPC-I026",
                f"the program reveals '{request}', which the compile request did not ask for",
                remedy="compile with --reveal if that is meant, otherwise this is an error of the compiler",
                where=place,
            )
        if self.program.stage is Stage.SHARE and self.program.outputs.get(name) is not value:
            message = f"the revealed value %{value.name} is not the output '{name}'"
            self._report("MPC-I026", [message], place)

    def _agrees(self, stated: Type, inferred: Type, is_source: bool) -> bool:
        """Whether a stated type may stand for the inferred one. Ranges are free.

        Visibilities of computed values are left to the information-flow check.
        """
        if isinstance(stated, TensorType) and isinstance(inferred, TensorType):
            same_visibility = stated.visibility is inferred.visibility or not is_source
            return same_visibility and (stated.dtype, stated.shape) == (inferred.dtype, inferred.shape)
        if isinstance(stated, RingType) and isinstance(inferred, RingType):
            same = (stated.fraction, stated.shape) == (inferred.fraction, inferred.shape)
            return same and _same_sharing(stated, inferred, is_source) and self._ring_fits(stated, inferred)
        return isinstance(stated, PendingType) and stated == inferred

    def _ring_fits(self, stated: RingType, inferred: RingType) -> bool:
        """The ring of a shared value may be narrower: both parties drop top bits."""
        if stated.sharing in _EXACT:
            return stated.ring == inferred.ring
        return stated.ring <= inferred.ring or not self._rings_assigned


def _same_sharing(stated: RingType, inferred: RingType, is_source: bool) -> bool:
    """A computed private or public value may be stated as a share: 0 is the part of who does not know it."""
    as_share = stated.sharing is Sharing.SHARE and inferred.sharing in _EXACT and not is_source
    return stated.sharing is inferred.sharing or as_share
