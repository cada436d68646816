"""Write a generated credit file, seeded: for demonstrations and tests where no real file may go.

Results: ``credit_default.csv.gz`` and ``report.json``, which says that the data are generated.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from typing import Final

import pyarrow as pa
import pyarrow.csv

from muniment.analytics.synthetic import BASE_RATE, TARGET, credit_defaults
from muniment.programs.contract import Job, run
from muniment.programs.parameters import Kind, Parameter

PARAMETERS: Final = (
    Parameter("rows", Kind.INTEGER, "rows to generate", 30_000, low=100, high=10_000_000),
    Parameter("seed", Kind.INTEGER, "equal seeds give equal files", 0, low=0, high=2**31 - 1),
)


def generate(job: Job) -> None:
    """Generate, write, report."""
    given = job.parameters(PARAMETERS)
    data = credit_file(given["rows"], given["seed"])
    path = job.results / "credit_default.csv.gz"
    path.write_bytes(data)
    job.metrics(None, {"rows": given["rows"]})
    job.write(
        "report.json",
        {
            "generated": True,
            "path": path.name,
            "rows": given["rows"],
            "seed": given["seed"],
            "target": TARGET,
            "positives": round(given["rows"] * BASE_RATE),
            "bytes": len(data),
            "bytes_digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        },
    )


def credit_file(rows: int, seed: int) -> bytes:
    """A gzip-compressed CSV file; equal rows and seed give equal bytes."""
    table = pa.table(credit_defaults(rows, seed))
    text = io.BytesIO()
    pa.csv.write_csv(table, text, pa.csv.WriteOptions(quoting_style="none"))
    header = ",".join(table.schema.names).encode()
    body = text.getvalue().partition(b"\n")[2]
    return gzip.compress(header + b"\n" + body, compresslevel=6, mtime=0)


if __name__ == "__main__":
    run(generate)
