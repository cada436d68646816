"""A database file that is damaged, no database, or not to be written: a coded answer, and never a half-read one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from muniment.bootstrap import open_platform
from muniment.errors import Conflict, IntegrityError, MunimentError, Unavailable
from muniment.testing.platform import People, Site
from muniment.wire.identity import WhoAmI


def garbage(file: Path) -> None:
    file.write_bytes(b"x" * 8192)


def cut(file: Path) -> None:
    os.truncate(file, 100_000)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def another(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table somebody_elses (a)")


@pytest.mark.parametrize(
    ("damage", "kind", "code"),
    [
        (garbage, IntegrityError, "MUNI-S507"),
        (cut, IntegrityError, "MUNI-S507"),
        (emptied, Conflict, "MUNI-S311"),
        (a_folder, Unavailable, "MUNI-S501"),
        (another, Conflict, "MUNI-S311"),
    ],
)
def test_a_damaged_database_is_named(
    site: Site, tmp_path: Path, damage: Callable[[Path], None], kind: type[MunimentError], code: str
) -> None:
    """Opening the platform says what is wrong with the database, with a code and what to do."""
    home = site.copy(tmp_path / "site").home
    for beside in home.glob("state.db-*"):
        beside.unlink()
    damage(home / "state.db")
    with pytest.raises(kind) as refused:
        open_platform(home)
    assert refused.value.code == code
    assert refused.value.facts["do"]


def test_a_damaged_page_is_found_when_it_is_read(site: Site, tmp_path: Path) -> None:
    """A database that opens but is damaged further in refuses, and does not answer from what is left."""
    own = site.copy(tmp_path / "site")
    file = own.home / "state.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
        pages = [page for (page,) in database.execute("select rootpage from sqlite_master where name like 'identity%'")]
        (size,) = database.execute("pragma page_size").fetchone()
    with file.open("r+b") as raw:
        for page in pages:
            raw.seek((page - 1) * size)
            raw.write(os.urandom(size))
    with closing(own.open()) as platform, pytest.raises(IntegrityError) as refused:
        People(platform, own.tokens).ask("admin", WhoAmI())
    assert refused.value.code == "MUNI-S507"
