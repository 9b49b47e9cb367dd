"""The frame: a 16-byte header (magic, type, sequence number, payload length), then the payload."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from mpcc.ir.diagnostics import MpccError

MAGIC = b"mpcc"
_HEADER = struct.Struct("<4sBxHQ")  # the sequence number is kept mod 2^16
HEADER_BYTES = _HEADER.size
SEQUENCE_MODULUS = 1 << 16
ABORT_BYTES = 8  # an error code such as MPC-R004


class FrameType(IntEnum):
    DATA = 1
    HELLO = 2
    SESSIONS = 3
    READY = 4
    FINISH = 5
    ABORT = 6
    CONFIRM = 7
    DEALING = 8
    PREPARING = 9
    WORKING = 10  # nothing yet: the sender computes


@dataclass(frozen=True)
class FrameHeader:
    type: FrameType
    sequence: int
    length: int

    def pack(self) -> bytes:
        return _HEADER.pack(MAGIC, self.type, self.sequence, self.length)

    @staticmethod
    def unpack(data: bytes | bytearray | memoryview) -> FrameHeader:
        """Raises MPC-R006 when the bytes are not a header."""
        magic, kind, sequence, length = _HEADER.unpack(data)
        if magic != MAGIC or kind not in FrameType.__members__.values():
            raise MpccError(
                "MPC-R006",
                "the other end does not speak mpcc's protocol",
                remedy="check that HOST:PORT is the other party's address",
            )
        return FrameHeader(FrameType(kind), sequence, length)
