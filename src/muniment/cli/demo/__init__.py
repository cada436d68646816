"""``muni demo``: the whole story on one credit file."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import click

from muniment.adapters.sandbox.prepare import shipped_lock, shipped_wheels
from muniment.bootstrap import SETTINGS
from muniment.cli.demo.stage import COLLEAGUE, Stage, Told
from muniment.cli.demo.story import Story
from muniment.cli.demo.telling import Teller
from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.connecting import Profile, home_folder, profile_names, read_profile, write_profile
from muniment.errors import NotFound
from muniment.founding import initialise

_GENERATED = "generated, with the schema and base rate of the UCI set; these are not real people"
_PEOPLE = ("admin", "scientist", "validator", "approver", "operator", "auditor")


@click.command(cls=Command, epilog="Example: muni demo --data UCI_Credit_Card.csv.gz")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A real credit file with the column default_payment_next_month; else data are generated.",
)
@with_face
def demo(face: Face, data: Path | None) -> None:
    """Play the whole story: data, training, proofs, cheats, validation, signatures, and a pack for a stranger.

    Without --home or MUNIMENT_HOME it is played in a new throw-away home, which is kept to look around in.
    """
    begun = time.monotonic()
    named = face.home is not None or "MUNIMENT_HOME" in os.environ
    home = home_folder(face.home) if named else Path(tempfile.mkdtemp(prefix="muniment-demo-")) / "home"
    face.home = str(home)
    screen = face.notes if face.json else face.screen
    tell = Teller(screen)
    screen.line("Muniment: the story of CreditCardDefault", "bold")
    if not (home / SETTINGS).exists():
        made = initialise(home, key_file=None if named else home.with_name("home.keys"))
        for name, token in made.tokens.items():
            write_profile(home, Profile(name=name, token=token, project=made.project))
    missing = sorted(set(_PEOPLE) - set(profile_names(home)))
    if missing:
        raise NotFound(
            "MUNI-A213",
            "the story needs people that this home does not know",
            missing=missing,
            do="choose another --home",
        )
    face.profile = "operator"
    with tell.work("job environment: wheels sealed, tree rebuilt offline"):
        face.client.environments.define("tabular", shipped_lock("tabular"), shipped_wheels("tabular"))
    known = [name for name in (*_PEOPLE, COLLEAGUE) if name in profile_names(home)]
    tokens = {name: read_profile(home, name).token for name in known}
    tell.fact("data", str(data) if data else _GENERATED)
    tell.fact("home", str(home))
    stage = Stage(home, tokens, tell)
    try:
        told = Story(stage, data).run()
    finally:
        stage.close()
    for name in profile_names(home):
        profile = read_profile(home, name)
        write_profile(home, Profile(name=name, token=profile.token, project=told.project, url=profile.url))
    seconds = round(time.monotonic() - begun, 1)
    document = {**asdict(told), "generated": data is None, "home": str(home), "seconds": seconds}
    face.answer(document, lambda answer: _what_next(answer, home, told, seconds))


def _what_next(screen: Screen, home: Path, told: Told, seconds: float) -> None:
    screen.line()
    screen.done(f"Told in {seconds:.0f} s. Everything above was checked while it was told.")
    screen.line()
    screen.line("Look at it", "bold")
    screen.line(f"  export MUNIMENT_HOME={home}")
    for command in (
        f"muni model show {told.model}",
        "muni runs list",
        f"muni lineage {told.model}",
        f"muni prove-unused {told.dataset.partition('@')[0]}/holdout --in {told.model}",
        f"muni reproduce {told.model} --profile validator",
        f"muni gate check {told.model}",
        f"muni report {told.model} --catalogue sr-26-2",
        "muni board",
        "muni audit search --outcome denied --profile auditor",
    ):
        screen.line(f"  {command}")
    screen.line(f"  open {told.picture}")
    screen.line(f"  unzip {told.pack} report.pdf    (the report that a supervisor gets)")
    screen.line()
    screen.line("Try to break it", "bold")
    screen.line(f"  muni verify {told.pack} --key {told.key}")
    screen.line(f"  muni model approve {told.model} --profile scientist    (refused, and it says why)")
    screen.line("  muni run your_script.py --input train=credit/train")
    screen.line("  muni audit tail                       (as a scientist: refused, and that is recorded too)")
    screen.line(
        f"  python3 -m tarfile -e {told.export} /tmp/export, change a byte, python3 /tmp/export/verify.py /tmp/export"
    )
