"""The ledger: an append-only Merkle log of everything that happened, kept in the same database as the state."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.errors import NotFound, Unavailable
from muniment.kernel.ports import Clock, Entropy, Faults, Session, Store
from muniment.ledger.groupcommit import GroupCommit
from muniment.ledger.model import Checkpoint, Entry, Event, NewEntry, Search
from muniment.ledger.note import check_origin
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Signer, TileStore
from muniment.ledger.sequencer import Sequencer

_ATTEMPTS = 5


class Ledger:
    """Takes events, and answers for them.

    A change appends its event to its own transaction; whatever changes nothing is recorded by itself. Both fail
    closed: no entry, no answer.
    """

    def __init__(  # noqa: PLR0917 - the one place that names what a ledger stands on
        self,
        store: Store,
        tiles: TileStore,
        signer: Signer,
        origin: str,
        clock: Clock,
        entropy: Entropy,
        faults: Faults,
    ) -> None:
        self._store, self._tiles, self._signer = store, tiles, signer
        self._origin = check_origin(origin)
        self._entropy = entropy
        self._sequencer = Sequencer(store, tiles, signer, origin, clock, faults)
        self._group = GroupCommit(self._commit)

    @property
    def origin(self) -> str:
        """The name of this ledger in its checkpoints and the ``source`` of its events."""
        return self._origin

    def append(self, session: Session, event: Event) -> None:
        """Add the event to the caller's writing transaction, so that the change and its entry commit together."""
        session.use(EntryRepository).add((event.row(self._origin),))

    def record(self, event: Event) -> None:
        """Make an event durable by itself: a read, a refusal, a login.

        Raises:
            Unavailable: it could not be written; the caller may not answer.
        """
        self._group.submit(event.row(self._origin))

    def checkpoint(self) -> Checkpoint:
        """Sequence, sign and publish all that was committed before the call.

        Raises:
            IntegrityError: the database contradicts what was signed before; nothing was signed.
        """
        return self._sequencer.run()

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that was signed; None before the first."""
        with self._store.read() as session:
            head = session.use(CheckpointRepository).head()
        return head.checkpoint if head else None

    def entry(self, key: str | int) -> Entry:
        """The entry with this id or index; raises NotFound when there is none."""
        with self._store.read() as session:
            found = session.use(EntryRepository).find(key)
        if found is None:
            raise NotFound("MUNI-L201", "the ledger has no such entry", entry=str(key)[:80])
        return found

    def tail(self, n: int) -> list[Entry]:
        """The last n entries, the newest first."""
        return self.search(Search(limit=n))

    def search(self, search: Search) -> list[Entry]:
        """The entries that fit, the newest first."""
        with self._store.read() as session:
            return session.use(EntryRepository).search(search)

    def _commit(self, rows: Sequence[NewEntry]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                with self._store.write() as session:
                    session.use(EntryRepository).add(rows)
                return
            except Unavailable as lost:
                if not lost.facts.get("retry") or attempt == _ATTEMPTS - 1:
                    raise
