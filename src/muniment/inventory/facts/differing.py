"""What differs between two versions of a model, with sizes. Pure: from what is recorded of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muniment.inventory.facts.fact import Facts
from muniment.inventory.facts.known import Known

__all__ = ["SECTIONS", "Difference", "Side", "differences", "measures"]

SECTIONS: Final = ("data", "features", "code", "parameters", "environment", "performance", "explanation", "use")

_SHARE: Final = 0.01
"""Features whose part of the attribution moved by less are not listed one by one."""

_FEATURES_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions."""

    known: Known
    facts: Facts
    packages: Mapping[str, str]
    """Version by name, of the job environment."""

    shares: Mapping[str, float] | None
    """Part of the attribution by feature, of the newest explanation; None where there is none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs."""

    section: str
    name: str
    before: Any
    after: Any
    size: float | None = None
    unit: str = ""


def differences(before: Side, after: Side) -> tuple[list[Difference], list[str]]:
    """Everything that differs, section by section, and what could not be compared."""
    found, missed = list[Difference](), list[str]()
    if before.known.maker is None or after.known.maker is None:
        missed.append("data, code, parameters and environment: no recorded run made one of the two")
    else:
        found += [*_data(before, after), *_features(before, after), *_code(before, after)]
        found += [*_parameters(before, after), *_environment(before, after)]
    found += _performance(before, after)
    measured = [side.known.newest["metrics"].data for side in (before, after) if "metrics" in side.known.newest]
    if len(set(measured)) > 1:
        missed.append("performance like for like: the two were measured on different data")
    for family in ("metric", "fairness"):
        if not any(name.startswith(f"{family}.") for name in before.facts.keys() & after.facts.keys()):
            side = before if not any(n.startswith(f"{family}.") for n in before.facts) else after
            missed.append(f"{family}: {side.facts.why_absent(f'{family}.')}")
    if before.shares is None or after.shares is None:
        missed.append("explanation: one of the two was not explained")
    else:
        found += _explanation(before.shares, after.shares)
    found += _use(before, after)
    missed.append("the effect on risk-weighted exposure: it is not in the record")
    return found, missed


def measures(before: Side, after: Side) -> dict[str, Any]:
    """The change in numbers and truth values, by the names that the rules of classes ask for; the unknown left out."""
    first, second = before.known.maker, after.known.maker
    told: dict[str, Any] = {"origin.unknown": first is None or second is None}
    told["algorithm.changed"] = _fact(before, "model.algorithm") != _fact(after, "model.algorithm")
    told["target.changed"] = before.known.model.facts.get("target") != after.known.model.facts.get("target")
    one, two = _fact(before, "tier.level"), _fact(after, "tier.level")
    told["tier.raised"] = one is not None and two is not None and two < one
    names = [side.known.use_case.subject if side.known.use_case else None for side in (before, after)]
    told["use_case.changed"] = names[0] is not None and names[0] != names[1]
    if first is not None and second is not None:
        old, new = set(_columns(before)), set(_columns(after))
        told["features.changed"] = len(old ^ new)
        if old | new:
            told["features.changed_share"] = len(old ^ new) / len(old | new)
        told["data.changed"] = _contents(before) != _contents(after)
        told["code.changed"] = (first.job["source"], first.job["entry"]) != (second.job["source"], second.job["entry"])
        told["programs.changed"] = first.job["code"] != second.job["code"]
        told["parameters.changed"] = len(list(_parameters(before, after)))
        told["environment.changed"] = (first.job["env"], first.job["base"]) != (second.job["env"], second.job["base"])
    essence = [side.known.model.facts.get("canonical_digest") for side in (before, after)]
    told["predictions.identical"] = before.known.model.digest == after.known.model.digest or (
        essence[0] is not None and essence[0] == essence[1]
    )
    auc = [_fact(side, "metric.auc") for side in (before, after)]
    if None not in auc:
        told["performance.auc_size"] = abs(auc[1] - auc[0])
    air = [_fact(side, "fairness.air") for side in (before, after)]
    if None not in air:
        told["performance.air_fall"] = max(0.0, air[0] - air[1])
    if before.shares is not None and after.shares is not None:
        told["explanation.shift"] = _shift(before.shares, after.shares)
    return told


def _data(before: Side, after: Side) -> Iterator[Difference]:
    old, new = _inputs(before), _inputs(after)
    for role in sorted(old.keys() | new.keys()):
        if old.get(role) != new.get(role):
            yield Difference("data", role, old.get(role), new.get(role))
    for name in ("data.rows", "data.classification", "data.findings"):
        one, two = _fact(before, name), _fact(after, name)
        if one != two:
            ratio = (two - one) / one if isinstance(one, int) and isinstance(two, int) and one else None
            yield Difference("data", name.partition(".")[2], one, two, ratio, "" if ratio is None else "relative")


