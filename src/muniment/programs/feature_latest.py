"""Pick, for every entity of a view, what is known of it at one moment: what online reads shall give.

Channel ``view`` holds the definition, ``rows`` the rows that were built. Results: ``online.jsonl``, one line for each
entity that has a value then, ``{"key": [...], "event": ..., "known": ..., "values": [...]}`` with times in microseconds
since 1970 and values as JSON holds them exactly, in order of the keys; and ``report.json``. The rule is that of the
join: nothing that happened, or became known, after the moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from muniment.analytics.asof import MISSING
from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.feature_build import view_in
from muniment.programs.feature_join import positions
from muniment.programs.feature_rows import CLOCK, micros, plain
from muniment.programs.feature_view import View
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.snapshots import read_snapshot

FORMAT: Final = "muniment.features-online/1"
PARAMETERS: Final = (Parameter("as_of", Kind.TEXT, "the moment, as 2026-11-23T04:22:00Z", required=True),)
_MOMENT: Final = "__muniment_moment__"
_AT_ONCE: Final = 20_000


def latest(job: Job) -> None:
    """Read, pick, write."""
    moment = moment_of(job.parameters(PARAMETERS)["as_of"])
    view, rows = view_in(job), read_snapshot(job.channel("rows"))
    picked = known_at(rows, view, moment)
    entities = 0
    path = job.results / "online.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in lines(picked, view):
            file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n")
            entities += 1
    job.metrics(None, {"entities": entities})
    job.write("report.json", {"format": FORMAT, "view": view.name, "as_of": moment.isoformat(), "entities": entities})


def moment_of(text: str) -> datetime:
    """The moment that a text names; raises Invalid when it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            "MUNI-F137", f"{text[:40]!r} is no moment", given=text[:80], do="write 2026-11-23T04:22:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def known_at(rows: pa.Table, view: View, moment: datetime) -> pa.Table:
    """For each entity the row that counts at a moment, without regard to the TTL, in order of the keys."""
    if not rows.num_rows:
        return rows
    # Rows come in order of the keys: the first of each entity stands for it.
    frame = pa.table({name: rows.column(name) for name in view.entity})
    asked = frame.group_by(list(view.entity), use_threads=False).aggregate([])
    asked = asked.append_column(_MOMENT, pa.array([moment] * asked.num_rows, CLOCK))
    found = positions(asked, _MOMENT, rows, _for_ever(view))
    return rows.take(pa.array(found[found != MISSING]))


def lines(rows: pa.Table, view: View) -> Iterator[dict[str, Any]]:
    """The rows as the online table keeps them."""
    names = [feature.name for feature in view.features]
    for start in range(0, rows.num_rows, _AT_ONCE):
        piece = rows.slice(start, _AT_ONCE)
        keys = [piece.column(name).to_pylist() for name in view.entity]
        clocks = [micros(piece.column(name)).to_pylist() for name in view.clocks]
        values = [piece.column(name).to_pylist() for name in names]
        for number in range(piece.num_rows):
            yield {
                "key": [plain(one[number]) for one in keys],
                "event": clocks[0][number],
                "known": clocks[-1][number],
                "values": [plain(one[number]) for one in values],
            }


def _for_ever(view: View) -> View:
    return View(**{**{name: getattr(view, name) for name in View.__slots__}, "ttl_s": None})


if __name__ == "__main__":
    run(latest)
