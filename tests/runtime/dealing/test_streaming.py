"""A dealer process's server and both parties' sides of it, over loopback connections."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.correlations import plan as correlation_plan
from mpcc.runtime.dealing import wire
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.dealing.keeper import Keeper, Water
from mpcc.runtime.dealing.plan import dealing_plan
from mpcc.runtime.dealing.server import DealerServer
from mpcc.runtime.dealing.state import DealerState
from mpcc.runtime.dealing.supply import Dealer, collect, fill
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Listener, ListenerClosed, connect
from mpcc.runtime.transport.tls import Credentials, Role, Security

PLAIN = Security()
TIMEOUT = 15.0  # seconds
PIECES, PIECE_BYTES = 200, 1 << 20


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """relu(x @ w): a linear layer, a truncation and comparisons."""
    folder = tmp_path_factory.mktemp("streamed")
    weights = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "streamed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 5])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    samples = [{"x": np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)}]
    compile_model(Request(folder / "model.onnx", folder / "program", samples=samples), lambda line: None)
    return folder / "program"


class Recorded:
    """Events of the dealer."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.codes: list[str] = []

    def tell(self, event: str, text: str, **values: Any) -> None:
        self.told.append((event, values))

    def progress(self, phase: str, done: int, total: int) -> None:
        raise AssertionError

    def failed(self, error: MpccError) -> None:
        self.codes.append(error.code)


class Running:
    """A dealer that runs in threads of this process, and both parties' stores."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self.program = program
        self.folders = [load_party_folder(program / f"party{party}") for party in (0, 1)]
        self.stores = [
            Store.create(scratch / f"store{f.party}", f.party, f.program_hash, f.weights_sha256)
            for f in self.folders
        ]
        self.events = Recorded()
        folder, self.operations = dealing_plan(program)
        self.state = DealerState(scratch / "state", folder.program_hash, folder.weights_sha256)
        self.server = DealerServer(folder, self.operations, self.state, TIMEOUT, 2, self.events)

    @contextmanager
    def listening(self, own: Security = PLAIN, callers: Security = PLAIN) -> Iterator[Dealer]:
        """The dealer as its callers see it, secured in these ways."""
        with Listener(Address("127.0.0.1", 0), own) as listener:
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
            yield Dealer(Address("127.0.0.1", listener.port), callers, TIMEOUT)

    def _serve(self, listener: Listener) -> None:
        with suppress(ListenerClosed):
            self.server.serve(listener)


@pytest.fixture
def running(program: Path, tmp_path: Path) -> Running:
    return Running(program, tmp_path)


def fill_quietly(running: Running, dealer: Dealer, sessions: int) -> None:
    fill(running.folders[1], running.stores[1], dealer, sessions, lambda done, total: None)


def test_both_stores_hold_the_same_sessions(running: Running) -> None:
    """And what they hold are the parts of one dealing: the payload follows from both seeds and the mask."""
    progress: list[tuple[int, int]] = []
    with running.listening() as dealer:
        fill(running.folders[1], running.stores[1], dealer, 3, lambda *update: progress.append(update))
        assert collect(running.folders[0], running.stores[0], dealer) == 3
    ids = running.stores[1].unused(10)
    assert running.stores[0].unused(10) == ids
    assert len(ids) == 3
    _, length = correlation_plan.offsets(running.operations)
    assert progress[-1] == (3 * length, 3 * length)
    for session_id in ids:
        parts = [store.take(session_id) for store in running.stores]
        assert parts[0].weight_mask_seed == running.state.weight_mask_seed
        assert parts[1].weight_mask_seed is None
        seeds = (parts[0].seed, parts[1].seed)
        expected = b"".join(Dealing(seeds, running.state.weight_mask_seed).corrections(running.operations))
        assert bytes(parts[1].payload[:]) == expected
    assert running.state.count() == 0
    assert [event for event, _ in running.events.told] == ["dealt"] * 3
    assert running.events.codes == []


def test_filling_goes_on_where_it_stopped(running: Running) -> None:
    with running.listening() as dealer:
        fill_quietly(running, dealer, 2)
        fill_quietly(running, dealer, 2)
        assert running.stores[1].count_unused() == 2
        fill_quietly(running, dealer, 3)
        assert running.stores[1].count_unused() == 3
        assert collect(running.folders[0], running.stores[0], dealer) == 3
        assert collect(running.folders[0], running.stores[0], dealer) == 0


def test_party_0_gets_what_it_had_not_stored_again(running: Running) -> None:
    """A party 0 that vanishes after an answer has stored nothing, for all one knows."""
    with running.listening() as dealer:
        fill_quietly(running, dealer, 2)
        channel = dealer.connect(running.folders[0])
        channel.exchange(b"", 32)
        channel.exchange(b"\2", 0)
        assert bytes(channel.exchange(b"", 4)) == b"\2\0\0\0"
        channel.close()
        assert running.state.count() == 2
        assert collect(running.folders[0], running.stores[0], dealer) == 2


def test_a_client_that_vanishes_leaves_nothing_half_stored(running: Running) -> None:
    class Gone(Exception):
        pass

    def vanish(done: int, total: int) -> None:
        raise Gone

    with running.listening() as dealer:
        with pytest.raises(Gone):
            fill(running.folders[1], running.stores[1], dealer, 1, vanish)
        assert running.stores[1].count_unused() == 0
        fill_quietly(running, dealer, 1)
        collect(running.folders[0], running.stores[0], dealer)
    (session_id,) = running.stores[1].unused(10)
    assert session_id in running.stores[0].unused(10)


@pytest.mark.parametrize("party", [0, 1])
def test_a_keeper_fills_the_store_again(running: Running, party: int) -> None:
    failures: list[MpccError] = []
    with running.listening() as dealer:
        folder, store = running.folders[party], running.stores[party]
        with Keeper(folder, store, dealer, Water(1, 3), failures.append):
            if party == 0:
                fill_quietly(running, dealer, 3)
            wait_until(lambda: store.count_unused() == 3)
            if party == 1:
                for session_id in store.unused(2):
                    store.take(session_id)
                wait_until(lambda: store.count_unused() == 3)
    assert failures == []


def test_a_keeper_of_party_0_is_not_kept_waiting_beyond_its_timeout(running: Running) -> None:
    failures: list[MpccError] = []
    with running.listening() as dealer:
        impatient = Dealer(dealer.address, PLAIN, 4.0)
        with Keeper(running.folders[0], running.stores[0], impatient, Water(0, 1), failures.append):
            time.sleep(4.5)
    assert failures == []


def test_a_keeper_outlives_its_dealer(running: Running) -> None:
    failures: list[str] = []
    with socket.socket() as silent:  # its port is no other test's, and refuses
        silent.bind(("127.0.0.1", 0))
        gone = Dealer(Address(*silent.getsockname()), PLAIN, 0.2)
        keeper = Keeper(
            running.folders[1],
            running.stores[1],
            gone,
            Water(0, 1),
            lambda error: failures.append(error.code),
        )
        with keeper:
            wait_until(lambda: bool(failures))
    assert set(failures) == {"MPC-R003"}


def test_another_program_is_refused(running: Running, tmp_path: Path) -> None:
    other = dataclasses.replace(running.folders[1], program_hash="00" * 32)
    with running.listening() as dealer:
        with pytest.raises(MpccError) as caught:
            dealer.connect(other)
        assert caught.value.code == "MPC-R011"
        wait_until(lambda: running.events.codes == ["MPC-R011"])


def test_other_weights_are_refused(running: Running) -> None:
    other = dataclasses.replace(running.folders[0], weights_sha256="00" * 32)
    with running.listening() as dealer, pytest.raises(MpccError) as caught:
        dealer.connect(other)
    assert caught.value.code == "MPC-S004"


def test_strangers_do_not_disturb(running: Running) -> None:
    with running.listening() as dealer:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", bytes(64), b""):
            channel = connect(dealer.address, TIMEOUT, PLAIN, Role.DEALER)
            channel._connection.send([memoryview(junk)])
            channel.close()
        fill_quietly(running, dealer, 1)
    assert running.stores[1].count_unused() == 1
    wait_until(lambda: len(running.events.codes) == 3)
    assert set(running.events.codes) <= {"MPC-R004", "MPC-R006"}


def test_a_busy_dealer_says_so(running: Running) -> None:
    with running.listening() as dealer:
        idle = [dealer.connect(running.folders[1]) for _ in range(2)]
        for channel in idle:
            fill_from(channel)
        try:
            with pytest.raises(MpccError) as caught:
                fill_quietly(running, dealer, 1)
            assert caught.value.code == "MPC-R008"
            assert "MPC-R073" in caught.value.message
        finally:
            for channel in idle:
                channel.close()


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_client_slows_its_dealing_down(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dealer makes no more than the network takes, and one piece ahead; others are dealt to meanwhile."""
    made = 0
    corrections = Dealing.corrections

    def large(dealing: Dealing, operations: Any) -> Iterator[memoryview]:
        nonlocal made
        for _ in range(PIECES):
            made += 1
            yield memoryview(bytes(PIECE_BYTES))

    with running.listening() as dealer:
        monkeypatch.setattr(Dealing, "corrections", large)
        slow = dealer.connect(running.folders[1])
        slow.exchange(bytes([wire.Request.MORE]), 0)
        wait_until(lambda: made > 0)
        time.sleep(1.0)
        monkeypatch.setattr(Dealing, "corrections", corrections)
        fill_quietly(running, dealer, 1)
        assert made < PIECES / 4
        slow.exchange(b"", 48)
        for _ in range(PIECES):
            assert len(slow.exchange(b"", PIECE_BYTES)) == PIECE_BYTES
        assert made == PIECES
        slow.close()
    assert running.stores[1].count_unused() == 1


