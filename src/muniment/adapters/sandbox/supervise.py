"""Watch over one guard: give it its order, feed the inputs, drain what the job says, and end it on time.

Everything here happens in the thread that called ``Engine.run``; the guard is a process of its own (``launcher.py``),
so a server may run jobs from any of its threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from muniment.adapters.sandbox.cgroups import JobGroups
from muniment.adapters.sandbox.seats import Seat
from muniment.errors import IntegrityError
from muniment.execution.ports import ExitStatus, Input, Launch, Limits, Sink

__all__ = ["Ended", "Order", "Stopped", "Supervision", "close_all", "reachable", "rlimits", "verified"]

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_CHUNK: Final = 1 << 20
_TICK_S: Final = 0.05
_LONGEST_METRIC: Final = 64 << 10
_MOST_METRIC_BYTES: Final = 64 << 20
_MOST_ENGINE_TEXT: Final = 64 << 10
_LAST_WORDS_S: Final = 20.0

Word = str | dict[str, int]
"""A word of a command line; ``{"fd": n}`` and ``{"blob": i}`` become the number of that descriptor in the guard."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a guard is told to start."""

    program: tuple[str, ...]
    options: Sequence[Word]
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    limits: Mapping[str, tuple[int, int]]
    """Resource limits by name: soft and hard."""
    seat: Seat
    groups: JobGroups
    cwd: str = "/"
    options_in_memory: bool = False
    """Pass the options through a memory file, so that no process list shows them."""
    mounts: Sequence[tuple[str, str]] | None = None
    blobs: Sequence[bytes] = ()
    descriptors: Sequence[int] = ()
    """Passed on to the job's engine, besides metrics."""
    gate: tuple[int, int] | None = None
    """A newline to the first says that all walls stand; a byte from the second starts the program, its end stops it.
    For engines that cannot be held themselves."""
    staged: str | None = None
    """A folder of plaintext that the guard removes if the supervisor dies."""
    landlock: Mapping[str, Any] | None = None
    """Folders by right, and which blob is the filter; None starts the program without either."""


