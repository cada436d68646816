"""Rows of data do not leave by way of the registry that other people's clients know."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asking import furnish_catalog
from muniment.errors import NotFound
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.execution import ShowRun
from muniment.wire.registry import CreateModelVersion, CreateRegisteredModel, GetVersionFile
from muniment.wire.rows import FingerprintDataset

ROWS = bytes(16)
MANIFEST = canonical(
    {
        "format": "muniment.rows/1", "view": {"by": "names"}, "columns": 1, "rows": 1, "left_out": 0, "distinct": 1,
        "once": 1, "parts": [{"path": "rows.fp", "bytes_digest": str(Digest.of(ROWS)), "bytes": len(ROWS)}],
    }
)  # fmt: skip


def fingerprints(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """What a fingerprinting leaves."""
    leave(sink, "output/data/0/rows.fp", ROWS)
    leave(sink, "output/data/0/manifest.json", MANIFEST)
    return ExitStatus.OK


def test_what_a_job_about_rows_left_is_no_model(site: Site, tmp_path: Path) -> None:
    """Files of a job of the platform that handles rows cannot be registered as a model, and then be fetched as one."""
    place, clock = site.copy(tmp_path / "site"), FakeClock(datetime.now(UTC))
    platform = place.open(clock=clock, engine=PlayedEngine(fingerprints), workshop=EmptyWorkshop())
    people = People(platform, place.tokens)
    furnish_catalog(people)
    people.work()
    asked = people.ask("scientist", FingerprintDataset(project=PROJECT, dataset="data:credit"))
    people.work()
    assert people.ask("scientist", ShowRun(project=PROJECT, run=asked.run)).status == "ok"
    people.ask("scientist", CreateRegisteredModel(project=PROJECT, name="innocent"))
    request = CreateModelVersion(project=PROJECT, name="innocent", run=asked.run, path="output/data/0")
    with pytest.raises(NotFound) as refused:
        people.ask("scientist", request)
    assert refused.value.code == "MUNI-R255"
    with pytest.raises(NotFound):
        people.ask("scientist", GetVersionFile(project=PROJECT, name="innocent", version=1, path="rows.fp"))
    platform.close()
