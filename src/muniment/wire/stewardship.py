"""Requests and replies about the terms of data sets: rights, grants, holds, erasure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.kernel.verb import Secret


class UseDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask whether one may use a data set, as a job would be asked."""

    project: str
    dataset: str
    kind: str = "train"
    """Of the job: ``train``, ``run``, ``evaluate``, ``split`` and so on."""

    purpose: str = ""
    use_case: str = ""


class ShowRights(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What may be done with a data set, and why."""

    project: str
    dataset: str
    purpose: str = ""
    use_case: str = ""


class TermsView(Struct, kw_only=True, frozen=True):
    """The terms of a data set."""

    classification: str
    owners: list[str]
    purposes: list[str] | None
    """None: whatever the project does."""

    legal_basis: list[str]
    rights: list[str]
    """Uses it is kept from, such as ``no-training``."""

    use_until: str | None
    retention: str | None
    keep_until: str | None
    access: str
    """``role`` or ``grant``."""


class Statement(Struct, kw_only=True, frozen=True):
    """Terms that somebody stated."""

    id: str
    subject: str
    at: str
    by: str
    reason: str
    states: list[str]
    """The fields that it sets."""

    terms: TermsView
    stands_alone: bool
    widens: list[str]
    """Fields in which it allows more than before; then a second person has to agree."""

    waiting: bool
    """Whether that second person has not agreed yet."""

    record: str


class HoldView(Struct, kw_only=True, frozen=True):
    """A hold on data."""

    id: str
    dataset: str
    case: str
    reason: str
    forbids_use: bool
    placed_at: str
    placed_by: str
    released_at: str | None
    released_by: str | None
    release_reason: str | None
    record: str


class DataGrantView(Struct, kw_only=True, frozen=True):
    """A request for access to data, and what came of it."""

    id: str
    dataset: str
    account: str
    purpose: str
    reason: str
    days: int
    state: str
    """``requested``, ``rejected``, ``active``, ``expired`` or ``revoked``."""

    asked_at: str
    asked_by: str
    decided_at: str | None
    decided_by: str | None
    decision_reason: str | None
    until: str | None
    days_left: int | None
    record: str


class Allowance(Struct, kw_only=True, frozen=True):
    """Whether the asker may do one kind of thing with the data."""

    kind: str
    allowed: bool
    because: list[str]
    """Why not; by what, where it is allowed."""


class Rights(Struct, kw_only=True, frozen=True):
    """What may be done with a data set, and why."""

    dataset: str
    digest: str
    terms: TermsView
    """With everything that it inherits."""

    own: TermsView
    """Stated about it, by itself or by its name."""

    statements: list[Statement]
    holds: list[HoldView]
    grants: list[DataGrantView]
    uses: list[Allowance]
    """For the one who asks, at this moment."""

    erased: bool


class SetTerms(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State terms of a data set; what is left out stays. Wider terms wait for a second person."""

    project: str
    dataset: str
    reason: str
    every_version: bool = True
    """About its name, so about every version that has no statement of its own, or about this snapshot alone."""

    classification: str | None = None
    owner: str | None = None
    purposes: list[str] | None = None
    """An empty list: anything."""

    legal_basis: list[str] | None = None
    rights: list[str] | None = None
    use_until: str | None = None
    """A day, or ``never``."""

    retention: str | None = None
    keep_until: str | None = None
    access: str | None = None
    stands_alone: bool = False
    """What it was made of cannot be told from it any more, so that it inherits nothing; needs a second person."""


class ConfirmTerms(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Agree to wider terms as the second person."""

    project: str
    statement: str
    reason: str


class RequestDataGrant(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask for access to a data set, for a purpose and a time."""

    project: str
    dataset: str
    purpose: str
    reason: str
    days: int = 14
    account: str = ""
    """Who shall have it; empty for oneself."""

    every_version: bool = True


class ApproveDataGrant(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Give the access that somebody else asked for."""

    project: str
    grant: str
    reason: str = ""
    days: int | None = None
    """Fewer days than were asked for; None for as many."""


class RejectDataGrant(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Refuse access that somebody asked for."""

    project: str
    grant: str
    reason: str


class RevokeDataGrant(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take access back before it ends."""

    project: str
    grant: str
    reason: str


class ListDataGrants(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Requests for access, newest first."""

    project: str
    mine: bool = False
    state: str | None = None
    limit: int = 100


class DataGrants(Struct, kw_only=True, frozen=True):
    """Requests for access, newest first."""

    grants: list[DataGrantView]


class PlaceHold(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Have a data set stay as it is, for a case."""

    project: str
    dataset: str
    case: str
    reason: str
    forbids_use: bool = False
    every_version: bool = True


class ReleaseHold(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let a hold end; who placed it may not."""

    project: str
    hold: str
    reason: str


class ListHolds(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Holds, newest first."""

    project: str
    released: bool = False
    """Those that ended too."""


class Holds(Struct, kw_only=True, frozen=True):
    """Holds, newest first."""

    holds: list[HoldView]


class ListDue(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Snapshots whose time is over, and that nobody has decided about yet."""

    project: str


class DueView(Struct, kw_only=True, frozen=True):
    """A snapshot that is due to be deleted."""

    dataset: str
    digest: str
    retention: str
    days_over: int
    held_by: list[str]
    """What keeps it nevertheless."""

    bytes: int


class Due(Struct, kw_only=True, frozen=True):
    """Snapshots that are due, the longest first."""

    due: list[DueView]


class PreviewErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Have every snapshot that has the column searched for one subject, hermetically."""

    project: str
    column: str
    value: Secret
    """Kept nowhere in the clear: sealed under a key that goes with the erasure."""


class SubjectSearch(Struct, kw_only=True, frozen=True):
    """The search for a subject has begun."""

    subject: str
    """What stands for him in every record: the digest of his value under a random key."""

    column: str
    runs: list[str]
    snapshots: int


class ShowErasurePlan(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the search found, and what an erasure would destroy."""

    project: str
    subject: str
    keep: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)


class Affected(Struct, kw_only=True, frozen=True):
    """A thing that an erasure would destroy, or that is touched by it."""

    reference: str
    digest: str
    kind: str
    why: str
    rows: int | None = None
    """Rows of the subject, where they were counted."""

    action: str = "destroy"
    """``destroy``; ``keep``, by the wish of who asks; ``retrain``; ``review``."""


class ErasurePlan(Struct, kw_only=True, frozen=True):
    """What an erasure comes to."""

    subject: str
    column: str
    complete: bool
    """Whether every snapshot that has the column was searched."""

    searched: int
    missing: list[str]
    """Snapshots that were not searched yet."""

    found: list[Affected]
    affected: list[Affected]
    """Models that were trained on him, and what else was made with him."""

    objects: int
    bytes: int
    obstacles: list[str]
    """Holds and duties that refuse it."""


class RequestErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask for the erasure of a subject that was searched for; a second person decides."""

    project: str
    subject: str
    reason: str
    keep: list[str] = field(default_factory=list)
    """Things that the lineage touches and that are known not to hold him, or must stay; with the reason."""

    include: list[str] = field(default_factory=list)
    """Other things to be destroyed."""

    replace: bool = False
    """First make the next version of each name whose latest version holds him, without him."""


class RequestDeletion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask for the deletion of a snapshot whose time is over; a second person decides."""

    project: str
    dataset: str
    reason: str


class ApproveErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Decide as the second person, and destroy."""

    project: str
    erasure: str
    reason: str = ""


class RejectErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Decide as the second person that nothing is destroyed."""

    project: str
    erasure: str
    reason: str


class FinishErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Destroy the keys that erasures left behind; safe to repeat."""

    project: str


class Finished(Struct, kw_only=True, frozen=True):
    """The keys that were destroyed now."""

    keys: list[str]


class ShowErasure(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One request for erasure, and what came of it."""

    project: str
    erasure: str


class ListErasures(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Requests for erasure, newest first."""

    project: str


class ErasureView(Struct, kw_only=True, frozen=True):
    """A request for erasure, and what came of it."""

    id: str
    why: str
    """``erasure`` of a subject or end of ``retention``."""

    subject: str
    column: str
    reason: str
    state: str
    """``requested``, ``rejected``, ``erased`` (the keys are still to be destroyed) or ``done``."""

    asked_at: str
    asked_by: str
    decided_at: str | None
    decided_by: str | None
    found: list[Affected]
    affected: list[Affected]
    runs: list[str]
    """Jobs that make the next versions without the subject."""

    objects: int
    bytes: int
    survivors: int | None
    online: int | None
    """Rows that were taken out of online tables; None before the decision."""

    keys: list[str]
    """Key versions that end with it."""

    exports: list[str]
    """Exports of everything that were taken since these objects came: they hold them in the clear."""

    record: str


class Erasures(Struct, kw_only=True, frozen=True):
    """Requests for erasure, newest first."""

    erasures: list[ErasureView]


class ExcludeData(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """State why a column, or some rows, of a data set are left out, and which expert says so."""

    project: str
    dataset: str
    reason: str
    expert: str
    column: str | None = None
    rows: str | None = None
    """Which rows, in words."""


class ExclusionView(Struct, kw_only=True, frozen=True):
    """Something that is left out, with the reason."""

    id: str
    dataset: str
    column: str | None
    rows: str | None
    reason: str
    expert: str
    at: str
    by: str
    record: str


class Exclusions(Struct, kw_only=True, frozen=True):
    """What is left out of a data set."""

    exclusions: list[ExclusionView]


class ListExclusions(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is left out of a data set, with the reasons."""

    project: str
    dataset: str


class AssessBias(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Review a snapshot for bias: sampling, exclusion, stereotype, measurement."""

    project: str
    dataset: str
    facet: str
    """The column whose groups are compared."""

    disfavoured: list[str] = field(default_factory=list)
    """Values of the group that may be treated worse; for a numeric facet empty."""

    at_most: float | None = None
    """For a numeric facet: the disfavoured group is whoever has at most this value."""

    label: str | None = None
    """Column of the outcome; the snapshot's target without one."""

    favourable: str | None = None
    """Value of the label that is good for a person."""

    strata: str | None = None
    """Column within whose values the outcomes are compared too (CDDL)."""

    reference: str | None = None
    """A snapshot of the population that it should look like."""

    default_values: list[str] = field(default_factory=list)
    """Spellings that stand for no real measurement, such as ``?``."""


class ShowBias(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The newest bias review of a snapshot."""

    project: str
    dataset: str


class BiasView(Struct, kw_only=True, frozen=True):
    """A bias review."""

    dataset: str
    run: str
    reviewed_at: str
    by: str
    report: dict[str, Any]
