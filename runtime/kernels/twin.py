"""The kernels in NumPy: the definition of what each one computes, the oracle of the tests, and the fallback
without the native extension.

Conventions, shared with the native core. A ring array is a C-contiguous ``np.uint64`` array; an element of
Z/2^bits (1 <= bits <= 64) is stored reduced. A *plane* is one bit of each of n elements, packed: element i is
bit ``i % 64`` of word ``i // 64``, the bits after the last element are zero. Every function raises TypeError
for a wrong dtype, number of dimensions or memory layout, and ValueError for sizes that do not fit together.
"""

from mpcc.runtime.kernels.twin_compare import carry_node, compare_leaves
from mpcc.runtime.kernels.twin_openings import (
    pack_difference,
    shift_right,
    truncate_close,
    truncate_open,
    unpack_add,
    unpack_sum,
)
from mpcc.runtime.kernels.twin_polynomial import MAX_POWERS, segmented_polynomial
from mpcc.runtime.kernels.twin_rings import (
    element_bytes,
    expand,
    matmul,
    matmul_add,
    pack,
    planes_pack,
    planes_unpack,
    unpack,
)
from mpcc.runtime.kernels.twin_rows import lookup_bits, row_counts
from mpcc.runtime.kernels.twin_tables import exponential, sine_series

__all__ = [
    "MAX_POWERS",
    "carry_node",
    "compare_leaves",
    "element_bytes",
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
]


def isa() -> str:
    """Name of the instruction set in use: here "numpy", no native code."""
    return "numpy"


def keep_memory() -> None:
    """From now on the process keeps freed memory for its next arrays, up to 1 GiB; here nothing happens."""
