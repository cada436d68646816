"""The attack table of the sandbox, row by row: in each engine, in a control, and for filter rows without the filter.

A row passes when the attack is refused inside and its control, the same program under the same user without walls,
reaches. A control that reaches nothing proves nothing: such a row is reported as not applicable, never as passed. What
an engine is known not to cover is asserted as reached, so that a claim can neither rot nor grow unnoticed.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import sandboxing
from muniment.adapters.sandbox.canaries import Attempt
from ordinary import as_ordinary_user

pytestmark = pytest.mark.slow

ROWS = {
    "read_foreign_file": 1,
    "read_host_tmp": 1,
    "list_home": 1,
    "read_shadow": 1,
    "read_host_config": 1,
    "stat_foreign_file": 2,
    "readlink_foreign": 2,
    "getxattr_foreign": 2,
    "tcp_loopback": 3,
    "udp_out": 3,
    "abstract_socket": 4,
    "pathname_socket": 4,
    "datagram_pair_to_host": 4,
    "vsock": 5,
    "netlink_audit": 5,
    "netlink_uevent": 5,
    "packet_socket": 5,
    "crypto_socket": 5,
    "ptrace_process": 6,
    "signal_process": 6,
    "limit_process": 6,
    "slow_process": 6,
    "list_processes": 6,
    "steal_descriptor": 6,
    "parent_root": 7,
    "parent_secrets": 7,
    "host_paths_in_commands": 7,
    "inherited_descriptors": 8,
    "writable_stdin": 8,
    "shared_memory": 9,
    "message_by_id": 9,
    "keyctl": 10,
    "keyring": 10,
    "io_uring": 10,
    "userfault": 10,
    "perf_events": 10,
    "personality": 10,
    "bpf": 11,
    "read_process_memory": 11,
    "open_by_handle": 11,
    "unshare_user": 12,
    "clone_user": 12,
    "clone3_user": 12,
    "mount_something": 13,
    "remount_writable": 13,
    "new_mount_calls": 13,
    "make_device": 13,
    "become_root": 13,
    "run_host_program": 13,
    "any_capability": 13,
    "push_terminal_input": 14,
    "push_terminal_input_high_bits": 14,
    "change_mode": 15,
    "change_mode_by_descriptor": 15,
    "change_times": 15,
    "change_attribute": 15,
    "write_readonly_inside": 15,
    "write_foreign_folder": 15,
    "write_proc_sys": 16,
    "read_kcore": 17,
    "list_sys": 17,
    "fill_output": 18,
    "fill_tmp": 18,
    "fill_shm": 18,
    "fill_root": 18,
    "many_processes": 20,
    "host_mounts": 26,
    "foreign_architecture": 27,
}
"""Each attack and the row of the table it stands for; 27 is the filter's own rule on foreign architectures."""

REACHED = {
    "bwrap": {"host_mounts"},
    "landlock": {"stat_foreign_file", "readlink_foreign", "getxattr_foreign", "fill_output", "fill_tmp"},
}
"""What an engine does not cover, on record: names of mounts; metadata and disk behind Landlock."""

NO_CONTROL = sandboxing.HARMFUL | {"inherited_descriptors", "writable_stdin", "any_capability"}
"""About what exists only inside, or would harm the machine outside."""

HELD_BY_FILTER = {
    "bwrap": {
        *("vsock", "netlink_audit", "netlink_uevent", "keyctl", "keyring", "io_uring", "userfault", "personality"),
        *("foreign_architecture", "perf_events", "bpf", "push_terminal_input", "push_terminal_input_high_bits"),
    },
    "landlock": {
        *("udp_out", "pathname_socket", "datagram_pair_to_host", "vsock", "netlink_audit", "netlink_uevent"),
        *("shared_memory", "message_by_id", "keyctl", "keyring", "io_uring", "userfault", "personality"),
        *("unshare_user", "clone_user", "clone3_user", "foreign_architecture", "perf_events", "bpf"),
        *("change_mode", "change_mode_by_descriptor", "change_times", "change_attribute"),
        *("limit_process", "slow_process"),
        *("push_terminal_input", "push_terminal_input_high_bits"),
    },
}
"""Attacks that only the system-call filter stops: without it they are reached."""


