"""The dealer: makes both parties' correlations ahead of time, from a plan that holds no weight and no input.

Party 0's part is its seed; party 1's is its seed and the corrections, streamed in the plan's order. The
dealer knows the fixed masks B of the weights (from `weight_mask_seed`, shared with party 0), never the
weights.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.slots import Part, Role, stream
from mpcc.runtime.program_folder import load_program_folder
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.protocols.local import moves_mask
from mpcc.runtime.ring import U64
from mpcc.runtime.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.store_writer import write_pair

Progress = Callable[[int, int], None]


def weight_mask(seed: bytes, operation: Operation) -> Iterator[U64]:
    """The fixed mask B of a linear operation's weight, uniform in the ring of its result: the rows of each of
    its pieces.
    """
    number, bits = stream(operation.result.name, "weight_mask"), ring_type(operation).ring
    for piece in weight_pieces(operation):
        yield kernels.expand(seed, number, piece.count, bits, piece.first).reshape(piece.shape)


class Dealing:
    """One session's dealing: `corrections` yields party 1's payload, piece by piece."""

    def __init__(self, seeds: tuple[bytes, bytes], weight_mask_seed: bytes) -> None:
        self._seeds = seeds
        self._weight_mask_seed = weight_mask_seed

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        return weight_mask(self._weight_mask_seed, operation)

    def corrections(self, operations: list[Operation]) -> Iterator[memoryview]:
        """Party 1's payload, a piece for each derived slot. Masks are kept up to their last use."""
        masks: dict[str, U64 | None] = {}
        last_use = {value.name: i for i, o in enumerate(operations) for value in o.operands}
        for i, operation in enumerate(operations):
            name = operation.result.name
            masks[name] = yield from self._deal(operation, [masks.get(v.name) for v in operation.operands])
            for value in (*operation.operands, operation.result):
                if last_use.get(value.name, i) == i:
                    masks.pop(value.name, None)

    def _deal(self, operation: Operation, masks: list[U64 | None]) -> Generator[memoryview, None, U64 | None]:
        """One operation's pieces; returns its result's mask."""
        protocol, name = protocols[operation.kind], operation.result.name
        if moves_mask(operation):
            known = [mask.view(np.int64) for mask in masks if mask is not None]
            return np.ascontiguousarray(protocol.plain(operation, known)).view(np.uint64)
        slots = protocol.slots(operation)
        drawn: dict[str, Part] = {}
        for slot in slots:
            if slot.role is Role.UNIFORM:
                parts = [slot.expand(seed, name) for seed in self._seeds]
                drawn[slot.name] = slot.combine(*parts)
            elif slot.role is not Role.DERIVED:
                drawn[slot.name] = slot.expand(self._seeds[0 if slot.role is Role.PARTY0 else 1], name)
        dealt = protocol.deal(operation, drawn, masks, self)
        for slot in slots:
            if slot.role is Role.DERIVED:
                yield slot.correct(dealt.derived.pop(slot.name), slot.expand(self._seeds[0], name))
        return dealt.mask


def one_ahead(items: Iterator[memoryview]) -> Iterator[memoryview]:
    """The items, each made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1, "dealing") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def deal_sessions(program: Path, sessions: int, output: Path, progress: Progress) -> None:
    """Write STORE/party0 and STORE/party1 with `sessions` sessions; progress in bytes. Raises MPC-R020..,
    MPC-S011.
    """
    folder = load_program_folder(program, whole=False)
    try:
        operations = plan.from_json(folder.correlations.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise MpccError(
            "MPC-S012",
            f"the correlation plan cannot be read: {error}",
            where=str(folder.correlations),
            remedy="compile the model again",
        ) from None
    _, session_bytes = plan.offsets(operations)
    weight_mask_seed = secrets.token_bytes(SEED_BYTES)
    done = 0

    def counted(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        nonlocal done
        for piece in pieces:
            yield piece
            done += len(piece)
            progress(done, session_bytes * sessions)

    with write_pair(output, folder.program_hash, folder.weights_sha256, weight_mask_seed) as (
        writer0,
        writer1,
    ):
        for _ in range(sessions):
            session_id = secrets.token_bytes(SESSION_ID_BYTES)
            seeds = (secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES))
            writer0.add(session_id, seeds[0], [])
            pieces = Dealing(seeds, weight_mask_seed).corrections(operations)
            writer1.add(session_id, seeds[1], counted(one_ahead(pieces)))
