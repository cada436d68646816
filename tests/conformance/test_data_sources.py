"""Sources outside: real databases give every value exactly, one consistent state, no writes and no secrets."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from muniment.adapters.sources.databases import copy_cursor, read_query, shown
from muniment.adapters.sources.opening import OutsideSources
from muniment.errors import Invalid, MunimentError, NotFound, Unavailable

VALUES = """
    select * from (values
        (9007199254740993::bigint, 0.1::float8, '1.10'::numeric(12,2), '123456789012345678901.5'::numeric, true,
         'ü'::text, ''::text, date '2026-01-02', timestamptz '2026-01-02 03:04:05.25+02',
         timestamp '2026-01-02 03:04:05'),
        (-1, 'NaN', null::numeric(12,2), null, null, null, null, null, null, null)
    ) as t(big, f, d, n, flag, s, e, day, at, local)
"""


@pytest.fixture
def postgres(postgres_database: str) -> str:
    """The URL of a database as people write it, with some loans in it."""
    url = postgres_database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as connection:
        connection.execute("create table loans (id bigint primary key, mood text)")
        connection.execute("insert into loans select n, 'm' || n from generate_series(1, 12000) n")
        connection.execute("create function spoil() returns bigint language sql as 'delete from loans returning id'")
    return url


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    """A database with some loans in it."""
    path = tmp_path / "bank.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table loans (id integer primary key, name text, x real, raw blob)")
        database.executemany(
            "insert into loans values (?, ?, ?, x'00')", [(n, None if n % 2 else "", n / 7) for n in range(1, 12001)]
        )
        database.commit()
    return path


def read(location: str, query: str | None) -> tuple[list[dict[str, str]], list[list[Any]], Any]:
    """Columns, rows, and what was said of the source."""
    out = io.BytesIO()
    told = read_query(location, query, out)
    header, *rows, end = [json.loads(line) for line in out.getvalue().splitlines()]
    assert end == {"rows": len(rows)} == {"rows": told.rows}
    return header["columns"], rows, told


def test_postgresql_gives_every_value_exactly(postgres: str) -> None:
    """Whole numbers, decimals, moments and nulls come as the server has them; no value passes through a float."""
    columns, rows, told = read(postgres, VALUES)
    assert {one["name"]: one["type"] for one in columns} == {
        "big": "int64", "f": "float64", "d": "decimal(12,2)", "n": "decimal", "flag": "bool", "s": "string",
        "e": "string", "day": "date", "at": "timestamp", "local": "timestamp_local",
    }  # fmt: skip
    assert rows[0] == [
        9007199254740993, 0.1, "1.10", "123456789012345678901.5", True, "ü", "", "2026-01-02",
        "2026-01-02 01:04:05.25+00", "2026-01-02 03:04:05",
    ]  # fmt: skip
    assert rows[1] == [-1, "NaN", *[None] * 8]
    assert told.kind == "postgresql"
    assert told.details["isolation"] == "repeatable read, read only"
    assert told.version


@pytest.mark.slow
def test_a_result_of_many_pieces_is_whole(postgres: str, sqlite: Path) -> None:
    """Rows come in pieces; none is lost or doubled at their edges."""
    for location in (postgres, f"sqlite:///{sqlite}"):
        _, rows, _ = read(location, "select id from loans order by id;")
        assert [row[0] for row in rows] == list(range(1, 12001))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("delete from loans", "MUNI-J168"),
        ("with gone as (delete from loans returning *) select * from gone", "MUNI-J168"),
        ("select spoil()", "MUNI-J167"),
        ("select 1; delete from loans", "MUNI-J168"),
        ("select 1; commit; delete from loans; select 2", "MUNI-J168"),
        ("select nextval('counter')", "MUNI-J168"),
        ("select * from nowhere", "MUNI-J168"),
        ("select '{1}'::int[] as a", "MUNI-J161"),
        ("select '\\x00'::bytea as a", "MUNI-J161"),
        ("", "MUNI-J162"),
    ],
)
def test_postgresql_is_never_written_to(query: str, code: str, postgres: str) -> None:
    """Whatever the query tries, it is refused with the reason, and the rows are still there."""
    with pytest.raises(MunimentError) as refused:
        read(postgres, query)
    assert refused.value.code == code
    with psycopg.connect(postgres) as connection:
        assert connection.execute("select count(*) from loans").fetchone() == (12000,)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("delete from loans", "MUNI-J167"),
        ("update loans set x = 0", "MUNI-J167"),
        ("create table more (a)", "MUNI-J167"),
        ("attach database 'other.db' as other", "MUNI-J167"),
        ("pragma writable_schema = on", "MUNI-J167"),
        ("commit", "MUNI-J167"),
        ("select 1; delete from loans", "MUNI-J168"),
        ("select nothing from loans", "MUNI-J168"),
        ("select raw from loans", "MUNI-J161"),
        ("select 9e999 as a", "MUNI-J166"),
        ("  ", "MUNI-J162"),
    ],
)
def test_sqlite_is_never_written_to(query: str, code: str, sqlite: Path, tmp_path: Path) -> None:
    """Whatever the query tries, it is refused with the reason, and not one byte of the file changes."""
    before = sqlite.read_bytes()
    with pytest.raises(MunimentError) as refused:
        read(f"sqlite:///{sqlite}", query)
    assert refused.value.code == code
    assert sqlite.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bank.db"]


def test_sqlite_gives_every_value_exactly(sqlite: Path) -> None:
    """Null and the empty text stay apart; a column has no type, so that the job finds it."""
    columns, rows, told = read(f"sqlite:///{sqlite}", "select id, name, x, 9007199254740993 as big from loans limit 2")
    assert {one["type"] for one in columns} == {"any"}
    assert rows == [[1, None, 1 / 7, 9007199254740993], [2, "", 2 / 7, 9007199254740993]]
    assert told.location == f"sqlite:///{sqlite}"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Missing, empty, foreign and half-written files: a clear refusal."""
    with pytest.raises(NotFound):
        read(f"sqlite:///{tmp_path / 'none.db'}", "select 1")
    (tmp_path / "foreign.db").write_bytes(b"a,b\n1,2\n" * 200)
    with pytest.raises(Invalid) as refused:
        read(f"sqlite:///{tmp_path / 'foreign.db'}", "select * from loans")
    assert refused.value.code == "MUNI-J165"


