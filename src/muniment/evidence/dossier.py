"""The dossier: everything the record holds about one model version at a checkpoint, as one JSON value.

It is gathered at one moment of the past, so the same checkpoint gives the same dossier for ever: what the ledger told
of by then is in it, and nothing else. What it is given by the database is held against the ledger on the way; a
document that is not the one whose digest an entry names ends the gathering.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from muniment.catalog.absence import decide
from muniment.catalog.model import Activity, Edge, Entity, EntityKind
from muniment.catalog.picture import draw
from muniment.catalog.ports import Activities, Entities
from muniment.catalog.service import gather as gather_absence
from muniment.catalog.service import scope_of
from muniment.errors import NotFound
from muniment.evidence.past import Past, Told
from muniment.evidence.runs import PROOF, TakenRun, output
from muniment.evidence.sources import Sources
from muniment.execution.environments import Environments
from muniment.execution.model import Run, RunStatus
from muniment.inventory.facts.deriving import facts_from
from muniment.inventory.facts.fact import Facts
from muniment.inventory.facts.gathering import gates_for
from muniment.inventory.facts.thresholds import judge_all, standing_facts
from muniment.inventory.lifecycle import fold
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time
from muniment.kernel.reference import Named, parse_reference
from muniment.kernel.release import VERSION
from muniment.kernel.verb import Call
from muniment.ledger.model import Checkpoint
from muniment.ledger.ports import CheckpointRepository, EntryRepository
from muniment.ledger.service import Ledger

__all__ = ["FORMAT", "gather"]

FORMAT: Final = "muniment.dossier/1"

_MOST_NODES: Final = 100
"""Nodes of the lineage in its picture; beyond that nobody can read it."""

_WHEEL: Final = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-")
_MODEL_FACTS: Final = ("files", "algorithm")
_SHOWN: Final = frozenset(
    {
        RecordKind.USE_CASE, RecordKind.GATE, RecordKind.REGISTRATION, RecordKind.DETERMINATION, RecordKind.TIER,
        RecordKind.SUBMISSION, RecordKind.REVIEW, RecordKind.REVIEW_SCHEDULE, RecordKind.REVIEW_DONE,
        RecordKind.APPROVAL, RecordKind.REJECTION, RecordKind.RETIREMENT, RecordKind.BREAK_GLASS, RecordKind.FINDING,
        RecordKind.FINDING_CLOSURE, RecordKind.COMMENT, RecordKind.CHANGE, RecordKind.DEPENDENCY,
    }
)  # fmt: skip
"""Kinds of records that have a place of their own; whatever else is stated stands under ``statements``."""

_WITHOUT_PAST: Final = frozenset({"ledger", "key", "policy", "drill"})
"""Families of facts about the installation: they are of now, whichever moment is asked about."""


def gather(call: Call, model: Digest, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """The dossier of a model version.

    Args:
        call: whose view of the store is looked at; it must be as new as the checkpoint, or newer.
        model: the version.
        checkpoint: what is gathered belongs to it; None takes the newest in this view.

    Raises:
        NotFound: the project knew no such model by then.
        IntegrityError: the database holds what the ledger does not tell of, or something else than it tells of.
    """
    if checkpoint is None:
        head = call.use(CheckpointRepository).head()
        checkpoint = head.checkpoint if head else call.use(Ledger).checkpoint()
    told = Told(call.use(EntryRepository), checkpoint)
    past = call.over(Past(call.session, told), told.moment)
    entity = past.use(Entities).find(call.project, [model]).get(model)
    if entity is None:
        raise NotFound(
            "MUNI-E201",
            "the project knew no such model at this checkpoint",
            model=model,
            size=checkpoint.size,
            do="name a later checkpoint, or none",
        )
    return _dossier(Sources(past, told, entity))


def _dossier(sources: Sources) -> dict[str, Any]:
    """All of it."""
    runs, records = sources.runs, sources.records
    signatures = [one for record in records for one in _signatures(record)]
    of = _by_kind(records)
    edges = _edges(sources)
    body = {
        "format": FORMAT,
        "checkpoint": _checkpoint(sources),
        "witnesses": [],
        "installation": {"origin": sources.told.checkpoint.origin, "version": VERSION},
        "project": sources.project,
        "model": _model_document(sources),
        "state": _state(sources),
        "use_case": _newest(of, RecordKind.USE_CASE),
        "registration": _newest(of, RecordKind.REGISTRATION),
        "determination": _newest(of, RecordKind.DETERMINATION),
        "tier": _newest(of, RecordKind.TIER),
        "training": _training(sources),
        "alternatives": [_alternative(sources, one) for one in runs.trials],
        "data": _data(sources),
        "split": _split(sources),
        "evaluations": [_measurement(sources, one) for one in runs.evaluations],
        "explanations": [_measurement(sources, one) for one in runs.explanations],
        "reproductions": [_reproduction(one) for one in runs.reproductions],
        "absence": _absence(sources),
        "lineage": {
            "entities": [_node(sources, one) for one in _nodes(sources)],
            "activities": [_activity(sources, one) for one in _activities(sources)],
            "edges": edges,
            "svg": _picture(sources),
        },
        "environment": _environment(sources),
        "signatures": signatures,
        "findings": _findings(of),
        "challenge": [_told_by(one) for one in of.get(RecordKind.COMMENT, [])],
        "reviews": [
            _told_by(one)
            for kind in (RecordKind.REVIEW, RecordKind.REVIEW_SCHEDULE, RecordKind.REVIEW_DONE)
            for one in of.get(kind, [])
        ],
        "submissions": [_told_by(one) for one in of.get(RecordKind.SUBMISSION, [])],
        "approvals": [
            _told_by(one)
            for kind in (RecordKind.APPROVAL, RecordKind.REJECTION, RecordKind.RETIREMENT, RecordKind.BREAK_GLASS)
            for one in of.get(kind, [])
        ],
        "changes": [_told_by(one) for one in of.get(RecordKind.CHANGE, [])],
        "statements": [_told_by(one) for one in records if one.kind not in _SHOWN],
        "dependencies": [_told_by(one) for one in of.get(RecordKind.DEPENDENCY, [])],
        **_judged(sources),
        "authors": sources.authors,
    }
    _name_what_is_enclosed(sources, body["alternatives"])
    graded = Counter([edge["grade"] for edge in edges] + [record.grade.value for record in records])
    body["grades"] = {grade.value: graded[grade.value] for grade in Grade}
    body["records"] = list(_record_documents(sources, records))
    body["entries"] = list(_entries(sources))
    return body


def _data(sources: Sources) -> list[dict[str, Any]]:
    runs = sources.runs
    snapshots = sources.snapshots(runs)
    files = [digest for digest, node in sources.lineage.entities.items() if node.kind is EntityKind.FILE]
    known = sources.call.use(Entities).find(sources.project, {*snapshots, *files})
    return sorted(
        (_one_data(sources, known[digest]) for digest in (*snapshots, *sorted(set(files))) if digest in known),
        key=lambda one: (_ORDER.index(one["role"]) if one["role"] in _ORDER else len(_ORDER), one["reference"]),
    )


def _one_data(sources: Sources, entity: Entity) -> dict[str, Any]:
    maker = sources.maker_of(entity.digest)
    reader = sources.reader_of(entity.digest) if entity.kind is EntityKind.FILE else None
    profile = sources.runs.profiles.get(entity.digest)
    manifest = sources.documents.by_digest.get(entity.digest)
    read: Mapping[str, Any] = manifest.value if manifest else entity.facts
    schema = list(read.get("schema", []))
    return {
        "reference": sources.labels.get(entity.digest, str(entity.digest)),
        "digest": str(entity.digest),
        "content_digest": read.get("content_digest"),
        "role": sources.role(entity),
        "kind": entity.kind.value,
        "rows": read.get("rows"),
        "columns": len(schema) or None,
        "target": read.get("target"),
        "schema": schema,
        "bytes": sum(part["bytes"] for part in manifest.value["parts"]) if manifest else entity.facts.get("bytes"),
        "findings": list((maker.report or {}).get("findings", [])) if maker and maker.run.kind == "ingest" else [],
        "report": maker.report if maker and maker.run.kind == "ingest" else None,
        "profile": profile.report if profile else None,
        "profiled_by": f"run:{profile.run.id}" if profile else None,
        "classification": entity.classification,
        "origin": _origin(maker or reader),
        "grade": maker.grade if maker else entity.grade.value,
        "author": maker.run.requested_by if maker else entity.author,
        "at": maker.at if maker else reader.asked_at if reader else format_time(entity.at),
        "record": str(maker.record) if maker else None,
    }


def _split(sources: Sources) -> dict[str, Any] | None:
    """The newest split among what led to the model or to its measurements."""
    splits = [run for run in sources.taken.values() if run is not None and run.run.kind == "split" and run.ok]
    for run in sorted(splits, key=lambda run: run.run.id, reverse=True):
        proof = output(sources.call, run.run, PROOF)
        if proof is not None:
            parts = {one["role"]: one["digest"] for one in run.run.result["products"] if one["kind"] == "data"}
            product = run.product("proof")
            return {
                "run": f"run:{run.run.id}",
                "data": run.run.asked.get("data"),
                "parts": parts,
                "seed": run.run.job["seed"],
                "params": dict(run.run.job["params"]),
                "disjoint": proof.get("disjoint"),
                "complete": proof.get("complete"),
                "proof": proof,
                "digest": product["digest"] if product else None,
                "grade": run.grade,
                "record": str(run.record),
            }
    return None


def _absence(sources: Sources) -> list[dict[str, Any]]:
    """Of each snapshot but the training data, whether it or its rows could have been read in the making."""
    runs = sources.runs
    if runs.maker is None:
        return []
    used = set(sources.lineage.entities)
    asked = [digest for digest in sources.snapshots(runs) if digest not in used]
    known = sources.call.use(Entities).find(sources.project, asked)
    found = []
    for digest in asked:
        if digest in known:
            evidence = gather_absence(sources.call.session, sources.project, known[digest], sources.model.digest)
            proof = decide(evidence)
            found.append(
                {
                    "data": sources.labels.get(digest, str(digest)),
                    "digest": str(digest),
                    "unused": proof.unused,
                    "verdict": proof.verdict.value,
                    "grade": proof.grade.value,
                    "scope": scope_of(
                        evidence,
                        proof,
                        sources.project,
                        _Labels({str(digest): text for digest, text in sources.labels.items()}),
                    ),
                }
            )
    return found


def _model_document(sources: Sources) -> dict[str, Any]:
    model, maker = sources.model, sources.runs.maker
    reference = sources.labels.get(model.digest, str(model.digest))
    parsed = parse_reference(reference)
    listed = sources.documents.by_digest.get(model.digest)
    files = listed.value["files"] if listed else model.facts.get("files", [])
    return {
        "reference": reference,
        "digest": str(model.digest),
        "name": parsed.name if isinstance(parsed, Named) else None,
        "version": parsed.version if isinstance(parsed, Named) else None,
        "algorithm": str(model.facts.get("algorithm", "")),
        "facts": {key: value for key, value in model.facts.items() if key not in _MODEL_FACTS},
        "files": [{"path": one["path"], "digest": one["digest"], "size": one["size"]} for one in files],
        "grade": maker.grade if maker else model.grade.value,
        "created_at": maker.at if maker else format_time(model.at),
        "created_by": maker.run.requested_by if maker else model.author,
        "run": f"run:{maker.run.id}" if maker else None,
    }


def _training(sources: Sources) -> dict[str, Any] | None:
    maker = sources.runs.maker
    if maker is None:
        return None
    run, job = maker.run, maker.run.job
    source = None
    if job.get("source"):
        source = {"digest": job["source"], "entry": job.get("entry"), "origin": run.facts.get("origin") or {}}
    return {
        "run": f"run:{run.id}",
        "kind": run.kind,
        "label": run.label,
        "experiment": run.experiment,
        "plan": str(run.plan),
        "requested_by": run.requested_by,
        "requested_at": maker.asked_at,
        "started_at": run.started_at,
        "ended_at": maker.at,
        "params": dict(job["params"]),
        "seed": job["seed"],
        "inputs": _read(run),
        "inputs_by_digest": dict(job["inputs"]),
        "env": job["env"],
        "base": job["base"],
        "code": job["code"],
        "program": job["program"],
        "source": source,
        "limits": dict(job["limits"]),
        "enforcement": run.result.get("enforcement"),
        "usage": run.result.get("usage"),
        "metrics": dict(maker.metrics),
        "report": maker.report,
        "record": str(maker.record),
        "grade": maker.grade,
    }


def _alternative(sources: Sources, run: TakenRun) -> dict[str, Any]:
    """A training of the same experiment, with how it measures on the data that the model was last measured on."""
    product = run.product("model")
    digest = None if product is None else Digest(product["digest"])
    measured = _measured(sources, digest) if digest else None
    return {
        "model": product["reference"] if product else None,
        "digest": digest and str(digest),
        "algorithm": str(run.run.job["params"].get("algorithm") or run.run.label),
        "run": f"run:{run.run.id}",
        "status": run.run.status.value,
        "error": (run.run.result.get("error") or {}).get("code"),
        "requested_by": run.run.requested_by,
        "at": run.asked_at,
        "params": dict(run.run.job["params"]),
        "seed": run.run.job["seed"],
        "data": run.run.asked.get("train"),
        "metrics": dict(measured.metrics) if measured else {},
        "measured_on": measured.run.asked.get("data") if measured else None,
        "measured_by": f"run:{measured.run.id}" if measured else None,
        "chosen": digest == sources.model.digest,
        "record": str(run.record),
        "grade": run.grade,
    }


def _name_what_is_enclosed(sources: Sources, alternatives: Iterable[dict[str, Any]]) -> None:
    """Where the run that gave data their name is not in the dossier, they go by their digest: a name that nothing bears
    out would have to be believed.
    """
    for one in alternatives:
        for field, run, channel in (("data", one["run"], "train"), ("measured_on", one["measured_by"], "data")):
            taken = sources.taken.get(str(run).removeprefix("run:"))
            digest = taken.run.job["inputs"].get(channel) if taken is not None else None
            if digest is not None and sources.maker_of(Digest(digest)) is None:
                one[field] = digest


def _measured(sources: Sources, model: Digest) -> TakenRun | None:
    """Its newest evaluation on the data that the dossier's model was last measured on, else its newest at all."""
    runs = sources.readers(model, "evaluate")
    data = sources.runs.evaluations[0].run.job["inputs"].get("data") if sources.runs.evaluations else None
    same = [run for run in runs if run.job["inputs"].get("data") == data]
    return next((sources.taken_run(run) for run in (same or runs)), None)


