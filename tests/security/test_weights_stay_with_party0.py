"""What party 1 and the dealer hold is independent of the weights, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.runtime.dealing.offline import deal_sessions
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.store.store import Store
from tests.compiler.graphs import DENSE
from tests.security.sessions import MODELS, Change, compiled, with_other_weights

EXPERTS = ("moe_dense_top1.legacy17", "mixtral.dynamo20")
CHANGES: dict[str, Change] = {
    "others": lambda w: w * 0.7 + np.random.default_rng(3).normal(0, 0.05, w.shape),
    "zeros": np.zeros_like,
    "ones": np.ones_like,
    "all alike": lambda w: np.full_like(w, w.flat[0]),
    "equal rows": lambda w: np.broadcast_to(w[:1], w.shape),
    "equal columns": lambda w: np.broadcast_to(w[..., :1], w.shape),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize("name", [*DENSE, *EXPERTS])
def test_party1_and_the_dealer_see_no_weight(tmp_path: Path, name: str) -> None:
    model = MODELS / f"{name}.onnx"
    ranges = compiled(model, tmp_path / "first") / "ranges.json"
    original = compiled(model, tmp_path / "original", ranges)
    expected = contents(original / "party1")
    assert set(expected) >= {"manifest.json", "program.mpc", "run", "constants.safetensors"}
    assert "weights.safetensors" not in expected
    for title, change in CHANGES.items():
        changed = with_other_weights(original, model, tmp_path / "other", change)
        other = compiled(changed, tmp_path / title, ranges)
        assert contents(other / "party1") == expected, title
        assert (other / "correlations.json").read_bytes() == (original / "correlations.json").read_bytes()
        assert (other / "party0" / "program.mpc").read_bytes() == (
            original / "party0" / "program.mpc"
        ).read_bytes()
        assert (other / "party0" / "weights.safetensors").read_bytes() != (
            original / "party0" / "weights.safetensors"
        ).read_bytes()


def test_a_dealt_store_keeps_each_partys_secrets_apart(tmp_path: Path) -> None:
    """Every session's seeds are new; neither store holds the other's, and only party 0 the weight masks'."""
    program = compiled(MODELS / "vit.legacy17.onnx", tmp_path / "program")
    deal_sessions(program, 2, tmp_path / "store", lambda done, total: None)
    files = [contents(tmp_path / "store" / f"party{party}") for party in (0, 1)]
    whole = [b"".join(parts.values()) for parts in files]
    sizes = [sorted(map(len, parts.values())) for parts in files]
    sessions = []
    for party in (0, 1):
        folder = load_party_folder(program / f"party{party}")
        store = Store(tmp_path / f"store/party{party}", party, folder.program_hash, folder.weights_sha256)
        sessions.append([store.take(session_id) for session_id in store.unused(2)])
    seeds = [[session.seed for session in party] for party in sessions]
    [mask_seed] = {session.weight_mask_seed for session in sessions[0]}
    assert mask_seed is not None
    assert {session.weight_mask_seed for session in sessions[1]} == {None}
    assert mask_seed in whole[0]
    assert mask_seed not in whole[1]
    assert mask_seed.hex().encode() not in whole[1]
    assert len({*seeds[0], *seeds[1], mask_seed}) == 5
    for party in (0, 1):
        assert len(seeds[party]) == 2
        for seed in seeds[party]:
            assert seed in whole[party]
            assert seed not in whole[1 - party]
    assert sizes[0][0] < 1000  # party 0's part is its seed
    assert sessions[1][0].payload[:] != sessions[1][1].payload[:]
