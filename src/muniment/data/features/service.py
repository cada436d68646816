"""The verbs of feature views: define, list, show, build, join. Transforms and joins run in hermetic jobs."""

from __future__ import annotations

from typing import Any, Final

from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Entities, Names
from muniment.data.features.ports import Online
from muniment.data.features.views import (
    FEATURES,
    Filling,
    Known,
    fillings,
    known,
    newest_report,
    rows_for,
    strictest,
    view_of,
)
from muniment.errors import Invalid
from muniment.execution.defining import define_document
from muniment.execution.model import JobSpec
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.execution.submitting import limits_from, submit
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import check_name, format_time, parse_time
from muniment.kernel.resources import PROJECT
from muniment.kernel.verb import Call, Effect, verb
from muniment.programs.feature_view import FORMAT, View, duration_s, read_view
from muniment.wire import features as wire
from muniment.wire.execution import Started

_MOST_BYTES: Final = 24 * 1024
"""Over HTTP a definition travels in the query, beside the source tree."""

_MOST_VIEWS: Final = 20


@verb(
    "features:DefineView",
    on=PROJECT,
    request=wire.DefineView,
    reply=wire.Defined,
    event="features.defined",
    group="data:write",
    takes_body=True,
)
def define_view(call: Call, request: wire.DefineView) -> wire.Defined:
    """Define the next version of a feature view over snapshots that are pinned now."""
    name = check_name(request.name, "feature view")
    sources = {
        source: resolve(call.session, call.project, reference, EntityKind.DATA)
        for source, reference in request.sources.items()
    }
    view = read_view(
        {
            "format": FORMAT,
            "name": name,
            "entity": request.entity,
            "event_time": request.event_time,
            "knowledge_time": request.knowledge_time,
            "ttl_s": None if request.ttl is None else duration_s(request.ttl),
            "owner": request.owner or str(call.principal),
            "description": request.description,
            "sources": {source: str(entity.digest) for source, entity in sources.items()},
            "features": [
                {"name": one.name, "type": one.type, "description": one.description} for one in request.features
            ],
            "transform": {
                "language": "sql" if request.entry.endswith(".sql") else "python",
                "entry": request.entry,
                "function": "" if request.entry.endswith(".sql") else request.function or "transform",
                "source": str(call.body.digest),
            },
        }
    )
    document = view.document()
    if (size := len(canonical(document))) > _MOST_BYTES:
        raise Invalid(
            "MUNI-F111",
            "the definition of a feature view is at most 24 KiB",
            bytes=size,
            most_bytes=_MOST_BYTES,
            do="shorten descriptions, or split the view by subject",
        )
    latest = call.use(Names).find(call.project, EntityKind.FEATURES, name, None)
    facts = {
        "document": document,
        "asked": {source: label(call.session, call.project, entity.digest) for source, entity in sources.items()},
        "source_bytes": call.body.size,
        "classification": strictest(sources.values()),
    }
    named = define_document(call, EntityKind.FEATURES, name, "view.json", document, facts)
    call.note(
        view=str(named),
        digest=str(named.digest),
        source=str(call.body.digest),
        features=[one.name for one in request.features[:50]],
    )
    return wire.Defined(
        view=str(named),
        digest=str(named.digest),
        new=latest is None or latest.version != named.version,
        sources={source: str(entity.digest) for source, entity in sources.items()},
    )


@verb(
    "features:ListViews",
    on=PROJECT,
    request=wire.ListViews,
    reply=wire.Views,
    event="features.listed",
    group="catalog:read",
    effect=Effect.READ,
)
def list_views(call: Call, request: wire.ListViews) -> wire.Views:
    """List the feature views of a project, newest first."""
    latest = call.use(Names).latest(call.project, EntityKind.FEATURES, "", max(1, min(request.limit, 1000)))
    entities = call.use(Entities).find(call.project, [name.digest for name in latest])
    return wire.Views(
        views=[_summary(call, str(name), known(entities[name.digest]), format_time(name.at)) for name in latest]
    )


def _summary(call: Call, reference: str, one: Known, defined_at: str) -> wire.ViewSummary:
    builds = fillings(call, one.digest)
    newest = _newest_event(one.view, builds[0]) if builds else None
    return wire.ViewSummary(
        view=reference,
        digest=str(one.digest),
        entity=list(one.view.entity),
        features=len(one.view.features),
        owner=one.view.owner,
        builds=len(builds),
        rows=int(builds[0].rows.facts.get("rows", 0)) if builds else None,
        newest_event=newest,
        age_s=None if newest is None else int((call.now - parse_time(newest)).total_seconds()),
        online=call.use(Online).count(call.project, one.digest),
        defined_at=defined_at,
    )


