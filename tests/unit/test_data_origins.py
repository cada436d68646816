"""Where data come from and under which terms: kept in one form, without secrets, or refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from muniment.cli.data import picture
from muniment.cli.screen import Screen
from muniment.data.origins import INHERITED, RIGHTS, inherited, origin_facts, terms_facts
from muniment.errors import Invalid, NotFound
from muniment.kernel.digest import Digest
from muniment.kernel.reference import Named, bears_kind, parse_reference
from muniment.sdk.client import Client
from muniment.sdk.datasets import Dataset, moment_of
from muniment.sdk.outside import opened
from muniment.stewardship.terms import RIGHTS as STEWARDED
from muniment.testing.transport import ScriptedTransport
from muniment.wire import data as wire
from scripted import STARTED, dataset, detail, product

NOW = datetime(2028, 2, 29, 12, tzinfo=UTC)
ADD = wire.AddDataset(project="main", name="loans", filename="loans.csv")
ORIGIN = wire.Origin(
    kind="postgresql", location="postgresql://me@db/bank", query="select 1", read_at="2026-01-02T03:00:00+02:00"
)


def test_an_origin_is_kept_as_declared() -> None:
    """What the connector says is kept in one form, graded as what it is: a claim."""
    assert origin_facts(replace(ORIGIN, version="3:3:", details={"server": "PostgreSQL 17"})) == {
        "kind": "postgresql", "location": "postgresql://me@db/bank", "grade": "declared", "query": "select 1",
        "version": "3:3:", "read_at": "2026-01-02T01:00:00.000000Z", "details": {"server": "PostgreSQL 17"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"kind": "magic"}, "MUNI-J150"),
        ({"location": "postgresql://me:s3cret@db/bank"}, "MUNI-J151"),
        ({"location": "odbc:DSN=bank;PWD=s3cret"}, "MUNI-J151"),
        ({"location": "s3://bank/x?token=abc"}, "MUNI-J151"),
        ({"location": ""}, "MUNI-J154"),
        ({"location": "x" * 401}, "MUNI-J154"),
        ({"query": "x" * 20_001}, "MUNI-J154"),
        ({"read_at": "yesterday"}, "MUNI-K108"),
        ({"read_at": "2026-01-02T03:00:00"}, "MUNI-K107"),
        ({"details": {f"d{n}": "x" for n in range(51)}}, "MUNI-J152"),
    ],
)
def test_an_origin_that_does_not_do_is_refused(given_: dict[str, Any], code: str) -> None:
    """Secrets, unknown kinds, texts without end and moments that are none reach no record."""
    with pytest.raises(Invalid) as refused:
        origin_facts(replace(ORIGIN, **given_))
    assert refused.value.code == code
    assert "s3cret" not in str(refused.value.document())


def test_terms_are_kept_in_one_form() -> None:
    """Durations become days, counted from the day of the request; what was not said is left out."""
    told = replace(
        ADD, owner="Retail Risk", purposes=["scoring"], legal_basis=["contract"], rights=["no-training", "no-training"],
        use_until="2030-12-31", retention="10y",
    )  # fmt: skip
    assert terms_facts(told, NOW) == {
        "classification": "confidential", "owner": "Retail Risk", "purposes": ["scoring"], "legal_basis": ["contract"],
        "rights": ["no-training"], "use_until": "2030-12-31", "retention": "2038-02-28",
    }  # fmt: skip
    assert terms_facts(ADD, NOW) == {"classification": "confidential"}


@pytest.mark.parametrize(
    ("text", "day"),
    [("1y", "2029-02-28"), ("P4Y", "2032-02-29"), ("12m", "2029-02-28"), ("1M", "2028-03-29"), ("2w", "2028-03-14"),
     ("90d", "2028-05-29"), ("2036-11-26", "2036-11-26")],
)  # fmt: skip
def test_a_duration_ends_on_a_day_of_the_calendar(text: str, day: str) -> None:
    """A month later is the same day of the month, or its last one."""
    assert terms_facts(replace(ADD, retention=text), NOW)["retention"] == day


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"retention": "soon"}, "MUNI-J156"),
        ({"retention": "2026-02-30"}, "MUNI-J156"),
        ({"retention": "0d"}, "MUNI-J156"),
        ({"retention": "99999y"}, "MUNI-J156"),
        ({"use_until": "20300101"}, "MUNI-J156"),
        ({"rights": ["no-fun"]}, "MUNI-J153"),
        ({"owner": " "}, "MUNI-J154"),
        ({"purposes": ["x"] * 51}, "MUNI-J155"),
    ],
)
def test_terms_that_do_not_do_are_refused(given_: dict[str, Any], code: str) -> None:
    """Days that are none, words that mean nothing, and lists without end."""
    with pytest.raises(Invalid) as refused:
        terms_facts(replace(ADD, **given_), NOW)
    assert refused.value.code == code


def test_the_words_are_those_that_count_when_data_are_used() -> None:
    """A right that is stated when data come in is one that is looked at when a job is submitted."""
    assert set(RIGHTS) == set(STEWARDED)


def test_parts_take_over_the_terms() -> None:
    """Whatever holds of a snapshot holds of what it is split into; where it came from does not."""
    facts = {name: ["x"] for name in INHERITED} | {"origin": {"kind": "file"}, "rows": 3, "target": "y"}
    assert set(inherited(facts)) == set(INHERITED)
    assert inherited({"owner": None, "rights": []}) == {}


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["credit", "credit/train"]))
def test_a_reference_by_time_reads_back(moment: datetime, name: str) -> None:
    """The text of a reference by time is read as the same reference, with and without its kind."""
    named = Named("data", name, None, moment)
    assert parse_reference(str(named)) == named
    assert parse_reference(str(named).removeprefix("data:"), kind="data") == named


@pytest.mark.parametrize(
    "text", ["data:x@2026-01-01", "data:x@2026-01-01T00:00:00", "x@yesterday", "data:x@2026-13-01T00:00:00Z"]
)
def test_a_moment_without_zone_is_no_reference(text: str) -> None:
    """A day, a local time or a word leaves open which moment is meant."""
    with pytest.raises(Invalid):
        parse_reference(text, kind="data")


def test_the_colons_of_a_moment_are_no_kind() -> None:
    """``credit@2026-…:00`` is a bare name; a digest and ``data:credit`` are not."""
    assert [bears_kind(one) for one in ("credit@2026-01-01T00:00:00Z", "data:credit", f"{Digest.of(b'')}")] == [
        False,
        True,
        True,
    ]
    assert moment_of("credit", "2026-01-01T02:00:00+02:00") == "credit@2026-01-01T00:00:00.000000Z"
    with pytest.raises(Invalid):
        moment_of("credit@2", "2026-01-01T00:00:00Z")


@dataclass
class Fetched:
    """A source as an adapter gives it."""

    filename: str = "bank.rows"
    body: BinaryIO = field(default_factory=lambda: io.BytesIO(b"rows"))
    kind: str = "sqlite"
    location: str = "sqlite:///bank.db"
    query: str | None = "select 1"
    version: str | None = None
    table: bool = False
    details: dict[str, str] = field(default_factory=dict)


class Adapter:
    """Reads nothing, and remembers what it was asked."""

    def __init__(self, fetched: Fetched) -> None:
        self.fetched = fetched
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @contextmanager
    def open(self, location: str, **given_: Any) -> Iterator[Fetched]:
        self.asked.append((location, given_))
        yield self.fetched


def test_the_sdk_adds_what_the_adapter_read() -> None:
    """The bytes, the origin and the terms travel in one request."""
    made = detail("ok", kind="ingest", products=[product("data:loans@1", "snapshot")])
    transport = ScriptedTransport(
        {"data:AddDataset": STARTED, "execution:ShowRun": made, "data:ShowDataset": dataset("data:loans@1")}
    )
    adapter = Adapter(Fetched())
    client = Client(transport, project="main", sources=adapter)
    client.data.add("loans", "sqlite:///bank.db", query="select 1", owner="me", retention="10y", watch=lambda _: None)
    request = transport.asked[0][1]
    assert isinstance(request, wire.AddDataset)
    assert request.origin is not None
    assert (request.origin.kind, request.origin.query, request.owner, request.retention) == (
        "sqlite",
        "select 1",
        "me",
        "10y",
    )
    assert adapter.asked[0][0] == "sqlite:///bank.db"


def test_the_version_of_a_table_travels_to_the_job() -> None:
    """The table's files come as they are; which version is read is decided where they are parsed."""
    adapter = Adapter(Fetched(kind="delta", location="t", query=None, table=True))
    with opened(adapter, "s3://bucket/t", version="3") as sending:
        assert sending.fields["version"] == "3"
        assert sending.fields["origin"].version == "3"
    with opened(adapter, "s3://bucket/t", at="2026-01-01T00:00:00Z") as sending:
        assert sending.fields["at"] == sending.fields["origin"].at == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"version": "1", "at": "2026-01-01T00:00:00Z"}, "MUNI-A124"),
        ({"version": "1"}, "MUNI-A125"),
        ({"query": "select 1"}, "MUNI-A125"),
        ({"at": "noon"}, "MUNI-K108"),
    ],
)
def test_a_plain_file_takes_no_version(given_: dict[str, str], code: str, tmp_path: Path) -> None:
    """What a file cannot have is refused before anything is sent."""
    (tmp_path / "x.csv").write_bytes(b"a\n1\n")
    with pytest.raises(Invalid) as refused, opened(None, tmp_path / "x.csv", **given_):
        pass
    assert refused.value.code == code


