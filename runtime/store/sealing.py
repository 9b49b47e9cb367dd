"""How what a store keeps is protected: AES-256-GCM under keys of a key file, or SHA-256 where there is none.

Everything is kept as pieces. A sealed piece is its data followed by a check (GCM's tag over the ciphertext,
or a digest), bound to what it is a piece of and to its number, so that none is taken for another. Every file
and every row has a key of its own, by HKDF from the key file, the store's salt and a salt of its own; a
piece's number is its nonce. A digest finds accidents; it is no protection against somebody who writes to the
store.

Sources: NIST SP 800-38D (GCM), RFC 5869 (HKDF).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder

KEY_BYTES = 32
SALT_BYTES = 32
_NONCE_BYTES = 12


class Damaged(Exception):
    """Sealed data is not what was written; the caller says of what."""


@dataclass(frozen=True)
class StoreKey:
    """The 32 bytes of a key file. Each party has its own: whoever has a key can read that party's stores."""

    secret: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> StoreKey:
        """Raises MPC-S015."""
        try:
            secret = path.read_bytes()
        except OSError as error:
            raise _no_key(path, f"the key file cannot be read: {error.strerror}") from None
        if len(secret) != KEY_BYTES:
            raise _no_key(path, f"a key file has {KEY_BYTES} bytes, and this one {len(secret)}")
        return cls(secret)

    @classmethod
    def write(cls, path: Path) -> None:
        """Make a key file that only its owner may read. Raises MPC-S011, and never overwrites a file."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                path.unlink()
                raise
            sync_folder(path.parent)
        except OSError as error:
            raise MpccError(
                "MPC-S011",
                f"the key file cannot be written: {error.strerror}",
                where=str(path),
                remedy="give a new file; what was sealed with a lost key is lost",
            ) from None


class Sealer(Protocol):
    """Seals the pieces of one thing, each number once."""

    overhead: int  # bytes a sealed piece has more than its data

    def seal(self, number: int, data: memoryview) -> tuple[bytes | memoryview, bytes]:
        """What to write, in two parts."""
        ...

    def open(self, number: int, sealed: bytes) -> memoryview:
        """The data. Raises Damaged."""
        ...


class Sealing:
    """A store's way to seal: with its key, or without."""

    def __init__(self, key: StoreKey | None, salt: bytes) -> None:
        self._key = None if key is None else _derive(key.secret, salt, b"mpcc store")
        self._row_key = None if self._key is None else _derive(self._key, b"", b"rows")
        self._salt = salt

    @property
    def encrypts(self) -> bool:
        return self._key is not None

    @property
    def key_check(self) -> bytes:
        """Tells keys from one another, and nothing else of them; empty without a key."""
        return b"" if self._key is None else _derive(self._key, b"", b"check")

    def require(self, key_check: bytes, where: str) -> None:
        """What `key_check` was of is sealed in this way. Raises MPC-S016..S018."""
        if not self.encrypts and key_check:
            raise MpccError(
                "MPC-S016",
                "the store is encrypted, and no key was given",
                where=where,
                remedy="give its key file with --store-key",
            )
        if self.encrypts and not key_check:
            raise MpccError(
                "MPC-S018",
                "a key was given for a store that is not encrypted",
                where=where,
                remedy="leave --store-key out, or deal a store that is encrypted",
            )
        if self.key_check != key_check:
            raise MpccError(
                "MPC-S017",
                "the store is encrypted with another key",
                where=where,
                remedy="give the key file that this store was made with",
            )

    def digest(self, *values: object) -> bytes:
        """32 bytes bound to the store and to plain values: a row's seal."""
        data = self._salt + repr(values).encode()
        if self._row_key is None:
            return hashlib.sha256(data).digest()
        return hmac.digest(self._row_key, data, "sha256")

    def sealer(self, context: bytes, salt: bytes) -> Sealer:
        """For the pieces of what `context` names; `salt` is new for every writing of it."""
        if self._key is None:
            return _Digests(self._salt + salt + context)
        return _Encryption(_derive(self._key, salt, b"pieces " + context), context)

    def seal(self, context: bytes, secret: bytes) -> bytes:
        """A short secret on its own."""
        salt = secrets.token_bytes(SALT_BYTES)
        return b"".join((salt, *self.sealer(context, salt).seal(0, memoryview(secret))))

    def open(self, context: bytes, sealed: bytes) -> bytes:
        """The secret. Raises Damaged."""
        salt, piece = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
        return bytes(self.sealer(context, salt).open(0, piece))


class _Digests:
    overhead = hashlib.sha256().digest_size

    def __init__(self, context: bytes) -> None:
        self._context = hashlib.sha256(len(context).to_bytes(8, "little") + context)

    def seal(self, number: int, data: memoryview) -> tuple[bytes | memoryview, bytes]:
        return data, self._digest(number, data)

    def open(self, number: int, sealed: bytes) -> memoryview:
        view = memoryview(sealed)
        data, digest = view[: -self.overhead], view[-self.overhead :]
        if self._digest(number, data) != digest:
            raise Damaged
        return data

    def _digest(self, number: int, data: memoryview) -> bytes:
        state = self._context.copy()
        state.update(number.to_bytes(_NONCE_BYTES, "little"))
        state.update(data)
        return state.digest()


class _Encryption:
    overhead = 16

    def __init__(self, key: bytes, context: bytes) -> None:
        self._cipher = AESGCM(key)
        self._context = context

    def seal(self, number: int, data: memoryview) -> tuple[bytes | memoryview, bytes]:
        return self._cipher.encrypt(number.to_bytes(_NONCE_BYTES, "little"), data, self._context), b""

    def open(self, number: int, sealed: bytes) -> memoryview:
        try:
            nonce = number.to_bytes(_NONCE_BYTES, "little")
            return memoryview(self._cipher.decrypt(nonce, sealed, self._context))
        except InvalidTag:
            raise Damaged from None


def _derive(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt, purpose).derive(secret)


def _no_key(path: Path, message: str) -> MpccError:
    return MpccError(
        "MPC-S015", message, where=str(path), remedy="give the file that mpcc store-key wrote for this store"
    )
