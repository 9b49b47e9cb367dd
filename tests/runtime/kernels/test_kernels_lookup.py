"""Lookups in private tables by correlated transfers."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import U64, Draw

SIZES = [0, 1, 64, 65, 511, 513]


def prepared(draw: Draw, bits: int, count: int) -> tuple[U64, U64, U64, U64, U64]:
    """Delta, q, t, corrections, index."""
    padded = -(-count // 64) * 64
    delta, q, index = draw(64, 2), draw(64, bits, padded, 2), draw(bits, count)
    choices = draw(1, bits, padded)
    t = q ^ choices[:, :, None] * delta
    wanted = np.zeros((bits, padded), dtype=np.uint64)
    wanted[:, :count] = index >> np.arange(bits, dtype=np.uint64)[:, None] & np.uint64(1)
    planes = [twin.planes_pack((row != 0).astype(np.uint8)) for row in wanted ^ choices]
    return delta, q, t, np.stack(planes), index


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize(("bits", "width"), [(1, 64), (2, 13), (4, 1), (8, 30)])
@pytest.mark.parametrize("size", SIZES)
def test_lookups_match_the_twin(
    natives: dict[str, Any], ring: Draw, size: int, bits: int, width: int, boolean: bool
) -> None:
    delta, q, t, corrections, index = prepared(ring, bits, size)
    tables, tweak = ring(64, 1 << bits, size), 2**33
    message, share = twin.lookup_send(q, delta, corrections, tables, width, tweak, boolean)
    expected = twin.lookup_receive(t, index, message, width, tweak, boolean)
    for level, native in natives.items():
        got = native.lookup_send(q, delta, corrections, tables, width, tweak, boolean)
        assert np.array_equal(got[0], message), level
        assert np.array_equal(got[1], share), level
        received = native.lookup_receive(t, index, message, width, tweak, boolean)
        assert np.array_equal(received, expected), level


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize("bits", [1, 3, 6])
def test_shares_make_the_entries(kernels: Any, ring: Draw, bits: int, boolean: bool) -> None:
    size, width = 700, 37
    delta, q, t, corrections, index = prepared(ring, bits, size)
    tables = ring(64, 1 << bits, size)
    message, mine = kernels.lookup_send(q, delta, corrections, tables, width, 512, boolean)
    theirs = kernels.lookup_receive(t, index, message, width, 512, boolean)
    both = mine ^ theirs if boolean else mine + theirs
    expected = tables[index.astype(np.int64), np.arange(size)]
    mask = np.uint64((1 << width) - 1)
    assert np.array_equal(both & mask, expected & mask)
    assert max(mine.max(), theirs.max()) <= mask
    # With the pads of its own index, the receiver learns no other entry: each is under a pad of its own.
    wrong = kernels.lookup_receive(t, index ^ np.uint64(1), message, width, 512, boolean)
    revealed = mine ^ wrong if boolean else mine + wrong
    other = tables[(index ^ np.uint64(1)).astype(np.int64), np.arange(size)]
    assert not (revealed & mask == other & mask).any()


def test_wrong_arguments_of_lookups(kernels: Any, ring: Draw) -> None:
    delta, q, t, corrections, index = prepared(ring, 3, 100)
    tables, message = ring(64, 8, 100), np.zeros(7 * 163, dtype=np.uint8)
    kernels.lookup_receive(t, index, message, 13, 0, False)
    send, receive = kernels.lookup_send, kernels.lookup_receive
    wrong_values: list[tuple[Any, ...]] = [
        (send, q[:, :100].copy(), delta, corrections, tables, 13, 0, False),
        (send, np.zeros((9, 128, 2), dtype=np.uint64), delta, corrections, tables, 13, 0, False),
        (send, q, delta[:1].copy(), corrections, tables, 13, 0, False),
        (send, q, delta, corrections[:2].copy(), tables, 13, 0, False),
        (send, q, delta, corrections, tables[:7].copy(), 13, 0, False),
        (send, q, delta, corrections, tables, 0, 0, False),
        (send, q, delta, corrections, tables, 65, 0, False),
        (send, q, delta, corrections, tables, 13, 7, False),
        (receive, t, index, message[1:].copy(), 13, 0, False),
        (receive, t, index[:20].copy(), message, 13, 0, False),
    ]
    for function, *arguments in wrong_values:
        with pytest.raises(ValueError, match=r"lookup|transfer|bits must be"):
            function(*arguments)
    wrong_types: list[tuple[Any, ...]] = [
        (send, q.astype(np.int64), delta, corrections, tables, 13, 0, False),
        (send, q, delta, corrections, tables[:, ::2], 13, 0, False),
        (receive, t, index.astype(np.int64), message, 13, 0, False),
        (receive, t, index, message.astype(np.uint64), 13, 0, False),
    ]
    for function, *arguments in wrong_types:
        with pytest.raises(TypeError):
            function(*arguments)
