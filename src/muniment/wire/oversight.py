"""Requests and replies about gates, findings, effective challenge, reviews that are due, and changes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class SetGate(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Fix what must hold of a version before it passes a stage; a new version where the gate is set already."""

    project: str
    name: str
    expression: str
    """Over facts, such as ``metric.auc >= 0.75 and findings.high = 0``."""

    stage: str = "approve"
    """``submit`` or ``approve``."""

    use_case: str | None = None
    """The use case whose versions it judges; None for all of the project."""

    min_grade: str = "proven"
    """The least grade of measurements that it takes: ``proven``, ``attested`` or ``declared``."""

    reason: str = ""
    risk: str = ""
    """The risk that it is set against, where it is one of the risk register: red as long as the gate is closed."""


class WithdrawGate(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let a gate judge no more; what it judged stays."""

    project: str
    name: str
    use_case: str | None = None
    reason: str


class GateView(Struct, kw_only=True, frozen=True):
    """One version of a gate."""

    name: str
    version: int
    expression: str
    stage: str
    use_case: str | None
    min_grade: str
    reason: str
    fixed_at: str
    fixed_by: str
    record: str
    """Digest of the record that fixed it."""

    withdrawn: bool = False
    risk: str = ""


class ShowGates(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The gates of a project."""

    project: str
    use_case: str | None = None
    """Only those that versions of this use case pass; None for all."""

    history: bool = False
    """Every version instead of those in force."""


class Gates(Struct, kw_only=True, frozen=True):
    """Gates, by subject and name, newest version first; those that are always on stand beside."""

    gates: list[GateView]
    always: dict[str, str]
    """The expressions that must hold at every stage, by name."""


class CheckGates(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whether a version passes its gates now."""

    project: str
    model: str
    stage: str | None = None
    """None for all stages."""


class FactView(Struct, kw_only=True, frozen=True):
    """One fact with what bears it out."""

    name: str
    value: Any
    grade: str
    record: str
    text: str


class GatePart(Struct, kw_only=True, frozen=True):
    """One test of a gate."""

    text: str
    outcome: str
    """``yes``, ``no`` or ``unknown``."""

    why: str
    found: list[FactView] = field(default_factory=list)


class GateResult(Struct, kw_only=True, frozen=True):
    """What a gate says of a version."""

    name: str
    version: int
    """0 for what is always on."""

    stage: str | None
    use_case: str | None
    expression: str
    open: bool
    why: str
    parts: list[GatePart]
    record: str | None
    fixed_at: str | None
    min_grade: str
    risk: str = ""


class GateCheck(Struct, kw_only=True, frozen=True):
    """What all gates say of a version."""

    model: str
    digest: str
    open: bool
    """Whether every gate is open."""

    gates: list[GateResult]


class ShowFacts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is known of a version, by the names that gates ask for."""

    project: str
    model: str
    at: str | None = None
    """As far as it was known at this moment; None for now."""


class FactList(Struct, kw_only=True, frozen=True):
    """Everything known of a version, and why the rest is not."""

    model: str
    digest: str
    facts: list[FactView]
    absent: dict[str, str]
    """Why something is not known, by name; a name that ends in a dot stands for all that begin so."""


class OpenFinding(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record that something about a version is not as it should be."""

    project: str
    model: str
    title: str
    severity: str
    """``high``, ``medium`` or ``low``; an open high one closes every gate."""

    owner: str
    """Account that answers for the remedy."""

    due: str
    """The last day on which it is in time, ``2026-12-31``."""

    text: str = ""


class CloseFinding(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record that a finding is remedied, with the evidence."""

    project: str
    finding: str
    evidence: str
    """What shows it: a reference or digest of something that exists, or ``run:<id>``."""

    text: str


class ListFindings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The findings of a project, newest first."""

    project: str
    model: str | None = None
    state: str = "open"
    """``open``, ``overdue``, ``closed`` or ``all``."""

    severity: str | None = None
    owner: str | None = None
    limit: int = 100


class ShowFinding(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One finding with what was said about it."""

    project: str
    finding: str


class FindingClosure(Struct, kw_only=True, frozen=True):
    """How a finding was closed."""

    evidence: str
    """As the closer named it."""

    evidence_digest: str
    """What that meant at the moment: a digest, or ``run:<id>``."""

    text: str
    closed_at: str
    closed_by: str
    record: str


class FindingView(Struct, kw_only=True, frozen=True):
    """One finding."""

    finding: str
    """``finding:<id>``."""

    model: str
    digest: str
    title: str
    severity: str
    owner: str
    due: str
    open: bool
    overdue: bool
    text: str
    opened_at: str
    opened_by: str
    record: str
    closure: FindingClosure | None = None


class Findings(Struct, kw_only=True, frozen=True):
    """A list of findings."""

    findings: list[FindingView]


class Comment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Say something about a version or a finding: ask, answer, or let a question of one's own be resolved."""

    project: str
    text: str
    model: str | None = None
    finding: str | None = None
    in_reply_to: str | None = None
    """The comment that it answers; then model and finding follow from that."""

    resolved: bool = False
    """Whether the question is answered; only the one who asked says so."""


class CommentView(Struct, kw_only=True, frozen=True):
    """One turn."""

    comment: str
    """``comment:<id>``."""

    text: str
    by: str
    at: str
    in_reply_to: str | None
    resolved: bool
    record: str


class ThreadView(Struct, kw_only=True, frozen=True):
    """A question and everything that was said to it."""

    about: str
    """``model:name@version`` or ``finding:<id>``."""

    resolved: bool
    turns: list[CommentView]


class ListComments(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The effective challenge of a version with its findings, or of one finding."""

    project: str
    model: str | None = None
    finding: str | None = None


class Threads(Struct, kw_only=True, frozen=True):
    """Threads, oldest first."""

    model: str
    threads: list[ThreadView]


class FindingDetail(Struct, kw_only=True, frozen=True):
    """One finding in full."""

    finding: FindingView
    threads: list[ThreadView]


class ScheduleReview(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Fix a day by which a version must be looked at again."""

    project: str
    model: str
    due: str
    """The last day on which it is in time, ``2027-05-31``."""

    reason: str
    trigger: str = "date"
    """``date``, ``data change``, ``use change``, ``change``, ``drift``, ``break-glass`` or ``other``."""


class CompleteReview(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Record that a version was looked at again, and what came of it."""

    project: str
    model: str
    outcome: str
    """``satisfactory``, ``satisfactory with findings`` or ``unsatisfactory``."""

    text: str
    next_due: str | None = None
    review: str | None = None
    """The one review that this is; None for all that were due or set off until now."""


class ListReviews(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The reviews that are due, the next first."""

    project: str
    model: str | None = None
    state: str = "waiting"
    """``waiting``, ``overdue``, ``done`` or ``all``."""

    limit: int = 100


class ReviewView(Struct, kw_only=True, frozen=True):
    """One review."""

    review: str
    """``review:<id>``; of a computed one, what set it off."""

    model: str
    digest: str
    due: str
    trigger: str
    reason: str
    since: str
    overdue: bool
    done_at: str | None = None
    done_by: str | None = None
    outcome: str | None = None
    text: str | None = None


class Reviews(Struct, kw_only=True, frozen=True):
    """A list of reviews."""

    reviews: list[ReviewView]


class CompareVersions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What differs between two versions of a model."""

    project: str
    model: str
    """The later one."""

    base: str
    """The one that it is compared with."""


class DifferenceView(Struct, kw_only=True, frozen=True):
    """One thing that differs."""

    section: str
    """``data``, ``features``, ``code``, ``parameters``, ``environment``, ``performance``, ``explanation``, ``use``."""

    name: str
    before: Any
    after: Any
    size: float | None = None
    """How large the difference is, where it has a size; see ``unit``."""

    unit: str = ""


class ClassReason(Struct, kw_only=True, frozen=True):
    """A rule that proposes a class, and what it saw."""

    change_class: str
    rule: str
    because: str


class VersionComparison(Struct, kw_only=True, frozen=True):
    """Two versions side by side, with the class that the rules propose."""

    model: str
    digest: str
    base: str
    base_digest: str
    differences: list[DifferenceView]
    proposed_class: str
    """``material``, ``notify before``, ``notify after`` or ``minor``."""

    reasons: list[ClassReason]
    rules: str
    """Id and version of the rule file."""

    rules_digest: str
    not_compared: list[str]
    """What could not be compared, and why."""

    decided_class: str | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    decision: str | None = None
    """The reason of the decision."""

    deviates: bool = False
    """Whether the decision is another one than was proposed when it was made."""


class ClassifyChange(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Decide the class of a change."""

    project: str
    model: str
    base: str
    change_class: str
    reason: str = ""
    """Needed where the decision is another class than the proposed one."""
