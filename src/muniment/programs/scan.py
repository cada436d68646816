"""Look for one person in snapshots: how many rows of each hold him.

Channel ``subject`` holds the column and his value; every other channel is a snapshot. The report counts, and says
nothing that tells who he is.
"""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter
from muniment.programs.subjects import matches, pieces, read_subject

PARAMETERS = (Parameter("channels", Kind.NAMES, "the channels that hold snapshots", required=True),)


def scan(job: Job) -> None:
    """Count, channel by channel."""
    channels = job.parameters(PARAMETERS)["channels"]
    subject = read_subject(job.channel("subject"))
    found: dict[str, Any] = {}
    for channel in channels:
        rows = hits = 0
        has = False
        for many, column in pieces(job.channel(channel), subject.column):
            rows += many
            if column is not None:
                has = True
                hits += int(pc.sum(matches(column, subject.value)).as_py() or 0)
        found[channel] = {"rows": rows, "matches": hits, "has_column": has}
    job.write("report.json", {"column": subject.column, "snapshots": found})
    job.metrics(None, {"snapshots": len(found), "matches": sum(one["matches"] for one in found.values())})


if __name__ == "__main__":
    run(scan)
