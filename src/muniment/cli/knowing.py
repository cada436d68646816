"""References on the command line: completion knows what the platform knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from muniment.cli.face import Face
from muniment.errors import MunimentError
from muniment.wire import catalog

if TYPE_CHECKING:
    from muniment.sdk.client import Client

__all__ = [
    "ALGORITHM",
    "ANYTHING",
    "BUILT_IN",
    "DATA",
    "ENVIRONMENT",
    "ERASURE",
    "EXPERIMENT",
    "FEATURES",
    "GRANT",
    "HOLD",
    "INDEX",
    "MODEL",
    "RUN",
    "STUDY",
    "Listed",
    "Reference",
]

_MOST = 50
_NAMED: Final = ("data", "model", "features", "env")


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
            prefix = incomplete.partition(":")[0] if ":" in incomplete else ""
            entities = []
            # kind by kind, because reports and other things without a name outnumber what has one
            for kind in [self.kind] if self.kind else [one for one in _NAMED if one == prefix or not prefix]:
                request = catalog.ListEntities(project=client.project, kind=kind, limit=_MOST)
                entities += client.ask("catalog:ListEntities", request, catalog.Entities).entities
            named = [one for one in entities if not one.reference.startswith("sha256:")]
            drop = "" if self.kind is None else f"{self.kind}:"
            found = {one.reference.removeprefix(drop): f"{one.kind}, {one.grade}" for one in named}
            if self.kind is None:  # a name without a kind is that of a data set
                found |= {name.removeprefix("data:"): line for name, line in found.items() if name.startswith("data:")}
        return [CompletionItem(name, help=line) for name, line in found.items() if name.startswith(incomplete)]


class Listed(click.ParamType[str]):
    """A name that one of the platform's lists has; the platform alone judges it."""

    name = "name"

    def __init__(self, known: Callable[[Client], Iterable[tuple[str, str]]]) -> None:
        """``known`` gives names with a word about each, as the client that asks may see them."""
        self.known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What begins so; nothing when the platform does not answer."""
        face = ctx.find_object(Face)
        if face is None:
            return []
        try:
            with closing(face.client):
                listed = self.known(face.client)
                return [CompletionItem(name, help=line) for name, line in listed if name.startswith(incomplete)]
        except (MunimentError, OSError):
            return []


BUILT_IN: Final = ("xgboost", "lightgbm", "logistic_regression")

ANYTHING = Reference(None)
DATA = Reference("data")
MODEL = Reference("model")
RUN = Reference("run")
FEATURES = Reference("features")
ENVIRONMENT = Listed(lambda client: [(f"{one.name}@{one.version}", one.python) for one in client.environments.list()])
INDEX = Listed(lambda client: [(one.name, one.url) for one in client.environments.indexes()])
ALGORITHM = Listed(lambda client: [(name, "built in") for name in BUILT_IN])
STUDY = Listed(lambda client: [(one.study, one.status) for one in client.studies.list()])
EXPERIMENT = Listed(
    lambda client: [(one.experiment, f"{one.runs} runs") for one in client.tracking.experiments("", limit=_MOST)]
)
GRANT = Listed(
    lambda client: [(one.id, f"{one.dataset} {one.state}") for one in client.stewardship.grants.list(limit=_MOST)]
)
HOLD = Listed(lambda client: [(one.id, f"{one.dataset} {one.case}") for one in client.stewardship.holds.list()])
ERASURE = Listed(lambda client: [(one.id, f"{one.why} {one.state}") for one in client.stewardship.erasures.list()])
