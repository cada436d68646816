"""Instructions for use: what whoever uses a version must know of it, written from its records alone. Pure.

The same records give the same text, letter by letter, so that its digest can be signed by whoever read it. A moment of
reading does not stand in it. Source: Regulation (EU) 2024/1689, Article 13(3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muniment.inventory.facts.known import Known, Measurement
from muniment.inventory.lifecycle import InForce
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time

__all__ = ["Instructions", "acknowledgements", "instructions_of"]

_LEVELS: Final = 12
"""So many levels of a feature are named; the number of all stands beside."""

_LONGEST: Final = 4000
_OF_GROUPS: Final = (
    ("selection_rate", "favourable"),
    ("tpr", "true positives found"),
    ("fpr", "false alarms"),
    ("air", "ratio to the best off"),
)
_COMPARED: Final = frozenset({"air", "spd", "smd", "tpr_gap", "fpr_gap"})
"""Measures of groups, which have tables of their own."""

_NOTHING: Final = "Nothing is recorded."


@dataclass(frozen=True, slots=True)
class Instructions:
    """The text, and what it lacks."""

    text: str
    """Markdown."""

    missing: tuple[str, ...]
    """Parts that the records tell nothing of."""

    @property
    def digest(self) -> Digest:
        """What people sign."""
        return Digest.of(self.text.encode())


def instructions_of(known: Known) -> Instructions | None:
    """The instructions for use of a version; None for what is not registered."""
    version = known.version
    if version is None:
        return None
    told = version.registration.body
    case = known.use_case.body if known.use_case else {}
    standing = [one for one in (version.in_force, version.emergency) if one is not None]
    measured = [one for one in known.measured if one.document is not None]
    features = _features(known)
    parts: list[tuple[str, str, Iterator[str]]] = [
        ("", "", _head(known, told)),
        ("What it is for", "purpose" if not case else "", _purpose(case, told)),
        ("What it is not for, and its limits", "", _limits(case, told, standing)),
        ("Conditions, and until when", "", _conditions(standing)),
        ("How well it does, by data set", "" if measured else "accuracy", _accuracy(known, measured)),
        ("How it treats groups of people", "", _groups(known, measured)),
        ("What goes in", "" if features else "inputs", _inputs(features)),
        ("How to read the score", "", _reading(known, measured)),
        ("Its log", "", _log()),
        ("Who answers for it", "" if told.get("owner") else "owner", _people(case, told)),
    ]
    lines: list[str] = []
    for title, _, body in parts:
        shown = list(body) or [_NOTHING]
        while not shown[-1]:
            shown.pop()
        lines += [*(["", f"## {title}", ""] if title else []), *shown]
    missing = tuple(lack for _, lack, _ in parts if lack)
    return Instructions("\n".join(lines) + "\n", missing)


def acknowledgements(records: Iterable[Record], authors: Iterable[str]) -> dict[str, Record]:
    """The last acknowledgement of each person who had no part in a version, by agent; whoever made it reads his own
    text and shows nothing by it.

    Args:
        records: about the version, oldest first.
        authors: names of the accounts of those who had a part in it.
    """
    own = set(authors)
    told = (r for r in records if r.kind is RecordKind.ACKNOWLEDGEMENT)
    return {record.by: record for record in told if record.by.partition(":")[2] not in own}


def _head(known: Known, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Instructions for use: {_plain(told['model'])}"
    yield ""
    yield f"- model: `{told['digest']}`"
    yield f"- method: {_plain(told.get('algorithm') or 'not recorded')}"
    if told.get("supplier"):
        yield f"- supplier: {_plain(told['supplier'])}"
    if told.get("description"):
        yield f"- what it does: {_plain(told['description'])}"


def _purpose(case: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    if not case:
        return
    yield f"- use case: {_plain(case['name'])}, version {case['version']}"
    for name, field in (("purpose", "purpose"), ("intended use", "intended_use"), ("kind of use", "purpose_class")):
        if case.get(field):
            yield f"- {name}: {_plain(case[field])}"
    yield from _listed("where", case.get("jurisdiction"))
    yield from _listed("law", case.get("legal"))
    yield from _listed("it rests on", told.get("assumptions"))


def _limits(case: Mapping[str, Any], told: Mapping[str, Any], standing: Sequence[InForce]) -> Iterator[str]:
    if case.get("out_of_scope"):
        yield f"- out of scope: {_plain(case['out_of_scope'])}"
    yield from _listed("limit", told.get("limits"))
    yield from _listed("limit of use", _each(one.use_limits for one in standing))
    yield from _listed("never decided by", case.get("prohibited_attributes"))


def _conditions(standing: Sequence[InForce]) -> Iterator[str]:
    if not standing:
        yield "It is not approved: it must not be used."
        return
    yield from _listed("condition", _each(one.conditions for one in standing))
    for one in standing:
        kind = "emergency approval" if one.record.body.get("emergency") else "approval"
        yield f"- {kind} of {format_time(one.since)[:10]} ends on {format_time(one.expires)[:10]}; after it, no use"
    yield "- whether it may be used today says `muni model status`, and what serving asks before it loads it"


def _accuracy(known: Known, measured: Sequence[Measurement]) -> Iterator[str]:
    for one in measured:
        document = one.document or {}
        metrics = document.get("metrics")
        measures = sorted(metrics.items()) if isinstance(metrics, Mapping) else []
        found = {n: v for n, v in measures if _finite(v) and n.partition(".")[0] not in _COMPARED}
        yield f"On {_data(known, one)}, {document.get('rows', 'unknown')} rows ({one.grade}, run:{one.run.id}):"
        yield ""
        yield "| measure | value |"
        yield "|---|---|"
        yield from (f"| {_cell(name)} | {_number(value)} |" for name, value in found.items())
        yield ""


def _groups(known: Known, measured: Sequence[Measurement]) -> Iterator[str]:
    for one in measured:
        for column in _dicts((one.document or {}).get("groups")):
            groups = _dicts(column.get("groups"))
            yield f"By {_plain(column.get('column'))}, on {_data(known, one)} (run:{one.run.id}):"
            yield ""
            yield f"| group | rows | {' | '.join(title for _, title in _OF_GROUPS)} |"
            yield "|---" * (2 + len(_OF_GROUPS)) + "|"
            for group in groups:
                shown = " | ".join(_number(group.get(name)) for name, _ in _OF_GROUPS)
                yield f"| {_cell(group.get('name', group.get('group')))} | {_cell(group.get('rows'))} | {shown} |"
            yield ""


def _inputs(features: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not features:
        return
    yield "Columns by name; their order does not matter. A missing value or an unknown level is taken as missing."
    yield ""
    yield "| column | type | levels |"
    yield "|---|---|---|"
    for feature in features:
        levels = [str(level) for level in feature.get("categories") or ()]
        more = f" and {len(levels) - _LEVELS} more" if len(levels) > _LEVELS else ""
        named = _cell(", ".join(levels[:_LEVELS])) + more
        yield f"| {_cell(feature['name'])} | {_cell(feature.get('type'))} | {named} |"


def _reading(known: Known, measured: Sequence[Measurement]) -> Iterator[str]:
    document = (measured[0].document if measured else None) or known.training or {}
    target = document.get("target")
    if not isinstance(target, Mapping):
        return
    positive = f"{_plain(target.get('name'))} = {_plain(target.get('positive'))}"
    yield f"- the score is the model's probability of {positive}, from 0 to 1: the higher, the likelier"
    if _finite(document.get("threshold")):
        yield f"- the measures above take a score of {_number(document['threshold'])} or more as {positive}"
    metrics = document.get("metrics")
    for name, said in (
        ("ece", "expected difference between score and observed rate"),
        ("base_rate", "observed rate there"),
    ):
        if isinstance(metrics, Mapping) and _finite(metrics.get(name)):
            yield f"- {said}: {_number(metrics[name])}"
    yield "- a score is an estimate, no fact about a person: weigh it, disregard or overrule it where you know better"


def _log() -> Iterator[str]:
    yield "- every request about this version, also a refused one, stands in the ledger: `muni audit search`"
    yield "- `muni audit export` takes the ledger out, and it verifies without the platform"
    yield "- what the model decides in use is logged where it is used: keep those logs at least six months, in a bank"
    yield "  with its other records; the longest duty of keeping wins"


def _people(case: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    if told.get("owner"):
        yield f"- owner of the model, and whom to ask: {_plain(told['owner'])}"
    if case.get("owner"):
        yield f"- owner of the use: {_plain(case['owner'])}"
    yield "- something is wrong with it: `muni finding open`; a question: `muni challenge add`"


def _features(known: Known) -> list[Mapping[str, Any]]:
    """The columns it takes, as its training reported; else those of what it was trained on."""
    told = _dicts((known.training or {}).get("features"))
    return [one for one in told if isinstance(one.get("name"), str)]


def _data(known: Known, one: Measurement) -> str:
    digest = one.data
    return "data that is not recorded" if digest is None else _plain(known.labels.get(digest, digest.short))


def _each(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(text for texts in lists for text in texts))


def _listed(name: str, texts: Iterable[Any] | None) -> Iterator[str]:
    for text in texts or ():
        yield f"- {name}: {_plain(text)}"


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, Sequence) else []


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> str:
    return (str(value) if isinstance(value, int) else f"{value:.4f}") if _finite(value) else "–"


def _plain(value: Any) -> str:
    """Foreign text on one line, so that it can neither make a heading nor markup of its own."""
    text = " ".join(str(value).split())[:_LONGEST]
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace("`", "'").replace("[", "(").replace("]", ")")


def _cell(value: Any) -> str:
    return _plain("" if value is None else value).replace("|", "/")
