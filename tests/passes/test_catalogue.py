"""The catalogue: stated errors hold and are not slack, published errors are reproduced, files are checked."""

from __future__ import annotations

import contextlib
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.passes.approximations.catalogue import (
    DATA,
    DEFAULTS,
    FAMILIES,
    ROUNDING,
    candidates,
    catalogue,
    find,
    load_file,
    refer,
)
from mpcc.passes.approximations.fields import read_toml
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.inverse import Goldschmidt
from mpcc.passes.approximations.measure import measured_error
from mpcc.passes.approximations.parse import parse
from mpcc.passes.approximations.piecewise import Piecewise, Series

PUBLISHED = {  # largest errors on [-8, 8] against GeLU by erf, on [-16, 16] against SiLU
    ("gelu", "shaft"): 0.0045,
    ("gelu", "bumblebee"): 0.0052,
    ("gelu", "secmoe"): 0.0118,
    ("gelu", "puma"): 0.0199,
    ("gelu", "secformer"): 0.0195,
    ("gelu", "quad"): 6.5,
    ("silu", "shaft"): 0.0053,
    ("silu", "bumblebee"): 0.0099,
    ("silu", "puma"): 0.072,
}
VALID = """
name = "mine"
function = "silu"
kind = "segmented polynomial"
source = "test"
domain = [-inf, inf]
error = 0.09
thresholds = [-8.0, -4.0, 4.0]
rows = [
    [0.0],
    [-0.30675, -0.08198, -0.0055466],
    [0.0085064, 0.5, 0.228143, 0.0, -0.011113, 0.0, 0.00027438],
    [0.0, 1.0],
]
"""


def label(approximation: Any) -> str:
    return f"{approximation.function}-{approximation.name}"


@pytest.mark.parametrize("approximation", catalogue(), ids=label)
def test_a_stated_error_holds_and_is_not_slack(approximation: Any) -> None:
    measured = measured_error(approximation)
    assert measured.error <= approximation.error * (1 + ROUNDING), measured
    # that of an iteration is what it aims at; those of the built-in ones include the protocols' rounding
    if not isinstance(approximation, Goldschmidt) and approximation not in DEFAULTS:
        assert approximation.error <= 1.01 * measured.error, measured


@pytest.mark.parametrize(("function", "name"), PUBLISHED)
def test_published_errors_are_reproduced(function: str, name: str) -> None:
    radius = 8.0 if function == "gelu" else 16.0
    x = np.append(np.linspace(-radius, radius, 160_001), np.nextafter([-4.0, 3.0, 4.0], 0.0))
    exact = FUNCTIONS["gelu_none" if function == "gelu" else function].evaluate(x)
    error = np.abs(find(function, name).evaluate(x) - exact).max()
    assert error == pytest.approx(PUBLISHED[function, name], rel=0.1)


def test_every_file_is_named_by_what_it_holds() -> None:
    for path in DATA.iterdir():
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        assert path.name == f"{table['function']}-{table['name']}.toml"
        assert refer(table["function"], table["name"]) == load_file(path)
    names = [(a.function, a.name) for a in catalogue()]
    assert len(set(names)) == len(names) == len(list(DATA.iterdir())) + len(DEFAULTS)


def test_norms_and_divisions_are_computed_by_recipes_for_powers() -> None:
    for function in ("layer_norm", "rms_norm", "l2_normalize", "div", "reciprocal", "rsqrt", "sqrt"):
        assert find(function, "goldschmidt") is find("power", "goldschmidt")


