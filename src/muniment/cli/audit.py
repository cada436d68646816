"""``muni audit``: the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from muniment.cli.assets import changes
from muniment.cli.examining import EXAMINING
from muniment.cli.face import Face, Group, with_face
from muniment.cli.model import save
from muniment.cli.screen import Screen
from muniment.errors import IntegrityError
from muniment.sdk.shown import count, size
from muniment.wire import ledger as wire
from muniment.wire.records import InventoryReport, RecordsReport, VerifyInventory, VerifyRecords
from muniment.wire.witness import Witness


@click.group(cls=Group)
def audit() -> None:
    """The ledger: every request, allowed or refused, in a Merkle log with signed checkpoints."""


for _examining in (*EXAMINING, changes):
    audit.add_command(_examining)


@audit.command()
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many at most.")
@with_face
def tail(face: Face, limit: int) -> None:
    """Show the newest entries."""
    _answer(face, face.client.audit.tail(limit))


@audit.command(epilog="Example: muni audit search --principal User:scientist --outcome denied")
@click.option("--principal", metavar="KIND:NAME", help="Who asked, such as User:ana.")
@click.option("--type", "kind", metavar="TYPE", help="An event type, or its beginning followed by *.")
@click.option("--in", "project", metavar="PROJECT", help="In which project.")
@click.option("--outcome", metavar="OUTCOME", help="ok, denied or failed.")
@click.option("--since", metavar="MOMENT", help="At or after this moment, ISO 8601 with a zone.")
@click.option("--until", metavar="MOMENT", help="Before this moment.")
@click.option("--text", metavar="TEXT", help="Text that occurs in the entry.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def search(
    face: Face,
    principal: str | None,
    kind: str | None,
    project: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    text: str | None,
    limit: int,
) -> None:
    """Show the entries that fit every option given, newest first."""
    found = face.client.audit.search(
        principal=principal,
        type=kind,
        project=project,
        outcome=outcome,
        since=since,
        until=until,
        text=text,
        limit=limit,
    )
    _answer(face, found)


@audit.command()
@click.argument("entry")
@with_face
def show(face: Face, entry: str) -> None:
    """Show one entry, by number or id, with the proof that it is in the tree."""
    proof = face.client.audit.entry(entry)
    one = proof.entry

    def draw(screen: Screen) -> None:
        screen.facts(
            f"entry {one.index}",
            {
                "id": one.id,
                "time": one.time,
                "type": one.type,
                "principal": one.principal,
                "subject": one.subject,
                "project": one.project,
                "outcome": one.outcome,
                **{name: value for name, value in one.data.items() if name not in _SHOWN},
            },
        )
        screen.line()
        mark = proof.checkpoint
        facts = {"tree": f"{count(mark.size)} entries, root {mark.root}", "path": tuple(proof.path)}
        screen.facts("included in", facts)

    face.answer(proof, draw)


@audit.command()
@click.option("-o", "--output", type=click.Path(), required=True, metavar="FILE", help="Where the tar is written.")
@with_face
def export(face: Face, output: str) -> None:
    """Export the whole ledger as a tar that the stand-alone verifier checks offline."""
    target = Path(output)
    written = save(face.client.audit.export(), target)
    face.answer(
        {"file": str(target), "size": written}, lambda screen: screen.done(f"{target} ({size(written)}) is exported")
    )
    if not face.json:
        face.notes.line("check it anywhere, offline, with the program inside:", style="dim")
        face.notes.line(f"  tar -xf {target} && python3 {_TOP}/verify.py {_TOP}", style="dim")


@audit.command()
@click.option("--shallow", is_flag=True, help="Only the newest part instead of everything from the first entry on.")
@with_face
def verify(face: Face, shallow: bool) -> None:
    """Check the ledger against its signed checkpoints, and runs, lineage and names against the ledger.

    Exit code 1 when anything is not as it was signed or recorded.
    """
    report = face.client.audit.verify(deep=not shallow)
    if not report.ok:
        raise IntegrityError(
            "MUNI-A508",
            "the ledger is not what was signed",
            first=report.first,
            findings=[f"entry {f.index}: {f.what}" if f.index is not None else f.what for f in report.findings],
            entries=report.entries,
            do="keep everything as it is, and call whoever is responsible for the ledger",
        )
    records = None if shallow else face.client.ask("execution:VerifyRecords", VerifyRecords(), RecordsReport)
    inventory = None if shallow else face.client.ask("inventory:VerifyInventory", VerifyInventory(), InventoryReport)
    findings = [found for part in (records, inventory) if part is not None for found in part.findings]
    if findings:
        raise IntegrityError(
            "MUNI-A512",
            "the database tells another story than the ledger, which is as it was signed",
            findings=findings,
            do="keep everything as it is, and call whoever is responsible for the database",
        )

    def draw(screen: Screen) -> None:
        screen.done(f"the ledger of {count(report.entries)} entries is as it was signed")
        if records is not None:
            screen.done(f"{count(records.runs)} runs stand in the database as the ledger tells of them")
        if inventory is not None and inventory.records:
            screen.done(f"{count(inventory.records)} records of the inventory stand there as the ledger tells of them")
        mark = report.checkpoint
        screen.facts(
            "",
            {
                "checked": tuple(
                    report.checked + [what for part in (records, inventory) if part for what in part.checked]
                ),
                "not checked": tuple(report.not_checked + (records.not_checked if records else _SHALLOW)),
                "waiting": f"{count(report.waiting)} entries are recorded and not numbered yet"
                if report.waiting
                else "",
                "checkpoint": mark and f"{count(mark.size)} entries, root {mark.root}",
                "key": mark and mark.key,
                "witnesses": tuple(map(_cosigned, report.witnesses)) or "none: nobody outside cosigns this ledger",
                "cosigned": _quorum(report) if report.witnesses else "",
            },
        )

    document = {"records": msgspec.to_builtins(records), "inventory": msgspec.to_builtins(inventory)}
    face.answer({**msgspec.to_builtins(report), **document}, draw)


@audit.command()
@with_face
def checkpoint(face: Face) -> None:
    """Print the signed checkpoint; keep it elsewhere, and nothing before it can be changed unnoticed."""
    mark = face.client.audit.checkpoint()
    face.answer(mark, lambda screen: screen.raw(mark.note))


def _cosigned(one: Witness) -> str:
    """How far a witness has come, in words."""
    if one.size is None:
        return f"{one.name} has cosigned nothing yet"
    return f"{one.name} cosigned {count(one.size)} entries at {(one.time or '')[:19]}, {count(one.behind or 0)} behind"


def _quorum(report: wire.LedgerReport) -> str:
    extent = "no checkpoint" if report.cosigned is None else f"{count(report.cosigned)} entries"
    return f"{extent}, by at least {report.required} of {len(report.witnesses)}"


_TOP = "ledger-export"
"""The one folder in an export."""

_SHALLOW = ["whether runs, lineage and names in the database are as the ledger tells: use a deep verification"]

_SHOWN = ("principal", "resource", "project", "outcome")


def _answer(face: Face, entries: Iterable[wire.LedgerEntry]) -> None:
    found = list(entries)
    rows = [
        [
            "" if e.index is None else e.index,
            e.time[:19].replace("T", " "),
            e.outcome,
            e.principal,
            e.type.removeprefix("muniment.").removesuffix(".v1"),
            e.subject,
            e.data.get("code", ""),
        ]
        for e in found
    ]
    face.answer(
        wire.LedgerEntries(entries=found),
        lambda screen: screen.table(
            ["entry", "time", "outcome", "who", "what", "on", "code"], rows, empty="no entry fits", spare=["on", "code"]
        ),
    )
