"""A version on its way: each step takes its state, its signature, its tier's evidence, and different people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import inventory as wi
from notary import SOUND, Notary


@pytest.fixture
def clock() -> FakeClock:
    """A clock that tests move."""
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def notary(site: Site, tmp_path: Path, clock: FakeClock) -> Iterator[Notary]:
    """A team with keys, and a model in the catalog."""
    place = site.copy(tmp_path / "site")
    platform = place.open(clock=clock)
    people = People(platform, place.tokens)
    furnish_catalog(people)
    yield Notary(people)
    platform.close()


@pytest.fixture(scope="module")
def drafted(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notary]:
    """A version that waits, for requests that are refused and leave nothing."""
    place = site.copy(tmp_path_factory.mktemp("drafted"))
    platform = place.open(clock=FakeClock(datetime.now(UTC)))
    people = People(platform, place.tokens)
    furnish_catalog(people)
    made = Notary(people)
    made.draft()
    yield made
    platform.close()


ANSWERS = dict.fromkeys(("quantitative", "estimate", "business_use", "complex"), True) | {"user_built": False}


def test_a_version_goes_all_the_way(notary: Notary) -> None:
    """Draft, submitted, in validation, approved, retired; each step shows what comes next."""
    assert notary.draft().state == "draft"
    submitted = notary.model("scientist").submit()
    assert (submitted.state, submitted.waits_for) == ("submitted", "an independent validation")
    reviewed = notary.model("validator").review("satisfactory with findings", SOUND)
    assert (reviewed.state, reviewed.waits_for) == ("in_validation", "1 approval")
    approved = notary.model("approver").approve(conditions=["quarterly monitoring"], use_limits=["no new cards"])
    assert (approved.state, approved.waits_for, approved.approvals) == ("approved", None, ["User:approver"])
    usable = notary.model("operator").approval()
    assert (usable.usable, usable.conditions, usable.use_limits) == (True, ["quarterly monitoring"], ["no new cards"])
    assert notary.model("approver").retire("superseded").state == "retired"
    assert not notary.model("operator").approval().usable


def test_the_author_cannot_approve(notary: Notary) -> None:
    """The scientist's own approval is refused by policy, with what he did."""
    notary.validated()
    with pytest.raises(Denied) as refused:
        notary.model("scientist").approve()
    assert refused.value.facts["policies"] == ["core/four-eyes@1"]
    assert "scientist submitted it" in refused.value.facts["because"]


def test_what_is_not_registered_goes_nowhere(notary: Notary) -> None:
    """Every step says that it must be registered first; it may not be used."""
    for step in (lambda: notary.model("scientist").submit(), lambda: notary.model("approver").retire("x")):
        with pytest.raises(Conflict) as refused:
            step()
        assert refused.value.code == "MUNI-M310"
    approval = notary.model("operator").approval()
    assert (approval.usable, approval.because) == (False, ["it is not in the inventory"])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"owner": "nobody"}, "MUNI-M102"),
        ({"model_kind": "oracle"}, "MUNI-M116"),
        ({"description": "x" * 5000}, "MUNI-M108"),
    ],
)
def test_a_registration_that_makes_no_sense(notary: Notary, given: dict[str, Any], code: str) -> None:
    """Each field is checked."""
    with pytest.raises(Invalid) as refused:
        notary.draft(**given)
    assert refused.value.code == code
    with pytest.raises(NotFound):
        notary.draft(use_case="unknown")


def test_a_draft_can_be_registered_anew_and_nothing_else(notary: Notary) -> None:
    """Another owner is another manifest; what was submitted stays as it is."""
    first, second = notary.draft(), notary.draft(owner="approver")
    assert first.manifest != second.manifest
    assert notary.draft(owner="approver").manifest == second.manifest
    notary.model("scientist").submit()
    with pytest.raises(Conflict) as refused:
        notary.draft()
    assert refused.value.code == "MUNI-M312"


def test_a_use_case_that_changes_changes_the_tier(notary: Notary) -> None:
    """More exposure, and the same version needs a determination, more evidence and two approvals from then on."""
    notary.submitted(use_case=notary.use_case("loans", purpose_class="credit-decision", exposure=1))
    before = notary.model("auditor").standing()
    notary.use_case("loans", purpose_class="credit-decision", exposure=10**9)
    after = notary.model("auditor").standing()
    assert before.state is not None
    assert after.state is not None
    assert (before.state.tier, after.state.tier) == (3, 1)
    assert (before.state.required, after.state.required) == (1, 2)
    notary.model("validator").review("satisfactory", SOUND)
    with pytest.raises(Conflict) as refused:
        notary.model("approver").approve()
    assert refused.value.code == "MUNI-M328"
    assert len(refused.value.facts["because"]) == 4


