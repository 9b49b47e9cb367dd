"""Text to program: the inverse of the printer, with every name, operation class and attribute checked.

Any text either parses or raises MpccError with `line:column`; all wrong statements are listed in one
MpccErrors. Result types are taken as written: the verifier compares them with inferred ones.
"""

from __future__ import annotations

from pathlib import Path

from lark import Token

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.dialects import definition
from mpcc.ir.program import Operation, Program, Stage, Value
from mpcc.ir.syntax import HeaderText, Location, OperationText, OutputText, listed, parse_syntax
from mpcc.ir.types import PendingType, Type

# Stands for a type that the text lacks, so that the rest can still be checked.
_MISSING = PendingType("missing")


def parse(text: str, source: str | None = None) -> Program:
    """The program of `text`, without its constants. `source`, a file name, precedes `line:column` in errors.

    Raises MpccError with codes MPC-I001 to MPC-I009.
    """
    location = Location(source)
    header, statements = parse_syntax(text, location)
    assembly = _Assembly(header, location)
    for statement in statements:
        if isinstance(statement, OperationText):
            assembly.add_operation(statement)
        else:
            assembly.add_output(statement)
    assembly.diagnostics.raise_if_any()
    return assembly.program


def read_program(path: Path) -> Program:
    """Parse a file. Raises MpccError: MPC-I010 when it cannot be read as UTF-8 text, else as `parse` does."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MpccError("MPC-I010", f"cannot read the program: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        remedy = "copy the program folder again, the file is damaged"
        raise MpccError("MPC-I010", "the program is not UTF-8 text", remedy=remedy, where=str(path)) from None
    return parse(text, str(path))


class _Assembly:
    """A program under construction: resolves names and collects errors."""

    def __init__(self, header: HeaderText, location: Location) -> None:
        if header.stage not in tuple(Stage):
            message = f"unknown stage '{header.stage}', expected one of {listed(Stage)}"
            raise MpccError("MPC-I003", message, where=location.of(header.stage))
        self.program = Program(header.name, Stage(str(header.stage)), attributes=header.attributes)
        self.diagnostics = Diagnostics()
        self._location = location
        self._values: dict[str, Value] = {}
        self._lines: dict[str, int] = {}

    def add_operation(self, text: OperationText) -> None:
        kind = str(text.kind)
        try:
            operation_class = definition(self.program.stage, kind)
        except ValueError as error:
            self._error("MPC-I004", str(error), text.kind)
        else:
            try:
                operation_class.check_attributes(text.attributes)
            except ValueError as error:
                self._error("MPC-I005", str(error), text.kind)
        operands = tuple(self._use(token) for token in text.operands)
        if len(text.results) != len(text.types):
            self._error(
                "MPC-I008", f"{kind}: {len(text.results)} results but {len(text.types)} types", text.kind
            )
        types = text.types + [_MISSING] * len(text.results)
        results = tuple(self._define(token, type_) for token, type_ in zip(text.results, types, strict=False))
        self.program.operations.append(Operation(kind, operands, results, text.attributes, text.onnx_nodes))

    def add_output(self, text: OutputText) -> None:
        if text.name in self.program.outputs:
            self._error("MPC-I009", f"output '{text.name}' is given twice", text.name_token)
        self.program.outputs[text.name] = self._use(text.value)

    def _define(self, token: Token, type_: Type) -> Value:
        if token in self._values:
            line = self._lines[token]
            self._error("MPC-I007", f"value {token} is defined a second time, first on line {line}", token)
        self._values[token] = value = Value(token[1:], type_)
        self._lines[token] = token.line or 1
        return value

    def _use(self, token: Token) -> Value:
        value = self._values.get(token)
        if value is None:
            self._error("MPC-I006", f"value {token} is not defined before this use", token)
            return Value(token[1:], _MISSING)
        return value

    def _error(self, code: str, message: str, token: Token) -> None:
        self.diagnostics.add(code, message, where=self._location.of(token))
