"""Reports: a dossier or a view of the whole inventory becomes a document, and the document pages.

Everything in a report comes from the record. A text is either the product's own, and then it holds no number, or a
value with its grade and a mark that leads to what bears it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from muniment.evidence.board import board_document
from muniment.evidence.chapters.closing import checking, environment, limits
from muniment.evidence.chapters.data import data
from muniment.evidence.chapters.explanation import explanation
from muniment.evidence.chapters.governance import governance
from muniment.evidence.chapters.method import method
from muniment.evidence.chapters.origin import origin
from muniment.evidence.chapters.performance import fairness, performance
from muniment.evidence.chapters.purpose import purpose
from muniment.evidence.chapters.subject import Subject, at, code, text
from muniment.evidence.chapters.summary import cover, summary
from muniment.evidence.displaying import day, number, shortened
from muniment.evidence.document import Document, Value, said
from muniment.evidence.ports import Typesetter

__all__ = ["board_report", "model_document", "report"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHAPTERS: Final = (
    summary,
    purpose,
    data,
    method,
    performance,
    fairness,
    explanation,
    origin,
    governance,
    environment,
    limits,
    checking,
)


def report(dossier: Mapping[str, Any], typesetter: Typesetter) -> bytes:
    """The report of one model version, as PDF/A; the same dossier gives the same bytes.

    Args:
        dossier: ``muniment.dossier/1``; every part of it may be missing, and the report then says so.
        typesetter: who sets the pages.

    Raises:
        Unavailable: the typesetter cannot set it.
    """
    return typesetter.pdf(model_document(dossier).tree(), moment_of(dossier))


def board_report(board: Mapping[str, Any], typesetter: Typesetter) -> bytes:
    """The report about the whole inventory for a board or a committee, as PDF/A.

    Args:
        board: what the board view answers; see ``board_document``.
        typesetter: who sets the pages.

    Raises:
        Unavailable: the typesetter cannot set it.
    """
    return typesetter.pdf(board_document(board).tree(), moment_of(board))


def model_document(dossier: Mapping[str, Any]) -> Document:
    """The document of one model version, before anything is set."""
    subject = Subject(dossier)
    first = cover(subject)
    chapters = tuple(chapter(subject) for chapter in _CHAPTERS)
    model, checkpoint = subject.model, subject.part("checkpoint")
    version = f" · version {number(model['version'])}" if model.get("version") is not None else ""
    return Document(
        title=f"{shortened(subject.title, 100)}{version}",
        kind="Model report",
        subtitle=said(Value(_first(subject))),
        cover=first,
        chapters=chapters,
        index=subject.citations.lines(),
        footer=said(
            code(model.get("reference") or model.get("digest"), None, 50),
            " · as of ",
            Value(day(checkpoint.get("time"))),
        ),
        author=f"Muniment {text(at(dossier, 'installation', 'version'))}".strip(),
        keywords=("model report", text(model.get("digest"))),
    )


def _first(subject: Subject) -> str:
    """The first sentences of what the model is for."""
    words = text(subject.part("use_case").get("purpose")) or text(subject.part("registration").get("description"))
    return words if len(words) <= 300 else f"{words[:300].rpartition(' ')[0]} …"


def moment_of(document: Mapping[str, Any]) -> datetime:
    """The time of a document's checkpoint, or else its own, to the second; the epoch when it names none."""
    try:
        at_ = datetime.fromisoformat(text(at(document, "checkpoint", "time")) or text(document.get("at")))
    except ValueError:
        return _EPOCH
    return (at_ if at_.tzinfo else at_.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