def test_the_highest_tier_asks_for_a_determination(notary: Notary) -> None:
    """Before it is submitted a validator determines by signed answers that it is a model."""
    notary.draft(use_case=notary.use_case("loans", purpose_class="capital", exposure=10**9))
    with pytest.raises(Conflict) as refused:
        notary.model("scientist").submit()
    assert refused.value.code == "MUNI-M324"
    told = notary.model("validator").determine(ANSWERS, "a scorecard")
    assert told.model_kind == "model"
    assert notary.model("scientist").submit().state == "submitted"


@pytest.mark.parametrize(
    ("answers", "kind", "tier"),
    [
        ({}, "model", 1),
        ({"complex": False}, "non-model", 4),
        ({"complex": False, "user_built": True}, "eut", 1),
    ],
)
def test_answers_come_to_a_kind(notary: Notary, answers: dict[str, bool], kind: str, tier: int) -> None:
    """A model, a non-model or an end-user tool; a non-model needs the least."""
    notary.draft(use_case=notary.use_case("loans", purpose_class="capital", exposure=10**9))
    told = notary.model("validator").determine(ANSWERS | answers)
    assert (told.model_kind, told.tier) == (kind, tier)


def test_every_question_is_answered(notary: Notary) -> None:
    """One too few or one too many is refused."""
    notary.draft()
    for answers in ({}, ANSWERS | {"surprise": True}):
        with pytest.raises(Invalid) as refused:
            notary.model("validator").determine(answers)
        assert refused.value.code == "MUNI-M135"


@pytest.mark.parametrize(
    ("meaning", "terms", "code"),
    [
        ("blessed", {}, "MUNI-M140"),
        ("approved", {"surprise": 1}, "MUNI-M131"),
        ("approved", {"conditions": "none"}, "MUNI-M131"),
        ("approved", {"conditions": [" "]}, "MUNI-M138"),
        ("approved", {"expires": "2020-01-01"}, "MUNI-M136"),
        ("approved", {"expires": "2099-01-01"}, "MUNI-M136"),
        ("approved", {"expires": "soon"}, "MUNI-K108"),
        ("validated", {"outcome": "great", "text": "x"}, "MUNI-M132"),
        ("validated", {"outcome": "satisfactory", "text": " "}, "MUNI-M132"),
        ("validated", {"outcome": "satisfactory"}, "MUNI-M131"),
        ("rejected", {"reason": ""}, "MUNI-M133"),
        ("break-glass", {"reason": "x", "days": 8}, "MUNI-M134"),
        ("break-glass", {"reason": "x", "days": 0}, "MUNI-M134"),
        ("rejected", {"reason": "x" * 20_001}, "MUNI-M137"),
    ],
)
def test_terms_that_make_no_sense_are_not_prepared(
    drafted: Notary, meaning: str, terms: dict[str, Any], code: str
) -> None:
    """What cannot be signed is refused before anybody signs it."""
    request = wi.PrepareSignature(project=PROJECT, model="model:scorer", meaning=meaning, terms=terms)
    with pytest.raises(Invalid) as refused:
        drafted.client("approver").ask("inventory:PrepareSignature", request, wi.Statement)
    assert refused.value.code == code


def test_an_approval_ends_and_is_renewed(notary: Notary, clock: FakeClock) -> None:
    """It is usable until its end, also while a renewal is under way; the renewal has an end of its own."""
    notary.validated()
    notary.model("approver").approve(expires=(clock.now() + timedelta(days=20)).date().isoformat())
    clock.advance(days=10)
    assert notary.model("scientist").submit("yearly").state == "submitted"
    assert notary.model("operator").approval().usable
    notary.model("validator").review("satisfactory", SOUND)
    clock.advance(days=12)
    expired = notary.model("operator").approval()
    assert not expired.usable
    assert "expired" in expired.because[0]
    renewed = notary.model("approver").approve()
    assert (renewed.state, renewed.expired) == ("approved", False)


def test_a_rejection_is_final(notary: Notary) -> None:
    """Nothing can be done with the version any more."""
    notary.submitted()
    assert notary.model("validator").reject("leaks the target").state == "rejected"
    for step in (lambda: notary.model("scientist").submit(), lambda: notary.model("approver").retire("x")):
        with pytest.raises(Conflict) as refused:
            step()
        assert refused.value.code == "MUNI-M326"


def test_a_retired_use_case_takes_no_submission(notary: Notary) -> None:
    """What it was for is no more."""
    notary.draft()
    notary.client("admin").use_cases.retire("cards", "product closed")
    with pytest.raises(Conflict) as refused:
        notary.model("scientist").submit()
    assert refused.value.code == "MUNI-M301"


