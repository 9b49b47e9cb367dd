"""Reading a TOML file field by field: every problem with file, field and cause, all of them at once."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import Diagnostics, MpccError

LARGEST = 1e12  # of a finite number: beyond it fixed point has no format
MOST_ENTRIES = 1024  # of an array


def read_toml(path: Path) -> dict[str, Any]:
    """Raises MPC-P022 where the file cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise MpccError(
            "MPC-P022",
            f"the file cannot be read: {cause or type(error).__name__}",
            where=str(path),
            remedy="give a TOML file as docs/approximations.md describes it",
        ) from None


class Fields:
    """A table of a file. Each reader returns the value, or a harmless one after noting what is wrong as
    MPC-P023; `finish` notes unknown keys.
    """

    def __init__(self, table: dict[str, Any], place: str, diagnostics: Diagnostics, prefix: str = "") -> None:
        self.place = place
        self._table = table
        self._prefix = prefix
        self._diagnostics = diagnostics
        self._read: set[str] = set()

    def wrong(self, key: str, cause: str, remedy: str = "") -> None:
        self._diagnostics.add(
            "MPC-P023", f"field `{self._prefix}{key}`: {cause}", where=self.place, remedy=remedy
        )

    def has(self, key: str) -> bool:
        return key in self._table

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if value is None:
            return ""
        if not (isinstance(value, str) and value.strip()):
            self.wrong(key, "is no text, or an empty one")
            return ""
        return value

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        value, known = self.text(key, default), tuple(choices)
        if value and value not in known:
            self.wrong(key, f"{value!r} is not known", f"use {', '.join(known)}")
            return ""
        return value

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -LARGEST,
        high: float = LARGEST,
    ) -> float:
        """A number in [low, high]."""
        value = self._value(key, default)
        return 0.0 if value is None else self._number(key, value, low, high)

    def integer(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        value = self._value(key, default)
        if value is None:
            return low
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(key, f"is no integer from {low} to {high}")
            return low
        return value

    def flag(self, key: str) -> bool:
        """False where it is missing."""
        value = self._value(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "is neither true nor false")
        return value is True

    def numbers(
        self, key: str, default: Sequence[float] | None = None, *, infinite: bool = False
    ) -> tuple[float, ...]:
        """An array of numbers; `infinite` allows -inf and inf in it."""
        value = self._value(key, default)
        return () if value is None else self._numbers(key, value, infinite)

    def rows(
        self, key: str, default: Sequence[Sequence[float]] | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """An array of arrays of numbers."""
        value = self._value(key, default)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) > MOST_ENTRIES:
            self.wrong(key, f"is no array of at most {MOST_ENTRIES} arrays of numbers")
            return ()
        return tuple(self._numbers(f"{key}[{i}]", row, False) for i, row in enumerate(value))

    def table(self, key: str) -> Fields:
        value = self._value(key, None)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "is no table")
        table = value if isinstance(value, dict) else {}
        return Fields(table, self.place, self._diagnostics, f"{self._prefix}{key}.")

    def strings(self) -> dict[str, str]:
        """The whole table as texts by name."""
        return {key: self.text(key) for key in self._table}

    def finish(self) -> None:
        """Note the keys that no reader asked for."""
        for key in self._table.keys() - self._read:
            self.wrong(key, "is not known here", "remove it, or correct its name")

    def _value(self, key: str, default: object) -> Any:
        self._read.add(key)
        if key in self._table:
            return self._table[key]
        if default is None:
            self.wrong(key, "is missing")
        return default

    def _number(self, key: str, value: object, low: float, high: float, infinite: bool = False) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, "is no number")
        elif isinstance(value, float) and not math.isfinite(value):
            if infinite and not math.isnan(value):
                return value
            self.wrong(key, "is not finite")
        elif not low <= value <= high:
            self.wrong(key, f"is not within [{low:g}, {high:g}]")
        else:
            return float(value)
        return 0.0

    def _numbers(self, key: str, value: object, infinite: bool) -> tuple[float, ...]:
        if not isinstance(value, list | tuple) or len(value) > MOST_ENTRIES:
            self.wrong(key, f"is no array of at most {MOST_ENTRIES} numbers")
            return ()
        return tuple(self._number(f"{key}[{i}]", v, -LARGEST, LARGEST, infinite) for i, v in enumerate(value))
