"""What hermetic jobs found when they examined the data of a model, its features and its training, as facts.

The newest examination counts, whatever it came to. Where a part was never examined the fact is absent and says which:
a gate that asks for it stays shut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from muniment.catalog.model import ActivityKind, Direction, EntityKind, Graph
from muniment.catalog.ports import Lineage
from muniment.errors import MunimentError
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.inventory.facts.fact import Absent, Fact
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.identifiers import parse_time
from muniment.kernel.verb import Call

__all__ = ["NOTHING", "Examination", "Examined", "examined", "facts_of"]

_QUALITY: Final = "muniment.programs.quality"
_HOLDOUT: Final = "/holdout@"
_MOST_SNAPSHOTS: Final = 8
_MOST_VIEWS: Final = 16


@dataclass(frozen=True, slots=True)
class Examination:
    """One job that examined something, with its report."""

    run: str
    grade: Grade
    report: Mapping[str, Any] | None
    """None where it cannot be read any more."""

    question: Mapping[str, Any] | None = None
    """What it was asked, where its plan says so."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was examined, each by what it is called; None where it never was."""

    quality: Mapping[str, Examination | None]
    """Of the snapshots that it learned from."""

    skew: Mapping[str, Examination | None]
    """Of the feature views that its data came from."""

    rows: Mapping[str, Examination | None]
    """Searches for the rows of the holdout in what it learned from."""

    watched: bool = False
    """Whether training rules looked on."""

    rules: Sequence[Mapping[str, Any]] = ()
    """Their verdicts."""

    maker: str | None = None
    enforced: bool = False
    """Whether the run that made it ran behind complete walls."""


NOTHING: Final = Examined({}, {}, {})
"""Nobody examined anything."""


def examined(
    call: Call,
    model: Digest,
    upstream: Graph,
    data: Sequence[Digest],
    parts: Sequence[Digest],
    labels: Mapping[Digest, str],
    maker: Run | None,
    at: datetime,
) -> Examined:
    """Load what was examined by a moment.

    Args:
        call: the request.
        model: the version.
        upstream: everything that it was made of.
        data: snapshots that it learned from.
        parts: the other parts of the split that made them.
        labels: how to call all of these.
        maker: the run that made it.
        at: leave out what ended later.
    """
    views = sorted(one for one, node in upstream.entities.items() if node.kind is EntityKind.FEATURES)[:_MOST_VIEWS]
    held = [one for one in parts if _HOLDOUT in labels.get(one, "")] or list(parts)

    def quality(run: Run, of: Digest) -> bool:
        return (run.job["program"], run.job["inputs"].get("data")) == (_QUALITY, str(of))

    def skew(run: Run, of: Digest) -> bool:
        return bool(run.job["inputs"].get("view") == str(of))

    def rows(run: Run, of: Digest) -> bool:
        asked = run.job["params"].get("question") or {}
        return (asked.get("model_digest"), asked.get("reference_digest")) == (str(model), str(of))

    return Examined(
        quality={
            labels.get(one, one.short): _newest(call, one, ActivityKind.ASSESS, quality, at)
            for one in data[:_MOST_SNAPSHOTS]
        },
        skew={labels.get(one, one.short): _newest(call, one, ActivityKind.SKEW, skew, at) for one in views},
        rows={labels.get(one, one.short): _newest(call, one, ActivityKind.OVERLAP, rows, at, depth=2) for one in held},
        watched=maker is not None and bool(maker.job.get("rules") or maker.result.get("rules")),
        rules=[] if maker is None else list(maker.result.get("rules") or ()),
        maker=None if maker is None else maker.id,
        enforced=maker is not None and _grade(maker) is Grade.PROVEN,
    )


def _newest(call: Call, of: Digest, kind: ActivityKind, fits: Any, at: datetime, depth: int = 1) -> Examination | None:
    """The newest run of a kind that examined an entity and ended well; fingerprints lie between rows and counts."""
    graph = call.use(Lineage).closure(call.project, of, Direction.DOWNSTREAM, depth)
    for id_ in sorted((one for one, node in graph.activities.items() if node.kind is kind), reverse=True):
        run = call.use(RunQueue).get(call.project, id_)
        ended = run is not None and run.status is RunStatus.OK and run.ended_at and parse_time(run.ended_at) <= at
        if run is not None and ended and fits(run, of):
            try:
                report = report_of(call, run)
            except MunimentError:
                report = None
            return Examination(run.id, _grade(run), report, run.job["params"].get("question"))
    return None


def _grade(run: Run) -> Grade:
    enforcement = run.result.get("enforcement")
    return Grade.PROVEN if enforcement and enforcement["complete"] else Grade.DECLARED


def facts_of(known: Examined) -> Iterator[Fact | Absent]:
    """The facts. Pure."""
    yield from _quality(known)
    yield from _skew(known)
    yield from _rules(known)
    yield from _overlap(known)


