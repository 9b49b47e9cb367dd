"""Which key streams, OTs and numbers of the hash a party takes on one connection: each must be taken once.

A use is a key, with all that tells its streams apart, and a range of places. Public parts of ciphertexts are
expanded by both parties, by each of them once.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.kernels import twin_rings, twin_transfer
from mpcc.runtime.ring import U64

Stream = tuple[Any, ...]  # the kind of what is taken, a key, and what tells its streams apart


class Uses:
    """Of each thread: a party is one. Ranges of places of streams, and blocks that must differ."""

    def __init__(self) -> None:
        self._ranges: dict[tuple[int, Stream], list[tuple[int, int]]] = {}
        self._blocks: dict[tuple[int, str], list[U64]] = {}

    def add(self, stream: Stream, start: int, stop: int) -> None:
        if stop > start:
            self._ranges.setdefault((threading.get_ident(), stream), []).append((start, stop))

    def add_blocks(self, kind: str, blocks: U64) -> None:
        """uint64[n, 2]."""
        self._blocks.setdefault((threading.get_ident(), kind), []).append(blocks.copy())

    def repeated(self) -> set[str]:
        """What a party took twice."""
        found = set()
        for (_, stream), ranges in self._ranges.items():
            ordered = sorted(ranges)
            if any(before[1] > after[0] for before, after in pairwise(ordered)):
                found.add(str(stream[0]))
        for (_, kind), parts in self._blocks.items():
            blocks = np.concatenate(parts)
            if len(np.unique(blocks.view("V16"))) < len(blocks):
                found.add(kind)
        return found

    def kinds(self) -> set[str]:
        return {str(stream[0]) for _, stream in self._ranges} | {kind for _, kind in self._blocks}


def _expand(uses: Uses, key: bytes, stream: int, count: int, bits: int, first: int = 0) -> None:
    width = twin_rings.element_bytes(bits)
    uses.add(("key stream", key, stream), first * width // 16, -(-(first + count) * width // 16))


def _residues(uses: Uses, key: bytes, stream: int, count: int, degree: int, moduli: U64) -> None:
    uses.add(("key stream", key, stream), 0, count * degree * len(moduli))


def _leaves(uses: Uses, seeds: U64, first_chunk: int, words: int) -> None:
    stop = first_chunk + -(-words // kernels.SOFTSPOKEN_CHUNK)
    uses.add(("leaves", seeds.tobytes()), first_chunk, stop)


def _softspoken_send(
    uses: Uses, seeds: U64, bits: int, delta: U64, corrections: U64, first_chunk: int
) -> None:
    _leaves(uses, seeds, first_chunk, corrections.shape[1])


def _softspoken_receive(uses: Uses, seeds: U64, bits: int, first_chunk: int, words: int) -> None:
    _leaves(uses, seeds, first_chunk, words)


def _tree_sums(uses: Uses, keys: U64, roots: U64, delta: U64, depth: int) -> None:
    uses.add_blocks("keys of trees", keys)
    uses.add_blocks("roots of trees", roots)


def _transferred(uses: Uses, side: str, pads: U64, first_tweak: int) -> None:
    uses.add((f"numbers of OTs, {side}",), first_tweak, first_tweak + len(pads))
    uses.add_blocks(f"OTs, {side}", pads)


KERNELS: dict[str, Callable[..., None]] = {
    "expand": _expand,
    "uniform_residues": _residues,
    "softspoken_send": _softspoken_send,
    "softspoken_receive": _softspoken_receive,
    "tree_sums": _tree_sums,
}
TRANSFERS = {
    "transfer_send": "sender",
    "transfer_send_bits": "sender",
    "transfer_receive": "receiver",
    "transfer_receive_bits": "receiver",
}


@contextmanager
def recording() -> Iterator[Uses]:
    uses = Uses()

    def recorded(original: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            note(uses, *arguments, **named)
            return original(*arguments, **named)

        return call

    def transferred(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(getattr(twin_transfer, name))

        def call(*arguments: Any, **named: Any) -> Any:
            given = signature.bind(*arguments, **named).arguments
            _transferred(uses, TRANSFERS[name], given["pads"], given["first_tweak"])
            return original(*arguments, **named)

        return call

    with ExitStack() as stack:
        for name, note in KERNELS.items():
            wrapper = recorded(getattr(kernels, name), note)
            stack.enter_context(mock.patch.object(kernels, name, wrapper))
        for name in TRANSFERS:
            wrapper = transferred(name, getattr(kernels, name))
            stack.enter_context(mock.patch.object(kernels, name, wrapper))
        yield uses