@cache
def _survey(supervisor: str) -> dict[str, dict[str, Attempt]]:
    if supervisor == "user" and os.geteuid() == 0:
        folder = sandboxing.workplace() / "ordinary"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        done = as_ordinary_user(Path(sandboxing.__file__), str(folder), *ROWS)
        assert done.returncode == 0, done.stderr
        return sandboxing.decoded(done.stdout)
    return sandboxing.survey(list(ROWS), sandboxing.workplace())


def _attempts(engine: str, supervisor: str) -> dict[str, dict[str, Attempt]]:
    if supervisor == "root" and os.geteuid() != 0:
        sandboxing.missing("not root: walls raised by root are attacked only by a test run of root")
    found = _survey(supervisor)
    if engine not in found:
        sandboxing.missing(f"{engine} does not work on this machine")
    return found


@pytest.mark.parametrize("supervisor", ["root", "user"])
@pytest.mark.parametrize("engine", ["bwrap", "landlock"])
@pytest.mark.parametrize("attack", ROWS, ids=lambda name: f"row{ROWS[name]:02}-{name}")
def test_attack_is_refused_inside(attack: str, engine: str, supervisor: str) -> None:
    """Refused inside while its control reaches; or on record as reached."""
    found = _attempts(engine, supervisor)
    inside = found[engine][attack]
    assert not inside.broken, inside.how
    if attack in REACHED[engine]:
        assert inside.reached, f"{attack} is no longer reached ({inside.how}): take it off the record"
        return
    assert not inside.reached, inside.how
    if attack not in NO_CONTROL and not found["control"][attack].reached:
        pytest.skip(
            f"not applicable: refused inside ({inside.how}), but the control met {found['control'][attack].how}"
        )


@pytest.mark.parametrize("supervisor", ["root", "user"])
@pytest.mark.parametrize(("engine", "attack"), [(e, a) for e, held in HELD_BY_FILTER.items() for a in sorted(held)])
def test_the_filter_is_the_wall_that_holds(engine: str, attack: str, supervisor: str) -> None:
    """Without the filter the attack is reached: the row tests the filter and not something before it."""
    found = _attempts(engine, supervisor)
    assert not found[engine][attack].reached
    without = found[f"{engine} without filter"][attack]
    if not without.reached and not found["control"][attack].reached:
        pytest.skip(f"not applicable: this machine refuses it anyway ({without.how})")
    assert without.reached, without.how


@pytest.mark.parametrize("supervisor", ["root", "user"])
def test_hidden_arguments_are_the_wall_that_holds(supervisor: str) -> None:
    """Arguments on the command line of the engine would show host paths inside; those in a memory file do not."""
    found = _attempts("bwrap", supervisor)
    assert found["bwrap without hidden arguments"]["host_paths_in_commands"].reached
    assert not found["bwrap"]["host_paths_in_commands"].reached


@pytest.mark.parametrize("remount", [False, True], ids=["proc as it is", "proc read-only"])
def test_an_engine_started_by_root_needs_proc_read_only(remount: bool) -> None:
    """Row 16: started by user 0, bubblewrap alone leaves the kernel's switches open to a job without capabilities.

    The control of two walls of ours: /proc is mounted read-only, and no job is started by user 0 at all.
    """
    program = shutil.which("bwrap")
    if os.geteuid() != 0 or program is None:
        sandboxing.missing("only root can show what bubblewrap started by root leaves open")
    code = "import os\ntry:\n    os.close(os.open('/proc/sys/vm/drop_caches', os.O_WRONLY)); print('open')\n"
    code += "except OSError as refused:\n    print(refused.errno)"
    base = sandboxing.base()
    command = [program, "--unshare-user", "--unshare-pid", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    command += ["--ro-bind", str(base.root / "usr"), "/usr", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc"]
    command += ["--symlink", "usr/lib", "/lib", *(["--remount-ro", "/proc"] if remount else [])]
    done = subprocess.run([*command, base.interpreter, "-c", code], capture_output=True, text=True, check=False)
    if not remount and done.stdout != "open\n":
        pytest.skip(f"not applicable: this kernel refuses anyway ({done.stdout}{done.stderr})")
    assert done.stdout == (f"{errno.EROFS}\n" if remount else "open\n"), done.stderr


@pytest.mark.parametrize("supervisor", ["root", "user"])
def test_most_controls_reach(supervisor: str) -> None:
    """A table whose controls reach nothing would pass everywhere: at least thirty controls do."""
    control = _attempts("bwrap", supervisor)["control"]
    assert sum(one.reached for one in control.values()) >= 30
