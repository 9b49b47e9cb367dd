"""Constants beside the text: exact, deterministic, only what operations name; coded errors for bad files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.constants_file import load_constants, save_constants
from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.ir.program import Builder, Program, Stage


def weights_program() -> Program:
    rng = np.random.default_rng(1)
    builder = Builder("p", Stage.SHARE)
    builder.emit("client_input", name="x", fraction=12, shape=(2,))
    for name, shape in [("b w", (3, 4)), ("a", ()), ("empty", (0, 3)), ("b w", (3, 4))]:
        builder.emit("weight", name=name, fraction=14, shape=shape)
        builder.program.constants[name] = rng.standard_normal(shape)
    builder.emit("constant", name="integers", fraction=0, shape=(4, 2))
    builder.program.constants["integers"] = np.arange(8, dtype=np.int64).reshape(2, 4).T  # not contiguous
    builder.program.constants["unused"] = np.ones(5)
    return builder.program


def test_named_constants_come_back_exactly_and_others_do_not(tmp_path: Path) -> None:
    program = weights_program()
    path = tmp_path / "weights.safetensors"
    save_constants(program, path)
    again = Program(program.name, program.stage, program.operations)
    load_constants(again, path)
    assert set(again.constants) == {"b w", "a", "empty", "integers"}
    for name, array in again.constants.items():
        assert array.dtype == program.constants[name].dtype
        np.testing.assert_array_equal(array, program.constants[name], strict=True)
    again.operations = again.operations[:2]
    load_constants(again, path)
    assert set(again.constants) == {"b w"}
    first = path.read_bytes()
    program.constants = dict(reversed(program.constants.items()))
    save_constants(program, path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_missing_and_misshapen_constants_are_all_listed(tmp_path: Path) -> None:
    program = weights_program()
    path = tmp_path / "weights.safetensors"
    program.constants["a"] = np.ones(1)
    del program.constants["integers"]
    with pytest.raises(MpccErrors) as caught:
        save_constants(program, path)
    assert [(e.code, e.message) for e in caught.value.errors] == [
        ("MPC-I030", "constant 'a' has shape (1,), the program says ()"),
        ("MPC-I030", "constant 'integers' is missing"),
    ]
    assert not path.exists()
    program.operations = [o for o in program.operations if o.attributes["name"] not in ("a", "integers")]
    save_constants(program, path)
    with pytest.raises(MpccErrors, match="constant 'a' is missing"):
        load_constants(weights_program(), path)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(MpccError, match="MPC-I031"):
        save_constants(weights_program(), target)
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(MpccError, match="MPC-I031"):
        save_constants(weights_program(), tmp_path / "none" / "weights.safetensors")


def test_bad_files_give_a_coded_error(tmp_path: Path) -> None:
    program = weights_program()
    path = tmp_path / "weights.safetensors"
    with pytest.raises(MpccError, match="MPC-I032"):
        load_constants(program, path)
    with pytest.raises(MpccError, match="MPC-I032"):
        load_constants(program, tmp_path)
    save_constants(program, path)
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    for position in range(0, header, 3):
        damaged = bytearray(data)
        damaged[position] ^= 0x11
        path.write_bytes(damaged)
        with suppress(MpccError):  # a flipped bit of a name's spelling or of a dtype may still be a file
            load_constants(program, path)
    for length in range(0, len(data), 17):
        path.write_bytes(data[:length])
        with pytest.raises(MpccError, match="MPC-I032"):
            load_constants(program, path)