def _measurement(sources: Sources, run: TakenRun) -> dict[str, Any]:
    digest = run.run.job["inputs"].get("data")
    entity = sources.call.use(Entities).find(sources.project, [Digest(digest)]).get(Digest(digest)) if digest else None
    return {
        "run": f"run:{run.run.id}",
        "data": run.run.asked.get("data"),
        "data_digest": digest,
        "role": sources.role(entity) if entity else None,
        "at": run.at,
        "by": run.run.requested_by,
        "params": dict(run.run.job["params"]),
        "metrics": dict(run.metrics),
        "report": run.report or {},
        "record": str(run.record),
        "grade": run.grade,
    }


def _state(sources: Sources) -> dict[str, Any]:
    """Where it stands, as its records tell it; nothing of it is stored."""
    version = fold(record for record in sources.records if record.subject == sources.model.digest)
    if version is None:
        return {
            **dict.fromkeys(("value", "since", "tier", "expires", "next_review")),
            "emergency": False,
            "conditions": [],
            "use_limits": [],
            "required_approvals": None,
        }
    moment = sources.told.moment
    standing = version.emergency if version.emergency_at(moment) else version.in_force
    due = [one.due.isoformat() for one in sources.known.reviews if one.done is None]
    return {
        "value": version.state_at(moment).value,
        "since": format_time(version.since),
        "tier": version.level if version.tier else None,
        "expires": format_time(standing.expires) if standing else None,
        "expired": version.expired_at(moment),
        "emergency": version.emergency_at(moment),
        "conditions": list(standing.conditions) if standing else [],
        "use_limits": list(standing.use_limits) if standing else [],
        "next_review": min(due, default=None),
        "required_approvals": version.required,
    }


