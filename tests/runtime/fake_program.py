"""A small program folder, its dealer and its executor: y = x * w elementwise over the ring of 64 bits.

It is the linear protocol of docs/protocols with one element a weight, so that a wrong session, seed or weight
mask gives a wrong answer. A program's text is a list of steps: "linear", or a fault for one party to have:
"hang" (wait for ever), "compute" (for long), "crash" (an exception with a secret in it), "lie" (too long a
message). Steps that begin with "making-" are faults while the parties make correlations, "making-slowly" that
of a slow one.

Made between the parties, the correlations are no secret at all: party 1 tells its mask.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.commands.common import run_command
from mpcc.runtime.commands.deal import deal_command
from mpcc.runtime.events import Events
from mpcc.runtime.program_folder import (
    PartyFolder,
    file_sha256,
    load_program_folder,
    seal_manifest,
)
from mpcc.runtime.session import ExecutionResult, Executor, OperationCounters, Progress
from mpcc.runtime.store.store import Session
from mpcc.runtime.store.writer import write_pair
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.just_in_time import Make

SIZE = 8
PIECES = 4  # of a payload that the parties make
COMPUTING_SECONDS = 0.6
SECRET = "a secret value"
INPUT = np.arange(1, SIZE + 1, dtype=np.int64)
WEIGHTS = np.arange(3, 3 + SIZE, dtype=np.uint64)
DEALER_COMMAND = (sys.executable, __file__)
_RUN = """import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from fake_program import FakeProgram
from mpcc.runtime.commands.party import main
sys.exit(main(Path(__file__).resolve().parent, sys.argv[1:], FakeProgram))
"""


def build_program(
    folder: Path,
    steps: tuple[str, str] = ("linear", "linear"),
    weights: np.ndarray[Any, Any] = WEIGHTS,
    source: str = "dealer",
) -> Path:
    """Write a program folder; `steps` are the two parties' program texts, `source` that of correlations."""
    for party in (0, 1):
        (folder / f"party{party}").mkdir(parents=True)
        (folder / f"party{party}/program.mpc").write_text(steps[party])
        (folder / f"party{party}/run").write_text(_RUN.format(tests=str(Path(__file__).parent)))
    (folder / "party0/weights.safetensors").write_bytes(weights.tobytes())
    (folder / "correlations.json").write_text(json.dumps({"size": SIZE}))
    program = {
        "name": "fake",
        "options": {"correlations": source},
        "programs": [file_sha256(folder / f"party{party}/program.mpc") for party in (0, 1)],
    }
    secret = {**program, "model_sha256": file_sha256(folder / "party0/weights.safetensors")}
    _write_manifest(folder / "party0", secret, party=0)
    _write_manifest(folder / "party1", program, party=1)
    _write_manifest(folder, secret, predicted={"rounds": 2})
    return folder


def write_input(path: Path) -> Path:
    np.savez(path, x=INPUT)
    return path


def deal(program: Path, sessions: int, store: Path) -> None:
    """What the dealer does: it reads PROG/ but no weight."""
    folder = load_program_folder(program)
    mask_seed = secrets.token_bytes(16)
    mask = _expand(mask_seed)
    with write_pair(store, folder.program_hash, folder.weights_sha256, mask_seed) as (server, client):
        for _ in range(sessions):
            session_id, seed0, seed1 = (secrets.token_bytes(16) for _ in range(3))
            server.add(session_id, seed0, [])
            client.add(session_id, seed1, [_expand(seed1) * mask - _expand(seed0)])


class FakeProgram:
    """A prepared program, of which a session takes `session_bytes`."""

    session_bytes = 1000

    def __init__(self, folder: PartyFolder) -> None:
        self.folder = folder
        self.execute: Executor = partial(execute, folder)

    def limit_session(self, bytes_: int) -> None:
        if bytes_ < self.session_bytes:
            raise MpccError("MPC-R082", "too little")

    def making_bytes(self) -> int:
        return 16 * SIZE

    def make_with(self, channel: Channel) -> Make:
        return partial(make, self.folder, channel)

    def load_weights(self) -> None:
        """It reads them in each session."""


def make(folder: PartyFolder, channel: Channel, seed: bytes) -> Iterator[memoryview]:
    """Shares of mask * weights."""
    steps, mask = folder.program_text.split(), _expand(seed)
    for piece in np.split(np.arange(SIZE), PIECES):
        for step in steps:
            if step.startswith("making-"):
                FAULTS[step](channel)
        if folder.party == 0:
            masks = np.frombuffer(channel.exchange(b"", mask[piece].nbytes), np.uint64)
            channel.exchange(masks * _weights(folder)[piece] - mask[piece], 0)
            yield mask[piece].data
        else:
            channel.exchange(mask[piece], 0)
            yield channel.exchange(b"", mask[piece].nbytes)


