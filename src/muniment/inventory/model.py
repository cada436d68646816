"""What people decide and state about models: records, which are only ever added.

A *record* is one statement with its author and its moment. The state of anything is what its records come to; nothing
is rewritten, so what was known on any past day can be told from the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import format_time

RECORD_FORMAT: Final = "muniment.record/1"


class RecordKind(StrEnum):
    """What a record states; values are only added."""

    USE_CASE = "use-case"
    """What models may be used for, by whom it is owned, what the law allows."""

    GATE = "gate"
    """What must hold before a version may pass a stage."""

    DETERMINATION = "determination"
    """Whether something is a model, a non-model or an end-user tool, and by which answers."""

    REGISTRATION = "registration"
    """A model version enters the inventory."""

    TIER = "tier"
    """How material a version is, by which rule, and what that asks for."""

    SUBMISSION = "submission"
    REVIEW = "review"
    """The outcome of an independent validation."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    RETIREMENT = "retirement"
    BREAK_GLASS = "break-glass"
    """One of the two signatures of an emergency approval."""

    FINDING = "finding"
    FINDING_CLOSURE = "finding-closure"
    COMMENT = "comment"
    """A turn in the effective challenge of a version."""

    REVIEW_SCHEDULE = "review-schedule"
    """When a version must be looked at again, and why."""

    REVIEW_DONE = "review-done"
    CHANGE = "change"
    """What differs between two versions, the class that the rules propose, and what a person decided."""

    DEPENDENCY = "dependency"
    """A version that feeds another one, where lineage cannot know it."""

    DRILL = "drill"
    """An exercise of the exit plan and how it went."""

    BINDING = "binding"
    """All jobs of an experiment belong to a use case from now on."""

    TIERING_RULE = "tiering-rule"
    """How exposure and purpose come to a tier, and what each tier asks for; an institution's own, for all projects."""

    CATALOGUE = "catalogue"
    """A version of a control catalogue that the institution published; the body names its file by digest."""

    RISK = "risk"
    """What can go wrong with a use or a version, who answers for it, and the test that shows it is held down."""

    RISK_RETIREMENT = "risk-retirement"
    """A risk that is looked after no more, and why; the body names the risk."""

    ACKNOWLEDGEMENT = "acknowledgement"
    """Somebody signed that he read and understood the instructions for use; the body names their digest."""

    EXAMINATION = "examination"
    """What internal audit examined, and what came out."""

    GOVERNANCE = "governance"
    """The board's appetite, the accountable senior manager and the policy, as signed by who recorded them."""

    BOARD_REPORT = "board-report"
    """A report was laid before the board on a day; the body names it by digest."""

    IMPACT_ASSESSMENT = "impact-assessment"
    """What a use does to people and to society: who is affected, what harm may come, what is done against it."""

    PROMOTION = "promotion"
    """A version came from another project, by digest, under the approval that it has there."""

    DATA_TERMS = "data-terms"
    """What a data set may be used for, by which right, how long, by whom; what widens it waits for a second person."""

    DATA_TERMS_CONFIRMATION = "data-terms-confirm"
    """A second person agreed to wider terms; the body names the record."""

    DATA_GRANT = "data-grant"
    """Somebody asks for access to a data set for a purpose and a time."""

    DATA_GRANT_DECISION = "data-grant-decision"
    """A request for access was approved or rejected, or access was taken back; the subject is the request."""

    DATA_HOLD = "data-hold"
    """A data set has to stay as it is, for a case."""

    DATA_HOLD_RELEASE = "data-hold-release"
    DATA_EXCLUSION = "data-exclusion"
    """A column or rows of a data set are left out, with the reason and the expert who says so."""

    ERASURE_REQUEST = "erasure-request"
    """What shall be destroyed, object by object, and why."""

    ERASURE = "erasure"
    """A second person decided about a request for erasure; the subject is the request."""


@dataclass(frozen=True)
class Record:
    """One statement, for ever."""

    id: str
    """A ULID: records sort by the moment they were made."""

    project: str
    kind: RecordKind
    subject: str
    """What it is about: the digest of a model, ``usecase:NAME``, ``project``, or the id of another record."""

    at: datetime
    by: str
    """The agent, as ``User:ana``."""

    grade: Grade
    """ATTESTED when a signature of the agent stands in the body, else DECLARED; PROVEN for what the platform found."""

    body: Mapping[str, Any]
    """Small canonical JSON without floats; a number that is not an integer is written as text."""

    def document(self) -> dict[str, Any]:
        """The record as canonical JSON holds it."""
        return {
            "format": RECORD_FORMAT,
            "id": self.id,
            "project": self.project,
            "kind": self.kind.value,
            "subject": self.subject,
            "at": format_time(self.at),
            "by": self.by,
            "grade": self.grade.value,
            "body": dict(self.body),
        }

    @cached_property
    def digest(self) -> Digest:
        """Name of the record: what the ledger entry that tells of it holds."""
        return digest_of(self.document())