@verb(
    "features:ShowView",
    on=FEATURES,
    request=wire.ShowView,
    reply=wire.ViewDetail,
    event="features.shown",
    group="catalog:read",
    effect=Effect.READ,
)
def show_view(call: Call, request: wire.ShowView) -> wire.ViewDetail:
    """Show everything recorded about a feature view: builds, columns, freshness, drift, online table, skew."""
    one = view_of(call.session, call.project, request.view)
    view, builds = one.view, fillings(call, one.digest)
    report: dict[str, Any] = {}
    if builds and (run := call.use(RunQueue).get(call.project, builds[0].run)) is not None:
        report = report_of(call, run) or {}
    lineage = report.get("column_lineage") or {}
    drift = newest_report(call, one.digest, ActivityKind.DRIFT)
    skew = newest_report(call, one.digest, ActivityKind.SKEW)
    bound = view.ttl_s if request.freshness is None else duration_s(request.freshness)
    return wire.ViewDetail(
        view=label(call.session, call.project, one.digest),
        digest=str(one.digest),
        name=view.name,
        description=view.description,
        owner=view.owner,
        author=one.entity.author,
        defined_at=format_time(one.entity.at),
        grade=one.entity.grade.value,
        entity=list(view.entity),
        event_time=view.event_time,
        knowledge_time=view.knowledge_time,
        knowledge=f"known at {view.knowledge_time}"
        if view.knowledge_time
        else "known when it happens: no knowledge time is given",
        ttl_s=view.ttl_s,
        sources={name: label(call.session, call.project, Digest(digest)) for name, digest in view.sources.items()},
        transform={
            "language": view.transform.language,
            "entry": view.transform.entry,
            "function": view.transform.function,
            "source": view.transform.source,
        },
        features=_features(view, report, None if drift is None else drift[1]),
        builds=[_build(call, filling) for filling in builds],
        findings=list(report.get("findings", [])),
        column_lineage={key: value for key, value in lineage.items() if key != "features"} or None,
        freshness=_freshness(call, view, builds[0], bound) if builds else None,
        drift=None if drift is None else {"run": f"run:{drift[0].id}", "at": drift[0].ended_at, **drift[1]},
        online=_online(call, one),
        skew=None if skew is None else {"run": f"run:{skew[0].id}", "at": skew[0].ended_at, **skew[1]},
    )


def _features(view: View, report: dict[str, Any], drift: dict[str, Any] | None) -> list[wire.FeatureDetail]:
    lineage = (report.get("column_lineage") or {}).get("features") or {}
    statistics = {one["name"]: one for one in report.get("features", [])}
    shifted = {one["name"]: one.get("psi") for one in (drift or {}).get("features", [])}
    return [
        wire.FeatureDetail(
            name=feature.name,
            type=feature.type,
            description=feature.description,
            columns=(lineage.get(feature.name) or {}).get("columns"),
            grade=(lineage.get(feature.name) or {}).get("grade"),
            nulls=(statistics.get(feature.name) or {}).get("nulls"),
            distinct=(statistics.get(feature.name) or {}).get("distinct"),
            psi=shifted.get(feature.name),
        )
        for feature in view.features
    ]


def _build(call: Call, filling: Filling) -> wire.Build:
    return wire.Build(
        data=label(call.session, call.project, filling.rows.digest),
        digest=str(filling.rows.digest),
        content_digest=str(filling.rows.content_digest),
        run=f"run:{filling.run}",
        rows=int(filling.rows.facts.get("rows", 0)),
        at=format_time(filling.at),
    )


def _newest_event(view: View, filling: Filling) -> str | None:
    clocks = (filling.rows.facts.get("features") or {}).get("clocks") or {}
    newest = (clocks.get(view.event_time) or {}).get("max")
    return newest if isinstance(newest, str) else None


def _freshness(call: Call, view: View, filling: Filling, bound_s: int | None) -> dict[str, Any] | None:
    newest = _newest_event(view, filling)
    if newest is None:
        return None
    age = int((call.now - parse_time(newest)).total_seconds())
    return {
        "newest_event": newest,
        "age_s": age,
        "bound_s": bound_s,
        "fresh": None if bound_s is None else age <= bound_s,
    }


