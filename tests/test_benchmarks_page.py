"""The benchmarks' tables and kept points, without measuring."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import without_dealer
from tests.benchmarks.harness.beside import measure_spu
from tests.benchmarks.harness.page import headline, tables
from tests.benchmarks.harness.precision import Precision
from tests.benchmarks.harness.results import MPCC, Conditions, PeerResult, Result, Results
from tests.benchmarks.harness.roofline import Limits
from tests.benchmarks.peers.spu import NOT_INSTALLABLE
from tests.benchmarks.peers.spu_environment import NotInstallable
from tests.benchmarks.run import check

HERE = Conditions("4 cores", "a processor", "1234567", 0.5, 0.1)
GELU = Result(
    system=MPCC,
    work="gelu",
    network="loopback",
    program_hash="abc",
    seconds=(0.05, 0.09, 0.04),
    dealing_seconds=0.3,
    setup_seconds=0.1,
    rounds=3,
    bytes=(2_000_000, 1_500_000),
    reveal_rounds=1,
    reveal_bytes=500_000,
    dealt_bytes=45_000_000,
    setup_bytes=1000,
    memory=(100_000_000, 110_000_000, 80_000_000, 250_000_000),
    max_error=0.0004,
    compile_seconds=2.5,
    predicted_wire=0.01,
    predicted_compute=0.05,
    multiplications=10**8,
    limits=Limits(1e10, rate=1e9, round_trip=1e-5, relay=Precision(round_trip=1e-4, rate=0.01)),
    conditions=HERE,
)
SPU = PeerResult(
    system="SPU 0.9.5 SEMI2K",
    work="gelu",
    network="loopback",
    seconds=(2.0, 2.5, 1.0),
    bytes=(100_000_000, 200_000_000),
    rounds=40,
    max_error=0.02,
    memory=(500_000_000, 600_000_000),
    setting="party 0 knows all correlations",
    conditions=HERE,
)


def cells(text: str, start: str) -> list[list[str]]:
    """Of the rows that start so."""
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "points.json")
    found.add([GELU, replace(GELU, network="wan", seconds=(0.4,)), SPU])
    return found


def test_points_are_kept(results: Results) -> None:
    again = Results(results.path)
    assert (again.mpcc, again.peers) == (results.mpcc, results.peers)


def test_online_rows_have_the_median_and_the_roofline(results: Results) -> None:
    bars, online, wan, *_ = cells(tables(results), "GeLU")
    assert online[1:7] == ["0.050", "0.040 to 0.090", "0.060", "0.0100 compute", "5.0", "3"]
    # 3 half round trips of 40 ms, and 2 MB at 12.5 MB/s
    assert wan[1:6] == ["0.400", "0.400 to 0.400", "0.060", "0.2200 wire", "1.8"]
    assert bars[1:] == ["0.05", "0.12", "3", "4", "2", "2", "45", "-", "yes"]


def test_a_bar_that_is_not_met_says_so(results: Results) -> None:
    results.add([replace(GELU, rounds=4)])
    assert cells(tables(results), "GeLU")[0][-1] == "**no**"


def test_spu_stands_beside_it_without_the_reveal(results: Results) -> None:
    text = tables(results)
    (row,) = (row for row in cells(text, "GeLU") if "SPU 0.9.5 SEMI2K" in row)
    assert row[3:10] == ["2", "0.050", "40.0", "300.0", "100.0", "40", "20.0"]
    assert "party 0 knows all correlations" in text
    assert cells(headline(results), "GeLU")[0][-2] == "2, 300, 40"


def answer(monkeypatch: pytest.MonkeyPatch, code: int, out: str = "", err: str = "") -> None:
    """SPU's command ends like this."""
    done = subprocess.CompletedProcess("", code, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def test_what_spu_prints_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"system": SPU.system, "work": "gelu", "network": "loopback", "seconds": 2.0, "rounds": SPU.rounds}
    told |= {"all_seconds": SPU.seconds, "bytes": SPU.bytes, "max_error": SPU.max_error}
    answer(
        monkeypatch, 0, json.dumps({**told, "peak_memory_bytes": SPU.memory, "setting": SPU.setting}) + "\n"
    )
    (found,) = measure_spu("gelu", "loopback", 3)
    assert replace(found, conditions=HERE) == SPU


def test_without_spu_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, NOT_INSTALLABLE, err="a warning\nno wheel for this Python\n")
    with pytest.raises(NotInstallable, match=r"^no wheel for this Python$"):
        measure_spu("gelu", "loopback", 3)
    answer(monkeypatch, 1, err="a defect")
    with pytest.raises(SystemExit, match="a defect"):
        measure_spu("gelu", "loopback", 3)


def test_other_rounds_or_bytes_than_predicted_are_refused() -> None:
    predicted = {"rounds": 2, "offline_rounds": 9, "bytes": {"online": {"party0": 1}}}
    check("work", predicted, predicted)
    for wrong in ({"rounds": 3}, {"offline_rounds": 8}, {"bytes": {"online": {"party0": 2}}}):
        with pytest.raises(SystemExit, match="work: "):
            check("work", {**predicted, **wrong}, predicted)


def test_the_page_without_a_dealer_is_of_its_points() -> None:
    folder = without_dealer.FOLDER
    points = without_dealer.read(folder / without_dealer.POINTS)
    assert without_dealer.page(points) == (folder / without_dealer.PAGE).read_text(encoding="utf-8")


def test_what_a_work_without_a_dealer_costs_is_of_all_phases() -> None:
    work = "gelu"
    point = without_dealer.Point(
        system=MPCC,
        work=work,
        offline_seconds=(2.0, 4.0, 3.0),
        online_seconds=(0.25, 0.5, 0.75),
        cpu_seconds=(9.0, 7.5, 8.0),
        offline_bytes=(60_000_000, 40_000_000),
        online_bytes=(3_000_000, 1_000_000),
        rounds=(200, 5),
        memory=(500_000_000, 400_000_000),
        max_error=0.002,
        conditions=HERE,
    )
    (row,) = cells(without_dealer.page({(work, MPCC): point}), "GeLU")
    assert row[1:] == [MPCC, "3.75 (7.27)", "0.50", "8.00", "104.0 (159)", "4.0", "205", "500", "0.002"]
    peer = without_dealer.of_peer(SPU)
    assert peer.seconds == 2.0
    (row,) = cells(without_dealer.page({(work, peer.system): peer}), "GeLU")
    assert row[2:6] == ["2.00", "2.00", "", "300.0"]
