"""The export: the whole ledger as one tar file that a stranger checks offline.

``entries/`` holds the exact bytes of every entry, one per line, in files named after their first index;
``checkpoints/`` every signed note as a JSON string per line. ``manifest.txt`` comes last: a signed note with the
SHA-256 of every other file. The same checkpoint gives the same bytes, and memory is bounded by one file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from muniment.errors import IntegrityError
from muniment.kernel.ports import Store
from muniment.ledger.model import Checkpoint
from muniment.ledger.note import sign_note, verifier_key
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Signer

FOLDER: Final = "ledger-export"
TITLE: Final = "muniment ledger export v1"
"""First line of the manifest's text: no checkpoint begins so."""

_FILE_BYTES: Final = 4 * 2**20
_ROWS: Final = 1024
_BLOCK: Final = 512

_README: Final = """\
An export of the ledger {origin}
with {size} entries under the root {root}

    python3 verify.py ledger-export.tar --key KEY

checks it: one file, nothing but Python 3.9 or newer, no network. Take KEY from the institution by a way you trust,
and take verify.py from the project's release rather than from here: whoever could forge an export could forge what
lies beside it. Give it the checkpoints you kept from earlier visits (--checkpoint FILE): then the ledger cannot have
been set back since.

manifest.txt    signed: the SHA-256 of every other file
entries/        every entry, one per line, exactly the bytes that were hashed (CloudEvents 1.0 in canonical JSON)
checkpoints/    every signed checkpoint, one JSON string per line (C2SP tlog-checkpoint; RFC 6962 roots)
key.txt         the public key that signed them
verify.py       the verifier, for convenience
"""


def export(store: Store, signer: Signer, checkpoint: Checkpoint) -> Iterator[bytes]:
    """The tar file of everything under the checkpoint, in pieces; raises as ``members`` does."""
    for name, content in members(store, signer, checkpoint):
        yield from _member(name, content)
    yield bytes(2 * _BLOCK)


def members(store: Store, signer: Signer, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    """The files of the export, by name.

    Raises:
        IntegrityError: the database no longer holds all of it.
    """
    origin, size = checkpoint.origin, checkpoint.size
    fixed = {
        "README.txt": _README.format(origin=origin, size=size, root=checkpoint.root).encode(),
        "key.txt": verifier_key(origin, signer.public_key).encode() + b"\n",
        "verify.py": pkgutil.get_data("muniment.evidence", "verify.py") or b"",
    }
    sums: list[str] = []
    for name, content in chain(
        fixed.items(), _files("checkpoints", _notes(store, size)), _files("entries", _entries(store, size))
    ):
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        yield name, content
    root = base64.b64encode(checkpoint.root.raw).decode()
    text = f"{TITLE}\n{origin}\n{size} {root}\n{''.join(sums)}"
    yield "manifest.txt", sign_note(text, origin, signer).encode()


def _notes(store: Store, size: int) -> Iterator[tuple[int, bytes]]:
    with store.read() as session:
        for checkpoint in session.use(CheckpointRepository).each():
            if checkpoint.size <= size:
                yield checkpoint.size, json.dumps(checkpoint.note, ensure_ascii=False).encode() + b"\n"


def _entries(store: Store, size: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, size, _ROWS):
        stop = min(start + _ROWS, size)
        with store.read() as session:
            rows = session.use(EntryRepository).bodies(start, stop)
        if len(rows) != stop - start:
            raise IntegrityError(
                "MUNI-L512",
                "entries are missing from the database, so the ledger cannot be exported",
                first=start,
                do="muni audit verify names the first",
            )
        for index, body in rows:
            yield index, body.encode() + b"\n"


def _files(folder: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Gather numbered lines into files of a few MiB, each named after its first number."""
    first, pending, held = 0, list[bytes](), 0
    for number, line in lines:
        if not pending:
            first = number
        pending.append(line)
        held += len(line)
        if held >= _FILE_BYTES:
            yield f"{folder}/{first:012d}.jsonl", b"".join(pending)
            pending, held = [], 0
    if pending:
        yield f"{folder}/{first:012d}.jsonl", b"".join(pending)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    member = tarfile.TarInfo(f"{FOLDER}/{name}")
    member.size, member.mode = len(content), 0o644
    yield member.tobuf(tarfile.USTAR_FORMAT)
    yield content
    yield bytes(-len(content) % _BLOCK)
