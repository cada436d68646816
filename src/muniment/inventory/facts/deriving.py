"""From what is known of a model version to facts about it. Pure.

Each function speaks of one side of a version, and yields facts or says why there are none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeGuard

from muniment.catalog.absence import Verdict
from muniment.catalog.growing import CLASSIFICATIONS
from muniment.catalog.model import ActivityKind, EntityKind, Relation
from muniment.execution.model import Run
from muniment.execution.reproducing import Alikeness
from muniment.inventory.facts.assuring import SIDES as ASSURANCE
from muniment.inventory.facts.assuring import risk_side
from muniment.inventory.facts.examining import facts_of
from muniment.inventory.facts.fact import MEASURED, Absent, Fact, Facts, Value, family_of
from muniment.inventory.facts.known import PORTABLE, Known, Measurement
from muniment.inventory.facts.thresholds import judge_fixed
from muniment.inventory.lifecycle import State, Version
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.standing import Severity, findings_in, threads_in
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import Outcome, parse
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.identifiers import format_time, parse_time

__all__ = ["facts_from"]

Found = Iterator[Fact | Absent]

_UNREADABLE: Final = "the report of the newest evaluation cannot be read"

_METRIC: Final = re.compile(r"[a-z][a-z0-9_]*")
_OF_GROUPS: Final = frozenset({"air", "spd", "psi", "csi"})
"""Metrics that are facts of fairness and stability instead."""

_GROUP_MEASURES: Final = ("spd", "smd", "tpr_gap", "fpr_gap")
"""Differences; the worst one is the one furthest from 0."""

_COMPUTED: Final = Grade.PROVEN
"""What the platform itself knows of what was stated: that it was stated, when and by whom."""


def facts_from(known: Known, without: Collection[str] = ()) -> Found:
    """Every fact but those about gates.

    Args:
        known: what is known of the version.
        without: families of facts that are left out, also where key figures and risks ask for them.
    """
    found = [one for side in _SIDES for one in side(known) if family_of(one.name) not in without]
    found += _key_figures(known, Facts(found))
    yield from found
    yield from risk_side(known, Facts(found))


def _key_figures(known: Known, facts: Facts) -> Found:
    """Whether the figures that the use case asks for are reached; one that cannot be judged leaves it open.

    As with a gate, what was measured before a figure was fixed does not count, and the answer is graded.
    """
    if known.use_case is None or not known.use_case.body.get("kpis"):
        yield Absent("usecase.kpis_met", "the use case states no key figures")
        return
    missed: list[str] = []
    unknown: list[str] = []
    grades = [_COMPUTED]
    for kpi in known.use_case.body["kpis"]:
        outcome, parts, late = judge_fixed(
            parse(kpi["expression"]),
            facts,
            fixed_at=known.key_figures[str(kpi["expression"])],
            min_grade=Grade.DECLARED,
            what="key figure",
        )
        grades += [fact.grade for part in parts for fact in part.found if family_of(fact.name) in MEASURED]
        if outcome is not Outcome.YES:
            name = str(kpi["name"])
            (missed if outcome is Outcome.NO else unknown).append(
                f"{name}, measured before it was fixed" if late else name
            )
    record = str(known.use_case.digest)
    if missed or not unknown:
        text = f"missed: {', '.join(missed)}" if missed else "every one is reached"
        yield Fact("usecase.kpis_met", not missed, weakest(grades), record, text)
    else:
        yield Absent("usecase.kpis_met", f"not known: {', '.join(unknown)}")


def _performance(known: Known) -> Found:
    measured = known.newest.get("metrics")
    if measured is None or measured.document is None:
        why = _no_evaluation(known) if measured is None else _UNREADABLE
        yield from (Absent("metric.", why), Absent("evaluation.", why))
        return
    yield from _circumstances(known, measured)
    metrics, undefined = measured.document.get("metrics"), measured.document.get("undefined")
    text = f"evaluated on {_called(known, measured.data)}, proven unused in training"
    for name, value in sorted(metrics.items()) if isinstance(metrics, Mapping) else ():
        if not _METRIC.fullmatch(name) or name in _OF_GROUPS:
            continue
        if _finite(value):
            yield _measured(known, f"metric.{name}", value, measured, text)
        else:
            reason = undefined.get(name) if isinstance(undefined, Mapping) else None
            yield Absent(f"metric.{name}", f"it has no value: {reason or 'the report does not say why'}"[:300])
    yield Absent("metric.", "the newest evaluation on unused data has no such metric")


def _circumstances(known: Known, measured: Measurement) -> Found:
    """On what and by whom the metrics were measured: who measures chooses the data, so a gate can ask about them."""
    assert measured.document is not None
    text = f"of run:{measured.run.id}"
    yield _measured(known, "evaluation.data", _called(known, measured.data), measured, text)
    rows = measured.document.get("rows")
    if isinstance(rows, int) and not isinstance(rows, bool):
        yield _measured(known, "evaluation.rows", rows, measured, text)
    yield _measured(known, "evaluation.of_split", measured.data in known.parts, measured, text)
    why = known.parties.why(_account(measured.run.agent))
    yield _measured(
        known, "evaluation.independent", not why, measured, "; ".join(why)[:300] or f"by {measured.run.agent}"
    )


def _fairness(known: Known) -> Found:
    measured = known.newest.get("groups")
    if measured is None or measured.document is None:
        why = "no groups were compared" if "metrics" in known.newest else _no_evaluation(known)
        yield Absent("fairness.", f"{why}; evaluate with groups" if measured is None else _UNREADABLE)
        return
    told = measured.document.get("groups") or []
    groups = [g for g in told if isinstance(g, Mapping) and isinstance(g.get("column"), str)]
    columns = [_word(g["column"]) for g in groups]
    text = f"groups by {', '.join(columns)} on {_called(known, measured.data)}, proven unused in training"
    yield _measured(known, "fairness.columns", columns, measured, text)
    for name, worse in (("air", min), *((one, max) for one in _GROUP_MEASURES)):
        values: dict[str, float] = {}
        for group in (g for g in groups if _finite(g.get(name))):
            word, value = _word(group["column"]), abs(float(group[name]))
            values[word] = worse(value, values.get(word, value))
        yield from _worst(known, name, values, columns, measured, text, worse(values.values(), default=None))
    yield Absent("fairness.", "the newest comparison of groups has no such measure")


def _worst(
    known: Known,
    name: str,
    values: Mapping[str, float],
    columns: Sequence[str],
    measured: Measurement,
    text: str,
    worst: float | None,
) -> Found:
    """The worst over all columns, and each column's own; without a value for every column there is no worst."""
    missing = sorted(set(columns) - values.keys())
    if worst is None or missing:
        yield Absent(f"fairness.{name}", f"it has no value for {', '.join(missing)}")
    else:
        yield _measured(known, f"fairness.{name}", worst, measured, f"the worst of {text}")
    for column, value in values.items():
        yield _measured(known, f"fairness.{name}.{column}", value, measured, text)


