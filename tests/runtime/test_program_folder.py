"""Program folders: what a damaged, foreign or incomplete one says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.runtime.program_folder import (
    load_party_folder,
    load_program_folder,
    program_hash,
    read_manifest,
    seal_manifest,
)
from tests.runtime.fake_program import WEIGHTS, build_program


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return build_program(tmp_path / "prog")


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MpccError) as caught:
        action()
    return caught.value.code


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = read_manifest(folder)
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(seal_manifest(manifest)))


def test_the_three_folders_agree(program: Path) -> None:
    server, client = load_party_folder(program / "party0"), load_party_folder(program / "party1")
    whole = load_program_folder(program)
    assert server.program_hash == client.program_hash == whole.program_hash
    assert (server.party, client.party) == (0, 1)
    assert server.weights == program / "party0/weights.safetensors"
    assert server.weights_sha256 == whole.weights_sha256
    assert (client.weights, client.weights_sha256, client.local_model) == (None, None, None)
    assert client.inputs[0].shape == (8,)
    assert (client.inputs[0].minimum, client.inputs[0].maximum) == (0, 100)


def test_party_1_does_not_depend_on_the_weights(program: Path, tmp_path: Path) -> None:
    other = build_program(tmp_path / "other", weights=WEIGHTS + np.uint64(1))
    for name in ("manifest.json", "program.mpc", "run"):
        assert (program / "party1" / name).read_bytes() == (other / "party1" / name).read_bytes()
    assert program_hash(read_manifest(program)) == program_hash(read_manifest(other))


def test_the_hash_covers_both_programs(program: Path, tmp_path: Path) -> None:
    other = build_program(tmp_path / "other", ("linear", "linear linear"))
    assert (
        load_party_folder(program / "party0").program_hash != load_party_folder(other / "party0").program_hash
    )


@pytest.mark.parametrize("name", ["program.mpc", "weights.safetensors", "run"])
def test_damaged_files(program: Path, name: str) -> None:
    file = program / "party0" / name
    intact = file.read_bytes()
    flipped = bytearray(intact)
    flipped[len(intact) // 2] ^= 1
    for damaged in (bytes(flipped), intact[:-1], b""):
        file.write_bytes(damaged)
        assert code_of(lambda: load_party_folder(program / "party0")) == "MPC-R023"
    file.unlink()
    assert code_of(lambda: load_party_folder(program / "party0")) == "MPC-R022"


def test_all_damaged_files_are_listed(program: Path) -> None:
    (program / "party0/program.mpc").write_text("other")
    (program / "party0/weights.safetensors").unlink()
    with pytest.raises(MpccErrors) as caught:
        load_party_folder(program / "party0")
    assert [error.code for error in caught.value.errors] == ["MPC-R023", "MPC-R022"]


def test_weights_kept_elsewhere(program: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "weights"
    (program / "party0/weights.safetensors").rename(elsewhere)
    assert load_party_folder(program / "party0", elsewhere).weights == elsewhere
    elsewhere.write_bytes(b"other weights")
    assert code_of(lambda: load_party_folder(program / "party0", elsewhere)) == "MPC-R023"


def test_every_flipped_bit_in_a_manifest_is_seen(program: Path) -> None:
    path = program / "party1/manifest.json"
    intact = path.read_bytes()
    parsed = read_manifest(program / "party1")
    codes = set()
    for position in range(len(intact)):
        flipped = bytearray(intact)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            manifest = read_manifest(program / "party1")
        except MpccError as error:
            codes.add(error.code)
        else:  # a flip in white space changes nothing
            assert manifest == parsed
    assert codes == {"MPC-R021", "MPC-R024"}


@pytest.mark.parametrize("size", [0, 1, 100])
def test_truncated_manifest(program: Path, size: int) -> None:
    os.truncate(program / "party1/manifest.json", size)
    assert code_of(lambda: load_party_folder(program / "party1")) == "MPC-R021"


def test_no_program(tmp_path: Path) -> None:
    assert code_of(lambda: load_party_folder(tmp_path)) == "MPC-R020"
    assert code_of(lambda: load_program_folder(tmp_path / "nowhere")) == "MPC-R020"


def test_the_whole_program_is_no_party(program: Path) -> None:
    assert code_of(lambda: load_party_folder(program)) == "MPC-R021"


def test_a_later_format(program: Path) -> None:
    rewrite(program / "party1", lambda manifest: manifest.update(format=2))
    assert code_of(lambda: load_party_folder(program / "party1")) == "MPC-R024"


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("inputs"),
        lambda manifest: manifest.pop("outputs"),
        lambda manifest: manifest.pop("program"),
        lambda manifest: manifest.pop("files"),
        lambda manifest: manifest["files"].pop("program.mpc"),
        lambda manifest: manifest["files"].update({"../party0/weights.safetensors": "00"}),
        lambda manifest: manifest["files"].update({"/etc/hostname": "00"}),
        lambda manifest: manifest["inputs"][0].pop("shape"),
        lambda manifest: manifest["inputs"][0].update(shape=["n"]),
        lambda manifest: manifest["inputs"][0].update(dtype="no such dtype"),
        lambda manifest: manifest["inputs"][0].update(min="low"),
        lambda manifest: manifest.update(inputs=[3]),
        lambda manifest: manifest.update(program=[]),
    ],
)
def test_manifests_that_lack_something(program: Path, change: Callable[[dict[str, Any]], object]) -> None:
    rewrite(program / "party1", change)
    assert code_of(lambda: load_party_folder(program / "party1")) == "MPC-R021"
