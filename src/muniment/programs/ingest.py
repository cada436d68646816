"""Read one file from outside, strictly, and write it as an immutable snapshot.

Channel ``file`` holds one file. Results: ``snapshot/part-*.parquet``, ``manifest.json`` and ``report.json``. Every
refusal has a stable code and names the line or the column; nothing is padded, renamed, guessed or skipped.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from muniment.errors import Invalid
from muniment.kernel.identifiers import parse_time
from muniment.programs.arrow_files import read_arrow
from muniment.programs.contract import Job, run
from muniment.programs.delimited import DelimitedReader, Dialect
from muniment.programs.features import no_target
from muniment.programs.findings import Finding
from muniment.programs.json_lines import JsonLinesReader
from muniment.programs.parameters import Kind, Parameter, read_parameters
from muniment.programs.snapshots import SnapshotWriter, write_manifest
from muniment.programs.sources import Limits, Source
from muniment.programs.table_files import TableFiles
from muniment.programs.typed_rows import TypedRowsReader
from muniment.programs.values import Declared

PARAMETERS: Final = (
    Parameter("name", Kind.TEXT, "name of the data set; recorded in the report only"),
    Parameter("filename", Kind.TEXT, "name of the file at its owner's; recorded in the report only"),
    Parameter("target", Kind.TEXT, "column that models are to predict"),
    Parameter(
        "format",
        Kind.TEXT,
        "format of the file",
        "auto",
        choices=("auto", "csv", "tsv", "jsonl", "parquet", "arrow", "excel", "rows", "table"),
    ),
    Parameter("sheet", Kind.TEXT, "sheet of a workbook; needed where it has several"),
    Parameter("version", Kind.TEXT, "version of a Delta table, or snapshot of an Iceberg table: a number"),
    Parameter("at", Kind.TEXT, "moment whose version of a Delta or Iceberg table is read, in ISO 8601"),
    Parameter("delimiter", Kind.TEXT, "separator of a delimited file, one ASCII character; a comma unless declared"),
    Parameter("encoding", Kind.TEXT, "encoding of a text file", "utf-8", choices=("utf-8",)),
    Parameter("schema", Kind.MAPPING, "declared types by column: " + ", ".join(Declared), {}),
    Parameter("columns", Kind.NAMES, "column names of a delimited file without a header line"),
    Parameter("nulls", Kind.NAMES, "spellings of null besides the empty field", ()),
    Parameter("limits", Kind.MAPPING, "limits on what the file may hold", {}),
)
LIMITS: Final = (
    Parameter("max_bytes", Kind.INTEGER, "bytes after decompression", 16 * 2**30, low=1),
    Parameter("max_ratio", Kind.INTEGER, "bytes after : before decompression", 200, low=1),
    Parameter("max_columns", Kind.INTEGER, "columns", 2_000, low=1, high=100_000),
    Parameter("max_rows", Kind.INTEGER, "rows", 500_000_000, low=1),
    Parameter("max_record_bytes", Kind.INTEGER, "bytes of the longest line", 2**20, low=1, high=2**28),
)
MOSTLY: Final = 0.5
"""A target is refused when more than this share of it is missing."""


def ingest(job: Job) -> None:
    """Parse, write, and report."""
    given = job.parameters(PARAMETERS)
    source = Source(_only_file(job.channel("file")), Limits(**read_parameters(given["limits"], LIMITS)))
    kind = source.format() if given["format"] == "auto" else given["format"]
    intake = _Intake(job.results / "snapshot", given["target"])
    facts: dict[str, Any] = {}
    if kind in ("csv", "tsv"):
        facts = _delimited(source, given, kind, intake)
    elif kind == "jsonl":
        reader = JsonLinesReader(source, _schema(given))
        reader.read(intake.begin)
        facts = {"lines": reader.lines, "encoding": "utf-8"}
        intake.findings.extend(reader.findings())
    elif kind == "rows":
        TypedRowsReader(source, _schema(given)).read(intake.begin)
    elif kind == "excel":
        facts, findings = _reader("workbooks").read_workbook(source, given["sheet"], intake.begin)
        intake.findings.extend(findings)
    elif kind == "table":
        facts = _table(source, given, intake)
    else:
        intake.findings.extend(read_arrow(source, kind, intake.begin))
    manifest = intake.close()
    write_manifest(job.results / "manifest.json", manifest)
    job.write(
        "report.json",
        {
            "name": given["name"],
            "filename": given["filename"],
            "source": {
                "bytes": source.size,
                "bytes_digest": source.digest(),
                "compression": source.compression,
                "format": kind,
                **facts,
            },
            "rows": manifest["rows"],
            "columns": len(manifest["schema"]),
            "target": intake.target_facts(),
            "content_digest": manifest["content_digest"],
            "findings": [finding.document() for finding in intake.all_findings()],
        },
    )
    job.metrics(None, {"rows": manifest["rows"], "columns": len(manifest["schema"])})


def _delimited(source: Source, given: dict[str, Any], kind: str, intake: _Intake) -> dict[str, Any]:
    delimiter = given["delimiter"] or ("\t" if kind == "tsv" else ",")
    names = tuple(given["columns"]) if given["columns"] else None
    reader = DelimitedReader(source, Dialect(delimiter, names, tuple(given["nulls"]), _schema(given)))
    reader.read(intake.begin)
    intake.findings.extend(reader.findings())
    return {"lines": reader.lines, "encoding": "utf-8", "delimiter": delimiter, "header": names is None}


def _reader(name: str) -> Any:
    """A reader whose libraries an older environment may lack; the others go on without them.

    Raises:
        Invalid: the environment lacks one.
    """
    try:
        return import_module(f"muniment.programs.{name}")
    except ModuleNotFoundError as lacking:
        raise Invalid(
            "MUNI-J130",
            f"the job environment lacks {lacking.name}",
            library=lacking.name,
            do="build the environment again: muni env build tabular",
        ) from None


def _table(source: Source, given: dict[str, Any], intake: _Intake) -> dict[str, Any]:
    files = TableFiles(source)
    read = _reader("delta").read_delta if files.kind == "delta" else _reader("iceberg").read_iceberg
    at = None if given["at"] is None else parse_time(given["at"])
    return {"table": files.kind, **read(files, _number(given["version"]), at, intake.begin)}


def _number(version: str | None) -> int | None:
    """A version as a number; it comes as a text, since ids of snapshots are larger than JSON holds exactly."""
    if version is None:
        return None
    if not version.isdecimal() or len(version) > 19:
        raise Invalid(
            "MUNI-J131", f"{version[:40]!r} is no version of a table", given=version[:80], do="give its number"
        )
    return int(version)


def _only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) != 1:
        raise Invalid("MUNI-D113", "the input must be one file", channel="file", found=len(files), do="give one file")
    return files[0]


def _schema(given: dict[str, Any]) -> dict[str, Declared]:
    declared = {}
    for name, kind in given["schema"].items():
        if kind not in list(Declared):
            raise Invalid(
                "MUNI-D116",
                f"column {name[:80]!r} is declared as {str(kind)[:40]!r}",
                parameter="schema",
                column=name[:80],
                given=str(kind)[:40],
                allowed=" | ".join(Declared),
                do="declare one of the known types",
            )
        declared[name] = Declared(kind)
    return declared


class _Intake:
    """Takes the tables of a reader, writes the snapshot and watches the target."""

    def __init__(self, folder: Path, target: str | None) -> None:
        self._folder = folder
        self._target = target
        self._writer: SnapshotWriter | None = None
        self._counts: dict[Any, int] = {}
        self._missing = 0
        self._nulls: dict[str, int] = {}
        self._schema = pa.schema([])
        self.findings: list[Finding] = []

    def begin(self, schema: pa.Schema) -> Any:
        """Start again from the first row; whatever was written before is void."""
        if self._target is not None and self._target not in schema.names:
            raise no_target(self._target, schema.names)
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._schema = schema
        self._counts, self._missing, self._nulls = {}, 0, dict.fromkeys(schema.names, 0)
        writer = self._writer = SnapshotWriter(self._folder, schema)

        def take(table: pa.Table) -> None:
            self._watch(table)
            writer.write(table)

        return take

    def close(self) -> dict[str, Any]:
        """Finish the snapshot; the manifest.

        Raises:
            Invalid: there are no rows, or the target is constant or mostly missing.
        """
        assert self._writer is not None
        rows = self._writer.rows
        if not rows:
            raise Invalid("MUNI-D102", "the file has no rows", columns=len(self._schema), do="give a file with rows")
        if self._target is not None:
            self._check_target(self._target, rows)
        return self._writer.close(self._target)

    def target_facts(self) -> dict[str, Any] | None:
        """How the target's values are spread; counts only, and only for few classes."""
        if self._target is None:
            return None
        few = len(self._counts) <= 20
        classes = {str(value): count for value, count in sorted(self._counts.items(), key=str)} if few else None
        return {"name": self._target, "classes": classes, "missing": self._missing}

    def all_findings(self) -> list[Finding]:
        """What the reader found and what the columns show."""
        assert self._writer is not None
        found = list(self.findings)
        for name, nulls in self._nulls.items():
            if nulls == self._writer.rows:
                found.append(Finding("all_missing", "the column has no value", {"column": name}))
        if self._target is not None and self._missing:
            found.append(
                Finding("target_missing", "rows without a target", {"column": self._target, "rows": self._missing})
            )
        return found

    def _watch(self, table: pa.Table) -> None:
        for name in table.schema.names:
            self._nulls[name] += table.column(name).null_count
        if self._target is None:
            return
        values = table.column(self._target)
        self._missing += values.null_count
        if len(self._counts) > 1000:
            return
        for item in pc.value_counts(values).to_pylist():
            if item["values"] is not None:
                self._counts[item["values"]] = self._counts.get(item["values"], 0) + item["counts"]

    def _check_target(self, target: str, rows: int) -> None:
        if self._missing > MOSTLY * rows:
            raise Invalid(
                "MUNI-D137",
                f"the target {target!r} is missing in {self._missing} of {rows} rows",
                target=target,
                missing=self._missing,
                rows=rows,
                allowed=MOSTLY,
                do="choose another target or complete it",
            )
        if len(self._counts) < 2:
            raise Invalid(
                "MUNI-D160",
                f"the target {target!r} has one value only",
                target=target,
                rows=rows,
                do="choose a target with two classes",
            )


if __name__ == "__main__":
    run(ingest)
