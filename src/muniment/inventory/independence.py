"""Who made a version, and who depends on those who did: the facts that four eyes look at.

An author is the agent of any activity upstream of the model, whoever brought anything upstream, whoever registered and
submitted it; a service account counts as its owner, and linked accounts count as one person. Whoever runs a recorded
job again, to see whether the same comes out, is no author: a reproduction repeats a plan and adds nothing of its own.

Not independent is further whose account an author made, whose token he issued, or whose role he granted, and whoever
depends in one of these ways on somebody who is not: a chain of accounts makes nobody free. The platform's
own programs, the base root and the job environment are nobody's work on the model, so they bring in no author.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from muniment.catalog.model import ActivityKind, Direction, Entity, EntityKind, Graph, Relation
from muniment.catalog.naming import label
from muniment.catalog.ports import Entities, Lineage
from muniment.identity.ports import Ties
from muniment.inventory.lifecycle import Version
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Session

__all__ = ["Parties", "declared_inputs", "dependants", "is_repeat", "parties"]

_PEOPLE: Final = ("User:", "ServiceAccount:")
_NOBODYS: Final = frozenset({"programs", "base", "environment"})
"""Roles in which a job uses what the platform itself provides."""

_PLATFORMS: Final = frozenset({EntityKind.CODE, EntityKind.BASE, EntityKind.ENVIRONMENT})
"""What it can be: data that somebody calls so is somebody's all the same."""

_DID: Final[Mapping[ActivityKind, str]] = {
    ActivityKind.INGEST: "brought data in",
    ActivityKind.PROFILE: "profiled data in",
    ActivityKind.SPLIT: "split data in",
    ActivityKind.TRAIN: "trained",
    ActivityKind.RUN: "ran a script in",
    ActivityKind.IMPORT: "imported",
}
_BROUGHT: Final[Mapping[RecordKind, str]] = {
    RecordKind.REGISTRATION: "registered it",
    RecordKind.SUBMISSION: "submitted it",
}
"""Records whose maker brought a version in, also when a later one took their place."""

_MOVED: Final = ("made this account", "issued a token of this account")
_MOST_REASONS: Final = 5
_DEEPEST: Final = 8
"""So many declared dependencies are followed one behind the other."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Accounts that are not independent of a version, each with why, in whole sentences."""

    authors: Mapping[str, tuple[str, ...]]
    """Those who had a part in it, with every account of theirs."""

    beholden: Mapping[str, tuple[str, ...]]
    """Those who depend on an author, or on one who does."""

    def why(self, account: str) -> tuple[str, ...]:
        """Why an account is not independent; empty when it is."""
        return (*self.authors.get(account, ()), *self.beholden.get(account, ()))


def parties(session: Session, project: str, digest: Digest, version: Version | None) -> Parties:
    """Who is not independent of a version.

    Args:
        session: the transaction to look in.
        project: the project of the model.
        digest: the model.
        version: what is recorded about it; None before it is registered.
    """
    reasons: dict[str, list[str]] = {}
    _collect(session, project, digest, reasons, depth=0)
    if version is not None:
        _add(reasons, version.registration.by, "registered it")
        # a later registration or submission takes the place of an earlier one, and makes nobody independent again
        for record in session.use(Records).about(project, [str(digest)]):
            if record.kind in _BROUGHT:
                _add(reasons, record.by, _BROUGHT[record.kind])
    ties = session.use(Ties)
    authors = {name: tuple(f"{name} {one}" for one in why[:_MOST_REASONS]) for name, why in reasons.items()}
    for name in sorted(reasons):
        for other in sorted(ties.same([name]) - {name}):
            same = f"{other} and {name} are one person, and {authors[name][0]}"
            authors[other] = (*authors.get(other, ()), same)
    return Parties(authors, dependants(ties, authors, project))


