"""Silent oblivious transfer: Ferret (Yang, Weng, Lan, Zhang, Wang, CCS 2020) for semi-honest parties.

An iteration takes some correlated OTs, random choices of the receiver, and makes some twenty times as many.
In a tree of seeds of the sender's the receiver learns all leaves but one, of which it knows the leaf xor
Delta: OTs with one choice bit set, at a place given by one OT's random choice a level. The choices of many
trees are the sparse noise, those of further OTs the secret, of an LPN instance, which both ends evaluate on
what they have. The last outputs are kept for the next iteration. One message from the sender an iteration.

The lowest bit of Delta is 1 and that of every q is 0, so that the lowest bit of t is the choice bit and the
code need not be evaluated on bits apart.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot.extension import Receiver, Sender
from mpcc.runtime.two_party.ot.silent_parameters import (
    SEED_BYTES,
    Parameters,
    Stages,
    iterations,
)

KEYS_STREAM = 1  # of the public seed; stream 0 is the code's
LOWEST = np.uint64(1)


@dataclass
class Outputs:
    """An iteration's outputs in order, each made when it is taken: `write(out, first, count)` makes those of
    `count` trees.
    """

    parameters: Parameters
    write: Callable[[U64, int, int], None]
    left: int
    _next_tree: int = 0
    _rest: U64 | None = None  # of the last tree that was begun

    def take(self, out: U64) -> None:
        """Fill `out`, uint64[count, 2], count <= left."""
        self.left -= len(out)
        out = out[self._take_rest(out) :]
        trees = len(out) >> self.parameters.depth
        whole = trees << self.parameters.depth
        if trees:
            self._trees(out[:whole], trees)
        if whole < len(out):
            self._rest = np.empty((1 << self.parameters.depth, 2), dtype=np.uint64)
            self._trees(self._rest, 1)
            self._take_rest(out[whole:])

    def _trees(self, out: U64, count: int) -> None:
        self.write(out, self._next_tree, count)
        self._next_tree += count

    def _take_rest(self, out: U64) -> int:
        if self._rest is None:
            return 0
        taken = min(len(out), len(self._rest))
        out[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:] if taken < len(self._rest) else None
        return taken


class Stock:
    """What both ends do with iterations: begin one when there is nothing left but what it takes itself.

    `begin(channel, parameters, inputs)` exchanges an iteration's message and returns what makes its outputs
    from its inputs; `base(channel, count)` gives the inputs of the first.
    """

    def __init__(
        self,
        stages: Stages,
        base: Callable[[Channel, int], U64],
        begin: Callable[[Channel, Parameters, U64], Callable[[U64, int, int], None]],
    ) -> None:
        self._iterations = iterations(stages)
        self._base = base
        self._begin = begin
        self._outputs: Outputs | None = None
        self._free = 0  # outputs that the next iteration does not take

    def take(self, channel: Channel, count: int) -> U64:
        """The next `count` outputs, uint64[count, 2]."""
        out = np.empty((count, 2), dtype=np.uint64)
        done = 0
        while done < count:
            if self._free == 0:
                self._next_iteration(channel)
            assert self._outputs is not None
            some = min(count - done, self._free)
            self._outputs.take(out[done : done + some])
            self._free -= some
            done += some
        return out

    def _next_iteration(self, channel: Channel) -> None:
        parameters, free = next(self._iterations)
        if self._outputs is None:
            inputs = self._base(channel, parameters.needed)
        else:
            assert self._outputs.left == parameters.needed
            inputs = np.empty((parameters.needed, 2), dtype=np.uint64)
            self._outputs.take(inputs)
        write = self._begin(channel, parameters, inputs)
        self._outputs, self._free = Outputs(parameters, write, parameters.outputs), free


class SilentSender:
    """`delta`: uint64[2], that of `base` with its lowest bit set. `base` serves nothing else: both Deltas are
    one secret.
    """

    def __init__(self, base: Sender, stages: Stages) -> None:
        self._sender = base
        self.delta: U64 = _with_lowest(base.delta.reshape(1, 2), LOWEST)[0]
        self._stock = Stock(stages, self._base, self._begin)

    def extend(self, channel: Channel, count: int) -> U64:
        """As `extension.Sender`; sends `silent_bytes`, beside what `base` exchanges before the first."""
        return self._stock.take(channel, count)

    def _base(self, channel: Channel, count: int) -> U64:
        return _with_lowest(self._sender.extend(channel, count), np.uint64(0))

    def _begin(
        self, channel: Channel, parameters: Parameters, inputs: U64
    ) -> Callable[[U64, int, int], None]:
        trees, depth = parameters.trees, parameters.depth
        seed, table = secrets.token_bytes(SEED_BYTES), inputs[: parameters.secret]
        keys = tree_keys(seed, trees)
        roots = kernels.expand(secrets.token_bytes(16), 0, 2 * trees, 64).reshape(trees, 2)
        sums = kernels.tree_sums(keys, roots, self.delta, depth)
        masked = sums.reshape(-1) ^ inputs[parameters.secret :].reshape(-1)
        channel.exchange(np.concatenate([np.frombuffer(seed, dtype=np.uint64), masked]), 0)

        def write(out: U64, first: int, count: int) -> None:
            some = slice(first, first + count)
            kernels.silent_send(out, table, seed, first, keys[some], roots[some], self.delta, depth)

        return write


class SilentReceiver:
    """`base` serves nothing else."""

    def __init__(self, base: Receiver, stages: Stages) -> None:
        self._receiver = base
        self._stock = Stock(stages, self._base, self._begin)

    def extend(self, channel: Channel, count: int) -> tuple[U64, U64]:
        """As `extension.Receiver`; sends nothing beside what `base` does."""
        received = self._stock.take(channel, count)
        return kernels.lowest_bits(received), received

    def _base(self, channel: Channel, count: int) -> U64:
        choices, received = self._receiver.extend(channel, count)
        return _with_lowest(received, kernels.planes_unpack(choices.reshape(1, -1), count)[0])

    def _begin(
        self, channel: Channel, parameters: Parameters, inputs: U64
    ) -> Callable[[U64, int, int], None]:
        trees, depth = parameters.trees, parameters.depth
        received = channel.exchange(b"", parameters.message_bytes)
        seed, table = bytes(received[:SEED_BYTES]), inputs[: parameters.secret]
        keys = tree_keys(seed, trees)
        pads = inputs[parameters.secret :].reshape(trees, depth, 2)
        sums = np.frombuffer(received, dtype=np.uint64, offset=SEED_BYTES).reshape(trees, depth, 2) ^ pads
        points = noise_points(pads[:, :, 0] & LOWEST)

        def write(out: U64, first: int, count: int) -> None:
            some = slice(first, first + count)
            kernels.silent_receive(out, table, seed, first, keys[some], sums[some], points[some], depth)

        return write


def tree_keys(seed: bytes, trees: int) -> U64:
    """The public keys of an iteration's trees, uint64[trees, 2]: no two trees are hashed with one."""
    return kernels.expand(seed, KEYS_STREAM, 2 * trees, 64).reshape(trees, 2)


def noise_points(choices: U64) -> U64:
    """The leaf of each tree that the receiver does not learn, uint64[trees], from its choice bits
    [trees, depth]: a bit gives it the sum of the left children (0) or of the right ones, and the path goes to
    the other side.
    """
    depth = choices.shape[1]
    places = np.arange(depth - 1, -1, -1, dtype=np.uint64)
    path = np.bitwise_or.reduce((choices ^ LOWEST) << places, axis=1)
    return np.ascontiguousarray(path, dtype=np.uint64)


def _with_lowest(blocks: U64, bits: np.uint64 | np.ndarray) -> U64:
    """uint64[n, 2] with the lowest bits of the low words replaced."""
    out = blocks.copy()
    out[:, 0] = (out[:, 0] & ~LOWEST) | bits
    return out
