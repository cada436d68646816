"""Accounts that are moved by somebody else, and words that nobody checked: ways round four eyes that are closed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asking import furnish_catalog
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, Invalid
from muniment.kernel.digest import Digest
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import identity as wid
from muniment.wire import inventory as wi
from muniment.wire.execution import RunScript
from notary import SOUND, Notary

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> FakeClock:
    """A clock that tests move."""
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def notary(site: Site, tmp_path: Path, clock: FakeClock) -> Iterator[Notary]:
    """A team with keys, and a model in the catalog that the scientist brought."""
    place = site.copy(tmp_path / "site")
    platform = place.open(clock=clock)
    people = People(platform, place.tokens)
    furnish_catalog(people)
    yield Notary(people)
    platform.close()


def person(notary: Notary, name: str, role: str, by: str = "admin2", scope: str | None = PROJECT) -> str:
    """Somebody new with a role, whom one administrator made."""
    people = notary.people
    people.ask(by, wid.AddUser(name=name))
    people.tokens[name] = people.ask(by, wid.IssueTokenFor(owner=name)).token
    people.ask(by, wid.GrantRole(subject=name, role=role, scope=scope))
    return name


def tree() -> bytes:
    """A source tree with one script."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        member = tarfile.TarInfo("main.py")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"pass"))
    return target.getvalue()


def of_admin(notary: Notary) -> str:
    """A model that an administrator made."""
    platform = notary.people.platform
    now = platform.gate._clock.now()
    with platform.store.write() as session:
        recorder = Recorder(session, PROJECT, now)
        sealed = platform.vault.seal_bytes(PROJECT, b"mine")
        platform.vault.register(session, PROJECT, sealed)
        files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
        recorder.entity(sealed.digest, EntityKind.MODEL, author="User:admin", facts={"files": files})
        run = "0" * 25 + "1"
        recorder.activity(run, ActivityKind.TRAIN, agent="User:admin", started_at=now, ended_at=now, facts={})
        recorder.generated(run, Digest(str(sealed.digest)), "model")
        recorder.name(EntityKind.MODEL, "mine", sealed.digest, by="User:admin")
    return "model:mine"


class TestChains:
    """Who depends on one who depends on an author is not free either."""

    def test_an_approver_made_by_an_administrator_whom_the_author_made(self, notary: Notary) -> None:
        """Two steps away, and as dependent as at one: the same hand moves both."""
        mine = of_admin(notary)
        person(notary, "straw", "administrator", by="admin", scope=None)
        person(notary, "puppet", "approver", by="straw")
        person(notary, "checker", "validator", by="straw")
        notary.draft(mine)
        notary.model("scientist", mine).submit()
        with pytest.raises(Denied) as told:
            notary.model("checker", mine).review("satisfactory", SOUND)
        assert told.value.facts["policies"] == ["core/independence@1"]
        person(notary, "free", "validator")
        notary.model("free", mine).review("satisfactory", SOUND)
        with pytest.raises(Denied) as told:
            notary.model("puppet", mine).approve()
        assert told.value.facts["policies"] == ["core/independence@1"]
        assert any("straw" in why and "(puppet), and admin" in why for why in told.value.facts["because"])
        person(notary, "independent", "approver")
        assert notary.model("independent", mine).approve().state == "approved"

    @pytest.mark.parametrize("did", ["registered", "submitted"])
    def test_a_later_step_of_somebody_else_makes_nobody_independent(self, notary: Notary, did: str) -> None:
        """Whoever once registered or submitted a version had a part in it, also when another did so after him."""
        person(notary, "colleague", "scientist")
        notary.people.ask("admin2", wid.GrantRole(subject="colleague", role="approver", scope=PROJECT))
        if did == "registered":
            notary.model("colleague").register(use_case=notary.use_case())
            notary.submitted()
        else:
            notary.draft()
            notary.model("colleague").submit()
            notary.model("validator").review("unsatisfactory", SOUND)
            notary.model("scientist").submit()
        notary.model("validator").review("satisfactory", SOUND)
        with pytest.raises(Denied) as told:
            notary.model("colleague").approve()
        assert told.value.facts["policies"] == ["core/four-eyes@1"]


class TestStraw:
    """Who could sign in the name of another is not a second person beside him."""

    @pytest.mark.parametrize("role", ["validator", "approver"])
    def test_an_approver_who_made_the_other_signer(self, notary: Notary, role: str) -> None:
        """An administrator who also approves made the account that validated, or that approved before him."""
        rule = dict(notary.client("auditor").inventory.tiering().document)
        levels = {name: {**known, "approvals": 2, "evidence": []} for name, known in rule["levels"].items()}
        notary.client("admin").inventory.publish_tiering({**rule, "id": "house/two", "levels": levels})
        notary.people.ask("admin", wid.GrantRole(subject="admin2", role="approver", scope=PROJECT))
        straw = person(notary, "straw", role, by="admin2")
        notary.submitted()
        notary.model(straw if role == "validator" else "validator").review("satisfactory", SOUND)
        notary.model(straw if role == "approver" else "approver").approve()
        with pytest.raises(Denied) as told:
            notary.model("admin2").approve()
        assert told.value.code == "MUNI-M412"
        person(notary, "free", "approver", by="admin")
        assert notary.model("free").approve().state == "approved"


