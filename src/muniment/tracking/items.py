"""What other people's clients keep beside runs, as documents under keys; and the search for runs that they ask for.

An experiment, a logged model, a registered model, a version of one and the description of a run are each an *item*: a
small document that its owner room reads and writes whole. What was true before stands in the ledger, entry by entry.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from muniment.catalog.model import EntityKind
from muniment.catalog.ports import Entities
from muniment.errors import Conflict, Invalid
from muniment.execution.admission import READING, DataUse, Using
from muniment.execution.model import Part, Run
from muniment.execution.queue import RunQueue
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Call
from muniment.tracking.model import LONGEST_VALUE, RESERVED, check_names, check_values
from muniment.tracking.ports import TrackedRuns

DEFAULT: Final = "default"
"""The experiment that clients mean who name none; its id is ``0``."""

MODELS: Final = "mlflow-models"
"""Folder among the files of a run that holds its logged models, each below its id."""

_LONGEST_NAME: Final = 200
_LONGEST_DOCUMENT: Final = 1 << 20
_DEEPEST: Final = 64
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class ItemKind(StrEnum):
    """What an item is."""

    EXPERIMENT = "experiment"
    RUN = "run"
    """Inputs and outputs of a run in the client's words."""

    LOGGED = "logged-model"
    NAME = "registered-model"
    VERSION = "model-version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One document under its key."""

    project: str
    kind: ItemKind
    key: str
    shelf: str
    """What it belongs to, to be listed by: the experiment of a logged model, the name of a version; else empty."""

    state: Mapping[str, Any]
    created_at: str
    updated_at: str
    deleted: bool = False


class Items(Protocol):
    """The items of all projects."""

    def get(self, project: str, kind: ItemKind, key: str) -> Item | None:
        """One item, deleted or not."""

    def some(self, project: str, kind: ItemKind, keys: Iterable[str]) -> dict[str, Item]:
        """Those of these items that there are by key, deleted or not."""

    def put(self, item: Item) -> None:
        """Keep an item in place of what stands under its key."""

    def list(self, project: str, kind: ItemKind, shelf: str | None = None) -> tuple[Item, ...]:
        """Items by key, of one shelf or of all, deleted ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What must hold of a run, with values as the store compares them."""

    of: str
    """metric, param, tag, attribute, or dataset: then one of the data sets that the run says it read."""

    name: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs, in which order."""

    experiments: tuple[str, ...] | None
    runs: tuple[str, ...] | None
    terms: tuple[Term, ...]
    order: tuple[tuple[str, str, bool], ...]
    """What, name, and whether the highest comes first."""

    deleted: bool | None
    offset: int
    limit: int
    named_by: str = field(default="mlflow.runName")
    """Tag that holds a run's name where it has one."""


@dataclass(frozen=True, slots=True)
class Group:
    """An experiment as the runs tell it."""

    experiment: str
    first_at: str
    newest_at: str


class RunFinder(Protocol):
    """Finds runs of every kind by what was told of them."""

    def find(self, project: str, wanted: Wanted) -> tuple[tuple[Run, bool], ...]:
        """Runs, each with whether it is deleted."""

    def experiments(self, project: str) -> tuple[Group, ...]:
        """The experiments that runs of a project belong to."""


def experiment_id(project: str, experiment: str) -> str:
    """The id under which clients know an experiment: the same wherever and whenever it is asked for."""
    if experiment == DEFAULT:
        return "0"
    return str(int(hashlib.sha256(f"{project}\0{experiment}".encode()).hexdigest()[:14], 16) + 1)


def check_title(text: str, what: str, *, longest: int = _LONGEST_NAME) -> str:
    """A name for people: any printable characters; raises Invalid when it is empty, too long or holds others."""
    if not _PLAIN.fullmatch(text) or not text.strip() or len(text) > longest:
        raise Invalid(
            "MUNI-R151",
            f"a name for people has 1 to {longest} characters, no control characters",
            what=what,
            given=text[:80],
            length=len(text),
        )
    return text


