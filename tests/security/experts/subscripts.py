"""Every index that code takes into an array: functions rewritten so that what stands in brackets is reported.

`a[i]` becomes `a[report(i)]` in the code of the given modules, for reading and for writing, and NumPy's
functions whose addresses follow the values of an argument report them too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any
from unittest import mock

import numpy as np

Report = Callable[[Any], None]
NAME = "__reported__"
# argument that decides about addresses
FUNCTIONS = {
    "take": 1,
    "take_along_axis": 1,
    "put": 1,
    "put_along_axis": 1,
    "choose": 0,
    "compress": 0,
    "extract": 0,
    "where": 0,
    "nonzero": 0,
    "flatnonzero": 0,
    "argwhere": 0,
    "unique": 0,
    "bincount": 0,
    "searchsorted": 1,
    "sort": 0,
    "argsort": 0,
}


class Rewriting(ast.NodeTransformer):
    """Inside functions only: outside, brackets are types."""

    def __init__(self) -> None:
        self.inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self.inside = self.inside, True
        node.body = [self.visit(statement) for statement in node.body]
        self.inside = outer
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if self.inside:
            call = ast.Call(ast.Name(NAME, ast.Load()), [as_expression(node.slice)], [])
            node.slice = ast.copy_location(call, node.slice)
        return node


def as_expression(index: ast.expr) -> ast.expr:
    """`1:2` as `slice(1, 2, None)`, as an argument must be written."""
    if isinstance(index, ast.Tuple):
        return ast.copy_location(ast.Tuple([as_expression(e) for e in index.elts], ast.Load()), index)
    if not isinstance(index, ast.Slice):
        return index
    bounds = [bound or ast.Constant(None) for bound in (index.lower, index.upper, index.step)]
    return ast.copy_location(ast.Call(ast.Name("slice", ast.Load()), bounds, []), index)


@cache
def rewritten(module: ModuleType) -> dict[str, CodeType]:
    """The code of a module's functions with reported indices, by qualified name."""
    assert module.__file__ is not None
    tree = Rewriting().visit(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
    found: dict[str, CodeType] = {}

    def collect(code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found[constant.co_qualname] = constant
                collect(constant)

    collect(compile(ast.fix_missing_locations(tree), module.__file__, "exec", dont_inherit=True))
    return found


def functions(holder: ModuleType | type, module: str) -> Iterator[FunctionType]:
    """The functions and methods written in a module, behind whatever decorates them."""
    for value in list(vars(holder).values()):
        if isinstance(value, type) and value.__module__ == module and value is not holder:
            yield from functions(value, module)
            continue
        for attribute in ("__func__", "fget", "func", "__wrapped__"):
            value = getattr(value, attribute, value)
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield value


@contextmanager
def reported_indices(modules: list[ModuleType], report: Report) -> Iterator[None]:
    """While in effect, `report` is called with every index taken by code of the modules."""

    def reported(index: Any) -> Any:
        report(index)
        return index

    def reporting(function: Callable[..., Any], position: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            report(arguments[position])
            return function(*arguments, **options)

        return call

    with ExitStack() as stack:
        for module in modules:
            codes = rewritten(module)
            for function in functions(module, module.__name__):
                code = codes.get(function.__code__.co_qualname)
                if code is not None:  # a data class has methods without a text
                    stack.callback(setattr, function, "__code__", function.__code__)
                    function.__code__ = code
            stack.callback(delattr, module, NAME)
            setattr(module, NAME, reported)
        for name, position in FUNCTIONS.items():
            stack.enter_context(mock.patch.object(np, name, reporting(getattr(np, name), position)))
        yield
