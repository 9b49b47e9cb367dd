"""The plots of docs/scaling.md, as SVG: one for each axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from tests.benchmarks.figures import save, style
from tests.benchmarks.scaling.points import AXES, Result, Results
from tests.benchmarks.scaling.theory import Derived, Theory, Value

COLORS = ("#D55E00", "#0072B2", "#009E73", "#666666")
BYTES: dict[str, tuple[Value, Callable[[Derived], float]]] = {
    "online": (lambda r: r.online_bytes, lambda d: d.online_bytes),
    "dealt": (lambda r: r.dealt_bytes, lambda d: d.dealt_bytes),
    "set-up": (lambda r: r.setup_bytes, lambda d: d.setup_bytes),
}
SECONDS: dict[str, Value] = {
    "online": lambda r: r.online_seconds,
    "dealing": lambda r: r.dealing_seconds,
    "set-up": lambda r: r.setup_seconds,
    "compiling": lambda r: r.compile_seconds,
}
MEMORY: dict[str, Value] = {
    "server": lambda r: r.memory.server,
    "client": lambda r: r.memory.client,
    "dealer": lambda r: r.memory.dealer,
    "compiler": lambda r: r.memory.compiler,
}
MARKERS = ("o", "s", "^", "D")


def draw(results: Results, folder: Path) -> list[Path]:
    """The plots that there are points for, in a new folder or an old one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, theory = [], Theory.of(results)
    with style():
        for axis, encoders in AXES.items():
            found = [results.by_encoder[e] for e in encoders if e in results.by_encoder]
            if theory is not None and len(found) > 1:
                paths.append(folder / f"scaling-{axis}.svg")
                save(_figure(axis, found, theory), paths[-1])
    return paths


def _figure(axis: str, found: Sequence[Result], theory: Theory) -> Figure:
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    sent, seconds, memory = (figure.add_subplot(1, 3, 1 + index) for index in range(3))
    sizes = [getattr(r.encoder, axis) for r in found]
    for color, marker, (name, (measured, derived)) in zip(COLORS, MARKERS, BYTES.items(), strict=False):
        expected = [derived(theory.at(r.encoder)) / 1e6 for r in found]
        sent.plot(sizes, expected, color=color, linestyle=":", label=f"{name}, derived")
        points = [measured(r) / 1e6 for r in found]
        sent.plot(sizes, points, color=color, marker=marker, linestyle="none", label=name)
    _lines(seconds, sizes, found, SECONDS, 1.0)
    _lines(memory, sizes, found, MEMORY, 1e6)
    for panel, label in ((sent, "MB"), (seconds, "seconds"), (memory, "MB of memory, peak")):
        panel.set_ylabel(label)
        panel.set_xlabel(axis)
        _logarithmic(panel, sizes)
        panel.legend(frameon=False, fontsize=8)
    return figure


def _lines(
    panel: Axes, sizes: Sequence[int], found: Sequence[Result], values: dict[str, Value], unit: float
) -> None:
    for color, marker, (name, value) in zip(COLORS, MARKERS, values.items(), strict=True):
        panel.plot(sizes, [value(r) / unit for r in found], color=color, marker=marker, label=name)


def _logarithmic(panel: Axes, sizes: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.xaxis.set_major_locator(FixedLocator(sizes))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
