"""What an attacker would try: run by the canaries and the attack tests inside a sandbox and outside it.

It reads ``attacks.json`` (baits by name, and the names of the attacks to make), tries each, and writes one JSON line
per attack on the metrics descriptor: ``{"attack", "reached", "how", "broken"}``. ``reached`` says that the attack got
what it wanted, or got as far as the kernel code that a filter is there to close. Nothing is harmed: baits are the
tester's own.

Standard library only; system-call numbers are those of x86_64.
"""

# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH112, PTH115, PTH116, PTH118, PTH123, PTH207, PTH208, S103, S108

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
ROOT = os.environ.get("MUNIMENT_ML_ROOT", "/opt/ml")
Bait = dict[str, Any]
Attack = Callable[[Bait], tuple[bool, str]]
ATTACKS: dict[str, Attack] = {}


def attack(run: Attack) -> Attack:
    """Put an attack into the table under the name of its function."""
    ATTACKS[run.__name__] = run
    return run


def open_descriptors() -> list[int]:
    """Open descriptors beyond standard streams and metrics."""
    found = []
    for fd in range(4, 4096):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_GETFD)
            found.append(fd)
    return found


INHERITED = open_descriptors()
"""Taken before anything is opened here."""


def syscall(number: int, *arguments: object) -> int:
    """A raw system call; raises OSError."""
    return check(int(LIBC.syscall(ctypes.c_long(number), *arguments)))


def check(result: int) -> int:
    """Raise OSError for a failed C call."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def named(refused: OSError) -> str:
    """The error as its C name."""
    return errno.errorcode.get(refused.errno or 0, type(refused).__name__)


def in_kernel(call: Callable[[], object], *blocked: int) -> tuple[bool, str]:
    """Whether a call got past the filter: any error but the filter's own counts as reached."""
    try:
        call()
        return True, "done"
    except OSError as refused:
        return refused.errno not in (blocked or (errno.EPERM, errno.ENOSYS)), named(refused)


# ---- files


@attack
def read_foreign_file(bait: Bait) -> tuple[bool, str]:
    """Row 1: read a world-readable file of somebody else."""
    with open(bait["file"], "rb") as stream:
        return stream.read() == bait["secret"].encode(), "read"


@attack
def read_host_tmp(bait: Bait) -> tuple[bool, str]:
    """Row 1: find and read a file in the host's /tmp."""
    with open(bait["tmp_file"], "rb") as stream:
        return stream.read() == bait["secret"].encode(), "read"


@attack
def list_home(bait: Bait) -> tuple[bool, str]:
    """Row 1: list the host's /home."""
    return True, f"{bool(os.listdir('/home'))}"


@attack
def read_shadow(bait: Bait) -> tuple[bool, str]:
    """Row 1: read the password hashes."""
    with open("/etc/shadow", "rb") as stream:
        return bool(stream.read(1)), "read"


@attack
def read_host_config(bait: Bait) -> tuple[bool, str]:
    """Row 1: read a file that every Linux host has and that says which it is."""
    with open("/etc/os-release", "rb") as stream:
        return bool(stream.read(1)), "read"


@attack
def stat_foreign_file(bait: Bait) -> tuple[bool, str]:
    """Row 2: learn size and times of somebody else's file."""
    return os.stat(bait["file"]).st_size == len(bait["secret"]), "size read"


@attack
def readlink_foreign(bait: Bait) -> tuple[bool, str]:
    """Row 2: learn where somebody else's link points."""
    return os.readlink(bait["link"]) == bait["secret"], "target read"


@attack
def getxattr_foreign(bait: Bait) -> tuple[bool, str]:
    """Row 2: read an extended attribute of somebody else's file."""
    return os.getxattr(bait["file"], "user.muniment") == bait["secret"].encode(), "attribute read"


