"""Somebody fits what is asked for to what came out: of key figures, as of gates, only later measurements count."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidencing import Gallery, trained
from muniment.inventory.facts.fact import Fact, Facts
from muniment.inventory.facts.thresholds import judge_fixed
from muniment.kernel.expressions import Outcome, parse
from muniment.kernel.grade import Grade
from muniment.testing.platform import PROJECT, Site
from muniment.wire import inventory as wi
from muniment.wire import oversight as wire
from muniment.wire.execution import EvaluateModel

pytestmark = pytest.mark.slow

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "model:loans-xgboost"


def _use_case(bank: Gallery, bound: str, **more: Any) -> None:
    bank.clock.advance(seconds=1)
    request = wi.AddUseCase(
        project=PROJECT,
        name="cards",
        purpose="scoring",
        owner="approver",
        purpose_class="marketing",
        exposure=1,
        kpis=[wi.Kpi(name="ranks", expression=f"metric.auc >= {bound}")],
        **more,
    )
    bank.people.ask("admin", request)
    bank.clock.advance(seconds=1)


def _measure(bank: Gallery) -> None:
    bank.clock.advance(seconds=1)
    bank.people.ask("scientist", EvaluateModel(project=PROJECT, model=MODEL, data="loans/test"))
    bank.clock.advance(seconds=1)
    assert bank.people.work() == 1


def _met(bank: Gallery) -> Any:
    told = bank.people.ask("auditor", wire.ShowFacts(project=PROJECT, model=MODEL))
    return {fact.name: fact.value for fact in told.facts}.get("usecase.kpis_met", told.absent.get("usecase.kpis_met"))


def test_a_key_figure_that_was_lowered_after_the_measurement(site: Site, tmp_path: Path) -> None:
    """A bound that is moved below what came out is not reached by what came out, but by a measurement after it."""
    bank = trained(site.copy(tmp_path / "site"))
    try:
        _use_case(bank, "0.99")
        bank.people.ask("scientist", wi.RegisterModel(project=PROJECT, model=MODEL, use_case="cards"))
        _measure(bank)
        assert _met(bank) is False
        _use_case(bank, "0.1")
        assert _met(bank) == "not known: ranks, measured before it was fixed"
        _measure(bank)
        assert _met(bank) is True
        _use_case(bank, "0.1", intended_use="the same, in other words")
        assert _met(bank) is True
    finally:
        bank.platform.close()


@pytest.mark.parametrize(
    "name", ["reproduction.identical", "holdout.unused", "usecase.kpis_met", "data.split_disjoint"]
)
def test_what_ran_without_walls_opens_no_gate_that_asks_for_proof(name: str) -> None:
    """Not metrics alone: whatever rests on runs counts with the grade that the gate asks for."""
    facts = Facts([Fact(name, True, Grade.DECLARED, "run:x", "ran without walls")])
    for grade, outcome in ((Grade.PROVEN, Outcome.UNKNOWN), (Grade.DECLARED, Outcome.YES)):
        assert judge_fixed(parse(f"{name} = true"), facts, fixed_at=EARLY, min_grade=grade)[0] is outcome
