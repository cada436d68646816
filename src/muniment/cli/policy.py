"""``muni policy``: what decides, and why."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from muniment.cli.face import Face, Group, with_face
from muniment.cli.screen import Screen
from muniment.errors import Invalid
from muniment.sdk.outside import readable
from muniment.wire import policy as wire

SCOPE = click.option("--in", "scope", metavar="PROJECT", help="For this project; else for the whole installation.")
TESTS = click.option(
    "--tests", metavar="FILE", type=click.Path(), help="A JSON list of tests: name, action, expect, by, grants, ..."
)


@click.group(cls=Group)
def policy() -> None:
    """Policies: written in Cedar, validated, versioned, tested. Whatever is not clearly allowed is denied."""


@policy.command()
@SCOPE
@click.option("--text", is_flag=True, help="Print the Cedar text instead of the list.")
@with_face
def show(face: Face, scope: str | None, text: bool) -> None:
    """Show what is in force."""
    found = face.client.ask("policy:ShowPolicies", wire.ShowPolicies(scope=scope), wire.Policies)

    def draw(screen: Screen) -> None:
        if text:
            for origin, cedar in found.texts.items():
                screen.raw(f"// {origin}\n{cedar.rstrip()}\n\n")
            return
        rows = [[p.id, p.effect, p.origin, p.reason] for p in found.policies]
        screen.table(["policy", "effect", "origin", "reason"], rows, wrap=["reason"])
        screen.line()
        screen.facts("", {"policy set": found.policy_set})
        if found.publications:
            published = [
                [p.scope or "everywhere", p.version, p.document, p.published_by, p.published_at[:16]]
                for p in found.publications
            ]
            screen.table(["published for", "version", "document", "by", "at"], published)

    face.answer(found, draw)


@policy.command()
@click.argument("file", required=False, type=click.Path())
@TESTS
@SCOPE
@with_face
def test(face: Face, file: str | None, tests: str | None, scope: str | None) -> None:
    """Run the tests of what is in force, or of a draft in FILE; exit code 1 when one fails."""
    text = None if file is None else readable(file).read_text(encoding="utf-8")
    request = wire.TestPolicies(scope=scope, text=text, tests=_tests(tests))
    report = face.client.ask("policy:TestPolicies", request, wire.TestReport)
    if not report.ok:
        raise Invalid(
            "MUNI-A113",
            "some policy tests fail",
            failed=[
                f"{o.name}: expected {o.expected} by {', '.join(o.expected_by) or 'nothing'},"
                f" got {o.got} by {', '.join(o.by) or 'nothing'}"
                for o in report.outcomes
                if not o.ok
            ],
            findings=report.findings,
            passed=sum(o.ok for o in report.outcomes),
        )
    text_ = f"{len(report.outcomes)} policy tests pass"
    face.answer(report, lambda screen: screen.done(f"{text_} (policy set {report.policy_set[:19]}…)"))


@policy.command(epilog="Example: muni policy explain validator execution:TrainModel --in main")
@click.argument("principal")
@click.argument("action")
@click.option("--in", "project", metavar="PROJECT", help="In this project; else in the one in use.")
@click.option("--on", "reference", default="", metavar="REF", help="The object, as the action's own request names it.")
@with_face
def explain(face: Face, principal: str, action: str, project: str | None, reference: str) -> None:
    """Say what policy would decide now if PRINCIPAL asked for ACTION, and which policy decides."""
    request = wire.ExplainDecision(
        principal=principal, action=action, on_project=project or face.client.project, reference=reference
    )
    found = face.client.ask("policy:ExplainDecision", request, wire.Explanation)
    face.answer(found, lambda screen: explanation(screen, found))


@policy.command()
@click.argument("entry")
@with_face
def replay(face: Face, entry: str) -> None:
    """Make the decision recorded in ledger entry ENTRY again, from the record alone, and compare."""
    found = face.client.ask("policy:ReplayDecision", wire.ReplayDecision(entry=entry), wire.Replay)

    def draw(screen: Screen) -> None:
        screen.facts(f"entry {entry}: {found.verdict}", {"because": found.because, "recorded": found.recorded})
        if found.again is not None:
            screen.line()
            explanation(screen, found.again)

    face.answer(found, draw)


@policy.command()
@click.argument("file", type=click.Path())
@click.option(
    "--tests", required=True, metavar="FILE", type=click.Path(), help="A JSON list of tests that leave no gap."
)
@SCOPE
@with_face
def publish(face: Face, file: str, tests: str, scope: str | None) -> None:
    """Put the Cedar policies in FILE in force, in place of those published before for the same scope."""
    text = readable(file).read_text(encoding="utf-8")
    request = wire.PublishPolicies(scope=scope, text=text, tests=_tests(tests))
    made = face.client.ask("policy:PublishPolicies", request, wire.Published)
    where = f"for {made.scope}" if made.scope else "everywhere"
    face.answer(made, lambda screen: screen.done(f"version {made.version} is in force {where}"))


def explanation(screen: Screen, found: wire.Explanation) -> None:
    """A decision for people."""
    allowed = found.decision == "allow"
    sign = screen.mark("✓", "+") if allowed else screen.mark("✗", "x")
    word = "may" if allowed else "may not"
    screen.line(f"{sign} {found.principal} {word} {found.action} on {found.resource}", "green" if allowed else "red")
    because: dict[str, Any] = {
        "policy": tuple(found.policies) or "no policy permits it",
        "because": tuple(found.reasons),
        "errors": tuple(found.errors),
        "policy set": found.policy_set,
    }
    screen.facts("", because)


def _tests(file: str | None) -> list[wire.PolicyTest]:
    if file is None:
        return []
    try:
        return msgspec.convert(json.loads(readable(file).read_text(encoding="utf-8")), list[wire.PolicyTest])
    except (ValueError, msgspec.ValidationError) as broken:
        raise Invalid("MUNI-A114", "this file is no list of policy tests", file=file, reason=str(broken)) from broken
