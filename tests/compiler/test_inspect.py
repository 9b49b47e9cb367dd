"""`mpcc inspect`: stages as text, and the summary's numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.inspect import VERIFY_NAME, inspect_command
from mpcc.compiler.layers import AFTER, BEFORE, layers_by_node
from mpcc.compiler.report.page import REPORT_NAME
from mpcc.compiler.summary import Summary, summarise
from mpcc.compiler.text import short_count_of, size_of, table
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.program import Program, Stage
from mpcc.runtime.program_folder import load_program_folder, read_manifest
from tests.compiler.compiled import compile_fixture


@pytest.fixture(scope="module")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_fixture("bert.legacy17", tmp_path_factory.mktemp("inspect"))


@pytest.fixture(scope="module")
def dumps(program_folder: Path) -> list[tuple[str, Program]]:
    return read_dumps(program_folder)


@pytest.fixture(scope="module")
def summary(dumps: list[tuple[str, Program]]) -> Summary:
    return summarise(dumps)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [("tensor", Stage.TENSOR), ("share", Stage.SHARE), ("party0", Stage.PARTY), ("party1", Stage.PARTY)],
)
def test_a_stage_is_printed_as_text_that_parses(program_folder: Path, stage: str, expected: Stage) -> None:
    assert parse(inspect_command(program_folder, stage, html=False)).stage is expected


def test_the_share_stage_is_the_one_with_rings(program_folder: Path) -> None:
    (path,) = (program_folder / "ir").glob("*assign-rings*")
    assert inspect_command(program_folder, "share", html=False) == path.read_text().rstrip("\n")


def test_costs_by_layer_and_by_kind_add_up_to_the_predicted_ones(
    program_folder: Path, summary: Summary
) -> None:
    predicted = read_manifest(program_folder)["predicted"]
    for rows in (summary.layers, summary.kinds):
        assert sum(r.bytes_party0 for r in rows) == predicted["bytes"]["online"]["party0"]
        assert sum(r.bytes_party1 for r in rows) == predicted["bytes"]["online"]["party1"]
        assert sum(r.offline_bytes for r in rows) == predicted["bytes"]["offline"]["dealer_to_party1"]
        assert len(set[int]().union(*(r.ticks for r in rows))) == predicted["rounds"]


def test_layers_come_from_paths(summary: Summary) -> None:
    assert [row.label for row in summary.layers] == [BEFORE, "layer.0", "layer.1", AFTER]
    assert summary.layers[1].chain == summary.layers[2].chain
    assert ("softmax", 1) in summary.layers[1].chain


def test_without_paths_layers_come_from_the_structure(dumps: list[tuple[str, Program]]) -> None:
    flat = dumps[0][1]
    operations = [
        replace(o, onnx_nodes=(f"node_{i}",) if o.onnx_nodes else ()) for i, o in enumerate(flat.operations)
    ]
    layers = layers_by_node(replace(flat, operations=operations))
    assert list(dict.fromkeys(layers.values())) == [BEFORE, "block 0", "block 1", AFTER]


def test_the_summary_prints_the_totals(program_folder: Path) -> None:
    text = inspect_command(program_folder, None, html=False)
    predicted = read_manifest(program_folder)["predicted"]
    assert f"rounds       {predicted['rounds']}" in text
    assert size_of(predicted["bytes"]["online"]["party1"]) in text
    assert "party 1: output logits" in text


def test_the_page_is_written_beside_the_program(program_folder: Path) -> None:
    path = Path(inspect_command(program_folder, None, html=True))
    assert path == program_folder / REPORT_NAME
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    load_program_folder(program_folder)  # the page may change without damaging the program


@pytest.mark.parametrize("content", ["{", "[]", '{"error": {}}'])
def test_what_is_no_report_of_verify_is_refused(program_folder: Path, content: str) -> None:
    path = program_folder / VERIFY_NAME
    path.write_text(content)
    try:
        with pytest.raises(MpccError) as caught:
            inspect_command(program_folder, None, html=True)
        assert caught.value.code == "MPC-C062"
    finally:
        path.unlink()


def test_rings_are_counted_in_few_rows_and_free_operations_in_a_line(
    program_folder: Path, summary: Summary
) -> None:
    text = inspect_command(program_folder, None, html=False)
    rows = re.findall(r"^\| +(\d+) to (\d+) \| +([\d,]+) \|", text, re.M)
    assert [(int(low) - 1) % 8 for low, _, _ in rows] == [0] * len(rows)
    assert sum(int(n.replace(",", "")) for _, _, n in rows) == sum(r.values for r in summary.rings)
    (free,) = re.findall(r"the others cost computing only: (.+)", text)
    costly = re.search(r"Cost by operation\n\n(.*?)\n\n", text, re.S)
    assert costly is not None
    for row in summary.kinds:
        if row.online or row.offline_bytes:
            assert f"| {row.label} " in costly[1]
        else:
            assert f"{row.operations} {row.label}" in free


def test_a_folder_without_ir_is_refused(program_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((program_folder / "manifest.json").read_bytes())
    for stage in (None, "tensor", "party0"):
        with pytest.raises(MpccError) as caught:
            inspect_command(tmp_path, stage, html=False)
        assert caught.value.code == "MPC-C060"


def test_sizes_and_tables() -> None:
    assert [short_count_of(n) for n in (7, 1500, 744_643_080, 3.09e9)] == ["7", "1.5 k", "744.6 M", "3.1 G"]
    assert [size_of(n) for n in (0, 999, 1500, 999_960, 22_400_000, 3.2e12)] == [
        "0 B", "999 B", "1.5 kB", "1.0 MB", "22.4 MB", "3200.0 GB",
    ]  # fmt: skip
    assert table(("name", "n"), []) == "none"
    assert table(("name", "n"), [("a", 1), ("bcdef", 1234)]).splitlines() == [
        "| name  |     n |",
        "|-------|------:|",
        "| a     |     1 |",
        "| bcdef | 1,234 |",
    ]
