"""``muni data bias`` and ``exclude``: how data treat groups of people, and what was left out and why."""

from __future__ import annotations

from typing import Any

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA
from muniment.cli.screen import Screen
from muniment.sdk.runs import Run
from muniment.sdk.shown import count
from muniment.wire import stewardship as ws

__all__ = ["bias", "exclude"]

_SHOWN = 12


@click.command(cls=Command, epilog="Example: muni data bias credit --facet sex --disfavoured female --favourable 1")
@click.argument("dataset", type=DATA)
@click.option("--facet", metavar="COLUMN", help="Whose groups are compared; without it the newest review is shown.")
@click.option("--disfavoured", multiple=True, metavar="VALUE", help="A value of the group that may fare worse.")
@click.option("--at-most", type=float, metavar="NUMBER", help="For a number: that group has at most this value.")
@click.option("--label", metavar="COLUMN", help="The outcome; else the target.")
@click.option("--favourable", metavar="VALUE", help="The outcome that is good for a person.")
@click.option("--strata", metavar="COLUMN", help="Compare within the values of this column too (CDDL).")
@click.option(
    "--reference",
    "--against",
    metavar="DATASET",
    type=DATA,
    help="A snapshot of the population that it should look like.",
)
@click.option(
    "--default-value", "defaults", multiple=True, metavar="TEXT", help="Stands for no measurement, such as ?."
)
@with_face
def bias(
    face: Face,
    dataset: str,
    facet: str | None,
    disfavoured: tuple[str, ...],
    at_most: float | None,
    label: str | None,
    favourable: str | None,
    strata: str | None,
    reference: str | None,
    defaults: tuple[str, ...],
) -> None:
    """Review DATASET for bias, hermetically: sampling, exclusion, stereotype and measurement."""
    if facet is not None:
        run = face.client.stewardship.assess_bias(
            dataset,
            facet=facet,
            disfavoured=list(disfavoured),
            at_most=at_most,
            label=label,
            favourable=favourable,
            strata=strata,
            reference=reference,
            default_values=list(defaults),
        )
        face.wait(Run(face.client, run))
    found = face.client.stewardship.bias(dataset)
    face.answer(found, lambda screen: picture(screen, found))


@click.command(cls=Command, epilog='Example: muni data exclude credit --column sex --reason "law" --expert "A. Jurist"')
@click.argument("dataset", type=DATA)
@click.option("--column", metavar="NAME", help="The column that is left out.")
@click.option("--rows", metavar="TEXT", help="The rows that are left out, in words.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--expert", required=True, metavar="NAME", help="Who answers for it.")
@with_face
def exclude(face: Face, dataset: str, column: str | None, rows: str | None, reason: str, expert: str) -> None:
    """State why a column or some rows of DATASET are left out, and which expert says so."""
    made = face.client.stewardship.exclude(dataset, column=column, rows=rows, reason=reason, expert=expert)
    face.answer(
        made, lambda screen: screen.done(f"{made.dataset}: without {made.column or made.rows}, by {made.expert}")
    )


def picture(screen: Screen, found: ws.BiasView) -> None:
    """A review for people."""
    report: dict[str, Any] = found.report
    stereotype, rows = report["stereotype"], report["rows"]
    screen.facts(
        f"{found.dataset}  {report['verdict']}",
        {
            "facet": report["facet"],
            "rows": f"{count(rows['favoured'])} favoured, {count(rows['disfavoured'])} disfavoured",
            "class imbalance": _number(report["sampling"]["class_imbalance"]),
            "difference in proportions of labels": _number(stereotype["difference_in_proportions_of_labels"]),
            "conditional demographic disparity": _number(stereotype["conditional_demographic_disparity"]),
            **{f"{name}": verdict for name, verdict in report["dimensions"].items()},
            "run": found.run,
            "reviewed": f"{found.reviewed_at[:16]} by {found.by}",
        },
    )
    shares = report["sampling"]["against_reference"]
    if not shares and report["dimensions"].get("sampling") == "unknown":
        screen.line("  sampling is unknown without a population to compare with: --reference DATASET", style="dim")
    if shares:
        screen.line()
        screen.table(
            ["group", "share", "reference", "difference"],
            [[s["group"], *(_number(s[k]) for k in ("share", "reference_share", "difference"))] for s in shares],
            right=3,
        )
    screen.line()
    proxies = [[p["feature"], "proxy" if p["proxy"] else "", _number(p["auc"])] for p in stereotype["proxies"][:_SHOWN]]
    screen.table(["feature tells the groups apart", "", "auc"], proxies, right=1, empty="no feature")
    gaps = [m for m in report["measurement"] if m["difference"]][:_SHOWN]
    if gaps:
        screen.line()
        names = ("missing_favoured", "missing_disfavoured", "default_favoured", "default_disfavoured", "difference")
        screen.table(
            ["measured", "missing a", "missing d", "default a", "default d", "difference"],
            [[m["feature"], *(_number(m[name]) for name in names)] for m in gaps],
            right=5,
        )
    screen.line()
    screen.table(
        ["left out", "reason", "expert"],
        [[e["column"] or e["rows"], e["reason"], e["expert"]] for e in report["exclusion"]],
        empty="nothing is stated to be left out",
        wrap=["reason"],
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