def test_a_client_without_adapter_reads_files_alone(tmp_path: Path) -> None:
    """It says so, and what is not there is not found."""
    with pytest.raises(Invalid) as refused, opened(None, "sqlite:///x.db", query="select 1"):
        pass
    assert refused.value.code == "MUNI-A126"
    with pytest.raises(NotFound), opened(None, tmp_path / "none.csv"):
        pass


@pytest.mark.parametrize("profiled", [False, True])
def test_ten_thousand_columns_fit_a_terminal(profiled: bool) -> None:
    """However wide a table is, what a person sees of it is bounded, and says what is left out."""
    names = [f"column_{number}" for number in range(10_000)]
    found = dataset("data:wide@1")
    profile = (
        {"columns": [{"name": name, "type": "int64", "nulls": 0} for name in names], "rows": 3} if profiled else None
    )
    columns = [wire.Column(name=name, type="int64", nullable=False) for name in names]
    findings = [{"code": "constant", "message": "", "facts": {"column": name}} for name in names]
    out = io.StringIO()
    screen = Screen(Console(file=out, width=120))
    wide = replace(found, columns=columns, findings=findings, profile=profile)
    picture(screen, Dataset(Client(ScriptedTransport({}), project="main"), wide))
    text = out.getvalue()
    assert len(text) < 20_000
    assert "9,900 more columns" in text
    assert "9,988 more" in text
