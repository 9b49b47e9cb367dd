"""Reading and checking a program folder: PROG/ as the dealer sees it, PROG/party0 and PROG/party1.

Each of the three has a manifest.json with the keys

    format   1
    party    0 or 1; absent in PROG/manifest.json
    program  what both parties must agree on: name, digests of both program texts, formats, options.
             PROG and PROG/party0 also have `model_sha256` in it, which is not part of the program hash
    files    {relative name: SHA-256} of every other file of the folder
    inputs   [{name, shape, dtype, min, max}] of the client, min and max null where unbounded
    outputs  [{name, shape, dtype}]
    sha256   of the manifest's own other keys, see `seal_manifest`
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mpcc.ir.correlation_source import ATTRIBUTE, CorrelationSource
from mpcc.ir.diagnostics import Diagnostics, MpccError

FORMAT = 1
MANIFEST_NAME = "manifest.json"
PROGRAM_NAME = "program.mpc"
WEIGHTS_NAME = "weights.safetensors"
CONSTANTS_NAME = "constants.safetensors"
LOCAL_MODEL_NAME = "local.onnx"
CORRELATIONS_NAME = "correlations.json"
LOCAL_CHECKS = ("none", "keep", "keep_rows", "ids")  # of what the client computes itself, see `sources`
_COMPILE_AGAIN = "copy the folder again and completely, or compile the model again: mpcc compile"


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output; `minimum` and `maximum` bound an input's values, inclusively.

    `owner` of an input is party0, party1 or public; a public one is given by party 1. `reveal` says who
    learns an output: party0, party1 or both.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    minimum: float | None = None
    maximum: float | None = None
    owner: str = "party1"
    reveal: str = "party1"


@dataclass(frozen=True)
class PartyFolder:
    """One party's checked folder. `weights` is party 0's, `local_model` (optional) party 1's; `two_party`:
    the parties make the program's correlations themselves, without a dealer.
    """

    path: Path
    party: int
    manifest: dict[str, Any]
    program_hash: str
    two_party: bool
    program_text: str
    weights: Path | None
    weights_sha256: str | None
    local_model: Path | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class ProgramFolder:
    """The whole checked program, as the dealer reads it."""

    path: Path
    manifest: dict[str, Any]
    program_hash: str
    two_party: bool
    weights_sha256: str
    correlations: Path


def program_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of the `program` section without what only party 0 may know of the model."""
    public = {key: value for key, value in manifest["program"].items() if key != "model_sha256"}
    return _json_digest(public)


def seal_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the digest over its own keys that `read_manifest` checks."""
    return {**manifest, "sha256": _json_digest(manifest)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The folder's manifest, checked for damage and format. Raises MPC-R020, MPC-R021, MPC-R024."""
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise MpccError(
            "MPC-R020",
            "the program must not be read: permission denied" if denied else "there is no program here",
            where=str(path),
            remedy="give the folder that mpcc compile wrote, or its party0 or party1",
        ) from None
    except ValueError:
        raise _damaged(path, "it is not JSON") from None
    if not isinstance(manifest, dict):
        raise _damaged(path, "it is not a JSON object")
    if manifest.get("format") != FORMAT:
        raise MpccError(
            "MPC-R024",
            f"the folder has format {manifest.get('format')!r}, this version reads {FORMAT}",
            where=str(path),
            remedy="compile the model again with this version of mpcc",
        )
    if manifest.pop("sha256", None) != _json_digest(manifest):
        raise _damaged(path, "its checksum is wrong")
    return manifest


