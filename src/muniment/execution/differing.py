"""How two source trees differ, as text. Pure.

A tree is a stranger's tar: it is read in memory, within bounds on everything, and nothing of it is written or run.
Lines are compared by ``difflib``, whose time grows with the square of what differs, so that too is bounded.
"""

from __future__ import annotations

import difflib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.digest import Digest

__all__ = ["MOST_BYTES", "FileDifference", "differences", "files_of_tree"]

MOST_BYTES: Final = 8 << 20
_MOST_FILES: Final = 5_000
_MOST_FILE: Final = 512 << 10
_MOST_SHOWN: Final = 100
_MOST_LINES: Final = 1_500
"""Lines that differ in one file, between the first and the last difference."""

_BUDGET: Final = 4_000
_LONGEST: Final = 400
_CONTEXT: Final = 3


@dataclass(frozen=True, slots=True)
class FileDifference:
    """How one file differs."""

    path: str
    change: str
    """``added``, ``removed`` or ``changed``."""

    lines: tuple[str, ...] = ()
    """A unified diff without its head; empty where it is not shown."""

    note: str = ""
    """Why no lines are shown."""


def files_of_tree(archive: bytes) -> dict[str, bytes | None]:
    """The files of a tar by path; None for one that is too large to be compared by lines.

    Raises:
        Invalid: it is no tar, or has too many files.
    """
    found: dict[str, bytes | None] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for count, member in enumerate(tar):
                if count >= _MOST_FILES:
                    raise Invalid("MUNI-X161", "the source tree has too many files to compare", most=_MOST_FILES)
                if member.isfile():
                    content = tar.extractfile(member) if member.size <= _MOST_FILE else None
                    found[str(PurePosixPath(member.name))[:300]] = None if content is None else content.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as broken:
        raise Invalid("MUNI-X162", "a source tree is not readable", reason=type(broken).__name__) from broken
    return found


def differences(
    before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]
) -> tuple[tuple[FileDifference, ...], int]:
    """The files that differ, in the order of their paths, and how many more there are than are shown."""
    paths = [path for path in sorted({*before, *after}) if _differs(path, before, after)]
    budget = _BUDGET
    found = []
    for path in paths[:_MOST_SHOWN]:
        one = _difference(path, before, after, budget)
        budget -= len(one.lines)
        found.append(one)
    return tuple(found), len(paths) - len(found)


def _differs(path: str, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> bool:
    if (path in before) != (path in after):
        return True
    mine, other = before[path], after[path]
    return mine is None or other is None or mine != other


def _difference(
    path: str, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None], budget: int
) -> FileDifference:
    change = "added" if path not in before else "removed" if path not in after else "changed"
    texts = [_text(side.get(path, b"")) for side in (before, after)]
    if any(side.get(path, b"") is None for side in (before, after)):
        return FileDifference(path, change, note=f"larger than {_MOST_FILE >> 10} KiB: not compared by lines")
    if texts[0] is None or texts[1] is None:
        digests = [Digest.of(side.get(path) or b"").removeprefix("sha256:")[:12] for side in (before, after)]
        return FileDifference(path, change, note=f"no text: {digests[0]} became {digests[1]}")
    mine, other = texts[0].splitlines(), texts[1].splitlines()
    # What is alike at both ends is cut off first: it costs nothing, and is most of a file that was edited.
    start = 0
    while start < min(len(mine), len(other)) and mine[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(mine), len(other)) - start and mine[-1 - end] == other[-1 - end]:
        end += 1
    longest = max(len(mine), len(other)) - start - end
    if longest > _MOST_LINES or longest > budget:
        return FileDifference(path, change, note=f"{longest:,} lines differ: too many to be shown")
    if mine == other:
        return FileDifference(path, change, note="line ends differ")
    first = max(0, start - _CONTEXT)
    part = (mine[first : len(mine) - max(0, end - _CONTEXT)], other[first : len(other) - max(0, end - _CONTEXT)])
    return FileDifference(path, change, tuple(_unified(*part, first)))


def _unified(mine: list[str], other: list[str], offset: int) -> Iterator[str]:
    """A unified diff whose line numbers are those of the whole files."""
    matcher = difflib.SequenceMatcher(None, mine, other)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        first, last = group[0], group[-1]
        sizes = (last[2] - first[1], last[4] - first[3])
        # An empty side stands before its first line, as diff(1) writes it.
        starts = (first[1] + offset + (sizes[0] > 0), first[3] + offset + (sizes[1] > 0))
        yield f"@@ -{starts[0]},{sizes[0]} +{starts[1]},{sizes[1]} @@"
        for tag, low, high, other_low, other_high in group:
            if tag == "equal":
                yield from (f" {line[:_LONGEST]}" for line in mine[low:high])
            else:
                yield from (f"-{line[:_LONGEST]}" for line in mine[low:high])
                yield from (f"+{line[:_LONGEST]}" for line in other[other_low:other_high])


def _text(content: bytes | None) -> str | None:
    if content is None or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
