"""Two engines over a channel in one process, with the parties' own oblivious transfers or dealt ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.engine import Engine
from mpcc.runtime.two_party.ot.softspoken import SoftSpokenReceiver, SoftSpokenSender, extension_bytes
from mpcc.runtime.two_party.ot.transfer import TransferReceiver, TransferSender
from tests.runtime.two_party.ot.ends import DealtReceiver, DealtSender
from tests.runtime.two_party.parties import in_threads

SOFTSPOKEN_BITS = 2
EXTENSION_BITS = extension_bytes(64, SOFTSPOKEN_BITS) / 8

T = TypeVar("T")


def both_parties(work: Callable[[int, StreamChannel], T]) -> tuple[T, T]:
    """What `work(party, channel)` returns at both ends of a channel, in threads. Raises what one does."""
    channels = channel_pair()
    return in_threads(lambda party: work(party, channels[party]), lambda party: channels[party].close())


def dealt_engine(party: int, channel: StreamChannel) -> Engine:
    """Both directions' OTs are dealt."""
    sender, receiver = DealtSender(1 - party), DealtReceiver(party)
    return Engine(party, channel, TransferSender(sender), TransferReceiver(receiver), 0)


def softspoken_engine(party: int, channel: StreamChannel) -> Engine:
    """The parties make the OTs."""
    if party == 0:
        receiver = SoftSpokenReceiver(channel, SOFTSPOKEN_BITS)
        sender = SoftSpokenSender(channel, SOFTSPOKEN_BITS)
    else:
        sender = SoftSpokenSender(channel, SOFTSPOKEN_BITS)
        receiver = SoftSpokenReceiver(channel, SOFTSPOKEN_BITS)
    return Engine(party, channel, TransferSender(sender), TransferReceiver(receiver), EXTENSION_BITS)


Connect = Callable[[int, StreamChannel], Engine]
