"""Program folders with reports, and Chromium to look at them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mpcc.compiler.inspect import VERIFY_NAME, inspect_command
from tests.compiler.compiled import compile_fixture

BERT, MIXTURE, GPT = "bert.legacy17", "moe_contrib", "gpt2.dynamo18"
MILLISECONDS = 120_000  # for whatever the browser does, on a machine with other work
PACKAGES = ("chromium", "fonts-dejavu-core")
NUMBERS = {"max": 0.25, "std": 0.1, "relative": 0.5, "simulated": 0.125, "approximated": 1e-3, "exact": 0.0}


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The BERT fixture with a report that has errors."""
    program = compile_fixture(BERT, tmp_path_factory.mktemp("report"))
    error = {"layers": verified_layers(program), "outputs": {"logits": NUMBERS}}
    (program / VERIFY_NAME).write_text(json.dumps({"error": error}))
    inspect_command(program, None, html=True)
    return program


@pytest.fixture(scope="session")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of experts, as compiled: without errors."""
    return compile_fixture(MIXTURE, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GPT-2 fixture, as compiled."""
    return compile_fixture(GPT, tmp_path_factory.mktemp("report"))


def data_of(program: Path) -> Any:
    """PROG/report.json."""
    return json.loads((program / "report.json").read_text(encoding="utf-8"))


def verified_layers(program: Path) -> list[dict[str, Any]]:
    """Entries as `mpcc verify` makes them, of softmax and gelu."""
    data = data_of(program)
    sizes = {"softmax": 1.0, "gelu": 0.5}
    return [
        {
            "layer": data["layers"][operation["layer"]]["label"],
            "operation": operation["kind"],
            "onnx_nodes": operation["onnx_nodes"],
            **{quantity: sizes[operation["kind"]] * number for quantity, number in NUMBERS.items()},
        }
        for operation in data["operations"]
        if operation["kind"] in sizes
    ]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The browser's path. Debian's is installed where it is missing and the tests may, once."""
    tried = tmp_path_factory.getbasetemp().parent / "chromium.tried"
    with tried.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        may = os.geteuid() == 0 and shutil.which("apt-get") and not tried.exists()
        if shutil.which("chromium") is None and may:
            tried.touch()
            with suppress(subprocess.TimeoutExpired):  # a network that hangs is as good as none
                for command in (("update",), ("install", "--yes", "--no-install-recommends", *PACKAGES)):
                    subprocess.run(("apt-get", *command), check=False, capture_output=True, timeout=140)
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium, and installing it takes root and apt-get")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """Headless Chromium, driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=MILLISECONDS
        )
        yield launched
        launched.close()
