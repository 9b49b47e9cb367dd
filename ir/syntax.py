"""Syntax of program text: lark's LALR parser with inline callbacks; names are left unresolved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Attribute, Attributes
from mpcc.ir.types import PendingType, Range, RingType, Shape, Sharing, TensorType, Type, Visibility

MAX_DEPTH = 8  # of nested lists; the printer is recursive
MAX_DIMENSION = 2**48

_DTYPES = ("float", "int", "bool")
_Family = TypeVar("_Family", Visibility, Sharing)

# How the terminals of the grammar are called in messages; keywords stand for themselves.
_TERMINALS = {
    "$END": "the end of the text",
    "NAME": "a name",
    "VALUE": "a value such as %0",
    "RESULTS": "results such as '%0 ='",
    "STRING": "a string",
    "DIMENSIONS": "a shape such as 1x8",
    "FLOAT": "a number",
    "INTEGER": "an integer",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "OPEN": "'['",
    "RSQB": "']'",
    "LESSTHAN": "'<'",
    "MORETHAN": "'>'",
    "EQUAL": "'='",
    "COMMA": "','",
    "COLON": "':'",
}


@dataclass(frozen=True)
class Location:
    """Turns positions into the `where` of an error: `[source:]line:column`."""

    source: str | None

    def at(self, line: int, column: int) -> str:
        return f"{self.source}:{line}:{column}" if self.source else f"{line}:{column}"

    def of(self, token: Token) -> str:
        return self.at(token.line or 1, token.column or 1)


@dataclass(frozen=True, slots=True)
class HeaderText:
    name: str
    stage: Token
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class OperationText:
    results: list[Token]
    kind: Token
    operands: list[Token]
    attributes: Attributes
    types: list[Type]
    onnx_nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputText:
    name: str
    name_token: Token
    value: Token


StatementText = OperationText | OutputText


def parse_syntax(text: str, location: Location) -> tuple[HeaderText, list[StatementText]]:
    """Header and statements of a program.

    Raises MpccError: MPC-I001 for text outside the grammar, MPC-I002 for a meaningless literal or type.
    """
    try:
        return cast(tuple[HeaderText, list[StatementText]], _parser().parse(text))
    except UnexpectedInput as error:
        raise _syntax_error(error, text, location) from None
    except _Meaningless as error:
        raise MpccError("MPC-I002", error.message, where=location.of(error.token)) from None


def listed(words: Iterable[str]) -> str:
    return ", ".join(str(word) for word in words)


class _Meaningless(Exception):
    """Text that fits the grammar but is no literal or type."""

    def __init__(self, token: Token, message: str) -> None:
        super().__init__(message)
        self.token = token
        self.message = message


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("mpcir.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_Callbacks(), maybe_placeholders=True)


class _Callbacks(Transformer[Token, Any]):
    """What each grammar rule yields. Called during the parse; keeps no state, so threads may share it."""

    def start(self, children: list[Any]) -> tuple[HeaderText, list[StatementText]]:
        name, stage, attributes, *statements = children
        return HeaderText(_string(name), stage, attributes or {}), statements

    def operation(self, children: list[Any]) -> OperationText:
        results, kind, operands, attributes, types, nodes = children
        if nodes and not all(isinstance(node, str) for node in nodes):
            raise _Meaningless(
                kind, f"{kind}: the list after 'from' must hold strings, the names of ONNX nodes"
            )
        return OperationText(
            _results(results), kind, operands or [], attributes or {}, types or [], nodes or ()
        )

    def output(self, children: list[Token]) -> OutputText:
        name, value = children
        return OutputText(_string(name), name, value)

    def operands(self, children: list[Token]) -> list[Token]:
        return children

    def types(self, children: list[Type]) -> list[Type]:
        return children

    def attributes(self, children: list[tuple[Token, Attribute]]) -> Attributes:
        result: Attributes = {}
        for name, value in children:
            if name in result:
                raise _Meaningless(name, f"attribute '{name}' is given twice")
            result[str(name)] = value
        return result

    def attribute(self, children: list[Any]) -> tuple[Token, Attribute]:
        name, value = children
        return name, value

    def string_literal(self, children: list[Token]) -> str:
        return _string(children[0])

    def float_literal(self, children: list[Token]) -> float:
        return float(children[0])

    def integer_literal(self, children: list[Token]) -> int:
        return _integer(children[0])

    def true_literal(self, children: list[Token]) -> bool:
        return True

    def false_literal(self, children: list[Token]) -> bool:
        return False

    def items(self, children: list[Any]) -> tuple[Attribute, ...]:
        start, *values = children
        if _depth(values) > MAX_DEPTH:
            raise _Meaningless(start, f"lists are nested more than {MAX_DEPTH} deep")
        return tuple(values)

    def tensor_type(self, children: list[Any]) -> TensorType:
        visibility, dtype, shape, bounds = children
        if dtype not in _DTYPES:
            raise _Meaningless(dtype, f"unknown element type '{dtype}', expected one of {listed(_DTYPES)}")
        return TensorType(_member(Visibility, visibility, "visibility"), str(dtype), shape, bounds)

    def ring_type(self, children: list[Any]) -> RingType:
        sharing, ring, fraction, shape, bounds = children
        family = _member(Sharing, sharing, "type")
        try:
            return RingType(family, _integer(ring), _integer(fraction), shape, bounds)
        except ValueError as error:
            raise _Meaningless(ring, str(error)) from None

    def pending_type(self, children: list[Token]) -> PendingType:
        return PendingType(str(children[0]))

    def shape(self, children: list[Token]) -> Shape:
        token = children[0]
        if token == "scalar":
            return ()
        digits = token.split("x")
        dimensions = tuple(int(d) if len(d) <= 15 else MAX_DIMENSION + 1 for d in digits)
        if not all(0 <= d <= MAX_DIMENSION for d in dimensions):
            raise _Meaningless(token, f"a dimension of shape {_shorten(token)} is not within 0..2^48")
        return dimensions

    def bounds(self, children: list[Token]) -> Range:
        start, low, high = children
        try:
            return Range(float(low), float(high))
        except ValueError as error:
            raise _Meaningless(start, str(error)) from None


def _results(token: Token | None) -> list[Token]:
    """The values named in a RESULTS token, each at its own column."""
    if token is None:
        return []
    column = token.column or 1
    matches = re.finditer(r"%[^\s,=]+", token)
    return [Token("VALUE", m[0], line=token.line, column=column + m.start()) for m in matches]


def _string(token: Token) -> str:
    value = str(json.loads(token))
    if "\\u" in token and any("\ud800" <= character <= "\udfff" for character in value):
        raise _Meaningless(token, "the string holds half of a surrogate pair")
    return value


def _integer(token: Token) -> int:
    value = int(token) if len(token) <= 20 else 2**64
    if not -(2**63) <= value < 2**64:
        raise _Meaningless(token, f"the integer {_shorten(token)} does not fit 64 bits")
    return value


def _depth(values: Iterable[Attribute]) -> int:
    return 1 + max((_depth(value) for value in values if isinstance(value, tuple)), default=0)


def _member(family: type[_Family], token: Token, what: str) -> _Family:
    try:
        return family(str(token))
    except ValueError:
        raise _Meaningless(token, f"unknown {what} '{token}', expected one of {listed(family)}") from None


def _syntax_error(error: UnexpectedInput, text: str, location: Location) -> MpccError:
    names: set[str] = set()
    found = "something"
    line, column = error.line, error.column
    if isinstance(error, UnexpectedToken):
        names, found = error.accepts or error.expected, f"'{_shorten(error.token)}'"
        if error.token.type == "$END":
            found = "the end of the text"
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    elif isinstance(error, UnexpectedCharacters):
        names, found = set(error.allowed or ()), repr(text[error.pos_in_stream or 0])
        if found == "'\"'":
            found = "a string with a wrong escape, a control character or no end"
    expected = sorted({_TERMINALS.get(name, f"'{name.lower()}'") for name in names})
    message = f"found {found}, expected {' or '.join(expected)}"
    return MpccError("MPC-I001", message, where=location.at(line, column))


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
