"""Promotion: an approved version is copied by digest into a stricter project and stands under the approval it has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asking import furnish_catalog, state
from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound
from muniment.kernel.digest import Digest
from muniment.ledger.model import Search
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import People, Site
from muniment.wire.catalog import GetLineage, ProveUnused
from muniment.wire.identity import AddProject, GrantRole, SetStage
from muniment.wire.inventory import CheckApproval, FetchModel, ListVersions, ShowVersion
from notary import Notary
from promotion import LIVE, alter, approved, check, promote

pytestmark = pytest.mark.slow


def test_a_promoted_version_is_the_same_bytes_under_the_same_approval(people: People) -> None:
    """Digest, files, conditions, limits and end are those of the source; the manifest is its own; the ledger tells."""
    notary = approved(people, conditions=["watch it"], use_limits=["cards only"])
    made = promote(people, reason="release 7")
    there = notary.model("operator").standing()
    assert there.state is not None
    assert (made.model, made.state, made.digest) == ("model:scorer@1", "approved", there.digest)
    assert (made.conditions, made.use_limits, made.expires) == (["watch it"], ["cards only"], there.state.expires)
    assert (made.approved_by, made.tier, made.emergency) == (["User:approver"], there.state.tier, False)
    assert made.manifest != (there.registration or {})["manifest"]
    here = check(people)
    assert here.usable
    assert here.because[0].startswith("promoted from project main")
    assert (here.conditions, here.use_limits, here.manifest) == (["watch it"], ["cards only"], made.manifest)
    both = [b"".join(people.ask("operator", FetchModel(project=p, model=made.model)).chunks) for p in ("main", LIVE)]
    assert both[0] == both[1]
    (entry,) = people.platform.ledger.search(Search(type="muniment.inventory.model.promoted.v1"))
    facts = entry.event["data"]["facts"]
    assert (facts["source"], facts["model"], made.record in facts["records"]) == ("main", made.digest, True)
    told = people.ask("operator", ShowVersion(project=LIVE, model="model:scorer"))
    assert [event.kind for event in told.history] == ["registration", "tier", "promotion"]
    assert told.history[-1].body["approvals"] == made.approvals
    (row,) = people.ask("operator", ListVersions(project=LIVE)).versions
    assert (row.state, row.tier, row.approvals) == ("approved", made.tier, 1)


def test_the_key_of_the_target_alone_opens_the_copy(people: People) -> None:
    """Each project has a sealed object of its own: the copy survives when the source's bytes are gone."""
    approved(people)
    made = promote(people)
    assert alter(people.platform, "delete from vault_sealed_object where project = 'main'")
    with people.platform.store.read() as session:
        assert people.platform.vault.has(session, LIVE, Digest(made.digest))
    assert people.platform.vault.fsck(LIVE, deep=True).sound
    assert b"main/scorer" in b"".join(people.ask("operator", FetchModel(project=LIVE, model="model:scorer")).chunks)


def _retire(notary: Notary) -> None:
    notary.model("approver").retire("it is wrong")


def _find(notary: Notary) -> None:
    notary.client("validator").findings.open(
        "model:scorer", "drift", severity="high", owner="scientist", due="2099-01-01"
    )


@pytest.mark.parametrize(("act", "why"), [(_retire, "retired on"), (_find, "1 high finding open")])
def test_what_ends_at_the_source_ends_in_production(people: People, act: Callable[[Notary], None], why: str) -> None:
    """A retirement or a high finding there is a refusal here from that moment on, with the reason and the project."""
    notary = approved(people)
    promote(people)
    act(notary)
    found = check(people)
    assert not found.usable
    assert found.because[0].startswith("in project main: ")
    assert why in found.because[0]
    assert (found.files, found.manifest) == ([], None)


def test_an_approval_that_expires_there_expires_here(site: Site, tmp_path: Path) -> None:
    """The end is that of the source; after a renewal there the version is promoted again and usable again."""
    clock = FakeClock(datetime.now(UTC))
    platform = site.copy(tmp_path / "expiring").open(clock=clock)
    people = People(platform, site.tokens)
    notary = approved(people, expires=_days(clock, 10))
    promote(people)
    assert check(people).usable
    with pytest.raises(Conflict, match="stands here already"):
        promote(people)
    clock.advance(days=12)
    assert "expired" in check(people).because[0]
    with pytest.raises(Conflict, match="may not be used in project main"):
        promote(people)
    notary.client("validator").reviews.complete("model:scorer", "satisfactory", "looked at again")
    notary.model("scientist").submit("again")
    notary.model("validator").review("satisfactory", "still sound")
    notary.model("approver").approve(expires=_days(clock, 20))
    assert not check(people).usable
    assert promote(people).model == "model:scorer@1"
    assert check(people).usable
    platform.close()


def _days(clock: FakeClock, days: int) -> str:
    return str((clock.now() + timedelta(days=days)).date())


