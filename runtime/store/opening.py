"""The store of a party's program folder: opened, or made where a dealer will fill it."""

from __future__ import annotations

from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store


def open_store_of(folder: PartyFolder, path: Path, key: StoreKey | None) -> Store:
    """Raises MPC-S001..S005, MPC-S016..S018."""
    return Store(path, folder.party, folder.program_hash, folder.weights_sha256, key)


def open_or_create(folder: PartyFolder, path: Path, key: StoreKey | None, bulk: str | None = None) -> Store:
    """The same, or an empty store where there is none; `bulk` is for a new one, as in `Store.create`.

    Raises MPC-S002..S005, MPC-S011, MPC-S016..S020.
    """
    try:
        return open_store_of(folder, path, key)
    except MpccError as error:
        if error.code != "MPC-S001":
            raise
    return Store.create(path, folder.party, folder.program_hash, folder.weights_sha256, key, bulk)
