"""What the outputs of the programs about rows are, checked against the digests that the collector saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, ValidationError, convert

from muniment.catalog.model import ActivityKind, EntityKind
from muniment.data.rows.making import KEY_FILE
from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, read_document, report_product
from muniment.execution.model import MANIFEST, Outcome, Part, Product, ResolvedJob, Run

_FORMAT: Final = "muniment.rows/1"
_FILE: Final = "rows.fp"
_SIZE: Final = 16


class _Part(Struct):
    path: str
    bytes_digest: str
    bytes: int


class _Manifest(Struct):
    format: str
    view: dict[str, object]
    columns: int
    rows: int
    left_out: int
    distinct: int
    once: int
    parts: list[_Part]


def fingerprint(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """One set of fingerprints for each view that was asked for.

    Raises:
        Invalid: a manifest is not readable, speaks of another view, or does not name the file beside it.
    """
    return tuple(
        _fingerprints(run, job, outcome, f"output/data/{number}", view)
        for number, (_, view) in enumerate(sorted(job.params["views"].items()))
    )


def overlap(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The counts, as a report, or as a proof when they answer whether rows were used."""
    report = read_document(outcome, "output/data/report.json")
    if report.get("format") != "muniment.overlap/1" or report.get("question") != job.params.get("question"):
        raise Invalid("MUNI-O124", "the job left no count of shared rows", run=run.id)
    asked = job.params.get("question") or {}
    kind = EntityKind.PROOF if "model" in asked else EntityKind.REPORT
    return report_product(outcome, role="overlap", kind=kind.value)


def difference(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """How two snapshots differ, as a report."""
    report = read_document(outcome, "output/data/report.json")
    if report.get("format") != "muniment.difference/1":
        raise Invalid("MUNI-O125", "the job left no difference of snapshots", run=run.id)
    return report_product(outcome, role="difference")


def _fingerprints(run: Run, job: ResolvedJob, outcome: Outcome, folder: str, view: Mapping[str, object]) -> Product:
    path = f"{folder}/{MANIFEST}"
    try:
        told = convert(read_document(outcome, path), _Manifest)
    except ValidationError as broken:
        raise Invalid(
            "MUNI-O126", "the manifest of the fingerprints is not readable", path=path, reason=str(broken)
        ) from broken
    listed, file, manifest = told.parts, outcome.output(f"{folder}/{_FILE}"), outcome.output(path)
    fits = (
        told.format == _FORMAT
        and told.view == dict(view)
        and file is not None
        and [(one.path, one.bytes_digest, one.bytes) for one in listed]
        == [(_FILE, str(file.sealed.digest), file.sealed.size)]
        and file.sealed.size == _SIZE * told.rows
    )
    if not fits or file is None or manifest is None:
        raise Invalid("MUNI-O127", "the fingerprints are not those that were asked for", path=path, run=run.id)
    return Product(
        kind=EntityKind.FINGERPRINTS.value,
        digest=manifest.sealed.digest,
        role=f"view-{folder.rpartition('/')[2]}",
        parts=(
            Part(_FILE, file.sealed.digest, file.sealed.size),
            Part(MANIFEST, manifest.sealed.digest, manifest.sealed.size),
        ),
        facts={
            "view": dict(view),
            "key": job.keys[KEY_FILE],
            "columns": told.columns,
            "rows": told.rows,
            "left_out": told.left_out,
            "distinct": told.distinct,
            "once": told.once,
        },
    )


INTERPRETERS: Final[Mapping[str, Interpreter]] = {
    ActivityKind.FINGERPRINT.value: fingerprint,
    ActivityKind.OVERLAP.value: overlap,
    ActivityKind.DIFFERENCE.value: difference,
}
