"""The guard of one job: a small program of its own, started by path, standard library only.

It exists because three things cannot be done from a server with threads: change user and limits between fork and exec,
be the parent that a sandbox dies with (Linux ties that to a thread), and outlive the server just long enough to clean
up.

Protocol, all on inherited descriptors:

* stdin: an 8-byte length, that many bytes of JSON (the order), the blobs it announces; then it stays open. ``k`` means:
  kill everything. ``d`` means: all is collected, go. Its end without ``d`` means that the supervisor died, however it
  died: kill everything and remove the plaintext that it staged.
* ``report`` of the order: one JSON document when nothing of the job is left: exit status and usage, or why it never
  began.
* stdout and stderr: the log of the job; the guard itself never writes there.

The guard is a child subreaper: whatever leaves the job's process tree comes back to it and is killed with the rest.
When the supervisor is root, the guard binds what the job may read in a mount namespace of its own, so that no folder
above it has to be opened to the job's user.

Plain functions of the operating system throughout, and few imports: start-up time here is paid by every job.
"""

# ruff: noqa: PTH101, PTH102, PTH112, PTH114, PTH106, PTH123, PTH208

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Order = dict[str, Any]

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CLONE_NEWNS, _MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 2, 4, 0x1000, 0x4000, 0x40000
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_FLOOR = 64  # descriptors of the order are moved above this, so that 0 to 3 are free for the job


def main() -> None:
    """Carry out one order."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one descriptor a blob; the job gets its own limit
    control = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _FLOOR)
    order: Order = json.loads(_exactly(control, int.from_bytes(_exactly(control, 8), "big")))
    blobs = [_memory_file(_exactly(control, size)) for size in order["blobs"]]
    # Every descriptor is moved to a number of its own first: the numbers in the order may collide with 0 to 3.
    moved = {fd: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FLOOR) for fd in order["fds"]}
    report = fcntl.fcntl(order["report"], fcntl.F_DUPFD_CLOEXEC, _FLOOR)
    lock = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FLOOR) for fd in order["hold"]]  # noqa: F841  held while we live
    try:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for fd in [*order["fds"], order["report"], *order["hold"]]:
            if fd > 2:
                os.close(fd)
        if order["mounts"] is not None:
            _mount(order["mounts"])
        child = _spawn(order, moved, blobs)
    except BaseException as broken:
        _finish(report, {"error": f"{type(broken).__name__}: {broken}"})
        return
    for fd in [*moved.values(), *blobs]:
        os.close(fd)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    status = _watch(child, control)
    killed_at = time.monotonic()
    status = _sweep(child, status)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = _memory(order["cgroups"], order["cgroup_version"])
    for folder in order["cgroups"]:
        _remove(folder)
    _finish(
        report,
        {
            "status": status,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "max_rss_kb": usage.ru_maxrss,
            "swept_s": time.monotonic() - killed_at,
            **memory,
        },
    )
    while (word := os.read(control, 1)) == b"k":
        pass
    if not word and order["staged"]:
        import shutil  # noqa: PLC0415  only after a death; start-up time is paid by every job

        for folder, folders, _ in os.walk(order["staged"]):  # inputs are read-only, and a job may lock its own
            for name in folders:
                if not os.path.islink(f"{folder}/{name}"):
                    os.chmod(f"{folder}/{name}", 0o700)
        shutil.rmtree(order["staged"], ignore_errors=True)


def _spawn(order: Order, moved: dict[int, int], blobs: list[int]) -> int:  # noqa: PLR0912, PLR0915  one sequence
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        for folder in order["cgroups"]:
            with open(f"{folder}/cgroup.procs", "w") as members:
                members.write("0")
        if order["uid"] is not None:
            os.setgroups([])
            os.setresgid(order["uid"], order["uid"], order["uid"])
            os.setresuid(order["uid"], order["uid"], order["uid"])
        if os.geteuid() == 0 or os.getegid() == 0:
            raise PermissionError("refusing to start a job as uid 0")
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        # After the change of user, which clears it; then look whether the guard is still there.
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.umask(0o022)
        for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores these, and what is ignored stays so across exec
            _LIBC.signal(number, None)
        _LIBC.sigprocmask(2, bytes(128), None)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        if order["metrics"] is not None:
            os.dup2(moved[order["metrics"]], 3)
        keep = set()

        def word(part: str | dict[str, int]) -> str:
            if isinstance(part, str):
                return part
            fd = blobs[part["blob"]] if "blob" in part else moved[part["fd"]]
            keep.add(fd)
            return str(fd)

        options = [word(part) for part in order["options"]]
        if order["options_fd"]:
            listed = _memory_file(b"".join(os.fsencode(part) + b"\0" for part in options))
            keep.add(listed)
            options = ["--args", str(listed)]
        argv = [*order["program"], *options, *order["argv"]]
        for fd in keep:
            os.set_inheritable(fd, True)
        for name, (soft, hard) in order["rlimits"].items():
            kind = getattr(resource, name)
            ours = resource.getrlimit(kind)[1]
            if ours != resource.RLIM_INFINITY:
                soft, hard = min(soft, ours), min(hard, ours)  # noqa: PLW2901
            resource.setrlimit(kind, (soft, hard))
        os.chdir(order["cwd"])
        if order["landlock"] is not None:
            _landlock(order["landlock"], blobs)
        if order["gate"] is not None:
            ready, gate = order["gate"]
            os.write(moved[ready], b"\n")
            if not os.read(moved[gate], 1):
                os._exit(125)  # the supervisor died, or found an input that does not verify
        os.execve(argv[0], argv, order["environment"])  # noqa: S606  an absolute path, no shell
    except BaseException as broken:
        os.write(2, f"launcher: {type(broken).__name__}: {broken}\n".encode())
    os._exit(125)


def _watch(child: int, control: int) -> int | None:
    """Wait for the child's end, or kill it when the supervisor says so or is gone."""
    pidfd = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    waiting.register(control, select.POLLIN)
    while True:
        events = dict(waiting.poll())
        if pidfd in events:
            return os.waitpid(child, 0)[1]
        if control in events and os.read(control, 1) != b"d":
            return None


