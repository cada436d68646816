"""The commands of assurance against a scripted platform: what they ask, what they sign, what they print."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.sdk.assurance import InstructionText, RiskList
from muniment.sdk.client import Client
from muniment.testing.transport import ScriptedTransport
from muniment.wire import assurance as wire
from muniment.wire import inventory as wi
from muniment.wire import oversight as wo

EVIL = "evil\x1b[2J\u202e"
DIGEST = "sha256:" + "a" * 64
TEXT = "sha256:" + "b" * 64
DAY = "2026-11-26"
AT = f"{DAY}T09:00:00.000000Z"
STATEMENT = '{"format":"muniment.statement/1"}'


class Pen:
    """A key in memory."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""
        return self._key.sign(message)


def invoke(script: dict[str, Any], *arguments: str) -> tuple[Result, ScriptedTransport]:
    """Run a command line against a script, with a key to sign with."""
    prepared = wi.Statement(statement=STATEMENT, challenge="c", model="", meaning="m", key=DIGEST, expires_at=AT)
    script = {
        "inventory:PrepareSignature": prepared,
        "inventory:PrepareProjectSignature": prepared,
        **script,
    }
    transport = ScriptedTransport(script)

    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        client = Client(transport, project=project or "main")
        client.keys.use(Pen())
        return client

    return CliRunner().invoke(muni, list(arguments), obj=Face(connect=connect)), transport


def risk(**given: Any) -> wire.RiskView:
    """A risk, green for a version unless it is said otherwise."""
    told: dict[str, Any] = {
        "risk": "risk:1", "name": "bias", "about": "usecase:cards", "description": EVIL, "harm": "h",
        "likelihood": "possible", "severity": "severe", "mitigation": "", "owner": "ana", "test": "fairness.air >= 0.8",
        "min_grade": "proven", "added_at": AT, "added_by": "User:val", "record": DIGEST, "red": False, "outcome": "yes",
        "why": "fairness.air is 0.9",
        "parts": [wo.GatePart(text="fairness.air >= 0.8", outcome="yes", why="fairness.air is 0.9")],
    }  # fmt: skip
    return wire.RiskView(**{**told, **given})


def instructions(*, current: bool = True) -> wire.Instructions:
    """A short text that somebody acknowledged."""
    read = wire.Acknowledgement(
        by="User:op", at=AT, instructions=TEXT, current=current, independent=True, record=DIGEST
    )
    return wire.Instructions(
        model="model:m@1", digest=DIGEST, instructions=TEXT, text="# Instructions\n\nfor use", missing=["inputs"],
        acknowledged=[read],
    )  # fmt: skip


def examination(model: str | None = "model:m@1") -> wire.Examination:
    """An examination that is overdue."""
    return wire.Examination(
        model=model, scope=["ledger"], period_from=DAY, period_to=DAY, outcome="satisfactory", text=EVIL,
        recommendations=[], next_due="2027-01-01", overdue=True, at=AT, by="User:aud", checkpoint=7, record=DIGEST,
    )  # fmt: skip


def governed(*, current: bool = True) -> wire.Governance:
    """What a board decided, and one report."""
    stated = wire.GovernanceStatement(
        appetite=EVIL, accountable="CRO", policy="P", adopted=DAY, text="", at=AT, by="User:adm", record=DIGEST
    )
    laid = wire.BoardReport(
        report=TEXT, day=DAY, before="board", note="", checkpoint=9, at=AT, by="User:adm", record=DIGEST
    )
    return wire.Governance(statements=[stated], reports=[laid], current=current)


EXAMINED = ("--scope", "ledger", "--from", DAY, "--to", DAY, "--outcome", "satisfactory", "--text", "t")
EXAMINED = (*EXAMINED, "--next-due", "2027-01-01", "--recommend", "r")


def asked(transport: ScriptedTransport, action: str) -> Any:
    """The request that was asked of a verb."""
    [request] = [request for name, request, *_ in transport.asked if name == action]
    return request


def test_risks_are_listed_with_their_light() -> None:
    """Red and green are words, for people and in JSON; foreign text cannot act in a terminal."""
    script = {"inventory:ListRisks": wire.Risks(risks=[risk(), risk(name="leak", red=True)], red=1)}
    told, transport = invoke(script, "risk", "list", "m")
    assert told.exit_code == 0, told.output
    assert "green" in told.stdout
    assert "red" in told.stdout
    assert asked(transport, "inventory:ListRisks").model == "m"
    machine, _ = invoke(script, "risk", "list", "m", "--json")
    assert json.loads(machine.stdout)["red"] == 1
    shown, _ = invoke({"inventory:ListRisks": wire.Risks(risks=[risk()])}, "risk", "show", "1", "--model", "m")
    assert "fairness.air is 0.9" in shown.stdout
    assert "\x1b[2J" not in shown.stdout
    none, _ = invoke({"inventory:ListRisks": wire.Risks(risks=[])}, "risk", "show", "1")
    assert (none.exit_code, "MUNI-A260" in none.stderr) == (1, True)


def test_a_risk_is_added_and_retired() -> None:
    """The options of the command are the fields of the request."""
    given = ("--use-case", "cards", "--description", "d", "--harm", "h", "--owner", "ana", "--severity", "severe")
    told, transport = invoke({"inventory:AddRisk": risk(red=None)}, "risk", "add", "bias", "tier.level = 1", *given)
    assert told.exit_code == 0, told.output
    request = asked(transport, "inventory:AddRisk")
    assert (request.test, request.use_case, request.model, request.likelihood) == (
        "tier.level = 1", "cards", None, "possible",
    )  # fmt: skip
    ended, transport = invoke({"inventory:RetireRisk": risk(retired="x")}, "risk", "retire", "1", "--reason", "x")
    assert (ended.exit_code, asked(transport, "inventory:RetireRisk").reason) == (0, "x")


