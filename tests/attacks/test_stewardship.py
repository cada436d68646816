"""Ways round the second person, round a hold, and back to what was destroyed: all closed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muniment.errors import Conflict, Denied, IntegrityError, NotFound
from muniment.kernel.digest import Digest
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import identity as wid
from muniment.wire import stewardship as ws
from muniment.wire.execution import TrainModel
from stewarding import Estate

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def place(site: Site, tmp_path: Path) -> Site:
    return site.copy(tmp_path / "site")


@pytest.fixture
def estate(place: Site, clock: FakeClock) -> Iterator[Estate]:
    """Two stewards and a data set."""
    platform = place.open(clock=clock)
    yield Estate.of(People(platform, place.tokens))
    platform.close()


def refused(estate: Estate, grant: str, by: str) -> list[str]:
    """Why somebody may not approve."""
    with pytest.raises(Denied) as told:
        estate.approve(grant, by=by)
    assert told.value.code == "MUNI-W401"
    return list(told.value.facts["because"])


class TestTwoPersons:
    """Who decides is somebody else."""

    def test_nobody_approves_what_he_asked_for_or_gets(self, estate: Estate) -> None:
        """Neither the asker nor the one whom another asked for."""
        estate.people.ask("admin2", wid.GrantRole(subject="steward", role="scientist", scope=PROJECT))
        asked = estate.grant(by="steward")
        assert refused(estate, asked.id, "steward") == ["steward asked for it"]
        given = estate.grant(by="scientist", account="steward")
        assert refused(estate, given.id, "steward") == ["steward asked for it"]
        assert estate.approve(given.id, by="steward2").state == "active"

    def test_a_steward_whom_the_asker_made_is_his_puppet(self, estate: Estate) -> None:
        """By account, token or role, directly or by a chain."""
        estate.person("boss", "administrator", by="admin2", scope=None)
        estate.people.ask("admin2", wid.GrantRole(subject="boss", role="scientist", scope=PROJECT))
        estate.person("puppet", "data-steward", by="boss")
        asked = estate.grant(by="boss")
        assert any("boss" in why for why in refused(estate, asked.id, "puppet"))
        estate.people.ask("admin2", wid.AddUser(name="fresh"))
        estate.people.tokens["fresh"] = estate.people.ask("admin2", wid.IssueTokenFor(owner="fresh")).token
        estate.people.ask("boss", wid.GrantRole(subject="fresh", role="data-steward", scope=PROJECT))
        assert any("boss" in why for why in refused(estate, asked.id, "fresh"))

    def test_who_made_the_asker_could_be_both(self, estate: Estate) -> None:
        """An administrator who is a steward too made the scientist's account, and so could act as him."""
        estate.people.ask("admin2", wid.GrantRole(subject="admin", role="data-steward", scope=PROJECT))
        assert any("admin" in why for why in refused(estate, estate.grant().id, "admin"))

    def test_a_machine_decides_nothing(self, estate: Estate) -> None:
        """A service account with the role is no second person."""
        estate.people.ask("admin2", wid.AddServiceAccount(name="robot", owner="steward2"))
        estate.people.tokens["robot"] = estate.people.ask("admin2", wid.IssueTokenFor(owner="robot")).token
        estate.people.ask("admin2", wid.GrantRole(subject="robot", role="data-steward", scope=PROJECT))
        assert refused(estate, estate.grant().id, "robot")[0] == "robot is no person"