def _stability(known: Known) -> Found:
    measured = known.newest.get("stability")
    if measured is None or measured.document is None:
        why = "no evaluation on unused data was compared with a reference population"
        yield Absent("stability.", why if measured is None else _UNREADABLE)
        return
    told = measured.document.get("stability") or {}
    for name in ("psi", "csi"):
        value = told.get(name)
        if _finite(value):
            text = f"{_called(known, measured.data)} against the reference population"
            yield _measured(known, f"stability.{name}", value, measured, text)


def _explanation(known: Known) -> Found:
    if not known.explanations:
        yield Absent("explanation.", "no explanation was computed")
        return
    newest = known.explanations[0]
    yield _measured(known, "explanation.present", True, newest, f"computed on {_called(known, newest.data)}")


def _data(known: Known) -> Found:
    if not known.inputs:
        yield Absent("data.", "no recorded run read data to make it")
        return
    entities = [known.entities[edge.entity] for edge in known.inputs]
    grade = weakest([e.grade for e in known.inputs] + [e.grade for e in entities])
    record = str(entities[0].digest)
    rows = [one for entity in entities if isinstance(one := entity.facts.get("rows"), int)]
    if len(rows) == len(entities):
        yield Fact("data.rows", sum(rows), grade, record, "rows of what the run read")
    strictest = max((e.classification for e in entities), key=_strictness)
    yield Fact("data.classification", strictest, Grade.DECLARED, record, "the strictest of what the run read")
    yield from _origin_of_data(known, grade)
    if known.findings:
        reports = sorted(known.findings)
        text = f"counted in {len(reports)} reports of reading and profiling"
        yield Fact("data.findings", sum(known.findings.values()), grade, str(reports[0]), text)
    yield from _care_for_data(known, record)
    profiles = [n for n in known.made.activities.values() if n.kind is ActivityKind.PROFILE]
    record = f"run:{profiles[0].id}" if profiles else record
    yield Fact("data.profiled", bool(profiles), _COMPUTED, record, "of the data, or of what it was split from")


