"""`mpcc inspect --node`: an ONNX node at every stage, with its cost, its approximation and its error."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mpcc.compiler.cost.model import operation_cost
from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.inspect import VERIFY_NAME, inspect_command
from mpcc.compiler.inspection.nodes import Pattern, excerpt
from mpcc.compiler.text import size_of
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse

SHARE = """program "small" share {reveals = ["y=party1"]} {
  %0 = client_input {name = "x", fraction = 16, shape = [1, 4]} : private1<64, 16, 1x4, [-1.0, 1.0]>
  %1 = shift %0 {bits = 3} : private1<64, 13, 1x4, [-1.0, 1.0]> from ["/a"]
  %2 = negated %1 : private1<64, 13, 1x4, [-1.0, 1.0]> from ["/b"]
  %3 = shift %2 {bits = 3} : private1<64, 10, 1x4, [-1.0, 1.0]> from ["/c"]
  %4 = shift %3 {bits = 3} : private1<64, 7, 1x4, [-1.0, 1.0]> from ["/d"]
  output "y" = %4
}
""".replace("negated %1", "shift %1 {bits = 0}")


def nodes(program: Path, *patterns: str) -> str:
    return inspect_command(program, None, False, None, patterns)


def names(program: Path, kind: str) -> list[str]:
    text = inspect_command(program, "tensor", html=False)
    return re.findall(rf'= {kind} .* from \[.*"([^"]+)"\]', text)


def test_one_node_with_all_that_is_known(bert_program: Path) -> None:
    node = names(bert_program, "gelu")[0]
    text = nodes(bert_program, node)
    cost = [
        operation_cost(o, CorrelationSource.DEALER)
        for o in read_share_program(bert_program).operations
        if node in o.onnx_nodes
    ]
    assert re.search(r"^\S*.*gelu, layer\.0$", text, re.M)
    assert re.search(r"  tensor   %\S+ = gelu .*tensor<secret, float, ", text)
    assert f"  share    {len(cost)} operations: " in text
    assert re.search(r"; rings of \d+ to \d+ bits, \d+ to \d+ of them behind the point$", text, re.M)
    assert re.search(r"  parties  \d+ of \d+ rounds, between \d+ and \d+: ", text)
    assert f"{size_of(sum(c.bytes_party0 for c in cost))} from party 0" in text
    assert f"{size_of(sum(c.offline_bytes for c in cost))} offline" in text
    assert re.search(r"  chosen   \S+, error [\d.e-]+ on \[", text)
    assert "  error " not in text


def test_errors_are_those_of_verify(bert_program: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert_program, tmp_path / "p")
    node = names(folder, "gelu")[0]
    text = inspect_command(folder, "tensor", html=False)
    (origin,) = re.findall(rf"= gelu .* from (\[.*{re.escape(node)}\"\])", text)
    numbers = {"max": 0.25, "simulated": 0.125, "approximated": 0.5}
    entry = {"layer": "layer.0", "operation": "gelu", "onnx_nodes": json.loads(origin), **numbers}
    (folder / VERIFY_NAME).write_text(json.dumps({"error": {"layers": [entry], "outputs": {}}}))
    assert "error    0.25 from onnxruntime at most, 0.12 without parties, 0.5 without" in nodes(folder, node)
    (folder / VERIFY_NAME).write_text("{}")
    with pytest.raises(MpccError) as caught:
        nodes(folder, node)
    assert caught.value.code == "MPC-C062"


def test_several_nodes_are_a_table_first_and_many_are_a_table_only(bert_program: Path) -> None:
    text = nodes(bert_program, "*softmax*")
    assert text.startswith("2 operations of nodes like *softmax*\n")
    assert len(re.findall(r"^\| layer\.\d +\| softmax ", text, re.M)) == 2
    assert text.count("  tensor   ") == 2
    everything = nodes(bert_program, "*")
    assert "  tensor   " not in everything
    assert everything.endswith("give more of a name")


def test_patterns_are_parts_or_globs_without_capitals() -> None:
    assert Pattern(["SoftMax"])(["/a/Softmax_1"])
    assert not Pattern(["softmax?"])(["/a/Softmax_1"])
    assert Pattern(["*/softmax_?"])(["/a/Softmax_1"])
    assert Pattern(["none", "soft"])(["x", "/a/Softmax_1"])
    assert not Pattern(["soft"])([])


def test_the_nearest_names_are_told(bert_program: Path) -> None:
    with pytest.raises(MpccError) as caught:
        nodes(bert_program, "softmx")
    assert caught.value.code == "MPC-C064"
    assert "Softmax" in caught.value.remedy
    with pytest.raises(MpccError, match="is called zzzz or yyyy") as caught:
        nodes(bert_program, "zzzz", "yyyy")
    assert "--stage tensor" in caught.value.remedy
    with pytest.raises(MpccError) as caught:
        inspect_command(bert_program, None, False, "lower", ["zzzz"])
    assert caught.value.code == "MPC-C064"


def test_an_excerpt_has_the_neighbours_as_comments() -> None:
    shown = excerpt(parse(SHARE), Pattern(["/b"])).split("\n")
    starts = ["  # 1 operation", "  # %1 = shift", "  %2 = shift", "  # %3 = shift", "  # 1 operation"]
    assert len(shown) == len(starts)
    assert all(line.startswith(start) for line, start in zip(shown, starts, strict=True))


@pytest.mark.parametrize("stage", ["tensor", "share", "party0", "party1"])
def test_a_stage_can_be_narrowed_down(bert_program: Path, stage: str) -> None:
    text = inspect_command(bert_program, stage, False, None, ["*layer.1*softmax*"])
    shown = [line for line in text.split("\n") if not line.startswith("  #")]
    whole = inspect_command(bert_program, stage, html=False).split("\n")
    assert shown == [line for line in whole if re.search(r'from \[.*layer\.1[^"]*Softmax', line)]


def test_damaged_files_are_coded_errors(bert_program: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert_program, tmp_path / "p")
    record = folder / "approximations.json"
    for content in ("{", "[]", '{"nodes": [1]}', '{"nodes": [{}]}'):
        record.write_text(content)
        with pytest.raises(MpccError) as caught:
            nodes(folder, "softmax")
        assert caught.value.code == "MPC-C066"
    record.unlink()
    assert "chosen" not in nodes(folder, "softmax")
    dump = next((folder / "ir").glob("*assign-rings*"))
    dump.write_text(dump.read_text()[:3000])
    for arguments in (
        (None, False, None, ["softmax"]),
        (None, False, "lower"),
        ("share", False, None, ["a"]),
    ):
        with pytest.raises(MpccError) as caught:
            inspect_command(folder, *arguments)
        assert caught.value.code == "MPC-I001"
    shutil.rmtree(folder / "ir")
    for arguments in ((None, False, None, ["softmax"]), (None, False, "lower"), (None, False, "")):
        with pytest.raises(MpccError) as caught:
            inspect_command(folder, *arguments)
        assert caught.value.code == "MPC-C060"
