"""``muni env``: what jobs run in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from muniment.adapters.sandbox.prepare import shipped_lock, shipped_wheels
from muniment.adapters.sandbox.resolving import resolve_lock
from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.cli.env_r import build_r
from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import ENVIRONMENT, INDEX
from muniment.cli.screen import Screen
from muniment.cli.watching import counting
from muniment.errors import NotFound
from muniment.sdk.shown import count
from muniment.wire import execution as wire


@click.group(cls=Group)
def env() -> None:
    """Job environments: sets of sealed wheels, known by their digest, rebuilt offline."""


env.add_command(build_r)


@env.command("list", epilog="Example: muni env list")
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


@env.command(epilog="Example: muni env show tabular")
@click.argument("environment", type=ENVIRONMENT)
@with_face
def show(face: Face, environment: str) -> None:
    """Show one environment with its wheels."""
    found = face.client.environments.get(environment)
    face.answer(found, lambda screen: picture(screen, found))


@env.command(epilog="Example: muni env build scoring --from pyproject.toml --profile admin")
@click.argument("name")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Requirements, a pyproject.toml or a uv.lock, resolved to a lock with hashes first.",
)
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="An optional group of a project; repeatable.")
@click.option(
    "--lock",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A requirements file with hashes; else the lock that comes with the product.",
)
@click.option("--index", metavar="NAME", help="The allowed package index to take wheels from.")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where wheels lie, also such as no index has, or are fetched to; else the cache of this machine.",
)
@with_face
def build(
    face: Face,
    name: str,
    source: Path | None,
    extras: tuple[str, ...],
    lock: Path | None,
    index: str | None,
    wheels: Path | None,
) -> None:
    """Seal the wheels of a lock as the next version of environment NAME.

    Wheels that are not there yet are fetched, each checked against its hash; jobs never need the network. Packages that
    come as source only are refused: building them would run their code.
    """
    if source is not None and lock is not None:
        raise click.UsageError("give --from or --lock, not both")
    if extras and source is None:
        raise click.UsageError("--extra goes with --from")
    made = build_environment(face, name, lock, wheels, source=source, extras=extras, index=index)

    def draw(screen: Screen) -> None:
        screen.done(f"env:{made.name}@{made.version} of {len(made.wheels)} wheels is defined")
        if not made.ready:
            screen.line("  the first job in it writes it to disk, once on each machine", style="dim")

    face.answer(made, draw)


@env.command(epilog="Example: muni env sbom tabular --file tabular.cdx.json")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it there, as CycloneDX.")
@with_face
def sbom(face: Face, environment: str, file: Path | None) -> None:
    """Show what an environment is made of: every package, its wheel's digest, and its licence as it says itself."""
    found = face.client.environments.describe(environment)
    if file is not None:
        with file.open("x", encoding="utf-8") as written:
            written.write(json.dumps(found.bom, indent=1, sort_keys=True) + "\n")
    face.answer(found, lambda screen: _packages(screen, found, file))


@env.command(epilog="Example: muni env licences tabular")
@click.argument("environment", type=ENVIRONMENT)
@with_face
def licences(face: Face, environment: str) -> None:
    """List the licences of an environment, with the packages under each."""
    found = face.client.environments.describe(environment)
    under: dict[str, list[str]] = {}
    for one in found.packages:
        under.setdefault(one.licence or "(none stated)", []).append(one.name)
    rows = [[licence, " ".join(names), count(len(names))] for licence, names in sorted(under.items())]
    document = {"env": found.env, "licences": under}
    face.answer(document, lambda screen: screen.table(["licence", "packages", "number"], rows, right=1))


@env.group("index", cls=Group)
def index_() -> None:
    """Package indexes that environments may be made from; while none is allowed, any will do."""


@index_.command("list")
@with_face
def list_indexes(face: Face) -> None:
    """List the allowed package indexes."""
    found = wire.PackageIndexes(indexes=[*face.client.environments.indexes()])
    rows = [[one.name, one.url, one.allowed_at[:16], one.allowed_by] for one in found.indexes]
    face.answer(
        found, lambda screen: screen.table(["index", "address", "since", "by"], rows, empty="any package index will do")
    )


@index_.command(epilog="Example: muni env index allow bank https://packages.bank.example/simple --profile admin")
@click.argument("name")
@click.argument("address", metavar="URL")
@with_face
def allow(face: Face, name: str, address: str) -> None:
    """Allow the package index at URL; credentials stay in your own ~/.netrc."""
    made = face.client.environments.allow_index(name, address)
    face.answer(made, lambda screen: screen.done(f"environments may be made from {made.name}, {made.url}"))


@index_.command(epilog="Example: muni env index forbid bank --profile admin")
@click.argument("name", type=INDEX)
@with_face
def forbid(face: Face, name: str) -> None:
    """Take a package index off the list."""
    left = wire.PackageIndexes(indexes=[*face.client.environments.forbid_index(name)])
    face.answer(left, lambda screen: screen.done(f"{name} is off the list; {len(left.indexes)} left"))


def build_environment(
    face: Face,
    name: str,
    lock: Path | None = None,
    wheels: Path | None = None,
    *,
    source: Path | None = None,
    extras: Sequence[str] = (),
    index: str | None = None,
) -> wire.Environment:
    """Resolve and fetch what is missing, seal it, define the environment."""
    address = _address(face, index)
    face.notes.line(f"env:{name}: looking for wheels", style="dim")
    if lock is None and source is None and wheels is None:
        text, files = shipped_lock(name), shipped_wheels(name)
    elif lock is None and source is None:
        raise click.UsageError("--wheels goes with --lock or --from")
    else:
        text = _text(lock) if source is None else resolve_lock(source, extras=extras, index=address, wheels=wheels)
        with tempfile.TemporaryDirectory() as scratch:
            resolved = Path(scratch, "requirements.txt")
            resolved.write_text(text, encoding="utf-8")
            files = fetch_wheels(resolved, wheels or cache_folder() / "wheels", address)
    with counting(face.notes, f"env:{name}: sealing wheels") as count_:
        return face.client.environments.define(name, text, files, count_, index=index)


def _text(lock: Path | None) -> str:
    return lock.read_text(encoding="utf-8") if lock is not None else ""


def _address(face: Face, index: str | None) -> str | None:
    """Address of an allowed package index by its name."""
    if index is None:
        return None
    allowed = {one.name: one.url for one in face.client.environments.indexes()}
    if index not in allowed:
        raise NotFound(
            "MUNI-A206",
            f"no package index of the name {index[:80]!r} is allowed",
            allowed=sorted(allowed),
            do="an administrator allows it: muni env index allow NAME URL",
        )
    return allowed[index]


def picture(screen: Screen, found: wire.Environment) -> None:
    """An environment for people."""
    screen.facts(
        f"env:{found.name}@{found.version}",
        {
            "python": found.python,
            "digest": found.digest,
            "built here": found.ready,
            "defined": found.created_at[:19],
            "index": found.index,
        },
    )
    screen.line()
    rows = [[*wheel.filename.split("-")[:2], wheel.digest] for wheel in found.wheels]
    screen.table(["wheel", "version", "digest"], rows)


def _packages(screen: Screen, found: wire.EnvironmentPackages, file: Path | None) -> None:
    rows = [[one.name, one.version, one.licence or "(none stated)", one.wheel] for one in found.packages]
    screen.table(["package", "version", "licence", "wheel"], rows, spare=["wheel"])
    if file is not None:
        screen.line()
        screen.done(f"the bill of materials is in {file}")
