"""Was this used to make that model? The decision, from a part of the lineage that is complete for the question.

The argument, step by step:

1. *Objects.* Everything the model could have been made from is its upstream closure: what its making used, what the
   making of those used, and so on. A hermetic activity could read nothing else. If the asked entity, a copy of it (same
   content digest), a piece of it or a whole that it is a piece of stands in the closure, it was **used**.
2. *Rows, for certain.* A part of a split has all its rows in common with what was split, and a snapshot with the file
   it was ingested from. If such a *container* stands in the closure and anything but another split read it on the way
   to the model, all rows of the asked entity were readable: **used** as well, though under another name.
3. *Rows, perhaps.* Anything that holds data and that the asked entity descends from may hold rows of it, and so may
   everything made from that. It is followed down to the model, except through a part of a split whose proof says that
   it shares no row with the asked entity or a container of it. If the model is reached, the answer is **unused as an
   object** only, and no better than declared: rows of it may have come by the way shown.
4. Otherwise it is **unused**, rows included, as far as common descent can tell.

The grade is the weakest of all that the answer rests on: for a use, of the path; for an absence, of the whole closure,
the cited proofs, and the origin of everything in it: a snapshot that nobody is known to have made is merely declared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from muniment.catalog.model import ActivityKind, Edge, EntityKind, EntityNode, Graph, Match
from muniment.catalog.walking import DESCENDING, Link, Path, Step, Walk, step, strength
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest

ROW_KINDS: Final = frozenset({EntityKind.DATA, EntityKind.FILE, EntityKind.ARTIFACT})
"""What may hold rows. Code, environments, base roots, models and reports hold none as far as this question goes."""

_NEEDS_NO_ORIGIN: Final = frozenset(
    {EntityKind.FILE, EntityKind.CODE, EntityKind.FEATURES, EntityKind.ENVIRONMENT, EntityKind.BASE}
)
"""What comes from outside by its nature, as code and the definition of a feature view do, which people write: the
bytes are known, and that is all there is to know."""

_PARTITIONS: Final = frozenset({ActivityKind.INGEST, ActivityKind.SPLIT})
"""Programs of the platform whose outputs hold rows of their one input and nothing else."""


class Verdict(StrEnum):
    """What the search came to."""

    UNUSED = "unused"
    """Neither the entity nor any of its rows could be read, as far as common descent can tell."""

    UNUSED_OBJECT = "unused-object"
    """The entity could not be read, but rows of it may have come another way."""

    USED = "used"
    """The entity, a copy of it, a piece of it, or all of its rows could be read."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A proof that two parts of a split have no row in common."""

    proof: Digest
    activity: str
    part: Digest
    """The part that shares no row with what was asked about."""

    other: Digest
    """What was asked about, or a part that contains it."""

    grade: Grade


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the decision looks at."""

    asked: EntityNode
    model: Digest
    closure: Graph
    """The whole upstream closure of the model."""

    ancestry: Graph
    """The whole upstream closure of the asked entity."""

    copies: Sequence[Match] = ()
    """What is alike to the asked entity and to everything that it descends from and that may hold rows."""

    splits: Graph = field(default_factory=lambda: Graph({}, {}, ()))
    """The splits in the ancestry, with all that they generated."""

    proofs: Mapping[Digest, Collection[Digest]] = field(default_factory=dict)
    """Those entities of ``splits`` that establish that parts are disjoint, each with the parts it speaks of."""

    readers: Collection[str] = ()
    """The activities that read the asked entity, wherever their results went."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What holds rows of one origin with the asked entity, and gave the model rows of parts proven disjoint only."""

    entities: frozenset[Digest] = frozenset()
    mixing: int = 0
    """How many activities that are no partition read it, such as joins: they may have told of all rows in each."""

    written: tuple[str, ...] = ()
    """Those of them that ran code of people, which may have carried whole rows into others."""


@dataclass(frozen=True, slots=True)
class AbsenceProof:
    """The answer and what it rests on."""

    verdict: Verdict
    grade: Grade
    path: Path
    """For USED from the model to the asked entity; for UNUSED_OBJECT from the model to where rows may come from."""

    citations: tuple[Citation, ...]
    weakest: Step | Digest | None
    """The weakest link, or the entity whose facts or origin nobody checked; None when everything is proven."""

    entities: int
    activities: int
    shared: tuple[Digest, ...]
    """What may hold rows and stands both in the closure and among what the asked entity descends from."""

    unrecognisable: int
    """How many entities of the closure may hold rows and can be recognised by their bytes only."""

    @property
    def unused(self) -> bool:
        """Whether the entity itself, its copies and what contains it were out of reach."""
        return self.verdict is not Verdict.USED


