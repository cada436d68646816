"""``muni review``: when versions must be looked at again, by date or because something changed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.wire import oversight as wire

TRIGGERS = click.Choice(["date", "data change", "use change", "change", "drift", "break-glass", "other"])
OUTCOMES = click.Choice(["satisfactory", "satisfactory with findings", "unsatisfactory"])


@click.group(cls=Group)
def review() -> None:
    """Reviews that are due; an overdue one closes every gate of its version."""


@review.command("list")
@click.option("--model", type=MODEL, help="Only those of this version.")
@click.option(
    "--state",
    type=click.Choice(["waiting", "overdue", "done", "all"]),
    default="waiting",
    show_default=True,
    help="Which ones.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, model: str | None, state: str, limit: int) -> None:
    """List reviews, the next due first: those that were scheduled, and those that a change set off."""
    found = face.client.reviews.list(model, state=state, limit=limit)
    face.answer(wire.Reviews(reviews=found), lambda screen: _draw(screen, found))


@review.command()
@click.argument("model", type=MODEL)
@click.option("--due", required=True, metavar="DAY", help="Last day on which it is in time, as 2027-05-31.")
@click.option("--reason", required=True, help="Why it must be looked at again.")
@click.option("--trigger", type=TRIGGERS, default="date", show_default=True, help="What set it off.")
@with_face
def schedule(face: Face, model: str, due: str, reason: str, trigger: str) -> None:
    """Fix a day by which a version must be looked at again."""
    found = face.client.reviews.schedule(model, due, reason, trigger=trigger)
    face.answer(found, lambda screen: screen.done(f"{found.review}  {found.model} is reviewed by {found.due}"))


@review.command()
@click.argument("model", type=MODEL)
@click.option("--outcome", type=OUTCOMES, required=True, help="What came of it.")
@click.option("--text", required=True, help="What was looked at, and what was seen.")
@click.option("--next", "next_due", metavar="DAY", help="Last day of the next review.")
@click.option("--review", metavar="ID", help="The one review that this is; else all that were due until now.")
@with_face
def done(face: Face, model: str, outcome: str, text: str, next_due: str | None, review: str | None) -> None:
    """Record that a version was looked at again; an unsatisfactory outcome leaves a high finding."""
    found = face.client.reviews.complete(model, outcome, text, next_due=next_due, review=review)
    face.answer(wire.Reviews(reviews=found), lambda screen: _draw(screen, found))


def _draw(screen: Screen, found: Sequence[wire.ReviewView]) -> None:
    rows = [
        [r.model, r.due, "overdue" if r.overdue else (r.outcome or "waiting"), r.trigger, r.reason, r.review]
        for r in found
    ]
    columns = ["model", "due", "state", "trigger", "reason", "review"]
    screen.table(columns, rows, empty="no such review", wrap=["reason"], spare=["review"])
