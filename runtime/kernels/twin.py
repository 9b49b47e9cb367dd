"""The kernels in NumPy: the definition of what each one computes, the oracle of the tests, and the fallback
without the native extension.

Conventions, shared with the native core. A ring array is a C-contiguous ``np.uint64`` array; an element of
Z/2^bits (1 <= bits <= 64) is stored reduced. A *plane* is one bit of each of n elements, packed: element i is
bit ``i % 64`` of word ``i // 64``, the bits after the last element are zero. Every function raises TypeError
for a wrong dtype, number of dimensions or memory layout, and ValueError for sizes that do not fit together.
"""

from mpcc.runtime.kernels.twin_compare import carry_node, compare_leaves
from mpcc.runtime.kernels.twin_lookup import lookup_receive, lookup_send
from mpcc.runtime.kernels.twin_openings import (
    pack_difference,
    shift_right,
    truncate_close,
    truncate_open,
    unpack_add,
    unpack_sum,
)
from mpcc.runtime.kernels.twin_polynomial import MAX_POWERS, segmented_polynomial
from mpcc.runtime.kernels.twin_residues import (
    drop_primes,
    residues,
    scale_down,
    scale_up,
    uniform_residues,
)
from mpcc.runtime.kernels.twin_rings import (
    element_bytes,
    expand,
    matmul,
    matmul_add,
    pack,
    planes_join,
    planes_pack,
    planes_split,
    planes_unpack,
    unpack,
)
from mpcc.runtime.kernels.twin_rlwe import (
    automorphism,
    key_switch,
    merge_pairs,
    multiply_accumulate,
    multiply_plain,
    ntt_forward,
    ntt_inverse,
)
from mpcc.runtime.kernels.twin_rows import lookup_bits, row_counts
from mpcc.runtime.kernels.twin_silent import lowest_bits, silent_receive, silent_send, tree_sums
from mpcc.runtime.kernels.twin_softspoken import (
    SOFTSPOKEN_CHUNK,
    double_seeds,
    softspoken_receive,
    softspoken_send,
    tree_bits,
)
from mpcc.runtime.kernels.twin_tables import exponential, sine_series
from mpcc.runtime.kernels.twin_transfer import (
    KEY_OTS,
    transfer_receive,
    transfer_receive_bits,
    transfer_send,
    transfer_send_bits,
)

__all__ = [
    "KEY_OTS",
    "MAX_POWERS",
    "SOFTSPOKEN_CHUNK",
    "automorphism",
    "carry_node",
    "compare_leaves",
    "double_seeds",
    "drop_primes",
    "element_bytes",
    "expand",
    "exponential",
    "isa",
    "keep_memory",
    "key_switch",
    "lookup_bits",
    "lookup_receive",
    "lookup_send",
    "lowest_bits",
    "matmul",
    "matmul_add",
    "merge_pairs",
    "multiply_accumulate",
    "multiply_plain",
    "ntt_forward",
    "ntt_inverse",
    "pack",
    "pack_difference",
    "planes_join",
    "planes_pack",
    "planes_split",
    "planes_unpack",
    "residues",
    "return_memory",
    "row_counts",
    "scale_down",
    "scale_up",
    "segmented_polynomial",
    "shift_right",
    "silent_receive",
    "silent_send",
    "sine_series",
    "softspoken_receive",
    "softspoken_send",
    "transfer_receive",
    "transfer_receive_bits",
    "transfer_send",
    "transfer_send_bits",
    "tree_bits",
    "tree_sums",
    "truncate_close",
    "truncate_open",
    "uniform_residues",
    "unpack",
    "unpack_add",
    "unpack_sum",
]


def isa() -> str:
    """Name of the instruction set in use: here "numpy", no native code."""
    return "numpy"


def keep_memory() -> None:
    """From now on the process keeps freed memory for its next arrays, up to 1 GiB; here nothing happens."""


def return_memory() -> None:
    """Freed memory that the process has kept goes back to the system; here nothing happens."""
