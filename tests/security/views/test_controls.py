"""Each statistic is shown to notice what it is for, in samples and in runs that answer correctly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import pytest

from tests.runtime.protocols.harness import seed_pair
from tests.security.views import statistics
from tests.security.views.controls import (
    biased,
    corrections_in_the_clear,
    drawn_early,
    even,
    messages_as_long_as,
    narrow,
    one_for_all,
    one_stream_for_all_masks,
    third_of_three,
    weakened,
    without_masks,
)
from tests.security.views.samples import SESSIONS, Sample, forms, sampled, sessions
from tests.security.views.statistics import RARE
from tests.security.views.subjects import COPIES, SUBJECTS, Secret, Subject
from tests.security.views.verdicts import likeness, noticed, uniformity

SAMPLES = SESSIONS * COPIES
RANDOM = np.random.default_rng(11)
FAIR = RANDOM.integers(0, 2, (SAMPLES, 24), dtype=np.uint8)
OTHER = RANDOM.integers(0, 2, (SAMPLES, 24), dtype=np.uint8)
OFTEN = (RANDOM.random(SAMPLES) < 0.15).astype(np.uint8)  # a bit that is set then is 1 in 0.575 of all cases
OFTENER = (RANDOM.random(SAMPLES) < 0.2).astype(np.uint8)
TESTS = np.arange(24).reshape(4, 6)


def changed(column: np.ndarray) -> np.ndarray:
    """The fair sample with another first column."""
    return np.concatenate([column[:, None], FAIR[:, 1:]], axis=1)


def elements(bits: np.ndarray) -> np.ndarray:
    places = np.arange(24, dtype=np.uint64)
    return np.asarray((bits.astype(np.uint64) << places).sum(axis=1, keepdims=True))


PARITY = np.bitwise_xor.reduce(FAIR[:, 1:8], axis=1)
DOUBLED = np.concatenate([FAIR[:, :22], FAIR[:, 22:23], FAIR[:, 22:23]], axis=1)
PLANTED: dict[str, tuple[Callable[[np.ndarray], float], np.ndarray]] = {
    "balance": (statistics.balance, changed(FAIR[:, 0] | OFTEN)),
    "groups": (lambda bits: statistics.groups(bits[:, None]), changed(PARITY)),
    "relation": (statistics.relation, changed(np.where(OFTEN, FAIR[:, 1], FAIR[:, 0]))),
    "triples": (statistics.triples, changed(np.where(OFTEN, FAIR[:, 1] ^ FAIR[:, 2], FAIR[:, 0]))),
    "repetition": (
        lambda bits: statistics.repetition(bits, COPIES),
        changed(np.where(OFTEN, np.roll(FAIR[:, 0], COPIES), FAIR[:, 0])),
    ),
    "difference": (lambda bits: statistics.difference(bits, OTHER), changed(FAIR[:, 0] | OFTENER)),
    "tuples": (lambda bits: statistics.tuples(bits, OTHER, TESTS), changed(FAIR[:, 1] ^ FAIR[:, 2])),
    "smirnov": (lambda bits: statistics.smirnov(elements(bits), elements(OTHER)), DOUBLED),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_statistic_notices_what_it_is_for(name: str) -> None:
    """And nothing in fair samples. Where two statistics could tell, one of the others does not."""
    test, planted = PLANTED[name]
    assert test(FAIR) > RARE
    assert test(planted) < RARE
    if name in ("groups", "triples", "repetition", "tuples", "smirnov"):
        assert statistics.balance(planted) > RARE
    if name in ("groups", "triples", "repetition"):
        assert statistics.relation(planted) > RARE


def sample(subject: Subject, observer: int, secret: Secret, first: int) -> Sample:
    return sampled(sessions(subject, observer, secret, first), observer, COPIES)


BY_NAME = {str(subject): subject for subject in SUBJECTS}
OPENING, LINEAR = BY_NAME["open_masked: 21 bits"], BY_NAME["linear: a matrix"]
PRODUCT, TWICE = BY_NAME["product: two values and bits"], BY_NAME["open_masked: a value twice"]
WEAKNESSES: dict[str, tuple[Callable[[], AbstractContextManager[None]], Subject, int, set[str]]] = {
    "no mask": (lambda: without_masks(lambda name: True), OPENING, 0, {"balance", "groups"}),
    "one mask for two openings": (one_stream_for_all_masks, TWICE, 0, {"relation"}),
    "one mask for all elements": (partial(weakened, one_for_all), OPENING, 0, {"next copy"}),
    "a mask without its top bit": (partial(weakened, narrow), OPENING, 1, {"balance", "groups"}),
    "a biased bit": (partial(weakened, biased), OPENING, 0, {"balance"}),
    "seven bits of entropy a byte": (partial(weakened, even), OPENING, 0, {"groups"}),
    "a third part that two others tell": (partial(weakened, third_of_three), LINEAR, 0, {"triples"}),
    "corrections in the clear": (corrections_in_the_clear, PRODUCT, 1, {"balance"}),
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_a_weak_run_is_noticed(weakness: str) -> None:
    """It gives the right answer all the same."""
    weaken, subject, observer, expected = WEAKNESSES[weakness]
    case = subject.case(observer, subject.secrets[0])
    with weaken():
        case.assert_correct(subject.prepared.run(case.arrays, seed_pair(1)))
        found = noticed(uniformity(sample(subject, observer, subject.secrets[0], 0)))
    assert found >= expected


def test_randomness_used_in_two_sessions_is_noticed() -> None:
    views = sessions(OPENING, 0, OPENING.secrets[0], 0, lambda number: seed_pair(number // 2))
    assert noticed(uniformity(sampled(views, 0, COPIES))) >= {"next session"}


@pytest.mark.parametrize("subject", [OPENING, PRODUCT], ids=str)
def test_a_missing_mask_tells_secrets_apart(subject: Subject) -> None:
    with without_masks(lambda name: True):
        one, other = (sample(subject, 0, secret, 0) for secret in subject.secrets)
    assert noticed(likeness(one, other)) >= {"difference", "tuples", "smirnov"}


def test_digits_that_a_truncation_should_have_dropped_are_noticed() -> None:
    """Numbers that are equal after it, revealed before."""
    subject = Subject(
        "reveal", "all digits", lambda s: s.total(s.product(40, s.opened(20))), ((5 << 8,), (6 << 8,))
    )
    one, other = (sample(subject, 1, secret, number) for number, secret in enumerate(subject.secrets))
    assert noticed(likeness(one.unrevealed, other.unrevealed)) == set()
    assert noticed(likeness(one, other)) != set()


def test_a_length_that_depends_on_a_share_is_refused() -> None:
    case = OPENING.case(0, None)
    case.arrays["a1"] |= 1
    with (
        messages_as_long_as(lambda share: int(share.sum()) & 1),
        pytest.raises(RuntimeError, match="does not send what it states"),
    ):
        OPENING.prepared.run(case.arrays, seed_pair(0))


def test_an_order_that_depends_on_a_share_is_noticed() -> None:
    later = next(o for o in OPENING.prepared.linked if o.kind == "product")
    with drawn_early(later):
        views = sessions(OPENING, 0, None, 0)
    assert any(form != forms(views)[0] for form in forms(views))
    assert noticed(uniformity(sampled(views, 0, COPIES))) == set()
