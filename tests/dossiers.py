"""Dossiers for tests of reports: the making of a real model on generated data, and a life after it that is invented.

``dossiers.json`` holds what the platform recorded when the demo's model was trained, measured, explained and made again
(numbers rounded, points thinned out). Use case, tier, findings, review, approvals and signatures are made up here, in
the shapes of ``muniment.dossier/1``; no person or bank stands behind them.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

_MADE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def digest(text: str) -> str:
    """The digest of a text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def trained() -> dict[str, Any]:
    """A model that was trained and measured, and that nobody has looked at yet."""
    return copy.deepcopy(_MADE)


def vendor() -> dict[str, Any]:
    """A model from outside: registered and declared, with nothing that the platform saw."""
    made = trained()
    found = {
        "format": "muniment.dossier/1",
        "checkpoint": made["checkpoint"],
        "witnesses": [],
        "installation": made["installation"],
        "project": "credit-risk",
        "model": {
            "reference": "model:bureau-score@3",
            "digest": digest("bureau"),
            "name": "bureau-score",
            "version": 3,
            "algorithm": "",
            "facts": {},
            "files": [],
            "grade": "declared",
            "created_at": made["checkpoint"]["time"],
            "created_by": "User:nadia",
        },
        "state": {"value": "draft", "since": made["checkpoint"]["time"], "tier": None},
        "training": None,
        "records": [],
        "entries": [],
        "grades": {"proven": 0, "attested": 0, "declared": 1},
    }
    body = {
        "model": "model:bureau-score@3",
        "name": "bureau-score",
        "version": 3,
        "model_kind": "model",
        "origin": "vendor",
        "supplier": "Example Bureau Ltd",
        "owner": "User:nadia",
        "description": "Score of a credit bureau, bought as a service and used as an input.",
        "assumptions": [],
        "limits": ["The vendor does not disclose the training data."],
    }
    return _with(found, "registration", body, grade="declared", put="registration")


def approved() -> dict[str, Any]:
    """A model with a whole life: use case, tier, gates, validation, findings, challenge, approval by two people."""
    found = trained()
    found["checkpoint"]["time"] = "2026-11-26T16:00:00.000000Z"
    model = found["model"]
    subject = model["digest"]
    _with(
        found,
        "use-case",
        {
            "name": "retail-card-limits",
            "version": 2,
            "purpose": "Estimate the probability that a holder of a credit card misses next month's payment, to set "
            "limits and to steer early contact.\nThe score supports a decision; it does not take one by itself.",
            "kpis": [
                {"name": "Separation", "expression": "metric.auc >= 0.75"},
                {"name": "Truth of probabilities", "expression": "metric.ece <= 0.02"},
            ],
            "legal": ["GDPR Article 22: a person decides", "Equal treatment of customers"],
            "jurisdiction": ["EU", "DE"],
            "allowed_algorithms": ["logistic_regression", "xgboost", "lightgbm"],
            "prohibited_attributes": ["SEX", "MARRIAGE"],
            "owner": "User:clara.weiss",
            "exposure": 1850000000,
            "currency": "EUR",
            "purpose_class": "credit-decision",
            "intended_use": "Monthly review of limits of cards of private customers, by the limits desk.",
            "out_of_scope": "New applications, corporate cards, collections, pricing.",
        },
        put="use_case",
    )
    _with(
        found,
        "registration",
        {
            "model": model["reference"],
            "digest": subject,
            "name": model["name"],
            "version": model["version"],
            "use_case": "retail-card-limits",
            "model_kind": "model",
            "origin": "platform",
            "owner": "User:clara.weiss",
            "description": "Gradient-boosted trees on six months of payment behaviour, balances and limits.",
            "assumptions": [
                "Payment behaviour of the last six months carries over to the next.",
                "Missing a payment means the same across all products of the portfolio.",
            ],
            "limits": ["Not validated for customers with less than six months of history."],
            "algorithm": "lightgbm",
        },
        put="registration",
    )
    _with(
        found,
        "tier",
        {
            "level": 2,
            "rule": {"id": "materiality", "version": 1, "digest": digest("rule")},
            "exposure": 1850000000,
            "purpose_class": "credit-decision",
            "requires": {
                "approvals": 2,
                "evidence": ["evaluation", "explanation", "reproduction", "fairness"],
                "steps": ["independent validation", "approval by two"],
                "review_months": 12,
            },
        },
        grade="proven",
        put="tier",
    )
    _gates(found)
    _life(found, subject)
    found["state"] = {
        "value": "approved",
        "since": "2026-11-26T15:20:00.000000Z",
        "tier": 2,
        "expires": "2027-11-26T00:00:00.000000Z",
        "expired": False,
        "emergency": False,
        "conditions": ["Monthly monitoring of calibration by product.", "Limits are lowered by a person only."],
        "use_limits": ["Exposure per customer up to EUR 25,000.", "Germany and Austria only."],
        "next_review": "2027-05-26",
        "required_approvals": 2,
    }
    found["witnesses"] = [
        {
            "name": "witness.example.org/audit-1",
            "key": "audit-1",
            "size": found["checkpoint"]["size"],
            "line": "— audit-1",
        },
        {
            "name": "witness.example.org/supervisor",
            "key": "supervisor",
            "size": found["checkpoint"]["size"],
            "line": "— s",
        },
    ]
    _facts(found)
    found["grades"] = {"proven": found["grades"]["proven"] + 6, "attested": 5, "declared": 9}
    return found


