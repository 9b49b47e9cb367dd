"""The whole matrix of faults, many kills, and the tables of docs/faults.md from what came of them."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import click

from tests.faults import matrix, page, works
from tests.faults.dealer_kills import NAMES, DealerKills
from tests.faults.kills import Kills
from tests.faults.matrix import Case
from tests.faults.preparation_kills import PreparationKills
from tests.faults.setting import Setting

THREADS = 3  # settings at work at once


@click.command()
@click.option("--runs", default=200, show_default=True, help="Kills.")
@click.option("--seed", type=int, help="Of the kills; else another one each time.")
@click.option("--write", is_flag=True, help="Write what was seen into docs/faults.md.")
def main(runs: int, seed: int | None, write: bool) -> None:
    """Run all of it; the first thing that is not as it should be ends it."""
    with tempfile.TemporaryDirectory(prefix="mpcc-faults-") as scratch:
        seen = _cells(Path(scratch))
        print(f"{len(seen)} faults: as they should be")
        kills = _kills(Path(scratch), runs, Random(seed))
        print(f"{kills.total()} kills: as they should be")
    for key, count in sorted(kills.items()):
        print(*key, count)
    if write:
        page.write(seen, kills)


def _cells(scratch: Path) -> page.Seen:
    cases = [*matrix.cases(tls=False), *matrix.cases(tls=True)]
    local, numbers = threading.local(), itertools.count()

    def run(case: Case) -> tuple[str, str]:
        if not hasattr(local, "setting"):  # two servers of one store would be one fault too many
            local.setting = Setting(scratch / f"cells{next(numbers)}", len(cases))
        outcome = matrix.run(local.setting, case)
        return outcome.server, outcome.client

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))


def _kills(scratch: Path, runs: int, random: Random) -> Counter[tuple[str, ...]]:
    """Half of them on the small program, the others on a compiled one and around its dealer."""
    seen: Counter[tuple[str, ...]] = Counter()
    parts = {works.small: runs - 2 * (runs // 4), works.compiled: runs // 4}
    for make, part in parts.items():
        kills = Kills(Setting(scratch / make.__name__, 2 * part + 10, make), random)
        for number in range(part):
            outcome = kills.run(number % 2)
            seen[f"a run, {make.__name__}", NAMES[number % 2], outcome.server, outcome.client] += 1
    with contextlib.closing(DealerKills(scratch / "dealer", random)) as dealing:
        for number in range(runs // 4):
            victim = number % len(NAMES)
            seen["dealing", NAMES[victim], *dealing.run(victim)] += 1
    preparing = PreparationKills(scratch / "preparing", random)
    for number in range(runs // 4):
        seen["preparing", NAMES[number % 2], *preparing.run(number % 2)] += 1
    return seen


if __name__ == "__main__":
    main()
