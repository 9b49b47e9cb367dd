"""What a session is predicted to take, and what it is kept to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import executor
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.prefetch import Draw, Prefetch
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.memory import SESSION_BYTES, SessionMemory
from mpcc.runtime.program_folder import PartyFolder, load_party_folder
from tests.compiler.graphs import build
from tests.support import secure_run

LAYERS, ELEMENTS = 4, 128 * 256


def test_a_budget_keeps_to_the_limit() -> None:
    memory = SessionMemory(work=100, expanded=1000, largest=30)
    assert memory.budget(129) is None
    for limit in (130, 131, 500, 1130):
        budget = memory.budget(limit)
        assert budget is not None
        assert memory.needed(budget) == min(limit, 1100)
    assert memory.needed(0) == 130
    small = SessionMemory(work=100, expanded=10, largest=10)
    assert small.budget(110) == 0
    assert small.needed(1 << 30) == 110


def test_making_comes_before_the_rest() -> None:
    memory = SessionMemory(work=100, expanded=1000, largest=30, making=500)
    assert memory.budget(499) is None
    assert memory.budget(500) == 370
    assert memory.needed(0) == memory.needed(370) == 500
    assert memory.needed(371) == 501


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    body = " ".join(f"a{i + 1} = Tanh(a{i})" for i in range(LAYERS - 1)) + f" y = Tanh(a{LAYERS - 1})"
    signature = "(float[128, 256] x) => (float[128, 256] y)"
    model = build(signature, "a0 = Add(x, w) " + body, w=np.full(256, 0.1, np.float32))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    compile_model(Request(folder / "model.onnx", folder / "program"), lambda line: None)
    return folder / "program"


def test_a_session_expands_no_more_than_its_memory_allows(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = PreparedProgram(load_party_folder(program / "party0"))
    most = prepared.session_bytes
    assert most > SESSION_BYTES + LAYERS * ELEMENTS * 8  # every layer draws more than an element each
    with pytest.raises(MpccError) as caught:
        prepared.limit_session(SESSION_BYTES)
    assert caught.value.code == "MPC-R082"
    least = int(caught.value.message.split(" needs ")[1].split(" bytes")[0].replace(",", ""))
    assert least < most
    budgets: list[int] = []

    class Seen(Prefetch):
        def __init__(self, source: CorrelationSource, draws: Sequence[Draw], budget: int) -> None:
            budgets.append(budget)
            super().__init__(source, draws, budget)

    monkeypatch.setattr(executor, "Prefetch", Seen)
    inputs = {"x": np.random.default_rng(0).standard_normal((128, 256), np.float32)}
    answers = []
    for limit in (least, most):

        class Limited(PreparedProgram):
            def __init__(self, folder: PartyFolder, limit: int = limit) -> None:
                super().__init__(folder)
                self.limit_session(limit)

        monkeypatch.setattr("tests.support.PreparedProgram", Limited)
        answers.append(secure_run(program, inputs).outputs["y"])
    assert budgets[:2] == [0, 0]
    assert min(budgets[2:]) > 0
    assert np.abs(answers[0] - answers[1]).max() < 0.01
