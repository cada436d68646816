"""A lineage as an RO-Crate: each activity a CreateAction with what it read, what it made, by which software, for whom.

Metadata alone travel in it: what was read and made is named by its digest, and stays where it is. Beside the metadata
lie the same lineage as W3C PROV-JSON and as OpenLineage events.

Source: RO-Crate Metadata Specification 1.1 (https://w3id.org/ro/crate/1.1); Workflow Run RO-Crate, Process Run Crate
profile 0.5 (https://w3id.org/ro/wfrun/process/0.5).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from muniment.evidence.formats.openlineage import event_lines
from muniment.evidence.formats.prov import prov_document

__all__ = ["crate", "crate_metadata"]

METADATA: Final = "ro-crate-metadata.json"
_CONTEXT: Final = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256", "grade": "urn:muniment:vocabulary:1:grade"},
]
_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_STATES: Final = {"ok": "http://schema.org/CompletedActionStatus"}
_FAILED: Final = "http://schema.org/FailedActionStatus"
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_ELSEWHERE: Final = "#elsewhere"
_MOST_PARAMETERS: Final = 100
_SOFTWARE: Final = ("code", "env", "base")
_BYTES: Final = "application/octet-stream"
_MEDIA: Final = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "gz": "application/gzip",
    "zst": "application/zstd",
}
"""Media types by the ending of a file's name."""

Json = dict[str, Any]


def crate(told: Mapping[str, Any]) -> bytes:
    """The crate as a zip; the same lineage gives the same bytes."""
    files = {
        METADATA: _json(crate_metadata(told)),
        "prov.json": _json(prov_document(told)),
        "openlineage.ndjson": b"".join(event_lines(told)),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return out.getvalue()


def crate_metadata(told: Mapping[str, Any]) -> Json:
    """The metadata document of a ``muniment.lineage/1``."""
    origin, project = told["checkpoint"]["origin"], told["project"]
    entities = {one["digest"]: one for one in told["lineage"]["entities"]}
    activities = told["lineage"]["activities"]
    newest = max([one["ended_at"] for one in activities] + [one["at"] for one in entities.values()], default="")
    agents: dict[str, Json] = {}
    software = [one for one in entities.values() if one["kind"] in _SOFTWARE]
    data = [one for one in entities.values() if one["kind"] not in _SOFTWARE]
    edges: dict[str, list[Mapping[str, Any]]] = {}
    for edge in told["lineage"]["edges"]:
        edges.setdefault(edge["activity"], []).append(edge)
    actions = [_action(one, edges.get(one["id"], []), entities, agents) for one in activities]
    platform = f"urn:muniment:{origin}"
    root: Json = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Lineage of {told['reference']}",
        "description": (
            f"Where {told['reference']} of project {project} comes from and what was made of it ({told['direction']}), "
            f"as recorded by {origin} under the checkpoint of {told['checkpoint']['size']} entries with root hash "
            f"{told['checkpoint']['root']}. Metadata only: contents are named by their SHA-256."
        ),
        "datePublished": (told["past"] or {}).get("moment") or newest,
        "license": {"@id": "#rights"},
        "conformsTo": {"@id": _PROFILE},
        "author": {"@id": platform},
        "publisher": {"@id": platform},
        "hasPart": [
            {"@id": "prov.json"},
            {"@id": "openlineage.ndjson"},
            *({"@id": _id(one)} for one in (*data, *software)),
        ],
        **_linked("mentions", (one["@id"] for one in actions)),
    }
    if told["start"] in entities:
        root["mainEntity"] = {"@id": _id(entities[told["start"]])}
    graph: list[Json] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        root,
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "#rights", "@type": "CreativeWork", "name": "Evidence; no licence is granted by this crate"},
        {"@id": platform, "@type": "Organization", "name": origin},
        *([_elsewhere()] if any(one["instrument"]["@id"] == _ELSEWHERE for one in actions) else []),
        {
            "@id": "prov.json",
            "@type": "File",
            "name": "The same lineage as W3C PROV-JSON",
            "encodingFormat": "application/json",
        },
        {
            "@id": "openlineage.ndjson",
            "@type": "File",
            "name": "The same lineage as OpenLineage run events, one a line",
            "encodingFormat": "application/x-ndjson",
        },
        *(_data(one, agents) for one in data),
        *(_software(one) for one in software),
        *actions,
    ]
    return {"@context": _CONTEXT, "@graph": [*graph, *(agents[name] for name in sorted(agents))]}