def decide(evidence: Evidence) -> AbsenceProof:
    """Answer from the evidence, in the order of the argument above."""
    closure, model = Walk(evidence.closure), evidence.model
    objects = closure.upstream(model, _objects(evidence))
    if objects is not None:
        return _answer(evidence, Verdict.USED, objects, _first_weakest(objects))
    containers = _containers(evidence)
    cleared = _cleared(evidence, containers)
    rows = closure.upstream(
        model,
        _holders(evidence, closure, containers),
        counts=lambda made, used: closure.kind(used.activity) not in _PARTITIONS,
        closed=cleared,
    )
    if rows is not None:
        return _answer(evidence, Verdict.USED, rows, _first_weakest(rows))
    shared = _shared(evidence)
    flow = closure.downstream(shared, model, closed=cleared)
    if flow is not None:
        entry = flow[-1] if flow else model
        return _answer(evidence, Verdict.UNUSED_OBJECT, flow, (Grade.DECLARED, entry), shared=shared)
    cited = tuple(cleared[part] for part in sorted(cleared) if part in evidence.closure.entities)
    return _answer(evidence, Verdict.UNUSED, (), _weakest_of_search(evidence, closure, cited), cited, shared)


def firmness(evidence: Evidence) -> tuple[Grade, Step | Digest | None]:
    """What any statement about the whole closure rests on least firmly; None beside the grade when all is proven."""
    grade, link = _weakest_of_search(evidence, Walk(evidence.closure), ())
    return grade, None if grade is Grade.PROVEN else link


def apart(evidence: Evidence) -> Apart:
    """What lies before the parts proven disjoint; nothing where another way leads from that origin to the model."""
    closure, cleared, shared = Walk(evidence.closure), _cleared(evidence, _containers(evidence)), _shared(evidence)
    if not shared or closure.downstream(shared, evidence.model, closed=cleared) is not None:
        return Apart()
    found = {start for start in shared if start not in cleared}
    mixing: set[str] = set()
    waiting = deque(sorted(found))
    while waiting:
        for used in closure.readers.get(waiting.popleft(), ()):
            if closure.kind(used.activity) not in _PARTITIONS:
                mixing.add(used.activity)
            for made in closure.products.get(used.activity, ()):
                if made.entity not in found and made.entity not in cleared:
                    found.add(made.entity)
                    waiting.append(made.entity)
    return Apart(frozenset(found), len(mixing), tuple(sorted(one for one in mixing if _runs_code(closure, one))))


def _runs_code(walk: Walk, activity: str) -> bool:
    return any(edge.role == "source" for edge in walk.inputs.get(activity, ()))


def _objects(evidence: Evidence) -> dict[Digest, Path]:
    """The asked entity, its copies, its pieces and what it is a piece of, where they stand in the closure."""
    asked, entities = evidence.asked, evidence.closure.entities
    found: dict[Digest, Path] = {asked.digest: ()} if asked.digest in entities else {}
    for match in evidence.copies:
        # Models and reports may share a small file by chance; for what holds rows, a shared piece is shared rows.
        counts = asked.kind in ROW_KINDS or match.shared == asked.content_digest
        if match.asked == asked.digest and match.entity in entities and counts:
            found.setdefault(match.entity, (_likeness(evidence, match),))
    return found


def _likeness(evidence: Evidence, match: Match) -> Step:
    """The step from an entity of the closure to the entity it is alike to."""
    known = evidence.ancestry.entities.get(match.asked, evidence.asked)
    grade = weakest((known.grade, evidence.closure.entities[match.entity].grade))
    link = Link.PART_OF if match.shared == match.entity else Link.SHARES
    return Step(link, match.entity, match.asked, match.shared, grade)


def _containers(evidence: Evidence) -> dict[Digest, Grade]:
    """What holds every row of the asked entity, with the grade of that; the asked entity itself first."""
    if evidence.asked.kind not in ROW_KINDS:
        return {}
    ancestry = Walk(evidence.ancestry)
    found = {evidence.asked.digest: Grade.PROVEN}
    waiting = deque(found)
    while waiting:
        here = waiting.popleft()
        for made in ancestry.makers.get(here, ()):
            whole = _only_rows(ancestry, made.activity)
            if whole is None or ancestry.kind(made.activity) not in _PARTITIONS:
                continue
            grade = weakest((found[here], made.grade, whole.grade))
            if whole.entity not in found or _stronger(grade, found[whole.entity]):
                found[whole.entity] = grade
                waiting.append(whole.entity)
    return found


def _only_rows(walk: Walk, activity: str) -> Edge | None:
    """The one thing with rows that an activity used; None when there are none or several."""
    inputs = [edge for edge in walk.inputs.get(activity, ()) if walk.graph.entities[edge.entity].kind in ROW_KINDS]
    return inputs[0] if len({edge.entity for edge in inputs}) == 1 else None


