"""The commands of promotion and of registers against a real platform, as people and scripts use them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.sdk.client import Client
from muniment.testing.platform import People
from notary import Notary
from promotion import LIVE, approved


class Shell:
    """A command line per person, in whichever project it names."""

    def __init__(self, people: People, folder: Path) -> None:
        self.people, self.folder = people, folder

    def run(self, person: str, *words: str) -> Result:
        """What a command prints and how it exits."""

        def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
            transport = self.people.platform.transport(self.people.tokens[person])
            return Client(transport, project=project or "main")

        return CliRunner().invoke(muni, list(words), obj=Face(connect=connect))

    def ok(self, person: str, *words: str) -> str:
        """What a command prints that goes well."""
        result = self.run(person, *words)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def notary(people: People) -> Notary:
    """An approved model and a project in production."""
    return approved(people, conditions=["watch it"])


@pytest.fixture
def shell(notary: Notary, tmp_path: Path) -> Shell:
    """The command line of that platform."""
    return Shell(notary.people, tmp_path)


def test_promote_check_and_retire_by_command(shell: Shell, notary: Notary) -> None:
    """Promoted with its conditions; check exits 0 while it may be loaded, and 1 with the reason when it may not."""
    said = shell.ok("operator", "model", "promote", "scorer", "--from", "main", "--project", LIVE)
    assert "model:scorer@1 of main is model:scorer@1 in live" in said
    assert "watch it" in said
    checked = shell.ok("operator", "model", "check", "scorer", "--project", LIVE)
    assert "may be loaded" in checked
    assert "read to the end" in checked
    quick = json.loads(shell.ok("operator", "model", "check", "scorer", "--quick", "--project", LIVE, "--json"))
    assert quick["usable"] is True
    assert "named by the digest" in " ".join(quick["checked"])
    notary.model("approver").retire("it is wrong")
    refused = shell.run("operator", "model", "check", "scorer", "--project", LIVE)
    assert refused.exit_code == 1
    assert "may not be loaded" in refused.output
    assert "in project main: retired" in refused.output
    document = shell.run("operator", "model", "check", "scorer", "--project", LIVE, "--json")
    assert (document.exit_code, json.loads(document.stdout)["usable"]) == (1, False)


def test_stages_by_command(shell: Shell) -> None:
    """Opened with a stage, listed with it, raised with a reason; never lowered."""
    assert "(test)" in shell.ok("admin", "project", "add", "trial", "--stage", "test")
    assert "trial is in production" in shell.ok("admin", "project", "stage", "trial", "production", "--reason", "live")
    listed = json.loads(shell.ok("admin", "project", "list", "--json"))["projects"]
    assert {one["name"]: one["stage"] for one in listed} == {
        "main": "development",
        "other": "development",
        LIVE: "production",
        "trial": "production",
    }
    assert shell.run("admin", "project", "stage", "trial", "test", "--reason", "back").exit_code == 1


def test_lineage_says_where_the_origin_lies(shell: Shell) -> None:
    """The tree of a promoted model names the project that holds its origin."""
    shell.ok("operator", "model", "promote", "scorer", "--from", "main", "--project", LIVE)
    said = shell.ok("operator", "lineage", "model:scorer", "--project", LIVE)
    assert "recorded in project main" in " ".join(said.split())


def test_registers_by_command(shell: Shell) -> None:
    """CSV or JSON by the ending, to a file or to stdout; a file that is there is not written over."""
    assets, changes = shell.folder / "assets.csv", shell.folder / "changes.json"
    shell.ok("auditor", "inventory", "export", "-o", str(assets))
    with assets.open(newline="", encoding="utf-8") as file:
        assert {"data", "model", "account"} <= {row["kind"] for row in csv.DictReader(file)}
    shell.ok("auditor", "audit", "changes", "--since", "2020-01-01", "-o", str(changes))
    assert json.loads(changes.read_text())["format"] == "muniment.changes/1"
    assert shell.run("auditor", "inventory", "export", "-o", str(assets)).exit_code == 1
    assert shell.ok("auditor", "inventory", "export", "--in", LIVE).startswith("kind,id,project,name")
    printed = json.loads(shell.ok("auditor", "audit", "changes", "--json"))
    assert printed["rows"][-1]["action"].startswith("inventory:")
    assert shell.run("auditor", "audit", "changes", "--since", "yesterday").exit_code == 1


def test_registers_in_a_notebook(people: People) -> None:
    """The SDK gives rows."""
    client = Client(people.platform.transport(people.tokens["auditor"]), project="main")
    assert {row["kind"] for row in client.inventory.assets()} >= {"project", "account"}
    assert client.audit.changes(until="1999-01-01") == ()
    assert client.audit.changes()[0]["who"].startswith(("System:", "User:"))
