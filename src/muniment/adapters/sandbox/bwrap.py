"""The engine ``bwrap``: bubblewrap with our own system-call filter, one host user id per job, and a handshake.

The job starts only when every wall stands and every input verified; until then the engine is held. The order of events:

1. a guard (``launcher.py``) starts bubblewrap, which raises the namespaces and says which process is inside;
2. the inputs are decrypted into its pipes, in the order of its arguments, and their digests compared. A pipe that
   closes early is no error to bubblewrap, so nothing but this comparison stands between a job and half an input;
3. a symbolic link with a random name appears inside when all is mounted; the results folder is then opened and held;
4. one byte releases the job;
5. when the last process is gone the results are collected through the held descriptor.

Source: bwrap(1) 0.8; user_namespaces(7); design/reference/hermetic-jobs.md, sections 1 and 5.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import shutil
import stat
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.adapters.sandbox import seccomp
from muniment.adapters.sandbox.cgroups import JobGroups, make_groups
from muniment.adapters.sandbox.collector import Collected, collect
from muniment.adapters.sandbox.seats import Seat, take_seat
from muniment.adapters.sandbox.supervise import Ended, Order, Stopped, Supervision, Word, close_all, rlimits, signal_of
from muniment.errors import Unavailable
from muniment.execution.ports import (
    METRICS_FD,
    ROOT,
    Enforcement,
    Exit,
    ExitStatus,
    Launch,
    Limits,
    Refusal,
    Sink,
    Strength,
    Usage,
)
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest

__all__ = ["Bubblewrap"]

_UID_INSIDE: Final = "1000"
_ENGINE_PROCESSES: Final = 4
"""Processes that the engine itself counts for under the job's user id."""
_SETUP_S: Final = 30.0
_STAGING_BYTES_PER_S: Final = 10 << 20
"""Slower than any disk in use; staging that is slower still is stuck."""