def test_production_decides_nothing_but_the_end(people: People) -> None:
    """There a promoted version can be retired, and nothing else; what was retired there does not come back."""
    notary = approved(people)
    promote(people)
    people.ask("admin", GrantRole(subject="approver", role="approver", scope=LIVE))
    for person in ("admin", "approver"):
        notary.client(person).project = LIVE
    with pytest.raises(Conflict, match="by hand in a production project"):
        notary.model("admin").break_glass("hurry")
    assert notary.model("approver").retire("another one took over").state == "retired"
    assert check(people).because[0].startswith("retired on")
    with pytest.raises(Conflict, match="it is retired here"):
        promote(people)
    assert notary.model("operator").approval().usable


def test_only_what_is_approved_and_named_rightly_is_promoted(people: People) -> None:
    """Not approved, another digest, no such model, the same project, a stage that is not stricter: nothing changes."""
    furnish_catalog(people)
    people.ask("admin", AddProject(name=LIVE, stage="production"))
    people.ask("admin", AddProject(name="sand"))
    notary = Notary(people)
    notary.validated()
    before = state(people.platform)
    refusals: list[tuple[dict[str, Any], type[MunimentError], str]] = [
        ({}, Conflict, "may not be used in project main"),
        ({"digest": "sha256:" + "0" * 64}, Conflict, "another model than the digest"),
        ({"model": "model:absent"}, NotFound, "there is no model:absent"),
        ({"model": "data:credit"}, Invalid, "data"),
        ({"source": LIVE}, Invalid, "from another project"),
        ({"project": "sand"}, Conflict, "into a stricter stage"),
        ({"reason": "x" * 50_000}, Invalid, "reason"),
    ]
    for given, kind, says in refusals:
        with pytest.raises(kind, match=says):
            promote(people, **given)
        assert state(people.platform) == before, given


def test_who_may_not_read_the_source_learns_nothing_of_it(people: People) -> None:
    """An operator of production alone gets one answer for a model that is there, one that is not, and no project."""
    approved(people)
    people.ask("admin", GrantRole(subject="newcomer", role="operator", scope=LIVE))
    before, answers = state(people.platform), set()
    for source in ("main", "nowhere", "platform"):
        for model in ("model:scorer", "model:absent", "sha256:" + "0" * 64, "?? nonsense"):
            with pytest.raises(Denied) as refused:
                promote(people, "newcomer", source=source, model=model)
            shown = refused.value.document()
            shown["facts"].pop("entry")
            answers.add(str(shown).replace(source, "SOURCE"))
    assert len(answers) == 1, answers
    assert state(people.platform) == before


def test_an_emergency_is_promoted_only_by_name(people: People) -> None:
    """What break-glass alone approved needs a word more, and is an emergency in production too."""
    furnish_catalog(people)
    people.ask("admin", AddProject(name=LIVE, stage="production"))
    notary = Notary(people)
    notary.draft()
    notary.model("admin").break_glass("the old one fails", days=2)
    notary.model("admin2").break_glass("the old one fails", days=2)
    with pytest.raises(Conflict, match="break-glass alone"):
        promote(people)
    made = promote(people, emergency=True)
    assert (made.emergency, made.state, made.approved_by) == (True, "approved", ["User:admin", "User:admin2"])
    found = check(people)
    assert (found.usable, found.emergency) == (True, True)


def test_a_version_goes_on_from_test_to_production(people: People) -> None:
    """Promoted into test and from there into production, it is held against the first project still."""
    notary = approved(people)
    people.ask("admin", AddProject(name="trial", stage="test"))
    promote(people, project="trial")
    made = promote(people, source="trial")
    assert made.approved_by == ["User:approver"]
    assert check(people).usable
    notary.model("approver").retire("it is wrong")
    assert check(people).because[0].startswith("in project trial: in project main: retired")


def test_lineage_of_a_promoted_model_claims_no_more_than_is_recorded(people: People) -> None:
    """Its origin is declared, its lineage names the project that holds it, and an absence is not claimed at all."""
    approved(people)
    promote(people)
    shown = people.ask("operator", GetLineage(project=LIVE, reference="model:scorer"))
    assert (shown.grade, shown.elsewhere) == ("declared", "main")
    with pytest.raises(Conflict) as refused:
        people.ask("operator", ProveUnused(project=LIVE, reference="model:scorer", model="model:scorer"))
    assert refused.value.facts["source"] == "main"


def test_a_draft_that_was_made_before_the_project_went_live_stays_one(people: People) -> None:
    """What was registered by hand before can be neither submitted nor approved by break-glass in production."""
    furnish_catalog(people)
    notary = Notary(people)
    notary.draft()
    people.ask("admin", SetStage(name="main", stage="production", reason="live"))
    with pytest.raises(Conflict, match="by hand in a production project"):
        notary.model("scientist").submit("now")
    with pytest.raises(Conflict, match="by hand in a production project"):
        notary.model("admin").break_glass("hurry")
    assert not people.ask("operator", CheckApproval(project="main", model="model:scorer")).usable
