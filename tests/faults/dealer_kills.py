"""kill -9 of the dealer, or of a party that it deals to, at a random time; then all goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

from tests.faults import entries
from tests.faults.kills import LOST
from tests.faults.processes import Running, start
from tests.faults.setting import BAR, TIMEOUT, UNDISTURBED, Setting
from tests.faults.works import compiled

NAMES = ("party 0", "party 1", "dealer")
DEALER = 2  # its number as a victim
ADDED = 3  # sessions that party 1 asks for in a run


class DealerKills:
    """A dealer, and both parties' stores, which it fills; every run adds some sessions and uses one."""

    def __init__(self, scratch: Path, random: Random) -> None:
        self._setting = Setting(scratch, 1, compiled)
        self._random = random
        self._wanted = 1
        self._number = 0
        self._dealer, self._port = self._deal()
        started = time.monotonic()
        self._fill()
        self._seconds = time.monotonic() - started

    def run(self, victim: int) -> tuple[str, str]:
        """What became of the dealer's work for party 0 and for party 1."""
        self._wanted += ADDED
        patience = TIMEOUT if victim == DEALER else UNDISTURBED
        parties = self._prepare(0, patience), self._prepare(1, patience)
        time.sleep(self._random.uniform(0, self._seconds / 2))  # they work at the same time
        processes = (*parties, self._dealer)
        processes[victim].kill()
        outcomes = [process.outcome(BAR) for process in parties]
        for number, outcome in enumerate(outcomes):
            allowed = {"killed"} if number == victim else LOST if victim == DEALER else set()
            assert outcome in allowed | {"done"}, outcomes
        if victim == DEALER:
            assert self._dealer.outcome(BAR) == "killed"
            self._dealer, self._port = self._deal()
        self._fill()
        after = self._setting.run()
        assert (after.server, after.client, after.answered) == ("done", "done", True), after
        opened = self._setting.opened()
        assert len(opened) == len(set(opened)), "a session was opened twice"
        return outcomes[0], outcomes[1]

    def close(self) -> None:
        self._dealer.kill()

    def _fill(self) -> None:
        """Party 1's sessions, then party 0's part of them; both have the same ones then."""
        for party in (1, 0):
            assert self._prepare(party, UNDISTURBED).outcome(BAR) == "done"
        server, client = (self._setting.states(party) for party in (0, 1))
        unused = {i for i, state in client.items() if state == "unused"}
        assert len(unused) >= self._wanted
        assert all(server.get(i) == "unused" for i in unused), "party 0 lacks a session, or has used it"

    def _prepare(self, party: int, timeout: float) -> Running:
        folder, store = self._setting.work.program / f"party{party}", self._setting.store / f"party{party}"
        options = ["--store", str(store), "--sessions", str(self._wanted), "--timeout", str(timeout)]
        return start(
            self._log(), entries.prepare, [str(folder), "--dealer", f"localhost:{self._port}", *options]
        )

    def _deal(self) -> tuple[Running, int]:
        program, state = self._setting.work.program, self._setting.scratch / "state"
        options = ["--listen", "127.0.0.1:0", "--state", str(state), "--timeout", str(UNDISTURBED)]
        dealer = start(self._log(), entries.dealer, [str(program), *options])
        return dealer, int(dealer.wait_for("listening on port").split()[-1])

    def _log(self) -> Path:
        self._number += 1
        return self._setting.scratch / f"log{self._number}"
