"""What can be searched for: the kinds of object, and the fields that each of them has.

Other rooms add kinds of their own with ``register``; how a kind is found in a store is the store's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["KINDS", "Field", "Kind", "Type", "find_field", "kind_of", "register"]


class Type(StrEnum):
    """What the values of a field are."""

    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    SPAN = "duration"
    """Seconds."""

    ANY = "number or text"
    """As it was given: compared as a number with numbers, as a text with texts."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind, or with the name ``NAME`` a whole family of them."""

    head: str
    type: Type
    meaning: str
    name: str | None = None
    """The part behind the dot; ``NAME`` for any."""

    many: bool = False
    """Whether an object may have several values of it."""

    @property
    def shown(self) -> str:
        """As a person writes it."""
        return self.head if self.name is None else f"{self.head}.{self.name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    name: str
    meaning: str
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    """What a table of results shows beside the reference, when the query asks for nothing else."""

    lineage: bool = False
    """Whether things come from it, or it comes from things."""

    aliases: tuple[str, ...] = ()


KINDS: Final[dict[str, Kind]] = {}
_NAMES: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> Kind:
    """Let a kind be searched for, under its name, its aliases and the plurals of both."""
    KINDS[kind.name] = kind
    for name in (kind.name, *kind.aliases):
        _NAMES[name] = _NAMES[f"{name}s"] = kind
    return kind


def kind_of(name: str) -> Kind | tuple[str, ...]:
    """The kind of this name; the names of all kinds when there is none."""
    return _NAMES.get(name.lower()) or tuple(KINDS)


def find_field(kind: Kind, head: str, name: str | None) -> tuple[tuple[str, str | None], Field] | None:
    """The field that is written so, and its name as it is kept."""
    lowered = head.lower()
    for field in kind.fields:
        if field.head != lowered:
            continue
        if field.name is None and name is None:
            return (lowered, None), field
        if name is not None and field.name == name.lower() != "name":
            return (lowered, field.name), field
        if name is not None and field.name is not None and field.name == name:
            return (lowered, name), field
        if name is not None and field.name == "NAME":
            return (lowered, name), field
    head_alias = _ALIASES.get(lowered)
    return None if head_alias is None else find_field(kind, head_alias, name)


_ALIASES: Final = {
    "metrics": "metric",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tags": "tag",
    "inputs": "input",
    "outputs": "output",
    "requested_by": "author",
    "by": "author",
    "at": "created",
    "created_at": "created",
    "started_at": "started",
    "ended_at": "ended",
    "commit_hash": "commit",
}
"""Other words for the same field."""


def _thing(head: str, what: str) -> tuple[Field, ...]:
    """The fields of what a run used or made."""
    return (
        Field(head, Type.TEXT, f"name of {what}", "name", many=True),
        Field(head, Type.NUMBER, f"version of the name of {what}", "version", many=True),
        Field(head, Type.TEXT, f"whole reference of {what}, such as data:credit@1", "reference", many=True),
        Field(head, Type.TEXT, f"digest of {what}", "digest", many=True),
        Field(head, Type.TEXT, f"kind of {what}: data, model, file …", "kind", many=True),
        Field(head, Type.TEXT, f"classification of {what}", "classification", many=True),
        Field(head, Type.TEXT, f"channel or role under which the run knew {what}", "role", many=True),
    )


RUN: Final = register(
    Kind(
        "run",
        "a job, waiting, running or ended, or a run that was tracked",
        (
            Field("id", Type.TEXT, "the run's id"),
            Field("status", Type.TEXT, "queued, running, ok, failed, timeout, oom, limit, cancelled, refused or lost"),
            Field("kind", Type.TEXT, "ingest, split, profile, train, run, evaluate, reproduce, track …"),
            Field("label", Type.TEXT, "what ran, for people: the algorithm or the script"),
            Field("name", Type.TEXT, "name for what it made"),
            Field("experiment", Type.TEXT, "the experiment it belongs to"),
            Field("trial", Type.TEXT, "the trial within the experiment"),
            Field("author", Type.TEXT, "who asked for it, such as User:ana"),
            Field("created", Type.MOMENT, "when it was asked for"),
            Field("started", Type.MOMENT, "when it was started last"),
            Field("ended", Type.MOMENT, "when it ended"),
            Field("duration", Type.SPAN, "seconds between start and end"),
            Field("grade", Type.TEXT, "proven, when it ran behind complete walls, else declared"),
            Field("seed", Type.NUMBER, "its seed"),
            Field("env", Type.TEXT, "digest of its environment"),
            Field("code", Type.TEXT, "digest of its source tree"),
            Field("commit", Type.TEXT, "commit of its source tree"),
            Field("plan", Type.TEXT, "digest of its plan: equal plans are equal jobs"),
            Field(
                "metric",
                Type.NUMBER,
                "last value of a metric; for one that the run has not itself, of the latest evaluation of what it made",
                "NAME",
            ),
            Field("param", Type.ANY, "a parameter", "NAME"),
            Field("tag", Type.ANY, "a tag", "NAME"),
            *_thing("input", "something it used"),
            *_thing("output", "something it made"),
        ),
        ("status", "kind", "label", "experiment", "created"),
        lineage=True,
    )
)

