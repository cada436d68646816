"""``muni finding``: what is not as it should be, and the evidence that it is remedied."""

from __future__ import annotations

import click

from muniment.cli.challenge import draw_threads
from muniment.cli.face import Face, Group, with_face
from muniment.cli.knowing import MODEL
from muniment.cli.screen import Screen
from muniment.wire import oversight as wire

SEVERITY = click.Choice(["high", "medium", "low"])


@click.group(cls=Group)
def finding() -> None:
    """Findings: an open one of high severity closes every gate of its version."""


@finding.command("open")
@click.argument("model", type=MODEL)
@click.argument("title")
@click.option("--severity", type=SEVERITY, required=True, help="How grave it is.")
@click.option("--owner", required=True, metavar="NAME", help="Account that answers for the remedy.")
@click.option("--due", required=True, metavar="DAY", help="Last day on which it is in time, as 2026-12-31.")
@click.option("--text", default="", help="More of it.")
@with_face
def open_(face: Face, model: str, title: str, severity: str, owner: str, due: str, text: str) -> None:
    """Record that something about a version is not as it should be."""
    found = face.client.findings.open(model, title, severity=severity, owner=owner, due=due, text=text)
    said = f"{found.finding}  {found.severity}, due {found.due}, {found.owner} answers for it"
    face.answer(found, lambda screen: screen.done(said))


@finding.command("list")
@click.option("--model", type=MODEL, help="Only those of this version.")
@click.option(
    "--state",
    type=click.Choice(["open", "overdue", "closed", "all"]),
    default="open",
    show_default=True,
    help="Which ones.",
)
@click.option("--severity", type=SEVERITY, help="Only those of this severity.")
@click.option("--owner", metavar="NAME", help="Only those that this account answers for.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@with_face
def list_(face: Face, model: str | None, state: str, severity: str | None, owner: str | None, limit: int) -> None:
    """List findings, newest first; those past their day are marked."""
    found = face.client.findings.list(model, state=state, severity=severity, owner=owner, limit=limit)

    def draw(screen: Screen) -> None:
        rows = [[f.finding, f.model, f.severity, f.due, _standing(f), f.owner, f.title] for f in found]
        columns = ["finding", "model", "severity", "due", "state", "owner", "title"]
        screen.table(columns, rows, empty="no such finding", wrap=["title"], spare=["owner"])

    face.answer(wire.Findings(findings=found), draw)


@finding.command()
@click.argument("finding")
@with_face
def show(face: Face, finding: str) -> None:
    """Show one finding, its closure and what was said about it."""
    detail = face.client.findings.get(finding)
    f = detail.finding

    def draw(screen: Screen) -> None:
        known = {
            "model": f.model,
            "severity": f.severity,
            "state": _standing(f),
            "due": f.due,
            "owner": f.owner,
            "opened": f"{f.opened_at[:16]} by {f.opened_by}",
            "text": f.text,
            "record": f.record,
        }
        screen.facts(f"{f.finding}  {f.title}", known)
        if f.closure is not None:
            c = f.closure
            said = {"closed": f"{c.closed_at[:16]} by {c.closed_by}", "evidence": c.evidence, "text": c.text}
            screen.facts("closure", {**said, "record": c.record})
        draw_threads(screen, detail.threads)

    face.answer(detail, draw)


@finding.command()
@click.argument("finding")
@click.option(
    "--evidence", required=True, metavar="REF", help="What shows it: run:ID, model:NAME@V, data:NAME@V, digest."
)
@click.option("--text", required=True, help="What was done.")
@with_face
def close(face: Face, finding: str, evidence: str, text: str) -> None:
    """Record that a finding is remedied, with evidence that exists."""
    found = face.client.findings.close(finding, evidence=evidence, text=text)
    face.answer(found, lambda screen: screen.done(f"{found.finding} is closed"))


def _standing(found: wire.FindingView) -> str:
    return "overdue" if found.overdue else ("open" if found.open else "closed")
