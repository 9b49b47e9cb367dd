"""The study of growth (docs/scaling.md): what is counted, what is derived, and the committed page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mpcc.compiler.cost.model import cost_of
from mpcc.ir.parser import parse
from tests.benchmarks.rows import ROOT
from tests.benchmarks.scaling import __main__ as study
from tests.benchmarks.scaling.elements import LINEAR_PRODUCT, ONCE, SCORE_PRODUCT, SCORES, STATES, declared
from tests.benchmarks.scaling.encoder import Encoder
from tests.benchmarks.scaling.page import PAGE, tables
from tests.benchmarks.scaling.points import AXES, BASE, LAYERS, TOKENS, Results
from tests.benchmarks.scaling.theory import Theory, exponent

POINTS = ROOT / "docs/scaling.json"

# One head's attention on 64 tokens, where scores, queries and results are all [h, 64, 64].
ATTENTION = """
program "attention" share {reveals = ["y=party1"]} {
  %0 = client_input {name = "x", fraction = 13, shape = [1, 64, 128]} : private1<64, 13, 1x64x128>
  %1 = serve %0 {bits = 40} : served<40, 13, 1x64x128>
  %2 = weight {name = "w", fraction = 16, shape = [128, 128]} : private0<64, 16, 128x128>
  %3 = linear %1, %2 : share<40, 29, 1x64x128>
  %4 = shift %3 {bits = 16} : share<24, 13, 1x64x128>
  %5 = open_masked %4 {bits = 24} : masked<24, 13, 1x64x128>
  %6 = reshape %5 {shape = [1, 64, 2, 64]} : masked<24, 13, 1x64x2x64>
  %7 = transpose %6 {permutation = [0, 2, 1, 3]} : masked<24, 13, 1x2x64x64>
  %8 = transpose %6 {permutation = [0, 2, 3, 1]} : masked<24, 13, 1x2x64x64>
  %9 = matmul %7, %8 : share<24, 26, 1x2x64x64>
  %10 = open_masked %9 {bits = 24} : masked<24, 26, 1x2x64x64>
  %11 = matmul %10, %7 : share<24, 39, 1x2x64x64>
  %12 = reveal %11 {name = "y", to = "party1"} : private1<24, 39, 1x2x64x64>
  output "y" = %12
}
"""


def test_elements_are_told_apart_where_they_have_the_same_shape() -> None:
    program, encoder = parse(ATTENTION), Encoder(tokens=64, layers=1, width=128)
    found = declared(program, encoder)
    assert found.party1 == {STATES: 40 + 24, SCORES: 24}
    assert found.party0 == {STATES: 24 + 24, SCORES: 24}
    assert found.dealt == {STATES: 40 + 24, SCORES: 24}
    assert found.multiplications[SCORE_PRODUCT] == 4
    totals, cost = found.at(encoder), cost_of(program)
    assert totals == {
        "party0": cost.bytes_party0,
        "party1": cost.bytes_party1,
        "dealt": cost.offline_bytes,
        "setup": cost.setup_bytes,
        "multiplications": cost.multiplications,
    }
    assert found.setup[ONCE] == 8 * 32  # the token that names the weights


def test_declared_bits_make_the_measured_bytes() -> None:
    results = Results(POINTS)
    assert set(results.by_encoder) == {encoder for encoders in AXES.values() for encoder in encoders}
    for encoder, result in results.by_encoder.items():
        totals = result.declared.at(encoder)
        assert totals["party0"] == pytest.approx(result.bytes_party0, abs=1)
        assert totals["party1"] == pytest.approx(result.bytes_party1, abs=1)
        assert totals["dealt"] == pytest.approx(result.dealt_bytes, abs=1)
        assert totals["setup"] == pytest.approx(result.setup_bytes, abs=1)
        assert totals["multiplications"] == pytest.approx(result.multiplications)


def test_what_a_layer_declares_gives_the_other_points() -> None:
    """Exactly the two it is taken from; for any number of layers so many times as much."""
    results = Results(POINTS)
    theory = Theory.of(results)
    assert theory is not None
    assert theory.layer.multiplications[LINEAR_PRODUCT] == 12
    assert theory.layer.multiplications[SCORE_PRODUCT] == 4
    for result in (theory.first, theory.base):
        derived = theory.at(result.encoder)
        assert derived.rounds == result.rounds
        assert derived.online_bytes == pytest.approx(result.online_bytes, abs=1)
        assert derived.dealt_bytes == pytest.approx(result.dealt_bytes, abs=1)
        assert derived.setup_bytes == pytest.approx(result.setup_bytes, abs=1)
    one, two, twelve = (theory.at(replace(BASE, layers=count)) for count in (1, 2, 12))
    assert twelve.online_bytes - two.online_bytes == pytest.approx(10 * (two.online_bytes - one.online_bytes))
    assert twelve.rounds - two.rounds == 10 * (two.rounds - one.rounds)


def test_exponents() -> None:
    results = Results(POINTS)
    found = [results.by_encoder[e] for e in AXES[TOKENS]]
    sizes = [r.encoder.tokens for r in found]
    assert exponent(lambda r: 3.0 * r.encoder.tokens**2, found, sizes) == pytest.approx(2)
    assert exponent(lambda r: 7.0, found, sizes) == 0


def test_the_page_shows_the_committed_points() -> None:
    assert tables(Results(POINTS)) in PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_measures_writes_page_and_plots_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    encoders = tuple(Encoder(tokens=8, layers=layers, width=128) for layers in (1, 2))
    monkeypatch.setattr("tests.benchmarks.scaling.theory.BASE", encoders[1])
    monkeypatch.setitem(AXES, LAYERS, encoders)
    arguments = ["--axis", LAYERS, "--sessions", "1", "--output", str(tmp_path)]
    study.main(arguments)
    plot = ElementTree.parse(tmp_path / "images/scaling-layers.svg")
    assert "dealt, derived" in {"".join(text.itertext()) for text in plot.iterfind(".//{*}text")}

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    page = tmp_path / PAGE.name
    first = page.read_text(encoding="utf-8")
    assert "2 points" in first
    monkeypatch.setattr(study, "measure", refuse)
    study.main(arguments)
    assert page.read_text(encoding="utf-8") == first
