"""Both parties of the small program whose parties make their correlations, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.handshake import Limits, Purpose, greet
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.session import SessionResult, run_session, telling
from mpcc.runtime.store.opening import open_or_create
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.just_in_time import Make, Workshop
from mpcc.runtime.two_party.preparation import Preparation, prepare_sessions
from tests.runtime.fake_program import INPUT, SIZE, build_program, execute, make

T = TypeVar("T")
LIMITS = Limits(30.0)  # longer than any machine is busy


class Pair:
    """A program, and the stores of both parties where they prepare."""

    def __init__(self, scratch: Path, steps: tuple[str, str] = ("linear", "linear")) -> None:
        self.program = build_program(scratch / "prog", steps, source="two-party")
        self.folders = [load_party_folder(self.program / f"party{party}") for party in (0, 1)]
        self.paths = [scratch / f"store{party}" for party in (0, 1)]
        self.seeds: list[list[bytes]] = [[], []]
        self.progress: list[tuple[int, int]] = []

    def store(self, party: int) -> Store:
        return open_or_create(self.folders[party], self.paths[party], None)

    def unused(self) -> tuple[list[bytes], list[bytes]]:
        first, second = (self.store(party).unused(1 << 20) for party in (0, 1))
        return first, second

    def workshop(self, party: int) -> Workshop:
        """Notes every seed."""

        def open_(channel: object) -> Make:
            def made(seed: bytes):  # type: ignore[no-untyped-def]
                self.seeds[party].append(seed)
                return make(self.folders[party], channel, seed)  # type: ignore[arg-type]

            return made

        told = (lambda *update: self.progress.append(update)) if party == 1 else None
        return Workshop(self.folders[party].program_hash, lambda: 16 * SIZE, open_, told)

    def both(
        self,
        work: Callable[[int, StreamChannel], T],
        channels: tuple[StreamChannel, StreamChannel] | None = None,
    ) -> tuple[T | MpccError, T | MpccError]:
        """What each party's work returned or raised."""
        pair = channels or channel_pair()

        def one(party: int) -> T | MpccError:
            try:
                return work(party, pair[party])
            except MpccError as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(one, (0, 1))
        return first, second

    def prepare_one(self, party: int, channel: StreamChannel, sessions: int) -> Preparation:
        with telling(channel):
            greeting = greet(channel, self.folders[party], LIMITS, Purpose.PREPARE)
            return prepare_sessions(
                channel, party, self.store(party), self.workshop(party), greeting, sessions
            )

    def prepare(self, most: int, wanted: int) -> tuple[Preparation | MpccError, Preparation | MpccError]:
        """Party 0 makes at most `most`, party 1 wants `wanted` in common."""
        return self.both(lambda party, channel: self.prepare_one(party, channel, (most, wanted)[party]))

    def run_one(self, party: int, channel: StreamChannel, stored: bool = True) -> SessionResult:
        return run_session(
            self.folders[party],
            channel,
            self.store(party) if stored else None,
            partial(execute, self.folders[party]),
            {"x": INPUT} if party else None,
            lambda done, total: None,
            LIMITS,
            workshop=self.workshop(party),
        )

    def run(self, *stored: bool) -> tuple[SessionResult | MpccError, SessionResult | MpccError]:
        """With a store at each party that has one."""
        return self.both(lambda party, channel: self.run_one(party, channel, (stored or (True, True))[party]))
