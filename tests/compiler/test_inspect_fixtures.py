"""`mpcc inspect` on every fixture: each stage, the difference of each pass, each ONNX node."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.inspect import STAGES, inspect_command
from mpcc.compiler.inspection.colours import Colours
from mpcc.compiler.inspection.difference import difference
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from tests.compiler.compiled import MODELS, compile_fixture
from tests.compiler.renamed import renamed

FIXTURES = sorted(path.stem for path in MODELS.glob("*.npz"))


@pytest.fixture(scope="module", params=FIXTURES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_fixture(request.param, tmp_path_factory.mktemp("inspected"))


def coloured(text: str) -> str:
    colours = Colours()
    return "\n".join("".join(part for part, _ in colours.line(line)) for line in text.split("\n"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_parses_back_and_colours_change_nothing(program: Path, stage: str) -> None:
    text = inspect_command(program, stage, html=False)
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    assert print_program(parse(text)) == "\n".join([*lines, ""])
    assert coloured(text) == text


def test_a_difference_is_empty_exactly_when_nothing_changed(program: Path) -> None:
    dumps = read_dumps(program)
    for (_, before), (name, after) in pairwise(dumps):
        text = difference(dumps, name)
        same = print_program(renamed(before)) == print_program(renamed(after))
        assert text.endswith("Nothing is changed in the program") == same, name
        assert coloured(text) == text
    assert difference([dumps[0], ("lower", renamed(dumps[0][1]))], "lower").endswith("in the program")


def test_every_node_is_found(program: Path) -> None:
    tensor = read_dumps(program)[0][1]
    text = inspect_command(program, None, False, None, ["*"])
    for operation in tensor.operations:
        assert not operation.onnx_nodes or operation.onnx_nodes[-1] in text
    last = tensor.operations[-1]
    assert f"tensor   %{last.result.name} = {last.kind}" in inspect_command(
        program, None, False, None, [last.onnx_nodes[-1]]
    )
