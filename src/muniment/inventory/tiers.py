"""Materiality tiers: exposure times purpose comes to a tier, and the tier says what is asked for. The rule is data.

The rule that ships is ``tiering.json``. An institution publishes another one, which is then in force for all projects;
each tier that was worked out names the rule by id, version and digest, and every rule ever in force is kept.

Source: SR 26-2 (materiality from exposure and purpose); SS1/23, principle 1.3 (tiering decides the depth of work).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pkgutil import get_data
from typing import Any, Final

import msgspec
from msgspec import Struct

from muniment.errors import Invalid
from muniment.inventory.lifecycle import Version
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import advance
from muniment.inventory.usecases import find_use_case
from muniment.inventory.versions import registered
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.resources import INSTALLATION, PLATFORM
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import inventory as wire

__all__ = [
    "EVIDENCE",
    "STEPS",
    "Assessment",
    "Rule",
    "assess",
    "parse_rule",
    "reassess",
    "rule_in_force",
    "shipped_rule",
]

STEPS: Final = ("determination", "submission", "validation", "approval")
"""What a tier can ask for, in the order in which it is done."""

EVIDENCE: Final = ("evaluation", "explanation", "reproduction")
"""What a tier can ask to find in the record of a model that was made here."""

_LEVELS: Final = ("1", "2", "3", "4")
_SUBJECT: Final = "installation"
_MOST_APPROVALS: Final = 5
_LONGEST: Final = 32 * 1024


class Level(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What one tier asks for."""

    approvals: int
    """Different people who must approve."""

    steps: list[str]
    evidence: list[str]
    review_months: int
    """Months from approval to the next review, and the longest that an approval lasts."""

    evidence_days: int
    """Days after which a validation or an evaluation is too old to rest an approval on."""

    validator_may_approve: bool = False


