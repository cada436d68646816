"""Canaries: attack the walls before trusting them, and write down what was reached.

A flag says what was asked of the kernel; only an attack says what stands. Each canary is made inside the sandbox and,
as its control, outside under the same user id. A wall counts as enforced when nothing inside was reached and at least
one control was; an attack whose control does not reach either proves nothing and is reported as not applicable.

The findings are kept for a short time per kernel boot, engine version and code: walls fall when machines change.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import os
import platform
import secrets
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from muniment.adapters.sandbox.base import SealedBase, seal_base
from muniment.adapters.sandbox.seats import Seat, take_seat
from muniment.errors import Unavailable
from muniment.execution.ports import (
    CODE,
    INPUT,
    WALLS,
    Enforcement,
    Exit,
    ExitStatus,
    Inline,
    Launch,
    Limits,
    Sink,
    Strength,
)
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest

__all__ = ["BAIT_LIMITS", "Attempt", "Baits", "Probe", "Runner", "attempts", "baits", "unproven"]

LIFE_S: Final = 3600
"""How long findings are believed."""

_FORGET_S: Final = 86400
"""When the note of another boot, version or code is removed."""

BAIT_LIMITS: Final = Limits(
    memory_mb=256, cpu_s=20, wall_s=30, processes=32, output_mb=4, tmp_mb=4, shm_mb=4, log_kb=64, output_files=10
)
_ATTACKER: Final = Path(__file__).with_name("attacker.py")
_BY_WALL: Final[dict[str, tuple[str, ...]]] = {
    "files_read": ("read_foreign_file", "read_host_config", "parent_root", "read_kcore", "open_by_handle"),
    "files_write": (
        *("write_foreign_folder", "write_readonly_inside", "write_proc_sys", "mount_something", "remount_writable"),
        *("make_device", "any_capability", "unshare_user", "clone_user", "clone3_user"),
        *("change_mode", "change_mode_by_descriptor", "change_times", "change_attribute"),
    ),
    "metadata": ("stat_foreign_file", "readlink_foreign", "getxattr_foreign", "host_paths_in_commands"),
    "network": ("tcp_loopback", "udp_out", "vsock", "netlink_audit", "netlink_uevent", "packet_socket"),
    "ipc": ("abstract_socket", "pathname_socket", "shared_memory", "message_by_id", "keyring", "inherited_descriptors"),
    "processes": (
        *(
            "ptrace_process",
            "signal_process",
            "limit_process",
            "slow_process",
            "list_processes",
            "read_process_memory",
            "steal_descriptor",
        ),
        *("parent_secrets", "many_processes", "io_uring", "perf_events", "userfault", "bpf"),
    ),
    "disk": ("fill_output", "fill_tmp", "fill_shm", "fill_root"),
}
_BOUNDS: Final = frozenset({"memory", "disk"})
"""Walls that may hold in part; access that was gained once is access."""

_NO_CONTROL: Final = frozenset(
    {
        *("write_readonly_inside", "fill_output", "fill_tmp", "fill_shm", "fill_root", "many_processes"),
        *("any_capability", "inherited_descriptors"),
    }
)
"""About what exists only inside, or what would harm the host."""

_HOGS: Final = {
    "memory_file": b"import os\nfd = os.memfd_create('hog')\nfor _ in range(256):\n    os.write(fd, bytes(1 << 20))\n",
    "memory_heap": b"held = bytearray(256 << 20)\n",
}
"""Programs that take four times what they may; the file is counted by control groups alone."""
_HOG_LIMIT_MB: Final = 64


class Runner(Protocol):
    """Runs one job under a seat; ``run_as`` of an engine."""

    def __call__(
        self, enforcement: Enforcement, launch: Launch, sink: Sink, cancel: threading.Event, seat: Seat | None
    ) -> Exit:
        """As ``Engine.run``, stating the given enforcement."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attack as it went."""

    attack: str
    reached: bool
    how: str
    broken: bool = False
    """The attack itself failed: it says nothing."""


