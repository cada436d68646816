"""Bringing an installation of an older release up to date."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muniment.adapters.sql.indexing import reindex
from muniment.adapters.sql.migrate import SCHEMA, back_up, check_schema, migrate, schema_of
from muniment.adapters.sql.store import answering, open_engine, sqlite_url
from muniment.bootstrap import open_platform, settings_of
from muniment.founding.folder import alone


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An installation whose database is of this release now."""

    home: Path
    found: str
    """The schema it had."""

    schema: str
    backup: Path | None
    """Copy of the database as it was; None when nothing had to change, or when the database is not a file."""


def upgrade(home: Path) -> Upgraded:
    """Bring the database of an older release up to date; a SQLite one is copied first. Safe to run again.

    Raises:
        NotFound, Invalid: there is no installation with readable settings.
        Conflict: its database is of a newer release, or somebody else changes the installation now.
        Unavailable: its database does not answer.
    """
    settings = settings_of(home)
    url = settings.database or sqlite_url(home / "state.db")
    with alone(home):
        engine = open_engine(url)
        try:
            with answering(engine):
                found = schema_of(engine)
            if found is None or found > SCHEMA:
                check_schema(engine)
        finally:
            engine.dispose()
        assert found is not None
        backup = None
        if found < SCHEMA and url.startswith("sqlite"):
            backup = home / f"state.db.before-{SCHEMA}"
            if not backup.exists():  # after an attempt that broke off, the first copy is the one to keep
                back_up(url, backup)
        migrate(url)
        _fill(url)
        open_platform(home).close()
    return Upgraded(home, found, SCHEMA, backup)


def _fill(url: str) -> None:
    """Let search find what was recorded before it had tables of its own; all of it or nothing."""
    engine = open_engine(url)
    try:
        with answering(engine), engine.connect() as database:
            if engine.dialect.name == "sqlite":
                database.exec_driver_sql("begin immediate")
            reindex(database)
            database.commit()
    finally:
        engine.dispose()
