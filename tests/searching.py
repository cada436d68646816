"""What searches mean, said again without SQL: a small world of runs and data, and a naive evaluator over it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any as Whatever
from typing import Final

from sqlalchemy import Connection

from muniment.adapters.sql.catalog import SqlActivities, SqlEntities, SqlLineage, SqlMetrics, SqlNames
from muniment.adapters.sql.execution import SqlRunLabels, SqlRunQueue
from muniment.catalog.declaring import Declarer
from muniment.catalog.model import EntityKind, Metric
from muniment.catalog.ports import Activities, Entities, Lineage, Names
from muniment.execution.model import Run, RunStatus
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import Comparator, Day, Number, Text
from muniment.kernel.identifiers import format_time
from muniment.kernel.ports import Session
from muniment.search.kinds import KINDS, Type, find_field
from muniment.search.language import (
    All,
    Any,
    Comparison,
    Condition,
    Match,
    Matching,
    Membership,
    Moment,
    Negation,
    Now,
    Path,
    Presence,
    Query,
    Span,
)

NOW: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)
PROJECT: Final = "main"


@dataclass(frozen=True)
class Ran:
    """One run of a small world."""

    number: int
    kind: str = "train"
    label: str = "xgboost"
    experiment: str | None = None
    author: str = "User:ana"
    age_s: int = 0
    took_s: float | None = None
    status: str = "queued"
    seed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Whatever] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    """Names of data sets."""

    @property
    def id(self) -> str:
        """Its ULID."""
        return f"01{self.number:024d}"

    def facts(self) -> dict[tuple[str, str | None], list[Whatever]]:
        """Every value of every field."""
        created = NOW - timedelta(seconds=self.age_s)
        found: dict[tuple[str, str | None], list[Whatever]] = {
            ("id", None): [self.id],
            ("kind", None): [self.kind],
            ("label", None): [self.label],
            ("author", None): [self.author],
            ("created", None): [format_time(created)],
            ("status", None): [self.status],
            ("seed", None): [float(self.seed)],
            ("grade", None): ["declared"],
        }
        if self.experiment is not None:
            found["experiment", None] = [self.experiment]
        if self.took_s is not None:
            found["started", None] = [format_time(created)]
            found["ended", None] = [format_time(created + timedelta(seconds=self.took_s))]
            found["duration", None] = [self.took_s]
        found |= {("metric", name): [value] for name, value in self.metrics.items()}
        found |= {("param", name): [value] for name, value in self.params.items()}
        found |= {("tag", name): [value] for name, value in self.tags.items()}
        if self.inputs:
            found["input", "name"] = [*self.inputs]
            found["input", "version"] = [1.0 for _ in self.inputs]
            found["input", "reference"] = [f"data:{name}@1" for name in self.inputs]
            found["input", "kind"] = ["data" for _ in self.inputs]
            found["input", "role"] = [f"in{at}" for at, _ in enumerate(self.inputs)]
            found["input", "digest"] = [str(digest_of(name)) for name in self.inputs]
        return found


def digest_of(name: str) -> Digest:
    """The digest of a data set of the world."""
    return Digest.of(name.encode())


class World(Session):
    """The repositories that a world is put in by."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def use(self, port: type[Whatever]) -> Whatever:
        """The one on SQL."""
        return {Entities: SqlEntities, Activities: SqlActivities, Lineage: SqlLineage, Names: SqlNames}[port](self._db)


def put(db: Connection, runs: Sequence[Ran]) -> None:
    """Put runs into the tables by the same doors as the platform."""
    session = World(db)
    writer = Declarer(session, PROJECT, NOW)
    for name in sorted({name for run in runs for name in run.inputs}):
        writer.entity(digest_of(name), EntityKind.DATA, author="User:ana", facts={"rows": len(name)})
        writer.name(EntityKind.DATA, name, digest_of(name), by="User:ana")
    queue, labels, metrics = SqlRunQueue(db), SqlRunLabels(db), SqlMetrics(db)
    for run in runs:
        created = NOW - timedelta(seconds=run.age_s)
        job = {
            "params": dict(run.params),
            "seed": run.seed,
            "inputs": {f"in{at}": str(digest_of(name)) for at, name in enumerate(run.inputs)},
        }
        queue.add(
            Run(
                id=run.id,
                project=PROJECT,
                kind=run.kind,
                label=run.label,
                experiment=run.experiment,
                name=None,
                requested_by=run.author,
                created_at=format_time(created),
                plan=Digest.of(run.id.encode()),
                job=job,
                asked={},
                facts={},
                status=RunStatus(run.status),
                started_at=None,
            )
        )
        labels.tags(PROJECT, run.id, run.tags)
        metrics.append_many(PROJECT, run.id, [Metric(name, value, NOW, 0) for name, value in run.metrics.items()])


