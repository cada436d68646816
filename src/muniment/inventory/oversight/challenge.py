"""The verbs of effective challenge: who asked what about a version, who answered, and whether the asker is satisfied.

A critical review by competent people leaves a trace, also where nothing was changed for it. Source: SR 26-2 and, before
it, SR 11-7 on effective challenge: incentives, competence and influence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from muniment.errors import Denied, Invalid
from muniment.inventory.citing import called, cited, model_of, text_of
from muniment.inventory.facts.known import records_about
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.standing import Thread, threads_in
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import oversight as wire

__all__ = ["VERBS", "threads_about"]


@verb(
    "inventory:Comment",
    on=PROJECT,
    request=wire.Comment,
    reply=wire.CommentView,
    event="comment.added",
    group="inventory:challenge",
)
def comment(call: Call, request: wire.Comment) -> wire.CommentView:
    """Ask about a version or a finding, answer, or say that one's own question is answered."""
    text = text_of(request.text, "text")
    named = [name for name in (request.model, request.finding, request.in_reply_to) if name is not None]
    if len(named) != 1:
        raise Invalid(
            "MUNI-M158",
            "a comment is about one thing: a model, a finding, or the comment that it answers",
            given=[name[:80] for name in named],
        )
    if request.in_reply_to is not None:
        earlier = cited(call, request.in_reply_to, RecordKind.COMMENT, "comment")
        subject, reply_to = earlier.subject, earlier.id
        if request.resolved:
            _check_asked(call, earlier)
    elif request.resolved:
        raise Invalid("MUNI-M159", "a question that is just asked is not answered yet", do="answer it with a reply")
    else:
        reply_to = None
        subject = (
            str(model_of(call, request.model).digest)
            if request.model is not None
            else cited(call, str(request.finding), RecordKind.FINDING, "finding").id
        )
    body = {"text": text, "in_reply_to": reply_to, "resolved": request.resolved}
    record = keep(call, RecordKind.COMMENT, subject, body)
    call.note(comment=record.id, subject=subject, resolved=request.resolved)
    return _turn(record)


@verb(
    "inventory:ListComments",
    on=PROJECT,
    request=wire.ListComments,
    reply=wire.Threads,
    event="comments.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_comments(call: Call, request: wire.ListComments) -> wire.Threads:
    """Show the effective challenge of a version, its findings included, or of one finding, thread by thread."""
    if (request.model is None) is (request.finding is None):
        raise Invalid("MUNI-M160", "comments are those of a model or of a finding: name one of the two")
    if request.model is not None:
        model = model_of(call, request.model).digest
        records: Iterable[Record] = records_about(call, model)
    else:
        finding = cited(call, str(request.finding), RecordKind.FINDING, "finding")
        model, records = Digest(finding.subject), call.use(Records).about(call.project, [finding.id])
    return wire.Threads(model=called(call, [model])[str(model)], threads=threads_about(call, records))


def threads_about(call: Call, records: Iterable[Record]) -> list[wire.ThreadView]:
    """The threads among these records, as they are shown."""
    threads = threads_in(records)
    models = [Digest(t.root.subject) for t in threads if t.root.subject.startswith("sha256:")]
    names = called(call, models)
    return [
        wire.ThreadView(
            about=names.get(thread.root.subject, f"finding:{thread.root.subject}"),
            resolved=thread.resolved,
            turns=[_turn(record) for record in (thread.root, *thread.replies)],
        )
        for thread in threads
    ]


def _check_asked(call: Call, earlier: Record) -> None:
    """Refuse to let anybody but the asker be satisfied with an answer."""
    thread = _thread_of(call, earlier)
    if thread.root.by != str(call.principal):
        raise Denied(
            "MUNI-M453",
            "whether a question is answered says the one who asked it",
            asked_by=thread.root.by,
            principal=str(call.principal),
            comment=thread.root.id,
            do=f"ask {thread.root.by}",
        )


def _thread_of(call: Call, earlier: Record) -> Thread:
    threads = threads_in(call.use(Records).about(call.project, [earlier.subject], RecordKind.COMMENT))
    return next(t for t in threads if earlier.id in {t.root.id, *(reply.id for reply in t.replies)})


def _turn(record: Record) -> wire.CommentView:
    reply_to = record.body["in_reply_to"]
    return wire.CommentView(
        comment=f"comment:{record.id}",
        text=record.body["text"],
        by=record.by,
        at=format_time(record.at),
        in_reply_to=None if reply_to is None else f"comment:{reply_to}",
        resolved=bool(record.body["resolved"]),
        record=str(record.digest),
    )


VERBS: Final = (comment, list_comments)
