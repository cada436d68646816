"""The engine ``bwrap``: bubblewrap with our own system-call filter, one host user id per job, and a handshake.

The job starts only when every wall stands and every input verified; until then the engine is held. The order of events:

1. a guard (``launcher.py``) starts bubblewrap, which raises the namespaces and says which process is inside;
2. the inputs are decrypted into its pipes, in the order of its arguments, and their digests compared. A pipe that
   closes early is no error to bubblewrap, so nothing but this comparison stands between a job and half an input;
3. a symbolic link with a random name appears inside when all is mounted; the results folder is then opened and held;
4. one byte releases the job;
5. when the last process is gone the results are collected through the held descriptor.

Source: bwrap(1) 0.8; user_namespaces(7); the reference page on hermetic jobs, sections 1 and 5.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import secrets
import shutil
import stat
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.adapters.sandbox import seccomp
from muniment.adapters.sandbox.canaries import Probe
from muniment.adapters.sandbox.cgroups import JobGroups
from muniment.adapters.sandbox.conduct import (
    ENGINE_PROCESSES,
    SETUP_S,
    STAGING_BYTES_PER_S,
    conduct,
    job_environment,
)
from muniment.adapters.sandbox.folder import run_without_walls
from muniment.adapters.sandbox.seats import Seat
from muniment.adapters.sandbox.supervise import Order, Stopped, Supervision, Word, close_all, reachable, rlimits
from muniment.errors import Unavailable
from muniment.execution.ports import ROOT, Enforcement, Exit, ExitStatus, Launch, Sink

__all__ = ["Bubblewrap", "Walls"]

_UID_INSIDE: Final = "1000"
_SPARE_DESCRIPTORS: Final = 512
_ETC: Final = (
    ("/etc/passwd", b"job:x:1000:1000:job:/opt/ml/output:/usr/sbin/nologin\n"),
    ("/etc/group", b"job:x:1000:\n"),
    ("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/hosts", b"127.0.0.1 localhost job\n"),
)


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls to raise. Tests leave one out to show that it is the one that holds."""

    filter: bool = True
    proc: bool = True
    """Mount /proc; nested containers with a masked /proc cannot."""
    arguments_in_memory: bool = True


