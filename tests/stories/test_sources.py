"""From a source to a judgement, on both engines: the same rows are the same content wherever they came from."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster import Cluster
from muniment.adapters.sources.opening import OutsideSources
from muniment.errors import MunimentError
from muniment.sdk.client import Client
from muniment.sdk.progress import quiet
from muniment.testing.platform import PROJECT, People, Site, furnish
from muniment.wire.data import AddDataset, Origin

pytestmark = pytest.mark.slow

SECRET = "Kunigunde4711"
ROWS = [(n, None if n % 7 == 0 else "" if n % 5 == 0 else f"ü{n}", n / 7, n % 2) for n in range(1, 501)]
CREATE = "create table loans (id bigint, name text, x double precision, late bigint)"
ASK = "select * from loans order by id"


@pytest.fixture
def client(each_site: Site) -> Iterator[Client]:
    """A scientist on a platform whose jobs run."""
    platform = each_site.open()
    furnish(People(platform, each_site.tokens))
    yield Client(
        platform.transport(each_site.tokens["scientist"]), project=PROJECT, worker=platform.work_until,
        sources=OutsideSources(),
    )  # fmt: skip
    platform.close()


def sqlite(folder: Path) -> str:
    """The rows in SQLite."""
    with closing(sqlite3.connect(folder / "bank.db")) as database:
        database.execute(CREATE)
        database.executemany("insert into loans values (?, ?, ?, ?)", ROWS)
        database.commit()
    return f"sqlite:///{folder / 'bank.db'}"


def postgres(cluster: Cluster) -> Iterator[str]:
    """The rows in PostgreSQL."""
    with cluster.database(template="template0") as url:
        plain = url.replace("postgresql+psycopg://postgres@", f"postgresql://postgres:{SECRET}@")
        with psycopg.connect(plain) as connection:
            connection.execute(CREATE)
            connection.cursor().executemany("insert into loans values (%s, %s, %s, %s)", ROWS)
        yield plain


def test_the_same_rows_are_the_same_content_from_every_source(
    client: Client, postgres_cluster: Cluster, tmp_path: Path
) -> None:
    """A file, SQLite and PostgreSQL give one content digest; each snapshot says where it came from, without secrets."""
    lines = ["id,name,x,late"] + [
        f"{n},{'' if name is None else json.dumps(name, ensure_ascii=False)},{x!r},{late}" for n, name, x, late in ROWS
    ]
    (tmp_path / "loans.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept: dict[str, Any] = {"target": "late", "owner": "Retail Risk", "purposes": ["scoring"], "retention": "10y"}
    from_file = client.data.add("from-file", tmp_path / "loans.csv", watch=quiet, **kept)
    from_sqlite = client.data.add("from-sqlite", sqlite(tmp_path), query=ASK, watch=quiet, **kept)
    for url in postgres(postgres_cluster):
        from_postgres = client.data.add("from-postgres", url, query=ASK, watch=quiet, **kept)
        with pytest.raises(MunimentError) as refused:
            client.data.add("no", url, query="delete from loans returning *", watch=quiet)
        assert SECRET not in str(refused.value.document())
    assert {one.detail.content_digest for one in (from_file, from_sqlite, from_postgres)} == {
        from_file.detail.content_digest
    }
    origin = from_postgres.detail.facts["origin"]
    assert (origin["kind"], origin["query"], origin["grade"]) == ("postgresql", ASK, "declared")
    assert {one["kind"] for one in from_postgres.detail.facts["origins"]} == {"file", "sqlite", "postgresql"}
    assert from_postgres.reference == "data:from-postgres@1"
    assert origin["version"]
    assert origin["read_at"]
    assert SECRET not in str(from_postgres.detail)
    assert from_postgres.detail.facts["owner"] == "Retail Risk"
    assert from_postgres.detail.created_by == "User:scientist"
    parts = from_postgres.split(watch=quiet)
    assert parts["train"].detail.facts["owner"] == "Retail Risk"
    assert parts["train"].detail.facts["retention"] == from_postgres.detail.facts["retention"]
    assert client.data.get("from-file", at="2100-01-01T00:00:00Z").digest == from_file.digest
    with pytest.raises(MunimentError) as early:
        client.data.get("from-file", at="2000-01-01T00:00:00Z")
    assert early.value.code == "MUNI-C207"
    rules = [
        {"check": "complete", "column": "name", "threshold": 0.9},
        {"check": "unique", "column": "id"},
        {"check": "holds", "expression": "x >= 0 and late in (0, 1)"},
    ]
    found = from_sqlite.quality(rules, watch=quiet)
    assert (found.verdict, [one["rule"] for one in found.violated]) == ("violated", ["complete name"])
    shares = parts["test"].represent(from_postgres, ["late"], watch=quiet)
    assert shares.verdict == "ok"
    assert [(one.what, one.verdict) for one in from_sqlite.assessments()] == [("quality", "violated")]
    assert "violated" in found._repr_html_()
    assert "late" in shares._repr_html_()


def test_what_a_connector_left_half_written_makes_no_snapshot(client: Client, tmp_path: Path) -> None:
    """Rows that were cut off, a location with a password, a table that is none: refused, and nothing is there."""
    whole = io.BytesIO()
    for source in (sqlite(tmp_path),):
        with OutsideSources().open(source, query=ASK) as fetched:
            whole.write(fetched.body.read())
    content = whole.getvalue()
    request = AddDataset(project=PROJECT, name="half", filename="half.rows")
    run = client.jobs.add(request, io.BytesIO(content[: content.rfind(b'{"rows"')])).wait(quiet)
    assert (run.status, (run.detail.error or {}).get("code")) == ("failed", "MUNI-J104")
    secret = Origin(kind="postgresql", location=f"postgresql://me:{SECRET}@db/bank")
    with pytest.raises(MunimentError) as refused:
        client.jobs.add(AddDataset(project=PROJECT, name="half", filename="x", origin=secret), io.BytesIO(b"a\n1\n"))
    assert refused.value.code == "MUNI-J151"
    with pytest.raises(MunimentError) as missing:
        client.data.get("half")
    assert missing.value.code == "MUNI-C203"
