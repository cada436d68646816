"""Snapshots that bear several names: each name has a history of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.testing.platform import People, Site
from muniment.wire.data import DatasetDetail, ShowDataset

FIRST = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def people(site: Site, tmp_path: Path) -> Iterator[People]:
    """A project in which ``loans`` has two versions; the first came again as ``copy``, from somebody else."""
    place = site.copy(tmp_path / "site")
    platform = place.open()
    given = [("loans", b"old", "scientist"), ("loans", b"new", "scientist"), ("copy", b"old", "validator")]
    for day, (name, content, who) in enumerate(given):
        with platform.store.write() as session:
            recorder = Recorder(session, "main", FIRST + timedelta(days=day))
            sealed = platform.vault.seal_bytes("main", content)
            if name == "loans":
                platform.vault.register(session, "main", sealed)
            files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
            facts = {"files": files, "schema": [], "rows": 1}
            recorder.entity(sealed.digest, EntityKind.DATA, author=f"User:{who}", facts=facts)
            recorder.name(EntityKind.DATA, name, sealed.digest, by=f"User:{who}")
    yield People(platform, place.tokens)
    platform.close()


@pytest.mark.parametrize(
    ("reference", "day", "by", "newer"),
    [
        ("data:loans@1", 0, "User:scientist", "data:loans@2"),
        ("data:loans", 1, "User:scientist", None),
        ("data:copy", 2, "User:validator", None),
    ],
)
def test_when_by_whom_and_superseded_go_by_the_name(
    people: People, reference: str, day: int, by: str, newer: str | None
) -> None:
    """That the same bytes came again under another name changes nothing about the first."""
    shown: DatasetDetail = people.ask("scientist", ShowDataset(project="main", dataset=reference))
    assert shown.created_at.startswith((FIRST + timedelta(days=day)).strftime("%Y-%m-%d"))
    assert (shown.created_by, shown.superseded_by) == (by, newer)
