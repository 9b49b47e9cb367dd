"""What was recognised, counted; and what looks like a building block but was not, with the nearest miss."""

from __future__ import annotations

from collections import Counter

from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import TensorType

_VIEWS = ("reshape", "transpose", "expand", "slice", "take", "concat")
_NORMS = ("layer_norm", "rms_norm", "l2_normalize")
_ACTIVATIONS = ("gelu", "silu", "softplus", "relu", "tanh", "sigmoid", "erf")


def count(program: Program) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts by kind, and one warning for each block that was nearly recognised."""
    kinds = Counter(operation.kind for operation in program.operations)
    producers, users = program.producers(), program.users()
    attention = 0
    warnings: list[str] = []
    for operation in program.operations:
        if operation.kind == "softmax":
            miss = _attention_miss(operation, producers, users)
            attention += miss is None
            if miss is not None:
                warnings.append(f"softmax at {_where(operation)} is not taken for attention: {miss}")
        elif operation.kind in ("sqrt", "rsqrt"):
            warnings.append(
                f"{operation.kind} at {_where(operation)} is not part of a norm that was recognised"
            )
        elif operation.kind == "erf":
            warnings.append(f"erf at {_where(operation)} is not part of a GELU that was recognised")
    counts = {
        "layers": attention,
        "attention": attention,
        "norms": sum(kinds[k] for k in _NORMS),
        "activations": sum(kinds[k] for k in _ACTIVATIONS),
        "embeddings": kinds["embedding"],
        "linears": kinds["linear"],
        **{kind: kinds[kind] for kind in (*_NORMS, *_ACTIVATIONS, "softmax", "matmul") if kinds[kind]},
        **Counter(_mixture(operation) for operation in program.operations if operation.kind == "moe"),
    }
    return counts, tuple(warnings)


def _mixture(operation: Operation) -> str:
    logits = operation.operands[0].type
    assert isinstance(logits, TensorType)
    capacity = operation.attributes["capacity"]
    slots = f", capacity {capacity}" if capacity else ""
    return f"mixtures of experts (E={logits.shape[-1]}, top-{operation.attributes['top_k']}{slots})"


def _where(operation: Operation) -> str:
    return ", ".join(operation.onnx_nodes) or operation.result.name


def _attention_miss(
    softmax: Operation, producers: dict[Value, Operation], users: dict[Value, list[Operation]]
) -> str | None:
    """Why a softmax is no attention; None when it stands between two products."""
    pending = [producers[softmax.operands[0]]]
    for _ in range(16):
        if not pending or any(o.kind == "matmul" for o in pending):
            break
        pending = [
            producers[v]
            for o in pending
            if o.kind in (*_VIEWS, "add", "sub", "mul", "tanh")
            for v in o.operands
        ]
    if not any(o.kind == "matmul" for o in pending):
        return "its operand does not come from a product of two secret tensors"
    after = list(users[softmax.result])
    for _ in range(16):
        if any(o.kind in ("matmul", "linear") for o in after):
            return None
        after = [u for o in after if o.kind in (*_VIEWS, "mul") for u in users[o.result]]
    return "its result is not multiplied by values"
