"""The engines that run a job in a private folder instead of a namespace of its own: ``landlock`` and ``none``.

``landlock`` is for machines where user namespaces are off: the kernel denies the job every file but its own, a filter
denies it every socket. ``none`` raises no wall at all; it exists for development, every run records it, and lineage
from such a run is only declared.

Both lack a root of their own, so ``/opt/ml``, ``/env`` and ``/usr`` do not exist at those paths. The folder has the
same layout, ``MUNIMENT_ML_ROOT`` says where, and every path in arguments and environment variables that stands alone
or after ``=``, ``:``, ``,`` or a quote is rewritten. A script with ``/opt/ml`` written into it does not find its files.
Behind Landlock a job cannot change modes or times, not even of its own files: ``shutil.copyfile`` works and ``copy``
fails.

Source: landlock(7), Linux Documentation/userspace-api/landlock.rst; the reference page on hermetic jobs, section 3.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from muniment.adapters.sandbox import seccomp
from muniment.adapters.sandbox.base import INTERPRETER
from muniment.adapters.sandbox.canaries import Probe, unproven
from muniment.adapters.sandbox.cgroups import JobGroups
from muniment.adapters.sandbox.conduct import (
    ENGINE_PROCESSES,
    SETUP_S,
    STAGING_BYTES_PER_S,
    conduct,
    job_environment,
)
from muniment.adapters.sandbox.seats import Seat
from muniment.adapters.sandbox.supervise import Order, Supervision, close_all, reachable, rlimits, verified
from muniment.errors import Unavailable
from muniment.execution.ports import INPUT, ROOT, Enforcement, Exit, Launch, Sink

__all__ = ["Landlock", "NoWalls", "landlock_abi", "run_without_walls", "sweep_folders"]

_CREATE_RULESET: Final = 444
_OLDEST_ABI: Final = 1
_PREFIX: Final = "muniment-job-"
_PLACES: Final = (Path("/dev/shm"), Path("/run"), Path("/tmp"))  # noqa: S108  memory first: plaintext must not meet a disk
_PYTHONS: Final = frozenset({INTERPRETER, "/usr/bin/python3", "/env/bin/python", "/env/bin/python3"})
_DEVICES_READ: Final = ("/dev/urandom", "/dev/random", "/dev/zero")


class Landlock:
    """Runs jobs behind Landlock, a system-call filter and resource limits."""

    name: Final = "landlock"

    def __init__(self, cache: Path, *, with_filter: bool = True) -> None:
        """Ask the kernel for Landlock.

        Args:
            cache: folder for the canary report and the base root that the canaries run on.
            with_filter: always, except in tests.

        Raises:
            Unavailable: the kernel has none, or the machine is not one that the filter knows.
        """
        abi = landlock_abi()
        if abi < _OLDEST_ABI:
            raise Unavailable(
                "MUNI-B515",
                "the kernel has no Landlock",
                kernel=platform.release(),
                do="boot a kernel from 5.13 on with landlock in lsm=, or allow user namespaces and use bubblewrap",
            )
        self.version = f"ABI {abi}" + ("" if with_filter else " without filter")
        self._filter = seccomp.landlock_filter() if with_filter else b""
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
        return conduct(lambda given: _Folder(launch, given, self._filter), enforcement, launch, sink, cancel, seat)


class NoWalls:
    """Runs jobs without walls, and says so."""

    name: Final = "none"

    def probe(self) -> Enforcement:
        """Nothing is enforced; there is nothing to attack."""
        return replace(unproven(), engine=self.name)

    def run(self, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Run one job to its end and collect its results; limits hold where the kernel has them."""
        return run_without_walls(self.probe(), launch, sink, cancel, None)


def run_without_walls(
    enforcement: Enforcement, launch: Launch, sink: Sink, cancel: threading.Event, seat: Seat | None
) -> Exit:
    """Run one job in a private folder with the rights of its user; also the control of every canary."""
    return conduct(lambda given: _Folder(launch, given, None), enforcement, launch, sink, cancel, seat)


def sweep_folders() -> None:
    """Remove the folders of supervisors that died together with their guards."""
    for place in _PLACES:
        for left in place.glob(f"{_PREFIX}*-*"):
            owner = left.name.removeprefix(_PREFIX).split("-")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists() and left.stat().st_uid == os.geteuid():
                shutil.rmtree(left, ignore_errors=True)