def test_a_gate_of_the_stage_stands_in_the_way(notary: Notary) -> None:
    """A closed gate refuses the step that it stands before, and no other."""
    notary.client("admin").gates.set("auc", "metric.auc >= 0.7", stage="approve")
    notary.validated()
    with pytest.raises(Conflict) as refused:
        notary.model("approver").approve()
    assert refused.value.code == "MUNI-M351"


def test_models_from_outside(notary: Notary) -> None:
    """A vendor's model goes the same way, as declared; its file is sealed as it came."""
    client = notary.client("scientist")
    given: dict[str, Any] = {"owner": "approver", "description": "bought score", "use_case": notary.use_case()}
    made = client.inventory.register_external("acme", origin="vendor", supplier="Acme", contract="C-7", **given)
    assert notary.client("auditor").models.get(made.model).detail.grade == "declared"
    client.models.get(made.model).submit()
    notary.model("validator", made.model).review("satisfactory", "benchmarked on our data")
    assert notary.model("approver", made.model).approve().state == "approved"
    row = client.inventory.list(supplier="Acme")[0]
    assert (row.model, row.origin, row.state) == ("model:acme@1", "vendor", "approved")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"origin": "platform"}, "MUNI-M114"),
        ({"origin": "vendor"}, "MUNI-M115"),
        ({"origin": "off-platform", "supplier": "Acme"}, "MUNI-M115"),
        ({"origin": "off-platform", "description": ""}, "MUNI-M108"),
        ({"origin": "off-platform", "name": "a b"}, "MUNI-K109"),
    ],
)
def test_an_entry_that_makes_no_sense(notary: Notary, given: dict[str, Any], code: str) -> None:
    """Each field of an entry from outside is checked."""
    plain = {"name": "x", "owner": "approver", "description": "y"}
    with pytest.raises(Invalid) as refused:
        notary.client("scientist").inventory.register_external(**plain | given)
    assert refused.value.code == code


def test_a_circle_of_dependencies_is_refused(notary: Notary) -> None:
    """A model feeds itself neither directly nor by way of others."""
    inventory = notary.client("scientist").inventory
    for name in ("a", "b", "c"):
        inventory.register_external(name, origin="off-platform", owner="approver", description=f"sheet {name}")
    inventory.depends_on("model:b", "model:a", "reads")
    inventory.depends_on("model:c", "model:b", "reads")
    for model, on in (("model:a", "model:c"), ("model:a", "model:a")):
        with pytest.raises(Invalid) as refused:
            inventory.depends_on(model, on, "reads")
        assert refused.value.code == "MUNI-M113"
    assert [one.model for one in inventory.dependencies("model:c").feeds_on] == ["model:a@1", "model:b@1"]
    assert [one.model for one in inventory.dependencies("model:a").feeds] == ["model:b@1", "model:c@1"]


def test_the_board_counts_what_the_list_shows(notary: Notary, clock: FakeClock) -> None:
    """Tiers and states, findings by age, overdue reviews, concentration: all from the same rows."""
    notary.approved()
    inventory = notary.client("auditor").inventory
    notary.client("scientist").inventory.register_external(
        "sheet", origin="off-platform", owner="scientist", description="x", algorithm="rules"
    )
    due = (clock.now() + timedelta(days=1)).date().isoformat()
    notary.client("validator").findings.open("model:scorer", "drift", severity="medium", owner="scientist", due=due)
    notary.client("validator").reviews.schedule("model:scorer", due, reason="soon")
    clock.advance(days=3)
    board = inventory.board().reply
    assert board.versions == len(inventory.list()) == 2
    assert {(cell.tier, cell.state): cell.versions for cell in board.cells} == {(3, "approved"): 1, (2, "draft"): 1}
    medium = next(one for one in board.findings if one.severity == "medium")
    assert (medium.open, medium.overdue, medium.up_to_30_days, medium.oldest_days) == (1, 1, 1, 3)
    assert [row.model for row in board.overdue_reviews] == ["model:scorer@1"]
    assert ("owner", "scientist", 2) in [(one.what, one.value, one.versions) for one in board.concentration]
    assert [row.model for row in inventory.list(overdue=True)] == ["model:scorer@1"]
    assert not notary.model("operator").approval().usable


@pytest.mark.parametrize("wanted", [{"state": "great"}, {"tier": 5}])
def test_a_filter_that_means_nothing_is_refused(notary: Notary, wanted: dict[str, Any]) -> None:
    """Rather than answered with an empty list."""
    with pytest.raises(Invalid):
        notary.client("auditor").inventory.list(**wanted)
