"""The ledger: an append-only Merkle log of everything that happened, kept in the same database as the state."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from muniment.errors import Invalid, MunimentError, NotFound, Unavailable
from muniment.kernel.patience import pause_s
from muniment.kernel.ports import Clock, Entropy, Faults, Session, Store
from muniment.ledger.audit import Audit, Report
from muniment.ledger.export import export, members
from muniment.ledger.groupcommit import GroupCommit
from muniment.ledger.model import Checkpoint, Entry, Event, NewEntry, Search
from muniment.ledger.note import check_origin, verifier_key
from muniment.ledger.ports import CheckpointRepository, EntryRepository, Signer, TileStore
from muniment.ledger.proving import ConsistencyProof, InclusionProof, Prover
from muniment.ledger.pulse import Pulse
from muniment.ledger.sequencer import Sequencer

_ATTEMPTS: Final = 12
_MOST: Final = 1000


class Ledger:
    """Takes events, and answers for them.

    A change appends its event to its own transaction; whatever changes nothing is recorded by itself. Both fail closed:
    no entry, no answer.
    """

    def __init__(
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
        self._origin, self._entropy = check_origin(origin), entropy
        self._sequencer = Sequencer(store, tiles, signer, origin, clock, faults)
        self._group = GroupCommit(self._commit)
        self._pulse = Pulse(self._sequencer.run)

    @property
    def origin(self) -> str:
        """The name of this ledger in its checkpoints and the ``source`` of its events."""
        return self._origin

    @property
    def key(self) -> str:
        """The public key as verifiers take it: ``<origin>+<key id>+<base64>``."""
        return verifier_key(self._origin, self._signer.public_key)

    @property
    def ailment(self) -> MunimentError | None:
        """Why the background sequencer failed last; None when it is well."""
        return self._pulse.ailment

    def append(self, session: Session, event: Event) -> None:
        """Add the event to the caller's writing transaction, so that the change and its entry commit together."""
        session.use(EntryRepository).add((event.row(self._origin),))
        self._pulse.count()

    def record(self, event: Event) -> None:
        """Make an event durable by itself: a read, a refusal, a login.

        Raises:
            Unavailable: it could not be written; the caller may not answer.
        """
        self._group.submit(event.row(self._origin))
        self._pulse.count()

    def checkpoint(self) -> Checkpoint:
        """Sequence, sign and publish all that was committed before the call.

        Raises:
            IntegrityError: the database contradicts what was signed before; nothing was signed.
        """
        return self._sequencer.run()

    def start(self, interval: float = 1.0) -> None:
        """Sequence in the background every ``interval`` seconds, or sooner after 1,000 entries."""
        self._pulse.start(interval)

    def stop(self) -> None:
        """End the background sequencing after a last checkpoint."""
        self._pulse.stop()

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
        """The entries that fit, the newest first; at most 1,000."""
        if not 1 <= search.limit <= _MOST:
            raise Invalid("MUNI-L108", f"a limit is from 1 to {_MOST}", limit=search.limit)
        with self._store.read() as session:
            return session.use(EntryRepository).search(search)

    def prove_inclusion(self, index: int, size: int) -> InclusionProof:
        """The proof that the entry of this index is in the published tree of that size."""
        return self._prover().inclusion(index, size)

    def prove_consistency(self, old: int, new: int) -> ConsistencyProof:
        """The proof that the published tree of size ``new`` begins with that of size ``old``."""
        return self._prover().consistency(old, new)

    def verify(self, *, deep: bool = True) -> Report:
        """Compare the database and the files with what was signed; what it finds stands in the report."""
        return Audit(self._store, self._tiles, self._origin, self._signer.public_key).run(deep=deep)

    def export(self) -> Iterator[bytes]:
        """Everything recorded so far as a tar file that ``verify.py`` checks; same checkpoint, same bytes."""
        return export(self._store, self._signer, self.checkpoint())

    def exported(self, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
        """The files of that export by name, as of a checkpoint."""
        return members(self._store, self._signer, checkpoint)

    def _prover(self) -> Prover:
        published = self._sequencer.kept()
        if published is None:
            raise NotFound("MUNI-L203", "the ledger has no checkpoint yet", do="muni audit checkpoint")
        return Prover(self._tiles, published)

    def _commit(self, rows: Sequence[NewEntry]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                with self._store.write() as session:
                    session.use(EntryRepository).add(rows)
                return
            except Unavailable as lost:
                if not lost.facts.get("retry") or attempt == _ATTEMPTS - 1:
                    raise
            threading.Event().wait(pause_s(self._entropy, attempt))
