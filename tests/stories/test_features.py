"""Features on the real credit file: statements month by month, known some days later; views in Python and SQL; a join
as it was known; a model whose lineage leads back to the raw data; online reads that are the offline values.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muniment.errors import Invalid, MunimentError, NotFound
from muniment.sdk.client import Client
from muniment.testing.platform import Site
from working import World, working

pytestmark = pytest.mark.slow

PEOPLE = 300
START = datetime(2026, 4, 28, tzinfo=UTC)
MONTHS = ("6", "5", "4", "3", "2", "1")
LATE = ("PAY_6", "PAY_5", "PAY_4", "PAY_3", "PAY_2", "PAY_0")
BEHAVIOUR = """
import polars as pl

def transform(statements: pl.LazyFrame) -> pl.LazyFrame:
    rows = statements.sort("ID", "happened")
    late = (pl.col("late") > 0).cast(pl.Int64).cum_sum().over("ID")
    return rows.select("ID", "happened", "booked", "bill", late_months=late)
"""
BALANCE = """
select ID, happened, avg(bill) over past as mean_bill, max(paid) over past as max_paid
from statements window past as (partition by ID order by happened rows between 2 preceding and current row)
"""
VIEW = {"entity": "ID", "event_time": "happened", "sources": {"statements": "data:statements"}, "owner": "risk"}


def people(file: Path | None) -> list[dict[str, str]]:
    """The first card holders of the real file, or made-up ones of the same form where it is not there."""
    if file is not None and file.exists():
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            return [row for row, _ in zip(csv.DictReader(text), range(PEOPLE), strict=False)]
    made = []
    for n in range(PEOPLE):
        row = {"ID": str(n + 1), "LIMIT_BAL": str(10_000 * (n % 50 + 1)), "default_payment_next_month": str(n % 3 // 2)}
        row |= {f"BILL_AMT{m}": str(n * 7 % 991 * int(m)) for m in MONTHS} | {
            f"PAY_AMT{m}": str(n * 3 % 97) for m in MONTHS
        }
        made.append(row | {name: str(n % 4 - 1) for name in LATE})
    return made


def table(header: str, rows: list[list[Any]]) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows([header.split(","), *rows])
    return text.getvalue().encode()


def known(rows: list[dict[str, str]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Six statements for each card holder, booked 0 to 11 days later, and one application each."""
    statements, applications = [], []
    for number, row in enumerate(rows):
        for month, late in zip(MONTHS, LATE, strict=True):
            happened = START + timedelta(days=30 * MONTHS.index(month), minutes=number % 1440)
            booked = happened + timedelta(days=(number * 7 + MONTHS.index(month)) % 12)
            bill, paid = int(float(row[f"BILL_AMT{month}"])), int(float(row[f"PAY_AMT{month}"]))
            statements.append([row["ID"], stamp(happened), stamp(booked), bill, paid, row[late]])
        decided = START + timedelta(days=number * 13 % 190 - 5)
        applications.append(
            [row["ID"], stamp(decided), int(float(row["LIMIT_BAL"])), row["default_payment_next_month"]]
        )
    return statements, applications


