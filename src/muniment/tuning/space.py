"""What a search may choose: a dimension for each parameter, and points in them. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from muniment.errors import Invalid
from muniment.kernel.draws import draw, order

__all__ = ["Dimension", "Space", "read_space"]

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(
    rf"(?P<kind>int|logint|float|log):(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})"
    rf"(?::(?P<step>{_NUMBER}))?(?:/(?P<points>\d{{1,4}}))?"
)
_MOST_DIMENSIONS: Final = 30
_MOST_CHOICES: Final = 100
_MOST_GRID: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values that one parameter may take."""

    name: str
    kind: str
    """``int``, ``logint``, ``float``, ``log`` or ``choice``."""

    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """Distance of neighbouring values of ``int`` and ``float``."""

    points: int | None = None
    """So many values of a grid, evenly spaced, in the logarithm where the kind says so."""

    choices: tuple[Value, ...] = ()

    def document(self) -> dict[str, Any]:
        """As it stands in the record of a study, and as the program that suggests reads it."""
        if self.kind == "choice":
            return {"kind": self.kind, "choices": list(self.choices)}
        given = {"kind": self.kind, "low": self.low, "high": self.high, "step": self.step, "points": self.points}
        return {key: value for key, value in given.items() if value is not None}

    def at(self, share: float) -> Value:
        """The value at a place from 0 to 1 of the range; whole numbers have equal shares."""
        if self.kind == "choice":
            return self.choices[min(len(self.choices) - 1, int(share * len(self.choices)))]
        if self.kind in ("log", "logint"):
            ends = (self.low - 0.5, self.high + 0.5) if self.kind == "logint" else (self.low, self.high)
            value = math.exp(math.log(ends[0]) + share * (math.log(ends[1]) - math.log(ends[0])))
            bounded = min(max(value, self.low), self.high)
            return min(max(round(bounded), int(self.low)), int(self.high)) if self.kind == "logint" else bounded
        step = self.step if self.step is not None else (1.0 if self.kind == "int" else None)
        if step is None:
            return self.low + share * (self.high - self.low)
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        value = self.low + min(count - 1, int(share * count)) * step
        return round(value) if self.kind == "int" else value

    def grid(self) -> list[Value]:
        """Its values for a grid, in order.

        Raises:
            Invalid: a range without steps does not say how many points it has.
        """
        if self.kind == "choice":
            return list(self.choices)
        if self.points is not None:
            places = [self._between(number / max(1, self.points - 1)) for number in range(self.points)]
            return list(dict.fromkeys(places))
        step = self.step if self.step is not None else (1.0 if self.kind in ("int", "logint") else None)
        if step is None:
            raise Invalid(
                "MUNI-N110",
                f"a grid over {self.name} needs steps or points",
                parameter=self.name,
                do=f"say how many: {self.name}={self.kind}:{self.low:g}..{self.high:g}/5",
            )
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > _MOST_GRID:
            raise Invalid("MUNI-N111", "a grid has at most 10,000 points", points=count, most=_MOST_GRID)
        values = [self.low + number * step for number in range(count)]
        return [round(one) for one in values] if self.kind in ("int", "logint") else list(values)

    def _between(self, share: float) -> Value:
        """The value at a place from 0 to 1 with both ends among the values, as a grid has them."""
        if self.kind in ("log", "logint"):
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.kind in ("int", "logint") else value


@dataclass(frozen=True, slots=True)
class Space:
    """All dimensions of a search, in the order of their names."""

    dimensions: tuple[Dimension, ...]

    def document(self) -> dict[str, Any]:
        """By name, as it stands in the record."""
        return {one.name: one.document() for one in self.dimensions}

    def random(self, seed: int, number: int) -> dict[str, Value]:
        """The values of a trial by chance; they follow from seed, trial and name alone."""
        return {one.name: one.at(draw(seed, "trial", number, one.name)) for one in self.dimensions}

    def grid(self) -> list[dict[str, Value]]:
        """Every point of the grid, the last name varying fastest.

        Raises:
            Invalid: a dimension has no steps, or there are more than 10,000 points.
        """
        values = [one.grid() for one in self.dimensions]
        size = math.prod(map(len, values))
        if size > _MOST_GRID:
            raise Invalid("MUNI-N111", "a grid has at most 10,000 points", points=size, most=_MOST_GRID)
        names = [one.name for one in self.dimensions]
        return [dict(zip(names, point, strict=True)) for point in product(*values)]

    def of_grid(self, seed: int, trials: int) -> list[dict[str, Value]]:
        """So many points of the grid: all in order, or as many of them as are wanted, drawn with the seed."""
        points = self.grid()
        if trials >= len(points):
            return points
        chosen = sorted(order(seed, len(points), "grid")[:trials])
        return [points[number] for number in chosen]


