"""One host user id per running job, where the supervisor is root.

Two jobs under one user id could signal each other if a wall failed, and the kernel counts processes per user id. A lock
file per id makes the ids exclusive across all supervisors of the machine; the guard of the job inherits the lock, so an
id is free only when nothing runs under it, even after the supervisor was killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.errors import Unavailable

__all__ = ["Seat", "take_seat"]

_COUNT: Final = 256
_RANGES: Final = (2_000_000_000, 60_600)
"""Both unassigned by systemd's UIDS-GIDS table; the second serves containers that map 65536 ids only."""
_FOLDER: Final = Path("/run/muniment/seats")


@dataclass(frozen=True, slots=True)
class Seat:
    """Under whose id a job runs."""

    uid: int | None
    """A host user id of its own; None when the supervisor is no root and the job shares the supervisor's."""
    lock: int | None
    """The descriptor that holds the id; the guard inherits it."""


@contextmanager
def take_seat(folder: Path = _FOLDER) -> Iterator[Seat]:
    """A user id for one job.

    Raises:
        Unavailable: every id is taken, or there is no range of ids that this user namespace maps.
    """
    if os.geteuid() != 0:
        yield Seat(None, None)
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    first = next((start for start in _RANGES if _mapped(start) and _mapped(start + _COUNT - 1)), None)
    if first is None:
        raise Unavailable(
            "MUNI-B512",
            "this container maps no range of user ids for jobs",
            ranges=[f"{start}-{start + _COUNT - 1}" for start in _RANGES],
            do="map 65536 ids into the container, or run as an ordinary user",
        )
    for uid in range(first, first + _COUNT):
        fd = os.open(folder / f"{uid}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        try:
            yield Seat(uid, fd)
        finally:
            os.close(fd)
        return
    raise Unavailable("MUNI-B513", "all user ids for jobs are taken", count=_COUNT, do="wait for running jobs to end")


def _mapped(uid: int) -> bool:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, count = map(int, line.split())
        if inside <= uid < inside + count:
            return True
    return False
