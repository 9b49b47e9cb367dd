"""A manifest as a party, the dealer and the checks of the client's arrays read it.

Its checksum is made right again after most changes: whoever changes a folder can do that, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import (
    MANIFEST_NAME,
    load_party_folder,
    load_program_folder,
    seal_manifest,
)
from mpcc.runtime.sources import client_arrays
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.mutate.tree import mutate_tree
from tests.fuzz.target import Target, memory_folder
from tests.fuzz.windows import compiled_windows

FILES = (
    *(
        "program.mpc",
        "weights.safetensors",
        "constants.safetensors",
        "local.onnx",
        "run",
        "correlations.json",
    ),
    *("party0/weights.safetensors", "party0/program.mpc", "party1/program.mpc", "report.html"),
)
_DIGESTS = {name: hashlib.sha256(name.encode()).hexdigest() for name in FILES}
MOST_ELEMENTS = 1 << 16  # of arrays that are made here
RAW_SHARE = 0.1


class Manifest(Target):
    name: ClassVar[str] = "manifest"
    max_bytes: ClassVar[int] = 8192

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        self._folder = Path(self._scratch.name)
        for name in FILES:  # each holds its name
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)

    def run(self, data: bytes) -> None:
        (self._folder / MANIFEST_NAME).write_bytes(data)
        for whole in (True, False):
            with contextlib.suppress(MpccError):
                load_program_folder(self._folder, whole=whole)
        folder = load_party_folder(self._folder)
        if sum(math.prod(spec.shape) for spec in folder.inputs) <= MOST_ELEMENTS:
            arrays = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in folder.inputs}
            client_arrays(None, folder.manifest.get("local_outputs", []), arrays)

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        try:
            manifest = json.loads(data)
        except (ValueError, RecursionError):
            return mutate_bytes(data, random, max_bytes)
        if random.random() < RAW_SHARE or not isinstance(manifest, dict):
            return mutate_bytes(data, random, max_bytes)
        changed = mutate_tree(manifest, random)
        if isinstance(changed, dict):
            changed.pop("sha256", None)
            changed = seal_manifest(changed)
        return json.dumps(changed).encode()

    def seeds(self) -> Iterable[bytes]:
        for path in compiled_windows().glob("**/manifest.json"):
            manifest = json.loads(path.read_bytes())
            del manifest["sha256"]
            for name in manifest["files"]:
                manifest["files"][name] = _DIGESTS.get(name, "")
            yield json.dumps(seal_manifest(manifest)).encode()
