"""Gates, findings, challenge, reviews and changes by their verbs, on each engine, through the gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.bootstrap import Platform
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.ports import Names
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.oversight import gates
from muniment.inventory.ports import Records, Versions
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time, new_id
from muniment.testing.fakes import FakeClock, SeededEntropy
from muniment.testing.platform import People, Site
from muniment.wire import oversight as wire
from muniment.wire.identity import GrantRole
from notary import SOUND, Notary

MODEL = "model:scorer@1"
WHERE: dict[str, Any] = {"project": "main"}
ABOUT: dict[str, Any] = {"project": "main", "model": MODEL}


@dataclass
class Bank:
    """A platform with a model of the scientist's, and a clock to move."""

    people: People
    clock: FakeClock

    def ask(self, person: str, request: Any) -> Any:
        """What the platform answers; a second passes."""
        self.clock.advance(seconds=1)
        return self.people.ask(person, request)

    def check(self, stage: str | None = None) -> wire.GateCheck:
        """What the gates say."""
        found: wire.GateCheck = self.ask("auditor", wire.CheckGates(**ABOUT, stage=stage))
        return found

    def closed(self) -> list[str]:
        """Names of closed gates."""
        return [result.name for result in self.check().gates if not result.open]

    def finding(self, **given: Any) -> wire.FindingView:
        """A finding of the validator's."""
        due = str((self.clock.now() + timedelta(days=10)).date())
        told = {"title": "t", "severity": "high", "owner": "scientist", "due": due, **given}
        opened: wire.FindingView = self.ask("validator", wire.OpenFinding(**{**ABOUT, **told}))
        return opened

    @property
    def today(self) -> str:
        """The day by the clock."""
        return str(self.clock.now().date())


@dataclass
class Asked:
    """What a verb that submits or approves holds in its hand when it comes to the gates."""

    platform: Platform
    session: Any
    now: datetime
    project: str = "main"

    def use(self, port: type[Any]) -> Any:
        """A service or a repository."""
        return self.platform.gate._services.get(port) or self.session.use(port)


@pytest.fixture
def bank(each_site: Site) -> Iterator[Bank]:
    """A fresh one on each engine."""
    clock = FakeClock(datetime.now(UTC))
    platform = each_site.open(clock=clock)
    people = People(platform, each_site.tokens)
    furnish_catalog(people)
    yield Bank(people, clock)
    platform.close()


def test_gates_are_versioned_shown_and_withdrawn(bank: Bank) -> None:
    """Every version is kept and the newest judges; to say the same again is refused; a withdrawn one judges no more."""
    first = bank.ask(
        "admin", wire.SetGate(**WHERE, name="quality", expression="metric.auc>=0.75 and (findings.high=0)")
    )
    assert (first.version, first.expression) == (1, "metric.auc >= 0.75 and findings.high = 0")
    with pytest.raises(Conflict) as same:
        bank.ask("admin", wire.SetGate(**WHERE, name="quality", expression="metric.auc >= 0.750 and findings.high = 0"))
    assert same.value.code == "MUNI-M352"
    second = bank.ask("admin", wire.SetGate(**WHERE, name="quality", expression="findings.high = 0", stage="submit"))
    assert (second.version, second.fixed_by) == (2, "User:admin")
    assert [g.version for g in bank.ask("auditor", wire.ShowGates(**WHERE)).gates] == [2]
    assert [g.version for g in bank.ask("auditor", wire.ShowGates(**WHERE, history=True)).gates] == [2, 1]
    assert bank.closed() == []
    assert [result.name for result in bank.check("approve").gates] == ["core/findings", "core/review"]
    assert [result.name for result in bank.check("submit").gates][2:] == ["quality"]
    bank.ask("admin", wire.WithdrawGate(**WHERE, name="quality", reason="superseded"))
    assert bank.ask("auditor", wire.ShowGates(**WHERE)).gates == []
    with pytest.raises(NotFound):
        bank.ask("admin", wire.WithdrawGate(**WHERE, name="quality", reason="again"))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"expression": "metrics.auc > 1"}, "MUNI-M155"),
        ({"expression": "gate.open"}, "MUNI-M155"),
        ({"expression": "metric.auc >"}, "MUNI-K124"),
        ({"expression": "metric.auc > 0.5", "stage": "sell"}, "MUNI-M153"),
        ({"expression": "metric.auc > 0.5", "min_grade": "sure"}, "MUNI-M153"),
        ({"expression": "metric.auc > 0.5", "name": "Quality!"}, "MUNI-K106"),
        ({"expression": "metric.auc > 0.5", "use_case": "nothing"}, "MUNI-M201"),
    ],
)
def test_a_gate_that_means_nothing_is_refused(bank: Bank, given: dict[str, Any], code: str) -> None:
    """An expression that does not parse, a name that no fact has, a gate about gates, an unknown stage or use case."""
    with pytest.raises((Invalid, NotFound)) as refused:
        bank.ask("admin", wire.SetGate(**{**WHERE, "name": "quality", **given}))
    assert refused.value.code == code
    assert bank.ask("auditor", wire.ShowGates(**WHERE, history=True)).gates == []


