"""The kernels in NumPy: the definition of what each one computes, the oracle of the tests, and the fallback
without the native extension.

Conventions, shared with the native core. A ring array is a C-contiguous ``np.uint64`` array; an element of
Z/2^bits (1 <= bits <= 64) is stored reduced. A *plane* is one bit of each of n elements, packed: element i is
bit ``i % 64`` of word ``i // 64``, the bits after the last element are zero. Every function raises TypeError
for a wrong dtype, number of dimensions or memory layout, and ValueError for sizes that do not fit together.
"""

import inspect

from mpcc.runtime.kernels.twin_compare import *
from mpcc.runtime.kernels.twin_lookup import *
from mpcc.runtime.kernels.twin_openings import *
from mpcc.runtime.kernels.twin_polynomial import *
from mpcc.runtime.kernels.twin_residues import *
from mpcc.runtime.kernels.twin_rings import *
from mpcc.runtime.kernels.twin_rlwe import *
from mpcc.runtime.kernels.twin_rows import *
from mpcc.runtime.kernels.twin_silent import *
from mpcc.runtime.kernels.twin_softspoken import *
from mpcc.runtime.kernels.twin_tables import *
from mpcc.runtime.kernels.twin_transfer import *


def isa() -> str:
    """Name of the instruction set in use: here "numpy", no native code."""
    return "numpy"


def keep_memory() -> None:
    """From now on the process keeps freed memory for its next arrays, up to 1 GiB; here nothing happens."""


def return_memory() -> None:
    """Freed memory that the process has kept goes back to the system; here nothing happens."""


KERNELS = [name for name, value in list(globals().items()) if inspect.isfunction(value)]  # all of their names
