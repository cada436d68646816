"""Queries on databases, each read in one consistent, read-only transaction, row by row.

* PostgreSQL: ``REPEATABLE READ, READ ONLY``, one statement, a cursor on the server; values come in the server's own
  text form, so that no driver rounds anything. Passwords come as libpq finds them: ``PGPASSWORD``, ``~/.pgpass``, a
  service file, or the URL, of which only the part without password is ever kept.
* SQLite: the file is opened for reading alone, and an authoriser lets nothing but reading through.
* Others: through ODBC, with the extra ``muniment[odbc]``.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from muniment.adapters.sources.rows import RowsWriter, exact, unsupported
from muniment.errors import Invalid, MunimentError, NotFound, Unavailable

__all__ = ["Read", "is_database", "read_query"]

_PIECE: Final = 5_000
_LONGEST_QUERY: Final = 20_000
_POSTGRES: Final = ("postgresql", "postgres")
_OTHERS: Final = (
    "mysql",
    "mariadb",
    "oracle",
    "mssql",
    "sqlserver",
    "snowflake",
    "db2",
    "duckdb",
    "redshift",
    "bigquery",
)

_SQLITE_READS: Final = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)

_PLAIN: Final = {
    16: "bool", 20: "int64", 21: "int64", 23: "int64", 26: "int64", 700: "float64", 701: "float64",
    18: "string", 19: "string", 25: "string", 1042: "string", 1043: "string", 2950: "string", 114: "string",
    3802: "string", 869: "string", 650: "string", 142: "string", 705: "string",
    1082: "date", 1114: "timestamp_local", 1184: "timestamp",
}  # fmt: skip
"""PostgreSQL's own types by their object ids, which never change (``pg_type.dat``)."""