class _Document(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    id: str
    version: int
    text: str
    bands: list[int]
    purposes: dict[str, list[int]]
    other_purposes: list[int]
    without_use_case: int
    kinds: dict[str, int]
    levels: dict[str, Level]


@dataclass(frozen=True, slots=True)
class Rule:
    """A tiering rule."""

    document: Mapping[str, Any]
    """As it was published."""

    data: _Document
    published_by: str | None = None
    published_at: str | None = None

    @property
    def digest(self) -> Digest:
        """Name of the rule."""
        return digest_of(dict(self.document))

    def __str__(self) -> str:
        """As records name it, ``muniment/tiering@1 sha256:…``."""
        return f"{self.data.id}@{self.data.version} {self.digest}"


@dataclass(frozen=True, slots=True)
class Assessment:
    """How material a version is, and what that asks for."""

    level: int
    rule: str
    exposure: int | None
    purpose_class: str | None
    because: str
    requires: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        """As a record holds it."""
        return {
            "level": self.level,
            "rule": self.rule,
            "exposure": self.exposure,
            "purpose_class": self.purpose_class,
            "because": self.because,
            "requires": dict(self.requires),
        }


def parse_rule(document: Mapping[str, Any]) -> Rule:
    """The rule that a document states.

    Raises:
        Invalid: it is not a tiering rule, or asks for what does not exist or makes no sense.
    """
    try:
        data = msgspec.convert(dict(document), _Document)
    except msgspec.ValidationError as broken:
        raise Invalid("MUNI-M120", "this is not a tiering rule", reason=str(broken)[:400]) from broken
    wrong = _wrong(data)
    if wrong:
        raise Invalid("MUNI-M121", "this tiering rule contradicts itself", reason=wrong, rule=data.id[:80])
    return Rule(dict(document), data)


def shipped_rule() -> Rule:
    """The rule that ships with the product."""
    content = get_data("muniment.inventory", "tiering.json")
    assert content is not None, "the package lacks its tiering rule"
    return parse_rule(msgspec.json.decode(content))


def rule_in_force(records: Records) -> Rule:
    """The rule that the institution published last, else the one that ships."""
    published = records.about(PLATFORM, [_SUBJECT], RecordKind.TIERING_RULE)
    if not published:
        return _SHIPPED
    newest = max(published, key=lambda record: record.body["number"])
    found = parse_rule(newest.body["rule"])
    return Rule(found.document, found.data, newest.by, newest.at.isoformat())


def assess(rule: Rule, *, exposure: int | None, purpose_class: str | None, model_kind: str, origin: str) -> Assessment:
    """The tier of a version.

    Args:
        rule: the rule in force.
        exposure: of its use case, in whole units of currency; None when it has no use case.
        purpose_class: of its use case.
        model_kind: ``model``, ``non-model`` or ``eut``.
        origin: ``platform``, ``vendor`` or ``off-platform``.
    """
    data = rule.data
    if model_kind in data.kinds:
        level, because = data.kinds[model_kind], f"it is determined to be a {model_kind}"
    elif exposure is None or purpose_class is None:
        level, because = data.without_use_case, "it has no use case, so exposure and purpose are not known"
    else:
        band = sum(exposure >= floor for floor in data.bands)
        level = data.purposes.get(purpose_class, data.other_purposes)[band]
        floor = data.bands[band - 1] if band else 0
        because = f"exposure {exposure:,} is at least {floor:,} and the purpose is {purpose_class}"
    asks = data.levels[str(level)]
    requires = {
        "approvals": asks.approvals,
        "steps": list(asks.steps),
        "evidence": list(asks.evidence) if origin == "platform" else [],
        "review_months": asks.review_months,
        "evidence_days": asks.evidence_days,
        "validator_may_approve": asks.validator_may_approve,
    }
    return Assessment(level, str(rule), exposure, purpose_class, because, requires)


def reassess(call: Call, digest: Digest) -> Version:
    """Work out the tier of a version by the rule in force and its use case of now; a record is kept if it changed.

    Raises:
        Conflict: it is not registered.
    """
    version = registered(call, digest)
    if version.state.final:
        return version
    told = version.registration.body
    frame: Mapping[str, Any] = {}
    if told["use_case"]:
        frame = find_use_case(call.session, call.project, told["use_case"]).record.body
    found = assess(
        rule_in_force(call.use(Records)),
        exposure=frame.get("exposure"),
        purpose_class=frame.get("purpose_class"),
        # who registers a version may be its author, and only claims what it is; it counts once it was determined
        model_kind=version.model_kind if version.determination is not None else "model",
        origin=told["origin"],
    )
    body = found.body()
    if version.tier is not None and {**version.tier.body, "step": 0} == {**body, "step": 0}:
        return version
    return advance(call, RecordKind.TIER, digest, body)


def _wrong(data: _Document) -> str:
    """The first rule that a document breaks, in words; empty when it breaks none."""
    columns = len(data.bands) + 1
    tables = {**data.purposes, "other_purposes": data.other_purposes}
    levels = [level for row in tables.values() for level in row]
    levels += [data.without_use_case, *data.kinds.values()]
    if sorted(data.levels) != list(_LEVELS):
        return "it describes the levels 1, 2, 3 and 4, no others"
    if data.bands != sorted(set(data.bands)) or any(floor <= 0 for floor in data.bands):
        return "the bands of exposure are positive and rise"
    if short := sorted(name for name, row in tables.items() if len(row) != columns):
        return f"{short[0]} needs a level for each of the {columns} bands of exposure"
    if not set(levels) <= {1, 2, 3, 4}:
        return "a level is 1, 2, 3 or 4"
    if any(later > earlier for row in tables.values() for earlier, later in pairwise(row)):
        return "with more exposure a level may only become more material"
    if not data.id or len(data.id) > 100 or data.version < 1:
        return "it has an id of at most 100 characters and a version from 1 on"
    for name, asks in sorted(data.levels.items()):
        if wrong := _wrong_level(asks):
            return f"level {name}: {wrong}"
    return ""


def _wrong_level(asks: Level) -> str:
    if not 1 <= asks.approvals <= _MOST_APPROVALS:
        return f"it takes 1 to {_MOST_APPROVALS} approvals"
    if asks.steps != [step for step in STEPS if step in asks.steps] or not {"submission", "approval"} <= {*asks.steps}:
        return f"its steps are some of {', '.join(STEPS)}, in this order, with submission and approval"
    if strangers := sorted(set(asks.evidence) - set(EVIDENCE)):
        return f"{strangers[0][:40]!r} is no evidence that can be found; known are {', '.join(EVIDENCE)}"
    if not 1 <= asks.review_months <= 60 or not 1 <= asks.evidence_days <= 3660:
        return "a review is due within 1 to 60 months, and evidence lasts 1 to 3,660 days"
    return ""


@verb(
    "inventory:ShowTiering",
    on=INSTALLATION,
    request=wire.ShowTiering,
    reply=wire.Tiering,
    event="tiering.shown",
    group="policy:read",
    effect=Effect.READ,
)
def show_tiering(call: Call, request: wire.ShowTiering) -> wire.Tiering:
    """Show the rule by which exposure and purpose come to a tier, and what each tier asks for."""
    return _view(rule_in_force(call.use(Records)))


@verb(
    "inventory:PublishTiering",
    on=INSTALLATION,
    request=wire.PublishTiering,
    reply=wire.Tiering,
    event="tiering.published",
    group="policy:manage",
)
def publish_tiering(call: Call, request: wire.PublishTiering) -> wire.Tiering:
    """Put another tiering rule in force; tiers are worked out by it from the next step of each version on."""
    if len(msgspec.json.encode(request.rule)) > _LONGEST:
        raise Invalid("MUNI-M122", "a tiering rule has at most 32 KiB", limit_bytes=_LONGEST)
    rule, records = parse_rule(request.rule), call.use(Records)
    number = len(records.about(PLATFORM, [_SUBJECT], RecordKind.TIERING_RULE))
    body = {"rule": dict(rule.document), "number": number, "replaces": str(rule_in_force(records))}
    record = Record(
        call.new_id(),
        PLATFORM,
        RecordKind.TIERING_RULE,
        _SUBJECT,
        call.now,
        str(call.principal),
        Grade.DECLARED,
        body,
    )
    records.append(record)
    call.note_more(records=str(record.digest))
    call.note(rule=str(rule))
    return _view(rule_in_force(records))


def _view(rule: Rule) -> wire.Tiering:
    return wire.Tiering(
        rule=str(rule),
        document=dict(rule.document),
        published_by=rule.published_by,
        published_at=rule.published_at,
    )


_SHIPPED: Final = shipped_rule()

VERBS: Final = (publish_tiering, show_tiering)
