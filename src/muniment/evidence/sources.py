"""Where a dossier is taken from: the runs, records and names that tell of one model version at a checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

from muniment.catalog.model import Direction, Entity, EntityKind, Graph
from muniment.catalog.ports import Lineage
from muniment.evidence.past import Told
from muniment.evidence.runs import Documents, TakenRun, take
from muniment.execution.judging import FILES_FORMAT
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.identity.ports import SigningKeys
from muniment.identity.signing import (
    enrol_signing_key,
    link_accounts,
    revoke_signing_key,
    revoke_signing_key_of,
    unlink_accounts,
)
from muniment.inventory.facts.known import OFFICE, Known, load
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call
from muniment.ledger.model import Entry, Search
from muniment.ledger.ports import EntryRepository

__all__ = ["Runs", "Sources"]

_MOST_ALTERNATIVES: Final = 200

_ENROLLED: Final = (enrol_signing_key.event,)
_REVOKED: Final = (revoke_signing_key.event, revoke_signing_key_of.event)

_SURROUNDINGS: Final = {
    EntityKind.CODE: "the platform's programs",
    EntityKind.BASE: "base root",
    EntityKind.ENVIRONMENT: "environment",
}


@dataclass(slots=True, kw_only=True)
class Runs:
    """The runs that tell of a model, by what they did to it."""

    maker: TakenRun | None = None
    upstream: list[TakenRun] = field(default_factory=list)
    """Everything that led to the model but reproductions, oldest first."""

    evaluations: list[TakenRun] = field(default_factory=list)
    """Newest first, like explanations and reproductions."""

    explanations: list[TakenRun] = field(default_factory=list)
    reproductions: list[TakenRun] = field(default_factory=list)
    trials: list[TakenRun] = field(default_factory=list)
    """Other trainings of the experiment, oldest first; the maker is among them."""

    profiles: dict[Digest, TakenRun] = field(default_factory=dict)
    """The newest profile of each snapshot."""


class Sources:
    """Everything around one model version, loaded once, with the ledger entry of each thing that is cited."""

    def __init__(self, call: Call, told: Told, model: Entity) -> None:
        self.call, self.told, self.model = call, told, model
        self.project = call.project
        self.documents = Documents()
        self.taken: dict[str, TakenRun | None] = {}
        self.cited: dict[int, Entry] = {}
        self.lineage = self.without_reproductions(
            call.use(Lineage).closure(call.project, model.digest, Direction.UPSTREAM)
        )

    @cached_property
    def runs(self) -> Runs:
        """The runs that tell of the model."""
        found, digest = Runs(), self.model.digest
        queue = self.call.use(RunQueue)
        found.upstream = [run for one in sorted(self.lineage.activities) if (run := self.take(one)) is not None]
        found.maker = next((run for run in found.upstream if _made(run, "model") == digest), None)
        found.evaluations = [run for one in self.readers(digest, "evaluate") if (run := self.taken_run(one))]
        found.explanations = [run for one in self.readers(digest, "explain") if (run := self.taken_run(one))]
        for snapshot in self.snapshots(found):
            for one in self.readers(snapshot, "profile")[:1]:
                if (run := self.taken_run(one)) is not None:
                    found.profiles[snapshot] = run
        if found.maker is not None:
            same = queue.of_plan(self.project, found.maker.run.plan)
            again = [run for run in same if run.kind == "reproduce" and run.facts.get("reproduces") == digest]
            found.reproductions = [run for one in reversed(again) if (run := self.taken_run(one)) is not None]
            found.trials = self.trials(found.maker)
        return found

    def trials(self, maker: TakenRun) -> list[TakenRun]:
        """The trainings of the maker's experiment, those that failed too; the maker alone without an experiment."""
        experiment = maker.run.experiment
        if experiment is None:
            return [maker]
        runs = self.call.use(RunQueue).find(
            self.project, experiment=experiment, kind=None, status=None, limit=_MOST_ALTERNATIVES
        )
        meant = [one for one in runs if one.kind == "train" or (one.kind == "run" and _leaves_model(one))]
        tried = {one.id: run for one in meant if (run := self.taken_run(one)) is not None}
        return [run for _, run in sorted({**tried, maker.run.id: maker}.items())]

    def readers(self, digest: Digest, kind: str) -> list[Run]:
        """The runs of a kind that read something and ended well, newest first."""
        below = self.call.use(Lineage).closure(self.project, digest, Direction.DOWNSTREAM, 1)
        ids = sorted((one.id for one in below.activities.values() if one.kind == kind), reverse=True)
        found = [run for one in ids if (run := self.call.use(RunQueue).get(self.project, one)) is not None]
        return [run for run in found if run.status is RunStatus.OK]

    def take(self, run: str) -> TakenRun | None:
        """A run with its documents, by its id; None when it had not ended by then."""
        found = self.call.use(RunQueue).get(self.project, run)
        return None if found is None else self.taken_run(found)

    def taken_run(self, run: Run) -> TakenRun | None:
        """The same of a run that was loaded already."""
        if run.id not in self.taken:
            taken = self.taken[run.id] = take(self.call, self.told, self.documents, run)
            for entry in (taken.asked, taken.ended) if taken else ():
                self.cite(entry)
        return self.taken[run.id]

    def cite(self, entry: Entry) -> int:
        """Let an entry stand in the dossier; gives its index."""
        assert entry.index is not None
        self.cited[entry.index] = entry
        return entry.index

    def snapshots(self, runs: Runs) -> list[Digest]:
        """The snapshots that the model was made from or measured on, and what those were split from."""
        digests = [digest for digest, node in self.lineage.entities.items() if node.kind is EntityKind.DATA]
        for run in (*runs.evaluations, *runs.explanations):
            data = run.run.job["inputs"].get("data")
            if data is not None:
                digests.append(Digest(data))
                above = self.call.use(Lineage).closure(self.project, Digest(data), Direction.UPSTREAM)
                above = self.without_reproductions(above)
                digests += [digest for digest, node in above.entities.items() if node.kind is EntityKind.DATA]
                for activity in sorted(above.activities):
                    self.take(activity)
        for taken in list(self.taken.values()):
            if taken is not None and taken.run.kind == "split" and taken.ok:
                digests += [Digest(one["digest"]) for one in taken.run.result["products"] if one["kind"] == "data"]
        return sorted(set(digests))

    def maker_of(self, digest: Digest) -> TakenRun | None:
        """The first run that made something, among those that were taken."""
        makers = [
            run
            for run in self.taken.values()
            if run is not None
            and run.run.kind != "reproduce"
            and any(one["digest"] == digest for one in run.run.result.get("products", []))
        ]
        return min(makers, key=lambda run: run.run.id, default=None)

    def reader_of(self, digest: Digest) -> TakenRun | None:
        """The first run that read something, among those that were taken."""
        readers = [run for run in self.taken.values() if run is not None and digest in run.run.job["inputs"].values()]
        return min(readers, key=lambda run: run.run.id, default=None)

    def role(self, entity: Entity) -> str:
        """What data were to the model: what it was trained on, measured on, kept away from, or made of."""
        digest, runs = entity.digest, self.runs
        if entity.kind is EntityKind.FILE:
            return "source file"
        if runs.maker is not None:
            channels = [name for name, used in runs.maker.run.job["inputs"].items() if used == digest]
            if channels:
                return str(channels[0])
        maker = self.maker_of(digest)
        part = (
            next((one["role"] for one in maker.run.result["products"] if one["digest"] == digest), "") if maker else ""
        )
        if maker is not None and maker.run.kind == "split":
            return str(part)
        if any(run.run.job["inputs"].get("data") == digest for run in runs.evaluations):
            return "test"
        split = any(
            run is not None and run.run.kind == "split" and run.run.job["inputs"].get("data") == digest
            for run in self.taken.values()
        )
        return "whole" if split else "data"

    def without_reproductions(self, graph: Graph) -> Graph:
        """What something was made from: a later making of the same bytes is no origin of theirs."""
        kept = {id: node for id, node in graph.activities.items() if node.kind != "reproduce"}
        edges = tuple(edge for edge in graph.edges if edge.activity in kept)
        named = {edge.entity for edge in edges} | {self.model.digest}
        return Graph({digest: node for digest, node in graph.entities.items() if digest in named}, kept, edges)

    @cached_property
    def labels(self) -> dict[Digest, str]:
        """What things were called by the runs that made them; a name given later changes none of it."""
        labels: dict[Digest, str] = {}
        for record in self.call.use(Records).about(self.project, [str(self.model.digest)], RecordKind.REGISTRATION):
            labels[self.model.digest] = str(record.body["model"])
        for run in sorted((run for run in self.taken.values() if run), key=lambda run: run.run.id):
            for one in run.run.result.get("products", []):
                if not one["reference"].startswith("sha256:"):
                    labels.setdefault(Digest(one["digest"]), one["reference"])
        return labels

    def label(self, entity: Entity) -> str:
        """What people call something; where it has no name, what it is."""
        if entity.digest in self.labels:
            return self.labels[entity.digest]
        what = entity.facts.get("what") or _SURROUNDINGS.get(entity.kind)
        if entity.kind is EntityKind.FILE:
            ingests = [run.run for run in self.runs.upstream if entity.digest in run.run.job["inputs"].values()]
            what = next((run.facts["filename"] for run in ingests if run.facts.get("filename")), None)
        return f"{what} ({entity.digest.short})" if what else str(entity.digest)

    @cached_property
    def records(self) -> list[Record]:
        """What people stated about the version, its use case and findings, and the whole project; oldest first."""
        records, project = self.call.use(Records), self.project
        own = list(records.about(project, [str(self.model.digest)]))
        cases = {str(one.body["use_case"]) for one in own if one.body.get("use_case")}
        findings = [one.id for one in own if one.kind is RecordKind.FINDING]
        more = list(records.about(project, [*(f"usecase:{name}" for name in cases), "project", OFFICE, *findings]))
        named = {str(self.model.digest), *(f"usecase:{name}" for name in cases)}
        linked = [one for one in records.of_kind(project, RecordKind.DEPENDENCY) if _names(one, named)]
        found = {one.id: one for one in (*own, *more, *linked)}
        for record in found.values():
            entry = self.told.of_record(record)
            assert entry is not None
            self.cite(entry)
        ordered = [found[id] for id in sorted(found)]
        self._cite_people(ordered)
        self._list_files(ordered)
        return ordered

    @cached_property
    def known(self) -> Known:
        """What facts and reviews are worked out from."""
        return load(self.call, self.model.digest, self.told.moment)

    @cached_property
    def authors(self) -> list[str]:
        """On whose behalf the jobs ran that the model came from; who only ran one of them again is none."""
        return sorted({node.agent for node in self.lineage.activities.values()})

    def _cite_people(self, records: Iterable[Record]) -> None:
        """Let the entries stand here that tell whose the keys are, whether they were revoked, and who is one person."""
        keys, entries = self.call.use(SigningKeys), self.call.use(EntryRepository)
        signed = [one.body["signature"] for one in records if isinstance(one.body.get("signature"), Mapping)]
        for name in sorted({str(signature["key"]) for signature in signed}):
            key = keys.find(Digest(name))
            for events, moment in ((_ENROLLED, key and key.enrolled_at), (_REVOKED, key and key.revoked_at)):
                found = moment and self.told.holding(name, moment, partial(_is_of_key, name, events))
                if found:
                    self.cite(found)
        people = {*self.authors, *(one.by for one in records)}
        for event in (link_accounts.event, unlink_accounts.event):
            for entry in entries.search(Search(type=event, outcome="ok", limit=1000)):
                accounts = {f"User:{name}" for name in entry.event["data"].get("facts", {}).get("accounts", ())}
                if entry.index is not None and entry.index < self.told.checkpoint.size and accounts & people:
                    self.cite(entry)

    def _list_files(self, records: Iterable[Record]) -> None:
        """The list of files that names a model which was not made here: its registration tells of it."""
        files = self.model.facts.get("files", [])
        told = [one for one in records if one.kind is RecordKind.REGISTRATION]
        if self.runs.maker is None and told and files:
            entry = self.told.of_record(told[-1])
            assert entry is not None
            listed = [{name: one[name] for name in ("path", "digest", "size")} for one in files]
            self.documents.add("files", {"format": FILES_FORMAT, "files": listed}, entry, str(self.model.digest))


def _leaves_model(run: Run) -> bool:
    return any(one["kind"] == "model" for one in run.result.get("products", []))


def _made(run: TakenRun, kind: str) -> str | None:
    product = run.product(kind)
    return product["digest"] if product else None


def _is_of_key(name: str, events: Collection[str], entry: Entry) -> bool:
    return entry.event["type"] in events and entry.event["data"].get("facts", {}).get("key") == name


def _names(record: Record, subjects: set[str]) -> bool:
    """Whether a record is about one of these, or names one."""
    return record.subject in subjects or any(isinstance(v, str) and v in subjects for v in record.body.values())
