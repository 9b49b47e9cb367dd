"""Dealing ahead of time: a pair of stores in a new folder."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.correlations import plan
from mpcc.runtime.dealing.corrections import Dealing, one_ahead
from mpcc.runtime.program_folder import load_program_folder
from mpcc.runtime.store.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.store.writer import write_pair

Progress = Callable[[int, int], None]


def deal_sessions(program: Path, sessions: int, output: Path, progress: Progress) -> None:
    """Write STORE/party0 and STORE/party1 with `sessions` sessions; progress in bytes. Raises MPC-R020..,
    MPC-S011.
    """
    folder = load_program_folder(program, whole=False)
    try:
        operations = plan.from_json(folder.correlations.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise MpccError(
            "MPC-S012",
            f"the correlation plan cannot be read: {error}",
            where=str(folder.correlations),
            remedy="compile the model again",
        ) from None
    _, session_bytes = plan.offsets(operations)
    weight_mask_seed = secrets.token_bytes(SEED_BYTES)
    done = 0

    def counted(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        nonlocal done
        for piece in pieces:
            yield piece
            done += len(piece)
            progress(done, session_bytes * sessions)

    with write_pair(output, folder.program_hash, folder.weights_sha256, weight_mask_seed) as (
        writer0,
        writer1,
    ):
        for _ in range(sessions):
            session_id = secrets.token_bytes(SESSION_ID_BYTES)
            seeds = (secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES))
            writer0.add(session_id, seeds[0], [])
            pieces = Dealing(seeds, weight_mask_seed).corrections(operations)
            writer1.add(session_id, seeds[1], counted(one_ahead(pieces)))
