"""``muni report``: what the records answer a supervisor about a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.text import Text

from muniment.cli.catalogue import CATALOGUE
from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.model import save
from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.sdk.catalogues import Report
from muniment.sdk.report_page import CONFIDENCE, DISCLAIMER, STATUSES, missing, totals
from muniment.sdk.shown import count, short, size, visible
from muniment.wire import catalogues as wire

_COLOURS: Final = {"answered": "green", "partly": "yellow", "unanswered": "red", "open": "dim"}
_BLOCKS: Final = {"answered": "█", "partly": "▓", "unanswered": "▒", "open": "░"}
_PLAIN: Final = {"answered": "#", "partly": "+", "unanswered": "-", "open": "."}
_WIDTH: Final = 24
_RECORDS: Final = 3
"""So many records of an answer are named on the screen; --json and -o name all."""

_FORMS: Final[Mapping[str, Callable[[Report], str]]] = {
    ".html": Report.to_html,
    ".json": lambda report: json.dumps(msgspec.to_builtins(report.detail), indent=2) + "\n",
    ".md": Report.to_markdown,
}


@click.command(
    cls=Command,
    epilog="Examples: muni report credit-pd --catalogue sr-26-2   muni report credit-pd --all -o report.html",
)
@click.argument("model", type=MODEL)
@click.option(
    "--catalogue",
    "name",
    type=CATALOGUE,
    metavar="ID",
    help="By this catalogue, an id or id@version; see muni catalogue list.",
)
@click.option("--all", "every", is_flag=True, help="By every catalogue in force, in short; without --catalogue too.")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write it whole: FILE.html, FILE.md or FILE.json."
)
@with_face
def report(face: Face, model: str, name: str | None, every: bool, output: str | None) -> None:
    """Answer a control catalogue about MODEL: what records answer, answer partly, or do not answer.

    Every answer names the records it rests on and deserves the weakest of their grades. Not legal advice.
    """
    if name is not None and every:
        raise click.UsageError("give either --catalogue or --all")
    form = None if output is None else _form(Path(output))
    found = face.client.models.get(model).report(name)
    detail = found.detail
    if output is not None and form is not None:
        target = Path(output)
        written = save([form(found).encode()], target)
        document = {"model": detail.model, "file": str(target), "size": written, "counts": found.counts}
        face.answer(document, lambda screen: screen.done(f"{detail.model} -> {target} ({size(written)})"))
        return

    def draw(screen: Screen) -> None:
        _head(screen, detail)
        if name is None:
            _summary(screen, detail)
        else:
            _whole(screen, detail.reports[0])
        screen.line()
        screen.line(DISCLAIMER, style="dim")

    face.answer(detail, draw)


def _form(target: Path) -> Callable[[Report], str]:
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        raise Invalid(
            "MUNI-A161",
            f"a report is written as {', '.join(_FORMS)}, not as {target.suffix or 'a file without an ending'!r}",
            file=str(target),
            do="end the name with one of them",
        )
    return form


def _head(screen: Screen, detail: wire.ModelReport) -> None:
    where = ", ".join(f"{name} {value}" for name, value in detail.known.items())
    checkpoint = f"{count(detail.checkpoint.size)} ledger entries, root {short(detail.checkpoint.root)}"
    screen.facts(detail.model, {"digest": detail.digest, "stands": where, "checkpoint": checkpoint})
    screen.line()


def _summary(screen: Screen, detail: wire.ModelReport) -> None:
    counted = {one.summary.catalogue: one.counts for one in detail.reports}
    counted["together"] = totals(detail)
    rows = [[name, _bar(screen, counts), *(counts[status] for status in STATUSES)] for name, counts in counted.items()]
    screen.table(["catalogue", "", *STATUSES], rows, right=len(STATUSES))
    screen.line()
    screen.line("one of them in full: --catalogue ID; all of them as a page: -o FILE.html", style="dim")


def _whole(screen: Screen, one: wire.CatalogueReport) -> None:
    summary = one.summary
    screen.facts(
        summary.title,
        {
            "catalogue": f"{summary.catalogue}, applies from {summary.effective_from} ({summary.origin})",
            "superseded by": summary.superseded_by,
            "status": one.status,
        },
    )
    screen.line()
    told = Text("  ").join(Text(f"{one.counts[s]} {s}", style=_COLOURS[s]) for s in STATUSES)
    screen.console.print(Text("  ").join([_bar(screen, one.counts), told]))
    for status in STATUSES:
        answers = [answer for answer in one.answers if answer.status == status]
        if answers:
            screen.line()
            screen.line(status, style=f"bold {_COLOURS[status]}")
            _group(screen, status, answers)
    unsure = sorted({answer.item.confidence for answer in one.answers} - {"checked"})
    if unsure:
        screen.line()
        screen.line("; ".join(f"* {CONFIDENCE[flag]}" for flag in unsure), style="dim")


def _group(screen: Screen, status: str, answers: list[wire.ItemAnswer]) -> None:
    """The items of one status, with what is worth knowing of them."""

    def named(answer: wire.ItemAnswer) -> str:
        return answer.item.reference + ("" if answer.item.confidence == "checked" else " *")

    if status == "open":
        rows = [[named(a), a.item.title, Text(visible(a.item.open))] for a in answers]
        screen.table(["reference", "asks for", "because"], rows, wrap=["asks for", "because"])
    elif status == "answered":
        rows = [[named(a), a.item.title, Text(visible(" ".join(_records(a)))), a.grade or ""] for a in answers]
        screen.table(["reference", "asks for", "records", "grade"], rows, wrap=["asks for", "records"])
    else:
        for at, a in enumerate(answers):
            if at:
                screen.line()
            shown = {"missing": tuple(missing(a)), "records": "  ".join(_records(a)), "grade": a.grade}
            screen.facts(f"{named(a)}: {a.item.title}", shown)


def _records(answer: wire.ItemAnswer) -> list[str]:
    named = list(dict.fromkeys(short(fact.record) for fact in answer.facts))
    return named[:_RECORDS] + ([f"+{len(named) - _RECORDS}"] if len(named) > _RECORDS else [])


def _bar(screen: Screen, counts: Mapping[str, int]) -> Text:
    """One bar in the colours of the statuses; each that occurs has at least one character."""
    whole = sum(counts[status] for status in STATUSES)
    blocks = _BLOCKS if screen.mark("█▓▒░", "") else _PLAIN
    widths = {status: max(1, round(_WIDTH * counts[status] / whole)) if counts[status] else 0 for status in STATUSES}
    widest = max(widths, key=widths.__getitem__)
    widths[widest] += _WIDTH - sum(widths.values())
    return Text.assemble(*((blocks[status] * widths[status], _COLOURS[status]) for status in STATUSES))
