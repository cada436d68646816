"""``muni inventory export`` and ``muni audit changes``: registers as open files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from muniment.cli.face import Command, Face, Group, with_face
from muniment.cli.model import save
from muniment.sdk.assets import assets_of, changes_of
from muniment.sdk.shown import count, size

_FORM = click.Choice(["csv", "json"])


@click.group(cls=Group)
def inventory() -> None:
    """The register of assets: data, models, environments, keys, witnesses, policies, people."""


@inventory.command(epilog="Example: muni inventory export -o assets.csv --profile auditor")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where it is written; else to stdout.")
@click.option("--form", type=_FORM, help="CSV or JSON; else by the ending of FILE, else CSV.")
@click.option("--in", "scope", metavar="PROJECT", help="Only what belongs to this project.")
@with_face
def export(face: Face, output: str | None, form: str | None, scope: str | None) -> None:
    """Write the register of assets: one row for each, with owner, class, criticality, what it rests on, last change."""
    _write(face, output, form, lambda kind: assets_of(face.client, scope=scope, form=kind))


@click.command("changes", cls=Command, epilog="Example: muni audit changes --since 2026-10-01 -o changes.csv")
@click.option("--since", metavar="MOMENT", help="At or after this moment or day, ISO 8601.")
@click.option("--until", metavar="MOMENT", help="Before this moment or day.")
@click.option("--in", "scope", metavar="PROJECT", help="Only what concerns this project.")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where it is written; else to stdout.")
@click.option("--form", type=_FORM, help="CSV or JSON; else by the ending of FILE, else CSV.")
@with_face
def changes(
    face: Face, since: str | None, until: str | None, scope: str | None, output: str | None, form: str | None
) -> None:
    """Write every change of a period: who changed what, when, permitted by what, borne out by which records."""
    _write(face, output, form, lambda kind: changes_of(face.client, since=since, until=until, scope=scope, form=kind))


def _write(face: Face, output: str | None, form: str | None, ask: Callable[[str], Iterator[bytes]]) -> None:
    if output is None:
        if face.json:
            face.answer(json.loads(b"".join(ask("json"))), lambda screen: None)
            return
        for chunk in ask(form or "csv"):
            click.echo(chunk, nl=False)
        return
    target = Path(output)
    kind = form or ("json" if target.suffix == ".json" else "csv")
    lines, written = 0, 0

    def counted() -> Iterator[bytes]:
        nonlocal lines
        for chunk in ask(kind):
            lines += chunk.count(b"\n")
            yield chunk

    written = save(counted(), target)
    document = {"file": str(target), "form": kind, "size": written}
    face.answer(document, lambda screen: screen.done(f"{target} ({count(lines)} lines, {size(written)})"))
