"""A version on its way: each step takes its state, its signature, and different people."""

from __future__ import annotations

import pytest

from asking import furnish_catalog
from muniment.errors import Conflict, Denied, MunimentError
from muniment.testing.platform import People
from notary import SOUND, Notary


@pytest.fixture
def notary(people: People) -> Notary:
    """A team with keys, and a model in the catalog."""
    furnish_catalog(people)
    return Notary(people)


def test_a_version_goes_all_the_way(notary: Notary) -> None:
    """Draft, submitted, in validation, approved, retired; each step shows what comes next."""
    assert notary.draft().state == "draft"
    submitted = notary.model("scientist").submit()
    assert (submitted.state, submitted.waits_for) == ("submitted", "an independent validation")
    reviewed = notary.model("validator").review("satisfactory with findings", SOUND)
    assert (reviewed.state, reviewed.waits_for) == ("in_validation", "1 approval")
    approved = notary.model("approver").approve(conditions=["quarterly monitoring"], use_limits=["no new cards"])
    assert (approved.state, approved.waits_for, approved.approvals) == ("approved", None, ["User:approver"])
    assert notary.model("operator").approval().usable
    retired = notary.model("approver").retire("superseded")
    assert retired.state == "retired"
    assert not notary.model("operator").approval().usable


def test_the_author_cannot_approve(notary: Notary) -> None:
    """The scientist's own approval is refused by policy, with what he did, and stands in the ledger."""
    notary.validated()
    with pytest.raises(Denied) as refused:
        notary.model("scientist").approve()
    assert refused.value.facts["policies"] == ["core/four-eyes@1"]
