"""``muni data erase``: a person is searched for, two decide, and keys are destroyed."""

from __future__ import annotations

import sys

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import ANYTHING, DATA, ERASURE
from muniment.cli.screen import Screen
from muniment.sdk.runs import Run
from muniment.sdk.shown import count, size
from muniment.wire import stewardship as ws

__all__ = ["erase"]

COLUMN = click.option("--column", metavar="NAME", help="The column that names people.")
VALUE = click.option("--value", metavar="TEXT", help="His value in it, or - to read it from standard input.")


@click.group(cls=Group)
def erase() -> None:
    """Erasure of a person: what holds him is destroyed for good, and records and lineage stay."""


@erase.command(epilog="Example: muni data erase preview --column customer_id --value 42")
@click.option("--column", required=True, metavar="NAME", help="The column that names people.")
@click.option("--value", required=True, metavar="TEXT", help="His value in it, or - to read it from standard input.")
@with_face
def preview(face: Face, column: str, value: str) -> None:
    """Search every snapshot for one person, hermetically, and show what his erasure would destroy and touch."""
    plan = _search(face, column, value)
    face.answer(plan, lambda screen: plan_picture(screen, plan))


@erase.command(epilog='Example: muni data erase request --column customer_id --value 42 --reason "request of 3 May"')
@COLUMN
@VALUE
@click.option("--subject", metavar="DIGEST", help="Instead of column and value: what a preview answered.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--keep", multiple=True, type=ANYTHING, help="Found by lineage, and known not to hold him; repeatable.")
@click.option("--include", multiple=True, type=ANYTHING, help="Something else that shall go; repeatable.")
@click.option("--replace", is_flag=True, help="First make the next version of each data set, without him.")
@with_face
def request(
    face: Face,
    column: str | None,
    value: str | None,
    subject: str | None,
    reason: str,
    keep: tuple[str, ...],
    include: tuple[str, ...],
    replace: bool,
) -> None:
    """Ask for the erasure of a person; another steward decides."""
    if subject is None:
        if column is None or value is None:
            raise click.UsageError("name the person: --column and --value, or --subject of a preview")
        subject = _search(face, column, value).subject
    made = face.client.stewardship.erasures.request(subject, reason=reason, keep=keep, include=include, replace=replace)
    for run in made.runs:
        face.wait(Run(face.client, run))
    face.answer(made, lambda screen: picture(screen, made))


@erase.command(epilog='Example: muni data erase due credit@1 --reason "its ten years are over"')
@click.argument("dataset", type=DATA)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def due(face: Face, dataset: str, reason: str) -> None:
    """Ask for the deletion of a snapshot whose time is over; another steward decides."""
    made = face.client.stewardship.erasures.request_deletion(dataset, reason=reason)
    face.answer(made, lambda screen: picture(screen, made))


@erase.command(epilog='Example: muni data erase approve ERASURE --reason "the request is right" --profile steward')
@click.argument("erasure", type=ERASURE)
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@with_face
def approve(face: Face, erasure: str, reason: str) -> None:
    """Decide as the second person, and destroy. There is no way back, not from a backup either."""
    made = face.client.stewardship.erasures.approve(erasure, reason=reason)
    face.answer(made, lambda screen: picture(screen, made))


@erase.command(epilog='Example: muni data erase reject ERASURE --reason "no such person"')
@click.argument("erasure", type=ERASURE)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def reject(face: Face, erasure: str, reason: str) -> None:
    """Decide that nothing is destroyed."""
    made = face.client.stewardship.erasures.reject(erasure, reason=reason)
    face.answer(made, lambda screen: screen.done(f"{made.id} is rejected"))


@erase.command(epilog="Example: muni data erase show ERASURE")
@click.argument("erasure", type=ERASURE)
@with_face
def show(face: Face, erasure: str) -> None:
    """Show one request for erasure, and what came of it."""
    found = face.client.stewardship.erasures.get(erasure)
    face.answer(found, lambda screen: picture(screen, found))


@erase.command("list", epilog="Example: muni data erase list")
@with_face
def list_(face: Face) -> None:
    """List requests for erasure, newest first."""
    found = face.client.stewardship.erasures.list()
    rows = [
        [e.id, e.why, e.state, e.asked_at[:16], e.asked_by.partition(":")[2], count(e.objects), e.reason] for e in found
    ]
    face.answer(
        ws.Erasures(erasures=found),
        lambda screen: screen.table(
            ["erasure", "why", "state", "asked", "by", "objects", "reason"],
            rows,
            empty="no erasure was asked for",
            wrap=["reason"],
            spare=["by"],
        ),
    )


def plan_picture(screen: Screen, plan: ws.ErasurePlan) -> None:
    """A plan for people."""
    screen.facts(
        "where the person is",
        {
            "subject": plan.subject,
            "column": plan.column,
            "searched": f"{count(plan.searched)} snapshots" + ("" if plan.complete else ", not all"),
            "to be destroyed": f"{count(plan.objects)} objects, {size(plan.bytes)}",
            "not searched yet": ", ".join(plan.missing),
            "refused by": "; ".join(plan.obstacles),
        },
    )
    _things(screen, plan.found, plan.affected)
    screen.line(f"  ask for it  muni data erase request --subject {plan.subject} --reason ...", style="dim")


def picture(screen: Screen, found: ws.ErasureView) -> None:
    """A request for erasure for people."""
    screen.facts(
        f"{found.id}  {found.state}",
        {
            "why": found.why,
            "reason": found.reason,
            "subject": found.subject,
            "column": found.column,
            "asked": f"{found.asked_at[:16]} by {found.asked_by}",
            "decided": found.decided_at and f"{found.decided_at[:16]} by {found.decided_by}",
            "objects": f"{count(found.objects)}, {size(found.bytes)}",
            "wrapped anew": None if found.survivors is None else f"{count(found.survivors)} other objects",
            "taken out online": f"{count(found.online)} rows" if found.online else None,
            "keys": "; ".join(found.keys),
            "exports that hold it": "; ".join(found.exports),
            "record": found.record,
        },
    )
    _things(screen, found.found, found.affected)
    if found.state == "requested":
        screen.line(f"  another steward decides  muni data erase approve {found.id}", style="dim")
    elif found.state == "done":
        screen.line("  copies from before open nothing any more: take a new backup now", style="dim")


def _things(screen: Screen, found: list[ws.Affected], affected: list[ws.Affected]) -> None:
    rows = [
        [one.reference, one.kind, one.action, one.why, "" if one.rows is None else count(one.rows)]
        for one in (*found, *affected)
    ]
    screen.line()
    columns = ["thing", "kind", "action", "why", "rows"]
    screen.table(columns, rows, right=1, empty="nothing holds him", wrap=["why"], spare=["kind"])


def _search(face: Face, column: str, value: str) -> ws.ErasurePlan:
    said = sys.stdin.readline().rstrip("\n") if value == "-" else value

    def attend(run: str) -> None:
        face.wait(Run(face.client, run))

    return face.client.stewardship.erasures.search(column, said, attend)
