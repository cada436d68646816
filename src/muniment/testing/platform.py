"""A whole platform in a temporary folder: everything real but the clock and the misfortune, which tests choose.

A ``Site`` is an installation on disk. It is founded once and copied for each test, which takes milliseconds; ``open``
gives the platform, and ``People`` asks verbs as whoever is named.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from muniment.adapters.sandbox.prepare import shipped_lock, shipped_wheels
from muniment.bootstrap import VERBS, Parts, Platform, Settings, open_platform
from muniment.founding import initialise
from muniment.gate.door import Credential
from muniment.wire.execution import DefineEnvironment, StoreWheel, WheelName
from muniment.wire.identity import AddProject, AddUser, GrantRole, IssueTokenFor

__all__ = ["OTHER", "PROJECT", "People", "Site", "found", "furnish", "pretend"]

PROJECT: Final = "main"
"""Where the team works: scientist, validator, approver; operator and auditor work everywhere."""

OTHER: Final = "other"
"""Another project, with a scientist of its own, ``outsider``."""

NEWCOMER: Final = "newcomer"
"""A person without any role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An installation on disk, closed."""

    home: Path
    key_file: Path
    tokens: Mapping[str, str]
    """By name of the account."""

    def copy(self, folder: Path, *, database: str = "") -> Site:
        """The same installation elsewhere, on a SQLite of its own or on a database that is a copy of its database.

        Sealed objects are hard links: a test that damages one makes a file of its own in its place.
        """
        home, key_file = folder / "home", folder / "keys" / self.key_file.name
        shutil.copytree(self.home, home, copy_function=_link_objects)
        key_file.parent.mkdir(mode=0o700)
        shutil.copy2(self.key_file, key_file)
        path = home / "muniment.json"
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
        here = msgspec.structs.replace(settings, key_file=str(key_file), database=database)
        path.write_bytes(msgspec.json.encode(here))
        return Site(home=home, key_file=key_file, tokens=self.tokens)

    def open(self, **parts: Any) -> Platform:
        """The platform of this installation, with other ``Parts`` where they are named."""
        return open_platform(self.home, Parts(**parts))


class People:
    """Asks verbs as the person who is named; the verb follows from the type of the request."""

    def __init__(self, platform: Platform, tokens: Mapping[str, str]) -> None:
        self.platform, self.tokens = platform, dict(tokens)

    def ask(self, person: str, request: msgspec.Struct, body: BinaryIO | bytes | None = None) -> Any:
        """What the platform answers."""
        return self.ask_with(self.tokens[person], request, body)

    def ask_with(self, token: str | None, request: msgspec.Struct, body: BinaryIO | bytes | None = None) -> Any:
        """What the platform answers to whoever shows this token."""
        sent = io.BytesIO(body) if isinstance(body, bytes) else body
        return self.platform.gate.invoke(_ACTIONS[type(request)], request, Credential(token), sent)

    def work(self) -> int:
        """Do all waiting runs in this thread; how many there were."""
        done = 0
        while self.platform.worker.run_one():
            done += 1
        return done


def found(folder: Path, *, database: str = "") -> Site:
    """Make an installation with a team, two projects and a job environment in which nothing can run.

    Args:
        folder: where the home and the keys go; created when it is not there.
        database: SQLAlchemy URL of an empty database; SQLite in the home folder without one.
    """
    key_file = folder / "keys" / "site.keys"
    made = initialise(folder / "home", key_file=key_file, database=database, project=PROJECT)
    site = Site(home=folder / "home", key_file=key_file, tokens=made.tokens)
    platform = site.open()
    try:
        people = People(platform, made.tokens)
        people.ask("admin", AddProject(name=OTHER))
        for person in ("outsider", NEWCOMER):
            people.ask("admin", AddUser(name=person))
            people.tokens[person] = people.ask("admin", IssueTokenFor(owner=person)).token
        people.ask("admin", GrantRole(subject="outsider", role="scientist", scope=OTHER))
        pretend(people)
    finally:
        platform.close()
    return Site(home=site.home, key_file=key_file, tokens=people.tokens)


def pretend(people: People) -> None:
    """Define ``tabular`` by a wheel that is none, so that jobs can be submitted, though not run."""
    content = b"not a wheel"
    digest = hashlib.sha256(content).hexdigest()
    kept = people.ask("operator", StoreWheel(filename="nothing-1-py3-none-any.whl"), content)
    wheel = WheelName(filename=kept.filename, digest=kept.digest)
    lock = f"nothing==1 --hash=sha256:{digest}\n"
    people.ask("operator", DefineEnvironment(name="tabular", wheels=[wheel], lock=lock))


def furnish(people: People) -> None:
    """Define the job environment ``tabular`` by the wheels that ship; they come from the cache of this machine.

    Raises:
        Unavailable: some are not there and cannot be fetched.
    """
    wheels = []
    for path in shipped_wheels("tabular"):
        with path.open("rb") as file:
            kept = people.ask("operator", StoreWheel(filename=path.name), file)
        wheels.append(WheelName(filename=kept.filename, digest=kept.digest))
    people.ask("operator", DefineEnvironment(name="tabular", wheels=wheels, lock=shipped_lock("tabular")))


def _link_objects(source: str, target: str) -> None:
    copy = os.link if "/objects/" in source else shutil.copy2
    copy(source, target)


_ACTIONS: Final = {verb.request: verb.action for verb in VERBS}
