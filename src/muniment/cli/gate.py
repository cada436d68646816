"""``muni gate``: what must hold of a model version before it is submitted or approved."""

from __future__ import annotations

import click
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.errors import Conflict
from muniment.sdk.shown import brief, measure, visible
from muniment.wire import oversight as wire

USE_CASE = click.option("--use-case", metavar="NAME", help="Of this use case; else of the whole project.")
STAGE = click.Choice(["submit", "approve"])
GRADE = click.Choice(["proven", "attested", "declared"])

_SHOWN = 50
"""So many characters of a value fit in a line of the list."""

_SIGNS = {"yes": ("✓", "+", "green"), "no": ("✗", "x", "red"), "unknown": ("?", "?", "yellow")}


@click.group(cls=Group)
def gate() -> None:
    """Gates: expressions over recorded facts, fixed before the measurement that they judge."""


@gate.command("set", epilog="Example: muni gate set quality 'metric.auc >= 0.75 and fairness.air >= 0.8'")
@click.argument("name")
@click.argument("expression")
@USE_CASE
@click.option("--stage", type=STAGE, default="approve", show_default=True, help="What it stands before.")
@click.option(
    "--min-grade",
    type=GRADE,
    default="proven",
    show_default=True,
    help="The least grade of measurements that it takes.",
)
@click.option("--reason", default="", help="Why it says this.")
@click.option("--risk", default="", metavar="TEXT", help="The risk of the register that it is set against.")
@with_face
def set_(
    face: Face,
    name: str,
    expression: str,
    use_case: str | None,
    stage: str,
    min_grade: str,
    reason: str,
    risk: str,
) -> None:
    """Fix a gate, or its next version; only what is measured afterwards counts for it."""
    found = face.client.gates.set(
        name, expression, stage=stage, use_case=use_case, min_grade=min_grade, reason=reason, risk=risk
    )

    def draw(screen: Screen) -> None:
        screen.done(f"{found.name}@{found.version} is fixed: {found.expression}")
        screen.line("  what was measured before does not count: evaluate again", style="dim")

    face.answer(found, draw)


@gate.command()
@click.argument("name")
@USE_CASE
@click.option("--reason", required=True, help="Why it judges no more.")
@with_face
def withdraw(face: Face, name: str, use_case: str | None, reason: str) -> None:
    """Let a gate judge no more; every version of it stays in the record."""
    found = face.client.gates.withdraw(name, reason, use_case=use_case)
    face.answer(found, lambda screen: screen.done(f"{found.name} judges no more"))


@gate.command()
@USE_CASE
@click.option("--history", is_flag=True, help="Every version, withdrawn ones too.")
@with_face
def show(face: Face, use_case: str | None, history: bool) -> None:
    """Show the gates in force; those that are always on stand first."""
    found = face.client.gates.list(use_case, history=history)

    def draw(screen: Screen) -> None:
        rows = [[name, "", "every", "", expression, "", ""] for name, expression in found.always.items()]
        rows += [
            [
                g.name,
                f"{g.version}{' withdrawn' if g.withdrawn else ''}",
                g.stage,
                g.use_case or "project",
                g.expression,
                g.fixed_at[:16],
                g.fixed_by,
            ]
            for g in found.gates
        ]
        columns = ["gate", "version", "stage", "of", "expression", "fixed", "by"]
        screen.table(columns, rows, wrap=["expression"], spare=["by", "fixed"])

    face.answer(found, draw)


@gate.command()
@click.argument("model", type=MODEL)
@click.option("--stage", type=STAGE, help="Only the gates of this stage.")
@with_face
def check(face: Face, model: str, stage: str | None) -> None:
    """Say whether a version passes its gates now, part by part; exit code 1 when one is closed."""
    answer = face.client.gates.check(model, stage=stage)
    reply = answer.reply
    if not face.json:
        for result in reply.gates:
            _draw(face.screen, result)
    if not answer.open:
        raise Conflict(
            "MUNI-A361",
            f"closed for {reply.model}: {', '.join(answer.closed)}",
            model=reply.model,
            digest=reply.digest,
            closed=answer.closed,
            because=[f"{result.name}: {result.why}" for result in reply.gates if not result.open],
            do="muni gate facts MODEL shows what is known of it",
            **({"gates": [_plain(result) for result in reply.gates]} if face.json else {}),
        )
    face.answer(reply, lambda screen: screen.done(f"every gate is open for {reply.model}"))


@gate.command()
@click.argument("model", type=MODEL)
@with_face
def risks(face: Face, model: str) -> None:
    """Show the risk register of a version: a risk without a passing test is red; exit code 0 either way."""
    results = [result for result in face.client.gates.check(model).reply.gates if result.risk]
    red = {result.risk for result in results if not result.open}

    def draw(screen: Screen) -> None:
        rows = [
            [result.risk, _light(result.risk in red), result.name, result.expression, result.why] for result in results
        ]
        empty = "no gate is set against a risk; muni gate set NAME EXPRESSION --risk TEXT"
        screen.table(["risk", "is", "gate", "test", "found"], rows, empty=empty, wrap=["risk", "test", "found"])

    document = [
        {"risk": r.risk, "red": r.risk in red, "gate": r.name, "test": r.expression, "why": r.why} for r in results
    ]
    face.answer({"model": model, "risks": document}, draw)


@gate.command()
@click.argument("model", type=MODEL)
@click.option("--at", metavar="MOMENT", help="As far as it was known then, in ISO 8601.")
@with_face
def facts(face: Face, model: str, at: str | None) -> None:
    """Show what is known of a version by the names that gates ask for, with grade and origin."""
    found = face.client.gates.facts(model, at=at)

    def draw(screen: Screen) -> None:
        rows = [[f.name, brief(_value(f.value), _SHOWN), f.grade, f.text] for f in found.facts]
        screen.table(["fact", "value", "grade", "where from"], rows, wrap=["where from"])
        if found.absent:
            screen.line()
            screen.facts("not known", found.absent)

    face.answer(found, draw)


def _draw(screen: Screen, result: wire.GateResult) -> None:
    """One gate, with a tick, a cross or a question mark before each part."""
    of = f" of {result.use_case}" if result.use_case else ""
    version = f"@{result.version}" if result.version else ""
    said = f"{result.name}{version}{of}  {'open' if result.open else 'closed'}"
    screen.console.print(Text(visible(said), style="bold" if result.open else "bold red"), soft_wrap=True)
    for part in result.parts:
        sign, plain, colour = _SIGNS[part.outcome]
        head = (f"  {screen.mark(sign, plain)} ", colour)
        found = "; ".join(f"{f.name} = {_value(f.value)} ({f.grade}, {f.record[:24]})" for f in part.found)
        why = part.why if part.outcome != "yes" or not found else ""
        said = "  ".join(filter(None, (part.text, found, why)))
        screen.console.print(Text.assemble(head, visible(said)), soft_wrap=True)


def _light(red: bool) -> Text:
    return Text("red", style="bold red") if red else Text("green", style="green")


def _value(value: object) -> str:
    if isinstance(value, float):
        return measure(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(str, value[:4])) + (f" and {len(value) - 4} more" if len(value) > 4 else "")
    return str(value)


def _plain(result: wire.GateResult) -> dict[str, object]:
    parts = [{"text": part.text, "outcome": part.outcome, "why": part.why} for part in result.parts]
    return {"name": result.name, "version": result.version, "open": result.open, "parts": parts}