def _id(entity: Mapping[str, Any]) -> str:
    return f"urn:{entity['digest']}"


def _data(entity: Mapping[str, Any], agents: dict[str, Json]) -> Json:
    facts = entity["facts"]
    files = facts.get("files") if isinstance(facts.get("files"), list) else []
    size = sum(int(one.get("size", 0)) for one in files) or facts.get("bytes")
    found: Json = {
        "@id": _id(entity),
        "@type": "File",
        "additionalType": entity["kind"],
        "name": entity["label"],
        "sha256": entity["digest"].partition(":")[2],
        "dateCreated": entity["at"],
        "author": {"@id": _agent(entity["author"], agents)},
        "grade": entity["grade"],
        "encodingFormat": _media_type(entity),
    }
    if isinstance(size, int):
        found["contentSize"] = str(size)
    schema = facts.get("schema")
    if isinstance(schema, list) and schema:
        found["description"] = f"{facts.get('rows', 'unknown')} rows, {len(schema)} columns"
    return found


def _software(entity: Mapping[str, Any]) -> Json:
    # A data entity of an RO-Crate is a file or a folder; what the software is is its second type.
    kind = "SoftwareSourceCode" if entity["kind"] == "code" else "SoftwareApplication"
    return {
        "@id": _id(entity),
        "@type": ["File", kind],
        "additionalType": entity["kind"],
        "name": entity["label"],
        "sha256": entity["digest"].partition(":")[2],
        "version": entity["digest"],
        "encodingFormat": _BYTES,
    }


def _elsewhere() -> Json:
    return {
        "@id": _ELSEWHERE,
        "@type": "SoftwareApplication",
        "name": "Software that ran elsewhere, and is not recorded",
        "version": "not recorded",
    }


def _media_type(entity: Mapping[str, Any]) -> str:
    """Snapshots are Parquet; of a file its name tells; what anything else is, only its reader knows."""
    if entity["kind"] == "data":
        return _MEDIA["parquet"]
    name = str(entity["label"]).partition(" (")[0] if entity["kind"] == "file" else ""
    return _MEDIA.get(name.rpartition(".")[2].lower(), _BYTES)


def _linked(name: str, ids: Iterable[str]) -> Json:
    """A property that leads to these, each once: RO-Crate has no empty lists, and none of one."""
    links = [{"@id": one} for one in dict.fromkeys(ids)]
    return {name: links if len(links) > 1 else links[0]} if links else {}


def _moment(moment: str) -> str:
    """A moment as the profile's pattern has it: to the millisecond, with its offset."""
    return f"{moment[:23]}+00:00"


def _action(
    activity: Mapping[str, Any],
    edges: Sequence[Mapping[str, Any]],
    entities: Mapping[str, Mapping[str, Any]],
    agents: dict[str, Json],
) -> Json:
    used = [one for one in edges if one["relation"] == "used"]
    tools = [one for one in used if entities[one["entity"]]["kind"] in _SOFTWARE]
    own = [one for one in tools if one["role"] == "source"] or [one for one in tools if one["role"] == "programs"]
    instrument = {"@id": _id(entities[own[0]["entity"]]) if own else _ELSEWHERE}
    listed = list(activity["params"].items())[:_MOST_PARAMETERS]
    told = "; ".join(f"{name} = {_plain(value)}" for name, value in listed) or "no parameters are recorded"
    found: Json = {
        "@id": f"#run-{activity['id']}",
        "@type": "CreateAction",
        "additionalType": activity["kind"],
        "name": f"{activity['kind']} {activity['label']}",
        "description": told[:4000],
        "startTime": _moment(activity["started_at"]),
        "endTime": _moment(activity["ended_at"]),
        "agent": {"@id": _agent(activity["agent"], agents)},
        "instrument": instrument,
        **_linked("object", (_id(entities[one["entity"]]) for one in used)),
        **_linked("result", (_id(entities[one["entity"]]) for one in edges if one["relation"] != "used")),
        "actionStatus": _STATES.get(activity["status"], _FAILED),
        "grade": activity["grade"],
    }
    if activity["status"] != "ok":
        error = (activity["run"] or {}).get("error") or {}
        found["error"] = str(error.get("message") or activity["status"])
    return found


def _agent(name: str, agents: dict[str, Json]) -> str:
    kind, _, local = name.partition(":")
    ref = f"#{kind}.{_UNSAFE.sub('_', local)}"
    agents[ref] = {"@id": ref, "@type": "Person" if kind == "User" else "SoftwareApplication", "name": local or kind}
    return ref


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
