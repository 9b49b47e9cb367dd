"""What the harness relies on when it calls SPU, without SPU."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.peers import spu, spu_environment, spu_work
from tests.benchmarks.rows import ROWS, fixture, operation

FOUND = {"all_seconds": [3.0, 1.0, 2.0], "bytes": [5, 6], "rounds": 7, "max_error": 0.5}
MORE = {"peak_memory_bytes": [8, 9], "versions": {"spu": "0.9.5"}}
KEYS = {"system", "work", "network", "seconds", "setting", *FOUND, *MORE}


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spu_environment, "FOLDER", tmp_path / "environment")
    monkeypatch.setattr(spu_environment, "PYTHONS", ("a-python-that-nobody-has",))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of SPU's interpreter: prints FOUND and MORE, and keeps its arguments in the returned file."""
    script, arguments = tmp_path / "python", tmp_path / "arguments"
    script.write_text(f"#!/bin/sh\necho \"$@\" >> {arguments}\necho '{json.dumps(FOUND | MORE)}'\n")
    script.chmod(0o700)
    monkeypatch.setattr(spu_environment, "python", lambda: script)
    monkeypatch.setattr(spu, "write", lambda name, folder: folder / "spu.npz")
    return arguments


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    spu.main(["--list"])
    assert set(capsys.readouterr().out.split()) == ROWS.keys() - {"moe-layer"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--work", "nothing"],
        ["--work", "gelu", "--network", "moon"],
        ["--work", "gelu", "--repeats", "0"],
    ],
)
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        spu.main(arguments)
    assert ended.value.code == 2


@pytest.mark.usefixtures("no_python")
def test_no_interpreter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        spu.main(["--work", "gelu"])
    printed = capsys.readouterr()
    assert ended.value.code == spu.NOT_INSTALLABLE
    assert printed.out == ""
    (reason,) = printed.err.splitlines()
    assert reason.startswith("SPU 0.9.5 needs a-python-that-nobody-has")


def test_failed_installation() -> None:
    failing = "import sys; print('WARNING: a\\nERROR: no such version\\nhint', file=sys.stderr); sys.exit(1)"
    with pytest.raises(spu_environment.NotInstallable, match=r"installed: ERROR: no such version$"):
        spu_environment._call(sys.executable, "-c", failing)


def test_lines(stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spu.main(["--work", "minilm32", "--repeats", "3"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["system"] for line in lines] == [
        "SPU 0.9.5 SEMI2K",
        "SPU 0.9.5 SEMI2K, weights opened before",
    ]
    assert all(line.keys() == KEYS for line in lines)
    assert lines[0]["seconds"] == 2.0
    assert lines[0]["setting"].endswith("pooling and normalization left out")
    calls = stand_in.read_text().splitlines()
    assert ["--cached" in call for call in calls] == [False, True]


def test_one_line_without_matrices(stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spu.main(["--work", "softmax", "--network", "loopback"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_parties_meet_through_the_relay(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def relay(network: object, targets: dict[int, int]) -> Iterator[dict[int, int]]:
        yield {party: port + 1 for party, port in targets.items()}

    monkeypatch.setattr(spu, "relay", relay)
    monkeypatch.setattr(spu, "free_ports", lambda count: [7000, 7002])
    spu.main(["--work", "gelu", "--network", "wan"])
    (call,) = stand_in.read_text().splitlines()
    assert "--listening 127.0.0.1:7000 127.0.0.1:7002 --reached 127.0.0.1:7001 127.0.0.1:7003" in call


def test_failed_run(stand_in: Path) -> None:
    (stand_in.parent / "python").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(SystemExit, match="broken"):
        spu.main(["--work", "gelu"])


def test_matrix_product(tmp_path: Path) -> None:
    arrays = spu_work.extract(operation("matmul")(tmp_path))
    assert arrays.keys() == {"x", "y", "w000"}
    np.testing.assert_allclose(arrays["y"], arrays["x"] @ arrays["w000"], rtol=1e-4, atol=1e-4)


def test_layer_norm(tmp_path: Path) -> None:
    arrays = spu_work.extract(operation("layernorm")(tmp_path))
    x = arrays["x"].astype(np.float64)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(arrays["y"], normal * arrays["w000"] + arrays["w001"], atol=1e-4)


@pytest.mark.parametrize("name", ["bert.dynamo20", "gpt2.dynamo18"])
def test_layers_start_at_the_embeddings(name: str, tmp_path: Path) -> None:
    """Two layers of width 64 on 16 tokens; their weights in the order in which spu_models takes them."""
    arrays = spu_work.extract(fixture(name)(tmp_path))
    shapes = [array.shape for key, array in sorted(arrays.items()) if key.startswith("w")]
    normal = [(64,), (64,)]
    assert arrays["x"].shape == (1, 16, 64)
    if name.startswith("bert"):
        square = [(64, 64), (64,)]
        layer = square * 4 + normal + [(64, 128), (128,), (128, 64), (64,)] + normal
        assert shapes[: 2 + 2 * len(layer)] == normal + layer * 2
    else:
        block = [*normal, (64, 192), (192,), (64, 64), (64,)]
        block += [*normal, (64, 256), (256,), (256, 64), (64,)]
        assert shapes[:-1] == block * 2 + normal
