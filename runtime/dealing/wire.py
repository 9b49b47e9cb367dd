"""What a party and the dealer say to each other, over a channel like that between the parties.

both     version, who (0, 1, or 2 for the dealer), program hash, weights hash (party 1: zeros)
party 1  MORE or END; to MORE the dealer answers one session: batch, session id, seed, then the corrections
         piece by piece, each as long as the program says. A session is asked for when the one before is
         stored, so that a slow disk or network slows the dealer down, whose memory stays bounded.
party 0  first gets batch and weight-mask seed; then sends NOW, WAIT or END. To the first two the dealer
         answers how many sessions follow, and each one's id and seed. With WAIT it waits for one, up to a
         third of the time after which silence counts as a lost connection. Asking again says that the
         answer before is stored.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import lru_cache

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.handshake import PROTOCOL_VERSION, check_version
from mpcc.runtime.protocols import protocols
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel

DEALER = 2
BATCH_BYTES = 16
MOST_AT_ONCE = 256  # sessions in one answer to party 0
COUNT = struct.Struct("<I")
_INTRODUCTION = struct.Struct("<HB32s32s")
_LIMIT = 256  # bytes a later version's introduction may have


class Request(IntEnum):
    """One byte from a party."""

    END = 0
    MORE = 1
    NOW = 2
    WAIT = 3


def introduce(channel: StreamChannel, who: int, program_hash: str, weights_sha256: str) -> int:
    """Compare programs with the other end; returns who it is. `weights_sha256` is empty for party 1.

    Raises MPC-R010, MPC-R070 (it is no dealer, or none of its parties), MPC-R011, and MPC-S004 when party 0
    has other weights than the dealer's program.
    """
    weights = bytes.fromhex(weights_sha256) if weights_sha256 else bytes(32)
    ours = _INTRODUCTION.pack(PROTOCOL_VERSION, who, bytes.fromhex(program_hash), weights)
    reply = channel.exchange_control(FrameType.DEALING, ours, _LIMIT)
    check_version(reply, _INTRODUCTION.size)
    _, other, program, theirs = _INTRODUCTION.unpack(reply)
    if (who == DEALER) == (other == DEALER) or other > DEALER:
        raise MpccError(
            "MPC-R070",
            "the other end is no dealer" if who != DEALER else "the other end is no party",
            remedy="give --dealer the address on which `mpcc dealer` listens",
        )
    if program.hex() != program_hash:
        raise MpccError(
            "MPC-R011",
            f"the other end has program {program.hex()[:12]}, this one {program_hash[:12]}",
            remedy="give the dealer the manifest.json and correlations.json of the same compilation",
        )
    if 0 in (who, other) and theirs != weights:
        raise MpccError(
            "MPC-S004",
            "the dealer has the program with other weights",
            remedy="give the dealer the manifest.json of the compilation that party 0 runs",
        )
    return int(other)


@lru_cache(maxsize=4)  # a store that is kept supplied is filled again and again
def piece_sizes(program_text: str, where: str) -> tuple[int, ...]:
    """Bytes of each piece of the corrections of party 1's program, in order. Raises MPC-I0.., at `where`."""
    return tuple(
        slot.correction_bytes
        for operation in plan.correlated(plan.link(parse(program_text, where)))
        for slot in protocols[operation.kind].slots(operation)
        if slot.role is Role.DERIVED
    )
