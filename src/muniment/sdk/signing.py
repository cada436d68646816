"""One's own signing key on this machine, and signing with it: the private half never leaves.

``m.keys.enrol()`` makes an Ed25519 key beside the profile, in a file that only its owner can read and that can be
encrypted under a passphrase, and makes its public half known to the platform.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.kernel.canonical import canonical
from muniment.sdk.asking import Asking
from muniment.sdk.cells import table
from muniment.sdk.frames import to_frame
from muniment.wire import identity as wid
from muniment.wire import inventory as wi

__all__ = ["Keys", "Pen", "SigningKeyList", "act"]

PASSPHRASE_FILE: Final = "MUNI_KEY_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable, no secret
"""Environment variable that names the file with the passphrase of one's signing key."""

_SHORTEST: Final = 12
_COLUMNS: Final = ("key", "label", "enrolled_at", "revoked_at")


class Pen(Protocol):
    """Something that signs with a private key: a file, a token, a card."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public half."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""


class SigningKeyList(tuple[wid.SigningKey, ...]):
    """Signing keys, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per key."""
        return to_frame([{name: getattr(key, name) for name in _COLUMNS} for key in self], _COLUMNS)

    def __repr__(self) -> str:
        return "\n".join(f"{key.key}  {'revoked' if key.revoked_at else 'good':8}  {key.label}" for key in self)

    def _repr_html_(self) -> str:
        return table(_COLUMNS, [[getattr(key, name) or "" for name in _COLUMNS] for key in self])


class Keys:
    """One's own signing keys: ``m.keys``."""

    def __init__(self, asking: Asking, file: Path | None = None) -> None:
        """``file`` is where the private half is kept; None keeps it in memory only."""
        self._asking = asking
        self.file = file
        """Where the private half of one's key lies, or would lie."""
        self._pen: Pen | None = None
        self._passphrase: str | None = None

    def enrol(self, label: str = "", *, passphrase: str | None = None, pen: Pen | None = None) -> wid.SigningKey:
        """Make a key of one's own and make its public half known.

        A key that lies in the file already is taken instead of a new one, so that what was interrupted can be repeated.

        Args:
            label: what to call it.
            passphrase: encrypts the private half in its file; at least 12 characters.
            pen: signs in place of a key file: a hardware token, for one.

        Raises:
            Conflict: the key is enrolled already.
            Invalid: the passphrase is too short or wrong.
        """
        chosen = pen or self._existing(passphrase) or self._make(passphrase)
        enrolled = self._enrol(chosen, label, None)
        self._pen = chosen
        return enrolled

    def renew(self, label: str = "", *, passphrase: str | None = None, pen: Pen | None = None) -> wid.SigningKey:
        """Put a new key in the place of one's present one, which endorses it and then signs no more.

        The file of the former key stays, with ``.former`` after its name.

        Args:
            label: what to call the new key.
            passphrase: encrypts the private half of the new key.
            pen: signs in place of a new key file.

        Raises:
            NotFound: there is no key on this machine that could endorse another one.
        """
        former = self.pen()
        if pen is None:
            chosen, pem = _generate(self._chosen(passphrase))
        else:
            chosen, pem = pen, b""
        enrolled = self._enrol(chosen, label, former)
        if pem and self.file is not None:
            if self.file.exists():
                self.file.rename(self.file.with_name(f"{self.file.name}.former"))
            _write(self.file, pem)
        self._pen, self._passphrase = chosen, passphrase or self._passphrase
        self.revoke("sha256:" + hashlib.sha256(former.public_key).hexdigest())
        return enrolled

    def _enrol(self, chosen: Pen, label: str, former: Pen | None) -> wid.SigningKey:
        signer = self._asking.ask("identity:WhoAmI", wid.WhoAmI(), wid.Identity)
        encoded = base64.b64encode(chosen.public_key).decode()
        statement = canonical(
            {"format": "muniment.enrolment/1", "public_key": encoded, "signer": f"{signer.kind}:{signer.name}"}
        )
        proof = base64.b64encode(chosen.sign(statement)).decode()
        endorsement = base64.b64encode(former.sign(statement)).decode() if former is not None else None
        request = wid.EnrolSigningKey(public_key=encoded, proof=proof, label=label, endorsement=endorsement)
        return self._asking.ask("identity:EnrolSigningKey", request, wid.SigningKey)

    def list(self) -> SigningKeyList:
        """One's own signing keys, newest first, also revoked ones."""
        return SigningKeyList(self._asking.ask("identity:ListSigningKeys", wid.ListSigningKeys(), wid.SigningKeys).keys)

    def revoke(self, key: str) -> wid.SigningKey:
        """Let one of one's own keys sign no more; what it signed before stays signed. Its file stays too."""
        return self._asking.ask("identity:RevokeSigningKey", wid.RevokeSigningKey(key=key), wid.SigningKey)

    def unlock(self, passphrase: str) -> None:
        """Say the passphrase that opens the key file, for as long as this client lives."""
        self._passphrase, self._pen = passphrase, None

    def use(self, pen: Pen) -> None:
        """Sign with this from now on."""
        self._pen = pen

    @property
    def locked(self) -> bool:
        """Whether a passphrase is needed before anything can be signed."""
        if self._pen is not None or self.file is None or not self.file.exists():
            return False
        return b"ENCRYPTED" in self.file.read_bytes() and _passphrase(self._passphrase) is None

    def sign(self, statement: str) -> str:
        """A signature over a statement, in base64.

        Raises:
            NotFound: there is no key on this machine.
            Invalid: the key file cannot be opened.
        """
        return base64.b64encode(self.pen().sign(statement.encode())).decode()

    def pen(self) -> Pen:
        """What signs here; raises NotFound when there is no key on this machine."""
        self._pen = self._pen or self._existing(self._passphrase)
        if self._pen is None:
            raise NotFound(
                "MUNI-A250",
                "there is no signing key on this machine",
                file=str(self.file) if self.file else None,
                do="muni user key enrol",
            )
        return self._pen

    def _existing(self, passphrase: str | None) -> Pen | None:
        if self.file is None or not self.file.exists():
            return None
        if self.file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Invalid("MUNI-A150", "others can read this key", file=str(self.file), do=f"chmod 600 {self.file}")
        return _from_pem(self.file.read_bytes(), _passphrase(passphrase or self._passphrase), self.file)

    def _chosen(self, passphrase: str | None) -> str | None:
        chosen = _passphrase(passphrase or self._passphrase)
        if chosen is not None and len(chosen) < _SHORTEST:
            raise Invalid("MUNI-A151", f"the passphrase of a key has at least {_SHORTEST} characters")
        return chosen

    def _make(self, passphrase: str | None) -> Pen:
        made, pem = _generate(self._chosen(passphrase))
        if self.file is not None:
            _write(self.file, pem)
        return made


