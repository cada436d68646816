"""Terms, grants and holds on each engine: what was stated decides about the next job, and says so when it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from asking import recorded
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.execution.queue import RunQueue
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import stewardship as ws
from muniment.wire.execution import EvaluateModel, ShowRun
from muniment.wire.policy import PolicyTest, PublishPolicies
from muniment.wire.policy import TestGrant as Held
from stewarding import Estate

DOCS: Final = Path(__file__).resolve().parents[2] / "docs/how-to"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def estate(each_site: Site, clock: FakeClock) -> Iterator[Estate]:
    """Two stewards and a data set, once on each engine."""
    platform = each_site.open(clock=clock)
    yield Estate.of(People(platform, each_site.tokens))
    platform.close()


class TestPurposes:
    """What data may be used for."""

    def test_a_job_for_another_purpose_is_refused_with_the_record(self, estate: Estate) -> None:
        """The refusal names what is allowed and the record that says so; it stands in the ledger; the right purpose
        passes, in any case of letters, and stays with the run.
        """
        stated = estate.terms(purposes=["Credit scoring"])
        for given, said in (({}, "does not say"), ({"purpose": "marketing"}, "not for marketing")):
            with pytest.raises(Denied) as refused:
                estate.train(**given)
            assert refused.value.code == "MUNI-W403"
            assert said in refused.value.facts["because"][0]
            assert refused.value.facts["records"] == [stated.record]
            entry = recorded(estate.people.platform, refused.value)
            assert (entry["action"], entry["outcome"]) == ("execution:TrainModel", "denied")
            assert "Credit scoring" in entry["because"]["why"]
        started = estate.train(purpose="credit SCORING")
        run = estate.ask("scientist", ShowRun(project=PROJECT, run=started.run))
        assert run.status == "queued"

    def test_examining_a_model_needs_no_purpose_of_its_own(self, estate: Estate) -> None:
        """A validator evaluates on purpose-bound data without naming one; a wrong one is refused all the same."""
        estate.terms(purposes=["scoring"])
        request = EvaluateModel(project=PROJECT, model="model:scorer", data="data:credit")
        assert estate.ask("validator", request).run

    def test_rights_stop_the_kinds_of_use_they_speak_of(self, estate: Estate) -> None:
        """``no-training`` stops training and scripts, not evaluation."""
        estate.terms(rights=["no-training"])
        with pytest.raises(Denied, match="no-training"):
            estate.train()
        uses = {use.kind: use.allowed for use in estate.rights().uses}
        assert (uses["train"], uses["run"], uses["evaluate"], uses["split"]) == (False, False, True, True)

    def test_the_end_of_a_right_and_of_a_time(self, estate: Estate, clock: FakeClock) -> None:
        """On its last day it may be used, on the next it may not, and a snapshot whose time is over is due."""
        today = clock.now().date()
        estate.terms(retention=today.isoformat())
        assert estate.train().run
        assert estate.ask("steward", ws.ListDue(project=PROJECT)).due == []
        clock.advance(days=1)
        with pytest.raises(Denied, match="due to be deleted"):
            estate.train()
        (due,) = estate.ask("steward", ws.ListDue(project=PROJECT)).due
        assert (due.dataset, due.days_over, due.held_by) == ("data:credit@1", 1, [])


class TestStatements:
    """Terms are stated, never overwritten, and widened by two."""

    def test_narrower_terms_hold_at_once_and_wider_ones_after_a_second_person(self, estate: Estate) -> None:
        """The widening changes nothing until somebody else agrees; both statements stay to be read."""
        estate.terms(purposes=["scoring"], rights=["no-scripts"])
        wide = estate.terms(purposes=["scoring", "marketing"])
        assert (wide.waiting, wide.widens) == (True, ["purposes"])
        with pytest.raises(Denied):
            estate.train(purpose="marketing")
        with pytest.raises(Denied) as refused:
            estate.ask("steward", ws.ConfirmTerms(project=PROJECT, statement=wide.id, reason="ok"))
        assert (refused.value.code, refused.value.facts["because"]) == ("MUNI-W401", ["steward asked for it"])
        estate.ask("steward2", ws.ConfirmTerms(project=PROJECT, statement=wide.id, reason="law allows it"))
        assert estate.train(purpose="marketing").run
        rights = estate.rights()
        assert [one.waiting for one in rights.statements] == [False, False]
        assert (rights.terms.purposes, rights.terms.rights) == (["marketing", "scoring"], ["no-scripts"])
        with pytest.raises(Conflict, match="hold already"):
            estate.ask("steward2", ws.ConfirmTerms(project=PROJECT, statement=wide.id, reason="again"))

    def test_what_is_made_of_several_is_under_the_strictest_of_all(self, estate: Estate) -> None:
        """A join inherits purposes, rights, ends and class of both; each later narrowing reaches it too."""
        estate.derive("data:credit", name="credit/train")
        estate.derive("data:credit", name="other")
        estate.derive("credit/train", "other", name="joined")
        estate.terms(dataset="data:other", rights=["no-prediction"], purposes=["a", "b"], retention="2090-01-01")
        estate.terms(purposes=["b", "c"], use_until="2080-01-01", classification="restricted")
        terms = estate.rights("joined").terms
        assert (terms.purposes, terms.rights, terms.classification) == (["b"], ["no-prediction"], "restricted")
        assert (terms.use_until, terms.retention) == ("2080-01-01", "2090-01-01")
        with pytest.raises(Denied, match="not for c"):
            estate.train("joined", purpose="c")

    def test_what_stands_alone_inherits_nothing_once_two_say_so(self, estate: Estate) -> None:
        """Figures from which nobody can be told any more may be freed, by two persons."""
        estate.derive("data:credit", name="figures")
        estate.terms(rights=["no-training"])
        free = estate.terms(dataset="figures", stands_alone=True, reason="counts above 10 only")
        with pytest.raises(Denied):
            estate.train("figures")
        estate.ask("steward2", ws.ConfirmTerms(project=PROJECT, statement=free.id, reason="checked"))
        assert estate.train("figures").run

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({}, "MUNI-W104"),
            ({"rights": ["no-fun"]}, "MUNI-W102"),
            ({"classification": "secret"}, "MUNI-W102"),
            ({"retention": "soon"}, "MUNI-W101"),
            ({"purposes": ["x" * 500]}, "MUNI-W103"),
            ({"purposes": ["x"], "reason": " "}, "MUNI-W105"),
        ],
    )
    def test_what_is_no_term_is_refused(self, estate: Estate, given: dict[str, object], code: str) -> None:
        """With the field, and nothing is kept."""
        with pytest.raises(Invalid) as refused:
            estate.terms(**given)
        assert refused.value.code == code
        assert estate.rights().statements == []


class TestGrants:
    """Access for a purpose and a time."""

    def test_access_is_asked_for_given_used_and_ends_by_itself(self, estate: Estate, clock: FakeClock) -> None:
        """Without it the job is refused, with it only its purpose passes, and after its last moment nothing does."""
        estate.terms(access="grant")
        with pytest.raises(Denied, match="under a grant only"):
            estate.train(purpose="scoring")
        asked = estate.grant()
        assert asked.state == "requested"
        with pytest.raises(Denied):
            estate.train(purpose="scoring")
        given = estate.approve(asked.id, days=2)
        assert (given.state, given.days_left) == ("active", 2)
        with pytest.raises(Denied, match="none for marketing"):
            estate.train(purpose="marketing")
        assert estate.train(purpose="scoring").run
        clock.advance(days=2)
        with pytest.raises(Denied, match="under a grant only"):
            estate.train(purpose="scoring")
        (listed,) = estate.ask("scientist", ws.ListDataGrants(project=PROJECT, mine=True)).grants
        assert listed.state == "expired"

    def test_a_job_that_waited_too_long_does_not_begin(self, estate: Estate, clock: FakeClock) -> None:
        """The grant is looked at again when a worker takes the run: expired, it is refused and says why."""
        estate.terms(access="grant")
        estate.approve(estate.grant(days=1).id)
        platform = estate.people.platform
        run = estate.train(purpose="scoring").run
        with platform.store.read() as session:
            queued = session.use(RunQueue).get(PROJECT, run.removeprefix("run:"))
            assert queued is not None
            platform.worker._admits(session, queued, clock.now())
            clock.advance(days=1)
            with pytest.raises(Denied) as refused:
                platform.worker._admits(session, queued, clock.now())
        assert refused.value.code == "MUNI-W404"
        assert "expired" in refused.value.facts["because"][0]

    def test_a_reproduction_that_begins_is_asked_as_what_it_is(self, estate: Estate, clock: FakeClock) -> None:
        """Whoever repeats a training need not name a purpose, neither when he asks nor when the run begins."""
        run = estate.train().run
        estate.terms(purposes=["scoring"], rights=["no-training"])
        platform = estate.people.platform
        with platform.store.read() as session:
            queued = session.use(RunQueue).get(PROJECT, run.removeprefix("run:"))
            assert queued is not None
            with pytest.raises(Denied):
                platform.worker._admits(session, queued, clock.now())
            platform.worker._admits(session, replace(queued, kind="reproduce"), clock.now())

    def test_access_covers_what_is_made_of_the_data(self, estate: Estate) -> None:
        """A grant on the data set opens its parts; one on another does not."""
        estate.derive("data:credit", name="credit/train")
        estate.terms(access="grant")
        with pytest.raises(Denied):
            estate.train("credit/train", purpose="scoring")
        estate.approve(estate.grant().id)
        assert estate.train("credit/train", purpose="scoring").run

    def test_revoked_access_is_over_at_once(self, estate: Estate) -> None:
        """And a request is decided once."""
        estate.terms(access="grant")
        grant = estate.approve(estate.grant().id)
        estate.ask("steward2", ws.RevokeDataGrant(project=PROJECT, grant=grant.id, reason="left the team"))
        with pytest.raises(Denied):
            estate.train(purpose="scoring")
        with pytest.raises(Conflict, match="revoked"):
            estate.approve(grant.id)
        refused = estate.grant()
        estate.ask("steward", ws.RejectDataGrant(project=PROJECT, grant=refused.id, reason="too much"))
        with pytest.raises(Conflict, match="rejected"):
            estate.approve(refused.id)

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"days": 0}, "MUNI-W109"),
            ({"days": 91}, "MUNI-W109"),
            ({"purpose": " "}, "MUNI-W106"),
            ({"reason": ""}, "MUNI-W105"),
        ],
    )
    def test_what_cannot_be_asked_for(self, estate: Estate, given: dict[str, object], code: str) -> None:
        """Too long, for nothing, or without a reason."""
        with pytest.raises(Invalid) as refused:
            estate.grant(**given)
        assert refused.value.code == code

    def test_for_nobody(self, estate: Estate) -> None:
        """Whoever does not exist gets no access."""
        with pytest.raises(NotFound):
            estate.grant(account="nobody")


FORBID = re.search(r"```cedar\n(.*?)```", (DOCS / "grant-data.md").read_text(), re.DOTALL)


class TestPolicy:
    """Policy decides set for set."""

    def test_the_documented_rule_about_restricted_data_decides_at_submit(self, estate: Estate) -> None:
        """Roles alone do not open restricted data once the institution says so; a grant does; other data are free.
        The refusal names the rule, and the ledger keeps the decision.
        """
        assert FORBID is not None
        held = [Held(role="scientist", scope=PROJECT)]
        about = {"action": "data:UseDataset", "project": PROJECT, "resource": "x", "grants": held}
        rule = "own/restricted-needs-a-grant@1"
        tests = [
            PolicyTest(name="closed", expect="deny", by=[rule], attributes={"classification": "restricted"}, **about),
            PolicyTest(
                name="granted",
                expect="allow",
                by=["role/scientist@1"],
                attributes={"classification": "restricted", "granted": ["ana"]},
                **about,
            ),
        ]
        estate.ask("admin", PublishPolicies(text=FORBID[1], tests=tests))
        estate.derive("data:credit", name="free")
        assert estate.train("free").run
        estate.terms(classification="restricted")
        with pytest.raises(Denied) as refused:
            estate.train(purpose="scoring")
        assert refused.value.code == "MUNI-W402"
        assert refused.value.facts["policies"] == ["own/restricted-needs-a-grant@1"]
        entry = recorded(estate.people.platform, refused.value)
        assert entry["because"]["policies"] == "own/restricted-needs-a-grant@1"
        with pytest.raises(Denied):
            estate.ask("scientist", ws.UseDataset(project=PROJECT, dataset="data:credit"))
        estate.approve(estate.grant().id)
        assert estate.train(purpose="scoring").run
        with pytest.raises(Denied):
            estate.train(purpose="marketing")
        allowed = estate.ask("scientist", ws.UseDataset(project=PROJECT, dataset="data:credit", purpose="scoring"))
        assert allowed.allowed
        assert any(one.startswith("grant ") for one in allowed.because)
