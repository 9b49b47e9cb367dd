"""The other end of a channel, for fuzzing: it says what it is given, whatever it hears, and then is gone."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.handshake import Limits
from mpcc.runtime.program_folder import PartyFolder, load_party_folder
from mpcc.runtime.session import run_session
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.connection import PlainConnection
from mpcc.runtime.transport.frame import HEADER_BYTES, FrameHeader, FrameType
from mpcc.runtime.transport.stream import StreamChannel
from tests.fuzz.target import memory_folder
from tests.runtime.fake_program import INPUT, build_program, execute

DIGEST = b"<the digest of this handshake..>"  # stands for it in what a peer says
_READY = os.eventfd(1)  # nothing here ever waits
SESSION_IDS = tuple(bytes([number]) * 16 for number in range(1, 5))


class ScriptedConnection:
    """Gives `script` in parts of at most `part` bytes, then ends. The digest that this side's own CONFIRM
    message holds replaces `DIGEST`: a peer that knows the whole handshake can compute it.
    """

    def __init__(self, script: bytes, part: int) -> None:
        self._script = script
        self._part = part
        self._heard = b""

    def send(self, parts: Sequence[memoryview]) -> int:
        if len(self._heard) < 4096:
            self._heard += b"".join(parts)
            self._find_digest()
        return sum(map(len, parts))

    def receive_into(self, buffer: memoryview) -> int | None:
        count = min(self._part, len(buffer), len(self._script))
        buffer[:count] = self._script[:count]
        self._script = self._script[count:]
        return count

    def shutdown(self) -> None:
        pass

    def discard(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return _READY

    def _find_digest(self) -> None:
        position = 0
        while position + HEADER_BYTES <= len(self._heard):
            header = FrameHeader.unpack(self._heard[position : position + HEADER_BYTES])
            position += HEADER_BYTES + header.length
            if header.type is FrameType.CONFIRM and position <= len(self._heard):
                self._script = self._script.replace(DIGEST, self._heard[position - header.length : position])


class MemoryStore(Store):
    """What a session needs of a store: sessions by id, each taken once. `unused_ids` are those at first."""

    def __init__(self, party: int, unused_ids: Iterable[bytes] = SESSION_IDS) -> None:
        self._party = party
        self._unused = list(unused_ids)
        self.taken: list[bytes] = []

    @contextlib.contextmanager
    def offering(self) -> Iterator[None]:
        yield

    def unused(self, limit: int) -> list[bytes]:
        return self._unused[:limit]

    def used(self, session_ids: Iterable[bytes]) -> list[bytes]:
        return [i for i in session_ids if i in SESSION_IDS and i not in self._unused]

    def discard(self, session_ids: Iterable[bytes]) -> None:
        assert set(session_ids) <= set(SESSION_IDS), "a session that was never here is discarded"
        self._unused = [i for i in self._unused if i not in set(session_ids)]

    def take(self, session_id: bytes) -> Session:
        found = self.take_first([session_id])
        if found is None:
            raise MpccError("MPC-S009", "used already")
        return found

    def take_first(self, session_ids: Sequence[bytes]) -> Session | None:
        session_id = next((i for i in session_ids if i in self._unused), None)
        if session_id is None:
            return None
        self._unused.remove(session_id)
        self.taken.append(session_id)
        payload = memoryview(bytes(64)) if self._party == 1 else memoryview(b"")
        return Session(session_id, session_id, payload, bytes(16) if self._party == 0 else None)


class Parties:
    """Both parties of the tests' small program, either of which can meet a scripted peer."""

    def __init__(self) -> None:
        self._scratch = TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        program = build_program(Path(self._scratch.name) / "prog")
        self.folders = [load_party_folder(program / f"party{party}") for party in (0, 1)]

    def run(self, party: int, channel: StreamChannel, store: MemoryStore) -> Arrays:
        """One session. Raises MpccError."""
        folder: PartyFolder = self.folders[party]
        inputs = {"x": INPUT} if party == 1 else None
        executor = partial(execute, folder)
        limits = Limits(2.0, 9.0)
        return run_session(folder, channel, store, executor, inputs, _ignore, limits).outputs

    def recorded(self) -> tuple[bytes, bytes]:
        """What party 0 and party 1 say in a session that works, with `DIGEST` for the digest."""
        recorders = [_Recorder(end) for end in socket.socketpair()]
        channels = [StreamChannel(recorder) for recorder in recorders]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.run, (0, 1), channels, (MemoryStore(0), MemoryStore(1))))
        first, second = (_without_digest(recorder.said) for recorder in recorders)
        return first, second


class _Recorder(PlainConnection):
    """Keeps what is sent."""

    said = b""

    def send(self, parts: Sequence[memoryview]) -> int:
        sent = super().send(parts)
        self.said += b"".join(parts)[:sent]
        return sent


def _ignore(done: int, total: int) -> None:
    pass


def split_frames(data: bytes) -> list[tuple[FrameHeader | None, bytes]]:
    """Headers and payloads as far as they can be told apart; what is left comes last, without a header."""
    frames: list[tuple[FrameHeader | None, bytes]] = []
    while len(data) >= HEADER_BYTES:
        try:
            header = FrameHeader.unpack(data[:HEADER_BYTES])
        except MpccError:
            break
        end = HEADER_BYTES + min(header.length, len(data))
        frames.append((header, data[HEADER_BYTES:end]))
        data = data[end:]
    return [*frames, (None, data)] if data else frames


def _without_digest(said: bytes) -> bytes:
    result = b""
    for header, payload in split_frames(said):
        assert header is not None
        result += header.pack() + (DIGEST if header.type is FrameType.CONFIRM else payload)
    return result
