"""The one place where the platform is put together: settings become adapters, those services, and these a gate."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from muniment.adapters.blob.files import FileBlobs
from muniment.adapters.blob.tiles import FileTiles
from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sandbox import Require, choose_engine
from muniment.adapters.sandbox.archive import program_archive
from muniment.adapters.sandbox.workshop import LocalWorkshop, cache_folder
from muniment.adapters.sql.migrate import check_schema, migrate
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import Repositories, SqlStore, sqlite_url
from muniment.catalog.ports import Checkpoints
from muniment.catalog.service import VERBS as CATALOG
from muniment.data.interpreting import INTERPRETERS as DATA_INTERPRETERS
from muniment.data.service import VERBS as DATA
from muniment.errors import Conflict, Invalid, NotFound
from muniment.execution import auditing, completing, environments, reading, submitting
from muniment.execution.completing import Outcomes
from muniment.execution.environments import Workshop
from muniment.execution.judging import Interpreters
from muniment.execution.ports import Engine
from muniment.execution.submitting import Programs
from muniment.execution.worker import HEARTBEAT_S, Worker
from muniment.execution.worker import ended as run_ended
from muniment.gate.door import Credential, Gate
from muniment.gate.table import VerbTable
from muniment.identity.model import Project
from muniment.identity.ports import ProjectOpened, Projects
from muniment.identity.service import VERBS as IDENTITY
from muniment.identity.service import (
    LastUses,
    PasswordHasher,
    SignInDelays,
    TokenAuthenticator,
    open_bootstrap,
)
from muniment.inventory.interpreting import INTERPRETERS as MODEL_INTERPRETERS
from muniment.inventory.service import VERBS as INVENTORY
from muniment.kernel.digest import Digest
from muniment.kernel.ports import (
    Clock,
    Entropy,
    Faults,
    NoFaults,
    Session,
    SystemClock,
    SystemEntropy,
)
from muniment.kernel.resources import PLATFORM
from muniment.ledger.service import Ledger
from muniment.ledger.verbs import VERBS as LEDGER
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.service import VERBS as POLICY
from muniment.vault.service import VERBS as VAULT
from muniment.vault.service import Vault
from muniment.wire.identity import AddProject, AddUser, Administrators, Bootstrap, GrantRole, IssuedToken, IssueTokenFor

T = TypeVar("T")
_log = logging.getLogger("muniment")

VERBS: Final = VerbTable(
    (
        *CATALOG,
        *DATA,
        *IDENTITY,
        *INVENTORY,
        *LEDGER,
        *POLICY,
        *VAULT,
        *auditing.VERBS,
        *completing.VERBS,
        *environments.VERBS,
        *reading.VERBS,
        *submitting.VERBS,
    )
)
"""Everything that can be asked of the platform."""

TEAM: Final[Mapping[str, str]] = {
    "scientist": "scientist",
    "validator": "validator",
    "approver": "approver",
    "operator": "operator",
    "auditor": "auditor",
}
"""The starter team: profile name -> role."""

SETTINGS: Final = "muniment.json"


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What an installation is told once, in ``HOME/muniment.json``."""

    origin: str
    """Name of the ledger, unique in the world: it stands in every checkpoint."""

    database: str
    """SQLAlchemy URL of the state; empty for SQLite in the home folder."""

    key_file: str
    """Path of the key file, outside the home folder."""

    passphrase: bool = False
    """Whether the key file opens with a passphrase, taken from MUNIMENT_PASSPHRASE_FILE."""

    require: str = "enforced"
    """``enforced``: no job starts without walls. ``none``: without walls jobs run too, and are graded declared."""


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new installation."""

    home: Path
    key_file: Path
    tokens: Mapping[str, str]
    """Token by name of the account; they are kept nowhere else."""

    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a platform is made of; tests and measurements put in others."""

    clock: Clock = field(default_factory=SystemClock)
    entropy: Entropy = field(default_factory=SystemEntropy)
    faults: Faults = field(default_factory=NoFaults)
    repositories: Repositories = field(default_factory=lambda: REPOSITORIES)
    workshop: Workshop | None = None
    """None for the one that builds trees in the cache folder."""

    engine: Engine | None = None
    """None for the one that this machine can have."""