def landlock_abi() -> int:
    """The version of Landlock that the kernel offers; 0 without it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


class _Folder:
    """One job's private folder: ``ml`` with the public layout, and ``tmp``."""

    def __init__(self, launch: Launch, seat: Seat, filter_program: bytes | None) -> None:
        self._launch, self._filter = launch, filter_program
        self._ready, ready_writer = os.pipe()
        gate_reader, self._gate = os.pipe()
        self._mine, self._theirs = [self._ready, self._gate], [ready_writer, gate_reader]
        place = next(one for one in _PLACES if os.access(one, os.W_OK | os.X_OK))
        self._top = place / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(16)}"
        self._ml = self._top / "ml"
        self._results = -1
        self._top.mkdir(mode=0o700)
        for folder in ("ml", "ml/input", "ml/code"):
            (self._top / folder).mkdir(mode=0o755)
        for folder in ("ml/model", "ml/output", "ml/output/data", "tmp"):
            (self._top / folder).mkdir(mode=0o700)
            if seat.uid is not None:
                os.chown(self._top / folder, seat.uid, seat.uid)
        if seat.uid is not None:  # the job's group may pass, the job owns nothing above its results
            os.chown(self._top, 0, seat.uid)
            self._top.chmod(0o710)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._results = os.open(self._ml, flags)

    def order(self, seat: Seat, groups: JobGroups) -> Order:
        """The program itself, behind the walls that the guard raises before it starts it."""
        base, env = self._launch.base, self._launch.env
        mounts = None
        if seat.uid is not None and not all(reachable(one) for one in (base, env) if one is not None):
            mounts = [(str(base), "base")] + ([] if env is None else [(str(env), "env")])
            base, env = Path("/tmp/base"), None if env is None else Path("/tmp/env")  # noqa: S108
        places = [(ROOT, self._ml), ("/usr", base / "usr"), ("/tmp", self._top / "tmp")]  # noqa: S108
        places += [] if env is None else [("/env", env)]
        environment = {key: _rewritten(value, places) for key, value in job_environment(self._launch).items()} | {
            "MUNIMENT_ML_ROOT": str(self._ml),
            "MUNIMENT_TREE": str(self._top / "tmp" / "source"),
            "TMPDIR": str(self._top / "tmp"),
        }
        argv = tuple(_rewritten(part, places) for part in self._launch.argv)
        program: tuple[str, ...] = (argv[0],)
        if self._launch.argv[0] in _PYTHONS:
            program = self._interpreter(base)
            environment["PYTHONHOME"] = str(base / "usr")
            if env is not None:
                packages = str(env / "lib" / Path(INTERPRETER).name / "site-packages")
                environment["PYTHONPATH"] = ":".join(filter(None, [environment.get("PYTHONPATH", ""), packages]))
        blobs, rules = self._rules(base, env)
        (ready, gate), self._theirs = self._theirs, []
        return Order(
            program=program,
            options=(),
            argv=argv[1:],
            environment=environment,
            limits=rlimits(self._launch.limits, seat, groups, beside=ENGINE_PROCESSES),
            seat=seat,
            groups=groups,
            cwd=_rewritten(self._launch.cwd, places),
            mounts=mounts,
            blobs=blobs,
            descriptors=(ready, gate),
            gate=(ready, gate),
            staged=str(self._top),
            landlock=rules,
        )

    def complete(self, watch: Supervision) -> None:
        """See the walls stand, and decrypt every input into the folder, checking its digest."""
        watch.read_line(self._ready, time.monotonic() + SETUP_S)
        for file in self._launch.files:
            with self._place(file.path).open("xb") as target:
                target.write(file.content)
        for one in self._launch.inputs:
            deadline = time.monotonic() + SETUP_S + one.size / STAGING_BYTES_PER_S
            with self._place(one.path).open("xb") as target:
                for chunk in verified(one):
                    target.write(chunk)
                    watch.drain(deadline)
        for area in ("input", "code"):
            for path in (self._ml / area).rglob("*"):
                path.chmod(0o555 if path.is_dir() else 0o444)
            (self._ml / area).chmod(0o555)
        watch.drain(time.monotonic() + SETUP_S)

    def release(self) -> None:
        """Let the job start."""
        try:
            os.write(self._gate, b"1")
        except BrokenPipeError:
            return  # it died at this moment; the guard reports it

    def results(self) -> int:
        """The folder, held since before the job started."""
        return self._results

    def close(self) -> None:
        """Remove the folder."""
        close_all([*self._mine, *self._theirs, self._results])
        self._mine, self._theirs = [], []
        shutil.rmtree(self._top, onerror=_unlock)

    def _place(self, path: str) -> Path:
        place = self._ml / Path(path).relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        return place

    def _interpreter(self, base: Path) -> tuple[str, ...]:
        """The base's interpreter by the base's own dynamic linker: the host's C library may be another one."""
        here = self._launch.base
        loader = next(iter(sorted(here.glob("usr/lib64/ld-linux*"))), None)
        library = next(iter(sorted(here.glob("usr/lib*/**/libc.so.6"))), None)
        if loader is None or library is None:
            return (sys.executable,)
        python = str(base) + INTERPRETER
        libraries = str(base / library.parent.relative_to(here))
        return (str(base / loader.relative_to(here)), "--argv0", python, "--library-path", libraries, python)

    def _rules(self, base: Path, env: Path | None) -> tuple[list[bytes], dict[str, Any] | None]:
        if self._filter is None:
            return [], None
        execute = [base, self._ml / "code", *([] if env is None else [env])]
        return [self._filter], {
            "execute": [str(one) for one in execute],
            "read": [str(self._ml / Path(INPUT).name), *(one for one in _DEVICES_READ if Path(one).exists())],
            "write": [str(self._ml / "model"), str(self._ml / "output"), str(self._top / "tmp")],
            "write_file": ["/dev/null"],
            "list": [str(self._ml)],
            "filter": 0 if self._filter else None,
        }


def _rewritten(text: str, places: list[tuple[str, Path]]) -> str:
    roots = {inside: str(outside) for inside, outside in places}
    known = "|".join(map(re.escape, roots))
    return re.sub(rf"(?<![^=:,\"\[ ])({known})(?=[/:,\"\] ]|$)", lambda match: roots[match[1]], text)


def _unlock(remove: Any, path: str, _: Any) -> None:
    """A job may have locked folders against their removal."""
    parent = os.path.dirname(path)  # noqa: PTH120
    for one in (parent, path):
        if not stat.S_ISLNK(os.lstat(one).st_mode):
            os.chmod(one, 0o700)  # noqa: PTH101
    remove(path)