@attack
def write_foreign_folder(bait: Bait) -> tuple[bool, str]:
    """Row 15: leave a file in a folder of the host that everyone may write."""
    path = os.path.join(bait["open_folder"], f"left-{os.getpid()}")
    with open(path, "wb") as stream:
        stream.write(b"x")
    return True, "written"


@attack
def change_mode(bait: Bait) -> tuple[bool, str]:
    """Row 15: change the mode of a file of the same user, which Landlock alone does not cover."""
    os.chmod(bait["file"], 0o644)
    return True, "changed"


@attack
def change_mode_by_descriptor(bait: Bait) -> tuple[bool, str]:
    """Row 15: the same by an open descriptor of something that may only be read."""
    with open(os.__file__, "rb") as stream:
        os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & 0o777)
    return True, "changed"


@attack
def change_times(bait: Bait) -> tuple[bool, str]:
    """Row 15: change the times of a file of the same user."""
    os.utime(bait["file"])
    return True, "changed"


@attack
def change_attribute(bait: Bait) -> tuple[bool, str]:
    """Row 15: set an attribute of a file of the same user."""
    os.setxattr(bait["file"], "user.planted", b"x")
    return True, "set"


@attack
def write_readonly_inside(bait: Bait) -> tuple[bool, str]:
    """Row 15: change inputs, code, base, environment, configuration, or leave something beside them."""
    places = [f"{ROOT}/input", f"{ROOT}/input/data", f"{ROOT}/input/config", f"{ROOT}/code", "/usr", "/usr/lib", "/env"]
    places += ["/", "/etc", "/dev", "/proc", *bait.get("folders", [])]
    won = []
    for place in places:
        with contextlib.suppress(OSError):
            fd = os.open(os.path.join(place, "planted"), os.O_CREAT | os.O_WRONLY, 0o600)
            os.close(fd)
            won.append(place)
    files = [*glob.glob(f"{ROOT}/input/**", recursive=True), *glob.glob(f"{ROOT}/code/**", recursive=True)]
    files += ["/etc/passwd", "/etc/hosts", sys.executable, os.__file__, *bait.get("files", [])]
    for path in files:
        if os.path.isdir(path):
            continue
        with contextlib.suppress(OSError):
            os.chmod(path, 0o666)
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            won.append(path)
        for change in (os.unlink, lambda path: os.rename(path, path + "-moved")):
            with contextlib.suppress(OSError):
                change(path)
                won.append(path)
    return bool(won), ",".join(won[:4]) or "all refused"


