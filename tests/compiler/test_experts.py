"""Compiling a mixture of experts: dumps, ranges, what is printed, inspected and audited."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpcc.compiler.accuracy import check_error
from mpcc.compiler.audit import audit
from mpcc.compiler.backend.emit import RANGES_NAME, Compiled
from mpcc.compiler.choose.experts.record import EXPERTS_NAME, read_experts
from mpcc.compiler.choose.experts.request import ExpertsRequest, experts_request
from mpcc.compiler.cli import main
from mpcc.compiler.cli.compile import summary
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import import_model
from mpcc.compiler.inspect import inspect_command
from mpcc.compiler.layers import layers_by_node
from mpcc.compiler.simulate import simulate
from mpcc.compiler.verify import verify
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects.experts import positions
from mpcc.ir.program import Builder, Stage
from mpcc.passes.experts.expand import expand_experts
from mpcc.passes.experts.layout import Layout
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.program_folder import read_manifest
from tests.compiler.compiled import MODELS

NAME = "moe_contrib"
MODEL = MODELS / f"{NAME}.onnx"
EVEN = experts_request("dispatch", "1x")


@cache
def sample() -> dict[str, np.ndarray]:
    with np.load(MODELS / f"{NAME}.npz") as archive:
        return {"x": archive["in_x"]}


def compiled(folder: Path, experts: ExpertsRequest, **options: Any) -> Compiled:
    samples = None if "ranges" in options else [sample()]
    request = Request(MODEL, folder / "program", samples=samples, experts=experts, **options)
    return compile_model(request, lambda line: None)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compiled, Path]:
    folder = tmp_path_factory.mktemp("chosen")
    return compiled(folder, ExpertsRequest()), folder / "program"


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compiled, Path]:
    folder = tmp_path_factory.mktemp("dropping")
    return compiled(folder, EVEN), folder / "program"


def test_the_expanded_program_is_dumped_behind_the_imported_one(chosen: tuple[Compiled, Path]) -> None:
    (imported, first), (name, second), *_ = read_dumps(chosen[1])
    assert (imported, name) == ("import", "experts")
    assert [o.kind for o in first.operations].count("moe") == 1
    assert "moe" not in {o.kind for o in second.operations}
    assert {"top_k", "routed_linear"} <= {o.kind for o in second.operations}
    assert {v.name for v in first.outputs.values()} == {v.name for v in second.outputs.values()}


def test_a_model_without_experts_has_no_such_dump_and_no_such_file(bert_program: Path) -> None:
    assert "experts" not in dict(read_dumps(bert_program))
    assert not (bert_program / EXPERTS_NAME).exists()
    assert "layouts" not in json.loads((bert_program / RANGES_NAME).read_text())
    assert "outing" not in audit(bert_program)
    assert "xperts" not in inspect_command(bert_program, None, False)


def test_the_record_holds_the_layout_and_all_prices(chosen: tuple[Compiled, Path]) -> None:
    (layer,) = read_experts(chosen[1])["layers"]
    assert (layer["tokens"], layer["experts"], layer["top_k"]) == (16, 8, 2)
    assert (layer["width"], layer["hidden"], layer["gated"]) == (64, 128, False)
    assert (layer["slots"], layer["dropped"], layer["exact"], layer["asked"]) == (0, None, True, False)
    names = [option["name"] for option in (layer["chosen"], *layer["others"])]
    assert sorted(names) == ["all", *(f"outer ({a}, {b})" for a in ("in", "out") for b in ("in", "out"))]
    assert "moe" not in read_manifest(chosen[1])["program"]["options"]


def test_what_is_printed_and_inspected_names_layout_cost_and_runner_up(chosen: tuple[Compiled, Path]) -> None:
    (layer,) = read_experts(chosen[1])["layers"]
    taken, other = layer["chosen"], layer["others"][0]
    (line,) = (t for t in summary(*chosen).splitlines() if t.startswith("experts:"))
    for text in ("1 layer of 8 experts, top 2", taken["name"], f"{taken['rounds']} rounds", other["name"]):
        assert text in line
    shown = inspect_command(chosen[1], None, False)
    assert "Mixtures of experts, chosen for lan" in shown
    assert all(option["name"] in shown for option in (taken, *layer["others"]))
    assert "slots" not in shown


def test_the_audit_says_that_routing_reveals_nothing(
    chosen: tuple[Compiled, Path], dropping: tuple[Compiled, Path]
) -> None:
    text = audit(chosen[1])
    assert "Routing reveals nothing. Which expert a token chose is seen by neither party" in text
    assert "Overflow" not in text
    assert "Experts: 1 layer of 8 experts, top 2, 16 tokens, computed by outer" in text
    text = audit(dropping[1])
    assert "Routing reveals nothing." in text
    assert "Overflow is not visible either" in text
    assert "16 tokens, 4 slots an expert, computed by dispatch (4 slots)" in text


def test_dispatch_says_what_it_drops(dropping: tuple[Compiled, Path]) -> None:
    program = import_model(MODEL, {}, {}, {}).program
    (moe,) = (o for o in program.operations if o.kind == "moe")
    values = {v.name: a for v, a in evaluate(program, sample()).items()}
    order = np.argsort(-values[moe.operands[0].name], axis=-1, kind="stable")[:, :2]
    places = positions(np.eye(8)[order], None)
    dropped = float((places >= 4).mean())
    assert 0 < dropped < 0.5
    (layer,) = read_experts(dropping[1])["layers"]
    assert layer["dropped"] == pytest.approx([dropped, dropped, dropped])
    assert (layer["slots"], layer["slots_for"], layer["exact"], layer["asked"]) == (4, "first", False, True)
    text = summary(*dropping)
    for part in (
        "dispatch (4 slots) (asked for)",
        "4 slots an expert; an even load is 4 choices",
        f"{100 * dropped:.2g} % of the choices were dropped on the calibration inputs",
        "first come, first served: results differ from the model's",
    ):
        assert part in text
    assert read_manifest(dropping[1])["program"]["options"]["moe"] == "dispatch"
    assert read_manifest(dropping[1])["program"]["options"]["moe_capacity"] == "1x:first"


def test_ranges_behind_dropped_choices_are_those_of_the_program(dropping: tuple[Compiled, Path]) -> None:
    imported = import_model(MODEL, {}, {}, {})
    (name,) = (o.result.name for o in imported.program.operations if o.kind == "moe")
    (layer,) = read_experts(dropping[1])["layers"]
    layout = Layout("dispatch", layer["chosen"]["group"], capacity=4)
    program = expand_experts(imported.program, {name: layout})
    values = {v.name: array for v, array in evaluate(program, sample()).items()}
    model = {v.name: array for v, array in evaluate(imported.program, sample()).items()}
    assert np.abs(values[name] - model[name]).max() > 0.1
    low, high = json.loads((dropping[1] / RANGES_NAME).read_text())["ranges"][name]
    assert (low, high) == pytest.approx((values[name].min(), values[name].max()))
    assert np.abs(simulate(dropping[1], sample())["y"] - values[name]).max() < 0.01


def test_verify_shows_the_error_of_dropping(
    dropping: tuple[Compiled, Path], chosen: tuple[Compiled, Path]
) -> None:
    result = verify(dropping[1], sample(), MODEL, ScreenEvents())
    assert result.output_errors["y"].approximated > 0.1
    exact = verify(chosen[1], sample(), MODEL, ScreenEvents())
    assert exact.output_errors["y"].max < 0.01


def test_an_error_too_large_is_put_down_to_dropping(tmp_path: Path) -> None:
    request = Request(MODEL, tmp_path / "program", samples=[sample()], experts=EVEN, max_error=0.01)
    with pytest.raises(MpccError) as caught:
        check_error(compile_model(request, lambda line: None), request, 0.01)
    assert caught.value.code == "MPC-C012"
    assert "--moe-capacity" in caught.value.remedy


def test_ranges_are_for_the_layout_they_were_measured_with(
    dropping: tuple[Compiled, Path], tmp_path: Path
) -> None:
    ranges = dropping[1] / RANGES_NAME
    again = compiled(tmp_path, experts_request("dispatch", "4"), ranges=ranges)
    (layer,) = again.experts["layers"]
    assert layer["dropped"] == read_experts(dropping[1])["layers"][0]["dropped"]
    for request in (ExpertsRequest(), experts_request("all", None), experts_request("dispatch", "5")):
        with pytest.raises(MpccError) as caught:  # nothing is dropped that was not asked for, either
            compiled(tmp_path / "other", request, ranges=ranges)
        assert caught.value.code == "MPC-C019"


def test_a_file_of_ranges_with_a_wrong_layout_is_refused(
    chosen: tuple[Compiled, Path], tmp_path: Path
) -> None:
    content = json.loads((chosen[1] / RANGES_NAME).read_text())
    (name,) = content["layouts"]
    content["layouts"][name] = {"kind": "outer"}
    (tmp_path / "ranges.json").write_text(json.dumps(content))
    with pytest.raises(MpccError) as caught:
        compiled(tmp_path, ExpertsRequest(), ranges=tmp_path / "ranges.json")
    assert caught.value.code == "MPC-F041"


def test_the_command_line_takes_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "compile",
        str(MODEL),
        "-o",
        str(tmp_path / "p"),
        "--moe",
        "dispatch",
        "--moe-capacity",
        "2x:scores",
    ]
    assert main([*words, "--dump-after", "experts"]) == 0
    printed = capsys.readouterr().out
    assert "assign_slots" in printed
    assert "8 slots an expert" in printed
    dense = ["compile", str(MODELS / "bert.legacy17.onnx"), "-o", str(tmp_path / "q"), "--moe", "all"]
    assert main(dense) == 1
    assert "error[MPC-C002]: --moe all: the model has no mixture of experts" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_a_routers_softmax_begins_no_layer() -> None:
    builder = Builder("m", Stage.TENSOR)
    x = builder.emit("input", name="x", visibility="party1", dtype="float", shape=(2, 4))
    for layer in ("0", "1"):
        norm = builder.emit("rms_norm", x, onnx_nodes=(f"norm{layer}",), epsilon=0.0)
        scores = builder.emit("softmax", norm, onnx_nodes=(f"attend{layer}",), empty_rows="zero")
        second = builder.emit("rms_norm", scores, onnx_nodes=(f"second{layer}",), epsilon=0.0)
        builder.emit("top_k", second, onnx_nodes=(f"moe{layer}",), k=1, group=4)
        x = builder.emit("softmax", second, onnx_nodes=(f"moe{layer}",), empty_rows="zero")
    layers = layers_by_node(builder.program)
    assert {node: layers[node] for node in ("attend0", "moe0", "attend1", "moe1")} == {
        "attend0": "block 0", "moe0": "block 0", "attend1": "block 1", "moe1": "block 1"
    }  # fmt: skip
