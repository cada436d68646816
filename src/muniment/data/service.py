"""The verbs of data sets. A file from outside is parsed in a hermetic job, never here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from muniment.catalog.absence import ROW_KINDS
from muniment.catalog.growing import CLASSIFICATIONS
from muniment.catalog.model import Direction, Entity, EntityKind, Name, Relation
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.catalog.resources import DATASET
from muniment.data.assessing import assessments_of
from muniment.data.origins import inherited, origin_facts, terms_facts
from muniment.errors import Invalid
from muniment.execution.model import JobSpec
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.execution.submitting import files_of, limits_from, submit
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import check_name, format_time, parse_time
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.vault.service import Vault
from muniment.wire import data as wire
from muniment.wire.execution import Started

_FORMATS: Final = ("auto", "csv", "tsv", "jsonl", "parquet", "arrow", "excel", "rows", "table")
_PART: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED: Final = ("snapshot", "model")
_BOUNDS: Final = ("columns", "rows", "bytes", "ratio", "record_bytes")
_MOST_PARTS: Final = 20
_MOST_ORIGINS: Final = 20
_MOST_JUDGED: Final = 20


@verb(
    "data:AddDataset",
    on=PROJECT,
    request=wire.AddDataset,
    reply=Started,
    event="dataset.ingest_requested",
    group="data:write",
    takes_body=True,
)
def add_dataset(call: Call, request: wire.AddDataset) -> Started:
    """Ingest a file as the next version of a data set."""
    name = check_name(request.name, "data set")
    _one_of("format", request.format, _FORMATS)
    _one_of("classification", request.classification, CLASSIFICATIONS)
    terms = terms_facts(request, call.now)
    if request.delimiter is not None and (len(request.delimiter.encode()) != 1 or request.delimiter in '"\r\n'):
        raise Invalid(
            "MUNI-D118", "a delimiter is one ASCII character, no quote and no line end", given=request.delimiter[:40]
        )
    params: dict[str, Any] = {"name": name, "format": request.format}
    if request.target is not None:
        params["target"] = request.target
    if request.delimiter is not None:
        params["delimiter"] = request.delimiter
    if request.columns:
        params["schema"] = request.columns
    if request.header:
        params["columns"] = request.header
    if request.nulls:
        params["nulls"] = request.nulls
    if request.bounds:
        params["limits"] = _bounds(request.bounds)
    if request.sheet is not None:
        params["sheet"] = request.sheet
    if request.version is not None and request.at is not None:
        raise Invalid("MUNI-J157", "a table is read at a version or at a time, not both", do="leave one out")
    if request.version is not None:
        if not request.version.isdecimal() or len(request.version) > 19:
            raise Invalid("MUNI-J132", "the version of a table is a number", given=request.version[:80])
        params["version"] = request.version
    if request.at is not None:
        params["at"] = format_time(parse_time(request.at))
    origin = request.origin or wire.Origin(kind="file", location=request.filename[:200] or name)
    came_from = origin_facts(origin)
    spec = JobSpec(
        kind="ingest",
        program="muniment.programs.ingest",
        label=name,
        inputs={},
        params=params,
        limits=limits_from(request.limits),
        name=name,
        fresh=request.fresh,
        facts={
            "filename": request.filename[:200],
            **terms,
            "origin": came_from,
        },
    )
    call.note(
        dataset=name,
        file=str(call.body.digest),
        bytes=call.body.size,
        source=f"{came_from['kind']} {came_from['location']}"[:400],
    )
    return submit(call, spec, {"file": call.body})


@verb(
    "data:SplitDataset",
    on=DATASET,
    request=wire.SplitDataset,
    reply=Started,
    event="dataset.split_requested",
    group="data:write",
)
def split_dataset(call: Call, request: wire.SplitDataset) -> Started:
    """Split a snapshot into disjoint parts that together are complete."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    _check_parts(request.parts)
    stratify = request.stratify if request.stratify is not None else data.facts.get("target")
    columns = {column["name"] for column in data.facts.get("schema", [])}
    for what, column in (("stratify", stratify), ("group", request.group)):
        if column is not None and column not in columns:
            raise Invalid("MUNI-D143", f"there is no column {column!r} to {what} by", column=column, role=what)
    if request.stratify is not None and request.group is not None:
        raise Invalid("MUNI-D139", "a split keeps shares of classes or groups together, not both", do="leave one out")
    params: dict[str, Any] = {"fractions": request.parts, "seed": request.seed}
    if stratify is not None and request.group is None:
        params["stratify"] = stratify
    if request.group is not None:
        params["group"] = request.group
    spec = JobSpec(
        kind="split",
        program="muniment.programs.split",
        label=" ".join(f"{part}={share:g}" for part, share in request.parts.items()),
        inputs={"data": str(data.digest)},
        params=params,
        seed=request.seed,
        name=_base_name(call, data),
        fresh=request.fresh,
        facts={**inherited(data.facts), "classification": data.classification},
    )
    return submit(call, spec)


