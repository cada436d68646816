"""The verbs of control catalogues: which there are, what they ask, and what the records answer about a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from muniment.catalog.model import EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Checkpoints
from muniment.catalog.resources import MODEL
from muniment.errors import Conflict, IntegrityError
from muniment.evidence.answering import Answered, ItemAnswer, answer, counts, report_facts
from muniment.evidence.catalogue import Answerable, Catalogue, Catalogues, Item, check_successor, read, shipped
from muniment.inventory.facts.fact import Absent, Fact, Facts
from muniment.inventory.facts.gathering import gather_facts
from muniment.inventory.model import RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.policy.ports import PolicyDocuments
from muniment.wire import catalogues as wire

__all__ = ["VERBS", "known_catalogues"]

_HEADLINE: Final = {"state": "model.state", "tier": "tier.level", "owner": "model.owner", "origin": "model.origin"}
"""What stands at the head of a report, and the facts it is read from."""


@verb(
    "evidence:ListCatalogues",
    on=PROJECT,
    request=wire.ListCatalogues,
    reply=wire.CatalogueList,
    event="catalogues.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_catalogues(call: Call, request: wire.ListCatalogues) -> wire.CatalogueList:
    """List the control catalogues that reports can be made by: what ships, and what the institution published."""
    known = known_catalogues(call)
    return wire.CatalogueList(catalogues=[_summary(known, one) for one in known.newest()])


@verb(
    "evidence:ShowCatalogue",
    on=PROJECT,
    request=wire.ShowCatalogue,
    reply=wire.CatalogueDetail,
    event="catalogue.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_catalogue(call: Call, request: wire.ShowCatalogue) -> wire.CatalogueDetail:
    """Show what a control catalogue asks, item by item, with the query that answers each and what it does not show."""
    known = known_catalogues(call)
    found = known.get(request.catalogue)
    call.note(catalogue=found.name, digest=found.digest)
    return wire.CatalogueDetail(
        summary=_summary(known, found),
        status=found.status,
        sources=list(found.sources),
        items=[_item(item) for item in found.items],
    )


@verb(
    "evidence:PublishCatalogue",
    on=PROJECT,
    request=wire.PublishCatalogue,
    reply=wire.CatalogueSummary,
    event="catalogue.published",
    group="policy:manage",
)
def publish_catalogue(call: Call, request: wire.PublishCatalogue) -> wire.CatalogueSummary:
    """Add a control catalogue of one's own, or a newer version of any, as a file; no code changes."""
    content = request.content.encode(errors="replace")
    new = read(content, request.file[:200])
    known = known_catalogues(call)
    check_successor(new, {*(one.id for one in known.newest()), new.id})
    newest = max(known.versions(new.id), default=0)
    if new.version <= newest:
        raise Conflict(
            "MUNI-E350",
            f"the catalogue {new.id!r} is at version {newest}; a newer one has a higher version",
            catalogue=new.id,
            version=new.version,
            newest=newest,
            do=f"set version = {newest + 1} in the file",
        )
    digest = call.use(PolicyDocuments).put(content)
    body = {
        "catalogue": new.id,
        "version": new.version,
        "title": new.title,
        "effective_from": new.effective_from.isoformat(),
        "document": str(digest),
        "items": len(new.items),
    }
    keep(call, RecordKind.CATALOGUE, f"catalogue:{new.id}", body)
    call.note(catalogue=new.name, digest=digest)
    return _summary(known_catalogues(call), new)


@verb(
    "evidence:ReportModel",
    on=MODEL,
    request=wire.ReportModel,
    reply=wire.ModelReport,
    event="model.reported",
    group="catalog:read",
    effect=Effect.READ,
)
def report_model(call: Call, request: wire.ReportModel) -> wire.ModelReport:
    """Answer a control catalogue about a model version: each item with the facts and the records it rests on."""
    known = known_catalogues(call)
    if request.catalogue is None:
        asked = tuple(one for one in known.newest() if one.superseded_by is None)
    else:
        asked = (known.get(request.catalogue),)
    model = resolve(call.session, call.project, request.model, EntityKind.MODEL)
    facts = gather_facts(call, model.digest)
    size, root = call.use(Checkpoints).covering()
    call.note(model=model.digest, catalogues=[one.name for one in asked])
    return wire.ModelReport(
        model=label(call.session, call.project, model.digest),
        digest=model.digest,
        project=call.project,
        at=format_time(call.now),
        checkpoint=wire.Checkpoint(size=size, root=root),
        known={name: str(facts[of].value) for name, of in _HEADLINE.items() if of in facts},
        reports=[_report(known, answer(one, _with_report(facts, report_facts(one, size)))) for one in asked],
    )


VERBS: Final = (list_catalogues, show_catalogue, publish_catalogue, report_model)


def known_catalogues(call: Call) -> Catalogues:
    """Every version of every catalogue that is known in the project of this call.

    Raises:
        IntegrityError: the file of a published one is not kept.
    """
    published = []
    for record in call.use(Records).of_kind(call.project, RecordKind.CATALOGUE):
        name = f"{record.body['catalogue']}@{record.body['version']}"
        content = call.use(PolicyDocuments).get(Digest(record.body["document"]))
        if content is None:
            raise IntegrityError(
                "MUNI-E551", f"the file of the catalogue {name} is not kept", catalogue=name, record=record.digest
            )
        published.append(read(content, f"{name}.toml"))
    return Catalogues([*shipped(), *published])


def _with_report(facts: Facts, report: Mapping[str, Fact]) -> Facts:
    absent = (Absent(name, why) for name, why in facts.absent().items())
    return Facts([*facts.values(), *report.values(), *absent])


def _summary(known: Catalogues, catalogue: Catalogue) -> wire.CatalogueSummary:
    reach = Counter(item.answerable for item in catalogue.items)
    return wire.CatalogueSummary(
        catalogue=catalogue.name,
        id=catalogue.id,
        version=catalogue.version,
        versions=list(known.versions(catalogue.id)),
        title=catalogue.title,
        issuer=catalogue.issuer,
        effective_from=catalogue.effective_from.isoformat(),
        superseded_by=catalogue.superseded_by,
        origin="shipped" if catalogue in shipped() else "published",
        digest=catalogue.digest,
        items=len(catalogue.items),
        fully=reach[Answerable.FULLY],
        in_part=reach[Answerable.IN_PART],
        open=reach[Answerable.OPEN],
    )


def _item(item: Item) -> wire.CatalogueItem:
    return wire.CatalogueItem(
        id=item.id,
        reference=item.reference,
        title=item.title,
        text=item.text,
        confidence=item.confidence.value,
        answerable=item.answerable.value,
        query="" if item.query is None else str(item.query),
        gap=item.gap,
        open=item.open,
        records=list(item.records),
        evidence=list(item.evidence),
    )


def _report(known: Catalogues, answered: Answered) -> wire.CatalogueReport:
    return wire.CatalogueReport(
        summary=_summary(known, answered.catalogue),
        status=answered.catalogue.status,
        counts=counts(answered.items),
        answers=_answers(answered.items),
    )


def _answers(items: Iterable[ItemAnswer]) -> list[wire.ItemAnswer]:
    return [
        wire.ItemAnswer(
            item=_item(one.item),
            status=one.status.value,
            grade=one.grade.value if one.grade else None,
            parts=[wire.AnswerPart(text=p.text, outcome=p.outcome.value, why=p.why) for p in one.pieces],
            facts=[
                wire.FactFound(name=f.name, value=f.value, grade=f.grade.value, record=f.record, text=f.text)
                for f in one.facts
            ],
            missing=list(one.missing),
        )
        for one in items
    ]
