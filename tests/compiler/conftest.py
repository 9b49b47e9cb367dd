"""One compiled fixture for the tests of a process: compiling takes most of their time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.compiler.compiled import MODELS, compile_fixture

BERT = "bert.legacy17"


@pytest.fixture(scope="session")
def bert_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program folder of the BERT fixture. Tests must not change it."""
    return compile_fixture(BERT, tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def bert_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its input as X.npz."""
    path = tmp_path_factory.mktemp("input") / "x.npz"
    with np.load(MODELS / f"{BERT}.npz") as archive:
        np.savez(path, **{k.removeprefix("in_"): archive[k] for k in archive.files if k.startswith("in_")})
    return path
