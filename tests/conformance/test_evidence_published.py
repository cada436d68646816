"""Control catalogues on each engine: what is published stays, and a report rests on what is recorded there."""

from __future__ import annotations

from importlib.resources import files

import pytest

from asking import furnish_catalog
from muniment.errors import Conflict
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.catalogues import ListCatalogues, PublishCatalogue, ReportModel, ShowCatalogue


def test_a_published_catalogue_outlives_the_process(each_site: Site) -> None:
    """A newer version of a shipped catalogue is published, found again after a restart, and reported by."""
    shipped = (files("muniment.evidence") / "catalogues" / "sr-26-2@1.toml").read_text(encoding="utf-8")
    newer = shipped.replace("version = 1", "version = 2").replace("SR 26-2: model", "SR 26-2, second edition: model")
    platform = each_site.open()
    try:
        people = People(platform, each_site.tokens)
        furnish_catalog(people)
        made = people.ask("admin", PublishCatalogue(project=PROJECT, content=newer))
        with pytest.raises(Conflict):
            people.ask("admin2", PublishCatalogue(project=PROJECT, content=newer))
    finally:
        platform.close()
    platform = each_site.open()
    try:
        people = People(platform, each_site.tokens)
        listed = people.ask("auditor", ListCatalogues(project=PROJECT)).catalogues
        assert [one for one in listed if one.id == "sr-26-2"] == [made]
        shown = people.ask("auditor", ShowCatalogue(project=PROJECT, catalogue="sr-26-2"))
        assert shown.summary.title == "SR 26-2, second edition: model risk management"
        found = people.ask("auditor", ReportModel(project=PROJECT, model="model:scorer"))
        assert {one.summary.version for one in found.reports if one.summary.id == "sr-26-2"} == {2}
        assert sum(sum(one.counts.values()) for one in found.reports) > 100
    finally:
        platform.close()
