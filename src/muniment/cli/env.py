"""``muni env``: what jobs run in."""

from __future__ import annotations

from pathlib import Path

import click

from muniment.adapters.sandbox.prepare import shipped_lock, shipped_wheels
from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.cli.face import Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.cli.watching import counting
from muniment.sdk.shown import count
from muniment.wire import execution as wire


@click.group(cls=Group)
def env() -> None:
    """Job environments: sets of sealed wheels, known by their digest, rebuilt offline."""


@env.command("list")
@with_face
def list_(face: Face) -> None:
    """List the job environments, newest first."""
    found = wire.Environments(environments=face.client.environments.list())
    rows = [
        [
            f"env:{e.name}@{e.version}",
            e.python,
            "built" if e.ready else "",
            e.digest,
            e.created_at[:16],
            count(len(e.wheels)),
        ]
        for e in found.environments
    ]
    face.answer(
        found,
        lambda screen: screen.table(
            ["environment", "python", "here", "digest", "defined", "wheels"],
            rows,
            right=1,
            spare=["defined", "digest"],
            empty="no environment yet; build one: muni env build tabular",
        ),
    )


@env.command()
@click.argument("environment")
@with_face
def show(face: Face, environment: str) -> None:
    """Show one environment with its wheels."""
    found = face.client.environments.get(environment)
    face.answer(found, lambda screen: picture(screen, found))


@env.command(epilog="Example: muni env build tabular --profile admin")
@click.argument("name")
@click.option(
    "--lock",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A requirements file with hashes; else the lock that comes with the product.",
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where wheels lie or are fetched to; else the cache of this machine.",
)
@with_face
def build(face: Face, name: str, lock: Path | None, wheels: Path | None) -> None:
    """Seal the wheels of a lock as the next version of environment NAME.

    Wheels that are not there yet are fetched, each checked against its hash; jobs never need the network.
    """
    made = build_environment(face, name, lock, wheels)
    face.answer(
        made, lambda screen: screen.done(f"env:{made.name}@{made.version} of {len(made.wheels)} wheels is defined")
    )


def build_environment(face: Face, name: str, lock: Path | None = None, wheels: Path | None = None) -> wire.Environment:
    """Fetch what is missing, seal it, define the environment."""
    face.notes.line(f"env:{name}: looking for wheels", style="dim")
    if lock is None and wheels is None:
        text, files = shipped_lock(name), shipped_wheels(name)
    elif lock is None:
        raise click.UsageError("--wheels goes with --lock")
    else:
        text = lock.read_text(encoding="utf-8")
        files = fetch_wheels(lock, wheels or cache_folder() / "wheels")
    with counting(face.notes, f"env:{name}: sealing wheels") as count_:
        return face.client.environments.define(name, text, files, count_)


def picture(screen: Screen, found: wire.Environment) -> None:
    """An environment for people."""
    screen.facts(
        f"env:{found.name}@{found.version}",
        {
            "python": found.python,
            "digest": found.digest,
            "built here": found.ready,
            "defined": found.created_at[:19],
        },
    )
    screen.line()
    rows = [[*wheel.filename.split("-")[:2], wheel.digest] for wheel in found.wheels]
    screen.table(["wheel", "version", "digest"], rows)
