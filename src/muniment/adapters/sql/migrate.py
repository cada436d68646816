"""The schema's version: brought up to date on request, and compared whenever a store is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from muniment.adapters.sql.store import answering, open_engine
from muniment.errors import Conflict

SCHEMA: Final = "0003"
"""The revision that this release reads and writes: the newest file in ``migrations/versions``."""


def migrate(url: str) -> None:
    """Create the tables, or bring those of an older release up to date, in one transaction.

    Raises:
        Conflict: the database is of a newer release than this one.
    """
    from alembic.command import upgrade  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415  a third of a second that only this function needs

    engine = open_engine(url)
    try:
        found = schema_of(engine)
        if found is not None and found > SCHEMA:
            check_schema(engine)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = engine
        upgrade(config, "head")
    finally:
        engine.dispose()


def back_up(url: str, target: Path) -> None:
    """Copy a SQLite database as it is at this moment, whoever is writing to it, whole or not at all.

    Raises:
        Unavailable: it does not answer, or there is no room for the copy.
    """
    engine, draft = open_engine(url), target.with_name(target.name + ".part")
    try:
        with answering(engine), engine.connect() as connection:
            connection.exec_driver_sql("vacuum into :copy", {"copy": str(draft)})
        draft.chmod(0o600)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
        engine.dispose()


def schema_of(engine: Engine) -> str | None:
    """The revision of the database; None when it holds no schema of ours."""
    try:
        with engine.connect() as connection:
            return connection.execute(text("select version_num from alembic_version")).scalar()
    except DBAPIError as absent:
        if absent.connection_invalidated or "alembic_version" not in str(absent.orig):
            raise
        return None


def check_schema(engine: Engine) -> None:
    """Let pass a database whose schema is the one this release knows.

    Raises:
        Conflict: it has no schema, an older or a newer one.
        Unavailable: it does not answer.
        IntegrityError: it is damaged.
    """
    with answering(engine):
        found = schema_of(engine)
    if found is None:
        raise Conflict(
            "MUNI-S311",
            "the database holds no Muniment schema",
            do="restore the database from a backup; a new installation: muni init",
        )
    if found < SCHEMA:
        raise Conflict(
            "MUNI-S312",
            "the database is of an older release",
            found=found,
            expected=SCHEMA,
            do="stop its server, then bring it up to date: muni upgrade",
        )
    if found > SCHEMA:
        raise Conflict(
            "MUNI-S313",
            "the database is of a newer release",
            found=found,
            expected=SCHEMA,
            do="install the release that wrote it; an older one must not touch it",
        )