def test_unknown_closes_a_gate_and_says_why(bank: Bank) -> None:
    """Nothing was measured: the gate is closed, and the part says what is missing."""
    bank.ask("admin", wire.SetGate(**WHERE, name="quality", expression="metric.auc >= 0.75"))
    (_, _, result) = bank.check().gates
    assert (result.open, result.parts[0].outcome) == (False, "unknown")
    assert result.why == "metric.auc: no evaluation of it is recorded"


def test_an_open_high_finding_closes_every_gate_until_it_is_closed(bank: Bank) -> None:
    """Only a high one does; with its closure the gate opens again; the list marks what is past its day."""
    bank.ask("admin", wire.SetGate(**WHERE, name="any", expression="model.age_days >= 0"))
    bank.finding(severity="low")
    assert bank.closed() == []
    opened = bank.finding(title="leak")
    assert bank.closed() == ["core/findings"]
    bank.clock.advance(days=15)
    overdue = bank.ask("auditor", wire.ListFindings(**WHERE, state="overdue")).findings
    assert [(one.title, one.overdue) for one in overdue] == [("leak", True), ("t", True)]
    closed = bank.ask(
        "validator", wire.CloseFinding(**WHERE, finding=opened.finding, evidence="data:credit", text="removed")
    )
    assert (closed.open, closed.closure.evidence) == (False, "data:credit")
    assert closed.closure.evidence_digest.startswith("sha256:")
    assert bank.closed() == []
    with pytest.raises(Conflict):
        bank.ask("validator", wire.CloseFinding(**WHERE, finding=opened.finding, evidence="data:credit", text="x"))
    assert [f.title for f in bank.ask("auditor", wire.ListFindings(**WHERE, state="closed")).findings] == ["leak"]
    assert len(bank.ask("auditor", wire.ListFindings(**ABOUT, state="all")).findings) == 2


def test_who_closes_a_finding_and_with_what(bank: Bank) -> None:
    """No author of the model, whatever his role; of a high one only its opener or a validator; evidence exists."""
    opened = bank.finding()
    closing: dict[str, Any] = {**WHERE, "finding": opened.finding, "evidence": "data:credit", "text": "done"}
    with pytest.raises(Denied) as refused:
        bank.ask("scientist", wire.CloseFinding(**closing))
    assert refused.value.code == "MUNI-G403"
    bank.ask("admin", GrantRole(subject="scientist", role="validator", scope="main"))
    with pytest.raises(Denied) as refused:
        bank.ask("scientist", wire.CloseFinding(**closing))
    assert refused.value.code == "MUNI-M451"
    assert any("brought" in why for why in refused.value.facts["because"])
    with pytest.raises(Denied) as refused:
        bank.ask("approver", wire.CloseFinding(**closing))
    assert refused.value.code == "MUNI-M452"
    for evidence in ("data:nothing", "run:01m8bra5geegc78nbkkgr49av6", "sha256:" + "0" * 64):
        with pytest.raises(NotFound):
            bank.ask("validator", wire.CloseFinding(**{**closing, "evidence": evidence}))
    low = bank.finding(severity="low")
    assert bank.ask("approver", wire.CloseFinding(**{**closing, "finding": low.finding})).open is False
    assert bank.ask("validator", wire.CloseFinding(**closing)).open is False


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"severity": "urgent"}, "MUNI-M153"),
        ({"due": "soon"}, "MUNI-M152"),
        ({"due": "2020-01-01"}, "MUNI-M156"),
        ({"owner": "nobody"}, "MUNI-M157"),
        ({"title": "  "}, "MUNI-M154"),
        ({"model": "model:nothing"}, "MUNI-C203"),
    ],
)
def test_a_finding_that_nobody_could_remedy_is_refused(bank: Bank, given: dict[str, Any], code: str) -> None:
    """Severity, a day to come, an owner who exists, and a title."""
    with pytest.raises((Invalid, NotFound)) as refused:
        bank.finding(**given)
    assert refused.value.code == code
    assert bank.ask("auditor", wire.ListFindings(**WHERE, state="all")).findings == []


