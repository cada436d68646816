"""A threshold is fixed, a model measured, challenged, found fault with, and compared: with jobs that really run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muniment.bootstrap import Platform
from muniment.errors import Denied
from muniment.sdk.client import Client
from muniment.sdk.datasets import Parts
from muniment.sdk.models import Model
from muniment.testing.platform import People, Site
from working import furnished

pytestmark = pytest.mark.slow


@dataclass
class Bank:
    """A platform on which the scientist split a data set and trained a model."""

    platform: Platform
    people: People
    parts: Parts
    model: Model

    def as_(self, person: str) -> Client:
        """The platform as somebody sees it; jobs are worked in this process."""
        transport = self.platform.transport(self.people.tokens[person])
        return Client(transport, project="main", worker=self.platform.work_until)

    def facts(self) -> dict[str, Any]:
        """Values by name."""
        return {fact.name: fact.value for fact in self.as_("auditor").gates.facts(self.model).facts}


@pytest.fixture(scope="module")
def bank(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """The story so far: ingest, profile, split and training, and no gate yet."""
    folder = tmp_path_factory.mktemp("gates")
    own = furnished(site).copy(folder / "site")
    platform = own.open()
    people = People(platform, own.tokens)
    story = Bank(platform, people, None, None)  # type: ignore[arg-type]
    scientist = story.as_("scientist")
    data = scientist.data.add("credit", credit(folder), target="y", watch=lambda _: None)
    data.profile(lambda _: None)
    story.parts = data.split(train=0.6, test=0.2, holdout=0.2, stratify=True, group=None, seed=1, watch=lambda _: None)
    story.model = trained(story, {})
    yield story
    platform.close()


def credit(folder: Path) -> Path:
    """A file in which income and debt decide, and a group hardly."""
    draw = random.Random(3)
    lines = ["income,debt,age,grp,y"]
    for _ in range(900):
        income, debt, age = draw.gauss(0, 1), draw.gauss(0, 1), draw.randint(20, 70)
        score = 1.5 * debt - 1.5 * income + draw.gauss(0, 1)
        lines.append(f"{income:.4f},{debt:.4f},{age},{draw.choice('ab')},{int(score > 0)}")
    path = folder / "credit.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def trained(bank: Bank, params: dict[str, Any], **given: Any) -> Model:
    """A model of the scientist's, called ``scorer``."""
    return (
        bank.as_("scientist")
        .train(
            "logistic_regression",
            bank.parts["train"],
            experiment="e",
            params=params,
            name="scorer",
            watch=lambda _: None,
            **given,
        )
        .model
    )


def test_a_threshold_is_fixed_before_the_measurement_that_it_judges(bank: Bank) -> None:
    """What was measured before opens no gate, the same measurement afterwards does, and a looser gate asks anew."""
    scientist, admin = bank.as_("scientist"), bank.as_("admin")
    model = scientist.models.get(bank.model.reference)
    measured: dict[str, Any] = {
        "groups": ["grp"],
        "reference": bank.parts["train"],
        "watch": lambda _: None,
    }
    model.evaluate(bank.parts["test"], **measured)
    admin.gates.set("quality", "metric.auc >= 0.75 and fairness.air >= 0.5 and stability.psi < 0.5 and holdout.unused")
    early = scientist.gates.check(model)
    assert early.closed == ["quality"]
    by_test = {part.text: part for part in early.reply.gates[-1].parts}
    assert by_test["metric.auc >= 0.75"].outcome == "unknown"
    assert "measured before the gate was fixed: evaluate again" in by_test["metric.auc >= 0.75"].why
    assert by_test["holdout.unused = true"].outcome == "yes"
    assert bank.facts()["gate.preregistered"] is False
    model.evaluate(bank.parts["test"], **measured)
    assert scientist.gates.check(model).open
    assert bank.facts()["gate.preregistered"] is True
    admin.gates.set("quality", "metric.auc >= 0.5", reason="looser")
    assert scientist.gates.check(model).closed == ["quality"]
    model.evaluate(bank.parts["test"], watch=lambda _: None)
    assert scientist.gates.check(model).open
    assert [gate.version for gate in admin.gates.list(history=True).gates] == [2, 1]


