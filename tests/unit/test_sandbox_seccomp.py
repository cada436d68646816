"""The system-call filters, decided by a small interpreter of classic BPF: what a call meets, and what else passes."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.sandbox.seccomp import SYSCALLS, job_filter, landlock_filter, supported

pytestmark = pytest.mark.skipif(not supported(), reason="the filter knows x86_64 only")

X86_64, I386 = 0xC000003E, 0x40000003
ALLOW, KILL = 0x7FFF0000, 0x80000000
READ, WRITE, SENDTO, SENDMSG, FUTEX = 0, 1, 44, 46, 202
FILTERS = {"job": job_filter, "landlock": landlock_filter}
BY_ARGUMENT = {"socket", "socketpair", "clone", "clone3", "ioctl", "prlimit64", "setpriority", "ioprio_set"} | {
    name for name in SYSCALLS if name.startswith("sched_set")
}


def decide(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """What a filter returns for a call; jumps out of the program raise."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(word & 0xFFFFFFFFFFFFFFFF for word in words))
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, accumulator = 0, 0
    while True:
        operation, jump_true, jump_false, operand = code[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x06:
            return int(operand)
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }[operation]
            at += jump_true if holds else jump_false


def refused(number: int) -> int:
    """What a filter returns to refuse with this error."""
    return 0x00050000 | number


@pytest.mark.parametrize("name", FILTERS)
def test_programs_are_whole_and_small(name: str) -> None:
    """Whole instructions, fewer than the kernel's 4096."""
    program = FILTERS[name]()
    assert len(program) % 8 == 0
    assert 100 < len(program) // 8 < 1024


@pytest.mark.parametrize("name", FILTERS)
def test_another_architecture_kills(name: str) -> None:
    """Numbers mean other calls there, so none is looked at."""
    assert decide(FILTERS[name](), READ, architecture=I386) == KILL


@pytest.mark.parametrize("name", FILTERS)
@given(number=st.integers(0, 2**32 - 1), words=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_every_call_meets_a_decision(name: str, number: int, words: list[int]) -> None:
    """For any number and arguments: x32 is unknown, listed calls are decided, everything else is allowed."""
    found = decide(FILTERS[name](), number, *words)
    if number >= 0x40000000:
        assert found == refused(errno.ENOSYS)
    elif number not in SYSCALLS.values():
        assert found == ALLOW
    else:
        assert found in {ALLOW, refused(errno.EPERM), refused(errno.ENOSYS), refused(errno.EAFNOSUPPORT)}


@pytest.mark.parametrize("call", sorted(SYSCALLS.keys() - BY_ARGUMENT))
def test_listed_calls_are_refused_behind_landlock(call: str) -> None:
    """Every listed call that needs no look at its arguments meets EPERM in the stricter filter."""
    assert decide(landlock_filter(), SYSCALLS[call]) == refused(errno.EPERM)


@pytest.mark.parametrize(
    "call", ["ptrace", "mount", "setns", "unshare", "keyctl", "bpf", "io_uring_setup", "userfaultfd", "kexec_load"]
)
def test_dangerous_calls_are_refused_in_a_namespace_too(call: str) -> None:
    """What a namespace does not hold, the filter does."""
    assert decide(job_filter(), SYSCALLS[call]) == refused(errno.EPERM)


@pytest.mark.parametrize("name", FILTERS)
@given(flag=st.sampled_from([0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]))
def test_no_namespace_can_be_made(name: str, flag: int) -> None:
    """A clone is allowed without namespace flags and refused with any of them; clone3 does not exist."""
    program = FILTERS[name]()
    assert decide(program, SYSCALLS["clone"], 0x1200011) == ALLOW
    assert decide(program, SYSCALLS["clone"], 0x11 | flag) == refused(errno.EPERM)
    assert decide(program, SYSCALLS["clone3"]) == refused(errno.ENOSYS)


@pytest.mark.parametrize("name", FILTERS)
@given(high=st.integers(0, 2**32 - 1))
def test_high_bits_do_not_hide_a_request(name: str, high: int) -> None:
    """The kernel reads the low half of an ioctl request, so the filter does too."""
    program = FILTERS[name]()
    for request in (0x5412, 0x541C):
        assert decide(program, SYSCALLS["ioctl"], 0, request | high << 32) == refused(errno.EPERM)
    assert decide(program, SYSCALLS["ioctl"], 0, 0x5401 | high << 32) == ALLOW


@given(family=st.integers(0, 60), protocol=st.integers(0, 20))
def test_socket_families_in_a_namespace(family: int, protocol: int) -> None:
    """Local and internet sockets, and the routing part of netlink; nothing else."""
    allowed = family in {1, 2, 10} or (family == 16 and protocol == 0)
    found = decide(job_filter(), SYSCALLS["socket"], family, 1, protocol)
    assert found == (ALLOW if allowed else refused(errno.EAFNOSUPPORT))


@given(family=st.integers(0, 60), kind=st.integers(1, 6), flags=st.sampled_from([0, 0x800, 0x80000, 0x80800]))
def test_sockets_behind_landlock(family: int, kind: int, flags: int) -> None:
    """No socket at all; of pairs only connected ones, since a datagram pair could address a socket of the host."""
    program = landlock_filter()
    assert decide(program, SYSCALLS["socket"], family, kind) == refused(errno.EAFNOSUPPORT)
    allowed = family == 1 and kind in {1, 5}
    assert decide(program, SYSCALLS["socketpair"], family, kind | flags) == (ALLOW if allowed else refused(errno.EPERM))
    assert decide(program, SENDTO) == decide(program, SENDMSG) == ALLOW


@given(pid=st.integers(1, 2**31))
def test_only_oneself_can_be_limited_behind_landlock(pid: int) -> None:
    """Limits and scheduling may be set for oneself, and for no other process."""
    program = landlock_filter()
    for call in ("prlimit64", "sched_setaffinity", "sched_setscheduler"):
        assert decide(program, SYSCALLS[call], 0) == ALLOW
        assert decide(program, SYSCALLS[call], pid) == refused(errno.EPERM)
    assert decide(program, SYSCALLS["setpriority"], 0, pid) == refused(errno.EPERM)
    assert decide(program, SYSCALLS["setpriority"], 0, 0) == ALLOW