def _online(call: Call, one: Known) -> dict[str, Any] | None:
    found = call.use(Online).publications(call.project, one.digest, 1)
    if not found:
        return None
    last = found[0]
    return {
        "entities": call.use(Online).count(call.project, one.digest),
        "build": label(call.session, call.project, last.build),
        "as_of": last.as_of,
        "published_at": last.at,
        "by": last.by,
        "offered": last.offered,
        "accepted": last.accepted,
        "removed": last.removed,
    }


@verb(
    "features:BuildView",
    on=FEATURES,
    request=wire.BuildView,
    reply=Started,
    event="features.build_requested",
    group="data:write",
)
def build_view(call: Call, request: wire.BuildView) -> Started:
    """Fill a feature view: its transform runs hermetically over its pinned sources."""
    one = view_of(call.session, call.project, request.view)
    spec = JobSpec(
        kind=ActivityKind.TRANSFORM.value,
        program="muniment.programs.feature_build",
        label=label(call.session, call.project, one.digest).partition(":")[2],
        inputs={"view": str(one.digest), **one.view.sources},
        source=Digest(one.view.transform.source),
        entry=one.view.transform.entry,
        env=request.env,
        limits=limits_from(request.limits),
        name=f"{one.view.name}/features",
        facts={"classification": one.entity.classification, "source_bytes": one.entity.facts.get("source_bytes")},
        fresh=False,
    )
    return submit(call, spec)


@verb(
    "features:JoinFeatures",
    on=PROJECT,
    request=wire.JoinFeatures,
    reply=Started,
    event="features.join_requested",
    group="data:write",
)
def join_features(call: Call, request: wire.JoinFeatures) -> Started:
    """Join features to requests as they were known at the moment of each, hermetically."""
    requests = resolve(call.session, call.project, request.requests, EntityKind.DATA)
    columns = [str(column["name"]) for column in requests.facts.get("schema", [])]
    if not 1 <= len(request.views) <= _MOST_VIEWS:
        raise Invalid("MUNI-F112", f"a join takes 1 to {_MOST_VIEWS} views", found=len(request.views))
    views = [view_of(call.session, call.project, wanted.view) for wanted in request.views]
    chosen = [
        {name: f"{one.view.name}__{name}" if request.full_names else name for name in one.view.chosen(wanted.features)}
        for one, wanted in zip(views, request.views, strict=True)
    ]
    _refuse_clashes(columns, [name for names in chosen for name in names.values()])
    for one in views:
        for column in (*one.view.entity, request.time):
            if column not in columns:
                raise Invalid(
                    "MUNI-F113",
                    f"the requests have no column {column[:60]!r}",
                    missing=column,
                    view=one.view.name,
                    columns=columns[:50],
                    do="requests carry the keys of every view, by the same names, and a moment",
                )
    inputs, rows = {"requests": str(requests.digest)}, []
    for number, (one, wanted) in enumerate(zip(views, request.views, strict=True)):
        rows.append(rows_for(call, one, wanted.build))
        inputs |= {f"view_{number}": str(one.digest), f"rows_{number}": str(rows[-1].digest)}
    origin = {
        given: f"{label(call.session, call.project, one.digest)}.{name}"
        for one, names in zip(views, chosen, strict=True)
        for name, given in names.items()
    }
    asked = label(call.session, call.project, requests.digest)
    base = "requests" if asked.startswith("sha256:") else asked.partition(":")[2].partition("@")[0].replace("/", ".")
    spec = JobSpec(
        kind=ActivityKind.JOIN.value,
        program="muniment.programs.feature_join",
        label=" ".join([asked, *(one.view.name for one in views)]),
        inputs=inputs,
        params={
            "time": request.time,
            "views": {str(number): list(map(list, names.items())) for number, names in enumerate(chosen)},
        },
        limits=limits_from(request.limits),
        name=request.name or f"{base[:100]}-features",
        facts={"classification": strictest([requests, *rows]), "columns": origin},
        fresh=False,
    )
    return submit(call, spec)


def _refuse_clashes(columns: list[str], names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1 or name in columns})
    if twice:
        raise Invalid(
            "MUNI-F114",
            f"{twice[0][:60]!r} would stand twice in the result",
            columns=twice[:20],
            do="choose features with VIEW:f1,f2, or call each view__feature: --full-names",
        )


VERBS: Final = (define_view, list_views, show_view, build_view, join_features)
