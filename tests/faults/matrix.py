"""Every fault of the relay at every message, on plain connections and on TLS: what may come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.relay import Fault, Kind
from tests.faults.setting import Outcome, Setting

# What passes the relay in a run of the tests' small program, by the party that it goes to.
PLAIN = (
    ("hello", "sessions", "confirm", "ready", "masked input", "finish"),
    ("hello", "sessions", "confirm", "masked weights", "ready", "masked answer", "finish"),
)
_HANDSHAKES = (  # TLS records before those of the frames
    ("TLS hello", "", "TLS certificate", "", "TLS finished"),
    ("TLS hello", "", "TLS extensions", "", "TLS certificate", "", "TLS finished"),
)
TLS = tuple(handshake + frames for handshake, frames in zip(_HANDSHAKES, PLAIN, strict=True))
_DATA = ("masked input", "masked weights", "masked answer")
LOST, SILENT, MALFORMED, SEQUENCE, TOLD = "MPC-R004", "MPC-R005", "MPC-R006", "MPC-R007", "MPC-R008"
DIFFERENT, NO_TLS, DAMAGED = "MPC-R013", "MPC-R059", "MPC-R060"
ENDS = {LOST, SILENT, TOLD}  # what an end or silence is taken for, by who meets it and by the other side
_FOUND = {  # on a plain connection, besides those
    Kind.DROP: {SEQUENCE},
    Kind.DUPLICATE: {SEQUENCE},
    Kind.REORDER: {SEQUENCE},
    Kind.CORRUPT: {DIFFERENT, MALFORMED},
    Kind.CORRUPT_HEADER: {MALFORMED},
}


@dataclass(frozen=True)
class Case:
    """A fault; `where` is the message's name."""

    fault: Fault
    tls: bool
    where: str

    def __str__(self) -> str:
        party = "client" if self.fault.to else "server"
        return f"{self.fault.kind}, {'TLS' if self.tls else 'plain'}, to the {party}: {self.where}"

    @property
    def unnoticed(self) -> bool:
        """Only TLS protects what a party sends."""
        return not self.tls and self.fault.kind is Kind.CORRUPT and self.where in _DATA

    def check(self, outcome: Outcome) -> None:
        """A delay that is borne does nothing. Else both parties say what they met, with no answer.

        The last message, `finish`, is the exception: who has it is done, and no message could tell it that
        the other party never got the answer to it. Where both are done, the answer must be there.
        """
        codes = {outcome.server, outcome.client}
        if self.fault.kind is Kind.DELAY:
            assert codes == {"done"}, f"{self}: {outcome}"
        else:
            assert codes - {"done"} <= self._expected(), f"{self}: {outcome}"
        assert self.harmless or "done" not in codes, f"{self}: {outcome}"
        assert outcome.answered == (outcome.client == "done"), f"{self}: {outcome}"

    @property
    def harmless(self) -> bool:
        """Whether a party may be done in spite of the fault."""
        last = self.where in ("finish", "masked answer", "masked input")
        return last or self.fault.kind is Kind.DELAY or (self.tls and not self.where)

    def _expected(self) -> set[str]:
        if not self.tls:
            return ENDS | _FOUND.get(self.fault.kind, set())
        return ENDS | {NO_TLS, DAMAGED}


def cases(tls: bool) -> Iterator[Case]:
    """All of them."""
    for kind in Kind:
        for to, messages in enumerate(TLS if tls else PLAIN):
            for number, where in enumerate(messages):
                case = Case(Fault(kind, to, number), tls, where)
                if where and not case.unnoticed:
                    yield case


def run(setting: Setting, case: Case) -> Outcome:
    """The case as it should be; fails otherwise."""
    try:
        outcome = setting.run(case.fault, case.tls)
    except AssertionError as error:
        raise AssertionError(f"{case}: {error}") from None
    case.check(outcome)
    return outcome
