"""Makes a party's program ready to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.session import Executor, Progress
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.just_in_time import Make, Workshop


class Prepared(Protocol):
    """A party's program, ready for any number of sessions, also at the same time."""

    @property
    def execute(self) -> Executor: ...

    def making_bytes(self) -> int:
        """That both parties send to make a session, on a connection of its own. Raises MPC-I027."""

    def make_with(self, channel: Channel) -> Make:
        """Begin to make correlations with the other party. Raises MPC-R004..R008."""

    @property
    def session_bytes(self) -> int:
        """Party 0: what a session takes in memory, about."""

    def limit_session(self, bytes_: int) -> None:
        """Party 0: let no session take more. Raises MPC-R082 when the program cannot keep to it."""

    def load_weights(self) -> None:
        """Party 0: what the first session would do otherwise."""


Prepare = Callable[[PartyFolder], Prepared]


def workshop_of(folder: PartyFolder, prepared: Prepared, progress: Progress | None) -> Workshop | None:
    """Where the party makes correlations with the other; None where a dealer does."""
    if not folder.two_party:
        return None
    return Workshop(folder.program_hash, prepared.making_bytes, prepared.make_with, progress)


def prepared_program(folder: PartyFolder) -> Prepared:
    """The interpreter of a party's program. Raises MPC-I0.., MPC-R043."""
    from mpcc.runtime import kernels  # here: who only asks for --help needs no interpreter
    from mpcc.runtime.executor import PreparedProgram

    kernels.keep_memory()
    return PreparedProgram(folder)
