"""The verbs of reviews that are due: by a date, by a change of data or use, by an emergency.

An overdue review closes every gate of its version. One that comes out unsatisfactory leaves a finding of high severity,
so that the gates stay closed until that is remedied.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from muniment.catalog.model import Entity
from muniment.catalog.resources import MODEL
from muniment.errors import Denied, Invalid, NotFound
from muniment.inventory.citing import called, check_not_signer, day, model_of, one_of, text_of, why_not_independent
from muniment.inventory.lifecycle import Outcome
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.inventory.revalidation import reviews_of, reviews_of_all
from muniment.inventory.standing import GRACE, Review, Severity, Trigger
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import oversight as wire

__all__ = ["VERBS", "schedule", "waiting"]

_MOST_LISTED: Final = 1000
_SETTING_OFF: Final = (
    RecordKind.REVIEW_SCHEDULE,
    RecordKind.REVIEW_DONE,
    RecordKind.APPROVAL,
    RecordKind.BREAK_GLASS,
)
"""Only versions that something like this was said about can have a review."""


class Shown(StrEnum):
    """Which reviews a list shows."""

    WAITING = "waiting"
    OVERDUE = "overdue"
    DONE = "done"
    ALL = "all"


def schedule(call: Call, model: Digest, due: date, trigger: Trigger, reason: str) -> Record:
    """Fix a day by which a version must be looked at again; also for those who approve it."""
    body = {"due": due.isoformat(), "trigger": trigger.value, "reason": reason}
    return keep(call, RecordKind.REVIEW_SCHEDULE, str(model), body)


def waiting(call: Call, model: Digest) -> list[Review]:
    """The reviews of a version that are not done, the next due first."""
    records = call.use(Records).about(call.project, [str(model)])
    return [review for review in reviews_of(call, model, records) if review.done is None]


@verb(
    "inventory:ScheduleReview",
    on=MODEL,
    request=wire.ScheduleReview,
    reply=wire.ReviewView,
    event="review.scheduled",
    group="inventory:oversee",
)
def schedule_review(call: Call, request: wire.ScheduleReview) -> wire.ReviewView:
    """Fix a day by which a version must be looked at again, and why; past that day every gate of it is closed."""
    model = model_of(call, request.model)
    trigger = one_of(Trigger, request.trigger, "trigger")
    due = day(request.due, "due")
    if due < call.now.date():
        raise Invalid("MUNI-M161", "a review is due today or later", due=request.due, today=str(call.now.date()))
    record = schedule(call, model.digest, due, trigger, text_of(request.reason, "reason")[:2000])
    call.note(model=str(model.digest), review=record.id, due=due.isoformat())
    review = Review(record.id, due, trigger, record.body["reason"], record.at)
    return _views(call, [(model.digest, review)])[0]


@verb(
    "inventory:CompleteReview",
    on=MODEL,
    request=wire.CompleteReview,
    reply=wire.Reviews,
    event="review.completed",
    group="inventory:oversee",
)
def complete_review(call: Call, request: wire.CompleteReview) -> wire.Reviews:
    """Record that a version was looked at again and what came of it; shows which reviews that settled."""
    model = model_of(call, request.model)
    outcome = one_of(Outcome, request.outcome, "outcome")
    next_due = None if request.next_due is None else day(request.next_due, "next_due")
    if next_due is not None and next_due <= call.now.date():
        raise Invalid("MUNI-M162", "the next review is due after today", next_due=request.next_due)
    if why := why_not_independent(call, model.digest):
        raise Denied(
            "MUNI-M454",
            "who had a part in the model does not review it",
            principal=str(call.principal),
            because=why,
            do="ask a validator",
        )
    open_ = waiting(call, model.digest)
    if any(review.trigger == Trigger.BREAK_GLASS for review in open_):
        check_not_signer(call, model.digest)
    named = None if request.review is None else _one(open_, request.review)
    text = text_of(request.text, "text")
    body = {
        "outcome": outcome.value,
        "text": text,
        "next_due": None if next_due is None else next_due.isoformat(),
        "review": None if named is None else named.id,
    }
    record = keep(call, RecordKind.REVIEW_DONE, str(model.digest), body)
    call.note(model=str(model.digest), outcome=outcome.value)
    if outcome is Outcome.UNSATISFACTORY:
        _leave_finding(call, model, text)
    records = call.use(Records).about(call.project, [str(model.digest)])
    after = [r for r in reviews_of(call, model.digest, records) if r.done is None or r.done.id == record.id]
    return wire.Reviews(reviews=_views(call, [(model.digest, review) for review in after]))


@verb(
    "inventory:ListReviews",
    on=PROJECT,
    request=wire.ListReviews,
    reply=wire.Reviews,
    event="reviews.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_reviews(call: Call, request: wire.ListReviews) -> wire.Reviews:
    """List the reviews of the project or of one version, the next due first, with those past their day marked."""
    shown = one_of(Shown, request.state, "state")
    records = call.use(Records)
    if request.model is not None:
        subjects = [str(model_of(call, request.model).digest)]
    else:
        subjects = sorted({r.subject for kind in _SETTING_OFF for r in records.of_kind(call.project, kind)})
    about: dict[Digest, list[Record]] = {Digest(subject): [] for subject in subjects}
    for record in records.about(call.project, subjects):
        about[Digest(record.subject)].append(record)
    found = [
        (model, review)
        for model, reviews in reviews_of_all(call, about).items()
        for review in reviews
        if _is_shown(call, review, shown)
    ]
    found.sort(key=lambda pair: (pair[1].done is not None, pair[1].due, pair[0]))
    return wire.Reviews(reviews=_views(call, found[: max(1, min(request.limit, _MOST_LISTED))]))


def _leave_finding(call: Call, model: Entity, text: str) -> None:
    """What an unsatisfactory review comes to: a finding that closes every gate until it is remedied."""
    registered = call.use(Records).about(call.project, [str(model.digest)], RecordKind.REGISTRATION)
    owner = str(registered[-1].body["owner"]) if registered else model.author.partition(":")[2]
    body = {
        "title": "its review came out unsatisfactory",
        "severity": Severity.HIGH.value,
        "owner": owner,
        "due": (call.now + GRACE).date().isoformat(),
        "text": text,
        "model": str(model.digest),
    }
    keep(call, RecordKind.FINDING, str(model.digest), body)


def _one(reviews: Sequence[Review], given: str) -> Review:
    wanted = given.removeprefix("review:")
    found = [review for review in reviews if review.id == wanted or (len(wanted) >= 6 and review.id.endswith(wanted))]
    if len(found) != 1:
        raise NotFound(
            "MUNI-M254",
            f"no review {given[:80]!r} of this version is waiting",
            given=given[:200],
            waiting=[f"review:{review.id}" for review in reviews[:10]],
        )
    return found[0]


def _is_shown(call: Call, review: Review, shown: Shown) -> bool:
    match shown:
        case Shown.WAITING:
            return review.done is None
        case Shown.OVERDUE:
            return review.overdue(call.now)
        case Shown.DONE:
            return review.done is not None
    return True


def _views(call: Call, reviews: Sequence[tuple[Digest, Review]]) -> list[wire.ReviewView]:
    names = called(call, [digest for digest, _ in reviews])
    return [
        wire.ReviewView(
            review=f"review:{review.id}",
            model=names[str(digest)],
            digest=str(digest),
            due=review.due.isoformat(),
            trigger=str(review.trigger),
            reason=review.reason,
            since=format_time(review.since),
            overdue=review.overdue(call.now),
            done_at=None if review.done is None else format_time(review.done.at),
            done_by=None if review.done is None else review.done.by,
            outcome=None if review.done is None else str(review.done.body["outcome"]),
            text=None if review.done is None else str(review.done.body["text"]),
        )
        for digest, review in reviews
    ]


VERBS: Final = (schedule_review, complete_review, list_reviews)