def read_space(given: Mapping[str, Any]) -> Space:
    """The dimensions that texts or documents describe.

    ``int:2..8``, ``int:10..100:10``, ``float:0..1``, ``log:0.01..0.3``, ``logint:10..1000``, each with ``/5`` behind
    for five points of a grid; ``a|b|c`` or a JSON list for choices; or the document that a dimension gives.

    Raises:
        Invalid: a dimension is not readable, empty, or has no logarithm; there is none, or there are too many.
    """
    if not 1 <= len(given) <= _MOST_DIMENSIONS:
        raise Invalid(
            "MUNI-N112", "a search has 1 to 30 parameters", given=len(given), do="name some: --param eta=log:0.01..0.3"
        )
    return Space(tuple(_dimension(name, given[name]) for name in sorted(given)))


def _dimension(name: str, given: Any) -> Dimension:
    if not _NAME.fullmatch(name):
        raise _unreadable(name, given)
    if isinstance(given, list):
        return _choices(name, given)
    if isinstance(given, Mapping):
        if given.get("kind") == "choice":
            return _choices(name, given.get("choices"))
        text = "{kind}:{low}..{high}".format(**{"kind": "", "low": "", "high": "", **given})
        text += "".join(f"{mark}{given[key]}" for mark, key in ((":", "step"), ("/", "points")) if key in given)
    else:
        text = str(given).strip()
    found = _RANGE.fullmatch(text)
    if found is None:
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            return _choices(name, parsed)
        if "|" in text or text.startswith("choice:"):
            return _choices(name, [_plain(one.strip()) for one in re.split(r"[|,]", text.removeprefix("choice:"))])
        raise _unreadable(name, given)
    kind, low, high = found["kind"], float(found["low"]), float(found["high"])
    step = float(found["step"]) if found["step"] else None
    points = int(found["points"]) if found["points"] else None
    whole = kind in ("int", "logint")
    if whole and (low % 1 or high % 1 or (step or 1) % 1):
        raise _unreadable(name, given)
    bad_log = kind in ("log", "logint") and (low <= 0 or step is not None)
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high or bad_log or (step is not None and step <= 0):
        raise Invalid(
            "MUNI-N113",
            f"the range of {name} is empty, or has no logarithm",
            parameter=name,
            given=text[:120],
            do="give a lower end below the upper one, above 0 for log and logint, and steps above 0",
        )
    if points is not None and points < 2:
        raise _unreadable(name, given)
    return Dimension(name, kind, low, high, step, points)


def _choices(name: str, given: Any) -> Dimension:
    plain = isinstance(given, Sequence) and all(
        isinstance(one, (str, int, float, bool)) and (not isinstance(one, float) or math.isfinite(one)) for one in given
    )
    if (
        isinstance(given, str)
        or not plain
        or not 1 <= len(given) <= _MOST_CHOICES
        or len(set(map(repr, given))) < len(given)
    ):
        raise _unreadable(name, given)
    return Dimension(name, "choice", choices=tuple(given))


def _plain(text: str) -> Value:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float, bool)) else text


def _unreadable(name: str, given: Any) -> Invalid:
    return Invalid(
        "MUNI-N114",
        f"the values of {name[:60]!r} are not readable",
        parameter=name[:80],
        given=str(given)[:120],
        forms="int:2..8 | int:10..100:10 | float:0..1 | log:0.01..0.3 | logint:10..1000 | a|b|c",
        do=f"say it like this: {name[:40]}=log:0.01..0.3",
    )
