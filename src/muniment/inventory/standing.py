"""What the records about a version come to: findings, questions, and reviews that are due. Pure folds over records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from muniment.inventory.model import Record, RecordKind

__all__ = ["GRACE", "Finding", "Review", "Severity", "Thread", "Trigger", "findings_in", "reviews_in", "threads_in"]

GRACE: Final = timedelta(days=30)
"""A review that something set off, rather than the calendar, is due so long after it."""


class Severity(StrEnum):
    """How grave a finding is; a high one closes every gate until it is closed."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Trigger(StrEnum):
    """Why a version is looked at again."""

    DATE = "date"
    """Its time has come."""

    DATA = "data change"
    USE = "use change"
    CHANGE = "change"
    """A new version, code or environment."""

    DRIFT = "drift"
    BREAK_GLASS = "break-glass"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding and, once it is closed, its closure."""

    record: Record
    closure: Record | None

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return Severity(self.record.body["severity"])

    @property
    def due(self) -> date:
        """The last day on which it is in time."""
        return date.fromisoformat(self.record.body["due"])

    @property
    def open(self) -> bool:
        """Whether it is not closed."""
        return self.closure is None

    def overdue(self, now: datetime) -> bool:
        """Whether it is open past its due day, in UTC."""
        return self.open and self.due < now.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Thread:
    """A question of the effective challenge with everything that was said to it."""

    root: Record
    replies: tuple[Record, ...]

    @property
    def resolved(self) -> bool:
        """Whether the one who asked said last that it is answered: a later turn of his can reopen it."""
        turns = [turn for turn in (self.root, *self.replies) if turn.by == self.root.by]
        return bool(turns[-1].body["resolved"])


@dataclass(frozen=True, slots=True)
class Review:
    """A review that is due, and what came of it."""

    id: str
    """Of the record that scheduled it; of a computed one, what set it off."""

    due: date
    trigger: str
    reason: str
    since: datetime
    """When it was scheduled or set off."""

    done: Record | None = None

    def overdue(self, now: datetime) -> bool:
        """Whether it is not done past its due day, in UTC."""
        return self.done is None and self.due < now.astimezone(UTC).date()


def findings_in(records: Iterable[Record]) -> list[Finding]:
    """The findings among these records, oldest first; closures are looked for among the same records."""
    records = list(records)
    closures = {r.subject: r for r in reversed(records) if r.kind is RecordKind.FINDING_CLOSURE}
    return [Finding(r, closures.get(r.id)) for r in records if r.kind is RecordKind.FINDING]


def threads_in(records: Iterable[Record]) -> list[Thread]:
    """The threads among these records, oldest first; a reply to a reply belongs to the thread it is in."""
    comments = [r for r in records if r.kind is RecordKind.COMMENT]
    threads: dict[str, list[Record]] = {}
    root_of: dict[str, str] = {}
    for comment in comments:
        root = root_of.get(comment.body["in_reply_to"] or "", comment.id)
        root_of[comment.id] = root
        threads.setdefault(root, []).append(comment)
    return [Thread(turns[0], tuple(turns[1:])) for turns in threads.values()]


def reviews_in(records: Iterable[Record], triggers: Sequence[Review] = ()) -> list[Review]:
    """The reviews that these records schedule or that something set off, the next due first.

    A review that is done does away with everything that was due or set off before it, unless it names the one it is of;
    what it names as the next day is a review by date.

    Args:
        records: about one version, oldest first.
        triggers: what was found to ask for a review without a record that schedules one.
    """
    records = list(records)
    found = list(triggers)
    done = [r for r in records if r.kind is RecordKind.REVIEW_DONE]
    for record in records:
        if record.kind is RecordKind.REVIEW_SCHEDULE:
            body = record.body
            found.append(Review(record.id, _day(body), body["trigger"], body["reason"], record.at))
        elif record.kind is RecordKind.REVIEW_DONE and record.body.get("next_due"):
            next_due = date.fromisoformat(record.body["next_due"])
            found.append(Review(record.id, next_due, Trigger.DATE, "next after the review", record.at))
    settled = [_settled(review, done) for review in found]
    return sorted(settled, key=lambda review: (review.done is not None, review.due, review.id))


def _settled(review: Review, done: Sequence[Record]) -> Review:
    for record in done:
        named = record.body.get("review")
        later = record.at >= review.since and record.id != review.id
        if named == review.id or (not named and later):
            return Review(review.id, review.due, review.trigger, review.reason, review.since, record)
    return review


def _day(body: Mapping[str, object]) -> date:
    return date.fromisoformat(str(body["due"]))
