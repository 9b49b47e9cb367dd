"""A party's program text: parsed, verified, and taken apart as the party and the dealer do before a run."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import ClassVar

from mpcc.ir.parser import parse
from mpcc.ir.verifier import verify
from mpcc.runtime.correlations import plan
from mpcc.runtime.interpreter import online_draws, output_fractions
from tests.fuzz import corpus
from tests.fuzz.mutate.text import TextMutator
from tests.fuzz.target import Target
from tests.fuzz.windows import compiled_windows
from tests.ir.programs import PARTY


class ProgramText(Target):
    name: ClassVar[str] = "program_text"
    max_bytes: ClassVar[int] = 8192

    def __init__(self) -> None:
        self._mutator: TextMutator | None = None

    def run(self, data: bytes) -> None:
        program = parse(data.decode("utf-8", "replace"), "program.mpc")
        verify(program)
        operations = plan.link(program)
        plan.offsets(operations)
        for party in (0, 1):
            online_draws(operations, party)
        output_fractions(program)
        dealt = plan.to_json(operations)
        assert plan.to_json(plan.from_json(dealt)) == dealt

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        if self._mutator is None:
            kept = [d.decode("utf-8", "replace") for d in corpus.read(self.name).values()]
            self._mutator = TextMutator([PARTY, *kept])
        return self._mutator.mutate(data.decode("utf-8", "replace"), random).encode()[:max_bytes]

    def seeds(self) -> Iterable[bytes]:
        texts = [path.read_bytes() for path in compiled_windows().glob("*/party?/program.mpc")]
        return [PARTY.encode(), *(text for text in texts if len(text) <= self.max_bytes)]
