"""What Prometheus reads of a server. Counts, sizes and times, which both parties know anyway: no secret."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mpcc.runtime.transport.channel import Meter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)  # bounds of the histogram


class Metrics:
    """One server's, in a registry of its own."""

    def __init__(
        self,
        running: Callable[[], int],
        queued: Callable[[], int],
        connections: Callable[[], int],
        unused: Callable[[], float],
    ) -> None:
        self._registry = CollectorRegistry()
        self._sessions = Counter(
            "mpcc_sessions",
            "Sessions that have ended, by outcome and error code.",
            ["outcome", "code"],
            registry=self._registry,
        )
        self._refused = Counter(
            "mpcc_callers_refused",
            "Callers that got no session, by error code.",
            ["code"],
            registry=self._registry,
        )
        self._bytes = Counter(
            "mpcc_bytes",
            "Bytes of messages, without framing and TLS, by phase and direction.",
            ["phase", "direction"],
            registry=self._registry,
        )
        self._rounds = Counter(
            "mpcc_rounds", "Rounds of messages, by phase.", ["phase"], registry=self._registry
        )
        self._prepared = Counter(
            "mpcc_sessions_prepared",
            "Sessions of correlations that were made with clients ahead of time.",
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mpcc_session_seconds",
            "Seconds of a completed session, from its handshake to its end.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("mpcc_sessions_running", "Sessions that are running.", running),
            ("mpcc_sessions_queued", "Clients that wait for a session.", queued),
            (
                "mpcc_connections_open",
                "Connections, also of callers at the door.",
                connections,
            ),
            ("mpcc_correlations_unused", "Sessions of correlations that are left in the store.", unused),
        )
        for name, help_text, value in gauges:
            Gauge(name, help_text, registry=self._registry).set_function(value)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def ended(self, meter: Meter, seconds: float, code: str) -> None:
        """A session ended, with the code of its error or with none."""
        self._sessions.labels("failed" if code else "completed", code).inc()
        if not code:
            self._seconds.observe(seconds)
        self._count(meter)

    def prepared(self, meter: Meter, sessions: int) -> None:
        """A client has prepared so many."""
        self._prepared.inc(sessions)
        self._count(meter)

    def _count(self, meter: Meter) -> None:
        for phase, counters in meter.counters.items():
            self._bytes.labels(phase, "sent").inc(counters.bytes_sent)
            self._bytes.labels(phase, "received").inc(counters.bytes_received)
            self._rounds.labels(phase).inc(counters.rounds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
