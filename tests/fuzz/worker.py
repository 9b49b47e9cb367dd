"""One process of a campaign: coverage-guided search with atheris. Arguments: TARGET and libFuzzer's own."""

from __future__ import annotations

import sys
from random import Random

import atheris

RAW_SHARE = 0.15  # of the changes that are left to libFuzzer, which knows no structure


def main(arguments: list[str]) -> None:
    """Search until libFuzzer's limits are reached; findings are kept and do not end it."""
    with atheris.instrument_imports(include=["mpcc"]):
        from tests.fuzz.targets import TARGETS

        target = TARGETS[arguments[1]]()
    from tests.fuzz.bounds import execute, limits
    from tests.fuzz.findings import record

    def run(data: bytes) -> None:
        try:
            execute(target, data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if record(target.name, data, error):
                print(f"FOUND {type(error).__name__}: {error}"[:200], flush=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < RAW_SHARE:
            return bytes(atheris.Mutate(data, most))
        return target.mutate(data, random, most)[:most]

    with limits():
        atheris.Setup(
            [arguments[0], *arguments[2:], f"-max_len={target.max_bytes}"], run, custom_mutator=mutate
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
