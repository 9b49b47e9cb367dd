"""What goes wrong between two ends of a channel, as coded errors."""

from __future__ import annotations

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.error_codes import ERROR_CODES

_SAME_COMPILATION = "run the two folders of one compilation on both sides"


class PeerError(MpccError):
    """MPC-R008; `peer_code` is the other party's own, empty if this version does not know it."""

    def __init__(self, peer_code: str) -> None:
        cause = ERROR_CODES.get(peer_code)
        super().__init__(
            "MPC-R008",
            "the other party stopped with an error: "
            + (f"{peer_code}, {cause}" if cause else "a code this version does not know"),
            remedy="the other party's own output says more",
        )
        self.peer_code = peer_code if cause else ""


def connection_lost() -> MpccError:
    """MPC-R004."""
    return MpccError(
        "MPC-R004",
        "the other party closed the connection before the run was complete",
        remedy="see the other party's output, then start both parties again",
    )


def silence(seconds: float) -> MpccError:
    """MPC-R005."""
    return MpccError(
        "MPC-R005",
        f"the other party did not answer within {seconds:g} s",
        remedy="see the other party's output; raise --timeout if it is only slow",
    )


def endless_work(seconds: float) -> MpccError:
    """MPC-R005."""
    return MpccError(
        "MPC-R005",
        f"the other party has computed for {seconds:g} s without an answer",
        remedy="see the other party's output; raise --timeout on both sides if it is only slow",
    )


def idle_talk() -> MpccError:
    """MPC-R006."""
    return MpccError(
        "MPC-R006",
        "the other party says that it computes, far more often than it should",
        remedy="install the same version of mpcc on both machines",
    )


def wrong_length(length: int, expected: str) -> MpccError:
    """MPC-R006."""
    return MpccError(
        "MPC-R006",
        f"the other party announced a message of {length} bytes where {expected} were due",
        remedy=_SAME_COMPILATION,
    )


def wrong_kind(sent: str, due: str) -> MpccError:
    """MPC-R006."""
    return MpccError(
        "MPC-R006",
        f"the other party sent a {sent} message where {due} was due",
        remedy=_SAME_COMPILATION,
    )


def wrong_number(sent: int, due: int) -> MpccError:
    """MPC-R007."""
    return MpccError(
        "MPC-R007",
        f"the other party sent message {sent} where {due} was due",
        remedy=_SAME_COMPILATION,
    )


def session_over() -> MpccError:
    """MPC-R014."""
    return MpccError(
        "MPC-R014",
        "the session took longer than it may",
        remedy="raise --session-seconds on both sides if its work takes so long",
    )