def test_challenge_is_threaded_and_resolved_by_the_asker(bank: Bank) -> None:
    """Questions about the version and its findings stand together; only the asker says that one is answered."""
    question = bank.ask("validator", wire.Comment(**ABOUT, text="why so many trees?"))
    answer = bank.ask("scientist", wire.Comment(**WHERE, text="early stopping", in_reply_to=question.comment))
    with pytest.raises(Denied) as refused:
        bank.ask("scientist", wire.Comment(**WHERE, text="fine", in_reply_to=question.comment, resolved=True))
    assert (refused.value.code, refused.value.facts["asked_by"]) == ("MUNI-M453", "User:validator")
    opened = bank.finding()
    bank.ask("approver", wire.Comment(**WHERE, finding=opened.finding, text="since when?"))
    bank.ask("validator", wire.Comment(**WHERE, text="thanks", in_reply_to=answer.comment[-8:], resolved=True))
    found = bank.ask("auditor", wire.ListComments(**ABOUT))
    assert [(t.about, t.resolved, len(t.turns)) for t in found.threads] == [
        (MODEL, True, 3),
        (opened.finding, False, 1),
    ]
    assert len(bank.ask("auditor", wire.ShowFinding(**WHERE, finding=opened.finding)).threads) == 1
    known = {fact.name: fact.value for fact in bank.ask("auditor", wire.ShowFacts(**ABOUT)).facts}
    assert (known["challenge.comments"], known["challenge.unresolved"]) == (4, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"text": "about nothing"},
        {"text": "about two", "model": MODEL, "in_reply_to": "comment:01m8bra5geegc78nbkkgr49av6"},
        {"text": "answered at once", "model": MODEL, "resolved": True},
        {"text": " ", "model": MODEL},
        {"text": "to nobody", "in_reply_to": "comment:01m8bra5geegc78nbkkgr49av6"},
    ],
)
def test_a_comment_that_says_nothing_is_refused(bank: Bank, given: dict[str, Any]) -> None:
    """It is about one thing, which exists, and says something."""
    with pytest.raises((Invalid, NotFound)):
        bank.ask("validator", wire.Comment(**{**WHERE, **given}))
    assert bank.ask("auditor", wire.ListComments(**ABOUT)).threads == []


def test_an_overdue_review_closes_every_gate_until_it_is_done(bank: Bank) -> None:
    """On its day it is in time, on the next it is overdue; done, it names the next one."""
    bank.ask("admin", wire.SetGate(**WHERE, name="any", expression="model.age_days >= 0"))
    bank.ask("validator", wire.ScheduleReview(**ABOUT, due=bank.today, reason="yearly"))
    assert bank.closed() == []
    bank.clock.advance(days=1)
    assert bank.closed() == ["core/review"]
    assert [r.overdue for r in bank.ask("auditor", wire.ListReviews(**WHERE, state="overdue")).reviews] == [True]
    next_due = str((bank.clock.now() + timedelta(days=365)).date())
    done: dict[str, Any] = {**ABOUT, "outcome": "satisfactory", "text": "looked at", "next_due": next_due}
    with pytest.raises(Denied):
        bank.ask("scientist", wire.CompleteReview(**done))
    bank.ask("admin", GrantRole(subject="scientist", role="validator", scope="main"))
    with pytest.raises(Denied) as refused:
        bank.ask("scientist", wire.CompleteReview(**done))
    assert refused.value.code == "MUNI-M454"
    bank.ask("validator", wire.CompleteReview(**done))
    assert bank.closed() == []
    assert [r.due for r in bank.ask("auditor", wire.ListReviews(**ABOUT)).reviews] == [next_due]
    (past,) = bank.ask("auditor", wire.ListReviews(**ABOUT, state="done")).reviews
    assert (past.outcome, past.done_by) == ("satisfactory", "User:validator")


