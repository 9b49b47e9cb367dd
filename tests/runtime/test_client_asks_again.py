"""When a client asks again by itself: while that costs no session, and no longer than it bears silence."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import client
from mpcc.runtime.client import Server
from mpcc.runtime.handshake import Limits
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.tls import Security


class Clock:
    """Of a machine that is never late."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


class FullStore:
    def require_unused(self) -> None:
        pass


def asked(monkeypatch: pytest.MonkeyPatch, code: str, *, spent: bool) -> int:
    """How often a client asks a server that ends every handshake with this code."""
    times = 0

    def lose(*_: Any, taken: Any, **__: Any) -> None:
        nonlocal times
        times += 1
        if spent:
            taken()
        raise MpccError(code, "lost")

    monkeypatch.setattr(client, "time", Clock())
    monkeypatch.setattr(client, "run_session", lose)
    monkeypatch.setattr(client, "connect_to", lambda *_: None)
    server = Server(Address("", 1), Security(), Limits(0.4))
    nothing = cast(Any, None)
    with pytest.raises(MpccError) as caught:
        client.ask(server, nothing, cast(Any, FullStore()), nothing, {}, lambda done, total: None)
    assert caught.value.code == code
    return times


@pytest.mark.parametrize("code", ["MPC-R004", "MPC-R080", "MPC-R081"])
def test_it_asks_again_before_a_session_is_spent(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    assert 2 <= asked(monkeypatch, code, spent=False) <= 12


@pytest.mark.parametrize("code", ["MPC-R004", "MPC-R080"])
def test_it_does_not_when_one_was_spent(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    assert asked(monkeypatch, code, spent=True) == 1


def test_other_errors_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "MPC-R011", spent=False) == 1
