"""Reports: spans as columns, the memory of a process."""

from __future__ import annotations

import json
import subprocess
import sys

from mpcc.runtime.profile import Activity, Span
from mpcc.runtime.report import read_spans, span_columns

SPANS = [
    Span("a", Activity.COMPUTE, 0.0, 0.25),
    Span("a", Activity.SEND, 0.25, 0.250001, 12),
    Span("b", Activity.WAIT, 0.250001, 1.5, 7),
    Span("a", Activity.CORRELATIONS, 1.5, 2.0),
]
PEAK = """
from mpcc.runtime.peak_memory import peak_memory_bytes
held = bytearray({size})
held[::4096] = bytes([1]) * len(held[::4096])
print(peak_memory_bytes())
"""


def test_spans_as_columns_and_back() -> None:
    columns = json.loads(json.dumps(span_columns(SPANS)))
    assert columns["operations"] == ["a", "b"]
    assert columns["operation"] == [0, 0, 1, 0]
    assert columns["start"] == [0, 250_000, 250_001, 1_500_000]
    assert read_spans(columns) == SPANS
    assert read_spans(span_columns([])) == []


def peak(size: int) -> int:
    """Of a process that holds so many bytes."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK.format(size=size)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


def test_peak_memory_is_the_process_s_own() -> None:
    """In bytes, and nothing of it is inherited from this larger process."""
    held = bytearray(200 << 20)
    held[::4096] = bytes([1]) * len(held[::4096])
    small, large = peak(0), peak(64 << 20)
    assert small < 100 << 20 < len(held)
    assert 60 << 20 < large - small < 80 << 20
