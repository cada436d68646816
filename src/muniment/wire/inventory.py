"""Requests and replies about models."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class ListModels(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The models of a project, newest first."""

    project: str
    limit: int = 100


class ModelSummary(Struct, kw_only=True, frozen=True):
    """One model version in one line."""

    model: str
    """``model:name@version``."""

    digest: str
    algorithm: str
    run: str | None
    grade: str
    created_at: str
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the newest evaluation."""

    state: str | None = None
    """In the inventory; None for what is not registered."""

    tier: int | None = None
    use_case: str | None = None
    emergency: bool = False
    """Whether it is approved by break-glass alone."""

    expired: bool = False
    """Whether its approval has ended."""


class Models(Struct, kw_only=True, frozen=True):
    """A list of models."""

    models: list[ModelSummary]


class ShowModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One model version in full."""

    project: str
    model: str


class ModelFile(Struct, kw_only=True, frozen=True):
    """One file of a model."""

    path: str
    digest: str
    size: int


class Evaluation(Struct, kw_only=True, frozen=True):
    """One measurement of a model on a snapshot."""

    run: str
    data: str
    created_at: str
    metrics: dict[str, float]
    report: dict[str, Any]


class ModelDetail(Struct, kw_only=True, frozen=True):
    """Everything recorded about a model version."""

    model: str
    digest: str
    algorithm: str
    files: list[ModelFile]
    facts: dict[str, Any]
    run: str | None
    trained_on: list[str]
    created_at: str
    created_by: str
    grade: str
    evaluations: list[Evaluation]
    state: str | None = None
    """In the inventory; None for what is not registered."""

    tier: int | None = None
    use_case: str | None = None
    emergency: bool = False
    expired: bool = False


class FetchModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The files of a model as a tar; nothing in it is executed on the way."""

    project: str
    model: str


class Kpi(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key figure by which the use is judged."""

    name: str
    expression: str
    """What must hold, over the facts of a model: ``metric.auc >= 0.75``."""


class AddUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State what models may be used for; under a name that is there, its next version."""

    project: str
    name: str
    purpose: str
    owner: str
    """Name of the person who answers for it."""

    kpis: list[Kpi] = field(default_factory=list)
    legal: list[str] = field(default_factory=list)
    """Constraints that the law sets."""

    jurisdiction: list[str] = field(default_factory=list)
    allowed_algorithms: list[str] = field(default_factory=list)
    """Empty for any; ``script`` stands for a script of one's own."""

    prohibited_attributes: list[str] = field(default_factory=list)
    """Columns that no model may learn from."""

    exposure: int = 0
    """What is decided or measured with such a model, in whole units of currency."""

    currency: str = "EUR"
    purpose_class: str = "operations"
    """``credit-decision``, ``capital``, ``pricing``, ``fraud``, ``marketing``, ``operations``, or one's own."""

    intended_use: str = ""
    out_of_scope: str = ""


class UseCase(Struct, kw_only=True, frozen=True):
    """A use case in its newest version."""

    use_case: str
    """``name@version``."""

    name: str
    version: int
    purpose: str
    kpis: list[Kpi]
    legal: list[str]
    jurisdiction: list[str]
    allowed_algorithms: list[str]
    prohibited_attributes: list[str]
    owner: str
    exposure: int
    currency: str
    purpose_class: str
    intended_use: str
    out_of_scope: str
    record: str
    """Digest of the record that states it."""

    at: str
    by: str
    retired: str | None
    """When it was retired."""


class RetireUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """End a use case."""

    project: str
    name: str
    reason: str


