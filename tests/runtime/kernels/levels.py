"""Loads the native extension once for each instruction set of this machine, beside the NumPy twins.

The level is chosen when the extension is loaded, so each level gets its own copy of the file.
"""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpcc.runtime.kernels import twin
from mpcc.runtime.kernels.ntt_tables import NttTables

U64 = NDArray[np.uint64]
Draw = Callable[..., U64]  # the fixture `ring`: bits and a shape to random elements
LEVELS = ("portable", "avx2", "avx512", "avx512ifma")


@lru_cache(maxsize=32)
def load_native(level: str, threads: int = 3) -> Any:
    """A fresh copy of the extension at `level`; ImportError if this processor lacks it."""
    spec = importlib.util.find_spec("mpcc.runtime.kernels._native")
    assert spec is not None, "build the native kernels first, see CMakeLists.txt"
    assert spec.origin is not None
    copy = Path(mkdtemp(prefix="mpcc-kernels-")) / Path(spec.origin).name
    shutil.copyfile(spec.origin, copy)
    os.environ.update(MPCC_ISA=level, MPCC_THREADS=str(threads))
    try:
        loader = ExtensionFileLoader("_native", str(copy))
        module_spec = importlib.util.spec_from_loader("_native", loader)
        assert module_spec is not None
        module = importlib.util.module_from_spec(module_spec)
        loader.exec_module(module)
    finally:
        del os.environ["MPCC_ISA"], os.environ["MPCC_THREADS"]
        shutil.rmtree(copy.parent)
    return module


def load_or_skip(level: str) -> Any:
    try:
        return load_native(level)
    except ImportError as error:
        if "not available here" not in str(error):
            raise
        pytest.skip(str(error))


@lru_cache
def available() -> dict[str, Any]:
    """Every level of this processor, by name."""
    found = {}
    for level in LEVELS:
        with contextlib.suppress(pytest.skip.Exception):
            found[level] = load_or_skip(level)
    return found


def check_transforms(natives: dict[str, Any], x: U64, tables: NttTables) -> None:
    """Of x[R, P, N], both ways: every level's are the twin's."""
    for transform in ("ntt_forward", "ntt_inverse"):
        expected = x.copy()
        getattr(twin, transform)(expected, tables)
        for level, native in natives.items():
            got = x.copy()
            getattr(native, transform)(got, tables)
            assert np.array_equal(got, expected), level


def check_sums_of_products(natives: dict[str, Any], sums: U64, x: U64, y: U64, moduli: U64) -> None:
    """`sums` plus the products of x's rows with y's columns, at every level as the twin has them."""
    expected = sums.copy()
    twin.multiply_accumulate(expected, x, y, moduli)
    for level, native in natives.items():
        got = sums.copy()
        native.multiply_accumulate(got, x, y, moduli)
        assert np.array_equal(got, expected), level
