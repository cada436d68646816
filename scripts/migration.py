"""Write the migration that the tables need now: ``python scripts/migration.py 0002 "What changes"``.

With the number of the newest migration it is written again; do that only before it has been released.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic.command import revision, upgrade
from alembic.config import Config

import muniment.adapters.sql
from muniment.adapters.sql.store import open_engine, sqlite_url


def main(number: str, message: str) -> None:
    """Compare what the migrations so far make with the tables as declared, and write the difference."""
    folder = Path(muniment.adapters.sql.__file__).parent / "migrations"
    for old in (folder / "versions").glob(f"{number}_*.py"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["engine"] = open_engine(sqlite_url(Path(scratch) / "empty.db"))
        upgrade(config, "head")
        made = revision(config, message, autogenerate=True, rev_id=number)
        assert made is not None
        assert not isinstance(made, list)
    path = Path(made.path)
    lines = [line for line in path.read_text().splitlines(keepends=True) if "###" not in line]
    path.write_text("".join(lines))
    ruff = str(Path(sys.executable).with_name("ruff"))
    subprocess.run([ruff, "format", "--quiet", str(path)], check=True)
    subprocess.run([ruff, "check", "--fix", str(path)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
