"""A temporary PostgreSQL: Debian's binaries, a unix socket in a private folder, no network, no fsync."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import MetaData, create_engine, make_url

_DEBIAN = Path("/usr/lib/postgresql")
_TEMPLATE = "muniment_template"


def _binaries() -> Path | None:
    """The folder of the newest installed server's programs, or None."""
    found = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere else None


def _account() -> str | None:
    """The account the server runs as: PostgreSQL refuses to be root."""
    return "postgres" if os.geteuid() == 0 else None


def missing_reason() -> str | None:
    """Why no PostgreSQL can be started here; None when one can."""
    if _binaries() is None:
        return "no PostgreSQL server is installed (Debian: apt-get install postgresql)"
    try:
        pwd.getpwnam(_account() or pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return "there is no account for the PostgreSQL server to run as"
    return None


class Cluster:
    """A PostgreSQL whose files and socket live in one folder; processes that know the folder share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"

    def start(self, metadata: MetaData) -> None:
        """Start the server unless another process of this run has done so, and make the template database."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (self.folder / "ready").exists():
                return
            account = _account()
            if account:
                shutil.chown(self.folder, account, account)
            self._run("initdb", "--pgdata", str(self._data), "--username=postgres", "--auth=trust", "--no-sync",
                      "--encoding=UTF8", "--locale=C.UTF-8")  # fmt: skip
            with (self._data / "postgresql.conf").open("a") as settings:
                settings.write(
                    f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\nmax_connections = 300\n"
                    "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nautovacuum = off\n"
                )
            self._run("pg_ctl", "--pgdata", str(self._data), "--log", str(self.folder / "log"), "--wait", "start")
            self._execute(f"create database {_TEMPLATE}")
            engine = create_engine(self.url(_TEMPLATE))
            metadata.create_all(engine)
            engine.dispose()
            (self.folder / "ready").touch()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this cluster."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    @contextmanager
    def database(self, template: str = _TEMPLATE) -> Iterator[str]:
        """The URL of a new database, dropped at the end; ``template0`` gives one without tables."""
        name = f"t_{uuid4().hex}"
        self._execute(f"create database {name} template {template}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"drop database {name} with (force)")

    def copy_of(self, url: str) -> AbstractContextManager[str]:
        """The URL of a copy of a database of this cluster that nobody uses now, dropped at the end."""
        return self.database(str(make_url(url).database))

    def remove(self) -> None:
        """Stop the server if it was started, and delete the folder."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "--pgdata", str(self._data), "--mode=immediate", "--wait", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        binaries, account = _binaries(), _account()
        assert binaries is not None, "the caller checks missing_reason first"
        subprocess.run(
            [str(binaries / program), *arguments],
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=account,
            group=account,
            extra_groups=[] if account else None,
        )
