"""The tables of docs/experts_scaling.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from mpcc.compiler.choose.experts.choose import Option
from mpcc.compiler.text import table
from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER
from tests.benchmarks.experts.points import USUAL, Point, Results
from tests.benchmarks.experts.predicted import Mixture, weights_bytes
from tests.benchmarks.experts.published import CRYPTOMOE, SECMOE, SECMOE_EXPERTS
from tests.benchmarks.pages import with_tables
from tests.benchmarks.rows import ROOT

PAGE = ROOT / "docs/experts_scaling.md"
HEAD = (
    *("E", "layout", "rounds", "online MB, server + client", "of `all`", "dealt + set-up MB", "online s"),
    *("offline s", "LAN s, predicted", "max error", "dropped"),
)
ACTIVATIONS = {"gelu": "GeLU", "relu": "ReLU"}
SHOWN = 768, 128  # width and tokens of the layer that is put beside published ones


@dataclass(frozen=True)
class Study:
    """The points that were asked for. What is not among the results is predicted."""

    points: Sequence[Point]
    results: Results

    @cached_property
    def prices(self) -> dict[Point, Option]:
        return {p: price(p) for p in self.points if p not in self.results.by_point}

    def measured(self, point: Point) -> bool:
        return point in self.results.by_point

    def megabytes(self, point: Point) -> float:
        """Online, both ways."""
        if self.measured(point):
            return self.results.by_point[point].megabytes
        return self.prices[point].price.bytes / 1e6

    def curve(self, width: int, tokens: int, layout: str, factor: float = 0.0) -> list[Point]:
        """A layout's points by number of experts."""
        key = (width, tokens, "gelu", layout, factor)
        found = [p for p in self.points if (p.width, p.tokens, p.activation, p.layout, p.factor) == key]
        return sorted(found, key=lambda p: p.experts)


def price(point: Point) -> Option:
    layer = point.layer
    mixture = Mixture(point.tokens, layer.experts, 1, layer.width, layer.hidden, layer.activation)
    return mixture.option(point.layout, point.factor or USUAL)


def tables(study: Study) -> str:
    """One for every width, activation and number of tokens, and what papers report."""

    def group(point: Point) -> tuple[int, str, int]:
        return point.width, point.activation, point.tokens

    parts = [conditions(study)]
    for (width, activation, tokens), members in groupby(sorted(study.points, key=group), key=group):
        name = ACTIVATIONS[activation]
        parts.append(f"### d = {width}, h = {4 * width}, {name}, T = {tokens}")
        parts.append(_layers(study, list(members)))
    if beside := _secmoe(study):
        parts += ["### Beside SecMoE", beside]
    return "\n\n".join([*parts, "### Beside CryptoMoE", _cryptomoe()])


def conditions(study: Study) -> str:
    """Where and how the points were measured."""
    found = [study.results.by_point[p] for p in study.points if study.measured(p)]
    if not found:
        return "nothing was measured"
    loads = sorted(r.load for r in found)
    sessions = " or ".join(map(str, sorted({r.sessions for r in found})))
    machines = "; ".join(sorted({r.machine for r in found}))
    machines = "; ".join(sorted({r.machine for r in found}))
    return (
        f"{machines}; parties and dealer on this machine, loopback; seconds are the median of {sessions} "
        f"sessions. {len(found)} of {len(study.points)} points were measured; the load of the machine after "
        f"a point was {loads[0]:.1f} to {loads[-1]:.1f}, {loads[len(loads) // 2]:.1f} in the median."
    )


def _layers(study: Study, members: list[Point]) -> str:
    order = {ALL: 0, OUTER: 1, DISPATCH: 2}
    members.sort(key=lambda p: (p.experts, order[p.layout], p.factor))
    whole = {p.experts: study.megabytes(p) for p in members if p.layout == ALL}
    rows = [_row(study, point, whole.get(point.experts)) for point in members]
    first = members[0]
    sent = weights_bytes(first.tokens, first.width, first.layer.hidden) / 1e6
    calculated = ("any", "`weights`: calculated", "-", f"{sent:.1f} + {sent:.1f}", *["-"] * (len(HEAD) - 4))
    return table(HEAD, [*rows, calculated])