def short_name(title: str, *, most: int = 60, lower: bool = False) -> str:
    """A name made of a title's letters, digits, dots, underscores and hyphens; the title itself where it is one.

    Another title gives another name: what had to be left out is told apart by some letters of a digest.
    """
    plain = title.lower() if lower else title
    cut = _STRANGE.sub("-", plain).strip("-._")[:most] or "x"
    if cut == title:
        return cut
    return f"{cut}-{hashlib.sha256(title.encode()).hexdigest()[:6]}"


def check_document(document: Any, what: str) -> None:
    """Refuse a document that cannot be kept or is too long."""
    if _depth(document) > _DEEPEST:
        raise Invalid("MUNI-R168", "what is told is nested too deeply to be kept", what=what, most=_DEEPEST)
    size = len(canonical(document))
    if size > _LONGEST_DOCUMENT:
        raise Invalid("MUNI-R152", "what is told is too long to be kept", what=what, bytes=size, most=_LONGEST_DOCUMENT)


def _depth(document: Any) -> int:
    """How deep lists and objects lie in one another, counted as far as it matters."""
    depth, layer = 0, [document]
    while layer and depth <= _DEEPEST:
        nested = [one for one in layer if isinstance(one, dict | list)]
        layer = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
        depth += bool(nested)
    return depth


def changed(known: Mapping[str, Any], told: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Texts by name after some were set and some, told as None, taken away."""
    check_names(set(told), what)
    check_values({name: text for name, text in told.items() if isinstance(text, str)}, what)
    if reserved := sorted(name for name in told if name.startswith(RESERVED)):
        raise Invalid(
            "MUNI-R153", f"names that begin with {RESERVED!r} are the platform's own", what=what, names=reserved[:10]
        )
    merged = {**known, **told}
    if len(merged) > LONGEST_VALUE:
        raise Invalid("MUNI-R152", "what is told is too long to be kept", what=what, names=len(merged))
    return {name: text for name, text in merged.items() if text is not None}


def check_reading(call: Call, run: Run) -> None:
    """Refuse to hand out what a script left to whoever may not use the data that it was made of.

    Such files are whatever the script wrote, rows included, and so are under the terms that they inherit.

    Raises:
        Denied, Conflict: as ``DataUse`` says.
    """
    if run.kind != "run":
        return
    made = call.use(Entities).find(call.project, [Digest(one["digest"]) for one in run.result.get("products", [])])
    left = tuple(one for one in made.values() if one.kind is EntityKind.ARTIFACT)
    if left:
        call.use(DataUse).permit(call, Using(kind=READING, purpose=None, use_case=None, inputs=left))


_MODELLING: Final = frozenset({"run", "train"})


def files_of_run(call: Call, run: Run) -> dict[str, Part]:
    """The files of a run by path, tracked ones as they stand last, hermetic ones as the collector took them.

    Of the jobs of the platform only a training leaves what a client may call a model: what others leave are rows of
    data, fingerprints and reports, which no registry hands out.
    """
    if run.kind == "track":
        kept = call.use(TrackedRuns).artifacts(run.id)
        return {one.path: Part(one.path, one.digest, one.size) for one in sorted(kept, key=lambda one: one.version)}
    outputs = run.result.get("outputs", []) if run.kind in _MODELLING else []
    return {one["path"]: Part(one["path"], Digest(one["digest"]), one["size"]) for one in outputs}


def known_run(call: Call, run: str) -> Run | None:
    """A run of the project by its whole id."""
    return call.use(RunQueue).get(call.project, run.removeprefix("run:"))


def open_run(call: Call, run: Run) -> Run:
    """The run, which has not ended and is the asker's own.

    Raises:
        Conflict: it has ended, or somebody else tells about it.
    """
    if run.kind != "track" or run.status.ended:
        raise Conflict(
            "MUNI-R351",
            "a run that has ended, or that the platform ran itself, is not changed",
            run=run.id,
            status=run.status.value,
            do="begin a new run and tell it what is new",
        )
    if run.requested_by != str(call.principal):
        raise Conflict("MUNI-R352", "somebody else tells about this run", run=run.id)
    return run


def page(items: Sequence[Item], *, deleted: bool) -> list[Item]:
    """Items without, or with, the deleted ones."""
    return [item for item in items if deleted or not item.deleted]
