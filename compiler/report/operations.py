"""The model's operations and the protocols' operations that each became, with their costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.model import OperationCost
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.summary import VIEWS
from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import RingType, TensorType
from mpcc.passes.schedule_rounds import operation_levels
from mpcc.runtime.protocols import protocols

Entry = dict[str, Any]
Key = TypeVar("Key")


@dataclass
class Totals:
    """Costs of some share-stage operations together. `rounds` are those in which any of them sends."""

    operations: int = 0
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    offline_bytes: int = 0
    multiplications: int = 0
    rounds: set[int] = field(default_factory=set)

    def add(self, cost: OperationCost, rounds: Iterable[int]) -> None:
        self.operations += 1
        self.bytes = [self.bytes[0] + cost.bytes_party0, self.bytes[1] + cost.bytes_party1]
        self.offline_bytes += cost.offline_bytes
        self.multiplications += cost.multiplications
        self.rounds.update(rounds)

    def entry(self) -> Entry:
        return {
            "operations": self.operations,
            "bytes": self.bytes,
            "offline_bytes": self.offline_bytes,
            "multiplications": self.multiplications,
            "rounds": len(self.rounds),
        }


class Operations:
    """`model` are the operations of the imported program but its constants; `share` the share stage's,
    `costs` of theirs.

    Everything refers to them by their positions in these lists.
    """

    def __init__(self, imported: Program, share: Program, costs: Sequence[OperationCost]) -> None:
        self.imported, self.share, self.costs = imported, share, costs
        self.model = [o for o in imported.operations if o.kind != "constant"]
        self._producers = {v: i for i, o in enumerate(self.model) for v in o.results}
        labels = layers_by_node(imported)
        self.layer_labels = [layer_of(o, labels) for o in self.model]
        others = (layer_of(o, labels) for o in share.operations)
        self.layers = list(dict.fromkeys((*self.layer_labels, *others)))
        self._by_node: dict[str, int] = {}
        self._by_name: dict[str, int] = {}
        for index, operation in enumerate(self.model):
            for node in operation.onnx_nodes:
                self._by_node.setdefault(node, index)
            if operation.kind == "input":
                self._by_name[str(operation.attributes["name"])] = index

    def model_of(self, operation: Operation) -> int:
        """The model's operation that a later one was made of; -1 if that is not known."""
        known = (self._by_node[node] for node in operation.onnx_nodes if node in self._by_node)
        return next(known, self._by_name.get(str(operation.attributes.get("name")), -1))

    @cached_property
    def sources(self) -> list[int]:
        """`model_of` the share stage's operations."""
        return [self.model_of(o) for o in self.share.operations]

    @cached_property
    def rounds(self) -> list[Entry]:
        """Bytes of either party in each round, and the share-stage operations that send."""
        sent: dict[int, Entry] = defaultdict(lambda: {"bytes": [0, 0], "operations": []})
        levels = operation_levels(self.share, ticks)
        for index, operation in enumerate(self.share.operations):
            for tick, message in enumerate(protocols[operation.kind].messages(operation), levels[index]):
                if any(message):
                    known = sent[tick]
                    known["bytes"] = [a + b for a, b in zip(known["bytes"], message, strict=True)]
                    known["operations"].append(index)
        return [sent[tick] for tick in sorted(sent)]

    @cached_property
    def _rounds_of(self) -> dict[int, list[int]]:
        """The rounds in which each share-stage operation sends, from 0 on."""
        result: dict[int, list[int]] = defaultdict(list)
        for number, entry in enumerate(self.rounds):
            for index in entry["operations"]:
                result[index].append(number)
        return result

    def totals(self, key: Callable[[int], Key]) -> dict[Key, Totals]:
        """Costs by a key of the share stage's operations."""
        found: dict[Key, Totals] = defaultdict(Totals)
        for index, cost in enumerate(self.costs):
            found[key(index)].add(cost, self._rounds_of[index])
        return found

    def inputs(self, operation: Operation) -> list[int]:
        """What the operation reads: operations of the model, seen through views."""
        found: list[int] = []
        for value in operation.operands:
            producer = self._producers.get(value)
            if producer is None:
                continue
            source = self.model[producer]
            found += self.inputs(source) if source.kind in VIEWS else [producer]
        return list(dict.fromkeys(found))

    def output_of(self, value: Value) -> list[int]:
        """The operations that an output of the program shows, seen through views."""
        producer = self._producers.get(value)
        if producer is None:
            return []
        source = self.model[producer]
        return self.inputs(source) if source.kind in VIEWS else [producer]

    def model_entries(self) -> list[Entry]:
        """The report's `operations`."""
        totals = self.totals(lambda index: self.sources[index])
        became: dict[int, list[int]] = defaultdict(list)
        for index, source in enumerate(self.sources):
            became[source].append(index)
        return [
            {
                "kind": operation.kind,
                "layer": self.layers.index(self.layer_labels[index]),
                "onnx_nodes": list(operation.onnx_nodes),
                "name": operation.result.name,
                "shape": _shape(operation.result),
                "view": operation.kind in VIEWS,
                "inputs": self.inputs(operation),
                "share_operations": became[index],
                **totals[index].entry(),
            }
            for index, operation in enumerate(self.model)
        ]

    def share_entries(self) -> list[Entry]:
        """The report's `share_operations`."""
        return [
            {
                "name": operation.result.name,
                "kind": operation.kind,
                "operation": self.sources[index],
                "round": self._rounds_of[index][0] if self._rounds_of[index] else -1,
                "rounds": len(self._rounds_of[index]),
                "bytes": [cost.bytes_party0, cost.bytes_party1],
                "offline_bytes": cost.offline_bytes,
                "multiplications": cost.multiplications,
                **_ring(operation.result),
            }
            for index, (operation, cost) in enumerate(zip(self.share.operations, self.costs, strict=True))
        ]

    def layer_entries(self) -> list[Entry]:
        """The report's `layers`: their costs, in the program's order."""
        labels = layers_by_node(self.imported)
        totals = self.totals(lambda index: layer_of(self.share.operations[index], labels))
        return [{"label": label, **totals[label].entry()} for label in self.layers]

    def kind_entries(self, of_model: bool) -> list[Entry]:
        """Costs by kind of operation, of the model or of the share stage, the most expensive first."""

        def kind(index: int) -> str:
            if not of_model:
                return self.share.operations[index].kind
            source = self.sources[index]
            return self.model[source].kind if source >= 0 else self.share.operations[index].kind

        entries = [{"label": label, **totals.entry()} for label, totals in self.totals(kind).items()]
        return sorted(entries, key=_expense)


def _expense(entry: Entry) -> tuple[Any, ...]:
    """The most expensive first."""
    return -sum(entry["bytes"]), -entry["offline_bytes"], -entry["operations"], entry["label"]


def _shape(value: Value) -> list[int]:
    return list(value.type.shape) if isinstance(value.type, (TensorType, RingType)) else []


def _ring(value: Value) -> Entry:
    assert isinstance(value.type, RingType)
    kind = value.type
    return {
        "sharing": str(kind.sharing),
        "ring": kind.ring,
        "fraction": kind.fraction,
        "shape": list(kind.shape),
    }