@verb(
    "data:ProfileDataset",
    on=DATASET,
    request=wire.ProfileDataset,
    reply=Started,
    event="dataset.profile_requested",
    group="data:write",
)
def profile_dataset(call: Call, request: wire.ProfileDataset) -> Started:
    """Describe each column of a snapshot, hermetically."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    target = data.facts.get("target")
    spec = JobSpec(
        kind="profile",
        program="muniment.programs.profile",
        label=label(call.session, call.project, data.digest),
        inputs={"data": str(data.digest)},
        params={} if target is None else {"target": target},
        fresh=request.fresh,
    )
    return submit(call, spec)


@verb(
    "data:ListDatasets",
    on=PROJECT,
    request=wire.ListDatasets,
    reply=wire.Datasets,
    event="datasets.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_datasets(call: Call, request: wire.ListDatasets) -> wire.Datasets:
    """List the data sets of a project, newest first."""
    names = call.use(Names)
    latest = names.latest(call.project, EntityKind.DATA, "", max(1, min(request.limit, 1000)))
    entities = call.use(Entities).find(call.project, [name.digest for name in latest])
    return wire.Datasets(
        datasets=[
            wire.DatasetSummary(
                dataset=str(name),
                digest=str(name.digest),
                rows=_number(entities[name.digest], "rows"),
                columns=len(entities[name.digest].facts.get("schema", [])),
                bytes=_bytes(entities[name.digest]),
                target=entities[name.digest].facts.get("target"),
                created_at=format_time(name.at),
                versions=name.version,
            )
            for name in latest
        ]
    )


@verb(
    "data:ShowDataset",
    on=DATASET,
    request=wire.ShowDataset,
    reply=wire.DatasetDetail,
    event="dataset.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_dataset(call: Call, request: wire.ShowDataset) -> wire.DatasetDetail:
    """Show everything recorded about a snapshot."""
    data = resolve(call.session, call.project, request.dataset, EntityKind.DATA)
    makers = _activities(call, data.digest, Direction.UPSTREAM, Relation.GENERATED)
    name = _name_of(call, data.digest, request.dataset)
    makers.sort(key=lambda maker: name is None or _made_as(call, maker) != name.name)
    facts = {k: v for k, v in data.facts.items() if k not in ("files", "schema", "content_digest", "target", "rows")}
    findings: list[dict[str, Any]] = []
    for maker in makers[:1]:
        run = call.use(RunQueue).get(call.project, maker)
        if run is not None:
            facts |= {key: value for key, value in run.facts.items() if value}
            findings = list((report_of(call, run) or {}).get("findings", []))
    if len(came := _origins(call, makers)) > 1:
        facts["origins"] = came
    return wire.DatasetDetail(
        dataset=str(name or data.digest),
        digest=str(data.digest),
        content_digest=str(data.content_digest),
        rows=_number(data, "rows"),
        bytes=_bytes(data),
        target=data.facts.get("target"),
        columns=[
            wire.Column(name=c["name"], type=str(c["type"]), nullable=bool(c["nullable"]))
            for c in data.facts.get("schema", [])
        ],
        created_at=format_time(name.at if name else data.at),
        created_by=name.by if name else data.author,
        run=f"run:{makers[0]}" if makers else None,
        grade=data.grade.value,
        facts=facts,
        findings=findings,
        proof=_proof(call, makers),
        profile=_profile(call, data.digest),
        judged=_judged(call, data),
        superseded_by=_newer(call, name),
        derived_from=_sources(call, makers),
    )


def _newer(call: Call, name: Name | None) -> str | None:
    """The latest version of the name that a snapshot was asked for by, where that means another snapshot."""
    latest = name and call.use(Names).find(call.project, EntityKind.DATA, name.name, None)
    return None if name is None or latest is None or latest.digest == name.digest else str(latest)


def _sources(call: Call, makers: Sequence[str]) -> list[str]:
    """What the run that made a snapshot read that holds rows."""
    graph = call.use(Lineage).of_activities(call.project, makers[:1])
    used = [edge.entity for edge in graph.edges if edge.relation is Relation.USED]
    return sorted(
        label(call.session, call.project, digest) for digest in set(used) if graph.entities[digest].kind in ROW_KINDS
    )


def _judged(call: Call, data: Entity) -> list[wire.Judged]:
    """The newest judgement of each kind."""
    newest = {one.what: one for one in reversed(assessments_of(call, data, _MOST_JUDGED))}
    return [
        wire.Judged(what=one.what, verdict=one.verdict, run=one.run, created_at=one.created_at)
        for one in newest.values()
    ]


def _name_of(call: Call, digest: Digest, asked: str) -> Name | None:
    """The name under which a snapshot was asked for, with its version; else its newest name, if it has one.

    Bytes that came twice are one snapshot, which may bear several names.
    """
    wanted = None if asked.startswith("sha256:") else parse_reference(asked, kind="data")
    borne = call.use(Names).of(call.project, [digest]).get(digest, [])
    for name in borne:
        alike = isinstance(wanted, Named) and (name.kind.value, name.name) == (wanted.kind, wanted.name)
        if alike and isinstance(wanted, Named) and wanted.version in (None, name.version):
            return name
    return borne[0] if borne else None


def _made_as(call: Call, maker: str) -> str | None:
    """The name that a run gave to what it made."""
    run = call.use(RunQueue).get(call.project, maker)
    return None if run is None else run.name


def _origins(call: Call, makers: Sequence[str]) -> list[dict[str, Any]]:
    """Where the same bytes came from, each time they came: one entry for each run that took them in."""
    found = []
    for maker in makers[:_MOST_ORIGINS]:
        run = call.use(RunQueue).get(call.project, maker)
        if run is not None and isinstance(origin := run.facts.get("origin"), dict):
            found.append({**origin, "run": f"run:{run.id}", "by": run.requested_by, "name": run.name})
    return found


def _activities(call: Call, digest: Digest, direction: Direction, relation: Relation) -> list[str]:
    graph = call.use(Lineage).closure(call.project, digest, direction, 1)
    return sorted({edge.activity for edge in graph.edges if edge.relation is relation and edge.entity == digest})


def _proof(call: Call, makers: Sequence[str]) -> dict[str, Any] | None:
    """What proves the parts of a split disjoint and complete, when the snapshot came out of one."""
    graph = call.use(Lineage).of_activities(call.project, makers)
    for digest, node in graph.entities.items():
        if node.kind is EntityKind.PROOF:
            proof = json.loads(call.use(Vault).read_bytes(call.project, digest))
            return {"digest": str(digest), **proof} if isinstance(proof, dict) else None
    return None


def _profile(call: Call, digest: Digest) -> dict[str, Any] | None:
    users = _activities(call, digest, Direction.DOWNSTREAM, Relation.USED)
    known = call.use(Activities).find(call.project, users)
    for user in sorted(known, reverse=True):
        if known[user].kind == "profile":
            run = call.use(RunQueue).get(call.project, user)
            if run is not None and (report := report_of(call, run)) is not None:
                return report
    return None


def _check_parts(parts: Mapping[str, float]) -> None:
    """Refuse shares that the split itself would refuse."""
    for part, share in parts.items():
        if not _PART.fullmatch(part) or part in _RESERVED:
            raise Invalid("MUNI-D140", f"{part[:40]!r} is not a name for a part", given=part[:80], rule=_PART.pattern)
        if not 0 < share < 1:
            raise Invalid("MUNI-D141", "each part takes a share between 0 and 1", part=part, share=str(share))
    if not 2 <= len(parts) <= _MOST_PARTS or sum(Fraction(str(share)) for share in parts.values()) != 1:
        raise Invalid(
            "MUNI-D142",
            f"the shares of 2 to {_MOST_PARTS} parts add up to exactly 1",
            parts={part: str(share) for part, share in list(parts.items())[:_MOST_PARTS]},
        )


def _base_name(call: Call, data: Entity) -> str:
    """The name that the parts of a split are put under: that of the snapshot without its version."""
    reference = label(call.session, call.project, data.digest)
    if reference.startswith("sha256:"):
        raise Invalid("MUNI-D144", "name the snapshot before it is split", digest=str(data.digest))
    return reference.partition(":")[2].partition("@")[0].replace("/", ".")[:120]


def _number(entity: Entity, fact: str) -> int:
    value = entity.facts.get(fact)
    return value if isinstance(value, int) else 0


def _bytes(entity: Entity) -> int:
    return sum(int(file["size"]) for file in files_of(entity))


def _bounds(given: Mapping[str, int]) -> dict[str, int]:
    """The limits of the parser by their own names; it knows how far each may go."""
    for name, most in given.items():
        _one_of("limit of a file", name, _BOUNDS)
        if most < 1:
            raise Invalid("MUNI-J192", "a limit of a file is a whole number from 1", limit=name, given=most)
    return {f"max_{name}": most for name, most in given.items()}


def _one_of(what: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise Invalid("MUNI-D145", f"{given[:40]!r} is no {what}", given=given[:80], allowed=list(allowed))


VERBS: Final = (add_dataset, list_datasets, show_dataset, split_dataset, profile_dataset)
