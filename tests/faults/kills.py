"""kill -9 of a party at a random point of a run, and what must hold afterwards."""

from __future__ import annotations

import threading
from random import Random

from mpcc.runtime.store.bulk import session_path
from tests.faults.relay import Relay
from tests.faults.setting import BAR, UNDISTURBED, Outcome, Setting

LOST = {"MPC-R003", "MPC-R004", "MPC-R005", "MPC-R008", "MPC-R002"}  # what is said of a party that is gone


class Kills:
    """Runs of one setting, each with a kill. What a run says and does is checked, and what it leaves."""

    def __init__(self, setting: Setting, random: Random) -> None:
        self._setting = setting
        self._random = random
        self._bytes, self._seconds = self._measure()

    def run(self, victim: int) -> Outcome:
        """A run in which party `victim` is killed: at some byte that passes between the parties, or at some
        time after its start. Then one without a kill, which must work.
        """
        before = [self._setting.states(party) for party in (0, 1)]
        outcome = self._killed_run(victim)
        other = outcome.client if victim == 0 else outcome.server
        assert other in LOST | {"done"}, outcome
        assert outcome.answered == (outcome.client == "done") or outcome.client == "killed", outcome
        self._check_states(before, most=1)
        before = [self._setting.states(party) for party in (0, 1)]
        after = self._setting.run()
        assert (after.server, after.client, after.answered) == ("done", "done", True), after
        self._check_states(before, most=2)
        self._check_files()
        opened = self._setting.opened()
        assert len(opened) == len(set(opened)), "a session was opened twice"
        return outcome

    def _measure(self) -> tuple[int, float]:
        """Bytes that pass in a run, and the seconds that it takes."""
        setting, name = self._setting, self._setting.new_name()
        passed: list[int] = []
        patience = ("--timeout", str(UNDISTURBED))
        server, port = setting.serve(name, *patience)
        with Relay(port, None, passed=lambda to, message: passed.append(len(message))) as relay:
            client = setting.ask(name, relay.port, *patience)
            assert (server.outcome(BAR), client.outcome(BAR)) == ("done", "done")
        return sum(passed), setting.run().seconds

    def _killed_run(self, victim: int) -> Outcome:
        setting, name = self._setting, self._setting.new_name()
        random = self._random
        at_byte = random.randrange(self._bytes) if random.random() < 0.5 else None
        pause = random.uniform(0, self._seconds) if at_byte is None else random.expovariate(1000)
        reached = threading.Event()
        passed = 0

        def count(to: int, message: bytes) -> None:
            nonlocal passed
            passed += len(message)
            if at_byte is not None and passed > at_byte:
                reached.set()

        server, port = setting.serve(name)
        with Relay(port, None, passed=count) as relay:
            client = setting.ask(name, relay.port)
            if at_byte is not None:
                while not (reached.wait(0.02) or server.ended or client.ended):
                    pass
            threading.Event().wait(pause)
            (server, client)[victim].kill()
            codes = server.outcome(BAR), client.outcome(BAR)
        return Outcome(*codes, setting.answered(name), 0)

    def _check_states(self, before: list[dict[bytes, str]], most: int) -> None:
        """Sessions were used up, at most so many, and none came back."""
        for party, old in enumerate(before):
            new = self._setting.states(party)
            assert new.keys() == old.keys(), "the store has other sessions"
            changed = [i for i in old if old[i] != new[i]]
            assert all(old[i] == "unused" for i in changed), "a used session has changed"
            assert len(changed) <= most, f"{len(changed)} sessions used up"

    def _check_files(self) -> None:
        """Every unused session has its file and no other has; nothing half-written is left."""
        for party in (0, 1):
            folder = self._setting.store / f"party{party}"
            states = self._setting.states(party)
            unused = {session_path(folder, i) for i, state in states.items() if state == "unused"}
            assert set(folder.glob("session-*")) == unused, "a used session's file is left, or one is missing"
            assert not list(folder.glob("*.partial")), "part of a file is left"
