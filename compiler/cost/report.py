"""What a run will cost: seconds over a network, memory, and the parts by layer and by operation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.model import Cost
from mpcc.compiler.cost.network import Network
from mpcc.compiler.dumps import dump_files, read_share_program
from mpcc.compiler.summary import Row, Summary, summarise
from mpcc.compiler.text import count_of, size_of, table
from mpcc.ir.parser import read_program
from mpcc.ir.program import Operation, Program
from mpcc.passes.schedule_rounds import operation_levels, schedule
from mpcc.runtime.correlations.plan import correction_bytes
from mpcc.runtime.correlations.prefetch import BUDGET_BYTES
from mpcc.runtime.memory import ELEMENT_BYTES, NO_MEMORY, elements, most_alive
from mpcc.runtime.protocols import protocols

WEIGHT_BYTES = 4
PROCESS_BYTES = 90_000_000  # Python and the libraries, before a program is read
# Fitted to runs of the works of docs/benchmarks.md on loopback, on four cores: all were within 25 %.
SECONDS_PER_OPERATION = 8.5e-5
MATRIX_KINDS = ("linear", "matmul")
MULTIPLICATIONS_PER_SECOND = 5.1e10  # of matrix products
WEIGHTS_PER_SECOND = 4e9  # a product of few rows waits for its weights
DEALING_BYTES_PER_SECOND = 1.6e8  # the set-up counted, too
CORRELATION_BYTES_PER_SECOND = 3.1e9  # expanding a correlation, and the elementwise work that it is for
MESSAGE_BYTES_PER_SECOND = 9.3e8  # packing and unpacking


@dataclass(frozen=True)
class Prediction:
    """Seconds online, on the wire and computing, and the busier party's peak of memory in bytes."""

    network: Network
    offline_seconds: float
    network_seconds: float
    compute_seconds: float
    memory_bytes: int

    @property
    def seconds(self) -> float:
        return self.network_seconds + self.compute_seconds

    def report(self) -> dict[str, Any]:
        """The part of a run's `predicted` entry that is an estimate, and for which network."""
        return {
            "seconds": {"offline": round(self.offline_seconds, 3), "online": round(self.seconds, 3)},
            "network": str(self.network),
        }


def predict(program: Program, cost: Cost, network: Network) -> Prediction:
    """For a share-stage program. Rounds and bytes are exact, seconds and memory are estimates."""
    return Prediction(
        network=network,
        offline_seconds=offline_seconds(cost, network),
        network_seconds=network.seconds(cost.rounds, wire_bytes(program)),
        compute_seconds=compute_seconds(program, cost),
        memory_bytes=memory_bytes(program, cost),
    )


def offline_seconds(cost: Cost, network: Network) -> float:
    """Dealing a session, and sending what was dealt and the masked weights; without a dealer, making one."""
    if cost.made:
        return cost.made.seconds_over(network)
    sent = cost.offline_bytes + cost.setup_bytes
    return network.seconds(0, sent) + sent / DEALING_BYTES_PER_SECOND


def compute_seconds(program: Program, cost: Cost) -> float:
    """What a party computes online."""
    computed = sum(o.kind not in NO_MEMORY for o in program.operations)
    products = [o for o in program.operations if o.kind in MATRIX_KINDS]
    return (
        computed * SECONDS_PER_OPERATION
        + sum(map(product_seconds, products))
        + sum(map(correction_bytes, program.operations)) / CORRELATION_BYTES_PER_SECOND
        + (cost.bytes_party0 + cost.bytes_party1) / MESSAGE_BYTES_PER_SECOND
    )


def product_seconds(operation: Operation) -> float:
    """Of a matrix product."""
    multiplied = protocols[operation.kind].multiplications(operation) / MULTIPLICATIONS_PER_SECOND
    read = elements(operation.operands[1]) / WEIGHTS_PER_SECOND if operation.kind == "linear" else 0.0
    return max(multiplied, read)


def wire_bytes(program: Program) -> int:
    """The longer message of each round, summed: both directions are busy at the same time."""
    levels = operation_levels(program, ticks)
    sent: dict[int, list[int]] = {}
    for index, operation in enumerate(program.operations):
        for tick, message in enumerate(protocols[operation.kind].messages(operation), levels[index]):
            known = sent.setdefault(tick, [0, 0])
            sent[tick] = [known[party] + message[party] for party in (0, 1)]
    return sum(map(max, sent.values()))