def _nodes(sources: Sources) -> list[Entity]:
    found = sources.call.use(Entities).find(sources.project, sources.lineage.entities)
    return [found[digest] for digest in sorted(found)]


def _activities(sources: Sources) -> list[Activity]:
    found = sources.call.use(Activities).find(sources.project, sources.lineage.activities)
    return [found[id] for id in sorted(found)]


def _node(sources: Sources, entity: Entity) -> dict[str, Any]:
    maker = sources.maker_of(entity.digest)
    return {
        "digest": str(entity.digest),
        "kind": entity.kind.value,
        "label": sources.label(entity),
        "grade": maker.grade if maker else entity.grade.value,
        "at": maker.at if maker else format_time(entity.at),
        "author": maker.run.requested_by if maker else entity.author,
    }


def _edges(sources: Sources) -> list[dict[str, Any]]:
    edges: Sequence[Edge] = sources.lineage.edges
    return [
        {
            "relation": edge.relation.value,
            "activity": edge.activity,
            "entity": str(edge.entity),
            "role": edge.role,
            "grade": edge.grade.value,
            "record": edge.record and str(edge.record),
        }
        for edge in sorted(edges, key=lambda edge: (edge.activity, edge.relation, edge.role, edge.entity))
    ]


def _picture(sources: Sources) -> str | None:
    graph = sources.lineage
    if not graph.edges or len(graph.entities) + len(graph.activities) > _MOST_NODES:
        return None
    labels: dict[str, str] = {entity.digest: sources.label(entity) for entity in _nodes(sources)}
    name = labels.get(sources.model.digest, str(sources.model.digest))
    return draw(graph, sources.model.digest, labels, title=f"Where {name} comes from")


