"""The tables of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mpcc.compiler.text import table
from tests.benchmarks.harness.networks import LOOPBACK, SHAPED
from tests.benchmarks.harness.published import BARS, PEERS, Bar
from tests.benchmarks.harness.results import MPCC, Result, Results
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.pages import with_tables
from tests.benchmarks.rows import ALL_ROWS, ROOT, ROWS

PAGE, README = ROOT / "docs/benchmarks.md", ROOT / "README.md"
Cost = tuple[float, float, int | None]  # online: seconds, MB both ways, rounds
TITLES = {
    LOOPBACK: "Loopback",
    **{name: f"{name.upper()}{str(network).removeprefix(name)}" for name, network in SHAPED.items()},
}
ONLINE = (
    *("work", "online s", "least to most", "predicted s", "roofline s", "times roofline", "rounds"),
    *("MB, server + client", "of these reveal", "max error"),
)
OFFLINE = (
    "work",
    "dealing s",
    "set-up s",
    *(f"{name.upper()} set-up s" for name in SHAPED),
    "dealt MB",
    "set-up MB",
)
MEMORY = ("work", "server MB", "client MB", "dealer MB", "compiler MB", "compile s", "multiplications")
BESIDE = (
    *("work", "network", "system", "online s", "mpcc s", "times", "MB", "times", "rounds", "times"),
    *("max error", "memory MB"),
)
ELSEWHERE = ("work", "system", "online s", "times", "MB", "times", "rounds", "times", "max error")


def tables(results: Results) -> str:
    """One for the bars, one for every network, and those beside other systems."""
    parts = [conditions(results), "### Bars", _bars(results)]
    for network, title in TITLES.items():
        if found := _of(results, network):
            parts += [f"### {title}", table(ONLINE, [_online(r) for r in found])]
    parts += ["### Offline", table(OFFLINE, _offline(results))]
    parts += ["### Memory and compiling", table(MEMORY, [_memory(r) for r in _of(results, LOOPBACK)])]
    parts += ["### Beside SPU on this machine", *_beside(results)]
    return "\n\n".join(
        [*parts, "### Beside systems measured elsewhere", table(ELSEWHERE, _elsewhere(results))]
    )


def conditions(results: Results) -> str:
    """Where and how the points were measured."""
    found = [r.conditions for r in results.mpcc.values()]
    found += [r.conditions for r in results.peers.values()]
    if not found:
        return "Nothing was measured."
    limits = [r.limits for r in results.mpcc.values()]
    parts = [
        f"- machine: {'; '.join(_different(f'{c.processor}; {c.machine}' for c in found))}",
        f"- mpcc: {', '.join(_different(r.conditions.commit for r in results.mpcc.values()))}",
        f"- kernels' peak: {_span([v.multiplications / 1e9 for v in limits])} G multiplications a second",
        f"- loopback: {_span([v.rate / 1e9 for v in limits])} GB/s each way at the same time, round trip "
        f"{_span([1e6 * v.round_trip for v in limits])} microseconds",
        f"- relay: round trips {_span([1e3 * v.relay.round_trip for v in limits])} ms longer than set, bytes "
        f"{_span([100 * v.relay.rate for v in limits])} % slower",
        f"- load of the machine before a point: {_span([c.load for c in found])}; "
        f"cores that other processes kept busy meanwhile: {_span([c.other_cores for c in found])}",
        f"- runs of a point: {_counts(results, LOOPBACK)} on loopback, "
        f"{_counts(results, *SHAPED)} on shaped networks; seconds are medians",
    ]
    return "\n".join(parts)


def _different(texts: Iterable[str]) -> list[str]:
    return sorted(set(texts))


def _span(values: Sequence[float]) -> str:
    ordered = sorted(values)
    least, middle, most = (f"{v:.3g}" for v in (ordered[0], ordered[len(ordered) // 2], ordered[-1]))
    return least if least == most else f"{least} to {most}, {middle} in the median"


def _counts(results: Results, *networks: str) -> str:
    counts = {len(r.seconds) for r in results.mpcc.values() if r.network in networks}
    return " or ".join(map(str, sorted(counts))) or "none"


def _of(results: Results, network: str) -> list[Result]:
    """In the order of the rows."""
    return [results.mpcc[work, network] for work in ALL_ROWS if (work, network) in results.mpcc]


def _bars(results: Results) -> str:
    head = ("work", "online s", "bar", "MB", "bar", "rounds", "bar", "dealt MB", "bar", "met")
    rows = [_bar(r, BARS[r.work]) for r in _of(results, LOOPBACK) if r.work in BARS]
    return table(head, rows)


def compared(result: Result) -> tuple[float, int]:
    """Online MB and rounds, of a single operation without what reveals its result: a model needs none."""
    if result.work not in OPERATIONS:
        return result.megabytes, result.rounds
    return result.megabytes - result.reveal_bytes / 1e6, result.rounds - result.reveal_rounds


def _bar(result: Result, bar: Bar) -> tuple[object, ...]:
    megabytes, rounds = compared(result)
    measured = (result.median, megabytes, rounds, result.dealt_bytes / 1e6)
    limits = (bar.seconds, bar.megabytes, bar.rounds, bar.dealt)
    met = all(limit is None or value <= limit for value, limit in zip(measured, limits, strict=True))
    cells = [_title(result)]
    for value, limit in zip(measured, limits, strict=True):
        cells += [f"{value:.3g}" if isinstance(value, float) else str(value), _optional(limit)]
    return *cells, "yes" if met else "**no**"


def _title(result: Result) -> str:
    return ALL_ROWS[result.work].title


def _optional(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _online(result: Result) -> tuple[object, ...]:
    limit = result.roofline
    return (
        _title(result),
        f"{result.median:.3f}",
        f"{min(result.seconds):.3f} to {max(result.seconds):.3f}",
        f"{result.predicted:.3f}",
        f"{limit.seconds:.4f} {limit.bound}",
        f"{result.median / limit.seconds:.1f}",
        result.rounds,
        " + ".join(f"{sent / 1e6:.2f}" for sent in result.bytes),
        f"{result.reveal_bytes / 1e6:.2f}",
        f"{result.max_error:.2g}",
    )


def _offline(results: Results) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for result in _of(results, LOOPBACK):
        shaped = [results.mpcc.get((result.work, network)) for network in SHAPED]
        rows.append(
            (
                _title(result),
                f"{result.dealing_seconds:.2f}",
                f"{result.setup_seconds:.2f}",
                *(f"{other.setup_seconds:.2f}" if other else "-" for other in shaped),
                f"{result.dealt_bytes / 1e6:.1f}",
                f"{result.setup_bytes / 1e6:.1f}",
            )
        )
    return rows


def _memory(result: Result) -> tuple[object, ...]:
    peaks = (f"{peak / 1e6:.0f}" for peak in result.memory)
    return _title(result), *peaks, f"{result.compile_seconds:.1f}", f"{result.multiplications / 1e9:.2f} G"


def _beside(results: Results) -> list[str]:
    """Empty without SPU."""
    rows: list[tuple[object, ...]] = []
    settings = []
    places = {work: place for place, work in enumerate(ALL_ROWS)}
    for (work, network, system), peer in sorted(results.peers.items(), key=lambda item: places[item[0][0]]):
        ours = results.mpcc.get((work, network))
        if ours is None:
            continue
        megabytes, rounds = compared(ours)
        settings.append(f"- {system}: {peer.setting}")
        rows.append(
            (
                _title(ours),
                network,
                system,
                f"{peer.median:.3g}",
                f"{ours.median:.3f}",
                f"{peer.median / ours.median:.1f}",
                f"{peer.megabytes:.1f}",
                f"{peer.megabytes / megabytes:.1f}",
                *((peer.rounds, f"{peer.rounds / rounds:.1f}") if peer.rounds else ("-", "-")),
                f"{peer.max_error:.2g}",
                " + ".join(f"{used / 1e6:.0f}" for used in peer.memory),
            )
        )
    if not rows:
        return ["SPU was not run."]
    return [table(BESIDE, rows), "\n".join(dict.fromkeys(settings))]


def _elsewhere(results: Results) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for ours in _of(results, LOOPBACK):
        megabytes, rounds = compared(ours)
        for peer in PEERS.get(ours.work, ()):
            rows.append(
                (
                    _title(ours),
                    peer.name,
                    f"{peer.seconds:g}",
                    f"{peer.seconds / ours.median:.1f}",
                    f"{peer.megabytes:g}",
                    f"{peer.megabytes / megabytes:.1f}",
                    *((peer.rounds, f"{peer.rounds / rounds:.1f}") if peer.rounds else ("-", "-")),
                    f"{peer.max_error:g}",
                )
            )
    return rows


def systems(results: Results, work: str) -> dict[str, Cost]:
    """By system, on loopback: mpcc, and others as measured beside it or else elsewhere."""
    ours = results.mpcc[work, LOOPBACK]
    found: dict[str, Cost] = {MPCC: (ours.median, *compared(ours))}
    for peer in PEERS.get(work, ()):
        found[peer.name] = (peer.seconds, peer.megabytes, peer.rounds)
    for (name, network, _), result in results.peers.items():
        if (name, network) == (work, LOOPBACK):
            found[result.family] = (result.median, result.megabytes, result.rounds)
    return found


def headline(results: Results) -> str:
    """README.md's table: the works that other systems were measured on."""
    shown = ("SPU SEMI2K", "SIGMA")
    head = (
        "work",
        "online s",
        *(f"{name.upper()} s" for name in SHAPED),
        "MB",
        "rounds",
        "dealt MB",
        "max error",
    )
    rows: list[tuple[object, ...]] = []
    for ours in _of(results, LOOPBACK):
        if ours.work not in ROWS:
            continue
        found = systems(results, ours.work)
        shaped = [results.mpcc.get((ours.work, network)) for network in SHAPED]
        megabytes, rounds = compared(ours)
        rows.append(
            (
                _title(ours),
                f"{ours.median:.2f}",
                *(f"{other.median:.2f}" if other else "-" for other in shaped),
                f"{megabytes:.1f}",
                rounds,
                f"{ours.dealt_bytes / 1e6:.0f}",
                f"{ours.max_error:.1g}",
                *(_cost(found.get(system)) for system in shown),
            )
        )
    return table((*head, *(f"{system}: s, MB, rounds" for system in shown)), rows)


def _cost(cost: Cost | None) -> str:
    if cost is None:
        return "-"
    seconds, megabytes, rounds = cost
    return f"{seconds:.3g}, {megabytes:{'.3g' if megabytes < 1000 else '.0f'}}, {_optional(rounds)}"


def write_pages(results: Results, folder: Path) -> None:
    """docs/benchmarks.md with these tables into a folder; if that is docs, README.md with its own, too."""
    page = with_tables(PAGE.read_text(encoding="utf-8"), tables(results))
    (folder / PAGE.name).write_text(page, encoding="utf-8")
    if folder.resolve() == PAGE.parent:
        README.write_text(
            with_tables(README.read_text(encoding="utf-8"), headline(results)), encoding="utf-8"
        )