def _facts(found: dict[str, Any]) -> None:
    evaluation, training = found["evaluations"][0], found["training"]
    metrics = evaluation["metrics"]
    measured, made = evaluation["record"], training["record"]
    found["facts"] = [
        {"name": name, "value": value, "grade": grade, "record": record, "text": text}
        for name, value, grade, record, text in (
            (
                "metric.auc",
                metrics["auc"],
                "proven",
                measured,
                "of the newest evaluation on data proven unused in training",
            ),
            (
                "metric.ece",
                metrics["ece"],
                "proven",
                measured,
                "of the newest evaluation on data proven unused in training",
            ),
            ("fairness.air", metrics["air"], "proven", measured, "worst over all groups"),
            (
                "fairness.columns",
                ["age", "education", "sex"],
                "proven",
                measured,
                "columns by which groups were compared",
            ),
            ("stability.psi", metrics["psi"], "proven", measured, "scores against the training data"),
            (
                "explanation.present",
                True,
                "proven",
                found["explanations"][0]["record"],
                "a global explanation was computed",
            ),
            ("holdout.unused", True, "proven", made, "every other part of the same split is proven unused in training"),
            ("job.enforced", True, "proven", made, "every run of the lineage ran behind complete walls"),
            ("job.network", "none", "proven", made, "network of the runs of the lineage"),
            ("data.rows", 18000, "proven", made, "rows that it was trained on"),
            (
                "reproduction.identical",
                True,
                "proven",
                found["reproductions"][0]["run"],
                "bit for bit, by another person",
            ),
            ("usecase.owner", "User:clara.weiss", "declared", found["use_case"]["record"], "owner of the use case"),
            ("approval.count", 2, "attested", found["approvals"][-1]["record"], "people who approved it"),
            ("approval.expires", "2027-11-26", "attested", found["approvals"][-1]["record"], "when the approval ends"),
            ("findings.open", 2, "declared", found["findings"][0]["record"], "open findings"),
            ("tier.level", 2, "proven", found["tier"]["record"], "materiality tier"),
        )
    ]
    found["absent"] = {
        "drill.present": "no exercise of the exit plan is recorded",
        "key.rotated": "the project's key was never rotated",
    }


def _gates(found: dict[str, Any]) -> None:
    metrics = found["evaluations"][0]["metrics"]
    for name, expression, stage, parts in (
        (
            "performance",
            "metric.auc >= 0.75 and metric.ece <= 0.02",
            "submit",
            [
                ("metric.auc >= 0.75", "yes", f"it is {metrics['auc']:.4f}"),
                ("metric.ece <= 0.02", "yes", f"it is {metrics['ece']:.4f}"),
            ],
        ),
        (
            "fair and open",
            "fairness.air >= 0.8 and explanation.present and holdout.unused",
            "approve",
            [
                ("fairness.air >= 0.8", "yes", f"it is {metrics['air']:.4f}"),
                ("explanation.present", "yes", ""),
                ("holdout.unused", "yes", ""),
            ],
        ),
        (
            "challenged",
            "validation.independent and challenge.unresolved = 0 and drill.present",
            "approve",
            [
                ("validation.independent", "yes", ""),
                ("challenge.unresolved = 0", "yes", "it is 0"),
                ("drill.present", "unknown", "nothing is recorded"),
            ],
        ),
    ):
        body = {"name": name, "version": 1, "expression": expression, "stage": stage, "reason": "policy"}
        outcome = "unknown" if any(part[1] == "unknown" for part in parts) else "yes"
        more = {"outcome": outcome, "parts": [list(part) for part in parts], "fixed_at": "2026-11-20T09:00:00.000000Z"}
        _with(found, "gate", body, put="gates", more=more)


