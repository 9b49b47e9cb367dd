"""The most memory that this process has had resident."""

from __future__ import annotations

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory_bytes() -> int | None:
    """Bytes, since the process started its program; None where the system does not tell (all but Linux).

    The kernel's other counter, `ru_maxrss`, starts from the peak of whoever started the process.
    """
    try:
        peak = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(peak[1]) * 1024 if peak else None