def execute(
    folder: PartyFolder, channel: Channel, session: Session, inputs: Arrays | None, progress: Progress
) -> ExecutionResult:
    for step in folder.program_text.split():
        if step != "linear" and not step.startswith("making-"):
            FAULTS[step](channel)
    if folder.party == 0:
        assert inputs is None
        return _serve(folder, channel, session)
    assert inputs is not None
    return _ask(folder, channel, session, inputs, progress)


def _serve(folder: PartyFolder, channel: Channel, session: Session) -> ExecutionResult:
    weights, addend = _weights(folder), _expand(session.seed)
    if folder.two_party:
        addend = np.frombuffer(session.payload[:], np.uint64)
    else:
        assert session.weight_mask_seed is not None
        with channel.meter.counting("setup"):
            channel.exchange(weights - _expand(session.weight_mask_seed), 0)
    channel.synchronise()
    with channel.meter.counting("online"):
        masked = np.frombuffer(channel.exchange(b"", 8 * SIZE), np.uint64)
        channel.exchange(masked * weights + addend, 0)
    return ExecutionResult({})


def _ask(
    folder: PartyFolder, channel: Channel, session: Session, inputs: Arrays, progress: Progress
) -> ExecutionResult:
    mask, share = _expand(session.seed), np.frombuffer(session.payload[:], np.uint64)
    if not folder.two_party:
        with channel.meter.counting("setup"):
            share = share + mask * np.frombuffer(channel.exchange(b"", 8 * SIZE), np.uint64)
    channel.synchronise()
    with channel.meter.counting("online") as counters:
        channel.exchange(inputs["x"].astype(np.uint64) - mask, 0)
        progress(8 * SIZE, 16 * SIZE)
        share = share + np.frombuffer(channel.exchange(b"", 8 * SIZE), np.uint64)
        progress(16 * SIZE, 16 * SIZE)
    operation = OperationCounters("linear", "linear", ("MatMul_0",), counters.rounds, 16 * SIZE, 0.0)
    return ExecutionResult({"y": share.astype(np.int64)}, [operation])


def _hang(channel: Channel) -> None:
    while True:
        time.sleep(0.1)  # not at once: a signal to a party that was stopped may wake another of its threads


def _crash(channel: Channel) -> None:
    raise RuntimeError(SECRET)


def _lie(channel: Channel) -> None:
    channel.exchange(bytes(8 * SIZE + 1), 0)


def _die(channel: Channel) -> None:
    os.kill(os.getpid(), 9)


def _dawdle(channel: Channel) -> None:
    time.sleep(0.05)


def _compute(channel: Channel) -> None:
    end = time.monotonic() + COMPUTING_SECONDS
    while time.monotonic() < end:
        np.arange(1 << 14).sum()


_ONLINE: dict[str, Callable[[Channel], None]] = {
    "hang": _hang,
    "crash": _crash,
    "lie": _lie,
    "die": _die,
    "compute": _compute,
}
FAULTS = {**_ONLINE, **{f"making-{name}": fault for name, fault in _ONLINE.items()}, "making-slowly": _dawdle}


def _weights(folder: PartyFolder) -> np.ndarray[Any, np.dtype[np.uint64]]:
    assert folder.weights is not None
    return np.frombuffer(folder.weights.read_bytes(), np.uint64)


def _expand(seed: bytes) -> np.ndarray[Any, np.dtype[np.uint64]]:
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "little")))
    return generator.integers(0, 1 << 64, SIZE, dtype=np.uint64)


def _write_manifest(folder: Path, program: dict[str, Any], **more: Any) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    manifest = {
        "format": 1,
        "program": program,
        "files": {str(file.relative_to(folder)): file_sha256(file) for file in files},
        "inputs": [{"name": "x", "shape": [SIZE], "dtype": "int64", "min": 0, "max": 100}],
        "outputs": [{"name": "y", "shape": [SIZE], "dtype": "int64"}],
        **more,
    }
    (folder / "manifest.json").write_text(json.dumps(seal_manifest(manifest)))


def fake_deal(options: dict[str, Any], events: Events) -> None:
    deal(options["program"], options["sessions"], options["output"])
    events.tell("dealt", "dealt", seconds=0.5)


if __name__ == "__main__":
    sys.exit(
        run_command(
            deal_command,
            sys.argv[1:],
            "fake dealer",
            fake_deal,
        )
    )
