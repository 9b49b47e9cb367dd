"""Microsoft SEAL, an independent implementation, as oracle: keys, ciphertexts and polynomials carried over
to it.

By the bindings that TenSEAL has. They cannot set coefficients, so that objects are carried over in SEAL's
file format, uncompressed.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.runtime.kernels.ntt_tables import ntt_tables
from mpcc.runtime.ring import I64, U64


class Seal:
    """A BFV context of SEAL: degree N, plaintext modulus, primes of q and, last, that of key switching."""

    def __init__(self, folder: Path, degree: int, moduli: U64, plain_modulus: int) -> None:
        import tenseal.sealapi as seal

        self.api: Any = seal
        self.degree = degree
        self.moduli = moduli
        self._folder = folder
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(degree)
        parameters.set_coeff_modulus([seal.Modulus(int(p)) for p in moduli])
        parameters.set_plain_modulus(seal.Modulus(plain_modulus))
        self.context: Any = seal.SEALContext(parameters, False, seal.SEC_LEVEL_TYPE.TC128)
        assert self.context.parameters_set(), self.context.parameters_error_message()
        self.evaluator: Any = seal.Evaluator(self.context)

    def secret_key(self, transformed: U64) -> Any:
        """Of our s, transformed, modulo all primes: uint64[P + 1, N]."""
        ordered = [row[self._order(int(p))] for row, p in zip(transformed, self.moduli, strict=True)]
        sizes = struct.pack("<Qd", self.degree * len(ordered), 1.0)
        body = _words(self.context.key_parms_id()) + sizes + self._array(np.stack(ordered))
        return self._load(self.api.SecretKey(), body)

    def ciphertext(self, c0: U64, c1: U64) -> Any:
        """Of uint64[P, N] each, in coefficient form."""
        data = np.stack([c0, c1])
        sizes = struct.pack("<?QQQdQ", False, len(data), self.degree, data.shape[1], 1.0, 1)
        body = _words(self.context.first_parms_id()) + sizes + self._array(data)
        return self._load(self.api.Ciphertext(), body)

    def decrypt(self, key: Any, ciphertext: Any) -> U64:
        """uint64[N]."""
        plain = self.api.Plaintext()
        self.api.Decryptor(self.context, key).decrypt(ciphertext, plain)
        return self.coefficients(plain)

    def coefficients(self, plain: Any) -> U64:
        out = np.zeros(self.degree, dtype=np.uint64)
        out[: plain.coeff_count()] = [plain[i] for i in range(plain.coeff_count())]
        return out

    def _order(self, p: int) -> I64:
        """Where SEAL's transform, with the least 2N-th root r of one, has what ours has with the root psi: r
        = psi^k; value i is at r^(2 rev(i) + 1) there, and at psi^(2 rev(i) + 1) here.
        """
        degree = self.degree
        psi = int(ntt_tables(np.array([p], dtype=np.uint64), degree).forward[0, 0, degree // 2])
        powers, power = [], psi
        for _ in range(degree):
            powers.append(power)
            power = power * psi * psi % p
        k = 2 * int(np.argmin(powers)) + 1
        places = np.array([_reversed(i, degree) for i in range(degree)], dtype=np.int64)
        order: I64 = places[(k * (2 * places + 1) % (2 * degree) - 1) // 2]
        return order

    def _array(self, values: U64) -> bytes:
        return self._headed(
            struct.pack("<Q", values.size) + np.ascontiguousarray(values, dtype="<u8").tobytes()
        )

    def _headed(self, body: bytes) -> bytes:
        """The format's header, with the version that this SEAL writes and no compression."""
        path = self._folder / "plain"
        self.api.Plaintext("1").save(str(path))
        magic, size, major, minor = struct.unpack_from("<HBBB", path.read_bytes())
        return struct.pack("<HBBBBHQ", magic, size, major, minor, 0, 0, size + len(body)) + body

    def _load(self, empty: Any, body: bytes) -> Any:
        path = self._folder / "object"
        path.write_bytes(self._headed(body))
        empty.load(self.context, str(path))
        return empty


def _words(identifier: list[int]) -> bytes:
    return struct.pack("<4Q", *identifier)


def _reversed(i: int, degree: int) -> int:
    bits = degree.bit_length() - 1
    return int(f"{i:0{bits}b}"[::-1], 2)