_ENTITY: Final = (
    Field("name", Type.TEXT, "a name it bears", many=True),
    Field("version", Type.NUMBER, "a version of its name", many=True),
    Field("reference", Type.TEXT, "a whole reference, such as data:credit@1", many=True),
    Field("digest", Type.TEXT, "its digest"),
    Field("content", Type.TEXT, "digest of its content, whatever the file layout"),
    Field("author", Type.TEXT, "who brought it first, such as User:ana"),
    Field("created", Type.MOMENT, "when it was first recorded"),
    Field("grade", Type.TEXT, "who stands behind its facts"),
    Field("classification", Type.TEXT, "its data classification", many=True),
    Field("fact", Type.ANY, "any other fact about its content", "NAME", many=True),
)


def _entity(
    name: str, meaning: str, *more: Field, columns: tuple[str, ...] = (), aliases: tuple[str, ...] = ()
) -> Kind:
    shown = columns or ("author", "created", "grade")
    return register(Kind(name, meaning, (*_ENTITY, *more), shown, lineage=True, aliases=aliases))


DATA: Final = _entity(
    "data",
    "a snapshot of a table",
    Field("rows", Type.NUMBER, "how many rows it has", many=True),
    Field("bytes", Type.NUMBER, "its size", many=True),
    Field("target", Type.TEXT, "the column to be predicted", many=True),
    Field("owner", Type.TEXT, "who answers for it", many=True),
    Field("purpose", Type.TEXT, "what it may be used for", many=True),
    Field("column", Type.TEXT, "name of a column, or with any other name the type of that column", "NAME", many=True),
    columns=("rows", "classification", "author", "created"),
    aliases=("dataset",),
)
MODEL: Final = _entity(
    "model",
    "a trained model, registered or not",
    Field("algorithm", Type.TEXT, "how it was made", many=True),
    Field("state", Type.TEXT, "draft, submitted, in_validation, approved, rejected or retired, once registered"),
    Field("tier", Type.NUMBER, "1, the highest, to 4"),
    Field("use_case", Type.TEXT, "what it is for"),
    Field("owner", Type.TEXT, "who answers for it"),
    Field("origin", Type.TEXT, "platform, vendor or off-platform"),
    Field("supplier", Type.TEXT, "who sold it"),
    Field("registered", Type.MOMENT, "when it entered the inventory"),
    Field("approved", Type.MOMENT, "when the approval in force began"),
    Field("expires", Type.MOMENT, "when the last approval ends"),
    Field("next_review", Type.TEXT, "day of the next review"),
    Field("findings", Type.NUMBER, "open findings"),
    Field("findings_high", Type.NUMBER, "open findings of high severity"),
    Field("metric", Type.NUMBER, "last value of a metric, in any run that made or evaluated it", "NAME", many=True),
    Field("param", Type.ANY, "a parameter of a run that made it", "NAME", many=True),
    *_thing("trained_on", "something that its making used"),
    columns=("state", "tier", "algorithm", "use_case", "created"),
)
for _name, _meaning, _aliases in (
    ("file", "bytes as they came from outside", ()),
    ("env", "a job environment that was used", ("environment",)),
    ("report", "a document that a program wrote", ()),
    ("proof", "a report that establishes something about other things", ()),
    ("features", "a feature view", ("feature",)),
    ("artifact", "any other result of a run", ()),
    ("code", "a source tree", ()),
):
    _entity(_name, _meaning, aliases=_aliases)

EXPERIMENT: Final = register(
    Kind(
        "experiment",
        "what runs belong to",
        (
            Field("name", Type.TEXT, "its name"),
            Field("runs", Type.NUMBER, "how many runs it has"),
            Field("trials", Type.NUMBER, "how many trials it has"),
            Field("running", Type.NUMBER, "how many of its runs wait or run"),
            Field("failed", Type.NUMBER, "how many of its runs ended badly"),
            Field("created", Type.MOMENT, "when its first run was asked for"),
            Field("latest", Type.MOMENT, "when its newest run was asked for"),
        ),
        ("runs", "running", "failed", "created", "latest"),
    )
)

_RECORD: Final = (
    Field("id", Type.TEXT, "its id"),
    Field("kind", Type.TEXT, "what it states: finding, use-case, approval, risk …"),
    Field("subject", Type.TEXT, "what it is about: a digest, usecase:NAME or another record"),
    Field("author", Type.TEXT, "who stated it, such as User:ana"),
    Field("created", Type.MOMENT, "when it was stated"),
    Field("grade", Type.TEXT, "attested when it is signed, else declared"),
    Field("model", Type.TEXT, "a name of the model it is about", "name", many=True),
    Field("text", Type.TEXT, "its words, all of them"),
    Field("body", Type.TEXT, "any other part of it that is no list", "NAME"),
)


def _record(name: str, meaning: str, *more: Field, columns: tuple[str, ...] = ()) -> Kind:
    return register(Kind(name, meaning, (*_RECORD, *more), columns or ("subject", "author", "created")))


_record(
    "finding",
    "something that is not as it should be with a model",
    Field("title", Type.TEXT, "in one line"),
    Field("severity", Type.TEXT, "high, medium or low"),
    Field("owner", Type.TEXT, "who must see to it"),
    Field("due", Type.TEXT, "the day by which it must be seen to, such as 2026-12-31"),
    Field("status", Type.TEXT, "open or closed"),
    columns=("title", "severity", "status", "owner", "due"),
)
_record(
    "usecase",
    "a version of what models may be used for",
    Field("name", Type.TEXT, "its name"),
    Field("owner", Type.TEXT, "who answers for it"),
    columns=("name", "owner", "created"),
)
for _name, _meaning in (
    ("approval", "an approval of a model"),
    ("review", "the outcome of an independent validation"),
    ("risk", "what can go wrong"),
    ("record", "any record of the inventory"),
):
    _record(_name, _meaning)
