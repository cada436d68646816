"""Feature views: ``m.features``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from muniment.errors import Invalid
from muniment.sdk.asking import Asking, Job, Watch, reference_of
from muniment.sdk.cells import card, facts, fold, note, table
from muniment.sdk.datasets import Dataset, data_at
from muniment.sdk.feature_files import Definition, definition_of, inline_definition, read_definition
from muniment.sdk.frames import to_frame
from muniment.sdk.lineage import Lineage, lineage_of
from muniment.sdk.shown import count, duration, visible
from muniment.wire import features as wf

__all__ = ["FeatureView", "FeatureViews", "Features", "OnlineValues", "Skew", "resting", "wanted_of"]

_FEATURE: Final = ("feature", "type", "from", "grade", "nulls", "psi", "description")
_SKEW: Final = ("compared", "equal", "different", "missing_online", "missing_offline")


class FeatureView:
    """One version of a feature view."""

    def __init__(self, asking: Asking, detail: wf.ViewDetail) -> None:
        self._asking = asking
        self.detail = detail
        """Everything recorded about it."""

    @property
    def reference(self) -> str:
        """``features:name@version``."""
        return self.detail.view

    @property
    def digest(self) -> str:
        """Digest of its definition: its identity."""
        return self.detail.digest

    def build(self, watch: Watch | None = None) -> Dataset:
        """Fill it, hermetically; gives the rows."""
        return Features(self._asking).build(self, watch=watch)

    def publish(self, *, prune: bool = False, watch: Watch | None = None) -> wf.Published:
        """Fill its online table from its latest build."""
        return Features(self._asking).publish(self, prune=prune, watch=watch)

    def lineage(self) -> Lineage:
        """What was made with it."""
        return lineage_of(self._asking, self.reference, direction="downstream")

    def refresh(self) -> FeatureView:
        """Look again."""
        self.detail = Features(self._asking).get_view(self.reference).detail
        return self

    def rows(self) -> list[tuple[Any, ...]]:
        """Its features, one line each."""
        return [
            (
                one.name,
                one.type,
                ", ".join(one.columns) if one.columns else ("" if one.columns is None else "no column"),
                one.grade or "",
                one.nulls,
                None if one.psi is None else round(one.psi, 4),
                one.description,
            )
            for one in self.detail.features
        ]

    def to_frame(self) -> Any:
        """Its features as a data frame."""
        return to_frame([dict(zip(_FEATURE, row, strict=True)) for row in self.rows()], _FEATURE)

    def __repr__(self) -> str:
        d = self.detail
        built = f"{count(d.builds[0].rows)} rows in {d.builds[0].data}" if d.builds else "not built"
        lines = [f"{d.view}  {len(d.features)} features of {', '.join(d.entity)}  {built}  grade {d.grade}"]
        lines += [f"  {visible(one.name)}: {one.type}  {resting(one.columns or [])}" for one in d.features]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        d = self.detail
        fresh = d.freshness or {}
        online = d.online or {}
        known = {
            "entity": d.entity,
            "event time": d.event_time,
            "knowledge": d.knowledge,
            "ttl": None if d.ttl_s is None else duration(d.ttl_s),
            "owner": d.owner,
            "sources": d.sources,
            "builds": len(d.builds),
            "newest event": fresh.get("newest_event"),
            "online": online.get("entities"),
            "digest": d.digest,
        }
        found = [[f.get("code"), f.get("message"), str(f.get("facts") or "")] for f in d.findings]
        lines = zip(self.rows(), d.features, strict=True)
        return card(
            d.view,
            note(d.description),
            facts(known),
            table(_FEATURE, [[*row[:2], resting(one.columns or []), *row[3:]] for row, one in lines]),
            fold(f"{len(found)} findings", table(["finding", "what", "about"], found)) if found else "",
            badges=(d.grade,),
        )


class FeatureViews(tuple[wf.ViewSummary, ...]):
    """A list of feature views, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per view."""
        names = wf.ViewSummary.__struct_fields__
        return to_frame([{name: getattr(row, name) for name in names} for row in self], names)

    def __repr__(self) -> str:
        return "\n".join(f"{one.view:32} {one.features:>4} features of {', '.join(one.entity)}" for one in self)

    def _repr_html_(self) -> str:
        rows = [
            [
                v.view,
                ", ".join(v.entity),
                v.features,
                v.builds,
                "" if v.rows is None else count(v.rows),
                v.newest_event,
                count(v.online),
            ]
            for v in self
        ]
        return table(["view", "entity", "features", "builds", "rows", "newest event", "online"], rows)


class OnlineValues(Sequence[dict[str, Any]]):
    """What is known online of some entities: one mapping of feature to value each, in the order asked."""

    def __init__(self, reply: wf.OnlineFeatures) -> None:
        self.reply = reply
        """As it came."""

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return dict(zip(self.reply.features, self.reply.entities[place].values, strict=True))

    def __len__(self) -> int:
        return len(self.reply.entities)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[place] for place in range(len(self)))

    def rows(self) -> list[list[Any]]:
        """Keys, state and values, one line per entity."""
        return [
            [*one.key.values(), "expired" if one.expired else ("" if one.found else "unknown"), *one.values]
            for one in self.reply.entities
        ]

    @property
    def columns(self) -> list[str]:
        """Headings of ``rows``."""
        return [*(self.reply.entities[0].key if self.reply.entities else ()), "state", *self.reply.features]

    def to_frame(self) -> Any:
        """A data frame, one row per entity."""
        return to_frame([dict(zip(self.columns, row, strict=True)) for row in self.rows()], self.columns)

    def __repr__(self) -> str:
        return "\n".join("  ".join(visible(value) for value in row) for row in [self.columns, *self.rows()])

    def _repr_html_(self) -> str:
        return card(self.reply.view, table(self.columns, self.rows()), kind=f"as of {self.reply.as_of[:19]}")


class Skew:
    """How online and offline values compare."""

    def __init__(self, report: Mapping[str, Any], run: str) -> None:
        self.report = dict(report)
        """As it was recorded."""
        self.run = run
        """The run that compared them."""

    @property
    def clean(self) -> bool:
        """Whether every value that was compared is equal on both sides, and none is missing."""
        return bool(self.report["equal"] == self.report["compared"])

    def to_frame(self) -> Any:
        """A data frame, one row per feature."""
        return to_frame(self.report["features"], ("name", "different"))

    def __repr__(self) -> str:
        told = "  ".join(f"{name.replace('_', ' ')} {count(self.report[name])}" for name in _SKEW)
        return f"{self.report['view']} as of {self.report['as_of'][:19]}  {told}"

    def _repr_html_(self) -> str:
        apart = [[one["name"], one["different"]] for one in self.report["features"] if one["different"]]
        known = {name.replace("_", " "): count(self.report[name]) for name in _SKEW}
        word = "no skew" if self.clean else "skew"
        return card(
            f"{self.report['view']}: {word}", facts(known), table(["feature", "different"], apart) if apart else ""
        )


class Features:
    """The feature views of the project: ``m.features``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def define(self, definition: str | Path | Mapping[str, Any], code: str | None = None) -> FeatureView:
        """Define the next version of a view.

        Args:
            definition: a ``.toml``, ``.py`` or ``.sql`` file, or the same fields as a mapping.
            code: with a mapping, the text of the transform: Python with a function ``transform``, or SQL.
        """
        return self.get_view(self.defined(read(definition, code)).view)

    def defined(self, definition: Definition) -> wf.Defined:
        """Define the next version of a view from what was read; gives the answer."""
        request = definition.request(self._asking.project)
        return self._asking.ask("features:DefineView", request, wf.Defined, definition.pack())

    def list(self, limit: int = 100) -> FeatureViews:
        """The views of the project, newest first."""
        request = wf.ListViews(project=self._asking.project, limit=limit)
        return FeatureViews(self._asking.ask("features:ListViews", request, wf.Views).views)

    def get_view(self, view: Any, freshness: str | None = None) -> FeatureView:
        """One view with everything recorded about it; ``freshness`` is how old its newest event may be, as ``2d``."""
        request = wf.ShowView(project=self._asking.project, view=reference_of(view), freshness=freshness)
        return FeatureView(self._asking, self._asking.ask("features:ShowView", request, wf.ViewDetail))

    def build(self, view: Any, *, watch: Watch | None = None) -> Dataset:
        """Fill a view, hermetically, and wait for it; gives the rows."""
        run = self.start_build(view)
        return data_at(self._asking, run.wait(watch).checked().product("data"))

    def start_build(self, view: Any) -> Job:
        """Fill a view; gives the run at once."""
        request = wf.BuildView(project=self._asking.project, view=reference_of(view))
        return self._asking.start("features:BuildView", request)

    def join(
        self,
        requests: Any,
        *views: Any,
        time: str,
        name: str | None = None,
        full_names: bool = False,
        watch: Watch | None = None,
    ) -> Dataset:
        """Join features to requests as they were known at the moment of each, hermetically.

        Args:
            requests: the snapshot with the keys and the moments.
            views: views, or ``"behaviour:late_payments,balance"`` for some features of one.
            time: column of the moments.
            name: name of the result.
            full_names: call each feature ``view__feature``.
            watch: see ``Run.wait``.
        """
        run = self.start_join(requests, *views, time=time, name=name, full_names=full_names)
        return data_at(self._asking, run.wait(watch).checked().product("data"))

    def start_join(
        self, requests: Any, *views: Any, time: str, name: str | None = None, full_names: bool = False
    ) -> Job:
        """Like ``join``; gives the run at once."""
        request = wf.JoinFeatures(
            project=self._asking.project,
            requests=reference_of(requests),
            time=time,
            views=[wanted_of(view) for view in views],
            name=name,
            full_names=full_names,
        )
        return self._asking.start("features:JoinFeatures", request)

    def publish(self, view: Any, *, build: Any = None, prune: bool = False, watch: Watch | None = None) -> wf.Published:
        """Fill the online table of a view with what is known of each entity now.

        Args:
            view: the view.
            build: the rows to take; None for its latest build.
            prune: take out entities that the build does not hold.
            watch: see ``Run.wait``.
        """
        run = self.start_pick(view, build=build).wait(watch).checked()
        return self.published(view, run, prune=prune)

    def start_pick(self, view: Any, *, build: Any = None) -> Job:
        """The first half of ``publish``: a run that picks what is known of each entity."""
        rows = None if build is None else reference_of(build)
        request = wf.PickOnline(project=self._asking.project, view=reference_of(view), build=rows)
        return self._asking.start("features:PickOnline", request)

    def published(self, view: Any, run: Job, *, prune: bool = False) -> wf.Published:
        """The second half of ``publish``: what a run picked becomes what online reads give."""
        request = wf.PublishView(project=self._asking.project, view=reference_of(view), run=run.reference, prune=prune)
        return self._asking.ask("features:PublishView", request, wf.Published)

    def get(
        self,
        view: Any,
        *keys: Mapping[str, Any],
        features: Sequence[str] | None = None,
        for_purpose: str = "",
        for_use_case: str = "",
        **key: Any,
    ) -> OnlineValues:
        """Read features online: ``m.features.get("behaviour", customer=42)``, or several keys as mappings.

        Data that are bound to a purpose are read by whoever says it: ``for_purpose``, or the one of a use case.
        """
        request = wf.LookUpFeatures(
            project=self._asking.project,
            view=reference_of(view),
            keys=[dict(one) for one in keys] or [key],
            features=None if features is None else list(features),
            purpose=for_purpose,
            use_case=for_use_case,
        )
        return OnlineValues(self._asking.ask("features:LookUpFeatures", request, wf.OnlineFeatures))

    def skew(self, view: Any, *, sample: int | None = None, seed: int = 0, watch: Watch | None = None) -> Skew:
        """Compare, hermetically, what online reads give with what the point-in-time join gives."""
        run = self.start_skew(view, sample=sample, seed=seed).wait(watch).checked()
        return self.skew_of(view, run)

    def start_skew(self, view: Any, *, sample: int | None = None, seed: int = 0) -> Job:
        """Like ``skew``; gives the run at once."""
        request = wf.MeasureSkew(project=self._asking.project, view=reference_of(view), sample=sample, seed=seed)
        return self._asking.start("features:MeasureSkew", request)

    def skew_of(self, view: Any, run: Job) -> Skew:
        """What a run found that compared them."""
        return Skew(_report(self._asking, run), run.reference)

    def drift(self, view: Any, *, reference: Any = None, watch: Watch | None = None) -> FeatureView:
        """Measure, hermetically, how far the latest build lies from the one before; gives the view with its PSIs."""
        self.start_drift(view, reference=reference).wait(watch).checked()
        return self.get_view(view)

    def start_drift(self, view: Any, *, reference: Any = None) -> Job:
        """Like ``drift``; gives the run at once."""
        rows = None if reference is None else reference_of(reference)
        request = wf.MeasureDrift(project=self._asking.project, view=reference_of(view), reference=rows)
        return self._asking.start("features:MeasureDrift", request)


