"""The verbs of the online table: pick, publish, get; and what compares it, and builds, with each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.naming import label, resolve
from muniment.catalog.ports import Entities
from muniment.data.features.ports import Online, OnlineRow, Publication
from muniment.data.features.views import FEATURES, Known, before, known, published_version, rows_for, strictest, view_of
from muniment.errors import IntegrityError, Invalid, NotFound
from muniment.execution.admission import LOOKUP, DataUse, Using
from muniment.execution.defining import keep_bytes
from muniment.execution.model import JobSpec, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.submitting import limits_from, submit
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call, Content, Effect, verb
from muniment.programs.feature_view import View, key_text, sampled
from muniment.vault.service import Vault
from muniment.wire import features as wire
from muniment.wire.execution import Started

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_KEYS: Final = 1_000
_LONGEST_KEY: Final = 1_000


@verb(
    "features:PickOnline",
    on=FEATURES,
    request=wire.PickOnline,
    reply=Started,
    event="features.pick_requested",
    group="data:write",
)
def pick_online(call: Call, request: wire.PickOnline) -> Started:
    """Pick, hermetically, what is known of each entity of a view now: what its online table shall hold."""
    one = view_of(call.session, call.project, request.view)
    rows = rows_for(call, one, request.build)
    spec = JobSpec(
        kind=ActivityKind.PUBLISH.value,
        program="muniment.programs.feature_latest",
        label=label(call.session, call.project, one.digest).partition(":")[2],
        inputs={"view": str(one.digest), "rows": str(rows.digest)},
        params={"as_of": format_time(call.now)},
        limits=limits_from(request.limits),
        facts={"classification": strictest([rows])},
    )
    return submit(call, spec)


@verb(
    "features:PublishView",
    on=FEATURES,
    request=wire.PublishView,
    reply=wire.Published,
    event="features.published",
    group="data:write",
)
def publish_view(call: Call, request: wire.PublishView) -> wire.Published:
    """Fill the online table with what a run picked; a row that would go back in time is left out. All or nothing."""
    one = view_of(call.session, call.project, request.view)
    run = call.use(RunQueue).get(call.project, request.run.removeprefix("run:"))
    if run is None or run.kind != ActivityKind.PUBLISH.value or run.status is not RunStatus.OK:
        raise Invalid(
            "MUNI-F115",
            "only what a run picked for this view can be published",
            run=request.run[:80],
            status=None if run is None else run.status.value,
            do=f"muni feature publish {one.view.name}",
        )
    inputs = run.job["inputs"]
    if inputs.get("view") != str(one.digest):
        raise Invalid("MUNI-F116", "the run picked values of another view", run=request.run[:80], view=one.view.name)
    picked = next(Digest(one["digest"]) for one in run.result["products"] if one["role"] == "online")
    build, online = Digest(inputs["rows"]), call.use(Online)
    keys: list[str] = []
    rows = _read(one.view, call.use(Vault).stream(call.project, picked), keys)
    accepted = online.put(call.project, one.digest, run.id, rows)
    removed = online.keep_only(call.project, one.digest, keys) if request.prune else 0
    done = Publication(
        id=run.id,
        project=call.project,
        view=one.digest,
        build=build,
        as_of=str(run.job["params"]["as_of"]),
        at=format_time(call.now),
        by=str(call.principal),
        key_types=_key_types(call, one, build),
        offered=len(keys),
        accepted=accepted,
        removed=removed,
    )
    if not any(known.id == run.id for known in online.publications(call.project, one.digest, 1000)):
        online.published(done)
    call.note(view=str(one.digest), build=str(build), offered=len(keys), accepted=accepted, removed=removed)
    return wire.Published(
        view=label(call.session, call.project, one.digest),
        build=label(call.session, call.project, build),
        as_of=done.as_of,
        offered=len(keys),
        accepted=accepted,
        kept_back=len(keys) - accepted,
        removed=removed,
        online=online.count(call.project, one.digest),
    )


@verb(
    "features:LookUpFeatures",
    on=FEATURES,
    request=wire.LookUpFeatures,
    reply=wire.OnlineFeatures,
    event="features.read",
    group="data:read",
    effect=Effect.READ,
)
def get_features(call: Call, request: wire.LookUpFeatures) -> wire.OnlineFeatures:
    """Read features of entities from the online table; one request takes up to 1,000 entities.

    What the rows were built of decides whether it may be read: policy, purpose, rights, holds and grants, as for a job.
    Keys name people: the request travels in a body, never in a URL, and the ledger entry holds counts, no key.
    """
    if not 1 <= len(request.keys) <= _MOST_KEYS:
        raise Invalid("MUNI-F117", f"one request reads 1 to {_MOST_KEYS} entities", found=len(request.keys))
    one, last = _published(call, request.view)
    view = one.view
    chosen = view.chosen(request.features)
    places = {feature.name: number for number, feature in enumerate(view.features)}
    types = {feature.name: feature.type for feature in view.features}
    _permitted(call, last, request)
    values = [_key(view, last.key_types, key) for key in request.keys]
    texts = [key_text(key) for key in values]
    found = call.use(Online).get(call.project, one.digest, sorted(set(texts)))
    call.note(
        view=str(one.digest),
        entities=len(texts),
        found=sum(text in found for text in texts),
        features=list(chosen)[:50],
    )
    return wire.OnlineFeatures(
        view=label(call.session, call.project, one.digest),
        features=list(chosen),
        types=[types[name] for name in chosen],
        entities=[
            _entity(view, key, found.get(text), [places[name] for name in chosen], call.now)
            for key, text in zip(values, texts, strict=True)
        ],
        as_of=last.as_of,
        build=str(last.build),
    )


@verb(
    "features:MeasureSkew",
    on=FEATURES,
    request=wire.MeasureSkew,
    reply=Started,
    event="features.skew_requested",
    group="data:write",
)
def measure_skew(call: Call, request: wire.MeasureSkew) -> Started:
    """Compare, hermetically, what the online table holds with what the point-in-time join gives."""
    one, last = _published(call, request.view)
    online = call.use(Online)
    held = online.count(call.project, one.digest)
    if request.sample is not None and request.sample < 1:
        raise Invalid("MUNI-F118", "a sample holds at least one entity", sample=request.sample)
    share = 1.0 if request.sample is None or not held else min(1.0, request.sample / held)
    rows = online.rows(call.project, one.digest)
    content = b"".join(_line(row) for row in rows if sampled(row.key, request.seed, share))
    # An empty table is compared too: then everything is missing.
    content = content or b"\n"
    digest = keep_bytes(call, content)
    build = call.use(Entities).find(call.project, [last.build])[last.build]
    spec = JobSpec(
        kind=ActivityKind.SKEW.value,
        program="muniment.programs.feature_skew",
        label=one.view.name,
        inputs={"view": str(one.digest), "rows": str(last.build)},
        params={"as_of": last.as_of, "seed": request.seed, "share": share},
        seed=request.seed,
        facts={"classification": strictest([build])},
    )
    return submit(call, spec, {"online": Content(digest, len(content))})


@verb(
    "features:MeasureDrift",
    on=FEATURES,
    request=wire.MeasureDrift,
    reply=Started,
    event="features.drift_requested",
    group="data:write",
)
def measure_drift(call: Call, request: wire.MeasureDrift) -> Started:
    """Measure, hermetically, how far the latest build of a view lies from another one."""
    one = view_of(call.session, call.project, request.view)
    rows = rows_for(call, one, None)
    if request.reference is not None:
        reference = resolve(call.session, call.project, request.reference, EntityKind.DATA)
    else:
        found = before(call, one, rows)
        if found is None:
            raise NotFound(
                "MUNI-F202",
                f"there is no earlier build of {one.view.name} to compare with",
                view=one.view.name,
                do="build it again over newer snapshots, or name what to compare with: --reference DATA",
            )
        reference = found
    spec = JobSpec(
        kind=ActivityKind.DRIFT.value,
        program="muniment.programs.feature_drift",
        label=one.view.name,
        inputs={"view": str(one.digest), "rows": str(rows.digest), "reference": str(reference.digest)},
        facts={"classification": strictest([rows, reference])},
        fresh=False,
    )
    return submit(call, spec)


def _published(call: Call, reference: str) -> tuple[Known, Publication]:
    """The newest version of a view that was published, with its latest publication.

    Raises:
        NotFound: none was.
    """
    for digest in published_version(call, reference):
        found = call.use(Online).publications(call.project, digest, 1)
        if found:
            return known(call.use(Entities).find(call.project, [digest])[digest]), found[0]
    raise NotFound(
        "MUNI-F203",
        f"{reference[:80]} has not been published, so nothing can be read online",
        view=reference[:200],
        do=f"muni feature publish {reference[:80]}",
    )


def _permitted(call: Call, last: Publication, request: wire.LookUpFeatures) -> None:
    """Refuse a read that the terms of the published rows do not allow, as a job over them would be refused."""
    build = call.use(Entities).find(call.project, [last.build])[last.build]
    using = Using(kind=LOOKUP, purpose=request.purpose or None, use_case=request.use_case or None, inputs=(build,))
    call.use(DataUse).permit(call, using)


class _Picked(msgspec.Struct, forbid_unknown_fields=True):
    """One line of what a run picked."""

    key: list[int | str | bool]
    event: int
    known: int
    values: list[msgspec.Raw]


_PICKED: Final = msgspec.json.Decoder(_Picked)


def _read(view: View, pieces: Iterable[bytes], keys: list[str]) -> Iterator[OnlineRow]:
    """The rows that a run picked, each checked; their keys are gathered on the way.

    Raises:
        IntegrityError: a line is not what the program writes, or a key stands twice.
    """
    seen: set[str] = set()
    for number, line in enumerate(_lines(pieces), 1):
        try:
            row = _PICKED.decode(line)
        except msgspec.MsgspecError as broken:
            raise _unreadable(number, str(broken)) from broken
        key = key_text(row.key)
        if len(row.key) != len(view.entity) or len(row.values) != len(view.features) or key in seen:
            raise _unreadable(number, "another number of keys or values, or a key that stands twice")
        if len(key) > _LONGEST_KEY:
            raise Invalid(
                "MUNI-F119",
                f"the key of an entity has at most {_LONGEST_KEY} characters online",
                line=number,
                characters=len(key),
                do="use a shorter key",
            )
        seen.add(key)
        keys.append(key)
        yield OnlineRow(key, row.event, row.known, f"[{','.join(bytes(one).decode() for one in row.values)}]")


def _unreadable(line: int, reason: str) -> IntegrityError:
    return IntegrityError(
        "MUNI-F502", "what was picked for the online table is not readable", line=line, reason=reason[:200]
    )


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _line(row: OnlineRow) -> bytes:
    return f'{{"key":{row.key},"event":{row.event},"known":{row.known},"values":{row.content}}}\n'.encode()


def _key_types(call: Call, one: Known, build: Digest) -> str:
    schema = call.use(Entities).find(call.project, [build])[build].facts.get("schema", [])
    kinds = {column["name"]: str(column["type"]) for column in schema}
    return json.dumps([kinds.get(name, "string") for name in one.view.entity])


def _key(view: View, types: str, given: Mapping[str, Any]) -> list[Any]:
    """The key of an entity in the types of its columns.

    Raises:
        Invalid: a key column is missing or unknown, or the value is of another type.
    """
    if missing := sorted(set(view.entity) ^ given.keys()):
        raise Invalid(
            "MUNI-F141",
            f"an entity of {view.name} is named by {', '.join(view.entity)}",
            missing=[name for name in missing if name in view.entity],
            unknown=[name[:60] for name in missing if name not in view.entity],
            do="give every key column once: --key " + " --key ".join(f"{name}=…" for name in view.entity),
        )
    return [_typed(name, given[name], kind) for name, kind in zip(view.entity, json.loads(types), strict=True)]


def _typed(name: str, value: Any, kind: str) -> Any:
    if "int" in kind:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii() and len(value) < 25:
            return int(value)
    elif kind == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
    elif isinstance(value, str):
        return value
    raise Invalid(
        "MUNI-F142",
        f"the key {name[:60]!r} holds {kind}",
        column=name,
        expected=kind,
        given=str(value)[:60],
        type=type(value).__name__,
        do="give the key as it stands in the data",
    )


def _entity(view: View, key: list[Any], row: OnlineRow | None, places: list[int], now: datetime) -> wire.EntityFeatures:
    named = dict(zip(view.entity, key, strict=True))
    if row is None:
        return wire.EntityFeatures(key=named, found=False, expired=False, event_time=None, values=[None] * len(places))
    moment = _EPOCH + timedelta(microseconds=row.event)
    expired = view.ttl_s is not None and now - moment > timedelta(seconds=view.ttl_s)
    values = json.loads(row.content)
    return wire.EntityFeatures(
        key=named,
        found=True,
        expired=expired,
        event_time=format_time(moment),
        values=[None] * len(places) if expired else [values[place] for place in places],
    )


VERBS: Final = (pick_online, publish_view, get_features, measure_skew, measure_drift)
