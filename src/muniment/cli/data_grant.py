"""``muni data grant``: access to data, for a purpose and a time, asked for by one and given by another."""

from __future__ import annotations

import click

from muniment.cli.data_rights import grants_picture
from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import DATA, GRANT
from muniment.wire import stewardship as ws

__all__ = ["grant"]


@click.group(cls=Group)
def grant() -> None:
    """Access to data for a purpose and a time; it ends by itself."""


@grant.command(epilog='Example: muni data grant request credit --purpose "credit scoring" --days 14 --reason "model 7"')
@click.argument("dataset", type=DATA)
@click.option("--purpose", required=True, metavar="TEXT", help="What the data are needed for.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--days", type=int, default=14, show_default=True, help="For how long, 90 days at most.")
@click.option("--account", default="", metavar="NAME", help="Who shall have it; else yourself.")
@click.option("--this-version", is_flag=True, help="To this snapshot alone, not to its name.")
@with_face
def request(face: Face, dataset: str, purpose: str, reason: str, days: int, account: str, this_version: bool) -> None:
    """Ask for access to DATASET."""
    made = face.client.stewardship.grants.request(
        dataset, purpose=purpose, reason=reason, days=days, account=account, every_version=not this_version
    )
    said = f"{made.id}  {made.dataset} for {made.purpose}, {made.days} days: a data steward decides"
    face.answer(made, lambda screen: screen.done(said))


@grant.command(epilog='Example: muni data grant approve GRANT --reason "needed for model 7" --profile steward')
@click.argument("grant", type=GRANT)
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@click.option("--days", type=int, help="Fewer days than were asked for.")
@with_face
def approve(face: Face, grant: str, reason: str, days: int | None) -> None:
    """Give the access that somebody else asked for."""
    made = face.client.stewardship.grants.approve(grant, reason=reason, days=days)
    said = f"{made.account} may use {made.dataset} for {made.purpose} until {(made.until or '')[:16]}"
    face.answer(made, lambda screen: screen.done(said))


@grant.command(epilog='Example: muni data grant reject GRANT --reason "no purpose" --profile steward')
@click.argument("grant", type=GRANT)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def reject(face: Face, grant: str, reason: str) -> None:
    """Refuse access that somebody asked for."""
    made = face.client.stewardship.grants.reject(grant, reason=reason)
    face.answer(made, lambda screen: screen.done(f"{made.id} is rejected"))


@grant.command(epilog='Example: muni data grant revoke GRANT --reason "left the team"')
@click.argument("grant", type=GRANT)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def revoke(face: Face, grant: str, reason: str) -> None:
    """Take access back before it ends."""
    made = face.client.stewardship.grants.revoke(grant, reason=reason)
    face.answer(made, lambda screen: screen.done(f"{made.account} has no access to {made.dataset} any more"))


@grant.command("list", epilog="Example: muni data grant list")
@click.option("--mine", is_flag=True, help="Only your own.")
@click.option(
    "--state",
    type=click.Choice(["requested", "active", "expired", "revoked", "rejected"]),
    help="Only those in this state.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, mine: bool, state: str | None, limit: int) -> None:
    """List requests for access and what came of them, newest first."""
    found = face.client.stewardship.grants.list(mine=mine, state=state, limit=limit)
    face.answer(ws.DataGrants(grants=found), lambda screen: grants_picture(screen, found))
