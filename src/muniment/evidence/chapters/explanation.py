"""What drives the model's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muniment.evidence.chapters.subject import ROWS, Subject, at, code, dicts, text
from muniment.evidence.charts.explanation import beeswarm_chart, dependence_chart, importance_chart
from muniment.evidence.displaying import count, decimal, displayable, number, percent, shortened, signed
from muniment.evidence.document import (
    Block,
    Facts,
    Figure,
    Line,
    Missing,
    Paragraph,
    Part,
    Picture,
    Row,
    Shape,
    Table,
    Value,
    said,
)

__all__ = ["explanation"]

_KINDS = ("gain", "split", "weight", "permutation")
"""Measures of importance that stand beside the contributions."""


def explanation(subject: Subject) -> Part:
    """The newest explanation."""
    found = subject.parts("explanations")
    report: Mapping[str, Any] = found[0].get("report") or {} if found else {}
    if not report:
        return Part("Explanation", (Missing("No explanation is recorded for this model."),))
    mark, features = subject.of_run("explanation", found[0]), dicts(report.get("features"))
    output = shortened(displayable(text(report.get("output"))), 24) or "score"
    facts: tuple[tuple[str, Line], ...] = (
        ("Method", said(Value(text(report.get("method")) or "–"))),
        ("Data", said(code(found[0].get("data")), ", ", Value(count(report.get("rows"))), " rows")),
        ("Expected value", said(Value(number(report.get("expected_value"))), " (", Value(output), ")")),
        ("Largest error of the sum", said(Value(number(at(report, "additivity", "max_error"))))),
        ("Random seed", said(Value(text(report.get("seed")) or "–"))),
    )
    intro = said(
        "Contributions split each score, without remainder, into what every feature added to it or took from it. "
        "They explain the model, not the world: a feature may stand for another one it moves with."
    )
    blocks: list[Block] = [Paragraph(intro), Facts(facts, mark)]
    if features:
        chart = importance_chart(features, output)
        blocks.append(
            Part(
                "What matters overall",
                (Figure((Picture(chart, said("Mean absolute contribution by feature"), mark),)),),
            )
        )
    swarm = report.get("beeswarm")
    if isinstance(swarm, Mapping) and isinstance(swarm.get("points"), Mapping) and swarm.get("features"):
        caption = said("Contributions of single rows: a dot is a row, its colour the value of the feature")
        blocks.append(Part("Row by row", (Figure((Picture(beeswarm_chart(swarm, output), caption, mark),)),)))
    curves = [one for one in dicts(report.get("dependence")) if one.get("grid") and one.get("mean")][:6]
    if curves:
        pictures = [
            Picture(dependence_chart(one, output), said("Dependence on ", code(one.get("feature"), None, 30)), mark)
            for one in curves
        ]
        note = Paragraph(said("Small bars at the foot show how many rows stand behind each point."))
        blocks.append(Part("How it depends on single features", (note, *_pairs(pictures))))
    blocks.append(_table(report, features, mark))
    return Part("Explanation", tuple(blocks))


def _pairs(pictures: Sequence[Picture]) -> list[Figure]:
    return [Figure(tuple(pictures[place : place + 2])) for place in range(0, len(pictures), 2)]


def _table(report: Mapping[str, Any], features: list[Mapping[str, Any]], mark: Any) -> Part:
    if not features:
        return Part("Importance by several measures", (Missing("No importances are recorded."),))
    kinds = [
        kind
        for kind in ("gain", "split", "weight", "permutation")
        if any(one.get(kind) is not None for one in features)
    ]
    ranks = {kind: _ranks(features, kind) for kind in kinds}
    rows = []
    for place, one in enumerate(features[:ROWS]):
        cells: list[Line] = [
            said(Value(str(place + 1))),
            said(code(one.get("name"), None, 34)),
            said(Value(decimal(one.get("mean_abs")))),
            said(Value(percent(one.get("share")))),
            said(Value(signed(one.get("direction"), 2))),
        ]
        for kind in kinds:
            rank = ranks[kind].get(place)
            cells.append(
                said(Value(number(_short(one.get(kind)))), *((Value(f"  #{rank}", None, Shape.MUTED),) if rank else ()))
            )
        rows.append(Row(tuple(cells)))
    heads = ("Rank", "Feature", "Contribution", "Share", "Direction", *(f"By {kind}" for kind in kinds))
    table = Table(
        heads, tuple(rows), "rl" + "r" * (3 + len(kinds)), (0, 1, 0, 0, 0, *([0.0] * len(kinds))), mark=mark, small=True
    )
    blocks: list[Block] = []
    agreement = report.get("rank_disagreement")
    if isinstance(agreement, Mapping):
        pairs = tuple(
            Row((said(Value(text(pair).replace("_vs_", " and ").replace("_", " "))), said(Value(decimal(tau, 3)))))
            for pair, tau in list(agreement.items())[:12]
        )
        intro = said("How far the measures rank the features alike: Kendall's tau, where one is full agreement.")
        blocks += [Paragraph(intro), Table(("Measures", "Tau"), pairs, "lr", (0, 0), mark=mark)]
    blocks.append(table)
    if len(features) > ROWS:
        blocks.append(Paragraph(said("The table is cut; the dossier holds all features.")))
    return Part("Importance by several measures", tuple(blocks))


def _short(of: Any) -> Any:
    return int(of) if isinstance(of, float) and of == round(of) and abs(of) < 2**53 else of


def _ranks(features: list[Mapping[str, Any]], kind: str) -> dict[int, int]:
    known = [place for place, one in enumerate(features) if isinstance(one.get(kind), (int, float))]
    order = sorted(known, key=lambda place: (-features[place][kind], place))
    return {place: rank + 1 for rank, place in enumerate(order)}
