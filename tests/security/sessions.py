"""Compiled programs run between two parties in one process, with everything that party 1 receives kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import onnx

from mpcc.compiler.choose.experts.request import ExpertsRequest
from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.parser import parse
from mpcc.ir.program import Operation, Program
from mpcc.passes.approximations.parse import BEST
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.program_folder import CONSTANTS_NAME, PartyFolder, load_party_folder
from mpcc.runtime.sources import Sources, client_arrays
from mpcc.runtime.stored_arrays import load_arrays
from tests.runtime.protocols.harness import run_both, seed_pair
from tests.runtime.protocols.uniformity import SMALLEST_P, p_value

MODELS = Path(__file__).parent.parent / "models"
CHEAPEST = ExpertsRequest()
Arrays = dict[str, np.ndarray]
Change = Callable[[np.ndarray], np.ndarray]


def compiled(
    model: Path,
    output: Path,
    ranges: Path | None = None,
    preset: str = BEST,
    experts: ExpertsRequest = CHEAPEST,
) -> Path:
    request = Request(model, output, ranges=ranges, preset=preset, experts=experts)
    compile_model(request, lambda line: None)
    return output


def with_other_weights(program: Path, model: Path, folder: Path, change: Change) -> Path:
    """The same graph in a file of the same name, every array of floats changed.

    Those that its `program` lists as public stay as they are.
    """
    manifest = json.loads((program / "manifest.json").read_text())
    public = {entry["name"] for entry in manifest["public"]}
    proto = onnx.load(model)
    for initializer in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(initializer)
        if array.dtype == np.float32 and array.size > 1 and initializer.name not in public:
            changed = np.asarray(change(array), dtype=np.float32)
            initializer.CopyFrom(onnx.numpy_helper.from_array(changed, initializer.name))
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, folder / model.name)
    return folder / model.name


@dataclass
class View:
    """`received` is what party 1 got online, tick by tick; `sent` what it sent."""

    outputs: Arrays
    received: list[bytes]
    sent: list[bytes]
    setup: bytes
    corrections: bytes
    program: Program


@dataclass(frozen=True)
class Loaded:
    """A program as its dealer and its parties read it."""

    operations: list[Operation]
    folders: tuple[PartyFolder, PartyFolder]
    programs: tuple[Program, Program]

    @cached_property
    def linked(self) -> list[Operation]:
        return plan.link(self.programs[1])


@lru_cache(maxsize=16)
def loaded(program: Path) -> Loaded:
    first, second = (load_party_folder(program / f"party{index}") for index in (0, 1))
    operations = plan.from_json((program / "correlations.json").read_text())
    return Loaded(operations, (first, second), (parse(first.program_text), parse(second.program_text)))


def run_session(program: Path, inputs: Arrays, number: int) -> View:
    """One session with the seeds of that number."""
    this = loaded(program)
    seeds, mask_seed = seed_pair(number), seed_pair(number + 10**6)[0]
    payload = b"".join(Dealing(seeds, mask_seed).corrections(this.operations))
    offsets, length = plan.offsets(this.linked)
    assert length == len(payload)
    parties = []
    for index, (folder, text) in enumerate(zip(this.folders, this.programs, strict=True)):
        arrays = client_arrays(folder.local_model, folder.manifest["local_outputs"], inputs) if index else {}
        sources = Sources(arrays, load_arrays(folder.weights), load_arrays(folder.path / CONSTANTS_NAME))
        correlations = CorrelationSource(index, seeds[index], memoryview(payload if index else b""), offsets)
        parties.append(Interpreter(text, index, sources, correlations))
    pieces = list(parties[0].setup_message(mask_seed))
    parties[1].prepare(pieces)
    outputs, transcripts = run_both(parties)
    assert not outputs[0]  # party 0 learns nothing
    return View(outputs[1], transcripts[0], transcripts[1], b"".join(pieces), payload, this.programs[1])


def masked(view: View, messages: list[bytes]) -> bytes:
    """All but the last message, which holds the reveal."""
    assert [o.kind for o in plan.link(view.program)].count("reveal") == 1
    return b"".join(messages[:-1])


def assert_uniform_bytes(data: bytes) -> None:
    array = np.frombuffer(data, dtype=np.uint8)
    assert array.size > 50_000
    assert p_value(np.bincount(array, minlength=256)) > SMALLEST_P
    assert p_value(np.bincount(array[1:] ^ array[:-1], minlength=256)) > SMALLEST_P
