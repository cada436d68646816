"""``muni evaluate``: how good a model is, how stable its world, and how it treats groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from muniment.cli.bars import bar, verdict
from muniment.cli.data import DETACH
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA, MODEL
from muniment.cli.screen import Screen
from muniment.sdk.shown import count, elapsed, measure
from muniment.wire import execution as wire

_WIDTH: Final = 16
_MOVED: Final = 5
_FOUR_FIFTHS: Final = 0.8
_AMBER: Final = 0.9
_PSI: Final = (0.10, 0.25)
_ELSEWHERE: Final = ("air", "spd", "psi", "csi")
"""Metrics that have a table of their own."""


def groupings(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[wire.Grouping]:
    """``COLUMN``, ``COLUMN:favoured=VALUE`` or ``COLUMN:cuts=25,60``, any number of times."""
    found = []
    for text in given:
        column, favoured, cuts = text, None, ""
        for _ in range(2):
            if ":favoured=" in column and favoured is None:
                column, _, favoured = column.rpartition(":favoured=")
                if ":cuts=" in favoured:
                    favoured, _, cuts = favoured.partition(":cuts=")
            elif ":cuts=" in column and not cuts:
                column, _, cuts = column.rpartition(":cuts=")
        try:
            numbers = [float(cut) for cut in cuts.split(",")] if cuts else []
        except ValueError:
            raise click.BadParameter(f"{cuts!r} is not a list of numbers such as 25,60", ctx, param) from None
        if not column:
            raise click.BadParameter(f"{text!r} names no column", ctx, param)
        found.append(wire.Grouping(column=column, favoured=favoured, cuts=numbers))
    return found


@click.command(
    cls=Command,
    epilog="Example: muni evaluate credit-xgboost --data credit/test --threshold 0.3\n"
    "Fairness: muni evaluate credit-xgboost --data credit/test --group SEX --group AGE:cuts=25,60\n"
    "Stability: muni evaluate credit-xgboost --data credit/test --reference credit/train",
)
@click.argument("model", type=MODEL)
@click.option("--data", required=True, type=DATA, metavar="REF", help="The snapshot to measure it on.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Score from which a case counts as positive.",
)
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="COLUMN",
    callback=groupings,
    help="Compare the groups of a column; COLUMN:favoured=VALUE names whom with, COLUMN:cuts=25,60 parts numbers.",
)
@click.option(
    "--favourable",
    type=click.Choice(["negative", "positive"]),
    default="negative",
    show_default=True,
    help="Which prediction is good for the person.",
)
@click.option("--reference", type=DATA, metavar="REF", help="Compare scores and features with this snapshot.")
@click.option(
    "--protected", type=DATA, metavar="REF", help="Who the people are, one row for each key; only this job sees it."
)
@click.option("--key", metavar="COLUMN", help="The column that names a case in both; goes with --protected.")
@DETACH
@with_face
def evaluate(
    face: Face,
    model: str,
    data: str,
    threshold: float | None,
    groups: list[wire.Grouping],
    favourable: str,
    reference: str | None,
    protected: str | None,
    key: str | None,
    detach: bool,
) -> None:
    """Measure MODEL on a snapshot, hermetically: AUC, KS, Gini, Brier, calibration, confusion at the threshold.

    With --group also how groups of people fare, from exact counts; the model need not have the column, nor the data,
    where --protected names a snapshot that has it. With --reference also how far scores (PSI) and features (CSI) moved.
    """
    run = face.client.jobs.evaluate(
        model,
        data,
        threshold,
        groups=groups,
        favourable=favourable,
        reference=reference,
        protected=protected,
        key=key,
    )
    if detach:
        face.started(run)
        return
    face.wait(run)
    face.answer(run.detail, lambda screen: picture(screen, run.detail))


def picture(screen: Screen, d: wire.RunDetail) -> None:
    """An evaluation for people."""
    report = d.report or {}
    screen.facts(
        f"{d.inputs.get('model', '')} measured on {d.inputs.get('data', '')}",
        {
            "status": d.status,
            "rows": count(report["rows"]) if "rows" in report else None,
            "run": d.run,
            "took": elapsed(d.started_at, d.ended_at),
            "grade": d.grade,
        },
    )
    screen.line()
    plain = {name: measure(value) for name, value in d.metrics.items() if name.partition(".")[0] not in _ELSEWHERE}
    undefined = {name: f"– {why}" for name, why in (report.get("undefined") or {}).items() if "." not in name}
    screen.facts("metrics", {**plain, **undefined})
    if report.get("score_bands"):
        screen.line()
        bands_picture(screen, report["score_bands"])
    for one in report.get("groups") or []:
        screen.line()
        groups_picture(screen, one)
    if joined := report.get("protected"):
        line = f"{count(joined['found'])} rows found in {d.inputs.get('protected', '')} by {joined['key']}"
        screen.line(f"  {line}, {count(joined['not_found'])} not", style="dim")
    if report.get("stability"):
        screen.line()
        stability_picture(screen, report["stability"], d.inputs.get("reference", ""))
    for finding in report.get("findings") or []:
        screen.line(f"{finding['message']}: {finding['facts']['column']}, {count(finding['facts']['rows'])} rows")


def bands_picture(screen: Screen, bands: list[dict[str, Any]]) -> None:
    """The score bands, riskiest first."""
    most = max((band["rate"] for band in bands), default=0.0) or 1.0
    rows = [
        [
            f"{band['band']:>2}  {band['low']:.3f} to {band['high']:.3f}",
            bar(screen, band["rate"] / most, _WIDTH, "red" if band["band"] <= 2 else "cyan"),
            count(band["rows"]),
            f"{band['rate']:.1%}",
            f"{band['mean_score']:.1%}",
            "–" if band["capture"] is None else f"{band['capture']:.1%}",
            "–" if band["lift"] is None else f"{band['lift']:.2f}",
        ]
        for band in bands
    ]
    columns = ["scores, riskiest first", "positives", "rows", "rate", "predicted", "caught so far", "lift"]
    screen.table(columns, rows, right=5, spare=["positives"])


def groups_picture(screen: Screen, one: Mapping[str, Any]) -> None:
    """How the groups of a column fare, worst ratio first in words, then group by group."""
    words = {"negative": "predicted negative", "positive": "predicted positive"}[one["favourable"]]
    air = one["air"]
    screen.facts(
        f"groups by {one['column']}",
        {
            "favourable": f"{words}, threshold {one['threshold']:g}",
            "compared with": f"{one['reference']}{', as asked for' if one['favoured'] else ', which fares best'}"
            if one["reference"] is not None
            else None,
            "adverse impact ratio": verdict(
                f"{air:.4f} for {one['air_group']}" + (", below four fifths" if air < _FOUR_FIFTHS else ""),
                good=air >= _AMBER,
                poor=air < _FOUR_FIFTHS,
            )
            if air is not None
            else f"– {one['undefined'].get('air', '')}",
            "the model": "takes this column as a feature" if one["used_by_model"] else None,
            "not shown": _left_out(one),
        },
    )
    rows = [
        [
            f"  {group['group']}" + ("" if group["compared"] else " (too few)"),
            bar(screen, group["selection_rate"] or 0.0, _WIDTH),
            count(group["rows"]),
            _share(group["selection_rate"]),
            "" if not group["interval"] else f"{group['interval'][0]:.1%} to {group['interval'][1]:.1%}",
            _ratio(group),
            _points(group.get("spd")),
            "" if group.get("smd") is None else f"{group['smd']:+.3f}",
            _chance(group.get("p_fisher")),
            _share(group["tpr"]),
            _share(group["fpr"]),
        ]
        for group in one["groups"]
    ]
    columns = [
        "  group", "favourable", "rows", "rate", "95 %", "AIR", "SPD", "SMD", "Fisher p", "TPR", "FPR"
    ]  # fmt: skip
    screen.table(columns, rows, right=9, spare=["favourable", "SMD", "95 %", "TPR", "FPR"])


def stability_picture(screen: Screen, one: Mapping[str, Any], reference: str) -> None:
    """How far scores and features have moved, most moved first."""
    screen.facts(
        f"stability against {reference}",
        {
            "PSI of scores": _moved(one["psi"]),
            "largest CSI": f"{one['csi_feature']} of {count(len(one['features']))} features",
        },
    )
    rows = [
        [
            f"  {feature['feature']}",
            bar(screen, (feature["csi"] or 0.0) / _PSI[1], _WIDTH, "yellow"),
            f"{feature['missing'][1] - feature['missing'][0]:+,}" if any(feature["missing"]) else "",
            _moved(feature["csi"]),
        ]
        for feature in one["features"][:_MOVED]
    ]
    screen.table(["  most moved", "of 0.25", "missing", "CSI"], rows, right=1, spare=["missing", "of 0.25"])


def _left_out(one: Mapping[str, Any]) -> str | None:
    parts = []
    if one["rare"]["groups"]:
        groups = one["rare"]["groups"]
        parts.append(f"{groups} group{'s' * (groups > 1)} of fewer than {one['rare']['least_rows']} rows")
    if one["missing_rows"]:
        parts.append(f"{count(one['missing_rows'])} rows without a value")
    return ", ".join(parts) or None


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} pp"


def _chance(value: float | None) -> str:
    return "" if value is None else "<0.0001" if value < 1e-4 else f"{value:.4f}"


def _ratio(group: Mapping[str, Any]) -> Any:
    air = group["air"]
    if air is None or not group["compared"]:
        return "–" if air is None else f"{air:.3f}"
    return verdict(f"{air:.3f}", good=air >= _AMBER, poor=air < _FOUR_FIFTHS)


def _moved(value: float | None) -> Any:
    """PSI in the colour of the usual bounds: 0.10 amber, 0.25 red."""
    if value is None:
        return "–"
    word = "stable" if value < _PSI[0] else "moved" if value < _PSI[1] else "another population"
    return verdict(f"{value:.4f}  {word}", good=value < _PSI[0], poor=value >= _PSI[1])
