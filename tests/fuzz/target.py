"""What is fuzzed: bytes in, either a result or an MpccError out; everything else is a finding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import ClassVar


class Target(ABC):
    """One parser. `run` is called many times in one process and must leave nothing behind."""

    name: ClassVar[str]
    max_bytes: ClassVar[int] = 4096

    @abstractmethod
    def run(self, data: bytes) -> None:
        """Parse. Raises MpccError for what is refused; any other exception is a finding."""

    @abstractmethod
    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        """Changed data that still reaches what lies behind the first checks."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs made from what the repository holds, besides those kept in the corpus."""
        return ()


def memory_folder() -> Path | None:
    """Where files cost no disk; None, the usual place for temporary files, where there is no such folder."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() else None
