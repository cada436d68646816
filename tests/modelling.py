"""A small dossier for tests of the formats: a model trained from a split, with everything that a dossier can say.

All of it is invented; the shapes are those of ``muniment.dossier/1``.
"""

from __future__ import annotations

import hashlib
from typing import Any


def digest(text: str) -> str:
    """The digest of a text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


FILES = {"model.json": b'{"algorithm": "xgboost"}\n', "trees/model.ubj": b"\x7bU\x00}"}
"""The files of the model, as they would be fetched."""


def dossier(**changes: Any) -> dict[str, Any]:
    """The dossier, with other values where they are given."""
    model, train, code, env, base = map(digest, ("model", "train", "code", "env", "base"))
    files = [
        {"path": path, "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}
        for path, content in FILES.items()
    ]
    run = "01m8bpp5vjm7ejzxbys8mx9gap"
    at = "2026-11-23T04:22:00.123456Z"
    entities = [
        {"digest": one, "kind": kind, "label": label, "grade": "proven", "at": at, "author": "User:scientist"}
        for one, kind, label in (
            (model, "model", "model:credit-xgboost@1"),
            (train, "data", "data:credit/train@1"),
            (code, "code", "programs"),
            (env, "env", "env:tabular@1"),
            (base, "base", "base root"),
        )
    ]
    edges = [
        {"relation": "used", "activity": run, "entity": one, "role": role, "grade": "proven", "record": digest("seen")}
        for one, role in ((train, "train"), (code, "programs"), (env, "environment"), (base, "base"))
    ]
    made = {"relation": "was_generated_by", "activity": run, "entity": model, "role": "model"}
    edges.append({**made, "grade": "proven", "record": digest("seen")})
    activity = {"id": run, "kind": "train", "label": "xgboost", "agent": "User:scientist", "plan": digest("plan")}
    document: dict[str, Any] = {
        "format": "muniment.dossier/1",
        "checkpoint": {
            "origin": "muniment.local/0011223344556677",
            "size": 120,
            "root": digest("root"),
            "note": "",
            "time": at,
        },
        "witnesses": [],
        "installation": {"origin": "muniment.local/0011223344556677", "version": "0.1.0"},
        "project": "main",
        "model": {
            "reference": "model:credit-xgboost@1",
            "digest": model,
            "name": "credit-xgboost",
            "version": 1,
            "algorithm": "xgboost",
            "facts": {"target": "default"},
            "files": files,
            "grade": "proven",
            "created_at": at,
            "created_by": "User:scientist",
        },
        "state": {
            "value": "approved",
            "since": at,
            "tier": 1,
            "expires": None,
            "emergency": False,
            "conditions": ["review after a year"],
            "use_limits": ["amounts up to 50,000"],
            "next_review": None,
        },
        "use_case": {
            "name": "cards",
            "purpose": "decide on credit cards",
            "intended_use": "consumer cards",
            "out_of_scope": "companies",
        },
        "registration": {"owner": "ana", "limits": ["no customers under 18"]},
        "tier": {"level": 1},
        "training": {
            "run": f"run:{run}",
            "kind": "train",
            "plan": digest("plan"),
            "requested_by": "User:scientist",
            "started_at": at,
            "ended_at": at,
            "params": {"max_depth": 4, "eta": 0.3},
            "seed": 7,
            "inputs": {"train": "data:credit/train@1"},
            "env": env,
            "base": base,
            "code": code,
            "source": None,
            "enforcement": {"engine": "bwrap", "complete": True},
            "usage": {"wall_s": 1.5},
            "record": digest("seen"),
            "grade": "proven",
        },
        "alternatives": [],
        "data": [
            {
                "reference": "data:credit/train@1",
                "digest": train,
                "role": "train",
                "kind": "data",
                "rows": 18000,
                "columns": 25,
                "schema": [],
                "findings": [],
                "profile": None,
                "classification": "confidential",
                "origin": {},
                "grade": "proven",
                "author": "User:scientist",
                "at": at,
            }
        ],
        "split": None,
        "evaluations": [
            {
                "run": "run:01m8bppeexrq05zpz2yjyjg93s",
                "data": "data:credit/test@1",
                "role": "test",
                "at": at,
                "by": "User:scientist",
                "metrics": {"auc": 0.781, "ks": 0.43},
                "report": {},
                "record": digest("measured"),
                "grade": "proven",
            }
        ],
        "explanations": [
            {
                "run": "run:01m8bppgvaczvwpmrjv3qkqrn2",
                "data": "data:credit/test@1",
                "report": {"features": [{"name": "PAY_0", "share": 0.41}]},
                "record": digest("explained"),
                "grade": "proven",
            }
        ],
        "reproductions": [],
        "absence": [],
        "lineage": {
            "entities": entities,
            "activities": [{**activity, "started_at": at, "ended_at": at, "grade": "proven"}],
            "edges": edges,
            "svg": "",
        },
        "environment": {
            "name": "env:tabular@1",
            "digest": env,
            "python": "3.11",
            "packages": [
                {"name": "xgboost_cpu", "version": "3.1.1", "sha256": digest("wheel"), "wheel": "xgboost_cpu.whl"},
                {"name": "numpy", "version": "2.4.6", "sha256": digest("numpy"), "wheel": "numpy.whl"},
            ],
        },
        "signatures": [{"meaning": "approved", "signer": "User:approver", "at": at}],
        "records": [],
        "findings": [],
        "challenge": [],
        "reviews": [],
        "changes": [],
        "gates": [],
        "facts": [],
        "grades": {"proven": 1, "attested": 0, "declared": 0},
        "entries": [],
    }
    return {**document, **changes}


def vendor_dossier() -> dict[str, Any]:
    """What is known of a model that somebody else trained and nobody measured: almost nothing."""
    known = dossier()
    model = {**known["model"], "files": [], "algorithm": "", "grade": "declared"}
    return {
        **known,
        "model": model,
        "state": {**known["state"], "value": "draft", "conditions": [], "use_limits": []},
        "lineage": {"entities": [], "activities": [], "edges": [], "svg": ""},
        **dict.fromkeys(("use_case", "registration", "tier", "training", "split", "environment")),
        **{name: [] for name in ("data", "evaluations", "explanations", "signatures")},
    }
