"""The worker: leases a run, lets the engine run it, and reports what it saw.

A worker that dies takes its job with it; the lease runs out, and the next worker starts the run again from its plan. What was
sealed but not recorded is swept by ``muni fsck``. Completing is one transaction, so a run is never recorded twice.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import BinaryIO, Final

import msgspec

from muniment.catalog.model import Metric
from muniment.catalog.ports import Entities, Metrics
from muniment.errors import Conflict, Denied, IntegrityError, NotFound, Unavailable
from muniment.execution.completing import Completed, CompleteRun, Leased, LeaseRun, Outcomes
from muniment.execution.environments import Environments, Workshop
from muniment.execution.launching import launch
from muniment.execution.model import MANIFEST, Outcome, Output, Part, ResolvedJob, Run, RunStatus
from muniment.execution.ports import Enforcement, Engine, Exit, ExitStatus, Launch, Usage
from muniment.execution.queue import LogChunk, RunLogs, RunQueue
from muniment.execution.submitting import Programs, files_of
from muniment.gate.door import Gate
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, new_id
from muniment.kernel.ports import Clock, Entropy, Faults, Store
from muniment.kernel.resources import PLATFORM
from muniment.vault.service import Vault

_log = logging.getLogger("muniment.worker")

LEASE: Final = timedelta(seconds=20)
HEARTBEAT_S: Final = 0.5
_FLUSH_BYTES: Final = 64 * 1024
_DOCUMENT_BYTES: Final = 8 << 20
_HEAD_BYTES: Final = 64 * 1024
_MOST_METRICS: Final = 1_000_000
_PRINTED: Final = re.compile(
    rb"^\s*([A-Za-z_][A-Za-z0-9_.:/-]{0,99})\s*=\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$"
)


class _Line(msgspec.Struct):
    """A metric as a job writes it."""

    name: str
    value: float | str
    step: int | None = None


class Worker:
    """Works the queue; several may work the same one, in one process or in many."""

    def __init__(
        self,
        gate: Gate,
        store: Store,
        vault: Vault,
        engine: Callable[[], Engine],
        workshop: Workshop,
        programs: Programs,
        outcomes: Outcomes,
        clock: Clock,
        entropy: Entropy,
        faults: Faults,
    ) -> None:
        self._gate, self._store, self._vault = gate, store, vault
        self._engine, self._workshop, self._programs, self._outcomes = engine, workshop, programs, outcomes
        self._clock, self._faults = clock, faults
        self.name = f"worker-{new_id(clock, entropy)}"

    def run_one(self, stop: threading.Event | None = None) -> bool:
        """Do one waiting run to its end; False when none is waiting.

        Args:
            stop: when set, the running job is abandoned to the next worker: its lease runs out.
        """
        with self._store.read() as session:
            if not session.use(RunQueue).waiting(format_time(self._clock.now())):
                return False
        try:
            leased: Leased = self._gate.invoke_internal(
                "execution:LeaseRun", LeaseRun(owner=self.name, until=self._until()), self.name
            )
        except Conflict:
            return False
        if leased.run is None or leased.project is None:
            return True
        with self._store.read() as session:
            run = session.use(RunQueue).get(leased.project, leased.run)
        assert run is not None
        self._faults.point("worker.leased")
        self._work(run, stop or threading.Event())
        return True

    def serve(self, stop: threading.Event, pause_s: float = 0.2) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            try:
                busy = self.run_one(stop)
            except Unavailable as trouble:
                _log.warning("the worker waits: %s", trouble)
                busy = False
            if not busy:
                stop.wait(pause_s)

    def _work(self, run: Run, stop: threading.Event) -> None:
        with _Lease(self, run, stop) as lease:
            try:
                outcome = self._perform(run, lease)
            except (IntegrityError, NotFound, Denied) as broken:
                outcome = Outcome(_never_ran(self._engine().probe(), f"{broken.code}: {broken.message}"), ())
            if lease.lost or stop.is_set():
                return
            self._faults.point("worker.performed")
            self._outcomes.put(run.id, outcome)
            try:
                request = CompleteRun(project=run.project, run=run.id, owner=self.name, outcome=str(_digest(outcome)))
                ended: Completed = self._gate.invoke_internal("execution:CompleteRun", request, self.name)
                _log.info("run %s ended: %s", run.id, ended.status)
            except Conflict:
                _log.warning("run %s was taken over", run.id)
            finally:
                self._outcomes.drop(run.id)

    def _perform(self, run: Run, lease: _Lease) -> Outcome:
        job = ResolvedJob.parse(run.job)
        prepared = self._prepare(run, job)
        sink = _Sink(self._store, self._vault, self._clock, run)
        lease.beat_with(sink.flush)
        try:
            end = self._engine().run(prepared, sink, lease.cancel)
        finally:
            sink.flush(last=True)
        return Outcome(end, tuple(sink.outputs))

    def _prepare(self, run: Run, job: ResolvedJob) -> Launch:
        with self._store.read() as session:
            environment = session.use(Environments).of_digest(job.env)
            entities = session.use(Entities).find(run.project, job.inputs.values())
            source = job.source and Part("source.tar", job.source, self._vault.size(session, run.project, job.source))
        if environment is None:
            raise NotFound("MUNI-X203", "the job environment of this plan is not known here", env=str(job.env))
        base = self._workshop.base()
        if base.digest != job.base:
            raise IntegrityError(
                "MUNI-X501", "the base root is not the one of the plan", expected=str(job.base), here=str(base.digest)
            )
        channels = {
            channel: [
                Part(f["path"], Digest(f["digest"]), f["size"])
                for f in files_of(entities[digest])
                if job.source is None or f["path"] != MANIFEST  # readers of whole folders expect tables only
            ]
            for channel, digest in job.inputs.items()
        }
        archive = self._programs.archive
        if job.code != self._programs.digest:
            archive = self._vault.read_bytes(run.project, job.code)
        return launch(
            job,
            run.id,
            channels,
            source or None,
            archive,
            base.path,
            self._workshop.tree(environment, lambda wheel: self._vault.stream(PLATFORM, wheel.digest)),
            lambda part: lambda: self._vault.open(run.project, part.digest),  # type: ignore[arg-type,return-value]
        )

    def _until(self) -> str:
        return format_time(self._clock.now() + LEASE)

    def renew(self, run: Run) -> bool | None:
        """Keep the lease of a run alive; answers whether somebody asked to cancel, None when it is lost."""
        with self._store.write() as session:
            return session.use(RunQueue).renew(run.id, self.name, self._until())


class _Lease:
    """Keeps a lease alive from a thread of its own, and turns a wish to cancel, or a lost lease, into a stop."""

    def __init__(self, worker: Worker, run: Run, stop: threading.Event) -> None:
        self._worker, self._run, self._stop = worker, run, stop
        self.cancel, self.lost = threading.Event(), False
        self._done = threading.Event()
        self._flush: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._beat, name=f"lease-{run.id}", daemon=True)

    def __enter__(self) -> _Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def beat_with(self, flush: Callable[[], None]) -> None:
        """Also do this at each beat."""
        self._flush = flush

    def _beat(self) -> None:
        beats = 0
        while not self._done.wait(HEARTBEAT_S):
            beats += 1
            if self._stop.is_set():
                self.cancel.set()
            with suppress(Unavailable):
                self._flush()
                wanted = self._worker.renew(self._run) if beats % 4 == 0 else self._wanted()
                if wanted is None:
                    self.lost = True
                if wanted is None or wanted:
                    self.cancel.set()

    def _wanted(self) -> bool | None:
        with self._worker._store.read() as session:
            run = session.use(RunQueue).get(self._run.project, self._run.id)
        return run.cancel_requested if run is not None and run.owner == self._worker.name else None


class _Sink:
    """Takes a job's traces: logs are sealed piece by piece, metrics stored in batches, outputs sealed as they come."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, run: Run) -> None:
        self._store, self._vault, self._clock, self._run = store, vault, clock, run
        self._lock = threading.RLock()
        self._log, self._offset = bytearray(), 0
        self._metrics: list[Metric] = []
        self._seen = 0
        self._line = b""
        self.outputs: list[Output] = []

    def started(self) -> None:
        """The job was released."""

    def log(self, chunk: bytes) -> None:
        """Keep what the job prints; ``name=value`` on a line of its own is a metric too."""
        with self._lock:
            self._log += chunk
            if self._run.kind == "run":
                *lines, self._line = (self._line + chunk).split(b"\n")
                self._line = self._line[-4096:]
                for line in lines:
                    if found := _PRINTED.match(line):
                        self._keep(found[1].decode(), float(found[2]), 0)
            full = len(self._log) >= _FLUSH_BYTES
        if full:
            self.flush()

    def metric(self, line: bytes) -> None:
        """Keep a metric; a line that is none is dropped."""
        try:
            one = msgspec.json.decode(line, type=_Line)
            value = float(one.value)
        except (msgspec.DecodeError, ValueError):
            return
        with self._lock:
            self._keep(one.name[:200], value, one.step or 0)

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Seal an accepted output; its head, and small documents, are metadata that the platform reads."""
        tap = _Tap(source, size if path.endswith((".json", "failure")) and size <= _DOCUMENT_BYTES else _HEAD_BYTES)
        sealed = self._vault.seal(self._run.project, tap)
        whole = bytes(tap.kept) if len(tap.kept) == sealed.size else None
        self.outputs.append(Output(path, sealed, bytes(tap.kept[:_HEAD_BYTES]), tap.tail, whole))

    def flush(self, *, last: bool = False) -> None:
        """Make durable what came since the last flush."""
        with self._lock:
            if last and self._run.kind == "run" and (found := _PRINTED.match(self._line)):
                self._keep(found[1].decode(), float(found[2]), 0)
            piece, self._log = bytes(self._log), bytearray()
            metrics, self._metrics = self._metrics, []
            if not piece and not metrics:
                return
            sealed = self._vault.seal_bytes(self._run.project, piece) if piece else None
            with self._store.write() as session:
                if sealed is not None:
                    self._vault.register(session, self._run.project, sealed)
                    chunk = LogChunk(self._offset, len(piece), sealed.digest)
                    session.use(RunLogs).append(self._run.id, self._run.attempt, chunk)
                if metrics:
                    session.use(Metrics).append_many(self._run.project, self._run.id, metrics)
            self._offset += len(piece)

    def _keep(self, name: str, value: float, step: int) -> None:
        self._seen += 1
        if self._seen <= _MOST_METRICS:
            self._metrics.append(Metric(name, value, self._clock.now(), step))


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


def _digest(outcome: Outcome) -> Digest:
    return digest_of(
        {
            "status": outcome.exit.status.value,
            "outputs": [{"path": one.path, "digest": str(one.sealed.digest)} for one in outcome.outputs],
        }
    )


def _never_ran(enforcement: Enforcement, reason: str) -> Exit:
    usage = Usage(wall_s=0.0, cpu_s=0.0, max_rss_kb=0, memory_peak_kb=None, staging_s=0.0, output_bytes=0)
    return Exit(ExitStatus.REFUSED, None, None, reason[:300], (), usage, False, enforcement)


def ended(store: Store, run: str) -> RunStatus | None:
    """The status of a run that has ended, or of one that nobody knows; None while it has not ended."""
    with store.read() as session:
        status = session.use(RunQueue).status(run) or RunStatus.LOST
    return status if status.ended else None
