"""The choice of layouts: what a request allows, and prices that depend on shapes and network only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from mpcc.compiler.calibrate import Calibration, Shares
from mpcc.compiler.choose.experts.choose import ExpertsChoice, Option, cheapest, choose_experts, groupings
from mpcc.compiler.choose.experts.nominal import Nominal
from mpcc.compiler.choose.experts.record import record
from mpcc.compiler.choose.experts.request import Capacity, ExpertsRequest, experts_request, parse_capacity
from mpcc.compiler.choose.experts.text import experts_lines
from mpcc.compiler.choose.price import OFFLINE_SHARE, Price
from mpcc.compiler.cost.network import NETWORKS
from mpcc.ir.diagnostics import MpccError
from mpcc.passes.experts.expand import expand_experts
from mpcc.passes.experts.layout import Layout
from mpcc.passes.lower import Formats
from tests.compiler.choose.moe_programs import mixtures

SWITCH: dict[str, Any] = {"tokens": 128, "width": 768, "hidden": 3072}
ONE = Capacity(1.0, relative=True)


def chosen(request: ExpertsRequest | None = None, network: str = "lan", **sizes: Any) -> ExpertsChoice:
    (choice,) = choose_experts(mixtures(**sizes), request or ExpertsRequest(), Formats(), NETWORKS[network])
    return choice


def options(choice: ExpertsChoice) -> dict[str, Option]:
    return {option.layout.name: option for option in (choice.taken, *choice.others)}


# ---- requests


@pytest.mark.parametrize(
    ("text", "capacity"),
    [
        ("32", Capacity(32, relative=False)),
        ("2x", Capacity(2, relative=True)),
        ("1.25x:scores", Capacity(1.25, relative=True, claims="scores")),
        ("7:first", Capacity(7, relative=False)),
    ],
)
def test_a_capacity_is_slots_or_a_factor_and_a_rule(text: str, capacity: Capacity) -> None:
    assert parse_capacity(text) == capacity
    assert parse_capacity(str(capacity)) == capacity


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "x", "0x", "-2x", "nanx", "infx", "2x:last", "2x:", "", ":"]
)
def test_no_positive_capacity(text: str) -> None:
    with pytest.raises(MpccError) as caught:
        parse_capacity(text)
    assert caught.value.code == "MPC-C017"


def test_slots_are_a_share_of_an_even_load_and_never_more_than_tokens() -> None:
    assert Capacity(1.25, relative=True).slots(tokens=128, top_k=2, experts=8) == 40
    assert Capacity(1.0, relative=True).slots(tokens=10, top_k=1, experts=4) == 3
    assert Capacity(50, relative=False).slots(tokens=16, top_k=2, experts=4) == 16
    assert Capacity(100, relative=True).slots(tokens=16, top_k=2, experts=4) == 16


@pytest.mark.parametrize(
    ("kind", "capacity", "codes"),
    [
        ("dense", None, ["MPC-C001"]),
        ("weights", None, ["MPC-C002"]),
        ("weights", "2x", ["MPC-C002", "MPC-C016"]),
        (None, "2x", ["MPC-C016"]),
        ("all", "x", ["MPC-C016", "MPC-C017"]),
        ("dispatch", "0", ["MPC-C017"]),
    ],
)
def test_a_request_that_makes_no_sense(kind: str | None, capacity: str | None, codes: list[str]) -> None:
    with pytest.raises(MpccError) as caught:
        experts_request(kind, capacity)
    assert [error.code for error in getattr(caught.value, "errors", [])] == codes


@pytest.mark.parametrize(
    ("request_", "model", "code"),
    [
        (ExpertsRequest("all"), {"layers": 0}, "MPC-C002"),
        (ExpertsRequest("dispatch"), {}, "MPC-C015"),
        (ExpertsRequest("dispatch", ONE), {"capacity": 3}, "MPC-C018"),
        (ExpertsRequest("dispatch", Capacity(3, False, "scores")), {"capacity": 3}, "MPC-C018"),
    ],
)
def test_a_request_that_a_model_cannot_meet(
    request_: ExpertsRequest, model: dict[str, Any], code: str
) -> None:
    with pytest.raises(MpccError) as caught:
        choose_experts(mixtures(**model), request_, Formats(), NETWORKS["lan"])
    assert caught.value.code == code


def test_a_model_without_experts_has_no_choices() -> None:
    assert choose_experts(mixtures(layers=0), ExpertsRequest(), Formats(), NETWORKS["lan"]) == []


# ---- what is taken


def test_the_cheapest_exact_layout_is_taken() -> None:
    choice = chosen(**SWITCH)
    assert set(options(choice)) == {
        "all",
        *(f"outer ({a}, {b})" for a in ("in", "out") for b in ("in", "out")),
    }
    assert choice.taken.price.cost == min(option.price.cost for option in options(choice).values())
    assert choice.taken.layout.kind == "outer"
    assert choice.exact
    assert not choice.asked


def test_of_about_equal_costs_without_a_dealer_the_fewest_bytes_are_taken() -> None:
    def option(cost: float, size: int, share: float) -> Option:
        return Option(Layout("all", 0), Price(1, size, size, 0.0, cost / share, share))

    for share, taken in ((OFFLINE_SHARE, 0), (1.0, 2)):
        sorted_options = [option(1.0, 90, share), option(1.05, 80, share), option(1.09, 60, share)]
        sorted_options.append(option(1.2, 10, share))
        assert cheapest(sorted_options) is sorted_options[taken]


@pytest.mark.parametrize("kind", ["all", "outer"])
def test_what_is_asked_for_is_taken_and_the_rest_still_priced(kind: str) -> None:
    choice = chosen(ExpertsRequest(kind))
    assert choice.asked
    assert choice.taken.layout.kind == kind
    assert set(options(choice)) == set(options(chosen()))
    same = [o for o in options(choice).values() if o.layout.kind == kind]
    assert choice.taken.price.cost == min(o.price.cost for o in same)


def test_a_models_own_capacity_may_be_dispatched_unasked() -> None:
    choice = chosen(capacity=2, claims="scores", tokens=64, width=128, hidden=512, experts=32)
    assert choice.taken.layout.capacity == 2
    assert choice.taken.layout.claims == "scores"
    assert choice.exact
    same = chosen(ExpertsRequest("dispatch", Capacity(2, False, "scores")), capacity=2, claims="scores")
    assert same.exact


def test_a_stated_capacity_is_exact_only_where_nothing_can_overflow() -> None:
    dropping = chosen(ExpertsRequest("dispatch", ONE))
    assert dropping.taken.layout == Layout("dispatch", dropping.taken.layout.group, capacity=2)
    assert not dropping.exact
    whole = chosen(ExpertsRequest("dispatch", Capacity(1000, relative=False)))
    assert whole.taken.layout.capacity == 16
    assert whole.exact


def test_an_earlier_compilations_layout_stays() -> None:
    usual = chosen()
    other = usual.others[0].layout
    text = Calibration(layouts={"y0": other}).to_json()
    earlier = Calibration.from_json(text).layouts
    program, lan = mixtures(), NETWORKS["lan"]
    (kept,) = choose_experts(program, ExpertsRequest(), Formats(), lan, earlier)
    assert kept.taken.layout == other
    for request, layouts in (
        (ExpertsRequest("all"), {"y0": usual.taken.layout}),
        (ExpertsRequest(), {"y0": Layout("dispatch", 8, capacity=3)}),
        (ExpertsRequest(), {"y0": Layout("outer", 5)}),
    ):
        with pytest.raises(MpccError) as caught:
            choose_experts(program, request, Formats(), lan, layouts)
        assert caught.value.code == "MPC-C019"


# ---- prices


def test_prices_grow_with_the_experts() -> None:
    small, large = (options(chosen(experts=n, width=64)) for n in (4, 16))
    for name, option in small.items():
        assert option.price.bytes < large[name].price.bytes
        assert option.price.cost < large[name].price.cost


def test_prices_do_not_depend_on_weights_and_equal_layers_have_one_price() -> None:
    first, second = choose_experts(
        mixtures(layers=2, weight=1.0), ExpertsRequest(), Formats(), NETWORKS["lan"]
    )
    assert options(first) == options(second) == options(chosen(weight=-7.0))


def test_the_gates_alpha_does_not_change_the_price() -> None:
    form: dict[str, Any] = {"gated": True, "activation": "silu", "limit": 7.0, "beta": 1.0}
    plain, scaled = (chosen(**form, alpha=alpha) for alpha in (1.0, 1.702))
    assert options(plain) == options(scaled)


def test_twelve_layers_of_128_experts_are_priced_at_once() -> None:
    program = mixtures(layers=12, experts=128, top_k=8, **SWITCH)
    started = time.thread_time()  # of this thread alone, whatever else the machine does
    choices = choose_experts(program, ExpertsRequest(), Formats(), NETWORKS["lan"])
    assert time.thread_time() - started < 2
    assert len({choice.taken for choice in choices}) == 1


def test_a_switch_layer_costs_what_the_protocols_promise() -> None:
    """docs/mixture_of_experts.md: E = 8 at most 20 MB and 0.45 of `all`, E = 128 at most 0.35 of it."""
    for experts, part in ((8, 0.45), (128, 0.35)):
        found = options(chosen(experts=experts, **SWITCH))
        best = min(found.values(), key=lambda option: option.price.bytes)
        assert best.price.bytes < part * found["all"].price.bytes
        assert experts > 8 or best.price.bytes < 20e6
    twice = ExpertsRequest("dispatch", Capacity(2, relative=True))
    few, many = (chosen(twice, experts=experts, **SWITCH).taken.price.bytes for experts in (16, 128))
    assert many < 1.1 * few
    assert many < 20e6


def test_a_gated_mixture_of_many_choices_selects_results_first_and_values_second() -> None:
    choice = chosen(
        tokens=32,
        experts=128,
        top_k=8,
        width=2048,
        hidden=768,
        gated=True,
        activation="silu",
        normalised=True,
    )
    assert choice.taken.layout.sides == ("out", "in")


# ---- what is shown


def lines(choices: list[ExpertsChoice], dropped: Mapping[str, Shares], generated: bool = False) -> list[str]:
    return experts_lines(record(choices, NETWORKS["lan"], dropped, generated))


def test_equal_layers_share_a_line() -> None:
    choices = choose_experts(mixtures(layers=3), ExpertsRequest(), Formats(), NETWORKS["lan"])
    (line,) = lines(choices, {})
    assert line.startswith("3 layers of 8 experts, top 1: ")
    other = choose_experts(mixtures(experts=4), ExpertsRequest(), Formats(), NETWORKS["lan"])
    assert len(lines([*choices, *other], {})) == 2


@pytest.mark.parametrize("kind", ["all", "outer", "dispatch"])
def test_a_models_own_capacity_is_told_with_what_it_drops(kind: str) -> None:
    program = mixtures(layers=2, capacity=2, claims="scores")
    choices = choose_experts(program, ExpertsRequest(kind), Formats(), NETWORKS["lan"])
    expanded = expand_experts(program, {c.value: c.taken.layout for c in choices})
    claiming = [o.result.name for o in expanded.operations if o.kind in ("keep_within", "assign_slots")]
    assert len(claiming) == 2
    dropped = dict(zip(claiming, [(0.0, 0.05, 0.25), (0.125, 0.25, 0.5)], strict=True))
    assert lines(choices, dropped)[1:] == [
        "2 slots an expert; an even load is 2 choices",
        "15 % of the choices were dropped on the calibration inputs (0 % to 50 % of an input's in a layer)",
        "a dropped choice adds 0, its token keeps the rest; the highest gates are served: "
        "the model's own rule",
    ]
    assert "12 % of the choices were dropped on the generated inputs" in lines(
        choices[:1], {claiming[0]: (0.12, 0.12, 0.12)}, generated=True
    )


# ---- the router


def test_groupings_are_divisors_above_k_and_all_at_once() -> None:
    assert groupings(8, 1) == [8, 2, 4]
    assert set(groupings(128, 8)) == {128, 16, 32, 64}
    assert groupings(7, 2) == [7]
    assert groupings(1, 1) == [2]
    assert len(groupings(120, 1)) == 6


@pytest.mark.parametrize("network", ["lan", "wan"])
def test_the_router_takes_the_cheapest_grouping(network: str) -> None:
    nominal = Nominal(Formats(), NETWORKS[network])
    costs = {group: nominal.router((128, 128), 1, group).cost for group in groupings(128, 1)}
    choice = chosen(network=network, tokens=128, experts=128)
    assert costs[choice.taken.layout.group] == min(costs.values())
    if network == "lan":  # where a round costs little beside the bytes of all pairs
        assert costs[8] < costs[128]


def test_a_slow_network_compares_few_logits_at_once() -> None:
    assert chosen(network="wan", tokens=4).taken.layout.group == 8
