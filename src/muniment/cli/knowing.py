"""References on the command line: completion knows what the platform knows."""

from __future__ import annotations

from contextlib import closing

import click
from click.shell_completion import CompletionItem

from muniment.cli.face import Face
from muniment.errors import MunimentError
from muniment.wire import catalog

__all__ = ["ANYTHING", "DATA", "MODEL", "RUN", "Reference"]

_MOST = 50


class Reference(click.ParamType[str]):
    """A reference as a person types it; the platform alone judges it."""

    name = "reference"

    def __init__(self, kind: str | None) -> None:
        """``kind`` is what the argument is about, whose prefix may then be left out; None takes any entity."""
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What begins so, newest first; nothing when the platform does not answer."""
        face = ctx.find_object(Face)
        if face is None:
            return []
        try:
            with closing(face.client):
                return self._known(face, incomplete)
        except (MunimentError, OSError):
            return []

    def _known(self, face: Face, incomplete: str) -> list[CompletionItem]:
        client = face.client
        if self.kind == "run":
            listed = client.runs(limit=_MOST)
            found = {row.run.removeprefix("run:"): f"{row.kind} {row.label} {row.status}" for row in listed}
        else:
            request = catalog.ListEntities(project=client.project, kind=self.kind, limit=_MOST)
            entities = client.ask("catalog:ListEntities", request, catalog.Entities).entities
            named = [one for one in entities if not one.reference.startswith("sha256:")]
            drop = "" if self.kind is None else f"{self.kind}:"
            found = {one.reference.removeprefix(drop): f"{one.kind}, {one.grade}" for one in named}
        return [CompletionItem(name, help=line) for name, line in found.items() if name.startswith(incomplete)]


ANYTHING = Reference(None)
DATA = Reference("data")
MODEL = Reference("model")
RUN = Reference("run")
