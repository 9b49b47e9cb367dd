"""The catalogue of approximations: data/FUNCTION-NAME.toml, and files of users in the same format.

docs/approximations.md lists it and describes the format field by field.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.exponentials import EXPONENTIAL, ExponentialProtocol, Limit
from mpcc.passes.approximations.fields import read_toml
from mpcc.passes.approximations.inverse import SEGMENTS
from mpcc.passes.approximations.measure import measured_error
from mpcc.passes.approximations.parse import APPROXIMATED, BEST, parse
from mpcc.passes.approximations.softmax import EXACT

DATA = Path(__file__).parent / "data"
INSIDE_SOFTMAX = (ExponentialProtocol, Limit)
DEFAULTS = (EXPONENTIAL, SEGMENTS, EXACT)
ROUNDING = 1e-9  # relative, of a stated error against the measured one

# Which functions' approximations compute an operation: a recipe for powers serves every norm and division.
FAMILIES = {
    **{name: (name,) for name in APPROXIMATED},
    "reciprocal": ("reciprocal", "power"),
    "rsqrt": ("rsqrt", "power"),
    **dict.fromkeys(("sqrt", "div", "layer_norm", "rms_norm", "l2_normalize"), ("power",)),
}


def catalogue() -> tuple[Approximation, ...]:
    """All bundled approximations, by function and name."""
    return tuple(approximation for function in APPROXIMATED for approximation in bundled(function))


@lru_cache(maxsize=len(APPROXIMATED))
def bundled(function: str) -> tuple[Approximation, ...]:
    """Those of one function, by name."""
    paths = DATA.glob(f"{function}-*.toml")
    found = [*(a for a in DEFAULTS if a.function == function), *map(_read, paths)]
    return tuple(sorted(found, key=lambda approximation: approximation.name))


def named(function: str) -> tuple[Approximation, ...]:
    """The bundled approximations of a function or an operation. Raises MPC-P024 for one that needs none."""
    if function not in FAMILIES:
        raise MpccError(
            "MPC-P024",
            f"there is no function {function!r} that is approximated",
            remedy=f"the functions are {', '.join(FAMILIES)}",
        )
    return tuple(approximation for name in FAMILIES[function] for approximation in bundled(name))


def candidates(function: str) -> tuple[Approximation, ...]:
    """Those that compute an operation on their own: limits of exp need arguments below 0, as in softmax."""
    return tuple(a for a in named(function) if not isinstance(a, INSIDE_SOFTMAX))


def find(function: str, name_or_path: str) -> Approximation:
    """What computes an operation, by its bundled name or the path of a file that ends in .toml.

    Raises MPC-P024 (unknown function or name), and for a file MPC-P022, MPC-P023.
    """
    approximation = refer(function, name_or_path)
    if isinstance(approximation, INSIDE_SOFTMAX):
        raise MpccError(
            "MPC-P024",
            f"{approximation.name} computes exp for arguments below 0, as softmax has them, and no other",
            remedy="name it as the exponential in a file of a softmax",
        )
    return approximation


def refer(function: str, name_or_path: str) -> Approximation:
    """As `find`, and what computes exp inside softmax, too."""
    found = named(function)
    if name_or_path.endswith(".toml"):
        approximation = load_file(Path(name_or_path))
        if approximation.function not in FAMILIES[function]:
            raise MpccError(
                "MPC-P023",
                f"field `function`: the file is about {approximation.function}, not {function}",
                where=name_or_path,
                remedy=f"give a file whose function is {' or '.join(FAMILIES[function])}",
            )
        return approximation
    for approximation in found:
        if approximation.name == name_or_path:
            return approximation
    raise MpccError(
        "MPC-P024",
        f"there is no approximation {name_or_path!r} of {function}",
        remedy=f"use {', '.join((*(a.name for a in found), BEST))}, or the path of a file that ends in .toml",
    )


def load_file(path: Path) -> Approximation:
    """An approximation of a user's file; the error that it states is measured too.

    Raises MPC-P022 (no such file, or no TOML) and MPC-P023 (what it says is wrong; all problems at once).
    """
    approximation = _read(path)
    try:
        measured = measured_error(approximation)
    except MpccError as error:
        raise MpccError("MPC-P023", error.message, where=str(path), remedy=error.remedy) from None
    except ValueError as error:
        raise MpccError("MPC-P023", str(error), where=str(path)) from None
    if measured.error > approximation.error * (1 + ROUNDING):
        raise MpccError(
            "MPC-P023",
            f"field `error`: it states {approximation.error:g}, but the error is {measured.error:.4g} at "
            f"{measured.place}",
            where=str(path),
            remedy="state the error with coefficients as they are rounded, or narrow the domain",
        )
    return approximation


def _read(path: Path) -> Approximation:
    return parse(read_toml(path), str(path), refer)
