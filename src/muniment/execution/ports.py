"""What an engine is given, what it gives back, and what it promises: the port between execution and the sandbox.

A job is a ``Launch``: an argument vector, a sealed base root, an environment, inputs that are decrypted straight into
the job's own memory file system, and bounds on everything it may take. What happens inside reaches the platform only
through a ``Sink``: log bytes, metric lines, and the files that the safe collector accepted. An ``Exit`` says how it
ended, and an ``Enforcement`` says which walls really stood, as shown by canaries that ran, not by flags that were set.

The layout inside is the public one of ``/opt/ml``:

======================  =====================================================================================
``/opt/ml/input/...``   inputs and configuration, read-only
``/opt/ml/code/...``    code, read-only
``/opt/ml/model``       result: the model; one bounded memory file system holds this and ``output``
``/opt/ml/output``      result: everything else; the working directory unless the launch says otherwise
``/tmp``, ``/dev/shm``  scratch, bounded, gone afterwards
``/usr``, ``/env``      the base root and the job environment, read-only
fd 3                    metrics, one JSON object a line; its number is in ``MUNIMENT_METRICS_FD``
======================  =====================================================================================
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from muniment.errors import Invalid
from muniment.kernel.digest import Digest

__all__ = [
    "CODE",
    "INPUT",
    "METRICS_FD",
    "MODEL",
    "OUTPUT",
    "ROOT",
    "WALLS",
    "Enforcement",
    "Engine",
    "Exit",
    "ExitStatus",
    "Inline",
    "Input",
    "Launch",
    "Limits",
    "Refusal",
    "Sink",
    "Strength",
    "Usage",
    "check_variables",
]

ROOT: Final = "/opt/ml"
MODEL: Final = "/opt/ml/model"
OUTPUT: Final = "/opt/ml/output"
INPUT: Final = "/opt/ml/input"
CODE: Final = "/opt/ml/code"
METRICS_FD: Final = 3

_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "memory_mb": (64, 4 << 20),
    "cpu_s": (1, 30 * 86400),
    "wall_s": (1, 30 * 86400),
    "processes": (1, 32768),
    "open_files": (32, 1 << 20),
    "output_mb": (1, 1 << 20),
    "output_files": (1, 100_000),
    "log_kb": (1, 1 << 20),
    "tmp_mb": (1, 1 << 20),
    "shm_mb": (1, 1 << 20),
}
_PATH: Final = re.compile(r"/opt/ml/(?:input|code)(?:/[A-Za-z0-9_+=@,()\[\] -][A-Za-z0-9._+=@,()\[\] -]{0,199}){1,12}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MAX_INPUTS: Final = 512
_MAX_FILES: Final = 4096
_MAX_INLINE_BYTES: Final = 64 << 20
_MAX_ENVIRONMENT_BYTES: Final = 256 << 10
_MAX_VARIABLE_BYTES: Final = 128 << 10
"""What Linux takes as one string (MAX_ARG_STRLEN, execve(2))."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a job may take. Megabytes are 2^20 bytes, kilobytes 2^10, times are seconds."""

    memory_mb: int = 4096
    """Memory of all processes and of everything they write to memory file systems; sealed inputs come on top."""
    cpu_s: int = 3600
    """Processor time of any one process."""
    wall_s: int = 3600
    """Elapsed time from release to exit."""
    processes: int = 256
    """Processes and threads at once."""
    open_files: int = 1024
    output_mb: int = 1024
    """Results together, and the largest single file the job may write."""
    output_files: int = 1000
    log_kb: int = 1024
    """Log bytes kept; the rest is read and dropped, so that a flood never blocks and never fills a disk."""
    tmp_mb: int = 512
    shm_mb: int = 64

    def __post_init__(self) -> None:
        """Check each bound; raises Invalid with the field named."""
        for one in fields(self):
            value, (low, high) = getattr(self, one.name), _BOUNDS[one.name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise Invalid(
                    "MUNI-X110",
                    f"limit {one.name} is out of range",
                    field=one.name,
                    given=str(value)[:40],
                    least=low,
                    most=high,
                )


@dataclass(frozen=True, slots=True)
class Input:
    """A sealed input: it is opened when the sandbox stands, and decrypted straight into it."""

    path: str
    """Absolute path inside, such as ``/opt/ml/input/data/train/part-00000.parquet``."""
    size: int
    """Bytes of plaintext."""
    digest: Digest
    """Of the plaintext; the job is released only when every digest verified."""
    open: Callable[[], AbstractContextManager[BinaryIO]]

    def __post_init__(self) -> None:
        """Check the path; raises Invalid."""
        _check_path(self.path)
        if self.size < 0:
            raise Invalid("MUNI-X112", "an input has a size of at least 0 bytes", path=self.path, size=self.size)


@dataclass(frozen=True, slots=True)
class Inline:
    """A small file given by its content: configuration or code."""

    path: str
    """Absolute path inside, below ``/opt/ml/input`` or ``/opt/ml/code``."""
    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check the path; raises Invalid."""
        _check_path(self.path)


@dataclass(frozen=True, slots=True)
class Launch:
    """One job, ready to run: everything it will be able to see, and nothing else exists for it."""

    argv: tuple[str, ...]
    """Program and arguments, by their paths inside: ``("/env/bin/python", "-s", "-P", "/opt/ml/code/train.py")``."""
    environment: Mapping[str, str]
    """The whole environment of the job; the engine adds ``MUNIMENT_METRICS_FD`` and, when absent, PATH and HOME."""
    base: Path
    """The sealed base root: a folder that holds ``usr``."""
    env: Path | None = None
    """The job environment, mounted read-only at ``/env``."""
    inputs: tuple[Input, ...] = ()
    files: tuple[Inline, ...] = ()
    limits: Limits = Limits()
    name: str = "job"
    """For people: logs and process lists. Never secret."""
    cwd: str = OUTPUT

    def __post_init__(self) -> None:
        """Check what every engine relies on; raises Invalid."""
        if not self.argv or not self.argv[0].startswith("/") or any("\0" in part for part in self.argv):
            raise Invalid("MUNI-X113", "a job needs a program by its absolute path inside", argv=list(self.argv)[:3])
        check_variables(self.environment)
        if len(self.inputs) > _MAX_INPUTS or len(self.files) > _MAX_FILES:
            raise Invalid(
                "MUNI-X116",
                "too many inputs for one job",
                inputs=len(self.inputs),
                most_inputs=_MAX_INPUTS,
                files=len(self.files),
                most_files=_MAX_FILES,
                do="join small parts",
            )
        inline = sum(len(one.content) for one in self.files)
        if inline > _MAX_INLINE_BYTES:
            raise Invalid("MUNI-X117", "inline files are too large", bytes=inline, most=_MAX_INLINE_BYTES)
        seen: set[str] = set()
        for path in [one.path for one in self.inputs] + [one.path for one in self.files]:
            if path in seen:
                raise Invalid("MUNI-X118", "two inputs have the same path", path=path)
            seen.add(path)
        parents = {path.rsplit("/", depth)[0] for path in seen for depth in range(1, path.count("/"))}
        if clash := sorted(seen & parents):
            raise Invalid("MUNI-X119", "an input is both a file and a folder", path=clash[0])
        if not self.cwd.startswith("/") or "\0" in self.cwd:
            raise Invalid("MUNI-X120", "the working directory must be an absolute path inside", cwd=self.cwd[:200])


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something the engine did not take, and why."""

    path: str
    """Relative to ``/opt/ml`` for results; as declared for inputs."""
    reason: str


class ExitStatus(StrEnum):
    """How a job ended."""

    OK = "ok"
    """Exit code 0."""
    FAILED = "failed"
    """Another exit code, or a signal of its own making."""
    TIMEOUT = "timeout"
    """Killed at the wall-clock limit."""
    OOM = "oom"
    """Killed at the memory limit."""
    CANCELLED = "cancelled"
    """Killed because somebody asked."""
    REFUSED = "refused"
    """Its code never ran: an input did not verify, or the walls could not be raised. ``reason`` says which."""
    LIMIT = "limit"
    """Killed at the processor limit or by the file-size limit, or its results were beyond the limits."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job took."""

    wall_s: float
    """From release to exit."""
    cpu_s: float
    """User and system time of all its processes."""
    max_rss_kb: int
    """Largest resident set of one process, kibibytes."""
    memory_peak_kb: int | None
    """Peak of all processes and memory files together as the control group counted; None without one."""
    staging_s: float
    """From the call to release: raising the walls and filling in the inputs."""
    output_bytes: int
    """Accepted results together."""


class Strength(StrEnum):
    """How firmly one kind of access is denied."""

    ENFORCED = "enforced"
    """The kernel refuses, and every canary was refused while its control succeeded."""
    LIMITED = "limited"
    """Bounded in part; the canary report says what was reached."""
    NOT_ENFORCED = "not_enforced"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Which walls stood around a run, by what the canaries reached. Stored with every run.

    Say "canaries passed", never "escape is impossible".
    """

    engine: str
    """``bwrap``, ``landlock`` or ``none``."""
    version: str
    """Of the engine."""
    kernel: str
    """Release and machine of the running kernel."""
    files_read: Strength
    files_write: Strength
    metadata: Strength
    network: Strength
    ipc: Strength
    processes: Strength
    memory: Strength
    disk: Strength
    canaries: Digest
    """Of ``report``."""
    report: bytes = field(repr=False)
    """The canary report, canonical JSON: each attack, what it met inside, and what its control met outside."""
    uid: str = "shared"
    """``own``: each running job has a host user id to itself; ``shared``: the supervisor's."""
    supervisor: str = "user"
    """``root`` or ``user``: who raised the walls."""

    def walls(self) -> dict[str, str]:
        """The eight strengths by name, as documents show them."""
        return {name: str(getattr(self, name)) for name in WALLS}

    @property
    def complete(self) -> bool:
        """Whether everything that lineage rests on is enforced: reads, writes, network, other processes' memory."""
        return all(
            getattr(self, name) is Strength.ENFORCED
            for name in ("files_read", "files_write", "network", "ipc", "processes")
        )


WALLS: Final = ("files_read", "files_write", "metadata", "network", "ipc", "processes", "memory", "disk")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a job ended and what it left behind."""

    status: ExitStatus
    exit_code: int | None
    """None when a signal ended it or it never ran."""
    signal: int | None
    reason: str
    """One line for people; empty when the status says everything."""
    refused: tuple[Refusal, ...]
    usage: Usage
    log_truncated: bool
    enforcement: Enforcement


class Sink(Protocol):
    """Where a job's traces go while it runs. Every method is called from the thread that called ``Engine.run``.

    An exception from a sink kills the job and passes through ``run``.
    """

    def started(self) -> None:
        """The inputs verified and the job was released."""

    def log(self, chunk: bytes) -> None:
        """Bytes of standard output and error, as they come, bounded by ``log_kb``."""

    def metric(self, line: bytes) -> None:
        """One line of fd 3 without its newline, at most 64 KiB: unchecked bytes from inside, parse with care."""

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """One accepted result, such as ``model/model.ubj``: exactly ``size`` bytes, to be read before this returns.

        Called after the last process of the job is gone, whatever the status, so failures leave their report behind.
        """


class Engine(Protocol):
    """Runs jobs behind walls."""

    @property
    def name(self) -> str:
        """``bwrap``, ``landlock`` or ``none``."""

    def probe(self) -> Enforcement:
        """Attack the walls with canaries and say what was reached; kept for a short time per kernel and version.

        Raises:
            Unavailable: the engine cannot run here; the facts name the cause and the fix.
        """

    def run(self, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Run one job to its end and collect its results; nothing of it is left running when this returns or raises.

        Raises:
            Unavailable: the engine cannot run here.
        """


def check_variables(environment: Mapping[str, str]) -> None:
    """Refuse what no process can be given as its environment.

    Raises:
        Invalid: a name or a value that is none, one that is longer than Linux takes, or too many.
    """
    total = 0
    for key, value in environment.items():
        if not _VARIABLE.fullmatch(key) or "\0" in value:
            raise Invalid("MUNI-X114", "not an environment variable", variable=key[:80])
        size = len(key) + len(value.encode()) + 2
        total += size
        if size > _MAX_VARIABLE_BYTES or total > _MAX_ENVIRONMENT_BYTES:
            raise Invalid(
                "MUNI-X115",
                "environment variables are too large",
                variable=key,
                most_each=_MAX_VARIABLE_BYTES,
                most=_MAX_ENVIRONMENT_BYTES,
                do="give large parameters as an input",
            )


def _check_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise Invalid(
            "MUNI-X111",
            "not a path for an input",
            path=path[:300],
            rule="below /opt/ml/input or /opt/ml/code; printable names of at most 200 that do not start with a dot",
        )