def dependants(
    ties: Ties, on: Mapping[str, tuple[str, ...]], project: str, *, moved: bool = False
) -> dict[str, tuple[str, ...]]:
    """Accounts that depend on others, directly or on one who does, each with why, in whole sentences.

    Args:
        ties: who made, equipped and empowered whom.
        on: the others, each with what is to be said of him.
        project: where a role counts.
        moved: only those in whose name another could act, for he made the account or a token of it; roles do not count.
    """
    found: dict[str, tuple[str, ...]] = {}
    known = dict(on)
    while True:
        nearer: dict[str, tuple[str, ...]] = {}
        for tie in ties.beholden(known, project):
            if moved and tie.how not in _MOVED:
                continue
            said = f"{tie.by} {tie.how} ({tie.account}), and {known[tie.by][0]}"
            nearer[tie.account] = (*nearer.get(tie.account, ()), said)[:_MOST_REASONS]
        if not nearer:
            return found
        found |= nearer
        known |= nearer


def is_repeat(graph: Graph, activity: str) -> bool:
    """Whether an activity only ran a recorded plan again."""
    node = graph.activities[activity]
    return node.kind is ActivityKind.REPRODUCE and any(
        other.plan == node.plan and other.kind is not ActivityKind.REPRODUCE for other in graph.activities.values()
    )


def declared_inputs(records: Iterable[Record]) -> list[tuple[Digest, Record]]:
    """The models that were declared to feed a version, each with the record."""
    return [(Digest(r.body["on"]), r) for r in records if r.kind is RecordKind.DEPENDENCY]


def _collect(session: Session, project: str, digest: Digest, reasons: dict[str, list[str]], depth: int) -> None:
    """Add the agents and authors of everything upstream, also of what was declared to feed it."""
    graph = session.use(Lineage).closure(project, digest, Direction.UPSTREAM)
    made = {edge.activity for edge in graph.edges if edge.relation is Relation.GENERATED and edge.entity == digest}
    for id_, node in sorted(graph.activities.items()):
        if not is_repeat(graph, id_):
            did = _DID.get(node.kind, f"did {node.kind}")
            _add(reasons, node.agent, f"{did} run:{id_}" + (" (generated the model)" if id_ in made else ""))
    roles: dict[Digest, set[str]] = {}
    for edge in graph.edges:
        roles.setdefault(edge.entity, set()).add(edge.role)
    platforms = {one for one, node in graph.entities.items() if node.kind in _PLATFORMS}
    own = [one for one in {*graph.entities, digest} if one not in platforms or not roles.get(one, {""}) <= _NOBODYS]
    found = session.use(Entities).find(project, own)
    for one, entity in sorted(found.items()):
        _add(reasons, entity.author, f"brought {label(session, project, one)}", last=True)
    if depth < _DEEPEST:
        for other in _same_bytes(session, project, found.get(digest)):
            _collect(session, project, other, reasons, depth + 1)
        for on, record in declared_inputs(session.use(Records).about(project, [str(digest)], RecordKind.DEPENDENCY)):
            _add(reasons, record.by, "declared what feeds it")
            for told in session.use(Records).about(project, [str(on)], RecordKind.REGISTRATION):
                _add(reasons, told.by, f"registered {label(session, project, on)}, which feeds it")
            _collect(session, project, on, reasons, depth + 1)


def _same_bytes(session: Session, project: str, entered: Entity | None) -> list[Digest]:
    """For a model that was entered with its file: the models of this project that hold the same file.

    Whoever takes a model out and enters it anew, as one from elsewhere, does not take its authors away.
    """
    if entered is None or "origin" not in entered.facts:
        return []
    entities = session.use(Entities)
    alike = {match.entity for match in entities.alike(project, [entered.digest])}
    found = entities.find(project, alike - {entered.digest})
    return sorted(
        one for one, entity in found.items() if entity.kind is EntityKind.MODEL and "origin" not in entity.facts
    )


def _add(reasons: dict[str, list[str]], agent: str, why: str, *, last: bool = False) -> None:
    """Note why an agent is an author; ``last`` for what says little when something else is known of him."""
    if not agent.startswith(_PEOPLE):
        return
    said = reasons.setdefault(agent.partition(":")[2], [])
    if why not in said and not (last and said):
        said.append(why)