def memory_bytes(program: Program, cost: Cost) -> int:
    """Peak of the busier party: the most that shares take at one time, and what each holds all along.

    Both hold correlations that are expanded ahead, up to a budget. Party 0 holds the weights as integers of
    32 bits, and while it makes them the largest as float32; party 1 its shares of the linear results,
    computed offline.
    """
    weights = [elements(o.result) for o in program.operations if o.kind == "weight"]
    prepared = sum(elements(o.result) for o in program.operations if o.kind in ("linear", "gain"))
    party0 = (sum(weights) + max(weights, default=0)) * WEIGHT_BYTES
    party1 = prepared * ELEMENT_BYTES
    slots = [slot for o in program.operations for slot in protocols[o.kind].slots(o)]
    ahead = min(BUDGET_BYTES, sum(slot.expanded_bytes for slot in slots))
    return PROCESS_BYTES + max(party0, party1) + ahead + peak_elements(program) * ELEMENT_BYTES


def peak_elements(program: Program) -> int:
    """The most elements alive at one time, in the parties' order; views take nothing."""
    return most_alive(o for tick in schedule(program, ticks) for o in tick.started if o.kind not in NO_MEMORY)


def cost_text(folder: Path, network: Network) -> str:
    """`mpcc cost`."""
    summary, prediction = _predicted(folder, network)
    cost = summary.cost
    head = ("", "operations", "rounds", "bytes party 0", "bytes party 1", "offline bytes", "multiplications")
    return "\n".join(
        (
            f"{summary.name}",
            "",
            f"rounds            {count_of(cost.rounds)}",
            f"bytes, party 0    {count_of(cost.bytes_party0)}",
            f"bytes, party 1    {count_of(cost.bytes_party1)}",
            *_offline(cost),
            f"multiplications   {count_of(cost.multiplications)}",
            f"seconds online    about {prediction.seconds:.2f} over {network}: "
            f"{prediction.network_seconds:.2f} on the wire, {prediction.compute_seconds:.2f} computing",
            f"memory            about {size_of(prediction.memory_bytes)} a party",
            "",
            "By layer (layers share rounds, so these do not add up)",
            "",
            table(head, [_cells(row) for row in summary.layers]),
            "",
            "By operation",
            "",
            table(
                head,
                [
                    _cells(row)
                    for row in summary.kinds
                    if row.online or row.offline_bytes or row.multiplications
                ],
            ),
        )
    )


def _offline(cost: Cost) -> tuple[str, ...]:
    if cost.made:
        return (
            f"rounds to prepare {count_of(cost.made.rounds)}",
            f"bytes to prepare  {count_of(cost.made.party0)} from party 0, {count_of(cost.made.party1)} from "
            "party 1, each session",
            f"seconds offline   about {cost.made.seconds:.2f} computing",
        )
    return (
        f"bytes dealt       {count_of(cost.offline_bytes)} to party 1, each session",
        f"bytes of set-up   {count_of(cost.setup_bytes)} from party 0 to party 1",
    )


def cost_json(folder: Path, network: Network) -> str:
    """`mpcc cost --json`: the report's `predicted` entry, and seconds, memory, layers and operations."""
    summary, prediction = _predicted(folder, network)
    content = {
        **summary.cost.report(),
        "multiplications": summary.cost.multiplications,
        "network": {"rtt_ms": network.rtt_ms, "mbit": network.mbit},
        "seconds": {
            "online": prediction.seconds,
            "network": prediction.network_seconds,
            "compute": prediction.compute_seconds,
        },
        "memory_bytes": prediction.memory_bytes,
        "layers": _entries(summary.layers),
        "operations": _entries(summary.kinds),
    }
    return json.dumps(content, indent=1)


def _predicted(folder: Path, network: Network) -> tuple[Summary, Prediction]:
    share = read_share_program(folder)
    imported = read_program(dump_files(folder)[0])
    summary = summarise([("import", imported), ("share", share)])
    return summary, predict(share, summary.cost, network)


def _cells(row: Row) -> tuple[object, ...]:
    counts = (
        row.operations,
        row.rounds,
        row.bytes_party0,
        row.bytes_party1,
        row.offline_bytes,
        row.multiplications,
    )
    return row.label, *counts


def _entries(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [
        {
            "name": row.label,
            "operations": row.operations,
            "rounds": row.rounds,
            "bytes": {"party0": row.bytes_party0, "party1": row.bytes_party1},
            "offline_bytes": row.offline_bytes,
            "multiplications": row.multiplications,
        }
        for row in rows
    ]