def test_a_series_is_read_as_the_paper_has_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "m"\nfunction = "tanh"\nkind = "sine series"\nsource = "s"\ndomain = [-1, 1]\nerror = 9\n'
        "rows = [[0.25]]\n[series]\nperiod = 6\nargument_scale = 2\nsine = [1, 0, 0.5]\n"
        "cosine = [0, 0, -2]\n",
        encoding="utf-8",
    )
    approximation = load_file(path)
    assert isinstance(approximation, Piecewise)
    assert isinstance(approximation.series, Series)
    assert approximation.series.harmonics == (1, 3)
    x = np.linspace(-5, 5, 101)
    angle = 2 * np.pi * 2 * x / 6
    expected = 0.25 + np.sin(angle) + 0.5 * np.sin(3 * angle) - 2 * np.cos(3 * angle)
    np.testing.assert_allclose(approximation.evaluate(x), expected, atol=1e-12)


@pytest.mark.parametrize(("low", "high", "error"), [(100.0, 200.0, 200.0), (-500.0, 40.0, 500.0)])
def test_all_of_a_finite_domain_is_measured(low: float, high: float, error: float) -> None:
    table = tomllib.loads(VALID) | {"function": "tanh", "domain": [low, high]}
    table |= {"thresholds": [], "rows": [[0.0, 1.0]]}
    assert measured_error(parse(table, "f", refer)).error == pytest.approx(error, abs=1.5)


def test_a_users_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(VALID, encoding="utf-8")
    assert find("silu", str(path)).name == "mine"
    with pytest.raises(MpccError, match="is about silu, not gelu") as caught:
        find("gelu", str(path))
    assert caught.value.code == "MPC-P023"


