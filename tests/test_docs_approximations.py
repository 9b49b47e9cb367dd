"""docs/approximations.md: its tables are the catalogue's, its file is read, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import onnx
import pytest

from mpcc.compiler.cli import main
from mpcc.compiler.distilled import distilled_for
from mpcc.compiler.listing import approximations_table, presets_table
from mpcc.passes.approximations.catalogue import FAMILIES, load_file
from mpcc.passes.approximations.parse import KINDS
from mpcc.passes.approximations.presets import presets

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/approximations.md"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    return found[1]


@pytest.mark.parametrize("title", ["catalogue", "presets"])
def test_tables_are_those_of_the_command(title: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.test_docs_approximations` writes them."""
    assert PAGE.read_text(encoding="utf-8") == with_tables()
    assert main(["approximations"]) == 0
    printed = capsys.readouterr().out
    assert {"catalogue": approximations_table(), "presets": presets_table()}[title] in printed


def test_every_kind_and_function_is_described() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in {kind for readers in KINDS.values() for kind in readers}:
        assert f"**`{kind}`**" in text, kind
    for function in FAMILIES:
        assert function in text


@pytest.mark.slow
def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    file = tmp_path / "cubic.toml"
    file.write_text(block("toml"), encoding="utf-8")
    for line in block("sh").splitlines():
        program, *words = shlex.split(line)
        assert program == "mpcc"
        assert main(words) == 0, line
    assert "cubic" in capsys.readouterr().out
    file.write_text(block("toml").replace("0.0146", "0.01"), encoding="utf-8")
    assert main([*shlex.split(block("sh").splitlines()[0])[1:], "-o", "again"]) == 1
    assert "it states 0.01, but the error is 0.0145" in capsys.readouterr().err


def test_the_exporters_two_lines_state_what_a_model_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = onnx.load(ROOT / "examples/digits/digits.onnx")
    exec(block("python"), {"onnx": onnx, "model": model})
    assert distilled_for(tmp_path / "model.onnx") == {"2quad", "quad"}


def test_the_example_states_its_error_as_measured(tmp_path: Path) -> None:
    path = tmp_path / "cubic.toml"
    path.write_text(block("toml"), encoding="utf-8")
    assert load_file(path).error == pytest.approx(0.0145, rel=0.01)


def test_the_measured_tables_have_every_preset() -> None:
    """`python -m tests.benchmarks.presets` writes them."""
    text = (ROOT / "docs/presets.md").read_text(encoding="utf-8")
    titles = re.findall(r"^### (.+)$", text, re.M)
    assert len(titles) == 5
    for name in presets():
        assert len(re.findall(rf"^\| {name} +\|", text, re.M)) == len(titles), name


def with_tables() -> str:
    text = PAGE.read_text(encoding="utf-8")
    for title, table in (("catalogue", approximations_table()), ("presets", presets_table())):
        pattern = rf"(<!-- {title} -->\n).*?(<!-- end of {title} -->)"
        text, count = re.subn(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.S)  # noqa: B023
        assert count == 1
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(), encoding="utf-8")