def load_party_folder(folder: Path, weights: Path | None = None) -> PartyFolder:
    """Read and check PROG/party0 or PROG/party1; `weights` stands in for the folder's weights file.

    Every file is compared with its checksum. Raises MPC-R020..R024, all offending files at once.
    """
    manifest = read_manifest(folder)
    where = folder / MANIFEST_NAME
    party = manifest.get("party")
    if party not in (0, 1):
        raise MpccError(
            "MPC-R021",
            "this is not the folder of one party",
            where=str(where),
            remedy=f"give {folder / 'party0'} or {folder / 'party1'}",
        )
    files = _checked_files(folder, manifest, {WEIGHTS_NAME: weights} if weights else {})
    if PROGRAM_NAME not in files:
        raise _damaged(where, f"it does not list {PROGRAM_NAME}")
    try:
        _check_local_outputs(manifest.get("local_outputs", []))
        return PartyFolder(
            path=folder,
            party=party,
            manifest=manifest,
            program_hash=program_hash(manifest),
            two_party=_two_party(manifest),
            program_text=files[PROGRAM_NAME].read_text(encoding="utf-8"),
            weights=files.get(WEIGHTS_NAME),
            weights_sha256=manifest["files"].get(WEIGHTS_NAME),
            local_model=files.get(LOCAL_MODEL_NAME),
            inputs=tuple(s for s in _specs(manifest["inputs"]) if (s.owner == "party0") == (party == 0)),
            outputs=_specs(manifest["outputs"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(where, f"a key is missing or wrong: {error}") from None


def load_folder_of_party(folder: Path, party: int, weights: Path | None = None) -> PartyFolder:
    """`load_party_folder` of this party. Raises MPC-R085, too."""
    loaded = load_party_folder(folder, weights)
    if loaded.party != party:
        raise MpccError(
            "MPC-R085",
            f"this is the folder of party {loaded.party}, and that of party {party} is needed",
            where=str(folder),
            remedy=f"give PROG/party{party}",
        )
    return loaded


def load_program_folder(folder: Path, *, whole: bool = True) -> ProgramFolder:
    """Read and check PROG/, with the files its manifest lists. Raises MPC-R020..R024.

    With `whole` false only the manifest and correlations.json are needed: a dealer must not have the weights.
    """
    manifest = read_manifest(folder)
    where = folder / MANIFEST_NAME
    if "party" in manifest:
        raise MpccError(
            "MPC-R021",
            "this is the folder of one party, and that of the whole program is needed",
            where=str(where),
            remedy="give PROG; a dealer needs PROG/manifest.json and PROG/correlations.json only",
        )
    files = _checked_files(folder, manifest, {}, None if whole else {CORRELATIONS_NAME})
    try:
        return ProgramFolder(
            path=folder,
            manifest=manifest,
            program_hash=program_hash(manifest),
            two_party=_two_party(manifest),
            weights_sha256=manifest["files"].get(f"party0/{WEIGHTS_NAME}", ""),
            correlations=files[CORRELATIONS_NAME],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(where, f"a key is missing or wrong: {error}") from None


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_files(
    folder: Path, manifest: dict[str, Any], replacements: dict[str, Path], only: set[str] | None = None
) -> dict[str, Path]:
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise _damaged(folder / MANIFEST_NAME, "it lists no files")
    paths: dict[str, Path] = {}
    with Diagnostics() as diagnostics:
        for name, digest in listed.items():
            if only is not None and name not in only:
                continue
            relative = PurePosixPath(name)
            if relative.is_absolute() or ".." in relative.parts:
                raise _damaged(folder / MANIFEST_NAME, "it lists a file outside the folder")
            path = paths[name] = replacements.get(name, folder / relative)
            try:
                actual = file_sha256(path)
            except (OSError, ValueError):  # the latter for a name that no file can have
                diagnostics.add(
                    "MPC-R022", f"{name} is missing or unreadable", where=str(path), remedy=_COMPILE_AGAIN
                )
                continue
            if actual != digest:
                diagnostics.add(
                    "MPC-R023", f"{name} differs from its checksum", where=str(path), remedy=_COMPILE_AGAIN
                )
    return paths


def _two_party(manifest: dict[str, Any]) -> bool:
    """Raises KeyError, TypeError, ValueError."""
    source = CorrelationSource(manifest["program"]["options"][ATTRIBUTE])
    return source is CorrelationSource.TWO_PARTY


def _specs(entries: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=str(entry["name"]),
            shape=tuple(_size(size) for size in entry["shape"]),
            dtype=_dtype(entry["dtype"]),
            minimum=_bound(entry.get("min")),
            maximum=_bound(entry.get("max")),
            owner=str(entry.get("owner", "party1")),
            reveal=str(entry.get("reveal", "party1")),
        )
        for entry in entries
    )


def _dtype(value: Any) -> str:
    """NumPy's name of a type of numbers or truth values; not all that it takes for a type."""
    named = isinstance(value, str) and value[:1].isalpha() and value.isalnum()
    if not named or np.dtype(value).kind not in "fiub":
        raise ValueError(f"{value!r} is no type of numbers")
    name: str = np.dtype(value).name
    return name


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 48:
        raise ValueError(f"{value!r} is no size of an axis")
    return value


def _bound(value: Any) -> float | None:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return None if value is None else float(value)


def _check_local_outputs(entries: list[dict[str, Any]]) -> None:
    """What `client_arrays` reads. Raises KeyError, TypeError, ValueError, OverflowError."""
    for entry in entries:
        _bound(entry.get("bound"))
        _bound(entry.get("max"))
        if not isinstance(entry["name"], str) or entry["check"] not in LOCAL_CHECKS:
            raise ValueError(f"a local output is checked by {entry['check']!r}")


def _json_digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, how: str) -> MpccError:
    return MpccError("MPC-R021", f"the manifest is damaged: {how}", where=str(path), remedy=_COMPILE_AGAIN)
