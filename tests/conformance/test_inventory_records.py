"""The records of the inventory on each engine: kept as they were stated, found by what they are about."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from muniment.adapters.sql.store import SqlStore
from muniment.errors import Unavailable
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import new_id
from muniment.testing.fakes import FakeClock, SeededEntropy

MODEL = "sha256:" + "a" * 64


@pytest.fixture
def stated(store: SqlStore, clock: FakeClock) -> list[Record]:
    """Four records of two projects, in the order they were made."""
    entropy, made = SeededEntropy(), []
    for project, kind, subject in (
        ("main", RecordKind.USE_CASE, "usecase:cards"),
        ("main", RecordKind.REGISTRATION, MODEL),
        ("main", RecordKind.COMMENT, MODEL),
        ("other", RecordKind.COMMENT, MODEL),
    ):
        clock.advance(seconds=1)
        body = {"text": "a word – ü", "parts": ["1", 2, None, True], "n": len(made)}
        id_ = new_id(clock, entropy)
        made.append(Record(id_, project, kind, subject, clock.now(), "User:ana", Grade.DECLARED, body))
    with store.write() as session:
        for record in made:
            session.use(Records).append(record)
    return made


def test_a_record_comes_back_as_it_was_stated(store: SqlStore, stated: list[Record]) -> None:
    """Every field and the digest are the same after a round trip, and another project sees nothing of it."""
    with store.read() as session:
        records = session.use(Records)
        assert [records.get(record.project, record.id) for record in stated] == stated
        assert [found.digest for found in records.about("main", [MODEL])] == [r.digest for r in stated[1:3]]
        assert records.get("other", stated[0].id) is None


def test_records_are_found_by_subject_and_by_kind(store: SqlStore, stated: list[Record]) -> None:
    """About subjects: oldest first, of one kind or all; of a kind: newest first, within the limit."""
    with store.read() as session:
        records = session.use(Records)
        assert records.about("main", [MODEL, "usecase:cards"]) == stated[:3]
        assert records.about("main", [MODEL], RecordKind.COMMENT) == [stated[2]]
        assert records.about("main", []) == []
        assert records.of_kind("other", RecordKind.COMMENT) == [stated[3]]
        assert records.of_kind("main", RecordKind.COMMENT, limit=0) == []


def test_many_subjects_are_asked_about_at_once(store: SqlStore, stated: list[Record]) -> None:
    """More subjects than an engine takes in one statement are no error, and nothing is told twice."""
    with store.read() as session:
        many = [f"usecase:{number}" for number in range(2000)]
        assert session.use(Records).about("main", [*many, MODEL, MODEL]) == stated[1:3]


def test_an_id_is_given_once(store: SqlStore, stated: list[Record], clock: FakeClock) -> None:
    """A second record of the same id is refused, and the first one stays."""
    again = Record(stated[0].id, "main", RecordKind.DRILL, "project", clock.now() + timedelta(1), "x", Grade.PROVEN, {})
    with pytest.raises((IntegrityError, Unavailable)), store.write() as session:
        session.use(Records).append(again)
    with store.read() as session:
        assert session.use(Records).get("main", stated[0].id) == stated[0]
