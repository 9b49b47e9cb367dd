"""What a server tells others (log, metrics, health) holds no weight, input, output or seed."""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.driver import Request, compile_model
from mpcc.runtime.client import InferenceSession
from mpcc.runtime.client import Server as Address
from mpcc.runtime.dealing.keeper import Water
from mpcc.runtime.dealing.offline import deal_sessions
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.handshake import Limits
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.serving.log import open_log
from mpcc.runtime.serving.server import Served, Server
from mpcc.runtime.store.session_file import SEED_BYTES
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport import address
from mpcc.runtime.transport.tcp import Listener
from mpcc.runtime.transport.tls import Credentials, Security
from tests.compiler.graphs import build

TIMEOUT = 30.0
# their digits may be those of a secret by chance
CLOCKS = re.compile(r'"timestamp": "[^"]*"|_sum [\d.e-]+|_created\S* [\d.e+]+')


def spellings(secret: bytes | np.ndarray) -> set[str]:
    """How a secret could be written."""
    data = secret if isinstance(secret, bytes) else secret.tobytes()
    found = {data.hex(), base64.b64encode(data).decode(), repr(data)[2:-1]}
    if isinstance(secret, np.ndarray):
        found |= {f"{abs(value):.6f}" for value in secret.reshape(-1)}
    return found


def leaked(text: str, held: list[bytes | np.ndarray]) -> set[str]:
    return {spelling for secret in held for spelling in spellings(secret) if spelling in text}


def test_log_and_metrics_hold_no_secret(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bytes | np.ndarray] = []
    made = secrets.token_bytes

    def kept(count: int) -> bytes:
        held.append(made(count))
        return held[-1]  # type: ignore[return-value]

    generator = np.random.default_rng(1)
    weight, x = (generator.standard_normal(shape, np.float32) for shape in ((16, 8), (4, 16)))
    model = build("(float[4, 16] x) => (float[4, 8] y)", "y = MatMul(x, w)", w=weight)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    compile_model(Request(tmp_path / "model.onnx", tmp_path / "prog"), lambda line: None)
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "token_bytes", kept)
        deal_sessions(tmp_path / "prog", 2, tmp_path / "store", lambda done, total: None)
    assert sum(len(token) >= SEED_BYTES for token in held) >= 5  # two seeds a session, the mask's
    folders = [load_party_folder(tmp_path / f"prog/party{party}") for party in (0, 1)]
    stores = [
        Store(tmp_path / f"store/party{f.party}", f.party, f.program_hash, f.weights_sha256) for f in folders
    ]
    served = Served(folders[0], PreparedProgram(folders[0]).execute, None, stores[0])
    credentials = [Security(Credentials.load(certificates / f"party{party}")) for party in (0, 1)]
    with Listener(address.Address("127.0.0.1", 0), credentials[0]) as listener:
        server = Server(served, listener, Limits(TIMEOUT), 2, 2, open_log(tmp_path / "log"))
        server.start()
        where = Address(address.Address("localhost", listener.port), credentials[1], Limits(TIMEOUT))
        with InferenceSession(where, folders[1], stores[1], None, Water(0, 1)) as session:
            held += [x, weight, *session.run(None, {"x": x})]
            stores[0].take(stores[0].unused(1)[0]).close()  # the next session fails
            with pytest.raises(Exception, match="MPC-S010"):
                session.run(None, {"x": x})
        server.close(TIMEOUT)
        told = (tmp_path / "log").read_text() + server.metrics().decode() + server.health()
    told = CLOCKS.sub("", told)
    for expected in ("session ended", "session failed", "mpcc_bytes_total", "shutting down"):
        assert expected in told
    assert not leaked(told, held)
    for secret in held:  # and the search would find each
        assert leaked(told + sorted(spellings(secret))[0], held)