def _life(found: dict[str, Any], subject: str) -> None:
    for meaning, kind, signer, at, body, put in (
        ("submitted for validation", "submission", "jon.scientist", "2026-11-26T11:30:00.000000Z", {"note": ""}, None),
        (
            "validated",
            "review",
            "mara.validator",
            "2026-11-26T14:05:00.000000Z",
            {
                "outcome": "satisfactory with findings",
                "scope": ["data", "method", "performance", "explanation"],
                "text": "Data, split and the making of the model were checked from their records; it was made again. "
                "Separation is stable against the benchmark regression; calibration is good up to a score of 0.6, and "
                "thin above.\nThe direction of all leading features agrees with what the desk knows.",
                "conceptual_soundness": "Sound for behavioural scoring. The trees add little over a regression on the "
                "same features for low scores; the gain lies among customers who have missed a payment before.",
            },
            "reviews",
        ),
        (
            "approved",
            "approval",
            "otto.approver",
            "2026-11-26T15:02:00.000000Z",
            {
                "conditions": ["Monthly monitoring of calibration by product."],
                "use_limits": ["Germany and Austria only."],
                "expires": "2027-11-26T00:00:00.000000Z",
                "emergency": False,
            },
            "approvals",
        ),
        (
            "approved",
            "approval",
            "irene.approver",
            "2026-11-26T15:20:00.000000Z",
            {
                "conditions": ["Limits are lowered by a person only."],
                "use_limits": ["Exposure per customer up to EUR 25,000."],
                "expires": "2027-11-26T00:00:00.000000Z",
                "emergency": False,
            },
            "approvals",
        ),
    ):
        statement = json.dumps(
            {"format": "muniment.statement/1", "meaning": meaning, "subject": subject}, separators=(",", ":")
        )
        signature = {
            "statement": statement,
            "signature": "c2lnbmF0dXJl",
            "key": digest(signer)[:23],
            "public_key": "cHVibGlj",
        }
        made = {**body, "signature": signature}
        record = _with(found, kind, made, put=put, grade="attested", by=f"User:{signer}", at=at)["records"][-1][
            "digest"
        ]
        found["signatures"].append(
            {**signature, "meaning": meaning, "signer": f"User:{signer}", "at": at, "record": record}
        )
    closure = {
        "evidence": "run:" + "0" * 26,
        "text": "Bands were widened and measured again.",
        "at": "2026-11-26T13:40:00.000000Z",
        "by": "User:jon.scientist",
        "record": digest("closure"),
        "grade": "declared",
    }
    for title, severity, due, text, closed in (
        (
            "Few rows above a score of 0.8",
            "medium",
            "2027-02-28",
            "The highest band rests on few rows of the test part.",
            None,
        ),
        ("Base rates by education differ", "low", "2027-03-31", "Explain the difference in the next review.", None),
        ("Bands of score too fine", "low", "2026-12-15", "Two bands held fewer than a hundred rows.", closure),
    ):
        body = {
            "title": title,
            "severity": severity,
            "owner": "User:jon.scientist",
            "due": due,
            "text": text,
            "model": subject,
        }
        _with(found, "finding", body, put="findings", more={"closed": closed}, by="User:mara.validator")
    first = "Why trees, when the regression is within two points of AUC and simpler to explain?"
    _with(
        found,
        "comment",
        {"text": first, "in_reply_to": None, "resolved": True},
        put="challenge",
        by="User:mara.validator",
        at="2026-11-26T12:10:00.000000Z",
    )
    answer = (
        "Most of the gain is among customers with a missed payment, where limits matter most. See bands one and two."
    )
    _with(
        found,
        "comment",
        {"text": answer, "in_reply_to": "x", "resolved": True},
        put="challenge",
        by="User:jon.scientist",
        at="2026-11-26T12:55:00.000000Z",
    )
    _with(
        found,
        "review-schedule",
        {"due": "2027-05-26", "trigger": "date", "reason": "six months after approval"},
        put="reviews",
        grade="proven",
    )
    feeding = {
        "on": digest("bureau"),
        "reference": "model:bureau-score@3",
        "reason": "its score is a column of the file",
    }
    _with(found, "dependency", feeding, put="dependencies")
    _with(
        found,
        "change",
        {
            "from": digest("earlier"),
            "to": subject,
            "differences": [
                {"section": "parameters", "name": "algorithm", "from": "logistic_regression", "to": "lightgbm"},
                {"section": "data", "name": "rows", "from": 17100, "to": 18000},
                {"section": "performance", "name": "auc", "from": "0.7581", "to": "0.7922"},
            ],
            "proposed_class": "material",
            "decided_class": "material",
        },
        put="changes",
        by="User:mara.validator",
    )


