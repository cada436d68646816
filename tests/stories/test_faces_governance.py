"""Governing a real platform from the command line: people, roles, tokens, projects, policies, keys, the ledger."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from muniment.cli import muni
from muniment.connecting import Profile, write_profile
from muniment.testing.platform import Site

pytestmark = pytest.mark.slow

Muni = Callable[..., tuple[int, Any]]


@pytest.fixture
def as_(site: Site, tmp_path: Path) -> Muni:
    """``as_(profile, *words)``: exit code and JSON document of a command, in an installation of its own."""
    home = site.copy(tmp_path / "site").home
    for name, token in site.tokens.items():
        write_profile(home, Profile(name=name, token=token))

    def run(profile: str, *words: str, **extra: Any) -> tuple[int, Any]:
        done = CliRunner().invoke(muni, ["--json", "--home", str(home), "--profile", profile, *words], **extra)
        return done.exit_code, json.loads(done.stdout)

    return run


def test_people_groups_and_roles(as_: Muni) -> None:
    """An account, a group, a membership and a role are made, seen, used and ended."""
    assert as_("admin", "user", "add", "ben")[0] == 0
    assert as_("admin", "group", "add", "risk")[0] == 0
    assert as_("admin", "group", "join", "risk", "ben")[0] == 0
    code, grant = as_("admin", "role", "grant", "group:risk", "validator", "--in", "main")
    assert (code, grant["role"], grant["active"]) == (0, "validator", True)
    groups = as_("auditor", "group", "list")[1]["groups"]
    assert [member["name"] for group in groups for member in group["members"]] == ["ben"]
    assert "ben" in [user["name"] for user in as_("auditor", "user", "list")[1]["users"]]
    assert as_("admin", "token", "issue", "--for", "ben", "--save", "ben")[0] == 0
    assert as_("ben", "data", "list")[0] == 0
    assert as_("admin", "role", "revoke", grant["id"])[1]["active"] is False
    assert as_("ben", "data", "list")[0] == 1
    assert as_("admin", "group", "leave", "risk", "ben")[0] == 0
    assert as_("admin", "user", "disable", "ben")[0] == 0
    code, refused = as_("ben", "whoami")
    assert (code, refused["code"][:6]) == (1, "MUNI-I")


def test_tokens_are_limited_listed_and_revoked(as_: Muni) -> None:
    """A token of one's own is made with limits, seen without its text, and ended."""
    code, made = as_("scientist", "token", "issue", "--label", "ci", "--days", "3", "--action", "catalog:read")
    assert (code, made["actions"]) == (0, ["catalog:read"])
    listed = as_("scientist", "token", "list")[1]["tokens"]
    assert "ci" in [token["label"] for token in listed]
    assert made["token"] not in json.dumps(listed)
    assert as_("scientist", "token", "revoke", made["id"])[1]["status"] == "revoked"
    assert as_("scientist", "token", "list", "--all")[0] == 1


def test_a_password_signs_in(as_: Muni) -> None:
    """A password is set, and login turns it into a profile that works."""
    typed = "\nlong and private enough 1\nlong and private enough 1\n"
    assert as_("scientist", "user", "password", input=typed)[0] == 0
    code, kept = as_("scientist", "login", "--name", "scientist", "--as", "again", input="long and private enough 1\n")
    assert (code, kept["profile"]) == (0, "again")
    code, me = as_("again", "whoami")
    assert (code, me["name"]) == (0, "scientist")
    assert as_("scientist", "login", "--name", "scientist", input="wrong\n")[0] == 1
    listed = as_("again", "profile", "list")[1]["profiles"]
    assert [one["name"] for one in listed if one["taken"]] == ["again"]
    assert as_("again", "profile", "remove", "again")[0] == 0


def test_projects_are_opened_and_listed(as_: Muni) -> None:
    """A new project is there for those who hold a role in it."""
    assert as_("admin", "project", "add", "pd")[0] == 0
    assert "pd" in [project["name"] for project in as_("admin", "project", "list")[1]["projects"]]
    assert as_("scientist", "data", "list", "--project", "pd")[0] == 1


def test_keys_and_objects(as_: Muni) -> None:
    """Keys are listed, rotated by the one who may, and every object still opens."""
    before = as_("operator", "key", "list")[1]["keys"]
    assert as_("scientist", "key", "rotate")[0] == 1
    assert as_("admin", "key", "rotate")[0] == 0
    after = as_("operator", "key", "list")[1]["keys"]
    assert len(after) == len(before) + 1
    assert as_("operator", "fsck", "--deep", "--everything")[1]["sound"] is True


def test_policies_explain_themselves(as_: Muni) -> None:
    """What is in force is shown, passes its tests, and names who decides."""
    assert any(policy["id"].startswith("role/scientist") for policy in as_("auditor", "policy", "show")[1]["policies"])
    code, report = as_("auditor", "policy", "test")
    assert (code, report["ok"]) == (0, True)
    allowed = as_("auditor", "policy", "explain", "scientist", "execution:TrainModel")[1]
    assert allowed["decision"] == "allow"
    assert any("scientist" in policy for policy in allowed["policies"])
    denied = as_("auditor", "policy", "explain", "validator", "execution:TrainModel")[1]
    assert (denied["decision"], denied["policies"]) == ("deny", [])


def test_a_draft_of_policies_is_tested_before_it_is_published(as_: Muni, tmp_path: Path) -> None:
    """A draft that is no Cedar fails its test and is not published."""
    draft, tests = tmp_path / "draft.cedar", tmp_path / "tests.json"
    draft.write_text("permit nonsense\n")
    tests.write_text("[]")
    assert as_("auditor", "policy", "test", str(draft), "--tests", str(tests))[0] == 1
    assert as_("admin", "policy", "publish", str(draft), "--tests", str(tests))[0] == 1
    tests.write_text('{"not": "a list"}')
    assert as_("auditor", "policy", "test", str(draft), "--tests", str(tests))[1]["code"] == "MUNI-A114"


def test_the_ledger_is_read_verified_and_exported(as_: Muni, tmp_path: Path) -> None:
    """A refusal is found in the ledger, its entry is proven, the whole verifies and is exported with its verifier."""
    code, refused = as_("scientist", "audit", "tail")
    assert (code, refused["code"]) == (1, "MUNI-G403")
    found = as_("auditor", "audit", "search", "--outcome", "denied", "--principal", "User:scientist")[1]["entries"]
    assert refused["facts"]["entry"] in [entry["id"] for entry in found]
    assert as_("auditor", "audit", "verify")[1]["ok"] is True
    proof = as_("auditor", "audit", "show", refused["facts"]["entry"])[1]
    assert proof["entry"]["outcome"] == "denied"
    assert as_("auditor", "policy", "replay", refused["facts"]["entry"])[1]["verdict"] == "same"
    target = tmp_path / "ledger.tar"
    assert as_("auditor", "audit", "export", "-o", str(target))[0] == 0
    with tarfile.open(target) as tar:
        assert any(name.endswith("verify.py") for name in tar.getnames())
    assert as_("scientist", "audit", "checkpoint")[1]["size"] > 0
