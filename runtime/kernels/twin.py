"""The kernels in NumPy: the definition of what each one computes, the oracle of the tests, and the fallback
without the native extension.

Conventions, shared with the native core. A ring array is a C-contiguous ``np.uint64`` array; an element of
Z/2^bits (1 <= bits <= 64) is stored reduced. A *plane* is one bit of each of n elements, packed: element i is
bit ``i % 64`` of word ``i // 64``, the bits after the last element are zero. Every function raises TypeError
for a wrong dtype, number of dimensions or memory layout, and ValueError for sizes that do not fit together.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from mpcc.runtime.kernels.subsets import MAX_BLOCKS, carry_subset_count

MAX_POWERS = 64  # of a segmented polynomial, (A + 1) * (B + 1)
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]


def isa() -> str:
    """Name of the instruction set in use: here "numpy", no native code."""
    return "numpy"


def expand(key: bytes, stream: int, count: int, bits: int, first: int = 0) -> U64:
    """`count` elements of Z/2^bits from AES-128 in counter mode (NIST SP 800-38A, section 6.5), from element
    `first` of the stream on.

    Counter block i is `stream` as 8 bytes big endian, then i as 8 bytes big endian. An element takes 1, 2, 4
    or 8 bytes of the key stream, the least that holds `bits`, little endian, reduced to `bits`.
    """
    if not isinstance(key, bytes):
        raise TypeError("expand: key must be bytes")
    if len(key) != 16 or not 0 <= stream < 1 << 64 or count < 0:
        raise ValueError("expand: the key has 16 bytes, stream fits 64 bits, count is not negative")
    if not 0 <= first < 1 << 60:
        raise ValueError("expand: first is 0 to 2^60 - 1")
    mask = _mask(bits)
    width = element_bytes(bits)
    block, skipped = divmod(first * width, 16)
    counter = stream.to_bytes(8, "big") + block.to_bytes(8, "big")
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    keystream = encryptor.update(bytes(skipped + count * width))
    return np.frombuffer(keystream, dtype=f"<u{width}", offset=skipped).astype(np.uint64) & mask


def element_bytes(bits: int) -> int:
    """Bytes of key stream that `expand` spends on one element of `bits` bits: 1, 2, 4 or 8."""
    _mask(bits)
    return 1 << max(0, (bits - 1).bit_length() - 3)


def pack(values: U64, bits: int) -> U8:
    """The low `bits` of uint64[n] as the little-endian bit stream uint8[ceil(n*bits/8)]; the last byte is
    filled with zeros.
    """
    _check(values, np.uint64, 1, "pack: values")
    _mask(bits)
    planes = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little", count=bits)
    return np.packbits(planes.reshape(-1), bitorder="little")


def unpack(data: U8, count: int, bits: int) -> U64:
    """The inverse of `pack`: `count` elements from exactly ceil(count*bits/8) bytes."""
    _check(data, np.uint8, 1, "unpack: data")
    _mask(bits)
    if count < 0 or len(data) != (count * bits + 7) // 8:
        raise ValueError("unpack: data must hold exactly ceil(count*bits/8) bytes")
    planes = np.zeros((count, 64), dtype=np.uint8)
    planes[:, :bits] = np.unpackbits(data, bitorder="little", count=count * bits).reshape(count, bits)
    return np.packbits(planes, axis=1, bitorder="little").view(np.uint64).reshape(count)


def matmul(a: U64, b: U64 | I32, bits: int) -> U64:
    """uint64[B,M,K] times uint64[B or 1,K,N], mod 2^bits, as uint64[B,M,N]. `b` may be int32: signed integers
    as elements of the ring.
    """
    _check(a, np.uint64, 3, "matmul: a")
    if getattr(b, "dtype", None) == np.int32:
        _check(b, np.int32, 3, "matmul: b")
        b = b.astype(np.int64).view(np.uint64)
    _check(b, np.uint64, 3, "matmul: b")
    mask = _mask(bits)
    if a.shape[2] != b.shape[1] or b.shape[0] not in (1, a.shape[0]):
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    product: U64 = np.matmul(a, b)
    product &= mask
    return product


def matmul_add(c: U64, a: U64, b: U64 | I32, bits: int) -> None:
    """Adds `matmul(a, b, bits)` to c, uint64[B,M,N], in place, mod 2^bits."""
    _check(c, np.uint64, 3, "matmul_add: c")
    product = matmul(a, b, bits)
    if c.shape != product.shape:
        raise ValueError(f"matmul_add: c is {c.shape}, the product {product.shape}")
    c += product
    c &= _mask(bits)


def planes_pack(bits: U8) -> U64:
    """uint8[n], each 0 or 1 (the lowest bit counts), to one plane, uint64[ceil(n/64)]."""
    _check(bits, np.uint8, 1, "planes_pack: bits")
    return _to_plane(bits & np.uint8(1))


def planes_unpack(words: U64, count: int) -> U8:
    """The inverse of `planes_pack`: the first `count` bits of a plane of ceil(count/64) words as uint8."""
    _check(words, np.uint64, 1, "planes_unpack: words")
    if count < 0 or len(words) != _words(count):
        raise ValueError("planes_unpack: words must have ceil(count/64) elements")
    return np.unpackbits(words.view(np.uint8), bitorder="little", count=count)


def compare_leaves(
    opened: U64, onehots: U64, sign_share: U64, thresholds: U64, bits: int, width: int, party: int
) -> U64:
    """The local half of comparing x with public thresholds, from one opening (protocols.md section 4).

    The public `opened`[n] and the secret a with x = opened + a mod 2^bits. `onehots`[L,n]: XOR share of the
    one-hot word (2^width bits, width <= 6) of each `width`-bit block of the low bits-1 bits of a, lowest
    block first, L = ceil((bits-1)/width). `sign_share`[ceil(n/64)]: XOR share, as a plane, of bit bits-1 of
    a.

    Returns planes uint64[T, 2L-1, ceil(n/64)], XOR shares. For each threshold t, with E = opened - t mod
    2^bits and v = 2^(bits-1) - 1 - (E mod 2^(bits-1)), the carry into the sign of x - t is [a mod 2^(bits-1)
    > v]. Block b of a exceeds v there (G_b) or equals it (P_b). Plane 0 is the sign without what the lower
    blocks carry: sign_share ^ msb(E) (party 0) ^ G_{L-1}; planes 1..L-1 are P_{L-1} .. P_1; planes L..2L-2
    are G_{L-2} .. G_0.
    """
    _check(opened, np.uint64, 1, "compare_leaves: opened")
    _check(onehots, np.uint64, 2, "compare_leaves: onehots")
    _check(sign_share, np.uint64, 1, "compare_leaves: sign_share")
    _check(thresholds, np.uint64, 1, "compare_leaves: thresholds")
    _mask(bits)
    n, words = len(opened), _words(len(opened))
    if bits < 2 or not 1 <= width <= 6 or party not in (0, 1):
        raise ValueError("compare_leaves: bits >= 2, width 1 to 6, party 0 or 1")
    blocks = (bits - 2 + width) // width
    if onehots.shape != (blocks, n) or len(sign_share) != words:
        raise ValueError("compare_leaves: onehots must be [ceil((bits-1)/width), n], sign_share [ceil(n/64)]")
    low = np.uint64((1 << (bits - 1)) - 1)
    one, digit_mask = np.uint64(1), np.uint64((1 << width) - 1)
    planes = np.zeros((len(thresholds), 2 * blocks - 1, words), dtype=np.uint64)
    for row, threshold in zip(planes, thresholds, strict=True):
        difference = opened - threshold
        v = low - (difference & low)
        row[0] = sign_share & _tail_mask(n)
        if party == 0:
            row[0] ^= _to_plane((difference >> np.uint64(bits - 1)) & one)
        for block in range(blocks):
            digit = (v >> np.uint64(block * width)) & digit_mask
            at_or_above = onehots[block] >> digit
            greater = _to_plane(np.bitwise_count(at_or_above >> one) & np.uint8(1))
            if block == blocks - 1:
                row[0] ^= greater
            else:
                row[2 * blocks - 2 - block] = greater
            if block > 0:
                row[blocks - block] = _to_plane(at_or_above & one)
    return planes


def carry_node(opened: U64, products: U64, party: int) -> U64:
    """XOR share uint64[m] of sum over i = 0..L-2 of G_i * P_{i+1} * .. * P_{L-1}: one AND-OR node of any
    fan-in.

    `opened`[2L-2, m]: the public masked planes d = value ^ rho, in the order P_{L-1} .. P_1, G_{L-2} .. G_0.
    `products`[S, m]: XOR shares of the products of the masks rho over `carry_subsets(L)`, in that order. Each
    product of values is expanded over d ^ rho; the term without any mask is public and belongs to party 0
    (ABY2.0, section 3).
    """
    _check(opened, np.uint64, 2, "carry_node: opened")
    _check(products, np.uint64, 2, "carry_node: products")
    blocks = len(opened) // 2 + 1
    if len(opened) % 2 or blocks > MAX_BLOCKS or party not in (0, 1):
        raise ValueError(f"carry_node: 2L-2 opened planes, L at most {MAX_BLOCKS}, party 0 or 1")
    if products.shape != (carry_subset_count(blocks), opened.shape[1]):
        raise ValueError("carry_node: products must be [len(carry_subsets(L)), m]")
    propagate, generate = opened[: blocks - 1], opened[blocks - 1 :]
    of_propagates = np.zeros((1 << (blocks - 1), opened.shape[1]), dtype=np.uint64)
    of_propagates[0] = np.uint64(0xFFFFFFFFFFFFFFFF if party == 0 else 0)
    of_propagates[1:] = products[: len(of_propagates) - 1]
    # sums[s]: what has been collected so far as the factor of the propagate masks in s.
    sums = np.zeros_like(of_propagates)
    end = len(products)
    for plane in range(blocks - 2, -1, -1):
        half = 1 << plane
        sums[: 2 * half] ^= generate[plane] & of_propagates[: 2 * half]
        sums[: 2 * half] ^= products[end - 2 * half : end]
        end -= 2 * half
        sums[:half] = (propagate[plane] & sums[:half]) ^ sums[half : 2 * half]
    share: U64 = sums[0].copy()
    return share


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
) -> U64:
    """Share of sum_m b_m cos(2 pi (m x - phase_m) / 2^j), x = delta + t mod 2^j (protocols.md section 7).

    `delta`[n] is public. `shares`[2M, n]: this party's shares mod 2^bits of cos(2 pi m t / 2^j) for each of
    the M `harmonics` m, then of the sines. `waves`[2^p], 2 <= p <= j: a period of the cosine and of minus the
    sine, as `wave_table` packs them; it is read at m delta - `phases`[m] mod 2^j, cut to p bits. The public
    factors are integers, round(amplitude * wave / 2^shift), the same on both sides; amplitudes must fit 32
    bits. Returns uint64[n], the sum over m of factor(cos) * share_cos + factor(-sin) * share_sin.
    """
    _check(delta, np.uint64, 1, "sine_series: delta")
    _check(shares, np.uint64, 2, "sine_series: shares")
    _check(waves, np.int64, 1, "sine_series: waves")
    _check(amplitudes, np.int64, 1, "sine_series: amplitudes")
    _check(harmonics, np.int64, 1, "sine_series: harmonics")
    _check(phases, np.uint64, 1, "sine_series: phases")
    mask = _mask(bits)
    size, terms = len(waves), len(harmonics)
    p = size.bit_length() - 1
    if size != 1 << p or not 2 <= p <= j <= 64 or not 0 <= shift <= 62:
        raise ValueError("sine_series: waves must have 2^p entries, 2 <= p <= j <= 64, shift 0 to 62")
    if len(amplitudes) != terms or len(phases) != terms or shares.shape != (2 * terms, len(delta)):
        raise ValueError("sine_series: amplitudes [M], harmonics [M], phases [M], shares [2M, n]")
    if np.any(amplitudes != amplitudes.astype(np.int32)):
        raise ValueError("sine_series: amplitudes must fit 32 bits")
    j_mask, down = _mask(j), np.uint64(j - p)
    result = np.zeros(len(delta), dtype=np.uint64)
    for m in range(terms):
        wave = waves[((delta * harmonics[m].astype(np.uint64) - phases[m]) & j_mask) >> down]
        cosine = _round_shift(amplitudes[m] * (wave >> np.int64(32)), shift)
        minus_sine = _round_shift(amplitudes[m] * wave.astype(np.int32).astype(np.int64), shift)
        result += cosine * shares[m] + minus_sine * shares[terms + m]
    return result & mask


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
) -> U64:
    """Share of the sum over a, b of z^a w^b (c_0ab + sum over t of c_tab b_t), mod 2^ring (protocols.md
    section 6).

    `z`[n] and `w`[n]: public openings E of masked values with |z| < 2^(z_bits - 2), mod 2^z_bits; w does not
    count where its degree B is 0. `bits`[T, n], 0 or 1 (the lowest bit counts): the opened d_t of
    b_t = d_t + (1 - 2 d_t) rho_t. `coefficients`[1+T, A+1, B+1], mod 2^64.

    With k = z_bits, E' = E + 2^(k-2) mod 2^k and its top bit v: z = P + s_v, P = E' - 2^k v - 2^(k-2), where
    s_1 is the mask as an unsigned and s_0 as a signed integer; likewise w. The dealt arrays are shares, one
    row for each nonzero entry (t, i, j) of `needed`[1+T, A+1, B+1], in their order: `atoms` of s_1^i s_1^j
    rho_t (t = 0: without rho), in `wraps_z` (rows with i > 0) s_1^i is replaced by (s_0^i - s_1^i) / 2^k,
    in `wraps_w` (j > 0) s_1^j likewise, in `wraps_zw` (i, j > 0) both. Where 2^k, or both factors 2^k
    together, vanish mod 2^ring there are no wraps: no rows. A coefficient of a power without a row does not
    count, but for the constant (0, 0, 0), which is public and belongs to party 0.
    """
    for array, dtype, dimensions, name in (
        (z, np.uint64, 1, "z"),
        (w, np.uint64, 1, "w"),
        (bits, np.uint8, 2, "bits"),
        (coefficients, np.uint64, 3, "coefficients"),
        (needed, np.uint8, 3, "needed"),
        (atoms, np.uint64, 2, "atoms"),
        (wraps_z, np.uint64, 2, "wraps_z"),
        (wraps_w, np.uint64, 2, "wraps_w"),
        (wraps_zw, np.uint64, 2, "wraps_zw"),
    ):
        _check(array, dtype, dimensions, f"segmented_polynomial: {name}")
    mask = _mask(ring)
    n, columns = len(z), len(bits) + 1
    if len(w) != n or bits.shape[1] != n:
        raise ValueError("segmented_polynomial: z, w and the rows of bits must have one length")
    if not 2 <= z_bits <= 64 or not 2 <= w_bits <= 64 or party not in (0, 1):
        raise ValueError("segmented_polynomial: z_bits and w_bits 2 to 64, party 0 or 1")
    if coefficients.shape != needed.shape or len(needed) != columns or 0 in needed.shape:
        raise ValueError("segmented_polynomial: coefficients and needed must be [1+T, A+1, B+1]")
    if coefficients[0].size > MAX_POWERS:
        raise ValueError(f"segmented_polynomial: at most {MAX_POWERS} powers")
    present = needed != 0
    counts = (
        (atoms, present),
        (wraps_z, present[:, 1:] & (z_bits < ring)),
        (wraps_w, present[:, :, 1:] & (w_bits < ring)),
        (wraps_zw, present[:, 1:, 1:] & (z_bits + w_bits < ring)),
    )
    if any(array.shape != (np.count_nonzero(entries), n) for array, entries in counts):
        raise ValueError("segmented_polynomial: the rows of atoms and wraps must be those of needed")
    (public_z, step_z), (public_w, step_w) = _unmasked(z, z_bits), _unmasked(w, w_bits)
    rows = [iter(array) for array, _ in counts]
    opened = (bits & np.uint8(1)).astype(np.uint64)
    total = np.zeros(n, dtype=np.uint64)
    for t in range(columns):
        powers = np.broadcast_to(coefficients[t][..., None], (*coefficients[t].shape, n)).copy()
        if t == 0:
            powers += np.tensordot(coefficients[1:], opened, axes=(0, 0))
        _move(powers, public_z)
        _move(powers.swapaxes(0, 1), public_w)
        part = powers[0, 0] if t == 0 and party == 0 else np.zeros(n, dtype=np.uint64)
        for i, j in np.argwhere(present[t]):
            share = next(rows[0])
            if i and z_bits < ring:
                share = share + step_z * next(rows[1])
            if j and w_bits < ring:
                share = share + step_w * next(rows[2])
            if i and j and z_bits + w_bits < ring:
                share = share + step_z * step_w * next(rows[3])
            part = part + powers[i, j] * share
        total += part if t == 0 else (np.uint64(1) - np.uint64(2) * opened[t - 1]) * part
    return total & mask


def _unmasked(opened: U64, bits: int) -> tuple[U64, U64]:
    """The public part P of a value, and what its wraps count: 2^bits where the top bit v is 0, else 0."""
    quarter = np.uint64(1 << (bits - 2))
    shifted = (opened + quarter) & _mask(bits)
    step = np.uint64((1 << bits) & 0xFFFFFFFFFFFFFFFF)
    top = shifted >> np.uint64(bits - 1)
    return shifted - step * top - quarter, step * (np.uint64(1) - top)


def _move(coefficients: U64, offset: U64) -> None:
    """In place, along the first axis: coefficients of a polynomial in x become those in s, x = offset + s."""
    degree = len(coefficients) - 1
    for done in range(degree):
        for power in range(degree - 1, done - 1, -1):
            coefficients[power] += offset * coefficients[power + 1]


def _round_shift(values: I64, shift: int) -> U64:
    if shift:
        values = (values + np.int64(1 << (shift - 1))) >> np.int64(shift)
    return values.view(np.uint64)


def _to_plane(bits: NDArray[np.unsignedinteger]) -> U64:
    padded = np.zeros(_words(len(bits)) * 64, dtype=np.uint8)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view(np.uint64)


def _words(count: int) -> int:
    return (count + 63) // 64


def _tail_mask(count: int) -> U64:
    mask = np.full(_words(count), 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    if count % 64:
        mask[-1] = (1 << (count % 64)) - 1
    return mask


def _mask(bits: int) -> np.uint64:
    if not 1 <= bits <= 64:
        raise ValueError(f"bits must be 1 to 64, got {bits}")
    return np.uint64((1 << bits) - 1)


def _check(array: object, dtype: type[np.generic], dimensions: int, what: str) -> None:
    if not (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == dimensions
        and array.flags.c_contiguous
        and array.flags.aligned
    ):
        raise TypeError(f"{what} must be a C-contiguous {dimensions}-dimensional array of {dtype.__name__}")