def _environment(sources: Sources) -> dict[str, Any] | None:
    maker = sources.runs.maker
    if maker is None:
        return None
    found = sources.call.use(Environments).of_digest(Digest(maker.run.job["env"]))
    if found is None:
        return {"name": None, "digest": maker.run.job["env"], "python": None, "packages": []}
    wheels = sorted(str(wheel.digest) for wheel in found.wheels)
    sources.documents.add(
        "environment",
        {"format": "muniment.environment/1", "python": found.python, "wheels": wheels},
        maker.ended,
        str(maker.run.job["env"]),
    )
    packages = []
    for wheel in sorted(found.wheels, key=lambda wheel: wheel.filename):
        parts = _WHEEL.match(wheel.filename)
        packages.append(
            {
                "name": parts["name"].replace("_", "-").lower() if parts else wheel.filename,
                "version": parts["version"] if parts else None,
                "sha256": wheel.digest.hex,
                "wheel": wheel.filename,
            }
        )
    report = (maker.report or {}).get("environment") or {}
    return {
        "name": f"env:{found.name}@{found.version}",
        "digest": str(found.digest),
        "python": report.get("python") or found.python,
        "packages": packages,
    }


def _record_documents(sources: Sources, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        entry = sources.told.of_record(record)
        assert entry is not None
        sources.documents.add("record", record.document(), entry)
    for digest, document in sorted(sources.documents.by_digest.items()):
        entry = document.entry
        yield {
            "digest": str(digest),
            "what": document.what,
            "document": document.value,
            "entry": {"index": entry.index, "id": str(entry.event["id"])},
        }


def _judged(sources: Sources) -> dict[str, Any]:
    """Gates and facts as they were then; what belongs to the installation has no past and is left out."""
    known = sources.known
    plain = Facts(facts_from(known, _WITHOUT_PAST))
    results = judge_all(gates_for(sources.call, known), plain)
    facts = Facts([*plain.values(), *standing_facts(results, plain)])
    return {
        "gates": [
            {
                "name": one.name,
                "version": one.version,
                "use_case": one.use_case,
                "expression": one.expression,
                "stage": one.stage.value if one.stage else None,
                "outcome": one.outcome.value,
                "open": one.open,
                "why": one.why,
                "hindsight": one.hindsight,
                "parts": [{"text": part.text, "outcome": part.outcome.value, "why": part.why} for part in one.parts],
                "fixed_at": format_time(one.fixed_at) if one.fixed_at else None,
                "record": one.record,
            }
            for one in results
        ],
        "facts": [
            {"name": one.name, "value": one.value, "grade": one.grade.value, "record": one.record, "text": one.text}
            for one in facts.values()
        ],
        "absent": {**plain.absent(), **facts.absent()},
    }


def _checkpoint(sources: Sources) -> dict[str, Any]:
    checkpoint = sources.told.checkpoint
    if sources.told.newest is not None:
        sources.cite(sources.told.newest)
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": str(checkpoint.root),
        "note": checkpoint.note,
        "time": format_time(sources.told.moment),
    }


