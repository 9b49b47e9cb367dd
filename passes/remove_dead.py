"""Removes operations that no output depends on: lowering offers constants and openings that not every
consumer takes.
"""

from __future__ import annotations

from mpcc.ir.program import Program, Value


def remove_dead(program: Program) -> Program:
    """The same program without dead operations and the constants only they name."""
    live: set[Value] = set(program.outputs.values())
    kept = []
    for operation in reversed(program.operations):
        if any(v in live for v in operation.results):
            live.update(operation.operands)
            kept.append(operation)
    kept.reverse()
    named = {str(o.attributes["name"]) for o in kept if "name" in o.attributes}
    constants = {name: array for name, array in program.constants.items() if name in named}
    return Program(program.name, program.stage, kept, program.outputs, program.attributes, constants)