@attack
def write_proc_sys(bait: Bait) -> tuple[bool, str]:
    """Row 16: open a switch of the kernel for writing."""
    for path in ("/proc/sys/vm/drop_caches", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            return True, path
    return False, "all refused"


@attack
def read_kcore(bait: Bait) -> tuple[bool, str]:
    """Row 17: read the kernel's memory."""
    with open("/proc/kcore", "rb") as stream:
        return bool(stream.read(1)), "read"


@attack
def list_sys(bait: Bait) -> tuple[bool, str]:
    """Row 17: look at the machine's devices."""
    return bool(os.listdir("/sys/class")), "listed"


@attack
def open_by_handle(bait: Bait) -> tuple[bool, str]:
    """Row 11: open a file by its handle, past every folder."""
    return in_kernel(lambda: syscall(304, -1, ctypes.create_string_buffer(16), 0))


@attack
def mount_something(bait: Bait) -> tuple[bool, str]:
    """Row 13: mount a file system."""
    os.makedirs(place := f"{os.environ.get('TMPDIR', '/tmp')}/point", exist_ok=True)
    return True, str(check(LIBC.mount(b"tmpfs", place.encode(), b"tmpfs", 0, None)))


@attack
def remount_writable(bait: Bait) -> tuple[bool, str]:
    """Row 13: make the root writable."""
    return True, str(check(LIBC.mount(b"none", b"/usr", None, 0x20 | 0x1000, None)))


@attack
def new_mount_calls(bait: Bait) -> tuple[bool, str]:
    """Row 13: the mount calls of later kernels."""
    return in_kernel(lambda: syscall(430, b"tmpfs", 0))


@attack
def make_device(bait: Bait) -> tuple[bool, str]:
    """Row 13: make a node for the disk."""
    os.mknod(f"{os.environ.get('TMPDIR', '/tmp')}/disk", 0o60600, os.makedev(254, 0))
    return True, "made"


@attack
def become_root(bait: Bait) -> tuple[bool, str]:
    """Row 13: become user 0."""
    os.setuid(0)
    return True, "set"


@attack
def any_capability(bait: Bait) -> tuple[bool, str]:
    """Row 13: hold or be able to gain a capability."""
    header = struct.pack("Ii", 0x20080522, 0)
    held = ctypes.create_string_buffer(24)
    syscall(125, header, held)
    effective, permitted, inheritable = (
        low | high << 32 for low, high in zip(*[iter(struct.unpack("6I", _interleaved(held.raw)))] * 2, strict=True)
    )
    sealed = LIBC.prctl(39, 0, 0, 0, 0) == 1
    return bool(effective | permitted | inheritable) or not sealed, "none held" if sealed else "can gain"


def _interleaved(raw: bytes) -> bytes:
    """capget(2) gives the low halves of the three sets, then the high ones; put the halves of each set together."""
    words = [raw[at : at + 4] for at in range(0, 24, 4)]
    return b"".join(words[at] + words[at + 3] for at in range(3))


@attack
def run_host_program(bait: Bait) -> tuple[bool, str]:
    """Row 13: run su, a shell or a compiler of the host."""
    for program in ("/bin/su", "/usr/bin/su", "/bin/sh", "/usr/bin/env", "/usr/bin/gcc"):
        try:
            child = os.posix_spawn(program, [program, "--version"], {})
        except OSError:
            continue
        os.waitpid(child, 0)
        return True, program
    return False, "none runs"


# ---- network


@attack
def tcp_loopback(bait: Bait) -> tuple[bool, str]:
    """Row 3: reach a server on the host's loopback."""
    with socket.create_connection(("127.0.0.1", bait["tcp_port"]), 2) as connected:
        return connected.recv(64) == bait["secret"].encode(), "answered"


@attack
def udp_out(bait: Bait) -> tuple[bool, str]:
    """Row 3: have a route to the world for a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 53))
        return True, "routed"


@attack
def abstract_socket(bait: Bait) -> tuple[bool, str]:
    """Row 4: reach a server on an abstract unix socket."""
    with socket.socket(socket.AF_UNIX) as out:
        out.settimeout(2)
        out.connect("\0" + bait["abstract"])
        return out.recv(64) == bait["secret"].encode(), "answered"


@attack
def pathname_socket(bait: Bait) -> tuple[bool, str]:
    """Row 4: reach a server on a unix socket in the file system."""
    with socket.socket(socket.AF_UNIX) as out:
        out.settimeout(2)
        out.connect(bait["socket"])
        return out.recv(64) == bait["secret"].encode(), "answered"


@attack
def datagram_pair_to_host(bait: Bait) -> tuple[bool, str]:
    """Section 3: send from one end of an inherited-style datagram pair to a socket of the host."""
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"x", bait["datagram"])
    return True, "sent"


def opens(family: int, kind: int, protocol: int) -> tuple[bool, str]:
    """Whether a socket of this family opens."""
    socket.socket(family, kind, protocol).close()
    return True, "opened"


@attack
def vsock(bait: Bait) -> tuple[bool, str]:
    """Row 5: talk to the hypervisor."""
    return opens(40, socket.SOCK_STREAM, 0)


@attack
def netlink_audit(bait: Bait) -> tuple[bool, str]:
    """Row 5: the kernel's audit interface."""
    return opens(16, socket.SOCK_RAW, 9)


@attack
def netlink_uevent(bait: Bait) -> tuple[bool, str]:
    """Row 5: the kernel's device events."""
    return opens(16, socket.SOCK_RAW, 15)


@attack
def packet_socket(bait: Bait) -> tuple[bool, str]:
    """Row 5: raw packets."""
    return opens(17, socket.SOCK_RAW, 0)


@attack
def crypto_socket(bait: Bait) -> tuple[bool, str]:
    """Row 5: the kernel's cryptography interface."""
    return opens(38, socket.SOCK_SEQPACKET, 0)


# ---- other processes


@attack
def ptrace_process(bait: Bait) -> tuple[bool, str]:
    """Row 6: attach to a process of the same user."""
    pid = bait["pid"]
    check(LIBC.ptrace(16, pid, None, None))
    os.waitpid(pid, 0x40000000)
    LIBC.ptrace(17, pid, None, None)
    return True, "attached"


@attack
def signal_process(bait: Bait) -> tuple[bool, str]:
    """Row 6: signal a process of the same user."""
    os.kill(bait["pid"], 0)
    return True, "signalled"


@attack
def limit_process(bait: Bait) -> tuple[bool, str]:
    """Row 6: change the limits of a process of the same user."""
    resource.prlimit(bait["pid"], resource.RLIMIT_CORE, (0, 0))
    return True, "limited"


@attack
def slow_process(bait: Bait) -> tuple[bool, str]:
    """Row 6: change the priority of a process of the same user."""
    os.setpriority(os.PRIO_PROCESS, bait["pid"], 19)
    return True, "slowed"


@attack
def list_processes(bait: Bait) -> tuple[bool, str]:
    """Row 6: see the processes of the host."""
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    return str(bait["pid"]) in seen or len(seen) > 16, "the bait seen" if str(bait["pid"]) in seen else "not seen"


@attack
def read_process_memory(bait: Bait) -> tuple[bool, str]:
    """Row 11: read the memory of a process of the same user."""
    here = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
    remote = (ctypes.c_size_t * 2)(int(bait["memory"]), 8)
    count = syscall(310, bait["pid"], local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0))
    return count > 0, "read"