def _sweep(child: int, status: int | None) -> int | None:
    """Kill and reap until no descendant is left."""
    while True:
        for pid in _children():
            try:
                os.kill(pid, _SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while True:
                pid, ended = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == child:
                    status = ended
        except ChildProcessError:
            return status
        time.sleep(0.0005)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listed:
            return [int(pid) for pid in listed.read().split()]
    except OSError:
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat") as facts:
                        if int(facts.read().rpartition(")")[2].split()[1]) == os.getpid():
                            found.append(int(name))
                except (OSError, IndexError):
                    continue
        return found


def _mount(sources: list[tuple[str, str]]) -> None:
    """Show the folders of the order at ``/tmp/<name>``, to this process and its children alone."""
    _check(_LIBC.unshare(_CLONE_NEWNS), "unshare")
    _check(_LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make / private")
    held = [(os.open(source, os.O_PATH | os.O_CLOEXEC), name) for source, name in sources]  # before /tmp is covered
    _check(_LIBC.mount(b"tmpfs", b"/tmp", b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=64k,mode=755"), "mount /tmp")
    for fd, name in held:
        place = f"/tmp/{name}"  # noqa: S108  in the guard's own namespace
        os.mkdir(place, 0o755)
        _check(_LIBC.mount(f"/proc/self/fd/{fd}".encode(), place.encode(), None, _MS_BIND, None), f"bind {name}")
        os.close(fd)


def _memory_file(content: bytes) -> int:
    fd = os.memfd_create("order", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FLOOR)


def _exactly(fd: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            sys.exit(1)  # the supervisor died before it finished the order
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _memory(folders: list[str], version: int) -> dict[str, int]:
    """Peak and kills as the memory group counted them; empty without one."""
    peak, events = (
        ("memory.peak", "memory.events") if version == 2 else ("memory.max_usage_in_bytes", "memory.oom_control")
    )
    for folder in folders:
        try:
            with open(f"{folder}/{peak}") as counted, open(f"{folder}/{events}") as listed:
                kills = [int(line.split()[1]) for line in listed if line.startswith("oom_kill ")]
                return {"memory_peak": int(counted.read()), "memory_kills": sum(kills)}
        except (OSError, ValueError):
            continue
    return {}


def _remove(folder: str) -> None:
    for _ in range(50):
        try:
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.001)


def _finish(report: int, document: dict[str, Any]) -> None:
    try:
        os.write(report, json.dumps(document).encode())
    except OSError:
        return  # nobody is left to read it
    finally:
        os.close(report)


def _prctl(option: int, value: int) -> None:
    _check(_LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _landlock(order: Order, blobs: list[int]) -> None:
    """Give up every right to files but those of the order, every TCP port, and signals and sockets beyond this job."""
    abi = _check(_LIBC.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)), "landlock")
    known = (1 << 13) - 1 | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0) | (1 << 15 if abi >= 5 else 0)
    rules = (ctypes.c_uint64 * 3)(known, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _check(_LIBC.syscall(444, rules, ctypes.c_size_t(size), ctypes.c_uint32(0)), "landlock ruleset")
    execute, write_file, read_file, read_dir = 1 << 0, 1 << 1, 1 << 2, 1 << 3
    remove, make, refer, truncate = 1 << 4 | 1 << 5, 1 << 7 | 1 << 8 | 1 << 12, 1 << 13, 1 << 14
    rights = {
        "execute": execute | read_file | read_dir,
        "read": read_file | read_dir,
        "write": write_file | read_file | read_dir | remove | make | refer | truncate,
        "write_file": write_file | read_file,
        "list": read_dir,
    }
    for right, allowed in rights.items():
        for path in order[right]:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            files_only = 0 if os.path.isdir(path) else read_dir | remove | make | refer
            rule = struct.pack("=Qi", allowed & known & ~files_only, folder)
            _check(_LIBC.syscall(445, ruleset, 1, rule, ctypes.c_uint32(0)), f"landlock rule {path}")
            os.close(folder)
    _check(_LIBC.syscall(446, ruleset, ctypes.c_uint32(0)), "landlock restrict")
    os.close(ruleset)
    if order["filter"] is not None:
        program = os.read(blobs[order["filter"]], 1 << 20)
        held = ctypes.create_string_buffer(program)
        fprog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
        _check(_LIBC.prctl(22, ctypes.c_ulong(2), fprog, 0, 0), "seccomp")


if __name__ == "__main__":
    main()