def _with(
    found: dict[str, Any],
    kind: str,
    body: dict[str, Any],
    *,
    put: str | None = None,
    grade: str = "declared",
    by: str = "User:clara.weiss",
    at: str = "2026-11-26T11:20:00.000000Z",
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The dossier with one more record, and the part that tells of it."""
    number = len(found["records"])
    document = {
        "format": "muniment.record/1",
        "id": f"{number:026d}",
        "project": "credit-risk",
        "kind": kind,
        "subject": "x",
        "at": at,
        "by": by,
        "grade": grade,
        "body": body,
    }
    name = digest(json.dumps(document, sort_keys=True))
    entry = {"index": found["checkpoint"]["size"] - 60 + number, "id": f"01m8br{number:020d}"}
    found["records"].append({"digest": name, "what": "record", "document": document, "entry": entry})
    told = {
        **body,
        "id": document["id"],
        "kind": kind,
        "subject": found["model"]["digest"],
        "at": at,
        "by": by,
        "grade": grade,
        "record": name,
        **(more or {}),
    }
    if put in ("use_case", "registration", "tier"):
        found[put] = {**body, "record": name, "by": by}
    elif put:
        found.setdefault(put, []).append(told)
    return found


def board() -> dict[str, Any]:
    """An invented board view of a small bank, in the shape of the board verb's reply."""
    states = ("approved", "approved", "approved", "in_validation", "draft", "retired", "approved", "rejected")
    names = ("pd-retail", "pd-corporate", "lgd-mortgage", "fraud-cards", "churn", "limits", "collections", "pricing")
    listed = []
    for place in range(120):
        state = states[place % 8] if place % 11 else "submitted"
        listed.append(
            {
                "model": f"model:{names[place % 8]}@{1 + place // 8}",
                "digest": digest(f"version {place}"),
                "state": state,
                "tier": 1 + place % 4,
                "owner": f"User:owner-{place % 6}",
                "expires": f"{2026 + place % 3}-06-30T00:00:00.000000Z" if state == "approved" else None,
                "expired": state == "approved" and place % 3 == 0,
                "emergency": place in (6, 30),
                "next_review": f"{2026 + place % 2}-{1 + place % 12:02d}-01" if state == "approved" else None,
                "overdue": state == "approved" and place % 2 == 0 and place % 12 < 10,
            }
        )
    counted: dict[tuple[int, str], int] = {}
    for one in listed:
        key = one["tier"], "expired" if one["expired"] else one["state"]
        counted[key] = counted.get(key, 0) + 1
    shares = (
        ("input", "data:bureau@7", 31),
        ("input", "env:tabular@1", 58),
        ("input", "data:transactions@12", 12),
        ("algorithm", "lightgbm", 44),
        ("algorithm", "xgboost", 30),
        ("algorithm", "logistic_regression", 27),
        ("supplier", "Example Bureau Ltd", 9),
        ("owner", "User:owner-1", 20),
    )
    return {
        "project": "credit-risk",
        "at": "2026-11-26T16:00:00.000000Z",
        "checkpoint": trained()["checkpoint"],
        "installation": trained()["installation"],
        "versions": len(listed),
        "cells": [{"tier": tier, "state": state, "versions": of} for (tier, state), of in sorted(counted.items())],
        "ages": [
            {"state": "approved", "versions": 48, "oldest_since": "2024-02-01T00:00:00Z", "oldest_days": 1029},
            {"state": "in_validation", "versions": 14, "oldest_since": "2026-07-14T00:00:00Z", "oldest_days": 135},
        ],
        "findings": [
            {
                "severity": "high",
                "open": 6,
                "overdue": 2,
                "up_to_30_days": 3,
                "up_to_90_days": 1,
                "older": 2,
                "oldest_days": 164,
            },
            {
                "severity": "low",
                "open": 41,
                "overdue": 0,
                "up_to_30_days": 9,
                "up_to_90_days": 30,
                "older": 2,
                "oldest_days": 99,
            },
        ],
        "overdue_reviews": [one for one in listed if one["overdue"]],
        "emergencies": [one for one in listed if one["emergency"]],
        "expired": [one for one in listed if one["expired"]],
        "concentration": [{"what": what, "value": value, "versions": of} for what, value, of in shares],
        "registered": listed,
        "dependencies": [
            {
                "upstream": "model:bureau-score@3",
                "downstream": "model:pd-retail@1",
                "grade": "declared",
                "record": digest("d"),
            }
        ],
    }
