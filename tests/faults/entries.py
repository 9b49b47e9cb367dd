"""What the processes of these tests run. Every correlation session that one of them opens is noted."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509

# imported once, before processes are forked: what a command imports only when it is needed
from mpcc.runtime import executor, kernels  # noqa: F401
from mpcc.runtime.commands import deal as deal_command
from mpcc.runtime.commands import dealer as dealer_command
from mpcc.runtime.commands import infer as infer_command
from mpcc.runtime.commands import party as party_command
from mpcc.runtime.commands import prepare as prepare_command
from mpcc.runtime.commands import serve as serve_command
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.tls import CERTIFICATE_NAME, SIDES, Credentials, make_context, peer_of
from tests.faults.processes import AUDIT
from tests.runtime.fake_program import FakeProgram

_taken = Store._session


def _noted(store: Store, *arguments: Any) -> Session:
    """`Store._session`, after which the session's bytes can be read: the note comes first."""
    row = arguments[0]
    with open(os.environ[AUDIT], "ab", buffering=0) as file:
        file.write(f"{store._index.owner.party} {row.id.hex()}\n".encode())
    return _taken(store, *arguments)


def _audited() -> None:
    if AUDIT in os.environ:
        Store._session = _noted  # type: ignore[method-assign, assignment]


def party(folder: Path, arguments: list[str]) -> int:
    """PROG/partyN/run of the tests' small program."""
    _audited()
    return party_command.main(folder, arguments, FakeProgram)


def compiled_party(folder: Path, arguments: list[str]) -> int:
    """PROG/partyN/run of a compiled program."""
    _audited()
    return party_command.main(folder, arguments)


def serve(arguments: list[str]) -> int:
    """`mpcc serve` of the tests' small program."""
    _audited()
    return serve_command.main(arguments, FakeProgram)


def infer(arguments: list[str]) -> int:
    """`mpcc infer` of the tests' small program."""
    _audited()
    return infer_command.main(arguments, FakeProgram)


def deal(arguments: list[str]) -> int:
    """`mpcc deal`."""
    return deal_command.main(arguments)


def with_little_room(bytes_: int, entry: Callable[..., int], *arguments: object) -> int:
    """What `entry` does where no file may become longer than this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))
    return entry(*arguments)


def impostor(entry: Callable[..., int], *arguments: object) -> int:
    """What `entry` does with a certificate that it should not show: nothing on this side objects."""
    Credentials.load = _load_anything  # type: ignore[method-assign]
    Credentials.require = lambda self, role: None  # type: ignore[method-assign]
    return entry(*arguments)


def _load_anything(folder: Path) -> Credentials:
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE_NAME).read_bytes())
    return Credentials(peer_of(certificate), *(make_context(folder, side) for side in SIDES))


def dealer(arguments: list[str]) -> int:
    """`mpcc dealer`."""
    return dealer_command.main(arguments)


def prepare(arguments: list[str]) -> int:
    """`mpcc prepare`."""
    return prepare_command.main(arguments)


def prepare_between(arguments: list[str]) -> int:
    """`mpcc prepare` of the tests' small program whose parties make their correlations."""
    return prepare_command.main(arguments, FakeProgram)
