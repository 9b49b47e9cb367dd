"""report.json: sums, references, and the description of its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpcc.compiler.report.data import SCHEMA
from mpcc.runtime.program_folder import load_program_folder, read_manifest
from tests.report.conftest import NUMBERS, data_of

DESCRIPTION = Path(__file__).parents[2] / "docs" / "report.md"


@pytest.fixture(params=["bert", "mixture", "gpt"])
def program(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


@pytest.fixture
def data(program: Path) -> Any:
    return data_of(program)


def test_costs_add_up_to_the_predicted_ones(program: Path, data: Any) -> None:
    predicted = read_manifest(program)["predicted"]
    online = predicted["bytes"]["online"]
    for name in ("layers", "kinds", "share_kinds", "operations", "share_operations", "rounds"):
        for party in (0, 1):
            assert sum(entry["bytes"][party] for entry in data[name]) == online[f"party{party}"], name
    for name in ("layers", "kinds", "share_kinds", "operations", "share_operations"):
        dealt = predicted["bytes"]["offline"]["dealer_to_party1"]
        assert sum(entry["offline_bytes"] for entry in data[name]) == dealt, name
    assert len(data["rounds"]) == predicted["rounds"]
    assert data["predicted"]["rounds"] == predicted["rounds"]


def test_every_share_operation_with_a_cost_belongs_to_one_of_the_model(data: Any) -> None:
    for index, operation in enumerate(data["share_operations"]):
        if operation["operation"] >= 0:
            assert index in data["operations"][operation["operation"]]["share_operations"]
        else:
            assert operation["bytes"] == [0, 0]
            assert operation["offline_bytes"] == 0


def test_rounds_name_those_that_send(data: Any) -> None:
    for number, entry in enumerate(data["rounds"]):
        for index in entry["operations"]:
            operation = data["share_operations"][index]
            assert operation["round"] <= number
            assert sum(operation["bytes"])


def test_every_operation_is_in_the_graph_of_its_layer(data: Any) -> None:
    drawn = [
        (layer, node["operation"])
        for layer, graph in enumerate(data["graph"]["operations"])
        for node in graph["nodes"]
        if "operation" in node
    ]
    expected = [(o["layer"], index) for index, o in enumerate(data["operations"]) if not o["view"]]
    assert sorted(drawn) == sorted(expected)


def test_edges_are_what_operations_read(data: Any) -> None:
    for graph in data["graph"]["operations"]:
        nodes = graph["nodes"]
        for source, target, _ in graph["edges"]:
            if "operation" in nodes[source] and "operation" in nodes[target]:
                reader = data["operations"][nodes[target]["operation"]]
                assert nodes[source]["operation"] in reader["inputs"]


def test_the_graphs_hold_every_layer_and_output(data: Any) -> None:
    for graph in data["graph"]["layers"].values():
        layers = [layer for node in graph["nodes"] for layer in node["layers"]]
        assert layers == list(range(len(data["layers"])))
    outputs = [n["output"] for g in data["graph"]["operations"] for n in g["nodes"] if "output" in n]
    assert sorted(outputs) == sorted(output["name"] for output in data["outputs"])


def test_a_block_of_bert_has_its_residual_connections(bert: Path) -> None:
    data = data_of(bert)
    graph = data["graph"]["operations"][1]
    kinds = [
        data["operations"][node["operation"]]["kind"] if "operation" in node else "from"
        for node in graph["nodes"]
    ]
    skipping = {(kinds[a], kinds[b]) for a, b, lane in graph["edges"] if lane >= 0}
    assert ("from", "add") in skipping
    assert ("layer_norm", "add") in skipping


def test_every_choice_is_on_a_card_with_its_curves(program: Path, data: Any) -> None:
    chosen = json.loads((program / "approximations.json").read_text())
    found = data["approximations"]
    assert [site["name"] for site in found["sites"]] == [
        node["chosen"]["approximation"]["name"] for node in chosen["nodes"]
    ]
    places = [p for card in found["cards"] for variant in card["variants"] for p in variant["sites"]]
    assert sorted(places) == list(range(len(chosen["nodes"])))
    for card in found["cards"]:
        for variant in card["variants"]:
            assert variant["curves"]
            for place in variant["sites"]:
                node = chosen["nodes"][place]
                assert node["chosen"]["approximation"] == variant["approximation"]
                operation = data["operations"][found["sites"][place]["operation"]]
                assert set(node["onnx_nodes"]) <= set(operation["onnx_nodes"])
            ranges = [chosen["nodes"][place]["range"] for place in variant["sites"]]
            low, high = variant["calibrated"]
            assert min(extent[0] for extent in ranges) <= low < high <= max(extent[1] for extent in ranges)


def test_errors_by_layer_are_the_worst_of_their_operations(bert: Path) -> None:
    errors = data_of(bert)["errors"]
    assert [layer["label"] for layer in errors["layers"]] == ["layer.0", "layer.1"]
    assert errors["layers"][0]["max"] == NUMBERS["max"]
    assert errors["outputs"] == [{"label": "logits", **NUMBERS}]
    operations = data_of(bert)["operations"]
    assert [operations[e["operation"]]["kind"] for e in errors["operations"]] == ["softmax", "gelu"] * 2


def test_a_mixture_has_its_layouts_and_parts(mixture: Path) -> None:
    data = data_of(mixture)
    assert data["errors"] is None
    (layer,) = data["experts"]["layers"]
    assert data["operations"][layer["operation"]]["kind"] == "moe"
    assert layer["chosen"]["name"] not in [other["name"] for other in layer["others"]]
    kinds = [node["kind"] for node in layer["parts"]["nodes"] if "kind" in node]
    assert kinds[0] == "top_k"
    assert "silu" in kinds


def test_each_party_sees_what_the_other_sends(bert: Path) -> None:
    data = data_of(bert)
    for party in (0, 1):
        entry = data["parties"][party]
        bits = sum(seen["bits"] for seen in entry["seen"] if seen["kind"] != "masked weights")
        revealed = 8 * data["predicted"]["bytes"]["online"][f"party{1 - party}"] - bits
        outputs = [s for s in data["share_operations"] if s["kind"] == "reveal"]
        assert revealed == 8 * sum(s["bytes"][1 - party] for s in outputs)
        assert all(seen["reason"] and seen["mask"] for seen in entry["seen"])
    assert data["parties"][0]["outputs"] == []
    assert data["parties"][1]["outputs"] == ["logits"]
    assert "serve" not in [seen["kind"] for seen in data["parties"][1]["seen"]]


def test_the_report_belongs_to_no_partys_program(program: Path) -> None:
    files = read_manifest(program)["files"]
    assert {"report.json", "report.html"}.isdisjoint(files)
    assert not list(program.glob("party*/report*"))
    load_program_folder(program)


def described_fields() -> Iterator[tuple[str, set[str]]]:
    """From docs/report.md: the path of each object, and the fields that its table names."""
    text = DESCRIPTION.read_text(encoding="utf-8").split("## report.json")[1]
    for part in text.split("\n### ")[1:]:
        rows = re.findall(r"^\| (`[^|]+) \|", part, re.M)
        yield part.split("`")[1], {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def objects(value: Any, path: str) -> list[Any]:
    """The objects at a path such as `rounds[]`."""
    found = [value]
    for name in path.strip(".").split(".") if path != "." else ():
        found = [inner[name.removesuffix("[]")] for inner in found if inner is not None]
        if name.endswith("[]"):
            found = [entry for entries in found for entry in entries]
    return [entry for entry in found if entry is not None]


@pytest.mark.parametrize(("path", "fields"), list(described_fields()))
def test_the_description_names_every_field(path: str, fields: set[str], bert: Path, mixture: Path) -> None:
    found = [entry for program in (bert, mixture) for entry in objects(data_of(program), path)]
    assert found
    assert all(set(entry) == fields for entry in found)


def test_the_description_names_the_schema(bert: Path) -> None:
    assert data_of(bert)["schema"] == SCHEMA
    assert f"`schema` is {SCHEMA} " in DESCRIPTION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["kinds", "share_kinds"])
def test_costs_by_kind_are_like_those_by_layer(name: str, bert: Path) -> None:
    data = data_of(bert)
    assert {tuple(entry) for entry in data[name]} == {tuple(entry) for entry in data["layers"]}
