"""What products of the parties' private numbers cost, under encryption or bit by bit: which is cheaper."""

from __future__ import annotations

import math

from mpcc.runtime.two_party.rlwe.ole_parameters import slot_parameters

# What decides is time at 1 Gbit/s on 4 cores for both parties: nanoseconds.
_A_BYTE = 8.0
_A_TRANSFER = 60.0
_A_RESIDUE = 50.0  # of a slot modulo one prime, from encryption to decryption


def product_bytes(sizes: tuple[int, int], ring: int, count: int, terms: int = 1) -> tuple[int, int]:
    """Bytes that party 0 and party 1 send for `count` sums of products, but for the wraps' transfers (one of
    `ring` bits a sum, half of them in each direction) and, once a session for these parameters, party 1's key
    (`slot_parameters(sizes, terms).key_bytes`). Raises ValueError when no parameters hold the products.
    """
    parameters = slot_parameters(sizes, terms)
    return parameters.sent_bytes(parameters.ciphertexts(count))


def encrypted_nanoseconds(
    sizes: tuple[int, int], ring: int, count: int, terms: int = 1, extension_bits: float = 0.0
) -> float:
    """Of `count` sums under encryption, with their wraps, without the key. `extension_bits`: what making a
    correlated OT sends.
    """
    parameters = slot_parameters(sizes, terms)
    slots = parameters.ciphertexts(count) * parameters.degree
    residues = slots * len(parameters.moduli) * (terms + 1) / 2
    wraps = count * _transfer(ring, extension_bits)
    return _A_BYTE * sum(product_bytes(sizes, ring, count, terms)) + _A_RESIDUE * residues + wraps


def transferred_nanoseconds(
    sizes: tuple[int, int], ring: int, count: int, terms: int = 1, extension_bits: float = 0.0
) -> float:
    """Of `count` sums bit by bit of the shorter factor (Gilboa, CRYPTO 1999)."""
    widths = range(ring, ring - min(*sizes, ring), -1)
    return count * terms * math.fsum(_transfer(width, extension_bits) for width in widths)


def encryption_is_cheaper(
    sizes: tuple[int, int], ring: int, count: int, terms: int = 1, extension_bits: float = 0.0
) -> bool:
    """Whether `count` sums take less time under encryption than bit by bit."""
    arguments = (sizes, ring, count, terms, extension_bits)
    return encrypted_nanoseconds(*arguments) < transferred_nanoseconds(*arguments)


def _transfer(width: int, extension_bits: float) -> float:
    """An oblivious transfer of a number of so many bits, with the bit that asks for it."""
    return _A_TRANSFER + _A_BYTE * (width + 1 + extension_bits) / 8
