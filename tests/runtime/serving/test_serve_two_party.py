"""A server of a program without a dealer: clients that prepare with it, and clients that did not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.serving.served import BAR, EXPECTED, ROOT, Served, ask

_PREPARE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mpcc.runtime.commands.prepare import main
from tests.runtime.fake_program import FakeProgram
sys.exit(main(sys.argv[1:], FakeProgram))
"""


@pytest.fixture
def served(tmp_path: Path, certificates: Path) -> Iterator[Served]:
    served = Served(tmp_path, certificates, source="two-party")
    yield served
    served.close()


def prepare(served: Served, sessions: int) -> str:
    """What a client's `mpcc prepare` says."""
    where = ["--connect", str(served.address), "--tls", str(served.certificates / "party1")]
    store = ["--store", str(served.folder / "store/party1"), "--sessions", str(sessions)]
    command = [sys.executable, "-c", _PREPARE, str(served.program / "party1"), *where, *store]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=BAR).stderr


def test_clients_prepare_and_run(served: Served) -> None:
    served.start("--most-unused", "3")
    assert "prepared 2 sessions:" in prepare(served, 2)
    assert "prepared 1 sessions of 3 that are missing" in prepare(served, 5)
    assert served.wait_for("sessions prepared", count=2)["prepared"] == 1
    assert served.metric("mpcc_sessions_prepared_total") == 3
    assert served.metric("mpcc_correlations_unused") == 3
    client = served.client()
    for number in range(4):
        assert np.array_equal(ask(client), EXPECTED)
        made = client.last_report["preparation"]["rounds"] > 0
        assert made == (number == 3)  # the store is empty then
    assert served.status("/healthz")[0] == 200
    served.wait_for("session ended", count=4)
    served.signal()
    assert served.end()[0] == 0


def test_a_server_that_prepares_nothing_ahead(served: Served) -> None:
    served.start("--most-unused", "0")
    assert "prepared 0 sessions of 1 that are missing" in prepare(served, 1)
    assert np.array_equal(ask(served.client()), EXPECTED)
