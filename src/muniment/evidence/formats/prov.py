"""The lineage of a model as W3C PROV-JSON.

Source: PROV-DM (W3C Recommendation, 30 April 2013); the PROV-JSON serialisation (W3C Member Submission, 24 April 2013).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")


def prov_document(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The lineage of a dossier, or of a ``muniment.lineage/1``: entities, activities, agents and their relations.

    Where the value tells of derivations they stand as ``wasDerivedFrom``: there a program of the platform made the one
    out of the other. Bytes that were made more than once are one entity with several generations. Attributes under
    ``muniment:`` carry what PROV has no word for: the grade of each statement and its record.
    """
    origin = dossier["checkpoint"]["origin"]
    lineage = dossier["lineage"]
    entities: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    relations: dict[str, dict[str, Any]] = {
        "used": {},
        "wasGeneratedBy": {},
        "wasAssociatedWith": {},
        "wasAttributedTo": {},
    }
    for one in lineage["entities"]:
        name = _entity(one["digest"])
        entities[name] = {
            "prov:label": one["label"],
            "prov:type": _typed(f"muniment:{one['kind']}"),
            "muniment:grade": one["grade"],
        }
        agent = _agent(one["author"], agents)
        relations["wasAttributedTo"][f"_:a{len(relations['wasAttributedTo'])}"] = {
            "prov:entity": name,
            "prov:agent": agent,
        }
    activities: dict[str, Any] = {}
    for one in lineage["activities"]:
        name = f"run:{one['id']}"
        activities[name] = {
            "prov:startTime": one["started_at"],
            "prov:endTime": one["ended_at"],
            "prov:label": one["label"],
            "prov:type": _typed(f"muniment:{one['kind']}"),
            "muniment:grade": one["grade"],
            **({"muniment:plan": one["plan"]} if one.get("plan") else {}),
        }
        relations["wasAssociatedWith"][f"_:w{len(relations['wasAssociatedWith'])}"] = {
            "prov:activity": name,
            "prov:agent": _agent(one["agent"], agents),
        }
    for edge in lineage["edges"]:
        kind = "used" if edge["relation"] == "used" else "wasGeneratedBy"
        relations[kind][f"_:{kind[0]}{len(relations[kind])}"] = {
            "prov:activity": f"run:{edge['activity']}",
            "prov:entity": _entity(edge["entity"]),
            "prov:role": edge["role"],
            "muniment:grade": edge["grade"],
            **({"muniment:record": edge["record"]} if edge.get("record") else {}),
        }
    for number, one in enumerate(dossier.get("derivations", ())):
        relations.setdefault("wasDerivedFrom", {})[f"_:d{number}"] = {
            "prov:generatedEntity": _entity(one["generated"]),
            "prov:usedEntity": _entity(one["used"]),
            "prov:activity": f"run:{one['activity']}",
        }
    return {
        "prefix": {
            "sha256": "urn:sha256:",
            "run": f"urn:muniment:{origin}:run:",
            "agent": f"urn:muniment:{origin}:agent:",
            "muniment": "urn:muniment:vocabulary:1:",
        },
        "entity": entities,
        "activity": activities,
        "agent": agents,
        **{kind: found for kind, found in relations.items() if found},
    }


def _entity(digest: str) -> str:
    return f"sha256:{digest.partition(':')[2]}"


def _agent(name: str, agents: dict[str, Any]) -> str:
    kind, _, local = name.partition(":")
    qualified = f"agent:{kind}.{_UNSAFE.sub('_', local)}"
    agents[qualified] = {
        "prov:label": name,
        "prov:type": _typed("prov:Person" if kind == "User" else "prov:SoftwareAgent"),
    }
    return qualified


def _typed(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}