def test_a_half_written_database_is_refused(sqlite: Path) -> None:
    """A database that was cut off gives no rows at all."""
    sqlite.write_bytes(sqlite.read_bytes()[:9000])
    with pytest.raises(MunimentError) as refused:
        read(f"sqlite:///{sqlite}", "select * from loans")
    assert refused.value.code == "MUNI-J165"


def test_secrets_are_neither_kept_nor_shown(postgres: str) -> None:
    """Passwords in a location reach no record and no message, whether the database answers or not."""
    assert shown("postgresql://me:s3cret@db:5433/bank?sslpassword=s3cret") == "postgresql://me@db:5433/bank"
    assert shown("odbc:DSN=bank;UID=me;PWD=s3cret;Token=s3cret") == "odbc:DSN=bank;UID=me"
    for location in ("postgresql://me:s3cret@127.0.0.1:1/bank", "postgresql://me:s3cret@127.0.0.1:xx/bank"):
        with pytest.raises(MunimentError) as refused:
            read(location, "select 1")
        assert "s3cret" not in json.dumps(refused.value.document())


def test_other_databases_are_named_with_what_they_need() -> None:
    """A database that is reached through ODBC says so; without its library the message says what to install."""
    with pytest.raises(Invalid) as refused:
        read("mysql://me@host/bank", "select 1")
    assert "muniment[odbc]" in refused.value.facts["do"]
    with pytest.raises(Unavailable) as missing:
        read("odbc:DSN=bank", "select 1")
    assert missing.value.facts == {"library": "pyodbc", "do": "pip install 'muniment[odbc]'"}


class Cursor:
    """A cursor as PEP 249 describes it, whose description names the types of Python, as ODBC's does."""

    description = (("n", int), ("d", Decimal), ("day", date), ("at", datetime), ("s", str), ("f", float), ("b", bool))

    def __init__(self, *rows: tuple[Any, ...]) -> None:
        self._rows = list(rows)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken


def test_rows_of_a_driver_are_written_exactly() -> None:
    """Decimals and times leave as texts, nulls as null; bytes are refused by the column's name."""
    out = io.BytesIO()
    moment = datetime.fromisoformat("2026-01-02T03:04:05")
    assert copy_cursor(Cursor((1, Decimal("1.10"), date(2026, 1, 2), moment, "", 0.1, True), (None,) * 7), out) == 2
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one["type"] for one in lines[0]["columns"]] == [
        "int64", "decimal", "date", "timestamp_local", "string", "float64", "bool",
    ]  # fmt: skip
    assert lines[1] == [1, "1.10", "2026-01-02", "2026-01-02T03:04:05", "", 0.1, True]
    assert lines[2] == [None] * 7
    binary = Cursor()
    binary.description = (("raw", bytes),)  # type: ignore[assignment]
    with pytest.raises(Invalid) as refused:
        copy_cursor(binary, io.BytesIO())
    assert refused.value.facts["column"] == "raw"


