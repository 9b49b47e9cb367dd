"""The plots of docs/experts_scaling.md, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER
from tests.benchmarks.experts.page import SHOWN, Study
from tests.benchmarks.experts.points import EXPERTS, OTHERS, USUAL, Point
from tests.benchmarks.experts.predicted import weights_bytes
from tests.benchmarks.experts.published import SECMOE, SECMOE_EXPERTS
from tests.benchmarks.figures import save, style


@dataclass(frozen=True)
class Line:
    label: str
    layout: str
    factor: float
    color: str
    marker: str


USUAL_LINES = (
    Line("all (naive: every expert)", ALL, 0.0, "#D55E00", "s"),
    Line("outer (exact)", OUTER, 0.0, "#0072B2", "o"),
    Line("dispatch, 2x slots", DISPATCH, USUAL, "#009E73", "^"),
)
OTHER_LINES = tuple(
    Line(f"dispatch, {factor:g}x", DISPATCH, factor, color, marker)
    for factor, color, marker in zip(OTHERS, ("#95D5B2", "#52B788", "#1B4332"), ("v", "D", "P"), strict=True)
)
WEIGHTS_LINE = "weights (calculated)"
PUBLISHED = {"Iron": ("#999999", "s"), "BumbleBee": ("#666666", "D"), "SecMoE": ("#000000", "o")}
Height = Callable[[Point], float | None]


def draw(study: Study, folder: Path) -> list[Path]:
    """The plots that the study has points for, in a new folder or an old one."""
    folder.mkdir(parents=True, exist_ok=True)
    widths, tokens = sorted({p.width for p in study.points}), sorted({p.tokens for p in study.points})
    most = [(width, tokens[-1]) for width in widths]
    fewer = [(widths[-1], count) for count in tokens[:-1]]
    with style():
        figures = {
            "experts_bytes": _bytes(study, most, (*USUAL_LINES, *OTHER_LINES)),
            "experts_seconds": _seconds(study, most),
        }
        if fewer:
            figures["experts_bytes_few_tokens"] = _bytes(study, fewer, USUAL_LINES)
        if beside := _beside_secmoe(study):
            figures["experts_secmoe"] = beside
        paths = {folder / f"{name}.svg": figure for name, figure in figures.items()}
        for path, figure in paths.items():
            save(figure, path)
    return list(paths)


def _bytes(study: Study, panels: Sequence[tuple[int, int]], lines: Sequence[Line]) -> Figure:
    figure, axes = _figure(len(panels), "online MB, both ways")
    for axis, (width, tokens) in zip(axes, panels, strict=True):
        _panel(study, axis, width, tokens, lines, study.megabytes)
        sent = 2 * weights_bytes(tokens, width, 4 * width) / 1e6
        axis.axhline(sent, color="#999999", linestyle=":", label=WEIGHTS_LINE)
    return _finished(figure, axes, predicted=bool(study.prices))


def _seconds(study: Study, panels: Sequence[tuple[int, int]]) -> Figure:
    def seconds(point: Point) -> float | None:
        return study.results.by_point[point].seconds if study.measured(point) else None

    figure, axes = _figure(len(panels), "online seconds, loopback")
    for axis, (width, tokens) in zip(axes, panels, strict=True):
        _panel(study, axis, width, tokens, (*USUAL_LINES, *OTHER_LINES), seconds)
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    return _finished(figure, axes, predicted=False)


def _panel(study: Study, axis: Axes, width: int, tokens: int, lines: Sequence[Line], height: Height) -> None:
    """A line for every layout; hollow markers where a point is predicted."""
    for line in lines:
        curve = [(p, height(p)) for p in study.curve(width, tokens, line.layout, line.factor)]
        known = [(p, y) for p, y in curve if y is not None]
        style: dict[str, Any] = {"color": line.color, "marker": line.marker, "label": line.label}
        axis.plot([p.experts for p, _ in known], [y for _, y in known], **style)
        _hollow(study, axis, line, known)
    axis.set_title(f"d = {width}, h = {4 * width}, T = {tokens}")
    _logarithmic(axis, EXPERTS)


def _hollow(study: Study, axis: Axes, line: Line, points: Sequence[tuple[Point, float]]) -> None:
    for point, y in points:
        if not study.measured(point):
            axis.plot(point.experts, y, color=line.color, marker=line.marker, markerfacecolor="white")


def _beside_secmoe(study: Study) -> Figure | None:
    """Bytes as multiples of those for 16 experts; None where the study has no such points."""
    figure, (axis,) = _figure(1, "online bytes / those for 16 experts")
    for name, row in SECMOE.items():
        color, marker = PUBLISHED[name]
        style: dict[str, Any] = {
            "color": color,
            "marker": marker,
            "linestyle": "--",
            "label": f"{name}, published",
        }
        axis.plot(SECMOE_EXPERTS, [value / row[0] for value in row], **style)
    for line in USUAL_LINES:
        curve = [p for p in study.curve(*SHOWN, line.layout, line.factor) if p.experts in SECMOE_EXPERTS]
        if tuple(p.experts for p in curve) != SECMOE_EXPERTS:
            return None
        grown = [study.megabytes(p) / study.megabytes(curve[0]) for p in curve]
        axis.plot(SECMOE_EXPERTS, grown, color=line.color, marker=line.marker, label=f"mpcc, {line.label}")
        _hollow(study, axis, line, list(zip(curve, grown, strict=True)))
    axis.set_title(f"one layer, d = {SHOWN[0]}, T = {SHOWN[1]}, beside Switch-Base")
    _logarithmic(axis, SECMOE_EXPERTS)
    axis.yaxis.set_major_locator(FixedLocator([1, 2, 4, 8]))
    return _finished(figure, [axis], predicted=bool(study.prices))


def _figure(panels: int, label: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(1 + 4.5 * panels, 5), layout="constrained")
    axes = [figure.add_subplot(1, panels, 1 + index) for index in range(panels)]
    axes[0].set_ylabel(label)
    return figure, axes


def _logarithmic(axis: Axes, experts: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xlabel("experts")
    axis.xaxis.set_major_locator(FixedLocator(experts))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _finished(figure: Figure, axes: Sequence[Axes], predicted: bool) -> Figure:
    """With a legend below, for all panels."""
    handles, labels = axes[0].get_legend_handles_labels()
    if predicted:
        handles.append(Line2D([], [], color="#666666", marker="o", markerfacecolor="white", linestyle="none"))
        labels.append("hollow: predicted")
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if len(axes) > 1 else 2, frameon=False)
    return figure
