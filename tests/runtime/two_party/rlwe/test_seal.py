"""The scheme against Microsoft SEAL, as TenSEAL wraps it: it decrypts what this one encrypts and computes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpcc.runtime import kernels
from mpcc.runtime.kernels.ntt_tables import ntt_primes
from mpcc.runtime.ring import I64, U64, mask
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.requests import MatrixProduct
from mpcc.runtime.two_party.rlwe import keys
from mpcc.runtime.two_party.rlwe.encryption import Message, encrypt, reply
from mpcc.runtime.two_party.rlwe.matrix_product import Rlwe
from mpcc.runtime.two_party.rlwe.ole_parameters import slot_parameters
from mpcc.runtime.two_party.rlwe.ole_scheme import SlotEncryptor, SlotEvaluator
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, SECURE_BITS, prefix, switching, tables
from tests.runtime.two_party.engines import both_parties
from tests.runtime.two_party.rlwe.seal import Seal

pytest.importorskip("tenseal", reason="TenSEAL, the oracle, is in the test extra where it has a package")


def draw(bits: int, *shape: int) -> U64:
    generator = np.random.default_rng(bits)
    return generator.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False) & mask(bits)


def seal_of(folder: Path, primes: int, ring: int) -> Seal:
    return Seal(folder, DEGREE, tables(switching(primes)).moduli, 1 << ring)


def test_the_security_table() -> None:
    import tenseal.sealapi as seal

    for degree, bits in SECURE_BITS.items():
        assert bits == seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128)


@pytest.mark.parametrize(("ring", "primes"), [(20, 2), (44, 3), (52, 4), (58, 4)])
def test_seal_decrypts(tmp_path: Path, ring: int, primes: int) -> None:
    seal, key = seal_of(tmp_path, primes, ring), keys.SecretKey()
    messages = draw(ring, 1, DEGREE)
    [c0] = encrypt(key, 7, messages, ring, primes)
    a = keys.public_parts(key.seed, 7, 1, primes)
    kernels.ntt_inverse(a, tables(prefix(primes)))
    ciphertext, secret = seal.ciphertext(c0, a[0]), seal.secret_key(key.transformed(switching(primes)))
    assert np.array_equal(seal.decrypt(secret, ciphertext), messages[0])
    other = seal.secret_key(keys.SecretKey().transformed(switching(primes)))
    assert not np.array_equal(seal.decrypt(other, ciphertext), messages[0])


@pytest.mark.parametrize(("shape", "ring"), [((1, 5, 40, 24), 44), ((2, 1, 300, 9), 37)])
def test_seal_decrypts_packed_matrix_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int, int], ring: int
) -> None:
    """What party 0 has after multiplications, automorphisms and key switching, before it masks and floods."""
    batch, m, k, n = shape
    left = draw(ring, batch, m, k)
    right = (draw(17, batch, k, n).view(np.int64) - (1 << 16)).astype(np.int32)
    packed: list[tuple[U64, Sequence[I64]]] = []

    def observed(ciphertexts: U64, places: Sequence[I64], *others: Any) -> list[Message]:
        packed.append((ciphertexts.copy(), places))
        return reply(ciphertexts, places, *others)

    monkeypatch.setattr("mpcc.runtime.two_party.rlwe.matrix_product.reply", observed)

    def work(party: int, channel: StreamChannel) -> tuple[U64, Rlwe]:
        end = Rlwe(party, channel)
        [share] = end.matrix_products([MatrixProduct((right, left)[party], shape, 16, ring)])
        return share, end

    (one, _), (other, end) = both_parties(work)
    products = kernels.matmul(left, right.astype(np.int64).view(np.uint64), ring)
    assert np.array_equal((one + other) & mask(ring), products)
    primes = packed[0][0].shape[2]
    seal = seal_of(tmp_path, primes, ring)
    assert end._secret is not None
    secret = seal.secret_key(end._secret.transformed(switching(primes)))
    decrypted = []
    for ciphertexts, places in packed:
        for c0, c1, place in zip(*ciphertexts, places, strict=True):
            decrypted.append(seal.decrypt(secret, seal.ciphertext(c0, c1))[place])
    assert np.array_equal(np.sort(np.concatenate(decrypted)), np.sort(products.reshape(-1)))


@pytest.mark.parametrize(("sizes", "terms"), [((8, 8), 1), ((14, 20), 3)])
def test_slots_agree_with_seal(tmp_path: Path, sizes: tuple[int, int], terms: int) -> None:
    """Sums of products modulo t in SEAL's slots, encrypted there, and in ours."""
    chosen = slot_parameters(sizes, terms)
    [t] = chosen.plain
    size, count = {4096: (36, 3), 8192: (45, 4)}[chosen.degree]
    moduli = np.array(ntt_primes(size, chosen.degree, count), dtype=np.uint64)
    seal = Seal(tmp_path, chosen.degree, moduli, t)
    u, v = draw(sizes[0] - 1, terms, chosen.degree), draw(sizes[1] - 1, terms, chosen.degree)

    generator = seal.api.KeyGenerator(seal.context)
    public = seal.api.PublicKey()
    generator.create_public_key(public)
    encryptor, batches = seal.api.Encryptor(seal.context, public), seal.api.BatchEncoder(seal.context)
    products = []
    for left, right in zip(u, v, strict=True):
        plain = [seal.api.Plaintext(), seal.api.Plaintext()]
        for numbers, encoded in zip((left, right), plain, strict=True):
            batches.encode([int(x) for x in numbers], encoded)
        products.append(seal.api.Ciphertext())
        encryptor.encrypt(plain[1], products[-1])
        seal.evaluator.multiply_plain_inplace(products[-1], plain[0])
    total, sums = seal.api.Ciphertext(), seal.api.Plaintext()
    seal.evaluator.add_many(products, total)
    seal.api.Decryptor(seal.context, generator.secret_key()).decrypt(total, sums)

    encryptor_ = SlotEncryptor(chosen)
    evaluator = SlotEvaluator(chosen, memoryview(encryptor_.key()))
    message = memoryview(encryptor_.encrypt(v.view(np.int64)))
    reply, mine = evaluator.products(message, u.view(np.int64)[None], 0)
    shares = encryptor_.decrypt(memoryview(reply), 1) + mine
    assert np.array_equal(shares[0, 0] % np.uint64(t), np.array(batches.decode_uint64(sums), dtype=np.uint64))
