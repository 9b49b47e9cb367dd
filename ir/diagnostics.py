"""Errors that a user sees: a stable code, what is wrong, what helps, and where.

Every error that may reach a user is an `MpccError`. Its code is registered in `mpcc.ir.error_codes` and
explained in docs/troubleshooting.md. A message never holds a secret: no share, weight, input or seed.
"""

from __future__ import annotations

from types import TracebackType

MAX_SHOWN = 50  # errors of one list that are printed: a damaged file can have thousands


class MpccError(Exception):
    """One error with a stable code such as MPC-F006.

    The letter names the room: C command line, F frontend, I ir, P passes, R runtime and transport,
    S stores and correlations, K kernels.
    """

    def __init__(self, code: str, message: str, *, remedy: str = "", where: str | None = None) -> None:
        """`where` is an ONNX node name, a file, or a `line:column` of IR text."""
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.where = where

    def render(self) -> str:
        """The error as text for a terminal: one line, then indented `at` and `remedy` lines."""
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


class MpccErrors(MpccError):
    """Several errors found in one pass over the input; `code` is that of the first."""

    def __init__(self, errors: list[MpccError]) -> None:
        first = errors[0]
        super().__init__(first.code, first.message, remedy=first.remedy, where=first.where)
        self.errors = errors

    def render(self) -> str:
        """All errors, one after the other, and a count when there is more than one."""
        lines = [error.render() for error in self.errors[:MAX_SHOWN]]
        if len(self.errors) > MAX_SHOWN:
            lines.append(f"... and {len(self.errors) - MAX_SHOWN} more")
        if len(self.errors) > 1:
            lines.append(f"{len(self.errors)} errors")
        return "\n".join(lines)


class Diagnostics:
    """Collects errors, so that a user sees all offenders at once.

    As a context manager it raises what it collected when the block ends without another exception.
    """

    def __init__(self) -> None:
        self.errors: list[MpccError] = []

    def add(self, code: str, message: str, *, remedy: str = "", where: str | None = None) -> None:
        self.errors.append(MpccError(code, message, remedy=remedy, where=where))

    def collect(self, error: MpccError) -> None:
        """Add an error that was raised elsewhere, flattening `MpccErrors`."""
        self.errors.extend(error.errors if isinstance(error, MpccErrors) else [error])

    def raise_if_any(self) -> None:
        """Raise one `MpccErrors` that lists everything collected; nothing collected, nothing raised."""
        if self.errors:
            raise MpccErrors(self.errors)

    def __enter__(self) -> Diagnostics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.raise_if_any()
