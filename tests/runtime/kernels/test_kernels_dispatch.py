"""Which code runs: levels, the NumPy fallback, threads, forks."""

import multiprocessing
import os
import subprocess
import sys
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


def test_the_package_offers_the_same_names_in_both_forms() -> None:
    native = load_native("portable")
    in_python = {"carry_subsets", "cosine_table", "exp_table", "wave_table", "element_bytes"}
    in_python |= {"KEY_OTS", "SOFTSPOKEN_CHUNK", "NttTables", "ntt_primes", "ntt_tables", "tree_bits"}
    for name in set(package.__all__) - in_python:
        assert callable(getattr(native, name))
        assert callable(getattr(twin, name))


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
    assert queue.get(timeout=30) == expected
    child.join(30)
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