def stamp(moment: datetime) -> str:
    """The moment as a file holds it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Bank:
    """The platform after the story was played once."""

    def __init__(self, world: World, rows: list[dict[str, str]]) -> None:
        self.world = world
        platform = world.platform
        transport = platform.transport(world.people.tokens["scientist"])
        self.m = Client(transport, project="main", worker=platform.work_until)
        self.statements, self.applications = known(rows)
        clocks = {"happened": "timestamp", "booked": "timestamp"}
        given = table("ID,happened,booked,bill,paid,late", self.statements)
        assert world.add(given, name="statements", columns=clocks).status == "ok"
        given = table("ID,decided,limit,default", self.applications)
        added = world.add(given, name="applications", columns={"decided": "timestamp"}, target="default")
        assert added.status == "ok"
        fields = {"features": {"bill": "int64", "late_months": "int64"}, "knowledge_time": "booked", "ttl": "3650d"}
        self.behaviour = self.m.features.define({"name": "behaviour", **VIEW, **fields}, BEHAVIOUR)
        fields = {"features": {"mean_bill": "float64", "max_paid": "int64"}}
        self.balance = self.m.features.define({"name": "balance", **VIEW, **fields}, BALANCE)
        for view in (self.behaviour, self.balance):
            view.build(quiet)
        self.joined = self.m.features.join(
            "applications", "behaviour:late_months,bill", self.balance, time="decided", name="training", watch=quiet
        )


def quiet(_: Any) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def bank(site: Site, tmp_path_factory: pytest.TempPathFactory, shared_data: Path | None) -> Iterator[Bank]:
    """Views defined and built, and applications joined to them."""
    file = shared_data / "credit_default" / "UCI_Credit_Card.csv.gz" if shared_data else None
    with working(site, tmp_path_factory.mktemp("features")) as world:
        yield Bank(world, people(file))


def test_the_join_keeps_every_application_and_the_model_leads_back(bank: Bank) -> None:
    """One row for each application; the lineage of the model names the view, the join and the raw data."""
    assert bank.joined.detail.rows == len(bank.applications)
    assert [column.name for column in bank.joined.detail.columns] == [
        "ID", "decided", "limit", "default", "late_months", "bill", "mean_bill", "max_paid",
    ]  # fmt: skip
    assert bank.joined.detail.target == "default"
    run = bank.m.train("lightgbm", bank.joined, experiment="cards", drop=("ID", "decided"), watch=quiet)
    assert run.detail.grade == "proven"
    graph = bank.m.lineage(run.product("model"), picture=False)
    told = repr(graph) + str(graph.view)
    for name in (
        "data:statements@1",
        "features:behaviour@1",
        "features:balance@1",
        "data:training@1",
        "join",
        "transform",
    ):
        assert name in told, name


def test_columns_are_known(bank: Bank) -> None:
    """Each feature names the raw columns that it rests on, proven, in Python and in SQL."""
    shown = bank.behaviour.refresh().detail
    columns = {one.name: (set(one.columns or []), one.grade) for one in shown.features}
    assert columns["bill"] == ({"statements.ID", "statements.happened", "statements.bill"}, "proven")
    assert columns["late_months"] == ({"statements.ID", "statements.happened", "statements.late"}, "proven")
    shown = bank.balance.refresh().detail
    assert {one.name: "statements.paid" in (one.columns or []) for one in shown.features} == {
        "mean_bill": False,
        "max_paid": True,
    }
    assert shown.freshness is not None
    assert "bill" in repr(bank.behaviour)
    assert "paid" in bank.balance._repr_html_()


def test_a_target_that_leaks_is_found_in_a_real_build(bank: Bank) -> None:
    """The job of a build knows the targets of its sources, so a feature that is the target in other words is told."""
    fields = {"entity": "ID", "event_time": "decided", "sources": {"rows": "data:applications"}}
    code = "def transform(rows):\n    return rows.select('ID', 'decided', bad=pl.col('default') + 1)\n"
    view = bank.m.features.define(
        {"name": "leaky", **fields, "features": {"bad": "int64"}}, f"import polars as pl\n{code}"
    )
    view.build(quiet)
    codes = {one["code"] for one in view.refresh().detail.findings}
    assert {"reads_target", "equals_target"} <= codes


def test_online_reads_are_the_offline_values(bank: Bank) -> None:
    """After publication every value agrees; the expected one is worked out here by hand; another key is unknown."""
    done = bank.m.features.publish("behaviour", watch=quiet)
    assert (done.offered, done.accepted, done.online) == (PEOPLE, PEOPLE, PEOPLE)
    last = bank.statements[5]
    assert bank.m.features.get("behaviour", ID=1)[0]["bill"] == last[3]
    assert bank.m.features.get("behaviour", {"ID": "1"}, {"ID": 10**9}, features=["bill"])[1] == {"bill": None}
    skew = bank.m.features.skew("behaviour", watch=quiet)
    assert skew.clean
    assert skew.report["compared"] == PEOPLE
    again = bank.m.features.publish("behaviour", watch=quiet)
    assert (again.accepted, again.kept_back) == (PEOPLE, 0)
    entry = bank.world.entries("features:LookUpFeatures")[0]
    assert "keys" not in str(entry["facts"])


def test_the_same_definition_keeps_its_version_and_the_same_build_is_answered(bank: Bank) -> None:
    """Defining again changes nothing; building again gives the run that is on the record."""
    fields = {"features": {"mean_bill": "float64", "max_paid": "int64"}}
    again = bank.m.features.define({"name": "balance", **VIEW, **fields}, BALANCE)
    assert (again.reference, again.digest) == (bank.balance.reference, bank.balance.digest)
    assert bank.m.features.build("balance", watch=quiet).digest == bank.balance.refresh().detail.builds[0].digest
    assert len(bank.balance.detail.builds) == 1


@pytest.mark.parametrize(
    ("ask", "kind", "code"),
    [
        (lambda m: m.features.join("applications", "behaviour:nothing", time="decided"), Invalid, "MUNI-F107"),
        (lambda m: m.features.join("applications", "behaviour", time="when"), Invalid, "MUNI-F113"),
        (lambda m: m.features.join("statements", "behaviour", time="booked"), Invalid, "MUNI-F114"),
        (lambda m: m.features.join("applications", "nobody", time="decided"), NotFound, "MUNI-C203"),
        (lambda m: m.features.get("balance", ID=1), NotFound, "MUNI-F203"),
        (lambda m: m.features.get("behaviour", customer=1), Invalid, "MUNI-F141"),
        (lambda m: m.features.get("behaviour", ID="one"), Invalid, "MUNI-F142"),
        (lambda m: m.features.get("behaviour", ID=1, features=["x"]), Invalid, "MUNI-F107"),
        (lambda m: m.features.skew("behaviour", sample=0), Invalid, "MUNI-F118"),
        (lambda m: m.features.drift("balance"), NotFound, "MUNI-F202"),
        (lambda m: m.features.define({"name": "b", **VIEW, "features": {"x": "money"}}, BALANCE), Invalid, "MUNI-F103"),
        (lambda m: m.features.define({"name": "b", **VIEW, "featured": {}}, BALANCE), Invalid, "MUNI-A185"),
    ],
)
def test_what_cannot_be_is_refused(bank: Bank, ask: Any, kind: type[MunimentError], code: str) -> None:
    """Each refusal has its code, and leaves nothing behind."""
    if code in ("MUNI-F141", "MUNI-F142") or "F118" in code or ask.__code__.co_names[-1:] == ("get",):
        bank.m.features.publish("behaviour", watch=quiet)
    before = bank.world.known()
    with pytest.raises(kind) as refused:
        ask(bank.m)
    assert refused.value.code == code
    assert bank.world.known() == before


def test_a_transform_that_raises_names_the_users_line(bank: Bank) -> None:
    """The failed build says where, keeps nothing, and another build works."""
    broken = BEHAVIOUR.replace('"bill", late_months', '"bil", late_months')
    fields = {"features": {"bill": "int64", "late_months": "int64"}, "knowledge_time": "booked"}
    view = bank.m.features.define({"name": "broken", **VIEW, **fields}, broken)
    with pytest.raises(MunimentError) as refused:
        view.build(quiet)
    assert refused.value.code == "MUNI-F131"
    assert str(refused.value.facts["where"]).startswith("transform.py:")
    with pytest.raises(NotFound, match="not been built"):
        bank.m.features.join("applications", "broken", time="decided", watch=quiet)
