"""How the plots of docs/ look: SVG that is the same for the same points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mpcc",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


@contextmanager
def style() -> Iterator[None]:
    """Figures that are made and saved inside look alike."""
    with mpl.rc_context(_STYLE):
        yield


def save(figure: Figure, path: Path) -> None:
    """As SVG without a date."""
    figure.savefig(path, metadata={"Date": None})
