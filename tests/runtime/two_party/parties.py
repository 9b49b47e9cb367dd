"""Both parties at the same time, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_threads(work: Callable[[int], T], stop: Callable[[int], None]) -> tuple[T, T]:
    """What `work(party)` returns for both. `stop(party)` ends the other's waits when one fails; raises what
    failed first.
    """
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    def run(party: int) -> None:
        try:
            results[party] = work(party)
        except BaseException as error:
            failures.append(error)
            stop(party)

    threads = [threading.Thread(target=run, args=(party,)) for party in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results[0], results[1]
