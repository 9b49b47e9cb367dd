"""Predicted costs: their parts add up, seconds follow the network, and both forms of `mpcc cost`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpcc.compiler.cli import main
from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import NETWORKS, Network, parse_network
from mpcc.compiler.cost.report import PROCESS_BYTES, cost_json, peak_elements, predict, wire_bytes
from mpcc.compiler.dumps import read_share_program
from mpcc.ir.program import Builder, Program, Stage
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.program_folder import WEIGHTS_NAME, read_manifest
from mpcc.runtime.stored_arrays import load_arrays


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("lan", NETWORKS["lan"]),
        ("wan", NETWORKS["wan"]),
        ("20,100", Network("custom", 20, 100)),
        ("0,2.5", Network("custom", 0, 2.5)),
    ],
)
def test_networks_are_read(text: str, network: Network) -> None:
    assert parse_network(text) == network


@pytest.mark.parametrize("text", ["", "20", "20,100,3", "a,b", "-1,100", "20,0", "20,-5", "nan,1", "inf,1"])
def test_other_networks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"lan, wan or RTT_MS,MBIT|round trip"):
        parse_network(text)


def test_time_on_the_wire() -> None:
    network = Network("custom", rtt_ms=20, mbit=8)
    assert network.seconds(100, 2_000_000) == pytest.approx(100 * 0.01 + 2)


def test_both_directions_are_busy_at_once(bert_program: Path) -> None:
    cost = cost_of(program := read_share_program(bert_program))
    assert max(cost.bytes_party0, cost.bytes_party1) <= wire_bytes(program)
    assert wire_bytes(program) < cost.bytes_party0 + cost.bytes_party1


def test_the_parts_add_up_to_what_the_manifest_predicts(bert_program: Path) -> None:
    content = json.loads(cost_json(bert_program, NETWORKS["wan"]))
    predicted = read_manifest(bert_program)["predicted"]
    assert (content["rounds"], content["bytes"]) == (predicted["rounds"], predicted["bytes"])
    for parts in (content["layers"], content["operations"]):
        for party in ("party0", "party1"):
            assert sum(p["bytes"][party] for p in parts) == predicted["bytes"]["online"][party]
        assert sum(p["offline_bytes"] for p in parts) == predicted["bytes"]["offline"]["dealer_to_party1"]
        assert sum(p["multiplications"] for p in parts) == content["multiplications"]
    names = [p["name"] for p in content["layers"]]
    assert names == ["before the layers", "layer.0", "layer.1", "after the layers"]
    seconds = content["seconds"]
    assert seconds["online"] == pytest.approx(seconds["network"] + seconds["compute"])
    assert seconds["network"] > 0.04 * predicted["rounds"]


def chain(*, keep_first: bool) -> Program:
    """Three sums of vectors of ten elements, with a view between; the last may read the first again."""
    builder, kind = Builder("chain", Stage.SHARE), RingType(Sharing.SHARE, 64, 0, (10,))
    x = builder.append("client_input", [], {"name": "x", "fraction": 0, "shape": (10,)}, [kind]).result
    first = builder.append("add", [x, x], {}, [kind]).result
    view = builder.append("reshape", [first], {"shape": (10,)}, [kind]).result
    second = builder.append("add", [view, view], {}, [kind]).result
    last = builder.append("add", [second, x if keep_first else second], {}, [kind]).result
    builder.program.outputs = {"y": last}
    return builder.program


def test_peak_of_memory_follows_last_uses_and_views_take_none() -> None:
    assert peak_elements(chain(keep_first=False)) == 20
    assert peak_elements(chain(keep_first=True)) == 30


def test_memory_covers_what_each_party_holds(bert_program: Path) -> None:
    program = read_share_program(bert_program)
    cost = cost_of(program)
    weights = load_arrays(bert_program / "party0" / WEIGHTS_NAME)
    held = sum(array.size * 4 for array in weights.values())
    predicted = predict(program, cost, NETWORKS["lan"]).memory_bytes - PROCESS_BYTES
    assert held + cost.offline_bytes < predicted < 8 * (held + cost.offline_bytes)  # 64 bits hold 8 and more


def test_text_has_totals_layers_and_operations(
    bert_program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", str(bert_program), "--network", "20,100"]) == 0
    out = capsys.readouterr().out
    predicted = read_manifest(bert_program)["predicted"]
    assert f"bytes, party 0    {predicted['bytes']['online']['party0']:,}" in out
    assert "over custom (20 ms round trip, 100 Mbit/s)" in out
    assert all(f"| {name} " in out for name in ("layer.0", "open_masked", "linear"))
    assert main(["cost", str(bert_program), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rounds"] == predicted["rounds"]