def expected(query: Query, runs: Sequence[Ran]) -> list[str]:
    """References of what a query finds, in its order, by the words of the language."""
    found = [run for run in runs if query.condition is None or judged(query.condition, run.facts()) is True]
    found.sort(key=lambda run: -run.number)
    for key in reversed(query.order):
        field_ = find_field(KINDS["run"], key.path.head, key.path.name)
        assert field_ is not None
        found.sort(key=lambda run, k=key, f=field_[1]: _sorted(run, k.path, f.type, f.many, k.descending))
    last = None if query.limit is None else query.offset + query.limit
    return [f"run:{run.id}" for run in found[query.offset : last]]


def _sorted(run: Ran, path: Path, type_: Type, many: bool, descending: bool) -> tuple[Whatever, ...]:
    values = run.facts().get((path.head, path.name), [])
    keys: list[Whatever] = []
    for form in (
        ("number", "text") if type_ is Type.ANY else (("number",) if type_ in (Type.NUMBER, Type.SPAN) else ("text",))
    ):
        read = [number_of(one) if form == "number" else text_of(one) for one in values]
        known = [one for one in read if one is not None]
        if not known:
            keys.append((1, ()))
            continue
        one = (max if descending else min)(known)
        keys.append((0, _Reversed(one) if descending else one))
    return tuple(keys)


class _Reversed:
    """Sorts the other way round."""

    def __init__(self, value: Whatever) -> None:
        self.value = value

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def judged(condition: Condition, facts: Mapping[tuple[str, str | None], Sequence[Whatever]]) -> bool | None:
    """True, False, or None for what is unknown."""
    match condition:
        case Negation(inner):
            outcome = judged(inner, facts)
            return None if outcome is None else not outcome
        case All(parts):
            outcomes = [judged(part, facts) for part in parts]
            return False if False in outcomes else None if None in outcomes else True
        case Any(parts):
            outcomes = [judged(part, facts) for part in parts]
            return True if True in outcomes else None if None in outcomes else False
        case Presence(path, present):
            return bool(facts.get((path.head, path.name))) is present
        case Comparison(path, Comparator.UNEQUAL, value):
            return judged(Negation(Comparison(path, Comparator.EQUAL, value)), facts)
        case Comparison(path) | Membership(path) | Match(path):
            outcomes = [_one(condition, value) for value in facts.get((path.head, path.name), [])]
            return True if True in outcomes else False if False in outcomes else None
    raise TypeError(type(condition).__name__)


def _one(test: Condition, found: Whatever) -> bool | None:
    match test:
        case Match(_, how, Text(words)):
            text = text_of(found)
            if how is Matching.CONTAINS:
                return words in text
            return text.startswith(words) if how is Matching.STARTS else bool(_pattern(words).fullmatch(text))
        case Membership(path, values):
            outcomes = [_one(Comparison(path, Comparator.EQUAL, value), found) for value in values]
            return True if True in outcomes else None if None in outcomes else False
        case Comparison(_, comparator, Number(value)) | Comparison(_, comparator, Span(value)):
            number = number_of(found)
            return None if number is None else _compared(number, comparator, float(value))
        case Comparison(_, comparator, Text(value)):
            return _compared(text_of(found), comparator, value)
        case Comparison(_, comparator, Day(day)):
            return _day(found, comparator, day)
        case Comparison(_, comparator, Moment(moment)):
            return _compared(found, comparator, format_time(moment))
        case Comparison(_, comparator, Now() as now):
            return _compared(found, comparator, format_time(now.at(NOW)))
    raise TypeError(type(test).__name__)


def _day(found: str, comparator: Comparator, day: date) -> bool:
    return _compared(found[:10], comparator, day.isoformat())


def _compared(left: Whatever, comparator: Comparator, right: Whatever) -> bool:
    return {
        Comparator.EQUAL: lambda: left == right,
        Comparator.UNEQUAL: lambda: left != right,
        Comparator.LESS: lambda: left < right,
        Comparator.AT_MOST: lambda: left <= right,
        Comparator.MORE: lambda: left > right,
        Comparator.AT_LEAST: lambda: left >= right,
    }[comparator]()


def _pattern(like: str) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(like):
        if like[at] == "\\" and at + 1 < len(like) and like[at + 1] in "%_\\":
            at += 1
            out.append(re.escape(like[at]))
        else:
            out.append({"%": ".*", "_": "."}.get(like[at]) or re.escape(like[at]))
        at += 1
    return re.compile("".join(out), re.DOTALL)


def number_of(value: Whatever) -> float | None:
    """The number that a value is, if it is one."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number - number == 0 else None


def text_of(value: Whatever) -> str:
    """The text of a value, as a parameter is kept."""
    if isinstance(value, str):
        return value
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