@attack
def steal_descriptor(bait: Bait) -> tuple[bool, str]:
    """Row 6: take an open descriptor from a process of the same user."""
    syscall(438, os.pidfd_open(bait["pid"]), 0, 0)
    return True, "taken"


@attack
def parent_root(bait: Bait) -> tuple[bool, str]:
    """Row 7: walk out through the root of process 1."""
    with open(f"/proc/1/root{bait['file']}", "rb") as stream:
        return bool(stream.read(1)), "read"


@attack
def parent_secrets(bait: Bait) -> tuple[bool, str]:
    """Rows 7 and 8: find the supervisor's secret in any environment or open file of a process in sight."""
    for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as stream:
            if bait["environment_secret"].encode() in stream.read():
                return True, "in the environment of a process"
    if bait["environment_secret"] in "".join(os.environ.values()):
        return True, "environment"
    return False, "not found"


@attack
def host_paths_in_commands(bait: Bait) -> tuple[bool, str]:
    """Row 7: find host paths in the command lines of processes in sight."""
    for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as stream:
            if bait["base"].encode() in stream.read():
                return True, "in a command line"
    return False, "not found"


@attack
def inherited_descriptors(bait: Bait) -> tuple[bool, str]:
    """Row 8: find an open descriptor beyond 0 to 3."""
    return bool(INHERITED), ",".join(map(str, INHERITED[:8])) or "none"


@attack
def writable_stdin(bait: Bait) -> tuple[bool, str]:
    """Row 8: read something from standard input."""
    return bool(os.read(0, 1)), "read"


@attack
def host_mounts(bait: Bait) -> tuple[bool, str]:
    """Row 26: learn host paths from the list of mounts."""
    with open("/proc/self/mountinfo") as stream:
        text = stream.read()
    return bait["base"] in text, "named" if bait["base"] in text else "not named"


