"""Declared parameters: one table says type, range, default and meaning; everything else is read from it.

Values come as JSON values from our own jobs and as texts from callers that follow the SageMaker habit; both work.
Standard library only.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muniment.errors import Invalid


class Kind(StrEnum):
    """What a parameter's value is."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    NAMES = "list of names"
    MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a program or of a training algorithm."""

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names by which the library that implements it knows the same parameter."""

    @property
    def range(self) -> str:
        """The allowed values, for people."""
        if self.choices:
            return " | ".join(self.choices)
        if self.low is None and self.high is None:
            return str(self.kind)
        low = "" if self.low is None else f"{self.low:g} <= "
        high = "" if self.high is None else f" <= {self.high:g}"
        return f"{low}{self.kind}{high}"

    def read(self, given: Any) -> Any:
        """The value in its own type.

        Raises:
            Invalid: it is of another type, out of range or not one of the choices.
        """
        value = _READERS[self.kind](given)
        if value is _UNREADABLE:
            raise Invalid(
                "MUNI-D131",
                f"{self.name} must be {_ARTICLE[self.kind]}",
                parameter=self.name,
                given=str(given)[:40],
                expected=self.range,
                do=f"give {self.name} as {_ARTICLE[self.kind]}",
            )
        below = self.low is not None and value < self.low
        above = self.high is not None and value > self.high
        if below or above or (self.choices and value not in self.choices):
            raise Invalid(
                "MUNI-D132",
                f"{self.name} is out of range",
                parameter=self.name,
                given=str(given)[:40],
                allowed=self.range,
                do=f"choose {self.name} within: {self.range}",
            )
        return value


def read_parameters(given: Mapping[str, Any], declared: Iterable[Parameter]) -> dict[str, Any]:
    """Every declared parameter with its value or its default, by name.

    Raises:
        Invalid: a name is unknown (the nearest one is named), a required one is missing, one is given under two names,
            or a value does not fit.
    """
    table = {parameter.name: parameter for parameter in declared}
    given = _by_own_name(given, table.values())
    for name in given:
        if name not in table:
            near = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
            raise Invalid(
                "MUNI-D130",
                f"there is no parameter {name[:40]!r}",
                parameter=name[:80],
                nearest=near[0] if near else None,
                known=sorted(table),
                do=f"did you mean {near[0]!r}?" if near else "use one of the known parameters",
            )
    values: dict[str, Any] = {}
    for name, parameter in table.items():
        if given.get(name) is not None:
            values[name] = parameter.read(given[name])
        elif parameter.required:
            raise Invalid(
                "MUNI-D133",
                f"the parameter {name} is missing",
                parameter=name,
                meaning=parameter.meaning,
                do=f"give {name}",
            )
        else:
            values[name] = parameter.default
    return values


def _by_own_name(given: Mapping[str, Any], declared: Iterable[Parameter]) -> dict[str, Any]:
    own = {alias: parameter.name for parameter in declared for alias in parameter.aliases}
    found: dict[str, Any] = {}
    for name, value in given.items():
        name_of = own.get(name, name)
        if name_of in found:
            raise Invalid(
                "MUNI-D121",
                f"{name[:40]!r} is another name of {name_of!r}, which is given too",
                parameter=name_of,
                given=name[:80],
                do=f"give {name_of} once",
            )
        found[name_of] = value
    return found


_UNREADABLE: Final = object()
_ARTICLE: Final = {
    Kind.INTEGER: "an integer",
    Kind.NUMBER: "a finite number",
    Kind.TEXT: "a text",
    Kind.BOOLEAN: "true or false",
    Kind.NAMES: "a list of names",
    Kind.MAPPING: "a JSON object",
}


def _integer(given: Any) -> Any:
    if isinstance(given, bool):
        return _UNREADABLE
    if isinstance(given, int):
        return given
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if isinstance(given, str):
        try:
            return int(given.strip()) if given.strip().lstrip("+-").isdigit() else _UNREADABLE
        except ValueError:
            return _UNREADABLE
    return _UNREADABLE


def _number(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return _UNREADABLE
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return _UNREADABLE
    return value if math.isfinite(value) else _UNREADABLE


def _text(given: Any) -> Any:
    return given if isinstance(given, str) else _UNREADABLE


def _boolean(given: Any) -> Any:
    if isinstance(given, bool):
        return given
    return (
        {"true": True, "false": False}.get(given.strip().lower(), _UNREADABLE)
        if isinstance(given, str)
        else _UNREADABLE
    )


def _names(given: Any) -> Any:
    if isinstance(given, str):
        if given.lstrip().startswith("["):
            given = _json(given)
        else:
            given = [part.strip() for part in given.split(",") if part.strip()]
    return (
        list(given)
        if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)
        else _UNREADABLE
    )


def _mapping(given: Any) -> Any:
    value = _json(given) if isinstance(given, str) else given
    return dict(value) if isinstance(value, dict) else _UNREADABLE


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _UNREADABLE


_READERS: Final = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.NAMES: _names,
    Kind.MAPPING: _mapping,
}
