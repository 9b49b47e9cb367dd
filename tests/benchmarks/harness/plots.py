"""The plots of docs/benchmarks.md, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from tests.benchmarks.figures import save, style
from tests.benchmarks.harness.networks import LOOPBACK, NETWORKS, SHAPED
from tests.benchmarks.harness.page import systems
from tests.benchmarks.harness.published import PEERS
from tests.benchmarks.harness.results import Result, Results
from tests.benchmarks.rows import ALL_ROWS

COLORS = {"loopback": "#0072B2", "lan": "#009E73", "wan": "#D55E00"}
LABELS = {LOOPBACK: LOOPBACK, **{name: name.upper() for name in SHAPED}}
SYSTEMS = {
    "mpcc": ("#0072B2", "o"),
    "SIGMA": ("#000000", "^"),
    "SPU SEMI2K": ("#D55E00", "s"),
    "SPU ABY3": ("#E69F00", "D"),
    "SPU CHEETAH": ("#CC79A7", "v"),
    "CrypTen": ("#999999", "P"),
}
CLOSE = 1.35  # a prediction within this factor is inside the band


def draw(results: Results, folder: Path) -> list[Path]:
    """The plots that there are points for, in a new folder or an old one."""
    folder.mkdir(parents=True, exist_ok=True)
    works = [work for work in ALL_ROWS if (work, LOOPBACK) in results.mpcc]
    if not works:
        return []
    with style():
        figures = {
            "seconds": _seconds(results, works),
            "peers": _peers(results, works),
            "predicted": _predicted(results),
            "roofline": _roofline(results, works),
        }
        paths = {folder / f"benchmarks-{name}.svg": figure for name, figure in figures.items()}
        for path, figure in paths.items():
            save(figure, path)
    return list(paths)


def _seconds(results: Results, works: Sequence[str]) -> Figure:
    """A bar for every network: what loopback takes, and what the network adds. Quick work has a panel of its
    own.
    """
    slowest = {w: max(r.median for r in _of_work(results, w).values()) for w in works}
    quick = [w for w in works if slowest[w] < 3]
    panels = [part for part in (quick, [w for w in works if w not in quick]) if part]
    figure = Figure(figsize=(1 + 5.5 * len(panels), 5), layout="constrained")
    for index, part in enumerate(panels):
        axis = figure.add_subplot(1, len(panels), 1 + index)
        for place, network in enumerate(NETWORKS):
            _stack(results, axis, part, network, (place - 1) * 0.27)
        axis.set_xticks(range(len(part)), part, rotation=30, ha="right")
        axis.grid(axis="x", visible=False)
        axis.set_ylabel("online seconds")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _stack(results: Results, axis: Axes, works: Sequence[str], network: str, shift: float) -> None:
    found = [(i, _of_work(results, w)) for i, w in enumerate(works) if (w, network) in results.mpcc]
    places = [i + shift for i, _ in found]
    base = [min(of[LOOPBACK].median, of[network].median) for _, of in found]
    added = [of[network].median - low for (_, of), low in zip(found, base, strict=True)]
    axis.bar(places, base, 0.25, color=COLORS[LOOPBACK], label="loopback" if network == LOOPBACK else None)
    if network != LOOPBACK:
        axis.bar(
            places, added, 0.25, bottom=base, color=COLORS[network], label=f"added by the {network.upper()}"
        )


def _of_work(results: Results, work: str) -> dict[str, Result]:
    return {network: r for (name, network), r in results.mpcc.items() if name == work}


def _peers(results: Results, works: Sequence[str]) -> Figure:
    """Seconds, MB and rounds of every system by work."""
    shown = [work for work in works if work in PEERS][::-1]
    found = {work: systems(results, work) for work in shown}
    figure = Figure(figsize=(13, 1.5 + 0.5 * len(shown)), layout="constrained")
    for index, label in enumerate(("online seconds, loopback", "online MB, both ways", "rounds")):
        axis = figure.add_subplot(1, 3, 1 + index)
        for system, (color, marker) in SYSTEMS.items():
            known = [
                (place, found[work][system][index])
                for place, work in enumerate(shown)
                if system in found[work]
            ]
            points = [(value, place) for place, value in known if value is not None]
            x, y = [value for value, _ in points], [place for _, place in points]
            axis.plot(x, y, color=color, marker=marker, linestyle="none", label=system)
        axis.set_yticks(range(len(shown)), shown if index == 0 else [""] * len(shown))
        axis.set_xlabel(label)
        _logarithmic(axis.set_xscale, axis.xaxis)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return figure


def _predicted(results: Results) -> Figure:
    """Measured seconds against predicted ones, with a band of CLOSE."""
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    axis = figure.add_subplot()
    for network in NETWORKS:
        found = [r for r in results.mpcc.values() if r.network == network]
        x, y = [r.predicted for r in found], [r.median for r in found]
        axis.plot(x, y, color=COLORS[network], marker="o", linestyle="none", label=LABELS[network])
        if network == LOOPBACK:
            for result in found:
                place = (result.predicted, result.median)
                axis.annotate(result.work, place, xytext=(5, -3), textcoords="offset points", fontsize=7)
    every = [s for r in results.mpcc.values() for s in (r.predicted, r.median)]
    ends = [min(every) / 1.5, max(every) * 1.5]
    axis.plot(ends, ends, color="#666666", linewidth=1)
    low, high = ([end * factor for end in ends] for factor in (1 / CLOSE, CLOSE))
    axis.fill_between(ends, low, high, color="#666666", alpha=0.15, label="within 35 %")
    axis.set_xlabel("predicted seconds")
    axis.set_ylabel("measured seconds")
    _logarithmic(axis.set_xscale, axis.xaxis)
    _logarithmic(axis.set_yscale, axis.yaxis)
    axis.legend(loc="upper left", frameon=False)
    return figure


def _roofline(results: Results, works: Sequence[str]) -> Figure:
    """How many times as long as its limit every work takes."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axis = figure.add_subplot()
    for place, network in enumerate(NETWORKS):
        found = [(i, results.mpcc[w, network]) for i, w in enumerate(works) if (w, network) in results.mpcc]
        places = [i + (place - 1) * 0.27 for i, _ in found]
        ratios = [r.median / r.roofline.seconds for _, r in found]
        axis.bar(places, ratios, 0.25, color=COLORS[network], label=LABELS[network])
    axis.set_xticks(range(len(works)), works, rotation=30, ha="right")
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("measured / roofline")
    axis.axhline(1, color="#666666", linewidth=1)
    _logarithmic(axis.set_yscale, axis.yaxis)
    axis.legend(frameon=False, ncols=3)
    return figure


def _logarithmic(set_scale: Callable[[str], None], axis: object) -> None:
    set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # type: ignore[attr-defined]
    axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]
