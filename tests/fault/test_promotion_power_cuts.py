"""The platform dies at the first, second, third ... step of a promotion: it is whole in production, or not there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from muniment.ledger.model import Search
from muniment.testing.fakes import CutAt, FakeClock, PowerCut
from muniment.testing.platform import People, Site
from promotion import LIVE, alter, approved, check, promote, records

MOST_POINTS = 60
TABLES = ("inventory_record", "inventory_version", "catalog_entity", "catalog_name", "vault_sealed_object")


class Misfortune:
    """Fails nothing until it is given a schedule."""

    def __init__(self) -> None:
        self.cut: CutAt | None = None

    def point(self, name: str) -> None:
        """Pass on to the schedule."""
        if self.cut is not None:
            self.cut.point(name)


@pytest.mark.slow
def test_a_promotion_is_whole_or_not_there(each_site: Site) -> None:
    """After each death records, entity, name and object of the target are all there with their entry, or none is."""
    clock = FakeClock(datetime.now(UTC))
    platform = each_site.open(clock=clock)
    approved(People(platform, each_site.tokens))
    platform.close()
    died: list[str] = []
    for n in range(1, MOST_POINTS):
        misfortune = Misfortune()
        platform = each_site.open(clock=clock, faults=misfortune)
        misfortune.cut = CutAt(n)
        try:
            promote(People(platform, each_site.tokens))
        except PowerCut:
            assert misfortune.cut.died_at
        platform.store.close()
        after = each_site.open(clock=clock)
        people = People(after, each_site.tokens)
        made = records(after, "promotion", LIVE)
        told = after.ledger.search(Search(type="muniment.inventory.model.promoted.v1", outcome="ok"))
        assert len(made) == len(told) <= 1, misfortune.cut.died_at
        if made:
            assert check(people).usable
        else:
            counts = [alter(after, f"delete from {table} where project = '{LIVE}'") for table in TABLES]
            assert counts == [0] * len(TABLES), misfortune.cut.died_at
        assert after.vault.fsck(deep=True).sound
        after.ledger.checkpoint()
        assert after.ledger.verify().ok
        after.close()
        died.append(misfortune.cut.died_at)
        if made:
            break
    assert {"blob.draft", "vault.register", "store.commit"} <= set(died), died
