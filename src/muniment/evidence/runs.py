"""What is kept of a run, as the documents whose digests its ledger entry names.

The entry names the plan, what was seen of the run, and what came out. What was seen names the metrics and every file;
so a number in a report leads, digest by digest, to one entry under a signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.catalog.model import ActivityKind
from muniment.catalog.ports import Metrics
from muniment.errors import IntegrityError
from muniment.evidence.past import Told
from muniment.execution.judging import FILES_FORMAT, parse_object
from muniment.execution.model import MANIFEST, Run, RunStatus
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.verb import Call
from muniment.ledger.model import Entry
from muniment.vault.service import Vault

__all__ = ["Document", "Documents", "TakenRun", "refuse"]

REPORT: Final = "output/data/report.json"
PROOF: Final = "output/data/proof.json"
DESCRIPTION: Final = "model/model.json"
_LATER: Final = ("record", "products", "verdict")
"""What stands in the result of a run beside the evidence that its record digests."""

_MOST_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document whose digest an entry names, directly or by another document."""

    digest: Digest
    value: Any
    entry: Entry
    what: str
    """``record``, ``plan``, ``run``, ``products``, ``metrics``, ``files``, ``snapshot``, ``description``,
    ``environment``."""


@dataclass(slots=True)
class Documents:
    """The documents of a dossier, by digest; each is there once."""

    by_digest: dict[Digest, Document] = field(default_factory=dict)

    def add(self, what: str, value: Any, entry: Entry, expected: str | None = None) -> Digest:
        """Keep a document; where an entry or another document names its digest, it must be that one.

        Raises:
            IntegrityError: it is another document than the ledger tells of.
        """
        digest = digest_of(value)
        if expected is not None and digest != expected:
            raise refuse(f"the {what} of entry {entry.index} is not what was recorded", expected, digest)
        self.by_digest.setdefault(digest, Document(digest, value, entry, what))
        return digest


@dataclass(frozen=True, slots=True)
class TakenRun:
    """A run with all that is kept of it."""

    run: Run
    asked: Entry
    ended: Entry
    record: Digest
    metrics: Mapping[str, float]
    """The last finite value of each metric."""

    report: Mapping[str, Any] | None
    """The report that its program wrote, when there is one."""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.run.status is RunStatus.OK

    @property
    def asked_at(self) -> str:
        """When it was asked for, as the ledger tells it."""
        return str(self.asked.event["time"])

    @property
    def at(self) -> str:
        """When its end was recorded, as the ledger tells it."""
        return str(self.ended.event["time"])

    @property
    def grade(self) -> str:
        """Proven when the walls stood, else declared."""
        enforcement = self.run.result.get("enforcement") or {}
        return (Grade.PROVEN if enforcement.get("complete") else Grade.DECLARED).value

    def product(self, kind: str) -> Mapping[str, str] | None:
        """The first thing of this kind that came out of it."""
        return next((one for one in self.run.result.get("products", []) if one["kind"] == kind), None)


def take(call: Call, told: Told, documents: Documents, run: Run) -> TakenRun | None:
    """A run with its documents, each held against its entry; None when it had not ended under the checkpoint.

    None for a run elsewhere too, which only told about itself: whoever keeps a copy of a source file becomes one that
    made it, by his own word, and no evidence rests on that.

    Raises:
        IntegrityError: the database tells another story than the ledger.
    """
    ends = told.of_run(run)
    if ends is None or run.kind == ActivityKind.TRACK.value:
        return None
    told_of = ends.ended.event["data"]["facts"]
    seen = {name: value for name, value in run.result.items() if name not in _LATER}
    documents.add("plan", dict(run.job), ends.ended, str(told_of["plan"]))
    record = documents.add("run", seen, ends.ended, str(told_of["record"]))
    documents.add("products", list(run.result.get("products", [])), ends.ended, str(told_of["products"]))
    last = call.use(Metrics).latest(call.project, [run.id]).get(run.id, {})
    written = {name: str(metric.value) for name, metric in last.items()}
    if written:
        documents.add("metrics", written, ends.ended, str(seen["metrics"]["digest"]))
    _manifests(call, run, ends.ended, documents)
    return TakenRun(
        run,
        ends.asked,
        ends.ended,
        record,
        {name: metric.value for name, metric in last.items() if metric.value - metric.value == 0},
        output(call, run, REPORT) if run.status is RunStatus.OK else None,
    )


def output(call: Call, run: Run, path: str) -> dict[str, Any] | None:
    """A JSON document that a run left at this path; None when there is none that is small enough to show.

    None too for what was destroyed on purpose: the record of the decision tells of that.
    """
    vault = call.use(Vault)
    for one in run.result.get("outputs", []):
        digest = Digest(one["digest"])
        if one["path"] == path and one["size"] <= _MOST_BYTES:
            gone = vault.erased(call.session, call.project, [digest])
            return None if gone else parse_object(vault.read_bytes(call.project, digest))
    return None


def _manifests(call: Call, run: Run, entry: Entry, documents: Documents) -> None:
    """The lists of files that name the results: a model by its files, a snapshot by its parts."""
    files = {one["digest"]: one for one in run.result.get("outputs", [])}
    for product in run.result.get("products", []):
        if product["kind"] == "model":
            documents.add("files", {"format": FILES_FORMAT, "files": list(_files(run, "model/"))}, entry)
            described = output(call, run, DESCRIPTION) if run.kind == "train" else None
            if described is not None and digest_of(described) in files:
                documents.add("description", described, entry)
        elif product["kind"] == "data" and product["digest"] in files:
            path = str(files[product["digest"]]["path"])
            manifest = output(call, run, path) if path.endswith(MANIFEST) else None
            if manifest is not None and digest_of(manifest) == product["digest"]:
                documents.add("snapshot", manifest, entry, product["digest"])


def _files(run: Run, folder: str) -> Iterator[dict[str, Any]]:
    for one in sorted(run.result.get("outputs", []), key=lambda one: str(one["path"])):
        if one["path"].startswith(folder):
            yield {"path": one["path"].removeprefix(folder), "digest": one["digest"], "size": one["size"]}


def refuse(what: str, expected: str, found: str) -> IntegrityError:
    """The database contradicts the ledger: no evidence is made of it."""
    return IntegrityError(
        "MUNI-E502",
        "what the database holds is not what the ledger tells of, so no evidence is made of it",
        what=what,
        expected=expected,
        found=found,
        do="stop, keep everything as it is: muni audit verify --profile auditor",
    )
