"""Kernels on ring elements and bit planes: native code where it can run, else NumPy; `isa()` says which.

MPCC_KERNELS=numpy forces the NumPy twins. MPCC_ISA=portable|avx2|avx512|avx512ifma forces a level of the
native core, MPCC_THREADS its number of threads (default: all cores); a value that cannot be used is error
MPC-K001, a core without one of the kernels is MPC-K002. `twin` documents each function.
"""

import importlib
import importlib.util
import os

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.kernels import twin
from mpcc.runtime.kernels.ntt_tables import NttTables, ntt_primes, ntt_tables
from mpcc.runtime.kernels.subsets import carry_subsets
from mpcc.runtime.kernels.tables import cosine_table, exp_table, wave_table
from mpcc.runtime.kernels.twin import *
from mpcc.runtime.kernels.twin_rings import element_bytes
from mpcc.runtime.kernels.twin_softspoken import SOFTSPOKEN_CHUNK, tree_bits
from mpcc.runtime.kernels.twin_transfer import KEY_OTS

__all__ = [
    "KEY_OTS",
    "SOFTSPOKEN_CHUNK",
    "NttTables",
    "carry_subsets",
    "cosine_table",
    "element_bytes",
    "exp_table",
    "ntt_primes",
    "ntt_tables",
    "tree_bits",
    "wave_table",
]
__all__ += twin.KERNELS

_NATIVE = "mpcc.runtime.kernels._native"


def _native_kernels() -> dict[str, object]:
    """The native core's, which take the twins' places; none where NumPy runs. Raises MPC-K001, MPC-K002."""
    if os.environ.get("MPCC_KERNELS") == "numpy" or importlib.util.find_spec(_NATIVE) is None:
        return {}
    try:
        core = importlib.import_module(_NATIVE)
    except ImportError as error:
        raise MpccError(
            "MPC-K001",
            str(error),
            remedy="correct or unset MPCC_ISA and MPCC_THREADS; MPCC_KERNELS=numpy runs without native code",
        ) from error
    if missing := [name for name in twin.KERNELS if not hasattr(core, name)]:
        raise MpccError(
            "MPC-K002",
            f"the native core lacks {', '.join(missing)}: it was built from other sources ({core.__file__})",
            remedy="build and install mpcc again; MPCC_KERNELS=numpy runs without native code",
        )
    return {name: getattr(core, name) for name in twin.KERNELS}


globals().update(_native_kernels())