def _examinations(known: Known) -> Found:
    yield from facts_of(known.examined)


def _care_for_data(known: Known, record: str) -> Found:
    """Whether what was left out is explained, and whether somebody looked for bias."""
    dropped = [] if known.maker is None else list(known.maker.job["params"].get("drop") or ())
    said = {str(one.body["column"]): one for one in known.exclusions if one.body["column"]}
    silent = sorted(set(dropped) - set(said))
    by = sorted({str(said[name].body["expert"]) for name in dropped if name in said})
    text = (
        f"without a reason: {', '.join(silent)}" if silent else f"by {', '.join(by)}" if by else "nothing was left out"
    )
    bearing = str(known.exclusions[-1].digest) if by else record
    grade = Grade.DECLARED if by and not silent else Grade.PROVEN
    yield Fact("data.exclusions_explained", not silent, grade, bearing, text[:300])
    reviews = known.bias_reviews
    last = f"run:{reviews[-1]}" if reviews else record
    yield Fact("data.bias_reviewed", bool(reviews), _COMPUTED, last, f"{len(reviews)} reviews of the data upstream")


def _origin_of_data(known: Known, grade: Grade) -> Found:
    files = sorted(digest for digest, node in known.upstream.entities.items() if node.kind is EntityKind.FILE)
    if files:
        text = "the files upstream"
        yield Fact("data.source_digest", [str(digest) for digest in files], grade, str(files[0]), text)
    proof = next((p for p in known.proofs.values() if p.facts.get("disjoint") is True), None)
    if proof is None:
        yield Absent("data.split_disjoint", "no split with a proof made the training data")
    else:
        yield Fact("data.split_disjoint", True, proof.grade, str(proof.digest), "by the proof of the split")


def _holdout(known: Known) -> Found:
    if not known.parts:
        yield Absent("holdout.unused", "no split made the training data, so there is no other part")
        return
    found = [known.absences[part] for part in known.parts if part in known.absences]
    unused = len(found) == len(known.parts) and all(one.verdict is Verdict.UNUSED for one in found)
    text = f"{len(found)} other parts of the split, each searched for by digest, content and rows"
    yield Fact("holdout.unused", unused, weakest(one.grade for one in found), str(known.parts[0]), text)


def _lineage(known: Known) -> Found:
    made = {edge.entity for edge in known.upstream.edges if edge.relation is Relation.GENERATED}
    nodes = known.upstream.entities
    orphans = sorted(d for d, n in nodes.items() if n.kind not in PORTABLE and d not in made)
    if known.model.digest not in made:
        orphans = sorted({*orphans, known.model.digest})
    record, text = str(known.model.digest), f"{len(nodes)} entities, {len(known.upstream.activities)} activities"
    told = f"{text}; without origin: {len(orphans)}" if orphans else f"{text}, all with a recorded origin"
    yield Fact("lineage.complete", not orphans, _COMPUTED, record, told)
    grades = [edge.grade for edge in known.upstream.edges] + [node.grade for node in nodes.values()]
    grade = Grade.DECLARED if orphans else weakest(grades)
    yield Fact("lineage.grade", grade.value, _COMPUTED, record, f"the weakest of {text}")
    runs = [a for a in known.upstream.activities if a in known.activities]
    runs = [a for a in runs if known.activities[a].kind is not ActivityKind.IMPORT]
    if not runs:
        yield Absent("job.", "no recorded run made it")
        return
    walled = all(known.activities[run].grade is Grade.PROVEN for run in runs)
    yield Fact("job.enforced", walled, _COMPUTED, f"run:{runs[0]}", f"{len(runs)} runs upstream")
    if walled:
        yield Fact("job.network", "none", _COMPUTED, f"run:{runs[0]}", "complete walls leave a job no network")
    else:
        yield Absent("job.network", "some runs had no complete walls")


