"""The choice between SoftSpoken and silent OT."""

import numpy as np
import pytest

from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot.silent_choice import Extension, cheapest_extension
from mpcc.runtime.two_party.ot.silent_parameters import LONG, SHORT
from mpcc.runtime.two_party.ot.softspoken import setup_bytes
from tests.runtime.two_party.ot.ends import check_correlation, together

LAN, WAN = 1000.0, 100.0


def test_few_by_softspoken_more_by_small_iterations_many_by_large_ones() -> None:
    for mbit in (LAN, WAN):
        assert not cheapest_extension([1000] * 20, mbit).stages
        assert cheapest_extension([10**6], mbit).stages == SHORT
        assert not cheapest_extension([], mbit).stages
    assert cheapest_extension([10**6] * 20, WAN).stages == LONG


def test_slower_networks_send_less() -> None:
    for count in (1000, 100_000, 300_000, 10**7):
        sent = [
            sum(cheapest_extension([count], mbit).sent_bytes([count])) for mbit in (1e5, 1e4, 1e3, 1e2, 10)
        ]
        assert sent == sorted(sent, reverse=True)


@pytest.mark.parametrize("extension", [Extension(6), Extension(8, SHORT)], ids=["softspoken", "silent"])
def test_declared_bytes_are_sent_in_declared_rounds(
    channels: tuple[Channel, Channel], extension: Extension
) -> None:
    first, second = channels
    sender, receiver = together(lambda: extension.sender(first), lambda: extension.receiver(second))
    counts = (0, 100, 7000, 65)
    for done, count in enumerate(counts, 1):
        sent, got = together(lambda: sender.extend(first, count), lambda: receiver.extend(second, count))  # noqa: B023
        check_correlation(np.asarray(sender.delta), sent, *got)
        declared = np.add(setup_bytes(extension.softspoken_bits), extension.sent_bytes(counts[:done]))
        counters = [channel.meter.counters["online"] for channel in (first, second)]
        assert [c.bytes_sent for c in counters] == declared.tolist()
        assert counters[0].rounds == extension.setup_rounds + extension.rounds(counts[:done])
