"""The quality of data, and whom they represent, as values that show themselves."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from muniment.errors import Invalid
from muniment.sdk.asking import Asking, Job, Watch, reference_of
from muniment.sdk.cells import card, facts, fold, note, table
from muniment.sdk.frames import to_frame
from muniment.sdk.outside import readable
from muniment.sdk.shown import count
from muniment.wire import quality as wq

__all__ = [
    "Quality",
    "Representation",
    "assess",
    "quality_of",
    "quality_request",
    "read_rules_file",
    "represent",
    "representation_of",
    "representation_request",
]

_RULE: Final = ("rule", "dimension", "verdict", "share", "threshold", "held", "failed", "unknown")
_GROUP: Final = ("columns", "group", "rows", "share", "reference_share", "difference")
_MOST_BYTES: Final = 64 * 1024


class Quality:
    """What was measured of a snapshot by declared rules."""

    def __init__(self, dataset: str, report: Mapping[str, Any], run: str = "", grade: str = "") -> None:
        self.dataset = dataset
        self.report = dict(report)
        """Everything that was measured."""
        self.run = run
        self.grade = grade

    @property
    def verdict(self) -> str:
        """``ok``, ``violated``, or ``unknown`` where nothing can be said."""
        return str(self.report.get("verdict"))

    @property
    def violated(self) -> list[dict[str, Any]]:
        """The rules that are broken."""
        return [one for one in self.report.get("rules", []) if one["verdict"] == "violated"]

    def to_frame(self) -> Any:
        """A data frame, one row per rule."""
        return to_frame([{name: one.get(name) for name in _RULE} for one in self.report.get("rules", [])], _RULE)

    def rows(self) -> list[list[Any]]:
        """The rules for people: name, dimension, verdict, share, what was demanded, rows that break it."""
        return [
            [one["rule"], one["dimension"], one["verdict"], percent(one["share"]), percent(one["threshold"]),
             count(one["failed"]), ", ".join(map(str, one["first_rows"]))]
            for one in self.report.get("rules", [])
        ]  # fmt: skip

    def __repr__(self) -> str:
        lines = [f"quality of {self.dataset}: {self.verdict}"]
        lines += [f"  {row[2]:9} {row[3]:>8} of {row[4]:>7}  {row[0]}" for row in self.rows()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        report = self.report
        known = {
            "rows": count(report.get("rows", 0)),
            **report.get("dimensions", {}),
            "duplicate rows": count(report.get("duplicate_rows", 0)),
            "as of": report.get("as_of"),
            "run": self.run,
        }
        headings = ["rule", "dimension", "verdict", "share", "demanded", "broken", "first rows"]
        judged = self.rows()
        rules = table(headings, judged) if judged else note("No rule was given: values were counted, and not judged.")
        gaps = [[one["column"], count(one["nulls"]), percent(one["share"])] for one in report.get("completeness", [])]
        missing = fold("missing values", table(["column", "nulls", "complete"], gaps))
        return card(f"quality of {self.dataset}", facts(known), rules, missing, badges=(self.verdict, self.grade))


class Representation:
    """How the groups of a snapshot compare with those of a population."""

    def __init__(self, dataset: str, against: str, report: Mapping[str, Any], run: str = "", grade: str = "") -> None:
        self.dataset, self.against = dataset, against
        self.report = dict(report)
        """Everything that was measured."""
        self.run, self.grade = run, grade

    @property
    def verdict(self) -> str:
        """``ok``, ``violated``, or ``unknown`` where nothing can be said."""
        return str(self.report.get("verdict"))

    @property
    def measures(self) -> list[dict[str, Any]]:
        """One measurement for each column, and the one of all columns together."""
        joint = self.report.get("joint")
        return [*self.report.get("columns", []), *([joint] if joint else [])]

    def to_frame(self) -> Any:
        """A data frame, one row per group."""
        found = [{**one, "columns": " · ".join(m["columns"])} for m in self.measures for one in m["groups"]]
        return to_frame([{name: one.get(name) for name in _GROUP} for one in found], _GROUP)

    def summary(self) -> list[list[Any]]:
        """One line for each measurement: columns, verdict, index, chi-square, p, largest difference."""
        lines = []
        for one in self.measures:
            chi = one.get("chi_square") or {}
            lines.append(
                [" · ".join(one["columns"]), one["verdict"], number(one.get("psi")), number(chi.get("statistic")),
                 number(chi.get("p")), percent(one.get("largest_difference")), one.get("why") or chi.get("why") or ""]
            )  # fmt: skip
        return lines

    def groups(self) -> list[list[Any]]:
        """One line for each group of each column, the largest difference first within a column."""
        lines = []
        for one in self.report.get("columns", []):
            ordered = sorted(one["groups"], key=lambda group: -abs(group["difference"]))
            lines += [
                [one["columns"][0], g["group"], count(g["rows"]), percent(g["share"]), percent(g["reference_share"]),
                 f"{g['difference'] * 100:+.2f} pp"]
                for g in ordered
            ]  # fmt: skip
        return lines

    def __repr__(self) -> str:
        lines = [f"{self.dataset} against {self.against}: {self.verdict}"]
        lines += [f"  {row[1]:9} psi {row[2]:>8}  {row[0]}" for row in self.summary()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        known = {"rows": count(self.report.get("rows", 0)), "against": self.against, "run": self.run}
        summary = table(["columns", "verdict", "psi", "chi-square", "p", "largest", ""], self.summary())
        shares = table(["column", "group", "rows", "share", "population", "difference"], self.groups())
        title = f"{self.dataset} against {self.against}"
        return card(title, facts(known), summary, fold("groups", shares), badges=(self.verdict, self.grade))


def read_rules_file(file: str | Path) -> dict[str, Any]:
    """Rules of quality from a TOML or JSON file.

    Raises:
        NotFound: there is no such file.
        Invalid: it is too large, or neither TOML nor JSON.
    """
    path = readable(file)
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise Invalid("MUNI-A129", "rules are at most 64 KiB", file=str(file), bytes=len(content))
    try:
        text = content.decode()
        document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as broken:
        raise Invalid(
            "MUNI-A130", "the file of rules is neither TOML nor JSON", file=str(file), detail=str(broken)[:200]
        ) from None
    plain: dict[str, Any] = _plain(document)
    return plain


def quality_request(
    asking: Asking,
    dataset: Any,
    rules: str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    as_of: str | None = None,
    fresh: bool = False,
) -> wq.AssessQuality:
    """What asks for a measurement of quality."""
    if isinstance(rules, (str, Path)):
        document = read_rules_file(rules)
    elif isinstance(rules, Mapping):
        document = _plain(dict(rules))
    else:
        document = {"rule": _plain(list(rules or []))}
    return wq.AssessQuality(
        project=asking.project, dataset=reference_of(dataset), rules=document, as_of=as_of, fresh=fresh
    )


def representation_request(
    asking: Asking,
    dataset: Any,
    against: Any,
    columns: Sequence[str],
    *,
    bound: float | None = None,
    fresh: bool = False,
) -> wq.AssessRepresentation:
    """What asks for a comparison with a population."""
    return wq.AssessRepresentation(
        project=asking.project,
        dataset=reference_of(dataset),
        against=reference_of(against),
        columns=list(columns),
        bound=bound,
        fresh=fresh,
    )


def assess(asking: Asking, dataset: Any, rules: Any = None, *, as_of: str | None, watch: Watch | None) -> Quality:
    """Measure quality, and wait for it."""
    request = quality_request(asking, dataset, rules, as_of=as_of)
    return quality_of(asking.start("data:AssessQuality", request).wait(watch).checked())


def represent(
    asking: Asking, dataset: Any, against: Any, columns: Sequence[str], *, bound: float | None, watch: Watch | None
) -> Representation:
    """Compare with a population, and wait for it."""
    request = representation_request(asking, dataset, against, columns, bound=bound)
    return representation_of(asking.start("data:AssessRepresentation", request).wait(watch).checked())


def quality_of(run: Job) -> Quality:
    """What a run that ended well measured."""
    d = run.detail
    return Quality(d.inputs.get("data", ""), d.report or {}, run.reference, d.grade)


def representation_of(run: Job) -> Representation:
    """What a run that ended well compared."""
    d = run.detail
    return Representation(
        d.inputs.get("data", ""), d.inputs.get("reference", ""), d.report or {}, run.reference, d.grade
    )


def percent(share: float | None) -> str:
    """A share for people; one that is not whole is never shown as whole."""
    if share is None:
        return ""
    text = f"{share * 100:.2f} %"
    return "> 99.99 %" if text == "100.00 %" and share < 1 else text


def number(value: float | None) -> str:
    """A measure for people."""
    return "" if value is None else f"{value:.4g}"


def _plain(value: Any) -> Any:
    """Days and moments of TOML as texts."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value
