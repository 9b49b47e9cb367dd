"""Makes a party's program ready to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.session import Executor


class Prepared(Protocol):
    """A party's program, ready for any number of sessions, also at the same time."""

    @property
    def execute(self) -> Executor: ...

    @property
    def session_bytes(self) -> int:
        """Party 0: what a session takes in memory, about."""

    def limit_session(self, bytes_: int) -> None:
        """Party 0: let no session take more. Raises MPC-R082 when the program cannot keep to it."""

    def load_weights(self) -> None:
        """Party 0: what the first session would do otherwise."""


Prepare = Callable[[PartyFolder], Prepared]


def prepared_program(folder: PartyFolder) -> Prepared:
    """The interpreter of a party's program. Raises MPC-I0.., MPC-R043."""
    from mpcc.runtime import kernels  # here: who only asks for --help needs no interpreter
    from mpcc.runtime.executor import PreparedProgram

    kernels.keep_memory()
    return PreparedProgram(folder)
