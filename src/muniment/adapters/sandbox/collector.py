"""Take results out of a job's folder as bytes, through a held descriptor, as if an enemy had arranged the folder.

One had the chance to: names, links, devices, modes and sizes are all the job's choice. Nothing is followed, nothing but
regular files with one name is opened, every bound is checked before a byte is read, and modes are never copied. The
caller makes sure that the last process of the job is gone, so that what was looked at is what is read.

Source: the classes of CVE-2019-5736, CVE-2024-21626 (held descriptors, links followed across a boundary).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from muniment.execution.ports import Limits, Refusal

__all__ = ["Collected", "collect"]

_DEPTH: Final = 8
_NAME_BYTES: Final = 200
_REFUSALS_KEPT: Final = 100
_FOLDERS: Final = ("model", "output")


@dataclass(slots=True)
class Collected:
    """What came out of a folder."""

    size: int = 0
    """Bytes of accepted files."""
    files: int = 0
    over_limit: bool = False
    """Whether something was refused because the results are too many or too large."""
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    """All refusals, also those beyond the hundred that are kept."""

    def refuse(self, path: str, reason: str) -> None:
        """Remember that something was not taken."""
        self.refused += 1
        if len(self.refusals) < _REFUSALS_KEPT:
            self.refusals.append(Refusal(_readable(path), reason))

    def listed(self) -> tuple[Refusal, ...]:
        """The refusals, with one line for those that were only counted."""
        unlisted = self.refused - len(self.refusals)
        return (*self.refusals, *([Refusal("…", f"{unlisted} more refused")] if unlisted else []))


def collect(folder: int, limits: Limits, deliver: Callable[[str, BinaryIO, int], None]) -> Collected:
    """Deliver every acceptable file below ``model`` and ``output`` of a folder, in order of their paths.

    Args:
        folder: an open directory descriptor; it stays open.
        limits: ``output_files`` and ``output_mb`` bound what is taken.
        deliver: gets path, stream and size of each file; what it raises passes through.

    Returns:
        What was taken and what was refused, and why.
    """
    result = Collected()
    found: list[tuple[str, os.stat_result]] = []
    # An enemy may leave a million names; look at a bounded number of them.
    budget = [20 * limits.output_files + 1000]
    for path, facts in _walk(folder, "", 0, result, budget):
        size = facts.st_size
        if result.files + 1 > limits.output_files:
            result.over_limit = True
            result.refuse(path, f"more than {limits.output_files} files")
        elif result.size + size > limits.output_mb << 20:
            result.over_limit = True
            result.refuse(path, f"results are larger than {limits.output_mb} MiB")
        else:
            result.files += 1
            result.size += size
            found.append((path, facts))
    if budget[0] < 0:
        result.over_limit = True
        result.refuse("…", "too many entries; the rest was not looked at")
    for path, facts in sorted(found):
        stream = _open_again(folder, path, facts)
        if stream is None:
            result.files -= 1
            result.size -= facts.st_size
            result.refuse(path, "cannot be read")
            continue
        with stream:
            deliver(path, stream, facts.st_size)
    return result


def _walk(  # noqa: PLR0912  one branch per kind of entry
    folder: int, prefix: str, depth: int, result: Collected, budget: list[int]
) -> Iterator[tuple[str, os.stat_result]]:
    _unlock(folder)
    try:
        entries = os.scandir(folder)
    except OSError as refused:
        result.refuse(prefix or ".", f"cannot be listed: {refused.strerror}")
        return
    with entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                return
            path = f"{prefix}{entry.name}"
            if depth == 0 and entry.name not in _FOLDERS:
                if not (entry.is_dir(follow_symlinks=False) and entry.name in {"input", "code"}):
                    result.refuse(path, "outside model and output")
                continue
            if reason := _bad_name(entry.name):
                result.refuse(path, reason)
                continue
            try:
                facts = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            except OSError as refused:
                result.refuse(path, f"cannot be read: {refused.strerror}")
                continue
            if stat.S_ISDIR(facts.st_mode):
                if depth + 1 >= _DEPTH:
                    result.refuse(path, f"deeper than {_DEPTH} folders")
                    continue
                inner = _open_folder(folder, entry.name)
                if inner is None:
                    result.refuse(path, "cannot be listed")
                    continue
                try:
                    yield from _walk(inner, f"{path}/", depth + 1, result, budget)
                finally:
                    os.close(inner)
            elif depth == 0:
                result.refuse(path, "not a folder")
            elif not stat.S_ISREG(facts.st_mode):
                result.refuse(path, f"not a regular file but a {_kind(facts.st_mode)}")
            elif facts.st_nlink != 1:
                result.refuse(path, "a hard link: more than one name")
            else:
                yield path, facts


def _open_again(folder: int, path: str, seen: os.stat_result) -> BinaryIO | None:
    """Open a file that was looked at, name by name without following; None when it cannot be or is another."""
    *folders, name = path.split("/")
    here = os.dup(folder)
    try:
        for part in folders:
            inner = _open_folder(here, part)
            if inner is None:
                return None
            os.close(here)
            here = inner
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            fd = os.open(name, flags, dir_fd=here)
        except PermissionError:
            _unlock_file(here, name)
            try:
                fd = os.open(name, flags, dir_fd=here)
            except OSError:
                return None
        except OSError:
            return None
    finally:
        os.close(here)
    facts = os.fstat(fd)
    same = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_nlink) == (seen.st_dev, seen.st_ino, seen.st_size, 1)
    if not same or not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        return None
    return os.fdopen(fd, "rb")


def _open_folder(folder: int, name: str) -> int | None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    for attempt in range(2):
        try:
            inner = os.open(name, flags, dir_fd=folder)
        except PermissionError:
            if attempt:
                return None
            _unlock_file(folder, name)
        except OSError:
            return None
        else:
            _unlock(inner)
            return inner
    return None


def _unlock(folder: int) -> None:
    """A job may have taken every right from its folder to stop a supervisor that is not root."""
    try:
        os.fchmod(folder, 0o700)
    except OSError:
        return


def _unlock_file(folder: int, name: str) -> None:
    try:
        path = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return
    try:
        if not stat.S_ISLNK(os.fstat(path).st_mode):
            os.chmod(f"/proc/self/fd/{path}", 0o700)  # noqa: PTH101  a descriptor, not a name; results only
    except OSError:
        return
    finally:
        os.close(path)


def _bad_name(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if not name.isprintable():
        return "a name with unprintable characters"
    if size > _NAME_BYTES:
        return f"a name longer than {_NAME_BYTES} bytes"
    return "a hidden name" if name.startswith(".") else None


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")


def _readable(path: str) -> str:
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)[:400]