class Bubblewrap:
    """Runs jobs in bubblewrap."""

    name: Final = "bwrap"

    def __init__(self, cache: Path, walls: Walls = Walls()) -> None:
        """Look for the program.

        Args:
            cache: folder for the canary report and the base root that the canaries run on.
            walls: all of them, except in tests.

        Raises:
            Unavailable: bubblewrap is not installed, or the machine is not one that the filter knows.
        """
        self._walls, self._program = walls, _find()
        if walls.filter:
            seccomp.job_filter()
        asked = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=False)
        missing = [name for name in ("filter", "proc", "arguments_in_memory") if not getattr(walls, name)]
        self.version = asked.stdout.strip() + "".join(f" without {name}" for name in missing)
        self._probe = Probe(self.name, self.version, cache, self.run_as, run_without_walls)

    def probe(self) -> Enforcement:
        """Attack the walls with canaries and say what was reached; kept for a short time."""
        return self._probe.enforcement()

    def run(self, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Run one job to its end and collect its results; nothing of it is left running afterwards."""
        return self.run_as(self.probe(), launch, sink, cancel, None)

    def run_as(
        self, enforcement: Enforcement, launch: Launch, sink: Sink, cancel: threading.Event, seat: Seat | None
    ) -> Exit:
        """Run one job under this seat, stating this enforcement; the canaries do so before there is one."""
        return conduct(
            lambda given: _Sandbox(self._program, self._walls, launch, given), enforcement, launch, sink, cancel, seat
        )


class _Sandbox:
    """One sandbox: the pipes to it, and what must be seen through them before its job may start."""

    def __init__(self, program: str, walls: Walls, launch: Launch, seat: Seat) -> None:
        self._program, self._walls, self._launch, self._seat = program, walls, launch, seat
        self._nonce = f".{secrets.token_hex(16)}"
        self._results = -1
        self._status, self._status_writer = os.pipe()
        self._gate_reader, self._gate = os.pipe()
        # Code first, then inputs, as in the engine's arguments: it reads the pipes in that order.
        self._inputs = sorted(launch.inputs, key=lambda one: not one.path.startswith(f"{ROOT}/code/"))
        _make_room(2 * len(self._inputs))
        self._pipes = {one.path: os.pipe() for one in self._inputs}
        self._mine = [self._status, self._gate, *(writer for _, writer in self._pipes.values())]
        self._theirs = [self._status_writer, self._gate_reader, *(reader for reader, _ in self._pipes.values())]

    def order(self, seat: Seat, groups: JobGroups) -> Order:
        """The command line of bubblewrap. Its order is the order of events inside."""
        blobs = [content for _, content in _ETC]
        base, env, mounts = self._roots(seat)
        options: list[Word] = [
            *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            *("--unshare-cgroup-try", "--disable-userns", "--uid", _UID_INSIDE, "--gid", _UID_INSIDE),
            *("--hostname", "job", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv"),
        ]
        for key, value in sorted(job_environment(self._launch).items()):
            options += ["--setenv", key, value]
        options += ["--ro-bind", base, "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
        options += ["--symlink", "usr/bin", "/bin", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108  libraries spill there
        for position, (path, _) in enumerate(_ETC):
            options += ["--perms", "0444", "--file", {"blob": position}, path]
        if env is not None:
            options += ["--ro-bind", env, "/env"]
        limits = self._launch.limits
        options += ["--perms", "0700", "--size", str(limits.output_mb << 20), "--tmpfs", ROOT]
        for folder in ("model", "output", "output/data"):
            options += ["--perms", "0755", "--dir", f"{ROOT}/{folder}"]
        for area in ("code", "input"):
            options += self._area(area, blobs)
        options += ["--perms", "1777", "--size", str(limits.tmp_mb << 20), "--tmpfs", "/tmp"]  # noqa: S108
        if self._walls.proc:
            options += ["--proc", "/proc"]
        options += ["--dev", "/dev", "--size", str(limits.shm_mb << 20), "--perms", "1777"]
        options += ["--tmpfs", "/dev/shm"]  # noqa: S108  the job's own
        # Otherwise /dev and / are unbounded memory file systems, and /proc/sys may be open to write.
        options += ["--symlink", "x", f"/{self._nonce}", "--remount-ro", "/dev"]
        if self._walls.proc:
            options += ["--remount-ro", "/proc"]
        options += ["--remount-ro", "/", "--chdir", self._launch.cwd]
        if self._walls.filter:
            options += ["--seccomp", {"blob": len(blobs)}]
            blobs.append(seccomp.job_filter())
        options += ["--json-status-fd", {"fd": self._status_writer}, "--block-fd", {"fd": self._gate_reader}]
        theirs, self._theirs = self._theirs, []
        return Order(
            program=(self._program,),
            options=options,
            options_in_memory=self._walls.arguments_in_memory,
            argv=("--", *self._launch.argv),
            environment={},
            limits=rlimits(
                limits,
                seat,
                groups,
                beside=ENGINE_PROCESSES,
                largest=max((one.size for one in self._launch.inputs), default=0),
            ),
            seat=seat,
            groups=groups,
            mounts=mounts,
            blobs=blobs,
            descriptors=theirs,
        )

    def complete(self, watch: Supervision) -> None:
        """Feed every input, see every mount, hold the results folder."""
        first = int(json.loads(watch.read_line(self._status, time.monotonic() + SETUP_S))["child-pid"])
        try:
            # A descriptor of the process folder cannot come to mean another process.
            inside = os.open(f"/proc/{first}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            if self._seat.uid is None:
                # In its own user namespace the count begins anew, so the bound is exact under a shared user id too.
                processes = self._launch.limits.processes + ENGINE_PROCESSES
                resource.prlimit(first, resource.RLIMIT_NPROC, (processes, processes))
        except OSError as gone:
            raise watch.refusal(f"the sandbox vanished while it was set up ({gone})") from gone
        try:
            for one in self._inputs:
                writer = self._pipes[one.path][1]
                self._mine.remove(writer)
                watch.feed(writer, one, time.monotonic() + SETUP_S + one.size / STAGING_BYTES_PER_S)
            deadline = time.monotonic() + SETUP_S
            watch.drain(deadline)
            while not self._mounted(inside, watch):
                watch.pause(deadline)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._results = os.open(f"root{ROOT}", flags, dir_fd=inside)
            except OSError as gone:
                raise watch.refusal(f"the sandbox vanished while it was set up ({gone})") from gone
        finally:
            os.close(inside)
        size = os.fstatvfs(self._results)
        if size.f_blocks * size.f_frsize != self._launch.limits.output_mb << 20:
            raise Stopped(ExitStatus.REFUSED, "the results folder is not the bounded one")

    def release(self) -> None:
        """Let the job start."""
        try:
            os.write(self._gate, b"1")
        except BrokenPipeError:
            return  # it died at this moment; the guard reports it

    def results(self) -> int:
        """The held descriptor; it outlives the sandbox."""
        return self._results

    def close(self) -> None:
        """Close what is still open."""
        close_all([*self._mine, *self._theirs, *([self._results] if self._results >= 0 else [])])
        self._mine, self._theirs, self._results = [], [], -1

    def _roots(self, seat: Seat) -> tuple[str, str | None, list[tuple[str, str]] | None]:
        """Where the engine finds base and environment, and what the guard has to show it for that."""
        base, env = self._launch.base / "usr", self._launch.env
        if seat.uid is None or all(reachable(one) for one in (base, env) if one is not None):
            return str(base), None if env is None else str(env), None
        # The job's user cannot pass the folders above; the guard, still root, shows these in its own namespace.
        if env is None:
            return "/tmp/usr", None, [(str(base), "usr")]  # noqa: S108  in the guard's own namespace
        return "/tmp/usr", "/tmp/env", [(str(base), "usr"), (str(env), "env")]  # noqa: S108

    def _area(self, area: str, blobs: list[bytes]) -> list[Word]:
        """A read-only folder of files: one sized memory file system, closed when it is filled, not one mount a file."""
        files = [one for one in self._launch.files if one.path.startswith(f"{ROOT}/{area}/")]
        inputs = [one for one in self._inputs if one.path.startswith(f"{ROOT}/{area}/")]
        pages = sum(len(one.content) // 4096 + 2 for one in files) + sum(one.size // 4096 + 2 for one in inputs)
        place = f"{ROOT}/{area}"
        options: list[Word] = ["--perms", "0555", "--size", str((pages + 64) * 4096), "--tmpfs", place]
        for file in files:
            options += ["--perms", "0444", "--file", {"blob": len(blobs)}, file.path]
            blobs.append(file.content)
        for one in inputs:
            options += ["--perms", "0444", "--file", {"fd": self._pipes[one.path][0]}, one.path]
        return [*options, "--remount-ro", place]

    def _mounted(self, inside: int, watch: Supervision) -> bool:
        """Whether the sign appeared, which is possible only after the last mount."""
        try:
            return stat.S_ISLNK(os.stat(f"root/{self._nonce}", dir_fd=inside, follow_symlinks=False).st_mode)
        except OSError as missing:
            if missing.errno in {errno.ENOENT, errno.EACCES}:
                return False
            raise watch.refusal(f"the sandbox vanished while it was set up ({missing})") from missing


def _make_room(descriptors: int) -> None:
    """Many inputs need many pipes for a moment; the usual soft limit of 1024 is for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _SPARE_DESCRIPTORS + descriptors:
        wanted = 2 * (_SPARE_DESCRIPTORS + descriptors)
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


def _find() -> str:
    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if program is None:
        raise Unavailable("MUNI-B514", "bubblewrap is not installed", do="apt-get install bubblewrap")
    return program
