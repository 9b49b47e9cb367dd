"""Refuses what does not go with where a program's correlations come from."""

from __future__ import annotations

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import PartyFolder, ProgramFolder


def require_dealer(folder: PartyFolder | ProgramFolder) -> None:
    """A dealer is to have something to do with the program. Raises MPC-R074."""
    if folder.two_party:
        raise MpccError(
            "MPC-R074",
            "the program has no dealer: its two parties make their correlations themselves",
            where=str(folder.path),
            remedy="leave out --dealer, mpcc deal and mpcc dealer: a run makes what is missing; "
            "ahead of time: mpcc prepare PROG/party0 --listen HOST:PORT and "
            "mpcc prepare PROG/party1 --connect HOST:PORT",
        )


def require_two_party(folder: PartyFolder) -> None:
    """The two parties are to make the program's correlations themselves. Raises MPC-R075."""
    if not folder.two_party:
        raise MpccError(
            "MPC-R075",
            "the program's correlations come from a dealer, not from its two parties",
            where=str(folder.path),
            remedy=f"mpcc prepare PROG/party{folder.party} --dealer HOST:PORT, or mpcc deal; or compile with "
            "--correlations two-party",
        )