# ---- interprocess communication and kernel interfaces


@attack
def shared_memory(bait: Bait) -> tuple[bool, str]:
    """Row 9: attach to System V shared memory by its key."""
    syscall(29, bait["ipc_key"], ctypes.c_size_t(0), 0)
    return True, "found"


@attack
def message_by_id(bait: Bait) -> tuple[bool, str]:
    """Row 9: receive from a System V queue by its guessed id."""
    room = ctypes.create_string_buffer(128)
    syscall(70, bait["queue"], room, ctypes.c_size_t(64), ctypes.c_long(0), 0o4000)
    return True, "received"


@attack
def keyring(bait: Bait) -> tuple[bool, str]:
    """Row 10: use the kernel's keyrings, which namespaces do not separate."""
    syscall(248, b"user", b"muniment", b"x", ctypes.c_size_t(1), -3)
    return True, "added"


@attack
def keyctl(bait: Bait) -> tuple[bool, str]:
    """Row 10: use the kernel's keyrings."""
    syscall(250, 0, -3, 1)
    return True, "opened"


@attack
def io_uring(bait: Bait) -> tuple[bool, str]:
    """Row 10: open a ring that does calls past filters."""
    return in_kernel(lambda: syscall(425, 1, ctypes.create_string_buffer(120)))


@attack
def userfault(bait: Bait) -> tuple[bool, str]:
    """Row 10: stop the kernel in a page fault."""
    syscall(323, 1)
    return True, "opened"


@attack
def perf_events(bait: Bait) -> tuple[bool, str]:
    """Row 10: watch the processor."""
    what = ctypes.create_string_buffer(struct.pack("IIQQQQ", 1, 112, 0, 0, 0, 0x61) + bytes(80))
    return in_kernel(lambda: syscall(298, what, 0, -1, -1, ctypes.c_ulong(0)), errno.EPERM, errno.EACCES)


@attack
def personality(bait: Bait) -> tuple[bool, str]:
    """Row 10: switch off address randomisation."""
    syscall(135, ctypes.c_ulong(0x0040000))
    return True, "set"


@attack
def bpf(bait: Bait) -> tuple[bool, str]:
    """Row 11: load code into the kernel."""
    return in_kernel(lambda: syscall(321, 0, ctypes.create_string_buffer(128), 128))


@attack
def unshare_user(bait: Bait) -> tuple[bool, str]:
    """Row 12: a user namespace of one's own."""
    return forked(lambda: check(LIBC.unshare(0x10000000)))


@attack
def clone_user(bait: Bait) -> tuple[bool, str]:
    """Row 12: the same by clone."""
    return forked(lambda: exit_child(syscall(56, ctypes.c_ulong(0x10000000 | signal.SIGCHLD), None, None, None, None)))