def resting(columns: Sequence[str]) -> str:
    """Columns of sources as people read them: ``credit: AGE, SEX``, each source once."""
    by_source: dict[str, list[str]] = {}
    for one in columns:
        source, _, column = one.partition(".")
        by_source.setdefault(source, []).append(column)
    return "; ".join(f"{source}: {', '.join(names)}" for source, names in by_source.items()) or "no column"


def read(definition: str | Path | Mapping[str, Any], code: str | None = None) -> Definition:
    """The definition in a file, or the one that a mapping and the text of its transform are."""
    if not isinstance(definition, Mapping):
        return read_definition(Path(definition).expanduser())
    if code is None:
        return definition_of(definition, Path(), str(definition.get("name", "definition")))
    return inline_definition(definition, code)


def wanted_of(view: Any) -> wf.Wanted:
    """What ``VIEW`` or ``VIEW:f1,f2`` asks for; a view may bear its prefix, its version or its digest."""
    if isinstance(view, wf.Wanted):
        return view
    text = reference_of(view)
    prefix = next((one for one in ("features:", "sha256:") if text.startswith(one)), "")
    name, colon, chosen = text[len(prefix) :].partition(":")
    if colon and not chosen:
        raise Invalid("MUNI-A186", f"{text[:80]!r} names no feature after the colon", given=text[:200], do="VIEW:f1,f2")
    return wf.Wanted(view=prefix + name, features=chosen.split(",") if chosen else None)


def _report(asking: Asking, run: Job) -> dict[str, Any]:
    return dict(run.detail.report or {})
