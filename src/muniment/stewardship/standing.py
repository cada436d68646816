"""What holds of data sets at a moment: what stewards stated, what holds, which grants; inherited along the lineage.

Everything is folded from records, which are only ever added, and from lineage; nothing is kept beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Graph, Relation
from muniment.catalog.ports import Entities, Lineage, Names
from muniment.execution.queue import RunQueue
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import parse_time
from muniment.kernel.ports import Session
from muniment.stewardship.terms import ANYTHING, WEIGHED, Terms, at_ingestion, of_document, strictest

__all__ = ["DataGrant", "Hold", "Situation", "brought_in", "grants_in", "holds_in", "of_snapshot", "subjects_of"]

_PLATFORMS = frozenset({EntityKind.BASE, EntityKind.ENVIRONMENT, EntityKind.CODE})


@dataclass(frozen=True, slots=True)
class DataGrant:
    """A request for access to data, and what came of it."""

    asked: Record
    decision: Record | None = None
    revocation: Record | None = None

    @property
    def account(self) -> str:
        """Who gets access, as ``User:ana``."""
        return str(self.asked.body["account"])

    @property
    def purpose(self) -> str:
        """What for."""
        return str(self.asked.body["purpose"])

    @property
    def until(self) -> datetime | None:
        """When it ends by itself; None before it was approved."""
        if self.decision is None or self.decision.body["decision"] != "approved":
            return None
        return parse_time(self.decision.body["until"])

    def state(self, now: datetime) -> str:
        """``requested``, ``rejected``, ``active``, ``expired`` or ``revoked``."""
        if self.revocation is not None:
            return "revoked"
        if self.decision is None:
            return "requested"
        until = self.until
        if until is None:
            return "rejected"
        return "active" if now < until else "expired"

    def serves(self, account: str, purposes: frozenset[str], now: datetime) -> bool:
        """Whether it lets an account use the data for one of these purposes now."""
        said = {one.casefold() for one in purposes}
        return self.account == account and self.state(now) == "active" and self.purpose.casefold() in said


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on data, and its release."""

    placed: Record
    released: Record | None = None

    @property
    def forbids_use(self) -> bool:
        """Whether nothing may use the data while it lasts."""
        return bool(self.placed.body["forbids_use"])

    def __str__(self) -> str:
        """As a refusal names it."""
        return f"hold {self.placed.id} for {self.placed.body['case']}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds of one snapshot."""

    own: Terms
    """Stated about it, by itself or by its name."""

    terms: Terms
    """With everything that it inherits."""

    records: tuple[Record, ...]
    """The statements that the terms rest on, of it and of what it was made of."""

    holds: tuple[Hold, ...]
    """On itself, in force."""

    frozen: tuple[Hold, ...]
    """Holds that forbid its use, on itself or on what it was made of."""

    grants: tuple[tuple[DataGrant, ...], ...]
    """For each way back to where it began the grants that speak of it: one of each is needed."""

    waiting: tuple[Record, ...] = ()
    """Statements about itself that would widen its terms and wait for a second person."""

    def granted(self, account: str, purposes: frozenset[str], now: datetime) -> tuple[DataGrant, ...] | None:
        """The grants under which an account may use it for one of these purposes; None when one is missing."""
        found: dict[str, DataGrant] = {}
        for choice in self.grants:
            serving = next((one for one in choice if one.serves(account, purposes, now)), None)
            if serving is None:
                return None
            found[serving.asked.id] = serving
        return tuple(found.values())

    def grantees(self, now: datetime, purposes: frozenset[str] | None = None) -> list[str]:
        """Accounts that have access by grants now, for one of these purposes or for any."""
        accounts = {one.account for choice in self.grants for one in choice if one.state(now) == "active"}
        whatever = {one.purpose for choice in self.grants for one in choice}
        return sorted(
            account
            for account in accounts
            if self.granted(account, frozenset(whatever) if purposes is None else purposes, now) is not None
        )


