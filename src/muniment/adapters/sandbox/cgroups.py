"""Control groups of a job: the only real bound on memory, and a second one on processes.

Resource limits of a process do not count what it writes to memory file systems; a control group counts everything.
Groups are made below the supervisor's own, so that its bounds hold too, on version 1 hierarchies (``memory``, ``pids``)
and on version 2 when those controllers are delegated. The job's guard joins it to them and removes them at the end.

Source: Linux Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["JobGroups", "make_groups", "sweep_groups"]

_PREFIX: Final = "muniment-"
_PATIENCE: Final = 2000
_OOM: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JobGroups:
    """The groups of one job; any of them may be missing."""

    folders: tuple[str, ...] = ()
    memory: Path | None = None
    """The group that bounds memory."""
    pids: Path | None = None
    version: int = 0

    def memory_kills(self) -> int:
        """How often the kernel killed a process of the job for want of memory."""
        if self.memory is None:
            return 0
        try:
            name = "memory.events" if self.version == 2 else "memory.oom_control"
            match = _OOM.search((self.memory / name).read_text())
        except OSError:
            return 0
        return int(match[1]) if match else 0

    def kill(self) -> None:
        """Kill whatever is still in the groups: nothing, unless the guard died before its job."""
        for _ in range(_PATIENCE):
            members = {pid for folder in self.folders for pid in _read(Path(folder) / "cgroup.procs").split()}
            if not members:
                return
            for pid in members:
                with suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.001)

    def remove(self) -> None:
        """Remove empty groups; a group that still holds processes stays for the guard to remove."""
        for folder in self.folders:
            try:
                Path(folder).rmdir()
            except OSError:
                continue


def make_groups(memory_bytes: int, processes: int) -> JobGroups:
    """Groups that bound a job, as far as this machine lets us.

    Args:
        memory_bytes: of all processes and memory files together.
        processes: processes and threads at once.
    """
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    own = _own_groups()
    memory = _make(own.get("memory"), name, {"memory.limit_in_bytes": memory_bytes})
    pids = _make(own.get("pids"), name, {"pids.max": processes})
    if memory is not None or pids is not None:
        if memory is not None:  # swap would be memory that the bound does not count; absent where swap is not counted
            _write(memory / "memory.memsw.limit_in_bytes", memory_bytes)
        return JobGroups(tuple(str(one) for one in (memory, pids) if one is not None), memory, pids, 1)
    unified = own.get("")
    if unified is None or not {"memory", "pids"} <= set(_read(unified / "cgroup.controllers").split()):
        return JobGroups()
    _write(unified / "cgroup.subtree_control", "+memory +pids")
    both = _make(unified, name, {"memory.max": memory_bytes, "pids.max": processes})
    if both is None:
        return JobGroups()
    _write(both / "memory.swap.max", 0)
    _write(both / "memory.oom.group", 1)
    return JobGroups((str(both),), both, both, 2)


def sweep_groups() -> None:
    """Remove the empty groups of supervisors and guards that died before they could."""
    for folder in _own_groups().values():
        for left in folder.glob(f"{_PREFIX}*"):
            owner = left.name.split("-")[1]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                try:
                    left.rmdir()
                except OSError:
                    continue


def _own_groups() -> dict[str, Path]:
    """The group of this process by controller; the unified hierarchy under the empty name."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        fields, _, rest = line.partition(" - ")
        words, kind = fields.split(), rest.split()
        if kind and kind[0] in {"cgroup", "cgroup2"}:
            for controller in kind[2].split(",") if kind[0] == "cgroup" else [""]:
                mounts.setdefault(controller, (words[3], words[4]))
    found: dict[str, Path] = {}
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                root, point = mounts[controller]
                inside = path[len(root) :] if root != "/" and path.startswith(root) else path
                found[controller] = Path(point) / inside.lstrip("/")
    return found


def _make(parent: Path | None, name: str, bounds: dict[str, int]) -> Path | None:
    if parent is None:
        return None
    group = parent / name
    try:
        group.mkdir()
    except OSError:
        return None
    if all(_write(group / file, value) for file, value in bounds.items()):
        return group
    with suppress(OSError):
        group.rmdir()
    return None


def _write(path: Path, value: int | str) -> bool:
    try:
        path.write_text(str(value))
    except OSError:
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
