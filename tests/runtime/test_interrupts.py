"""An interrupt falls between the steps of a connection, so that the other party is told why."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from mpcc.runtime.interrupts import Step, heed_interrupts, step
from mpcc.runtime.session import telling
from mpcc.runtime.transport.connection import PlainConnection
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel
from tests.runtime.party_processes import PATIENT
from tests.runtime.test_transport import error_of

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in HEEDED]
    yield
    for number, handler in zip(HEEDED, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", HEEDED)
def test_an_interrupt_waits_for_the_end_of_a_step(number: signal.Signals) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    heed_interrupts()
    done = []

    def interrupted() -> None:
        with step:
            signal.raise_signal(number)
            done.append("in the step")
        done.append("after it")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["in the step"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    with step:
        pass  # it is over


def test_what_was_ignored_stays_ignored() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    heed_interrupts()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.raise_signal(number)


def test_steps_of_other_threads_put_nothing_off() -> None:
    own, inside, over = Step(), threading.Event(), threading.Event()

    def other() -> None:
        with own:
            inside.set()
            assert over.wait(PATIENT)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(other)
        assert inside.wait(PATIENT)
        with pytest.raises(KeyboardInterrupt):
            own.interrupt(signal.SIGTERM, None)
        over.set()
        ended.result()


class InterruptedAsItSends(PlainConnection):
    """Once, as on a busy machine, where the reader wakes before the sender goes on."""

    interrupted = False

    def send(self, parts: Sequence[memoryview]) -> int:
        sent = super().send(parts)
        if not self.interrupted:
            self.interrupted = True
            os.kill(os.getpid(), signal.SIGTERM)
        return sent


def test_the_other_party_is_told_of_an_interrupt_while_sending() -> None:
    heed_interrupts()
    sockets = socket.socketpair()
    mine = StreamChannel(InterruptedAsItSends(sockets[0]), PATIENT)
    other = StreamChannel(PlainConnection(sockets[1]), PATIENT)

    def ready_twice() -> None:
        for _ in range(2):
            other.exchange_control(FrameType.READY, b"", 0)

    with ThreadPoolExecutor(1) as pool:
        met = pool.submit(error_of, ready_twice)
        with pytest.raises(KeyboardInterrupt), telling(mine):
            mine.exchange_control(FrameType.READY, b"", 0)
        error = met.result()
    other.close()
    assert (error.code, "MPC-R041" in error.message) == ("MPC-R008", True)
