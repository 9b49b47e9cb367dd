"""A thousand hostile connections: an honest client gets its answer meanwhile, and the server stays small."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults import entries, hostile
from tests.faults.processes import Running, start
from tests.faults.setting import BAR, UNDISTURBED, Setting

TIMES = 1000
SESSIONS = 60
LEAST_HONEST = 3  # clients that TLS lets through while the crowd is there
MOST_THREADS = 200
MOST_MORE = 150 << 20  # bytes that the server may grow by
PATIENCE = 200  # seconds, of an honest client: longer than a crowd's TIMES calls take


def serve(setting: Setting, tls: bool) -> tuple[Running, int]:
    arguments = [str(setting.work.program / "party0"), "--listen", "127.0.0.1:0"]
    arguments += ["--store", str(setting.store / "party0"), "--timeout", str(UNDISTURBED)]
    arguments += ["--tls", str(setting.certificates / "party0")] if tls else []
    server = start(setting.scratch / "server", entries.serve, arguments, audit=setting.audit)
    line = server.wait_for('"event": "listening"')
    return server, int(line.split('"port": ')[1].split(",")[0])


def ask(setting: Setting, name: str, port: int, tls: bool) -> Running:
    arguments = [str(setting.work.program / "party1"), "--connect", f"localhost:{port}"]
    arguments += ["--store", str(setting.store / "party1"), "--timeout", str(PATIENCE)]
    arguments += ["--input", str(setting.scratch / "x.npz"), "--output", str(setting.output(name))]
    arguments += ["--tls", str(setting.certificates / "party1")] if tls else []
    return start(setting.scratch / name, entries.infer, arguments, audit=setting.audit)


def status(server: Running) -> tuple[int, int]:
    """Threads, and peak resident bytes."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    )
    return int(fields["Threads"]), int(fields["VmHWM"].split()[0]) << 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_thousand_hostile_connections(tmp_path: Path, tls: bool) -> None:
    """Without TLS a stranger is a client like any other, and an honest one may have to outlast the crowd."""
    least = LEAST_HONEST if tls else 1
    setting = Setting(tmp_path, SESSIONS)
    server, port = serve(setting, tls)
    _, before = status(server)
    enough = threading.Event()
    if not tls:
        enough.set()  # of a crowd that never ends: its `TIMES` calls will do
    crowd = threading.Thread(target=hostile.call_often, args=(port, TIMES, Random(), enough))
    crowd.start()
    most_threads = honest = 0
    try:
        while crowd.is_alive() and honest < SESSIONS // 2:
            name = f"honest{honest}"
            client = ask(setting, name, port, tls)
            assert client.outcome(PATIENCE + BAR) == "done"
            assert setting.answered(name)
            honest += 1
            most_threads = max(most_threads, status(server)[0])
            if honest == least:
                enough.set()
    finally:
        enough.set()
        crowd.join()
    assert honest >= least
    end = time.monotonic() + BAR
    while status(server)[0] > 30 and time.monotonic() < end:
        time.sleep(0.1)
    threads, peak = status(server)
    assert most_threads <= MOST_THREADS
    assert threads <= 30, "threads are left"
    assert peak - before <= MOST_MORE
    opened = setting.opened()
    assert len(opened) == len(set(opened))
    server.process.terminate()
    assert server.outcome(BAR) == "done"
