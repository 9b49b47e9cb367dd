"""Which code runs: levels, the NumPy fallback, threads, forks."""

import ast
import inspect
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mpcc.runtime import kernels as package
from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import LEVELS, Draw, load_native, load_or_skip


def run_python(code: str, **environment: str) -> tuple[int, str, str]:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout.strip(), result.stderr


PRINT_ISA = "from mpcc.runtime import kernels; print(kernels.isa())"


@pytest.mark.parametrize("level", LEVELS)
def test_forced_level_is_the_level_that_runs(level: str) -> None:
    load_or_skip(level)
    assert run_python(PRINT_ISA, MPCC_ISA=level)[:2] == (0, level)


def test_best_level_is_the_default() -> None:
    available = []
    for level in LEVELS:
        try:
            available.append(load_native(level).isa())
        except ImportError:
            break
    assert run_python(PRINT_ISA, MPCC_ISA="", MPCC_KERNELS="")[:2] == (0, available[-1])


def test_numpy_can_be_forced() -> None:
    assert run_python(PRINT_ISA, MPCC_KERNELS="numpy")[:2] == (0, "numpy")


@pytest.mark.parametrize(
    ("variable", "value"), [("MPCC_ISA", "avx3"), ("MPCC_THREADS", "many"), ("MPCC_THREADS", "0")]
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    code, _, error = run_python(PRINT_ISA, **{variable: value})
    assert code != 0
    assert f"error[MPC-K001]: {variable}={value}" in error


def test_a_core_of_other_sources_is_named() -> None:
    code = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
name = "mpcc.runtime.kernels._native"
core = sys.modules[name] = ModuleType(name)
core.__spec__, core.__file__ = ModuleSpec(name, None), "old.so"
from mpcc.runtime.kernels import twin
"""
    status, _, error = run_python(code, MPCC_KERNELS="")
    assert status != 0
    assert "error[MPC-K002]: the native core lacks carry_node, " in error
    assert "old.so" in error


Signature = dict[str, list[str]]  # types by parameter, then those of the result, and the defaults


def test_the_native_core_has_the_twins_names_and_signatures() -> None:
    native = load_native("portable")
    assert {name for name in vars(native) if not name.startswith("_")} == set(twin.KERNELS)
    assert set(twin.KERNELS) < set(package.__all__)
    for name in twin.KERNELS:
        found, expected = native_signature(getattr(native, name)), twin_signature(getattr(twin, name))
        assert list(found.items()) == list(expected.items()), name


def native_signature(function: Any) -> Signature:
    """The types of all overloads, where there are several."""
    joined: Signature = {}
    for text, _, defaults in function.__nb_signature__:
        text = re.sub(r"(numpy\.)?ndarray\[dtype=(\w+)[^\]]*\]", r"\2", text).replace("collections.abc.", "")
        overload = signature(text.replace("\\0", repr(defaults and defaults[0])) + ": ...")
        joined = {key: sorted({*joined.get(key, ()), *kinds}) for key, kinds in overload.items()}
    return joined


def twin_signature(function: Callable[..., object]) -> Signature:
    """Its arrays are U64 and so on."""
    text = inspect.getsource(function).replace("NttTables", "object")
    return signature(re.sub(r"\bI(\d+)\b", r"int\1", re.sub(r"\bU(\d+)\b", r"uint\1", text)))


def signature(text: str) -> Signature:
    """Of a function's source."""
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    annotations = {a.arg: a.annotation for a in function.args.args} | {"return": function.returns}
    kinds = {key: sorted(ast.unparse(a).split(" | ")) for key, a in annotations.items() if a}
    return {**kinds, "=": [ast.unparse(default) for default in function.args.defaults]}


def test_the_number_of_threads_does_not_change_results(ring: Draw) -> None:
    a, b = ring(52, 3, 70, 300), ring(52, 3, 300, 200)
    expected = twin.matmul(a, b, 52)
    for threads in (1, 2, 7):
        native = load_native("portable", threads)
        assert np.array_equal(native.matmul(a, b, 52), expected)
        assert np.array_equal(native.expand(bytes(16), 1, 200_000, 9), twin.expand(bytes(16), 1, 200_000, 9))


def test_many_python_threads_at_once(native: Any, ring: Draw) -> None:
    a, b = ring(64, 2, 60, 100), ring(64, 2, 100, 150)
    expected = twin.matmul(a, b, 64)

    def work(_: int) -> bool:
        return all(np.array_equal(native.matmul(a, b, 64), expected) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


def test_threads_share_the_workers(ring: Draw) -> None:
    """Long and short work at the same time: nothing is left out, nothing is done twice."""
    native = load_native("portable", 4)
    values, short = ring(30, 2_000_003), ring(30, 150_001)
    packed, packed_short = twin.pack(values, 30), twin.pack(short, 30)

    def work(number: int) -> bool:
        if number % 2:
            return all(np.array_equal(native.pack(short, 30), packed_short) for _ in range(40))
        return all(np.array_equal(native.unpack(packed, len(values), 30), values) for _ in range(5))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer's own allocator")
def test_memory_is_kept_for_the_next_array() -> None:
    """A process that asked for it takes the memory of an array it freed again, without a fault a page."""
    code = """
import resource
from mpcc.runtime import kernels
kernels.keep_memory()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3): kernels.expand(bytes(16), 0, 400_000, 64)
before = faults()
for _ in range(20): kernels.expand(bytes(16), 0, 400_000, 64)
print(faults() - before < 780)
"""
    assert run_python(code)[:2] == (0, "True")


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer's own allocator")
def test_kept_memory_is_returned() -> None:
    code = """
from mpcc.runtime import kernels
kernels.keep_memory()
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
arrays = [kernels.expand(bytes(16), 0, 1_000_000, 64) for _ in range(20)]
del arrays
kept = resident() - before
kernels.return_memory()
print(kept > 100_000_000, resident() - before < 20_000_000)
"""
    assert run_python(code)[:2] == (0, "True True")


def _in_child(queue: Any, native: Any) -> None:
    queue.put(native.expand(bytes(16), 1, 500_000, 64).sum())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_threads() -> None:
    native = load_native("portable")
    expected = native.expand(bytes(16), 1, 500_000, 64).sum()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, native))
    child.start()
    assert queue.get(timeout=120) == expected
    child.join(120)
    assert child.exitcode == 0


def test_results_are_ordinary_arrays(kernels: Any) -> None:
    values = kernels.expand(bytes(16), 0, 100, 8)
    values += np.uint64(1)
    assert isinstance(values, np.ndarray)
    assert values.flags.c_contiguous
    assert values.flags.writeable


def test_sizes_beyond_memory_are_refused(native: Any) -> None:
    with pytest.raises(MemoryError):
        native.expand(bytes(16), 0, 2**61 + 1, 8)
    wide = np.zeros((1, 2**31, 0), dtype=np.uint64)
    with pytest.raises(MemoryError):
        native.matmul(wide, wide.reshape(1, 0, 2**31), 8)
