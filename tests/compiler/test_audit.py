"""The audit's statement, and what it rests on: every opening is under as many mask bits as it sends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from mpcc.compiler.audit import audit
from mpcc.compiler.disclosures import DISCLOSURES, mask_balance, openings
from mpcc.compiler.dumps import read_share_program
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects import operations_of
from mpcc.ir.program import Program, Stage
from mpcc.runtime.protocols import protocols
from tests.compiler.compiled import compile_fixture


@pytest.fixture(scope="module")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_fixture("bert.legacy17", tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def program(program_folder: Path) -> Program:
    return read_share_program(program_folder)


def test_every_opening_operation_has_its_argument() -> None:
    masked = {
        kind
        for kind, cls in operations_of(Stage.SHARE).items()
        if getattr(cls, "opens", None) not in (None, "reveal")
    }
    assert set(DISCLOSURES) == masked


def test_an_opening_sends_no_bit_without_a_mask_bit(program: Program) -> None:
    opened = [o for o in program.operations if o.kind in DISCLOSURES]
    assert {o.kind for o in opened} >= {
        "serve",
        "less_than",
        "row_reaches",
        "truncate",
        "exponential",
        "sine_series",
    }
    for operation in opened:
        sent, masked = mask_balance(operation)
        assert sent == masked, operation.kind
        assert sum(sent) > 0


def test_only_openings_and_reveals_send(program: Program) -> None:
    sending = {o.kind for o in program.operations if protocols[o.kind].messages(o)}
    assert sending == {o.kind for o in openings(program)} | {"reveal"}


def test_the_audit_names_what_is_held_revealed_and_public(program_folder: Path) -> None:
    text = audit(program_folder)
    for line in (
        "input `input_ids`",
        "input `attention_mask`",
        "Output `logits` [1, 3] to party 1",
        "scale 16^-0.25",
        "Which approximation computes which nonlinear function",
        "It knows every mask.",
        "both parties' programs",
    ):
        assert line in text, line
    for kind, disclosure in DISCLOSURES.items():
        assert (f"`{kind}` shows {disclosure.shown}" in text) == (kind != "one_hot")


def test_the_audit_lists_party_1s_folder_and_it_holds_no_weight(
    program_folder: Path, program: Program
) -> None:
    text = audit(program_folder)
    files = sorted((program_folder / "party1").iterdir())
    for path in files:
        assert f"| {path.name} " in text
        assert path.suffix != ".safetensors" or path.name == "constants.safetensors"
    weights = {o.attributes["name"] for o in program.operations if o.kind == "weight"}
    with safe_open(program_folder / "party1" / "constants.safetensors", framework="numpy") as constants:
        held = set(constants.keys())
    assert held
    assert not held & weights
    assert held == {o.attributes["name"] for o in program.operations if o.kind == "constant"}


def test_a_party_program_that_is_not_the_irs_is_refused(program_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "program"
    shutil.copytree(program_folder, folder)
    party1 = folder / "party1" / "program.mpc"
    party1.write_text(party1.read_text() + "# one more line\n")
    with pytest.raises(MpccError) as caught:
        audit(folder)
    assert caught.value.code == "MPC-C061"


def test_an_ir_with_a_leak_is_refused(program_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "program"
    shutil.copytree(program_folder, folder)
    (path,) = (folder / "ir").glob("*assign-rings*")
    path.write_text(path.read_text().replace('reveals = ["logits=party1"]', 'reveals = ["logits=party0"]'))
    with pytest.raises(MpccError) as caught:
        audit(folder)
    assert caught.value.code == "MPC-I026"


def test_a_folder_without_ir_is_refused(program_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "program"
    shutil.copytree(program_folder, folder)
    shutil.rmtree(folder / "ir")
    with pytest.raises(MpccError) as caught:
        audit(folder)
    assert caught.value.code == "MPC-C060"