def test_an_unsatisfactory_review_leaves_a_finding_that_closes_the_gates(bank: Bank) -> None:
    """It settles the day, and not the matter."""
    bank.ask("validator", wire.CompleteReview(**ABOUT, outcome="unsatisfactory", text="drifted"))
    assert bank.closed() == ["core/findings"]
    (left,) = bank.ask("auditor", wire.ListFindings(**WHERE)).findings
    assert (left.severity, left.owner, left.text) == ("high", "scientist", "drifted")


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        ("schedule", {"due": "2020-01-01"}, "MUNI-M161"),
        ("schedule", {"trigger": "boredom"}, "MUNI-M153"),
        ("schedule", {"reason": ""}, "MUNI-M154"),
        ("complete", {"outcome": "fine"}, "MUNI-M153"),
        ("complete", {"next_due": "2020-01-01"}, "MUNI-M162"),
        ("complete", {"review": "review:nothing"}, "MUNI-M254"),
    ],
)
def test_a_review_without_sense_is_refused(bank: Bank, kind: str, given: dict[str, Any], code: str) -> None:
    """A day to come, a reason, words that are known, a review that is waiting."""
    told: dict[str, Any] = {"due": bank.today, "reason": "yearly"}
    if kind == "complete":
        told = {"outcome": "satisfactory", "text": "seen"}
    verb = wire.ScheduleReview if kind == "schedule" else wire.CompleteReview
    with pytest.raises((Invalid, NotFound)) as refused:
        bank.ask("validator", verb(**{**ABOUT, **told, **given}))
    assert refused.value.code == code
    assert bank.ask("auditor", wire.ListReviews(**WHERE, state="all")).reviews == []


def test_two_versions_are_compared_and_the_change_is_decided(bank: Bank) -> None:
    """Another decision than the proposed one needs a reason and an independent person, and is shown as such."""
    with bank.people.platform.store.write() as session:
        recorder = Recorder(session, "main", bank.clock.now())
        other = Digest.of(b"another model")
        recorder.entity(other, EntityKind.MODEL, author="User:scientist", facts={"algorithm": "lightgbm"})
        recorder.name(EntityKind.MODEL, "scorer", other, by="User:scientist")
    pair: dict[str, Any] = {"project": "main", "base": MODEL, "model": "model:scorer@2"}
    compared = bank.ask("auditor", wire.CompareVersions(**pair))
    assert compared.proposed_class == "material"
    assert {"algorithm", "origin"} <= {reason.rule for reason in compared.reasons}
    assert any("no recorded run" in line for line in compared.not_compared)
    with pytest.raises(Invalid) as refused:
        bank.ask("approver", wire.ClassifyChange(**pair, change_class="minor"))
    assert refused.value.code == "MUNI-M164"
    with pytest.raises(Invalid):
        bank.ask("approver", wire.ClassifyChange(**pair, change_class="huge", reason="x"))
    with pytest.raises(Invalid):
        bank.ask("auditor", wire.CompareVersions(**{**pair, "base": "model:scorer@2"}))
    bank.ask("admin", GrantRole(subject="scientist", role="approver", scope="main"))
    with pytest.raises(Denied) as denied:
        bank.ask("scientist", wire.ClassifyChange(**pair, change_class="material"))
    assert denied.value.code == "MUNI-M455"
    decided = bank.ask("approver", wire.ClassifyChange(**pair, change_class="minor", reason="the same portfolio"))
    assert (decided.decided_class, decided.deviates, decided.decision) == ("minor", True, "the same portfolio")
    shown = bank.ask("auditor", wire.CompareVersions(**pair))
    assert (shown.decided_by, shown.rules_digest) == ("User:approver", decided.rules_digest)
    facts = {
        fact.name: fact.value for fact in bank.ask("auditor", wire.ShowFacts(**{**WHERE, "model": pair["model"]})).facts
    }
    assert (facts["change.class"], facts["change.decided"]) == ("minor", True)


