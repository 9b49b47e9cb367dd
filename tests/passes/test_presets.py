"""Presets: what they fix, what a command line adds, and all problems at once."""

from __future__ import annotations

import pytest

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.passes.approximations.catalogue import find
from mpcc.passes.approximations.presets import DATA, preset, presets, used_for, uses_of


def test_every_published_system_is_there() -> None:
    assert presets() == ("best", "bolt", "bumblebee", "mpcformer", "puma", "secformer", "secmoe", "shaft")
    for name in presets():
        assert preset(name).name == name
        assert preset(name).changes_model == (name in ("mpcformer", "secformer"))
        assert ("gelu" in preset(name).uses) == (name != "best")


def test_every_preset_says_what_its_paper_leaves_open() -> None:
    for path in DATA.iterdir():
        assert path.read_text(encoding="utf-8").startswith("# "), path.name


def test_overrides_stand_above_the_preset() -> None:
    uses = uses_of("puma", {"gelu": "secmoe", "silu": "best", "layer_norm": "goldschmidt"})
    assert uses["gelu"] is find("gelu", "secmoe")
    assert uses["silu"] is None
    assert uses["softmax"] is find("softmax", "puma")
    assert used_for(uses, "layer_norm") is find("power", "goldschmidt")
    assert used_for(uses, "div") is None
    assert used_for(uses_of("secformer", {}), "div") is find("power", "goldschmidt")


def test_wrong_names_are_told_at_once() -> None:
    with pytest.raises(MpccErrors) as caught:
        uses_of("none", {"gelu": "none", "relu": "best", "silu": "puma"})
    assert [error.code for error in caught.value.errors] == ["MPC-P024"] * 3
    with pytest.raises(MpccError, match="the presets are best, bolt"):
        preset("none")