def of_snapshot(session: Session, project: str, digest: Digest) -> Situation:
    """What holds of a snapshot, with what it inherits: from everything that it was made of, and from its copies.

    The same bytes come in more than once, in another file, read another way, under another name: then they are under
    the strictest of all the terms that were ever stated for them.
    """
    return _situation(session, project, digest, {digest})


def _situation(session: Session, project: str, digest: Digest, seen: set[Digest]) -> Situation:
    graph = session.use(Lineage).closure(project, digest, Direction.UPSTREAM)
    origins = [one for one, node in graph.entities.items() if node.kind not in _PLATFORMS]
    known = session.use(Entities).find(project, {digest, *origins})
    names = session.use(Names).of(project, known)
    subjects = {one: _subjects(one, (f"{n.kind}:{n.name}" for n in names.get(one, []))) for one in known}
    told: dict[str, list[Record]] = {}
    for record in session.use(Records).about(project, {s for all_ in subjects.values() for s in all_}):
        told.setdefault(record.subject, []).append(record)
    later = _later(session, project, [record for records in told.values() for record in records])
    spoken = {one: sorted((r for s in subjects[one] for r in told.get(s, ())), key=_id) for one in known}
    began = _ingested(session, project, graph)
    walk = _Walk(graph, known, spoken, later, began)
    mine = walk.situation(digest)
    seen |= set(known)
    copies = _copies(session, project, walk.begun(digest)) - seen
    seen |= copies
    return _together(mine, [_situation(session, project, one, seen) for one in sorted(copies)])


def _copies(session: Session, project: str, begun: Iterable[Digest]) -> set[Digest]:
    """Snapshots that hold the content of one of these, share a piece with it, or were read from the same file."""
    asked = set(begun)
    entities = session.use(Entities)
    found = {match.entity for match in entities.alike(project, asked)} if asked else set()
    known = entities.find(project, found | asked)
    files = sorted(one for one in known if known[one].kind is EntityKind.FILE)
    snapshots = {one for one in found if known[one].kind is EntityKind.DATA}
    return snapshots.union(*(brought_in(session, project, file) for file in files))


def _together(mine: Situation, copies: Sequence[Situation]) -> Situation:
    """The situation of a snapshot that has copies: no looser than that of any of them.

    A grant that speaks of one of them speaks of the same rows, and so serves for all.
    """
    if not copies:
        return mine
    every = [mine, *copies]
    terms = strictest(one.terms for one in every)
    pool = {grant.asked.id: grant for one in every for choice in one.grants for grant in choice}
    needing = [one for one in every if one.terms.access == "grant" or one.terms.classification == terms.classification]
    base = mine if mine in needing else needing[0]
    choices = [tuple({**{grant.asked.id: grant for grant in choice}, **pool}.values()) for choice in base.grants]
    return replace(
        mine,
        terms=terms,
        records=tuple(sorted({r.id: r for one in every for r in one.records}.values(), key=_id)),
        frozen=tuple({hold.placed.id: hold for one in every for hold in one.frozen}.values()),
        grants=tuple(choices),
    )


def brought_in(session: Session, project: str, file: Digest) -> list[Digest]:
    """The snapshots that were ingested from a file: what holds of them holds of the file, which has the same rows."""
    lineage = session.use(Lineage)
    near = lineage.around(project, [file])
    readers = [
        edge.activity
        for edge in near.edges
        if edge.relation is Relation.USED
        and edge.entity == file
        and near.activities[edge.activity].kind is ActivityKind.INGEST
    ]
    edges = lineage.of_activities(project, readers).edges if readers else ()
    return sorted({edge.entity for edge in edges if edge.relation is Relation.GENERATED})


