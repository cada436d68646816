"""One MLflow call as it came: who asks, what its fields say, and the way to the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import msgspec

from muniment.errors import Invalid
from muniment.gate.door import Credential, Gate
from muniment.kernel.verb import Download

__all__ = ["Calls", "Fields", "Question"]

_INTEGER: Final = 2**63


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a request, read as protobuf's JSON mapping writes them: numbers may be texts, absent is empty."""

    told: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """The first of these fields that holds a text; empty where none does."""
        for name in names:
            value = self.told.get(name)
            if isinstance(value, str) and value:
                return value
            if value not in (None, "") and not isinstance(value, str):
                raise _wrong(name, value, "a text")
        return ""

    def needed(self, *names: str) -> str:
        """As ``text``; raises Invalid where none does."""
        found = self.text(*names)
        if not found:
            raise Invalid("MUNI-Y107", f"the request lacks {names[0]}", field=names[0])
        return found

    def integer(self, name: str, default: int) -> int:
        """An integer of 64 bits, written as number or text; raises Invalid for anything else."""
        value = self.told.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) <= 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not -_INTEGER <= value < _INTEGER:
            raise _wrong(name, value, "an integer of 64 bits")
        return value

    def number(self, name: str) -> float:
        """A finite number; raises Invalid for anything else, NaN and infinity included."""
        value = self.told.get(name)
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, value, "a number")
        try:
            number = float(value)
        except OverflowError:
            raise _wrong(name, value, "a number") from None
        if number - number != 0:
            raise Invalid(
                "MUNI-Y108",
                f"the metric {str(self.told.get('key'))[:80]!r} is {number}: a metric is a finite number",
                field=name,
                given=str(number),
                do="leave the value out, or tell by a tag that there is none",
            )
        return number

    def flag(self, name: str) -> bool:
        """A truth value; absent is False."""
        value = self.told.get(name, False)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise _wrong(name, value, "true or false")

    def texts(self, name: str) -> list[str]:
        """A list of texts; a single one may stand for itself."""
        value = self.told.get(name) or []
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise _wrong(name, value, "a list of texts")
        return listed

    def documents(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self.told.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise _wrong(name, value, "a list of objects")
        return [Fields(one) for one in value]

    def pairs(self, name: str, key: str = "key") -> dict[str, str]:
        """Texts by name, from a list of ``{key, value}``; raises Invalid where a name comes with two values."""
        found: dict[str, str] = {}
        for one in self.documents(name):
            named, value = one.needed(key), one.text("value")
            if found.setdefault(named, value) != value:
                raise Invalid("MUNI-Y109", f"{named[:80]!r} is told with two values", field=name, name=named[:80])
        return found

    def tags(self) -> dict[str, str]:
        """Texts by name from ``tags``; of a name that comes twice the last one counts, as if set one by one."""
        return {one.needed("key"): one.text("value") for one in self.documents("tags")}


@dataclass(frozen=True, slots=True)
class Question:
    """What a handler works with."""

    gate: Gate
    actions: Mapping[type[msgspec.Struct], str]
    """The verb of each type of request."""

    credential: Credential
    project: str
    fields: Fields
    parts: tuple[str, ...] = ()
    """What the placeholders of the path stand for."""

    body: BinaryIO | None = None

    def ask(self, request: msgspec.Struct, body: BinaryIO | None = None) -> Any:
        """What the gate answers."""
        return self.gate.invoke(self.actions[type(request)], request, self.credential, body)


Calls = Mapping[tuple[str, str], Callable[[Question], dict[str, Any] | Download]]
"""What answers a method and path."""


def _wrong(name: str, value: Any, wanted: str) -> Invalid:
    return Invalid("MUNI-Y110", f"{name} is not {wanted}", field=name, given=repr(value)[:80], wanted=wanted)