class TestHolds:
    """What is held stays."""

    def due(self, estate: Estate, clock: FakeClock) -> ws.ErasureView:
        """A request to delete what is due."""
        estate.terms(retention=clock.now().date().isoformat())
        clock.advance(days=1)
        request = ws.RequestDeletion(project=PROJECT, dataset="data:credit", reason="over")
        made: ws.ErasureView = estate.ask("steward", request)
        return made

    def test_a_hold_that_came_after_the_request_wins_too(self, estate: Estate, clock: FakeClock) -> None:
        """The decision is refused, nothing is destroyed; released by another person, it goes through."""
        asked = self.due(estate, clock)
        place = ws.PlaceHold(project=PROJECT, dataset="data:credit", case="court", reason="order")
        hold = estate.ask("steward", place)
        approve = ws.ApproveErasure(project=PROJECT, erasure=asked.id)
        with pytest.raises(Conflict) as told:
            estate.ask("steward2", approve)
        assert told.value.code == "MUNI-W310"
        release = ws.ReleaseHold(project=PROJECT, hold=hold.id, reason="over")
        with pytest.raises(Denied):
            estate.ask("steward", release)
        estate.ask("steward2", release)
        assert estate.ask("steward2", approve).state == "erased"

    def test_a_hold_by_name_covers_the_versions_and_forbids_use_of_what_was_made(self, estate: Estate) -> None:
        """Whichever way the snapshot is named, also by its digest, and its parts are not used either."""
        estate.derive("data:credit", name="credit/train")
        place = ws.PlaceHold(project=PROJECT, dataset="credit", case="court", reason="order", forbids_use=True)
        estate.ask("steward", place)
        digest = estate.rights().digest
        for data in ("data:credit@1", digest, "credit/train"):
            with pytest.raises(Denied, match="forbids its use"):
                estate.train(data)

    def test_nothing_goes_before_its_time_or_by_one_person(self, estate: Estate, clock: FakeClock) -> None:
        """What is not due cannot be asked to be deleted, and the asker cannot decide."""
        request = ws.RequestDeletion(project=PROJECT, dataset="data:credit", reason="x")
        with pytest.raises(Conflict, match="not due"):
            estate.ask("steward", request)
        asked = self.due(estate, clock)
        with pytest.raises(Denied) as told:
            estate.ask("steward", ws.ApproveErasure(project=PROJECT, erasure=asked.id))
        assert told.value.code == "MUNI-W401"

    def test_evidence_stays_for_its_years(self, estate: Estate) -> None:
        """The vault itself refuses to destroy a model, whoever asks it."""
        vault, store = estate.people.platform.vault, estate.people.platform.store
        model = Digest.of(f"{PROJECT}/scorer".encode())
        now = estate.people.platform.gate._clock.now()
        with store.write() as session:
            with pytest.raises(Conflict) as kept:
                vault.erase(session, PROJECT, [model], decision=str(model), why="erasure", now=now)
            assert "evidence, kept for 10 years" in kept.value.facts["because"][0]
            later = now + timedelta(days=365 * 11)
            epoch = vault.erase(session, PROJECT, [model], decision=str(model), why="erasure", now=later)
            assert len(epoch.erased) == 1


class TestBackups:
    """No copy brings back what was destroyed."""

    def test_a_home_of_before_reads_nothing_with_the_keys_of_now(
        self, place: Site, clock: FakeClock, tmp_path: Path
    ) -> None:
        """A copy taken before the erasure, with today's key file, opens neither what went nor anything of its time;
        the home of now opens all the rest, its records verify, and the proof of absence still stands.
        """
        platform = place.open(clock=clock)
        estate = Estate.of(People(platform, place.tokens))
        stays = estate.derive("data:credit", name="other", content=b"of nobody")
        gone = Digest(estate.rights().digest)
        estate.terms(retention=clock.now().date().isoformat(), dataset="data:credit")
        platform.close()
        shutil.copytree(place.home, tmp_path / "copy")
        clock.advance(days=1)
        platform = place.open(clock=clock)
        people = People(platform, estate.people.tokens)
        request = ws.RequestDeletion(project=PROJECT, dataset="data:credit", reason="over")
        asked = people.ask("steward", request)
        people.ask("steward2", ws.ApproveErasure(project=PROJECT, erasure=asked.id))
        (key,) = people.ask("steward2", ws.FinishErasure(project=PROJECT)).keys
        assert key.startswith(f"kek/{PROJECT}/")
        shown = people.ask("auditor", ws.ShowErasure(project=PROJECT, erasure=asked.id))
        assert (shown.state, shown.decided_by) == ("done", "User:steward2")
        with pytest.raises(NotFound) as told:
            platform.vault.read_bytes(PROJECT, gone)
        assert (told.value.code, told.value.facts["decision"]) == ("MUNI-V205", asked.record)
        assert platform.vault.read_bytes(PROJECT, stays) == b"of nobody"
        assert platform.vault.fsck(PROJECT, deep=True).sound
        again = TrainModel(project=PROJECT, experiment="e", data="data:credit", algorithm="xgboost", target="age")
        with pytest.raises(Conflict) as told_again:
            people.ask("scientist", again)
        assert told_again.value.code == "MUNI-W301"
        platform.close()
        checkpoint = next(place.key_file.parent.glob("*.checkpoint"))
        checkpoint.unlink()  # whoever sets a home back takes care that nothing tells of it
        old = Site(home=tmp_path / "copy", key_file=place.key_file, tokens=place.tokens).open(clock=clock)
        for digest in (gone, stays):
            with pytest.raises(IntegrityError) as dead:
                old.vault.read_bytes(PROJECT, digest)
            assert dead.value.code == "MUNI-V501"
        old.close()
