"""``muni challenge``: who asked what about a version, who answered, and whether the asker is satisfied."""

from __future__ import annotations

from collections.abc import Sequence

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.wire import oversight as wire


@click.group(cls=Group)
def challenge() -> None:
    """Effective challenge: questions about a version or a finding, and what was answered."""


@challenge.command()
@click.argument("model", required=False, type=MODEL)
@click.option("--finding", metavar="ID", help="Of this finding alone.")
@with_face
def show(face: Face, model: str | None, finding: str | None) -> None:
    """Show the threads about a version and its findings, oldest first."""
    found = face.client.challenge.threads(_about(model, finding))

    def draw(screen: Screen) -> None:
        if not found.threads:
            screen.line("nobody has asked anything yet; muni challenge add MODEL TEXT", style="dim")
        draw_threads(screen, found.threads)

    face.answer(found, draw)


@challenge.command()
@click.argument("model", required=False, type=MODEL)
@click.argument("text")
@click.option("--finding", metavar="ID", help="About this finding instead of a model.")
@click.option("--reply-to", metavar="ID", help="Answers this comment; then no model is named.")
@click.option("--resolved", is_flag=True, help="The question, which is one's own, is answered.")
@with_face
def add(face: Face, model: str | None, text: str, finding: str | None, reply_to: str | None, resolved: bool) -> None:
    """Ask about a version or a finding, or answer: muni challenge add MODEL TEXT."""
    desk = face.client.challenge
    if reply_to is not None:
        if model is not None or finding is not None:
            raise Invalid("MUNI-A161", "an answer is about what it answers: leave the model and the finding out")
        said = desk.resolve(reply_to, text) if resolved else desk.answer(reply_to, text)
    elif resolved:
        raise Invalid("MUNI-A162", "name the question that is answered", do="--reply-to ID")
    else:
        said = desk.ask(_about(model, finding), text)
    face.answer(said, lambda screen: screen.done(f"{said.comment}{' resolved' if said.resolved else ''}"))


def draw_threads(screen: Screen, threads: Sequence[wire.ThreadView]) -> None:
    """Threads as people read them: each turn below its question."""
    for thread in threads:
        screen.line()
        screen.line(f"{thread.about}  {'resolved' if thread.resolved else 'unresolved'}", style="bold")
        for depth, turn in enumerate(thread.turns):
            screen.line(f"  {'↳ ' if depth else ''}{turn.by}  {turn.at[:16]}  {turn.comment}", style="dim")
            screen.line(f"    {turn.text}")


def _about(model: str | None, finding: str | None) -> str:
    if (model is None) is (finding is None):
        raise Invalid("MUNI-A163", "name a model, or a finding by --finding, and not both")
    return model if model is not None else f"finding:{str(finding).removeprefix('finding:')}"
