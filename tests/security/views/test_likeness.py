"""Every protocol's view, of either party, is distributed alike whatever the other party holds."""

from __future__ import annotations

import pytest

from tests.security.views.samples import SESSIONS, forms, sampled, sessions
from tests.security.views.subjects import COPIES, SUBJECTS, Subject
from tests.security.views.verdicts import likeness, noticed, uniformity


@pytest.mark.parametrize("observer", [0, 1], ids=["party 0", "party 1"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_views_of_any_secrets_are_alike(subject: Subject, observer: int) -> None:
    """Sessions of one secret, of another with the same output, and of secrets that change all the time.

    What is revealed is compared where the output is the same.
    """
    views = [
        sessions(subject, observer, secret, SESSIONS * number)
        for number, secret in enumerate((*subject.secrets, None))
    ]
    first, second, varying = (sampled(found, observer, COPIES) for found in views)
    for found in (second, varying):
        assert noticed(uniformity(found)) == set()
    assert noticed(likeness(first, second)) == set()
    assert noticed(likeness(first.unrevealed, varying.unrevealed)) == set()
    expected, *others = (form for found in views for form in forms(found))
    assert all(form == expected for form in others)
