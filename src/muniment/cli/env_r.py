"""``muni env build-r``: a job environment that holds the R of this machine."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from muniment.adapters.sandbox.prepare import shipped_lock
from muniment.adapters.sandbox.r_wheels import find_r, pack_r, readers_of_parquet
from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.cli.face import Command, Face, with_face
from muniment.cli.watching import counting

_READER = ("polars", "polars-runtime-32")
"""What writes channels as CSV; its pins are those of the shipped environment."""


@click.command("build-r", cls=Command, epilog="Example: muni env build-r r jsonlite data.table --profile admin")
@click.argument("name")
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave the wheels and their lock there too, for a package index of your own.",
)
@with_face
def build_r(face: Face, name: str, packages: tuple[str, ...], wheels: Path | None) -> None:
    """Seal the R of this machine, with each PACKAGE and all that these need, as environment NAME.

    R, its recommended packages, those that are named and the shared libraries under them become wheels as they are
    installed here. With them comes what gives scripts their inputs as CSV, unless a package that is named reads
    Parquet.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = wheels or Path(scratch)
        lock, files = gather(packages, folder, lambda said: face.notes.line(f"env:{name}: packing {said}", style="dim"))
        (folder / "requirements.txt").write_text(lock, encoding="utf-8")
        with counting(face.notes, f"env:{name}: sealing wheels") as count_:
            made = face.client.environments.define(name, lock, files, count_)
    face.answer(
        made, lambda screen: screen.done(f"env:{made.name}@{made.version} of {len(made.wheels)} wheels is defined")
    )


def gather(packages: Sequence[str], folder: Path, note: Callable[[str], None]) -> tuple[str, list[Path]]:
    """The lock and the wheels of an environment with the R of this machine.

    Args:
        packages: names of R packages.
        folder: where the wheels of R are left.
        note: is told which R it is.
    """
    installed = find_r()
    note(installed.said)
    files = pack_r(installed, packages, folder)
    lock = "".join(_pin(file) for file in files)
    if not readers_of_parquet(packages):
        part = _part(shipped_lock("tabular"), _READER)
        with tempfile.TemporaryDirectory() as scratch:
            reader = Path(scratch, "reader.txt")
            reader.write_text(part, encoding="utf-8")
            files += fetch_wheels(reader, cache_folder() / "wheels")
        lock += part
    return lock, files


def _pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{digest}\n"


def _part(lock: str, names: Sequence[str]) -> str:
    """The lines of a lock that pin these packages."""
    pins = re.findall(r"^[^\s#].*(?:\n[ \t]+.*)*\n", lock, re.MULTILINE)
    return "".join(pin for pin in pins if pin.partition("==")[0] in names)