def test_measuring_on_training_data_opens_nothing(bank: Bank) -> None:
    """Metrics come from data proven unused in training: the newest measurement on the training part changes no fact."""
    before = bank.facts()
    bank.as_("scientist").models.get(bank.model.reference).evaluate(bank.parts["train"], watch=lambda _: None)
    after = bank.facts()
    assert {name: v for name, v in after.items() if name.startswith("metric.")} == {
        name: v for name, v in before.items() if name.startswith("metric.")
    }
    other = trained(bank, {"C": 0.02})
    other.evaluate(bank.parts["train"], watch=lambda _: None)
    told = bank.as_("auditor").gates.facts(other)
    assert not [fact.name for fact in told.facts if fact.name.startswith("metric.")]
    assert told.absent["metric."] == "no evaluation was on data proven unused in its training"


def test_facts_are_proven_by_what_ran(bank: Bank) -> None:
    """Data, split, lineage, code, environment, walls, reproduction and explanation: each with its grade and record."""
    validator = bank.as_("validator")
    validator.models.get(bank.model.reference).reproduce(lambda _: None)
    validator.models.get(bank.model.reference).explain(bank.parts["test"], watch=lambda _: None)
    bank.model.evaluate(bank.parts["test"], groups=["grp"], watch=lambda _: None)
    told = bank.as_("auditor").gates.facts(bank.model)
    facts = {fact.name: fact for fact in told.facts}
    values = {name: fact.value for name, fact in facts.items()}
    assert values["data.rows"] == 540
    assert values["data.split_disjoint"] is values["data.profiled"] is values["holdout.unused"] is True
    assert values["lineage.complete"] is values["job.enforced"] is values["code.clean"] is True
    assert (values["lineage.grade"], values["job.network"], values["model.algorithm"]) == (
        "proven",
        "none",
        "logistic_regression",
    )
    assert values["reproduction.identical"] is values["reproduction.other_person"] is True
    assert values["explanation.present"] is values["ledger.signed"] is True
    assert values["fairness.columns"] == ["grp"]
    assert (values["evaluation.of_split"], values["evaluation.rows"]) == (True, 180)
    assert (values["evaluation.data"], values["evaluation.independent"]) == ("data:credit/test@1", False)
    assert values["fairness.air"] == values["fairness.air.grp"]
    assert any(package.startswith("numpy==") for package in values["environment.packages"])
    weak = {"data.classification"}
    assert {name for name, fact in facts.items() if fact.grade != "proven"} == weak
    assert all(fact.record and fact.text for fact in told.facts)


def test_a_finding_is_challenged_and_closed_with_a_run_as_evidence(bank: Bank) -> None:
    """A high finding closes the gates, its owner answers, and a validator closes it by a run that exists."""
    validator, scientist = bank.as_("validator"), bank.as_("scientist")
    due = str((datetime.now(UTC) + timedelta(days=7)).date())
    opened = validator.findings.open(bank.model, "age may stand for grp", severity="high", owner="scientist", due=due)
    assert scientist.gates.check(bank.model).closed == ["core/findings"]
    question = validator.challenge.ask(opened.finding, "What does age add?")
    scientist.challenge.answer(question.comment, "Hardly anything: see the run without it.")
    without = scientist.train(
        "logistic_regression", bank.parts["train"], experiment="e", drop=("age",), name="scorer", watch=lambda _: None
    )
    validator.challenge.resolve(question.comment, "Agreed.")
    with pytest.raises(Denied):
        scientist.findings.close(opened.finding, evidence=without, text="done")
    closed = validator.findings.close(opened.finding, evidence=without, text="age does not matter")
    assert closed.closure is not None
    assert closed.closure.evidence_digest == without.reference
    assert scientist.gates.check(bank.model).open
    assert [thread.resolved for thread in scientist.challenge.threads(bank.model).threads] == [True]


def test_versions_are_compared_by_what_is_recorded(bank: Bank) -> None:
    """One feature less of four is material; the decision of a person stands beside the proposal."""
    scientist, approver = bank.as_("scientist"), bank.as_("approver")
    bank.model.evaluate(bank.parts["test"], watch=lambda _: None)
    later = scientist.train(
        "logistic_regression", bank.parts["train"], experiment="e", drop=("age",), name="lean", watch=lambda _: None
    ).model
    later.evaluate(bank.parts["test"], watch=lambda _: None)
    found = scientist.changes.compare(bank.model, later)
    told = {(one.section, one.name): one for one in found.reply.differences}
    assert told["features", "age"].after is None
    assert not [section for section, _ in told if section in ("data", "environment")]
    assert abs(told["performance", "metric.auc"].size or 0) < 0.2
    assert (found.proposed_class, found.decided_class) == ("material", None)
    assert {"features-many"} <= {reason.rule for reason in found.reply.reasons}
    decided = approver.changes.decide(bank.model, later, "material", "as proposed")
    assert (decided.decided_class, decided.reply.deviates) == ("material", False)