def test_a_risk_without_a_passing_test_is_red(bank: Bank) -> None:
    """A gate that names a risk is its test: unknown and no are red, facts count them, and a gate can ask for none."""
    leak = wire.SetGate(**WHERE, name="leak", expression="challenge.unresolved = 0", risk="the target leaks")
    bias = wire.SetGate(**WHERE, name="bias", expression="fairness.air >= 0.8", risk="older applicants are turned away")
    assert [bank.ask("admin", one).risk for one in (leak, bias)] == [leak.risk, bias.risk]
    found = {result.risk: result.open for result in bank.check().gates if result.risk}
    assert found == {"the target leaks": True, "older applicants are turned away": False}
    facts = {fact.name: fact for fact in bank.ask("auditor", wire.ShowFacts(**ABOUT)).facts}
    assert (facts["risk.registered"].value, facts["risk.red"].value) == (2, 1)
    assert facts["risk.red"].text == "without a passing test: older applicants are turned away"
    with pytest.raises(Invalid):
        bank.ask("admin", wire.SetGate(**WHERE, name="more", expression="risk.red = 0", risk="of itself"))
    bank.ask("admin", wire.SetGate(**WHERE, name="more", expression="risk.red = 0"))
    assert "more" in bank.closed()


def approved(bank: Bank) -> Digest:
    """Let the scorer have been trained on the credit data, registered for cards, and approved now."""
    model = Digest(bank.check().digest)
    now = bank.clock.now()
    with bank.people.platform.store.write() as session:
        (data,) = [n.digest for n in session.use(Names).versions("main", EntityKind.DATA, "credit")]
        recorder = Recorder(session, "main", now)
        recorder.activity(
            "01m8bra5geegc78nbkkgr49av6",
            ActivityKind.TRAIN,
            agent="User:scientist",
            started_at=now,
            ended_at=now,
            plan=None,
            facts={"status": "ok"},
        )
        recorder.used("01m8bra5geegc78nbkkgr49av6", data, "train", data)
        recorder.generated("01m8bra5geegc78nbkkgr49av6", model, "model", data)
        state(bank, session, RecordKind.USE_CASE, "usecase:cards", {"name": "cards", "version": 1})
        told = {"use_case": "cards", "name": "scorer", "version": 1, "manifest": str(model), "model_kind": "model"}
        more: dict[str, Any] = {
            "origin": "platform",
            "owner": "scientist",
            "algorithm": "a",
            "supplier": None,
            "description": "d",
        }
        more |= {"model": MODEL, "digest": str(model), "intended_use": "", "assumptions": [], "limits": []}
        state(bank, session, RecordKind.REGISTRATION, str(model), {**told, **more})
        ends = format_time(now + timedelta(days=300))
        body = {
            "emergency": False,
            "completes": True,
            "counted": [],
            "expires": ends,
            "conditions": [],
            "use_limits": [],
        }
        state(bank, session, RecordKind.APPROVAL, str(model), body)
    return model


def state(bank: Bank, session: Any, kind: RecordKind, subject: str, body: dict[str, Any]) -> None:
    """Put a record into the store, a second later."""
    bank.clock.advance(seconds=1)
    id_, now = new_id(bank.clock, SeededEntropy(int(bank.clock.now().timestamp()))), bank.clock.now()
    session.use(Records).append(Record(id_, "main", kind, subject, now, "User:approver", Grade.DECLARED, body))


