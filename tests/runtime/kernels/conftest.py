from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import LEVELS, available, load_or_skip


@pytest.fixture(params=LEVELS)
def native(request: pytest.FixtureRequest) -> Any:
    return load_or_skip(request.param)


@pytest.fixture(params=("numpy", *LEVELS))
def kernels(request: pytest.FixtureRequest) -> Any:
    """The twins and every native level, for what holds of both."""
    return twin if request.param == "numpy" else load_or_skip(request.param)


@pytest.fixture
def natives() -> dict[str, Any]:
    """Every native level by name, in one test: where what they are compared with takes longer than they."""
    return available()


@pytest.fixture
def all_kernels(natives: dict[str, Any]) -> dict[str, Any]:
    """The twins, too."""
    return {"numpy": twin, **natives}


@pytest.fixture
def ring() -> Callable[..., NDArray[np.uint64]]:
    """ring(bits, *shape): random reduced elements, always the same sequence in a test."""
    generator = np.random.default_rng(20)

    def draw(bits: int, *shape: int) -> NDArray[np.uint64]:
        return generator.integers(0, (1 << bits) - 1, shape, dtype=np.uint64, endpoint=True)

    return draw
