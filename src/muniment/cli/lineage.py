"""``muni lineage`` and ``muni trace``: where a thing comes from, what was made of it, and the way back as a story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from muniment.cli.face import Command, Face, with_face
from muniment.cli.knowing import ANYTHING
from muniment.cli.screen import Screen
from muniment.errors import Conflict, Invalid, Unavailable
from muniment.sdk.lineage import Lineage, Trace, exported, lineage_of, origin_of, trace_of
from muniment.sdk.shown import short
from muniment.wire.catalog import Past

_OPEN: Final = ("prov", "openlineage", "in-toto", "ro-crate")
"""Formats that the platform writes for others."""


@click.command(
    cls=Command,
    epilog="Example: muni lineage model:creditcarddefault-xgboost --format openlineage --file events.ndjson",
)
@click.argument("reference", type=ANYTHING)
@click.option(
    "--direction",
    type=click.Choice(["upstream", "downstream", "both"]),
    help="Where it comes from (the default), what was made of it, or both.",
)
@click.option("--upstream", "side", flag_value="upstream", help="Where it comes from (the default).")
@click.option("--downstream", "side", flag_value="downstream", help="What was made of it.")
@click.option("--depth", type=click.IntRange(min=1), help="How many runs away to go at most.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "svg", *_OPEN]),
    default="table",
    show_default=True,
    help="A table, a picture, W3C PROV-JSON, OpenLineage events (one a line), an in-toto statement, or an RO-Crate.",
)
@click.option("--columns", is_flag=True, help="Which column rests on which, where a program of the platform tells.")
@click.option("--at", metavar="TIME", help="As recorded at a moment, on a day, or at a checkpoint of so many entries.")
@click.option(
    "-o", "--file", "--output", "output", type=click.Path(), metavar="FILE", help="Where it is written; else to stdout."
)
@with_face
def lineage(
    face: Face,
    reference: str,
    direction: str | None,
    side: str | None,
    depth: int | None,
    form: str,
    columns: bool,
    at: str | None,
    output: str | None,
) -> None:
    """Show where REFERENCE comes from, down to file, code and environment, or what was made of it.

    A grade stands at every link; the whole carries the weakest of them. With --at only what was recorded by then is
    told, and the answer names the checkpoint that covers it. An in-toto statement about a model that was made here is
    signed with the ledger's key (DSSE); about anything else it is a bare statement.
    """
    way = direction or side or "upstream"
    if form in _OPEN:
        _export(face, reference, form, way, depth, at, output)
        return
    drawn = form == "svg" or output is not None
    found = lineage_of(face.client, reference, direction=way, depth=depth, picture=drawn, columns=columns, at=at)
    if drawn:
        _picture(face, found, output)
    elif columns:
        face.answer(found.view, lambda screen: mapping(screen, found))
    else:
        face.answer(found.view, lambda screen: tree(screen, found))


@click.command(cls=Command, epilog="Example: muni trace model:creditcarddefault-xgboost@1")
@click.argument("reference", type=ANYTHING)
@click.option("--at", metavar="TIME", help="As recorded at a moment, on a day, or at a checkpoint of so many entries.")
@with_face
def trace(face: Face, reference: str, at: str | None) -> None:
    """Tell the whole way of REFERENCE back to its sources on one page: who, when, by which code, from where.

    Links that only somebody's word stands behind, emergency approvals with their reasons, and where the way goes on in
    another project are marked.
    """
    found = trace_of(face.client, reference, at=at)
    face.answer(found.view, lambda screen: page(screen, found))


def tree(screen: Screen, found: Lineage) -> None:
    """A lineage for people: a tree in reading order."""
    sides = ["upstream", "downstream"] if found.view.direction == "both" else [found.view.direction]
    told = found.rows()
    for side in sides:
        rows = [
            [
                "  " * row["level"] + _called(row["node"], row["kind"]) + (" (see above)" if row["again"] else ""),
                f"{row['relation'].replace('_', ' ')} {('as ' + row['role']) if row['role'] else ''}".strip(),
                row["by"],
                row["grade"],
            ]
            for row in told
            if row["side"] == side
        ]
        screen.table([side, "link", "by", "grade"], rows, spare=["by", "link"])
        screen.line()
    if found.view.truncated:
        screen.line("only the nearest part is shown; --depth limits it, -o FILE draws it", style="dim")
    where = found.view.elsewhere and f"recorded in project {found.view.elsewhere}, where it was promoted from"
    screen.facts("", {"grade of the whole": found.grade, "origin": where, **_then(found.view.past)})


def _called(node: str, kind: str) -> str:
    """A thing and what it is, where its name does not say it."""
    name = short(node)
    return name if node.startswith(f"{kind}:") or not node.startswith(("run:", "sha256:")) else f"{name} {kind}"


def mapping(screen: Screen, found: Lineage) -> None:
    """Which column rests on which."""
    rows = [
        [
            f"{short(row['source'])} . {row['source_column']}",
            f"{short(row['target'])} . {row['target_column']}",
            row["how"],
            row["grade"],
        ]
        for row in found.column_rows()
    ]
    empty = "no program of the platform tells which column rests on which here"
    screen.table(["column", "goes into", "how", "grade"], rows, empty=empty, spare=["how"], wrap=["goes into"])
    if found.view.hidden:
        screen.line(f"  the columns of {found.view.hidden} things are not shown: you may not see them", style="yellow")
    screen.facts("", _then(found.view.past))


def page(screen: Screen, found: Trace) -> None:
    """A story that reads from top to bottom."""
    told = found.view
    screen.line(f"{told.reference}  {told.kind}, brought about by {told.by} at {told.at[:16].replace('T', ' ')} UTC")
    screen.line()
    for number, step in enumerate(told.steps, 1):
        screen.line(f"{number}. {step.kind} {step.label}  ({step.grade})")
        code = step.code or {}
        commit = code.get("commit")
        clean = "" if code.get("clean", True) else ", with changes that were not committed"
        walls = {True: "hermetic", False: "without walls", None: "elsewhere"}[step.enforced]
        screen.facts(
            "",
            {
                "made": ", ".join(f"{one.reference} as {one.role}" for one in step.made),
                "from": ", ".join(f"{one.reference} as {one.role} ({one.grade})" for one in step.used),
                "by": f"{step.by}, {step.started_at[:19].replace('T', ' ')} UTC",
                "ran": f"{walls}, {step.status}" + (f", in {step.environment}" if step.environment else ""),
                "code": code and f"{code.get('entry')} {('commit ' + commit[:12] + clean) if commit else 'no commit'}",
                "record": step.run,
            },
        )
        screen.line()
    rows = [[short(one.reference), one.kind, origin_of(one), one.by, one.at[:10], one.grade] for one in told.sources]
    screen.table(["source", "kind", _SAID, "by", "day", "grade"], rows, spare=["by", "day"], wrap=[_SAID])
    screen.line()
    if told.marks:
        marks = [
            [one.kind, one.what + (f": {one.reason}" if one.reason else ""), one.by or "", (one.at or "")[:10]]
            for one in told.marks
        ]
        screen.table(["mark", "what must not be overlooked", "by", "day"], marks, wrap=["what must not be overlooked"])
        screen.line()
    checkpoint = f"{told.size} entries, {told.root}"
    ends = "at what came from outside" if told.complete else "in part at things that nothing recorded made"
    screen.facts(
        "",
        {"grade of the whole": found.grade, "the way ends": ends, "checkpoint": checkpoint, **_then(told.past)},
    )


_SAID: Final = "where from, as its bringer said"


def _then(past: Past | None) -> dict[str, str]:
    if past is None:
        return {}
    exact = "at" if past.entries == past.checkpoint.size else "covered by"
    return {
        "as of": f"{past.moment}, {past.entries} entries",
        f"{exact} checkpoint": f"{past.checkpoint.size} entries, {past.checkpoint.root}",
    }


def _export(
    face: Face, reference: str, form: str, way: str, depth: int | None, at: str | None, output: str | None
) -> None:
    if form == "ro-crate" and output is None:
        raise Invalid("MUNI-A175", "an RO-Crate is a zip file", do="say where it is written: --file crate.zip")
    content = b"".join(exported(face.client, reference, form, direction=way, depth=depth, at=at))
    if output is None and face.json:
        documents = [json.loads(line) for line in content.splitlines()] if form == "openlineage" else []
        face.answer({"events": documents} if documents else json.loads(content), lambda screen: None)
        return
    if output is None:
        click.echo(content.decode(), nl=False)
        return
    path = Path(output)
    if path.exists():
        raise Conflict("MUNI-A311", f"{str(path)!r} exists already", file=str(path), do="choose another name with -o")
    path.write_bytes(content)
    document = {"file": str(path), "format": form, "reference": reference, "bytes": len(content)}
    face.answer(document, lambda screen: screen.done(f"{path} ({form})"))


def _picture(face: Face, found: Lineage, output: str | None) -> None:
    if found.svg is None:
        raise Unavailable("MUNI-A526", "the platform drew no picture", reference=found.view.reference)
    if output is not None:
        path = Path(output)
        path.write_text(found.svg, encoding="utf-8")
        document = {"file": str(path), "grade": found.grade, "reference": found.view.reference}
        face.answer(document, lambda screen: screen.done(f"{path} (grade {found.grade})"))
    elif face.json:
        face.answer(found.view, lambda screen: None)
    else:
        click.echo(found.svg)
