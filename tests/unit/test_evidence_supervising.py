"""The verbs of control catalogues: what ships, what an institution publishes, and reports by either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from asking import furnish_catalog
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.evidence.catalogue import shipped
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.policy.ports import PolicyDocuments
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import catalogues as wire
from muniment.wire.inventory import AddUseCase, RegisterModel
from muniment.wire.ledger import LedgerEntries, SearchEntries

pytestmark = pytest.mark.slow

OWN = """\
format = "muniment.catalogue/1"
id = "house-rules"
version = 1
title = "Rules of the house"
issuer = "The bank"
effective_from = 2026-01-01
status = "In force."
sources = []

[[item]]
id = "origin"
reference = "1"
title = "Origin"
text = "Where the model comes from is on record."
confidence = "checked"
query = "model.origin is present and report.version = 1"
records = ["lineage"]
evidence = ["LIN"]

[[item]]
id = "measured"
reference = "2"
title = "Measured"
text = "The model is measured."
confidence = "checked"
query = "metric.auc >= 0.7"
records = ["evaluation"]
evidence = ["VAL"]
"""


@pytest.fixture
def people(site: Site, tmp_path: Path) -> Iterator[People]:
    """A platform with a model that nobody trained, measured or registered."""
    platform = site.copy(tmp_path / "controls").open()
    try:
        people = People(platform, site.tokens)
        furnish_catalog(people)
        yield people
    finally:
        platform.close()


def publish(people: People, text: str = OWN) -> wire.CatalogueSummary:
    """Publish as an administrator."""
    made: wire.CatalogueSummary = people.ask("admin", wire.PublishCatalogue(project=PROJECT, content=text))
    return made


def report(people: People, catalogue: str | None, person: str = "auditor") -> wire.ModelReport:
    """The report about the model."""
    request = wire.ReportModel(project=PROJECT, model="model:scorer", catalogue=catalogue)
    found: wire.ModelReport = people.ask(person, request)
    return found


def test_what_ships_is_listed_and_shown(people: People) -> None:
    """The list has every shipped catalogue with how far it can be answered; those in force come first."""
    listed = people.ask("validator", wire.ListCatalogues(project=PROJECT)).catalogues
    assert {one.catalogue for one in listed} == {one.name for one in shipped()}
    assert listed[-1].superseded_by == "sr-26-2"
    assert all(one.fully + one.in_part + one.open == one.items for one in listed)
    shown = people.ask("validator", wire.ShowCatalogue(project=PROJECT, catalogue="sr-26-2"))
    assert (shown.summary.catalogue, shown.summary.origin, len(shown.items)) == ("sr-26-2@1", "shipped", 7)
    assert shown.items[0].query == "determination.present = true and model.kind is present"


def test_an_institution_adds_a_catalogue_without_code(people: People) -> None:
    """What is published is listed, shown and reported by, kept by its digest, and named in the ledger."""
    made = publish(people)
    assert (made.catalogue, made.origin, made.versions) == ("house-rules@1", "published", [1])
    assert made.digest == Digest.of(OWN.encode())
    with people.platform.store.read() as session:
        [record] = session.use(Records).of_kind(PROJECT, RecordKind.CATALOGUE)
        assert session.use(PolicyDocuments).get(Digest(record.body["document"])) == OWN.encode()
    found: LedgerEntries = people.ask("auditor", SearchEntries(project=PROJECT, text="catalogue.published"))
    assert any(str(record.digest) in str(msgspec.to_builtins(one, enc_hook=str)) for one in found.entries)
    [given] = report(people, "house-rules").reports
    assert given.summary.catalogue == "house-rules@1"
    assert [one.item.id for one in given.answers] == ["origin", "measured"]
    assert given.answers[1].status == "unanswered"
    assert "metric.auc is not recorded" in given.answers[1].parts[0].why


def test_a_newer_version_takes_the_place_of_the_older_one(people: People) -> None:
    """The newest version is meant unless one is named; the older one can be reported by for ever."""
    publish(people)
    newer = OWN.replace("version = 1\ntitle", "version = 2\ntitle").replace("0.7", "0.8")
    assert publish(people, newer).versions == [1, 2]
    assert report(people, "house-rules").reports[0].answers[1].item.query == "metric.auc >= 0.8"
    assert report(people, "house-rules@1").reports[0].answers[1].item.query == "metric.auc >= 0.7"
    for stale in (OWN, newer, newer.replace("0.8", "0.9")):
        with pytest.raises(Conflict) as refused:
            publish(people, stale)
        assert (refused.value.code, refused.value.facts["newest"]) == ("MUNI-E350", 2)


def test_a_newer_version_of_what_ships_can_be_published(people: People) -> None:
    """Rules that changed after the release are a file, too."""
    renewed = OWN.replace("house-rules", "sr-26-2").replace("version = 1\ntitle", "version = 2\ntitle")
    assert publish(people, renewed).versions == [1, 2]
    listed = people.ask("validator", wire.ListCatalogues(project=PROJECT)).catalogues
    assert {one.catalogue: one.origin for one in listed}["sr-26-2@2"] == "published"
    with pytest.raises(Conflict):
        publish(people, OWN.replace("house-rules", "ss1-23"))


def test_a_broken_file_changes_nothing(people: People) -> None:
    """A broken query is refused with item and column, a successor that nobody knows by its name; nothing is kept."""
    with pytest.raises(Invalid) as refused:
        publish(people, OWN.replace(">= 0.7", "≥ 0.7"))
    assert (refused.value.code, refused.value.facts["item"], refused.value.facts["column"]) == (
        "MUNI-E152",
        "item 'measured'",
        12,
    )
    with pytest.raises(Invalid) as refused:
        publish(people, OWN.replace('id = "house-rules"', 'id = "house-rules"\nsuperseded_by = "nothing"'))
    assert refused.value.code == "MUNI-E154"
    with people.platform.store.read() as session:
        assert session.use(Records).of_kind(PROJECT, RecordKind.CATALOGUE) == []


def test_who_may_publish_is_who_manages_policy(people: People) -> None:
    """A catalogue decides what a report asks: the people whose models it judges may not change it."""
    for person in ("scientist", "validator", "approver", "auditor"):
        with pytest.raises(Denied):
            people.ask(person, wire.PublishCatalogue(project=PROJECT, content=OWN))


def test_a_report_rests_on_a_checkpoint_and_claims_nothing_for_a_bare_model(people: People) -> None:
    """A model of which nothing is recorded is answered where the platform itself is the answer, and nowhere else."""
    found = report(people, "sr-26-2")
    assert (found.model, found.checkpoint.size > 0) == ("model:scorer@1", True)
    [given] = found.reports
    by_id = {one.item.id: one for one in given.answers}
    assert by_id["status"].status == "answered"
    assert by_id["model-definition"].status == "unanswered"
    assert by_id["validation-and-monitoring"].status == "unanswered"
    assert sum(given.counts.values()) == len(given.answers) == 7
    assert all(fact.record for one in given.answers for fact in one.facts)


def test_what_people_record_answers_what_was_unanswered(people: People) -> None:
    """A use case and a registration answer materiality, by their records; what lacks is told with its reason."""
    owned = AddUseCase(project=PROJECT, name="cards", purpose="limits", owner="scientist", exposure=5_000_000)
    people.ask("admin", msgspec.structs.replace(owned, purpose_class="credit-decision"))
    before = {one.item.id: one for one in report(people, "sr-26-2").reports[0].answers}
    people.ask("scientist", RegisterModel(project=PROJECT, model="model:scorer", use_case="cards"))
    found = report(people, "sr-26-2")
    after = {one.item.id: one for one in found.reports[0].answers}
    assert (before["materiality"].status, after["materiality"].status) == ("unanswered", "answered")
    assert {fact.name for fact in after["materiality"].facts} == {"tier.level", "usecase.present"}
    assert all(fact.record.startswith("sha256:") for fact in after["materiality"].facts)
    assert after["model-definition"].status == "partly"
    assert after["model-definition"].missing[0].endswith("(determination.present)")
    assert found.known["state"] == "draft"
    assert found.known["owner"] == "scientist"


def test_without_a_catalogue_all_in_force_are_reported(people: People) -> None:
    """One report each, by the newest version; what is superseded is left out unless it is named."""
    reports = report(people, None).reports
    assert {one.summary.id for one in reports} == {one.id for one in shipped() if one.superseded_by is None}
    assert report(people, "sr-11-7").reports[0].summary.superseded_by == "sr-26-2"
    with pytest.raises(NotFound) as refused:
        report(people, "sr-26-3")
    assert "sr-26-2" in refused.value.facts["near"]
