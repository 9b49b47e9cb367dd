"""Program text of any stage: what parses prints to something that parses to the same, and can be verified."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import ClassVar

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.verifier import verify
from tests.fuzz import corpus
from tests.fuzz.mutate.text import TextMutator
from tests.fuzz.target import Target
from tests.fuzz.windows import compiled_windows
from tests.ir.programs import STAGES


class IrText(Target):
    name: ClassVar[str] = "ir_text"

    def __init__(self) -> None:
        self._mutator: TextMutator | None = None

    def run(self, data: bytes) -> None:
        program = parse(data.decode("utf-8", "replace"))
        printed = print_program(program)
        assert print_program(parse(printed)) == printed
        for rings_assigned in (True, False):
            with suppress(MpccError):
                verify(program, rings_assigned=rings_assigned)

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        if self._mutator is None:
            kept = [d.decode("utf-8", "replace") for d in corpus.read(self.name).values()]
            self._mutator = TextMutator([*STAGES.values(), *kept])
        return self._mutator.mutate(data.decode("utf-8", "replace"), random).encode()[:max_bytes]

    def seeds(self) -> Iterable[bytes]:
        texts = [path.read_bytes() for path in compiled_windows().glob("*/ir/*.mpcir")]
        return [*(text.encode() for text in STAGES.values()), *(t for t in texts if len(t) <= self.max_bytes)]
