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

# What the compiler mostly takes: trying the others in two hundred norms and softmaxes takes a minute.
APPROXIMATIONS = {"softmax": "exact", "power": "segments"}
CHOSEN = ("test_softmax_large_number",)  # scores of 2e4 are too far for the exact form's secret maximum

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
        return {case.name: case for case in load_model_tests(kind="node")}


@cache
def _suite() -> type[unittest.TestCase]:
    options = {
        name: {
            "rtol": RELATIVE,
            "atol": ABSOLUTE * FACTORS.get(name, 1),
            "approximations": {} if name in CHOSEN else APPROXIMATIONS,
        }
        for name in cases()
    }
    runner = BackendTest(mpcc.backend.MpccBackend, __name__, test_kwargs=options)
    suite = runner.test_cases["OnnxBackendNodeModelTest"]
    gc.collect()
    gc.freeze()  # each compilation collects garbage, which the tests' arrays and models are not
    return suite


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
    """The operation that a test is of; `_expanded` ones consist of the operations of its definition."""
    model = cases()[re.sub(r"_expanded(_ver\d+)?$", "", name)].model
    assert model is not None
    (node,) = model.graph.node
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
    """The page with what follows from the record written anew."""
    passed, refused = _by_operation()
    others = {op: tests for op, tests in refused.items() if op not in passed}
    parts = {
        "operations": _operations(passed, refused),
        "refused": _reasons({op: tests for op, tests in refused.items() if op in passed}),
        "others": _reasons(others),
    }
    for title, text in parts.items():
        marks = rf"(<!-- {title} -->\n).*?(<!-- end of {title} -->)"
        page, count = re.subn(marks, lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page, flags=re.S)  # noqa: B023
        assert count == 1
    return page


def _operations(passed: dict[str, list[str]], refused: dict[str, dict[str, set[str]]]) -> str:
    """How many tests of an operation pass, and how many of its definition written out."""
    rows = []
    for op, names in sorted(passed.items()):
        expanded = sum("_expanded" in name for name in names)
        rows.append((op, len(names) - expanded, expanded, len(refused.get(op, ()))))
    return table(("operation", "passed", "passed, written out", "refused"), rows)


def _reasons(refused: dict[str, dict[str, set[str]]]) -> str:
    """Operations by why their tests are refused; a test may have several reasons."""
    counts = Counter((reason, op) for op, tests in refused.items() for rs in tests.values() for reason in rs)
    operations = defaultdict[str, list[str]](list)
    for (reason, op), count in sorted(counts.items()):
        operations[reason].append(f"{op} {count}")
    return "\n".join(f"- {reason}: {', '.join(ops)}" for reason, ops in sorted(operations.items()))


def _by_operation() -> tuple[dict[str, list[str]], dict[str, dict[str, set[str]]]]:
    """Tests that pass, and reasons by test, both by operation."""
    passed, refused = defaultdict[str, list[str]](list), defaultdict[str, dict[str, set[str]]](dict)
    for name, reason in recorded().items():
        op = operation(name)
        if reason is None:
            passed[op].append(name)
        else:
            refused[op][name] = {_short(op, part) for part in reason.split("; MPC-")}
    return passed, refused


def _short(op: str, reason: str) -> str:
    """A reason without its code, without the type of an operand, and without the operation where that is the
    one refused.
    """
    text = re.sub(r"^(MPC-)?[A-Z]\d{3}: ", "", reason)
    text = re.sub(r"^(in|out)put \.\.\. is (?!a )\w+$", r"an \1put of this type", text)
    text = re.sub(r"^operation (\S+) is not supported( here)?: ", r"\1: ", text)
    return text.removeprefix(f"{op}: ")


def main(processes: int) -> None:
    with ProcessPoolExecutor(processes) as pool:
        outcomes = dict(zip(cases(), pool.map(outcome, cases(), chunksize=8), strict=True))
    RECORD.write_text(record(outcomes), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