@dataclass(frozen=True, slots=True)
class Baits:
    """What attackers are offered: things of the tester's own that a control must be able to reach."""

    seat: Seat
    base: SealedBase
    facts: Mapping[str, Any]
    """By name, as the attacking program wants them."""


@dataclass(slots=True)
class _Notes:
    """A sink that keeps what the attacker reported."""

    lines: list[bytes] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)

    def started(self) -> None:
        """Nothing to note."""

    def log(self, chunk: bytes) -> None:
        """Keep the text for a broken attacker's sake."""
        self.text.extend(chunk)

    def metric(self, line: bytes) -> None:
        """Keep the line."""
        self.lines.append(line)

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Attackers leave nothing worth keeping."""


class Probe:
    """Makes the canary attacks on one engine and remembers the findings."""

    def __init__(self, name: str, version: str, cache: Path, inside: Runner, control: Runner) -> None:
        """Take the engine's name, version and runner, and the runner of the control; nothing runs yet."""
        self._name, self._version, self._cache, self._inside, self._control = name, version, cache, inside, control
        self._lock = threading.Lock()
        self._known: tuple[float, Enforcement] | None = None

    def enforcement(self) -> Enforcement:
        """The findings, at most an hour old.

        Raises:
            Unavailable: the canary job did not start.
        """
        with self._lock:
            if self._known is None or self._known[0] < time.time() - LIFE_S:
                self._known = self._stored() or self._made()
            return self._known[1]

    def _stored(self) -> tuple[float, Enforcement] | None:
        try:
            note = json.loads(self._file().read_bytes())
            made = float(note["made"])
            if not time.time() - LIFE_S < made <= time.time():
                return None
            return made, _concluded(self._name, self._version, note["report"])
        except (OSError, ValueError, KeyError):
            return None

    def _made(self) -> tuple[float, Enforcement]:
        made = time.time()
        with baits(seal_base(self._cache / "base")) as offered:
            names = [name for wall in _BY_WALL.values() for name in wall]
            inside = attempts(self._inside, offered, names)
            control = attempts(self._control, offered, [name for name in names if name not in _NO_CONTROL])
            memory = [self._memory_canary(offered, name) for name in _HOGS]
        report = {
            "engine": self._name,
            "version": self._version,
            "kernel": _kernel(),
            "uid": "shared" if offered.seat.uid is None else "own",
            "supervisor": "root" if os.geteuid() == 0 else "user",
            "canaries": [_judged(name, inside, control) for name in names] + memory,
        }
        self._cache.mkdir(parents=True, exist_ok=True)
        waiting = self._file().with_suffix(f".{os.getpid()}")
        waiting.write_bytes(canonical({"made": made, "report": report}))
        waiting.replace(self._file())
        for old in self._cache.glob(f"canaries-{self._name}-*.json"):
            with suppress(OSError):
                if old.stat().st_mtime < made - _FORGET_S:
                    old.unlink()
        return made, _concluded(self._name, self._version, report)

    def _memory_canary(self, offered: Baits, name: str) -> dict[str, str]:
        limits = Limits(memory_mb=_HOG_LIMIT_MB, cpu_s=20, wall_s=30, processes=32, output_mb=512, tmp_mb=512)
        launch = Launch(
            argv=(offered.base.interpreter, "-I", "-S", f"{CODE}/hog.py"),
            environment={},
            base=offered.base.root,
            files=(Inline(f"{CODE}/hog.py", _HOGS[name]),),
            limits=limits,
            name="canary",
        )
        end = self._inside(unproven(), launch, _Notes(), threading.Event(), offered.seat)
        verdict = "reached" if end.status is ExitStatus.OK else "blocked"
        if end.status in {ExitStatus.REFUSED, ExitStatus.TIMEOUT}:
            verdict = "not_applicable"
        how = f"{end.status} at {_HOG_LIMIT_MB} MiB"
        return {"attack": name, "inside": how, "control": "not made", "verdict": verdict}

    def _file(self) -> Path:
        code = hashlib.sha256()
        for part in sorted(Path(__file__).parent.glob("*.py")):
            code.update(part.read_bytes())
        boot = Path("/proc/sys/kernel/random/boot_id")
        key = [self._name, self._version, _kernel(), os.geteuid(), code.hexdigest()]
        key.append(boot.read_text() if boot.exists() else "")
        return self._cache / f"canaries-{self._name}-{hashlib.sha256(canonical(key)).hexdigest()[:16]}.json"


