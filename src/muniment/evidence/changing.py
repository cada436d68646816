"""The list of changes: each entry of the ledger that changed something, in a period, as an open file.

Source: Regulation (EU) 2022/2554 (DORA), article 9(4)(e): changes are recorded, tested, assessed, approved, implemented
and verified in a controlled manner. The rows are the ledger's own entries; each names the leaf by which the entry is
found in the signed tree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from muniment.errors import Invalid
from muniment.evidence.tabular import written
from muniment.gate.table import VerbTable
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.ledger.ports import EntryRepository
from muniment.ledger.service import Ledger
from muniment.ledger.tree import leaf_hash
from muniment.wire import assets as wire

__all__ = ["COLUMNS", "VERBS", "changes_in"]

COLUMNS: Final = (
    "entry",
    "id",
    "time",
    "who",
    "action",
    "on",
    "project",
    "facts",
    "records",
    "policies",
    "request",
    "leaf",
)
"""Columns are only added, at the end."""

_CHUNK: Final = 1024
_MOST_ROWS: Final = 200_000
_MOST: Final = 1 << 30
_OUT_OF_ORDER: Final = timedelta(minutes=30)
"""Entries lie in the tree nearly in the order of their moments; so far off is looked for them at least."""


@verb(
    "evidence:ExportChanges",
    on=INSTALLATION,
    request=wire.ExportChanges,
    reply=Download,
    event="changes.exported",
    group="audit:read",
    effect=Effect.READ,
)
def export_changes(call: Call, request: wire.ExportChanges) -> Download:
    """Hand out every change of a period: who changed what, when, permitted by which policies, borne out by what."""
    since, until = _moment(request.since, "since"), _moment(request.until, "until")
    if since is not None and until is not None and since >= until:
        raise Invalid("MUNI-E161", "a period begins before it ends", since=request.since, until=request.until)
    found = changes_in(call.use(EntryRepository), call.use(VerbTable), since, until, request.scope)
    rows = [*islice(found, _MOST_ROWS + 1)]
    if len(rows) > _MOST_ROWS:
        raise Invalid(
            "MUNI-E163",
            f"there are more than {_MOST_ROWS:,} changes in this period",
            do="ask for a shorter one, or for one project",
        )
    call.note(changes=len(rows), form=request.form)
    head = {
        "origin": call.use(Ledger).origin,
        "at": format_time(call.now),
        "since": _written(since),
        "until": _written(until),
    }
    kind = "text/csv" if request.form == "csv" else "application/json"
    return Download(f"changes.{request.form}", kind, written(request.form, "muniment.changes/1", head, COLUMNS, rows))


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _moment(text: str | None, field: str) -> datetime | None:
    """A moment, or the beginning of a day in UTC."""
    if text is None:
        return None
    try:
        return parse_time(text if "T" in text else f"{text}T00:00:00Z")
    except Invalid as wrong:
        raise Invalid("MUNI-E162", f"{field} is neither a moment nor a day", given=text[:40], field=field) from wrong


def changes_in(
    entries: EntryRepository, table: VerbTable, since: datetime | None, until: datetime | None, scope: str | None
) -> Iterator[dict[str, Any]]:
    """The changes of a period as rows, in the order of the ledger.

    Args:
        entries: the ledger's entries.
        table: all verbs: an entry of one that writes is a change.
        since: at or after this moment; None from the beginning.
        until: before this moment; None to the end.
        scope: of this project alone; None for all.
    """
    types = {verb.event for verb in table if verb.effect is Effect.WRITE}
    first, last = _written(since), _written(until)
    size = entries.counts()[0]
    start = _first(entries, size, since - _OUT_OF_ORDER) if since else 0
    stop_after = _written(until + _OUT_OF_ORDER) if until else None
    while start < size:
        rows = entries.rows(start, min(start + _CHUNK, size))
        for index, row in rows:
            told = row.type in types and row.outcome == "ok"
            if told and _inside(row.time, first, last) and scope in (None, row.project):
                yield _row(index, row.body)
        start += _CHUNK
        if stop_after and rows and min(row.time for _, row in rows) > stop_after:
            return
    for _, body in entries.unsequenced(_MOST):
        event = json.loads(body)
        told = event["type"] in types and event["data"]["outcome"] == "ok"
        if told and _inside(event["time"], first, last) and scope in (None, event["data"].get("project")):
            yield _row(None, body)


def _first(entries: EntryRepository, size: int, since: datetime) -> int:
    """An index before which no entry is of this moment or later, but for those out of order."""
    low, high, wanted = 0, size, format_time(since)
    while low < high:
        middle = (low + high) // 2
        rows = entries.rows(middle, middle + 1)
        if rows and rows[0][1].time < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _inside(time: str, since: str | None, until: str | None) -> bool:
    return (since is None or time >= since) and (until is None or time < until)


def _row(index: int | None, body: str) -> dict[str, Any]:
    event = json.loads(body)
    data = event["data"]
    facts = dict(data.get("facts", {}))
    records = facts.pop("records", [])
    return {
        "entry": index,
        "id": event["id"],
        "time": event["time"],
        "who": data["principal"],
        "action": data["action"],
        "on": event["subject"],
        "project": data.get("project") or None,
        "facts": json.dumps(facts, ensure_ascii=False, sort_keys=True) if facts else None,
        "records": records,
        "policies": list(data.get("policies", [])),
        "request": data.get("request"),
        "leaf": leaf_hash(body.encode()).hex(),
    }


VERBS: Final = (export_changes,)
