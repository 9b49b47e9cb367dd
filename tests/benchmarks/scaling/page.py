"""The tables of docs/scaling.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from mpcc.compiler.text import table
from tests.benchmarks.pages import with_tables
from tests.benchmarks.rows import ROOT
from tests.benchmarks.scaling.elements import Counts, elements
from tests.benchmarks.scaling.encoder import Encoder
from tests.benchmarks.scaling.points import AXES, BASE, Result, Results
from tests.benchmarks.scaling.theory import QUANTITIES, Theory, exponent

PAGE = ROOT / "docs/scaling.md"
NAMES = {"tokens": "T", "layers": "L", "width": "d"}
PARTS = ("party0", "party1", "dealt", "setup", "multiplications")
LAYER = ("for each of", "there are", "bits, server", "bits, client", "dealt bits", "set-up bits", "products")
COUNTS = (
    *("rounds", "derived", "online MB", "derived", "dealt MB", "derived", "set-up MB", "derived"),
    *("G products", "derived"),
)
SECONDS = (
    *(
        "online s",
        "of these computing, predicted",
        "dealing s",
        "set-up s",
        "compile s",
        "of these: calibrating",
    ),
    *("choosing", "max error"),
)
MEMORY = ("server MB", "client MB", "either, predicted", "dealer MB", "compiler MB", "program folder MB")


def tables(results: Results) -> str:
    theory = Theory.of(results)
    if theory is None:
        return "The points of one and of two layers were not measured."
    parts = [conditions(list(results.by_encoder.values())), "### A layer", _layer(theory)]
    for axis, encoders in AXES.items():
        found = [results.by_encoder[e] for e in encoders if e in results.by_encoder]
        if len(found) > 1:
            head, sizes = NAMES[axis], [getattr(r.encoder, axis) for r in found]
            parts += [f"### {axis.capitalize()}: {_others(axis)}"]
            parts += [
                table((head, *COUNTS), [(s, *_counts(r, theory)) for s, r in zip(sizes, found, strict=True)]),
                table((head, *SECONDS), [(s, *_seconds(r)) for s, r in zip(sizes, found, strict=True)]),
                table((head, *MEMORY), [(s, *_memory(r)) for s, r in zip(sizes, found, strict=True)]),
                _exponents(found, sizes),
                _bits(found, sizes, head),
            ]
    return "\n\n".join(parts)


def conditions(found: Sequence[Result]) -> str:
    """Where and how the points were measured."""
    seen = [r.conditions for r in found]
    machines = "; ".join(sorted({f"{c.processor}, {c.machine}" for c in seen}))
    commits = ", ".join(sorted({c.commit for c in seen}))
    load, others = (
        f"{min(v):.1f} to {max(v):.1f}, {statistics.median(v):.1f} in the median"
        for v in ([c.load for c in seen], [c.other_cores for c in seen])
    )
    sessions = " or ".join(map(str, sorted({len(r.seconds) for r in found})))
    return "\n".join(
        (
            f"- machine: {machines}",
            f"- mpcc: {commits}",
            f"- {len(found)} points; seconds online are the median of {sessions} sessions, parties and "
            "dealer on this machine, loopback",
            f"- load of the machine before a point: {load}; cores that other processes kept busy: {others}",
        )
    )


def _others(axis: str) -> str:
    """The sizes that stay."""
    return ", ".join(f"{sign} = {getattr(BASE, name)}" for name, sign in NAMES.items() if name != axis)


def _layer(theory: Theory) -> str:
    """What each layer but the first declares, for each element."""
    counts = [getattr(theory.layer, name) for name in PARTS]
    sizes = elements(theory.base.encoder)
    kinds = [k for k in sizes if any(round(c.get(k, 0.0), 1) for c in counts)]
    return table(LAYER, [(k, sizes[k], *(_number(c.get(k, 0.0)) for c in counts)) for k in kinds])


def _counts(result: Result, theory: Theory) -> tuple[object, ...]:
    """Measured ones, and how far they are from the derived ones."""
    derived = theory.at(result.encoder)
    cells: list[object] = [result.rounds, derived.rounds]
    for measured, expected, unit in (
        (result.online_bytes, derived.online_bytes, 1e6),
        (result.dealt_bytes, derived.dealt_bytes, 1e6),
        (result.setup_bytes, derived.setup_bytes, 1e6),
        (result.multiplications, derived.multiplications, 1e9),
    ):
        off = 100 * (measured / expected - 1)
        cells += [f"{measured / unit:.2f}", f"{expected / unit:.2f} ({off:+.1f} %)"]
    return tuple(cells)


def _seconds(result: Result) -> tuple[object, ...]:
    return (
        f"{result.online_seconds:.3f}",
        f"{result.predicted_compute:.3f}",
        f"{result.dealing_seconds:.2f}",
        f"{result.setup_seconds:.2f}",
        f"{result.compile_seconds:.1f}",
        *(f"{result.phases[phase]:.1f}" for phase in ("calibrating", "choosing")),
        f"{result.max_error:.2g}",
    )


def _memory(result: Result) -> list[str]:
    memory = result.memory
    parties = (memory.server, memory.client, result.predicted_memory)
    peaks = (*parties, memory.dealer, memory.compiler, result.folder_bytes)
    return [f"{peak / 1e6:.0f}" for peak in peaks]


def _exponents(found: Sequence[Result], sizes: Sequence[int]) -> str:
    """From the first point to the last, and in the last step alone."""
    rows = []
    for quantity in QUANTITIES:
        cells: list[str] = []
        for start in (0, -2):
            part = (found[start:], sizes[start:])
            expected = sorted(exponent(v, *part) + 0.0 for v in quantity.parts.values())
            bounds = dict.fromkeys((f"{expected[0]:.2f}", f"{expected[-1]:.2f}"))
            cells += [" to ".join(bounds), f"{exponent(quantity.value, *part):.2f}"]
        rows.append((quantity.name, ", ".join(quantity.parts), *cells))
    whole, last = f"{sizes[0]} to {sizes[-1]}", f"{sizes[-2]} to {sizes[-1]}"
    return table(("exponent", "made of", f"{whole}: theory", "measured", f"{last}: theory", "measured"), rows)


def _bits(found: Sequence[Result], sizes: Sequence[int], head: str) -> str:
    """Bits online, both ways, and dealt bits, for each element: the same where lowering decides alike."""
    online = [_both(r) for r in found]
    kinds = [k for k in elements(BASE) if any(c.get(k) for c in online)]
    heads = (head, *(f"bits / {k}" for k in kinds), *(f"dealt / {k}" for k in kinds))
    rows = [
        (size, *(_short(c, k, r.encoder) for c in (counts, r.declared.dealt) for k in kinds))
        for size, r, counts in zip(sizes, found, online, strict=True)
    ]
    return table(heads, rows)


def _both(result: Result) -> Counts:
    one, other = result.declared.party0, result.declared.party1
    return {kind: one.get(kind, 0.0) + other.get(kind, 0.0) for kind in {**one, **other}}


def _short(counts: Counts, kind: str, encoder: Encoder) -> str:
    """A layer's, on average."""
    return _number(counts.get(kind, 0.0) / encoder.layers)


def _number(count: float) -> str:
    return f"{count:,.0f}" if count >= 1000 else f"{count:.4g}"


def write_page(results: Results, folder: Path) -> None:
    """docs/scaling.md with these tables into a folder."""
    new = with_tables(PAGE.read_text(encoding="utf-8"), tables(results))
    (folder / PAGE.name).write_text(new, encoding="utf-8")
