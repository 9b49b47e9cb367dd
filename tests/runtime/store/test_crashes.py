"""kill -9 at every point: nothing is used twice, the rest is usable, nothing is left lying about."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpcc.runtime.store.bulk import OpenLocalFile
from mpcc.runtime.store.index import Index
from tests.runtime.store.crashes import OPERATIONS
from tests.runtime.store.stores import BATCH, INDEX, client_file, client_store, deal, names

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("needs a C compiler, and a loader with LD_PRELOAD")
    library = tmp_path_factory.mktemp("library") / "kill_at.so"
    source = HERE / "kill_at.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_change_of_a_file(library: Path, scratch: Path, operation: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.store.crashes", operation, str(scratch)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= {"open": 3, "open-elsewhere": 5}.get(operation, 20)


# Takes, discards and adds until it is killed; says what it took before it looks at it.
WORKER = """
import os, secrets, sys
from pathlib import Path
from mpcc.runtime.store.store import Store
from tests.runtime.store.stores import BATCH, PAYLOAD, PAYLOADS, PROGRAM

store = Store(Path(sys.argv[1]), 1, PROGRAM)
store.add_batch(BATCH, None)
print("ready", flush=True)
while True:
    session_id = secrets.token_bytes(16)
    store.add(BATCH, session_id, session_id, PAYLOADS)
    store.discard(store.unused(3)[2:])
    session = store.take_first(store.unused(2))
    if session:
        print("taken", session.id.hex(), flush=True)
        assert session.payload[:] == PAYLOAD
        session.close()
"""


def test_killed_at_random(scratch: Path) -> None:
    """Two processes at a time share a store; each is killed and followed by another one."""
    deal(scratch / "store", 2)
    generator = random.Random(0)
    command = [sys.executable, "-c", WORKER, str(scratch / "store/party1")]
    spoken = ""
    for _ in range(6):
        workers = [
            subprocess.Popen(command, cwd=HERE.parents[2], stdout=subprocess.PIPE, text=True) for _ in "12"
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            spoken += worker.stdout.readline() + worker.stdout.readline()
        time.sleep(generator.uniform(0, 0.1))
        for worker in workers:
            worker.kill()
            spoken += worker.communicate()[0]
            assert worker.returncode == -signal.SIGKILL
    taken = [line.split()[1] for line in spoken.splitlines() if line.count(" ") == 1 and len(line) == 38]
    assert len(taken) == len(set(taken)) > 12
    store = client_store(scratch / "store")
    unused = store.unused(1000)
    assert not {session_id.hex() for session_id in unused} & set(taken)
    assert names(scratch / "store/party1") == [f"session-{i.hex()}.bin" for i in sorted(unused)]
    for session_id in unused:
        store.take(session_id).close()


def test_marked_before_a_byte_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process would see it."""
    [session_id] = deal(tmp_path, 1)
    store = client_store(tmp_path)
    reads = []

    def read(file: OpenLocalFile, offset: int, length: int) -> bytes:
        reads.append(length)
        assert client_store(tmp_path).used([session_id]) == [session_id]
        return original(file, offset, length)

    original = OpenLocalFile.read
    monkeypatch.setattr(OpenLocalFile, "read", read)
    store.take(session_id)
    assert len(reads) == 2


def test_a_dealer_that_was_killed_is_cleaned_up_after(tmp_path: Path) -> None:
    """Its unfinished folder goes when the same store is dealt again; that of a living one stays."""
    left = tmp_path / ".store.1.partial"
    (left / "party0").mkdir(parents=True)
    (left / "party0" / INDEX).write_text("left")
    deal(tmp_path / "other")
    assert left.exists()
    deal(tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "store"]


def test_what_is_added_is_durable_before_the_index_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut keeps only what was made durable: first the file, then its name, then the row."""
    deal(tmp_path)
    store = client_store(tmp_path)
    store.add_batch(BATCH, None)
    order: list[object] = []
    fsync, add = os.fsync, Index.add

    def durable(descriptor: int) -> None:
        fsync(descriptor)
        order.append(os.fstat(descriptor).st_ino)

    def named(index: Index, session_id: bytes, batch: bytes) -> None:
        order.append("named")
        add(index, session_id, batch)

    monkeypatch.setattr(os, "fsync", durable)
    monkeypatch.setattr(Index, "add", named)
    store.add(BATCH, bytes(16), bytes(16), [b"piece"])
    file = client_file(tmp_path, bytes(16))
    assert order == [file.stat().st_ino, file.parent.stat().st_ino, "named"]
    assert store._index._query("PRAGMA synchronous") == [(3,)]  # EXTRA: commits and removals, too
    assert store._index._query("PRAGMA journal_mode") == [("delete",)]
