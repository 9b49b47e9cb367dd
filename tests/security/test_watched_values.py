"""Recording shares is for `mpcc verify` alone: the party executables neither offer nor reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest

from mpcc.runtime import executor, prepare
from mpcc.runtime.commands import party
from mpcc.runtime.session import SessionResult
from tests.runtime.fake_program import execute
from tests.runtime.test_session import TwoParties


def test_a_session_gives_its_executor_nothing_to_record_into(tmp_path: Path) -> None:
    calls: list[tuple[int, dict[str, Any]]] = []

    def recording(*arguments: Any, **options: Any) -> Any:
        calls.append((len(arguments), options))
        return execute(*arguments, **options)

    assert all(isinstance(result, SessionResult) for result in TwoParties(tmp_path).run(recording))
    assert calls == [(5, {}), (5, {})]  # the folder, bound beforehand, among them


def test_the_parties_executor_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No argument of it is bound beforehand."""
    prepared = mock.Mock(spec=executor.PreparedProgram)
    monkeypatch.setattr(executor, "PreparedProgram", lambda folder: prepared)
    assert prepare.prepared_program(mock.Mock()).execute is prepared.execute


@pytest.mark.parametrize("command", [party._server_command, party._client_command])
def test_no_option_of_a_party_records_shares(command: click.Command) -> None:
    allowed = {
        "listen",
        "connect",
        "store",
        "store_key",
        "tls",
        "insecure_plaintext",
        "weights",
        "input",
        "output",
        "timeout",
        "report",
        "dealer",
        "profile",  # names, kinds, sizes and times
        "events",
    }
    assert {parameter.name for parameter in command.params} <= allowed
