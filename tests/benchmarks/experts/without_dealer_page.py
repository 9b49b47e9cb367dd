"""The tables of docs/two_party/experts.md."""

from __future__ import annotations

from collections.abc import Mapping

from mpcc.compiler.text import table
from tests.benchmarks.experts.layer_cost import NETWORKS, LayerCost
from tests.benchmarks.experts.page import ACTIVATIONS
from tests.benchmarks.experts.points import Point
from tests.benchmarks.experts.published import SECMOE, SECMOE_EXPERTS, SECMOE_MINUTES
from tests.benchmarks.experts.without_dealer import LAYOUTS, Run

Costs = Mapping[Point, LayerCost]
Runs = Mapping[Point, Run]
HEAD = (
    *("E", "layout", "MB, all of it", "of `all`", "offline MB, party 0 + 1", "online MB, party 0 + 1"),
    *("rounds, offline + online", *(f"{name} s, predicted" for name in NETWORKS)),
    *("bytes are", *(f"{name} s, measured" for name in NETWORKS), "on", "max error"),
)


def tables(costs: Costs, runs: Runs) -> str:
    groups = sorted({(p.activation, p.tokens) for p in costs})
    parts = [_conditions(runs)]
    for activation, tokens in groups:
        members = {p: c for p, c in costs.items() if (p.activation, p.tokens) == (activation, tokens)}
        parts += [f"### {ACTIVATIONS[activation]}, T = {tokens}", layer_table(members, runs)]
    return "\n\n".join([*parts, "### Beside SecMoE", _beside(costs, runs), _minutes()])


def _conditions(runs: Runs) -> str:
    if not runs:
        return "Nothing was measured: all rows are predicted."
    conditions = [run.conditions for run in runs.values()]
    machines = "; ".join(sorted({f"{c.machine}; {c.processor}" for c in conditions}))
    loads, others = sorted(c.load for c in conditions), sorted(c.other_cores for c in conditions)
    return (
        f"{len(runs)} points were run, once over each network: {machines}. The load of the machine before a "
        f"point was {loads[0]:.1f} to {loads[-1]:.1f}, and other processes kept {others[0]:.1f} to "
        f"{others[-1]:.1f} of its cores busy meanwhile ({others[len(others) // 2]:.1f} in the median): "
        "seconds would be fewer on a machine of its own, bytes and rounds the same."
    )


def layer_table(costs: Costs, runs: Runs) -> str:
    order = sorted(costs, key=lambda p: (p.experts, LAYOUTS.index(p.layout)))
    whole = {p.experts: _megabytes(p, costs, runs) for p in order if p.layout == LAYOUTS[0]}
    return table(HEAD, [_row(p, costs[p], runs.get(p), whole[p.experts]) for p in order])


def _megabytes(point: Point, costs: Costs, runs: Runs) -> float:
    return runs[point].megabytes if point in runs else costs[point].megabytes


def _row(point: Point, cost: LayerCost, run: Run | None, whole: float) -> tuple[object, ...]:
    offline, online = (cost.made.party0, cost.made.party1), cost.online
    rounds, layout = (cost.made.rounds, cost.rounds), cost.layout
    if run:
        offline, online, rounds, layout = run.offline, run.online, run.rounds, run.layout
    total = (sum(offline) + sum(online)) / 1e6
    measured = [f"{sum(run.seconds[name]):.1f}" if run else "-" for name in NETWORKS]
    return (
        point.experts,
        f"`{layout}`" + (f", {point.factor:g}x" if point.factor else ""),
        f"{total:.1f}",
        f"{total / whole:.2f}",
        _pair(offline),
        _pair(online),
        f"{rounds[0]} + {rounds[1]}",
        *(f"{sum(cost.seconds[name]):.1f}" for name in NETWORKS),
        "measured" if run else "predicted",
        *measured,
        _processor(run) if run else "-",
        f"{run.error:.2%}".replace("%", " %") if run else "-",
    )


def _processor(run: Run) -> str:
    return run.conditions.processor.split(",")[0].replace("(R)", "")


def _pair(sent: tuple[int, int]) -> str:
    return f"{sent[0] / 1e6:.2f} + {sent[1] / 1e6:.2f}"


def _beside(costs: Costs, runs: Runs) -> str:
    """Published GB, and GB of one layer."""
    rows: list[tuple[object, ...]] = [
        (f"{name}, published, GB", *row, f"{row[-1] / row[0]:.2f}x") for name, row in SECMOE.items()
    ]
    for layout in LAYOUTS:
        curve = {p.experts: p for p in costs if (p.layout, p.tokens, p.activation) == (layout, 128, "relu")}
        points = [curve[experts] for experts in SECMOE_EXPERTS]
        sent = [_megabytes(point, costs, runs) / 1e3 for point in points]
        cells = (
            f"{value:.2f}" + ("" if point in runs else ", predicted")
            for point, value in zip(points, sent, strict=True)
        )
        rows.append((f"mpcc, `{layout}`, one layer, T = 128, ReLU, GB", *cells, f"{sent[-1] / sent[0]:.2f}x"))
    return table(("", *(f"E = {experts}" for experts in SECMOE_EXPERTS), "16 to 128"), rows)


def _minutes() -> str:
    """Published minutes."""
    head = ("published, minutes", "MoE-Small, LAN", "MoE-Small, WAN", "Switch-Base, LAN", "Switch-Base, WAN")
    return table(head, [(name, *row) for name, row in SECMOE_MINUTES.items()])
