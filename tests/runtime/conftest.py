"""Certificates for --tls, made once, less patience with a peer that is told of an error, and no channel that
speaks after its test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpcc.runtime.transport import connection, stream
from mpcc.runtime.transport.certificates import make_certificates
from mpcc.runtime.transport.stream import StreamChannel


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


@pytest.fixture(autouse=True)
def silent_channels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those that a test leaves open: their parties would go on saying that they compute. They are not closed,
    which other threads may be doing.
    """
    opened: list[StreamChannel] = []
    init = StreamChannel.__init__

    def noted(channel: StreamChannel, *arguments: Any, **options: Any) -> None:
        init(channel, *arguments, **options)
        opened.append(channel)

    monkeypatch.setattr(StreamChannel, "__init__", noted)
    yield
    for channel in opened:
        channel._outbox.close()
