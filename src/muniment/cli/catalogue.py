"""``muni catalogue``: what supervisors ask, as versioned files."""

from __future__ import annotations

from contextlib import closing
from typing import Final

import click
from click.shell_completion import CompletionItem

from muniment.cli.face import Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.errors import MunimentError
from muniment.sdk.report_page import CONFIDENCE
from muniment.wire import catalogues as wire


class CatalogueName(click.ParamType[str]):
    """An id, or ``id@version``; the platform alone judges it."""

    name = "catalogue"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What begins so; nothing when the platform does not answer."""
        face = ctx.find_object(Face)
        if face is None:
            return []
        try:
            with closing(face.client) as client:
                found = client.catalogues.list()
        except (MunimentError, OSError):
            return []
        return [CompletionItem(one.id, help=one.title) for one in found if one.id.startswith(incomplete)]


CATALOGUE: Final = CatalogueName()


@click.group(cls=Group)
def catalogue() -> None:
    """Control catalogues: what supervisors ask of a model, and the query that answers each item."""


@catalogue.command("list")
@with_face
def list_(face: Face) -> None:
    """List the catalogues, those in force first, and how many of their items records can answer."""
    found = face.client.catalogues.list()

    def draw(screen: Screen) -> None:
        rows = [
            [c.catalogue, c.title, c.effective_from, c.superseded_by, c.origin, c.items, c.fully, c.in_part, c.open]
            for c in found
        ]
        columns = ["catalogue", "title", "applies from", "superseded by", "origin"]
        counted = ["items", "fully", "in part", "open"]
        screen.table([*columns, *counted], rows, right=4, spare=["origin", "superseded by", "applies from"])

    face.answer(wire.CatalogueList(catalogues=list(found)), draw)


@catalogue.command(epilog="Example: muni catalogue show sr-26-2")
@click.argument("name", metavar="CATALOGUE", type=CATALOGUE)
@with_face
def show(face: Face, name: str) -> None:
    """Show what CATALOGUE, an id or id@version, asks: each item, the query that answers it, what it does not show."""
    found = face.client.catalogues.get(name).detail
    s = found.summary

    def draw(screen: Screen) -> None:
        screen.facts(
            s.title,
            {
                "catalogue": s.catalogue,
                "versions": ", ".join(map(str, s.versions)),
                "issuer": s.issuer,
                "applies from": s.effective_from,
                "superseded by": s.superseded_by,
                "status": found.status,
                "sources": tuple(found.sources),
                "file": f"{s.digest} ({s.origin})",
                "answerable": f"{s.fully} fully, {s.in_part} in part, {s.open} open",
            },
        )
        for item in found.items:
            screen.line()
            screen.facts(
                f"{item.reference}: {item.title}",
                {
                    "asks": item.text,
                    "query": item.query,
                    "in part": item.gap,
                    "open": item.open,
                    "evidence": ", ".join(item.evidence),
                    "reference": CONFIDENCE.get(item.confidence, item.confidence),
                },
            )

    face.answer(found, draw)


@catalogue.command(epilog="Example: muni catalogue add house-rules.toml --profile admin")
@click.argument("file", type=click.Path())
@with_face
def add(face: Face, file: str) -> None:
    """Publish the catalogue in FILE, a new one or a newer version of any; a broken one is refused with the place."""
    made = face.client.catalogues.add(file)
    told = f"{made.catalogue}: {made.items} items, {made.fully + made.in_part} with a query, {made.open} open"
    face.answer(made, lambda screen: screen.done(told))
