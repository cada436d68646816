"""``muni search``: one query language over everything that a project knows."""

from __future__ import annotations

import re
from contextlib import closing

import click
from click.shell_completion import CompletionItem

from muniment.cli.face import Command, Face, with_face
from muniment.cli.screen import Screen
from muniment.errors import Invalid, MunimentError
from muniment.sdk.search import Found, shown
from muniment.wire import search as wire

__all__ = ["search"]

_MOST_FIELDS = 1000
_CLAUSES = ("where", "order by", "limit")
_COMPARING = ("=", "!=", "<", "<=", ">", ">=", "in (", "not in (")
_OPERATORS = (*_COMPARING, "contains", "like", "starts with", "is present", "is absent")
_JOINING = ("and", "or", "order by", "limit")
_KIND = re.compile(r"\s*([a-z_]+)\s")
_LAST = re.compile(r"(?:^|[\s(,])([^\s(,]*)$")
_TESTED = re.compile(r"(?:\b(?:where|and|or|not|by)|[(,])\s+\S*$|\(\S*$", re.IGNORECASE)
_FIELD = re.compile(r"(?:\b(?:where|and|or|not)|\()\s*[A-Za-z_][\w.\"`-]*\s+\S*$", re.IGNORECASE)


class Asked(click.ParamType[str]):
    """A query as a person types it; the platform alone judges it."""

    name = "query"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What the query may go on with; nothing when the platform does not answer."""
        face = ctx.find_object(Face)
        if face is None:
            return []
        try:
            with closing(face.client):
                return [CompletionItem(text, help=meaning) for text, meaning in going_on(face, incomplete)]
        except (MunimentError, OSError):
            return []


def going_on(face: Face, text: str) -> list[tuple[str, str]]:
    """The queries that this beginning of one may become, each with what was added."""
    searches = face.client.searches
    if text.startswith("@"):
        return [(f"@{one.name}", one.query) for one in searches.all() if one.name.startswith(text[1:])]
    found = _LAST.search(text)
    last = found[1] if found else ""
    before = text[: len(text) - len(last)]
    kind = _KIND.match(text)
    if kind is None:
        return [(word, meaning) for word, meaning in searches.words().items() if word.startswith(text.strip())]
    if _TESTED.search(text):
        words = searches.words(kind[1], last)
    elif _FIELD.search(text):
        words = dict.fromkeys(_OPERATORS, "")
    else:
        words = dict.fromkeys(_JOINING if re.search(r"\bwhere\b", before) else _CLAUSES, "")
    return [(before + word, meaning) for word, meaning in words.items() if word.startswith(last)]


@click.command(
    cls=Command,
    epilog="Example: muni search 'run where metric.auc > 0.78 and input.name = \"credit\" order by metric.auc desc'",
)
@click.argument("query", type=Asked(), required=False)
@click.option("--columns", metavar="FIELD,...", help="Which fields to show, such as metric.auc,param.eta,author.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True, help="So many at most.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Pass over so many.")
@click.option("--count", is_flag=True, help="Only say how many there are.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--all-projects", "everywhere", is_flag=True, help="Look in every project that you may read.")
@click.option("--checkpoint", is_flag=True, help="Sign the state of the ledger at which the answer holds.")
@click.option("--save", metavar="NAME", help="Keep the query under this name, to be asked as @NAME.")
@click.option("--list", "listing", is_flag=True, help="List the saved queries.")
@click.option("--remove", metavar="NAME", help="Keep a saved query no more.")
@click.option("--fields", metavar="KIND", is_flag=False, flag_value="", help="List what a kind is searched by.")
@with_face
def search(
    face: Face,
    query: str | None,
    columns: str | None,
    limit: int,
    offset: int,
    count: bool,
    as_csv: bool,
    everywhere: bool,
    checkpoint: bool,
    save: str | None,
    listing: bool,
    remove: str | None,
    fields: str | None,
) -> None:
    """Find runs, data, models and everything else by one query, or @NAME for a saved one."""
    if listing or remove is not None or fields is not None:
        _about(face, listing=listing, remove=remove, fields=fields)
        return
    if query is None:
        raise click.UsageError("what is searched for? muni search 'run where status = ok'; see muni search --fields")
    if save is not None:
        saved = face.client.searches.save(save, query)
        face.answer(saved, lambda screen: screen.done(f"saved: muni search @{saved.name}"))
        return
    wanted = [] if columns is None else _columns(columns)
    try:
        found = face.client.search(
            query,
            columns=wanted,
            limit=0 if count else limit,
            offset=offset,
            count=count,
            everywhere=everywhere,
            checkpoint=checkpoint,
        )
    except Invalid as wrong:
        if not face.json and "place" in wrong.facts:
            point_at(face.notes, wrong)
        raise
    if as_csv and not face.json and not count:
        face.screen.raw(found.to_csv())
        return
    face.answer(found.reply, lambda screen: picture(screen, found, count=count))


def picture(screen: Screen, found: Found, *, count: bool) -> None:
    """What was found, for people."""
    reply = found.reply
    if count:
        screen.line(f"{reply.total}")
    else:
        rows = [[shown(value) for value in line] for line in found.lines()]
        spare = [name for name in reversed(found.headings[1:]) if name not in reply.query]
        screen.table(found.headings, rows, empty=f"no {reply.kind} was found", spare=spare)
    for hint in reply.hints:
        screen.line(hint, style="yellow")
    if reply.more and not count:
        screen.line(f"there are more: --offset {reply.next_offset}, or --count to count them", style="dim")
    if reply.checkpoint is not None:
        screen.line(f"holds at checkpoint {reply.checkpoint.size} {reply.checkpoint.root}", style="dim")


def point_at(screen: Screen, wrong: Invalid) -> None:
    """The part of the query that was not understood, with a mark under it."""
    screen.raw(f"  {wrong.facts.pop('query')}\n  {wrong.facts.pop('place')}\n")


def _columns(text: str) -> list[str]:
    """Names between commas; a comma inside of quotes belongs to the name."""
    return [part.strip() for part in re.findall(r"(?:[^,\"`]|\"[^\"]*\"|`[^`]*`)+", text) if part.strip()]


def _about(face: Face, *, listing: bool, remove: str | None, fields: str | None) -> None:
    searches = face.client.searches
    if remove is not None:
        gone = searches.remove(remove)
        face.answer(gone, lambda screen: screen.done(f"{gone.name} is kept no more"))
    elif listing:
        known = searches.all()
        rows = [[f"@{one.name}", one.query, one.by, one.at[:16]] for one in known]
        empty = "none yet: muni search --save NAME QUERY"
        face.answer(
            wire.SavedSearches(searches=known),
            lambda screen: screen.table(["search", "query", "by", "since"], rows, empty=empty, wrap=["query"]),
        )
    else:
        words = searches.words(fields or "", limit=_MOST_FIELDS)
        title = "field" if fields else "kind"
        face.answer(
            wire.Words(words=words),
            lambda screen: screen.table([title, "meaning"], [*words.items()], wrap=["meaning"]),
        )
