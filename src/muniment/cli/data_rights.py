"""``muni data rights``, ``terms`` and ``due``: what may be done with data, who says so, and what is to go."""

from __future__ import annotations

from typing import Any

import click

from muniment.cli.face import Command, Face, Group, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.shown import count, size
from muniment.wire import stewardship as ws

__all__ = ["due", "rights", "terms"]

RIGHT = click.Choice(["no-derivation", "no-evaluation", "no-prediction", "no-scripts", "no-training"])


@click.command(cls=Command, epilog='Example: muni data rights credit --purpose "credit scoring"')
@click.argument("dataset", type=DATA)
@click.option("--purpose", default="", metavar="TEXT", help="Ask for this purpose.")
@click.option("--use-case", default="", metavar="NAME", help="Ask for the purpose of this use case.")
@with_face
def rights(face: Face, dataset: str, purpose: str, use_case: str) -> None:
    """Show what may be done with DATASET, by you, at this moment, and why."""
    found = face.client.stewardship.rights(dataset, purpose=purpose, use_case=use_case)

    def draw(screen: Screen) -> None:
        screen.facts(found.dataset, {"digest": found.digest, **_facts(found.terms)})
        if found.erased:
            screen.line("destroyed on purpose: nothing can read it", style="bold")
        rows = [[one.kind, "yes" if one.allowed else "no", "; ".join(one.because)] for one in found.uses]
        screen.line()
        screen.table(["use", "allowed", "because"], rows, wrap=["because"], empty="no use")
        if found.statements:
            screen.line()
            statements_picture(screen, found.statements)
        if found.grants:
            screen.line()
            grants_picture(screen, found.grants)
        if found.holds:
            screen.line()
            holds_picture(screen, found.holds)

    face.answer(found, draw)


@click.group(cls=Group)
def terms() -> None:
    """Terms of data: purposes, rights, ends. Narrower ones hold at once, wider ones once a second steward agrees."""


@terms.command("set", epilog='Example: muni data terms set credit --purpose "credit scoring" --reason "contract 4711"')
@click.argument("dataset", type=DATA)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--classification", type=click.Choice(["public", "internal", "confidential", "restricted"]), help="How.")
@click.option("--owner", metavar="NAME", help="Who answers for the data.")
@click.option("--purpose", "purposes", multiple=True, metavar="TEXT", help="A use that they may have; repeatable.")
@click.option("--any-purpose", is_flag=True, help="They may have any use of the project.")
@click.option("--legal-basis", multiple=True, metavar="TEXT", help="By which right they are processed; repeatable.")
@click.option("--right", "limits", multiple=True, type=RIGHT, help="What they are kept from; repeatable.")
@click.option("--no-limits", is_flag=True, help="They are kept from nothing.")
@click.option("--use-until", metavar="DAY", help="Last day of the right to use them, or never.")
@click.option("--retention", metavar="DAY", help="Last day they are kept; then they are due to be deleted.")
@click.option("--keep-until", metavar="DAY", help="Nobody can destroy them up to this day.")
@click.option("--access", type=click.Choice(["role", "grant"]), help="Whether a role is enough, or a grant is needed.")
@click.option("--stands-alone", is_flag=True, help="Nobody can be told from them: they inherit nothing.")
@click.option("--this-version", is_flag=True, help="About this snapshot alone, not about its name.")
@with_face
def set_(
    face: Face,
    dataset: str,
    reason: str,
    classification: str | None,
    owner: str | None,
    purposes: tuple[str, ...],
    any_purpose: bool,
    legal_basis: tuple[str, ...],
    limits: tuple[str, ...],
    no_limits: bool,
    use_until: str | None,
    retention: str | None,
    keep_until: str | None,
    access: str | None,
    stands_alone: bool,
    this_version: bool,
) -> None:
    """State terms of DATASET; what is left out stays as it is."""
    if (purposes and any_purpose) or (limits and no_limits):
        raise click.UsageError("say either which, or none")
    made = face.client.stewardship.state(
        dataset,
        reason=reason,
        every_version=not this_version,
        classification=classification,
        owner=owner,
        purposes=list(purposes) if purposes or any_purpose else None,
        legal_basis=list(legal_basis) or None,
        rights=list(limits) if limits or no_limits else None,
        use_until=use_until,
        retention=retention,
        keep_until=keep_until,
        access=access,
        stands_alone=stands_alone,
    )

    def draw(screen: Screen) -> None:
        screen.done(f"{made.subject}: stated {', '.join(made.states) or 'that it stands alone'} ({made.id})")
        if made.waiting:
            screen.line(f"  wider than before in {', '.join(made.widens)}: it waits for a second steward")
            screen.line(f"  muni data terms confirm {made.id} --reason ...", style="dim")

    face.answer(made, draw)