def _holders(evidence: Evidence, closure: Walk, containers: Mapping[Digest, Grade]) -> dict[Digest, Path]:
    """What in the closure holds every row of the asked entity: containers, copies, what came of ingesting them."""
    asked, entities = evidence.asked.digest, evidence.closure.entities

    def inside(container: Digest) -> Path:
        return () if container == asked else (Step(Link.DERIVES, container, asked, "rows", containers[container]),)

    found = {container: inside(container) for container in containers if container in entities}
    for match in evidence.copies:
        whole = match.asked in containers and match.shared in {
            match.asked,
            evidence.ancestry.entities[match.asked].content_digest,
        }
        if whole and match.entity in entities:
            found.setdefault(match.entity, (_likeness(evidence, match), *inside(match.asked)))
    waiting = deque(found)
    while waiting:
        here = waiting.popleft()
        for used in closure.readers.get(here, ()):
            if closure.kind(used.activity) is not ActivityKind.INGEST or _only_rows(closure, used.activity) is None:
                continue
            for made in closure.products.get(used.activity, ()):
                if entities[made.entity].kind in ROW_KINDS and made.entity not in found:
                    found[made.entity] = (step(made), step(used), *found[here])
                    waiting.append(made.entity)
    return found


def _cleared(evidence: Evidence, containers: Collection[Digest]) -> dict[Digest, Citation]:
    """Parts of splits that share no row with the asked entity, because they share none with a container of it."""
    splits = Walk(evidence.splits)
    cleared: dict[Digest, Citation] = {}
    for activity, products in splits.products.items():
        if splits.kind(activity) is not ActivityKind.SPLIT:
            continue
        proofs = [edge for edge in products if edge.entity in evidence.proofs]
        for proof in proofs:
            parts = [edge for edge in products if edge.entity in evidence.proofs[proof.entity]]
            believed = weakest((proof.grade, evidence.splits.entities[proof.entity].grade))
            for other in (edge for edge in parts if edge.entity in containers):
                for part in (edge for edge in parts if edge.entity not in containers):
                    grade = weakest((believed, part.grade, other.grade))
                    if part.entity not in cleared or _stronger(grade, cleared[part.entity].grade):
                        cleared[part.entity] = Citation(proof.entity, activity, part.entity, other.entity, grade)
    return cleared


def _shared(evidence: Evidence) -> tuple[Digest, ...]:
    """What stands in the closure and is, or is alike to, something with rows that the asked entity descends from."""
    if evidence.asked.kind not in ROW_KINDS:
        return ()
    ancestors = {digest for digest, node in evidence.ancestry.entities.items() if node.kind in ROW_KINDS}
    alike = {match.entity for match in evidence.copies if match.asked in ancestors}
    return tuple(sorted(digest for digest in ancestors | alike if digest in evidence.closure.entities))


def _stronger(grade: Grade, than: Grade) -> bool:
    return grade is not than and weakest((grade, than)) is than


def _first_weakest(path: Path) -> tuple[Grade, Step | None]:
    grade = strength(path)
    return grade, next((one for one in path if one.grade is grade), None)


def _weakest_of_search(
    evidence: Evidence, closure: Walk, citations: Sequence[Citation]
) -> tuple[Grade, Step | Digest | None]:
    """What an absence rests on least firmly."""

    def everything() -> Iterator[tuple[Grade, Step | Digest]]:
        for edge in closure.edges:
            yield edge.grade, step(edge)
        for node in (evidence.asked, *(node for _, node in sorted(evidence.closure.entities.items()))):
            yield node.grade, node.digest
            if node.kind not in _NEEDS_NO_ORIGIN and node is not evidence.asked and node.digest not in closure.makers:
                yield Grade.DECLARED, node.digest
        for citation in citations:
            yield citation.grade, citation.proof

    return max(everything(), key=lambda link: DESCENDING.index(link[0]))


def _answer(
    evidence: Evidence,
    verdict: Verdict,
    path: Path,
    rests_on: tuple[Grade, Step | Digest | None],
    citations: tuple[Citation, ...] = (),
    shared: tuple[Digest, ...] = (),
) -> AbsenceProof:
    grade, link = rests_on
    nodes = evidence.closure.entities.values()
    return AbsenceProof(
        verdict=verdict,
        grade=grade,
        path=path,
        citations=citations,
        weakest=None if grade is Grade.PROVEN else link,
        entities=len(evidence.closure.entities),
        activities=len(evidence.closure.activities),
        shared=shared,
        unrecognisable=sum(node.kind in ROW_KINDS and node.content_digest is None for node in nodes),
    )