@attack
def clone3_user(bait: Bait) -> tuple[bool, str]:
    """Row 12: the same by clone3, whose flags a filter cannot see."""
    order = ctypes.create_string_buffer(struct.pack("QQQQQQQQ", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    return forked(lambda: exit_child(syscall(435, order, ctypes.c_size_t(64))))


def exit_child(pid: int) -> int:
    """In the child of a raw clone: leave at once."""
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def forked(call: Callable[[], object]) -> tuple[bool, str]:
    """Make a call in a child, so that what it gains does not stay."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call()
            os.write(writer, b"reached")
        except OSError as refused:
            os.write(writer, named(refused).encode())
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 64).decode()
    os.close(reader)
    os.waitpid(child, 0)
    return said == "reached", said


@attack
def push_terminal_input(bait: Bait) -> tuple[bool, str]:
    """Row 14: type into the terminal."""
    return in_kernel(lambda: check(LIBC.ioctl(0, ctypes.c_ulong(0x5412), b"x")))


@attack
def push_terminal_input_high_bits(bait: Bait) -> tuple[bool, str]:
    """Row 14: the same with bits set that the kernel ignores and a careless filter does not."""
    return in_kernel(lambda: check(LIBC.ioctl(0, ctypes.c_ulong(0x5412 | 1 << 32), b"x")))


@attack
def foreign_architecture(bait: Bait) -> tuple[bool, str]:
    """Section 1: make a 32-bit call past the table of numbers; the filter kills for it, so it is made in a child."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("53b814000000cd805bc3"))  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    child = os.fork()
    if child == 0:
        os._exit(0 if call() == os.getpid() else 1)
    status = os.waitpid(child, 0)[1]
    return status == 0, f"status {status}"


# ---- bounds


def fill(folder: str, most_mb: int) -> tuple[bool, str]:
    """Write until refused; reached when more than the bound went in."""
    block, written, files = bytes(1 << 20), 0, []
    try:
        for number in range(64):
            path = os.path.join(folder, f"fill-{number}")
            files.append(path)
            with open(path, "wb", buffering=0) as stream:
                try:
                    for _ in range(most_mb + 1):
                        written += stream.write(block)
                        if written > (most_mb + 1) << 20:
                            return True, f"more than {most_mb} MiB"
                except OSError as refused:
                    if refused.errno == errno.ENOSPC:
                        return False, f"ENOSPC after {written >> 20} MiB"
    except OSError as refused:
        return False, named(refused)
    finally:
        for path in files:
            with contextlib.suppress(OSError):
                os.unlink(path)
    return written > most_mb << 20, f"{written >> 20} MiB"


@attack
def fill_output(bait: Bait) -> tuple[bool, str]:
    """Row 18: fill the results folder."""
    return fill(f"{ROOT}/output", bait["output_mb"])


@attack
def fill_tmp(bait: Bait) -> tuple[bool, str]:
    """Row 18: fill the scratch folder."""
    return fill(os.environ.get("TMPDIR", "/tmp"), bait["tmp_mb"])


@attack
def fill_shm(bait: Bait) -> tuple[bool, str]:
    """Row 18: fill shared memory."""
    return fill("/dev/shm", bait["shm_mb"])


@attack
def fill_root(bait: Bait) -> tuple[bool, str]:
    """Row 18: fill memory through folders that nobody bounded."""
    won = []
    bounded = os.path.realpath(os.environ.get("TMPDIR", "/tmp"))
    for place in ("/", "/dev", "/run", "/var", "/var/tmp", "/mnt", ROOT + "/input"):
        if os.path.realpath(place) == bounded:
            continue
        with contextlib.suppress(OSError), open(os.path.join(place, f"x{os.getpid()}"), "wb") as stream:
            won.append(place)
            os.unlink(stream.name)
    return bool(won), ",".join(won) or "none writable"


@attack
def many_processes(bait: Bait) -> tuple[bool, str]:
    """Row 20: start more processes than allowed."""
    children = []
    try:
        for _ in range(bait["processes"] + 64):
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            children.append(child)
    except OSError as refused:
        return len(children) > bait["processes"] + 8, named(refused)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children) > bait["processes"] + 8, "all started"


def main() -> None:
    """Make the attacks that were asked for."""
    with open(f"{ROOT}/input/config/attacks.json") as stream:
        order = json.load(stream)
    out = int(os.environ["MUNIMENT_METRICS_FD"])
    for name in order["attacks"]:
        broken = False
        try:
            reached, how = ATTACKS[name](order["bait"])
        except TimeoutError:
            reached, how = False, "ETIMEDOUT"
        except OSError as refused:
            reached, how = False, named(refused)
        except Exception as failed:
            reached, how, broken = False, f"{type(failed).__name__}: {failed}", True
        line = {"attack": name, "reached": reached, "how": how, "broken": broken}
        os.write(out, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main()