class ListUseCases(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The use cases of a project, by name."""

    project: str
    retired: bool = True
    """Whether retired ones are listed too."""


class UseCases(Struct, kw_only=True, frozen=True):
    """A list of use cases."""

    use_cases: list[UseCase]


class ShowUseCase(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One use case in full."""

    project: str
    name: str


class UseCaseVersion(Struct, kw_only=True, frozen=True):
    """One version of a use case."""

    version: int
    record: str
    at: str
    by: str


class UseCaseDetail(Struct, kw_only=True, frozen=True):
    """A use case with its history and what belongs to it."""

    use_case: UseCase
    history: list[UseCaseVersion]
    experiments: list[str]
    """That are bound to it."""

    models: list[str]
    """References of the versions that are registered under it."""


class BindExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let every job of an experiment belong to a use case; with None free the experiment."""

    project: str
    experiment: str
    use_case: str | None = None


class Binding(Struct, kw_only=True, frozen=True):
    """Which use case the jobs of an experiment belong to."""

    experiment: str
    use_case: str | None


class ShowTiering(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The tiering rule in force."""


class PublishTiering(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Put another tiering rule in force, for all projects."""

    rule: dict[str, Any]


class Tiering(Struct, kw_only=True, frozen=True):
    """A tiering rule."""

    rule: str
    """``id@version sha256:…``."""

    document: dict[str, Any]
    published_by: str | None
    """None for the rule that ships."""

    published_at: str | None


class RegisterModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Enter a model that was made here into the inventory, as a draft."""

    project: str
    model: str
    owner: str | None = None
    """Who answers for it; None for whoever registers it."""

    use_case: str | None = None
    model_kind: str = "model"
    """``model``, ``non-model`` or ``eut`` (end-user tool)."""

    description: str = ""
    assumptions: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    """What it must not be relied on for."""


class RegisterExternalModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Enter a model of a vendor, or one that lives outside, without its bytes."""

    project: str
    name: str
    origin: str
    """``vendor`` or ``off-platform``."""

    owner: str
    description: str
    use_case: str | None = None
    model_kind: str = "model"
    algorithm: str = ""
    supplier: str | None = None
    contract: str = ""
    """Reference of the contract with the supplier."""

    supplier_version: str = ""
    """What the supplier calls this version."""

    location: str = ""
    """Where it lives: a server, a workbook, a package."""

    assumptions: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


class RegisterModelFile(RegisterExternalModel, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Enter a model that lives outside with its file; the bytes come along."""

    filename: str


class Registered(Struct, kw_only=True, frozen=True):
    """A version in the inventory."""

    model: str
    digest: str
    manifest: str
    """Digest of the signed manifest: what people sign."""

    state: str
    tier: int
    because: str
    """Why it is of this tier."""

    requires: dict[str, Any]
    """What the tier asks for: approvals, steps, evidence, months to the next review."""

    record: str


class DeclareDependency(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State that another model feeds this one, where lineage cannot know it."""

    project: str
    model: str
    on: str
    """The model that feeds it."""

    reason: str


class ShowDependencies(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which registered versions feed a model, and which it feeds."""

    project: str
    model: str


class Dependency(Struct, kw_only=True, frozen=True):
    """A registered version that feeds another one, or is fed by it."""

    model: str
    digest: str
    state: str
    grade: str
    """``proven`` from lineage, ``declared`` by a person."""


class Dependencies(Struct, kw_only=True, frozen=True):
    """What a version rests on, and what rests on it."""

    model: str
    feeds_on: list[Dependency]
    feeds: list[Dependency]


class PrepareSignature(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Write down the exact statement that one is about to sign."""

    project: str
    model: str
    meaning: str
    """``submitted for validation``, ``validated``, ``approved``, ``rejected``, ``retired``, ``break-glass``,
    ``determined``, ``read and understood`` or ``examined``."""

    terms: dict[str, Any] = field(default_factory=dict)
    """What is signed besides. For an approval: ``conditions``, ``use_limits``, ``expires``; for a validation:
    ``outcome``, ``text``, ``scope``, ``conceptual_soundness``; else ``note``, ``reason``, ``days``, ``answers``,
    ``instructions`` or what an examination says."""

    key: str | None = None
    """Fingerprint of the key that will sign; None for the newest one of the asker."""


class PrepareProjectSignature(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Write down the exact statement about the whole project that one is about to sign."""

    project: str
    meaning: str
    """``examined``, ``stated as governance`` or ``laid before the board``."""

    terms: dict[str, Any] = field(default_factory=dict)
    """What is signed besides: the fields of the statement that the verb which keeps it has."""

    key: str | None = None
    """Fingerprint of the key that will sign; None for the newest one of the asker."""


class Statement(Struct, kw_only=True, frozen=True):
    """What to sign: exactly these bytes, in UTF-8, within five minutes, once."""

    statement: str
    challenge: str
    model: str
    meaning: str
    key: str
    expires_at: str


class SubmitModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Submit a registered version for validation."""

    project: str
    model: str
    statement: str = ""
    """As it was prepared."""

    signature: str = ""
    """Base64 of the Ed25519 signature over its bytes."""


class ReviewModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record what an independent validation found."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class ApproveModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Approve a validated version."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class RejectModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Reject a submitted version for good."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class RetireModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a version out of use for good."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class DetermineModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Determine by signed answers whether something is a model."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class BreakGlass(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Sign an emergency approval, which takes two administrators."""

    project: str
    model: str
    statement: str = ""
    signature: str = ""


class VersionState(Struct, kw_only=True, frozen=True):
    """Where a version stands."""

    model: str
    digest: str
    state: str
    """``draft``, ``submitted``, ``in_validation``, ``approved``, ``retired`` or ``rejected``."""

    since: str
    tier: int
    requires: dict[str, Any]
    model_kind: str
    approvals: list[str]
    """Who approved the submission that is looked at, or was last."""

    required: int
    outcome: str | None
    """Of the last validation."""

    expires: str | None
    expired: bool
    emergency: bool
    """Whether it is approved by break-glass alone."""

    conditions: list[str]
    use_limits: list[str]
    waits_for: str | None
    """What comes next; None when nothing is waited for."""


class CheckApproval(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whether a version may be used now: its manifest, files, records and signatures are checked each time."""

    project: str
    model: str
    files: bool = False
    """Whether to read every file to its end too; whoever loads them has that checked anyway."""


class Approval(Struct, kw_only=True, frozen=True):
    """Whether a version may be used, and why."""

    model: str
    digest: str
    usable: bool
    emergency: bool
    because: list[str]
    expires: str | None
    conditions: list[str]
    use_limits: list[str]
    manifest: str | None = None
    """Digest of the signed manifest; None where nothing may be loaded."""

    files: list[ModelFile] = field(default_factory=list)
    """What may be loaded."""

    checked: list[str] = field(default_factory=list)
    """What was found in order, in words."""


class ShowVersion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a version stands in the inventory, in full."""

    project: str
    model: str


class VersionEvent(Struct, kw_only=True, frozen=True):
    """One record of the life of a version."""

    kind: str
    at: str
    by: str
    grade: str
    record: str
    signed: bool
    body: dict[str, Any]


class VersionDetail(Struct, kw_only=True, frozen=True):
    """Everything that the inventory holds of a version."""

    model: str
    digest: str
    registered: bool
    state: VersionState | None
    registration: dict[str, Any] | None
    tier: dict[str, Any] | None
    usable: bool
    because: list[str]
    """Why it may be used, or may not."""

    not_independent: dict[str, list[str]]
    """Accounts that may not judge it, each with why."""

    history: list[VersionEvent]


class ShowQuestionnaire(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The questions by which it is determined whether something is a model."""


class Questionnaire(Struct, kw_only=True, frozen=True):
    """The questions, and which answers come to what."""

    document: dict[str, Any]


class ListVersions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Registered versions, the newest registration first; None leaves a filter open."""

    project: str
    state: str | None = None
    tier: int | None = None
    use_case: str | None = None
    owner: str | None = None
    origin: str | None = None
    supplier: str | None = None
    emergency: bool | None = None
    """Only those that are approved by break-glass alone."""

    overdue: bool | None = None
    """Only those whose review is overdue."""

    expired: bool | None = None
    """Only those whose approval has ended."""

    limit: int = 100


class VersionSummary(Struct, kw_only=True, frozen=True):
    """One registered version in one line."""

    model: str
    digest: str
    state: str
    tier: int
    use_case: str | None
    model_kind: str
    origin: str
    owner: str
    algorithm: str
    supplier: str | None
    registered_at: str
    since: str
    """When it came into its state."""

    approvals: int
    required: int
    approved_at: str | None
    expires: str | None
    expired: bool
    emergency: bool
    next_review: str | None
    overdue: bool
    findings_high: int
    findings_open: int


class Versions(Struct, kw_only=True, frozen=True):
    """A list of registered versions."""

    versions: list[VersionSummary]


class ShowBoard(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The inventory of a project at a glance."""

    project: str
    top: int = 10
    """So many lines of each list at most."""


class BoardCell(Struct, kw_only=True, frozen=True):
    """How many versions of a tier are in a state."""

    tier: int
    state: str
    """A state, or ``expired`` for an approval that has ended."""

    versions: int


class BoardAge(Struct, kw_only=True, frozen=True):
    """How long versions have been in a state."""

    state: str
    versions: int
    oldest_since: str
    oldest_days: int


class BoardFinding(Struct, kw_only=True, frozen=True):
    """Open findings of one severity."""

    severity: str
    open: int
    overdue: int
    up_to_30_days: int
    up_to_90_days: int
    older: int
    oldest_days: int | None


class BoardShare(Struct, kw_only=True, frozen=True):
    """What several versions share."""

    what: str
    """``algorithm``, ``supplier``, ``owner``, ``use_case`` or ``input``."""

    value: str
    versions: int


class Board(Struct, kw_only=True, frozen=True):
    """The inventory at a glance."""

    project: str
    at: str
    versions: int
    cells: list[BoardCell]
    ages: list[BoardAge]
    findings: list[BoardFinding]
    overdue_reviews: list[VersionSummary]
    emergencies: list[VersionSummary]
    expired: list[VersionSummary]
    concentration: list[BoardShare]
