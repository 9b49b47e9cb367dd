"""Every protocol's view, of either party: uniform but for what is revealed, as long in every session."""

from __future__ import annotations

import pytest

from mpcc.runtime.protocols import protocols
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES
from tests.runtime.protocols.choices import seeded
from tests.security.views.samples import forms, sampled, sessions
from tests.security.views.subjects import COPIES, SUBJECTS, Subject
from tests.security.views.verdicts import noticed, uniformity


def test_every_protocol_that_draws_or_sends_is_a_subject() -> None:
    """The others do neither, for any parameters: their views are empty."""
    active = set()
    for kind in protocols:
        for number in range(5):
            for operation in CASES[kind](seeded(number, 0)).program.operations:
                protocol = protocols[operation.kind]
                if protocol.slots(operation) or protocol.messages(operation):
                    active.add(operation.kind)
    assert {subject.kind for subject in SUBJECTS} == active


@pytest.mark.parametrize("observer", [0, 1], ids=["party 0", "party 1"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_view_of_one_secret_is_uniform(subject: Subject, observer: int) -> None:
    """Nothing of the inputs is random here, so the masks alone make it uniform."""
    views = sessions(subject, observer, subject.secrets[0], 0)
    assert noticed(uniformity(sampled(views, observer, COPIES))) == set()
    assert all(form == forms(views)[0] for form in forms(views))