def _reproduction(known: Known) -> Found:
    if known.maker is None:
        yield Absent("reproduction.", "no recorded run made it, so it cannot be made again")
        return
    if not known.reproductions:
        yield Absent("reproduction.", "nobody reproduced it")
    else:
        newest = known.reproductions[0]
        verdict = str(newest.result["verdict"]["verdict"])
        grade, record = _grade_of(newest), f"run:{newest.id}"
        same = verdict == Alikeness.IDENTICAL_BYTES
        yield Fact("reproduction.identical", same, grade, record, f"{verdict}, by {newest.requested_by}")
        others = [r for r in known.reproductions if r.requested_by != known.maker.requested_by]
        others = [r for r in others if r.result["verdict"]["verdict"] == Alikeness.IDENTICAL_BYTES]
        record = f"run:{others[0].id}" if others else record
        text = f"by {others[0].requested_by}" if others else "no identical one by another person"
        yield Fact("reproduction.other_person", bool(others), grade, record, text)
    text = f"other models of experiment {known.maker.experiment}"
    yield Fact("alternatives.count", len(known.trials), _COMPUTED, f"run:{known.maker.id}", text)


def _code(known: Known) -> Found:
    if known.maker is None:
        yield Absent("code.", "no recorded run made it")
        yield Absent("environment.", "no recorded run made it")
        return
    record, grade = f"run:{known.maker.id}", _grade_of(known.maker)
    if known.maker.job["source"] is None:
        yield Fact("code.clean", True, grade, record, "the platform's own program")
        yield Absent("code.commit", "the platform's own program made it; its version stands in the lineage")
    else:
        origin = known.maker.facts.get("origin") or {}
        text = "as the side that submitted it saw the tree"
        yield Fact("code.clean", origin.get("clean") is True, Grade.DECLARED, record, text)
        if origin.get("commit"):
            yield Fact("code.commit", str(origin["commit"]), Grade.DECLARED, record, text)
        else:
            yield Absent("code.commit", "the code came from no commit")
    if known.environment is None:
        yield Absent("environment.packages", "the job environment is not kept any more")
    else:
        wheels = sorted("==".join(wheel.filename.split("-")[:2]) for wheel in known.environment.wheels)
        text = f"env:{known.environment.name}@{known.environment.version}"
        yield Fact("environment.packages", wheels, grade, str(known.environment.digest), text)


def _inventory(known: Known) -> Found:
    model, records = known.model, known.records
    registration = _last(records, RecordKind.REGISTRATION)
    algorithm = model.facts.get("algorithm") or (registration.body.get("algorithm") if registration else None)
    if algorithm:
        yield Fact("model.algorithm", str(algorithm), model.grade, str(model.digest), "as the model says")
    age = (known.at - model.at).days
    yield Fact("model.age_days", max(0, age), _COMPUTED, str(model.digest), f"made {format_time(model.at)[:10]}")
    if registration is None:
        yield Absent("model.", "it is not registered")
        yield Absent("usecase.", "it is not registered")
    else:
        for name in ("origin", "owner"):
            if registration.body.get(name):
                yield _stated(f"model.{name}", str(registration.body[name]), registration, "its registration")
        kind = _last(records, RecordKind.DETERMINATION)
        told = str(kind.body["result"] if kind else registration.body.get("model_kind", "model"))
        yield _stated("model.kind", told, kind or registration, "as determined" if kind else "as registered")
        version = known.version
        if version is not None:
            text = f"since {format_time(version.since)[:10]}"
            yield Fact("model.state", version.state_at(known.at).value, _COMPUTED, str(registration.digest), text)
        yield from _use(known, registration)
    tier = _last(records, RecordKind.TIER)
    if tier is None:
        yield Absent("tier.", "it has no tier")
    else:
        yield _stated("tier.level", int(tier.body["level"]), tier, f"by rule {tier.body.get('rule')}"[:200])
    yield from _present("determination", known, RecordKind.DETERMINATION, "nobody determined whether it is a model")
    yield from _present("submission", known, RecordKind.SUBMISSION, "it was not submitted")


