"""Every protocol has a page with its argument, whose tables of messages and costs are those of the code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.program import Operation, Value
from mpcc.runtime.protocols import less_than, protocols, row_reaches
from mpcc.runtime.protocols.base import ring_type, size
from mpcc.runtime.two_party.engine.cost import (
    Cost,
    flattened,
    making_cost,
    sum_cost,
    trace_of,
)
from mpcc.runtime.two_party.schedule import derived
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded

DOCUMENTS = Path(__file__).parents[2] / "docs" / "protocols"
SECTIONS = (
    "Functionality",
    "Messages",
    "What is opened, and why that reveals nothing",
    "Cost",
    "Without a dealer",
    "Sources",
)
PAGES = sorted(path for path in DOCUMENTS.glob("*.md") if path.name != "README.md")
Variables = dict[str, float]


def page_of(kind: str) -> Path:
    return DOCUMENTS / f"{protocols[kind].__module__.rsplit('.', 1)[-1]}.md"


def section(page: Path, title: str) -> str:
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def rows(page: Path, title: str) -> list[dict[str, str]]:
    """Of the section's table that has a column `operation`; no code marks."""
    found: list[dict[str, str]] = []
    header: list[str] = []
    for line in section(page, title).splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif cells[0] == "operation":
            header = cells
        elif header and not set(line) <= set("|-"):
            found.append(dict(zip(header, cells, strict=True)))
    return found


def value_of(text: str, variables: Variables) -> float:
    """`n (2 R + 3)`, with `^` for powers and juxtaposition for products."""
    text = re.sub(r"(?<=[\w)])\s+(?=[\w(])", "*", text).replace("^", "**")
    functions = {"max": max, "floor": math.floor, "ceil": math.ceil, "log2": math.log2}
    return float(eval(text, {"__builtins__": {}}, {**functions, **variables}))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_that_an_argument_needs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = [title for title in re.findall(r"^## (.+)$", text, re.M) if title in SECTIONS]
    assert titles == list(SECTIONS)
    assert all(section(page, title).strip() for title in SECTIONS)


def shares(s: Setting, *shape: int, ring: int = 64) -> Value:
    return s.share(np.zeros(shape, dtype=np.int64), ring=ring)


def product(*factors: str, bits: int = 0, powers: int = 1) -> Callable[[Setting], Value]:
    """Of openings of 20 and 18 bits."""

    def build(s: Setting) -> Value:
        operands = [s.emit("open_masked", shares(s, 7), bits=20 - 2 * i) for i in range(len(factors))]
        coefficients: list[tuple[int, ...]] = [
            (1,) * (powers + 1) if f == "polynomial" else () for f in factors
        ]
        kinds = list(factors)
        if bits:
            operands.append(s.emit("open_bits", s.bits((bits, 7))))
            coefficients, kinds = [*coefficients, (1,) * (bits + 1)], [*kinds, "bits"]
        return s.emit(
            "product",
            *operands,
            ring=52,
            factors=tuple(kinds),
            coefficients=tuple(coefficients),
            fractions=(0,) * len(kinds),
        )

    return build


def comparison(bits: int, width: int) -> Callable[[Setting], Value]:
    def build(s: Setting) -> Value:
        opened = s.emit("open_masked", shares(s, 70), bits=bits)
        return s.emit("less_than", opened, bits=bits, width=width, thresholds=(0, 1, 2))

    return build


def segments(s: Setting) -> Value:
    opened = s.emit("open_masked", shares(s, 5), bits=20)
    bits = s.emit("open_bits", s.bits((6, 5)))
    monomials = tuple((power, 0) for power in range(4))
    return s.emit(
        "segmented_polynomial", opened, bits, ring=62, monomials=monomials, rows=((1,) * 7,) * 4, fraction=0
    )


def waves(s: Setting) -> Value:
    attributes: dict[str, Any] = {"amplitude_fraction": 28, "public_fraction": 12, "secret_fraction": 12}
    attributes |= {"phases": (0, 1, 2), "harmonics": (1, 3, 5), "amplitudes": (1, 2, 3)}
    return s.emit("sine_series", shares(s, 9), ring=36, bits=11, **attributes)