def act(
    asking: Asking, action: str, request: type[Any], *, model: str, meaning: str, terms: Mapping[str, Any]
) -> wi.VersionState:
    """Do what takes a signature: have the statement prepared, sign it here, ask the verb that acts.

    Who may not do it is told so by that verb, also when he has no key to sign with.
    """
    wanted = wi.PrepareSignature(project=asking.project, model=model, meaning=meaning, terms=dict(terms))
    try:
        prepared = asking.ask("inventory:PrepareSignature", wanted, wi.Statement)
        statement, signature = prepared.statement, asking.sign(prepared.statement)
    except (Denied, NotFound) as hindered:
        with suppress(Invalid):  # it may be done by him, but not without a signature
            asking.ask(action, request(project=asking.project, model=model), wi.VersionState)
        raise hindered from None
    signed = request(project=asking.project, model=model, statement=statement, signature=signature)
    return asking.ask(action, signed, wi.VersionState)


def _passphrase(given: str | None) -> str | None:
    named = os.environ.get(PASSPHRASE_FILE)
    if given is None and named:
        return Path(named).read_text(encoding="utf-8").rstrip("\n")
    return given


def _write(file: Path, content: bytes) -> None:
    """Keep a new key so that only its owner can read it; one that is there is never overwritten."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict("MUNI-A350", "there is a signing key already", file=str(file)) from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


class _FilePen:
    """A private key in this process."""

    def __init__(self, key: Any, public_key: bytes) -> None:
        self._key = key
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""
        signature: bytes = self._key.sign(message)
        return signature


def _generate(passphrase: str | None) -> tuple[Pen, bytes]:
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415  seldom needed, slow to import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    hidden: Any = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, hidden)
    return _FilePen(key, key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)), pem


def _from_pem(pem: bytes, passphrase: str | None, file: Path) -> Pen:
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415  seldom needed, slow to import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    secret = passphrase.encode() if passphrase and b"ENCRYPTED" in pem else None
    try:
        key = form.load_pem_private_key(pem, secret)
    except (ValueError, TypeError) as broken:
        raise Invalid(
            "MUNI-A152",
            "the signing key cannot be opened",
            file=str(file),
            reason=str(broken)[:200],
            do=f"give its passphrase, or name a file that holds it: {PASSPHRASE_FILE}=/path",
        ) from broken
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid("MUNI-A153", "the signing key is no Ed25519 key", file=str(file))
    return _FilePen(key, key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw))
