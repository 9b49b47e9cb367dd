"""Every kept input again, and for a moment new ones: a result or an MpccError, in bounded time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random, SystemRandom

import pytest

from tests.fuzz import corpus
from tests.fuzz.bounds import execute, limits
from tests.fuzz.findings import CRASHES
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FRESH_SECONDS = 0.7
pytestmark = pytest.mark.filterwarnings("ignore")  # libraries warn of what they are given here


@pytest.fixture(scope="module", params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with limits():
        yield TARGETS[request.param]()


def test_kept_inputs(target: Target) -> None:
    inputs = corpus.read(target.name)
    assert len(inputs) > 10
    for path, data in inputs.items():
        try:
            execute(target, data)
        except BaseException as error:
            raise AssertionError(f"{path}: {error!r}") from error


def test_new_inputs(target: Target) -> None:
    """The seed is another one each time; what fails is kept where campaigns keep what they find."""
    seed = SystemRandom().getrandbits(32)
    random = Random(seed)
    inputs = list(corpus.read(target.name).values())
    end = time.monotonic() + FRESH_SECONDS
    while time.monotonic() < end:
        data = target.mutate(random.choice(inputs), random, target.max_bytes)
        try:
            execute(target, data)
        except BaseException as error:
            path = CRASHES / target.name / f"test-{seed}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            raise AssertionError(f"{path} holds an input with: {error!r}") from error
