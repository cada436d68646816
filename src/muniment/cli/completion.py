"""``muni completion``: what a shell needs to complete commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from muniment.cli.face import Command, Face, with_face

_WHERE = {
    "bash": 'add to ~/.bashrc:  eval "$(muni completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(muni completion zsh)"',
    "fish": "run:  muni completion fish > ~/.config/fish/completions/muni.fish",
}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(_WHERE)))
@with_face
def completion(face: Face, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    script = kind(root, {}, "muni", "_MUNI_COMPLETE").source()
    face.answer({"shell": shell, "script": script}, lambda screen: screen.raw(script))
    if not face.json:
        face.notes.line(_WHERE[shell], style="dim")
