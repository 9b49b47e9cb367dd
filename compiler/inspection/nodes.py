"""`mpcc inspect --node TEXT`: what became of ONNX nodes at each stage, what they cost, how exact they are."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.model import operation_cost
from mpcc.compiler.inspection.lines import count, kinds_of, short_line
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.text import size_of, table
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.printer import print_operation
from mpcc.ir.program import Operation, Program
from mpcc.ir.types import RingType, Sharing
from mpcc.passes.schedule_rounds import operation_levels, schedule

DETAILED = 12  # more matches than this are a table only
SUGGESTED = 5
Content = dict[str, Any]


class Pattern:
    """ONNX nodes by parts of their names or, with `*`, `?` or `[`, by whole names; capitals do not matter."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        lowered = [text.lower() for text in self.texts]
        self._globs = [t if any(c in t for c in "*?[") else f"*{t}*" for t in lowered]

    def __call__(self, nodes: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(node.lower(), glob) for node in nodes for glob in self._globs)

    def check(self, programs: Iterable[Program]) -> None:
        """Raises MPC-C064 with the nearest names when no node of the programs matches."""
        known = list(dict.fromkeys(n for p in programs for o in p.operations for n in o.onnx_nodes))
        if self(known):
            return
        near = [name for text in self.texts for name in _nearest(text, known)]
        raise MpccError(
            "MPC-C064",
            f"no ONNX node of the program is called {' or '.join(self.texts)}",
            remedy=f"the nearest are {', '.join(dict.fromkeys(near))}"
            if near
            else "see the names with --stage tensor; nodes that the compiler folds are in no program",
        )


HEAD = (
    "layer", "operation", "node", "protocols", "rounds", "sent", "offline", "computed by", "error"
)  # fmt: skip


@dataclass
class Found:
    """The operations of some ONNX nodes: one of the tensor stage, or several that share nodes."""

    nodes: tuple[str, ...]
    layer: str
    tensor: list[Operation]
    share: list[Operation]
    rounds: set[int]
    source: CorrelationSource

    @property
    def name(self) -> str:
        return kinds_of(self.tensor) if self.tensor else "no operation of the model"


def find(tensor: Program, share: Program, pattern: Pattern) -> list[Found]:
    """What the pattern takes, by operation of the tensor stage, in its order.

    Raises MPC-C064 when that is nothing.
    """
    pattern.check((tensor, share))
    layers = layers_by_node(tensor)
    levels, source = operation_levels(share, ticks), source_of(share.attributes)
    found: dict[str, Found] = {}

    def entry(operation: Operation) -> Found | None:
        known = next((found[n] for n in operation.onnx_nodes if n in found), None)
        if known is None and pattern(operation.onnx_nodes):
            known = Found(operation.onnx_nodes, layer_of(operation, layers), [], [], set(), source)
            found.update(dict.fromkeys(operation.onnx_nodes, known))
        return known

    for operation in tensor.operations:
        if operation.onnx_nodes and (known := entry(operation)):
            known.tensor.append(operation)
    for index, operation in enumerate(share.operations):
        if operation.onnx_nodes and (known := entry(operation)):
            known.share.append(operation)
            known.rounds.update(range(levels[index], levels[index] + ticks(operation)))
    return list({id(f): f for f in found.values()}.values())


def nodes_text(tensor: Program, share: Program, pattern: Pattern, choices: Content, verified: Content) -> str:
    """What `find` finds as text: a table of several, and what each becomes unless they are many.

    `choices` is approximations.json, `verified` verify.json; each may be empty.
    """
    found = find(tensor, share, pattern)
    total = len(schedule(share, ticks)) - 1
    facts = [_Facts(f, choices.get("nodes", ()), verified.get("error", {}).get("layers", ())) for f in found]
    lines = []
    if len(found) > 1:
        title = f"{count(len(found), 'operation')} of nodes like {' or '.join(pattern.texts)}"
        lines += [title, "", table(HEAD, [f.row() for f in facts])]
    if len(found) > DETAILED:
        lines += ["", f"What each becomes is shown of {DETAILED} at most: give more of a name"]
        return "\n".join(lines)
    for fact in facts:
        lines += [*([""] if lines else []), *fact.details(total)]
    return "\n".join(lines)