def test_a_newer_version_of_the_data_or_of_the_use_asks_for_a_review(bank: Bank) -> None:
    """Nothing asks for one at the approval; what changes afterwards does, is due in 30 days, and is settled by one."""
    model = approved(bank)
    listed = wire.ListReviews(**WHERE)
    assert bank.ask("auditor", listed).reviews == []
    bank.clock.advance(days=1)
    with bank.people.platform.store.write() as session:
        newer = Digest.of(b"newer credit data")
        recorder = Recorder(session, "main", bank.clock.now())
        recorder.entity(newer, EntityKind.DATA, author="User:scientist", facts={})
        recorder.name(EntityKind.DATA, "credit", newer, by="User:scientist")
        state(bank, session, RecordKind.USE_CASE, "usecase:cards", {"name": "cards", "version": 2})
    due = str((bank.clock.now() + timedelta(days=30)).date())
    found = bank.ask("auditor", listed).reviews
    assert sorted((one.trigger, one.due) for one in found) == [("data change", due), ("use change", due)]
    assert bank.ask("auditor", wire.ListReviews(**ABOUT)).reviews == found
    assert any("trained on data:credit@1, and data:credit@2 came after the approval" in one.reason for one in found)
    assert bank.closed() == []
    with bank.people.platform.store.read() as session:
        later: Any = Asked(bank.people.platform, session, bank.clock.now() + timedelta(days=31))
        results = {one.name: one.open for one in gates.check(later, model)}
        assert results["core/review"] is False
    bank.ask("validator", wire.CompleteReview(**ABOUT, outcome="satisfactory", text="both looked at"))
    assert bank.ask("auditor", listed).reviews == []
    done = bank.ask("auditor", wire.ListReviews(**WHERE, state="done")).reviews
    assert {one.trigger for one in done} == {"data change", "use change"}


def test_an_emergency_asks_for_a_review(bank: Bank) -> None:
    """A break-glass without a review of its own sets one off."""
    model = approved(bank)
    with bank.people.platform.store.write() as session:
        state(bank, session, RecordKind.BREAK_GLASS, str(model), {"reason": "outage"})
    (found,) = bank.ask("auditor", wire.ListReviews(**ABOUT)).reviews
    assert found.trigger == "break-glass"


def test_findings_and_reviews_stand_in_the_row_of_the_version(bank: Bank) -> None:
    """Lists and the board see them without looking at records."""
    model = approved(bank)
    opened = bank.finding()
    due = str((bank.clock.now() + timedelta(days=90)).date())
    bank.ask("validator", wire.ScheduleReview(**ABOUT, due=due, reason="yearly"))

    def row() -> tuple[int, int, str | None]:
        with bank.people.platform.store.read() as session:
            found = session.use(Versions).get("main", model)
            assert found is not None
            return found.findings_high, found.findings_open, found.next_review

    assert row() == (1, 1, due)
    bank.ask("validator", wire.CloseFinding(**WHERE, finding=opened.finding, evidence="data:credit", text="done"))
    assert row() == (0, 0, due)


def test_what_is_stated_is_borne_out_by_the_ledger(bank: Bank) -> None:
    """Each record is named by digest in the entry of the request that stated it."""
    opened = bank.finding()
    fixed = bank.ask("admin", wire.SetGate(**WHERE, name="quality", expression="findings.high = 0"))
    entries = bank.people.platform.ledger.tail(20)
    told = [digest for entry in entries for digest in entry.event["data"].get("facts", {}).get("records", [])]
    assert {opened.record, fixed.record} <= set(told)


def test_facts_of_a_past_moment_know_nothing_of_later(bank: Bank) -> None:
    """Asked about a moment before the finding there is none."""
    before = bank.clock.now().isoformat()
    bank.finding()
    asked = [wire.ShowFacts(**ABOUT, at=at) for at in (before, None)]
    told = [{f.name: f.value for f in bank.ask("auditor", one).facts}["findings.high"] for one in asked]
    assert told == [0, 1]


