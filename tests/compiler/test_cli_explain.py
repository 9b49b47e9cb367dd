"""`mpcc explain`: every code, from the page that documents it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mpcc.compiler import error_help
from mpcc.compiler.cli import main
from mpcc.compiler.error_help import PAGE, explain_code, has_detail
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.error_codes import ERROR_CODES


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_code_is_explained(code: str) -> None:
    text = " ".join(explain_code(code).split())
    assert text.startswith(f"{code}: {ERROR_CODES[code]} What to do: ")
    assert text.endswith(")")


@pytest.mark.parametrize("asked", ["MPC-R005", "r005", "R5", "mpc-r005", "MPC_R005", " r-5 "])
def test_codes_may_be_written_shortly(asked: str) -> None:
    assert explain_code(asked) == explain_code("MPC-R005")


def test_a_remedy_that_refers_to_another_code_brings_it_along() -> None:
    assert "MPC-R021: the manifest is not readable" in " ".join(explain_code("r022").split())


def test_sections_belong_to_codes_and_are_shown_whole() -> None:
    sections = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert sections
    for code in sections:
        assert code in ERROR_CODES
        assert has_detail(code)
    text = explain_code("F006")
    assert "    mpcc compile model.onnx -o prog --dim batch=1 --dim tokens=128" in text
    assert "#" not in text


def test_without_a_code_all_are_listed_by_room() -> None:
    text = explain_code(None)
    assert re.findall(r"^  (MPC-\S+)  ", text, re.M) == list(error_help.error_help())
    room = explain_code("k")
    assert re.findall(r"^  (MPC-\S+)  ", room, re.M) == [c for c in ERROR_CODES if c.startswith("MPC-K")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("R999", "the nearest are MPC-R"),
        ("MPC-F998", "the nearest are MPC-F"),
        ("MPX-R005", "MPC-R005"),
        ("?", "lists all"),
    ],
)
def test_an_unknown_code_is_an_error_with_the_nearest(asked: str, said: str) -> None:
    with pytest.raises(MpccError) as caught:
        explain_code(asked)
    assert caught.value.code == "MPC-C065"
    assert said in caught.value.remedy


def test_a_wrong_code_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "R999"]) == 2
    assert "error[MPC-C065]" in capsys.readouterr().err


def test_an_installation_without_the_page_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(error_help, "PAGE", tmp_path / "none.md")
    error_help.error_help.cache_clear()
    try:
        with pytest.raises(MpccError) as caught:
            explain_code("r005")
        assert caught.value.code == "MPC-C067"
        assert not has_detail("MPC-R005")
    finally:
        error_help.error_help.cache_clear()
