"""``muni model``: what was trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.text import Text

from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.promotion import PROMOTION
from muniment.cli.prove import compare
from muniment.cli.screen import Screen
from muniment.cli.steps import STEPS
from muniment.errors import Conflict
from muniment.sdk.shown import brief, headline, measure, size
from muniment.wire import inventory as wire

_STATES = ("draft", "submitted", "in_validation", "approved", "retired", "rejected")
_SHOWN = 3
"""So many metrics fit on a line of the list."""


@click.group(cls=Group)
def model() -> None:
    """Models: model:NAME@VERSION; without a version the latest is taken."""


for _step in (compare, *STEPS, *PROMOTION):
    model.add_command(_step)


@model.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only registered versions in this state.")
@click.option("--tier", type=click.IntRange(1, 4), help="Only registered versions of this tier.")
@click.option("--use-case", metavar="NAME", help="Only registered versions under this use case.")
@click.option("--owner", metavar="NAME", help="Only registered versions that this person answers for.")
@click.option("--registered", is_flag=True, help="Only registered versions.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(
    face: Face,
    state: str | None,
    tier: int | None,
    use_case: str | None,
    owner: str | None,
    registered: bool,
    limit: int,
) -> None:
    """List the models of the project, newest first, or with a filter the registered versions that fit it."""
    wanted = {"state": state, "tier": tier, "use_case": use_case, "owner": owner}
    if registered or any(value is not None for value in wanted.values()):
        _registered(face, face.client.inventory.list(limit=limit, **wanted))
        return
    found = face.client.models.list(limit)

    def draw(screen: Screen) -> None:
        names = list(headline({name: 0.0 for m in found for name in m.metrics}, _SHOWN))
        rows = [
            [
                m.model,
                m.algorithm,
                state_of(m.state, emergency=m.emergency, expired=m.expired),
                m.tier,
                m.grade,
                m.created_at[:16],
                *(measure(m.metrics[name]) if name in m.metrics else "" for name in names),
            ]
            for m in found
        ]
        columns = ["model", "algorithm", "state", "tier", "grade", "made", *names]
        empty = "no model yet; train one: muni train --help"
        screen.table(columns, rows, right=len(names), empty=empty, spare=["made", "algorithm", *reversed(names)])

    face.answer(wire.Models(models=list(found)), draw)


def state_of(state: str | None, *, emergency: bool, expired: bool) -> Text:
    """A state for people: an emergency is red wherever it is shown."""
    if emergency:
        return Text("EMERGENCY", style="bold red")
    return Text("expired", style="yellow") if expired else Text(state or "")


def _registered(face: Face, found: Sequence[wire.VersionSummary]) -> None:
    rows = [
        [
            v.model,
            state_of(v.state, emergency=v.emergency, expired=v.expired),
            v.tier,
            v.use_case,
            v.owner,
            v.origin,
            (v.expires or "")[:10],
            v.next_review,
            v.findings_open or "",
        ]
        for v in found
    ]
    columns = ["model", "state", "tier", "use case", "owner", "origin", "expires", "next review", "findings"]
    spare = ["origin", "next review", "expires", "owner"]
    document = wire.Versions(versions=list(found))
    face.answer(document, lambda screen: screen.table(columns, rows, empty="no such version", spare=spare))


@model.command()
@click.argument("model", type=MODEL)
@with_face
def show(face: Face, model: str) -> None:
    """Show everything recorded about a model: files, evaluations, origin, grade."""
    d = face.client.models.get(model).detail

    def draw(screen: Screen) -> None:
        screen.facts(
            d.model,
            {
                "algorithm": d.algorithm,
                "digest": d.digest,
                "trained on": ", ".join(d.trained_on),
                "run": d.run,
                "made": f"{d.created_at[:19]} by {d.created_by}",
                "grade": d.grade,
                "state": d.state and state_of(d.state, emergency=d.emergency, expired=d.expired),
                "tier": d.tier,
                "use case": d.use_case,
            },
        )
        screen.line()
        screen.table(["file", "digest", "size"], [[f.path, f.digest, size(f.size)] for f in d.files], right=1)
        for e in d.evaluations:
            screen.line()
            metrics = {name: measure(value) for name, value in e.metrics.items()}
            screen.facts(f"on {e.data}", {**metrics, "run": e.run, "at": e.created_at[:19]})
        if d.facts:
            screen.line()
            screen.facts("facts", {name: brief(value, 300) for name, value in d.facts.items()})

    face.answer(d, draw)


@model.command()
@click.argument("model", type=MODEL)
@click.option("-o", "--output", type=click.Path(), required=True, metavar="FILE", help="Where the tar is written.")
@with_face
def fetch(face: Face, model: str, output: str) -> None:
    """Fetch the files of a model as a tar; nothing in it is executed on the way."""
    found = face.client.models.get(model)
    target = Path(output)
    written = save(found.fetch(), target)
    document = {"model": found.reference, "digest": found.digest, "file": str(target), "size": written}
    face.answer(document, lambda screen: screen.done(f"{found.reference} -> {target} ({size(written)})"))


def save(chunks: Iterable[bytes], target: Path) -> int:
    """Write what comes to a new file, whole or not at all; gives its size in bytes.

    Raises:
        Conflict: there is such a file already.
    """
    if target.exists():
        raise Conflict(
            "MUNI-A311", f"{str(target)!r} exists already", file=str(target), do="choose another name with -o"
        )
    part = target.with_name(target.name + ".part")
    written = 0
    try:
        with part.open("xb") as out:
            for chunk in chunks:
                written += out.write(chunk)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return written