@pytest.mark.parametrize(("certificate", "said"), [("party1", 0), ("party0", 1)])
def test_a_certificate_decides_who_is_dealt_to(
    running: Running, certificates: Path, certificate: str, said: int
) -> None:
    """Party 0's seeds would tell a client the weights: a client's certificate does not get them."""
    own, callers = (Security(Credentials.load(certificates / name)) for name in ("dealer", certificate))
    with running.listening(own, callers) as dealer:
        channel = dealer.connect(running.folders[said])
        with pytest.raises(MpccError) as caught:
            channel.exchange(b"", 32) if said == 0 else fill_from(channel)
        assert "MPC-R071" in caught.value.message
        wait_until(lambda: running.events.codes == ["MPC-R071"])
        channel.close()
    assert running.state.count() == 0


def test_dealt_over_tls(running: Running, certificates: Path) -> None:
    roles = {name: Security(Credentials.load(certificates / name)) for name in Role}
    for party, role in ((1, Role.PARTY1), (0, Role.PARTY0)):
        with running.listening(roles[Role.DEALER], roles[role]) as dealer:
            if party:
                fill_quietly(running, dealer, 1)
            else:
                collect(running.folders[0], running.stores[0], dealer)
    assert running.stores[0].unused(9) == running.stores[1].unused(9) != []


def fill_from(channel: StreamChannel) -> None:
    channel.exchange(bytes([wire.Request.MORE]), 0)
    channel.exchange(b"", 48)