def test_a_closed_gate_refuses_whoever_needs_it_open(bank: Bank) -> None:
    """``require_open`` names the gate, its parts and what was found; with open gates it gives the results."""
    bank.ask("admin", wire.SetGate(**WHERE, name="quality", expression="metric.auc >= 0.75", stage="approve"))
    digest = Digest(bank.check().digest)
    with bank.people.platform.store.read() as session:
        call: Any = Asked(bank.people.platform, session, bank.clock.now())
        with pytest.raises(Conflict) as refused:
            gates.require_open(call, digest, "approve")
        assert refused.value.code == "MUNI-M351"
        assert [one["gate"] for one in refused.value.facts["closed"]] == ["quality"]
        assert [one.name for one in gates.require_open(call, digest, "submit")] == ["core/findings", "core/review"]


def test_a_closed_gate_stops_submission_and_approval(bank: Bank) -> None:
    """A model with signatures in order does not pass: not at its submission, not at its approval, until it is open."""
    notary = Notary(bank.people)
    notary.use_case()
    bank.ask("admin", wire.SetGate(**WHERE, name="early", expression="metric.auc > 0", stage="submit"))
    with pytest.raises(Conflict) as refused:
        notary.submitted()
    assert refused.value.code == "MUNI-M351"
    bank.ask("admin", wire.WithdrawGate(**WHERE, name="early", reason="too early"))
    late = wire.SetGate(**WHERE, name="late", expression="challenge.unresolved = 0", use_case="cards")
    assert bank.ask("admin", late).use_case == "cards"
    notary.model("scientist").submit("please validate")
    notary.model("validator").review("satisfactory", SOUND)
    question = bank.ask("validator", wire.Comment(**ABOUT, text="why?"))
    with pytest.raises(Conflict) as refused:
        notary.model("approver").approve()
    assert (refused.value.code, [one["gate"] for one in refused.value.facts["closed"]]) == ("MUNI-M351", ["late"])
    bank.ask("validator", wire.Comment(**WHERE, text="therefore", in_reply_to=question.comment, resolved=True))
    assert notary.model("approver").approve().state == "approved"


@pytest.mark.parametrize(
    ("expressions", "met"),
    [(["approval.count >= 0"], None), (["challenge.comments = 0"], True), (["challenge.comments > 0"], False)],
)
def test_key_figures_of_the_use_case_are_judged(bank: Bank, expressions: list[str], met: bool | None) -> None:
    """Reached, missed, or not known: then the fact is absent and says which figure it is."""
    notary = Notary(bank.people)
    notary.use_case(kpis={f"k{number}": text for number, text in enumerate(expressions)})
    notary.draft(use_case="cards")
    told = bank.ask("auditor", wire.ShowFacts(**ABOUT))
    values = {fact.name: fact.value for fact in told.facts}
    assert values.get("usecase.kpis_met") is met
    assert values["usecase.kpis"] == ["k0"]
    assert (told.absent.get("usecase.kpis_met") == "not known: k0") is (met is None)


def test_facts_tell_of_the_life_of_a_version(bank: Bank) -> None:
    """Registration, tier, use case, validation and approval, with who signed and who had no part in it."""
    Notary(bank.people).approved()
    told = bank.ask("auditor", wire.ShowFacts(**ABOUT))
    facts = {fact.name: fact for fact in told.facts}
    values = {name: fact.value for name, fact in facts.items()}
    expected = {
        "model.state": "approved",
        "model.kind": "model",
        "model.owner": "scientist",
        "usecase.present": True,
        "usecase.owner": "approver",
        "submission.present": True,
        "validation.outcome": "satisfactory",
        "validation.independent": True,
        "approval.count": 1,
        "approval.signed": True,
        "approval.independent": True,
        "approval.expired": False,
        "approval.emergency": False,
        "approval.conditions": [],
        "review.scheduled": True,
        "gate.open": True,
    }
    assert {name: values.get(name) for name in expected} == expected
    assert isinstance(values["tier.level"], int)
    assert values["approval.required"] >= 1
    assert facts["validation.outcome"].grade == "attested"
    assert all(fact.record for fact in told.facts)
    bank.clock.advance(days=20)
    (review,) = bank.ask("auditor", wire.ListReviews(**ABOUT)).reviews
    assert review.due == values["review.next_due"]
