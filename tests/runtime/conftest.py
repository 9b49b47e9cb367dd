"""Certificates for --tls, made once, and less patience with a peer that is told of an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpcc.runtime.transport import connection, stream
from mpcc.runtime.transport.certificates import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `mpcc certificates` makes them: authority, party0, party1, dealer."""
    folder = tmp_path_factory.mktemp("tls") / "certificates"
    make_certificates(folder, (), 30)
    return folder


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does not end by itself is waited for 0.2 s."""
    monkeypatch.setattr(stream, "ABORT_LINGER", 0.2)
    monkeypatch.setattr(connection, "ALERT_LINGER", 0.2)
