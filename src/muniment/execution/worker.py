"""The worker: leases a run, lets the engine run it, and reports what it saw.

A worker that dies takes its job with it; the lease runs out, and the next worker starts the run again from its plan.
What was sealed but not recorded is dropped by the worker, or found by ``muni fsck`` when the worker died. Completing is
one transaction, so a run is never recorded twice. Whatever goes wrong with a run ends that run, never the worker.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from muniment.catalog.ports import Entities
from muniment.errors import Conflict, IntegrityError, MunimentError, NotFound, Unavailable
from muniment.execution.bases import Bases, KeepBase
from muniment.execution.completing import ATTEMPTS, Completed, CompleteRun, Leased, LeaseRun, Outcomes
from muniment.execution.contents import parts_of
from muniment.execution.environments import BaseRoot, Environments, Workshop
from muniment.execution.launching import launch
from muniment.execution.model import MANIFEST, SCRIPT, Outcome, Output, Part, ResolvedJob, Run, RunStatus
from muniment.execution.ports import Engine, Exit, ExitStatus, Launch, Usage
from muniment.execution.queue import RunQueue
from muniment.execution.submitting import Programs
from muniment.execution.traces import TraceSink
from muniment.execution.watching import RuleWatch, others_of
from muniment.gate.door import Gate
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time, new_id
from muniment.kernel.ports import Clock, Entropy, Faults, Session, Store
from muniment.kernel.resources import PLATFORM
from muniment.vault.service import Vault
from muniment.wire.vault import DestroyKeys

_log = logging.getLogger("muniment.worker")

LEASE: Final = timedelta(seconds=20)
HEARTBEAT_S: Final = 0.5
PAUSE: Final = timedelta(seconds=5)
"""Before a run is tried again that met an engine that did not answer."""

_BEATS_PER_RENEWAL: Final = 4


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
        admits: Callable[[Session, Run, datetime], None] = lambda session, run, now: None,
    ) -> None:
        self._admits = admits
        self._gate, self._store, self._vault = gate, store, vault
        self._engine, self._workshop, self._programs, self._outcomes = engine, workshop, programs, outcomes
        self._clock, self._entropy, self._faults = clock, entropy, faults
        self._kept_bases: set[Digest] = set()

    def run_one(self, stop: threading.Event | None = None) -> bool:
        """Do one waiting run to its end; False when none is waiting.

        Args:
            stop: when set, the running job is stopped, and the run handed back for the next worker to begin again.

        Raises:
            Unavailable: no engine can run here, or the store does not answer; the run waits.
        """
        self.end_keys()
        with self._store.read() as session:
            if not session.use(RunQueue).waiting(format_time(self._clock.now())):
                return False
        engine = self._engine()
        owner = f"worker-{new_id(self._clock, self._entropy)}"
        try:
            request = LeaseRun(owner=owner, until=self._until())
            leased: Leased = self._gate.invoke_internal("execution:LeaseRun", request, owner)
        except Conflict:
            return False
        if leased.run is None or leased.project is None:
            return True
        with self._store.read() as session:
            run = session.use(RunQueue).get(leased.project, leased.run)
        assert run is not None
        self._faults.point("worker.leased")
        self._work(run, engine, stop or threading.Event())
        self._keep_base(owner)
        return True

    def end_keys(self) -> None:
        """Destroy the keys that an erasure left behind, when it was interrupted before it could."""
        with self._store.read() as session:
            if not self._vault.pending_ends(session):
                return
        self._gate.invoke_internal("vault:DestroyKeys", DestroyKeys(), "worker")

    def serve(self, stop: threading.Event, pause_s: float = 0.2) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            try:
                busy = self.run_one(stop)
            except Unavailable as trouble:
                _log.warning("the worker waits: %s", trouble)
                busy = False
            except Exception:
                _log.exception("a run ended the wrong way")
                busy = False
            if not busy:
                stop.wait(pause_s)

    def _work(self, run: Run, engine: Engine, stop: threading.Event) -> None:
        rules = self._watch(run)
        sink = TraceSink(self._store, self._vault, self._clock, run, self._until, rules)
        with _Lease(self, run, sink, stop) as lease:
            if rules is not None:
                rules.halt = lease.cancel
            try:
                outcome = self._perform(run, engine, sink, lease.cancel)
            except Conflict:
                lease.lost = True
            except Exception as broken:
                if isinstance(broken, Unavailable) and run.attempt < ATTEMPTS:
                    _log.warning("run %s waits: %s", run.id, broken)
                    self._hand_back(run, PAUSE)
                    lease.lost = True
                else:
                    outcome = self._broken(engine, broken, sink)
            if stop.is_set():
                self._hand_back(run)
            elif not lease.lost:
                self._faults.point("worker.performed")
                self._report(run, outcome, lease, stop)
        self._discard(sink.outputs)

    def _watch(self, run: Run) -> RuleWatch | None:
        """What watches a run while it goes on; None for a run without rules."""
        if not run.job.get("rules"):
            return None
        with self._store.read() as session:
            return RuleWatch(run, others_of(session, run), self._clock.now())

    def _perform(self, run: Run, engine: Engine, sink: TraceSink, cancel: threading.Event) -> Outcome:
        end = engine.run(self._prepare(run), sink, cancel)
        sink.close()
        return Outcome(end, tuple(sink.outputs), sink.traces, self._workshop.machine())

    def _prepare(self, run: Run) -> Launch:
        job = ResolvedJob.parse(run.job)
        if job.digest != run.plan:
            raise IntegrityError("MUNI-X503", "the plan of this run was changed after it was made", run=run.id)
        with self._store.read() as session:
            self._admits(session, run, self._clock.now())
            environment = session.use(Environments).of_digest(job.env)
            entities = session.use(Entities).find(run.project, job.inputs.values())
            source = job.source and Part("source.tar", job.source, self._vault.size(session, run.project, job.source))
            secrets = {file: self._vault.lending.secret(session, run.project, key) for file, key in job.keys.items()}
        if environment is None:
            raise NotFound("MUNI-X203", "the job environment of this plan is not known here", env=str(job.env))
        channels = {
            channel: [
                part
                for part in parts_of(entities[digest], lambda manifest: self._vault.read_bytes(run.project, manifest))
                if job.program != SCRIPT or part.path != MANIFEST  # readers of whole folders expect tables only
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
            self._base(job.base).path,
            self._workshop.tree(environment, lambda wheel: self._vault.stream(PLATFORM, wheel.digest)),
            lambda part: lambda: self._vault.open(run.project, part.digest),  # type: ignore[arg-type,return-value]
            secrets,
        )

    def _base(self, wanted: Digest) -> BaseRoot:
        """The base root of a plan: this machine's own, or the one that was kept."""
        here = self._workshop.base()
        if here.digest == wanted:
            return here
        with self._store.read() as session:
            archive = session.use(Bases).archive(wanted)
        if archive is None:
            raise IntegrityError(
                "MUNI-X501", "the base root is not the one of the plan", expected=str(wanted), here=str(here.digest)
            )
        return self._workshop.unpacked_base(wanted, self._vault.stream(PLATFORM, archive))

    def _keep_base(self, owner: str) -> None:
        """Keep the base root that jobs run on here, once; a failure leaves it for the next run."""
        base = self._workshop.base().digest
        if base in self._kept_bases:
            return
        try:
            with self._store.read() as session:
                kept = session.use(Bases).archive(base)
            if kept is None:
                with self._workshop.packed_base() as packed:
                    sealed = self._vault.seal(PLATFORM, packed)
                self._faults.point("worker.base_packed")
                self._gate.invoke_internal("execution:KeepBase", KeepBase(base=str(base)), owner, sealed)
        except (MunimentError, OSError) as trouble:
            _log.warning("the base root %s is not kept yet: %s", base, trouble)
        else:
            self._kept_bases.add(base)

    def _report(self, run: Run, outcome: Outcome, lease: _Lease, stop: threading.Event) -> None:
        """Have the end of a run recorded, however long the store takes to answer, as long as the lease is held."""
        owner = run.owner or ""
        while not lease.lost:
            self._outcomes.put(owner, outcome)
            document = {
                "status": outcome.exit.status.value,
                "outputs": [{"path": one.path, "digest": str(one.sealed.digest)} for one in outcome.outputs],
            }
            request = CompleteRun(project=run.project, run=run.id, owner=owner, outcome=str(digest_of(document)))
            try:
                ended: Completed = self._gate.invoke_internal("execution:CompleteRun", request, owner)
                _log.info("run %s ended: %s", run.id, ended.status)
                break
            except Conflict:
                _log.warning("run %s was taken over", run.id)
                break
            except Unavailable as trouble:
                _log.warning("the end of run %s cannot be recorded yet: %s", run.id, trouble)
                if stop.wait(HEARTBEAT_S):
                    break
            except MunimentError as unrecordable:
                if not outcome.outputs and outcome.exit.status is not ExitStatus.OK:
                    raise
                reason = f"its end could not be recorded: {unrecordable.code}: {unrecordable.message}"
                end = replace(outcome.exit, status=ExitStatus.FAILED, reason=reason[:300])
                outcome = replace(outcome, exit=end, outputs=())
            finally:
                self._outcomes.drop(owner)

    def _broken(self, engine: Engine, broken: Exception, sink: TraceSink) -> Outcome:
        """The outcome of a run that the platform, or a refusal of it, ended."""
        if isinstance(broken, MunimentError):
            reason = f"{broken.code}: {broken.message}"
        else:
            _log.error("a run ended unexpectedly", exc_info=broken)
            reason = f"the platform failed unexpectedly: {type(broken).__name__}"
        status = ExitStatus.FAILED if sink.released else ExitStatus.REFUSED
        usage = Usage(wall_s=0.0, cpu_s=0.0, max_rss_kb=0, memory_peak_kb=None, staging_s=0.0, output_bytes=0)
        return Outcome(Exit(status, None, None, reason[:300], (), usage, False, engine.probe()))

    def _discard(self, outputs: Iterable[Output]) -> None:
        """Drop the outputs that no record names: those of a bad end or a lost lease, and those nobody asked for."""
        for output in outputs:
            with suppress(MunimentError):  # what stays is found by fsck
                self._vault.discard(output.sealed)

    def _hand_back(self, run: Run, pause: timedelta = timedelta()) -> None:
        """Let the next worker take the run, after a pause."""
        with suppress(Unavailable), self._store.write() as session:
            session.use(RunQueue).renew(run.id, run.owner or "", format_time(self._clock.now() + pause))

    def _until(self) -> str:
        return format_time(self._clock.now() + LEASE)

    def renew(self, run: Run) -> bool | None:
        """Keep the lease of a run alive; answers whether somebody asked to cancel, None when it is lost."""
        with self._store.write() as session:
            return session.use(RunQueue).renew(run.id, run.owner or "", self._until())

    def wanted(self, run: Run) -> bool | None:
        """Whether somebody asked to cancel; None when the lease is lost."""
        with self._store.read() as session:
            now = session.use(RunQueue).get(run.project, run.id)
        return now.cancel_requested if now is not None and now.owner == run.owner else None


