"""Keys in one file: readable by its owner alone, or encrypted under a passphrase (argon2id).

The file lies outside the home folder, so that a copy of the data holds no key. Honest limit: a file cannot be proved
destroyed; an HSM or a key service can.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from muniment.errors import Conflict, IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.canonical import canonical
from muniment.kernel.ports import Entropy, Faults, NoFaults, SystemEntropy

FORMAT: Final = "muniment-keys-1"
_NONCE: Final = 12
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the base point (SEC 2, section 2.4.2)."""


@dataclass(frozen=True, slots=True)
class Argon2:
    """The cost of guessing a passphrase (RFC 9106)."""

    memory_kib: int = 256 * 1024
    passes: int = 3
    lanes: int = 4

    def derive(self, passphrase: str, salt: bytes) -> bytes:
        """32 bytes of key."""
        return hash_secret_raw(
            passphrase.encode(), salt, self.passes, self.memory_kib, self.lanes, hash_len=32, type=Type.ID
        )


class LocalKeys:
    """The KeyService in a key file; several processes may use the same file."""

    def __init__(
        self,
        path: Path,
        *,
        home: Path,
        passphrase: str | None = None,
        entropy: Entropy | None = None,
        faults: Faults | None = None,
    ) -> None:
        """Open the key file.

        Raises:
            NotFound: there is no key file.
            Invalid: it lies inside the home folder, others may read it, or the passphrase is missing or wrong.
            IntegrityError: it is not a key file, or was altered.
        """
        self._path = _outside(path, home)
        self._entropy, self._faults = entropy or SystemEntropy(), faults or NoFaults()
        self._passphrase = passphrase
        self._root: tuple[bytes, bytes] | None = None  # salt, derived key
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, bytes] = {}
        self._protection: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._refresh()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        home: Path,
        passphrase: str | None = None,
        cost: Argon2 | None = None,
        entropy: Entropy | None = None,
        faults: Faults | None = None,
    ) -> LocalKeys:
        """Make an empty key file and open it.

        Raises:
            Conflict: there is a file already; keys are never overwritten.
            Invalid: the place lies inside the home folder, or the passphrase is too short.
        """
        entropy = entropy or SystemEntropy()
        where = _outside(path, home)
        if where.exists():
            raise Conflict("MUNI-V303", f"there is a key file at {where} already", path=str(where))
        protection: dict[str, Any] = {"kind": "file"}
        body: dict[str, Any] = {"keys": {}}
        if passphrase is not None:
            if len(passphrase) < 12:
                raise Invalid("MUNI-V104", "the passphrase is too short", do="use at least 12 characters")
            cost = cost or Argon2()
            salt = entropy.token(16)
            protection = {
                "kind": "passphrase",
                "salt": _text(salt),
                "memory_kib": cost.memory_kib,
                "passes": cost.passes,
                "lanes": cost.lanes,
            }
            body = {"sealed": _seal(cost.derive(passphrase, salt), protection, {}, entropy)}
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(where, {"format": FORMAT, "protection": protection, **body}, faults or NoFaults())
        return cls(where, home=home, passphrase=passphrase, entropy=entropy, faults=faults)

    def generate(self, purpose: str) -> str:
        """Make a wrapping key; its name begins with the purpose."""
        with self._changing() as keys:
            while (name := f"{purpose}/{self._entropy.token(8).hex()}") in keys:
                pass
            keys[name] = self._entropy.token(32)
        return name

    def wrap(self, key: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a small secret under AES-256-GCM, bound to the key's name and the context."""
        nonce = self._entropy.token(_NONCE)
        return nonce + AESGCM(self._secret(key)).encrypt(nonce, plaintext, _binding(key, context))

    def unwrap(self, key: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The inverse of ``wrap`` for the same key and context."""
        try:
            return AESGCM(self._secret(key)).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _binding(key, context))
        except (InvalidTag, ValueError) as broken:
            raise IntegrityError("MUNI-V505", "a wrapped key is not what this key wrapped", key=key) from broken

    def destroy(self, key: str) -> None:
        """Take the key out of the file; nothing happens when there is none."""
        with self._changing() as keys:
            keys.pop(key, None)

    def signer(self, name: str) -> LocalSigner:
        """The Ed25519 key of this name; made when first asked for."""
        return LocalSigner(self._seed(f"signer/{name}"))

    def model_signer(self, name: str) -> LocalModelSigner:
        """The P-256 key of this name; made when first asked for."""
        return LocalModelSigner(self._seed(f"p256/{name}"))

    def _seed(self, entry: str) -> bytes:
        with self._lock:
            self._refresh()
            if entry not in self._keys:
                with self._changing() as keys:
                    keys.setdefault(entry, self._entropy.token(48 if entry.startswith("p256/") else 32))
            return self._keys[entry]

    def _secret(self, key: str) -> bytes:
        with self._lock:
            self._refresh()
            try:
                return self._keys[key]
            except KeyError:
                raise NotFound("MUNI-V203", "the key file has no such key", key=key) from None

    def _refresh(self) -> None:
        """Read the file again when it is not the one last read, so that what another process destroyed is gone here."""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            _private(self._path, status)
            content = self._path.read_bytes()
        except FileNotFoundError as gone:
            raise NotFound(
                "MUNI-V204", f"no key file at {self._path}", path=str(self._path), do="muni init, or restore it"
            ) from gone
        except OSError as broken:
            raise Unavailable("MUNI-V513", "the key file cannot be read", path=str(self._path)) from broken
        self._keys, self._protection = self._parse(content)
        self._seen = seen

    def _parse(self, content: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
        try:
            document = json.loads(content)
            protection = document["protection"]
            if document["format"] != FORMAT or protection["kind"] not in ("file", "passphrase"):
                raise ValueError(document["format"])
            if protection["kind"] == "file":
                return {name: _bytes(secret) for name, secret in document["keys"].items()}, protection
            sealed, root = _bytes(document["sealed"]), self._derived(protection)
        except (ValueError, KeyError, TypeError, AttributeError, HashingError) as broken:
            raise IntegrityError(
                "MUNI-V506", "this is not a key file, or it was damaged", path=str(self._path), do="restore it"
            ) from broken
        try:
            opened = AESGCM(root).decrypt(sealed[:_NONCE], sealed[_NONCE:], canonical(protection))
        except (InvalidTag, ValueError) as broken:
            raise Invalid("MUNI-V105", "the passphrase does not open the key file", path=str(self._path)) from broken
        return {name: _bytes(secret) for name, secret in json.loads(opened).items()}, protection

    def _derived(self, protection: Mapping[str, Any]) -> bytes:
        if self._passphrase is None:
            raise Invalid("MUNI-V106", "the key file needs its passphrase", path=str(self._path))
        salt = _bytes(protection["salt"])
        if self._root is None or self._root[0] != salt:
            cost = Argon2(protection["memory_kib"], protection["passes"], protection["lanes"])
            if not (8 <= cost.memory_kib <= 4 * 1024 * 1024 and 1 <= cost.passes <= 64 and 1 <= cost.lanes <= 64):
                raise ValueError("cost")
            self._root = (salt, cost.derive(self._passphrase, salt))
        return self._root[1]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, bytes]]:
        """Change the keys and make the file durable; one process at a time."""
        with self._lock, _exclusive(self._path):
            self._refresh()
            keys = dict(self._keys)
            yield keys
            if keys == self._keys:
                return
            document: dict[str, Any] = {"format": FORMAT, "protection": self._protection}
            if self._protection["kind"] == "file":
                document["keys"] = {name: _text(secret) for name, secret in sorted(keys.items())}
            else:
                document["sealed"] = _seal(self._derived(self._protection), self._protection, keys, self._entropy)
            _replace(self._path, document, self._faults)
            self._refresh()


class LocalSigner:
    """An Ed25519 key from the key file (RFC 8032)."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        """The 32 raw bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)


class LocalModelSigner:
    """A P-256 key from the key file, for formats that know no Ed25519.

    The secret is 48 random bytes reduced modulo the order of the curve less one, plus one (FIPS 186-5, A.2.1); nonces
    are those of RFC 6979, so that the same message has the same signature.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = derive_private_key(int.from_bytes(seed, "big") % (_P256_ORDER - 1) + 1, SECP256R1())
        self.public_key_pem: bytes = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        """The public key as PEM."""

    def sign(self, message: bytes) -> bytes:
        """The DER signature over SHA-256 of the message."""
        return self._key.sign(message, ECDSA(SHA256(), deterministic_signing=True))


def _outside(path: Path, home: Path) -> Path:
    where = path.resolve()
    if where.is_relative_to(home.resolve()):
        raise Invalid(
            "MUNI-V102",
            "the key file may not lie inside the home folder, or every copy of the data would carry its keys",
            path=str(where),
            home=str(home.resolve()),
            do="put it elsewhere, best on another disk",
        )
    return where


def _private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o177 or status.st_uid != os.geteuid():
        raise Invalid(
            "MUNI-V103",
            "the key file must be a file that its owner alone may read",
            path=str(path),
            mode=oct(stat.S_IMODE(status.st_mode)),
            owner=status.st_uid,
            do=f"chmod 600 {path}",
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file beside the key file; a lock on the key file itself would go when it is replaced."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as broken:
        raise _unwritable(path, broken) from broken
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, document: Mapping[str, Any], faults: Faults) -> None:
    temporary = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(json.dumps(document, indent=1).encode() + b"\n")
            file.flush()
            faults.point("keys.sync")
            os.fsync(descriptor)
        faults.point("keys.replace")
        temporary.replace(path)
        faults.point("keys.replaced")
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as broken:
        raise _unwritable(path, broken) from broken


def _unwritable(path: Path, broken: OSError) -> Unavailable:
    return Unavailable("MUNI-V514", "the key file cannot be written", path=str(path), reason=broken.strerror or "")


def _seal(root: bytes, protection: Mapping[str, Any], keys: Mapping[str, bytes], entropy: Entropy) -> str:
    nonce = entropy.token(_NONCE)
    inner = json.dumps({name: _text(secret) for name, secret in sorted(keys.items())}).encode()
    return _text(nonce + AESGCM(root).encrypt(nonce, inner, canonical(dict(protection))))


def _binding(key: str, context: Mapping[str, str]) -> bytes:
    return canonical({"key": key, "context": dict(context)})


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
