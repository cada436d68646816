"""``muni data hold``: data that have to stay, for a case."""

from __future__ import annotations

import click

from muniment.cli.data_rights import holds_picture
from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import DATA, HOLD
from muniment.wire import stewardship as ws

__all__ = ["hold"]


@click.group(cls=Group)
def hold() -> None:
    """Legal holds: they win over erasure and over the end of retention."""


@hold.command(epilog='Example: muni data hold place credit --case "court 12/26" --reason "order of 3 May"')
@click.argument("dataset", type=DATA)
@click.option("--case", required=True, metavar="TEXT", help="What for, such as the number of a case.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--forbid-use", is_flag=True, help="Nothing may use the data either while it lasts.")
@click.option("--this-version", is_flag=True, help="This snapshot alone, not its name.")
@with_face
def place(face: Face, dataset: str, case: str, reason: str, forbid_use: bool, this_version: bool) -> None:
    """Have DATASET stay as it is."""
    made = face.client.stewardship.holds.place(
        dataset, case=case, reason=reason, forbids_use=forbid_use, every_version=not this_version
    )
    face.answer(made, lambda screen: screen.done(f"{made.id}  {made.dataset} is held for {made.case}"))


@hold.command(epilog='Example: muni data hold release HOLD --reason "court 12/26 is closed" --profile steward')
@click.argument("hold", type=HOLD)
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@with_face
def release(face: Face, hold: str, reason: str) -> None:
    """Let a hold end; it takes another person than the one who placed it."""
    made = face.client.stewardship.holds.release(hold, reason=reason)
    face.answer(made, lambda screen: screen.done(f"{made.dataset} is not held for {made.case} any more"))


@hold.command("list", epilog="Example: muni data hold list --all")
@click.option("--all", "released", is_flag=True, help="Those that ended too.")
@with_face
def list_(face: Face, released: bool) -> None:
    """List holds, newest first."""
    found = face.client.stewardship.holds.list(released=released)
    face.answer(ws.Holds(holds=found), lambda screen: holds_picture(screen, found))