@terms.command(epilog='Example: muni data terms confirm STATEMENT --reason "contract 4711" --profile steward')
@click.argument("statement")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def confirm(face: Face, statement: str, reason: str) -> None:
    """Agree to the wider terms of STATEMENT as the second person."""
    made = face.client.stewardship.confirm(statement, reason=reason)
    face.answer(made, lambda screen: screen.done(f"{made.subject}: the wider terms hold"))


@click.command(cls=Command, epilog="Example: muni data due")
@with_face
def due(face: Face) -> None:
    """List snapshots whose time is over; nothing is deleted by itself: muni data erase due DATASET."""
    found = face.client.stewardship.erasures.due()
    rows = [[d.dataset, d.retention, "; ".join(d.held_by), count(d.days_over), size(d.bytes)] for d in found]
    face.answer(
        ws.Due(due=found),
        lambda screen: screen.table(
            ["data set", "kept until", "held by", "days over", "size"],
            rows,
            right=2,
            empty="nothing is due",
            wrap=["held by"],
        ),
    )


def statements_picture(screen: Screen, statements: list[ws.Statement]) -> None:
    """Statements for people."""
    rows = [
        [s.at[:16], s.subject, ", ".join(s.states), "waits" if s.waiting else "holds", s.by, s.reason, s.id]
        for s in statements
    ]
    columns = ["stated", "about", "terms", "state", "by", "reason", "id"]
    screen.table(columns, rows, wrap=["reason", "terms"], spare=["about", "by"])


def grants_picture(screen: Screen, grants: list[ws.DataGrantView]) -> None:
    """Grants for people."""
    rows = [
        [g.id, g.dataset, g.account.partition(":")[2], g.purpose, g.state, g.until and g.until[:16], g.reason]
        for g in grants
    ]
    columns = ["grant", "data set", "who", "purpose", "state", "until", "reason"]
    screen.table(columns, rows, empty="no access was asked for", wrap=["purpose", "reason"], spare=["reason"])


def holds_picture(screen: Screen, holds: list[ws.HoldView]) -> None:
    """Holds for people."""
    rows = [
        [
            h.id,
            h.dataset,
            h.case,
            "no use" if h.forbids_use else "",
            f"{h.placed_at[:10]} {h.placed_by.partition(':')[2]}",
            h.released_at and f"{h.released_at[:10]} {(h.released_by or '').partition(':')[2]}",
        ]
        for h in holds
    ]
    columns = ["hold", "data set", "case", "", "placed", "released"]
    screen.table(columns, rows, empty="nothing is held", wrap=["case"], spare=["released"])


def _facts(terms: ws.TermsView) -> dict[str, Any]:
    purposes = "any" if terms.purposes is None else ", ".join(terms.purposes) or "none"
    return {
        "classification": terms.classification,
        "owner": ", ".join(terms.owners),
        "purposes": purposes,
        "legal basis": ", ".join(terms.legal_basis),
        "kept from": ", ".join(terms.rights),
        "use until": terms.use_until,
        "kept until": terms.retention,
        "stays until": terms.keep_until,
        "access": "by role" if terms.access == "role" else "under a grant",
    }
