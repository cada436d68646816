"""Facts about one model version: what gates, catalogues and reports may ask of it. Pure.

A fact is one named value with the grade it deserves and the record that bears it out. What nobody recorded is absent,
with the reason; it is never false, 0 or an empty text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from muniment.kernel.grade import Grade

__all__ = ["FAMILIES", "MEASURED", "NAMES", "Absent", "Fact", "Facts", "Value", "family_of", "moment_of", "near"]

Value = bool | int | float | str | list[str]
"""A day or a moment is text in ISO 8601."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MOMENT: Final = 10
"""Characters of an identifier that say when it was made."""

NAMES: Final[Mapping[str, str]] = {
    "evaluation.data": "what the metrics were measured on",
    "evaluation.rows": "rows that the metrics were measured on",
    "evaluation.of_split": "whether that was another part of the split that made the training data",
    "evaluation.independent": "whether who measured had no part in the model",
    "explanation.present": "whether a global explanation was computed",
    "fairness.columns": "columns by which groups were compared, in lower case",
    "stability.psi": "population stability index of the scores against the reference",
    "stability.csi": "the same index of the feature that moved most",
    "data.rows": "rows that it was trained on",
    "data.classification": "the strictest classification of the data it was trained on",
    "data.findings": "findings of reading and profiling the data it was trained on",
    "data.split_disjoint": "whether the parts of the split are proven disjoint",
    "data.source_digest": "digests of the files that the data came from",
    "data.exclusions_explained": "whether an expert says why, of every column that its training left out",
    "data.bias_reviewed": "whether the data it was trained on, or what they were split from, were reviewed for bias",
    "data.quality": "ok, violated or unknown: the newest quality rules over the data that it was trained on",
    "data.quality_violated": "quality rules that the data it was trained on violate",
    "data.overlap_holdout": "rows of the holdout that what it learned from holds, or may hold, by the newest row proof",
    "features.skew": "entities whose online features are not those of the join, in every view that its data came from",
    "rules.fired": "training rules that fired while it was made",
    "data.profiled": "whether the data, or what it was split from, was profiled",
    "holdout.unused": "whether every other part of the same split is proven unused in training",
    "lineage.complete": "whether everything upstream has a recorded origin",
    "lineage.grade": "the weakest grade upstream",
    "reproduction.identical": "whether the newest reproduction came out bit for bit",
    "reproduction.other_person": "whether somebody else than the maker reproduced it bit for bit",
    "alternatives.count": "other models of the same experiment",
    "code.clean": "whether the code equals a commit, or is the platform's own program",
    "code.commit": "the commit of the code",
    "environment.packages": "the wheels of the job environment it was made in",
    "usecase.present": "whether it is registered under a use case that exists",
    "usecase.owner": "owner of the use case",
    "usecase.kpis": "names of the key figures of the use case",
    "usecase.kpis_met": "whether every key figure of the use case is reached",
    "tier.level": "materiality tier, 1 is the highest",
    "model.kind": "model, non-model or eut (end-user tool)",
    "model.origin": "platform, vendor or off-platform",
    "model.algorithm": "the algorithm",
    "model.state": "where it stands: draft, submitted, in_validation, approved, rejected, retired",
    "model.owner": "who answers for it",
    "model.age_days": "whole days since it was made",
    "determination.present": "whether it was determined to be a model or not",
    "submission.present": "whether it was submitted for validation",
    "validation.present": "whether it was validated",
    "validation.independent": "whether the validator is no author of anything in its lineage",
    "validation.outcome": "outcome of the validation",
    "approval.count": "people who approved it",
    "approval.required": "approvals that its tier asks for",
    "approval.signed": "whether every approval bears a signature",
    "approval.independent": "whether no approver is an author of anything in its lineage, or its submitter",
    "approval.expires": "when the approval ends",
    "approval.expired": "whether the approval has ended",
    "approval.emergency": "whether it was approved by break-glass",
    "approval.conditions": "conditions of the approval",
    "findings.open": "open findings",
    "findings.high": "open findings of high severity",
    "findings.overdue": "open findings past their due date",
    "findings.total": "findings, open and closed",
    "challenge.comments": "comments of the effective challenge",
    "challenge.unresolved": "questions of the effective challenge that are not resolved",
    "review.scheduled": "whether a review is scheduled or due by a trigger",
    "review.overdue": "whether a review is overdue",
    "review.next_due": "when the next review is due",
    "gate.defined": "whether a gate is set",
    "gate.open": "whether every gate is open",
    "gate.preregistered": "whether what the gates judge was measured after they were fixed",
    "risk.registered": "risks of the register, those included that a gate is set against",
    "risk.red": "risks of the register without a passing test; absent where none is registered",
    "risk.open": "names of the risks without a passing test; absent where none is registered",
    "instructions.present": "whether the instructions for use have all their parts: purpose, accuracy, inputs, owner",
    "instructions.acknowledged": "people without a part in it who signed that they read and understood the text of now",
    "instructions.current": "whether all who ever acknowledged the instructions acknowledged the text of now",
    "audit.examined": "whether internal audit, independent of it, examined it or how the project manages model risk",
    "audit.outcome": "outcome of the newest such examination",
    "audit.last": "day of the newest such examination",
    "audit.overdue": "whether the next such examination is overdue",
    "audit.current": "whether the newest such examination is at most twelve months old",
    "audit.scope": "areas that such examinations looked at whose next one is not overdue",
    "audit.management": "whether how the project manages model risk was examined, and the next time is not overdue",
    "audit.log_reviewed": "whether such an examination looked at the ledger within twelve months, and none is overdue",
    "governance.appetite": "the board's appetite for model risk, as it was stated last",
    "governance.accountable": "the accountable senior manager, as stated last",
    "governance.policy": "reference of the model risk policy, as stated last",
    "board.reported": "day on which a report was last laid before the board",
    "board.current": "whether that was within twelve months",
    "impact.assessed": "what its use case was assessed for: fundamental rights, data protection, people and society",
    "impact.last": "day of the newest such assessment",
    "impact.overdue": "whether the next such assessment is overdue",
    "impact.before_use": "whether its use case was assessed for fundamental rights before it was first approved",
    "change.class": "class of the change from the version before",
    "change.decided": "whether a person decided the class of the change",
    "dependencies.upstream": "models that feed it",
    "dependencies.downstream": "models and data that were made with it",
    "ledger.entries": "entries under the newest checkpoint of the ledger",
    "ledger.signed": "whether the ledger has a signed checkpoint",
    "ledger.witnesses": "witnesses that are known",
    "ledger.witnessed": "whether a checkpoint bears the cosignatures of as many witnesses as are asked for",
    "key.customer_managed": "whether the project's key is kept by this installation's own key service",
    "key.rotated": "whether the project's key was ever rotated",
    "job.enforced": "whether every run of the lineage ran behind complete walls",
    "job.network": "network of the runs of the lineage: none",
    "policy.version": "version of the institution's own policies in force; shipped where there are none",
    "policy.roles": "roles that somebody holds in the project",
    "drill.present": "whether the exit plan was exercised",
}
"""Every fact but the families, with what it says."""

