"""The folder of a witness: its key, the ledgers it trusts, and the last checkpoint of each that it cosigned.

``witness.json`` says name and verifier key; ``key.pem`` is the private key, for its owner's eyes alone;
``ledgers/<digest of the origin>.json`` what is remembered of a ledger, replaced as a whole or not at all;
``refused/<digest of the origin>/`` signed checkpoints that contradict it. One process at a time has the folder.

It must not be set back: a witness that forgets what it cosigned can be led to cosign another history. Restore it from
no backup; where it is lost make a new witness, with a new key.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from muniment.errors import Conflict, IntegrityError, Invalid, NotFound, Unavailable
from muniment.kernel.ports import Clock, Entropy, Faults, NoFaults, SystemClock, SystemEntropy
from muniment.ledger.cosignature import witness_key
from muniment.ledger.note import check_origin
from muniment.ledger.submission import Stated
from muniment.ledger.verifier import KeyType, VerifierKey, parse_key
from muniment.ledger.witness import Seen, Witness, checked

FORMAT: Final = "muniment.witness/1"
MOST_REFUSED: Final = 100
"""Signed checkpoints of one ledger that are put aside, at most: nobody may fill the disk with them."""


class About(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """``witness.json``."""

    format: str
    name: str
    key: str


class Remembered(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """``ledgers/<digest of the origin>.json``."""

    origin: str
    keys: list[str]
    note: str
    """The checkpoint that was cosigned last, with the signatures of ledger and witness; empty before the first."""


class FileSigner:
    """The private key in ``key.pem``."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(message)


