"""What can be asked of the ledger. It belongs to the whole installation, not to a project."""

from __future__ import annotations

from typing import Final

from muniment.errors import Invalid, Unavailable
from muniment.kernel.identifiers import is_id, parse_time
from muniment.kernel.resources import INSTALLATION
from muniment.kernel.verb import Call, Download, Effect, verb
from muniment.ledger.export import FOLDER
from muniment.ledger.model import Checkpoint, Entry, Search, columns
from muniment.ledger.service import Ledger
from muniment.ledger.witness_verbs import shown
from muniment.ledger.witnessing import Witnesses
from muniment.wire import ledger as wire


@verb(
    "ledger:TailEntries",
    on=INSTALLATION,
    request=wire.TailEntries,
    reply=wire.LedgerEntries,
    event="entries.tailed",
    group="audit:read",
    effect=Effect.READ,
)
def tail_entries(call: Call, request: wire.TailEntries) -> wire.LedgerEntries:
    """Show the newest entries of the ledger."""
    found = call.use(Ledger).tail(request.limit)
    return wire.LedgerEntries(entries=[_shown(entry) for entry in found])


@verb(
    "ledger:SearchEntries",
    on=INSTALLATION,
    request=wire.SearchEntries,
    reply=wire.LedgerEntries,
    event="entries.searched",
    group="audit:read",
    effect=Effect.READ,
)
def search_entries(call: Call, request: wire.SearchEntries) -> wire.LedgerEntries:
    """Find entries by who, what, where, when and text."""
    search = Search(
        principal=request.principal,
        type=request.type,
        project=request.project,
        outcome=request.outcome,
        since=parse_time(request.since) if request.since else None,
        until=parse_time(request.until) if request.until else None,
        text=request.text or None,
        limit=request.limit,
    )
    return wire.LedgerEntries(entries=[_shown(entry) for entry in call.use(Ledger).search(search)])


@verb(
    "ledger:GetEntry",
    on=INSTALLATION,
    request=wire.GetEntry,
    reply=wire.EntryProof,
    event="entry.read",
    group="audit:read",
    effect=Effect.READ,
)
def get_entry(call: Call, request: wire.GetEntry) -> wire.EntryProof:
    """Show one entry with the proof that it is in the signed tree."""
    if not is_id(request.entry) and not (request.entry.isascii() and request.entry.isdecimal()):
        raise Invalid("MUNI-L109", "an entry is named by its index or its id", given=request.entry[:80])
    ledger = call.use(Ledger)
    key = request.entry if is_id(request.entry) else min(int(request.entry[:20]), 2**62)
    checkpoint = ledger.checkpoint()
    entry = ledger.entry(key)
    if entry.index is None or entry.index >= checkpoint.size:
        raise Unavailable(
            "MUNI-L513", "the entry is not in a checkpoint yet; ask again", entry=request.entry, retry=True
        )
    proof = ledger.prove_inclusion(entry.index, checkpoint.size)
    return wire.EntryProof(
        entry=_shown(entry),
        body=entry.body.decode(),
        checkpoint=_signed(ledger, checkpoint),
        path=[hash_.hex() for hash_ in proof.path],
    )


@verb(
    "ledger:ExportLedger",
    on=INSTALLATION,
    request=wire.ExportLedger,
    reply=Download,
    event="ledger.exported",
    group="audit:read",
    effect=Effect.READ,
)
def export_ledger(call: Call, request: wire.ExportLedger) -> Download:
    """Take the whole ledger out, to be verified by a stranger without network."""
    return Download(f"{FOLDER}.tar", "application/x-tar", call.use(Ledger).export())


@verb(
    "ledger:VerifyLedger",
    on=INSTALLATION,
    request=wire.VerifyLedger,
    reply=wire.LedgerReport,
    event="ledger.verified",
    group="audit:read",
    effect=Effect.READ,
)
def verify_ledger(call: Call, request: wire.VerifyLedger) -> wire.LedgerReport:
    """Check every entry against the signed checkpoints, and name the first that differs."""
    ledger = call.use(Ledger)
    report, witnesses = ledger.verify(deep=request.deep), call.use(Witnesses)
    broken = witnesses.examine() if request.deep else []
    size = report.checkpoint.size if report.checkpoint else 0
    standing, required = witnesses.standing()
    cosigned = None if broken else witnesses.cosigned_checkpoint()
    call.note(ok=report.ok and not broken, findings=len(report.findings) + len(broken))
    return wire.LedgerReport(
        ok=report.ok and not broken,
        entries=size,
        waiting=report.waiting,
        first=report.first,
        checked=[*report.checked, *([_COSIGNATURES] if standing and request.deep else [])],
        not_checked=list(report.not_checked),
        findings=[
            *(wire.LedgerFinding(index=found.index, what=found.what) for found in report.findings),
            *(wire.LedgerFinding(index=None, what=what) for what in broken),
        ],
        checkpoint=_signed(ledger, report.checkpoint) if report.checkpoint else None,
        witnesses=[shown(one, call.now, size) for one in standing],
        required=required,
        cosigned=cosigned.size if cosigned else None,
    )


@verb(
    "ledger:GetCheckpoint",
    on=INSTALLATION,
    request=wire.GetCheckpoint,
    reply=wire.LedgerCheckpoint,
    event="checkpoint.read",
    group="audit:verify",
    effect=Effect.READ,
)
def get_checkpoint(call: Call, request: wire.GetCheckpoint) -> wire.LedgerCheckpoint:
    """Sign everything recorded so far and hand out the checkpoint, to be kept elsewhere."""
    ledger = call.use(Ledger)
    return _signed(ledger, ledger.checkpoint())


_COSIGNATURES: Final = "every cosignature against the checkpoint it was made for"


def _signed(ledger: Ledger, checkpoint: Checkpoint) -> wire.LedgerCheckpoint:
    return wire.LedgerCheckpoint(
        origin=checkpoint.origin, size=checkpoint.size, root=str(checkpoint.root), note=checkpoint.note, key=ledger.key
    )


def _shown(entry: Entry) -> wire.LedgerEntry:
    row = columns(entry.event, "")
    return wire.LedgerEntry(
        index=entry.index,
        id=row.id,
        time=row.time,
        type=row.type,
        subject=row.subject,
        principal=row.principal,
        project=row.project,
        outcome=row.outcome,
        data=dict(entry.event["data"]),
        line=entry.line,
    )


VERBS: Final = (tail_entries, search_entries, get_entry, export_ledger, verify_ledger, get_checkpoint)