_NUMERIC: Final = 1700
_MOST_DIGITS: Final = 38


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, and from where."""

    kind: str
    location: str
    """Without password."""

    rows: int
    version: str | None = None
    """What the database calls the state that was read."""

    details: dict[str, str] = field(default_factory=dict)


def is_database(location: str) -> bool:
    """Whether a location is that of a database."""
    scheme = location.partition(":")[0].lower()
    return scheme in (*_POSTGRES, "sqlite", "odbc", *_OTHERS) and location[len(scheme) : len(scheme) + 1] == ":"


def read_query(location: str, query: str | None, out: BinaryIO) -> Read:
    """Run a query and write its rows.

    Args:
        location: ``postgresql://user@host/name``, ``sqlite:///path`` or ``odbc:connection string``.
        query: one statement that reads.
        out: takes the rows.

    Raises:
        Invalid: there is no query, it is not one that reads, or a column's type is none that a snapshot has.
        NotFound: there is no such file.
        Unavailable: the database does not answer, or the library that reaches it is not installed.
    """
    scheme = location.partition(":")[0].lower()
    if query is None or not query.strip() or len(query) > _LONGEST_QUERY:
        raise Invalid(
            "MUNI-J162",
            f"a database is read by a query of 1 to {_LONGEST_QUERY} characters",
            location=shown(location),
            do='give one: --query "select …"',
        )
    statement = query.strip().rstrip(";").rstrip()
    if scheme in _POSTGRES:
        return _postgres(location, statement, out)
    if scheme == "sqlite":
        return _sqlite(location, statement, out)
    if scheme == "odbc":
        return _odbc(location, statement, out)
    raise Invalid(
        "MUNI-J163",
        f"{scheme[:40]} is reached through ODBC",
        scheme=scheme[:40],
        do="pip install 'muniment[odbc]', install the database's ODBC driver, then --from 'odbc:DSN=NAME'",
    )


def shown(location: str) -> str:
    """A location as it may be kept and shown: without password, and without options that may hold one."""
    if location.lower().startswith("odbc:"):
        parts = [part for part in location[5:].split(";") if part.strip()]
        kept = [part for part in parts if part.partition("=")[0].strip().lower() in _ODBC_KEPT]
        return "odbc:" + ";".join(kept)
    try:
        parts_ = urlsplit(location)
        user, host, port = parts_.username, parts_.hostname or "", parts_.port
    except ValueError:
        return location.partition(":")[0] + ":"
    place = f"[{host}]" if ":" in host else host
    return f"{parts_.scheme}://{user + '@' if user else ''}{place}{f':{port}' if port else ''}{parts_.path}"


_ODBC_KEPT: Final = ("dsn", "driver", "server", "host", "port", "database", "dbq", "uid", "servername")


def _postgres(location: str, query: str, out: BinaryIO) -> Read:
    psycopg = _library("psycopg", "postgres")
    hidden = _hidden(location)
    try:
        options = "-c default_transaction_read_only=on -c datestyle=ISO -c timezone=UTC -c extra_float_digits=1"
        connection = psycopg.connect(
            location,
            autocommit=False,
            connect_timeout=10,
            options=options,
            client_encoding="utf8",
            application_name="muniment",
        )
    except (psycopg.Error, ValueError, UnicodeError) as broken:
        raise _unreachable("postgresql", location, hidden(str(broken))) from None
    with closing(connection):
        try:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _postgres_rows(connection, location, query, out)
        except psycopg.Error as refused:
            state = refused.sqlstate or ""
            if state == "25006":
                raise _writes(query) from None
            if state.startswith(("08", "57", "53")):
                raise _unreachable("postgresql", location, hidden(str(refused))) from None
            raise _refused(hidden(str(refused)), state) from None


def _postgres_rows(connection: Any, location: str, query: str, out: BinaryIO) -> Read:
    cursor = connection.cursor()
    state = cursor.execute("select pg_current_snapshot()::text, current_setting('server_version')").fetchone()
    # The extended protocol takes one statement alone: nothing can follow the query and end the transaction.
    cursor.execute(f"declare muniment_read no scroll cursor without hold for {query}".encode(), binary=True)
    writer: RowsWriter | None = None
    readers: list[Callable[[bytes], Any]] = []
    while True:
        cursor.execute(f"fetch forward {_PIECE} from muniment_read")
        result = cursor.pgresult
        if writer is None:
            columns = [_postgres_type(connection, result, at) for at in range(result.nfields)]
            if not columns:
                raise Invalid("MUNI-J164", "the query gives no columns", do="select at least one column")
            readers = [_reader(kind) for _, kind in columns]
            writer = RowsWriter(out, columns)
        writer.write(
            [None if (value := result.get_value(row, at)) is None else read(value) for at, read in enumerate(readers)]
            for row in range(result.ntuples)
        )
        if result.ntuples < _PIECE:
            break
    connection.rollback()
    writer.end()
    details = {"server": f"PostgreSQL {state[1]}", "isolation": "repeatable read, read only"}
    return Read("postgresql", shown(location), writer.rows, str(state[0]), details)


def _postgres_type(connection: Any, result: Any, at: int) -> tuple[str, str]:
    name = (result.fname(at) or b"").decode("utf-8", "replace")
    oid, modifier = result.ftype(at), result.fmod(at)
    if oid in _PLAIN:
        return name, _PLAIN[oid]
    if oid == _NUMERIC:
        precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (modifier - 4) & 0x7FF
        whole = modifier >= 4 and 1 <= precision <= _MOST_DIGITS and scale <= precision
        return name, f"decimal({precision},{scale})" if whole else "decimal"
    with connection.cursor() as cursor:
        found = cursor.execute("select typname, typtype from pg_type where oid = %s", [oid]).fetchone()
    if found is not None and found[1] in ("e", b"e"):
        return name, "string"
    raise unsupported(name, str(found[0]) if found else f"number {oid}")


def _reader(kind: str) -> Callable[[bytes], Any]:
    """From the server's text form to what JSON holds."""
    if kind == "int64":
        return int
    if kind == "bool":
        return lambda raw: raw == b"t"
    if kind == "float64":
        return _float
    return bytes.decode


def _float(raw: bytes) -> float | str:
    text = raw.decode()
    return text if text in ("NaN", "Infinity", "-Infinity") else float(text)


