"""Frames and the handshake: a party in a whole session with a peer that says what it likes.

The first byte says which party, what its store has, and in which parts the rest arrives.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from random import Random
from typing import ClassVar

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.frame import FrameHeader, FrameType
from mpcc.runtime.transport.stream import StreamChannel
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.target import Target
from tests.fuzz.wire_peer import DIGEST, SESSION_IDS, MemoryStore, Parties, ScriptedConnection, split_frames

_PARTS = (1, 3, 16, 1 << 16)
_DOUBLES = (0.0, -1.0, 1e-300, 2.0, 1e300, float("inf"), float("nan"))
_HELLO = struct.Struct("<HBB32s16sdd")
_LENGTHS = (0, 1, 8, 1 << 16, 1 << 31, 1 << 32, (1 << 63) - 1, (1 << 64) - 1)


class Wire(Target):
    name: ClassVar[str] = "wire"
    max_bytes: ClassVar[int] = 8192

    def __init__(self) -> None:
        self._parties = Parties()

    def run(self, data: bytes) -> None:
        flags = data[0] if data else 0
        party, unused = flags & 1, SESSION_IDS[flags >> 1 & 3 :]
        store = MemoryStore(party, unused)
        connection = ScriptedConnection(data[1:], _PARTS[flags >> 3 & 3])
        try:
            self._parties.run(party, StreamChannel(connection), store)
        except MpccError as error:
            if error.code == "MPC-R042":
                raise AssertionError("an internal error") from error.__cause__
            raise
        else:
            assert store.taken, "a run without a session"
        finally:
            assert len(store.taken) <= 1, "one run, several sessions"

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        flags, frames = data[:1] or b"\0", split_frames(data[1:])
        if not frames or random.random() < 0.1:
            return mutate_bytes(data, random, max_bytes)
        for _ in range(random.choice((1, 1, 2, 3))):
            _change_frames(frames, random)
        if random.random() < 0.2:
            flags = bytes([random.randrange(32)])
        renumber = random.random() < 0.8
        return flags + b"".join(_packed(i, frame, renumber) for i, frame in enumerate(frames))

    def seeds(self) -> Iterable[bytes]:
        said = self._parties.recorded()
        for party in (0, 1):
            for flags in range(0, 32, 2):
                yield bytes([flags | party]) + said[1 - party]


def _packed(index: int, frame: tuple[FrameHeader | None, bytes], renumber: bool) -> bytes:
    header, payload = frame
    if header is None:
        return payload
    if renumber:
        length = header.length if header.length in _LENGTHS[3:] else len(payload)
        header = FrameHeader(header.type, index, length)
    return header.pack() + payload


def _change_frames(frames: list[tuple[FrameHeader | None, bytes]], random: Random) -> None:
    if not frames:
        return
    place = random.randrange(len(frames))
    header, payload = frames[place]
    kind = header.type if header else random.choice(list(FrameType))
    sequence, length = (header.sequence, header.length) if header else (0, 0)
    choice = random.randrange(10)
    if choice == 0:
        del frames[place]
    elif choice == 1:
        frames.insert(place, frames[random.randrange(len(frames))])
    elif choice == 2:
        other = random.randrange(len(frames))
        frames[place], frames[other] = frames[other], frames[place]
    elif choice == 3:
        frames[place] = FrameHeader(random.choice(list(FrameType)), sequence, length), payload
    elif choice == 4:
        frames[place] = FrameHeader(kind, random.randrange(1 << 16), random.choice(_LENGTHS)), payload
    elif choice == 5:
        code = random.choice(("MPC-R004", "MPC-S010", "MPC-X999", "mpc", "é\0", "M" * 30)).encode()
        frames.insert(place, (FrameHeader(FrameType.ABORT, 0, len(code)), code))
    elif choice == 6 and kind is FrameType.HELLO and len(payload) == _HELLO.size:
        fields = list(_HELLO.unpack(payload))
        fields[random.choice((5, 6))] = random.choice(_DOUBLES)
        if random.random() < 0.2:
            fields[random.choice((0, 1, 2))] = random.randrange(256)
        frames[place] = FrameHeader(kind, sequence, _HELLO.size), _HELLO.pack(*fields)
    elif choice == 7:
        ids = random.choices((*SESSION_IDS, b"\xff" * 16, b"\1", b"\0", DIGEST), k=random.randrange(8))
        frames[place] = FrameHeader(FrameType.SESSIONS, sequence, 0), b"".join(ids)
    else:
        frames[place] = FrameHeader(kind, sequence, length), mutate_bytes(payload, random, 4096)
