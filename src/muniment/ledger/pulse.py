"""The background sequencer of a server: a checkpoint at least each interval, and after many entries at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from muniment.errors import MunimentError

EAGER: Final = 1000
"""Entries after which a checkpoint does not wait for the interval."""

_log = logging.getLogger(__name__)


class Pulse:
    """Calls the sequencer from a thread of its own, from ``start`` to ``stop``."""

    def __init__(self, beat: Callable[[], object]) -> None:
        self._beat = beat
        self._pending = 0
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.ailment: MunimentError | None = None
        """Why the last beat failed; None when it did not."""

    def count(self) -> None:
        """Take note of one more entry."""
        self._pending += 1
        if self._pending >= EAGER and self._thread is not None:
            self._wake.set()

    def start(self, interval: float) -> None:
        """Beat every ``interval`` seconds; does nothing when it beats already."""
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, args=(interval,), name="ledger-sequencer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat a last time and end the thread; does nothing when it does not run."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            self._wake.set()
            thread.join()

    def _run(self, interval: float) -> None:
        last = False
        while not last:
            self._wake.wait(interval)
            self._wake.clear()
            last = self._ended.is_set()  # looked at before the beat: what was recorded before the stop is beaten for
            self._pending = 0
            try:
                self._beat()
                self.ailment = None
            except MunimentError as failed:
                self.ailment = failed
                _log.error("%s the ledger could not be sequenced: %s", failed.code, failed.message)
