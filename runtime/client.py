"""The client's side as a Python object, shaped like onnxruntime's InferenceSession.

import mpcc

with mpcc.connect("server:7000", "prog/party1", "store/party1", tls="certs/party1") as session:
    (logits,) = session.run(None, {"input_ids": ids})
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.error_codes import ERROR_CODES
from mpcc.ir.range_checks import refuse_exceeded
from mpcc.runtime.arrays_file import Arrays, check_inputs
from mpcc.runtime.correlation_source import require_dealer
from mpcc.runtime.dealing.keeper import Keeper, Water
from mpcc.runtime.dealing.supply import Dealer, fill
from mpcc.runtime.handshake import Limits
from mpcc.runtime.prepare import Prepare, prepared_program, workshop_of
from mpcc.runtime.program_folder import PartyFolder, TensorSpec, load_folder_of_party
from mpcc.runtime.report import Report, party_report
from mpcc.runtime.session import Executor, Progress, SessionResult, run_session
from mpcc.runtime.sources import client_inputs
from mpcc.runtime.store.opening import open_or_create, open_store_of
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.channel_errors import PeerError
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT, LONGEST_TIMEOUT
from mpcc.runtime.transport.tcp import connect as connect_to
from mpcc.runtime.transport.tls import Credentials, Role, Security
from mpcc.runtime.two_party.just_in_time import Workshop

_LATER = ("MPC-R004", "MPC-R080", "MPC-R081")  # a server that hangs up at the door, is busy, is shutting down
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds before such a server is asked again, doubled each time
_ONNX_TYPES = {"float32": "float", "float64": "double", "float16": "float16"}  # others by NumPy's name


@dataclass(frozen=True)
class NodeArg:
    """An input or output, as onnxruntime describes one."""

    name: str
    shape: list[int]
    type: str


@dataclass(frozen=True)
class Server:
    """Where party 0 listens, how it is reached, and how long it is waited for."""

    address: Address
    security: Security
    limits: Limits


def ask(
    server: Server,
    folder: PartyFolder,
    store: Store | None,
    executor: Executor,
    arrays: Arrays,
    progress: Progress,
    workshop: Workshop | None = None,
) -> SessionResult:
    """One session with the server; one that is busy is asked again, for as long as silence is borne. No
    session is spent on that.

    With a `workshop` its correlations are made where the stores have none in common. `arrays` are party 1's
    of the secure program, as `client_inputs` makes them. Raises MPC-R003.., MPC-R045, MPC-S006.., and
    MPC-R004, MPC-R080 and MPC-R081 if it is still so.
    """
    deadline = time.monotonic() + server.limits.silence_seconds
    pause = _FIRST_PAUSE
    while True:
        if store is not None and workshop is None:
            store.require_unused()
        spent: list[bool] = []
        try:
            channel = connect_to(server.address, server.limits.silence_seconds, server.security, Role.PARTY0)
            result = run_session(
                folder,
                channel,
                store,
                executor,
                arrays,
                progress,
                server.limits,
                taken=partial(spent.append, True),
                workshop=workshop,
            )
        except MpccError as error:
            code = error.peer_code if isinstance(error, PeerError) else error.code
            if code not in _LATER or spent:
                raise
            if time.monotonic() + pause > deadline:
                raise MpccError(
                    code,
                    f"{ERROR_CODES[code]} (asked for {server.limits.silence_seconds:g} s)",
                    where=str(server.address),
                    remedy="ask again later, or raise --timeout",
                ) from None
            time.sleep(pause * random.uniform(0.5, 1.0))  # not all at the same time
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        refuse_exceeded(result.exceeded)  # after the session's end: the other party must not see it fail
        return result


class InferenceSession:
    """Answers from a server. Threads may share it: each `run` is a connection and a session of its own."""

    def __init__(
        self,
        server: Server,
        folder: PartyFolder,
        store: Store,
        supply: Dealer | None,
        water: Water,
        prepare: Prepare = prepared_program,
    ) -> None:
        """See `connect`. With `supply` the store is filled in the background when it runs low."""
        self._server = server
        self._folder = folder
        self._outputs = [spec for spec in folder.outputs if spec.reveal != "party0"]
        self._store = store
        self._prepared = prepare(folder)
        self._workshop = workshop_of(folder, self._prepared, None)
        self._open = contextlib.ExitStack()
        self._closed = False
        self._running = 0
        self._lock = threading.Lock()
        self._last: SessionResult | None = None
        self.supply_error: MpccError | None = None
        self._supply = supply
        if supply is not None:
            self._open.enter_context(Keeper(folder, store, supply, water, self._supply_failed))

    def get_inputs(self) -> list[NodeArg]:
        """Those that this party gives."""
        return [_node_arg(spec) for spec in self._folder.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Those that are revealed to this party."""
        return [_node_arg(spec) for spec in self._outputs]

    @property
    def last_report(self) -> Report:
        """What the run that ended last cost: rounds, bytes, seconds, by operation too; see `party_report`.
        Empty before the first.
        """
        return party_report(1, self._last) if self._last else {}

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]:
        """The outputs of these names, or all, for arrays by input name.

        Inputs are checked before a session is spent. Raises MPC-R031..R036 and MPC-R044 for them,
        MPC-R038 for an unknown output, what `ask` raises, and ValueError after `close`.
        """
        names = [spec.name for spec in self._outputs]
        unknown = sorted(set(output_names or ()) - set(names))
        if unknown:
            raise MpccError(
                "MPC-R038",
                f"the program has no output {', '.join(map(repr, unknown))}",
                remedy=f"its outputs are: {', '.join(names)}",
            )
        inputs = {name: np.asarray(array) for name, array in input_feed.items()}
        check_inputs(inputs, self._folder.inputs, "input_feed")
        arrays = client_inputs(self._folder, inputs)
        with self._using_store() as store:
            if self._supply is not None and not store.count_unused():
                fill(self._folder, store, self._supply, 1, _silent)
            result = ask(
                self._server, self._folder, store, self._prepared.execute, arrays, _silent, self._workshop
            )
        self._last = result
        return [result.outputs[name] for name in output_names or names]

    def close(self) -> None:
        """Runs in other threads go on, and the last to end closes the store; new ones are refused."""
        self._open.close()
        with self._lock:
            self._closed = True
            if not self._running:
                self._store.close()

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _using_store(self) -> Iterator[Store]:
        with self._lock:
            if self._closed:
                raise ValueError("the session with the server is closed")
            self._running += 1
        try:
            yield self._store
        finally:
            with self._lock:
                self._running -= 1
                if self._closed and not self._running:
                    self._store.close()

    def _supply_failed(self, error: MpccError) -> None:
        self.supply_error = error


