"""What the chapters ask of a dossier: its parts, present or not, and the marks that lead to what bears them out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from muniment.evidence.citing import Citations
from muniment.evidence.displaying import displayable, number, shortened
from muniment.evidence.document import Block, Mark, Missing, Paragraph, Shape, Tone, Value, said

__all__ = ["ROWS", "Subject", "abbreviated", "at", "code", "dicts", "prose", "text", "toned"]

ROWS: Final = 120
"""Rows of one table; of more, the first are shown and it is said."""

_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_NAMES: Final = re.compile(r'sha256:[0-9a-f]{64}|"run":"([0-9a-z]{26})"')


class Subject:
    """A dossier as the chapters read it."""

    def __init__(self, dossier: Mapping[str, Any]) -> None:
        self.dossier = dossier
        self.model: Mapping[str, Any] = at(dossier, "model") or {}
        self._records = {str(one["digest"]): one for one in dicts(dossier.get("records")) if one.get("digest")}
        self.citations = Citations(dict(_entries(dossier, self._records)), frozenset(self._records))

    def part(self, name: str) -> Mapping[str, Any]:
        """A part that is one thing; empty when it is not there."""
        found = self.dossier.get(name)
        return found if isinstance(found, Mapping) else {}

    def parts(self, name: str) -> list[Mapping[str, Any]]:
        """A part that is a list."""
        return dicts(self.dossier.get(name))

    @property
    def title(self) -> str:
        """The model's name."""
        return text(self.model.get("name")) or text(self.model.get("reference")) or "a model"

    def ledger(self) -> Mark:
        """The mark of what was counted over the whole dossier at its checkpoint."""
        checkpoint = self.part("checkpoint")
        root = text(checkpoint.get("root")) or None
        mark = self.citations.mark("the dossier as it was at the checkpoint", digest=root, grade="proven")
        return mark or self.citations.untraced("the dossier", "declared")

    def of_model(self) -> Mark | None:
        """The mark of the model itself."""
        grade = text(self.model.get("grade")) or "declared"
        return self.citations.mark("the model", digest=text(self.model.get("digest")) or None, grade=grade)

    def of_training(self) -> Mark | None:
        """The mark of the training run."""
        training = self.part("training")
        if not training:
            return self.of_model()
        grade = text(training.get("grade")) or "declared"
        return self.citations.mark(
            "training run", run=_(training.get("run")), record=_(training.get("record")), grade=grade
        )

    def of_run(self, what: str, one: Mapping[str, Any]) -> Mark | None:
        """The mark of something that a run made."""
        run, record, digest = _(one.get("run")), _(one.get("record")), _(one.get("digest"))
        grade = text(one.get("grade")) or "declared"
        return self.citations.mark(what, run=run, digest=digest, record=record, grade=grade)

    def of_data(self, one: Mapping[str, Any]) -> Mark | None:
        """The mark of a data set."""
        reference = text(one.get("reference"))
        what = text(one.get("role")) or "data" if reference.startswith("sha256:") else f"data {reference}"
        return self.citations.mark(what, digest=_(one.get("digest")), grade=text(one.get("grade")) or "declared")

    def of_record(self, kind: str, one: Mapping[str, Any], what: str = "") -> Mark:
        """The mark of what people decided or stated.

        A part names its record, or has a body equal to that of a record of its kind; else it is marked as what the
        dossier says.
        """
        named = text(one.get("record"))
        found = self._records.get(named) or self._matching(kind, one)
        title = what or kind.replace("-", " ")
        signed = one.get("signature") or one.get("statement")
        given = text(at(found or {}, "document", "grade")) or text(one.get("grade"))
        grade = given or ("attested" if signed else "declared")
        if found is not None:
            return self.citations.mark(title, record=text(found["digest"]), grade=grade) or Mark(grade)
        if named:
            return self.citations.mark(title, record=named, grade=grade) or Mark(grade)
        return self.citations.untraced(title, grade)

    def of_fact(self, one: Mapping[str, Any]) -> Mark | None:
        """The mark of a fact, which names what bears it out."""
        record, grade = text(one.get("record")), text(one.get("grade")) or "declared"
        run = record if record.startswith("run:") else None
        named = None if run else _(record)
        return self.citations.mark(f"fact {text(one.get('name'))}", run=run, record=named, grade=grade)

    def of_gate(self, one: Mapping[str, Any]) -> Mark:
        """The mark of a gate; one that policy sets for everybody has no record of its own."""
        return self.of_record("gate", one) if one.get("record") else self.ledger()

    def document_of(self, kind: str, one: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole record of a part: its author and moment; empty when it is not in the dossier."""
        found = self._records.get(text(one.get("record"))) or self._matching(kind, one)
        document = at(found or {}, "document")
        return document if isinstance(document, Mapping) else {}

    def _matching(self, kind: str, one: Mapping[str, Any]) -> Mapping[str, Any] | None:
        for found in reversed(self._records.values()):
            document, body = at(found, "document"), at(found, "document", "body")
            if isinstance(body, Mapping) and document.get("kind") == kind:
                if document.get("id") and document.get("id") == one.get("id"):
                    return found
                if body == one or (body and all(one.get(key) == inner for key, inner in body.items())):
                    return found
        return None

    def number(self, of: Any, mark: Mark | None = None) -> Value:
        """A number as a value."""
        return Value(number(of), mark)

    def total(self, of: int) -> Value:
        """A count over the dossier."""
        return Value(number(of), self.ledger())


def at(tree: Any, *path: str) -> Any:
    """What stands at a path of keys; None when anything on the way is missing."""
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def dicts(of: Any) -> list[Mapping[str, Any]]:
    """The mappings in a list; nothing for anything else."""
    return (
        [one for one in of if isinstance(one, Mapping)] if isinstance(of, Sequence) and not isinstance(of, str) else []
    )


def texts(of: Any) -> list[str]:
    """The texts in a list."""
    return [text(one) for one in of] if isinstance(of, Sequence) and not isinstance(of, str) else []


def text(of: Any) -> str:
    """Text of whatever is recorded; empty for nothing."""
    if of is None:
        return ""
    if isinstance(of, (bool, int, float)):
        return number(of)
    return of if isinstance(of, str) else str(of)


def _(of: Any) -> str | None:
    return text(of) or None


def code(of: Any, mark: Mark | None = None, longest: int = 48) -> Value:
    """A name or a digest, in the typeface for code, its middle left out when it is long."""
    return Value(shortened(displayable(text(of)), longest) or "–", mark, Shape.CODE)


def abbreviated(of: Any) -> str:
    """Running text with its digests cut to their first digits; what bears the text out names them in full."""
    return _DIGEST.sub(r"\1…", text(of))


def settled(comments: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The ids of the questions that a comment of their thread calls resolved."""
    above = {text(one.get("id")): text(one.get("in_reply_to")) for one in comments}
    found = set()
    for one in comments:
        if one.get("resolved") is True:
            name, seen = text(one.get("id")), set()
            while above.get(name) and name not in seen:
                seen.add(name)
                name = above[name]
            found.add(name)
    return frozenset(found)


def prose(of: Any, mark: Mark | None, missing: str) -> list[Block]:
    """Somebody's own words, paragraph by paragraph; or the sentence that says there are none."""
    lines = [line.strip() for line in text(of).splitlines() if line.strip()]
    if not lines:
        return [Missing(missing)]
    return [Paragraph(said(Value(line)), quoted=True, mark=mark) for line in lines]


def toned(outcome: str) -> Tone:
    """How an outcome looks."""
    good = {
        "yes",
        "holds",
        "true",
        "ok",
        "identical-bytes",
        "identical",
        "satisfactory",
        "approved",
        "closed",
        "unused",
    }
    bad = {"no", "fails", "false", "unsatisfactory", "rejected", "high", "expired", "used", "overdue"}
    careful = {"unknown", "medium", "open", "satisfactory with findings", "unproven", "retired"}
    word = outcome.lower()
    return Tone.GOOD if word in good else Tone.BAD if word in bad else Tone.CAREFUL if word in careful else Tone.NEUTRAL


def agent(of: Any) -> str:
    """A person or a program by name, without its kind."""
    return shortened(displayable(text(of).removeprefix("User:")), 40) or "–"


def _entries(
    dossier: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Ledger entries by what they bear out: a digest or a run in their text, and what the records name themselves."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in sorted(dicts(dossier.get("entries")), key=lambda one: one.get("index") or 0):
        here = {"index": entry.get("index"), "id": entry.get("id")}
        for name in _NAMES.finditer(text(entry.get("body"))):
            if name[1]:
                found[f"run:{name[1]}"] = here  # the last one tells of its end
            else:
                found.setdefault(name[0], here)  # the first one tells how it came to be
    yield from found.items()
    for digest, one in records.items():
        named = one.get("entry")
        if isinstance(named, Mapping):
            yield digest, named
