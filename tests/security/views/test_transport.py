"""What goes onto the wire has one form for all secrets: ticks, frames with their lengths, calls to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from mpcc.runtime.transport.channel import byte_view
from mpcc.runtime.transport.frame import HEADER_BYTES, MAGIC, FrameHeader
from mpcc.runtime.transport.outbox import Outbox
from mpcc.runtime.transport.stream import StreamChannel
from tests.security.sessions import Arrays, compiled, with_other_weights
from tests.security.views.programs import FAMILIES
from tests.support import secure_run

Event = tuple[Any, ...]
FAMILY = FAMILIES[0]


@contextmanager
def calls() -> Iterator[dict[object, list[Event]]]:
    """Of every channel and outbox in this block: each call's lengths, and the headers of frames."""
    seen: dict[object, list[Event]] = {}

    def lengths(argument: Any) -> Event:
        if not isinstance(argument, memoryview | np.ndarray | bytes):
            return (argument,)
        data = bytes(argument)
        is_header = len(data) == HEADER_BYTES and data.startswith(MAGIC)
        return (len(data), FrameHeader.unpack(data) if is_header else None)

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(channel: object, *arguments: Any) -> Any:
            seen.setdefault(channel, []).append((name, *map(lengths, arguments)))
            return original(channel, *arguments)

        return call

    with ExitStack() as stack:
        for owner, names in ((StreamChannel, ("start_tick", "send", "receive")), (Outbox, ("put",))):
            for name in names:
                wrapper = watched(name, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, wrapper))
        yield seen


def form(program: Path, inputs: Arrays) -> list[list[Event]]:
    """Of one run with fresh randomness; what depends on nothing but the order of threads is left out."""
    with calls() as seen:
        secure_run(program, inputs)
    return sorted(seen.values(), key=repr)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(FAMILY.model, tmp_path_factory.mktemp("wire") / "program")


def test_the_wire_looks_alike_for_any_input_and_weights(program: Path, tmp_path: Path) -> None:
    one, other = (FAMILY.inputs(np.random.default_rng(number)) for number in (0, 1))
    model = with_other_weights(program, FAMILY.model, tmp_path / "model", lambda w: w * 0.5)
    changed = compiled(model, tmp_path / "changed", program / "ranges.json")
    expected = form(program, one)
    assert {name for events in expected for name, *_ in events} == {"start_tick", "send", "receive", "put"}
    assert sum(part is not None for events in expected for _, *parts in events for *_, part in parts) > 100
    assert len(expected) == 4  # two channels, two outboxes
    assert form(program, other) == expected
    assert form(changed, one) == expected


def test_a_message_sent_in_parts_is_noticed(program: Path) -> None:
    """As many bytes in all."""
    original, inputs = StreamChannel.send, FAMILY.inputs(np.random.default_rng(0))
    expected = form(program, inputs)

    def send(channel: StreamChannel, data: Any) -> None:
        view = byte_view(data)
        half = len(view) // 2 if len(view) and view[0] & 1 else len(view)
        for part in (view[:half], view[half:]):
            if len(part):
                original(channel, part)

    with mock.patch.object(StreamChannel, "send", send):
        assert form(program, inputs) != expected
