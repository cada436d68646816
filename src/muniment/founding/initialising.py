"""Founding an installation: folders, keys, tables, the first people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.migrate import migrate
from muniment.adapters.sql.store import sqlite_url
from muniment.bootstrap import Platform, Settings, passphrase_of
from muniment.founding.folder import configuration_folder, fresh, keep_settings
from muniment.gate.door import Credential
from muniment.identity.model import Project
from muniment.identity.ports import Projects
from muniment.identity.service import open_bootstrap
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.kernel.resources import PLATFORM
from muniment.wire.identity import AddProject, AddUser, Administrators, Bootstrap, GrantRole, IssuedToken, IssueTokenFor

TEAM: Final[Mapping[str, str]] = {
    "scientist": "scientist",
    "validator": "validator",
    "approver": "approver",
    "operator": "operator",
    "auditor": "auditor",
    "steward": "data-steward",
}
"""The starter team: profile name -> role."""


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new installation."""

    home: Path
    key_file: Path
    tokens: Mapping[str, str]
    """Token by name of the account; they are kept nowhere else."""

    project: str


def initialise(
    home: Path,
    *,
    administrators: tuple[str, str] = ("admin", "admin2"),
    team: bool = True,
    project: str = "main",
    database: str = "",
    key_file: Path | None = None,
    passphrase: bool = False,
    require: str = "enforced",
) -> Initialised:
    """Make an installation: folders, keys, tables, and the first two administrators from a one-time secret.

    Args:
        home: folder of the new installation.
        administrators: names of the first two administrators.
        team: whether to add a starter team, one person for each role.
        project: name of the first project.
        database: SQLAlchemy URL; empty for SQLite in the home folder.
        key_file: where the keys go, outside the home folder; None for the user's configuration folder.
        passphrase: whether the keys are encrypted under the passphrase in the file that MUNIMENT_PASSPHRASE_FILE names.
        require: ``enforced`` or ``none``, see Settings.

    Raises:
        Conflict: there is an installation already, or remains of one, or one is being made.
        Invalid: a name, the place of the keys or the passphrase is not usable.
    """
    with fresh(home):
        name = SystemEntropy().token(8).hex()
        keys = key_file or configuration_folder() / f"{home.resolve().name or 'home'}-{name}.keys"
        settings = Settings(
            origin=f"muniment.local/{name}",
            database=database,
            key_file=str(keys),
            passphrase=passphrase,
            require=require,
        )
        LocalKeys.create(keys, home=home, passphrase=passphrase_of(settings))
        try:
            migrate(database or sqlite_url(home / "state.db"))
            platform = Platform(home, settings)
            try:
                tokens = _first_people(platform, administrators, team=team, project=project)
            finally:
                platform.close()
        except BaseException:  # without the first tokens nobody could ever use it
            keys.unlink(missing_ok=True)
            raise
        keep_settings(home, settings)
        return Initialised(home, keys, tokens, project)


def _first_people(platform: Platform, administrators: tuple[str, str], *, team: bool, project: str) -> dict[str, str]:
    clock, entropy = SystemClock(), SystemEntropy()
    with platform.store.write() as session:
        session.use(Projects).add(Project(PLATFORM, clock.now(), "bootstrap"))
        platform.vault.create_project_key(session, PLATFORM)
        secret = open_bootstrap(session, clock, entropy)
    request = Bootstrap(secret=secret, administrators=list(administrators))
    made: Administrators = platform.gate.invoke("identity:Bootstrap", request, Credential(None))
    tokens = {issued.owner: issued.token for issued in made.administrators}
    ask = platform.transport(tokens[administrators[0]])
    ask.invoke("identity:AddProject", AddProject(name=project), object)
    if not team:
        return tokens
    # nobody gives a role to himself: the second administrator does it
    other = platform.transport(tokens[administrators[1]])
    other.invoke("identity:GrantRole", GrantRole(subject=administrators[0], role="key-administrator"), object)
    for person, role in TEAM.items():
        ask.invoke("identity:AddUser", AddUser(name=person), object)
        scope = None if role in ("operator", "auditor") else project
        ask.invoke("identity:GrantRole", GrantRole(subject=person, role=role, scope=scope), object)
        tokens[person] = ask.invoke("identity:IssueTokenFor", IssueTokenFor(owner=person), IssuedToken).token
    return tokens