def _quality(known: Examined) -> Iterator[Fact | Absent]:
    found, why = _all(known.quality, "no recorded run read data to make it", "the quality of {} was never measured")
    if why:
        yield from (Absent(name, why) for name in ("data.quality", "data.quality_violated"))
        return
    grade, record = weakest(one.grade for one in found), f"run:{found[-1].run}"
    verdicts = [str((one.report or {}).get("verdict", "unknown")) for one in found]
    verdict = next((one for one in ("violated", "unknown") if one in verdicts), "ok")
    if any(one not in ("ok", "violated", "unknown") for one in verdicts):
        verdict = "unknown"
    text = f"the newest rules over {', '.join(known.quality)}"[:300]
    yield Fact("data.quality", verdict, grade, record, text)
    if any(one.report is None for one in found):
        yield Absent("data.quality_violated", "a report of the quality cannot be read")
        return
    broken = [
        str(rule.get("rule"))
        for one in found
        for rule in (one.report or {}).get("rules", [])
        if rule.get("verdict") == "violated"
    ]
    yield Fact("data.quality_violated", len(broken), grade, record, f"violated: {', '.join(broken) or 'none'}"[:300])


def _skew(known: Examined) -> Iterator[Fact | Absent]:
    if not known.skew:
        yield Absent("features.skew", "its data came from no feature view")
        return
    found, why = _all(known.skew, "", "online and offline values of {} were never compared")
    counts = [] if why else [_apart(one.report) for one in found]
    if why or None in counts:
        yield Absent("features.skew", why or "a report that compared online values cannot be read")
        return
    apart = sum(one for one in counts if one is not None)
    text = f"entities of {', '.join(known.skew)} whose online row is not what the join gives"[:300]
    yield Fact("features.skew", apart, weakest(one.grade for one in found), f"run:{found[-1].run}", text)


def _apart(report: Mapping[str, Any] | None) -> int | None:
    """Entities that differ, or stand on one side alone."""
    if report is None or not all(isinstance(report.get(one), int) for one in ("compared", "equal")):
        return None
    return int(report["compared"]) - int(report["equal"])


def _rules(known: Examined) -> Iterator[Fact | Absent]:
    if known.maker is None or not known.watched:
        why = "no recorded run made it" if known.maker is None else "no training rules looked on while it was made"
        yield Absent("rules.fired", why)
        return
    fired = sorted({str(one["rule"]) for one in known.rules if one.get("fired")})
    given = [Grade(str(one["grade"])) for one in known.rules if one.get("grade")]
    grade = weakest([Grade.PROVEN if known.enforced else Grade.DECLARED, *given])
    text = f"of {len({str(one['rule']) for one in known.rules})} that said something"
    yield Fact("rules.fired", fired, grade, f"run:{known.maker}", text)


def _overlap(known: Examined) -> Iterator[Fact | Absent]:
    name = "data.overlap_holdout"
    missing = "no split made the training data, so there is no other part"
    found, why = _all(known.rows, missing, "nobody searched for the rows of {} in what it learned from")
    counts = [] if why else [_shared(one) for one in found]
    if why or None in counts:
        yield Absent(name, why or "the search for the rows cannot be read, or is of another question")
        return
    rows = sum(one[0] for one in counts if one is not None)
    grade = weakest(one[1] for one in counts if one is not None)
    yield Fact(name, rows, grade, f"run:{found[-1].run}", f"rows of {', '.join(known.rows)}"[:300])


def _shared(one: Examination) -> tuple[int, Grade] | None:
    """Rows of the holdout that an input holds, or may hold; what was never searched leaves it merely declared."""
    question, report = one.question, one.report
    if question is None or report is None or report.get("question") != question:
        return None
    searches, pairs = question["searches"], report.get("pairs") or {}
    if set(searches) - set(pairs):
        return None
    shared = {name: int(pairs[name]["a_in_b"]) for name in searches}
    certain = [name for name, rows in shared.items() if rows and searches[name]["whole"]]
    if certain:
        return max(shared[name] for name in certain), one.grade
    if any(shared.values()):
        return max(shared.values()), Grade.DECLARED
    grades = [Grade(question["grade"]), *(Grade(searches[name]["grade"]) for name in searches)]
    return 0, weakest([one.grade, *grades])


def _all(some: Mapping[str, Examination | None], nothing: str, missing: str) -> tuple[list[Examination], str]:
    """Every examination, or why there are not all."""
    if not some:
        return [], nothing
    lacking = [name for name, one in some.items() if one is None]
    if lacking:
        return [], missing.format(_several(lacking))
    return [one for one in some.values() if one is not None], ""


def _several(names: Iterable[str]) -> str:
    return ", ".join(names)[:200]
