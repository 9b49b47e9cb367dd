"""The command line: a campaign, one input again, or the corpus made small again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tests.fuzz import corpus
from tests.fuzz.bounds import execute, limits
from tests.fuzz.campaign import WORK, run_campaign
from tests.fuzz.targets import TARGETS

CORPUS_BYTES = 300_000  # of each target in the repository


@click.command()
@click.argument("name", metavar="TARGET", type=click.Choice(list(TARGETS)))
@click.option("--runs", default=1_000_000, show_default=True, help="Executions of all processes together.")
@click.option("--seconds", default=0, help="End after so many seconds; 0 for no end.")
@click.option("--processes", default=2, show_default=True)
@click.option("--replay", type=click.Path(path_type=Path), help="Run one file and show what comes out.")
@click.option("--minimise", is_flag=True, help="Take what campaigns found into the repository's corpus.")
def main(name: str, runs: int, seconds: int, processes: int, replay: Path | None, minimise: bool) -> None:
    """Fuzz one target."""
    target = TARGETS[name]()
    if replay:
        with limits():
            execute(target, replay.read_bytes())
        print("no finding")
    elif minimise:
        kept = corpus.read(name)
        found = [path.read_bytes() for path in (WORK / name / "corpus").glob("*")]
        small = corpus.minimised(target, [*kept.values(), *found], CORPUS_BYTES)
        for path in kept:
            if not path.name.startswith(corpus.KEPT):
                path.unlink()
        corpus.write(corpus.FOLDER / name, small)
        print(f"{name}: {len(small)} files, {sum(map(len, small))} bytes")
    else:
        result = run_campaign(target, runs, seconds, processes)
        print(f"{name}: {result}")
        sys.exit(result.findings > 0)


if __name__ == "__main__":
    main()
