"""Compiled fixtures for tests that read a program folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mpcc.compiler.driver import Request, compile_model

MODELS = Path(__file__).parents[1] / "models"


def compile_fixture(name: str, folder: Path) -> Path:
    """The program folder of a fixture, calibrated on the inputs that lie beside it."""
    with np.load(MODELS / f"{name}.npz") as archive:
        inputs = {key.removeprefix("in_"): archive[key] for key in archive.files if key.startswith("in_")}
    program = folder / name
    compile_model(Request(MODELS / f"{name}.onnx", program, samples=[inputs]), lambda line: None)
    return program
