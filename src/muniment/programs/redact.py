"""Make a snapshot again without the rows of one person.

Channel ``data`` holds the snapshot, channel ``subject`` the column and his value. Every other row comes out in its
order. A snapshot that does not hold him is refused: there would be nothing to replace.
"""

from __future__ import annotations

import pyarrow.compute as pc

from muniment.errors import Invalid
from muniment.programs.contract import Job, run
from muniment.programs.snapshots import SnapshotWriter, manifest_beside, read_snapshot, write_manifest
from muniment.programs.subjects import matches, read_subject


def redact(job: Job) -> None:
    """Filter, write, and report how many rows went."""
    folder = job.channel("data")
    subject = read_subject(job.channel("subject"))
    table = read_snapshot(folder)
    if subject.column not in table.column_names:
        raise Invalid("MUNI-W182", "the snapshot has no such column", column=subject.column)
    stays = pc.invert(matches(table[subject.column], subject.value))
    rest = table.filter(stays)
    if rest.num_rows == table.num_rows:
        raise Invalid("MUNI-W183", "the snapshot does not hold the subject", column=subject.column)
    writer = SnapshotWriter(job.results / "snapshot", rest.schema)
    writer.write(rest)
    target = (manifest_beside(folder) or {}).get("target")
    write_manifest(job.results / "manifest.json", writer.close(target))
    job.write("report.json", {"rows": rest.num_rows, "removed": table.num_rows - rest.num_rows})


if __name__ == "__main__":
    run(redact)
