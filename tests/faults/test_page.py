"""docs/faults.md has every case of the matrix, and what it says of it is what may be."""

from __future__ import annotations

from tests.faults import page
from tests.faults.setting import Outcome


def test_every_case_is_on_the_page() -> None:
    for case, server, client in page.stated():
        case.check(Outcome(server, client, client == "done", 0))
