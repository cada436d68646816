"""Takes what a tracked run wrote into its local file to the server, in order, each record exactly once.

Records are numbered by their lines, and the server keeps up to which number it has them; so whatever was sent but not
answered is sent again, by this process or by another one that finds the file later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from muniment.errors import Conflict, MunimentError, Unavailable
from muniment.sdk.asking import Asking
from muniment.sdk.spool import Spool
from muniment.wire import tracking as wire

__all__ = ["Sender"]

_BATCH: Final = 20_000
"""Measurements in one request: as many as a server takes."""

_BYTES: Final = 700_000
"""Bytes of records in one request; a server takes documents of 1 MiB."""

_PAUSE_S: Final = 0.25
"""So long the sender waits for more, so that single values travel together."""

_RETRY_S: Final = (0.2, 5.0)
"""First and longest pause before a server that does not answer is asked again."""

_MEASURED: Final = b'["m",'
"""So begins the line of a measurement."""

_LOST: Final = "its process ended without a word"


class _Batch(msgspec.Struct, kw_only=True, frozen=True):
    """``wire.LogMetrics`` with measurements that are written already, as the local file has them."""

    project: str
    run: str
    metrics: msgspec.Raw
    writer: str
    seq: int


class Sender:
    """Sends one file; ``work`` in a thread of its own while the run is open, ``drain`` for what is left over."""

    def __init__(self, asking: Asking, spool: Spool) -> None:
        self._asking, self._spool = asking, spool
        self.run: str | None = None
        """Reference of the run, once the server has answered."""
        self.error: MunimentError | None = None
        """Why nothing more is sent: the server refused a record."""
        self.cancel_requested = False
        self.done = threading.Event()
        """The server has given its receipt for the end, or refuses to take more."""
        self.silent = False
        """Whether the server did not answer last time."""
        self._left = False
        self._offset, self._seq = 0, 0
        self._wake = threading.Event()
        self._moved = threading.Condition()

    def wake(self) -> None:
        """There is something that should not wait."""
        self._wake.set()

    def leave(self) -> None:
        """Nobody waits for the receipt any more: the file is removed when it comes, in this process or another."""
        self._left = True
        if self.done.is_set():
            self._tidy()

    def work(self) -> None:
        """Send until the run has ended or the server refuses a record."""
        self._work()
        if self._left:
            self._tidy()

    def _tidy(self) -> None:
        if self.error is None:
            self._spool.remove()
        else:
            self._spool.close()

    def _work(self) -> None:
        pause = _RETRY_S[0]
        while not self.done.is_set():
            try:
                moved = self.push()
                pause, self.silent = _RETRY_S[0], False
            except MunimentError as trouble:
                if not _passes(trouble):
                    self._give_up(trouble)
                    return
                self.silent = True
                self._tell()
                self.done.wait(pause)
                pause = min(pause * 2, _RETRY_S[1])
                continue
            except Exception as broken:  # the client was closed, or the disk fails: the file stays for another process
                self._give_up(
                    Unavailable(
                        "MUNI-A516", "the run is not sent any more", reason=f"{type(broken).__name__}: {broken}"
                    )
                )
                return
            if not moved and not self.done.is_set():
                self._wake.wait(_PAUSE_S)
                self._wake.clear()

    def drain(self) -> None:
        """Send everything that a dead process left, and end its run if it did not say how it ended.

        Raises:
            MunimentError: the server does not answer or refuses a record; the file stays.
        """
        while not self.done.is_set() and self.push():
            pass
        if not self.done.is_set() and self.run is not None:
            request = wire.EndRun(project=self._asking.project, run=self.run, status="failed", message=_LOST)
            self._asking.ask("tracking:EndRun", request, wire.TrackedRun)
            self.done.set()

    def wait_sent(self, size: int, deadline: float) -> bool:
        """Wait until the server has everything up to this size of the file; whether it has."""
        self._wake.set()
        with self._moved:
            while self._offset < size and not self.done.is_set():
                if (left := deadline - time.monotonic()) <= 0:
                    return False
                self._moved.wait(left)
        return self.error is None

    def push(self) -> bool:
        """Send the next records; whether there were any.

        Raises:
            MunimentError: what the server answered, or that it did not.
        """
        if self.run is None:
            self._start()
        content = self._spool.read(self._offset, _BYTES)
        if not content:
            return False
        self._spool.sync()
        for first, lines in _groups(content):
            if not self._send(first, lines) or self.done.is_set():
                break
        return True

    def _start(self) -> None:
        head = msgspec.convert({**self._spool.head, "project": self._asking.project}, wire.StartRun)
        started = self._asking.ask("tracking:StartRun", head, wire.TrackedRun)
        self.run = started.run
        self._tell()

    def _send(self, first: Sequence[Any], lines: Sequence[bytes]) -> bool:
        """Send one batch; False when what follows in the file is not what comes next."""
        try:
            upto = self._ask(first, lines)
        except Conflict as behind:
            # The server has less than this file thinks: it was set back to an older state. Begin again from the start.
            if behind.code != "MUNI-R301":
                raise
            self._offset = self._seq = 0
            return False
        self._offset += sum(map(len, lines))
        self._seq += len(lines)
        ahead = upto is not None and upto > self._seq
        if upto is not None and ahead:
            self._skip(upto)
        self._tell()
        return not ahead

    def _skip(self, upto: int) -> None:
        """Pass over what the server has already."""
        while self._seq < upto and (content := self._spool.read(self._offset, _BYTES)):
            for line in content.splitlines(keepends=True):
                if self._seq == upto:
                    break
                self._offset += len(line)
                self._seq += 1

    def _ask(self, first: Sequence[Any], lines: Sequence[bytes]) -> int | None:
        """Tell the server one batch of measurements, or one record of another kind; up to where it has them now."""
        word, project, run = first[0], self._asking.project, str(self.run)
        here: dict[str, Any] = {
            "project": project,
            "run": run,
            "writer": self._spool.head["key"],
            "seq": self._seq + 1,
        }
        if word == "m":
            return self._logged("tracking:LogMetrics", _Batch(metrics=_written(lines), **here))
        if word == "p":
            return self._logged("tracking:LogParams", wire.LogParams(params=first[1], **here))
        if word == "t":
            return self._logged("tracking:SetTags", wire.SetTags(tags=first[1], **here))
        if word == "i":
            inputs = msgspec.convert(first[1], list[wire.TrackedInput])
            return self._logged("tracking:LogInputs", wire.LogInputs(inputs=inputs, **here))
        if word == "a":
            _, path, file, media = first
            request = wire.LogArtifact(path=path, media_type=media, **here)
            with self._spool.file(file).open("rb") as content:
                reply = self._asking.ask("tracking:LogArtifact", request, wire.Logged, content)
            return reply.upto
        _, status, ended_at, message = first
        end = wire.EndRun(project=project, run=run, status=status, ended_at=ended_at, message=message)
        self._asking.ask("tracking:EndRun", end, wire.TrackedRun)
        self.done.set()
        return None

    def _logged(self, action: str, request: msgspec.Struct) -> int | None:
        reply = self._asking.ask(action, request, wire.Logged)
        self.cancel_requested = self.cancel_requested or reply.cancel_requested
        return reply.upto

    def _give_up(self, trouble: MunimentError) -> None:
        self.error = trouble
        self.done.set()
        self._tell()

    def _tell(self) -> None:
        with self._moved:
            self._moved.notify_all()


def _written(lines: Sequence[bytes]) -> msgspec.Raw:
    """Lines ``["m",NAME,VALUE,STEP,AT]`` as one JSON list of measurements ``[NAME,VALUE,STEP,AT]``.

    Nothing is read for that: no line break and no bare quote stands inside a JSON text.
    """
    block = b"".join(lines)[len(_MEASURED) : -1]
    return msgspec.Raw(b"[[" + block.replace(b"]\n" + _MEASURED, b"],[") + b"]")


def _passes(trouble: MunimentError) -> bool:
    """Whether to ask again later: nobody answered, or the platform failed by itself."""
    return trouble.http_status >= 500


def _groups(content: bytes) -> Iterator[tuple[Sequence[Any], list[bytes]]]:
    """Runs of measurements together, every other record alone; the first of each is read."""
    batch: list[bytes] = []
    for line in content.splitlines(keepends=True):
        if line.startswith(_MEASURED):
            batch.append(line)
            if len(batch) == _BATCH:
                yield ["m"], batch
                batch = []
            continue
        if batch:
            yield ["m"], batch
            batch = []
        yield msgspec.json.decode(line), [line]
    if batch:
        yield ["m"], batch
