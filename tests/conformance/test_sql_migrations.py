"""The schema's versions: migrations make the declared tables, and a foreign schema is refused untouched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

import muniment.adapters.sql
from muniment.adapters.sql.migrate import SCHEMA, check_schema, migrate, schema_of
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import open_engine, sqlite_url
from muniment.errors import Conflict


@pytest.fixture
def migrated(empty_url: str) -> Iterator[Engine]:
    """An engine on a database that the migrations have made."""
    migrate(empty_url)
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_migrations_make_the_declared_tables(migrated: Engine) -> None:
    """Upgrading an empty database gives exactly the tables, columns, types and indexes that the adapters declare."""
    assert REPOSITORIES, "the metadata is filled by importing the adapters"
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrated_sqlite_equals_created_sqlite(tmp_path: Path) -> None:
    """On SQLite the migrations give, statement for statement, what the declared tables give: checks and keys too."""

    def statements(engine: Engine) -> set[tuple[str, str]]:
        with engine.connect() as connection:
            rows = connection.execute(text("select name, sql from sqlite_master where sql is not null"))
            return {(name, "".join(sql.split())) for name, sql in rows if name != "alembic_version"}

    migrate(sqlite_url(tmp_path / "migrated.db"))
    by_migration, by_metadata = (open_engine(sqlite_url(tmp_path / f"{name}.db")) for name in ("migrated", "created"))
    METADATA.create_all(by_metadata)
    assert statements(by_migration) == statements(by_metadata)
    by_migration.dispose()
    by_metadata.dispose()


def test_migrating_again_changes_nothing(migrated: Engine, empty_url: str) -> None:
    """A database that is up to date stays as it is, and is let pass."""
    migrate(empty_url)
    assert schema_of(migrated) == SCHEMA
    check_schema(migrated)


def test_the_release_expects_its_newest_migration() -> None:
    """The revision named in the code is the head of the migrations, and there is one head."""
    folder = Path(muniment.adapters.sql.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [SCHEMA]


def test_a_database_without_schema_is_refused(empty_url: str) -> None:
    """A database that holds no schema is refused with the command that makes one."""
    engine = open_engine(empty_url)
    with pytest.raises(Conflict) as refused:
        check_schema(engine)
    engine.dispose()
    assert refused.value.code == "MUNI-S311"
    assert "muni init" in refused.value.facts["do"]


@pytest.mark.parametrize(("found", "code"), [("0000", "MUNI-S312"), ("9999", "MUNI-S313")])
def test_another_release_s_schema_is_refused(migrated: Engine, found: str, code: str) -> None:
    """An older and a newer schema are refused, each with a code, what was found and expected, and what to do."""
    with migrated.begin() as connection:
        connection.execute(text("update alembic_version set version_num = :found"), {"found": found})
    with pytest.raises(Conflict) as refused:
        check_schema(migrated)
    assert refused.value.code == code
    assert {"found": found, "expected": SCHEMA}.items() <= refused.value.facts.items()
    assert refused.value.facts["do"]


def test_a_newer_schema_is_not_migrated(migrated: Engine, empty_url: str) -> None:
    """An older release does not touch the schema of a newer one, not even when asked to migrate."""
    with migrated.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Conflict, match="newer release"):
        migrate(empty_url)
    assert schema_of(migrated) == "9999"


def test_opening_a_store_does_not_import_the_migrations(sqlite_database: str) -> None:
    """The normal path reads one row and never loads the migration library."""
    program = (
        "import sys; from muniment.adapters.sql.migrate import schema_of;"
        " from muniment.adapters.sql.store import SqlStore;"
        f" assert schema_of(SqlStore({sqlite_database!r}, {{}}).engine) is None; sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
