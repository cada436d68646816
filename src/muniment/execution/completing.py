"""How a run begins and ends in the record: the only caller of ``catalog.recording``.

``used`` is written from what was mounted, ``was_generated_by`` from the digests the collector saw. Nothing that a job
says about its inputs or outputs is believed.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from msgspec import Struct

from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.ports import Metrics
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict
from muniment.execution.environments import Environments
from muniment.execution.judging import Interpreters, Judgement, evidence, judge, parse_object
from muniment.execution.model import Outcome, Product, ResolvedJob, Run, RunStatus
from muniment.execution.queue import RunLabels, RunQueue
from muniment.execution.reading import report_of
from muniment.execution.reproducing import side_by_side, verdict
from muniment.execution.submitting import entity_files, makings_of
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.resources import INSTALLATION, PROJECT
from muniment.kernel.verb import Call, verb
from muniment.vault.service import Vault

ATTEMPTS: Final = 3
"""A run whose worker vanishes is tried this often."""

_MAKINGS: Final = 8
"""So many runs that made the same model are looked at for what explains a difference."""


class Outcomes:
    """Outcomes on their way from the worker that saw them to the transaction that records them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Outcome] = {}

    def put(self, owner: str, outcome: Outcome) -> None:
        """Hold what the owner of a lease saw."""
        with self._lock:
            self._held[owner] = outcome

    def get(self, owner: str) -> Outcome:
        """What the owner of a lease saw; it stays until dropped, because a transaction may be tried again."""
        with self._lock:
            return self._held[owner]

    def drop(self, owner: str) -> None:
        """Forget it."""
        with self._lock:
            self._held.pop(owner, None)


class LeaseRun(Struct, kw_only=True, frozen=True):
    """A worker asks for work."""

    owner: str
    """Names this lease and no other."""

    until: str


class Leased(Struct, kw_only=True, frozen=True):
    """The run that the worker holds now; None when the oldest waiting one was cancelled or given up instead."""

    run: str | None
    project: str | None


class CompleteRun(Struct, kw_only=True, frozen=True):
    """A worker reports how a run ended."""

    project: str
    run: str
    owner: str
    outcome: str
    """Digest of the outcome's document."""


class Completed(Struct, kw_only=True, frozen=True):
    """The run is in the record."""

    status: str


@verb(
    "execution:LeaseRun",
    on=INSTALLATION,
    request=LeaseRun,
    reply=Leased,
    event="run.started",
    group="internal",
    internal=True,
)
def lease_run(call: Call, request: LeaseRun) -> Leased:
    """Give the oldest waiting run to a worker."""
    now = format_time(call.now)
    run = call.use(RunQueue).lease(request.owner, now, request.until, ATTEMPTS)
    if run is None:
        raise Conflict("MUNI-X301", "no run is waiting any more", owner=request.owner)
    if run.attempt > 1:
        call.use(Metrics).forget(run.id)
        call.use(RunLabels).forget(run.id, run.job["params"])
    call.note(run=run.id, project=run.project, plan=str(run.plan), attempt=run.attempt, status=run.status.value)
    held = run.status is RunStatus.RUNNING
    return Leased(run=run.id if held else None, project=run.project if held else None)


@verb(
    "execution:CompleteRun",
    on=PROJECT,
    request=CompleteRun,
    reply=Completed,
    event="run.ended",
    group="internal",
    internal=True,
)
def complete_run(call: Call, request: CompleteRun) -> Completed:
    """Record how a run ended: its activity, what it used, what it generated, under which walls."""
    queue = call.use(RunQueue)
    run = queue.get(call.project, request.run)
    if run is None or run.owner != request.owner or run.status is not RunStatus.RUNNING:
        raise Conflict("MUNI-X302", "this worker does not hold the run any more", run=request.run, owner=request.owner)
    outcome = call.use(Outcomes).get(request.owner)
    job = ResolvedJob.parse(run.job)
    judged = judge(call.use(Interpreters), run, job, outcome)
    seen = evidence(outcome, judged.error)
    record = digest_of(seen)
    products = _record(call, run, job, outcome, judged, record)
    result: dict[str, Any] = {**seen, "record": str(record), "products": products}
    if run.kind == "reproduce" and judged.status is RunStatus.OK:
        result["verdict"] = _compare(call, run, outcome, judged)
    if run.kind == "compare" and judged.status is RunStatus.OK and (found := _compared(call, job, outcome)):
        result["verdict"] = found
    if not queue.finish(run.id, request.owner, judged.status, format_time(call.now), result):
        raise Conflict("MUNI-X302", "this worker does not hold the run any more", run=request.run, owner=request.owner)
    call.note(
        run=run.id,
        plan=str(run.plan),
        status=judged.status.value,
        engine=outcome.exit.enforcement.engine,
        canaries=str(outcome.exit.enforcement.canaries),
        generated=[str(product.digest) for product in judged.products],
        products=str(digest_of(products)),
        record=str(record),
        **({"verdict": result["verdict"]["verdict"]} if "verdict" in result else {}),
        **({} if judged.error is None else {"error": judged.error["code"]}),
        **({"fired": [str(one["rule"]) for one in outcome.traces.rules if one["fired"]]} if job.rules else {}),
    )
    return Completed(status=judged.status.value)


