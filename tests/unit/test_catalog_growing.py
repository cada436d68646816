"""What is known of the same bytes recorded twice, as different things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muniment.catalog.absence import ROW_KINDS
from muniment.catalog.growing import CLASSIFICATIONS, KINDS, grown
from muniment.catalog.model import Entity, EntityKind
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def entity(kind: EntityKind, grade: Grade = Grade.PROVEN, days: int = 0, **facts: Any) -> Entity:
    return Entity("main", Digest.of(b"x"), kind, grade, "User:ana", NOW + timedelta(days=days), facts)


def test_every_kind_has_its_place() -> None:
    """No kind is forgotten, and what may hold rows comes before what is taken to hold none."""
    assert set(KINDS) == set(EntityKind)
    assert set(KINDS[: len(ROW_KINDS)]) == ROW_KINDS


@given(st.lists(st.sampled_from(KINDS), min_size=2, max_size=4))
def test_the_order_of_recording_does_not_decide_the_kind(kinds: list[EntityKind]) -> None:
    """Once data, always data: also when somebody called it code before."""
    known = entity(kinds[0])
    for kind in kinds[1:]:
        known = grown(known, entity(kind))
    assert known.kind is min(kinds, key=KINDS.index)


def test_the_files_of_data_are_those_of_the_snapshot() -> None:
    """A manifest that was handed in as a file first does not become the only file of the snapshot."""
    after = grown(entity(EntityKind.FILE, files=["source"]), entity(EntityKind.DATA, files=["part"]))
    assert (after.kind, after.facts["files"]) == (EntityKind.DATA, ["part"])
    assert grown(after, entity(EntityKind.FILE, files=["source"])) == after


@given(st.permutations(CLASSIFICATIONS))
def test_the_strictest_classification_stays(order: list[str]) -> None:
    """Handing in the same bytes as public loosens nothing, whatever comes first."""
    known = entity(EntityKind.FILE, classification=order[0])
    for classification in order[1:]:
        known = grown(known, entity(EntityKind.FILE, classification=classification))
    assert known.classification == CLASSIFICATIONS[-1]
    assert grown(known, entity(EntityKind.FILE, classification="ours only")).classification == "ours only"


def test_a_claim_does_not_overrule_what_was_seen() -> None:
    """Facts of the stronger grade win in either order; author and moment stay those of the first record."""
    seen, claimed = entity(EntityKind.MODEL, rows=1), entity(EntityKind.DATA, Grade.DECLARED, 1, rows=2)
    assert grown(seen, claimed).facts["rows"] == 1
    assert grown(claimed, seen).facts["rows"] == 1
    assert grown(claimed, seen).grade is grown(seen, claimed).grade is Grade.PROVEN
    assert grown(seen, claimed).at == NOW
