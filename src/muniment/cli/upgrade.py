"""``muni upgrade``: the database of an older release becomes one of this release."""

from __future__ import annotations

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.connecting import home_folder
from muniment.founding import upgrade as bring_up


@click.command(cls=Command)
@with_face
def upgrade(face: Face) -> None:
    """Bring the database of an older release up to date; stop its server first.

    A SQLite database is copied before anything changes; of PostgreSQL make a backup yourself. Safe to run again.
    """
    done = bring_up(home_folder(face.home))
    document = {
        "home": str(done.home),
        "found": done.found,
        "schema": done.schema,
        "backup": str(done.backup) if done.backup else None,
    }

    def draw(screen: Screen) -> None:
        if done.found == done.schema:
            screen.done(f"{done.home} is up to date: schema {done.schema}")
        else:
            screen.done(f"{done.home}: schema {done.found} became {done.schema}")
            screen.facts("", {"backup": document["backup"]})

    face.answer(document, draw)
