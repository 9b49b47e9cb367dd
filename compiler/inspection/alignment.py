"""Which operation of one program is which of the next one: by what they compute, not by what they are called.

Names of values and the order of operations mean nothing, so a pass that only renumbers has changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from mpcc.ir.printer import print_attribute, print_type
from mpcc.ir.program import Attribute, Operation, Program, Value
from mpcc.ir.types import Range, RingType, TensorType, Type

SHORT = 6  # entries of a list that is shown whole
Partners = dict[Value, Value]  # values of the later program to those of the earlier


@dataclass(frozen=True)
class Entry:
    """One operation before and after a pass, and what differs in it; None where it is not.

    `changes` are phrases such as `ring 64 -> 30`; an entry with both operations and no phrase is the same.
    """

    before: Operation | None
    after: Operation | None
    changes: tuple[str, ...] = ()

    @property
    def operation(self) -> Operation:
        operation = self.after or self.before
        assert operation is not None
        return operation

    @property
    def same(self) -> bool:
        return self.before is not None and self.after is not None and not self.changes

    @property
    def sign(self) -> str:
        """`+` added, `-` removed, `~` changed."""
        return "+" if self.before is None else "-" if self.after is None else "~"


def align(before: Program, after: Program) -> list[Entry]:
    """Every operation of both programs once, in the order of the later program; what was removed stands
    before the operation that followed it. Programs of two stages have no operation in common.
    """
    matched = _matched(before, after) if before.stage is after.stage else {}
    partners: Partners = {}
    for new, old in matched.items():
        partners.update(zip(new.results, old.results, strict=True))
    kept = set(matched.values())
    removed: dict[Operation | None, list[Operation]] = {}
    following: Operation | None = None
    for old in reversed(before.operations):
        if old in kept:
            following = old
        else:
            removed.setdefault(following, []).insert(0, old)
    entries = []
    for new in after.operations:
        known = matched.get(new)
        if known is not None:
            entries += [Entry(o, None) for o in removed.pop(known, ())]
        entries.append(Entry(known, new, tuple(_changes(known, new, partners)) if known else ()))
    return entries + [Entry(o, None) for o in removed.get(None, ())]


def other_changes(before: Program, after: Program, entries: Sequence[Entry]) -> list[str]:
    """What differs outside of operations: outputs, and attributes of the program."""
    partners = {n: o for e in entries if e.before and e.after for n, o in _results(e.after, e.before)}
    phrases = list(_attribute_changes(before.attributes, after.attributes))
    for name, value in after.outputs.items():
        old = before.outputs.get(name)
        if old is None:
            phrases.append(f"output {name} added")
        elif before.stage is after.stage and partners.get(value) is not old:
            phrases.append(f"output {name}: %{old.name} -> %{value.name}")
    return phrases + [f"output {name} removed" for name in before.outputs if name not in after.outputs]


def _matched(before: Program, after: Program) -> dict[Operation, Operation]:
    """The later operations that have an earlier one.

    First those that do the same to the same values. Then, of the same ONNX nodes, whatever is most alike:
    of the same kind, or of the same operands and name.
    """
    waiting: dict[tuple[str, ...], list[Operation]] = {}
    for operation in before.operations:
        waiting.setdefault(operation.onnx_nodes, []).append(operation)
    matched: dict[Operation, Operation] = {}
    partners: Partners = {}

    def take(new: Operation, old: Operation) -> None:
        waiting[new.onnx_nodes].remove(old)
        matched[new] = old
        partners.update(_results(new, old))

    def identical(new: Operation) -> bool:
        operands = tuple(map(partners.get, new.operands))
        for old in waiting.get(new.onnx_nodes, ()):
            if (old.kind, old.operands, old.attributes) == (new.kind, operands, new.attributes):
                take(new, old)
                return True
        return False

    rest = [o for o in after.operations if not identical(o)]
    for new in rest:
        if identical(new):  # now that its operands are known
            continue
        operands = tuple(map(partners.get, new.operands))
        alike = [
            (old.kind == new.kind, old.operands == operands, _names(old) == _names(new), -index, old)
            for index, old in enumerate(waiting.get(new.onnx_nodes, ()))
            if len(old.results) == len(new.results)
            and (old.kind == new.kind or (old.operands == operands and _names(old) == _names(new)))
        ]
        if alike:
            take(new, max(alike, key=lambda a: a[:4])[4])
    return matched


def _results(new: Operation, old: Operation) -> Iterator[tuple[Value, Value]]:
    return zip(new.results, old.results, strict=True)


def _names(operation: Operation) -> tuple[str, ...]:
    return tuple(v.name for v in operation.results)


def _changes(old: Operation, new: Operation, partners: Partners) -> Iterator[str]:
    if old.kind != new.kind:
        yield f"{old.kind} -> {new.kind}"
    if tuple(map(partners.get, new.operands)) != old.operands:
        yield f"operands {_values(old.operands)} -> {_values(new.operands)}"
    yield from _attribute_changes(old.attributes, new.attributes)
    for was, now in zip(old.results, new.results, strict=True):
        yield from _type_changes(was.type, now.type)


def _attribute_changes(old: dict[str, Attribute], new: dict[str, Attribute]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield f"{name} {brief(old.get(name))} -> {brief(new.get(name))}"


def _type_changes(old: Type, new: Type) -> Iterator[str]:
    if isinstance(old, (RingType, TensorType)) and type(old) is type(new):
        for field in fields(old):
            was, now = getattr(old, field.name), getattr(new, field.name)
            if was != now:
                yield f"{field.name} {brief(was)} -> {brief(now)}"
    elif old != new:
        yield f"{print_type(old)} -> {print_type(new)}"


def brief(value: Attribute | Range | None) -> str:
    """An attribute or a range in a few characters."""
    if value is None:
        return "none"
    if isinstance(value, Range):
        return f"[{value.low:.4g}, {value.high:.4g}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        short = len(value) <= SHORT
        return f"[{', '.join(map(brief, value))}]" if short else f"[{len(value)} entries]"
    return print_attribute(value)


def _values(values: Sequence[Value]) -> str:
    return ", ".join(f"%{v.name}" for v in values) or "none"
