"""The list of what was erased, signed, to be kept outside: an old export is imported with it, and stays without it.

An export holds in the clear what was there when it was taken. Whoever imports it later cannot know from it what was
erased since; this list says so, and names nobody: digests of objects, and of the records that decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from muniment.errors import IntegrityError
from muniment.evidence.exporting import Exporter
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.ledger.note import open_note, sign_note
from muniment.ledger.ports import CheckpointRepository
from muniment.vault.model import Erased
from muniment.vault.ports import ErasedObjects
from muniment.wire import exporting as wire

__all__ = ["VERBS", "Listed", "read_list"]

TITLE: Final = "muniment erasures v1"
FILE: Final = "erasures.txt"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of erasures that verified."""

    at: datetime
    """When it was taken: of later erasures it knows nothing."""

    erased: tuple[Erased, ...]


@verb(
    "evidence:ExportErasures",
    on=INSTALLATION,
    request=wire.ExportErasures,
    reply=Download,
    event="erasures.exported",
    group="system:export",
    effect=Effect.READ,
)
def export_erasures(call: Call, request: wire.ExportErasures) -> Download:
    """Take out the signed list of everything that was erased; it names no person."""
    head = call.session.use(CheckpointRepository).head()
    assert head is not None  # a checkpoint is made before the first request is answered
    origin = head.checkpoint.origin
    erased = call.session.use(ErasedObjects).all()
    lines = [
        f"{one.project} {one.digest} {one.size} {one.why} {format_time(one.at)} {one.decision}\n" for one in erased
    ]
    text = f"{TITLE}\n{origin}\n{format_time(call.now)}\n{''.join(lines)}"
    call.note(objects=len(erased))
    return Download(FILE, "text/plain", (sign_note(text, origin, call.use(Exporter).signer).encode(),))


def read_list(note: bytes, origin: str, public_key: bytes) -> Listed:
    """The list that a note holds.

    Args:
        note: as ``evidence:ExportErasures`` gave it.
        origin: of the installation whose export it is used with.
        public_key: of that installation's ledger.

    Raises:
        IntegrityError: it is no such list, or another installation signed it.
    """
    try:
        title, name, at, *lines = open_note(note.decode(), origin, public_key).splitlines()
        if (title, name) != (TITLE, origin):
            raise ValueError("another title or origin")
        return Listed(parse_time(at), tuple(_read(lines)))
    except (ValueError, IntegrityError) as broken:
        raise IntegrityError(
            "MUNI-E591",
            "the list of erasures is not one that this installation signed",
            reason=str(broken)[:200],
            do="take it again where the installation runs: muni export --erasures -o FILE",
        ) from broken


def _read(lines: Iterable[str]) -> Iterator[Erased]:
    for line in lines:
        project, digest, size, why, at, decision = line.split(" ")
        # Nothing was sealed here, so the name of the sealed bytes is one that nothing has.
        blob = Digest.of(line.encode()).hex
        yield Erased(project, Digest(digest), int(size), str(Digest(decision)), why, parse_time(at), blob)


VERBS: Final = (export_erasures,)
