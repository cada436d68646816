"""The commands of the inventory against a real platform: what people see on the way from draft to retired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asking import furnish_catalog
from muniment.cli import muni
from muniment.cli.face import Face
from muniment.sdk.client import Client
from muniment.testing.platform import PROJECT, People


class Shell:
    """A command line per person, each with a key file of his own."""

    def __init__(self, people: People, folder: Path) -> None:
        self.people, self.folder = people, folder

    def run(self, person: str, *words: str, answers: str = "") -> Result:
        """What a command prints and how it exits."""

        def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
            transport = self.people.platform.transport(self.people.tokens[person])
            return Client(transport, project=PROJECT, key_file=self.folder / f"{person}.key.pem")

        return CliRunner().invoke(muni, list(words), obj=Face(connect=connect), input=answers)

    def ok(self, person: str, *words: str) -> str:
        """What a command prints that goes well."""
        result = self.run(person, *words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def document(self, person: str, *words: str) -> Any:
        """The document of a command that goes well."""
        return json.loads(self.ok(person, *words, "--json"))


@pytest.fixture
def shell(people: People, tmp_path: Path) -> Shell:
    """A project with a model."""
    furnish_catalog(people)
    return Shell(people, tmp_path)


@pytest.mark.slow
def test_the_whole_way(shell: Shell) -> None:
    """Use case, registration, submission, review, approval, board and retirement, each by one command."""
    stated = (
        "--purpose",
        "marketing of cards",
        "--owner",
        "approver",
        "--class",
        "marketing",
        "--exposure",
        "2000000000",
    )
    shell.ok(
        "admin",
        "usecase",
        "add",
        "cards",
        *stated,
        "--allow",
        "xgboost",
        "--prohibit",
        "sex",
        "--kpi",
        "a=metric.auc >= 0.7",
    )
    assert "cards@1" in shell.ok("admin", "usecase", "list")
    assert "marketing of cards" in shell.ok("auditor", "usecase", "show", "cards")
    for person in ("scientist", "validator", "approver"):
        assert shell.document(person, "user", "key", "enrol", "--label", "mine")["owner"] == person
    registered = shell.document(
        "scientist", "model", "register", "scorer", "--use-case", "cards", "--limit", "no limits"
    )
    assert (registered["state"], registered["tier"]) == ("draft", 3)
    assert "submitted for validation" in shell.ok("scientist", "model", "submit", "scorer", "--note", "please")
    assert "1 approval" in shell.ok(
        "validator", "model", "review", "scorer", "--outcome", "satisfactory", "--text", "sound"
    )
    approved = shell.document(
        "approver", "model", "approve", "scorer", "--condition", "watch it", "--expires", "2027-12-31"
    )
    assert (approved["state"], approved["conditions"]) == ("approved", ["watch it"])
    shown = shell.ok("auditor", "model", "status", "scorer")
    assert "approved since" in shown
    assert "scientist registered it" in shown
    assert "approved" in shell.ok("auditor", "model", "list", "--state", "approved")
    assert "approved" in shell.ok("auditor", "model", "list")
    board = shell.ok("auditor", "board")
    assert "tier 3" in board
    assert "retired" in shell.ok("approver", "model", "retire", "scorer", "--reason", "superseded")


def test_a_refusal_says_what_stands_in_the_way(shell: Shell) -> None:
    """The author's approval: the policy, what he did, what to do, where it is recorded; the same as a document."""
    shell.ok("scientist", "model", "register", "scorer")
    refused = shell.run("scientist", "model", "approve", "scorer")
    assert refused.exit_code == 1
    for said in ("Refused [MUNI-G403]", "core/four-eyes@1", "scientist registered it", "do ", "recorded"):
        assert said in refused.stderr
    told = json.loads(shell.run("scientist", "model", "approve", "scorer", "--json").stdout)
    assert told["facts"]["policies"] == ["core/four-eyes@1"]


def test_who_has_no_key_is_told_how_to_make_one(shell: Shell) -> None:
    """Who may act but has enrolled no key learns which command does it."""
    shell.ok("scientist", "model", "register", "scorer")
    refused = shell.run("scientist", "model", "submit", "scorer")
    assert refused.exit_code == 1
    assert "muni user key enrol" in refused.stderr


def test_a_key_file_is_its_owners_alone(shell: Shell) -> None:
    """The file is made for its owner alone; one that others can read is not used; a passphrase is asked for."""
    typed = "correct horse battery\ncorrect horse battery\n"
    assert shell.run("scientist", "user", "key", "enrol", "--passphrase", answers=typed).exit_code == 0
    file = shell.folder / "scientist.key.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    shell.ok("scientist", "model", "register", "scorer")
    wrong = shell.run("scientist", "model", "submit", "scorer", answers="wrong horse battery\n")
    assert "MUNI-A152" in wrong.stderr
    file.chmod(0o644)
    assert "MUNI-A150" in shell.run("scientist", "model", "submit", "scorer", answers="x\n").stderr
    file.chmod(0o600)
    assert shell.run("scientist", "model", "submit", "scorer", answers="correct horse battery\n").exit_code == 0