class Stopped(Exception):
    """The job is to be killed, or is dead before its time."""

    def __init__(self, status: ExitStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(slots=True)
class Ended:
    """What a guard reported when nothing of its job was left."""

    status: int | None = None
    """As from wait(2); None when nothing was started."""
    cpu_s: float = 0.0
    max_rss_kb: int = 0
    memory_peak_kb: int | None = None
    memory_kills: int = 0
    error: str = ""


class Traces:
    """What a job says, within its bounds: the flood is read, so that the job does not block, and dropped."""

    def __init__(self, limits: Limits, sink: Sink) -> None:
        self._room, self._sink = limits.log_kb << 10, sink
        self._released = False
        self._engine = bytearray()
        self._metric_bytes = 0
        self._part = bytearray()
        self._skipping = False
        self.log_truncated = False
        self.metrics_dropped = 0
        """Metric lines that were too long or too many."""

    @property
    def engine_text(self) -> str:
        """What was written before the release: messages of the engine itself."""
        return self._engine.decode("utf-8", "replace").strip()

    def release(self) -> None:
        """From now on what is written is the job's."""
        self._released = True
        self._sink.started()

    def log(self, chunk: bytes) -> None:
        """Take bytes of standard output and error."""
        if not self._released:
            self._engine.extend(chunk[: _MOST_ENGINE_TEXT - len(self._engine)])
            return
        self.log_truncated |= len(chunk) > self._room
        chunk = chunk[: self._room]
        if chunk:
            self._room -= len(chunk)
            self._sink.log(chunk)

    def metrics(self, chunk: bytes) -> None:
        """Take bytes of the metrics pipe, and pass on whole lines."""
        self._metric_bytes += len(chunk)
        if self._metric_bytes > _MOST_METRIC_BYTES:
            self.metrics_dropped += chunk.count(b"\n")
            return
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = bytes(self._part) + line
            self._part.clear()
            if self._skipping or len(whole) > _LONGEST_METRIC:
                self.metrics_dropped += 1
                self._skipping = False
            elif whole.strip():
                self._sink.metric(whole)
        if len(self._part) + len(rest) > _LONGEST_METRIC:
            self._part.clear()
            self._skipping = True
        elif not self._skipping:
            self._part.extend(rest)


class Supervision:
    """One guard and the pipes to it; a context manager that leaves nothing running."""

    def __init__(self, order: Order, launch: Launch, sink: Sink, cancel: threading.Event) -> None:
        self._cancel, self._groups, self._staged = cancel, order.groups, order.staged
        self.traces = Traces(launch.limits, sink)
        self._report = bytearray()
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, Callable[[bytes], None]] = {}
        self._control = -1
        self._process = self._start(order)

    def __enter__(self) -> Supervision:
        return self

    def __exit__(self, exit_type: object, *_: object) -> None:
        if exit_type is not None:
            self.kill()
            with suppress(Exception):
                self.finish()
        self._tell(b"d")
        os.close(self._control)
        try:
            self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the engine dies with its parent
            self._process.wait()
        finally:
            self._selector.close()
            close_all(list(self._readers))
            self._readers.clear()

    def kill(self) -> None:
        """Tell the guard to kill everything."""
        self._tell(b"k")

    def read_line(self, fd: int, deadline: float) -> bytes:
        """The first line of a descriptor, which stays open: a writer must not meet a closed pipe later.

        Raises:
            Stopped: the engine ended, or the time is up, or somebody cancelled.
        """
        found = bytearray()
        fd = os.dup(fd)
        self._watch(fd, found.extend)
        while b"\n" not in found and fd in self._readers:
            self._check(deadline)
            self._pump()
        if b"\n" not in found:
            raise self.refusal("the engine did not start the job")
        self._unwatch(fd)
        return bytes(found.partition(b"\n")[0])

    def feed(self, fd: int, given: Input, deadline: float) -> None:
        """Decrypt one input into its pipe, checking size and digest; closes the pipe.

        Raises:
            Stopped: it did not verify, or the engine ended, or the time is up, or somebody cancelled.
        """
        os.set_blocking(fd, False)
        with suppress(OSError):  # fewer turns; a user may have used up his share of pipe memory
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _CHUNK)
        try:
            for chunk in verified(given):
                self._write(fd, chunk, deadline)
        finally:
            os.close(fd)

    def drain(self, deadline: float) -> None:
        """Look up between two steps of work in the supervisor itself.

        Raises:
            Stopped: the engine ended, or the time is up, or somebody cancelled.
        """
        self._check(deadline)
        if self._report:
            raise self.refusal("the engine did not start the job")

    def pause(self, deadline: float) -> None:
        """One millisecond of waiting while the engine sets up.

        Raises:
            Stopped: the engine ended, or the time is up, or somebody cancelled.
        """
        self.drain(deadline)
        self._pump(0.001)

    def follow(self, limits: Limits) -> None:
        """Drain the job until its guard reports the end.

        Raises:
            Stopped: the job ran into a bound or was cancelled; it is being killed.
        """
        deadline = time.monotonic() + limits.wall_s
        while not self._ended():
            self._check(deadline, ExitStatus.TIMEOUT, f"ran longer than {limits.wall_s} s")
            if self._groups.memory_kills():
                raise Stopped(ExitStatus.OOM, f"needed more than {limits.memory_mb} MiB of memory")
            self._pump(max(0.0, min(_TICK_S, deadline - time.monotonic())))

    def finish(self) -> Ended:
        """Wait until nothing of the job is left, drain what it still said, and take the guard's report."""
        if not self._report and self._process.poll() is not None:
            self._groups.kill()
            _kill_marked(self._staged)
        deadline = time.monotonic() + _LAST_WORDS_S
        while self._readers and time.monotonic() < deadline:
            self._pump()
        for fd in list(self._readers):
            self._unwatch(fd)
        document = self._document()
        peak = document.get("memory_peak")
        return Ended(
            status=document.get("status"),
            cpu_s=float(document.get("cpu_s", 0.0)),
            max_rss_kb=int(document.get("max_rss_kb", 0)),
            memory_peak_kb=None if peak is None else int(peak) >> 10,
            memory_kills=int(document.get("memory_kills", 0)),
            error=str(document.get("error", "" if document else "the guard of the job died")),
        )

    def _document(self) -> dict[str, Any]:
        try:
            found = json.loads(bytes(self._report))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _start(self, order: Order) -> subprocess.Popen[bytes]:
        report_r, report_w = os.pipe()
        log_r, log_w = os.pipe()
        metrics_r, metrics_w = os.pipe()
        control_r, self._control = os.pipe()
        descriptors = [*order.descriptors, metrics_w]
        hold = [] if order.seat.lock is None else [order.seat.lock]
        document = {
            "program": list(order.program),
            "options": list(order.options),
            "options_fd": order.options_in_memory,
            "argv": list(order.argv),
            "environment": dict(order.environment),
            "cwd": order.cwd,
            "rlimits": dict(order.limits),
            "uid": order.seat.uid,
            "cgroups": list(order.groups.folders),
            "cgroup_version": order.groups.version,
            "mounts": None if order.mounts is None else list(order.mounts),
            "blobs": [len(one) for one in order.blobs],
            "fds": descriptors,
            "metrics": metrics_w,
            "hold": hold,
            "report": report_w,
            "gate": order.gate,
            "staged": order.staged,
            "landlock": None if order.landlock is None else dict(order.landlock),
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER)],
                stdin=control_r,
                stdout=log_w,
                stderr=log_w,
                pass_fds=[*descriptors, *hold, report_w],
                env={},
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            close_all([report_r, log_r, metrics_r, self._control])
            raise
        finally:
            close_all([report_w, log_w, metrics_w, control_r, *order.descriptors])
        self._watch(report_r, self._report.extend)
        self._watch(log_r, self.traces.log)
        self._watch(metrics_r, self.traces.metrics)
        try:
            encoded = json.dumps(document).encode()
            for part in (len(encoded).to_bytes(8, "big"), encoded, *order.blobs):
                view = memoryview(part)
                while view:
                    view = view[os.write(self._control, view[:_CHUNK]) :]
        except BrokenPipeError:
            pass  # the guard died; its silence is noticed by whoever reads from it
        return process

    def _tell(self, word: bytes) -> None:
        with suppress(BrokenPipeError):  # the guard is gone, and with it everything
            os.write(self._control, word)

    def _watch(self, fd: int, take: Callable[[bytes], None]) -> None:
        self._readers[fd] = take
        self._selector.register(fd, selectors.EVENT_READ)

    def _unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)
        del self._readers[fd]
        os.close(fd)

    def _pump(self, timeout: float = _TICK_S) -> None:
        for key, _ in self._selector.select(timeout):
            fd = key.fd
            if fd not in self._readers:
                continue  # the pipe that is being fed
            chunk = os.read(fd, _CHUNK >> 4)
            if chunk:
                self._readers[fd](chunk)
            else:
                self._unwatch(fd)

    def _write(self, fd: int, chunk: bytes, deadline: float) -> None:
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(fd, view) :]
                continue
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise self.refusal("the engine stopped reading its inputs") from None
            self._check(deadline)
            self._selector.register(fd, selectors.EVENT_WRITE)
            try:
                self._pump()
            finally:
                self._selector.unregister(fd)

    def _check(
        self, deadline: float, status: ExitStatus = ExitStatus.REFUSED, reason: str = "setting up took too long"
    ) -> None:
        if self._cancel.is_set():
            raise Stopped(ExitStatus.CANCELLED, "cancelled")
        if time.monotonic() > deadline:
            raise Stopped(status, reason)

    def refusal(self, reason: str) -> Stopped:
        """Why nothing ran, in the engine's own words; give it a moment to say them."""
        deadline = time.monotonic() + 1
        while not self._ended() and time.monotonic() < deadline:
            self._pump()
        self._pump(0)
        error = str(self._document().get("error", ""))
        said = " ".join(part for part in (self.traces.engine_text[-400:], error) if part)
        return Stopped(ExitStatus.REFUSED, f"{reason}: {said}" if said else reason)

    def _ended(self) -> bool:
        return bool(self._report) or self._process.poll() is not None


