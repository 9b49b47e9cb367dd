"""One-time correlation stores on disk: one folder per party, an index, and one file per session.

Correlations are one-time pads, so a session is marked used, durably, before a byte of it is read, and its
file is removed once it is open. What it holds is checked before it is used: see `session_file`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.store.session_file import Payload, open_session

INDEX_FORMAT = 2  # that of the session files included
INDEX_NAME = "index.json"
_DEAL_AGAIN = "deal new sessions for this program: mpcc deal PROG --sessions N -o STORE"


@dataclass(frozen=True)
class Session:
    """One party's part of one session's correlations. Its bytes must be used once and by one run.

    `weight_mask_seed` (party 0 only) expands to B, the mask of the weights, which a store's sessions share.
    In `folder`, the store's, party 1 keeps the weight differences.
    """

    id: bytes
    seed: bytes
    payload: Payload
    weight_mask_seed: bytes | None
    folder: Path | None = None


def read_index(folder: Path) -> dict[str, Any]:
    """The checked index of one party's store. Raises MPC-S001, MPC-S002."""
    path = folder / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        digest = index.pop("sha256")
    except OSError:
        raise MpccError("MPC-S001", "there is no store here", where=str(folder), remedy=_DEAL_AGAIN) from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise _damaged_index(path) from None
    if digest != _index_digest(index) or index.get("format") != INDEX_FORMAT:
        raise _damaged_index(path)
    return index  # type: ignore[no-any-return]


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Replace the index atomically and durably. Raises OSError."""
    sealed = {**index, "sha256": _index_digest(index)}
    with atomic_file(folder / INDEX_NAME) as file:
        file.write(json.dumps(sealed, indent=1).encode())


class Store:
    """One party's store, opened for a program; hands each session out once, also across processes."""

    def __init__(
        self, folder: Path, party: int, program_hash: str, weights_sha256: str | None = None
    ) -> None:
        """`weights_sha256` is given by party 0, whose weight mask is bound to one version of the weights.

        Raises MPC-S001..S006.
        """
        self._folder = folder
        self._program_hash = program_hash
        index = read_index(folder)
        self._check_owner(index, party, weights_sha256)
        if not self.unused():
            raise MpccError(
                "MPC-S006", "every session of the store has been used", where=str(folder), remedy=_DEAL_AGAIN
            )

    def unused(self) -> list[bytes]:
        """Ids of the sessions not used yet, in the order they were dealt. Raises MPC-S001, MPC-S002."""
        sessions = read_index(self._folder)["sessions"]
        return [bytes.fromhex(session["id"]) for session in sessions if not session["used"]]

    def take(self, session_id: bytes) -> Session:
        """Mark the session used, then open its file, check its head and remove it.

        Raises MPC-S007, MPC-S008 (damaged: the session stays used; also while the payload is read),
        MPC-S009 (used already), MPC-S011.
        """
        with self._locked():
            index = read_index(self._folder)
            entry = next((e for e in index["sessions"] if e["id"] == session_id.hex()), None)
            if entry is None or entry["used"]:
                raise MpccError(
                    "MPC-S009",
                    "the session agreed on has been used already",
                    where=str(self._folder),
                    remedy="start both parties again: they agree on the next unused session",
                )
            entry["used"] = True
            try:
                write_index(self._folder, index)
            except OSError as error:
                raise MpccError(
                    "MPC-S011",
                    f"a session cannot be marked used: {error.strerror}",
                    where=str(self._folder),
                    remedy="make the store writable; without the mark its sessions must not be used",
                ) from None
        path = self._folder / entry["file"]
        seed, payload = open_session(path, self._program_hash, session_id)
        path.unlink()  # the open file lives on; nothing on disk can be used again
        mask_seed = index.get("weight_mask_seed")
        return Session(
            session_id, seed, payload, bytes.fromhex(mask_seed) if mask_seed else None, self._folder
        )

    def _check_owner(self, index: dict[str, Any], party: int, weights_sha256: str | None) -> None:
        where = str(self._folder)
        if index["party"] != party:
            raise MpccError(
                "MPC-S005",
                f"this store belongs to party {index['party']}, and this is party {party}",
                where=where,
                remedy=f"give --store STORE/party{party}",
            )
        if index["program_hash"] != self._program_hash:
            raise MpccError(
                "MPC-S003", "the store was dealt for another program", where=where, remedy=_DEAL_AGAIN
            )
        if party == 0 and index["weights_sha256"] != weights_sha256:
            raise MpccError(
                "MPC-S004", "the store was dealt for other weights", where=where, remedy=_DEAL_AGAIN
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _index_digest(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _damaged_index(path: Path) -> MpccError:
    return MpccError(
        "MPC-S002",
        "the store's index is damaged or of another version",
        where=str(path),
        remedy=_DEAL_AGAIN,
    )