def test_a_softmax_may_refer_to_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(
        'name = "e"\nfunction = "exp"\nkind = "limit"\nsource = "s"\ndomain = [-inf, 0.0]\nerror = 0.01\n'
        "squarings = 5\nclip = -14.0\n",
        encoding="utf-8",
    )
    text = (
        'name = "s"\nfunction = "softmax"\nkind = "softmax"\nsource = "s"\ndomain = [-inf, inf]\n'
        'error = 0.2\nreciprocal = "goldschmidt"\nexponential = '
    )
    path = tmp_path / "s.toml"
    path.write_text(f'{text}"e.toml"\n', encoding="utf-8")
    softmax: Any = find("softmax", str(path))
    assert (softmax.exponential.name, softmax.reciprocal.name) == ("e", "goldschmidt")
    path.write_text(f'{text}"nothing"\n', encoding="utf-8")
    with pytest.raises(MpccError, match="no approximation 'nothing' of exp"):
        find("softmax", str(path))


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('"mine"', "3", "`name`: is no text"),
        ('"mine"', '"best"', "`name`: 'best' is no name"),
        ('"silu"', '"sine"', "`function`: 'sine' is not known"),
        ('"segmented polynomial"', '"softmax"', "`kind`: 'softmax' is not known"),
        ('source = "test"', "", "`source`: is missing"),
        ("[-inf, inf]", "[1, 1]", r"`domain`: \[1, 1\] is empty"),
        ("[-inf, inf]", "[nan, 1]", r"`domain\[0\]`: is not finite"),
        ("[-inf, inf]", "[1, 2, 3]", r"`domain`: is not \[low, high\]"),
        ("0.09", "-1", "`error`: is not within"),
        ("0.09", "inf", "`error`: is not finite"),
        ("0.09", "true", "`error`: is no number"),
        ("0.09", "0.01", "it states 0.01, but the error is 0.0719"),
        ("-8.0, -4.0", "-4.0, -8.0", "`thresholds`: do not ascend"),
        ("-8.0, -4.0", "-8.0, -8.0", "`thresholds`: do not ascend"),
        ("-8.0, -4.0", "-8.0", "`rows`: 2 thresholds make 3 segments"),
        ("-8.0, -4.0", "-8.0, -inf", r"`thresholds\[1\]`: is not finite"),
        ("[0.0],", "[nan],", r"`rows\[0\]\[0\]`: is not finite"),
        ("[0.0],", "[1e13],", r"`rows\[0\]\[0\]`: is not within"),
        ("[0.0],", "[],", r"`rows\[0\]`: has not 1 to"),
        ("[0.0],", '["0"],', r"`rows\[0\]\[0\]`: is no number"),
        ("[0.0],", "7,", r"`rows\[0\]`: is no array"),
        ("error", "colour = 1\nerror", "`colour`: is not known here"),
    ],
)
def test_every_field_is_checked(tmp_path: Path, old: str, new: str, cause: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in VALID
    path.write_text(VALID.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(MpccError, match=cause) as caught:
        load_file(path)
    assert caught.value.code == "MPC-P023"
    assert caught.value.where == str(path)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = VALID.replace("0.09", "-1").replace("-8.0, -4.0", "-4.0, -8.0").replace('"mine"', '"M!"')
    path.write_text(f"{text}\ncolour = 1", encoding="utf-8")
    with pytest.raises(MpccErrors) as caught:
        load_file(path)
    assert len(caught.value.errors) == 4


@pytest.mark.parametrize("function", ["reciprocal", "rsqrt"])
def test_powers_have_positive_arguments(function: str) -> None:
    table = {**tomllib.loads(VALID), "function": function}
    with pytest.raises(MpccError, match="positive arguments only"):
        parse(table, "f", refer)


def test_unknown_names_are_answered_with_those_there_are() -> None:
    for function, name, listed in (("gelu", "none", "secmoe"), ("relu", "puma", "softmax")):
        with pytest.raises(MpccError, match=listed) as caught:
            find(function, name)
        assert caught.value.code == "MPC-P024"


def test_limits_of_exp_compute_it_inside_softmax_only() -> None:
    assert [a.name for a in candidates("exp")] == ["bolt"]
    with pytest.raises(MpccError, match="arguments below 0") as caught:
        find("exp", "puma")
    assert caught.value.code == "MPC-P024"


@pytest.mark.parametrize(
    "content", [b"\xff", b"= 3", b"a = " + b"[" * 5000, b"a = " + b"1" * 5000, None], ids=range(5)
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MpccError) as caught:
        load_file(path)
    assert caught.value.code == "MPC-P022"


# ---- arbitrary files


class Refused(Exception):
    """The right error was raised."""


@contextlib.contextmanager
def refusing(code: str) -> Iterator[None]:
    try:
        yield
    except MpccError as error:
        raise (Refused() if error.code == code else error) from None


KEYS = sorted(
    {key for path in DATA.iterdir() for key in tomllib.loads(path.read_text(encoding="utf-8"))}
    | {"centre", "cosine", "harmonics", "argument_scale", "period", "sine", "other"}
)
WORDS = sorted(
    {str(v) for path in DATA.iterdir() for v in tomllib.loads(path.read_text(encoding="utf-8")).values()}
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, -1.0, math.inf, 10**400]))
ARRAYS = st.one_of(st.lists(NUMBERS, max_size=5), st.lists(st.lists(NUMBERS, max_size=14), max_size=5))
VALUES = st.one_of(NUMBERS, ARRAYS, st.booleans(), st.text(max_size=5), st.sampled_from(WORDS))
TABLES = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES))
)
FILES = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(DATA.iterdir())]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), TABLES, st.sets(st.sampled_from(KEYS), max_size=2))
def test_arbitrary_tables_are_read_or_refused(
    base: dict[str, Any], changed: dict[str, Any], missing: set[str]
) -> None:
    table = {key: value for key, value in {**base, **changed}.items() if key not in missing}
    with contextlib.suppress(Refused):
        with refusing("MPC-P023"):
            approximation = parse(table, "file.toml", refer)
        assert approximation.function in FAMILIES
        with contextlib.suppress(ValueError, MpccError):  # no format: load_file says so
            measured_error(approximation)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_arbitrary_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary.toml"
    path.write_bytes(content)
    with contextlib.suppress(Refused), refusing("MPC-P022"):
        assert isinstance(read_toml(path), dict)
