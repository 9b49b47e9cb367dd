"""What the parties agree on: version, program, correlations, limits, and that both saw the same."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import handshake
from mpcc.runtime.handshake import PROTOCOL_VERSION, Agreement, Limits, Purpose, agree, greet
from mpcc.runtime.transport.connection import PlainConnection
from mpcc.runtime.transport.frame import HEADER_BYTES, FrameHeader, FrameType
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tls import Peer, Role
from tests.runtime.party_processes import BAR, BRIEF, PATIENT
from tests.runtime.test_session import TwoParties
from tests.runtime.test_transport import error_of

LIMITS = Limits(PATIENT)
HELLO = struct.Struct("<HBB32s16sdd")


def shake_hands(
    parties: TwoParties, party: int, channel: StreamChannel, limits: Limits = LIMITS
) -> Agreement:
    """The handshake of a run."""
    greeting = greet(channel, parties.folders[party], limits, Purpose.RUN)
    return agree(channel, parties.folders[party], parties.store(party), greeting)


def outcomes(
    parties: TwoParties,
    channels: tuple[StreamChannel, StreamChannel] | None = None,
    limits: tuple[Limits, Limits] = (LIMITS, LIMITS),
) -> list[Agreement | MpccError]:
    """What the handshake gave each party, which aborts on an error as a session does."""
    pair = channels or channel_pair(PATIENT)

    def one(party: int) -> Agreement | MpccError:
        try:
            return shake_hands(parties, party, pair[party], limits[party])
        except MpccError as error:
            pair[party].abort(error.code)
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, (0, 1)))


def agreements(parties: TwoParties, **given: tuple[Limits, Limits]) -> list[Agreement]:
    results = outcomes(parties, **given)  # type: ignore[arg-type]
    for result in results:
        assert isinstance(result, Agreement), result
    return results  # type: ignore[return-value]


def codes(results: list[Agreement | MpccError]) -> list[str]:
    return [result.code if isinstance(result, MpccError) else "agreed" for result in results]


def test_both_sides_agree_on_everything(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    dealt = parties.store(1).unused(10)
    server, client = agreements(parties)
    assert server.session.id == client.session.id == dealt[0]
    assert server.session_id == client.session_id
    assert server.session_id != dealt[0]
    assert parties.store(0).unused(10) == parties.store(1).unused(10) == dealt[1:]


def test_every_run_has_an_id_of_its_own(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    assert agreements(parties)[0].session_id != agreements(parties)[0].session_id


def test_the_session_is_unused_on_both_sides(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path, sessions=4)
    dealt = parties.store(1).unused(10)
    parties.store(1).take(dealt[0])
    parties.store(0).take(dealt[1])
    parties.store(0).take(dealt[3])
    assert [result.session.id for result in agreements(parties)] == [dealt[2], dealt[2]]
    assert parties.store(1).unused(10) == []  # those that party 0 has used are discarded


def test_the_search_goes_on_behind_what_party_0_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "OFFERED_AT_ONCE", 2)
    parties = TwoParties(tmp_path, sessions=5)
    dealt = parties.store(1).unused(10)
    for session_id in (dealt[0], dealt[2], dealt[3]):
        parties.store(0).take(session_id)
    parties.store(0).take(dealt[1])
    assert [result.session.id for result in agreements(parties)] == [dealt[4], dealt[4]]


@pytest.mark.parametrize("used", [[0, 1], [0]])
def test_no_session_in_common(tmp_path: Path, used: list[int]) -> None:
    """Also when party 1 has none at all."""
    parties = TwoParties(tmp_path, sessions=2)
    dealt = parties.store(1).unused(10)
    for index in used:
        parties.store(1).take(dealt[index])
    parties.store(0).take(dealt[1])
    assert codes(outcomes(parties)) == ["MPC-S010", "MPC-S010"]


def test_two_clients_at_once_get_different_sessions(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path, sessions=8)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: outcomes(parties), range(8)))
    taken = [client.session.id for _, client in results if isinstance(client, Agreement)]
    assert taken
    assert len(set(taken)) == len(taken)
    for server, client in results:
        if isinstance(server, Agreement) and isinstance(client, Agreement):
            assert server.session.id == client.session.id
            assert server.session_id == client.session_id


def test_the_same_party_twice(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    parties.folders[1] = parties.folders[0]
    assert codes(outcomes(parties)) == ["MPC-R012", "MPC-R012"]


def lied_to(parties: TwoParties, party: int, *said: tuple[FrameType, bytes]) -> MpccError:
    """The error of a party whose peer, driven by hand, says these."""
    ours, theirs = socket.socketpair()
    for number, (kind, payload) in enumerate(said):
        theirs.sendall(FrameHeader(kind, number, len(payload)).pack() + payload)
    channel = StreamChannel(PlainConnection(ours), PATIENT)
    return error_of(lambda: shake_hands(parties, party, channel, LIMITS))


def hello(
    parties: TwoParties,
    party: int,
    silence: float = PATIENT,
    session: float = math.inf,
    purposes: int = Purpose.RUN,
) -> bytes:
    program = bytes.fromhex(parties.folders[0].program_hash)
    return HELLO.pack(PROTOCOL_VERSION, party, purposes, program, bytes(16), silence, session)


@pytest.mark.parametrize(
    "said", [b"", b"\1\0", struct.pack("<HB32s", 1, 0, bytes(32)), struct.pack("<H", 2), bytes(200)]
)
def test_another_protocol_version(tmp_path: Path, said: bytes) -> None:
    assert lied_to(TwoParties(tmp_path), 1, (FrameType.HELLO, said)).code == "MPC-R010"


def test_a_hello_that_is_too_long(tmp_path: Path) -> None:
    assert lied_to(TwoParties(tmp_path), 1, (FrameType.HELLO, bytes(300))).code == "MPC-R006"


@pytest.mark.parametrize(
    ("silence", "session"),
    [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, 0), (1, -math.inf), (1, math.nan)],
)
def test_limits_of_no_length(tmp_path: Path, silence: float, session: float) -> None:
    parties = TwoParties(tmp_path)
    assert lied_to(parties, 1, (FrameType.HELLO, hello(parties, 0, silence, session))).code == "MPC-R006"


@pytest.mark.parametrize("purposes", [0, Purpose.PREPARE, 252])
def test_another_purpose(tmp_path: Path, purposes: int) -> None:
    said = (FrameType.HELLO, hello(TwoParties(tmp_path / "said"), 0, purposes=purposes))
    assert lied_to(TwoParties(tmp_path), 1, said).code == "MPC-R015"


@pytest.mark.parametrize(
    "answer", [b"", b"\1", b"\2", b"\1" + bytes(16), b"\0" + bytes(16), b"\0" + bytes(15)]
)
def test_an_answer_to_no_offer(tmp_path: Path, answer: bytes) -> None:
    """A session that was not offered is neither taken nor given up."""
    parties = TwoParties(tmp_path)
    before = parties.store(1).unused(10)
    said = [(FrameType.HELLO, hello(parties, 0)), (FrameType.SESSIONS, answer)]
    assert lied_to(parties, 1, *said).code == "MPC-R006"
    assert parties.store(1).unused(10) == before


@pytest.mark.parametrize("offer", [bytes(15), bytes(65 * 16)])
def test_an_offer_of_no_sessions(tmp_path: Path, offer: bytes) -> None:
    parties = TwoParties(tmp_path)
    said = [(FrameType.HELLO, hello(parties, 1)), (FrameType.SESSIONS, offer)]
    assert lied_to(parties, 0, *said).code == "MPC-R006"


def test_endless_offers_end(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    said = [(FrameType.HELLO, hello(parties, 1))] + [(FrameType.SESSIONS, bytes(16))] * (handshake.OFFERS + 1)
    assert lied_to(parties, 0, *said).code == "MPC-S010"


def tampered(change: Callable[[int, FrameHeader, bytes], bytes]) -> tuple[StreamChannel, StreamChannel]:
    """Two channels with somebody between them, who may change a payload on its way from a party."""
    near, far = [socket.socketpair() for _ in (0, 1)]
    for party, source, sink in ((0, near[1], far[1]), (1, far[1], near[1])):
        threading.Thread(target=_forward, args=(party, source, sink, change), daemon=True).start()
    return StreamChannel(PlainConnection(near[0]), PATIENT), StreamChannel(PlainConnection(far[0]), PATIENT)


def _forward(
    party: int, source: socket.socket, sink: socket.socket, change: Callable[[int, FrameHeader, bytes], bytes]
) -> None:
    with (
        contextlib.suppress(OSError),
        source.makefile("rb") as stream,
    ):  # one end may be gone before the other
        while raw := stream.read(HEADER_BYTES):
            header = FrameHeader.unpack(raw)
            sink.sendall(raw + change(party, header, stream.read(header.length)))
        sink.shutdown(socket.SHUT_WR)


def _flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize("party", [0, 1])
@pytest.mark.parametrize(
    ("kind", "position"),
    [(FrameType.HELLO, 40), (FrameType.HELLO, 52), (FrameType.HELLO, 60)],  # nonce, silence, session seconds
)
def test_a_changed_hello_is_seen_by_both(tmp_path: Path, party: int, kind: FrameType, position: int) -> None:
    def change(sender: int, header: FrameHeader, payload: bytes) -> bytes:
        return _flip(payload, position) if (sender, header.type) == (party, kind) else payload

    limits = Limits(PATIENT, 1000.0)
    results = outcomes(TwoParties(tmp_path), tampered(change), (limits, limits))
    assert codes(results) == ["MPC-R013", "MPC-R013"]


def test_a_session_taken_out_of_the_offer_is_seen_by_both(tmp_path: Path) -> None:
    """Somebody in between would have them use another session than the first that both have."""

    def change(sender: int, header: FrameHeader, payload: bytes) -> bytes:
        if (sender, header.type) == (1, FrameType.SESSIONS):
            return payload[16:] + payload[:16]
        return payload

    assert codes(outcomes(TwoParties(tmp_path), tampered(change))) == ["MPC-R013", "MPC-R013"]


def test_a_changed_digest_fails_both(tmp_path: Path) -> None:
    def change(sender: int, header: FrameHeader, payload: bytes) -> bytes:
        return _flip(payload, 0) if header.type is FrameType.CONFIRM else payload

    assert codes(outcomes(TwoParties(tmp_path), tampered(change))) == ["MPC-R013", "MPC-R013"]


def test_tls_that_ends_at_somebody_in_between(tmp_path: Path) -> None:
    """Who holds certificates of the authority, too, is still seen: the parties saw other certificates."""
    channels = channel_pair(PATIENT)
    own = [Peer(role, "", bytes([number]) * 32) for number, role in enumerate((Role.PARTY0, Role.PARTY1))]
    for party in (0, 1):
        channels[party].own, channels[party].peer = own[party], own[1 - party]
    assert codes(outcomes(TwoParties(tmp_path), channels)) == ["agreed", "agreed"]
    channels = channel_pair(PATIENT)
    for party in (0, 1):
        channels[party].own, channels[party].peer = own[party], Peer(own[1 - party].role, "", b"another" * 4)
    assert codes(outcomes(TwoParties(tmp_path / "again"), channels)) == ["MPC-R013", "MPC-R013"]


def test_both_keep_the_smaller_limits(tmp_path: Path) -> None:
    given = (Limits(150.0, 5000.0), Limits(300.0, 2000.0))
    assert [result.limits for result in agreements(TwoParties(tmp_path), limits=given)] == [
        Limits(150.0, 2000.0)
    ] * 2


def test_the_other_side_s_silence_limit_holds_here(tmp_path: Path) -> None:
    parties, channels = TwoParties(tmp_path), channel_pair(PATIENT)
    results = outcomes(parties, channels, (LIMITS, Limits(BRIEF)))
    assert codes(results) == ["agreed", "agreed"]
    started = time.monotonic()
    error = error_of(lambda: channels[0].exchange(b"", 1))
    assert (error.code, f"within {BRIEF:g} s" in error.message) == ("MPC-R005", True)
    assert time.monotonic() - started < BAR


def test_a_session_ends_though_bytes_keep_coming(tmp_path: Path) -> None:
    channels = channel_pair(PATIENT)
    results = outcomes(TwoParties(tmp_path), channels, (Limits(PATIENT, BRIEF), LIMITS))
    assert codes(results) == ["agreed", "agreed"]

    def work(party: int) -> str:
        channel = channels[party]

        def keep_on() -> None:
            while True:
                channel.exchange(b"x", 1)
                time.sleep(0.01)

        error = error_of(keep_on)
        channel.abort(error.code)
        return error.code

    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        ends = set(pool.map(work, (0, 1)))
    assert "MPC-R014" in ends
    assert ends <= {"MPC-R014", "MPC-R008"}
    assert time.monotonic() - started < BAR


def test_a_server_that_is_busy_says_so(tmp_path: Path) -> None:
    """A coded refusal in the place of its HELLO, though party 1's HELLO is never read."""
    parties, channels = TwoParties(tmp_path), channel_pair(PATIENT)
    before = parties.store(1).unused(10)
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(lambda: error_of(lambda: shake_hands(parties, 1, channels[1])))
        channels[0].abort("MPC-S006")
        error = client.result()
    assert error.code == "MPC-R008"
    assert "MPC-S006, every session of the store has been used" in error.message
    assert parties.store(1).unused(10) == before
