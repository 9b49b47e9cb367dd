"""The import of a model: everything up to the tensor stage, which then must hold what the verifier asks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import ClassVar

from mpcc.compiler.frontend import import_model
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.verifier import verify
from tests.fuzz import corpus
from tests.fuzz.mutate.model import ModelMutator, parsed
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.target import Target, memory_folder


class OnnxImport(Target):
    name: ClassVar[str] = "onnx_import"
    max_bytes: ClassVar[int] = 32768

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        self._path = Path(self._folder.name) / "model.onnx"
        (Path(self._folder.name) / "weights.bin").write_bytes(bytes(4096))
        self._mutator: ModelMutator | None = None

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        program = import_model(self._path, _dimensions(data), {}, {}).program
        try:
            verify(program)
            text = print_program(program)
            again = print_program(parse(text))
        except MpccError as error:
            raise AssertionError(f"the imported program is wrong: {error}") from error
        assert again == text

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        if self._mutator is None:
            self._mutator = ModelMutator([d for d in corpus.read(self.name).values() if len(d) < 8192])
        result = self._mutator.mutate(data, random)
        return mutate_bytes(data, random, max_bytes) if result is None or len(result) > max_bytes else result

    def seeds(self) -> Iterable[bytes]:
        from tests.fuzz.windows import windows_of_models

        return windows_of_models()


def _dimensions(data: bytes) -> dict[str, int]:
    """A size for each open dimension of the inputs, as a user would give it."""
    model = parsed(data)
    if model is None:
        return {}
    shapes = [value.type.tensor_type.shape for value in model.graph.input]
    return {d.dim_param: 3 for shape in shapes for d in shape.dim if d.HasField("dim_param") and d.dim_param}