def _entries(sources: Sources) -> Iterator[dict[str, Any]]:
    ledger, size = sources.call.use(Ledger), sources.told.checkpoint.size
    for index in sorted(sources.cited):
        proof, entry = ledger.prove_inclusion(index, size), sources.cited[index]
        yield {
            "index": proof.index,
            "id": str(entry.event["id"]),
            "type": str(entry.event["type"]),
            "time": str(entry.event["time"]),
            "body": entry.body.decode(),
            "path": [hash_.hex() for hash_ in proof.path],
        }


class _Labels(dict[str, str]):
    """Labels in which what has none is called by its digest."""

    def __missing__(self, key: str) -> str:
        return key


_ORDER: Final = ("train", "test", "validation", "holdout", "data", "whole", "source file")


def _origin(maker: TakenRun | None) -> dict[str, Any]:
    """Where data came from: which run made them, from what, at whose request."""
    if maker is None:
        return {}
    run = maker.run
    said = {key: value for key, value in run.facts.items() if key in ("filename", "purposes") and value}
    return {"run": f"run:{run.id}", "kind": run.kind, "by": run.requested_by, "from": _read(run), **said}


def _read(run: Run) -> dict[str, str]:
    """What a run read, by channel, as it was called; a view goes by its digest, for no run gave it its name."""
    defined = f"{EntityKind.FEATURES}:"
    return {
        channel: str(run.job["inputs"][channel]) if reference.startswith(defined) else reference
        for channel, reference in run.asked.items()
    }