def excerpt(program: Program, pattern: Pattern) -> str:
    """The operations of a stage that the pattern takes, and as comments those they read and feed.

    Raises MPC-C064 when it takes nothing.
    """
    pattern.check((program,))
    taken = {o for o in program.operations if pattern(o.onnx_nodes)}
    results = {v for o in taken for v in o.results}
    operands = {v for o in taken for v in o.operands}
    lines, skipped = [], 0
    for operation in program.operations:
        near = not operands.isdisjoint(operation.results) or not results.isdisjoint(operation.operands)
        if operation not in taken and not near:
            skipped += 1
            continue
        if skipped:
            lines.append(f"  # {count(skipped, 'operation')}")
        skipped = 0
        lines.append(f"  {'' if operation in taken else '# '}{print_operation(operation)}")
    return "\n".join([*lines, *([f"  # {count(skipped, 'operation')}"] if skipped else [])])


def _nearest(text: str, names: Sequence[str]) -> list[str]:
    """Names that have a part like the text, or are like it as a whole."""
    parts: dict[str, str] = {}
    for name in names:
        for part in (name, *re.split(r"[/._]", name)):
            parts.setdefault(part.lower(), name)
    return [parts[part] for part in difflib.get_close_matches(text.lower(), parts, SUGGESTED)]


class _Facts:
    """A `Found` with its costs, its choices of approximations.json and its errors of verify.json."""

    def __init__(self, found: Found, choices: Iterable[Content], errors: Iterable[Content]) -> None:
        nodes = set(found.nodes)
        self.found = found
        self.choices = [c for c in choices if nodes.intersection(c["onnx_nodes"])]
        self.errors = [e for e in errors if nodes.intersection(e["onnx_nodes"])]
        costs = [operation_cost(o, found.source) for o in found.share]
        self.sent = (sum(c.bytes_party0 for c in costs), sum(c.bytes_party1 for c in costs))
        self.offline = sum(c.offline_bytes for c in costs)
        self.products = sum(c.multiplications for c in costs)

    def row(self) -> tuple[object, ...]:
        found, sent = self.found, sum(self.sent)
        names = dict.fromkeys(c["chosen"]["approximation"]["name"] for c in self.choices)
        return (
            found.layer,
            found.name,
            found.nodes[-1],
            len(found.share),
            len(found.rounds),
            size_of(sent) if sent else "-",
            size_of(self.offline) if self.offline else "-",
            ", ".join(names) or "-",
            f"{max(e['max'] for e in self.errors):.2g}" if self.errors else "-",
        )

    def details(self, total: int) -> Iterator[str]:
        """`total` is the number of the program's rounds."""
        found = self.found
        yield f"{', '.join(found.nodes)}: {found.name}, {found.layer}"
        for operation in found.tensor:
            yield f"  tensor   {short_line(operation)}"
        yield f"  share    {_share_line(found)}"
        if found.rounds:
            rounds = f"{len(found.rounds)} of {count(total, 'round')}"
            place = f"between {min(found.rounds) + 1} and {max(found.rounds) + 1}"
            yield f"  parties  {rounds}, {place}: {kinds_of(o for o in found.share if ticks(o))}"
        if found.share:
            yield (
                f"  cost     {size_of(self.sent[0])} from party 0, {size_of(self.sent[1])} from party 1, "
                f"{size_of(self.offline)} offline, {self.products:,} ring multiplications"
            )
        yield from (f"  chosen   {_choice_line(choice)}" for choice in self.choices)
        for error in self.errors:
            yield (
                f"  error    {error['max']:.2g} from onnxruntime at most, "
                f"{error['simulated']:.2g} without parties, {error['approximated']:.2g} without rounding"
            )


def _share_line(found: Found) -> str:
    types = [v.type for o in found.share for v in o.results if isinstance(v.type, RingType)]
    shares = [t for t in types if t.sharing is Sharing.SHARE]
    if not found.share:
        return "nothing: it is part of another operation, or known before the run"
    line = f"{count(len(found.share), 'operation')}: {kinds_of(found.share)}"
    if shares:
        rings, fractions = sorted({t.ring for t in shares}), sorted({t.fraction for t in shares})
        line += f"; rings of {_span(rings)} bits, {_span(fractions)} of them behind the point"
    return line


def _span(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _choice_line(choice: Content) -> str:
    taken, other = choice["chosen"], choice["runner_up"]
    low, high = choice["range"]
    line = f"{taken['approximation']['name']}, error {taken['rms_error']:.2g} on [{low:.4g}, {high:.4g}]"
    if other:
        line += f"; next {other['approximation']['name']}: {other['why_not']}"
    return line
