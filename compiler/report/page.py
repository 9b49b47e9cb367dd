"""PROG/report.html and PROG/report.json: one self-contained page about a program, and what it shows as data.

They are for whoever compiled the program, and lie in no party's folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.choose.experts.record import read_experts
from mpcc.compiler.choose.table import read_choices
from mpcc.compiler.report.data import Dumps, report_data
from mpcc.compiler.text import count_of, shape_of, short_count_of, size_of
from mpcc.runtime.atomic_file import atomic_file

REPORT_NAME = "report.html"
DATA_NAME = "report.json"
SHOWN = 8  # numbers of a list


def write_report(
    prog: Path, manifest: dict[str, Any], dumps: Dumps, verified: dict[str, Any] | None = None
) -> Path:
    """Write page and data into `prog`, each whole or not at all, and return the page's path. Raises OSError.

    `dumps` are the programs after each pass, `verified` is R.json of `mpcc verify`; what was chosen is read
    from `prog`. The root manifest must list neither file: both are written again when errors are known.
    """
    data = report_data(manifest, dumps, read_choices(prog), read_experts(prog), verified or {})
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for name, content in ((DATA_NAME, f"{text}\n"), (REPORT_NAME, report_page(data))):
        with atomic_file(prog / name) as file:
            file.write(content.encode())
    return prog / REPORT_NAME


def report_page(data: dict[str, Any]) -> str:
    """The page's text, from what `report_data` gives."""
    return render(
        "report/page.html.j2",
        report=data,
        size=size_of,
        count=count_of,
        short=short_count_of,
        shape=shape_of,
        mixtures=_alike(data["experts"]["layers"]) if data["experts"] else [],
        parameter=_parameter,
        digest=_digest,
    )


def _alike(layers: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Mixtures of the same sizes, options and prices together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for layer in layers:
        equal = [layer[name] for name in ("experts", "top_k", "tokens", "slots", "asked", "chosen", "others")]
        groups.setdefault(json.dumps(equal), []).append(layer)
    return list(groups.values())


def _parameter(value: Any) -> str:
    """A parameter of an approximation in one line; of long lists the ends."""
    if isinstance(value, dict):
        return value.get("name") or "; ".join(f"{name} {_parameter(part)}" for name, part in value.items())
    if not isinstance(value, list):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if len(value) <= SHOWN:
        return f"[{', '.join(map(_parameter, value))}]"
    ends = [*map(_parameter, value[:2]), "..", _parameter(value[-1])]
    return f"[{', '.join(ends)}] ({len(value)})"


def _digest(script: str) -> str:
    """The script's name in a content security policy: no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
