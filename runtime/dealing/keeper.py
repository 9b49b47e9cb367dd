"""Keeps a party's store supplied in the background: a client asks for more at low water, a server listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.dealing.supply import Dealer, collect, fill
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.store import Store

_PARTING_SECONDS = 1.0  # for party 0 to store what has come
_LOOK_SECONDS = 0.5  # between two looks at the store
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds after a failure, doubled each time


@dataclass(frozen=True)
class Water:
    """Unused sessions of party 1: at `low` or fewer the store is filled up to `high`."""

    low: int
    high: int

    def __post_init__(self) -> None:
        """Raises MPC-R072."""
        if self.low >= self.high:
            raise MpccError(
                "MPC-R072",
                f"the store would be filled at {self.low} sessions up to {self.high}",
                remedy="--low-water must be below --sessions; in Python, low_water below high_water",
            )


class Keeper:
    """A thread that keeps a store supplied while the block runs; a lost dealer is tried again for ever.

    `failed` is told of every failure (MPC-R003.., MPC-S011), in that thread.
    """

    def __init__(
        self,
        folder: PartyFolder,
        store: Store,
        dealer: Dealer,
        water: Water,
        failed: Callable[[MpccError], None],
    ) -> None:
        self._folder = folder
        self._store = store
        self._dealer = dealer
        self._water = water
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supply", daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Party 1: a session that is being dealt is stored first, for at most the dealer's timeout. Party 0
        may be waiting for its dealer's next word: the thread ends by itself, and the dealer offers again what
        was not stored.
        """
        self._stop.set()
        self._thread.join(None if self._folder.party == 1 else _PARTING_SECONDS)

    def join(self) -> None:
        """Wait for ever: until the process is interrupted."""
        self._thread.join()

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self._supply()
                pause = _FIRST_PAUSE
            except MpccError as error:
                if self._stop.is_set():
                    return
                self._failed(error)
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _supply(self) -> None:
        if self._folder.party == 0:
            collect(self._folder, self._store, self._dealer, self._stop.is_set)
        elif self._store.count_unused() <= self._water.low:
            high, stopped = self._water.high, self._stop.is_set
            fill(self._folder, self._store, self._dealer, high, lambda done, total: None, stopped)
        else:
            self._stop.wait(_LOOK_SECONDS)