def test_a_key_is_renewed(shell: Shell) -> None:
    """The former key's file stays beside the new one, and the new one signs."""
    first = shell.document("scientist", "user", "key", "enrol")["key"]
    second = shell.document("scientist", "user", "key", "renew", "--label", "new")["key"]
    assert first != second
    assert (shell.folder / "scientist.key.pem.former").exists()
    shell.ok("scientist", "model", "register", "scorer")
    assert "submitted" in shell.ok("scientist", "model", "submit", "scorer")


def test_a_use_case_from_a_file(shell: Shell) -> None:
    """Everything may stand in a TOML file; what is given on the line counts more."""
    file = shell.folder / "cards.toml"
    file.write_text(
        'purpose = "from the file"\nowner = "approver"\nexposure = 7\nallowed_algorithms = ["lightgbm"]\n'
        '[[kpis]]\nname = "auc"\nexpression = "metric.auc >= 0.75"\n'
    )
    made = shell.document("admin", "usecase", "add", "cards", "--file", str(file), "--exposure", "9")
    assert (made["purpose"], made["exposure"], made["allowed_algorithms"]) == ("from the file", 9, ["lightgbm"])
    assert made["kpis"] == [{"name": "auc", "expression": "metric.auc >= 0.75"}]
    file.write_text('purpose = "x"\nowner = "approver"\nsurprise = 1\n')
    assert "MUNI-A154" in shell.run("admin", "usecase", "add", "cards", "--file", str(file)).stderr
    file.write_text("purpose = ")
    assert "MUNI-A155" in shell.run("admin", "usecase", "add", "cards", "--file", str(file)).stderr
    assert shell.run("admin", "usecase", "add", "cards").exit_code == 2


def test_a_vendors_model(shell: Shell) -> None:
    """A model from outside is entered with what is known of it, also with its file."""
    told = ("--owner", "approver", "--description", "bought score", "--supplier", "Acme")
    made = shell.document("scientist", "model", "register", "--external", "acme-score", *told, "--contract", "C-7")
    assert made["model"] == "model:acme-score@1"
    book = shell.folder / "book.xlsx"
    book.write_bytes(b"PK not really")
    told = ("--owner", "approver", "--description", "limits in a workbook", "--kind", "eut", "--file", str(book))
    made = shell.document("scientist", "model", "register", "--external", "limits", *told)
    assert made["model"] == "model:limits@1"
    assert "declared" in shell.ok("auditor", "model", "list")
    linked = shell.document(
        "scientist", "model", "depends", "limits", "--on", "acme-score", "--reason", "reads its score"
    )
    assert [one["model"] for one in linked["feeds_on"]] == ["model:acme-score@1"]
    assert [one["model"] for one in shell.document("auditor", "model", "depends", "acme-score")["feeds"]] == [
        "model:limits@1"
    ]


@pytest.mark.slow
def test_break_glass_is_red_everywhere(shell: Shell) -> None:
    """Two administrators approve in an emergency: the list, the status and the board say so."""
    shell.ok("scientist", "model", "register", "scorer")
    for person in ("admin", "admin2"):
        shell.ok(person, "user", "key", "enrol")
    first = shell.ok("admin", "model", "break-glass", "scorer", "--reason", "fraud wave")
    assert "a second one is needed" in first
    assert "EMERGENCY" in shell.ok("admin2", "model", "break-glass", "scorer", "--reason", "fraud wave", "--days", "2")
    for words in (("model", "list"), ("model", "list", "--registered"), ("model", "status", "scorer"), ("board",)):
        assert "EMERGENCY" in shell.ok("auditor", *words)


def test_accounts_are_linked_and_keys_revoked(shell: Shell) -> None:
    """The commands about people: link, links, unlink; list, list of others, revoke."""
    shell.ok("admin", "user", "link", "scientist", "validator")
    link = shell.document("admin", "user", "links")["links"][0]["id"]
    assert shell.run("admin", "user", "unlink", link).exit_code == 1
    shell.ok("admin2", "user", "unlink", link)
    key = shell.document("validator", "user", "key", "enrol")["key"]
    short = key[:23]
    assert short in shell.ok("validator", "user", "key", "list")
    assert short in shell.ok("auditor", "user", "key", "list", "--all")
    assert shell.run("auditor", "user", "key", "revoke", short, "--of").exit_code == 1
    shell.ok("admin2", "user", "key", "revoke", short, "--of")
    assert "revoked" in shell.ok("validator", "user", "key", "list")


def test_the_tiering_rule_is_shown(shell: Shell) -> None:
    """The rule that ships, with what each tier asks for; the questions too."""
    assert "muniment/tiering@1" in shell.ok("auditor", "model", "tiering")
    shell.ok("scientist", "model", "register", "scorer")
    assert "quantitative" in shell.ok("validator", "model", "determine", "scorer")