def connect(
    address: str,
    program: str | Path,
    store: str | Path,
    *,
    tls: str | Path | None = None,
    insecure_plaintext: bool = False,
    store_key: str | Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    session_seconds: float = math.inf,
    dealer: str | None = None,
    low_water: int = 1,
    high_water: int = 4,
) -> InferenceSession:
    """A session with the server at HOST:PORT, for party 1's program folder and store.

    `tls` is the folder of this client's certificate, `store_key` the key file of a store that is encrypted.
    `timeout` seconds of silence end a run, and so does one that takes `session_seconds`. With `dealer`, the
    HOST:PORT of `mpcc dealer`, a missing store is made, and filled up to `high_water` unused sessions when it
    has `low_water` or fewer; what went wrong with that is `supply_error`. Where the two parties make a
    program's correlations themselves, a missing store is made, too, and a run makes what the stores lack.

    Nothing is sent before the first `run`. Raises MPC-R020..R024, MPC-R043, MPC-R051..R053, MPC-R072,
    MPC-R074, MPC-R085, MPC-S001..S005, MPC-S011, MPC-S015..S018, and ValueError for an address or a time that
    is none.
    """
    where = Address.parse(address)
    dealer_address = Address.parse(dealer) if dealer is not None else None
    if not (0 < timeout <= LONGEST_TIMEOUT and session_seconds > 0):
        raise ValueError(f"`timeout` is up to {LONGEST_TIMEOUT:g} seconds; both times are above 0")
    water = Water(low_water, high_water)
    security = Security(None, insecure_plaintext)
    if tls is not None:
        credentials = Credentials.load(Path(tls))
        credentials.require(Role.PARTY1)
        security = Security(credentials)
    folder = load_folder_of_party(Path(program), 1)
    if dealer_address is not None:
        require_dealer(folder)
    key = StoreKey.load(Path(store_key)) if store_key is not None else None
    supply = Dealer(dealer_address, security, timeout) if dealer_address is not None else None
    opening = open_or_create if supply or folder.two_party else open_store_of
    opened = opening(folder, Path(store), key)
    server = Server(where, security, Limits(timeout, session_seconds))
    return InferenceSession(server, folder, opened, supply, water)


def _silent(done: int, total: int) -> None:
    """Progress that nobody is told."""


def _node_arg(spec: TensorSpec) -> NodeArg:
    dtype = spec.dtype
    return NodeArg(spec.name, list(spec.shape), f"tensor({_ONNX_TYPES.get(dtype, dtype)})")