def linear(kind: str) -> Callable[[Setting], Value]:
    def build(s: Setting) -> Value:
        weight = np.ones((4, 3) if kind == "linear" else 4, dtype=np.int64)
        served = s.emit("serve", shares(s, 5, 4), bits=33)
        return s.emit(kind, served, s.source("weight", weight), ring=31)

    return build


def reveal(to: str) -> Callable[[Setting], Value]:
    return lambda s: s.emit("reveal", shares(s, 11, ring=33), name="y", to=to)


def two_openings(s: Setting) -> Value:
    return s.emit("matmul", *(s.emit("open_masked", shares(s, 2, 3, 3), bits=30) for _ in range(2)))


# By the name of the row in the page's tables: what follows the operation's kind says which of its forms.
EXAMPLES: dict[str, Callable[[Setting], Value]] = {
    "open_masked": lambda s: s.emit("open_masked", shares(s, 11), bits=21),
    "open_bits": lambda s: s.emit("open_bits", s.bits((11,))),
    "serve": lambda s: s.emit("serve", shares(s, 11), bits=21),
    "reveal to party 1": reveal("party1"),
    "reveal to party 0": reveal("party0"),
    "reveal to both": reveal("public"),
    "linear": linear("linear"),
    "gain": linear("gain"),
    "matmul": two_openings,
    "truncate": lambda s: s.emit("truncate", shares(s, 13, ring=30), ring=40, bits=9),
    "less_than, L > 1": comparison(12, 4),
    "less_than, L = 1": comparison(7, 6),
    "row_reaches": lambda s: s.emit("row_reaches", shares(s, 3, 300), bits=5, low=-9, levels=12),
    "exponential": lambda s: s.emit(
        "exponential", s.share(np.zeros(9, dtype=np.int64), 16), bits=21, fraction=60
    ),
    "sine_series": waves,
    "one_hot": lambda s: s.emit("one_hot", shares(s, 9), ring=21, bits=3),
    "product, x y": product("value", "value"),
    "product, x^2": product("polynomial", powers=2),
    "product, x times a selection by T bits": product("value", bits=3),
    "product, quadratic in x times a selection by T bits": product("polynomial", bits=3, powers=2),
    "segmented_polynomial, one opening": segments,
}


