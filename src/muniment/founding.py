"""How an installation comes to be, whole or not at all: folders, keys, tables, first people; and how it is upgraded."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sql.migrate import SCHEMA, back_up, check_schema, migrate, schema_of
from muniment.adapters.sql.store import answering, open_engine, sqlite_url
from muniment.bootstrap import SETTINGS, Platform, Settings, open_platform, passphrase_of, settings_of
from muniment.errors import Conflict
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
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home):
        if (home / SETTINGS).exists():
            raise Conflict("MUNI-A301", f"there is an installation in {home} already", home=str(home), do="muni doctor")
        if remains := _remains(home):
            raise Conflict(
                "MUNI-A302",
                f"{home} holds remains of an installation without its settings",
                remains=[path.name for path in remains],
                do="restore muniment.json from a backup; if muni init was interrupted there is none: empty the folder",
            )
        home.chmod(0o700)  # a folder that was there may have been open to others
        name = SystemEntropy().token(8).hex()
        keys = key_file or _configuration_folder() / f"{home.resolve().name or 'home'}-{name}.keys"
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
            for made in _remains(home):
                shutil.rmtree(made) if made.is_dir() else made.unlink()
            raise
        _write_private(home / SETTINGS, msgspec.json.format(msgspec.json.encode(settings), indent=2))
        return Initialised(home, keys, tokens, project)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An installation whose database is of this release now."""

    home: Path
    found: str
    """The schema it had."""

    schema: str
    backup: Path | None
    """Copy of the database as it was; None when nothing had to change, or when the database is not a file."""


def upgrade(home: Path) -> Upgraded:
    """Bring the database of an older release up to date; a SQLite one is copied first. Safe to run again.

    Raises:
        NotFound, Invalid: there is no installation with readable settings.
        Conflict: its database is of a newer release, or somebody else changes the installation now.
        Unavailable: its database does not answer.
    """
    settings = settings_of(home)
    url = settings.database or sqlite_url(home / "state.db")
    with _alone(home):
        engine = open_engine(url)
        try:
            with answering(engine):
                found = schema_of(engine)
            if found is None or found > SCHEMA:
                check_schema(engine)
        finally:
            engine.dispose()
        assert found is not None
        backup = None
        if found < SCHEMA and url.startswith("sqlite"):
            backup = home / f"state.db.before-{SCHEMA}"
            if not backup.exists():  # after an attempt that broke off, the first copy is the one to keep
                back_up(url, backup)
        migrate(url)
        open_platform(home).close()
    return Upgraded(home, found, SCHEMA, backup)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep a second one out, who would take the remains of the first for those of a failure."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "MUNI-A303", f"somebody founds or upgrades an installation in {home} now", home=str(home)
            ) from None
        yield
    finally:
        os.close(folder)


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


def _remains(home: Path) -> list[Path]:
    """What an installation keeps in its home beside its settings, as far as it is there."""
    named = ("state.db", "state.db-wal", "state.db-shm", "ledger", "objects")
    return [home / name for name in named if (home / name).exists()]


def _configuration_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "muniment"


def _write_private(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
