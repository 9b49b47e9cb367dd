"""What a failed TLS handshake or session means, as coded errors."""

from __future__ import annotations

import ssl

from mpcc.ir.diagnostics import MpccError

_SEE_OTHER_SIDE = "see the other side's own output"
_NOT_YET_VALID, _EXPIRED, _INVALID_PURPOSE = 9, 10, 26  # OpenSSL's X509_V_ERR_*
_OTHER_HOST = {62, 64}  # a name, an IP address
_REFUSALS = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it has expired, by the other side's clock",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not name the host that was connected to, or is not valid yet",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it is not made for this side's role",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it has been revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side could not check it",
    "TLSV1_ALERT_UNKNOWN_CA": "it is not of the authority that the other side trusts",
    "TLSV1_ALERT_DECRYPT_ERROR": "its signature is wrong",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "none was given",
}


class ConnectionFailed(MpccError):
    """The connection itself says why it has ended."""


def handshake_failure(error: OSError) -> ConnectionFailed:
    """Why a TLS handshake did not come to its end: MPC-R004, R005, R054..R059."""
    if isinstance(error, TimeoutError):
        return ConnectionFailed(
            "MPC-R005",
            "the other side did not complete the TLS handshake in time",
            remedy="check that HOST:PORT is the other party and runs mpcc with --tls; raise --timeout",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrusted(error)
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return ConnectionFailed(
            "MPC-R004",
            "the other side closed the connection during the TLS handshake",
            remedy=f"{_SEE_OTHER_SIDE}, and check that it runs with --tls",
        )
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return _no_authority("it gave no certificate")
    return _refused(error) or no_tls(f"TLS says {_reason(error)}")


def session_failure(error: ssl.SSLError) -> ConnectionFailed:
    """Why an established TLS stream ended: MPC-R058, R060. A client learns only here that it is refused."""
    return _refused(error) or ConnectionFailed(
        "MPC-R060",
        f"the encrypted connection was damaged on its way: TLS says {_reason(error)}",
        remedy="start both parties again; if it comes back, something on the network changes the traffic",
    )


def no_tls(detail: str) -> ConnectionFailed:
    """MPC-R059."""
    return ConnectionFailed(
        "MPC-R059",
        f"no TLS 1.3 connection with the other side is possible: {detail}",
        remedy="check HOST:PORT, and give --tls on both sides or on neither",
    )


def _distrusted(error: ssl.SSLCertVerificationError) -> ConnectionFailed:
    code, detail = error.verify_code, error.verify_message
    if code in (_NOT_YET_VALID, _EXPIRED):
        return ConnectionFailed(
            "MPC-R055",
            f"the other side's certificate {'has expired' if code == _EXPIRED else 'is not valid yet'}",
            remedy="check both machines' clocks, or give the other side a new certificate",
        )
    if code in _OTHER_HOST:
        return ConnectionFailed(
            "MPC-R056",
            f"the other side's certificate is not for the host that was connected to: {detail}",
            remedy="connect to a name that the certificate has, or make it with that name: "
            "mpcc certificates --host NAME",
        )
    if code == _INVALID_PURPOSE:
        return wrong_role("its extended key usage does not allow what it is used for")
    return _no_authority(detail)


def wrong_role(detail: str) -> ConnectionFailed:
    """MPC-R057."""
    return ConnectionFailed(
        "MPC-R057",
        f"the other side's certificate is for another role: {detail}",
        remedy="check HOST:PORT, and that each machine has the folder of its own role for --tls",
    )


def _no_authority(detail: str) -> ConnectionFailed:
    return ConnectionFailed(
        "MPC-R054",
        f"the other side is not certified by the authority that this side trusts: {detail}",
        remedy="give both sides certificates of one authority, and its authority.pem",
    )


def _refused(error: ssl.SSLError) -> ConnectionFailed | None:
    detail = _REFUSALS.get(error.reason or "")
    if not detail:
        return None
    return ConnectionFailed(
        "MPC-R058",
        f"the other side refused this side's certificate: {detail}",
        remedy=f"{_SEE_OTHER_SIDE}; both sides need certificates of one authority, each of its own role",
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "an unknown error").replace("_", " ").lower()
