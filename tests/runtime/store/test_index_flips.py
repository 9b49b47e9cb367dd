"""Every byte of an index, one after the other, with a bit flipped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from tests.runtime.store.stores import INDEX, MASK_SEED, deal, server_store


@pytest.mark.parametrize("encrypted", [False, True])
def test_every_flipped_byte_in_the_index(scratch: Path, encrypted: bool) -> None:
    """A coded error, or harmless: what was used stays used, what is unused has its own seed and mask."""
    ids = deal(scratch / "store", 3, encrypted)
    store = server_store(scratch / "store", encrypted)
    store.take(ids[0]).close()
    store.discard([ids[1]])
    store.close()
    index = scratch / "store/party0" / INDEX
    intact = index.read_bytes()
    outcomes: Counter[str] = Counter()
    for position in range(len(intact)):
        if any(intact[max(position - 20, 0) : position + 20]):  # not in the midst of unused room
            flipped = bytearray(intact)
            flipped[position] ^= 1 << position % 8
            index.write_bytes(flipped)
            outcomes[outcome(scratch / "store", ids, encrypted)] += 1
    assert set(outcomes) <= {"MPC-S002", "MPC-S011", "harmless"}  # S011: it says that it is read-only
    assert outcomes["MPC-S002"] > outcomes["harmless"] > 0


def outcome(path: Path, ids: list[bytes], encrypted: bool) -> str:
    """Opens the store and takes what is unused; puts its file back."""
    file = path / f"party0/session-{ids[2].hex()}.bin"
    contents = file.read_bytes()
    store = None
    try:
        store = server_store(path, encrypted)
        assert store.unused(9) in ([], ids[2:])
        assert store.take_first(ids[:2]) is None
        session = store.take_first(ids)
        if session is not None:
            assert (session.id, session.seed) == (ids[2], b"\2" * 16)
            assert session.weight_mask_seed == MASK_SEED
            session.close()
    except MpccError as error:
        return error.code
    finally:
        if store is not None:
            store.close()
        file.write_bytes(contents)
        (path / f"party0/{INDEX}-journal").unlink(missing_ok=True)
    return "harmless"
