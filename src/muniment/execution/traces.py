"""What a job leaves while it runs, on its way into the vault and the store: logs, metrics, outputs."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Final

import msgspec

from muniment.catalog.model import Metric
from muniment.catalog.ports import Metrics
from muniment.errors import Conflict, MunimentError
from muniment.execution.model import Output, Run, Traces
from muniment.execution.queue import LogChunk, RunLabels, RunLogs, RunQueue
from muniment.execution.watching import RuleWatch
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.ports import Clock, Store
from muniment.vault.service import Vault

_PIECE_BYTES: Final = 1 << 20
_PIECE_METRICS: Final = 10_000
_DOCUMENT_BYTES: Final = 8 << 20
_HEAD_BYTES: Final = 64 * 1024
_LINE_BYTES: Final = 4096
_MOST_METRICS: Final = 1_000_000
_MOST_NAMES: Final = 10_000
_STEP: Final = 2**31
_PRINTED: Final = re.compile(
    rb"[ \t]*([A-Za-z_][A-Za-z0-9_.:/-]{0,99})[ \t]*=[ \t]*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[ \t\r]*"
)
_EVENT: Final = b'"event"'
_MOST_LABELS: Final = 1_000
_LONGEST_LABEL: Final = 8_000
_EXACT: Final = 2**53
_FARTHEST_S: Final = 9e12
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


class _Line(msgspec.Struct):
    """A metric as a job writes it."""

    name: str
    value: float | str
    step: int | None = None
    at: float | None = None


class _Label(msgspec.Struct):
    """A parameter or tag as a job writes it."""

    event: str
    name: str
    value: str | int | float | bool | None = None


class TraceSink:
    """Takes a job's traces: logs are sealed piece by piece, metrics stored in batches, outputs sealed as they come.

    What comes is kept in memory, bounded by the job's own limits, until ``flush``: a store that does not answer for a
    while stops no job. Each piece is stored in a transaction that renews the lease, so that nothing is taken from an
    owner who has lost it.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Clock,
        run: Run,
        until: Callable[[], str],
        rules: RuleWatch | None = None,
    ) -> None:
        self._store, self._vault, self._clock, self._run, self._until = store, vault, clock, run, until
        self._rules = rules
        self._coming, self._flushing = threading.Lock(), threading.Lock()
        self._log, self._offset, self._hash = bytearray(), 0, hashlib.sha256()
        self._metrics: list[Metric] = []
        self._count, self._stored, self._last = 0, 0, dict[str, str]()
        self._line = b""
        self._told: dict[str, dict[str, Any]] = {"params": {}, "tags": {}}
        self._untold = False
        self.outputs: list[Output] = []
        self.released = False

    @property
    def traces(self) -> Traces:
        """All of it, once it is flushed."""
        return Traces(
            log_bytes=self._offset,
            log=Digest.from_bytes(self._hash.digest()),
            metrics=self._count,
            last_metrics=digest_of(self._last),
            labels=digest_of(self._told) if any(self._told.values()) else None,
            rules=() if self._rules is None else self._rules.verdicts(),
            stopped_by="" if self._rules is None else self._rules.stopped_by,
        )

    def started(self) -> None:
        """The job was released."""
        self.released = True

    def log(self, chunk: bytes) -> None:
        """Keep what the job prints; of a user's script ``name=value`` on a line of its own is a metric too."""
        with self._coming:
            self._log += chunk
            *lines, line = (self._line + chunk).split(b"\n")
            self._line = line[-_LINE_BYTES:]
            for each in lines:
                self._read_printed(each)

    def metric(self, line: bytes) -> None:
        """Keep a metric, or show an event to the rules; a line that is neither is dropped."""
        if self._rules is not None and self._rules.takes(line, self._clock.now()):
            return
        try:
            if _EVENT in line:
                self._label(msgspec.json.decode(line, type=_Label))
                return
            one = msgspec.json.decode(line, type=_Line)
            value = float(one.value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        told_us = int(one.at * 1e6) if one.at is not None and abs(one.at) < _FARTHEST_S else None
        with self._coming:
            self._keep(one.name, value, one.step, told_us)

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Seal an accepted output; its head, and small documents, are metadata that the platform reads."""
        tap = _Tap(source, size if path.endswith((".json", "failure")) and size <= _DOCUMENT_BYTES else _HEAD_BYTES)
        sealed = self._vault.seal(self._run.project, tap)
        whole = bytes(tap.kept) if len(tap.kept) == sealed.size else None
        self.outputs.append(Output(path, sealed, bytes(tap.kept[:_HEAD_BYTES]), tap.tail, whole))

    def close(self) -> None:
        """Make durable what is left, the last line included; raises as ``flush`` does."""
        with self._coming:
            self._read_printed(self._line)
            self._line = b""
        self.flush()

    def flush(self) -> None:
        """Make durable what came since the last flush; what cannot be stored now stays for the next.

        Raises:
            Conflict: the lease is lost.
            Unavailable: the store did not answer.
        """
        if self._rules is not None:
            self._rules.tick(self._clock.now())
        with self._flushing:
            while True:
                with self._coming:
                    piece, metrics = bytes(self._log[:_PIECE_BYTES]), self._metrics[:_PIECE_METRICS]
                    labels = {kind: dict(told) for kind, told in self._told.items()} if self._untold else {}
                    self._untold = False
                if not piece and not metrics and not labels:
                    return
                try:
                    self._keep_piece(piece, metrics, labels)
                except Exception:
                    self._untold = self._untold or bool(labels)
                    raise
                with self._coming:
                    del self._log[: len(piece)], self._metrics[: len(metrics)]
                self._hash.update(piece)
                self._offset += len(piece)
                self._stored += len(metrics)

    def _keep_piece(self, piece: bytes, metrics: Sequence[Metric], labels: Mapping[str, Mapping[str, Any]]) -> None:
        run, project = self._run, self._run.project
        sealed = self._vault.seal_bytes(project, piece) if piece else None
        try:
            with self._store.write() as session:
                if session.use(RunQueue).renew(run.id, run.owner or "", self._until()) is None:
                    raise Conflict("MUNI-X302", "this worker does not hold the run any more", run=run.id)
                if sealed is not None:
                    self._vault.register(session, project, sealed)
                    chunk = LogChunk(self._offset, len(piece), sealed.digest)
                    session.use(RunLogs).append(run.id, run.attempt, chunk)
                if metrics:
                    session.use(Metrics).append_many(project, run.id, metrics, self._stored)
                if labels:
                    kept = session.use(RunLabels)
                    known = kept.params_of(project, [run.id]).get(run.id, {})
                    kept.params(project, run.id, {n: v for n, v in labels["params"].items() if n not in known})
                    kept.tags(project, run.id, labels["tags"])
        except Exception:
            if sealed is not None:
                with suppress(MunimentError):  # what stays is found by fsck
                    self._vault.discard(sealed)
            raise

    def _label(self, one: _Label) -> None:
        """Keep a parameter, whose first word stays, or a tag, whose last does; what is neither is dropped."""
        kind = {"param": "params", "tag": "tags"}.get(one.event)
        reserved = one.event == "tag" and one.name.startswith("muniment.")
        if kind is None or reserved or not _NAME.fullmatch(one.name) or "\0" in str(one.value):
            return
        with self._coming:
            told = self._told[kind]
            fits = len(str(one.value)) <= _LONGEST_LABEL and (one.name in told or len(told) < _MOST_LABELS)
            given = kind == "params" and (one.name in told or one.name in self._run.job["params"])
            if not fits or given:
                return
            value = one.value if kind == "params" or one.value is None else str(one.value)
            if isinstance(value, int) and abs(value) > _EXACT:
                value = str(value)
            told[one.name] = value
            self._untold = True

    def _read_printed(self, line: bytes) -> None:
        if self._run.job["kind"] == "run" and (found := _PRINTED.fullmatch(line)):
            self._keep(found[1].decode(), float(found[2]), None, None)

    def _keep(self, name: str, value: float, step: int | None, told_us: int | None) -> None:
        known = name in self._last or len(self._last) < _MOST_NAMES
        if _NAME.fullmatch(name) and known and abs(step or 0) < _STEP and self._count < _MOST_METRICS:
            self._count += 1
            self._last[name] = repr(value)
            now = self._clock.now()
            self._metrics.append(Metric(name, value, now, step or 0, told_us))
            if self._rules is not None:
                self._rules.metric(name, value, step, now)


class _Tap:
    """Passes a stream on and keeps its beginning and its end."""

    def __init__(self, source: BinaryIO, keep: int) -> None:
        self._source, self._keep = source, keep
        self.kept = bytearray()
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        piece = self._source.read(size)
        if len(self.kept) < self._keep:
            self.kept += piece[: self._keep - len(self.kept)]
        if piece:
            self.tail = (self.tail + piece)[-_HEAD_BYTES:]
        return piece
