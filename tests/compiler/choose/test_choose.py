"""The choice on a fixture: what probes say is what the program costs, and error and budget hold."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.accuracy import check_error
from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.calibrate import calibrate
from mpcc.compiler.choose.choose import Choices, Judge
from mpcc.compiler.choose.probe import Probes
from mpcc.compiler.choose.table import APPROXIMATIONS_NAME
from mpcc.compiler.choose.uses import OWN, unused, uses
from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import NETWORKS
from mpcc.compiler.driver import Request, compile_model, widened
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import session
from mpcc.compiler.inspect import inspect_command
from mpcc.compiler.simulate import simulate
from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.ir.program import Program
from mpcc.passes.approximations.plan import Plan
from mpcc.passes.lower import Formats
from mpcc.passes.pipeline import Lower, pipeline, run
from mpcc.runtime.program_folder import load_program_folder
from tests.compiler.compiled import MODELS

NAME = "bert.dynamo20"
MODEL = MODELS / f"{NAME}.onnx"
NEIGHBOURS = 0.1  # of an option's bytes


@cache
def sample() -> dict[str, np.ndarray]:
    with np.load(MODELS / f"{NAME}.npz") as archive:
        return {k.removeprefix("in_"): archive[k] for k in archive.files if k.startswith("in_")}


@cache
def judge(max_error: float | None = None, network: str = "lan", **chosen: str) -> Judge:
    imported = import_model(MODEL, {}, {}, {})
    ranges, internals = widened(calibrate(imported, MODEL, [sample()]), Formats().safety)
    probes = Probes(imported.program, ranges, internals, Formats(), NETWORKS[network])
    preset = chosen.pop("preset", "best")
    return Judge(imported, MODEL, [sample()], probes, uses(preset, chosen), max_error)


@cache
def choices(max_error: float | None = None, network: str = "lan", **chosen: str) -> Choices:
    return judge(max_error, network, **chosen).choices()


def lowered(plan: Plan) -> Program:
    known = judge()
    reveals = {o.name: o.reveal for o in known.imported.outputs}
    lowering = Lower(known.probes.ranges, known.probes.internals, reveals, plan=plan)
    return run(pipeline(lowering, False), known.imported.program, lambda name, program: None)


@pytest.mark.parametrize("kind", ["gelu", "layer_norm", "softmax"])
def test_a_probe_costs_what_the_choice_costs_in_the_program(kind: str) -> None:
    choice = next(c for c in choices().choices if c.node.kind == kind)
    own = next(o for o in choice.options if o.candidate is None)
    before = cost_of(lowered({}))
    compared = exact = 0
    for option in choice.options:
        if option.candidate is None:
            continue
        after = cost_of(lowered({choice.node.value: option.candidate}))
        # the rings of neighbours move, too, and may need a truncation more or less: a probe does not see them
        rounds = after.rounds - before.rounds
        assert abs(rounds - (option.price.rounds - own.price.rounds)) <= 1
        exact += rounds == option.price.rounds - own.price.rounds
        sent = after.bytes_party0 + after.bytes_party1 - before.bytes_party0 - before.bytes_party1
        assert abs(sent - (option.price.bytes - own.price.bytes)) < 512 + NEIGHBOURS * option.price.bytes
        dealt = after.offline_bytes - before.offline_bytes
        expected = option.price.offline_bytes - own.price.offline_bytes
        assert abs(dealt - expected) < 2048 + NEIGHBOURS * option.price.offline_bytes
        compared += 1
    assert exact > 0.7 * compared > 2


def test_no_node_is_much_less_accurate_or_the_whole_slower_than_lowering_on_its_own() -> None:
    found = choices()
    for choice in found.choices:
        own = next(o for o in choice.options if o.candidate is None)
        assert choice.taken.rms <= 1.05 * own.rms
        assert choice.taken.cost <= own.cost
    assert 0 < found.error <= found.budget


def test_a_larger_error_buys_time_and_a_slow_network_rounds() -> None:
    tight, loose, slow = choices(1e-3), choices(1e-1), choices(1e-1, "wan")
    assert sum(c.taken.cost for c in loose.choices) < sum(c.taken.cost for c in tight.choices)
    assert loose.error <= loose.budget == 0.05
    assert tight.error <= tight.budget == 0.0005
    assert sum(c.taken.price.rounds for c in slow.choices) <= sum(c.taken.price.rounds for c in loose.choices)


@pytest.mark.parametrize(
    ("chosen", "kind", "name"),
    [
        ({"gelu": "puma"}, "gelu", "puma"),
        ({"preset": "shaft"}, "gelu", "shaft"),
        ({"softmax": "exact"}, "softmax", "exact"),
        ({"layer_norm": "goldschmidt"}, "layer_norm", "goldschmidt"),
        ({"preset": "shaft", "gelu": "bolt"}, "gelu", "bolt"),
    ],
)
def test_what_is_asked_for_is_taken(chosen: dict[str, str], kind: str, name: str) -> None:
    found = [c for c in choices(**chosen).choices if c.node.kind == kind]
    assert found
    for choice in found:
        assert choice.fixed
        assert choice.taken.approximation.name == name
        assert choice.gain > 0
        assert choice.runner_up() is None


@pytest.mark.parametrize("own", ["series", "segments"])
def test_the_compilers_own_fits_can_be_asked_for_by_kind(own: str) -> None:
    found = [c for c in choices(gelu=own).choices if c.node.kind == "gelu"]
    assert {o.approximation.kind for c in found for o in c.options} <= set(OWN[own])
    assert all(len(c.options) > 1 for c in found)


def test_every_layer_is_named_where_no_fit_of_the_kind_asked_for_does() -> None:
    with pytest.raises(MpccErrors) as caught:
        choices(gelu="lookup")
    assert [(e.code, e.where) for e in caught.value.errors] == [
        ("MPC-P026", "node_gelu"),
        ("MPC-P026", "node_gelu_1"),
    ]
    assert "--approximate gelu=best" in caught.value.remedy


def test_what_is_far_off_is_taken_only_where_it_is_asked_for() -> None:
    tried = {o.approximation.name for c in choices(1e-1).choices for o in c.options}
    assert not tried & {"ode", "2quad", "2relu", "quad"}
    assert {"bumblebee", "bolt"} <= tried


def test_functions_that_the_model_does_not_compute_are_said() -> None:
    assert unused(["gelu", "power", "layer_norm"], {"gelu", "layer_norm"}) == []
    (silu, exp) = unused(["silu", "gelu", "exp"], {"gelu", "softmax"})
    assert "the model has no silu" in silu
    assert "a file of kind softmax" in exp


def compiled(folder: Path, **options: float | str) -> Compiled:
    request = Request(MODEL, folder / "p", samples=[sample()], **options)  # type: ignore[arg-type]
    return compile_model(request, lambda line: None)


def test_the_file_and_the_table(tmp_path: Path) -> None:
    result = compiled(tmp_path, max_error=0.05)
    program = tmp_path / "p"
    manifest = load_program_folder(program).manifest
    assert APPROXIMATIONS_NAME in manifest["files"]
    assert manifest["program"]["options"]["max_error"] == 0.05
    content = json.loads((program / APPROXIMATIONS_NAME).read_text())
    nodes = [
        o for o in result.imported.program.operations if o.kind in ("gelu", "softmax", "layer_norm", "tanh")
    ]
    assert [n["value"] for n in content["nodes"]] == [o.result.name for o in nodes]
    for node in content["nodes"]:
        assert node["onnx_nodes"]
        assert node["gain"] > 0
        assert node["chosen"]["output_error"] == pytest.approx(node["gain"] * node["chosen"]["rms_error"])
        assert node["runner_up"]["why_not"]
        assert node["runner_up"]["approximation"] != node["chosen"]["approximation"]
    text = inspect_command(program, None, html=False)
    assert "Approximations, chosen for lan" in text
    assert "not counted" not in text
    assert "for --max-error 0.05" in text
    (expected,) = session(str(MODEL)).run([o.name for o in result.imported.outputs][:1], sample())
    name = result.imported.outputs[0].name
    assert np.abs(simulate(program, sample())[name] - expected).max() <= 0.05
    (program / APPROXIMATIONS_NAME).unlink()  # as in a folder of an older version
    assert "Approximations, chosen" not in inspect_command(program, None, html=False)


def test_an_error_out_of_reach_names_the_layers(tmp_path: Path) -> None:
    result = compiled(tmp_path, max_error=1e-7)
    request = Request(MODEL, tmp_path / "p", samples=[sample()], max_error=1e-7)
    with pytest.raises(MpccError, match=r"largest parts are expected of \w+ in ") as caught:
        check_error(result, request, 1e-7)
    assert caught.value.code == "MPC-P025"
    assert not (tmp_path / "p").exists()


def test_a_program_that_is_worse_than_predicted_is_refused(tmp_path: Path) -> None:
    result = compiled(tmp_path)
    with pytest.raises(MpccError) as caught:
        check_error(result, Request(MODEL, tmp_path / "p", samples=[sample()]), 1e-9)
    assert caught.value.code == "MPC-C012"
    assert not (tmp_path / "p").exists()


def test_an_error_of_replaced_functions_is_said_to_be_theirs(tmp_path: Path) -> None:
    result = compiled(tmp_path, preset="mpcformer", max_error=0.05)
    with pytest.raises(MpccError) as caught:
        check_error(result, Request(MODEL, tmp_path / "p", samples=[sample()], max_error=0.05), 0.05)
    assert caught.value.code == "MPC-C012"
    assert "softmax (2quad), gelu (quad)" in caught.value.remedy


def test_the_predicted_error_says_that_replaced_functions_are_not_in_it(tmp_path: Path) -> None:
    compiled(tmp_path, preset="mpcformer")
    assert "functions that are replaced not counted" in inspect_command(tmp_path / "p", None, html=False)


def test_names_that_do_not_exist_are_refused_before_anything_else(tmp_path: Path) -> None:
    request = Request(tmp_path / "none.onnx", tmp_path / "p", preset="none", approximations={"gelu": "none"})
    with pytest.raises(MpccError) as caught:
        compile_model(request, lambda line: None)
    assert caught.value.code == "MPC-P024"
    assert "none" in str(caught.value)
