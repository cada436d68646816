"""Which files stand for an entity: believed only as far as its digest bears them out.

The files of an entity are a fact in the database, and a fact in a database can be changed. Its digest is what lineage,
the ledger and the plan of a job name, so what a job is given must follow from that digest and from nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from muniment.catalog.model import Entity
from muniment.errors import IntegrityError
from muniment.execution.judging import FILES_FORMAT
from muniment.execution.model import MANIFEST, Part
from muniment.execution.submitting import files_of
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest


def parts_of(entity: Entity, read: Callable[[Digest], bytes]) -> tuple[Part, ...]:
    """The sealed files of an entity.

    Args:
        entity: as the database tells it.
        read: how a small sealed object of the project is read; what it gives has the digest it was asked for.

    Raises:
        IntegrityError: they are not the files that the entity's digest names.
    """
    parts = tuple(Part(file["path"], Digest(file["digest"]), file["size"]) for file in files_of(entity))
    if not (_is_one_file(entity, parts) or _is_listed(entity, parts) or _is_snapshot(entity, parts, read)):
        raise IntegrityError(
            "MUNI-X504",
            "the files of an entity are not those that its digest names",
            entity=str(entity.digest),
            do="somebody changed the database: stop, keep the evidence",
        )
    return parts


def _is_one_file(entity: Entity, parts: tuple[Part, ...]) -> bool:
    return [part.digest for part in parts] == [entity.digest]


def _is_listed(entity: Entity, parts: tuple[Part, ...]) -> bool:
    """Models and artifacts are named by the list of their files."""
    return digest_of({"format": FILES_FORMAT, "files": [part.document() for part in parts]}) == entity.digest


def _is_snapshot(entity: Entity, parts: tuple[Part, ...], read: Callable[[Digest], bytes]) -> bool:
    """A snapshot is named by its manifest, which names its files."""
    if (MANIFEST, entity.digest) not in {(part.path, part.digest) for part in parts}:
        return False
    told = json.loads(read(entity.digest))["parts"]
    named = {(one["path"].rpartition("/")[2], one["bytes_digest"], one["bytes"]) for one in told}
    return named == {(part.path, str(part.digest), part.size) for part in parts if part.path != MANIFEST}
