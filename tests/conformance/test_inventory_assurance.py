"""Risks, instructions for use, audit, governance and impact by their verbs, on each engine, through the gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound
from muniment.sdk.client import Client
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import People, Site
from muniment.wire import assurance as wire
from muniment.wire import inventory as wi
from muniment.wire.identity import GrantRole
from notary import Notary

MODEL = "model:scorer@1"
WHOLE: dict[str, Any] = {"scope": ["ledger", "policies"], "outcome": "satisfactory", "text": "as it should be"}
RISK: dict[str, Any] = {"description": "a question stays open", "harm": "it is used wrongly", "owner": "scientist"}
REPORT = "sha256:" + "b" * 64


@dataclass
class House:
    """A platform with a model, people with keys, and a clock to move."""

    notary: Notary
    clock: FakeClock

    def as_(self, person: str) -> Client:
        """Somebody with a key; a second passes."""
        self.clock.advance(seconds=1)
        return self.notary.client(person)

    def facts(self) -> dict[str, Any]:
        """Values by name."""
        return {fact.name: fact.value for fact in self.as_("auditor").gates.facts(MODEL).facts}

    def absent(self) -> dict[str, str]:
        """Why facts are not known."""
        return self.as_("auditor").gates.facts(MODEL).absent

    def day(self, days: int = 0) -> str:
        """So many days from today."""
        return str((self.clock.now() + timedelta(days=days)).date())

    def examine(self, model: str | None = None, by: str = "auditor", **given: Any) -> wire.Examination:
        """An examination of the last month, to be repeated within ten days."""
        told = {**WHOLE, "period": (self.day(-30), self.day()), "next_due": self.day(10), **given}
        return self.as_(by).audits.examine(model, **told)


@pytest.fixture
def house(each_site: Site) -> Iterator[House]:
    """A fresh one on each engine."""
    clock = FakeClock(datetime.now(UTC))
    platform = each_site.open(clock=clock)
    people = People(platform, each_site.tokens)
    furnish_catalog(people)
    yield House(Notary(people), clock)
    platform.close()


def refused(code: str, branch: type[MunimentError], ask: Any) -> MunimentError:
    """What is refused with this code."""
    with pytest.raises(branch) as found:
        ask()
    assert found.value.code == code, found.value
    return found.value


def test_a_risk_is_added_judged_and_retired(house: House) -> None:
    """Anybody who works on a model adds risks; who had a part in it does not make one go away; red closes a gate."""
    house.notary.draft()
    assert house.absent()["risk.red"] == "no risk is registered"
    house.as_("admin").gates.set("held", "risk.red = 0")
    assert house.as_("auditor").gates.check(MODEL).closed == ["held"]
    added = house.as_("scientist").risks.add("open", "challenge.unresolved = 0", model=MODEL, **RISK)
    house.as_("validator").risks.add("bias", "fairness.air >= 0.8", use_case="cards", severity="severe", **RISK)
    listed = house.as_("auditor").risks.list(MODEL)
    assert {one.name: (one.red, one.outcome) for one in listed} == {"open": (False, "yes"), "bias": (True, "unknown")}
    assert listed.red == ["bias"]
    found = house.facts()
    assert (found["risk.registered"], found["risk.red"], found["risk.open"]) == (2, 1, ["bias"])
    house.as_("validator").challenge.ask(MODEL, "why?")
    assert set(house.as_("auditor").risks.list(MODEL).red) == {"open", "bias"}
    refused("MUNI-G403", Denied, lambda: house.as_("scientist").risks.retire(added.risk, "gone"))
    ended = house.as_("validator").risks.retire(added.risk[-8:], "asked and answered elsewhere")
    assert ended.retired == "asked and answered elsewhere"
    refused("MUNI-M372", Conflict, lambda: house.as_("validator").risks.retire(added.risk, "again"))
    assert [one.name for one in house.as_("auditor").risks.list(MODEL)] == ["bias"]
    assert {one.name for one in house.as_("auditor").risks.list(MODEL, retired=True)} == {"bias", "open"}
    assert [one.name for one in house.as_("auditor").risks.list(use_case="cards")] == ["bias"]
    assert [one.risk for one in house.as_("auditor").risks.list(risk=added.risk)] == [added.risk]


def test_an_author_with_a_second_role_does_not_retire_a_risk(house: House) -> None:
    """Independence is looked at besides the role, with the reason."""
    house.notary.draft()
    added = house.as_("scientist").risks.add("open", "challenge.unresolved = 0", model=MODEL, **RISK)
    house.notary.people.ask("admin", GrantRole(role="validator", subject="scientist", scope="main"))
    told = refused("MUNI-M471", Denied, lambda: house.as_("scientist").risks.retire(added.risk, "gone"))
    assert told.facts["because"]


@pytest.mark.parametrize(
    ("given", "code", "branch"),
    [
        ({"test": "risk.red = 0"}, "MUNI-M155", Invalid),
        ({"test": "gate.open"}, "MUNI-M155", Invalid),
        ({"test": "metrics.auc > 1"}, "MUNI-M155", Invalid),
        ({"test": "metric.auc >"}, "MUNI-K124", Invalid),
        ({"owner": "nobody"}, "MUNI-M102", Invalid),
        ({"severity": "awful"}, "MUNI-M153", Invalid),
        ({"harm": " "}, "MUNI-M154", Invalid),
        ({"use_case": "cards"}, "MUNI-M179", Invalid),
        ({"model": None}, "MUNI-M179", Invalid),
        ({"model": None, "use_case": "absent"}, "MUNI-M201", NotFound),
        ({"name": "kept"}, "MUNI-M371", Conflict),
    ],
)
def test_a_risk_that_makes_no_sense_is_refused(
    house: House, given: dict[str, Any], code: str, branch: type[MunimentError]
) -> None:
    """A test that could never pass, nobody to answer for it, a name that is taken: each with its reason."""
    house.notary.draft()
    house.as_("validator").risks.add("kept", "challenge.unresolved = 0", model=MODEL, **RISK)
    told = {"name": "new", "test": "challenge.unresolved = 0", "model": MODEL, **RISK, **given}
    refused(code, branch, lambda: house.as_("validator").risks.add(told.pop("name"), told.pop("test"), **told))


def test_instructions_are_read_signed_and_outdated(house: House) -> None:
    """What is approved has instructions; a reader signs their digest; a new text makes the signature count no more."""
    assert house.absent()["instructions."] == "it is not registered"
    house.notary.validated()
    operator = house.as_("operator")
    draft = operator.instructions.of(MODEL)
    assert "It is not approved" in draft.text
    assert "accuracy" in draft.reply.missing
    refused("MUNI-M373", Conflict, lambda: operator.instructions.acknowledge(MODEL, draft.digest))
    house.notary.model("approver").approve(conditions=["quarterly monitoring"], use_limits=["no new cards"])
    written = operator.instructions.of(MODEL)
    assert written.digest == house.as_("auditor").instructions.of(MODEL).digest != draft.digest
    assert "quarterly monitoring" in written.text
    assert "no new cards" in written.text
    refused("MUNI-M374", Conflict, lambda: operator.instructions.acknowledge(MODEL, draft.digest))
    assert operator.instructions.acknowledge(MODEL, written.digest).readers == ["User:operator"]
    found = house.facts()
    assert (found["instructions.present"], found["instructions.acknowledged"]) == (False, 1)
    assert found["instructions.current"] is True
    house.as_("admin").use_cases.add("cards", purpose="another one", owner="approver", purpose_class="marketing")
    found = house.facts()
    assert (found["instructions.acknowledged"], found["instructions.current"]) == (0, False)
    newer = operator.instructions.of(MODEL)
    assert [one.current for one in newer.reply.acknowledged] == [False]
    assert operator.instructions.acknowledge(MODEL, newer.digest).readers == ["User:operator"]
    assert house.facts()["instructions.current"] is True


def test_an_author_who_signs_the_instructions_does_not_count(house: House) -> None:
    """He reads his own text, and nobody was informed by that."""
    house.notary.approved()
    text = house.as_("scientist").instructions.of(MODEL)
    signed = house.as_("scientist").instructions.acknowledge(MODEL, text.digest)
    assert signed.readers == []
    assert [one.independent for one in signed.reply.acknowledged] == [False]
    assert house.facts()["instructions.acknowledged"] == 0
    assert "instructions.current" in house.absent()


def test_audit_examines_a_version_and_the_whole(house: House) -> None:
    """Signed, with scope and next day; the facts tell of both, of the ledger, and of what is overdue."""
    assert "audit." in house.absent()
    house.notary.draft()
    refused("MUNI-M375", Conflict, lambda: house.examine(MODEL))
    house.notary.model("scientist").submit()
    made = house.examine(MODEL, scope=["records", "validation"], recommendations=["compare with a scorecard"])
    assert (made.model, made.by, made.recommendations) == (MODEL, "User:auditor", ["compare with a scorecard"])
    found = house.facts()
    assert (found["audit.examined"], found["audit.overdue"], found["audit.current"]) == (True, False, True)
    assert {"audit.management", "audit.log_reviewed"} <= house.absent().keys()
    whole = house.examine(outcome="unsatisfactory")
    assert whole.model is None
    found = house.facts()
    assert (found["audit.management"], found["audit.log_reviewed"]) == (True, True)
    assert (found["audit.outcome"], found["audit.last"]) == ("unsatisfactory", house.day())
    assert found["audit.scope"] == ["ledger", "policies", "records", "validation"]
    house.clock.advance(days=11)
    found = house.facts()
    assert (found["audit.overdue"], found["audit.log_reviewed"], found["audit.scope"]) == (True, False, [])
    listed = house.as_("auditor").audits.list()
    assert [(one.model, one.overdue) for one in listed] == [(None, True), (MODEL, True)]
    assert [one.model for one in house.as_("auditor").audits.list(MODEL)] == [MODEL]


def test_an_author_examines_nothing_of_his_own(house: House) -> None:
    """He is refused by policy whatever his role, and what he examined of the whole says nothing of his model."""
    house.notary.submitted()
    house.notary.people.ask("admin", GrantRole(role="auditor", subject="scientist", scope="main"))
    told = refused("MUNI-G403", Denied, lambda: house.examine(MODEL, by="scientist"))
    assert told.facts["policies"] == ["core/four-eyes@1"]
    house.examine(by="scientist")
    assert house.absent()["audit."] == "who examined it had a part in it"


@pytest.mark.parametrize("person", ["scientist", "validator", "approver", "operator", "admin"])
def test_only_auditors_examine(house: House, person: str) -> None:
    """Nobody else signs an examination, of a version or of the whole."""
    house.notary.submitted()
    for model in (MODEL, None):
        refused("MUNI-G403", Denied, lambda model=model: house.examine(model, by=person))


def test_governance_is_stated_and_reports_are_laid(house: House) -> None:
    """The newest statement counts, the newest day of a report; after a year the board is not informed any more."""
    assert {"governance.", "board."} <= house.absent().keys()
    told = {"accountable": "R. Meier, CRO", "policy": "MRM 4.1", "adopted": house.day(-10)}
    house.as_("admin").governance.state(appetite="none", **told)
    house.as_("admin").governance.state(appetite="low", **told)
    house.as_("admin").governance.lay(REPORT, house.day(-360), note="taken note of")
    shown = house.as_("admin").governance.lay("sha256:" + "c" * 64, house.day(-400), before="risk committee")
    assert [one.appetite for one in shown.statements] == ["low", "none"]
    assert [one.day for one in shown.reports] == [house.day(-360), house.day(-400)]
    assert shown.current
    found = house.facts()
    assert (found["governance.appetite"], found["governance.accountable"]) == ("low", "R. Meier, CRO")
    assert (found["board.reported"], found["board.current"]) == (house.day(-360), True)
    house.clock.advance(days=11)  # 371 days after it was laid
    assert house.facts()["board.current"] is False
    assert house.as_("auditor").governance.show().current is False
    refused("MUNI-G403", Denied, lambda: house.as_("approver").governance.state(appetite="all", **told))


def test_a_signature_of_one_kind_serves_for_no_other(house: House) -> None:
    """A statement about a model is none about the project, nor the other way round, and none is used twice."""
    house.notary.submitted()
    auditor = house.as_("auditor")
    terms = {**WHOLE, "period_from": house.day(-9), "period_to": house.day(), "next_due": house.day(99)}

    def prepared(meaning: str = "examined", told: Any = None, *, whole: bool) -> dict[str, str]:
        about: Any = wi.PrepareProjectSignature if whole else wi.PrepareSignature
        more = {} if whole else {"model": MODEL}
        request = about(project="main", meaning=meaning, terms=told or terms, **more)
        action = "inventory:PrepareProjectSignature" if whole else "inventory:PrepareSignature"
        statement = auditor.ask(action, request, wi.Statement).statement
        return {"statement": statement, "signature": auditor.sign(statement)}

    def examine(**signed: str) -> wire.Examination:
        return auditor.ask(
            "inventory:ExamineManagement", wire.ExamineManagement(project="main", **signed), wire.Examination
        )

    def of_model(**signed: str) -> wire.Examination:
        request = wire.RecordExamination(project="main", model=MODEL, **signed)
        return auditor.ask("inventory:RecordExamination", request, wire.Examination)

    refused("MUNI-M470", Denied, lambda: examine(**prepared(whole=False)))
    refused("MUNI-M322", Conflict, lambda: of_model(**prepared(whole=True)))
    laid = {"report": REPORT, "day": house.day()}
    refused("MUNI-M404", Denied, lambda: examine(**prepared("laid before the board", laid, whole=True)))
    refused("MUNI-M177", Invalid, lambda: prepared("approved", {}, whole=True))
    refused("MUNI-M141", Invalid, examine)
    good = prepared(whole=True)
    refused(
        "MUNI-M402", Denied, lambda: examine(**{**good, "statement": good["statement"].replace("ledger", "Ledger")})
    )
    refused("MUNI-M406", Denied, lambda: examine(**{**good, "signature": prepared(whole=True)["signature"]}))
    assert examine(**good).outcome == "satisfactory"
    refused("MUNI-M320", Conflict, lambda: examine(**good))
    late = prepared(whole=True)
    house.clock.advance(minutes=6)
    refused("MUNI-M321", Conflict, lambda: examine(**late))


IMPACT: dict[str, Any] = {
    "scopes": ["fundamental rights", "data protection"],
    "process": "a score decides who looks at a case",
    "period": "daily",
    "affected": ["applicants"],
    "harms": ["refused although they would pay"],
    "oversight": "an officer may overrule it",
    "measures": ["complaints are answered by a person"],
    "legal_basis": "contract",
}


def test_impact_is_assessed_before_the_first_use(house: House) -> None:
    """Before the approval it counts as such, after it no more; what is due again is overdue in the end."""
    house.notary.validated()
    assert "impact." in house.absent()
    made = house.as_("admin").impacts.assess("cards", next_due=house.day(10), **IMPACT)
    assert (made.use_case, made.scopes) == ("cards", ["data protection", "fundamental rights"])
    house.notary.model("approver").approve()
    found = house.facts()
    assert (found["impact.assessed"], found["impact.before_use"]) == (["data protection", "fundamental rights"], True)
    assert found["impact.overdue"] is False
    house.clock.advance(days=11)
    assert house.facts()["impact.overdue"] is True
    assert [one.overdue for one in house.as_("auditor").impacts.list("cards")] == [True]


def test_impact_that_is_assessed_after_the_approval_comes_too_late(house: House) -> None:
    """An assessment after the first use does not become one before it."""
    house.notary.approved()
    house.as_("admin").impacts.assess("cards", next_due=house.day(10), **IMPACT)
    assert house.facts()["impact.before_use"] is False


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"scopes": []}, "MUNI-M190"),
        ({"scopes": ["weather"]}, "MUNI-M190"),
        ({"legal_basis": " "}, "MUNI-M191"),
        ({"next_due": "2020-01-01"}, "MUNI-M192"),
        ({"affected": []}, "MUNI-M193"),
        ({"process": ""}, "MUNI-M154"),
    ],
)
def test_an_assessment_that_says_too_little_is_refused(house: House, given: dict[str, Any], code: str) -> None:
    """Each part of it is needed."""
    house.notary.use_case()
    told = {**IMPACT, "next_due": house.day(10), **given}
    refused(code, Invalid, lambda: house.as_("admin").impacts.assess("cards", **told))


def test_the_facts_name_the_records_that_bear_them_out(house: House) -> None:
    """Each fact of the new families names a digest, and its grade says whether somebody signed it."""
    house.notary.approved()
    house.examine()
    house.as_("admin").governance.state(appetite="a", accountable="b", policy="c", adopted=house.day())
    operator = house.as_("operator")
    operator.instructions.acknowledge(MODEL, operator.instructions.of(MODEL).digest)
    found = {fact.name: fact for fact in house.as_("auditor").gates.facts(MODEL).facts}
    for name in ("audit.examined", "governance.appetite", "instructions.acknowledged"):
        assert (found[name].grade, found[name].record[:7]) == ("attested", "sha256:"), name
