"""SPU itself, where it can be installed."""

import json

import pytest

from tests.benchmarks.peers import spu, spu_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        spu_environment.python()
    except spu_environment.NotInstallable as missing:
        pytest.skip(str(missing))


def test_matrix_product(capsys: pytest.CaptureFixture[str]) -> None:
    """Both factors masked: 64 bits an element each way, and 32 for truncating the result."""
    spu.main(["--work", "matmul", "--repeats", "1"])
    opened, cached = map(json.loads, capsys.readouterr().out.splitlines())
    weights = 768 * 3072 * 8
    others = 128 * 768 * 8 + 128 * 3072 * 4
    assert opened["bytes"] == [weights + others] * 2
    assert cached["bytes"] == [others] * 2
    assert opened["rounds"] == cached["rounds"] == 2
    assert max(opened["max_error"], cached["max_error"]) < 1e-3


def test_layer_norm_through_a_relay(capsys: pytest.CaptureFixture[str]) -> None:
    spu.main(["--work", "layernorm", "--network", "wan", "--repeats", "1"])
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["max_error"] < 0.01
    assert found["seconds"] > found["rounds"] * 0.02  # a message takes half a round trip