def _use(known: Known, registration: Record) -> Found:
    told = known.use_case
    record = str((told or registration).digest)
    name = registration.body.get("use_case")
    text = f"use case {name}" if told is not None else "it is registered under no use case that exists"
    yield Fact("usecase.present", told is not None, _COMPUTED, record, text)
    if told is None:
        yield Absent("usecase.", text)
        return
    if told.body.get("owner"):
        yield _stated("usecase.owner", str(told.body["owner"]), told, text)
    kpis = [str(kpi["name"]) for kpi in told.body.get("kpis") or []]
    yield _stated("usecase.kpis", kpis, told, text)


def _validation(known: Known) -> Found:
    review = _last(known.records, RecordKind.REVIEW)
    if review is None:
        yield Absent("validation.", "it was not validated")
        return
    yield _stated("validation.present", True, review, f"by {review.by}")
    why = known.parties.why(_account(review.by))
    independent = not why
    text = "; ".join(why)[:300] if why else f"{review.by} had no part in it, and depends on nobody who had"
    yield Fact("validation.independent", independent, _COMPUTED, str(review.digest), text)
    yield _stated("validation.outcome", str(review.body["outcome"]), review, f"by {review.by}")


def _promoted(version: Version, promotion: Record, at: datetime) -> Found:
    """The approval of another project, as the promotion tells of it; the signatures, and who had a part, lie there."""
    source, body = promotion.body["source"], promotion.body
    by = f"in project {source}, by {', '.join(version.approvers)}"
    yield _stated("approval.count", len(version.approvers), promotion, by)
    yield _stated("approval.emergency", bool(body["emergency"]), promotion, by)
    yield _stated("approval.expires", str(body["expires"]), promotion, by)
    yield _stated("approval.expired", parse_time(body["expires"]) <= at, promotion, f"it ends {body['expires']}")
    yield _stated("approval.conditions", list(body["conditions"]), promotion, by)
    yield Absent("approval.", f"it was approved in project {source}, and the facts about that are recorded there")


def _approval(known: Known) -> Found:
    version = known.version
    if version is None:
        yield Absent("approval.", "it is not registered")
        return
    if version.tier is not None:
        yield _stated("approval.required", version.required, version.tier, f"tier {version.level} asks for it")
    if version.promotion is not None:
        yield from _promoted(version, version.promotion, known.at)
        return
    standing = version.emergency if version.emergency_at(known.at) else version.in_force
    pending = version.approvals if version.state_at(known.at) is not State.APPROVED else ()
    approvals = pending or (standing.records if standing is not None else ())
    if not approvals:
        yield Absent("approval.", "nobody has approved it")
        return
    people = sorted({record.by for record in approvals})
    record, by = str(approvals[-1].digest), ", ".join(people)
    yield Fact("approval.count", len(people), _COMPUTED, record, f"by {by}")
    signed = all(record.body.get("signature") for record in approvals)
    yield Fact("approval.signed", signed, _COMPUTED, record, f"{len(approvals)} approvals")
    why = [one for person in people for one in known.parties.why(_account(person))]
    yield Fact("approval.independent", not why, _COMPUTED, record, "; ".join(why)[:300] if why else f"by {by}")
    emergency = standing is not None and standing is version.emergency
    yield Fact("approval.emergency", emergency, _COMPUTED, record, "by break-glass" if emergency else "by the steps")
    if standing is None:
        yield Absent("approval.", f"{len(people)} of {version.required} have approved it")
        return
    record = str(standing.record.digest)
    expires = format_time(standing.expires)
    yield Fact("approval.expires", expires, _COMPUTED, record, "the first end of the approvals in force")
    yield Fact("approval.expired", standing.expires <= known.at, _COMPUTED, record, f"it ends {expires}")
    yield Fact("approval.conditions", list(standing.conditions), _COMPUTED, record, "of all approvals in force")