class WitnessFolder:
    """The Memory of a witness in its folder."""

    def __init__(self, path: Path, faults: Faults | None = None) -> None:
        """Look at the folder.

        Raises:
            NotFound: there is no witness in it.
            IntegrityError: it is damaged.
        """
        self.path, self._faults = path, faults or NoFaults()
        try:
            about = msgspec.json.decode((path / "witness.json").read_bytes(), type=About)
            if about.format != FORMAT:
                raise msgspec.ValidationError(f"the format is {about.format[:40]!r}")
            self.key = parse_key(about.key, KeyType.WITNESS)
            if about.name != self.key.name:
                raise msgspec.ValidationError("name and key do not belong together")
        except (FileNotFoundError, NotADirectoryError) as gone:
            raise NotFound(
                "MUNI-L207",
                f"there is no witness in {path}",
                folder=str(path),
                do="make one: muni witness init FOLDER --name NAME",
            ) from gone
        except (msgspec.DecodeError, Invalid) as broken:
            raise _damaged(path / "witness.json", str(broken)) from broken

    def signer(self) -> FileSigner:
        """The private key.

        Raises:
            Invalid: others than its owner can read it.
            IntegrityError: it is not the key of this witness.
        """
        file = self.path / "key.pem"
        status = file.stat()
        if status.st_mode & 0o177 or status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
            raise Invalid(
                "MUNI-L120",
                "the private key of a witness must be a file that its owner alone may read",
                file=str(file),
                mode=oct(stat.S_IMODE(status.st_mode)),
                do=f"chmod 600 {file}; when others could read it, make a new witness",
            )
        try:
            key = load_pem_private_key(file.read_bytes(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as broken:
            raise _damaged(file, str(broken)) from broken
        if not isinstance(key, Ed25519PrivateKey) or key.public_key().public_bytes_raw() != self.key.public_key:
            raise _damaged(file, "it is another key than witness.json says")
        return FileSigner(key)

    def ledgers(self) -> list[Seen]:
        """What is remembered of each ledger; raises IntegrityError when a file cannot be read."""
        return [self._read(file) for file in sorted((self.path / "ledgers").glob("*.json"))]

    def remember(self, seen: Seen) -> None:
        """Replace what is remembered of a ledger; on the disk when this returns."""
        document = Remembered(origin=seen.origin, keys=[str(key) for key in seen.keys], note=seen.note)
        content = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
        _write(self.path / "ledgers" / f"{_digest(seen.origin)}.json", content, self._faults)

    def put_aside(self, checkpoint: Stated, why: str) -> None:
        """Keep a signed checkpoint as evidence; that it cannot be kept does not change the answer."""
        folder = self.path / "refused" / _digest(checkpoint.origin)
        name = f"{checkpoint.size}-{hashlib.sha256(checkpoint.note.encode()).hexdigest()[:16]}.txt"
        with suppress(OSError, Unavailable):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / name).exists() and sum(1 for _ in folder.iterdir()) < MOST_REFUSED:
                _write(folder / name, f"{why}\n\n{checkpoint.note}".encode(), self._faults)

    def refused(self, origin: str) -> list[Path]:
        """The checkpoints of a ledger that were put aside."""
        return sorted((self.path / "refused" / _digest(origin)).glob("*.txt"))

    def show(self) -> list[Seen]:
        """What is remembered, for people: verified, but without the right to change anything."""
        return [checked(seen, self.key) for seen in self.ledgers()]

    @contextmanager
    def opened(self, clock: Clock | None = None) -> Iterator[Witness]:
        """The witness at work: nobody else has the folder until this ends.

        Raises:
            Conflict: another process has it.
            IntegrityError: what is in it is not what the witness wrote.
        """
        with (self.path / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                raise Conflict(
                    "MUNI-L303",
                    "another process works with the folder of this witness",
                    folder=str(self.path),
                    do="stop it first: two that sign with one key could promise two histories",
                ) from taken
            yield Witness(self.key.name, self.signer(), self, clock or SystemClock(), self._faults)

    def _read(self, file: Path) -> Seen:
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=Remembered)
            keys = tuple(parse_key(key, KeyType.LEDGER) for key in kept.keys)
            if file.stem != _digest(kept.origin) or {key.name for key in keys} != {kept.origin}:
                raise msgspec.ValidationError("the file is of another ledger than its name says")
        except (msgspec.DecodeError, Invalid, UnicodeDecodeError) as broken:
            raise _damaged(file, str(broken)) from broken
        return Seen(keys, kept.note)


def make_witness(path: Path, name: str, entropy: Entropy | None = None) -> VerifierKey:
    """Make a witness with a key of its own in a folder that is empty or not there; returns its verifier key.

    Raises:
        Conflict: there is something in the folder.
        Invalid: the name cannot stand in a note.
        Unavailable: the folder cannot be written.
    """
    check_origin(name)
    key = Ed25519PrivateKey.from_private_bytes((entropy or SystemEntropy()).token(32))
    verifier = witness_key(name, key.public_key().public_bytes_raw())
    with _unwritten(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Conflict(
                "MUNI-L304", "a witness is made in an empty folder", folder=str(path), do="name another folder"
            )
        (path / "ledgers").mkdir(mode=0o700)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    about = About(format=FORMAT, name=name, key=str(verifier))
    _write(path / "key.pem", secret, NoFaults())
    _write(path / "witness.json", msgspec.json.format(msgspec.json.encode(about), indent=1) + b"\n", NoFaults())
    return verifier


def _write(path: Path, content: bytes, faults: Faults) -> None:
    """Replace a file as a whole or not at all, readable by its owner alone; on the disk when this returns."""
    draft = path.with_name(f".{path.name}.new")
    with _unwritten(path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            faults.point("witness.write")
            file.write(content[len(content) // 2 :])
            file.flush()
            faults.point("witness.sync")
            os.fsync(descriptor)
        faults.point("witness.replace")
        draft.replace(path)
        faults.point("witness.replaced")
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _unwritten(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as broken:
        raise Unavailable(
            "MUNI-L524",
            "the folder of the witness cannot be written",
            file=str(path),
            reason=broken.strerror or str(broken),
            do="check that the disk is not full and that the folder may be written",
        ) from broken


def _damaged(file: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        "MUNI-L525",
        "a file of the witness is damaged, so it signs nothing",
        file=str(file),
        reason=reason[:300],
        do="keep the folder as it is, and make a new witness; never set the folder back to an older copy",
    )


def _digest(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()[:32]
