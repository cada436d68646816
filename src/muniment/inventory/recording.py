"""How a record enters the store: with the verb's transaction, and with its digest in the verb's ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.inventory.lifecycle import Version, next_step
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.versions import PROJECTED, find_version, refresh, registered
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.verb import Call


def keep(call: Call, kind: RecordKind, subject: str, body: Mapping[str, Any], grade: Grade = Grade.DECLARED) -> Record:
    """Make a record of what the principal of this call states, and keep it.

    The row of the version that it is about, in the lists and on the board, is worked out again.

    Args:
        call: the request that states it; several records of one request are all named in its ledger entry.
        kind: what it states.
        subject: what it is about.
        body: canonical JSON without floats.
        grade: who stands behind it.

    Raises:
        Invalid: the body has no canonical form.
    """
    record = Record(call.new_id(), call.project, kind, subject, call.now, str(call.principal), grade, dict(body))
    call.use(Records).append(record)
    call.note_more(records=str(record.digest))
    if kind in PROJECTED and (model := _model(call, record)) is not None:
        refresh(call.session, call.project, model, kind)
    return record


def advance(
    call: Call, kind: RecordKind, digest: Digest, body: Mapping[str, Any], grade: Grade = Grade.DECLARED
) -> Version:
    """Keep a record that is a step in the life of a version, numbered after the steps so far; what it comes to then."""
    step = next_step(find_version(call.session, call.project, digest))
    keep(call, kind, str(digest), {**body, "step": step}, grade)
    return registered(call, digest)


def _model(call: Call, record: Record) -> Digest | None:
    """The model that a record is about, directly or through the finding that it closes."""
    subject: str = record.subject
    if record.kind is RecordKind.FINDING_CLOSURE:
        finding = call.use(Records).get(call.project, subject)
        subject = finding.subject if finding is not None else subject
    return Digest(subject) if subject.startswith("sha256:") else None