class Platform:
    """An open installation."""

    def __init__(self, home: Path, settings: Settings, parts: Parts | None = None) -> None:
        self.home, self.settings, parts = home, settings, parts or Parts()
        database = settings.database or sqlite_url(home / "state.db")
        self.store = SqlStore(database, parts.repositories, parts.faults)
        try:
            self._assemble(parts)
        except BaseException:
            self.store.close()
            raise

    def _assemble(self, parts: Parts) -> None:
        home, settings = self.home, self.settings
        clock, entropy, faults = parts.clock, parts.entropy, parts.faults
        check_schema(self.store.engine)
        keys = LocalKeys(
            Path(settings.key_file), home=home, passphrase=_passphrase(settings), entropy=entropy, faults=faults
        )
        self.vault = Vault(self.store, FileBlobs(home / "objects", faults), keys, clock, entropy, faults)
        self.ledger = Ledger(
            self.store,
            FileTiles(home / "ledger", _elsewhere(settings)),
            keys.signer("ledger"),
            settings.origin,
            clock,
            entropy,
            faults,
        )
        self.workshop = parts.workshop or LocalWorkshop(cache_folder())
        archive = program_archive()
        programs, outcomes, uses = Programs(archive, Digest.of(archive)), Outcomes(), LastUses()
        self._uses, self._clock = uses, clock
        authorizer = CedarAuthorizer(VERBS, clock)
        services: dict[type[Any], Any] = {
            Checkpoints: _Checkpoints(self.ledger),
            Clock: clock,
            Entropy: entropy,
            Interpreters: Interpreters({**DATA_INTERPRETERS, **MODEL_INTERPRETERS}),
            LastUses: uses,
            Ledger: self.ledger,
            Outcomes: outcomes,
            PasswordHasher: PasswordHasher(entropy),
            Programs: programs,
            ProjectOpened: _OpenProject(self.vault),
            SignInDelays: SignInDelays(),
            Vault: self.vault,
            VerbTable: VERBS,
            Workshop: self.workshop,
            CedarAuthorizer: authorizer,
        }
        authorizer.install(self.store)
        authenticate = TokenAuthenticator(clock, uses)
        self.gate = Gate(VERBS, self.store, self.ledger, self.vault, authenticate, authorizer, services, clock, entropy)
        self.worker = Worker(
            self.gate, self.store, self.vault, self.engine, self.workshop, programs, outcomes, clock, entropy, faults
        )
        self._engine = parts.engine
        self._engine_lock = threading.Lock()

    def engine(self) -> Engine:
        """The engine that runs jobs here, chosen and probed when first needed.

        Raises:
            Unavailable: no engine raises the walls that the settings require; the facts name the fix.
        """
        with self._engine_lock:
            if self._engine is None:
                self._engine = choose_engine(Require(self.settings.require), cache_folder())
            return self._engine

    def transport(self, token: str | None, ip: str = "127.0.0.1") -> InProcess:
        """A way to ask verbs as the owner of a token, in this process."""
        return InProcess(self.gate, Credential(token, ip))

    def work_until(self, run: str, tick: Callable[[], None]) -> None:
        """Work the queue in this process until a run has ended, unless another worker does.

        Args:
            run: the run, ``run:<id>`` or its id.
            tick: called often meanwhile, in the calling thread; an exception from it ends the waiting, and the run goes
                back to the queue.

        Raises:
            Unavailable: the work cannot be done here; the run waits for a worker that can.
        """
        stop, done, wanted = threading.Event(), threading.Event(), run.removeprefix("run:")
        failures: list[Exception] = []

        def work() -> None:
            try:
                while not stop.is_set() and run_ended(self.store, wanted) is None:
                    if not self.worker.run_one(stop):
                        stop.wait(HEARTBEAT_S / 5)
            except Exception as failure:
                failures.append(failure)
            finally:
                done.set()

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        try:
            while not done.wait(0.1):
                tick()
        finally:
            stop.set()
            thread.join()
        for failure in failures:
            raise failure

    def note_uses(self) -> None:
        """Write down when tokens were last used, where that is due."""
        if self._uses.pending():
            with self.store.write() as session:
                self._uses.flush(session, self._clock.now())

    def close(self) -> None:
        """Sign what happened since the last checkpoint, and give back everything."""
        try:
            self.note_uses()
            self.ledger.checkpoint()
        finally:
            self.store.close()


class InProcess:
    """The gate in this process, as the SDK sees it."""

    def __init__(self, gate: Gate, credential: Credential) -> None:
        self._gate, self._credential = gate, credential

    def invoke(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask a verb; the answer is made of the same plain values that come over HTTP."""
        answer = self._gate.invoke(action, request, self._credential, body)
        return msgspec.json.decode(msgspec.json.encode(answer, enc_hook=str), type=reply)

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Ask a verb whose answer is bytes."""
        return iter(self._gate.invoke(action, request, self._credential).chunks)


class _Checkpoints:
    """The ledger's signed state, as the catalog asks for it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def covering(self) -> tuple[int, str]:
        """Size and root of a checkpoint that covers everything committed so far."""
        checkpoint = self._ledger.checkpoint()
        return checkpoint.size, str(checkpoint.root)


class _OpenProject:
    """A new project gets its key in the transaction that makes it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def opened(self, session: Session, project: str) -> None:
        """Make the key."""
        self._vault.create_project_key(session, project)


def open_platform(home: Path, parts: Parts | None = None) -> Platform:
    """Open the installation in a home folder.

    Raises:
        NotFound: there is none.
        Invalid: its settings or its keys are not usable.
        Conflict: its database is of another release.
        Unavailable: its database does not answer.
    """
    path = home / SETTINGS
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        raise NotFound("MUNI-A201", f"there is no installation in {home}", home=str(home), do="muni init") from None
    except (msgspec.DecodeError, msgspec.ValidationError) as broken:
        raise Invalid("MUNI-A101", f"the settings in {path} are not readable: {broken}", path=str(path)) from broken
    return Platform(home, settings, parts)


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
        LocalKeys.create(keys, home=home, passphrase=_passphrase(settings))
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


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep a second founder out, who would take the remains of the first for those of a failure."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("MUNI-A303", f"somebody founds an installation in {home} now", home=str(home)) from None
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


def _elsewhere(settings: Settings) -> Path:
    """Where the ledger's last checkpoint is kept outside the home: beside the keys."""
    return Path(settings.key_file).with_name(f"{settings.origin.rpartition('/')[2]}.checkpoint")


def _passphrase(settings: Settings) -> str | None:
    if not settings.passphrase:
        return None
    named = os.environ.get("MUNIMENT_PASSPHRASE_FILE")
    if not named:
        raise Invalid(
            "MUNI-A102", "the keys open with a passphrase", do="name its file: MUNIMENT_PASSPHRASE_FILE=/path muni …"
        )
    return Path(named).read_text(encoding="utf-8").rstrip("\n")


def _write_private(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
