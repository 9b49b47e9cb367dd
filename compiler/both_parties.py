"""Both parties in one process, the shares of chosen values put together: for `mpcc verify` and tests only.

The party executables and `mpcc run` never record a share.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.simulate import ring
from mpcc.ir.range_checks import refuse_exceeded
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.dealing.offline import deal_sessions
from mpcc.runtime.events import Events
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.handshake import Limits
from mpcc.runtime.prepare import workshop_of
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.report import Report, merge_reports, party_report
from mpcc.runtime.ring import I64, reduce, signed
from mpcc.runtime.session import Progress, SessionResult, run_session
from mpcc.runtime.sources import client_inputs
from mpcc.runtime.store.opening import open_store_of
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT, StreamChannel

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class BothParties:
    """Party 1's outputs, the watched values as signed integers, and R.json without the dealer's time."""

    outputs: Arrays
    values: dict[str, I64]
    report: Report


def run_both(program: Path, inputs: Arrays, watched: set[str], events: Events) -> BothParties:
    """Deal one session and run it over a socket pair, a thread a party; without a dealer they make it.

    `inputs` are the client's, checked; `watched` names share-stage values that are shared, private or public.
    Raises what a party raises first, and MPC-R045 when a range check of the program says so.
    """
    types = {v.name: ring(v) for o in read_share_program(program).operations for v in o.results}
    whole = load_program_folder(program)
    shares: list[dict[str, I64]] = [{name: np.zeros(0, np.int64) for name in watched} for _ in range(2)]
    results: dict[int, SessionResult] = {}
    failures: list[BaseException] = []

    def party(index: int, store: Path, channel: StreamChannel) -> None:
        def told(phase: str) -> Progress:
            return partial(events.progress, phase) if index == 1 else _silent

        try:
            folder = load_party_folder(program / f"party{index}")
            prepared = PreparedProgram(folder)
            results[index] = run_session(
                folder,
                channel,
                None if whole.two_party else open_store_of(folder, store / f"party{index}", None),
                partial(prepared.execute, watched=shares[index]),
                client_inputs(folder, inputs) if index == 1 else None,
                told("online"),
                Limits(DEFAULT_TIMEOUT),
                workshop=workshop_of(folder, prepared, told("preparing")),
            )
        except BaseException as error:
            failures.append(error)
            channel.close()  # the other party must not wait for this one

    with tempfile.TemporaryDirectory(prefix="mpcc-verify-") as name:
        store = Path(name) / "store"
        if not whole.two_party:
            deal_sessions(program, 1, store, partial(events.progress, "dealing"))
        threads = [
            threading.Thread(target=party, args=(index, store, channel), daemon=True)
            for index, channel in enumerate(channel_pair())
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    refuse_exceeded(results[1].exceeded)
    return BothParties(
        outputs=results[1].outputs,
        values={name: _together(types[name], [s[name] for s in shares if name in s]) for name in watched},
        report=merge_reports(
            party_report(0, results[0]), party_report(1, results[1]), 0.0, whole.manifest["predicted"]
        ),
    )


def _together(kind: RingType, held: list[I64]) -> I64:
    """A value from what the parties hold of it: two shares, or the same array at whoever knows it."""
    if kind.sharing is not Sharing.SHARE:
        return held[0]
    first, second = (array.view(np.uint64) for array in held)
    return signed(reduce(first + second, kind.ring), kind.ring)


def _silent(done: int, total: int) -> None:
    """Party 0's progress: party 1's is the same."""
