"""``muni import``: an installation of an export, or what another tracking server holds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from muniment.cli.exporting import import_ as installation
from muniment.cli.face import Command, Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.cli.watching import stages
from muniment.gateways.mlflow.importing import Imported, bring_in
from muniment.gateways.mlflow.stores import open_store
from muniment.sdk.shown import count, size, visible

_SHOWN = 20
"""So many things that were not taken are shown one by one."""


class _Importing(Group):
    """The first word says what is brought in; a file without a word is an export."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the word in where it was left out."""
        words = [word for word in args if word in self.commands]
        asks = not args or set(args) & {"-h", "--help"}
        if not words and not asks:
            args = ["installation", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Importing,
    name="import",
    epilog="Examples: muni import everything.tar --home /srv/muniment; muni import mlflow sqlite:///mlflow.db",
)
def import_() -> None:
    """Make an installation of an export (muni import FILE), or bring in what another server holds."""


import_.add_command(installation, "installation")


@import_.command(
    cls=Command,
    name="mlflow",
    epilog="Example: muni import mlflow sqlite:///mlflow.db --artifacts ./mlartifacts\n"
    "A server is read with MLFLOW_TRACKING_TOKEN, or with MLFLOW_TRACKING_USERNAME and _PASSWORD.",
)
@click.argument("store", metavar="STORE")
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where the artifacts lie that a server of this database kept.",
)
@with_face
def mlflow(face: Face, store: str, artifacts: Path | None) -> None:
    """Bring in runs and registered models of MLflow: sqlite:///FILE, a folder mlruns, or a server's URL.

    All of it is graded declared. It can be done again, and goes on where it was broken off; the ids that things had
    are kept as tags (import.run_id). Nothing is written there, and no model is opened.
    """
    with closing(open_store(store, artifacts)) as opened, stages(face.notes) as show:
        done = bring_in(face.client, opened, show)

    def draw(screen: Screen) -> None:
        screen.done(f"{visible(done.store)} is brought in, graded declared")
        screen.facts("", _facts(done))
        for one in done.not_taken[:_SHOWN]:
            screen.line(f"  not taken: {one.what} {visible(one.id)}: {one.why}", style="yellow")
        if len(done.not_taken) > _SHOWN:
            screen.line(f"  and {count(len(done.not_taken) - _SHOWN)} more: see --json")
        screen.line()
        screen.line("next  muni runs list --kind track")

    face.answer(asdict(done), draw)


def _facts(done: Imported) -> dict[str, str]:
    return {
        "experiments": count(done.experiments),
        "runs": f"{count(done.runs)}, {count(done.known_runs)} were here already",
        "told": f"{count(done.params)} parameters, {count(done.metrics)} measurements, {count(done.tags)} tags",
        "files": f"{count(done.files)} ({size(done.bytes)})",
        "models": f"{count(done.logged_models)} logged, {count(done.names)} names, "
        f"{count(done.versions)} versions, {count(done.known_versions)} were here already",
        "not taken": count(len(done.not_taken)),
    }
