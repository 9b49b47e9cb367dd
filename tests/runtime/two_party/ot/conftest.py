from collections.abc import Iterator

import pytest

from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel


@pytest.fixture
def channels() -> Iterator[tuple[StreamChannel, StreamChannel]]:
    """Both ends of one connection."""
    pair = channel_pair()
    yield pair
    for channel in pair:
        channel.close()
