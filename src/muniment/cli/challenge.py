"""``muni challenge``: who asked what about a version, who answered, and whether the asker is satisfied."""

from __future__ import annotations

from collections.abc import Sequence

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.wire import oversight as wire


class _Shown(Group):
    """``muni challenge MODEL`` is short for ``muni challenge show MODEL``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What begins with no command and no option is something to show."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Shown)
def challenge() -> None:
    """Effective challenge: questions about a version or a finding, and what was answered."""


@challenge.command()
@click.argument("what", type=MODEL)
@with_face
def show(face: Face, what: str) -> None:
    """Show the threads about a version and its findings, or about one finding:ID; oldest first."""
    found = face.client.challenge.threads(what)

    def draw(screen: Screen) -> None:
        if not found.threads:
            screen.line("nobody has asked anything yet; muni challenge add MODEL TEXT", style="dim")
        draw_threads(screen, found.threads)

    face.answer(found, draw)


@challenge.command()
@click.argument("what", type=MODEL)
@click.argument("text")
@with_face
def add(face: Face, what: str, text: str) -> None:
    """Ask something about a version, or about a finding:ID."""
    said = face.client.challenge.ask(what, text)
    face.answer(said, lambda screen: screen.done(said.comment))


@challenge.command()
@click.argument("comment")
@click.argument("text")
@click.option("--resolved", is_flag=True, help="The question, which is one's own, is answered.")
@with_face
def reply(face: Face, comment: str, text: str, resolved: bool) -> None:
    """Answer a comment; the one who asked says by --resolved that he is satisfied."""
    desk = face.client.challenge
    said = desk.resolve(comment, text) if resolved else desk.answer(comment, text)
    face.answer(said, lambda screen: screen.done(f"{said.comment}{' resolved' if resolved else ''}"))


def draw_threads(screen: Screen, threads: Sequence[wire.ThreadView]) -> None:
    """Threads as people read them: each turn below its question."""
    for thread in threads:
        screen.line()
        screen.line(f"{thread.about}  {'resolved' if thread.resolved else 'unresolved'}", style="bold")
        for depth, turn in enumerate(thread.turns):
            screen.line(f"  {'↳ ' if depth else ''}{turn.by}  {turn.at[:16]}  {turn.comment}", style="dim")
            screen.line(f"    {turn.text}")
