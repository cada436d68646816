"""The state as plain rows, on each engine: out, and back in, without loss."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import jsonschema
import pytest

from asking import furnish_catalog
from muniment.adapters.sql.archive import OMITTED
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore
from muniment.catalog.model import Activity, ActivityKind, EntityKind, Metric
from muniment.catalog.ports import Activities, Entities, Metrics
from muniment.catalog.recording import Recorder
from muniment.evidence.exporting import Tables
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.testing.platform import People, Site

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RUN = "01m8bpp5vjm7ejzxbys8mx9gap"


@pytest.fixture(scope="module")
def exported(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[dict[str, object]]]]:
    """The rows of an installation with people, policies, data, a queued run and measurements that are no numbers."""
    platform = site.copy(tmp_path_factory.mktemp("exit")).open()
    furnish_catalog(People(platform, site.tokens))
    with platform.store.write() as session:
        session.use(Activities).record(
            Activity("main", RUN, ActivityKind.RUN, None, "User:scientist", NOW, NOW, Grade.PROVEN, {})
        )
        values = (0.1, math.nan, math.inf, -math.inf)
        session.use(Metrics).append_many("main", RUN, [Metric(f"m{n}", v, NOW) for n, v in enumerate(values)])
    with platform.store.read() as session:
        tables = session.use(Tables)
        yield {name: list(tables.rows(name)) for name in tables.names()}
    platform.close()


def test_rows_survive_a_round_trip(store: SqlStore, exported: dict[str, list[dict[str, object]]]) -> None:
    """What was taken out of one database is, loaded into another and taken out again, the same; as JSON it is too."""
    assert sum(map(len, exported.values())) >= 40
    with store.write() as session:
        tables = session.use(Tables)
        assert set(tables.names()) == set(exported)
        for name in tables.names():
            written = json.loads(json.dumps(exported[name], allow_nan=False))
            assert tables.load(name, iter(written)) == len(exported[name])
    with store.read() as session:
        tables = session.use(Tables)
        assert {name: list(tables.rows(name)) for name in tables.names()} == exported
        latest = session.use(Metrics).latest("main", [RUN])[RUN]
    assert math.isnan(latest["m1"].value)
    assert [latest[name].value for name in ("m0", "m2", "m3")] == [0.1, math.inf, -math.inf]


def test_numbers_go_on_after_those_that_were_loaded(
    store: SqlStore, exported: dict[str, list[dict[str, object]]]
) -> None:
    """What is recorded after a load gets numbers of its own."""
    with store.write() as session:
        tables = session.use(Tables)
        for name in tables.names():
            tables.load(name, exported[name])
    with store.write() as session:
        Recorder(session, "main", NOW).entity(Digest.of(b"new"), EntityKind.DATA, author="User:scientist")
    with store.read() as session:
        assert Digest.of(b"new") in session.use(Entities).find("main", [Digest.of(b"new")])


def test_every_row_keeps_its_schema(store: SqlStore, exported: dict[str, list[dict[str, object]]]) -> None:
    """The JSON schema beside the rows describes them: each row of each table, and no other property."""
    with store.read() as session:
        tables = session.use(Tables)
        for name, rows in exported.items():
            validator = jsonschema.Draft202012Validator(tables.schema(name))
            assert [error.message for row in rows for error in validator.iter_errors(row)] == []


def test_every_table_is_exported_or_left_out_for_a_reason(store: SqlStore) -> None:
    """No table is forgotten: a new one is in the export, unless it is named among those that stay."""
    with store.read() as session:
        names = set(session.use(Tables).names())
    assert names | set(OMITTED) == {table.name for table in METADATA.sorted_tables}
    assert not names & set(OMITTED)
    secret = {"hash", "wrapped_key", "wrapped_kek", "secret", "password"}
    assert [name for name in names if secret & {column.name for column in METADATA.tables[name].columns}] == []
