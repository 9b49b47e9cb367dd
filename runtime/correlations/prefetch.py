"""Expands correlations ahead of their use: they do not depend on the input, so this is offline work.

A thread walks the program's draws in order, up to a budget of expanded bytes that are not yet used; the
online phase finds them ready, or waits for the next. Memory stays bounded for programs whose correlations are
larger than the budget.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.slots import Part, Slot

BUDGET_BYTES = 1 << 30  # BERT-base takes 10 % longer online with half of it, 21 % with a quarter
Draw = tuple[str, list[Slot]]


class Prefetch:
    """A correlation source whose next draws are ready. A context manager: the thread ends with the block."""

    def __init__(self, source: CorrelationSource, draws: Sequence[Draw], budget: int = BUDGET_BYTES) -> None:
        self._source = source
        self._draws = {name: slots for name, slots in draws if slots}
        self._budget = budget
        self._ready: dict[str, dict[str, Part]] = {}
        self._taken: set[str] = set()
        self._held = 0
        self._stopped = False  # by the block's end, or because everything is expanded
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="correlations", daemon=True)

    def __enter__(self) -> Prefetch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def wait(self) -> None:
        """Returns when everything is expanded or the budget is used up. Raises what the thread met."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._full())
            self._raise_failure()

    def draw(self, value_name: str, slots: list[Slot]) -> dict[str, Part]:
        """Parts by slot name, once, as `CorrelationSource.draw`."""
        if value_name not in self._draws:
            return self._source.draw(value_name, slots)
        if value_name in self._taken:
            raise RuntimeError(f"the correlation of %{value_name} was already used")
        self._taken.add(value_name)
        with self._changed:
            self._changed.wait_for(lambda: value_name in self._ready or self._stopped)
            self._raise_failure()
            parts = self._ready.pop(value_name)
            self._held -= _bytes(parts)
            self._changed.notify_all()
        return parts

    def _work(self) -> None:
        try:
            for name, slots in self._draws.items():
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or not self._full())
                    if self._stopped:
                        return
                parts = self._source.draw(name, slots)
                with self._changed:
                    self._ready[name] = parts
                    self._held += _bytes(parts)
                    self._changed.notify_all()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _full(self) -> bool:
        """Whether the thread waits for room: never while nothing is ready, however large the next draw is."""
        return self._held >= self._budget and bool(self._ready)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _bytes(parts: dict[str, Part]) -> int:
    return sum(part.nbytes for part in parts.values())
