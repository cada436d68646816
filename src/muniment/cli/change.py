"""``muni change``: what differs between two versions, which class of change that is, and who decided it."""

from __future__ import annotations

import click

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.sdk.oversight import VersionChange
from muniment.sdk.shown import brief, measure

CLASSES = click.Choice(["material", "notify before", "notify after", "minor"])


@click.group(cls=Group)
def change() -> None:
    """Changes between versions: data, features, code, parameters, environment, performance, explanation."""


@change.command()
@click.argument("base", type=MODEL)
@click.argument("model", type=MODEL)
@with_face
def show(face: Face, base: str, model: str) -> None:
    """Show what differs between BASE and the later MODEL, the proposed class, and what was decided."""
    found = face.client.changes.compare(base, model)
    face.answer(found.reply, lambda screen: _draw(screen, found))


@change.command()
@click.argument("base", type=MODEL)
@click.argument("model", type=MODEL)
@click.option("--class", "class_", type=CLASSES, required=True, help="The class of the change.")
@click.option("--reason", default="", help="Why; needed where it is not the proposed class.")
@with_face
def decide(face: Face, base: str, model: str, class_: str, reason: str) -> None:
    """Decide the class of the change from BASE to MODEL."""
    found = face.client.changes.decide(base, model, class_, reason)
    face.answer(found.reply, lambda screen: screen.done(f"{found.reply.base} -> {found.reply.model}: {class_}"))


def _draw(screen: Screen, found: VersionChange) -> None:
    r = found.reply
    rows = [
        [d.section, d.name, _value(d.before), _value(d.after), "" if d.size is None else f"{d.size:+.4g}"]
        for d in r.differences
    ]
    screen.table(["section", "what", "before", "after", "size"], rows, right=1, empty="nothing differs")
    screen.line()
    screen.facts(
        f"{r.base} -> {r.model}",
        {
            "proposed": f"{r.proposed_class} by {r.rules}",
            "because": tuple(f"{reason.change_class}: {reason.because}" for reason in r.reasons),
            "not compared": tuple(r.not_compared),
            "decided": f"{r.decided_class} by {r.decided_by}, {(r.decided_at or '')[:16]}" if r.decided_class else None,
            "otherwise than proposed": r.decision if r.deviates else None,
            "reason": None if r.deviates else r.decision,
        },
    )


def _value(value: object) -> str:
    return measure(value) if isinstance(value, float) else ("" if value is None else brief(value, 60))
