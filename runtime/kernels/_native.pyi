# The native core; mpcc.runtime.kernels.twin documents each function.
import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

def isa() -> str: ...
def expand(key: bytes, stream: int, count: int, bits: int, first: int = 0) -> U64: ...
def pack(values: U64, bits: int) -> U8: ...
def unpack(data: U8, count: int, bits: int) -> U64: ...
def matmul(a: U64, b: U64 | I32, bits: int) -> U64: ...
def matmul_add(c: U64, a: U64, b: U64 | I32, bits: int) -> None: ...
def planes_pack(bits: U8) -> U64: ...
def planes_unpack(words: U64, count: int) -> U8: ...
def compare_leaves(
    opened: U64, onehots: U64, sign_share: U64, thresholds: U64, bits: int, width: int, party: int
) -> U64: ...
def carry_node(opened: U64, products: U64, party: int) -> U64: ...
def segmented_polynomial(
    z: U64,
    w: U64,
    bits: U8,
    coefficients: U64,
    needed: U8,
    atoms: U64,
    wraps_z: U64,
    wraps_w: U64,
    wraps_zw: U64,
    z_bits: int,
    w_bits: int,
    ring: int,
    party: int,
) -> U64: ...
def sine_series(
    delta: U64,
    shares: U64,
    waves: I64,
    amplitudes: I64,
    harmonics: I64,
    phases: U64,
    j: int,
    shift: int,
    bits: int,
) -> U64: ...