def _reproduction(run: TakenRun) -> dict[str, Any]:
    verdict = run.run.result.get("verdict") or {}
    return {
        "run": f"run:{run.run.id}",
        "verdict": verdict.get("verdict") if run.run.status is RunStatus.OK else run.run.status.value,
        "by": run.run.requested_by,
        "at": run.at,
        "differences": list(verdict.get("differs", [])),
        "cause": verdict.get("cause"),
        "made": verdict.get("made"),
        "record": str(run.record),
        "grade": run.grade,
    }


def _activity(sources: Sources, activity: Activity) -> dict[str, Any]:
    run = sources.taken.get(activity.id)
    return {
        "id": activity.id,
        "kind": activity.kind.value,
        "label": str(activity.facts.get("label") or activity.kind),
        "agent": activity.agent,
        "started_at": format_time(activity.started_at),
        "ended_at": run.at if run else format_time(activity.ended_at),
        "plan": activity.plan and str(activity.plan),
        "grade": activity.grade.value,
    }


def _by_kind(records: Iterable[Record]) -> dict[RecordKind, list[Record]]:
    found: dict[RecordKind, list[Record]] = {}
    for record in records:
        found.setdefault(record.kind, []).append(record)
    return found


def _newest(of: Mapping[RecordKind, Sequence[Record]], kind: RecordKind) -> dict[str, Any] | None:
    """The body of the newest record of a kind, with the record that bears it out."""
    found = of.get(kind)
    return {**found[-1].body, "record": str(found[-1].digest), "by": found[-1].by} if found else None


def _told_by(record: Record) -> dict[str, Any]:
    return {
        **record.body,
        "id": record.id,
        "kind": record.kind.value,
        "subject": record.subject,
        "at": format_time(record.at),
        "by": record.by,
        "grade": record.grade.value,
        "record": str(record.digest),
    }


def _findings(of: Mapping[RecordKind, Sequence[Record]]) -> list[dict[str, Any]]:
    closures = {one.subject: one for one in of.get(RecordKind.FINDING_CLOSURE, [])}
    return [
        {**_told_by(one), "closed": _told_by(closures[one.id]) if one.id in closures else None}
        for one in of.get(RecordKind.FINDING, [])
    ]


def _signatures(record: Record) -> Iterator[dict[str, Any]]:
    signature = record.body.get("signature")
    if isinstance(signature, Mapping):
        yield {
            **signature,
            "meaning": _said(signature.get("statement"), "meaning") or record.kind.value,
            "signer": record.by,
            "at": format_time(record.at),
            "record": str(record.digest),
        }


def _said(statement: Any, name: str) -> str | None:
    found = re.search(rf'"{name}":"((?:[^"\\]|\\.)*)"', statement) if isinstance(statement, str) else None
    return found[1] if found else None
