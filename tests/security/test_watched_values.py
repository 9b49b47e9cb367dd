"""Recording shares is for `mpcc verify` alone: the party executables neither offer nor reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from mpcc.runtime.commands import party
from mpcc.runtime.executor import execute as real_executor
from mpcc.runtime.session import SessionResult
from tests.runtime.fake_program import execute
from tests.runtime.test_session import TwoParties


def test_a_session_gives_its_executor_nothing_to_record_into(tmp_path: Path) -> None:
    calls: list[tuple[int, dict[str, Any]]] = []

    def recording(*arguments: Any, **options: Any) -> Any:
        calls.append((len(arguments), options))
        return execute(*arguments, **options)

    assert all(isinstance(result, SessionResult) for result in TwoParties(tmp_path).run(recording))
    assert calls == [(5, {}), (5, {})]


@pytest.mark.parametrize("command", [party._server_command, party._client_command])
def test_no_option_of_a_party_records_shares(command: click.Command) -> None:
    assert party._interpreter() is real_executor  # bare: no argument of it is bound beforehand
    allowed = {
        "listen",
        "connect",
        "store",
        "weights",
        "input",
        "output",
        "once",
        "timeout",
        "report",
        "profile",  # names, kinds, sizes and times
        "events",
    }
    assert {parameter.name for parameter in command.params} <= allowed