def _features(before: Side, after: Side) -> Iterator[Difference]:
    old, new = _columns(before), _columns(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Difference("features", name, old.get(name), new.get(name))
    one, two = before.known.model.facts.get("target"), after.known.model.facts.get("target")
    if one != two:
        yield Difference("features", "target", one, two)


def _code(before: Side, after: Side) -> Iterator[Difference]:
    first, second = before.known.maker, after.known.maker
    assert first is not None
    assert second is not None
    for name, told in (("programs", "code"), ("source", "source"), ("entry", "entry"), ("program", "program")):
        if first.job[told] != second.job[told]:
            yield Difference("code", name, first.job[told], second.job[told])
    for name in ("model.algorithm", "code.commit"):
        if _fact(before, name) != _fact(after, name):
            yield Difference("code", name.partition(".")[2], _fact(before, name), _fact(after, name))


def _parameters(before: Side, after: Side) -> Iterator[Difference]:
    first, second = before.known.maker, after.known.maker
    assert first is not None
    assert second is not None
    old = {**first.job["params"], "seed": first.job["seed"]}
    new = {**second.job["params"], "seed": second.job["seed"]}
    for name in sorted(old.keys() | new.keys()):
        if name not in ("algorithm", "target", "drop") and old.get(name) != new.get(name):
            yield Difference("parameters", name, old.get(name), new.get(name))


def _environment(before: Side, after: Side) -> Iterator[Difference]:
    first, second = before.known.maker, after.known.maker
    assert first is not None
    assert second is not None
    for name in ("env", "base"):
        if first.job[name] != second.job[name]:
            yield Difference("environment", name, first.job[name], second.job[name])
    for name in sorted(before.packages.keys() | after.packages.keys()):
        if before.packages.get(name) != after.packages.get(name):
            yield Difference("environment", name, before.packages.get(name), after.packages.get(name))


def _performance(before: Side, after: Side) -> Iterator[Difference]:
    for name in sorted(before.facts.keys() & after.facts.keys()):
        if not name.startswith(("metric.", "fairness.", "stability.")):
            continue
        one, two = before.facts[name].value, after.facts[name].value
        if isinstance(one, (int, float)) and isinstance(two, (int, float)) and one != two:
            yield Difference("performance", name, one, two, two - one, "difference")


def _explanation(old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[Difference]:
    shift = _shift(old, new)
    if shift:
        yield Difference("explanation", "all features", None, None, shift, "share of attribution that moved")
    moved = sorted(old.keys() | new.keys(), key=lambda name: (-abs(new.get(name, 0.0) - old.get(name, 0.0)), name))
    for name in moved[:_FEATURES_LISTED]:
        size = new.get(name, 0.0) - old.get(name, 0.0)
        if abs(size) >= _SHARE:
            yield Difference("explanation", name, old.get(name), new.get(name), size, "share of attribution")


def _use(before: Side, after: Side) -> Iterator[Difference]:
    for name in ("usecase.owner", "tier.level", "model.kind", "model.origin", "model.owner"):
        one, two = _fact(before, name), _fact(after, name)
        if one != two and one is not None:
            yield Difference("use", name, one, two)
    names = [side.known.use_case.subject if side.known.use_case else None for side in (before, after)]
    if names[0] is not None and names[0] != names[1]:
        yield Difference("use", "use case", names[0], names[1])


def _shift(old: Mapping[str, float], new: Mapping[str, float]) -> float:
    """Half the sum of absolute differences: the part of the whole that went from some features to others."""
    return sum(abs(new.get(name, 0.0) - old.get(name, 0.0)) for name in sorted(old.keys() | new.keys())) / 2


def _inputs(side: Side) -> dict[str, str]:
    return {edge.role: side.known.labels.get(edge.entity, str(edge.entity)) for edge in side.known.inputs}


def _contents(side: Side) -> Sequence[str]:
    """The data by content where that is known, so that the same rows in other files are the same data."""
    entities = [side.known.entities[edge.entity] for edge in side.known.inputs]
    return sorted(str(entity.content_digest or entity.digest) for entity in entities)


def _columns(side: Side) -> dict[str, str]:
    """Type by name of the columns that it could learn from: those of the data without target and dropped ones."""
    maker = side.known.maker
    params = maker.job["params"] if maker is not None else {}
    dropped = {params.get("target"), *(params.get("drop") or ())}
    return {
        str(column["name"]): str(column["type"])
        for edge in side.known.inputs
        for column in side.known.entities[edge.entity].facts.get("schema", [])
        if column["name"] not in dropped
    }


def _fact(side: Side, name: str) -> Any:
    return side.facts[name].value if name in side.facts else None
