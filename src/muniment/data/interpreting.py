"""What the outputs of ingest, split and profile are, checked against the digests that the collector saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from msgspec import Struct, ValidationError, convert

from muniment.data.origins import INHERITED
from muniment.errors import Invalid
from muniment.execution.judging import Interpreter, parse_object, read_document, report_product
from muniment.execution.model import MANIFEST, Outcome, Part, Product, ResolvedJob, Run
from muniment.kernel.digest import Digest

_READ: Final = (
    "format",
    "compression",
    "delimiter",
    "sheet",
    "table",
    "table_version",
    "table_time",
    "files",
    "metadata",
)


_ASSESSMENTS: Final = {
    "muniment.quality/1": "quality",
    "muniment.representation/1": "representation",
    "muniment.bias/1": "bias",
}
"""Formats of judgements, and what such a report is to its run."""


class _Part(Struct):
    path: str
    bytes_digest: str
    content_digest: str
    rows: int
    bytes: int


class _Column(Struct):
    name: str
    type: str
    nullable: bool


class _Manifest(Struct):
    format: str
    columns: list[_Column]
    rows: int
    parts: list[_Part]
    content_digest: str
    target: str | None = None


def ingest(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """One snapshot, named as the asker wished, and the report of what was found in the file."""
    facts = {"classification": "confidential", **_kept(run.facts, (*INHERITED, "origin")), **_as_read(outcome)}
    return (snapshot_product(outcome, "output/data", "snapshot", "snapshot", run.name, facts), *report_product(outcome))


def split(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """One snapshot for each part, and the proof that they are disjoint and together complete."""
    proof = read_document(outcome, "output/data/proof.json")
    if proof.get("disjoint") is not True or proof.get("complete") is not True:
        raise Invalid("MUNI-D146", "the parts of the split are not proven disjoint and complete", run=run.id)
    inherited = {"classification": "confidential", **_kept(run.facts, INHERITED)}
    parts = tuple(
        snapshot_product(outcome, f"output/data/{part}", part, part, f"{run.name}/{part}", inherited)
        for part in job.params["fractions"]
    )
    digest, size = _output(outcome, "output/data/proof.json")
    facts = {"disjoint": True, "complete": True, "parts": {part.role: str(part.digest) for part in parts}}
    evidence = Product(
        kind="proof", digest=digest, role="proof", parts=(Part("proof.json", digest, size),), facts=facts
    )
    return (*parts, evidence, *_assignment(outcome), *report_product(outcome))


def profile(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The profile, a report."""
    read_document(outcome, "output/data/report.json")
    return report_product(outcome, role="profile")


def _kept(facts: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: facts[name] for name in names if facts.get(name)}


def _as_read(outcome: Outcome) -> dict[str, Any]:
    """What the program read, as it saw it inside the sandbox: format, sheet, version of a table."""
    report = outcome.output("output/data/report.json")
    document = None if report is None or report.document is None else parse_object(report.document)
    source = (document or {}).get("source")
    if not isinstance(source, dict):
        return {}
    return {"read": {name: source[name] for name in _READ if isinstance(source.get(name), (str, int))}}


def _assignment(outcome: Outcome) -> tuple[Product, ...]:
    found = outcome.output("output/data/assignment.parquet")
    if found is None:
        return ()
    part = Part("assignment.parquet", found.sealed.digest, found.sealed.size)
    return (Product(kind="artifact", digest=part.digest, role="assignment", parts=(part,)),)


def snapshot_product(
    outcome: Outcome, folder: str, files: str, role: str, name: str | None, facts: Mapping[str, Any]
) -> Product:
    """A snapshot that a job wrote: its manifest names exactly the files that the collector took.

    Raises:
        Invalid: the manifest is not readable, or names other files.
    """
    path = f"{folder}/manifest.json"
    document = read_document(outcome, path)
    try:
        manifest = convert({**document, "columns": document.get("schema")}, _Manifest)
    except ValidationError as broken:
        raise Invalid("MUNI-D147", "the snapshot's manifest is not readable", path=path, reason=str(broken)) from broken
    parts = []
    for declared in manifest.parts:
        found = next(
            (
                one
                for one in outcome.outputs
                if one.path.startswith(f"{folder}/") and one.path.endswith(f"/{declared.path.rsplit('/', 1)[-1]}")
            ),
            None,
        )
        if found is None or str(found.sealed.digest) != declared.bytes_digest or found.sealed.size != declared.bytes:
            raise Invalid("MUNI-D148", "the manifest and the files of a snapshot differ", path=path, part=declared.path)
        parts.append(Part(declared.path.rsplit("/", 1)[-1], found.sealed.digest, found.sealed.size))
    digest, size = _output(outcome, path)
    parts.append(Part(MANIFEST, digest, size))
    return Product(
        kind="data",
        digest=digest,
        role=role,
        name=name,
        content=Digest(manifest.content_digest),
        parts=tuple(parts),
        facts={
            "rows": manifest.rows,
            "schema": [{"name": c.name, "type": c.type, "nullable": c.nullable} for c in manifest.columns],
            **({"target": manifest.target} if manifest.target else {}),
            **facts,
        },
    )


def _output(outcome: Outcome, path: str) -> tuple[Digest, int]:
    found = outcome.output(path)
    if found is None:
        raise Invalid("MUNI-X137", f"the job did not leave a readable {path}", path=path)
    return found.sealed.digest, found.sealed.size


def assess(run: Run, job: ResolvedJob, outcome: Outcome) -> tuple[Product, ...]:
    """The report of a judgement of data, with its verdict as a fact that can be searched for.

    Raises:
        Invalid: the job left no report of a format that a judgement has.
    """
    report = read_document(outcome, "output/data/report.json")
    role = _ASSESSMENTS.get(str(report.get("format")))
    if role is None or report.get("verdict") not in ("ok", "violated", "unknown"):
        raise Invalid("MUNI-X179", "the job left no judgement of data", run=run.id, expected=sorted(_ASSESSMENTS))
    facts: dict[str, Any] = {"verdict": report["verdict"]}
    if isinstance(report.get("dimensions"), dict):
        facts["dimensions"] = {str(name): str(verdict) for name, verdict in report["dimensions"].items()}
    return tuple(replace(product, facts=facts) for product in report_product(outcome, role=role))


INTERPRETERS: Final[Mapping[str, Interpreter]] = {
    "ingest": ingest,
    "split": split,
    "profile": profile,
    "assess": assess,
}