def _sqlite(location: str, query: str, out: BinaryIO) -> Read:
    path = Path(unquote(location.partition(":")[2].removeprefix("///"))).expanduser()
    if not path.is_file() and location.startswith("sqlite:///") and Path(f"/{path}").is_file():
        path = Path(f"/{path}")
    if not path.is_file():
        raise NotFound("MUNI-J211", f"there is no database {str(path)!r}", file=str(path))
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as database:
            database.execute("begin")
            database.execute(
                "select count(*) from sqlite_schema"
            ).fetchone()  # the state that is read is of this moment
            database.set_authorizer(_reads_only)
            cursor = database.execute(query)
            if cursor.description is None:
                raise Invalid("MUNI-J164", "the query gives no columns", do="select at least one column")
            names = [str(column[0]) for column in cursor.description]
            writer = RowsWriter(out, [(name, "any") for name in names])
            while rows := cursor.fetchmany(_PIECE):
                writer.write(_sqlite_row(row, names) for row in rows)
            writer.end()
    except (sqlite3.ProgrammingError, sqlite3.Warning) as refused:
        raise _refused(str(refused)) from None
    except sqlite3.DatabaseError as refused:
        text = str(refused)
        if "not authorized" in text or "readonly" in text or "prohibited" in text:
            raise _writes(query) from None
        if "not a database" in text or "malformed" in text or "encrypted" in text:
            raise Invalid(
                "MUNI-J165", "the file is no readable database", file=str(path), detail=text[:200], do="check the file"
            ) from None
        if "unable to open" in text or "locked" in text:
            raise _unreachable("sqlite", location, text) from None
        raise _refused(text) from None
    return Read("sqlite", f"sqlite:///{path}", writer.rows, None, {"server": f"SQLite {sqlite3.sqlite_version}"})


def _sqlite_row(row: Sequence[Any], names: Sequence[str]) -> list[Any]:
    made = []
    for value, name in zip(row, names, strict=True):
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise Invalid(
                "MUNI-J166",
                f"column {name[:80]!r} holds an infinite number",
                column=name[:80],
                do="leave such rows out",
            )
        made.append(exact(value, name))
    return made


def _reads_only(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _SQLITE_READS else sqlite3.SQLITE_DENY


def _odbc(location: str, query: str, out: BinaryIO) -> Read:
    pyodbc = _library("pyodbc", "odbc")
    hidden = _hidden(location)
    try:
        with closing(pyodbc.connect(location[5:], autocommit=False, readonly=True, timeout=10)) as connection:
            rows = copy_cursor(connection.cursor().execute(query), out)
            connection.rollback()
    except pyodbc.Error as refused:
        raise _refused(hidden(str(refused))) from None
    return Read("odbc", shown(location), rows, None, {"isolation": "as the driver has it, read only"})


def copy_cursor(cursor: Any, out: BinaryIO) -> int:
    """Write all rows of a DB-API cursor (PEP 249) whose description says the types of Python; returns their number.

    Raises:
        Invalid: there are no columns, or a type is none that a snapshot has.
    """
    if not cursor.description:
        raise Invalid("MUNI-J164", "the query gives no columns", do="select at least one column")
    columns = [(str(one[0]), _python_type(one)) for one in cursor.description]
    writer = RowsWriter(out, columns)
    names = [name for name, _ in columns]
    while rows := cursor.fetchmany(_PIECE):
        writer.write([exact(value, name) for value, name in zip(row, names, strict=True)] for row in rows)
    writer.end()
    return writer.rows


def _python_type(column: Sequence[Any]) -> str:
    name, kind = str(column[0]), column[1]
    if kind is Decimal:
        return "decimal"
    known = {bool: "bool", int: "int64", float: "float64", str: "string", date: "date", datetime: "timestamp_local"}
    if kind not in known:
        raise unsupported(name, getattr(kind, "__name__", str(kind)))
    return known[kind]


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Unavailable(
            "MUNI-J501",
            f"the library {name} is not installed here",
            library=name,
            do=f"pip install 'muniment[{extra}]'",
        ) from None


def _hidden(location: str) -> Callable[[str], str]:
    """Takes what may be a secret out of what a driver says."""
    secrets = re.findall(r"(?:password|pwd)\s*=\s*([^;&\s]+)", location, re.IGNORECASE)
    try:
        password = urlsplit(location).password
    except ValueError:
        password = None
    secrets += [one for one in (password, unquote(password) if password else None) if one]

    def hide(text: str) -> str:
        for secret in sorted(set(secrets), key=len, reverse=True):
            text = text.replace(secret, "…")
        return " ".join(text.split())[:300]

    return hide


def _unreachable(kind: str, location: str, detail: str) -> MunimentError:
    return Unavailable(
        "MUNI-J502",
        f"the {kind} database does not answer",
        location=shown(location),
        detail=detail,
        do="check host, name, user and password (PGPASSWORD or ~/.pgpass)",
    )


def _writes(query: str) -> Invalid:
    return Invalid(
        "MUNI-J167", "the query does more than read", query=query[:200], do="give one statement that only reads"
    )


def _refused(detail: str, state: str = "") -> Invalid:
    return Invalid(
        "MUNI-J168",
        "the database refuses the query",
        detail=detail[:300],
        state=state,
        do="try the query in the database's own shell; it must be one statement that reads",
    )
