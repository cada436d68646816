"""The one place where the platform is put together: settings become adapters, those services, and these a gate."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from muniment.adapters.blob.files import FileBlobs
from muniment.adapters.blob.tiles import FileTiles
from muniment.adapters.kms.local import LocalKeys
from muniment.adapters.sandbox import Require, choose_engine
from muniment.adapters.sandbox.archive import program_archive
from muniment.adapters.sandbox.workshop import LocalWorkshop, cache_folder
from muniment.adapters.sql.migrate import check_schema
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import Repositories, SqlStore, sqlite_url
from muniment.adapters.typeset.typst_pages import TypstPages
from muniment.adapters.witness.client import HttpWitnesses
from muniment.catalog.ports import Checkpoints, Histories
from muniment.catalog.service import VERBS as CATALOG
from muniment.data.assessing import VERBS as ASSESSMENTS
from muniment.data.features import online as features_online
from muniment.data.features import service as features
from muniment.data.features.interpreting import INTERPRETERS as FEATURE_INTERPRETERS
from muniment.data.interpreting import INTERPRETERS as DATA_INTERPRETERS
from muniment.data.rows.interpreting import INTERPRETERS as ROW_INTERPRETERS
from muniment.data.rows.service import VERBS as ROWS
from muniment.data.service import VERBS as DATA
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.evidence import assets, briefing, changing, erasures, exporting, supervising
from muniment.evidence import environments as environment_bills
from muniment.evidence import tracing as lineage_formats
from muniment.evidence.exporting import Exporter
from muniment.evidence.history import LedgerHistories
from muniment.evidence.ports import Typesetter
from muniment.evidence.service import VERBS as EVIDENCE
from muniment.evidence.service import Packs
from muniment.execution import (
    aligning,
    auditing,
    bases,
    comparing,
    completing,
    environments,
    indexes,
    reading,
    submitting,
)
from muniment.execution.admission import Admission, DataUse
from muniment.execution.auditing import Ends
from muniment.execution.completing import Outcomes
from muniment.execution.environments import Workshop
from muniment.execution.judging import Interpreters
from muniment.execution.ports import Engine
from muniment.execution.submitting import Programs
from muniment.execution.worker import HEARTBEAT_S, Worker
from muniment.execution.worker import ended as run_ended
from muniment.gate.door import Credential, Gate
from muniment.gate.table import VerbTable
from muniment.identity.ports import ProjectOpened
from muniment.identity.service import VERBS as IDENTITY
from muniment.identity.service import (
    LastUses,
    PasswordHasher,
    SignInDelays,
    TokenAuthenticator,
)
from muniment.inventory import auditing as inventory_auditing
from muniment.inventory import board, framing, registering, signing, tiers
from muniment.inventory.admission import UseCaseAdmission
from muniment.inventory.approval import approving, promoting
from muniment.inventory.interpreting import INTERPRETERS as MODEL_INTERPRETERS
from muniment.inventory.oversight import (
    assessing,
    challenge,
    changes,
    examining,
    findings,
    gates,
    governing,
    instructing,
    reviews,
    risking,
)
from muniment.inventory.service import VERBS as INVENTORY
from muniment.kernel.ports import (
    Clock,
    Entropy,
    Faults,
    NoFaults,
    Session,
    SystemClock,
    SystemEntropy,
)
from muniment.ledger.ports import Signer
from muniment.ledger.service import Ledger
from muniment.ledger.verbs import VERBS as LEDGER
from muniment.ledger.witness_verbs import VERBS as WITNESSES
from muniment.ledger.witnessing import Witnesses
from muniment.policy.authorizer import CedarAuthorizer
from muniment.policy.service import VERBS as POLICY
from muniment.search.service import VERBS as SEARCH
from muniment.stewardship import erasing, granting, holding, reviewing, setting, using
from muniment.stewardship.guarding import RetentionPolicy, StewardedGuards
from muniment.stewardship.interpreting import INTERPRETERS as STEWARDSHIP_INTERPRETERS
from muniment.stewardship.using import StewardedUse
from muniment.tracking import finding, grouping, logged_models, registry, showing, telling
from muniment.tracking.auditing import ENDS
from muniment.tuning.interpreting import INTERPRETERS as TUNING_INTERPRETERS
from muniment.tuning.service import VERBS as TUNING
from muniment.validation.interpreting import INTERPRETERS as VALIDATION_INTERPRETERS
from muniment.validation.service import VERBS as VALIDATION
from muniment.vault.service import VERBS as VAULT
from muniment.vault.service import Vault

T = TypeVar("T")
_log = logging.getLogger("muniment")

VERBS: Final = VerbTable(
    (
        *CATALOG,
        *DATA,
        *ASSESSMENTS,
        *ROWS,
        *EVIDENCE,
        *IDENTITY,
        *INVENTORY,
        *LEDGER,
        *POLICY,
        *SEARCH,
        *TUNING,
        *VALIDATION,
        *VAULT,
        *WITNESSES,
        *approving.VERBS,
        *assessing.VERBS,
        *assets.VERBS,
        *aligning.VERBS,
        *auditing.VERBS,
        *bases.VERBS,
        *inventory_auditing.VERBS,
        *board.VERBS,
        *briefing.VERBS,
        *challenge.VERBS,
        *changes.VERBS,
        *changing.VERBS,
        *comparing.VERBS,
        *completing.VERBS,
        *environments.VERBS,
        *environment_bills.VERBS,
        *indexes.VERBS,
        *examining.VERBS,
        *features.VERBS,
        *features_online.VERBS,
        *exporting.VERBS,
        *erasures.VERBS,
        *findings.VERBS,
        *framing.VERBS,
        *gates.VERBS,
        *governing.VERBS,
        *instructing.VERBS,
        *promoting.VERBS,
        *reading.VERBS,
        *registering.VERBS,
        *reviews.VERBS,
        *risking.VERBS,
        *showing.VERBS,
        *signing.VERBS,
        *submitting.VERBS,
        *supervising.VERBS,
        *lineage_formats.VERBS,
        *telling.VERBS,
        *tiers.VERBS,
        *finding.VERBS,
        *grouping.VERBS,
        *logged_models.VERBS,
        *registry.VERBS,
        *using.VERBS,
        *setting.VERBS,
        *granting.VERBS,
        *holding.VERBS,
        *erasing.VERBS,
        *reviewing.VERBS,
    )
)
"""Everything that can be asked of the platform."""

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

    evidence_years: int = 10
    """Years for which models, proofs, reports and metrics cannot be destroyed, from the day they were recorded."""

    upload_limit_gib: int = 64
    """GiB that one body may have which comes over HTTP."""


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
            Path(settings.key_file), home=home, passphrase=passphrase_of(settings), entropy=entropy, faults=faults
        )
        guards = StewardedGuards(RetentionPolicy(years=settings.evidence_years))
        blobs = FileBlobs(home / "objects", faults)
        self.vault = Vault(self.store, blobs, keys, clock, entropy, faults, guards)
        signer = keys.signer("ledger")
        self.ledger = Ledger(
            self.store,
            FileTiles(home / "ledger", _elsewhere(settings)),
            signer,
            settings.origin,
            clock,
            entropy,
            faults,
        )
        self.witnesses = Witnesses(self.store, self.ledger, HttpWitnesses(), clock, entropy)
        self.workshop = parts.workshop or _workshop_at(cache_folder())
        programs, outcomes, uses = Programs(program_archive), Outcomes(), LastUses()
        self._uses, self._clock = uses, clock
        authorizer = CedarAuthorizer(VERBS, clock)
        data_use = StewardedUse(authorizer)
        services: dict[type[Any], Any] = {
            Admission: UseCaseAdmission(),
            Checkpoints: _Checkpoints(self.ledger),
            DataUse: data_use,
            StewardedUse: data_use,
            Clock: clock,
            Ends: ENDS,
            Entropy: entropy,
            Exporter: Exporter(self.store, self.vault, self.ledger, signer),
            Histories: LedgerHistories(self.store, self.ledger),
            Interpreters: Interpreters(
                {
                    **DATA_INTERPRETERS,
                    **FEATURE_INTERPRETERS,
                    **ROW_INTERPRETERS,
                    **MODEL_INTERPRETERS,
                    **TUNING_INTERPRETERS,
                    **VALIDATION_INTERPRETERS,
                    **STEWARDSHIP_INTERPRETERS,
                }
            ),
            LastUses: uses,
            Ledger: self.ledger,
            Outcomes: outcomes,
            Packs: Packs(self.store, self.ledger, self.witnesses, signer, keys.model_signer("models"), TypstPages()),
            PasswordHasher: PasswordHasher(entropy),
            Programs: programs,
            ProjectOpened: _OpenProject(self.vault),
            SignInDelays: SignInDelays(),
            Signer: signer,
            Vault: self.vault,
            Typesetter: TypstPages(),
            VerbTable: VERBS,
            Witnesses: self.witnesses,
            Workshop: self.workshop,
            CedarAuthorizer: authorizer,
        }
        authorizer.install(self.store)
        authenticate = TokenAuthenticator(clock, uses)
        self.gate = Gate(VERBS, self.store, self.ledger, self.vault, authenticate, authorizer, services, clock, entropy)
        self.worker = Worker(
            self.gate,
            self.store,
            self.vault,
            self.engine,
            self.workshop,
            programs,
            outcomes,
            clock,
            entropy,
            faults,
            data_use.still,
        )
        try:
            self.worker.end_keys()  # an erasure that was interrupted is brought to its end
        except MunimentError as trouble:
            _log.warning("keys that shall be destroyed are still there: %s", trouble)
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


@cache
def _workshop_at(folder: Path) -> LocalWorkshop:
    """The one workshop of this process for a cache folder: what it hashed once it knows by its marks thereafter."""
    return LocalWorkshop(folder)


def open_platform(home: Path, parts: Parts | None = None) -> Platform:
    """Open the installation in a home folder.

    Raises:
        NotFound: there is none.
        Invalid: its settings or its keys are not usable.
        Conflict: its database is of another release.
        Unavailable: its database does not answer.
    """
    return Platform(home, settings_of(home), parts)


def settings_of(home: Path) -> Settings:
    """What the installation in a home folder was told.

    Raises:
        NotFound: there is none.
        Invalid: its settings are not readable.
    """
    path = home / SETTINGS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        raise NotFound("MUNI-A201", f"there is no installation in {home}", home=str(home), do="muni init") from None
    except (msgspec.DecodeError, msgspec.ValidationError) as broken:
        raise Invalid("MUNI-A101", f"the settings in {path} are not readable: {broken}", path=str(path)) from broken


def _elsewhere(settings: Settings) -> Path:
    """Where the ledger's last checkpoint is kept outside the home: beside the keys."""
    return Path(settings.key_file).with_name(f"{settings.origin.rpartition('/')[2]}.checkpoint")


def passphrase_of(settings: Settings) -> str | None:
    """The passphrase that opens the key file; None when it opens without one."""
    if not settings.passphrase:
        return None
    named = os.environ.get("MUNIMENT_PASSPHRASE_FILE")
    if not named:
        raise Invalid(
            "MUNI-A102", "the keys open with a passphrase", do="name its file: MUNIMENT_PASSPHRASE_FILE=/path muni …"
        )
    return Path(named).read_text(encoding="utf-8").rstrip("\n")
