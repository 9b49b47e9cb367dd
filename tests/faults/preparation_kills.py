"""kill -9 of a party at a random time while both make sessions; then all goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.store.opening import open_store_of
from mpcc.runtime.store.session_file import Payload
from tests.faults import entries
from tests.faults.kills import LOST
from tests.faults.processes import Running, start
from tests.faults.setting import BAR, UNDISTURBED, Setting
from tests.faults.works import between

ADDED = 3  # sessions that party 1 asks for in a run


class PreparationKills:
    """Both parties' stores, which they fill together; every run adds some sessions and uses one."""

    def __init__(self, scratch: Path, random: Random, tls: bool = False) -> None:
        self._setting = Setting(scratch, 0, between)
        self._random = random
        self._tls = tls
        self._wanted = 1
        self._number = 0
        started = time.monotonic()
        assert self._prepare() == ("done", "done")
        self._seconds = time.monotonic() - started

    def run(self, victim: int) -> tuple[str, str]:
        """What became of the preparation at party 0 and at party 1."""
        self._wanted = len(self._common()) + ADDED
        outcomes = self._prepare(victim)
        allowed = [LOST | {"done"}, LOST | {"done"}]
        allowed[victim] = {"killed", "done"}
        assert all(outcome in one for outcome, one in zip(outcomes, allowed, strict=True)), outcomes
        assert self._prepare() == ("done", "done")
        assert len(self._common()) == self._wanted
        after = self._setting.run(tls=self._tls)
        assert (after.server, after.client, after.answered) == ("done", "done", True), after
        assert len(self._common()) == self._wanted - 1, "a session was made for a run, and there were others"
        opened = self._setting.opened()
        assert len(opened) == len(set(opened)), "a session was opened twice"
        self._check_files()
        return outcomes

    def seeds_and_payloads(self) -> list[bytes]:
        """Of all sessions that are left, of both parties; they are used up."""
        found = []
        for party in (0, 1):
            folder = load_party_folder(self._setting.work.program / f"party{party}")
            store = open_store_of(folder, self._setting.store / f"party{party}", None)
            for session_id in store.unused(1000):
                session = store.take(session_id)
                found += [session.seed, _whole(session.payload)]
        return found

    def _common(self) -> set[bytes]:
        """Sessions that both stores have unused."""
        server, client = (
            {i for i, state in self._setting.states(party).items() if state == "unused"} for party in (0, 1)
        )
        return server & client

    def _check_files(self) -> None:
        """Those of unused sessions, and no others."""
        for party in (0, 1):
            path = self._setting.store / f"party{party}"
            unused = [i for i, state in self._setting.states(party).items() if state == "unused"]
            files = {file.name for file in path.glob("session-*")}
            assert files == {f"session-{i.hex()}.bin" for i in unused}

    def _prepare(self, victim: int | None = None) -> tuple[str, str]:
        """Both are patient: the victim must not end by itself before it is killed."""
        server = self._start(0, "--listen", "127.0.0.1:0")
        port = server.wait_for("listening on port").split()[-1]
        client = self._start(1, "--connect", f"localhost:{port}")
        if victim is not None:
            time.sleep(self._random.uniform(0, ADDED * self._seconds))
            (server, client)[victim].kill()
        return server.outcome(BAR), client.outcome(BAR)

    def _start(self, party: int, *where: str) -> Running:
        self._number += 1
        setting = self._setting
        options = ["--store", str(setting.store / f"party{party}"), "--sessions", str(self._wanted)]
        if self._tls:
            options += ["--tls", str(setting.certificates / f"party{party}")]
        return start(
            setting.scratch / f"log{self._number}",
            entries.prepare_between,
            [str(setting.work.program / f"party{party}"), *options, "--timeout", str(UNDISTURBED), *where],
        )


def _whole(payload: Payload) -> bytes:
    return bytes(payload[:])
