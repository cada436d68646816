"""No row of this stood in anything that model was made from: what is searched, and what the counts come to.

1. *What could be read* is the upstream closure of the model (``catalog.absence``). A snapshot in it that only ingests
   and splits read has given its rows to other snapshots of the closure, and those are searched; every other snapshot
   in it is searched itself. A file that only ingests read is covered by the snapshots they made. Where both come from
   one origin and every way from there to the model goes through a part that was proven disjoint, what lies before that
   part holds the rows by its nature and is not searched (``catalog.absence.apart``); the answer says so. Where code of
   people read it there, it may have written one row into another, and the answer is no better than declared.
2. *Rows* are compared by their fingerprints, in every way that the columns allow: over the columns of the same name;
   by values alone where the numbers of columns are equal; over the keys that were asked for.
3. What may hold rows and is no snapshot (a file that a script read, an artifact, a model that was brought in) cannot
   be searched: it is named, and the answer is no better than declared.

Rows that are found over *all* columns of the asked snapshot (or its keys) were there. Where an input has only some of
the columns, agreement in those may be coincidence: the answer is then unclear, and says how many rows agree and how
many of them are unique. The grade is the weakest of the closure, the fingerprints and the count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muniment.catalog.absence import ROW_KINDS, Apart, Evidence, apart, decide, firmness
from muniment.catalog.model import ActivityKind, Entity, EntityKind, Relation
from muniment.catalog.naming import label
from muniment.catalog.ports import Checkpoints, Entities
from muniment.catalog.service import gather
from muniment.catalog.walking import Step, Walk, strength
from muniment.data.rows.making import Found
from muniment.data.rows.views import Comparison, View, by_keys, by_names, by_values
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution.model import Run, RunStatus
from muniment.execution.reading import RUN, find_run, report_of, summary
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import rows as wire
from muniment.wire.catalog import Checkpoint

MOST_INPUTS: Final = 40
"""More snapshots than this in one closure are more than one job is given, and more than its plan has room for."""

_MOST_NAMED: Final = 20
_MOST_NAMES: Final = 200
"""So many missing columns are named in one plan, of all inputs together."""

_PARTITIONS: Final = frozenset({ActivityKind.INGEST, ActivityKind.SPLIT})


@dataclass(frozen=True, slots=True)
class Input:
    """A snapshot that is searched, and the ways in which it is."""

    data: Entity
    label: str
    grade: Grade
    """Of the way from the model to it."""
    ways: tuple[Comparison, ...]
    without_keys: bool
    """Whether it lacks some of the keys that were asked for."""

    @property
    def lacking(self) -> str | None:
        """Why it cannot be searched, or not in full."""
        if not self.ways:
            return "it has no column in common with what was asked about"
        return "it has not all the keys" if self.without_keys else None


@dataclass(frozen=True, slots=True)
class Search:
    """Everything that is known before rows are counted."""

    asked: Entity
    asked_label: str
    model: Entity
    model_label: str
    keys: Sequence[str]
    inputs: Sequence[Input]
    unsearched: Sequence[dict[str, str]]
    objects: str
    grade: Grade
    weakest: str | None
    entities: int
    activities: int
    sources: int
    """Source trees of people in the closure."""
    apart: Apart
    """What lies before a part that was proven disjoint."""
    parted: Sequence[str]
    """The snapshots of it, as people call them."""

    def wanted(self) -> Iterator[tuple[Entity, View]]:
        """The fingerprints that the count needs."""
        for one in self.inputs:
            for way in one.ways:
                yield self.asked, way.view_a
                yield one.data, way.view_b

    def plan(self, found: Found) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """Channels, pairs and question of the job that counts."""
        channels: dict[str, str] = {}
        pairs: dict[str, Any] = {}
        searches: dict[str, Any] = {}
        most = max(1, min(_MOST_NAMED, _MOST_NAMES // max(1, len(self.inputs))))

        def channel(entity: Entity, view: View) -> str:
            digest = str(found.of(entity, view).digest)
            return channels.setdefault(digest, f"f{len(channels)}")

        for one in self.inputs:
            for way in one.ways:
                name = f"p{len(pairs):03d}"
                pairs[name] = {"a": channel(self.asked, way.view_a), "b": channel(one.data, way.view_b)}
                grades = (one.grade, found.of(self.asked, way.view_a).grade, found.of(one.data, way.view_b).grade)
                searches[name] = {
                    "input": str(one.data.digest),
                    "label": one.label,
                    "rows": one.data.facts.get("rows"),
                    "whole": way.whole,
                    "missing": [column[:80] for column in way.only_a[:most]],
                    "grade": weakest(grades).value,
                }
        question = {
            "reference": self.asked_label,
            "reference_digest": str(self.asked.digest),
            "rows": self.asked.facts.get("rows"),
            "model": self.model_label,
            "model_digest": str(self.model.digest),
            "keys": list(self.keys),
            "objects": self.objects,
            "grade": self.grade.value,
            "weakest": self.weakest,
            "entities": self.entities,
            "activities": self.activities,
            "sources": self.sources,
            "searches": searches,
            "unsearched": list(self.unsearched),
        }
        if self.parted:
            question["apart"] = {"labels": list(self.parted), "mixing": self.apart.mixing}
        return {name: digest for digest, name in channels.items()}, pairs, question


def search(call: Call, asked: Entity, model: Entity, keys: Sequence[str]) -> Search:
    """Which inputs of a model are to be searched for the rows of a snapshot, and how.

    Raises:
        Conflict: the model was made in another project.
        Invalid: there are more inputs than one job is given.
    """
    session, project = call.session, call.project
    evidence = gather(session, project, asked, model.digest)
    walk = Walk(evidence.closure)
    source = model.facts.get("promoted_from")
    if isinstance(source, str) and model.digest not in walk.makers:
        raise Conflict(
            "MUNI-O301",
            f"what this model was made from is recorded in project {source}, where it was promoted from",
            model=label(session, project, model.digest),
            source=source,
            do=f"ask there: muni prove-unused REFERENCE --in {model.digest} --rows --project {source}",
        )
    names = [str(column["name"]) for column in asked.facts.get("schema", [])]
    known = call.use(Entities).find(project, evidence.closure.entities)
    inputs: list[Input] = []
    unsearched: list[dict[str, str]] = []
    before = apart(evidence)
    parted = []
    for digest, why in _reached(evidence, walk):
        if digest in before.entities:
            parted.append(label(session, project, digest))
            continue
        entity = known[digest]
        called = label(session, project, digest)
        if why is None:
            one = _input(entity, called, _way(walk, model.digest, digest), names, keys)
            if one.ways:
                inputs.append(one)
            lacking = one.lacking
        else:
            lacking = why
        if lacking is not None:
            unsearched.append({"digest": str(digest), "label": called, "kind": entity.kind.value, "why": lacking})
    if len(inputs) > MOST_INPUTS:
        raise Invalid(
            "MUNI-O121",
            "more snapshots were read on the way to this model than one search takes",
            inputs=len(inputs),
            most=MOST_INPUTS,
            do="compare them one by one: muni data overlap",
        )
    proof = decide(evidence)
    grade, link = (proof.grade, proof.weakest) if parted else firmness(evidence)
    return Search(
        asked=asked,
        asked_label=label(session, project, asked.digest),
        model=model,
        model_label=label(session, project, model.digest),
        keys=keys,
        inputs=inputs,
        unsearched=unsearched[: 3 * _MOST_NAMED],
        objects=proof.verdict.value,
        grade=weakest((grade, Grade.DECLARED)) if unsearched or before.written else grade,
        weakest=_weak(call, unsearched, before.written, link),
        entities=proof.entities,
        activities=proof.activities,
        apart=before,
        parted=parted[:_MOST_NAMED],
        sources=len({e.entity for e in evidence.closure.edges if e.relation is Relation.USED and e.role == "source"}),
    )


def _reached(evidence: Evidence, walk: Walk) -> Iterator[tuple[Digest, str | None]]:
    """What may hold rows and could be read on the way to the model: with None to be searched, else why it cannot be."""
    for digest, node in sorted(evidence.closure.entities.items()):
        kinds = {walk.kind(edge.activity) for edge in walk.readers.get(digest, ())}
        if node.kind is EntityKind.MODEL:
            if digest != evidence.model and digest not in walk.makers:
                yield digest, "a model that was brought in: what it was made from is not recorded"
        elif node.kind in ROW_KINDS and not kinds <= _PARTITIONS:
            if node.kind is EntityKind.DATA:
                yield digest, None
            else:
                yield digest, f"a job read this {node.kind} directly, and only snapshots have fingerprints"


def _input(entity: Entity, called: str, grade: Grade, names: Sequence[str], keys: Sequence[str]) -> Input:
    columns = [str(column["name"]) for column in entity.facts.get("schema", [])]
    keyed = bool(keys) and set(keys) <= set(columns)
    ways = (
        by_keys([(key, key) for key in keys]) if keyed else None,
        by_names(names, columns),
        by_values(names, columns),
    )
    return Input(entity, called, grade, tuple(way for way in ways if way is not None), bool(keys) and not keyed)


def _way(walk: Walk, model: Digest, digest: Digest) -> Grade:
    path = walk.upstream(model, {digest: ()})
    return strength(path) if path else Grade.PROVEN


def _weak(
    call: Call, unsearched: Sequence[dict[str, str]], written: Sequence[str], link: Step | Digest | None
) -> str | None:
    if unsearched:
        return f"{unsearched[0]['label']}: {unsearched[0]['why']}"
    if written:
        return f"run:{written[0]}: code of people read rows of both before they were parted"
    if isinstance(link, Step):
        return f"{link.source} {link.link} {link.target} ({link.role}): {link.grade}"
    if link is None:
        return None
    return f"{label(call.session, call.project, link)}: nobody checked its facts or its origin"


@verb(
    "data:ShowRowProof",
    on=RUN,
    request=wire.ShowRowProof,
    reply=wire.RowProof,
    event="rows.absence_shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_row_proof(call: Call, request: wire.ShowRowProof) -> wire.RowProof:
    """Show what a search for the rows of a snapshot came to, with its scope, grade and checkpoint."""
    run = find_run(call.session, call.project, request.run)
    report = report_of(call, run) or {}
    question = run.job["params"].get("question") or {}
    if run.kind != ActivityKind.OVERLAP.value or "model" not in question:
        raise Invalid("MUNI-O122", f"run:{run.id} searched for no rows", run=run.id, kind=run.kind)
    if run.status is not RunStatus.OK or report.get("question") != question:
        raise NotFound(
            "MUNI-O201",
            f"run:{run.id} has come to no answer",
            run=run.id,
            status=run.status.value,
            do=f"muni runs show run:{run.id}",
        )
    size, root = call.use(Checkpoints).covering()
    searches = [_told(question["searches"][name], pair) for name, pair in sorted(report["pairs"].items())]
    return judged(run, question, searches, Checkpoint(size=size, root=root))


def judged(
    run: Run, question: dict[str, Any], searches: Sequence[wire.RowSearch], checkpoint: Checkpoint
) -> wire.RowProof:
    """What the counts come to. Pure."""
    certain = [one for one in searches if one.whole and one.found]
    perhaps = [one for one in searches if not one.whole and one.found]
    counted = Grade(summary(run, {}).grade)
    verdict = "rows-used" if certain else "rows-unclear" if perhaps else "rows-unused"
    if certain:
        grade = weakest((counted, min((Grade(one.grade) for one in certain), key=list(Grade).index)))
    elif perhaps:
        grade = Grade.DECLARED
    else:
        grade = weakest((counted, Grade(question["grade"]), *(Grade(one.grade) for one in searches)))
    rows = int(question["rows"] or 0)
    whole = [one for one in searches if one.by == "names" and one.whole] or [one for one in searches if one.whole]
    return wire.RowProof(
        unused=verdict == "rows-unused",
        verdict=verdict,
        grade=grade.value,
        scope=_scope(question, searches),
        checkpoint=checkpoint,
        reference=question["reference"],
        model=question["model"],
        digest=question["reference_digest"],
        model_digest=question["model_digest"],
        rows=rows,
        found=max((one.found for one in certain or perhaps), default=0),
        repeated=rows - whole[0].distinct if whole else 0,
        inputs=list(searches),
        unsearched=[wire.Unsearched(**one) for one in question["unsearched"]],
        keys=list(question["keys"]),
        objects=question["objects"],
        weakest=question["weakest"] if grade is not Grade.PROVEN and not certain else None,
        run=f"run:{run.id}",
    )


def _told(asked: dict[str, Any], pair: dict[str, Any]) -> wire.RowSearch:
    return wire.RowSearch(
        input=asked["input"],
        label=asked["label"],
        by=pair["by"],
        columns=pair["columns"],
        whole=asked["whole"],
        rows=pair["rows_b"] + pair["left_out_b"],
        found=pair["a_in_b"],
        found_once=pair["once_a_in_b"],
        distinct=pair["distinct_a"],
        missing=list(asked["missing"]),
        grade=asked["grade"],
    )


def _scope(question: dict[str, Any], searches: Sequence[wire.RowSearch]) -> str:
    """In words: what was searched and how, and what that does not say."""
    inputs = len({one.input for one in searches})
    keys = f" and over {', '.join(question['keys'])} alone" if question["keys"] else ""
    partly = len({one.input for one in searches if one.by == "names" and not one.whole})
    lacking = f" {partly} of them lack columns of it and were compared over those they have." if partly else ""
    unsearched = (
        f" {len(question['unsearched'])} other inputs could not be searched (in full) and are named."
        if question["unsearched"]
        else ""
    )
    parted, mixed = question.get("apart") or {}, ""
    if parted:
        mixed = (
            f", what a job worked out over rows of both before they were parted, such as a mean "
            f"(such jobs: {parted['mixing']})"
        )
    before = (
        f" Not searched, because they hold these rows by nature and every way from them to the model goes through a "
        f"part proven disjoint: {', '.join(parted['labels'])}."
        if parted
        else ""
    )
    return (
        f"Searched: every snapshot that a job on the way to {question['model']} read, or its parts, as recorded "
        f"({inputs} of {question['entities']} entities, {question['activities']} activities), for each of "
        f"the {question['rows']} rows of {question['reference']}, by keyed fingerprints over whole rows by column "
        f"name, by values whatever the columns are called{keys}; in any order, file format and type.{lacking}"
        f"{unsearched}{before} Not covered: rows in which a compared value was changed (rounded, rewritten, in another "
        "unit, a running number given anew), columns renamed and left out or added at once, what people wrote into "
        f"code, parameters or environments (source trees of theirs: {question['sources']}){mixed}, and what people "
        "learnt elsewhere."
    )
