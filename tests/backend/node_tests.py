"""ONNX's node tests pointed at mpcc.backend, and the record of what they give.

    python -m tests.backend.node_tests [PROCESSES]      writes the record and the tables of docs/onnx_backend.md
"""

from __future__ import annotations

import gc
import json
import re
import sys
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import onnx
from onnx.backend.test import BackendTest
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

import mpcc.backend
from mpcc.backend import Refused
from mpcc.compiler.text import table

RECORD = Path(__file__).with_name("node_tests.json")
PAGE = Path(__file__).parents[2] / "docs/onnx_backend.md"

# Activations have 13 fraction bits: each rounding is off by a unit at most, and the sums, products and
# approximations of a node test by some. ONNX's own 1e-7 is for floats.
ABSOLUTE, RELATIVE = 8 * 2.0**-13, 1e-3
# x tanh(softplus(x)) for |x| up to 10: the last factor multiplies the error of the others.
FACTORS = {"test_mish": 10, "test_mish_expanded": 10}

# Names, operands' names, shapes and values differ between tests that are refused for the same reason.
_DETAILS = (
    (r"'[^']*'", "..."),
    (r"%\S+ reaches \S+;", "... reaches ...;"),
    (r"\[[-\d, ]+\]", "[...]"),
    (r"(there is no secure form of it) on .*", r"\1"),
    (r"(onnxruntime cannot run the model): .*", r"\1"),
)


@cache
def cases() -> dict[str, TestCase]:
    """All node tests of the installed onnx, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow on purpose
        found = {case.name: case for case in load_model_tests(kind="node")}
    gc.collect()
    gc.freeze()  # each compilation collects garbage, which these are not
    return found


@cache
def _suite() -> type[unittest.TestCase]:
    tolerances = {n: {"rtol": RELATIVE, "atol": ABSOLUTE * FACTORS.get(n, 1)} for n in cases()}
    runner = BackendTest(mpcc.backend, __name__, test_kwargs=tolerances)
    return runner.test_cases["OnnxBackendNodeModelTest"]


def outcome(name: str) -> str | None:
    """Runs a test. Why it was refused, or None where it passed; raises what makes it fail."""
    test = f"{name}_cpu"
    try:
        getattr(_suite()(test), test)()
    except Refused as error:
        return "; ".join(sorted({f"{e.code}: {_plain(e.message)}" for e in error.errors}))
    return None


def _plain(message: str) -> str:
    for detail, instead in _DETAILS:
        message = re.sub(detail, instead, message)
    return message.strip()


def operation(name: str) -> str:
    """The operation that a test is of; `_expanded` ones have the operations that its definition consists of."""
    (node,) = cases()[re.sub(r"_expanded(_ver\d+)?$", "", name)].model.graph.node
    return f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)


def record(refusals: dict[str, str | None]) -> str:
    """The text of the record, from outcomes by name."""
    refused = defaultdict(list)
    for name, reason in sorted(refusals.items()):
        if reason is not None:
            refused[reason].append(name)
    passed = sorted(name for name, reason in refusals.items() if reason is None)
    content = {"onnx": onnx.__version__, "passed": passed, "refused": dict(sorted(refused.items()))}
    return json.dumps(content, indent=1) + "\n"


def recorded() -> dict[str, str | None]:
    """Outcomes by name."""
    content = json.loads(RECORD.read_text(encoding="utf-8"))
    refused = {name: reason for reason, names in content["refused"].items() for name in names}
    return {**dict.fromkeys(content["passed"]), **refused}


def with_tables(page: str) -> str:
    """The page with its tables written anew from the record."""
    for title, text in (("operations", _operations_table()), ("reasons", _reasons_table())):
        marks = rf"(<!-- {title} -->\n).*(<!-- end of {title} -->)"
        page = re.sub(marks, lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page, flags=re.DOTALL)
    return page
