"""A network between two parties on this machine: a relay process that delays bytes and limits their rate.

    python -m tests.benchmarks.harness.relay --network 40,100 --to 0=127.0.0.1:7000 [--to 1=127.0.0.1:7001]

Prints {"ports": [...]}, one port for each --to in their order: who connects to it is connected to that
party's address. It runs until its standard input ends; `relay` starts and ends it. In each direction, to
party 0 and to party 1, all connections share one link: a byte waits for those before it, takes 8 / rate, and
arrives half a round trip later. The rate counts payload. There is no loss, no slow start, and no delay in
connecting.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mpcc.compiler.cost.network import BITS_PER_BYTE, Network, parse_network

CHUNK_BYTES = 1 << 16
SPIN_SECONDS = 1e-4  # a sleep ends so much too late, so the end of a wait is spent polling
QUEUE_BYTES = 1 << 20  # what a connection may have waiting, beside what the link itself holds


@contextmanager
def relay(network: Network, targets: Mapping[int, int]) -> Iterator[dict[int, int]]:
    """A relay process in front of ports of this machine: {party: port that it listens on}, and the ports to
    connect to instead.
    """
    wanted = [word for party, port in targets.items() for word in ("--to", f"{party}=127.0.0.1:{port}")]
    shape = f"{network.rtt_ms!r},{network.mbit!r}"
    command = [sys.executable, "-m", "tests.benchmarks.harness.relay", "--network", shape, *wanted]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield dict(zip(targets, json.loads(process.stdout.readline())["ports"], strict=True))
        finally:
            process.stdin.close()  # which ends it
            process.wait()


@dataclass
class Link:
    """One direction. `free` is when the last byte so far will have left the sender."""

    delay: float  # seconds
    rate: float  # bytes a second
    free: float = 0.0

    @property
    def capacity(self) -> float:
        """Bytes under way at full rate."""
        return self.delay * self.rate

    def arrival(self, now: float, size: int) -> float:
        """When bytes that are handed over now will have arrived."""
        self.free = max(now, self.free) + size / self.rate
        return self.free + self.delay


@dataclass
class Pipe:
    """What flows from one socket to another over a link."""

    source: socket.socket
    sink: socket.socket
    link: Link
    queue: deque[tuple[float, memoryview]] = field(default_factory=deque)
    queued: int = 0
    ended: bool = False  # nothing more comes from the source
    done: bool = False

    @property
    def reads(self) -> bool:
        return not self.ended and self.queued < self.link.capacity + QUEUE_BYTES

    @property
    def due(self) -> float:
        """When the sink gets the next bytes."""
        return self.queue[0][0] if self.queue else float("inf")

    def read(self) -> None:
        try:
            data = self.source.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.queue.append((self.link.arrival(time.perf_counter(), len(data)), memoryview(data)))
            self.queued += len(data)
        else:
            self.ended = True

    def write(self, now: float) -> None:
        """Pass on what has arrived, as far as the sink takes it."""
        try:
            while self.due <= now:
                arrival, data = self.queue.popleft()
                sent = self.sink.send(data)
                self.queued -= sent
                if sent < len(data):
                    self.queue.appendleft((arrival, data[sent:]))
                    return
            if self.ended and not self.queue:
                self.done = True
                self.sink.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.queue.appendleft((arrival, data))
        except OSError:  # the sink is gone: so is what was on its way
            self.queue.clear()
            self.queued, self.ended, self.done = 0, True, True


class Relay:
    """The links, the listening sockets by the party behind them, and the connections."""

    def __init__(self, network: Network, targets: Sequence[tuple[int, tuple[str, int]]]) -> None:
        delay, rate = network.rtt_ms / 2e3, network.mbit * 1e6 / BITS_PER_BYTE
        self._links = [Link(delay, rate), Link(delay, rate)]  # by the party that they lead to
        self._listening = {socket.create_server(("127.0.0.1", 0)): target for target in targets}
        self._pipes: list[Pipe] = []
        self.ports = [server.getsockname()[1] for server in self._listening]

    def serve(self, ended: int) -> None:
        """Until the file descriptor `ended` can be read."""
        while True:
            now = time.perf_counter()
            readable: list[Any] = [ended, *self._listening, *(p.source for p in self._pipes if p.reads)]
            late = [p.sink for p in self._pipes if p.due <= now]
            waiting = [p.due - now for p in self._pipes if p.queue and p.due > now]
            timeout = max(min(waiting) - SPIN_SECONDS, 0) if waiting else None
            found, _, _ = select.select(readable, late, [], timeout)
            if ended in found:
                return
            self._accept(found)
            for pipe in self._pipes:
                if pipe.source in found:
                    pipe.read()
            now = time.perf_counter()
            for pipe in self._pipes:
                if not pipe.done:
                    pipe.write(now)
            self._forget()

    def _accept(self, found: Sequence[object]) -> None:
        for server, (party, address) in self._listening.items():
            if server in found:
                near, _ = server.accept()
                try:
                    far = socket.create_connection(address)
                except OSError:
                    near.close()  # as if refused
                    continue
                for connection in (near, far):
                    connection.setblocking(False)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pipes.append(Pipe(near, far, self._links[party]))
                self._pipes.append(Pipe(far, near, self._links[1 - party]))

    def _forget(self) -> None:
        """Close connections that ended both ways."""
        open_pipes = {id(p.source) for p in self._pipes if not p.done}
        open_pipes |= {id(p.sink) for p in self._pipes if not p.done}
        for pipe in self._pipes:
            if id(pipe.source) not in open_pipes:
                pipe.source.close()
        self._pipes = [p for p in self._pipes if id(p.source) in open_pipes]


def _target(text: str) -> tuple[int, tuple[str, int]]:
    party, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    return (0, 1).index(int(party)), (host, int(port))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Delay bytes between two parties and limit their rate.")
    parser.add_argument("--network", type=parse_network, required=True, metavar="RTT_MS,MBIT")
    parser.add_argument("--to", type=_target, action="append", required=True, metavar="PARTY=HOST:PORT")
    options = parser.parse_args(arguments)
    server = Relay(options.network, options.to)
    print(json.dumps({"ports": server.ports}), flush=True)
    server.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
