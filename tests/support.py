"""Both parties of a compiled program in one process, over the in-process transport: quick, with the same
bytes. And damage to a file.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpcc.runtime.correlations import plan
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.session import ExecutionResult
from mpcc.runtime.sources import client_inputs
from mpcc.runtime.store.store import Session
from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.two_party.just_in_time import Workshop, make_session
from tests.runtime.protocols.harness import seed_pair


@dataclass
class SecureRun:
    outputs: dict[str, np.ndarray]
    online: tuple[Counters, Counters]
    setup: tuple[Counters, Counters]
    preparation: tuple[Counters, Counters]


def secure_run(
    program: Path, inputs: dict[str, np.ndarray], timeout: float = 120, number: int | None = None
) -> SecureRun:
    """Deal one session in memory, unless the parties make it themselves, and run both in two threads.

    What is dealt is the same for a `number`, and roundings with it; without one it is new every time.
    """
    dealt = None if load_program_folder(program).two_party else _dealt(program, number)
    session_id = secrets.token_bytes(16)
    channels = channel_pair(timeout)
    results: list[ExecutionResult | BaseException | None] = [None, None]

    def work(party: int) -> None:
        try:
            folder = load_party_folder(program / f"party{party}")
            given = client_inputs(folder, inputs) if party == 1 else None
            prepared, channel = PreparedProgram(folder), channels[party]
            if dealt is None:
                workshop = Workshop(folder.program_hash, prepared.making_bytes, prepared.make_with)
                session = make_session(channel, workshop, session_id)
            else:
                session = dealt[party]
            results[party] = prepared.execute(channel, session, given, lambda done, total: None)
        except BaseException as error:
            results[party] = error
            channels[party].close()

    threads = [threading.Thread(target=work, args=(party,)) for party in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in reversed(results):
        if isinstance(result, BaseException):
            raise result
    outputs = results[1].outputs  # type: ignore[union-attr]
    first, second = (channel.meter.counters for channel in channels)
    return SecureRun(
        outputs,
        (first["online"], second["online"]),
        (first["setup"], second["setup"]),
        (first["preparation"], second["preparation"]),
    )


def _dealt(program: Path, number: int | None) -> tuple[Session, Session]:
    operations = plan.from_json((program / "correlations.json").read_text())
    number = secrets.randbits(128) if number is None else number
    seeds, (mask_seed, session_id) = seed_pair(number), seed_pair(-1 - number)
    payload = b"".join(Dealing(seeds, mask_seed).corrections(operations))
    return (
        Session(session_id, seeds[0], memoryview(b""), mask_seed),
        Session(session_id, seeds[1], memoryview(payload), None),
    )


def open_below(folder: Path) -> list[str]:
    """The files below `folder` that this process has open, removed ones too. Files elsewhere may be those of
    other tests' garbage.
    """
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists the folder
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(name for name in found if name.startswith(f"{folder}/"))


def flip(file: Path, position: int) -> None:
    """Change one bit of a file, in the byte at a position from its begin or, if negative, its end."""
    contents = bytearray(file.read_bytes())
    contents[position] ^= 4
    file.write_bytes(contents)
