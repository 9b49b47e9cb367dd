"""`mpcc inspect --diff PASS`: what a pass changed, by ONNX node; what is alike in several places once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from mpcc.compiler.inspection.alignment import Entry, align, other_changes
from mpcc.compiler.inspection.lines import SOURCES, count, kinds_of, short_line
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.text import table
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Program
from mpcc.passes.reasons import REASONS

NODES_SHOWN = 3
Chosen = Callable[[Sequence[str]], bool]


@dataclass
class Hunk:
    """The operations of some ONNX nodes, before and after a pass."""

    layer: str
    nodes: tuple[str, ...]
    entries: list[Entry] = field(default_factory=list)

    @property
    def changed(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.same]

    @property
    def alike(self) -> tuple[tuple[str, ...], ...]:
        """Equal for two hunks that differ in names and numbers only."""
        return tuple((e.sign, e.operation.kind, *(_words(c) for c in e.changes)) for e in self.changed)

    @property
    def title(self) -> str:
        before = [e.before for e in self.entries if e.before and not e.after]
        after = [e.after for e in self.entries if e.after and not e.before]
        changed = [e.operation for e in self.changed if e.sign == "~"]
        where = f" (node {_listed(self.nodes)})" if self.nodes else ""
        meant = [o for o in before if o.kind not in SOURCES] or before
        if before and after:
            parts = [f"{kinds_of(meant)}{where} -> {count(len(after), 'operation')}: {kinds_of(after)}"]
        else:
            parts = [f"removed{where}: {kinds_of(before)}"] if before else []
            parts += [f"added{where}: {kinds_of(after)}"] if after else []
        parts += [f"changed{where if not parts else ''}: {kinds_of(changed)}"] if changed else []
        return "; ".join(parts)


def pass_list(dumps: Sequence[tuple[str, Program]]) -> str:
    """The passes that PROG went through, with the reason for each, as text."""
    rows = [(name, len(program.operations), REASONS.get(name, "")) for name, program in dumps]
    return (
        f"{table(('pass', 'operations after it', 'why it is there'), rows)}\n\nmpcc inspect PROG --diff PASS"
    )


def difference(dumps: Sequence[tuple[str, Program]], name: str, chosen: Chosen | None = None) -> str:
    """What the pass `name` changed, as text; with `chosen` only what it did to ONNX nodes that this takes.

    Raises MpccError: MPC-C001 for a pass that is not there, or the first one, which has nothing before it.
    """
    names = [known for known, _ in dumps]
    if name not in names[1:]:
        known = ", ".join(names[1:])
        raise MpccError(
            "MPC-C001",
            f"--diff {name}: there is no program before it"
            if name in names
            else f"--diff {name}: the program went through no such pass",
            remedy=f"take one of {known}; --diff alone says what they are for",
        )
    index = names.index(name)
    before, after = dumps[index - 1][1], dumps[index][1]
    entries = align(before, after)
    hunks = _hunks(entries, before, after, layers_by_node(dumps[0][1]))
    if chosen is not None:
        hunks = [hunk for hunk in hunks if chosen(hunk.nodes)]
        entries = [entry for hunk in hunks for entry in hunk.entries]
    around = other_changes(before, after, entries) if chosen is None else []
    signs = Counter("=" if e.same else e.sign for e in entries)
    numbers = f"{signs['-']:,} removed, {signs['+']:,} added, {signs['~']:,} changed, {signs['=']:,} the same"
    were, are = (count(len(entries) - signs[gone], "operation") for gone in "+-")
    lines = [
        f"{name}: {REASONS.get(name, '')}".rstrip(": "),
        "",
        f"  before    {were}, {before.stage} stage, after {names[index - 1]}",
        f"  after     {are}, {after.stage} stage",
        f"  of these  {numbers}",
        *(f"  program   {phrase}" for phrase in around),
        "",
    ]
    changed = [hunk for hunk in hunks if hunk.changed]
    if not changed:
        where = "at these nodes" if chosen else "in the operations" if around else "in the program"
        return "\n".join([*lines, f"Nothing is changed {where}"])
    lines += [_kinds_table(entries), "", "What differs in names and numbers only is shown once."]
    return "\n".join([*lines, *_by_layer(changed)])


def _kinds_table(entries: Sequence[Entry]) -> str:
    kinds: dict[str, Counter[str]] = {}
    for entry in entries:
        if entry.before:
            kinds.setdefault(entry.before.kind, Counter())["before"] += 1
        if entry.after:
            kinds.setdefault(entry.after.kind, Counter())["after"] += 1
        if not entry.same:
            kinds.setdefault(entry.operation.kind, Counter())[entry.sign] += 1
    changed = [kind for kind, counts in kinds.items() if counts["-"] or counts["+"] or counts["~"]]
    changed.sort(key=lambda kind: -kinds[kind].total())
    head = ("operation", "before", "after", "removed", "added", "changed")
    columns = ("before", "after", "-", "+", "~")
    return table(head, [(kind, *(kinds[kind][c] or "-" for c in columns)) for kind in changed])


def _hunks(entries: Sequence[Entry], before: Program, after: Program, layers: dict[str, str]) -> list[Hunk]:
    """All operations, by the ONNX nodes that they came from, in the program's order.

    Operations belong together when they name a node in common. A weight or an input without a node goes with
    the operation that reads it first, and what nobody reads with the operation behind it.
    """
    companions: dict[Operation, Operation] = {}
    for program in (before, after):
        companions.update(zip(program.operations, program.operations[1:], strict=False))
        users = program.users()
        companions.update({o: u[0] for o in program.operations for v in o.results if (u := users[v])})
    owner: dict[str, tuple[str, ...]] = {}
    for operation in (*before.operations, *after.operations):
        known = next((owner[n] for n in operation.onnx_nodes if n in owner), operation.onnx_nodes)
        for node in operation.onnx_nodes:
            owner.setdefault(node, known)

    def nodes_of(operation: Operation) -> tuple[str, ...]:
        while not operation.onnx_nodes and operation in companions:
            operation = companions[operation]
        return owner[operation.onnx_nodes[0]] if operation.onnx_nodes else ()

    hunks: dict[tuple[str, ...], Hunk] = {}
    for entry in entries:
        nodes = nodes_of(entry.operation)
        layer = next((layers[n] for n in nodes if n in layers), layer_of(entry.operation, layers))
        hunks.setdefault(nodes, Hunk(layer, nodes)).entries.append(entry)
    for hunk in hunks.values():
        hunk.entries.sort(key=lambda e: e.sign != "-")
    return list(hunks.values())


def _by_layer(hunks: Sequence[Hunk]) -> Iterator[str]:
    alike: dict[tuple[tuple[str, ...], ...], list[Hunk]] = {}
    for hunk in hunks:
        alike.setdefault(hunk.alike, []).append(hunk)
    layers = list(dict.fromkeys(h.layer for h in hunks))
    shown = {same[0].layer for same in alike.values()}
    for layer in layers:
        if layer in shown:
            yield from ("", layer)
        for same in (s for s in alike.values() if s[0].layer == layer):
            yield from ("", f"  {same[0].title}")
            yield from (f"    {line}" for entry in same[0].changed for line in _lines(entry))
            if others := same[1:]:
                places = _places(Counter(h.layer for h in others), layers)
                yield f"    the same operations at {count(len(others), 'more node')}: {places}"
    if rest := [layer for layer in layers if layer not in shown]:
        yield from ("", f"{_places(Counter(rest), layers)}: nothing that is not shown above")


def _lines(entry: Entry) -> Iterator[str]:
    if entry.sign == "~":
        names = ", ".join(f"%{v.name}" for v in entry.operation.results)
        yield f"~ {names} {entry.operation.kind}: {'; '.join(entry.changes)}"
    else:
        yield f"{entry.sign} {short_line(entry.operation)}"


def _places(counts: Counter[str], layers: Sequence[str]) -> str:
    """Layers with how often each is counted; neighbouring layers of the same number as one."""
    texts = []
    for number, run in groupby(layers, key=counts.__getitem__):
        names = list(run)
        where = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
        each = " each" if len(names) > 1 else ""
        texts += [where if number == 1 else f"{where} ({number}{each})"] if number else []
    return ", ".join(texts)


def _listed(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - NODES_SHOWN} more" if len(nodes) > NODES_SHOWN else ""
    return ", ".join(nodes[:NODES_SHOWN]) + more


def _words(change: str) -> str:
    """A change without its numbers and names."""
    return change.split(" ")[0]
