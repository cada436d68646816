"""How well the model performs, and how it treats groups of people, as measured by the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.evidence.chapters.subject import Subject, agent, at, code, dicts, text
from muniment.evidence.charts.performance import (
    band_chart,
    calibration_chart,
    capture_chart,
    distribution_chart,
    group_chart,
    ks_chart,
    roc_chart,
    shift_chart,
    stability_chart,
)
from muniment.evidence.displaying import count, decimal, moment, number, percent, signed
from muniment.evidence.document import (
    Badge,
    Block,
    Facts,
    Figure,
    Line,
    Mark,
    Missing,
    Paragraph,
    Part,
    Picture,
    Points,
    Row,
    Shape,
    Table,
    Tone,
    Value,
    said,
)
from muniment.evidence.wording import MEASURES

__all__ = ["fairness", "performance"]

_GROUPS = 40


def performance(subject: Subject) -> Part:
    """The newest evaluation in full, and the others in a table."""
    evaluations = subject.parts("evaluations")
    if not evaluations:
        return Part("Performance", (Missing("No evaluation is recorded for this model."),))
    newest = evaluations[0]
    mark, report = subject.of_run("evaluation", newest), newest.get("report") or {}
    blocks: list[Block] = [_measured(subject, newest, mark), _measures(newest, mark)]
    blocks += [_separation(report, mark), _calibration(report, mark), _threshold(report, mark), _bands(report, mark)]
    blocks.append(_stability(report, mark))
    if len(evaluations) > 1:
        blocks.append(_others(subject, evaluations))
    return Part("Performance", tuple(blocks))


def _measured(subject: Subject, newest: Mapping[str, Any], mark: Mark | None) -> Block:
    report = newest.get("report") or {}
    target = report.get("target") or {}
    absent = next((one for one in subject.parts("absence") if one.get("data") == newest.get("data")), None)
    rows: list[tuple[str, Line]] = [
        ("Data", said(code(newest.get("data"), None, 60))),
        ("Rows", said(Value(count(report.get("rows"))))),
        (
            "Target",
            said(
                code(target.get("name")),
                *((", positive when ", code(target["positive"])) if target.get("positive") is not None else ()),
            ),
        ),
        ("Run by", said(Value(agent(newest.get("by"))), ", ", Value(moment(newest.get("at"))))),
    ]
    if absent is not None:
        word = "proven unused" if absent.get("unused") else text(absent.get("verdict")) or "not proven"
        rows.append(("Used in its making", said(Badge(word, Tone.GOOD if absent.get("unused") else Tone.CAREFUL))))
    return Facts(tuple(rows), mark)


def _measures(newest: Mapping[str, Any], mark: Mark | None) -> Block:
    report = newest.get("report") or {}
    values = {**(newest.get("metrics") or {}), **(report.get("metrics") or {})}
    reasons = report.get("undefined") or {}
    columns = tuple(text(one.get("column")) for one in dicts(report.get("groups")))
    elsewhere = {f"{name}.{column}" for name in ("air", "spd") for column in columns}
    order = [name for name in MEASURES if name in values]
    order += sorted(name for name in values if name not in MEASURES and name not in elsewhere)
    rows = []
    for name in order[:60]:
        title, meaning = MEASURES.get(name, (name.replace("_", " "), ""))
        value = values[name]
        shown = Value(decimal(value)) if value is not None else Value("no value", None, Shape.MUTED)
        what: Line = said(meaning) if meaning else said(Value(text(reasons.get(name)) or "–", None, Shape.MUTED))
        if value is None:
            what = said(Value(text(reasons.get(name)) or "no reason is recorded", None, Shape.MUTED))
        rows.append(Row((said(Value(title, None, Shape.STRONG)), said(shown), what)))
    if not rows:
        return Missing("The evaluation holds no measures.")
    return Part("Measures", (Table(("Measure", "Value", "Meaning"), tuple(rows), "lrl", (0, 0, 1), mark=mark),))


def _separation(report: Mapping[str, Any], mark: Mark | None) -> Part:
    curves, threshold, metrics = report.get("curves"), report.get("threshold"), report.get("metrics") or {}
    if not isinstance(curves, Mapping) or not curves.get("threshold"):
        return Part(
            "Separation", (Missing("There are no curves: the data hold one class only, or none were recorded."),)
        )
    return Part(
        "Separation",
        (
            Figure(
                (
                    Picture(roc_chart(curves, metrics.get("auc"), threshold), said("ROC curve"), mark),
                    Picture(ks_chart(curves, metrics.get("ks")), said("Distance of the two classes"), mark),
                )
            ),
        ),
    )


def _calibration(report: Mapping[str, Any], mark: Mark | None) -> Part:
    table, histogram = dicts(report.get("calibration")), report.get("histogram")
    pictures = []
    if table:
        caption = said("Calibration, with intervals of the observed rates")
        pictures.append(Picture(calibration_chart(table), caption, mark))
    if isinstance(histogram, Mapping) and histogram.get("edges"):
        pictures.append(
            Picture(distribution_chart(histogram, report.get("threshold")), said("Distribution of scores"), mark)
        )
    if not pictures:
        return Part("Calibration and distribution", (Missing("Neither calibration nor distribution is recorded."),))
    return Part("Calibration and distribution", (Figure(tuple(pictures)),))


def _threshold(report: Mapping[str, Any], mark: Mark | None) -> Part:
    cells = report.get("confusion")
    if not isinstance(cells, Mapping):
        return Part("Decisions at the threshold", (Missing("No counts at a threshold are recorded."),))
    tp, fp, tn, fn = (
        int(cells.get(f"{a}_{b}") or 0)
        for a, b in (("true", "positive"), ("false", "positive"), ("true", "negative"), ("false", "negative"))
    )
    rows = (
        Row(
            (
                said("Positive in truth"),
                said(Value(count(tp), None, Shape.STRONG)),
                said(Value(count(fn))),
                said(Value(count(tp + fn))),
            )
        ),
        Row(
            (
                said("Negative in truth"),
                said(Value(count(fp))),
                said(Value(count(tn), None, Shape.STRONG)),
                said(Value(count(fp + tn))),
            )
        ),
        Row(
            (
                said("All"),
                said(Value(count(tp + fp))),
                said(Value(count(fn + tn))),
                said(Value(count(tp + fp + tn + fn))),
            )
        ),
    )
    intro = said(
        "A score at or above ", Value(_short(report.get("threshold")), mark), " is a prediction of the positive class."
    )
    table = Table(("", "Predicted positive", "Predicted negative", "All"), rows, "lrrr", (0, 0, 0, 0), mark=mark)
    return Part("Decisions at the threshold", (Paragraph(intro), table))


def _short(of: Any) -> str:
    return f"{of:.4g}" if isinstance(of, (int, float)) else number(of)


def _bands(report: Mapping[str, Any], mark: Mark | None) -> Part:
    bands = dicts(report.get("score_bands"))
    if not bands:
        return Part("Bands of score", (Missing("No bands of score are recorded."),))
    rows = tuple(
        Row(
            (
                said(Value(text(one.get("band")))),
                said(Value(f"{decimal(one.get('low'))} to {decimal(one.get('high'))}")),
                said(Value(count(one.get("rows")))),
                said(Value(count(one.get("positives")))),
                said(Value(percent(one.get("rate")))),
                said(Value(percent(one.get("mean_score")))),
                said(Value(percent(one.get("capture")))),
                said(Value(f"{one['lift']:.2f}" if isinstance(one.get("lift"), (int, float)) else "–")),
            )
        )
        for one in bands
    )
    heads = ("Band", "Scores", "Rows", "Positives", "Observed", "Predicted", "Caught so far", "Lift")
    table = Table(heads, rows, "llrrrrrr", (0, 0, 0, 0, 0, 0, 0, 0), mark=mark, small=True)
    pictures = (
        Picture(band_chart(bands), said("Observed and predicted rates by band"), mark),
        Picture(
            capture_chart(bands, int(report.get("rows") or 0)), said("Positives caught by the highest scores"), mark
        ),
    )
    return Part("Bands of score", (Figure(pictures), table))


def _stability(report: Mapping[str, Any], mark: Mark | None) -> Part:
    found = report.get("stability")
    if not isinstance(found, Mapping):
        return Part("Stability", (Missing("Stability against the training data was not measured."),))
    features = [
        (text(one.get("feature")), float(one["csi"]))
        for one in dicts(found.get("features"))
        if one.get("csi") is not None
    ]
    intro = said(
        "Against ",
        Value(count(at(found, "reference", "rows")), mark),
        " rows of reference data, the population stability index of the scores is ",
        Value(number(found.get("psi")), mark, Shape.STRONG),
        "; the feature that moved most is ",
        code(found.get("csi_feature"), mark),
        " with ",
        Value(number(found.get("csi")), mark),
        ". By custom a tenth asks to be watched and a quarter counts as shifted.",
    )
    pictures = []
    if isinstance(found.get("scores"), Mapping) and found["scores"].get("reference"):
        pictures.append(
            Picture(shift_chart(found["scores"]), said("Scores in training and in the evaluated data"), mark)
        )
    if features:
        pictures.append(Picture(stability_chart(features), said("Stability of the features"), mark))
    return Part("Stability", (Paragraph(intro), *((Figure(tuple(pictures)),) if pictures else ())))


def _others(subject: Subject, evaluations: list[Mapping[str, Any]]) -> Part:
    names = [
        name
        for name in ("auc", "ks", "brier", "ece")
        if any(at(one, "metrics", name) is not None for one in evaluations)
    ]
    rows = tuple(
        Row(
            (
                said(code(one.get("data"), None, 30)),
                said(Value(text(one.get("role")) or "–")),
                said(Value(agent(one.get("by")))),
                said(Value(moment(one.get("at")))),
                *(said(Value(decimal(at(one, "metrics", name)))) for name in names),
            ),
            subject.of_run("evaluation", one),
        )
        for one in evaluations[:40]
    )
    heads = ("Data", "Part played", "By", "When", *(MEASURES[name][0] for name in names))
    return Part(
        "All evaluations",
        (Table(heads, rows, "llll" + "r" * len(names), (1, 0, 0, 0, *([0.0] * len(names))), small=True),),
    )


def fairness(subject: Subject) -> Part:
    """How groups of people fare, by the newest evaluation that compares them."""
    found = next(
        (
            (one, dicts(at(one, "report", "groups")))
            for one in subject.parts("evaluations")
            if dicts(at(one, "report", "groups"))
        ),
        None,
    )
    if found is None:
        return Part(
            "Fairness",
            (Missing("No comparison of groups of people is recorded. This report says nothing about fairness."),),
        )
    evaluation, columns = found
    mark = subject.of_run("evaluation", evaluation)
    intro = said(
        "Rates are of favourable predictions at the threshold in use. The impact ratio is a group's rate over the "
        "highest one; below four fifths it is customarily taken as a sign of adverse impact. Groups that are too small "
        "to compare are drawn hollow."
    )
    return Part("Fairness", (Paragraph(intro), *(_column(one, mark) for one in columns[:12])))


def _column(one: Mapping[str, Any], mark: Mark | None) -> Part:
    groups = dicts(one.get("groups"))
    facts: list[tuple[str, Line]] = [
        ("Favourable prediction", said(Value(text(one.get("favourable")) or "–"))),
        ("Compared with", said(Value(text(one.get("reference")) or "–"))),
        ("Input of the model", said(Value("yes" if one.get("used_by_model") else "no"))),
        (
            "Lowest impact ratio",
            said(Value(number(one.get("air")), None, Shape.STRONG), *_whose(one, "air")),
        ),
        ("Four fifths", _four_fifths(one)),
        ("Largest difference of rates", said(Value(signed(one.get("spd"))), *_whose(one, "spd"))),
        ("Gap in positives flagged", said(Value(signed(one.get("tpr_gap"))), *_whose(one, "tpr_gap"))),
        ("Gap in negatives flagged", said(Value(signed(one.get("fpr_gap"))), *_whose(one, "fpr_gap"))),
    ]
    rows = tuple(
        Row(
            (
                said(Value(text(group.get("group")) or "–")),
                said(Value(count(group.get("rows")))),
                said(Value(percent(group.get("selection_rate")))),
                said(Value(decimal(group.get("air")))),
                said(Value(percent(group.get("base_rate")))),
                said(Value(percent(group.get("tpr")))),
                said(Value(percent(group.get("fpr")))),
                said(Value(_chance(group.get("p_fisher")))),
            )
        )
        for group in groups[:_GROUPS]
    )
    heads = ("Group", "Rows", "Favourable", "Ratio", "Base rate", "Positives flagged", "Negatives flagged", "Fisher p")
    blocks: list[Block] = [Facts(tuple(facts), mark, paired=True)]
    if groups:
        chart = group_chart(groups, text(one.get("favourable")))
        blocks.append(Figure((Picture(chart, said("Favourable predictions by ", code(one.get("column"))), mark),)))
        blocks.append(Table(heads, rows, "lrrrrrrr", (0.0,) * 8, mark=mark, small=True))
    reasons = one.get("undefined") or {}
    if reasons:
        lines = tuple(said(code(name), ": ", Value(text(reason), mark)) for name, reason in list(reasons.items())[:10])
        blocks.append(Points(lines))
    return Part(f"By {text(one.get('column')) or 'a column without a name'}", tuple(blocks))


def _whose(one: Mapping[str, Any], name: str) -> Line:
    whose = one.get(f"{name}_group")
    return () if whose is None else said(", of ", Value(text(whose)))


def _four_fifths(one: Mapping[str, Any]) -> Line:
    if not isinstance(one.get("air"), (int, float)):
        return ()
    return said(
        "  ", Badge("above four fifths", Tone.GOOD) if one["air"] >= 0.8 else Badge("below four fifths", Tone.BAD)
    )


def _chance(of: Any) -> str:
    if not isinstance(of, (int, float)):
        return "–"
    return "< 0.0001" if of < 0.0001 else f"{of:.4f}"
