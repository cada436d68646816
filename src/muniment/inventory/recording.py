"""How a record enters the store: with the verb's transaction, and with its digest in the verb's ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.grade import Grade
from muniment.kernel.verb import Call


def keep(call: Call, kind: RecordKind, subject: str, body: Mapping[str, Any], grade: Grade = Grade.DECLARED) -> Record:
    """Make a record of what the principal of this call states, and keep it.

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
    return record
