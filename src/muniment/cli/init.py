"""``muni init``: a new platform."""

from __future__ import annotations

import os
from pathlib import Path

import click

from muniment.cli.env import build_environment
from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.connecting import Profile, home_folder, write_profile
from muniment.errors import Unavailable
from muniment.founding import initialise
from muniment.wire.execution import Environment


@click.command(cls=Command, epilog="Example: muni init && muni demo")
@click.option("--admin", "admins", multiple=True, metavar="NAME", help="The first two administrators; give two.")
@click.option("--bare", is_flag=True, help="Only the administrators, without the starter team of one person per role.")
@click.option("--first-project", default="main", show_default=True, metavar="NAME", help="Name of the first project.")
@click.option("--database", default="", metavar="URL", help="SQLAlchemy URL; else SQLite in the home folder.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="FILE", help="Where the keys go, outside the home."
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Encrypt the keys under the passphrase in this file.",
)
@click.option(
    "--require",
    type=click.Choice(["enforced", "none"]),
    default="enforced",
    show_default=True,
    help="Whether jobs may run where no walls can be raised; what they make is then only declared.",
)
@with_face
def init(
    face: Face,
    admins: tuple[str, ...],
    bare: bool,
    first_project: str,
    database: str,
    key_file: Path | None,
    passphrase_file: Path | None,
    require: str,
) -> None:
    """Create a platform in the home folder: keys, database, ledger, the first two administrators.

    There are no default credentials: each token is random, kept in a profile that only you can read.
    """
    if len(admins) not in (0, 2):
        raise click.UsageError("a platform begins with two administrators: give --admin twice")
    if passphrase_file is not None:
        os.environ["MUNIMENT_PASSPHRASE_FILE"] = str(passphrase_file.absolute())
    made = initialise(
        home_folder(face.home),
        administrators=(admins[0], admins[1]) if admins else ("admin", "admin2"),
        team=not bare,
        project=first_project,
        database=database,
        key_file=key_file,
        passphrase=passphrase_file is not None,
        require=require,
    )
    for name, token in made.tokens.items():
        write_profile(made.home, Profile(name=name, token=token, project=made.project))
    environment: Environment | None = None
    if not bare:
        face.profile = next(iter(made.tokens))
        try:
            environment = build_environment(face, "tabular")
        except Unavailable as missing:
            face.notes.line(
                f"env:tabular is not built yet ({missing.message}); later: muni env build tabular", "yellow"
            )
    document = {
        "home": str(made.home),
        "key_file": str(made.key_file),
        "project": made.project,
        "profiles": list(made.tokens),
        "environment": environment and f"env:{environment.name}@{environment.version}",
    }

    def draw(screen: Screen) -> None:
        screen.done(f"a platform stands in {made.home}")
        screen.facts(
            "",
            {
                "project": made.project,
                "keys": (str(made.key_file), "back this file up: without it nothing can be opened"),
                "profiles": ", ".join(made.tokens),
                "environment": document["environment"],
            },
        )
        if passphrase_file is not None:
            screen.line(f"  set this for every command: export MUNIMENT_PASSPHRASE_FILE={passphrase_file.absolute()}")
        screen.line()
        screen.line("next  muni demo      play the whole story")
        screen.line("      muni doctor    see what this machine can enforce")

    face.answer(document, draw)
