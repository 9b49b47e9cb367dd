"""What was recognised where, and what was not: `mpcc compile --explain`."""

from __future__ import annotations

from mpcc.compiler.frontend.imported import Imported
from mpcc.compiler.summary import SOURCES, VIEWS

ELEMENTWISE = ("add", "sub", "mul", "negate")


def explanation(imported: Imported) -> str:
    """Recognised operations with the ONNX nodes they replace, what became public, nearest misses."""
    lines = ["recognised:"]
    for operation in imported.program.operations:
        if operation.kind not in (*VIEWS, *SOURCES, *ELEMENTWISE):
            nodes = ", ".join(operation.onnx_nodes)
            lines.append(f"  {operation.kind} %{operation.result.name} from {nodes}")
    local = ", ".join(output.name for output in imported.local_outputs)
    lines.append(f"computed by party 1 on its own input: {local or 'nothing'}")
    lines.append("constants of the model that both parties know:")
    lines += [f"  {c.name} = {c.value:g}: {c.reason}" for c in imported.public_scalars] or ["  none"]
    lines.append("nearest misses:")
    lines += [f"  {warning}" for warning in imported.recognised.warnings] or ["  none"]
    return "\n".join(lines)
