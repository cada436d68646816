"""``muni export`` and ``muni import``: leaving, and coming back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.model import save
from muniment.cli.screen import Screen
from muniment.cli.watching import stages
from muniment.connecting import Profile, home_folder, write_profile
from muniment.errors import IntegrityError
from muniment.founding import Drilled, Watch, exercise, restore
from muniment.sdk.exporting import erasures_of, export_of, record_drill
from muniment.sdk.shown import count, size
from muniment.wire.exporting import RecordDrill
from muniment.wire.identity import ListProjects, Projects


@click.command(cls=Command, name="export")
@click.option("--all", "everything", is_flag=True, help="Everything there is.")
@click.option("--erasures", is_flag=True, help="Only the signed list of what was erased, to be kept beside exports.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where the tar is written.")
@click.option("--drill", is_flag=True, help="Also make an installation of it, compare, and put the outcome on record.")
@with_face
def export(face: Face, everything: bool, erasures: bool, output: Path | None, drill: bool) -> None:
    """Take everything out, as files that are read without the platform: the exit plan.

    Data and models are in the clear: keep the file as you keep them. Passwords, tokens and keys are not in it.
    With --drill the export is made into an installation in a temporary folder, compared with what was taken out, its
    newest model is made again there, and how it went is put on the record of every project.

    An export holds what was there when it was taken. With --erasures the list of what was erased is written, signed
    and without a name in it; an older export is imported with it: muni import FILE --erasures LIST.
    """
    if everything == erasures:
        raise click.UsageError("say what is taken out: --all or --erasures")
    if erasures:
        if output is None or drill:
            raise click.UsageError("say where the list goes: -o FILE; a drill is for --all")
        written = save(erasures_of(face.client), output)
        listed = {"file": str(output), "size": written}
        face.answer(listed, lambda screen: screen.done(f"{output}: keep it beside your exports, outside"))
        return
    if output is None and not drill:
        raise click.UsageError("say where the export goes: -o FILE")
    with _place(output) as target:
        with _progress(face) as show:
            written = save(_shown(export_of(face.client), show), target)
        done = None
        if drill:
            with _progress(face) as show:
                done = exercise(target, show)
    document: dict[str, Any] = {"file": str(output) if output else None, "size": written}
    if done is not None:
        document["drill"] = {**asdict(done), "records": _record(face, done)}

    def draw(screen: Screen) -> None:
        if output is not None:
            screen.done(f"{output} ({size(written)}) holds everything, in the clear")
        if done is not None:
            _draw_drill(screen, done)

    if done is not None and done.findings:
        raise IntegrityError("MUNI-A591", "the drill failed", findings=list(done.findings), do="keep the export")
    face.answer(document, draw)


@click.command(cls=Command, name="installation", epilog="Example: muni import everything.tar --home /srv/muniment")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", metavar="KEY", help="The ledger's public key, from a place you trust.")
@click.option("--admin", "admins", multiple=True, metavar="NAME", help="Two administrators who get tokens.")
@click.option("--database", default="", metavar="URL", help="SQLAlchemy URL of an empty one; else SQLite in the home.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="FILE", help="Where the new keys go, outside the home."
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Encrypt the keys under the passphrase in this file.",
)
@click.option(
    "--erasures",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="LIST",
    help="The signed list of what was erased, where the export is older: muni export --erasures.",
)
@with_face
def import_(
    face: Face,
    file: Path,
    key: str | None,
    admins: tuple[str, ...],
    database: str,
    key_file: Path | None,
    passphrase_file: Path | None,
    erasures: Path | None,
) -> None:
    """Make an installation of an export, in a home folder that holds none.

    Everything is verified before anything is made. The same people, records, objects and history stand there, under
    new keys; two administrators get tokens and give new ones to everybody else.
    """
    if len(admins) not in (0, 2):
        raise click.UsageError("access goes to two administrators: give --admin twice")
    if passphrase_file is not None:
        os.environ["MUNIMENT_PASSPHRASE_FILE"] = str(passphrase_file.absolute())
    with _progress(face) as show:
        made = restore(
            file,
            home_folder(face.home),
            key=key,
            database=database,
            key_file=key_file,
            passphrase=passphrase_file is not None,
            administrators=admins,
            erasures=erasures,
            watch=show,
        )
    for name, token in made.tokens.items():
        write_profile(made.home, Profile(name=name, token=token, project=made.project))
    document = {
        "home": str(made.home),
        "key_file": str(made.key_file),
        "origin": made.origin,
        "entries": made.entries,
        "rows": made.rows,
        "objects": made.objects,
        "manifest": made.manifest,
        "former_key": made.former_key,
        "key_from": made.key_from,
        "erasures_until": made.erasures_until,
        "left_out": made.left_out,
        "profiles": list(made.tokens),
    }

    def draw(screen: Screen) -> None:
        screen.done(f"{made.origin} stands in {made.home}")
        trust = "given by you" if made.key_from == "you" else "taken from the export itself: compare it, or give --key"
        screen.facts(
            "",
            {
                "history": f"{count(made.entries)} entries, as they were signed",
                "records": f"{count(made.rows)} rows, {count(made.objects)} objects, each against its digest",
                "former key": (made.former_key, trust),
                "keys": (str(made.key_file), "new; back this file up: without it nothing can be opened"),
                "profiles": ", ".join(made.tokens),
                "erasures": (
                    f"known until {made.erasures_until[:16]}, {count(made.left_out)} objects left out",
                    "what was erased later can be read here again: import with the list of it, --erasures LIST",
                ),
            },
        )
        screen.line()
        screen.line("next  muni audit verify --profile " + next(iter(made.tokens)))
        screen.line("      muni token issue --for NAME    give people new tokens")

    face.answer(document, draw)


@contextmanager
def _place(output: Path | None) -> Iterator[Path]:
    """Where the export goes: the file that was asked for, or one that is gone afterwards."""
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="muniment-export-") as folder:
        yield Path(folder) / "export.tar"


@contextmanager
def _progress(face: Face) -> Iterator[Watch]:
    """Says on stderr what is being done, and how much of it is done."""
    with stages(face.notes) as show:
        yield show


def _shown(pieces: Iterator[bytes], show: Watch) -> Iterator[bytes]:
    written = 0
    for piece in pieces:
        written += len(piece)
        show("export, MiB", written >> 20, 0)
        yield piece


def _record(face: Face, done: Drilled) -> list[str]:
    """Put how a drill went on the record of every project; the digests of the records."""
    client, records = face.client, []
    for project in client.ask("identity:ListProjects", ListProjects(), Projects).projects:
        stated = RecordDrill(
            project=project.name,
            export=done.manifest,
            outcome=done.outcome,
            objects=done.objects,
            rows=done.rows,
            entries=done.entries,
            reproduced=done.reproduced,
            verdict=done.verdict,
            findings=list(done.findings),
            seconds=done.seconds,
        )
        records.append(record_drill(client, stated).record)
    return records


def _draw_drill(screen: Screen, done: Drilled) -> None:
    screen.line()
    screen.facts(
        "drill",
        {
            "outcome": done.outcome,
            "made again": f"{count(done.rows)} rows, {count(done.objects)} objects, {count(done.entries)} entries",
            "reproduced": f"{done.reproduced}: {done.verdict}"
            if done.reproduced
            else "there is no model to make again",
            "took": f"{done.seconds} s",
            **({"findings": tuple(done.findings)} if done.findings else {}),
        },
    )