_ETC: Final = (
    ("/etc/passwd", b"job:x:1000:1000:job:/opt/ml/output:/usr/sbin/nologin\n"),
    ("/etc/group", b"job:x:1000:\n"),
    ("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/hosts", b"127.0.0.1 localhost job\n"),
)


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls to raise. Tests and canaries leave one out to show that it is the one that holds."""

    filter: bool = True
    proc: bool = True
    """Mount /proc; nested containers with a masked /proc cannot."""
    remount_proc: bool = True
    arguments_in_memory: bool = True


class Bubblewrap:
    """Runs jobs in bubblewrap."""

    name: Final = "bwrap"

    def __init__(self, cache: Path, walls: Walls = Walls()) -> None:
        """Look for the program; raises Unavailable when it is not installed.

        Args:
            cache: folder for the canary report.
            walls: all of them, except in tests.
        """
        self._cache, self._walls = cache, walls
        self._program = _find()
        self.version = subprocess.run(
            [self._program, "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()

    def run(self, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Run one job to its end and collect its results; nothing of it is left running afterwards."""
        return self.run_with(self.probe(), launch, sink, cancel)

    def run_with(self, enforcement: Enforcement, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Run one job, stating this enforcement in its exit; the canaries use it before there is one."""
        began = time.monotonic()
        limits, released, stopped, results = launch.limits, None, None, Collected()
        with ExitStack() as stack:
            seat = stack.enter_context(take_seat())
            staged = sum(one.size for one in launch.inputs) + sum(len(one.content) for one in launch.files)
            groups = make_groups((limits.memory_mb << 20) + staged, limits.processes + _ENGINE_PROCESSES)
            stack.callback(groups.remove)
            handshake = _Handshake(launch)
            stack.callback(handshake.close)
            watch = stack.enter_context(Supervision(self._order(launch, seat, groups, handshake), launch, sink, cancel))
            try:
                handshake.complete(watch)
                watch.release()
                released = time.monotonic()
                handshake.release()
                watch.follow(limits)
            except Stopped as decision:
                stopped = decision
            except BaseException:
                watch.kill()
                watch.finish()
                raise
            if stopped is not None:
                watch.kill()
            ended = watch.finish()
            finished = time.monotonic()
            if released is not None and not ended.error:
                results = collect(handshake.results, limits, sink.output)
        status, code, number, reason = _verdict(ended, stopped, released is not None, results, limits)
        refused = list(results.listed())
        if watch.metrics_dropped:
            refused.append(Refusal("metrics", f"{watch.metrics_dropped} lines were too long or too many"))
        return Exit(
            status=status,
            exit_code=code,
            signal=number,
            reason=reason,
            refused=tuple(refused),
            usage=Usage(
                wall_s=0.0 if released is None else finished - released,
                cpu_s=ended.cpu_s,
                max_rss_kb=ended.max_rss_kb,
                memory_peak_kb=ended.memory_peak_kb,
                staging_s=(released or finished) - began,
                output_bytes=results.size,
            ),
            log_truncated=watch.log_truncated,
            enforcement=enforcement,
        )

    def probe(self) -> Enforcement:
        """Attack the walls with canaries and say what was reached."""
        report = canonical({"canaries": "not run"})
        weak = Strength.NOT_ENFORCED
        kernel = f"{platform.release()} {platform.machine()}"
        return Enforcement(
            self.name, self.version, kernel, weak, weak, weak, weak, weak, weak, weak, weak, Digest.of(report), report
        )

    def _order(self, launch: Launch, seat: Seat, groups: JobGroups, handshake: _Handshake) -> Order:
        blobs = [content for _, content in _ETC]
        mounts = None
        base, env = str(launch.base / "usr"), None if launch.env is None else str(launch.env)
        if seat.uid is not None:
            # The job's user cannot pass the folders above; the guard, still root, shows these in its own namespace.
            mounts = [(base, "usr")] + ([] if env is None else [(env, "env")])
            base, env = "/tmp/usr", None if env is None else "/tmp/env"  # noqa: S108  in a namespace of its own
        options: list[Word] = [
            *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            *("--unshare-cgroup-try", "--disable-userns", "--uid", _UID_INSIDE, "--gid", _UID_INSIDE),
            *("--hostname", "job", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv"),
        ]
        for key, value in sorted(job_environment(launch).items()):
            options += ["--setenv", key, value]
        options += ["--ro-bind", base, "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
        options += ["--symlink", "usr/bin", "/bin"]
        for position, (path, _) in enumerate(_ETC):
            options += ["--perms", "0444", "--file", {"blob": position}, path]
        if env is not None:
            options += ["--ro-bind", env, "/env"]
        options += ["--perms", "0700", "--size", str(launch.limits.output_mb << 20), "--tmpfs", ROOT]
        for folder in ("model", "output", "output/data"):
            options += ["--perms", "0755", "--dir", f"{ROOT}/{folder}"]
        # Files are written into sized memory file systems, which then become read-only: one mount each, not one a file.
        for area in ("code", "input"):
            files = [one for one in launch.files if one.path.startswith(f"{ROOT}/{area}/")]
            inputs = [one for one in launch.inputs if one.path.startswith(f"{ROOT}/{area}/")]
            pages = sum(len(one.content) // 4096 + 2 for one in files) + sum(one.size // 4096 + 2 for one in inputs)
            options += ["--perms", "0555", "--size", str((pages + 64) * 4096), "--tmpfs", f"{ROOT}/{area}"]
            for file in files:
                options += ["--perms", "0444", "--file", {"blob": len(blobs)}, file.path]
                blobs.append(file.content)
            for one in inputs:
                options += ["--perms", "0444", "--file", {"fd": handshake.reading_end(one.path)}, one.path]
            options += ["--remount-ro", f"{ROOT}/{area}"]
        options += ["--perms", "1777", "--size", str(launch.limits.tmp_mb << 20), "--tmpfs", "/tmp"]  # noqa: S108
        if self._walls.proc:
            options += ["--proc", "/proc"]
        options += ["--dev", "/dev", "--size", str(launch.limits.shm_mb << 20), "--perms", "1777"]
        options += ["--tmpfs", "/dev/shm"]  # noqa: S108  the job's own
        options += ["--symlink", "x", f"/{handshake.nonce}", "--remount-ro", "/dev"]
        if self._walls.proc and self._walls.remount_proc:
            options += ["--remount-ro", "/proc"]
        options += ["--remount-ro", "/", "--chdir", launch.cwd]
        if self._walls.filter:
            options += ["--seccomp", {"blob": len(blobs)}]
            blobs.append(seccomp.job_filter())
        options += ["--json-status-fd", {"fd": handshake.status_writer}, "--block-fd", {"fd": handshake.gate_reader}]
        return Order(
            program=(self._program,),
            options=options,
            options_in_memory=self._walls.arguments_in_memory,
            argv=("--", *launch.argv),
            environment={},
            cwd="/",
            limits=rlimits(
                launch.limits,
                largest_input=max((one.size for one in launch.inputs), default=0),
                processes=launch.limits.processes + _ENGINE_PROCESSES if seat.uid is not None else None,
            ),
            seat=seat,
            groups=groups,
            mounts=mounts,
            blobs=blobs,
            descriptors=handshake.descriptors,
        )


class _Handshake:
    """The pipes between supervisor and engine, and what must be seen through them before a job may start."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._mine: list[int] = []
        self.nonce = f".{secrets.token_hex(16)}"
        self.results = -1
        status_reader, self.status_writer = os.pipe()
        self.gate_reader, gate_writer = os.pipe()
        self._status, self._gate = status_reader, gate_writer
        # Code first, then inputs, as in the engine's arguments: it reads the pipes in that order.
        self._inputs = sorted(launch.inputs, key=lambda one: not one.path.startswith(f"{ROOT}/code/"))
        self._pipes = {one.path: os.pipe() for one in self._inputs}
        self.descriptors = [self.status_writer, self.gate_reader, *(reader for reader, _ in self._pipes.values())]
        self._mine = [status_reader, gate_writer, *(writer for _, writer in self._pipes.values())]

    def reading_end(self, path: str) -> int:
        """The engine's end of an input's pipe."""
        return self._pipes[path][0]

    def complete(self, watch: Supervision) -> None:
        """Feed every input, see every mount, hold the results folder.

        Raises:
            Stopped: something did not verify or did not happen; the job must be killed.
        """
        deadline = time.monotonic() + _SETUP_S
        document = json.loads(watch.read_line(self._status, deadline))
        inside = os.open(f"/proc/{int(document['child-pid'])}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for one in self._inputs:
                writer = self._pipes[one.path][1]
                self._mine.remove(writer)
                watch.feed(writer, one, time.monotonic() + _SETUP_S + one.size / _STAGING_BYTES_PER_S)
            deadline = time.monotonic() + _SETUP_S
            while not self._mounted(inside):
                watch.pause(deadline)
            self.results = os.open(
                f"root{ROOT}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside
            )
        except OSError as broken:
            raise Stopped(ExitStatus.REFUSED, f"the sandbox vanished while it was set up: {broken}") from broken
        finally:
            os.close(inside)
        size = os.fstatvfs(self.results)
        if size.f_blocks * size.f_frsize != self._launch.limits.output_mb << 20:
            raise Stopped(ExitStatus.REFUSED, "the results folder is not the bounded one")

    def release(self) -> None:
        """Let the job start."""
        try:
            os.write(self._gate, b"1")
        except BrokenPipeError:
            return  # it died at this moment; the guard reports it

    def close(self) -> None:
        """Close what is still open."""
        close_all([*self._mine, *([self.results] if self.results >= 0 else [])])
        self._mine = []

    def _mounted(self, inside: int) -> bool:
        """Whether the sign appeared, which is possible only after the last mount."""
        try:
            return stat.S_ISLNK(os.stat(f"root/{self.nonce}", dir_fd=inside, follow_symlinks=False).st_mode)
        except OSError as missing:
            if missing.errno in {errno.ENOENT, errno.EACCES}:
                return False
            raise


def job_environment(launch: Launch) -> dict[str, str]:
    """The whole environment of a job."""
    return {
        "PATH": "/env/bin:/usr/bin" if launch.env is not None else "/usr/bin",
        "HOME": "/tmp",  # noqa: S108  the job's own
        "MUNIMENT_METRICS_FD": str(METRICS_FD),
        **launch.environment,
    }


def _verdict(
    ended: Ended, stopped: Stopped | None, released: bool, results: Collected, limits: Limits
) -> tuple[ExitStatus, int | None, int | None, str]:
    if not released:
        if stopped is None:
            return ExitStatus.REFUSED, None, None, ended.error
        return stopped.status, None, None, stopped.reason
    code, number = None, None
    if ended.status is not None:
        if os.WIFSIGNALED(ended.status):
            number = os.WTERMSIG(ended.status)
        else:
            code = os.WEXITSTATUS(ended.status)
            number = signal_of(code)
            code = None if number is not None else code
    if stopped is not None and stopped.status is not ExitStatus.OOM:
        return stopped.status, code, number, stopped.reason
    if stopped is not None or ended.memory_kills:
        return ExitStatus.OOM, code, number, f"needed more than {limits.memory_mb} MiB of memory"
    if ended.error:
        return ExitStatus.FAILED, code, number, ended.error
    if number == 24 or (number == 9 and ended.cpu_s >= limits.cpu_s):  # SIGXCPU, then SIGKILL
        return ExitStatus.LIMIT, code, number, f"used more than {limits.cpu_s} s of processor time"
    if number == 25:  # SIGXFSZ
        return ExitStatus.LIMIT, code, number, f"wrote a file larger than {limits.output_mb} MiB"
    if code != 0:
        return ExitStatus.FAILED, code, number, f"ended by signal {number}" if number else f"exit code {code}"
    if results.over_limit:
        return ExitStatus.LIMIT, code, number, "the results are beyond the limits"
    return ExitStatus.OK, code, number, ""


def _find() -> str:
    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if program is None:
        raise Unavailable("MUNI-B514", "bubblewrap is not installed", do="apt-get install bubblewrap")
    return program