class _Walk:
    """From what was said about each entity to what holds of one, by way of the lineage."""

    def __init__(
        self,
        graph: Graph,
        known: Mapping[Digest, Entity],
        spoken: Mapping[Digest, Sequence[Record]],
        later: Mapping[str, Sequence[Record]],
        began: Mapping[Digest, Terms],
    ) -> None:
        self._known, self._spoken, self._later, self._began = known, spoken, later, began
        makers: dict[Digest, set[str]] = {}
        used: dict[str, set[Digest]] = {}
        for edge in graph.edges:
            if edge.relation is Relation.GENERATED:
                makers.setdefault(edge.entity, set()).add(edge.activity)
            else:
                used.setdefault(edge.activity, set()).add(edge.entity)
        self._inputs = {
            one: sorted(
                {entity for maker in makers.get(one, ()) for entity in used.get(maker, ()) if entity in known} - {one}
            )
            for one in known
        }
        self._order, self._circular = _inputs_first(self._inputs)
        self._told = {one: self._statements(one) for one in known}
        self._lone = {one for one, (_, records, _) in self._told.items() if any(map(_stands_alone, records))}
        self._strict = self._inherited()
        self._ways: dict[tuple[Digest, frozenset[Digest]], list[tuple[DataGrant, ...]]] = {}

    def _inherited(self) -> dict[Digest, Terms]:
        """The terms of everything: its own with those of its inputs, again until nothing changes, for circles."""
        strict = {one: told[0] for one, told in self._told.items()}
        changed = True
        while changed:
            changed = False
            for one in self._order:
                if one in self._lone or not self._inputs[one]:
                    continue
                whole = strictest({strict[one], *(strict[other] for other in self._inputs[one])})
                if whole != strict[one]:
                    strict[one], changed = whole, bool(self._circular) or changed
        return strict

    def situation(self, digest: Digest) -> Situation:
        """What holds of one entity."""
        reached = self._reached(digest)
        own, records, waiting = self._stated(digest)
        terms, seen = [own], [*records]
        for one in reached[1:]:
            inherited, said, _ = self._stated(one)
            terms.append(inherited)
            seen += said
        holds = [hold for hold in holds_in(self._spoken[digest], self._later) if hold.released is None]
        frozen = [
            hold
            for one in reached
            for hold in holds_in(self._spoken[one], self._later)
            if hold.released is None and hold.forbids_use
        ]
        return Situation(
            own=own,
            terms=strictest(terms),
            records=tuple(sorted({r.id: r for r in seen}.values(), key=_id)),
            holds=tuple(holds),
            frozen=tuple({hold.placed.id: hold for hold in frozen}.values()),
            grants=tuple(self._all_ways(digest)),
            waiting=waiting,
        )

    def begun(self, digest: Digest) -> list[Digest]:
        """Where an entity began, as far as its terms come from there: itself, snapshots that came in, their files.

        Nothing where two people said that its terms are its own.
        """
        if self._alone(digest):
            return []
        reached = self._reached(digest)
        began = [one for one in reached if self._known[one].kind in (EntityKind.DATA, EntityKind.FILE)]
        return [digest, *(one for one in began if one != digest and not self._from_data(one))]

    def _from_data(self, digest: Digest) -> bool:
        return any(self._known[one].kind is not EntityKind.FILE for one in self._inputs[digest])

    def _reached(self, digest: Digest) -> list[Digest]:
        """The entity and what it inherits from: what stands alone passes nothing on from behind it."""
        found, queue = {digest: None}, [digest]
        while queue:
            one = queue.pop()
            if one in self._lone:
                continue
            fresh = [other for other in self._inputs[one] if other not in found]
            found |= dict.fromkeys(fresh)
            queue += fresh
        return [*found]

    def _alone(self, digest: Digest) -> bool:
        """Whether two persons said that its terms are its own: it no longer tells what it was made of."""
        return digest in self._lone

    def _in_force(self, digest: Digest) -> list[Record]:
        return [r for r in self._spoken[digest] if r.kind is RecordKind.DATA_TERMS and not self._waits(r)]

    def _waits(self, record: Record) -> bool:
        """Whether a statement that widens waits for its second person."""
        agreed = (r.kind is RecordKind.DATA_TERMS_CONFIRMATION for r in self._later.get(record.id, ()))
        return bool(record.body["widens"]) and not any(agreed)

    def _stated(self, digest: Digest) -> tuple[Terms, list[Record], tuple[Record, ...]]:
        return self._told[digest]

    def _statements(self, digest: Digest) -> tuple[Terms, list[Record], tuple[Record, ...]]:
        terms = self._began.get(digest, ANYTHING)
        entity = self._known[digest]
        if entity.kind is EntityKind.DATA and not self._from_data(
            digest
        ):  # what was made of data takes over what holds of them now
            terms = strictest([terms, at_ingestion(entity.facts)])
        records = self._in_force(digest)
        for record in records:
            terms = _merged(terms, record)
        waiting = [r for r in self._spoken[digest] if r.kind is RecordKind.DATA_TERMS and self._waits(r)]
        return terms, records, tuple(waiting)

    def _terms(self, digest: Digest) -> Terms:
        return self._strict[digest]

    def _all_ways(self, digest: Digest) -> list[tuple[DataGrant, ...]]:
        for one in self._order:  # inputs before what was made of them: no chain is too long to follow
            if one not in self._circular:
                self._grants(one, frozenset())
        return self._grants(digest, frozenset())

    def _grants(self, digest: Digest, seen: frozenset[Digest]) -> list[tuple[DataGrant, ...]]:
        """Grants about the entity itself, or else one of each about what it was made of.

        There are far more ways back than entities; what is known of an entity is known for every way that leads over
        it. Only in a circle does it matter whence one comes.
        """
        seen &= self._circular
        known = self._ways.get((digest, seen))
        if known is not None:
            return known
        met = seen | {digest}
        mine = tuple(grants_in(self._spoken[digest], self._later))
        inputs = [] if self._alone(digest) else [one for one in self._inputs[digest] if one not in met]
        whole = self._terms(digest).classification
        needing = [
            one
            for one in inputs
            if self._known[one].kind is not EntityKind.FILE
            and (self._terms(one).access == "grant" or self._terms(one).classification == whole)
        ]
        below = [choice for one in needing for choice in self._grants(one, met)]
        ways = [(*choice, *mine) for choice in below] or [mine]
        found = [*{tuple(grant.asked.id for grant in way): way for way in reversed(ways)}.values()][::-1]
        self._ways[digest, seen] = found
        return found


