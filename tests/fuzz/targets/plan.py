"""The dealer's plan, correlations.json: read as a dealer does, then a small one is dealt from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import ClassVar

from mpcc.runtime.correlations import plan
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.dealing.plan import dealing_plan
from mpcc.runtime.program_folder import CORRELATIONS_NAME, MANIFEST_NAME, file_sha256, seal_manifest
from mpcc.runtime.protocols import protocols
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.mutate.tree import mutate_tree
from tests.fuzz.target import Target, memory_folder
from tests.fuzz.windows import compiled_windows

MOST_ELEMENTS = 1 << 14  # of all slots, where a session is dealt
RAW_SHARE = 0.05


class Plan(Target):
    name: ClassVar[str] = "plan"
    max_bytes: ClassVar[int] = 8192

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        self._folder = Path(self._scratch.name)

    def run(self, data: bytes) -> None:
        path = self._folder / CORRELATIONS_NAME
        path.write_bytes(data)
        files = {CORRELATIONS_NAME: file_sha256(path), "party0/weights.safetensors": "00" * 32}
        manifest = {"format": 1, "program": {}, "files": files}
        (self._folder / MANIFEST_NAME).write_text(json.dumps(seal_manifest(manifest)))
        _, operations = dealing_plan(self._folder)
        _, length = plan.offsets(operations)
        slots = [slot for o in plan.correlated(operations) for slot in protocols[o.kind].slots(o)]
        if sum(slot.count for slot in slots) <= MOST_ELEMENTS:
            pieces = Dealing((b"0" * 16, b"1" * 16), b"2" * 16).corrections(operations)
            assert sum(map(len, pieces)) == length

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        try:
            items = json.loads(data)
        except (ValueError, RecursionError):
            return mutate_bytes(data, random, max_bytes)
        if random.random() < RAW_SHARE:
            return mutate_bytes(data, random, max_bytes)
        return json.dumps(mutate_tree(items, random)).encode()

    def seeds(self) -> Iterable[bytes]:
        plans = [path.read_bytes() for path in compiled_windows().glob("*/correlations.json")]
        return [data for data in plans if len(data) <= self.max_bytes]
