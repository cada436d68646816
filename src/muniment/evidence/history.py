"""Looking back: the store as it was at a moment, or at a signed checkpoint, as far as the ledger tells.

A moment names no number of entries by itself: what was recorded by then are the entries whose time is not later. They
are covered by a checkpoint, and that one is named in the answer, so that whoever keeps checkpoints knows which of his
the answer rests on.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from muniment.catalog.ports import Then
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.evidence.past import Past, Told
from muniment.kernel.identifiers import format_time, parse_time
from muniment.kernel.ports import Session, Store
from muniment.ledger.model import Checkpoint, Search
from muniment.ledger.ports import CheckpointRepository, EntryRepository
from muniment.ledger.service import Ledger

__all__ = ["LedgerHistories", "signed"]

_SIZE: Final = re.compile(r"[0-9]{1,16}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_ENTRIES: Final = 1 << 53
_INSTANT: Final = timedelta(microseconds=1)


class LedgerHistories:
    """Tells the past by the ledger of this installation."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger

    def then(self, session: Session, when: str, now: datetime) -> Then:
        """The store at a moment of the past, or at a signed checkpoint by its number of entries; raises as the port."""
        if _SIZE.fullmatch(when.strip()):
            found = signed(session, int(when))
            told = Told(session.use(EntryRepository), found)
            return Then(Past(session, told), told.moment, found.size, found.size, str(found.root))
        moment = _moment(when)
        if moment > now:
            raise Invalid(
                "MUNI-E102",
                "this moment has not come yet, so nobody knows what will be recorded by then",
                given=when[:80],
                now=format_time(now),
                do="leave the moment out for what is recorded now",
            )
        covering = self._ledger.checkpoint()
        with self._store.read() as fresh:
            entries = fresh.use(EntryRepository).search(Search(until=moment + _INSTANT, limit=1))
            index = entries[0].index if entries else None
            if index is None:
                first = next(iter(fresh.use(EntryRepository).bodies(0, 1)), None)
                raise NotFound(
                    "MUNI-E203",
                    "nothing had been recorded by then",
                    given=when[:80],
                    moment=format_time(moment),
                    do="name a later moment" if first else "",
                )
            checkpoints = fresh.use(CheckpointRepository)
            checkpoint = checkpoints.at(index + 1) or checkpoints.next(index + 1, 0) or covering
        told = Told(session.use(EntryRepository), checkpoint, until=moment)
        return Then(Past(session, told), moment, index + 1, checkpoint.size, str(checkpoint.root))


def signed(session: Session, size: int) -> Checkpoint:
    """The checkpoint of exactly this many entries.

    Raises:
        NotFound: the ledger signed none; the facts name the next one.
    """
    checkpoints = session.use(CheckpointRepository)
    found = checkpoints.at(size) if 0 < size < _MOST_ENTRIES else None
    if found is not None:
        return found
    after = checkpoints.next(size, 0) if 0 <= size < _MOST_ENTRIES else None
    head = checkpoints.head()
    raise NotFound(
        "MUNI-E202",
        "the ledger signed no checkpoint of that size",
        size=size,
        next=after.size if after else None,
        newest=head.checkpoint.size if head else 0,
        do="name a size at which one was signed: the size a pack states, or that of a checkpoint that was kept",
    )


def _moment(text: str) -> datetime:
    """A moment; of a day the first one, in UTC."""
    plain = text.strip()
    try:
        return datetime.fromisoformat(plain).replace(tzinfo=UTC) if _DAY.fullmatch(plain) else parse_time(plain)
    except (ValueError, MunimentError) as broken:
        raise Invalid(
            "MUNI-E104",
            f"{text[:40]!r} is no point of the past",
            given=text[:80],
            do="write a moment with a zone (2026-11-01T09:00:00Z), a day, or the number of entries of a checkpoint",
        ) from broken