def _stands_alone(record: Record) -> bool:
    return bool(record.body.get("stands_alone"))


def _inputs_first(inputs: Mapping[Digest, Sequence[Digest]]) -> tuple[list[Digest], frozenset[Digest]]:
    """An order in which inputs come before what was made of them, and what stands in a circle or between two.

    Those in circles come in any order, behind all that the circles do not rest on.
    """
    makes: dict[Digest, list[Digest]] = {}
    for one, some in inputs.items():
        for other in some:
            makes.setdefault(other, []).append(one)
    waiting = {one: len(some) for one, some in inputs.items()}
    order = [one for one, many in waiting.items() if not many]
    for one in order:
        order += _freed(waiting, makes.get(one, ()))
    circular = dict.fromkeys(one for one, many in waiting.items() if many)
    needed = {one: sum(made in circular for made in makes.get(one, ())) for one in circular}
    idle = [one for one, many in needed.items() if not many]
    for one in idle:
        del circular[one]
        idle += _freed(needed, [other for other in inputs[one] if other in needed])
    behind = [*circular]
    for one in behind:
        behind += _freed(waiting, [made for made in makes.get(one, ()) if made not in circular])
    return order + behind, frozenset(circular)


def _freed(waiting: dict[Digest, int], some: Iterable[Digest]) -> list[Digest]:
    """Those that wait for nothing more, one less being waited for by each."""
    freed = []
    for one in some:
        waiting[one] -= 1
        if not waiting[one]:
            freed.append(one)
    return freed


