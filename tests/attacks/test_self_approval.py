"""Somebody who made a model, or depends on one who did, tries to have it approved: by every way round."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from asking import furnish_catalog, recorded, state
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound, Unauthenticated
from muniment.identity.signing import enrolment
from muniment.inventory.ports import Versions, Wanted
from muniment.inventory.versions import records_about
from muniment.kernel.digest import Digest
from muniment.kernel.principal import Principal, PrincipalKind
from muniment.sdk.client import Client
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import identity as wid
from muniment.wire import inventory as wi
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


def made(notary: Notary, name: str, agent: str, *, kind: ActivityKind = ActivityKind.TRAIN, reads: str = "") -> str:
    """A model that an agent made, of the snapshot or of what is named."""
    platform = notary.people.platform
    now = platform.gate._clock.now()
    with platform.store.write() as session:
        recorder = Recorder(session, PROJECT, now)
        sealed = platform.vault.seal_bytes(PROJECT, name.encode())
        platform.vault.register(session, PROJECT, sealed)
        files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
        recorder.entity(sealed.digest, EntityKind.MODEL, author=agent, facts={"files": files})
        run = f"{Digest.of(name.encode()).hex[:26]}".replace("f", "g")
        run = "0" + run[1:]
        recorder.activity(run, kind, agent=agent, started_at=now, ended_at=now, facts={})
        if reads:
            recorder.used(run, Digest(reads), "train")
        recorder.generated(run, sealed.digest, "model")
        recorder.name(EntityKind.MODEL, name, sealed.digest, by=agent)
    return str(sealed.digest)


def person(notary: Notary, name: str, role: str = "approver", by: str = "admin2") -> str:
    """Somebody new with a role, whom one administrator made."""
    people = notary.people
    people.ask(by, wid.AddUser(name=name))
    people.tokens[name] = people.ask(by, wid.IssueTokenFor(owner=name)).token
    people.ask(by, wid.GrantRole(subject=name, role=role, scope=PROJECT))
    return name


def refused(notary: Notary, who: str, reference: str = "model:scorer", policy: str = "core/four-eyes@1") -> Denied:
    """The refusal of an approval; it stands in the ledger, and nothing has changed."""
    model = notary.model(who, reference)
    before = state(notary.people.platform)
    with pytest.raises(Denied) as told:
        model.approve()
    assert told.value.facts["policies"] == [policy]
    entry = recorded(notary.people.platform, told.value)
    assert (entry["action"], entry["principal"], entry["outcome"]) == (
        "inventory:ApproveModel",
        f"User:{who}",
        "denied",
    )
    after = state(notary.people.platform)
    assert {n: rows for n, rows in after.items() if n != "inventory_challenge"} == {
        n: rows for n, rows in before.items() if n != "inventory_challenge"
    }
    return told.value


class TestWhoIsNotIndependent:
    """Roles change nothing for who had a part in a model."""

    def test_an_author_with_the_role_himself(self, notary: Notary) -> None:
        """The scientist is made approver as well."""
        notary.people.ask("admin", wid.GrantRole(subject="scientist", role="approver", scope=PROJECT))
        notary.validated()
        assert "scientist registered it" in refused(notary, "scientist").facts["because"]

    def test_an_author_by_a_group(self, notary: Notary) -> None:
        """He joins a group that approves."""
        notary.people.ask("admin", wid.AddGroup(name="board"))
        notary.people.ask("admin", wid.AddMember(group="board", member="scientist"))
        notary.people.ask("admin", wid.GrantRole(subject="group:board", role="approver", scope=PROJECT))
        notary.validated()
        refused(notary, "scientist")

    def test_an_author_of_something_far_upstream(self, notary: Notary) -> None:
        """Whoever made a model that was used to make this one."""
        first = made(notary, "first", "User:approver")
        made(notary, "second", "User:scientist", reads=first)
        notary.validated("model:second")
        assert any("trained run:" in why for why in refused(notary, "approver", "model:second").facts["because"])

    def test_an_author_by_what_was_declared_to_feed_it(self, notary: Notary) -> None:
        """Whoever registered a model that was declared to feed this one."""
        made(notary, "feed", "User:approver")
        notary.validated()
        notary.client("scientist").inventory.depends_on("model:scorer", "model:feed", "reads its score")
        refused(notary, "approver")

    def test_the_owner_of_the_service_account_that_trained_it(self, notary: Notary) -> None:
        """A program counts as the person who answers for it."""
        notary.people.ask("admin", wid.AddServiceAccount(name="robot", owner="approver"))
        made(notary, "auto", "ServiceAccount:robot")
        notary.validated("model:auto")
        refused(notary, "approver", "model:auto")

    def test_a_service_account_signs_nothing(self, notary: Notary) -> None:
        """A program with the role of an approver is refused, and can enrol no key."""
        people = notary.people
        people.ask("admin", wid.AddServiceAccount(name="robot", owner="operator"))
        people.ask("admin", wid.GrantRole(subject="robot", role="approver", scope=PROJECT))
        people.tokens["robot"] = people.ask("admin", wid.IssueTokenFor(owner="robot")).token
        notary.validated()
        with pytest.raises(Denied) as told:
            people.ask("robot", wi.ApproveModel(project=PROJECT, model="model:scorer"))
        assert "core/people-sign@1" in told.value.facts["policies"]
        with pytest.raises(Invalid):
            Client(people.platform.transport(people.tokens["robot"]), project=PROJECT).keys.enrol()

    def test_a_second_account(self, notary: Notary) -> None:
        """Once an administrator has stated that two accounts are one person, neither judges what the other made."""
        person(notary, "scientist2")
        notary.validated()
        notary.people.ask("admin", wid.LinkAccounts(account="scientist", other="scientist2"))
        why = refused(notary, "scientist2").facts["because"]
        assert any("one person" in one for one in why)

    def test_a_third_account_linked_to_the_second(self, notary: Notary) -> None:
        """Links join further: who is the same as the same is the same."""
        person(notary, "scientist2")
        person(notary, "scientist3")
        notary.people.ask("admin", wid.LinkAccounts(account="scientist2", other="scientist3"))
        notary.people.ask("admin", wid.LinkAccounts(account="scientist2", other="scientist"))
        notary.validated()
        refused(notary, "scientist3")

    @pytest.mark.parametrize("what", ["account", "token", "role", "group", "membership"])
    def test_who_depends_on_an_author(self, notary: Notary, what: str) -> None:
        """An administrator had a part in the model: whose account, token, role or membership came from him."""
        people = notary.people
        made(notary, "mine", "User:admin")
        author = "admin"
        people.ask("admin" if what == "account" else "admin2", wid.AddUser(name="puppet"))
        issuer = author if what == "token" else "admin2"
        people.tokens["puppet"] = people.ask(issuer, wid.IssueTokenFor(owner="puppet")).token
        grant = {"role": author}.get(what, "admin2")
        if what in ("group", "membership"):
            people.ask("admin2", wid.AddGroup(name="board"))
            people.ask(author if what == "membership" else "admin2", wid.AddMember(group="board", member="puppet"))
            giver = author if what == "group" else "admin2"
            people.ask(giver, wid.GrantRole(subject="group:board", role="approver", scope=PROJECT))
        else:
            people.ask(grant, wid.GrantRole(subject="puppet", role="approver", scope=PROJECT))
        person(notary, "checker", "validator")
        notary.draft("model:mine")
        notary.model("scientist", "model:mine").submit()
        notary.model("checker", "model:mine").review("satisfactory", SOUND)
        why = refused(notary, "puppet", "model:mine", "core/independence@1").facts["because"]
        assert any("admin" in one for one in why[1:])
        person(notary, "free")
        assert notary.model("free", "model:mine").approve().state == "approved"

    def test_a_validator_who_had_a_part(self, notary: Notary) -> None:
        """The same holds for validation."""
        made(notary, "theirs", "User:validator")
        notary.submitted("model:theirs")
        with pytest.raises(Denied) as told:
            notary.model("validator", "model:theirs").review("satisfactory", SOUND)
        assert told.value.facts["policies"] == ["core/four-eyes@1"]

    def test_who_reproduces_is_no_author(self, notary: Notary) -> None:
        """A validator who ran a recorded plan again had no part in the model, and may judge it."""
        platform = notary.people.platform
        digest = made(notary, "again", "User:scientist")
        now = platform.gate._clock.now()
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, now)
            plan = Digest.of(b"plan")
            for run, kind, agent in (
                ("0" * 25 + "1", ActivityKind.TRAIN, "User:scientist"),
                ("0" * 25 + "2", ActivityKind.REPRODUCE, "User:validator"),
            ):
                recorder.activity(run, kind, agent=agent, started_at=now, ended_at=now, plan=plan)
                recorder.generated(run, Digest(digest), "model")
        assert notary.approved("model:again").state == "approved"

    def test_a_repetition_of_nothing_is_a_making(self, notary: Notary) -> None:
        """What calls itself a reproduction while no run made the model first counts as making it."""
        made(notary, "odd", "User:validator", kind=ActivityKind.REPRODUCE)
        notary.submitted("model:odd")
        with pytest.raises(Denied):
            notary.model("validator", "model:odd").review("satisfactory", SOUND)

    def test_whoever_started_the_first_job_of_a_project_is_no_author_of_all(self, notary: Notary) -> None:
        """The platform's own programs were recorded by his run; they are nobody's work on a model."""
        platform = notary.people.platform
        now = platform.gate._clock.now()
        digest = made(notary, "clean", "User:scientist")
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, now)
            programs = Digest.of(b"programs")
            recorder.entity(programs, EntityKind.CODE, author="User:validator")
            recorder.activity("0" * 25 + "3", ActivityKind.TRAIN, agent="User:scientist", started_at=now, ended_at=now)
            recorder.used("0" * 25 + "3", programs, "programs")
            recorder.generated("0" * 25 + "3", Digest(digest), "model")
        assert notary.approved("model:clean").state == "approved"


class TestDifferentPeople:
    """As many people as the tier asks for, and the validator is none of them."""

    def test_who_validated_does_not_approve(self, notary: Notary) -> None:
        """Also not by a second account of his."""
        notary.people.ask("admin", wid.GrantRole(subject="validator", role="approver", scope=PROJECT))
        person(notary, "validator2")
        notary.people.ask("admin", wid.LinkAccounts(account="validator", other="validator2"))
        notary.validated()
        for who in ("validator", "validator2"):
            with pytest.raises(Denied) as told:
                notary.model(who).approve()
            assert told.value.code == "MUNI-M407"

    def test_two_of_two_are_two_people(self, notary: Notary) -> None:
        """The same person twice, by one account or by two, is one approval; the second person completes it."""
        two(notary)
        person(notary, "approver2")
        person(notary, "petra")
        notary.people.ask("admin", wid.LinkAccounts(account="approver", other="approver2"))
        assert notary.model("approver").approve().state == "in_validation"
        for who in ("approver", "approver2"):
            with pytest.raises(Conflict) as told:
                notary.model(who).approve()
            assert told.value.code == "MUNI-M327"
        assert notary.model("petra").approve().state == "approved"

    @pytest.mark.parametrize("how", ["disabled", "revoked", "author"])
    def test_an_approval_that_fell_away_does_not_count(self, notary: Notary, how: str, clock: FakeClock) -> None:
        """The first approver is disabled, his key is revoked, or he turns out to have had a part: a third is needed."""
        two(notary)
        for name in ("petra", "pia"):
            person(notary, name)
        notary.model("approver").approve()
        if how == "disabled":
            notary.people.ask("admin", wid.DisableUser(name="approver"))
        elif how == "revoked":
            key = notary.client("approver").keys.list()[0].key
            notary.people.ask("admin", wid.RevokeSigningKeyOf(key=key))
        else:
            notary.people.ask("admin", wid.LinkAccounts(account="approver", other="scientist"))
        clock.advance(seconds=1)
        assert notary.model("petra").approve().state == "in_validation"
        assert notary.model("pia").approve().state == "approved"

    def test_accounts_with_one_key_are_one_person(self, notary: Notary) -> None:
        """A second account cannot enrol the key of the first, not even after it was revoked."""
        person(notary, "approver2")
        pen = notary.client("approver").keys.pen()
        second = Client(notary.people.platform.transport(notary.people.tokens["approver2"]), project=PROJECT)
        with pytest.raises(Denied) as told:
            second.keys.enrol(pen=pen)
        assert told.value.code == "MUNI-I410"
        notary.client("approver").keys.revoke(notary.client("approver").keys.list()[0].key)
        with pytest.raises(Denied):
            second.keys.enrol(pen=pen)


class TestSignatures:
    """A signature is good once, for five minutes, for one person, one act and one digest."""

    def prepared(self, notary: Notary, who: str = "approver", meaning: str = "approved") -> wi.Statement:
        """A statement that somebody may sign."""
        request = wi.PrepareSignature(project=PROJECT, model="model:scorer", meaning=meaning)
        statement: wi.Statement = notary.client(who).ask("inventory:PrepareSignature", request, wi.Statement)
        return statement

    def approve(self, notary: Notary, statement: str, signature: str, who: str = "approver") -> Any:
        """Ask for the approval with whatever was signed."""
        request = wi.ApproveModel(project=PROJECT, model="model:scorer", statement=statement, signature=signature)
        return notary.people.ask(who, request)

    def test_without_one_nothing_happens(self, notary: Notary) -> None:
        """An approval without signature is refused as incomplete."""
        notary.validated()
        with pytest.raises(Invalid) as told:
            self.approve(notary, "", "")
        assert told.value.code == "MUNI-M141"

    def test_it_verifies_offline(self, notary: Notary) -> None:
        """With what the record holds, and nothing else: the statement says who, what, when, and about which digest."""
        notary.approved()
        history = notary.client("auditor").models.get("model:scorer").standing().history
        with notary.people.platform.store.read() as session:
            row = session.use(Versions).listed(PROJECT, *everything(notary))[0]
        kept = signatures(notary)
        assert [one["meaning"] for one in kept] == ["submitted for validation", "validated", "approved"]
        assert {one["model"] for one in kept} == {str(row.digest)}
        assert sum(event.signed for event in history) == 3

    def test_used_twice(self, notary: Notary) -> None:
        """The second time it is refused, whatever became of the first."""
        two(notary)
        prepared = self.prepared(notary)
        signature = notary.client("approver").keys.sign(prepared.statement)
        self.approve(notary, prepared.statement, signature)
        with pytest.raises(Conflict) as told:
            self.approve(notary, prepared.statement, signature)
        assert told.value.code == "MUNI-M320"

    def test_too_old(self, notary: Notary, clock: FakeClock) -> None:
        """After five minutes it must be prepared again."""
        notary.validated()
        prepared = self.prepared(notary)
        clock.advance(minutes=5)
        with pytest.raises(Conflict) as told:
            self.approve(notary, prepared.statement, notary.client("approver").keys.sign(prepared.statement))
        assert told.value.code == "MUNI-M321"

    def test_for_something_else(self, notary: Notary) -> None:
        """What was signed as a rejection approves nothing."""
        notary.validated()
        request = wi.PrepareSignature(project=PROJECT, model="model:scorer", meaning="rejected", terms={"reason": "no"})
        prepared = notary.client("approver").ask("inventory:PrepareSignature", request, wi.Statement)
        with pytest.raises(Denied) as told:
            self.approve(notary, prepared.statement, notary.client("approver").keys.sign(prepared.statement))
        assert told.value.code == "MUNI-M404"

    def test_of_somebody_else(self, notary: Notary) -> None:
        """A statement that was prepared for one approver is no good in the hands of another."""
        notary.validated()
        person(notary, "petra")
        prepared = self.prepared(notary)
        signature = notary.client("petra").keys.sign(prepared.statement)
        with pytest.raises(Denied) as told:
            self.approve(notary, prepared.statement, signature, "petra")
        assert told.value.code == "MUNI-M403"

    def test_changed_on_the_way(self, notary: Notary) -> None:
        """A statement that was edited is not the one that was prepared, though it is well signed."""
        notary.validated()
        prepared = self.prepared(notary)
        edited = json.loads(prepared.statement)
        edited["terms"]["expires"] = "2099-01-01T00:00:00.000000Z"
        text = json.dumps(edited, sort_keys=True, separators=(",", ":"))
        with pytest.raises(Denied) as told:
            self.approve(notary, text, notary.client("approver").keys.sign(text))
        assert told.value.code == "MUNI-M402"

    @pytest.mark.parametrize("bit", [0, 255, 256, 511])
    def test_one_bit_wrong(self, notary: Notary, bit: int) -> None:
        """No single bit of a signature may differ."""
        notary.validated()
        prepared = self.prepared(notary)
        raw = bytearray(base64.b64decode(notary.client("approver").keys.sign(prepared.statement)))
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Denied) as told:
            self.approve(notary, prepared.statement, base64.b64encode(raw).decode())
        assert told.value.code == "MUNI-M406"

    def test_of_a_revoked_key(self, notary: Notary) -> None:
        """A key that was revoked between preparing and signing signs nothing."""
        notary.validated()
        prepared = self.prepared(notary)
        client = notary.client("approver")
        client.keys.revoke(client.keys.list()[0].key)
        with pytest.raises(Denied) as told:
            self.approve(notary, prepared.statement, client.keys.sign(prepared.statement))
        assert told.value.code == "MUNI-M405"
        with pytest.raises(NotFound):
            notary.model("approver").approve()

    def test_of_somebody_who_left(self, notary: Notary) -> None:
        """A disabled account approves nothing with what it prepared before."""
        notary.validated()
        prepared = self.prepared(notary)
        notary.people.ask("admin", wid.DisableUser(name="approver"))
        with pytest.raises(Unauthenticated):
            self.approve(notary, prepared.statement, notary.client("approver").keys.sign(prepared.statement))

    def test_about_a_manifest_that_changed(self, notary: Notary) -> None:
        """The draft was registered anew after its submission was prepared."""
        notary.draft()
        prepared = self.prepared(notary, "scientist", "submitted for validation")
        notary.draft(owner="approver")
        signature = notary.client("scientist").keys.sign(prepared.statement)
        request = wi.SubmitModel(
            project=PROJECT, model="model:scorer", statement=prepared.statement, signature=signature
        )
        with pytest.raises(Conflict) as told:
            notary.people.ask("scientist", request)
        assert told.value.code == "MUNI-M323"

    def test_about_a_name_that_moved_on(self, notary: Notary) -> None:
        """The reference means another version by now: what was signed is not what would be approved."""
        notary.validated()
        prepared = self.prepared(notary)
        platform = notary.people.platform
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, platform.gate._clock.now())
            sealed = platform.vault.seal_bytes(PROJECT, b"newer")
            platform.vault.register(session, PROJECT, sealed)
            files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
            recorder.entity(sealed.digest, EntityKind.MODEL, author="User:scientist", facts={"files": files})
            recorder.name(EntityKind.MODEL, "scorer", sealed.digest, by="User:scientist")
        signature = notary.client("approver").keys.sign(prepared.statement)
        with pytest.raises(MunimentError) as told:
            self.approve(notary, prepared.statement, signature)
        assert told.value.code in ("MUNI-M310", "MUNI-M322")
        notary.draft("model:scorer@2")
        with pytest.raises(Conflict) as told:
            self.approve(notary, prepared.statement, signature)
        assert told.value.code == "MUNI-M322"

    def test_enrolment_takes_a_proof(self, notary: Notary) -> None:
        """Nobody enrols a key that he does not hold, and a proof for one account is none for another."""
        theirs = Ed25519PrivateKey.generate()
        public = theirs.public_key().public_bytes_raw()
        other = theirs.sign(enrolment(Principal(PrincipalKind.USER, "scientist"), public))
        encoded = base64.b64encode(public).decode()
        for proof in (b"", b"\0" * 64, other):
            request = wid.EnrolSigningKey(public_key=encoded, proof=base64.b64encode(proof).decode())
            with pytest.raises(Denied) as told:
                notary.people.ask("approver", request)
            assert told.value.code == "MUNI-I409"

    def test_a_stolen_token_makes_no_signer(self, notary: Notary) -> None:
        """With the token alone a thief enrols no key of his own beside the owner's, nor after revoking that himself."""
        owner = notary.client("approver")
        thief = Client(notary.people.platform.transport(notary.people.tokens["approver"]), project=PROJECT)
        for _ in range(2):
            with pytest.raises(Denied) as told:
                thief.keys.enrol()
            assert told.value.code == "MUNI-I412"
            own = [key for key in owner.keys.list() if key.revoked_at is None]
            if own:
                thief.keys.revoke(own[0].key)
        notary.people.ask("admin", wid.LinkAccounts(account="approver", other="operator"))
        with pytest.raises(Denied):
            thief.keys.enrol()

    def test_a_key_is_renewed_by_the_former_one_or_after_an_administrator(self, notary: Notary) -> None:
        """The present key endorses the next and signs no more; a lost one is revoked by an administrator first."""
        owner = notary.client("approver")
        first = owner.keys.list()[0].key
        second = owner.keys.renew("second").key
        assert {key.key: key.revoked_at is not None for key in owner.keys.list()} == {first: True, second: False}
        notary.validated()
        assert notary.model("approver").approve().state == "approved"
        elsewhere = Client(notary.people.platform.transport(notary.people.tokens["approver"]), project=PROJECT)
        with pytest.raises(Denied):
            elsewhere.keys.enrol()
        notary.people.ask("admin", wid.RevokeSigningKeyOf(key=second))
        assert elsewhere.keys.enrol("third").owner == "approver"

    @pytest.mark.parametrize("point", ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f"])
    def test_a_key_that_everybody_can_sign_with(self, notary: Notary, point: str) -> None:
        """Points of small order are no keys."""
        encoded = base64.b64encode(bytes.fromhex(point)).decode()
        with pytest.raises(Invalid):
            notary.people.ask("approver", wid.EnrolSigningKey(public_key=encoded, proof=""))


class TestBreakGlass:
    """Two administrators who had no part, within a day, for a few days, with a finding."""

    def test_it_takes_two(self, notary: Notary, clock: FakeClock) -> None:
        """One signature does nothing; the second one's approval lasts the shorter time and opens a finding."""
        notary.draft()
        first = notary.model("admin").break_glass("fraud wave", days=3)
        assert (first.state, first.emergency) == ("draft", False)
        with pytest.raises(Conflict) as told:
            notary.model("admin").break_glass("fraud wave")
        assert told.value.code == "MUNI-M325"
        second = notary.model("admin2").break_glass("fraud wave", days=7)
        assert (second.state, second.emergency) == ("approved", True)
        assert datetime.fromisoformat(second.expires or "") == clock.now() + timedelta(days=3)
        usable = notary.model("operator").approval()
        assert (usable.usable, usable.emergency) == (True, True)
        with notary.people.platform.store.read() as session:
            row = session.use(Versions).listed(PROJECT, *everything(notary))[0]
        assert (row.findings_high, row.next_review) == (1, (clock.now() + timedelta(days=5)).date().isoformat())
        clock.advance(days=3)
        assert not notary.model("operator").approval().usable

    def test_it_takes_them_within_a_day(self, notary: Notary, clock: FakeClock) -> None:
        """After a day the first signature counts no more, and the second one is a first."""
        notary.draft()
        notary.model("admin").break_glass("fraud wave")
        clock.advance(hours=24, seconds=1)
        assert not notary.model("admin2").break_glass("fraud wave").emergency
        assert notary.model("admin").break_glass("fraud wave").emergency

    def test_two_accounts_of_one_person_are_one(self, notary: Notary) -> None:
        """A second administrator's account of the same person is refused."""
        person(notary, "admin3", "administrator", by="admin2")
        notary.people.ask("admin2", wid.LinkAccounts(account="admin", other="admin3"))
        notary.draft()
        notary.model("admin").break_glass("fraud wave")
        with pytest.raises(Conflict):
            notary.model("admin3").break_glass("fraud wave")

    def test_an_author_does_not_break_the_glass(self, notary: Notary) -> None:
        """Four eyes hold in an emergency too."""
        made(notary, "mine", "User:admin")
        notary.draft("model:mine")
        with pytest.raises(Denied) as told:
            notary.model("admin", "model:mine").break_glass("fraud wave")
        assert told.value.facts["policies"] == ["core/four-eyes@1"]

    def test_nobody_else_does(self, notary: Notary) -> None:
        """No role but the administrator's."""
        notary.draft()
        for who in ("scientist", "validator", "approver"):
            with pytest.raises(Denied):
                notary.model(who).break_glass("fraud wave")


class TestEvidence:
    """What the tier asks for is there, and fresh."""

    def test_a_validation_that_is_too_old(self, notary: Notary, clock: FakeClock) -> None:
        """Approving on a validation that is older than the tier allows is refused, with its age."""
        publish(notary, approvals=1, evidence_days=1)
        notary.validated()
        clock.advance(days=1, seconds=1)
        with pytest.raises(Conflict) as told:
            notary.model("approver").approve()
        assert told.value.code == "MUNI-M328"
        assert "older than 1 days" in told.value.facts["because"][0]

    def test_an_evaluation_is_asked_for(self, notary: Notary) -> None:
        """Tier 2 wants the model measured: without that it is validated and cannot be approved."""
        notary.validated(use_case=None)
        with pytest.raises(Conflict) as told:
            notary.model("approver").approve()
        assert (told.value.code, told.value.facts["because"]) == ("MUNI-M328", ["there is no evaluation of it"])

    def test_a_high_finding_closes_the_way(self, notary: Notary) -> None:
        """Whatever else is in order."""
        notary.validated()
        notary.client("validator").findings.open(
            "model:scorer", "leak", severity="high", owner="scientist", due="2099-01-01"
        )
        with pytest.raises(Conflict) as told:
            notary.model("approver").approve()
        assert told.value.code == "MUNI-M351"


def publish(notary: Notary, **asks: Any) -> None:
    """A tiering rule that asks for no evidence from runs, and for this besides, on every level."""
    rule = dict(notary.client("auditor").inventory.tiering().document)
    levels = {name: {**known, "evidence": [], **asks} for name, known in rule["levels"].items()}
    notary.client("admin").inventory.publish_tiering({**rule, "id": "house/other", "levels": levels})


def two(notary: Notary) -> None:
    """A validated version of a tier that takes two approvals."""
    publish(notary, approvals=2)
    notary.validated()


def everything(notary: Notary) -> tuple[Wanted, datetime, int]:
    """What lists every version."""
    return Wanted(), notary.people.platform.gate._clock.now(), 100


def signatures(notary: Notary) -> list[dict[str, Any]]:
    """Every signature in the records of the model, verified with what stands beside it and nothing else."""
    platform = notary.people.platform
    digest = Digest(notary.client("auditor").models.get("model:scorer").digest)
    found = []
    with platform.store.read() as session:
        for record in records_about(session, PROJECT, digest):
            kept = record.body.get("signature")
            if kept:
                key = Ed25519PublicKey.from_public_bytes(base64.b64decode(kept["public_key"]))
                key.verify(base64.b64decode(kept["signature"]), kept["statement"].encode())
                stated = json.loads(kept["statement"])
                assert stated["signer"] == record.by
                assert stated["key"] == Digest.of(base64.b64decode(kept["public_key"]))
                found.append(stated)
    return found