def _findings(known: Known) -> Found:
    findings = findings_in(known.records)
    still = [one for one in findings if one.open]
    high = [one for one in still if one.severity is Severity.HIGH]
    late = [one for one in still if one.overdue(known.at)]
    for name, some in (("open", still), ("high", high), ("overdue", late), ("total", findings)):
        record = str(some[-1].record.digest) if some else str(known.model.digest)
        titles = "; ".join(str(one.record.body["title"]) for one in some[:3]) or "none is recorded"
        yield Fact(f"findings.{name}", len(some), _COMPUTED, record, titles[:200])


def _challenge(known: Known) -> Found:
    threads = threads_in(known.records)
    turns = sum(1 + len(thread.replies) for thread in threads)
    waiting = [thread for thread in threads if not thread.resolved]
    record = str(threads[-1].root.digest) if threads else str(known.model.digest)
    yield Fact("challenge.comments", turns, _COMPUTED, record, f"in {len(threads)} threads")
    record = str(waiting[-1].root.digest) if waiting else record
    yield Fact("challenge.unresolved", len(waiting), _COMPUTED, record, "not resolved by those who asked")


def _reviews(known: Known) -> Found:
    waiting = [review for review in known.reviews if review.done is None]
    late = [review for review in waiting if review.overdue(known.at)]
    record = str(known.model.digest)
    text = "; ".join(f"{one.trigger}, due {one.due}: {one.reason}" for one in waiting[:3])[:300] or "none is waiting"
    yield Fact("review.scheduled", bool(waiting), _COMPUTED, record, text)
    yield Fact("review.overdue", bool(late), _COMPUTED, record, f"{len(late)} overdue" if late else "none is overdue")
    if waiting:
        yield Fact("review.next_due", waiting[0].due.isoformat(), _COMPUTED, record, waiting[0].reason)
    else:
        yield Absent("review.next_due", "no review is waiting")


def _change(known: Known) -> Found:
    change = _last(known.records, RecordKind.CHANGE)
    if change is None:
        yield Absent("change.", "it was compared with no version before it")
        return
    decided = change.body.get("decided_class")
    name = str(decided or change.body["proposed_class"])
    yield _stated("change.class", name, change, "decided" if decided else "proposed by the rule, not decided")
    yield Fact("change.decided", bool(decided), _COMPUTED, str(change.digest), f"by {change.by}")


def _dependencies(known: Known) -> Found:
    own = str(known.model.digest)
    feeding = {str(d) for d, n in known.upstream.entities.items() if n.kind is EntityKind.MODEL} - {own}
    fed = {
        str(edge.entity)
        for edge in known.downstream.edges
        if edge.relation is Relation.GENERATED
        and known.downstream.entities[edge.entity].kind in (EntityKind.MODEL, EntityKind.DATA, EntityKind.ARTIFACT)
    } - {own}
    grade = _COMPUTED
    for record in known.dependencies:
        upstream, downstream = str(record.body.get("upstream")), str(record.body.get("downstream") or record.subject)
        if downstream == own and upstream not in ("None", own):
            feeding.add(upstream)
            grade = Grade.DECLARED
        elif upstream == own:
            fed.add(downstream)
            grade = Grade.DECLARED
    text = "by lineage, and by what people stated" if known.dependencies else "by lineage"
    yield Fact("dependencies.upstream", len(feeding), grade, own, text)
    yield Fact("dependencies.downstream", len(fed), grade, own, text)


