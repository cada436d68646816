"""Requests and replies about features."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.execution import JobLimits


class FeatureSpec(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One feature, as it is defined."""

    name: str
    type: str
    description: str = ""


class DefineView(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Define the next version of a feature view; a tar of the source tree that holds its transform comes along."""

    project: str
    name: str
    entity: list[str]
    """Columns that together name what the features are about."""

    event_time: str
    sources: dict[str, str]
    """Reference of a snapshot by the name that the transform knows it by."""

    features: list[FeatureSpec]

    entry: str
    """The file with the transform, inside the tree: ``.py`` or ``.sql``."""

    function: str = ""
    """The function in a ``.py`` file."""

    knowledge_time: str | None = None
    """None: known when it happens."""

    ttl: str | None = None
    """Such as ``90d``; None for never."""

    owner: str | None = None
    """None for who defines it."""

    description: str = ""


class Defined(Struct, kw_only=True, frozen=True):
    """The view is known."""

    view: str
    """``features:name@version``."""

    digest: str
    new: bool
    """Whether this is a new version; the same definition again keeps its version."""

    sources: dict[str, str]
    """Digest of each pinned snapshot."""


class ListViews(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The feature views of a project."""

    project: str
    limit: int = 100


class ViewSummary(Struct, kw_only=True, frozen=True):
    """The latest version of a view in one line."""

    view: str
    digest: str
    entity: list[str]
    features: int
    owner: str
    builds: int
    """Builds of this version."""

    rows: int | None
    newest_event: str | None
    age_s: int | None
    """How old the newest event of the latest build is."""

    online: int
    """Entities in the online table of this version."""

    defined_at: str


class Views(Struct, kw_only=True, frozen=True):
    """A list of views, newest first."""

    views: list[ViewSummary]


class ShowView(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One feature view in full."""

    project: str
    view: str
    freshness: str | None = None
    """How old the newest event may be, such as ``2d``; None takes the view's TTL, if it has one."""


class FeatureDetail(Struct, kw_only=True, frozen=True):
    """One feature."""

    name: str
    type: str
    description: str
    columns: list[str] | None
    """Source columns that it rests on, ``source.column``; None before the first build."""

    grade: str | None
    """``proven``: it came out the same with every other column blanked; ``declared``: nobody checked."""

    nulls: int | None
    distinct: int | None
    psi: float | None
    """Against the build before, when that was measured."""


class Build(Struct, kw_only=True, frozen=True):
    """One filling of a view."""

    data: str
    digest: str
    content_digest: str
    run: str
    rows: int
    at: str


class ViewDetail(Struct, kw_only=True, frozen=True):
    """Everything recorded about a view."""

    view: str
    digest: str
    name: str
    description: str
    owner: str
    author: str
    defined_at: str
    grade: str
    entity: list[str]
    event_time: str
    knowledge_time: str | None
    knowledge: str
    """Since when a value is known, in words."""

    ttl_s: int | None
    sources: dict[str, str]
    """Reference of each pinned snapshot."""

    transform: dict[str, str]
    features: list[FeatureDetail]
    builds: list[Build]
    findings: list[dict[str, Any]]
    """Of the latest build."""

    column_lineage: dict[str, Any] | None
    """How the columns of the features are known; without the columns themselves."""

    freshness: dict[str, Any] | None
    """``newest_event``, ``age_s``, ``bound_s``, ``fresh``."""

    drift: dict[str, Any] | None
    """The latest comparison of two builds."""

    online: dict[str, Any] | None
    """The latest publication, and how many entities the online table holds."""

    skew: dict[str, Any] | None
    """The latest comparison of offline and online values."""


class BuildView(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Fill a view: run its transform over its pinned sources."""

    project: str
    view: str
    env: str = "tabular"
    limits: JobLimits = field(default_factory=JobLimits)


class Wanted(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Features of one view."""

    view: str
    features: list[str] | None = None
    """None for all."""

    build: str | None = None
    """The rows to take, a reference; None for the latest build of the view."""


class JoinFeatures(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Join features to requests as they were known at the moment of each request."""

    project: str
    requests: str
    """The snapshot with the keys and the moments."""

    time: str
    """Its column with the moments."""

    views: list[Wanted]
    name: str | None = None
    """Name of the result; None makes it of the names of requests and views."""

    full_names: bool = False
    """Call each feature ``view__feature``."""

    limits: JobLimits = field(default_factory=JobLimits)


class PickOnline(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Pick what is known of each entity now, for the online table."""

    project: str
    view: str
    build: str | None = None
    limits: JobLimits = field(default_factory=JobLimits)


class PublishView(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Fill the online table with what a run picked."""

    project: str
    view: str
    run: str
    """The run that picked it."""

    prune: bool = False
    """Take out entities that the build does not hold."""


class Published(Struct, kw_only=True, frozen=True):
    """The online table is filled."""

    view: str
    build: str
    as_of: str
    offered: int
    accepted: int
    kept_back: int
    """Entities whose row would have gone back in time."""

    removed: int
    online: int
    """Entities in the table now."""


class LookUpFeatures(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Read features of entities online."""

    project: str
    view: str
    keys: list[dict[str, Any]]
    """Value by key column, for each entity; texts are read as the type of the column."""

    features: list[str] | None = None
    purpose: str = ""
    """What the values are used for; asked for where the data are bound to a purpose."""

    use_case: str = ""
    """The use case that they are read for; its purpose counts where none is named."""


class EntityFeatures(Struct, kw_only=True, frozen=True):
    """What is known of one entity."""

    key: dict[str, Any]
    found: bool
    expired: bool
    """Whether its event is older than the view's TTL: then no value counts."""

    event_time: str | None
    values: list[Any]
    """In the order of the reply's features; decimals, dates and moments as texts, integers exact."""


class OnlineFeatures(Struct, kw_only=True, frozen=True):
    """Features as they are read online."""

    view: str
    features: list[str]
    types: list[str]
    entities: list[EntityFeatures]
    """In the order of the request."""

    as_of: str
    build: str


class MeasureSkew(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Compare offline and online values of a view."""

    project: str
    view: str
    sample: int | None = None
    """About so many entities; None for all."""

    seed: int = 0


class MeasureDrift(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Compare two builds of a view."""

    project: str
    view: str
    reference: str | None = None
    """The rows to compare with; None for the build before the latest, of this version or the one before."""
