"""Build provenance: which plan, from which inputs, on which builder made these files.

Source: in-toto attestation framework, Statement v1; SLSA v1.0, provenance (https://slsa.dev/spec/v1.0/provenance).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from muniment.evidence.formats.dsse import STATEMENT, encoded, envelope, preauthentication
from muniment.ledger.note import key_id
from muniment.ledger.ports import Signer

PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:muniment:hermetic-job:1"
"""A job that reads nothing but the dependencies listed, without network; its plan is their canonical JSON."""

DECLARED_TYPE: Final = "urn:muniment:declared-run:1"
"""Something that ran without walls, or elsewhere: the dependencies are those that were told."""

_PINNED: Final = (("code", "programs"), ("env", "environment"), ("base", "base root"))


def provenance(dossier: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The signed statement about the training of a model that was made here."""
    origin = dossier["checkpoint"]["origin"]
    payload = encoded(statement(dossier))
    return envelope(payload, signer.sign(preauthentication(payload)), key_id(origin, signer.public_key).hex())


def statement(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The in-toto statement: the model's manifest and files are its subjects."""
    model, training = dossier["model"], dossier["training"]
    origin = dossier["checkpoint"]["origin"]
    complete = bool((training.get("enforcement") or {}).get("complete"))
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": model["reference"], "digest": _digest(model["digest"])},
            *({"name": file["path"], "digest": _digest(file["digest"])} for file in model["files"]),
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "kind": training["kind"],
                    "inputs": training["inputs"],
                    "parameters": training["params"],
                    "seed": training["seed"],
                    "entry": (training.get("source") or {}).get("entry"),
                },
                "internalParameters": {
                    "plan": training["plan"],
                    "project": dossier["project"],
                    "enforcement": training.get("enforcement") or {},
                },
                "resolvedDependencies": list(_dependencies(dossier)),
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:muniment:{origin}",
                    "version": {"muniment": dossier["installation"]["version"]},
                },
                "metadata": {
                    "invocationId": training["run"],
                    "startedOn": _second(training["started_at"]),
                    "finishedOn": _second(training["ended_at"]),
                },
                "byproducts": [
                    {
                        "name": "what the platform saw of the run",
                        "digest": _digest(training["record"]),
                        "annotations": {"grade": training["grade"], "hermetic": complete},
                    }
                ],
            },
        },
    }


def unsigned(told: Mapping[str, Any], subjects: Mapping[str, Mapping[str, Any]], activity: str) -> dict[str, Any]:
    """The in-toto statement about one making of anything else, from a ``muniment.lineage/1``; nobody signed it.

    Args:
        told: a lineage that holds the activity with everything that it used.
        subjects: what came out, by digest.
        activity: the id of what made it.
    """
    made = next(one for one in told["lineage"]["activities"] if one["id"] == activity)
    run, entities = made["run"] or {}, {one["digest"]: one for one in told["lineage"]["entities"]}
    used = [one for one in told["lineage"]["edges"] if one["activity"] == activity and one["relation"] == "used"]
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": one["label"], "digest": _digest(one["digest"])}
            for one in sorted(subjects.values(), key=lambda one: str(one["digest"]))
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE if run.get("complete") else DECLARED_TYPE,
                "externalParameters": {
                    "kind": made["kind"],
                    "inputs": {one["role"]: entities[one["entity"]]["label"] for one in used},
                    "parameters": made["params"],
                    "seed": made["seed"],
                    "entry": run.get("entry"),
                },
                "internalParameters": {"plan": made["plan"], "project": told["project"]},
                "resolvedDependencies": [
                    {
                        "name": one["role"],
                        "digest": _digest(one["entity"]),
                        "annotations": {"reference": entities[one["entity"]]["label"], "grade": one["grade"]},
                    }
                    for one in used
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:muniment:{told['checkpoint']['origin']}",
                    "version": {"muniment": told["installation"]["version"]},
                },
                "metadata": {
                    "invocationId": f"run:{activity}",
                    "startedOn": _second(made["started_at"]),
                    "finishedOn": _second(made["ended_at"]),
                },
                "byproducts": [
                    {
                        "name": "what the platform saw of the run",
                        **({"digest": _digest(run["record"])} if run.get("record") else {}),
                        "annotations": {"grade": made["grade"], "hermetic": bool(run.get("complete"))},
                    }
                ],
            },
        },
    }


def _dependencies(dossier: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the job could read: its inputs, the program, the user's code, the environment and the base root."""
    training = dossier["training"]
    labels = {one["digest"]: one["label"] for one in dossier["lineage"]["entities"]}
    used = sorted(
        (edge["role"], edge["entity"])
        for edge in dossier["lineage"]["edges"]
        if edge["relation"] == "used" and f"run:{edge['activity']}" == training["run"]
    )
    known = {digest for _, digest in used}
    for field, role in _PINNED:
        if training.get(field) and training[field] not in known:
            used.append((role, training[field]))
    source = training.get("source") or {}
    if source.get("digest") and source["digest"] not in known:
        used.append(("source", source["digest"]))
    for role, digest in used:
        found: dict[str, Any] = {"name": role, "digest": _digest(digest)}
        if digest in labels:
            found["annotations"] = {"reference": labels[digest]}
        if digest == source.get("digest") and (source.get("origin") or {}).get("commit"):
            found["digest"]["gitCommit"] = source["origin"]["commit"]
        yield found


def _digest(text: str) -> dict[str, str]:
    algorithm, _, value = text.partition(":")
    return {algorithm: value}


def _second(moment: str) -> str:
    """RFC 3339 with whole seconds, as the specification asks for."""
    return moment[:19] + "Z"
