"""Base OTs: the keys agree, messages have their declared lengths, other points are refused."""

from __future__ import annotations

import numpy as np
import pytest
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_is_valid_point

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.two_party.ot import base
from tests.runtime.two_party.ot.ends import together

ORDER_EIGHT = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
BAD_POINTS = {
    "not on the curve": b"\x02" + bytes(31),
    "small order": b"\x01" + bytes(31),
    "order eight": ORDER_EIGHT,
    "not canonical": b"\xee" + b"\xff" * 30 + b"\x7f",
    "not in the subgroup": crypto_core_ed25519_add(
        b"\x58" + b"\x66" * 31,  # the base point
        ORDER_EIGHT,
    ),
}


@pytest.mark.parametrize("choices", [[], [0], [1], [0, 1, 1, 0, 1]])
def test_the_receiver_has_the_chosen_keys_only(choices: list[int]) -> None:
    one, other = channel_pair()
    chosen = np.array(choices, dtype=np.uint8)
    pairs, keys = together(
        lambda: base.send(one, len(choices), b"test"), lambda: base.receive(other, chosen, b"test")
    )
    places = np.arange(len(choices))
    assert np.array_equal(pairs[places, chosen], keys)
    assert len(np.unique(pairs.reshape(-1, 2), axis=0)) == 2 * len(choices)
    sent = one.meter.counters["online"].bytes_sent, other.meter.counters["online"].bytes_sent
    assert sent == base.base_bytes(len(choices))


def test_keys_are_bound_to_the_session() -> None:
    one, other = channel_pair()
    zero = np.zeros(1, dtype=np.uint8)
    pairs, keys = together(lambda: base.send(one, 1, b"a"), lambda: base.receive(other, zero, b"b"))
    assert not np.array_equal(pairs[0, 0], keys[0])


@pytest.mark.parametrize("point", BAD_POINTS.values(), ids=BAD_POINTS.keys())
def test_invalid_points_are_refused(point: bytes) -> None:
    assert not crypto_core_ed25519_is_valid_point(point)
    one, other = channel_pair()
    one.exchange(point, 0)
    with pytest.raises(MpccError) as at_receiver:
        base.receive(other, np.zeros(1, dtype=np.uint8), b"test")
    assert at_receiver.value.code == "MPC-R090"
    one, other = channel_pair()

    def send_point() -> None:
        other.exchange(b"", base.POINT_BYTES)
        other.exchange(point, 0)

    with pytest.raises(MpccError) as at_sender:
        together(lambda: base.send(one, 1, b"test"), send_point)
    assert at_sender.value.code == "MPC-R090"


@pytest.mark.parametrize(("length", "code"), [(31, "MPC-R005"), (33, "MPC-R006")])
def test_wrong_lengths_are_coded_errors(length: int, code: str) -> None:
    one, other = channel_pair(timeout=0.2)
    one.exchange(bytes(length), 0)
    with pytest.raises(MpccError) as caught:
        base.receive(other, np.zeros(1, dtype=np.uint8), b"test")
    assert caught.value.code == code
