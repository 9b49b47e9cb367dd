"""One of SPU's two parties, a process of its own: runs a compiled program on shares, over TCP.

Imported with SPU's interpreter alone.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import spu
from spu import libspu

FRACTION_BITS = 18
PROGRAM, SHARES, RESULT, TIMES, LOG = "program", "shares", "result", "times.json", "log"  # a party's files
PROTOCOLS = ("SEMI2K", "CHEETAH")
CACHING = "caching"  # a program that has weights opened once; a party without one opens them in every run


def configuration(protocol: str) -> libspu.RuntimeConfig:
    """Two parties on 64-bit rings. With SEMI2K the first one makes all correlations, while it runs; with
    CHEETAH both do, by homomorphic encryption and oblivious transfer, and products with what one party has
    are half as dear.
    """
    kind = getattr(libspu.ProtocolKind, protocol)
    made = libspu.RuntimeConfig(kind, libspu.FieldType.FM64, FRACTION_BITS)
    made.experimental_enable_colocated_optimization = protocol == "CHEETAH"
    made.enable_pphlo_profile = True  # for a run's bytes and messages, which only the log shows
    return made


def connect(rank: int, addresses: Sequence[str]) -> libspu.link.Context:
    description = libspu.link.Desc()
    description.recv_timeout_ms = 600_000
    description.http_timeout_ms = 600_000
    for party, address in enumerate(addresses):
        description.add_party(f"party{party}", address)
    return libspu.link.create_brpc(description, rank)


def read_program(path: Path) -> libspu.Executable:
    program = libspu.Executable()
    program.ParseFromString(path.read_bytes())
    return program


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Run a compiled program as one of SPU's two parties.")
    parser.add_argument("folder", type=Path, help="of this party's files")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument(
        "--addresses", nargs=2, required=True, help="of the parties, as this one reaches them"
    )
    parser.add_argument("--repeats", type=int, required=True, help="timed runs, after one that is not timed")
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True)
    options = parser.parse_args(arguments)
    log = libspu.logging.LogOptions()
    log.enable_console_logger, log.system_log_path = False, str(options.folder / LOG)
    libspu.logging.setup_logging(log)
    program = read_program(options.folder / PROGRAM)
    link = connect(options.rank, options.addresses)
    runtime = spu.Runtime(link, configuration(options.protocol))
    with (options.folder / SHARES).open("rb") as file:
        for name in program.input_names:
            runtime.set_var(name, pickle.load(file))
    if (options.folder / CACHING).exists():
        runtime.run(read_program(options.folder / CACHING))
    seconds = []
    for _ in range(1 + options.repeats):
        link.barrier()
        start = time.perf_counter()
        runtime.run(program)
        seconds.append(time.perf_counter() - start)
    with (options.folder / RESULT).open("wb") as file:
        pickle.dump(runtime.get_var(program.output_names[0]), file)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = {"seconds": seconds[1:], "memory": memory}
    (options.folder / TIMES).write_text(json.dumps(measured), encoding="ascii")
    link.barrier()
    link.stop_link()


if __name__ == "__main__":
    main()
