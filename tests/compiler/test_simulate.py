"""The program in the clear: equal to the secure run up to roundings, and close to onnxruntime."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.simulate import in_reals, ring, simulate
from mpcc.ir.program import Value
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ProtocolClass
from mpcc.runtime.protocols.local import SourceProtocol
from mpcc.runtime.ring import I64
from tests.compiler.compiled import MODELS, compile_fixture
from tests.support import secure_run

# How far a secure run may be from the simulation, in units of an output's last place (2^-17): each rounding
# differs by less than one unit of its own, and the layers after it carry that on. Four times what was seen.
UNITS = {
    "bert.legacy17": 400,
    "bert.dynamo20": 400,
    "distilbert.dynamo20": 400,
    "gpt2.dynamo18": 3300,
    "t5enc.legacy17": 2000,
    "vit.legacy17": 400,
    "llama.dynamo20": 1000,
    "llama.dynamo23": 1400,
}


def fixture_arrays(name: str, prefix: str) -> dict[str, np.ndarray]:
    with np.load(MODELS / f"{name}.npz") as archive:
        return {k.removeprefix(prefix): archive[k] for k in archive.files if k.startswith(prefix)}


@pytest.mark.parametrize("name", UNITS)
def test_secure_is_simulated_up_to_roundings_and_costs_what_was_predicted(name: str, tmp_path: Path) -> None:
    folder = compile_fixture(name, tmp_path)
    program, inputs = read_share_program(folder), fixture_arrays(name, "in_")
    secure, simulated = secure_run(folder, inputs, number=0), simulate(folder, inputs)
    assert secure.outputs.keys() == simulated.keys() == program.outputs.keys()
    for output, value in program.outputs.items():
        difference = np.abs(secure.outputs[output].astype(np.float64) - simulated[output])
        assert difference.max() * 2.0 ** ring(value).fraction <= UNITS[name]
        expected = fixture_arrays(name, "out_")[output]
        assert np.abs(simulated[output] - expected).max() <= max(0.01, 0.01 * expected.std())
        assert simulated[output].dtype == expected.dtype
    cost = cost_of(program)
    assert [c.rounds for c in secure.online] == [cost.rounds] * 2
    assert [c.bytes_sent for c in secure.online] == [cost.bytes_party0, cost.bytes_party1]
    assert secure.setup[0].bytes_sent == cost.setup_bytes


def test_values_are_dropped_after_their_last_use(bert_program: Path) -> None:
    inputs = fixture_arrays("bert.legacy17", "in_")
    arrays: list[weakref.ref[I64]] = []
    most = 0

    def watch(value: Value, integers: I64) -> None:
        nonlocal most
        arrays.append(weakref.ref(integers))
        most = max(most, sum(a() is not None for a in arrays))

    simulate(bert_program, inputs, watch=watch)
    assert len(arrays) == len(read_share_program(bert_program).operations)
    assert most < 0.4 * len(arrays)


def test_without_rounding_only_the_approximations_remain(bert_program: Path) -> None:
    inputs = fixture_arrays("bert.legacy17", "in_")
    exact = fixture_arrays("bert.legacy17", "out_")["logits"]
    reals = in_reals(bert_program, inputs)["logits"]
    simulated = simulate(bert_program, inputs)["logits"]
    assert reals.dtype == exact.dtype
    assert 0 < np.abs(reals - exact).max() < 5e-4
    assert np.abs(reals - exact).std() < np.abs(simulated - exact).std()


def test_every_operation_has_both_meanings() -> None:
    for kind, protocol in protocols.items():
        if not issubclass(protocol, SourceProtocol):
            for meaning in ("plain", "real"):
                ours, base = getattr(protocol, meaning), getattr(ProtocolClass, meaning)
                assert ours.__func__ is not base.__func__, (kind, meaning)
