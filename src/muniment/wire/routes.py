"""Where a verb is found over HTTP: shared by the server, which publishes, and the SDK, which asks.

Everything follows from the action, so neither side keeps a table: ``data:AddDataset`` in project ``main`` is
``/v1/projects/main/data:addDataset``, and ``identity:ListUsers`` is ``/v1/identity:listUsers``. The object that a verb
acts on stands inside the request, never in the path. Custom methods after a colon are those of Google's AIP-136.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

__all__ = ["from_parameters", "parameters", "path", "project_of", "reads", "template"]

T = TypeVar("T", bound=msgspec.Struct)

_READING: Final = (
    "Check",
    "Compare",
    "ExplainDecision",
    "Export",
    "Fetch",
    "Find",
    "Get",
    "List",
    "Prove",
    "Read",
    "Replay",
    "Search",
    "Show",
    "Tail",
    "Trace",
    "Verify",
    "Who",
)

_STARTING: Final = frozenset(
    {"data:CompareRows", "data:ProveRowsUnused", "execution:CompareModels", "stewardship:SearchSubject"}
)
"""Verbs whose phrase reads like a question, but which start a job that answers it."""


def path(action: str, project: str | None) -> str:
    """The path of a verb; ``project`` is None for a verb that concerns the whole installation.

    >>> path("data:AddDataset", "main")
    '/v1/projects/main/data:addDataset'
    >>> path("identity:ListUsers", None)
    '/v1/identity:listUsers'
    """
    return _under("" if project is None else quote(project, safe=""), action)


def project_of(request: msgspec.Struct) -> str | None:
    """The project that a request is about: its field ``project``, where every such request must have one.

    A field that may be left out only narrows a request that concerns the whole installation.
    """
    return str(getattr(request, "project")) if _in_project(type(request)) else None  # noqa: B009 - it has the field


@lru_cache(maxsize=1024)
def _in_project(kind: type[msgspec.Struct]) -> bool:
    return any(field.name == "project" and field.required for field in msgspec.structs.fields(kind))


def template(action: str, *, in_project: bool) -> str:
    """The path of a verb with ``{project}`` as its placeholder, as the server and OpenAPI write it."""
    return _under("{project}" if in_project else "", action)


def reads(action: str) -> bool:
    """Whether a verb is asked by GET: its phrase begins with a reading word, which promises that nothing changes.

    All others are asked by POST, also a reading one whose request is a document, such as a draft of policies to test.
    """
    return action.partition(":")[2].startswith(_READING) and action not in _STARTING


def parameters(request: msgspec.Struct) -> dict[str, str]:
    """A request as flat query parameters, without the project of its path: text as it is, everything else as JSON.

    Fields that hold their default are left out, so that a query says what was asked and no more.
    """
    plain: dict[str, Any] = {}
    in_path = {"project"} if project_of(request) is not None else set()
    for field in msgspec.structs.fields(request):
        value = getattr(request, field.name)
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if field.name not in in_path and value != default:
            plain[field.encode_name] = value
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in plain.items()
    }


def from_parameters(kind: type[T], query: Mapping[str, str], project: str | None) -> T:
    """The inverse of ``parameters``: the request that a path and its query ask for.

    Raises:
        msgspec.ValidationError: the query does not fit the request.
    """
    takes_text = {f.encode_name: _takes_text(f.type) for f in msgspec.structs.fields(kind)}
    fields: dict[str, Any] = {} if project is None else {"project": project}
    for name, text in query.items():
        if takes_text.get(name, True):
            fields[name] = text
        else:
            try:
                fields[name] = msgspec.json.decode(text)
            except msgspec.DecodeError as broken:
                raise msgspec.ValidationError(f"Expected JSON - at `$.{name}`") from broken
    return msgspec.convert(fields, kind)


def _takes_text(declared: Any) -> bool:
    return declared is str or (isinstance(declared, UnionType) and str in declared.__args__)


def _under(project: str, action: str) -> str:
    room, _, phrase = action.partition(":")
    scope = f"projects/{project}/" if project else ""
    return f"/v1/{scope}{room}:{phrase[:1].lower()}{phrase[1:]}"