def test_instructions_are_shown_and_written(tmp_path: Path) -> None:
    """The text goes to the screen or to a file; an older acknowledgement is said not to count."""
    told, _ = invoke({"inventory:ShowInstructions": instructions()}, "instructions", "show", "m")
    assert "for use" in told.stdout
    assert TEXT in told.stdout
    file = tmp_path / "instructions.md"
    script = {"inventory:ShowInstructions": instructions(current=False)}
    told, _ = invoke(script, "instructions", "show", "m", "-o", str(file))
    assert file.read_text(encoding="utf-8") == instructions().text
    assert "does not count" in told.stdout


def test_what_was_read_is_what_is_signed() -> None:
    """The digest that the reader names stands in the statement, and the signature is over the prepared bytes."""
    script = {"inventory:AcknowledgeInstructions": instructions()}
    told, transport = invoke(script, "instructions", "acknowledge", "m", "--digest", TEXT)
    assert told.exit_code == 0, told.output
    prepared = asked(transport, "inventory:PrepareSignature")
    assert (prepared.meaning, prepared.terms) == ("read and understood", {"instructions": TEXT})
    sent = asked(transport, "inventory:AcknowledgeInstructions")
    assert (sent.statement, base64.b64decode(sent.signature)) == (STATEMENT, Pen().sign(STATEMENT.encode()))


@pytest.mark.parametrize("model", ["m", None])
def test_an_examination_is_of_a_version_or_of_the_whole(model: str | None) -> None:
    """Without a model the statement is about the project."""
    action = "inventory:RecordExamination" if model else "inventory:ExamineManagement"
    named = [model] if model else []
    told, transport = invoke({action: examination(model)}, "audit", "examine", *named, *EXAMINED)
    assert told.exit_code == 0, told.output
    prepared = asked(transport, "inventory:PrepareSignature" if model else "inventory:PrepareProjectSignature")
    assert prepared.meaning == "examined"
    assert prepared.terms["recommendations"] == ["r"]
    assert (asked(transport, action).statement) == STATEMENT


def test_examinations_are_listed_with_what_is_overdue() -> None:
    """Each with its outcome and the day of the next one."""
    script = {"inventory:ListExaminations": wire.Examinations(examinations=[examination(), examination(None)])}
    told, _ = invoke(script, "audit", "examinations")
    assert "2027-01-01 overdue" in told.stdout
    assert "how model risk is managed" in told.stdout


def test_a_report_is_laid_by_its_digest(tmp_path: Path) -> None:
    """The bytes stay here; what is signed is their digest and the day."""
    file = tmp_path / "board.pdf"
    file.write_bytes(b"%PDF a report")
    script = {"inventory:LayBoardReport": governed()}
    told, transport = invoke(script, "governance", "lay", str(file), "--on", DAY)
    assert told.exit_code == 0, told.output
    terms = asked(transport, "inventory:PrepareProjectSignature").terms
    assert terms["report"] == "sha256:" + hashlib.sha256(b"%PDF a report").hexdigest()
    assert (terms["day"], terms["before"]) == (DAY, "board")


def test_governance_is_stated_and_shown() -> None:
    """The statement is signed; a report older than a year is said to be."""
    given = ("--appetite", "low", "--accountable", "CRO", "--policy", "P", "--adopted", DAY)
    told, transport = invoke({"inventory:StateGovernance": governed()}, "governance", "state", *given)
    assert told.exit_code == 0, told.output
    assert asked(transport, "inventory:PrepareProjectSignature").meaning == "stated as governance"
    shown, _ = invoke({"inventory:ShowGovernance": governed(current=False)}, "governance", "show")
    assert "older than twelve months" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


def test_impact_is_assessed_and_listed() -> None:
    """Every part of the assessment is asked for."""
    view = wire.ImpactView(
        use_case="cards", use_case_version=1, scopes=["data protection"], process="p", period="daily", affected=["a"],
        harms=[EVIL], oversight="o", measures=["m"], legal_basis="b", next_due=DAY, overdue=True, at=AT, by="User:adm",
        record=DIGEST,
    )  # fmt: skip
    given = ("--for", "data protection", "--process", "p", "--period", "daily", "--affects", "a", "--harm", "h")
    given = (*given, "--oversight", "o", "--measure", "m", "--next-due", DAY)
    told, transport = invoke({"inventory:AssessImpact": view}, "usecase", "assess", "cards", *given)
    assert told.exit_code == 0, told.output
    assert asked(transport, "inventory:AssessImpact").scopes == ["data protection"]
    without, _ = invoke({}, "usecase", "assess", "cards", *given[2:])
    assert without.exit_code == 2
    listed, _ = invoke({"inventory:ListImpacts": wire.Impacts(assessments=[view])}, "usecase", "assessments")
    assert f"{DAY} overdue" in listed.stdout


def test_values_in_a_notebook_say_what_matters() -> None:
    """Risks name the red ones and have a frame; instructions name their readers; nothing foreign becomes markup."""
    risks = RiskList([risk(), risk(name="<b>leak", red=True)])
    assert risks.red == ["<b>leak"]
    assert len(risks.to_frame()) == 2
    assert repr(risks).startswith("green")
    text = InstructionText(instructions())
    assert (text.readers, text.digest) == (["User:op"], TEXT)
    assert InstructionText(instructions(current=False)).readers == []
    for html in (risks._repr_html_(), text._repr_html_()):
        assert "<b>" not in html
    assert "for use" in repr(text)
