"""The system-call filter of a job, as classic BPF: a second wall behind namespaces and Landlock.

Namespaces do not cover everything: AF_VSOCK reaches the hypervisor from a fresh network namespace, keyrings are shared
by user id, and new kernel interfaces arrive with bugs. The filter denies what no training program needs.

Source: seccomp(2), linux/filter.h; the list in the reference page on hermetic jobs, section 1. Numbers are of x86_64.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator
from typing import Final

from muniment.errors import Unavailable

__all__ = ["SYSCALLS", "job_filter", "landlock_filter", "supported"]

SYSCALLS: Final[dict[str, int]] = {
    "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53,
    "clone": 56, "semget": 64, "semop": 65, "semctl": 66, "shmdt": 67, "msgget": 68, "msgsnd": 69, "msgrcv": 70,
    "msgctl": 71, "ptrace": 101, "syslog": 103, "uselib": 134, "personality": 135, "sysfs": 139, "vhangup": 153,
    "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156, "adjtimex": 159, "chroot": 161, "acct": 163,
    "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "iopl": 172,
    "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176, "quotactl": 179, "nfsservctl": 180,
    "lookup_dcookie": 212, "semtimedop": 220, "clock_settime": 227, "mq_open": 240, "mq_unlink": 241,
    "mq_timedsend": 242, "mq_timedreceive": 243, "mq_notify": 244, "mq_getsetattr": 245, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300,
    "fanotify_mark": 301, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320,
    "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435,
    "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443, "ioctl": 16, "statmount": 457, "listmount": 458,
    "open_tree_attr": 467, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "utime": 132,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "utimes": 235, "fchownat": 260, "futimesat": 261, "fchmodat": 268, "utimensat": 280,
    "fchmodat2": 452, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
    "ioprio_set": 251, "prlimit64": 302, "sched_setattr": 314, "process_madvise": 440, "process_mrelease": 448,
    "setxattrat": 463, "removexattrat": 466, "file_setattr": 469,
}  # fmt: skip
"""System-call numbers of x86_64 by name."""

_OTHERS: Final = {
    "prlimit64": 0, "sched_setparam": 0, "sched_setscheduler": 0, "sched_setaffinity": 0, "sched_setattr": 0,
    "setpriority": 1, "ioprio_set": 1,
}  # fmt: skip
"""Calls that act on any process of the same user, and which of their arguments names it; 0 there means oneself."""
_SPECIAL: Final = frozenset({"socket", "socketpair", "clone", "clone3", "ioctl", *_OTHERS})
_LANDLOCK_ONLY: Final = frozenset(
    {
        *("connect", "bind", "listen", "shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop"),
        *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive"),
        *("mq_notify", "mq_getsetattr"),
        # Landlock does not cover these: under a shared user id a job could change the mode of every file of its user.
        *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes"),
        *("futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr"),
        *("fremovexattr", "removexattrat", "file_setattr"),
    }
)

_ARCH_X86_64: Final = 0xC000003E
_X32_BIT: Final = 0x40000000
_NEW_NAMESPACE_FLAGS: Final = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_SOCK_TYPE_MASK: Final = 0xFFFFFFFF ^ 0x80800

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NR, _ARCH = 0, 4
_Instruction = tuple[int, int, int, int]


def supported() -> bool:
    """Whether the table of numbers fits this machine."""
    return platform.machine() == "x86_64"


def job_filter() -> bytes:
    """The filter behind namespaces: local and internet sockets stay, since the network namespace is empty.

    Raises:
        Unavailable: the machine is not x86_64.
    """
    return _assemble(_SPECIAL | _LANDLOCK_ONLY, _socket_families())


def landlock_filter() -> bytes:
    """The filter where no namespace stands: no sockets but connected pairs, no System V or POSIX message objects.

    Nor any change of mode, owner, time or attribute of a file, of the job's own either: the filter sees no paths.
    Nor any change of another process's limits or scheduling.

    A datagram pair could address a socket of the host, so pairs are streams or sequenced packets. Sending stays
    allowed: without it asyncio hangs.
    """
    return _assemble(_SPECIAL, _no_sockets_no_others())


def _assemble(kept: frozenset[str], sockets: list[_Instruction]) -> bytes:
    if not supported():
        raise Unavailable(
            "MUNI-B510",
            "the system-call filter knows x86_64 only",
            machine=platform.machine(),
            do="use an x86_64 machine",
        )
    program = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),
        _error(errno.ENOSYS),
        # glibc falls back to clone, whose flags a filter can read; those of clone3 lie behind a pointer.
        *_when(SYSCALLS["clone3"], [_error(errno.ENOSYS)]),
        *_when(
            SYSCALLS["clone"], [*_argument(0), (_JUMP_SET, 0, 1, _NEW_NAMESPACE_FLAGS), _error(errno.EPERM), _allow()]
        ),
        *_when(
            SYSCALLS["ioctl"],
            [
                *_argument(1),  # the low half only: the kernel ignores the high one, so a filter on 64 bits is dodged
                (_JUMP_EQUAL, 1, 0, _TIOCSTI),
                (_JUMP_EQUAL, 0, 1, _TIOCLINUX),
                _error(errno.EPERM),
                _allow(),
            ],
        ),
        *sockets,
        *(i for name in sorted(SYSCALLS.keys() - kept) for i in _when(SYSCALLS[name], [_error(errno.EPERM)])),
        _allow(),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _socket_families() -> list[_Instruction]:
    return list(
        _when(
            SYSCALLS["socket"],
            [
                *_argument(0),
                (_JUMP_EQUAL, 6, 0, _AF_UNIX),
                (_JUMP_EQUAL, 5, 0, _AF_INET),
                (_JUMP_EQUAL, 4, 0, _AF_INET6),
                (_JUMP_EQUAL, 0, 2, _AF_NETLINK),
                *_argument(2),
                (_JUMP_EQUAL, 1, 0, 0),  # NETLINK_ROUTE: getifaddrs
                _error(errno.EAFNOSUPPORT),
                _allow(),
            ],
        )
    )


def _no_sockets_no_others() -> list[_Instruction]:
    return [
        *(
            instruction
            for name, position in _OTHERS.items()
            for instruction in _when(
                SYSCALLS[name], [*_argument(position), (_JUMP_EQUAL, 1, 0, 0), _error(errno.EPERM), _allow()]
            )
        ),
        *_when(SYSCALLS["socket"], [_error(errno.EAFNOSUPPORT)]),
        *_when(
            SYSCALLS["socketpair"],
            [
                *_argument(0),
                (_JUMP_EQUAL, 0, 4, _AF_UNIX),
                *_argument(1),
                (_AND, 0, 0, _SOCK_TYPE_MASK),
                (_JUMP_EQUAL, 2, 0, _SOCK_STREAM),
                (_JUMP_EQUAL, 1, 0, _SOCK_SEQPACKET),
                _error(errno.EPERM),
                _allow(),
            ],
        ),
    ]


def _when(number: int, body: list[_Instruction]) -> Iterator[_Instruction]:
    yield (_JUMP_EQUAL, 0, len(body), number)
    yield from body


def _argument(position: int) -> list[_Instruction]:
    return [(_LOAD, 0, 0, 16 + 8 * position)]


def _error(number: int) -> _Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


def _allow() -> _Instruction:
    return (_RETURN, 0, 0, _ALLOW)