def attempts(run: Runner, offered: Baits, names: list[str], *, limits: Limits = BAIT_LIMITS) -> dict[str, Attempt]:
    """Make attacks by name behind a runner.

    Raises:
        Unavailable: the attacking job did not run to its end.
    """
    order = {"attacks": names, "bait": dict(offered.facts)}
    launch = Launch(
        argv=(offered.base.interpreter, "-I", "-S", f"{CODE}/attacker.py"),
        environment={},
        base=offered.base.root,
        files=(
            Inline(f"{CODE}/attacker.py", _ATTACKER.read_bytes()),
            Inline(f"{INPUT}/config/attacks.json", json.dumps(order).encode()),
        ),
        limits=limits,
        name="canary",
    )
    notes = _Notes()
    end = run(unproven(), launch, notes, threading.Event(), offered.seat)
    if end.status is not ExitStatus.OK:
        said = notes.text.decode("utf-8", "replace")[-1000:]
        raise Unavailable("MUNI-B516", "the canary job did not run", status=end.status, reason=end.reason, log=said)
    found = [json.loads(line) for line in notes.lines]
    return {one["attack"]: Attempt(one["attack"], one["reached"], one["how"], one["broken"]) for one in found}


@contextmanager
def baits(base: SealedBase) -> Iterator[Baits]:
    """Offer baits for as long as the context lasts, and one user id for attackers inside and outside.

    The servers listen on the loopback interface alone.
    """
    with ExitStack() as stack:
        seat = stack.enter_context(take_seat())
        secret = secrets.token_hex(16)
        place = next(one for one in (Path("/var/tmp"), Path("/dev/shm")) if os.access(one, os.W_OK))  # noqa: S108
        folder = place / f"muniment-bait-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        file, link, open_folder = folder / "file", folder / "link", folder / "open"
        file.write_text(secret)
        file.chmod(0o644)
        link.symlink_to(secret)
        open_folder.mkdir()
        open_folder.chmod(0o777)
        with suppress(OSError):  # not every file system has extended attributes; the control shows it
            os.setxattr(file, "user.muniment", secret.encode())
        tmp_file = Path("/tmp") / folder.name  # noqa: S108
        tmp_file.write_text(secret)
        stack.callback(tmp_file.unlink)
        tmp_file.chmod(0o644)
        datagram = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagram.bind(str(folder / "datagram"))
        (folder / "datagram").chmod(0o777)
        abstract, pathname = f"muniment-{secret}", folder / "socket"
        server = _Server(secret)
        stack.callback(server.close)
        port = server.listen(socket.AF_INET, ("127.0.0.1", 0))
        server.listen(socket.AF_UNIX, f"\0{abstract}")
        server.listen(socket.AF_UNIX, str(pathname))
        pathname.chmod(0o777)
        server.start()
        process = stack.enter_context(_victim(seat, secret))
        key, queue = stack.enter_context(_messages())
        yield Baits(
            seat,
            base,
            {
                "secret": secret,
                "environment_secret": f"secret-{secret}",
                "file": str(file),
                "link": str(link),
                "open_folder": str(open_folder),
                "tmp_file": str(tmp_file),
                "tcp_port": port,
                "abstract": abstract,
                "socket": str(pathname),
                "datagram": str(folder / "datagram"),
                "pid": process,
                "memory": _an_address(process),
                "base": str(base.root),
                "ipc_key": key,
                "queue": queue,
                "processes": BAIT_LIMITS.processes,
                "output_mb": BAIT_LIMITS.output_mb,
                "tmp_mb": BAIT_LIMITS.tmp_mb,
                "shm_mb": BAIT_LIMITS.shm_mb,
            },
        )


def unproven() -> Enforcement:
    """What can be said before canaries ran: nothing."""
    return _concluded("unproven", "", {"canaries": []})