def _installation(known: Known) -> Found:
    if known.head is None:
        yield Fact("ledger.signed", False, _COMPUTED, str(known.model.digest), "there is no checkpoint yet")
        yield Absent("ledger.", "there is no checkpoint yet")
    else:
        size = known.head.checkpoint.size
        yield Fact("ledger.entries", size, _COMPUTED, f"checkpoint:{size}", "under the newest checkpoint")
        yield Fact("ledger.signed", True, _COMPUTED, f"checkpoint:{size}", "by the ledger's key")
        names = ", ".join(known.witnesses) or "none is named"
        yield Fact("ledger.witnesses", len(known.witnesses), _COMPUTED, f"checkpoint:{size}", names)
        seen = known.witnessed
        text = "no checkpoint bears the cosignatures that are asked for" if seen is None else f"{seen} entries cosigned"
        yield Fact("ledger.witnessed", seen is not None, _COMPUTED, f"checkpoint:{seen or size}", text)
    if known.keys:
        newest, text = known.keys[0], "wrapped by this installation's own key service"
        record = f"key:{newest.project}@{newest.version}"
        yield Fact("key.customer_managed", True, _COMPUTED, record, text)
        yield Fact("key.rotated", newest.version > 1, _COMPUTED, record, f"version {newest.version} is in use")
    heads = [known.publications[scope] for scope in sorted(known.publications)]
    if heads:
        version = ", ".join(f"{head.scope or 'installation'}@{head.version}" for head in heads)
        yield Fact("policy.version", version, _COMPUTED, str(heads[-1].document), "published by the institution")
    else:
        record = str(known.model.digest)
        yield Fact("policy.version", "shipped", _COMPUTED, record, "the policies that ship, and none besides")
    yield Fact("policy.roles", list(known.roles), _COMPUTED, str(known.model.digest), "held by somebody at that time")
    if known.drills:
        yield _stated("drill.present", True, known.drills[0], f"on {format_time(known.drills[0].at)[:10]}")
    else:
        yield Absent("drill.present", "no exercise of the exit plan is recorded")


def _present(name: str, known: Known, kind: RecordKind, why: str) -> Found:
    record = _last(known.records, kind)
    if record is None:
        yield Absent(f"{name}.", why)
    else:
        yield _stated(f"{name}.present", True, record, f"by {record.by}")


def _stated(name: str, value: Value, record: Record, text: str) -> Fact:
    return Fact(name, value, record.grade, str(record.digest), text)


def _measured(known: Known, name: str, value: Value, by: Measurement, text: str) -> Fact:
    absence = known.absences.get(by.data) if by.data is not None else None
    grade = weakest([by.grade, absence.grade]) if absence is not None else by.grade
    return Fact(name, value, grade, f"run:{by.run.id}", text, run=by.run.id)


def _account(agent: str) -> str:
    """The name of an account, of ``User:ana``."""
    return agent.partition(":")[2]


def _last(records: Sequence[Record], kind: RecordKind) -> Record | None:
    return next((record for record in reversed(records) if record.kind is kind), None)


def _no_evaluation(known: Known) -> str:
    if not known.evaluations:
        return "no evaluation of it is recorded"
    return "no evaluation was on data proven unused in its training"


def _called(known: Known, digest: Digest | None) -> str:
    if digest is None:
        return "data that is not recorded"
    return known.labels.get(digest, digest.short)


def _grade_of(run: Run) -> Grade:
    enforcement = run.result.get("enforcement")
    return Grade.PROVEN if enforcement and enforcement["complete"] else Grade.DECLARED


def _finite(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _word(column: str) -> str:
    """A column as a word of a fact's name."""
    word = re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_")
    return word or "unnamed"


def _strictness(classification: str) -> int:
    known = classification in CLASSIFICATIONS
    return CLASSIFICATIONS.index(classification) if known else len(CLASSIFICATIONS)


_SIDES: Final = (
    _performance,
    _fairness,
    _stability,
    _explanation,
    _data,
    _examinations,
    _holdout,
    _lineage,
    _reproduction,
    _code,
    _inventory,
    _validation,
    _approval,
    _findings,
    _challenge,
    _reviews,
    _change,
    _dependencies,
    _installation,
    *ASSURANCE,
)
