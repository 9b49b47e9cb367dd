"""Both parties of matrix products in one process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime.ring import I64, U64, mask, reduce, to_ring
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.requests import MatrixProduct
from mpcc.runtime.two_party.rlwe.matrix_product import Rlwe, Sizes

Right = U64 | I64 | NDArray[np.int32]


class Parties:
    def __init__(self) -> None:
        self.channels: tuple[StreamChannel, StreamChannel] = channel_pair()
        self.rlwe = tuple(Rlwe(party, channel) for party, channel in enumerate(self.channels))

    def products(
        self, sizes: Sequence[Sizes], lefts: Sequence[U64], rights: Sequence[Right]
    ) -> tuple[list[U64], list[U64]]:
        """Each party's shares."""
        requests = (
            [MatrixProduct(own, *each) for own, each in zip(factors, sizes, strict=True)]
            for factors in (rights, lefts)
        )
        with ThreadPoolExecutor(2) as pool:
            running = [
                pool.submit(party.matrix_products, own)
                for party, own in zip(self.rlwe, requests, strict=True)
            ]
            first, second = (each.result() for each in running)
        return first, second

    @property
    def sent(self) -> tuple[int, int]:
        """Bytes, until now."""
        first, second = (channel.meter.counters["online"].bytes_sent for channel in self.channels)
        return first, second


def draw(rng: np.random.Generator, sizes: Sizes) -> tuple[U64, Right]:
    """Random factors: of the ring, and of the right factor's bits."""
    (batch, m, k, n), right_bits, ring = sizes
    left = rng.integers(0, int(mask(ring)), (batch, m, k), dtype=np.uint64, endpoint=True)
    if right_bits >= ring:
        return left, rng.integers(0, int(mask(ring)), (batch, k, n), dtype=np.uint64, endpoint=True)
    most = 1 << right_bits
    right = rng.integers(-most, most, (batch, k, n), endpoint=True)
    return left, right.astype(np.int32) if right_bits < 31 else right


def product(left: U64, right: Right, ring: int) -> U64:
    """By Python's integers."""
    signed = right if right.dtype == np.uint64 else to_ring(right.astype(np.int64))
    exact = left.astype(object) @ signed.astype(object)
    reduced: U64 = (exact & int(mask(ring))).astype(np.uint64)
    return reduced


def check(shares: tuple[U64, U64], left: U64, right: Right, ring: int) -> None:
    for share in shares:
        np.testing.assert_array_equal(share, reduce(share, ring))
    np.testing.assert_array_equal(reduce(shares[0] + shares[1], ring), product(left, right, ring))
