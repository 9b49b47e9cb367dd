"""`mpcc demo`: the bundled example end to end."""

from __future__ import annotations

import click


@click.command(
    "demo",
    help="Compile the bundled digit classifier, a mixture of experts, run both parties, and compare with "
    "onnxruntime.",
)
def demo_command() -> None:
    from mpcc.compiler.demo import demo

    demo(click.echo)