def _record(
    call: Call, run: Run, job: ResolvedJob, outcome: Outcome, judged: Judgement, record: Digest
) -> list[dict[str, str]]:
    """Write the activity and its edges; a run without walls is graded by what it is: declared."""
    writer = (Recorder if outcome.exit.enforcement.complete else Declarer)(call.session, call.project, call.now)
    writer.activity(
        run.id,
        ActivityKind(run.kind),
        agent=run.requested_by,
        started_at=parse_time(run.started_at or run.created_at),
        ended_at=call.now,
        plan=run.plan,
        facts={
            "experiment": run.experiment,
            "label": run.label,
            "params": dict(job.params),
            "seed": job.seed,
            "status": judged.status.value,
            "engine": outcome.exit.enforcement.engine,
        },
    )
    _record_inputs(call, writer, run, job, record)
    return [_record_product(call, writer, run, product, outcome, record) for product in judged.products]


def _record_product(
    call: Call, writer: Recorder | Declarer, run: Run, product: Product, outcome: Outcome, record: Digest
) -> dict[str, str]:
    vault, agent = call.use(Vault), run.requested_by
    wanted = {product.digest, *(part.digest for part in product.parts)}
    for output in outcome.outputs:
        if output.sealed.digest in wanted:
            vault.register(call.session, call.project, output.sealed)
    if product.document is not None and not vault.has(call.session, call.project, product.digest):
        vault.register(call.session, call.project, vault.seal_bytes(call.project, product.document))
    kind = EntityKind(product.kind)
    facts = {**product.facts, "files": [part.document() for part in product.parts]}
    if product.content is not None:
        facts["content_digest"] = str(product.content)
    writer.entity(product.digest, kind, author=agent, facts=facts, parts=[p.digest for p in product.parts if p.size])
    writer.generated(run.id, product.digest, product.role, record)
    reference = str(product.digest)
    if product.name is not None and run.kind != "reproduce":
        reference = str(writer.name(kind, product.name, product.digest, by=agent))
    return {"reference": reference, "kind": kind.value, "digest": str(product.digest), "role": product.role}


def _record_inputs(call: Call, writer: Recorder | Declarer, run: Run, job: ResolvedJob, record: Digest) -> None:
    environment = call.use(Environments).of_digest(job.env)
    env_facts: dict[str, Any] = {"what": "environment"}
    if environment is not None:
        env_facts = {"what": f"env:{environment.name}@{environment.version}", "wheels": len(environment.wheels)}
    pinned: list[tuple[Digest, EntityKind, str, dict[str, Any]]] = [
        (job.code, EntityKind.CODE, "programs", {"what": "the platform's programs"}),
        (job.base, EntityKind.BASE, "base", {"what": "base root"}),
        (job.env, EntityKind.ENVIRONMENT, "environment", env_facts),
    ]
    if job.source is not None:
        facts = {"what": job.entry, "bytes": run.facts.get("source_bytes"), "origin": run.facts.get("origin", {})}
        pinned.append((job.source, EntityKind.CODE, "source", facts))
    for digest, kind, role, facts in pinned:
        writer.entity(digest, kind, author=run.requested_by, facts=facts)
        writer.used(run.id, digest, role, record)
    for channel, digest in job.inputs.items():
        writer.used(run.id, digest, channel, record)


def _compare(call: Call, run: Run, outcome: Outcome, judged: Judgement) -> dict[str, Any]:
    """The verdict of a reproduction that ended well."""
    original = call.use(RunQueue).get(call.project, run.facts["original"])
    if original is None:
        raise Conflict("MUNI-X304", "the run to compare with is gone", run=run.facts["original"])
    wanted = Digest(run.facts["reproduces"])
    made = next((product for product in judged.products if product.kind == EntityKind.MODEL), None)
    mine = outcome.output("output/data/report.json")
    reports: tuple[dict[str, Any] | None, dict[str, Any] | None] = (None, None)
    if original.kind == "train" and mine is not None and mine.document is not None:
        reports = report_of(call, original), parse_object(mine.document)
    return verdict(run, original, wanted, entity_files(call, wanted), made, reports, outcome.machine)


def _compared(call: Call, job: ResolvedJob, outcome: Outcome) -> dict[str, Any] | None:
    """What a comparison of two models measured, with the first thing in which their makings differ."""
    report = outcome.output("output/data/report.json")
    said = parse_object(report.document) if report is not None and report.document is not None else None
    first, second = (makings_of(call, job.inputs[side])[:_MAKINGS] for side in ("a", "b"))
    return side_by_side((said or {}).get("verdict"), first, second)


VERBS: Final = (lease_run, complete_run)
