"""What the inventory asks of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from muniment.inventory.lifecycle import State
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.digest import Digest


class Records(Protocol):
    """Statements about models and use cases; append-only."""

    def append(self, record: Record) -> None:
        """Keep a record whose id is new."""

    def get(self, project: str, record: str) -> Record | None:
        """The record of this id."""

    def about(self, project: str, subjects: Iterable[str], kind: RecordKind | None = None) -> Sequence[Record]:
        """What was said about these subjects, oldest first; of one kind or of all."""

    def of_kind(self, project: str, kind: RecordKind, limit: int | None = None) -> Sequence[Record]:
        """Records of one kind, newest first; all of them without a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One registered version in one line: what its records come to, for lists and the board.

    A projection: everything in it can be worked out again from the records, and is, whenever one of them is added.
    """

    project: str
    digest: Digest
    name: str
    version: int
    use_case: str | None
    model_kind: str
    """``model``, ``non-model`` or ``eut`` (end-user tool)."""

    origin: str
    """``platform``, ``vendor`` or ``off-platform``."""

    owner: str
    algorithm: str
    supplier: str | None
    tier: int
    """1, the highest, to 4."""

    state: State
    """Of the ordinary steps; see ``state_at``."""

    since: datetime
    """When it came into this state."""

    registered_at: datetime
    approvals: int
    """People who approved the submission that is looked at, or was last."""

    required: int
    """People who must."""

    approved_at: datetime | None
    expires: datetime | None
    """End of the last ordinary approval."""

    emergency_until: datetime | None
    """End of the last emergency approval."""

    next_review: str | None
    """Day of the next review, ``2027-05-01``."""

    findings_high: int
    """Open ones of high severity."""

    findings_open: int

    @property
    def reference(self) -> str:
        """``model:name@version``."""
        return f"model:{self.name}@{self.version}"

    def emergency_at(self, now: datetime) -> bool:
        """Whether an emergency approval makes it usable at this moment."""
        return self.emergency_until is not None and now < self.emergency_until and not self.state.final

    def state_at(self, now: datetime) -> State:
        """The state as people see it: an emergency counts as approved while it lasts."""
        return State.APPROVED if self.emergency_at(now) else self.state

    def expired_at(self, now: datetime) -> bool:
        """Whether its approval has ended."""
        return self.expires is not None and now >= self.expires and not self.emergency_at(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which versions a list shows; None leaves a field open."""

    state: State | None = None
    tier: int | None = None
    use_case: str | None = None
    owner: str | None = None
    origin: str | None = None
    supplier: str | None = None
    emergency: bool | None = None
    overdue: bool | None = None
    """Whether the day of the next review has passed."""

    expired: bool | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many versions share something."""

    what: str
    value: str
    versions: int


class Versions(Protocol):
    """The registered versions, one row each."""

    def put(self, row: VersionRow) -> None:
        """Keep a row in place of the former one of the same digest."""

    def get(self, project: str, digest: Digest) -> VersionRow | None:
        """The row of a version."""

    def find(self, project: str, digests: Iterable[Digest]) -> Mapping[Digest, VersionRow]:
        """Those of these versions that are registered."""

    def listed(self, project: str, wanted: Wanted, now: datetime, limit: int) -> Sequence[VersionRow]:
        """Versions, the newest registration first."""

    def of_use_case(self, project: str, use_case: str) -> Sequence[VersionRow]:
        """Every version that is registered under a use case."""

    def put_inputs(self, project: str, digest: Digest, inputs: Mapping[Digest, str]) -> None:
        """Keep which data and models a version came from, with a name for each, in place of what was kept."""

    def inputs(self, project: str) -> Mapping[Digest, Mapping[Digest, str]]:
        """Which data and models each living version came from, with a name for each."""

    def counts(self, project: str, now: datetime) -> Sequence[tuple[int, str, int]]:
        """How many versions stand where: tier, state as people see it (``expired`` for an ended approval), count."""

    def open_findings(self, project: str) -> Sequence[tuple[str, datetime, date]]:
        """Severity, moment and due day of every finding that is not closed."""

    def ages(self, project: str) -> Sequence[tuple[str, datetime, int]]:
        """State, the oldest moment since when a version is in it, and how many are, of those that are not final."""

    def shared(self, project: str, what: str, limit: int) -> Sequence[Count]:
        """What most versions share, of ``algorithm``, ``supplier``, ``owner``, ``use_case`` or ``input``; rejected and
        retired ones do not count.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The right to sign one statement once, for a few minutes."""

    id: str
    project: str
    model: Digest
    meaning: str
    signer: str
    """Name of the account."""

    key: Digest
    """Fingerprint of the signing key."""

    statement: Digest
    """Digest of the exact bytes to be signed."""

    prepared_at: datetime
    expires: datetime
    spent_at: datetime | None = None


class Challenges(Protocol):
    """Statements that wait for a signature."""

    def add(self, challenge: Challenge) -> None:
        """Keep a new one; those that ended long ago go."""

    def get(self, project: str, challenge: str) -> Challenge | None:
        """The challenge of this id."""

    def spend(self, challenge: str, at: datetime) -> None:
        """Let it never be used again."""
