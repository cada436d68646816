"""Ways to data round their terms: by the file that they came as, and by a name that others bear too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Denied
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import stewardship as ws
from muniment.wire.execution import RunScript
from stewarding import Estate

pytestmark = pytest.mark.slow


@pytest.fixture
def estate(site: Site, tmp_path: Path) -> Iterator[Estate]:
    """Two stewards and a data set."""
    place = site.copy(tmp_path / "site")
    platform = place.open(clock=FakeClock(datetime.now(UTC)))
    yield Estate.of(People(platform, place.tokens))
    platform.close()


def ingested(estate: Estate, name: str, content: bytes) -> Digest:
    """Record a file, and the snapshot that an ingest made of it; answers the file."""
    platform = estate.people.platform
    snapshot = estate.derive(name=name, content=content)
    now = platform.gate._clock.now()
    with platform.store.write() as session:
        recorder = Recorder(session, PROJECT, now)
        sealed = platform.vault.seal_bytes(PROJECT, b"file of " + content)
        platform.vault.register(session, PROJECT, sealed)
        files = [{"path": "source", "digest": str(sealed.digest), "size": sealed.size}]
        facts = {"bytes": sealed.size, "files": files}
        recorder.entity(sealed.digest, EntityKind.FILE, author="User:scientist", facts=facts, parts=[sealed.digest])
        run = new_id(SystemClock(), SystemEntropy())
        recorder.activity(run, ActivityKind.INGEST, agent="User:scientist", started_at=now, ended_at=now, facts={})
        recorder.used(run, sealed.digest, "file")
        recorder.generated(run, snapshot, "snapshot")
    return sealed.digest


def run_on(estate: Estate, reference: str) -> None:
    """Submit a script that reads something."""
    request = RunScript(project=PROJECT, entry="a.py", inputs={"d": reference}, experiment="e", fresh=True)
    estate.ask("scientist", request, b"a source tree")


class TestTheFile:
    """The file that a data set came as holds the same rows."""

    def test_the_file_of_a_data_set_is_under_its_terms(self, estate: Estate) -> None:
        """Rights, purposes, holds and the need of a grant count for the file, stated for the snapshot alone."""
        file = ingested(estate, "loans", b"loans")
        run_on(estate, str(file))
        estate.terms(dataset="loans", rights=["no-scripts"])
        with pytest.raises(Denied, match="no-scripts"):
            run_on(estate, "loans")
        with pytest.raises(Denied, match="no-scripts"):
            run_on(estate, str(file))

    def test_a_hold_counts_for_the_file(self, estate: Estate) -> None:
        """Nothing may use what is frozen, whatever it is called."""
        file = ingested(estate, "loans", b"loans")
        estate.ask(
            "steward",
            ws.PlaceHold(project=PROJECT, dataset="loans", case="court", reason="order", forbids_use=True),
        )
        with pytest.raises(Denied, match="forbids its use"):
            run_on(estate, str(file))

    def test_policy_about_the_data_set_is_asked_for_its_file(self, estate: Estate) -> None:
        """Restricted data take a grant; so does the file."""
        file = ingested(estate, "loans", b"loans")
        estate.terms(dataset="loans", access="grant")
        with pytest.raises(Denied, match="grant"):
            run_on(estate, str(file))
        grant = estate.grant(dataset="loans")
        estate.approve(grant.id)
        request = RunScript(
            project=PROJECT, entry="a.py", inputs={"d": str(file)}, experiment="e", fresh=True, purpose="scoring"
        )
        estate.ask("scientist", request, b"a source tree")


class TestNames:
    """What one steward says of a name does not loosen what others said of a version."""

    def test_a_looser_newest_version_does_not_widen_the_older_ones(self, estate: Estate) -> None:
        """A benign version is added to the name, and terms that are not wider for it are stated for all versions."""
        estate.terms(dataset="data:credit@1", every_version=False, classification="restricted", rights=["no-scripts"])
        estate.derive(name="credit", content=b"benign")
        said = estate.terms(dataset="credit", every_version=True, classification="public", rights=[])
        assert not said.waiting
        old = estate.rights("data:credit@1")
        assert old.terms.classification == "restricted"
        assert list(old.terms.rights) == ["no-scripts"]

    def test_what_two_agreed_for_one_version_widens_no_stricter_one(self, estate: Estate) -> None:
        """They saw the newest one; the older one is stricter than what they agreed to leave behind."""
        estate.terms(dataset="data:credit@1", every_version=False, classification="restricted")
        estate.derive(name="credit", content=b"benign")
        estate.terms(dataset="data:credit@2", every_version=False, classification="confidential")
        said = estate.terms(dataset="credit", every_version=True, classification="internal")
        assert said.waiting
        estate.ask("steward2", ws.ConfirmTerms(project=PROJECT, statement=said.id, reason="ok"))
        assert estate.rights("data:credit@2").terms.classification == "internal"
        assert estate.rights("data:credit@1").terms.classification == "restricted"

    def test_a_name_with_loose_terms_does_not_loosen_what_comes_to_bear_it(self, estate: Estate) -> None:
        """Somebody gives the same snapshot a second name, about which loose terms were stated by one steward."""
        estate.terms(dataset="data:credit", every_version=False, classification="restricted", access="grant")
        estate.derive(name="loose", content=b"benign")
        estate.terms(dataset="loose", every_version=True, classification="public", access="role")
        platform = estate.people.platform
        digest = Digest(estate.rights("data:credit").digest)
        with platform.store.write() as session:
            Recorder(session, PROJECT, platform.gate._clock.now()).name(
                EntityKind.DATA, "loose", digest, by="User:scientist"
            )
        shown = estate.rights("data:credit")
        assert (shown.terms.classification, shown.terms.access) == ("restricted", "grant")