def _row(study: Study, point: Point, whole: float | None) -> tuple[object, ...]:
    share = f"{study.megabytes(point) / whole:.2f}" if whole else "-"
    if not study.measured(point):
        option = study.prices[point]
        needed = f"not run, needs {point.memory / 1e9:.0f} GB: predicted"
        sent, dealt = f"{option.price.bytes / 1e6:.1f} in all", f"{option.price.offline_bytes / 1e6:.0f} + -"
        name = f"{_name(option.layout.name, point)}, {needed}"
        lan = f"{option.price.seconds:.2f}"
        return point.experts, name, option.price.rounds, sent, share, dealt, "-", "-", lan, "-", "-"
    result = study.results.by_point[point]
    return (
        point.experts,
        _name(result.layout, point),
        result.rounds,
        f"{result.bytes_party0 / 1e6:.2f} + {result.bytes_party1 / 1e6:.2f}",
        share,
        f"{result.dealt_bytes / 1e6:.1f} + {result.setup_bytes / 1e6:.1f}",
        f"{result.seconds:.2f}",
        f"{result.offline_seconds:.2f}",
        f"{result.lan_seconds:.2f}",
        f"{result.error:.2%}".replace("%", " %"),
        f"{result.dropped:.1%}".replace("%", " %") if point.slots else "-",
    )


def _name(layout: str, point: Point) -> str:
    return f"`{layout}`, {point.factor:g}x" if point.factor else f"`{layout}`"


def _secmoe(study: Study) -> str:
    """Published GB, and MB here; empty where the study has no such points."""
    width, tokens = SHOWN
    rows: list[tuple[str, tuple[float, ...], tuple[str, ...]]] = [
        (f"{name}, GB", row, ("",) * len(row)) for name, row in SECMOE.items()
    ]
    for layout, factor in ((ALL, 0.0), (OUTER, 0.0), (DISPATCH, USUAL)):
        curve = [p for p in study.curve(width, tokens, layout, factor) if p.experts in SECMOE_EXPERTS]
        if tuple(p.experts for p in curve) != SECMOE_EXPERTS:
            return ""
        signs = tuple("" if study.measured(p) else " predicted" for p in curve)
        rows.append((f"mpcc, `{layout}`, one layer, MB", tuple(map(study.megabytes, curve)), signs))
    head = ("", *(f"E = {experts}" for experts in SECMOE_EXPERTS), "16 to 128")
    cells = []
    for name, row, signs in rows:
        grown = f"{row[-1] / row[0]:.2f}x" if signs[-1] == signs[0] else "-"
        cells.append((name, *(f"{y:.2f}{sign}" for y, sign in zip(row, signs, strict=True)), grown))
    return table(head, cells)


def _cryptomoe() -> str:
    """MB a token: published, and predicted here."""
    rows = []
    for row in CRYPTOMOE:
        m = row.mixture
        even, double = ({o.layout.kind: o.price for o in reversed(m.options(f))} for f in (1.0, USUAL))
        cells = [
            f"{price.bytes / m.tokens / 1e6:.2f} + {price.offline_bytes / m.tokens / 1e6:.1f}, {price.rounds}"
            for price in (double[ALL], double[OUTER], even[DISPATCH], double[DISPATCH])
        ]
        sizes = f"{m.experts}, {m.top_k}, {m.width}, {m.hidden}"
        rows.append((row.name, sizes, row.dense, row.even, row.double, *cells))
    published = ("CryptoMoE: all experts", "t = 1", "t = 2")
    ours = ("mpcc: `all`", "`outer`", "`dispatch` 1x", "`dispatch` 2x")
    return table(("layer", "E, k, d, h", *published, *ours), rows)


def write_page(study: Study, folder: Path) -> None:
    """docs/experts_scaling.md with these tables into a folder."""
    new = with_tables(PAGE.read_text(encoding="utf-8"), tables(study))
    (folder / PAGE.name).write_text(new, encoding="utf-8")