@pytest.mark.parametrize(
    ("location", "given", "code"),
    [
        ("/nowhere", {}, "MUNI-J175"),
        ("s3://", {}, "MUNI-J172"),
        ("sqlite:///x", {"version": "1", "query": "select 1"}, "MUNI-J173"),
        ("/nowhere", {"query": "select 1"}, "MUNI-J174"),
    ],
)
def test_options_fit_the_kind_of_source(location: str, given: dict[str, str], code: str) -> None:
    """What a source cannot do is refused before anything is read."""
    with pytest.raises(MunimentError) as refused, OutsideSources().open(location, **given):  # type: ignore[arg-type]
        pass
    assert refused.value.code == code


S3 = """
import io, json, os, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ.pop("AWS_PROFILE", None)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
os.environ["AWS_ENDPOINT_URL"] = "http://%s:%s" % server.get_host_and_port()
import boto3
from muniment.adapters.sources.opening import OutsideSources
from muniment.errors import MunimentError
client = boto3.client("s3")
client.create_bucket(Bucket="bank")
client.put_bucket_versioning(Bucket="bank", VersioningConfiguration={"Status": "Enabled"})
first = client.put_object(Bucket="bank", Key="in/loans.csv", Body=b"a,b\\n1,2\\n")
second = client.put_object(Bucket="bank", Key="in/loans.csv", Body=b"a,b\\n1,2\\n3,4\\n" * 200_000)
client.put_object(Bucket="bank", Key="t/_delta_log/00000000000000000000.json", Body=b"{}")
client.put_object(Bucket="bank", Key="t/x.parquet", Body=b"PAR1")
found = {}
def fetch(name, location, **given):
    try:
        with OutsideSources().open(location, **given) as got:
            body = got.body.read()
            found[name] = {"size": len(body), "start": body[:24].decode("latin-1"), "kind": got.kind,
                           "version": got.version, "table": got.table, **got.details, "location": got.location}
    except MunimentError as refused:
        found[name] = {"code": refused.code, "facts": refused.facts}
fetch("now", "s3://bank/in/loans.csv")
fetch("first", "s3://bank/in/loans.csv", version=first["VersionId"])
fetch("early", "s3://bank/in/loans.csv", at=datetime.now(UTC) - timedelta(days=1))
fetch("late", "s3://bank/in/loans.csv", at=datetime.now(UTC) + timedelta(days=1))
fetch("gone", "s3://bank/in/nothing.csv")
fetch("no bucket", "s3://nowhere/x.csv")
fetch("wrong version", "s3://bank/in/loans.csv", version="none")
fetch("table", "s3://bank/t")
found["ids"] = [first["VersionId"], second["VersionId"], second["ETag"].strip('"')]
server.stop()
fetch("down", "s3://bank/in/loans.csv")
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bucket(peers: Path) -> dict[str, Any]:
    """What the adapter says of objects in a server that speaks S3, asked where boto3 is installed."""
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [peers, "-W", "ignore", "-c", S3], capture_output=True, text=True, timeout=120, check=False,
        env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin", "AWS_MAX_ATTEMPTS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_an_object_comes_with_its_version_and_etag(bucket: dict[str, Any]) -> None:
    """The current version, one by its id, and the one at a moment; each says which it was."""
    first, second, etag = bucket["ids"]
    assert (bucket["now"]["size"], bucket["now"]["version"], bucket["now"]["etag"]) == (2_400_000, second, etag)
    assert (bucket["first"]["size"], bucket["first"]["version"]) == (8, first)
    assert bucket["late"]["version"] == second
    assert bucket["early"]["code"] == "MUNI-J212"
    assert bucket["early"]["facts"]["oldest"]


@pytest.mark.slow
def test_a_bucket_that_refuses_says_why(bucket: dict[str, Any]) -> None:
    """Missing objects, buckets and versions, and a store that is down; no key is told."""
    assert [bucket[name]["code"] for name in ("gone", "no bucket", "wrong version")][:2] == ["MUNI-J213"] * 2
    assert bucket["wrong version"]["code"] in ("MUNI-J213", "MUNI-J506")
    assert bucket["down"]["code"] == "MUNI-J506"
    assert "s3cret" not in json.dumps(bucket)


@pytest.mark.slow
def test_a_table_in_a_bucket_is_carried_whole(bucket: dict[str, Any]) -> None:
    """A prefix with a log below it is a table; its objects come as one archive."""
    assert (bucket["table"]["kind"], bucket["table"]["table"], bucket["table"]["objects"]) == ("delta", True, "2")
    assert bucket["table"]["start"].startswith("muniment-table.json")
