"""The commands of oversight against a scripted platform: what they ask, what they print, how they exit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.sdk.client import Client
from muniment.testing.transport import ScriptedTransport
from muniment.wire import oversight as wire

EVIL = "evil\x1b[2J\u202e"
DIGEST = "sha256:" + "a" * 64


def invoke(script: dict[str, Any], *arguments: str) -> tuple[Result, ScriptedTransport]:
    """Run a command line against a script."""
    transport = ScriptedTransport(script)

    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        return Client(transport, project=project or "main")

    return CliRunner().invoke(muni, list(arguments), obj=Face(connect=connect)), transport


def answer(outcome: str, why: str = "metric.auc is 0.7") -> wire.GateCheck:
    """One gate with one part."""
    fact = wire.FactView(name="metric.auc", value=0.7, grade="proven", record="run:x", text="t")
    part = wire.GatePart(text="metric.auc >= 0.75", outcome=outcome, why=why, found=[fact])
    gate = wire.GateResult(
        name="quality",
        version=2,
        stage="approve",
        use_case=None,
        expression="metric.auc >= 0.75",
        open=outcome == "yes",
        why=why,
        parts=[part],
        record=DIGEST,
        fixed_at="2026-11-26T09:00:00.000000Z",
        min_grade="proven",
    )
    return wire.GateCheck(model="model:m@1", digest=DIGEST, open=outcome == "yes", gates=[gate])


@pytest.mark.parametrize(("outcome", "sign"), [("no", "✗"), ("unknown", "?")])
def test_a_closed_gate_exits_1_with_a_document(outcome: str, sign: str) -> None:
    """For people each part with its sign, the value found and why; for machines one error with all parts."""
    told, _ = invoke({"inventory:CheckGates": answer(outcome)}, "gate", "check", "m")
    assert told.exit_code == 1
    assert f"  {sign} metric.auc >= 0.75  metric.auc = 0.7" in told.stdout
    assert "quality@2  closed" in told.stdout
    assert "MUNI-A361" in told.stderr
    machine, _ = invoke({"inventory:CheckGates": answer(outcome)}, "gate", "check", "m", "--json")
    document = json.loads(machine.stdout)
    assert (machine.exit_code, machine.stderr, document["code"]) == (1, "", "MUNI-A361")
    assert document["facts"]["closed"] == ["quality"]
    assert document["facts"]["gates"][0]["parts"][0]["outcome"] == outcome


def test_open_gates_exit_0_with_the_answer() -> None:
    """The JSON document is the platform's answer; people see a tick before each part."""
    told, _ = invoke({"inventory:CheckGates": answer("yes")}, "gate", "check", "m")
    assert (told.exit_code, "✓ metric.auc >= 0.75" in told.stdout) == (0, True)
    machine, _ = invoke({"inventory:CheckGates": answer("yes")}, "gate", "check", "m", "--json")
    assert json.loads(machine.stdout)["open"] is True


def test_what_others_wrote_cannot_act_in_a_terminal() -> None:
    """Names, reasons and comments of other people are shown with their control characters made visible."""
    told, _ = invoke({"inventory:CheckGates": answer("no", EVIL)}, "gate", "check", "m")
    turn = wire.CommentView(
        comment="comment:1", text=EVIL, by=f"User:{EVIL}", at="2026-11-26T09:00", in_reply_to=None, resolved=False,
        record=DIGEST,
    )  # fmt: skip
    threads = wire.Threads(model="model:m@1", threads=[wire.ThreadView(about=EVIL, resolved=False, turns=[turn])])
    shown, _ = invoke({"inventory:ListComments": threads}, "challenge", "m")
    for text in (told.stdout + told.stderr, shown.stdout):
        assert "evil" in text
        assert "\x1b[2J" not in text
        assert "\u202e" not in text


def test_challenge_and_a_model_is_short_for_show() -> None:
    """``muni challenge m`` asks for its threads, ``muni challenge finding:x`` for those of a finding."""
    empty = wire.Threads(model="model:m@1", threads=[])
    _, transport = invoke({"inventory:ListComments": empty}, "challenge", "m")
    assert transport.asked[-1][1] == wire.ListComments(project="main", model="m")
    _, transport = invoke({"inventory:ListComments": empty}, "challenge", "finding:x")
    assert transport.asked[-1][1] == wire.ListComments(project="main", finding="finding:x")
    assert invoke({}, "challenge")[0].exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("gate", "set", "name"),
        ("gate", "set", "name", "x = 1", "--stage", "sell"),
        ("finding", "open", "m", "title", "--severity", "urgent", "--owner", "a", "--due", "2027-01-01"),
        ("finding", "close", "x"),
        ("review", "done", "m", "--outcome", "fine", "--text", "x"),
        ("change", "decide", "a", "b", "--class", "huge"),
    ],
)
def test_wrong_usage_of_oversight_exits_2(words: tuple[str, ...]) -> None:
    """What the command line itself can see to be wrong is usage, and nothing is asked."""
    told, transport = invoke({}, *words)
    assert (told.exit_code, transport.asked) == (2, [])


def test_a_change_shows_what_was_decided_otherwise() -> None:
    """The proposal, its reasons, what was not compared, and a decision that deviates stand together."""
    compared = wire.VersionComparison(
        model="model:m@2",
        digest=DIGEST,
        base="model:m@1",
        base_digest=DIGEST,
        differences=[wire.DifferenceView(section="data", name="rows", before=10, after=20, size=1.0, unit="relative")],
        proposed_class="material",
        reasons=[wire.ClassReason(change_class="material", rule="data", because="other data")],
        rules="change-classes@1",
        rules_digest=DIGEST,
        not_compared=["explanation: one of the two was not explained"],
        decided_class="minor",
        decided_by="User:ann",
        decided_at="2026-11-26T09:00:00.000000Z",
        decision="the same portfolio",
        deviates=True,
    )
    told, transport = invoke({"inventory:CompareVersions": compared}, "change", "show", "m@1", "m@2")
    assert transport.asked[-1][1] == wire.CompareVersions(project="main", base="m@1", model="m@2")
    for text in ("rows", "+1", "material by change-classes@1", "minor by User:ann", "otherwise than proposed"):
        assert text in told.stdout
    assert "the same portfolio" in told.stdout
