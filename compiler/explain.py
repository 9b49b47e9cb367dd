"""What was recognised where, and what was not: `mpcc compile --explain`."""

from __future__ import annotations

from mpcc.compiler.frontend.imported import Imported

MACROS = (
    "embedding", "linear", "layer_norm", "rms_norm", "l2_normalize", "softmax", "gelu", "silu", "relu", "tanh", "sigmoid", "erf",
)  # fmt: skip


def explanation(imported: Imported) -> str:
    """One line for each recognised operation with the ONNX nodes it replaces, then what became public, then misses."""
    lines = ["recognised:"]
    for operation in imported.program.operations:
        if operation.kind in MACROS:
            lines.append(f"  {operation.kind} %{operation.result.name} from {', '.join(operation.onnx_nodes)}")
    lines.append("computed by party 1 on its own input: " + (", ".join(o.name for o in imported.local_outputs) or "nothing"))
    lines.append("constants of the model that both parties know:")
    lines += [f"  {c.name} = {c.value:g}: {c.reason}" for c in imported.public_scalars] or ["  none"]
    lines.append("nearest misses:")
    lines += [f"  {warning}" for warning in imported.recognised.warnings] or ["  none"]
    return "\n".join(lines)
