"""Slots: the pieces of correlated randomness that one operation consumes.

Every part is expanded from a party's seed by AES-CTR, on a stream that belongs to (value, slot); only party
1's part of a `derived` slot is a correction that the dealer writes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, reduce

Part = np.ndarray  # uint64, or the lane type


class Role(StrEnum):
    UNIFORM = "uniform"  # both parties' parts are uniform; the value is their sum (or xor)
    PARTY0 = "party0"  # uniform, known to party 0 only
    PARTY1 = "party1"  # uniform, known to party 1 only
    DERIVED = "derived"  # computed by the dealer; party 0's part is uniform, party 1's is the correction


@dataclass(frozen=True)
class Slot:
    """`count` elements of `bits` bits. `boolean`: parts are xored, else added mod 2^bits.

    `lanes`: elements of 8 or 16 bits kept in uint8 or uint16 arrays instead of uint64, for large one-hots.
    """

    name: str
    role: Role
    count: int
    bits: int
    boolean: bool = False
    lanes: bool = False

    @property
    def correction_bytes(self) -> int:
        """Bytes the dealer sends to party 1 for this slot."""
        return (self.count * self.bits + 7) // 8 if self.role is Role.DERIVED else 0

    @property
    def expanded_bytes(self) -> int:
        """Of a party's part in memory."""
        return self.count * (self.bits // 8 if self.lanes else 8)

    @property
    def lane_type(self) -> type[np.unsignedinteger]:
        return np.uint8 if self.bits == 8 else np.uint16

    def expand(self, seed: bytes, value_name: str) -> Part:
        """A party's seeded part, of shape (count,)."""
        number = stream(value_name, self.name)
        if not self.lanes:
            return kernels.expand(seed, number, self.count, self.bits)
        words = kernels.expand(seed, number, -(-self.correction_bytes // 8), 64)
        lanes: Part = words.view(self.lane_type)
        return lanes[: self.count]

    def combine(self, part0: Part, part1: Part) -> Part:
        if self.boolean:
            return np.asarray(part0 ^ part1)
        return np.asarray(part0 + part1) if self.lanes else reduce(part0 + part1, self.bits)

    def correct(self, value: Part, part0: Part) -> memoryview:
        """Party 1's part such that both combine to `value`, packed for the store. `part0` is overwritten."""
        return self.pack((np.bitwise_xor if self.boolean else np.subtract)(value, part0, out=part0))

    def pack(self, part: Part) -> memoryview:
        """A part for the store, in `correction_bytes` bytes."""
        return part.view(np.uint8).data if self.lanes else kernels.pack(part, self.bits).data

    def unpack(self, data: np.ndarray) -> Part:
        """A part from its `correction_bytes` bytes."""
        return data.view(self.lane_type) if self.lanes else kernels.unpack(data, self.count, self.bits)


def stream(value_name: str, slot_name: str) -> int:
    """The 64-bit AES-CTR stream of a slot: one stream a slot, never reused within a session's key."""
    digest = hashlib.sha256(f"{value_name}/{slot_name}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def bits_to_words(bits: np.ndarray) -> U64:
    """uint8 bits along the last axis as packed planes: [.., n] -> [.., ceil(n / 64)]."""
    count = bits.shape[-1]
    padded = np.zeros((*bits.shape[:-1], -(-count // 64) * 64), dtype=np.uint8)
    padded[..., :count] = bits
    packed: U64 = np.packbits(padded, axis=-1, bitorder="little").view(np.uint64)
    return packed
