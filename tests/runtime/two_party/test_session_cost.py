"""Bytes and rounds of a session are those predicted, with all that both parties do over one connection."""

from __future__ import annotations

import pytest

from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party import schedule
from mpcc.runtime.two_party.engine import transfers
from mpcc.runtime.two_party.engine.cost import keys_bytes
from mpcc.runtime.two_party.engine.engine import Engine
from mpcc.runtime.two_party.ot.silent_choice import Extension
from mpcc.runtime.two_party.ot.silent_parameters import SHORT, Parameters
from mpcc.runtime.two_party.session_cost import session_cost
from tests.runtime.protocols.harness import seed_pair
from tests.runtime.two_party.engines import both_parties
from tests.runtime.two_party.sessions import Made, large_programs

# Far too small to be secure: a session takes many iterations, of both sizes.
SMALL_STAGES = (Parameters(depth=5, trees=100, secret=600), Parameters(depth=7, trees=120, secret=900))
EXTENSIONS = {
    "softspoken": Extension(4),
    "silent": Extension(5, SHORT),
    "silent, many iterations": Extension(8, SMALL_STAGES),
}
PROGRAMS = ("serve", "sine_series", "products", "nested")
"""Matrix products; products under encryption alone, and in steps with transfers; up to a million OTs."""


def moved(m: Made, extension: Extension, sessions: int = 1) -> Counters:
    """By party 0."""

    def work(party: int, channel: StreamChannel) -> Counters:
        engine = Engine.connect(party, channel, extension)
        for number in range(sessions):
            for _ in m.generation(engine, seed_pair(number)).pieces():
                pass
        return channel.meter.counters["online"]

    return both_parties(work)[0]


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "in windows and batches"])
@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=EXTENSIONS)
def test_what_a_session_moves(extension: Extension, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        monkeypatch.setattr(schedule, "WINDOW_BYTES", 1 << 14)
        monkeypatch.setattr(transfers, "BATCH_OTS", 1 << 10)
    for m in large_programs():
        if m.name in PROGRAMS:
            counters, cost = moved(m, extension), session_cost(m.prepared.operations, extension)
            assert (counters.bytes_sent, counters.bytes_received) == cost.sent
            assert counters.rounds == cost.rounds


def test_sessions_on_one_connection_share_base_ots_and_keys() -> None:
    extension = EXTENSIONS["softspoken"]
    [m] = [m for m in large_programs() if m.name == "serve"]
    cost, counters = session_cost(m.prepared.operations, extension), moved(m, extension, 3)
    once = sum(extension.setup_bytes)
    assert counters.rounds == 3 * cost.rounds - 2 * 2 * extension.setup_rounds
    assert counters.bytes_sent == 3 * cost.sent[0] - 2 * once
    assert counters.bytes_received == 3 * cost.sent[1] - 2 * (once + keys_bytes(cost.steps))
