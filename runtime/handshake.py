"""What both parties agree on before anything secret moves."""

from __future__ import annotations

import struct

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.session_file import SESSION_ID_BYTES
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel

PROTOCOL_VERSION = 1
_HELLO = struct.Struct("<HB32s")
_HELLO_LIMIT = 256  # bytes a later version's hello may have
_SESSIONS_LIMIT = 1 << 16  # session ids offered at most


def shake_hands(channel: StreamChannel, folder: PartyFolder) -> None:
    """Compare protocol version, party and program with the other side. Raises MPC-R010..R012, on both."""
    hello = _HELLO.pack(PROTOCOL_VERSION, folder.party, bytes.fromhex(folder.program_hash))
    reply = channel.exchange_control(FrameType.HELLO, hello, _HELLO_LIMIT)
    version = int.from_bytes(reply[:2], "little")
    if version != PROTOCOL_VERSION or len(reply) != _HELLO.size:
        raise MpccError(
            "MPC-R010",
            f"the other party speaks protocol version {version}, this one {PROTOCOL_VERSION}",
            remedy="install the same version of mpcc on both machines",
        )
    _, party, program = _HELLO.unpack(reply)
    if party != 1 - folder.party:
        raise MpccError(
            "MPC-R012",
            f"both sides run party {folder.party}",
            remedy="run PROG/party0 on one side and PROG/party1 on the other",
        )
    if program.hex() != folder.program_hash:
        raise MpccError(
            "MPC-R011",
            f"the other party runs program {program.hex()[:12]}, this one {folder.program_hash[:12]}",
            remedy="take party0 and party1 from the same compilation",
        )


def agree_on_session(channel: StreamChannel, party: int, unused: list[bytes]) -> bytes:
    """The first session in party 1's order that neither side has used. Raises MPC-S010 on both sides."""
    offer = b"".join(unused[:_SESSIONS_LIMIT])
    reply = channel.exchange_control(FrameType.SESSIONS, offer, _SESSIONS_LIMIT * SESSION_ID_BYTES)
    ours, theirs = _split_ids(offer), _split_ids(reply)
    proposed, accepted = (ours, set(theirs)) if party == 1 else (theirs, set(ours))
    chosen = next((session_id for session_id in proposed if session_id in accepted), None)
    if chosen is None:
        raise MpccError(
            "MPC-S010",
            f"the two stores have no unused session in common ({len(ours)} here, {len(theirs)} there)",
            remedy="take STORE/party0 and STORE/party1 from one run of: mpcc deal PROG --sessions N -o STORE",
        )
    return chosen


def _split_ids(data: bytes) -> list[bytes]:
    return [data[i : i + SESSION_ID_BYTES] for i in range(0, len(data), SESSION_ID_BYTES)]
