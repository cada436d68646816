"""Upgrading an installation of an older release: nothing is lost, and what was is kept beside it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.command import upgrade as migrate_to
from alembic.config import Config

import muniment.adapters.sql
from muniment.adapters.sql.migrate import SCHEMA
from muniment.adapters.sql.store import open_engine, sqlite_url
from muniment.bootstrap import open_platform
from muniment.errors import Conflict, Unavailable
from muniment.founding import upgrade
from muniment.testing.platform import People, Site
from muniment.wire.identity import ListUsers

FIRST = "0001"


@pytest.fixture
def old(site: Site, tmp_path: Path) -> Site:
    """An installation whose database is of the first release, with everything that release could hold."""
    place = site.copy(tmp_path)
    new, former = place.home / "state.db", place.home / "former.db"
    config = Config()
    config.set_main_option("script_location", str(Path(muniment.adapters.sql.__file__).parent / "migrations"))
    config.attributes["engine"] = engine = open_engine(sqlite_url(former))
    migrate_to(config, FIRST)
    engine.dispose()
    with sqlite3.connect(former) as database:
        database.execute("attach ? as present", (str(new),))
        kept = [row[0] for row in database.execute("select name from main.sqlite_master where type = 'table'")]
        for table in kept:
            if table != "alembic_version":
                names = ", ".join(f'"{row[1]}"' for row in database.execute(f"pragma main.table_info({table})"))
                database.execute(f"insert into main.{table} ({names}) select {names} from present.{table}")
    database.close()
    for path in place.home.glob("state.db*"):
        path.unlink()
    former.rename(new)
    return place


def version(database: Path) -> str:
    """The revision that stands in a database file."""
    connection = sqlite3.connect(database)
    try:
        return str(connection.execute("select version_num from alembic_version").fetchone()[0])
    finally:
        connection.close()


def test_an_older_installation_is_brought_up_to_date(old: Site) -> None:
    """Refused before, with the command that helps; afterwards everybody and the whole history are there."""
    with pytest.raises(Conflict) as refused:
        open_platform(old.home)
    assert "muni upgrade" in refused.value.facts["do"]
    done = upgrade(old.home)
    assert (done.found, done.schema) == (FIRST, SCHEMA)
    assert done.backup is not None
    assert (version(done.backup), version(old.home / "state.db")) == (FIRST, SCHEMA)
    assert done.backup.stat().st_mode & 0o077 == 0
    platform = old.open()
    try:
        assert People(platform, old.tokens).ask("admin", ListUsers()).users
        assert platform.ledger.verify().ok
    finally:
        platform.close()


def test_upgrading_again_changes_nothing(old: Site) -> None:
    """A second time there is nothing to do, and the copy of the first time stays as it is."""
    first = upgrade(old.home)
    assert first.backup is not None
    before = first.backup.read_bytes()
    again = upgrade(old.home)
    assert (again.found, again.backup) == (SCHEMA, None)
    assert first.backup.read_bytes() == before


def test_without_room_for_the_copy_nothing_begins(old: Site) -> None:
    """Where the copy cannot be made the database stays of the older release, and no half copy lies about."""
    (old.home / f"state.db.before-{SCHEMA}.part").mkdir()
    with pytest.raises((Unavailable, OSError)):
        upgrade(old.home)
    assert version(old.home / "state.db") == FIRST
    assert not (old.home / f"state.db.before-{SCHEMA}").exists()


def test_a_newer_installation_is_left_alone(site: Site, tmp_path: Path) -> None:
    """A database of a newer release is refused, and nothing of it is touched."""
    place = site.copy(tmp_path)
    database = sqlite3.connect(place.home / "state.db")
    database.execute("update alembic_version set version_num = '9999'")
    database.commit()
    database.close()
    with pytest.raises(Conflict) as refused:
        upgrade(place.home)
    assert refused.value.code == "MUNI-S313"
    assert not list(place.home.glob("*.before-*"))
