"""Time travel, on every engine: a name at a moment is the version that was the latest then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.catalog.model import EntityKind
from muniment.catalog.naming import resolve
from muniment.catalog.recording import Recorder
from muniment.errors import MunimentError
from muniment.kernel.digest import Digest

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANA = "User:ana"


def version(store: SqlStore, number: int, at: datetime) -> Digest:
    """Give ``data:credit`` another version."""
    digest = Digest.of(f"{number}".encode())
    with store.write() as session:
        recorder = Recorder(session, "main", at)
        recorder.entity(digest, EntityKind.DATA, author=ANA)
        recorder.name(EntityKind.DATA, "credit", digest, by=ANA)
    return digest


def at(store: SqlStore, moment: datetime | str, name: str = "data:credit") -> Digest:
    """What the name meant at a moment."""
    text = moment if isinstance(moment, str) else moment.isoformat()
    with store.read() as session:
        return resolve(session, "main", f"{name}@{text}", EntityKind.DATA).digest


def test_a_name_at_a_moment_is_its_latest_version_then(store: SqlStore) -> None:
    """Between two versions the older one; from its own moment on the newer one; in any zone."""
    digests = [version(store, number, NOON + timedelta(hours=number)) for number in range(3)]
    assert at(store, NOON) == digests[0]
    assert at(store, NOON + timedelta(minutes=59)) == digests[0]
    assert at(store, NOON + timedelta(hours=1)) == digests[1]
    assert at(store, NOON + timedelta(days=400)) == digests[2]
    assert at(store, "2026-11-01T14:30:00+01:00") == digests[1]
    assert at(store, "2026-11-01T13:30:00Z", "credit") == digests[1]


def test_before_the_first_version_there_is_none(store: SqlStore) -> None:
    """The refusal says since when there is one; a name that is none is still not found by its name."""
    version(store, 0, NOON)
    with pytest.raises(MunimentError) as refused:
        at(store, NOON - timedelta(seconds=1))
    assert refused.value.code == "MUNI-C207"
    assert refused.value.facts["since"] == "2026-11-01T12:00:00.000000Z"
    with pytest.raises(MunimentError) as unknown:
        at(store, NOON, "data:credits")
    assert unknown.value.code == "MUNI-C203"
    assert unknown.value.facts["near"] == ["data:credit"]


def test_a_clock_that_went_back_does_not_hide_a_version(store: SqlStore) -> None:
    """The greatest version among those named by then counts, whatever order the clock says they came in."""
    first = version(store, 0, NOON + timedelta(hours=2))
    second = version(store, 1, NOON)
    assert at(store, NOON + timedelta(hours=1)) == second
    assert at(store, NOON + timedelta(hours=3)) == second
    with store.read() as session:
        assert resolve(session, "main", "data:credit@1").digest == first
