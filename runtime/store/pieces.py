"""A file of pieces: written one after the other, read in any order, each checked before a byte of it is used.

    piece 0 | ... | piece n-1 | tail | trailer

Pieces and tail are sealed (see `sealing`). The tail holds a short secret and the length of every piece's
data, so that a missing, cut off or additional piece is noticed. The trailer, at the end because a file is
written in one go, also where nothing can be changed any more, has the format, whether the file is encrypted,
its salt and the tail's bytes; all of it is bound by the tail's seal.
"""

from __future__ import annotations

import itertools
import secrets
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Protocol

from mpcc.runtime.store.sealing import SALT_BYTES, Damaged, Sealing
from mpcc.runtime.transport.channel import BytesLike, byte_view

MAGIC = b"mpccpcs1"
_TRAILER = struct.Struct(f"<8sB{SALT_BYTES}sQ")
_LENGTH = struct.Struct("<Q")
_TAIL = (1 << 96) - 1  # its number: no piece's
TRAILER_BYTES = _TRAILER.size


class Sink(Protocol):
    """Where a file is written to, from its beginning."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class Source(Protocol):
    """Where a file is read from. Threads may read at the same time."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Fewer bytes where the file has become shorter."""
        ...


class PieceWriter:
    """Seals pieces into a sink; `finish` writes what makes the file whole."""

    def __init__(self, sink: Sink, sealing: Sealing, context: bytes) -> None:
        self._sink = sink
        self._encrypts = sealing.encrypts
        self._salt = secrets.token_bytes(SALT_BYTES)
        self._sealer = sealing.sealer(context, self._salt)
        self._lengths = array("Q")

    def add(self, piece: BytesLike) -> int:
        """Returns the piece's bytes."""
        view = byte_view(piece)
        self._write(len(self._lengths), view)
        self._lengths.append(len(view))
        return len(view)

    def finish(self, secret: bytes) -> None:
        tail = secret + b"".join(map(_LENGTH.pack, self._lengths))
        self._write(_TAIL, memoryview(tail))
        tail_bytes = len(tail) + self._sealer.overhead
        self._sink.write(_TRAILER.pack(MAGIC, self._encrypts, self._salt, tail_bytes))

    def _write(self, number: int, data: memoryview) -> None:
        for part in self._sealer.seal(number, data):
            self._sink.write(part)


class Pieces:
    """The pieces of a file, which is not closed here."""

    def __init__(self, source: Source, sealing: Sealing, context: bytes, secret_bytes: int) -> None:
        """Reads and checks the tail. Raises Damaged."""
        self._source = source
        start = source.size - _TRAILER.size
        if start < 0:
            raise Damaged
        magic, encrypted, salt, tail_bytes = _TRAILER.unpack(self._read(start, _TRAILER.size))
        if magic != MAGIC or encrypted != sealing.encrypts or tail_bytes > start:
            raise Damaged
        self._sealer = sealing.sealer(context, salt)
        tail = self._sealer.open(_TAIL, self._read(start - tail_bytes, tail_bytes))
        if len(tail) < secret_bytes or (len(tail) - secret_bytes) % _LENGTH.size:
            raise Damaged
        self.secret = bytes(tail[:secret_bytes])
        lengths = [length for (length,) in _LENGTH.iter_unpack(tail[secret_bytes:])]
        self._starts: list[int] = [0, *itertools.accumulate(lengths)]
        if self._starts[-1] + len(lengths) * self._sealer.overhead != start - tail_bytes:
            raise Damaged

    def __len__(self) -> int:
        """Bytes of all pieces' data."""
        return self._starts[-1]

    def __iter__(self) -> Iterator[memoryview]:
        """The pieces in order. Raises Damaged."""
        return map(self._piece, range(len(self._starts) - 1))

    def __getitem__(self, part: slice, /) -> memoryview:
        """Whole pieces. Raises Damaged, and RuntimeError for a part of a piece."""
        start, stop, _ = part.indices(len(self))
        first, last = bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop)
        if (self._starts[first], self._starts[last]) != (start, stop):
            raise RuntimeError("the program draws other corrections than were dealt")
        if last == first + 1:
            return self._piece(first)
        return memoryview(b"".join(map(self._piece, range(first, last))))

    def _piece(self, number: int) -> memoryview:
        overhead = self._sealer.overhead
        start, stop = self._starts[number], self._starts[number + 1]
        return self._sealer.open(number, self._read(start + number * overhead, stop - start + overhead))

    def _read(self, offset: int, length: int) -> bytes:
        data = self._source.read(offset, length)
        if len(data) != length:
            raise Damaged
        return data