class TestEmergencies:
    """Two administrators, each free of the other, and somebody else who looks at it afterwards."""

    @pytest.mark.parametrize("order", [("admin", "straw"), ("straw", "admin")])
    def test_an_administrator_and_one_whom_he_made(self, notary: Notary, order: tuple[str, str]) -> None:
        """Whichever of them signs first."""
        notary.draft()
        person(notary, "straw", "administrator", by="admin")
        notary.people.ask("admin2", wid.GrantRole(subject="admin", role="operator"))
        notary.model(order[0]).break_glass("fraud wave")
        with pytest.raises(Denied) as told:
            notary.model(order[1]).break_glass("fraud wave")
        assert told.value.code == "MUNI-M412"
        assert notary.model("admin2").break_glass("fraud wave").emergency

    @pytest.mark.parametrize("how", ["disabled", "revoked", "author"])
    def test_a_first_signature_that_fell_away(self, notary: Notary, how: str) -> None:
        """The first signer left, his key was revoked, or he turns out to be an author: the second one is a first."""
        notary.draft()
        person(notary, "third", "administrator", by="admin2")
        notary.model("third").break_glass("fraud wave")
        if how == "disabled":
            notary.people.ask("admin2", wid.DisableUser(name="third"))
        elif how == "revoked":
            key = notary.client("third").keys.list()[0].key
            notary.people.ask("admin2", wid.RevokeSigningKeyOf(key=key))
        else:
            notary.people.ask("admin2", wid.LinkAccounts(account="third", other="scientist"))
        assert not notary.model("admin").break_glass("fraud wave").emergency
        assert notary.model("admin2").break_glass("fraud wave").emergency

    def test_who_signed_does_not_say_that_all_was_well(self, notary: Notary) -> None:
        """The finding and the review that an emergency leaves are somebody else's to settle."""
        notary.draft()
        notary.people.ask("admin", wid.GrantRole(subject="admin2", role="validator", scope=PROJECT))
        notary.model("admin").break_glass("fraud wave")
        notary.model("admin2").break_glass("fraud wave")
        signer, free = notary.client("admin2"), notary.client("validator")
        finding = signer.findings.list()[0].finding
        with pytest.raises(Denied) as told:
            signer.findings.close(finding, evidence="model:scorer", text="all well")
        assert told.value.code == "MUNI-M456"
        with pytest.raises(Denied) as told:
            signer.reviews.complete("model:scorer", "satisfactory", "all well")
        assert told.value.code == "MUNI-M456"
        assert not free.findings.close(finding, evidence="model:scorer", text="looked at").open
        free.reviews.complete("model:scorer", "satisfactory", "looked at")


class TestLaundering:
    """A model does not lose its authors on the way out and in."""

    def test_a_model_that_is_entered_anew_as_one_from_elsewhere(self, notary: Notary) -> None:
        """A colleague enters the file of a model that was made here: who made it does not approve the entry."""
        person(notary, "colleague", "scientist")
        notary.people.ask("admin2", wid.GrantRole(subject="scientist", role="approver", scope=PROJECT))
        request = wi.RegisterModelFile(
            project=PROJECT,
            name="bought",
            origin="off-platform",
            owner="colleague",
            description="a package from elsewhere",
            use_case=notary.use_case(),
            filename="package.bin",
        )
        notary.people.ask("colleague", request, b"main/scorer")
        notary.model("colleague", "model:bought").submit()
        notary.model("validator", "model:bought").review("satisfactory", SOUND)
        with pytest.raises(Denied) as told:
            notary.model("scientist", "model:bought").approve()
        assert told.value.facts["policies"] == ["core/four-eyes@1"]
        assert notary.model("approver", "model:bought").approve().state == "approved"


class TestDisguise:
    """What somebody brought is his, whatever a job calls it."""

    @pytest.mark.parametrize("channel", ["programs", "base", "environment", "source"])
    def test_no_input_is_called_like_what_the_platform_provides(self, notary: Notary, channel: str) -> None:
        """Such a name would tell that the data are nobody's work."""
        request = RunScript(project=PROJECT, entry="main.py", inputs={channel: "data:credit"})
        with pytest.raises(Invalid) as told:
            notary.people.ask("scientist", request, tree())
        assert told.value.code == "MUNI-X124"

    def test_a_file_that_an_older_run_read_under_such_a_name(self, notary: Notary) -> None:
        """Whoever brought it is an author."""
        platform = notary.people.platform
        now = platform.gate._clock.now()
        of_admin(notary)
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, now)
            file = Digest.of(b"raw")
            recorder.entity(file, EntityKind.FILE, author="User:approver")
            recorder.used("0" * 25 + "1", file, "environment")
        notary.draft("model:mine")
        notary.model("scientist", "model:mine").submit()
        person(notary, "free", "validator")
        notary.model("free", "model:mine").review("satisfactory", SOUND)
        with pytest.raises(Denied) as told:
            notary.model("approver", "model:mine").approve()
        assert told.value.facts["policies"] == ["core/four-eyes@1"]


class TestClaims:
    """What whoever registers a version says of it lowers nothing."""

    def test_a_non_model_by_its_own_author(self, notary: Notary) -> None:
        """Until somebody independent has determined it, it is of the tier of a model, and is validated as one."""
        registered = notary.draft(use_case=notary.use_case(purpose_class="capital"), model_kind="non-model")
        assert registered.tier == 1
        with pytest.raises(Conflict) as told:
            notary.model("scientist").submit()
        assert told.value.code == "MUNI-M324"
