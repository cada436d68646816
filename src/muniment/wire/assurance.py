"""Requests and replies about risks, instructions for use, internal audit, governance and the impact on people."""

from __future__ import annotations

from msgspec import Struct, field

from muniment.wire.oversight import GatePart


class AddRisk(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Register what can go wrong, tied to the test that shows it is held down."""

    project: str
    name: str
    description: str
    harm: str
    """Who is harmed by it, and how."""

    test: str
    """Over facts, such as ``fairness.air >= 0.8``; only what is measured afterwards counts."""

    model: str | None = None
    """The version that it is about; name this or the use case."""

    use_case: str | None = None
    """The use case whose versions all have it."""

    likelihood: str = "possible"
    """``rare``, ``possible`` or ``likely``."""

    severity: str = "serious"
    """``minor``, ``serious`` or ``severe``."""

    mitigation: str = ""
    owner: str
    """Account that answers for it."""

    min_grade: str = "proven"
    """The least grade of measurements that its test takes."""


class RetireRisk(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let a risk be looked after no more."""

    project: str
    risk: str
    """``risk:<id>``, the bare id or a unique ending of it."""

    reason: str


class ListRisks(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The risks of a project, of a version with those of its use case, or one."""

    project: str
    model: str | None = None
    """Also says of each whether it is red for this version."""

    use_case: str | None = None
    risk: str | None = None
    """Only this one: ``risk:<id>``, the bare id or a unique ending of it."""

    retired: bool = False
    """Also those that were retired."""


class RiskView(Struct, kw_only=True, frozen=True):
    """One risk."""

    risk: str
    """``risk:<id>``; empty for one that only a gate names."""

    name: str
    about: str
    """The model or ``usecase:NAME``; the gate, for one that only a gate names."""

    description: str
    harm: str
    likelihood: str
    severity: str
    mitigation: str
    owner: str
    test: str
    min_grade: str
    added_at: str
    added_by: str
    record: str
    retired: str | None = None
    """Why it is looked after no more; None while it is."""

    red: bool | None = None
    """Whether nothing shows that it is held down; None where no version was named."""

    outcome: str | None = None
    """``yes``, ``no`` or ``unknown``: what its test comes to."""

    why: str = ""
    parts: list[GatePart] = field(default_factory=list)


class Risks(Struct, kw_only=True, frozen=True):
    """Risks, those added first first."""

    risks: list[RiskView]
    red: int | None = None
    """How many are red; None where no version was named."""


class ShowInstructions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The instructions for use of a version."""

    project: str
    model: str


class Acknowledgement(Struct, kw_only=True, frozen=True):
    """Who read which text."""

    by: str
    at: str
    instructions: str
    current: bool
    """Whether it is the text of now; another one does not count."""

    independent: bool
    """Whether the reader had no part in the version; else it does not count."""

    record: str


class Instructions(Struct, kw_only=True, frozen=True):
    """The instructions for use, written from the records."""

    model: str
    digest: str
    """Of the model."""

    instructions: str
    """Digest of the text: what readers sign."""

    text: str
    """Markdown."""

    missing: list[str]
    """What the records tell nothing of."""

    acknowledged: list[Acknowledgement]


class AcknowledgeInstructions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Sign that one read and understood the instructions for use."""

    project: str
    model: str
    statement: str = ""
    """As it was prepared, with the meaning ``read and understood``."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class RecordExamination(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record what internal audit found of a version, with the auditor's signature."""

    project: str
    model: str
    statement: str = ""
    """As it was prepared, with the meaning ``examined``."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class ExamineManagement(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record what internal audit found of how the project manages model risk, with the auditor's signature."""

    project: str
    statement: str = ""
    """As it was prepared, with the meaning ``examined``."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class ListExaminations(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The examinations of a project, newest first."""

    project: str
    model: str | None = None
    """Only those of this version."""

    limit: int = 100


class Examination(Struct, kw_only=True, frozen=True):
    """What internal audit examined."""

    model: str | None
    """None for how the project manages model risk."""

    scope: list[str]
    period_from: str
    period_to: str
    outcome: str
    text: str
    recommendations: list[str]
    next_due: str
    overdue: bool
    """Whether the next one is due and this is still the newest of its subject."""

    at: str
    by: str
    checkpoint: int
    """Entries of the ledger under the signed checkpoint at the time."""

    record: str


class Examinations(Struct, kw_only=True, frozen=True):
    """Examinations, newest first."""

    examinations: list[Examination]


class StateGovernance(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record the board's appetite, the accountable senior manager and the policy, with a signature."""

    project: str
    statement: str = ""
    """As it was prepared, with the meaning ``stated as governance``."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class LayBoardReport(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record that a report was laid before the board, with a signature."""

    project: str
    statement: str = ""
    """As it was prepared, with the meaning ``laid before the board``."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class ShowGovernance(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is stated about how the board governs model risk."""

    project: str


class GovernanceStatement(Struct, kw_only=True, frozen=True):
    """What the board decided, as it was recorded."""

    appetite: str
    accountable: str
    """The accountable senior manager, with his function."""

    policy: str
    """Reference of the model risk policy."""

    adopted: str
    text: str
    at: str
    by: str
    record: str


class BoardReport(Struct, kw_only=True, frozen=True):
    """A report that was laid before the board."""

    report: str
    """Digest of its bytes."""

    day: str
    before: str
    note: str
    checkpoint: int
    """Entries of the ledger under the signed checkpoint when this was recorded."""

    at: str
    by: str
    record: str


class Governance(Struct, kw_only=True, frozen=True):
    """Statements and reports, newest first."""

    statements: list[GovernanceStatement]
    reports: list[BoardReport]
    current: bool
    """Whether a report was laid before the board within twelve months."""


class AssessImpact(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record what a use does to people and to society."""

    project: str
    use_case: str
    scopes: list[str]
    """``fundamental rights``, ``data protection``, ``people and society``."""

    process: str
    """What is decided with it, and how."""

    period: str
    """For how long and how often it is used."""

    affected: list[str]
    """Kinds of people and groups that it may affect."""

    harms: list[str]
    """What may happen to them."""

    oversight: str
    """Who watches over it, and what he can do."""

    measures: list[str]
    """What is done when a harm comes about, complaints included."""

    legal_basis: str = ""
    """For processing personal data; needed for ``data protection``."""

    next_due: str
    """Day by which it is assessed again."""


class ListImpacts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The assessments of a use case, newest first."""

    project: str
    use_case: str | None = None
    """None for those of all use cases."""


class ImpactView(Struct, kw_only=True, frozen=True):
    """One assessment."""

    use_case: str
    use_case_version: int
    scopes: list[str]
    process: str
    period: str
    affected: list[str]
    harms: list[str]
    oversight: str
    measures: list[str]
    legal_basis: str
    next_due: str
    overdue: bool
    at: str
    by: str
    record: str


class Impacts(Struct, kw_only=True, frozen=True):
    """Assessments, newest first."""

    assessments: list[ImpactView]
