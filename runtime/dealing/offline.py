"""Dealing ahead of time: a pair of stores in a new folder."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from mpcc.runtime.correlations import plan
from mpcc.runtime.dealing.corrections import Dealing, one_ahead
from mpcc.runtime.dealing.plan import dealing_plan
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.store.writer import write_pair

Progress = Callable[[int, int], None]


def deal_sessions(
    program: Path,
    sessions: int,
    output: Path,
    progress: Progress,
    keys: tuple[StoreKey | None, StoreKey | None] = (None, None),
) -> None:
    """Write STORE/party0 and STORE/party1 with `sessions` sessions, encrypted with each party's own key where
    one is given; progress in bytes. Raises MPC-R020.., MPC-S011, MPC-S012.
    """
    folder, operations = dealing_plan(program)
    _, session_bytes = plan.offsets(operations)
    weight_mask_seed = secrets.token_bytes(SEED_BYTES)
    done = 0

    def counted(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        nonlocal done
        for piece in pieces:
            yield piece
            done += len(piece)
            progress(done, session_bytes * sessions)

    owner = (folder.program_hash, folder.weights_sha256, weight_mask_seed)
    with write_pair(output, *owner, keys) as (writer0, writer1):
        for _ in range(sessions):
            session_id = secrets.token_bytes(SESSION_ID_BYTES)
            seeds = (secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES))
            writer0.add(session_id, seeds[0], [])
            pieces = Dealing(seeds, weight_mask_seed).corrections(operations)
            writer1.add(session_id, seeds[1], counted(one_ahead(pieces)))