def variables(o: Operation) -> Variables:
    """The letters of the pages."""
    ring = ring_type(o).ring
    found: Variables = {
        "n": size(o),
        "r": ring,
        "R": ring,
        "k": integer(o.attributes, "bits") if "bits" in o.attributes else 0,
    }
    found["j"] = found["f"] = found["k"]
    found["N"] = 64 * -(-size(o) // 64)
    if o.kind in ("linear", "gain", "matmul"):
        found["h"] = ring_type(o, 1).shape[-2] if o.kind != "gain" else 1
    if o.kind == "truncate":
        found["K"] = ring_type(o, 0).ring
    if o.kind == "one_hot":
        found["n"] = size(o, 0)
        found["N"] = 64 * -(-size(o, 0) // 64)
    if o.kind == "reveal":
        found["R"] = ring_type(o, 0).ring
    if o.kind == "less_than":
        shape = less_than.Shape(o)
        found |= {"n": shape.n, "T": len(shape.thresholds), "L": shape.blocks, "w": shape.width}
        found["N"] = 64 * shape.words
        found["v"] = shape.bits - 1 - shape.width * (shape.blocks - 1)
    if o.kind == "row_reaches":
        rows_ = row_reaches.Shape(o)
        found |= {"n": size(o, 0), "l": rows_.length, "V": rows_.levels, "c": rows_.count_bits}
        found["b"] = rows_.lane_bits
        found["N"], found["M"] = (64 * -(-n // 64) for n in (size(o, 0), rows_.rows * rows_.levels))
        assert rows_.count_bits == math.floor(math.log2(rows_.length)) + 1
    if o.kind == "sine_series":
        found["M"] = len(integers(o.attributes, "harmonics"))
        found["F"] = integer(o.attributes, "secret_fraction")
    if o.kind in ("product", "segmented_polynomial"):
        found |= {"k": 20, "l": 18, "T": 6 if o.kind == "segmented_polynomial" else 3, "D": 3}
    return found


def example(name: str) -> Operation:
    setting = Setting(seeded(0, 0))
    EXAMPLES[name](setting)
    return setting.builder.program.operations[-1]


def kind_of(name: str) -> str:
    return re.split(r"[ ,]", name)[0]


def test_every_protocol_that_draws_or_sends_has_its_tables() -> None:
    described = {kind_of(name) for name in EXAMPLES}
    listed = {
        kind_of(row["operation"])
        for page in PAGES
        for row in rows(page, "Cost")
        if row["operation"] != "all of them"
    }
    assert listed == described
    names = {row["operation"] for page in PAGES for row in rows(page, "Messages")}
    assert names == {name for name in EXAMPLES if protocols[kind_of(name)].messages(example(name))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_messages_are_those_that_the_page_states(name: str) -> None:
    operation = example(name)
    table = [row for row in rows(page_of(operation.kind), "Messages") if row["operation"] == name]
    assert [row["tick"] for row in table] == [str(tick + 1) for tick in range(len(table))]
    stated = [
        tuple(math.ceil(value_of(row[f"bits of party {p}"], variables(operation)) / 8) for p in (0, 1))
        for row in table
    ]
    assert stated == protocols[operation.kind].messages(operation)
    for row in table:
        for party in (0, 1):
            assert (row[f"party {party} sends"] == "nothing") == (row[f"bits of party {party}"] == "0")


@pytest.mark.parametrize("name", EXAMPLES)
def test_costs_are_those_that_the_page_states(name: str) -> None:
    operation, protocol = example(name), protocols[kind_of(name)]
    table = rows(page_of(operation.kind), "Cost")
    (row,) = [row for row in table if row["operation"] in (name, name.partition(" to ")[0])]
    letters = variables(operation)
    assert int(row["ticks"]) == len(protocol.messages(operation))
    dealt = sum(s.count * s.bits for s in protocol.slots(operation) if s.correction_bytes)
    assert value_of(row["dealt bits"], letters) == dealt
    if "ring multiplications" in row:
        assert value_of(row["ring multiplications"], letters) == protocol.multiplications(operation)


def test_every_protocol_whose_correlations_are_made_has_its_table() -> None:
    listed = {row["operation"] for page in PAGES for row in rows(page, "Without a dealer")}
    assert listed == {name for name in EXAMPLES if derived(example(name))}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if derived(example(name))])
def test_making_costs_are_those_that_the_page_states(name: str) -> None:
    """Private products and matrix products are counted, all else that the engine sends by its bits."""
    operation = example(name)
    if operation.kind not in ("linear", "gain", "matmul"):
        operation = flattened(operation, 128)  # nothing is padded
    (row,) = [row for row in rows(page_of(operation.kind), "Without a dealer") if row["operation"] == name]
    total, products, matrices = Cost(), [], 0
    for step in making_cost(operation, 0.0):
        total.add(step)
        matrices += step.matrices.total()
    of_products = Cost()
    for kind, count in (request for step in trace_of(operation) for request in step):
        if kind[0] == "product":
            of_products.take(kind, count, 0.0)
            products.append(count * kind[3])
    made = {
        "steps": len(trace_of(operation)),
        "OTs": sum(total.ots) - sum(of_products.ots),
        "bits": 8 * (sum(total.sent) - sum(of_products.sent)),
        "products": sum(products),
        "matrix products": matrices,
    }
    letters = variables(operation)
    assert {column: value_of(row.get(column, "0"), letters) for column in made} == made


def test_bits_of_a_mask_cost_what_the_page_states() -> None:
    assert "N (2 b - 3) OTs and twice as many bits in b - 1 steps" in section(
        DOCUMENTS / "openings.md", "Without a dealer"
    )
    operation, bits = example("open_masked"), 21
    steps = sum_cost(operation.result, bits)
    ots = variables(operation)["N"] * (2 * bits - 3)
    assert len(steps) == bits - 1
    assert sum(sum(step.ots) for step in steps) == ots
    assert sum(sum(step.sent) for step in steps) == 2 * ots / 8
