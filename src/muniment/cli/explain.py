"""``muni explain``: what each feature contributes to the output of a model."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.text import Text

from muniment.cli.bars import bar
from muniment.cli.data import DETACH
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import DATA, MODEL
from muniment.cli.screen import Screen
from muniment.errors import NotFound
from muniment.sdk.explanations import Explanation, explanation_of, rank_of, sparkline
from muniment.sdk.shown import brief
from muniment.wire import validation as wire

_SHOWN: Final = 15
_WIDTH: Final = 24
_LEVEL: Final = 14
"""Characters of a level's name that fit."""
_CLEAR: Final = 0.3
"""Below this rank correlation a feature has no one direction."""


@click.command(
    cls=Command,
    epilog="Example: muni explain credit-xgboost --data credit/test\n"
    "Without --data the newest explanation on record is shown, and nothing runs.",
)
@click.argument("model", type=MODEL)
@click.option("--data", type=DATA, metavar="REF", help="The snapshot whose rows are explained.")
@click.option(
    "--background", type=DATA, metavar="REF", help="Linear models: the rows that averages are over; else the same rows."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of every sample.")
@click.option("--rows", type=click.IntRange(1), metavar="N", help="Explain at most so many rows, sampled; else 50,000.")
@click.option("--top", type=click.IntRange(1, 30), metavar="N", help="Features with curves and points; else 12.")
@click.option("--all", "everything", is_flag=True, help="Show every feature.")
@DETACH
@with_face
def explain(
    face: Face,
    model: str,
    data: str | None,
    background: str | None,
    seed: int,
    rows: int | None,
    top: int | None,
    everything: bool,
    detach: bool,
) -> None:
    """Say what each feature contributes to the output of MODEL, exactly and hermetically.

    Contributions add up, row by row, to what the model says, or the job fails. The library's own importance stands
    beside them, with how far the two rank the features alike.
    """
    client = face.client
    if data is None:
        _newest(face, model, everything=everything)
        return
    request = wire.ExplainModel(
        project=client.project, model=model, data=data, background=background, seed=seed, rows=rows, top=top
    )
    run = client.jobs.explain(request)
    if detach:
        face.started(run)
        return
    face.wait(run)
    found = explanation_of(run.detail.inputs.get("model", model), run)
    face.answer(run.detail, lambda screen: picture(screen, found, everything=everything))


def _newest(face: Face, model: str, *, everything: bool) -> None:
    request = wire.ListExplanations(project=face.client.project, model=model, limit=1)
    found = face.client.ask("validation:ListExplanations", request, wire.Explanations).explanations
    if not found:
        raise NotFound(
            "MUNI-A215",
            f"{model[:80]} was never explained",
            model=model[:200],
            do="name the rows to explain it on: muni explain MODEL --data REF",
        )
    face.answer(found[0], lambda screen: picture(screen, Explanation(model, found[0]), everything=everything))


def picture(screen: Screen, found: Explanation, *, everything: bool = False) -> None:
    """An explanation for people: what was done, then the features, those that contribute most first."""
    known = found.facts()
    screen.facts(f"what {found.model} rests on", {**known, "run": found.run, "grade": found.reply.grade})
    screen.line()
    features, native = found.features, list(found.report.get("importances", []))
    shown = features if everything else features[:_SHOWN]
    most = max((one["share"] for one in features), default=0.0) or 1.0
    ranks = {kind: rank_of(features, kind) for kind in native}
    signs = screen.mark("▲▼◆▁█", "") != ""
    rows: list[list[Any]] = []
    for one in shown:
        curve = found.curve(one["name"])
        rows.append(
            [
                one["name"],
                bar(screen, one["share"] / most, _WIDTH),
                _direction(one["direction"], signs=signs),
                _along(curve, ordered=one["direction"] is not None) if signs else "",
                *(f"#{ranks[kind][one['name']]}" for kind in native),
                f"{one['share']:.1%}",
            ]
        )
    columns = ["feature", "contribution", "higher values", "along its values", *(f"by {kind}" for kind in native)]
    ranked = [f"by {kind}" for kind in reversed(native)]
    spare = [*ranked[:-1], "along its values", *ranked[-1:], "higher values"]
    screen.table([*columns, "share"], rows, right=1 + len(native), spare=spare)
    if len(features) > len(shown):
        rest = sum(one["share"] for one in features[len(shown) :])
        screen.line(f"and {len(features) - len(shown)} more with {rest:.1%} together: --all", style="dim")
    _agreement(screen, found)


def _along(curve: list[tuple[Any, float, int]], *, ordered: bool) -> Text:
    """The mean contribution from low to high values, or the levels that raise and lower the output most."""
    if ordered or not curve:
        return Text(sparkline([mean for _, mean, _ in curve]), style="magenta")
    highest, lowest = max(curve, key=lambda step: step[1]), min(curve, key=lambda step: step[1])
    return Text.assemble(
        ("▲ ", "red"), brief(highest[0], _LEVEL), "  ", ("▼ ", "green"), brief(lowest[0], _LEVEL), style="dim"
    )


def _direction(value: float | None, *, signs: bool) -> Text:
    """Which way higher values push: red raises the chance of the positive class, green lowers it."""
    if value is None:
        return Text("by level", style="dim")
    if abs(value) < _CLEAR:
        return Text(f"{'◆ ' if signs else ''}both ways", style="yellow")
    mark = ("▲ " if value > 0 else "▼ ") if signs else ""
    sure = "" if abs(value) >= 0.7 else " mostly"
    return Text(f"{mark}{'raise' if value > 0 else 'lower'} it{sure}", style="red" if value > 0 else "green")


def _agreement(screen: Screen, found: Explanation) -> None:
    """How alike the ways of ranking are, and what that means."""
    agreement = {name: value for name, value in found.agreement.items() if name.endswith("_vs_contribution")}
    if not agreement:
        return
    screen.line()
    words = {
        f"by {name.removesuffix('_vs_contribution')}": "–" if value is None else f"{value:+.2f}  {_alike(value)}"
        for name, value in agreement.items()
    }
    screen.facts("agreement with the ranking by contribution (Kendall's tau)", words)


def _alike(value: float) -> str:
    if value >= 0.8:
        return "much the same order"
    return "a similar order" if value >= 0.5 else "another order: read it with care"
