"""Tiering: the rule is data, it is refused when it contradicts itself, and it says what each version needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from muniment.errors import Invalid
from muniment.inventory.tiers import assess, parse_rule, shipped_rule


def level(exposure: int | None, purpose: str | None, kind: str = "model") -> int:
    """The tier by the rule that ships."""
    return assess(shipped_rule(), exposure=exposure, purpose_class=purpose, model_kind=kind, origin="platform").level


@pytest.mark.parametrize(
    ("exposure", "purpose", "tier"),
    [
        (0, "credit-decision", 3),
        (999_999, "credit-decision", 3),
        (1_000_000, "credit-decision", 2),
        (49_999_999, "credit-decision", 2),
        (50_000_000, "credit-decision", 1),
        (10**15, "credit-decision", 1),
        (0, "marketing", 4),
        (10**15, "marketing", 3),
        (0, "something-new", 3),
        (None, None, 2),
    ],
)
def test_exposure_and_purpose_make_the_tier(exposure: int | None, purpose: str | None, tier: int) -> None:
    """Each floor of a band belongs to the band; an unknown purpose counts as any other; without a use case it is 2."""
    assert level(exposure, purpose) == tier


def test_a_non_model_is_of_the_lowest_tier() -> None:
    """Whatever its exposure."""
    assert level(10**15, "capital", "non-model") == 4


def test_what_was_not_made_here_is_not_asked_for_runs() -> None:
    """A vendor's model has no runs to show: the evidence from runs is asked of models made here only."""
    given: dict[str, Any] = {"exposure": 10**12, "purpose_class": "capital", "model_kind": "model"}
    here, bought = (assess(shipped_rule(), origin=origin, **given).requires for origin in ("platform", "vendor"))
    assert here["evidence"] == ["evaluation", "explanation", "reproduction"]
    assert bought["evidence"] == []
    assert bought["approvals"] == here["approvals"] == 2


def test_an_assessment_names_its_rule_and_why() -> None:
    """Id, version and digest of the rule, and the reason in words."""
    found = assess(shipped_rule(), exposure=7, purpose_class="fraud", model_kind="model", origin="platform")
    assert found.rule.startswith("muniment/tiering@1 sha256:")
    assert found.because == "exposure 7 is at least 0 and the purpose is fraud"


BROKEN: dict[str, Any] = {
    "no levels": lambda rule: rule.pop("levels"),
    "a level too many": lambda rule: rule["levels"].update({"5": rule["levels"]["4"]}),
    "bands that fall": lambda rule: rule.update(bands=[5, 4, 6]),
    "bands from zero": lambda rule: rule.update(bands=[0, 4, 6]),
    "a short row": lambda rule: rule["purposes"].update(fraud=[1, 1]),
    "a tier that is none": lambda rule: rule["purposes"].update(fraud=[5, 4, 3, 2]),
    "less material with more exposure": lambda rule: rule["purposes"].update(fraud=[1, 2, 3, 4]),
    "nobody approves": lambda rule: rule["levels"]["1"].update(approvals=0),
    "a crowd approves": lambda rule: rule["levels"]["1"].update(approvals=6),
    "no approval": lambda rule: rule["levels"]["1"].update(steps=["submission", "validation"]),
    "steps out of order": lambda rule: rule["levels"]["1"].update(steps=["approval", "submission"]),
    "unknown evidence": lambda rule: rule["levels"]["1"].update(evidence=["luck"]),
    "no review": lambda rule: rule["levels"]["1"].update(review_months=0),
    "evidence for ever": lambda rule: rule["levels"]["1"].update(evidence_days=10**6),
    "an unknown field": lambda rule: rule.update(surprise=1),
    "text for a number": lambda rule: rule.update(version="one"),
    "no id": lambda rule: rule.update(id=""),
    "a kind of tier 9": lambda rule: rule.update(kinds={"eut": 9}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_contradicts_itself_is_refused(name: str) -> None:
    """With the first thing that is wrong with it."""
    rule = copy.deepcopy(dict(shipped_rule().document))
    BROKEN[name](rule)
    with pytest.raises(Invalid) as refused:
        parse_rule(rule)
    assert refused.value.facts["reason"]


def test_a_rule_is_its_document() -> None:
    """Another word is another rule, by its digest; the same is the same."""
    rule = shipped_rule()
    assert parse_rule(rule.document).digest == rule.digest
    assert parse_rule({**rule.document, "text": "other"}).digest != rule.digest
