"""The stage of the story: the platform as each of the people sees it, and what is noted while it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muniment.bootstrap import Platform, open_platform
from muniment.cli.demo.telling import Teller
from muniment.connecting import Profile, write_profile
from muniment.errors import Conflict, Denied, IntegrityError, MunimentError
from muniment.sdk.client import Client
from muniment.wire.identity import AddProject, AddUser, GrantRole, IssuedToken, IssueTokenFor, Project

COLLEAGUE = "risk-officer"
"""A second approver: a model of the highest tier takes two."""


@dataclass(slots=True)
class Told:
    """What the story came to; the answer of ``muni demo --json``."""

    project: str
    dataset: str = ""
    model: str = ""
    model_digest: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    unused: bool = False
    grade: str = ""
    state: str = ""
    refused: list[dict[str, str]] = field(default_factory=list)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    picture: str = ""
    export: str = ""
    pack: str = ""
    key: str = ""


class Stage:
    """One home, one project of its own, and its people."""

    def __init__(self, home: Path, tokens: Mapping[str, str], tell: Teller) -> None:
        self.home, self.tokens, self.tell = home, dict(tokens), tell
        self.platform: Platform = open_platform(home)
        self.told = Told(project=self._open_project("credit-risk"))
        self._invite(COLLEAGUE, "approver")

    def close(self) -> None:
        """Give the platform back."""
        self.platform.close()

    def person(self, name: str, project: str | None = None) -> Client:
        """The platform as a person sees it."""
        return client_of(self.platform, self.tokens[name], project or self.told.project, self.home, name)

    def expect(self, holds: bool, what: str) -> None:
        """Stop the story when reality differs from it."""
        if not holds:
            raise IntegrityError("MUNI-A510", f"the story does not hold: expected that {what}", home=str(self.home))

    def denied(self, what: str, attempt: Callable[[], object]) -> None:
        """Something that must be refused, and is told as such."""
        try:
            attempt()
        except (Denied, Conflict) as refused:
            by_rule = any(str(policy).startswith("core/") for policy in refused.facts.get("policies", ()))
            why = "\n".join(map(str, refused.facts["because"])) if by_rule else refused.message
            self.refused(what, refused.code, why, str(refused.facts.get("entry", "")))
            return
        self.expect(False, f"{what} is refused")

    def refused(self, what: str, code: str, why: str, recorded: str) -> None:
        """Note and tell a refusal."""
        self.told.refused.append({"what": what, "code": code, "why": why, "recorded": recorded})
        self.tell.refusal(what, code, why, recorded)

    def open_project(self, name: str) -> str:
        """Another project, in which nobody has a role."""
        self.person("admin").ask("identity:AddProject", AddProject(name=name), Project)
        return name

    def grant(self, subject: str, role: str) -> None:
        """Let somebody hold a role in the project."""
        request = GrantRole(subject=subject, role=role, scope=self.told.project)
        self.person("admin").ask("identity:GrantRole", request, object)

    def _open_project(self, wanted: str) -> str:
        admin = client_of(self.platform, self.tokens["admin"], wanted, self.home, "admin")
        name, number = wanted, 1
        while True:
            try:
                admin.ask("identity:AddProject", AddProject(name=name), Project)
                break
            except MunimentError as taken:
                if taken.http_status != 409:
                    raise
                number += 1
                name = f"{wanted}-{number}"
        for role in ("scientist", "validator", "approver"):
            admin.ask("identity:GrantRole", GrantRole(subject=role, role=role, scope=name), object)
        return name

    def _invite(self, name: str, role: str) -> None:
        """One more person, with a profile of his own, unless an earlier telling brought him in."""
        if name not in self.tokens:
            admin = self.person("admin")
            admin.ask("identity:AddUser", AddUser(name=name), object)
            token = admin.ask("identity:IssueTokenFor", IssueTokenFor(owner=name), IssuedToken).token
            write_profile(self.home, Profile(name=name, token=token, project=self.told.project))
            self.tokens[name] = token
        self.grant(name, role)


def client_of(platform: Platform, token: str, project: str, home: Path | None = None, name: str = "") -> Client:
    """A person's client in this process; his signing key lies beside his profile."""
    key_file = home / "profiles" / f"{name}.key.pem" if home and name else None
    return Client(platform.transport(token), project=project, worker=platform.work_until, key_file=key_file)
