"""`mpcc approximations`: the catalogue, one function of it, and the compiler's own fits."""

from __future__ import annotations

import pytest

from mpcc.compiler.cli import main
from mpcc.passes.approximations.catalogue import catalogue, named
from mpcc.passes.approximations.presets import presets


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[list[str]]:
    """The cells of every line of a table."""
    assert main(["approximations", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys)
    assert {(a.function, a.name) for a in catalogue()} <= {(line[0], line[1]) for line in lines}
    assert set(presets()) <= {line[0] for line in lines}
    assert all(all(line) for line in lines)


def test_one_function_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for function in ("gelu", "layer_norm"):
        _, _, *rows = printed(capsys, function)
        assert [row[1] for row in rows] == [a.name for a in named(function)]


def test_a_range_adds_the_compilers_own_fits(capsys: pytest.CaptureFixture[str]) -> None:
    known = len(named("tanh"))
    _, _, *rows = printed(capsys, "tanh", "--low", "-3", "--high", "5")
    assert len(rows) > known
    assert {row[2] for row in rows[known:]} >= {"sine series", "segmented polynomial"}
    assert all(float(row[4]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["relu"], "MPC-P024"),
        (["gelu", "--low", "1"], "needs FUNCTION, --low and --high"),
        (["--low", "1", "--high", "2"], "needs FUNCTION, --low and --high"),
        (["gelu", "--low", "2", "--high", "1"], "is empty"),
    ],
)
def test_a_wrong_command_line_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["approximations", *words]) == 2
    assert told in capsys.readouterr().err