def _merged(terms: Terms, record: Record) -> Terms:
    """The terms after a statement.

    What a statement narrows is narrowed, whatever was said before. What two people widened is as they said, where the
    terms were no stricter than those that they saw: of another version under the same name, which was told more
    strictly, they did not speak.
    """
    after, before = of_document(record.body["terms"]), of_document(record.body["before"])
    both, seen = strictest([terms, after]), strictest([terms, before])
    values = {name: getattr(terms, name) for name in _FIELDS.values()}
    for name in (_FIELDS[one] for one in record.body["states"]):
        agreed = name in record.body["widens"] and getattr(seen, name) == getattr(before, name)
        values[name] = getattr(after if agreed or name not in WEIGHED else both, name)
    return Terms(**values)


_FIELDS: Final = {
    "classification": "classification",
    "owner": "owners",
    "purposes": "purposes",
    "legal_basis": "legal_basis",
    "rights": "forbids",
    "use_until": "use_until",
    "retention": "retention",
    "keep_until": "keep_until",
    "access": "access",
}
"""What a statement calls the fields of terms."""


def grants_in(records: Iterable[Record], later: Mapping[str, Sequence[Record]]) -> list[DataGrant]:
    """The grants among these records, oldest first."""
    found = []
    for record in records:
        if record.kind is not RecordKind.DATA_GRANT:
            continue
        decisions = [r for r in later.get(record.id, ()) if r.kind is RecordKind.DATA_GRANT_DECISION]
        decided = next((r for r in decisions if r.body["decision"] != "revoked"), None)
        revoked = next((r for r in decisions if r.body["decision"] == "revoked"), None)
        found.append(DataGrant(record, decided, revoked))
    return found


def holds_in(records: Iterable[Record], later: Mapping[str, Sequence[Record]]) -> list[Hold]:
    """The holds among these records, oldest first."""
    found = []
    for record in records:
        if record.kind is RecordKind.DATA_HOLD:
            releases = [r for r in later.get(record.id, ()) if r.kind is RecordKind.DATA_HOLD_RELEASE]
            found.append(Hold(record, releases[0] if releases else None))
    return found


def subjects_of(session: Session, project: str, digests: Iterable[Digest]) -> dict[Digest, tuple[str, ...]]:
    """What records about each of these entities can have as their subject: the digest, and its names."""
    asked = list(digests)
    names = session.use(Names).of(project, asked)
    return {one: _subjects(one, (f"{n.kind}:{n.name}" for n in names.get(one, []))) for one in asked}


def with_later(
    session: Session, project: str, records: Sequence[Record]
) -> tuple[Sequence[Record], Mapping[str, Sequence[Record]]]:
    """These records, and what was said later about each of them."""
    return records, _later(session, project, records)


def days_after(now: datetime, until: datetime | None) -> int | None:
    """Whole days left; None without an end."""
    return None if until is None else max(0, (until.astimezone(UTC) - now.astimezone(UTC)).days)


def _later(session: Session, project: str, records: Iterable[Record]) -> Mapping[str, Sequence[Record]]:
    ids = [record.id for record in records]
    found: dict[str, list[Record]] = {}
    for record in session.use(Records).about(project, ids) if ids else ():
        found.setdefault(record.subject, []).append(record)
    return found


def _subjects(digest: Digest, names: Iterable[str]) -> tuple[str, ...]:
    return (str(digest), *dict.fromkeys(names))


def _ingested(session: Session, project: str, graph: Graph) -> dict[Digest, Terms]:
    """What was said of each snapshot when its file was brought in."""
    found: dict[Digest, list[Terms]] = {}
    for edge in graph.edges:
        node = graph.activities.get(edge.activity)
        if edge.relation is Relation.GENERATED and node is not None and node.kind is ActivityKind.INGEST:
            run = session.use(RunQueue).get(project, edge.activity)
            if run is not None:
                found.setdefault(edge.entity, []).append(at_ingestion(run.facts))
    return {digest: strictest(terms) for digest, terms in found.items()}


def _id(record: Record) -> str:
    return record.id