def rlimits(
    limits: Limits, seat: Seat, groups: JobGroups, *, beside: int, largest: int = 0
) -> dict[str, tuple[int, int]]:
    """The resource limits of a job.

    Args:
        limits: as declared.
        seat: processes are counted by user id; under a shared one, those that run already come on top.
        groups: without one for memory, each process's data is bounded instead: less, but something.
        beside: processes of the engine itself.
        largest: bytes of the largest input; the engine's own copy must fit under the file-size limit.
    """
    size = max(limits.output_mb << 20, largest + 4096)
    found = {
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_CPU": (limits.cpu_s, limits.cpu_s + 2),
        "RLIMIT_FSIZE": (size, size),
        "RLIMIT_NOFILE": (limits.open_files, limits.open_files),
        "RLIMIT_MEMLOCK": (64 << 10, 64 << 10),
        "RLIMIT_MSGQUEUE": (819200, 819200),
    }
    processes = limits.processes + beside + (_processes_of_this_user() if seat.uid is None else 0)
    found["RLIMIT_NPROC"] = (processes, processes)
    if groups.memory is None:
        found["RLIMIT_DATA"] = (limits.memory_mb << 20, limits.memory_mb << 20)
    return found


def _kill_marked(staged: str | None) -> None:
    """Kill what a killed guard left behind where no namespace binds it: each process carries the folder's name."""
    for folder in Path("/proc").iterdir() if staged is not None else ():
        with suppress(OSError):
            if folder.name.isdigit() and str(staged).encode() in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)


def _processes_of_this_user() -> int:
    """Threads that run under this user id now."""
    count = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == os.geteuid():
                count += sum(1 for _ in (folder / "task").iterdir())
        except OSError:
            continue
    return count


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that may be closed already."""
    for fd in descriptors:
        try:
            os.close(fd)
        except OSError:
            continue


def verified(given: Input) -> Iterator[bytes]:
    """The plaintext of an input; whoever read it to the end without an exception read what was declared.

    Raises:
        Stopped: it did not verify.
    """
    total, size = hashlib.sha256(), 0
    try:
        with given.open() as source:
            while chunk := source.read(_CHUNK):
                total.update(chunk)
                size += len(chunk)
                if size > given.size:
                    break
                yield chunk
    except IntegrityError as broken:
        raise Stopped(ExitStatus.REFUSED, f"input {given.path} does not verify: {broken}") from broken
    if size != given.size:
        reason = f"input {given.path} does not verify: its size is not the declared {given.size} bytes"
        raise Stopped(ExitStatus.REFUSED, reason)
    if total.digest() != given.digest.raw:
        raise Stopped(ExitStatus.REFUSED, f"input {given.path} does not verify: its digest is not the declared one")


def reachable(folder: Path) -> bool:
    """Whether every user may pass to this folder and look into it."""
    try:
        path = folder.resolve()
        return all(
            one.stat().st_mode & 0o005 == 0o005 or (one.stat().st_mode & 0o001 and one != path)
            for one in (path, *path.parents)
        )
    except OSError:
        return False
