"""Explanations: what each feature contributes to the output of a model, for tables, notebooks and terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from muniment.sdk.asking import Job
from muniment.sdk.cells import card, facts, fold, picture, table, tiles
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import count, visible
from muniment.sdk.swarm import swarm
from muniment.wire import validation as wv

__all__ = ["Explanation", "ExplanationList", "direction", "explanation_of", "rank_of", "sparkline"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_CLEAR: Final = 0.3
"""Below this rank correlation a feature has no one direction."""

_COLUMNS: Final = (
    "feature",
    "mean_abs",
    "mean_sq",
    "share",
    "direction",
    "gain",
    "split",
    "weight",
    "permutation",
    "missing",
)


class Explanation:
    """What each feature contributes to the output of a model on the rows of a snapshot, exactly."""

    def __init__(self, model: str, found: wv.Explanation) -> None:
        self.model = model
        """Reference of the model."""
        self.reply = found
        """The explanation as it was answered."""

    @property
    def run(self) -> str:
        """The run that made it."""
        return self.reply.run

    @property
    def report(self) -> dict[str, Any]:
        """The whole report, format ``muniment.explanation/1``."""
        return self.reply.report

    @property
    def features(self) -> list[dict[str, Any]]:
        """The features, those that contribute most first."""
        return list(self.report.get("features", []))

    @property
    def agreement(self) -> dict[str, float | None]:
        """Kendall's tau between the ways of ranking features: 1 for one order, 0 for unrelated ones."""
        return dict(self.report.get("rank_disagreement", {}))

    def curve(self, feature: str) -> list[tuple[Any, float, int]]:
        """Value, mean contribution and rows along the values of one of the top features; empty for another one."""
        found = next((one for one in self.report.get("dependence", []) if one["feature"] == feature), None)
        return [] if found is None else list(zip(found["grid"], found["mean"], found["n"], strict=True))

    def to_frame(self) -> Any:
        """A data frame, one row per feature."""
        return to_frame([{"feature": one["name"], **one} for one in self.features], _COLUMNS)

    def facts(self) -> dict[str, Any]:
        """What was explained and how, in words."""
        report = self.report
        expected = float(report.get("expected_value", 0.0))
        data, background = report.get("data") or {}, report.get("background") or {}
        sampled = f" of {count(data['rows'])}, seed {report.get('seed')}" if data.get("sampled") else ""
        averages = f"{background['of']}, {count(background['rows'])} rows" if background else None
        return {
            "method": report.get("method"),
            "data": self.reply.data,
            "rows": f"{count(int(report.get('rows', 0)))}{sampled}",
            "averages over": averages,
            "expected": f"{expected:+.4f} log-odds, a probability of {1 / (1 + math.exp(-expected)):.1%}",
            "adds up": f"to the model's output within {(report.get('additivity') or {}).get('max_error', 0):.1g}",
            "target": _target(report.get("target")),
        }

    def __repr__(self) -> str:
        lines = [f"{self.model} on {visible(self.reply.data)}  {self.report.get('method')}  {self.run}"]
        lines += [
            f"  {visible(one['name']):24} {one['share']:6.1%}  {direction(one['direction'])}"
            for one in self.features[:15]
        ]
        more = len(self.features) - 15
        return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)

    def _repr_html_(self) -> str:
        report = self.report
        native = list(report.get("importances", []))
        headers = ["", "feature", "share", "higher values", *(f"by {kind}" for kind in native)]
        ranks = {kind: rank_of(self.features, kind) for kind in native}
        rows = [
            [
                position,
                one["name"],
                f"{one['share']:.1%}",
                direction(one["direction"]),
                *(f"#{ranks[kind][one['name']]}" for kind in native),
            ]
            for position, one in enumerate(self.features, 1)
        ]
        known = {name: value for name, value in self.facts().items() if value}
        agree = {name.replace("_vs_", " / "): value for name, value in self.agreement.items() if value is not None}
        return card(
            self.model,
            picture(swarm(report), f"contributions of features to {self.model}"),
            tiles({"rows": float(report.get("rows", 0)), **dict(list(agree.items())[:3])}),
            facts({**known, "run": self.run}),
            fold("all features", table(headers, rows)),
            kind="explained",
            badges=(self.reply.grade,),
        )


def explanation_of(model: str, run: Job) -> Explanation:
    """The explanation that a run made."""
    d = run.detail
    found = wv.Explanation(
        run=d.run,
        data=d.inputs.get("data", ""),
        created_at=d.created_at,
        by=d.requested_by,
        grade=d.grade,
        report=d.report or {},
    )
    return Explanation(model, found)


class ExplanationList(tuple[Explanation, ...]):
    """Explanations of a model, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per feature of each explanation."""
        rows = [
            {"run": one.run, "data": one.reply.data, "feature": feature["name"], **feature}
            for one in self
            for feature in one.features
        ]
        return to_frame(rows, ("run", "data", *_COLUMNS))

    def __repr__(self) -> str:
        return "\n".join(f"{one.run}  {visible(one.reply.data):30} {one.report.get('rows')} rows" for one in self)


def direction(value: float | None) -> str:
    """Which way higher values of a feature push the output, in a word, with the rank correlation behind it."""
    if value is None:
        return "by level"
    if abs(value) < _CLEAR:
        return f"both ways {value:+.2f}"
    return f"{'raise' if value > 0 else 'lower'} it {value:+.2f}"


def rank_of(features: Sequence[Mapping[str, Any]], kind: str) -> dict[str, int]:
    """The place of each feature by another importance; equal importances share the better place."""
    values = {one["name"]: float(one.get(kind) or 0.0) for one in features}
    return {name: 1 + sum(other > value for other in values.values()) for name, value in values.items()}


def sparkline(values: Sequence[float]) -> str:
    """A curve in one line of blocks, the lowest value at the bottom; a flat one is flat."""
    if not values:
        return ""
    low, high = min(values), max(values)
    spread = high - low
    places = [0 if spread <= 0 else min(7, int((value - low) / spread * 8)) for value in values]
    return "".join(_BLOCKS[place] for place in places)


def _target(target: Mapping[str, Any] | None) -> str | None:
    return None if not target else f"{visible(target['name'])} = {visible(target['positive'])}"
