"""Kernels on ring elements and bit planes: native code where it can run, else NumPy; `isa()` says which.

MPCC_KERNELS=numpy forces the NumPy twins. MPCC_ISA=portable|avx2|avx512|avx512ifma forces a level of the
native core, MPCC_THREADS its number of threads (default: all cores); a value that cannot be used is error
MPC-K001. `twin` documents each function.
"""

import importlib.util
import os

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.kernels.subsets import carry_subsets
from mpcc.runtime.kernels.tables import cosine_table, exp_table, wave_table
from mpcc.runtime.kernels.twin import element_bytes

_EXTENSION = "mpcc.runtime.kernels._native"

if os.environ.get("MPCC_KERNELS") == "numpy" or importlib.util.find_spec(_EXTENSION) is None:
    from mpcc.runtime.kernels.twin import (
        carry_node,
        compare_leaves,
        expand,
        exponential,
        isa,
        keep_memory,
        lookup_bits,
        matmul,
        matmul_add,
        pack,
        pack_difference,
        planes_pack,
        planes_unpack,
        row_counts,
        segmented_polynomial,
        shift_right,
        sine_series,
        truncate_close,
        truncate_open,
        unpack,
        unpack_add,
        unpack_sum,
    )
else:
    try:
        from mpcc.runtime.kernels._native import (
            carry_node,
            compare_leaves,
            expand,
            exponential,
            isa,
            keep_memory,
            lookup_bits,
            matmul,
            matmul_add,
            pack,
            pack_difference,
            planes_pack,
            planes_unpack,
            row_counts,
            segmented_polynomial,
            shift_right,
            sine_series,
            truncate_close,
            truncate_open,
            unpack,
            unpack_add,
            unpack_sum,
        )
    except ImportError as error:
        raise MpccError(
            "MPC-K001",
            str(error),
            remedy="correct or unset MPCC_ISA and MPCC_THREADS; MPCC_KERNELS=numpy runs without native code",
        ) from error

__all__ = [
    "carry_node",
    "carry_subsets",
    "compare_leaves",
    "cosine_table",
    "element_bytes",
    "exp_table",
    "expand",
    "exponential",
    "isa",
    "keep_memory",
    "lookup_bits",
    "matmul",
    "matmul_add",
    "pack",
    "pack_difference",
    "planes_pack",
    "planes_unpack",
    "row_counts",
    "segmented_polynomial",
    "shift_right",
    "sine_series",
    "truncate_close",
    "truncate_open",
    "unpack",
    "unpack_add",
    "unpack_sum",
    "wave_table",
]
