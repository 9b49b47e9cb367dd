"""Speed of making correlated OTs: silent OT beside SoftSpoken, both parties in processes of their own.

    python tests/benchmarks/oblivious_transfer.py            1, 2 and 4 threads a party, up to 5 x 10^7 OTs
    python tests/benchmarks/oblivious_transfer.py 2 1e6      2 threads, 10^6 OTs

Seconds from the first extension on, without the 128 base OTs, over a socket pair; OTs are taken 2^20 at a
time. The least of three runs is printed. The processes share the machine's cores.
"""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # loaded in the parties, which first set the number of threads
    from mpcc.runtime.two_party.ot.silent_choice import Extension

BATCH = 1 << 20
REPEATS = 3


def counts_of(total: int) -> list[int]:
    return [min(BATCH, total - start) for start in range(0, total, BATCH)]


def run_party(
    index: int,
    end: socket.socket,
    threads: int,
    name: str,
    total: int,
    results: "multiprocessing.Queue[float]",
) -> None:
    os.environ["MPCC_THREADS"] = str(threads)  # read when the kernels are loaded
    from mpcc.runtime.transport.connection import PlainConnection
    from mpcc.runtime.transport.stream import StreamChannel

    channel = StreamChannel(PlainConnection(end))
    extension = extensions()[name]
    party = extension.receiver(channel) if index else extension.sender(channel)
    channel.synchronise()
    started = time.perf_counter()
    for count in counts_of(total):
        party.extend(channel, count)
    channel.synchronise()
    if index:
        results.put(time.perf_counter() - started)


def extensions() -> dict[str, "Extension"]:
    from mpcc.runtime.two_party.ot.silent_choice import Extension
    from mpcc.runtime.two_party.ot.silent_parameters import LONG, SHORT

    softspoken = {f"SoftSpoken, k = {bits}": Extension(bits) for bits in (4, 5, 8)}
    return {**softspoken, "silent, small": Extension(8, SHORT), "silent, large": Extension(8, LONG)}


def seconds(threads: int, name: str, total: int) -> float:
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    ends = socket.socketpair()
    parties = [
        spawn.Process(target=run_party, args=(i, end, threads, name, total, results))
        for i, end in enumerate(ends)
    ]
    for party in parties:
        party.start()
    for end in ends:
        end.close()
    taken = results.get()
    for party in parties:
        party.join()
    return float(taken)


def main(arguments: Sequence[str]) -> None:
    threads_of = [int(arguments[0])] if arguments else [1, 2, 4]
    totals = [int(float(arguments[1]))] if len(arguments) > 1 else [10**5, 10**6, 10**7, 5 * 10**7]
    table = Table(title=f"{os.cpu_count()} cores, two processes")
    for column in ("extension", "threads", "OTs", "seconds", "million/s", "bytes", "bits/OT"):
        table.add_column(column, justify="left" if column == "extension" else "right")
    for total in totals:
        for name, extension in extensions().items():
            sent = sum(extension.sent_bytes(counts_of(total)))
            for threads in threads_of:
                best = min(seconds(threads, name, total) for _ in range(REPEATS))
                rate, bits = f"{total / best / 1e6:.1f}", f"{8 * sent / total:.2f}"
                table.add_row(name, str(threads), f"{total:.0e}", f"{best:.3f}", rate, str(sent), bits)
    Console(width=110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