class _Server:
    """Answers every connection with the secret."""

    def __init__(self, secret: str) -> None:
        self._secret, self._selector = secret.encode(), selectors.DefaultSelector()
        self._wake_reader, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="muniment-bait", daemon=True)
        self._sockets: list[socket.socket] = []

    def listen(self, family: int, address: Any) -> int:
        """Listen there; returns the port, 0 for unix sockets."""
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen(16)
        self._sockets.append(server)
        name = server.getsockname()
        return int(name[1]) if family == socket.AF_INET else 0

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        os.close(self._wake)
        if self._thread.ident is not None:
            self._thread.join()
        for server in self._sockets:
            server.close()
        os.close(self._wake_reader)
        self._selector.close()

    def _serve(self) -> None:
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        for server in self._sockets:
            self._selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._wake_reader:
                    return
                with suppress(OSError):
                    connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    with connection:
                        connection.sendall(self._secret)


@contextmanager
def _victim(seat: Seat, secret: str) -> Iterator[int]:
    """A process of the job's user, with a secret in its environment."""
    owner = {} if seat.uid is None else {"user": seat.uid, "group": seat.uid, "extra_groups": []}
    sleeper = shutil.which("sleep", path="/bin:/usr/bin")
    if sleeper is None:
        yield 0
        return
    process = subprocess.Popen(  # type: ignore[call-overload]
        [sleeper, "600"], env={"SECRET": f"secret-{secret}"}, cwd="/", stdin=subprocess.DEVNULL, **owner
    )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def _messages() -> Iterator[tuple[int, int]]:
    """System V shared memory by a key, and a queue with messages, both open to everyone."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = secrets.randbelow(1 << 30) + 1
    memory = libc.shmget(key, 4096, 0o1666)
    queue = libc.msgget(key, 0o1666)
    try:
        message = ctypes.create_string_buffer((1).to_bytes(8, "little") + b"secret")
        for _ in range(8):
            libc.msgsnd(queue, message, 6, 0o4000)
        yield key, queue
    finally:
        libc.shmctl(memory, 0, None)
        libc.msgctl(queue, 0, None)


def _an_address(pid: int) -> int:
    try:
        maps = io.StringIO(Path(f"/proc/{pid}/maps").read_text())
    except OSError:
        return 0
    return next((int(line.partition("-")[0], 16) for line in maps if " r" in line), 0)


def _judged(name: str, inside: Mapping[str, Attempt], control: Mapping[str, Attempt]) -> dict[str, str]:
    """One line of the report."""
    tried, checked = inside.get(name), control.get(name)
    if tried is None or tried.broken:
        verdict = "not_applicable"
    elif tried.reached:
        verdict = "reached"
    elif name in _NO_CONTROL or (checked is not None and checked.reached):
        verdict = "blocked"
    else:
        verdict = "not_applicable"
    return {
        "attack": name,
        "inside": "not made" if tried is None else tried.how,
        "control": "not made" if checked is None else checked.how,
        "verdict": verdict,
    }


def _concluded(name: str, version: str, report: Mapping[str, Any]) -> Enforcement:
    """What the findings mean for each wall."""
    verdicts = {one["attack"]: one["verdict"] for one in report["canaries"]}
    strengths = {}
    for wall in WALLS:
        names = tuple(_HOGS) if wall == "memory" else _BY_WALL[wall]
        found = [verdicts.get(attack, "not_applicable") for attack in names]
        if "blocked" not in found or ("reached" in found and wall not in _BOUNDS):
            strengths[wall] = Strength.NOT_ENFORCED
        else:
            strengths[wall] = Strength.LIMITED if "reached" in found else Strength.ENFORCED
    encoded = canonical(dict(report))
    return Enforcement(
        engine=name,
        version=version,
        kernel=_kernel(),
        canaries=Digest.of(encoded),
        report=encoded,
        uid=str(report.get("uid", "shared")),
        supervisor=str(report.get("supervisor", "user")),
        **strengths,
    )


def _kernel() -> str:
    return f"{platform.release()} {platform.machine()}"
