"""``muni risk``: what can go wrong with a version or a use, each tied to the test that shows it is held down."""

from __future__ import annotations

import click
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.errors import NotFound
from muniment.wire import assurance as wire

_LEVELS = {"likelihood": ["rare", "possible", "likely"], "severity": ["minor", "serious", "severe"]}
_GRADES = click.Choice(["proven", "attested", "declared"])


@click.group(cls=Group)
def risk() -> None:
    """The risk register: a risk whose test does not pass, or cannot be judged, is red."""


@risk.command(epilog="Example: muni risk add bias 'fairness.air >= 0.8' --use-case cards --owner ana --harm '...'")
@click.argument("name")
@click.argument("test")
@click.option("--model", type=MODEL, help="The version that it is about.")
@click.option("--use-case", metavar="NAME", help="The use case whose versions all have it; this or --model.")
@click.option("--description", metavar="TEXT", required=True, help="What can go wrong.")
@click.option("--harm", metavar="TEXT", required=True, help="Who is harmed by it, and how.")
@click.option("--owner", metavar="NAME", required=True, help="Who answers for it.")
@click.option(
    "--likelihood", type=click.Choice(_LEVELS["likelihood"]), default="possible", show_default=True, help="How likely."
)
@click.option(
    "--severity", type=click.Choice(_LEVELS["severity"]), default="serious", show_default=True, help="How grave."
)
@click.option("--mitigation", metavar="TEXT", default="", help="What is done against it.")
@click.option(
    "--min-grade", type=_GRADES, default="proven", show_default=True, help="The least grade of what the test takes."
)
@with_face
def add(face: Face, name: str, test: str, **given: str) -> None:
    """Register a risk with its TEST, an expression over facts; only what is measured afterwards counts."""
    made = face.client.risks.add(name, test, **given)
    said = f"{made.name} ({made.risk}) of {made.about}, tied to: {made.test}"
    face.answer(made, lambda screen: screen.done(said))


@risk.command("list")
@click.argument("model", type=MODEL, required=False)
@click.option("--use-case", metavar="NAME", help="Only those of this use case.")
@click.option("--retired", is_flag=True, help="Also those that were retired.")
@with_face
def list_(face: Face, model: str | None, use_case: str | None, retired: bool) -> None:
    """List risks with their tests; for a MODEL also which of them are red."""
    found = face.client.risks.list(model, use_case=use_case, retired=retired)
    red = len(found.red) if model is not None else None

    def draw(screen: Screen) -> None:
        rows = [[_light(one), one.name, one.about, one.severity, one.owner, one.test, one.why] for one in found]
        columns = ["", "risk", "of", "severity", "owner", "test", "found"]
        empty = "no risk is registered: muni risk add --help"
        screen.table(columns, rows, empty=empty, wrap=["test", "found"], spare=["owner", "of"])

    face.answer(wire.Risks(risks=list(found), red=red), draw)


@risk.command()
@click.argument("risk")
@click.option("--model", type=MODEL, help="Also say what its test comes to for this version.")
@with_face
def show(face: Face, risk: str, model: str | None) -> None:
    """Show one risk, with a model also each part of its test and what was found."""
    found = face.client.risks.list(model, risk=risk, retired=True)
    if not found:
        raise NotFound("MUNI-A260", "this version does not have that risk", risk=risk[:80], model=model)
    one = found[0]

    def draw(screen: Screen) -> None:
        screen.facts(
            f"{one.risk}  {one.name}",
            {
                "of": one.about,
                "description": one.description,
                "harm": one.harm,
                "likelihood": one.likelihood,
                "severity": one.severity,
                "mitigation": one.mitigation,
                "owner": one.owner,
                "test": f"{one.test} ({one.min_grade})",
                "fixed": f"{one.added_at[:19]} by {one.added_by}",
                "is": _light(one),
                "because": one.retired or one.why,
                "record": one.record,
            },
        )
        if one.parts:
            screen.line()
            screen.table(["test", "answer", "found"], [[p.text, p.outcome, p.why] for p in one.parts], wrap=["found"])

    face.answer(one, draw)


@risk.command()
@click.argument("risk")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is looked after no more.")
@with_face
def retire(face: Face, risk: str, reason: str) -> None:
    """Let a risk be looked after no more; never by who had a part in the model."""
    ended = face.client.risks.retire(risk, reason)
    face.answer(ended, lambda screen: screen.done(f"{ended.name} is retired"))


def _light(one: wire.RiskView) -> Text:
    if one.retired is not None:
        return Text("retired", style="dim")
    if one.red is None:
        return Text("")
    return Text("red", style="bold red") if one.red else Text("green", style="green")
