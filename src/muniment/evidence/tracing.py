"""The verbs that hand a lineage out: in open formats, and as a story that a supervisor reads from top to bottom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from muniment.catalog.model import EntityKind
from muniment.catalog.resources import ENTITY
from muniment.errors import Conflict, Invalid
from muniment.evidence.formats.openlineage import event_lines
from muniment.evidence.formats.prov import prov_document
from muniment.evidence.formats.ro_crate import crate
from muniment.evidence.formats.slsa import unsigned
from muniment.evidence.lineage import gather_lineage
from muniment.evidence.service import Packs, untold
from muniment.evidence.telling import story
from muniment.inventory.model import Record
from muniment.inventory.ports import Records
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call, Download, Effect, Later, verb
from muniment.wire import lineage as wire
from muniment.wire.catalog import Checkpoint, Past

__all__ = ["FORMS", "VERBS"]

IN_TOTO: Final = "in-toto"

_WRITERS: Final[Mapping[str, tuple[str, str, Callable[[Mapping[str, Any]], Iterable[bytes]]]]] = {
    "prov": ("prov.json", "application/json", lambda told: [_json(prov_document(told))]),
    "openlineage": ("openlineage.ndjson", "application/x-ndjson", event_lines),
    "ro-crate": ("crate.zip", "application/zip", lambda told: [crate(told)]),
}
"""By form: how the file ends, its media type, and what writes it."""

FORMS: Final = (*_WRITERS, IN_TOTO)


@verb(
    "evidence:ExportLineage",
    on=ENTITY,
    request=wire.ExportLineage,
    reply=Download,
    event="lineage.exported",
    group="catalog:read",
    effect=Effect.READ,
)
def export_lineage(call: Call, request: wire.ExportLineage) -> Download | Later:
    """Hand out the lineage of an entity or a run as PROV-JSON, OpenLineage events, in-toto statement or RO-Crate."""
    if request.form not in FORMS:
        raise Invalid(
            "MUNI-E103", f"{request.form[:40]!r} is no format of a lineage", given=request.form[:80], forms=list(FORMS)
        )
    if request.form == IN_TOTO:
        return _statement(call, request)
    told = gather_lineage(call, request.reference, direction=request.direction, depth=request.depth, at=request.at)
    _note(call, request.form, told)
    ending, media_type, write = _WRITERS[request.form]
    return Download(f"{_stem(told)}.{ending}", media_type, write(told))


@verb(
    "evidence:TraceOrigin",
    on=ENTITY,
    request=wire.TraceOrigin,
    reply=wire.Trace,
    event="origin.traced",
    group="catalog:read",
    effect=Effect.READ,
)
def trace_origin(call: Call, request: wire.TraceOrigin) -> wire.Trace:
    """Tell the way of something back to its sources: every step, who and when, and what a reader must not overlook."""
    told = gather_lineage(call, request.reference, at=request.at)
    _note(call, "story", told)
    past = told["past"] and Past(
        moment=told["past"]["moment"],
        entries=told["past"]["entries"],
        checkpoint=Checkpoint(size=told["checkpoint"]["size"], root=told["checkpoint"]["root"]),
    )
    return story(told, _records(call, told), past)


def _records(call: Call, told: Mapping[str, Any]) -> list[Record]:
    """What people stated about the thing itself, by the moment that is told of, oldest first."""
    if told["start"].startswith("sha256:"):
        found = call.use(Records).about(call.project, [told["start"]])
        until = (told["past"] or {}).get("moment")
        return [one for one in found if until is None or format_time(one.at) <= until]
    return []


def _statement(call: Call, request: wire.ExportLineage) -> Download | Later:
    """How it was made; of a model that was made here, signed."""
    told = gather_lineage(call, request.reference, depth=1, at=request.at)
    makers = sorted(
        {
            edge["activity"]
            for edge in told["lineage"]["edges"]
            if edge["relation"] != "used" and edge["entity"] == told["start"]
        }
        if told["start"].startswith("sha256:")
        else {told["start"]}
    )
    kinds = {one["id"]: one["kind"] for one in told["lineage"]["activities"]}
    first = next((one for one in makers if kinds[one] != "reproduce"), None)
    if first is None:
        raise untold(told["reference"])
    entities = {one["digest"]: one for one in told["lineage"]["entities"]}
    start = entities.get(told["start"])
    name = f"{_stem(told)}.intoto.json"
    if start is not None and start["kind"] == EntityKind.MODEL.value and kinds[first] in ("train", "run"):
        _note(call, IN_TOTO, told, signed=True)
        digest, size = Digest(told["start"]), told["checkpoint"]["size"]
        return Later(lambda: _signed(call, digest, size, name))
    subjects = {told["start"]: start} if start is not None else _products(call, told, entities, first)
    if not subjects:  # a statement has at least one
        raise Conflict(
            "MUNI-E303",
            "the run made nothing, so there is nothing to state about it",
            reference=told["reference"],
            do="muni lineage RUN shows what it read and how it ended; --format openlineage or prov hands it on",
        )
    _note(call, IN_TOTO, told, signed=False)
    return Download(name, "application/vnd.in-toto+json", [_json(unsigned(told, subjects, first))])


def _signed(call: Call, model: Digest, size: int, name: str) -> Download:
    """The statement in an envelope that the ledger's key signed."""
    made = call.use(Packs).statement(call, model, size)
    return Download(name, "application/vnd.dsse.envelope+json", [_json(made)])


def _products(
    call: Call, told: Mapping[str, Any], entities: Mapping[str, Mapping[str, Any]], activity: str
) -> dict[str, Mapping[str, Any]]:
    """What a run made: its lineage upstream shows only what it read."""
    below = gather_lineage(
        call, told["reference"], direction="downstream", depth=1, at=(told["past"] or {}).get("moment")
    )
    made = {one["digest"]: one for one in below["lineage"]["entities"]}
    return {
        edge["entity"]: made[edge["entity"]]
        for edge in below["lineage"]["edges"]
        if edge["activity"] == activity and edge["relation"] != "used"
    }


def _note(call: Call, form: str, told: Mapping[str, Any], **more: bool) -> None:
    past = {"as_of": told["past"]["entries"]} if told["past"] else {}
    call.note(
        form=form,
        start=told["start"],
        entities=len(told["lineage"]["entities"]),
        activities=len(told["lineage"]["activities"]),
        size=told["checkpoint"]["size"],
        **past,
        **more,
    )


def _stem(told: Mapping[str, Any]) -> str:
    plain = str(told["reference"]).partition(":")[2].replace("/", "-").replace("@", "-").replace(" ", "-")
    return "".join(letter for letter in plain if letter.isalnum() or letter in "-._")[:80] or "lineage"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


VERBS: Final = (export_lineage, trace_origin)