FAMILIES: Final[Mapping[str, str]] = {
    "metric": "a metric of the newest evaluation on data proven unused in training, as metric.auc",
    "fairness": "a group measure, the worst over all groups, as fairness.air, or of one column, as fairness.air.sex; "
    "differences are without their sign",
}
"""Facts whose last word is open."""

MEASURED: Final = ("metric", "fairness", "stability", "explanation", "evaluation")
"""Facts that a run measures: for a gate they count only when the run was asked for after the gate was fixed."""


def family_of(name: str) -> str:
    """The first word of a fact's name."""
    return name.partition(".")[0]


def near(name: str) -> list[str] | None:
    """None for a name that a fact can have; else the names that look like it."""
    family, _, rest = name.partition(".")
    if name in NAMES or (family in FAMILIES and rest and rest.count(".") <= (family == "fairness")):
        return None
    return difflib.get_close_matches(name, [*NAMES, *(f"{one}.{rest}" for one in FAMILIES)], n=3, cutoff=0.5)


def moment_of(identifier: str) -> datetime:
    """When an identifier was made, to the millisecond: runs are named when they are asked for, records when stated."""
    number = 0
    for character in identifier[:_MOMENT]:
        number = number * 32 + _ALPHABET.index(character)
    return datetime.fromtimestamp(number / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known of a model version."""

    name: str
    value: Value
    grade: Grade
    record: str
    """What bears it out: the digest of a record or entity, ``run:<id>``, or ``checkpoint:<size>``."""

    text: str
    """Where it came from, in words."""

    run: str | None = None
    """Id of the run that measured it; None for what no run measured."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A fact that is not known, and why."""

    name: str
    """Of a fact, or ``metric.`` for a whole family."""

    why: str


class Facts(Mapping[str, Fact]):
    """What is known of one model version, by name; in order of the names."""

    def __init__(self, found: Iterable[Fact | Absent]) -> None:
        known: dict[str, Fact] = {}
        self._absent: dict[str, str] = {}
        for one in found:
            if isinstance(one, Fact):
                known.setdefault(one.name, one)
            else:
                self._absent.setdefault(one.name, one.why)
        self._known = dict(sorted(known.items()))

    def __getitem__(self, name: str) -> Fact:
        """The fact of this name; raises KeyError when it is absent."""
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """The names of what is known."""
        return iter(self._known)

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def plain(self) -> dict[str, Value]:
        """The values alone, as an expression is evaluated over them."""
        return {name: fact.value for name, fact in self._known.items()}

    def absent(self) -> dict[str, str]:
        """Why facts are not known, by name, where there is something to say."""
        return {name: why for name, why in sorted(self._absent.items()) if name not in self._known}

    def why_absent(self, name: str) -> str:
        """Why one is not known."""
        return self._absent.get(name) or self._absent.get(f"{family_of(name)}.") or "nothing of the kind is recorded"