class _Lease:
    """Keeps a lease alive from a thread of its own, and turns a wish to cancel, or a lost lease, into a stop."""

    def __init__(self, worker: Worker, run: Run, sink: TraceSink, stop: threading.Event) -> None:
        self._worker, self._run, self._sink, self._stop = worker, run, sink, stop
        self.cancel, self.lost = threading.Event(), False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{run.id}", daemon=True)

    def __enter__(self) -> _Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        beats = missed = 0
        while not self._done.wait(HEARTBEAT_S):
            beats += 1
            try:
                self._beat(renewing=beats % _BEATS_PER_RENEWAL == 0)
                missed = 0
            except Unavailable as trouble:
                missed += 1
                once = missed == 1  # that happens whenever others write at the same time
                level = logging.DEBUG if once else logging.WARNING
                _log.log(level, "the lease of run %s cannot be renewed yet: %s", self._run.id, trouble)
            except Conflict:
                self._give_up()
            except Exception:
                _log.exception("the lease of run %s is given up", self._run.id)
                self._give_up()

    def _beat(self, *, renewing: bool) -> None:
        if self._stop.is_set():
            self.cancel.set()
        self._sink.flush()
        wish = self._worker.renew(self._run) if renewing else self._worker.wanted(self._run)
        if wish is None:
            self._give_up()
        elif wish:
            self.cancel.set()

    def _give_up(self) -> None:
        self.lost = True
        self.cancel.set()


def ended(store: Store, run: str) -> RunStatus | None:
    """The status of a run that has ended, or of one that nobody knows; None while it has not ended."""
    with store.read() as session:
        status = session.use(RunQueue).status(run) or RunStatus.LOST
    return status if status.ended else None
