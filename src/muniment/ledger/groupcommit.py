"""Group commit: callers who record at the same moment share one transaction, and each returns only when it is durable.

There is no thread of its own. The first caller leads: it commits what has queued up and hands the lead to one of
those who queued meanwhile. A caller alone commits at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from muniment.errors import Unavailable
from muniment.ledger.model import NewEntry


class _Ticket:
    __slots__ = ("done", "error", "leads", "row", "wake")

    def __init__(self, row: NewEntry) -> None:
        self.row = row
        self.done = False
        self.leads = False
        self.error: BaseException | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class GroupCommit:
    """Turns single entries into few transactions."""

    def __init__(self, commit: Callable[[Sequence[NewEntry]], None], largest: int = 1024) -> None:
        """``commit`` makes a batch durable, or raises and leaves nothing; ``largest`` bounds a batch."""
        self._commit, self._largest = commit, largest
        self._mutex = threading.Lock()
        self._queue: list[_Ticket] = []
        self._busy = False

    def submit(self, row: NewEntry) -> None:
        """Make the entry durable.

        Raises:
            Unavailable: it could not be written; nothing of it remains.
        """
        ticket = _Ticket(row)
        with self._mutex:
            self._queue.append(ticket)
            if not self._busy:
                self._busy = ticket.leads = True
        if not ticket.leads:
            try:
                ticket.wake.acquire()
            except BaseException:
                self._abandon(ticket)
                raise
        if ticket.leads:
            self._lead()
        if ticket.error is not None:
            _refuse(ticket.error)

    def _lead(self) -> None:
        with self._mutex:
            batch, self._queue = self._queue[: self._largest], self._queue[self._largest :]
        error: BaseException | None = None
        try:
            self._commit([ticket.row for ticket in batch])
        except Exception as broken:
            error = broken
        except BaseException as ended:
            error = ended
            raise
        finally:
            self._hand_over()
            for ticket in batch:
                ticket.error = error
                ticket.done = True
                if not ticket.leads:
                    ticket.wake.release()

    def _hand_over(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake.release()
            else:
                self._busy = False

    def _abandon(self, ticket: _Ticket) -> None:
        """The waiting thread was interrupted: withdraw its entry if it is not on its way yet, and pass on the lead."""
        with self._mutex:
            if ticket in self._queue:
                self._queue.remove(ticket)
            leads = ticket.leads
        if leads and not ticket.done:
            self._hand_over()


def _refuse(error: BaseException) -> NoReturn:
    if isinstance(error, Unavailable):
        raise error
    raise Unavailable(
        "MUNI-L510",
        "the ledger could not be written, so nothing may be answered",
        reason=f"{type(error).__name__}: {error}"[:300],
        do="check the disk and the database: muni doctor",
    ) from error
