"""The verbs of changes: what differs between two versions, the class that rules propose, the decision of a person.

The rules are data, named by id, version and digest in every answer and decision. Source of the classes: Commission
Delegated Regulation (EU) No 529/2014; ECB guide to internal models (July 2025). Words and thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pkgutil import get_data
from typing import Any, Final

import msgspec
from msgspec import Struct

from muniment.catalog.naming import label
from muniment.catalog.resources import MODEL
from muniment.errors import Denied, Invalid
from muniment.inventory.citing import model_of, text_of, why_not_independent
from muniment.inventory.facts.deriving import facts_from
from muniment.inventory.facts.differing import Difference, Side, differences, measures
from muniment.inventory.facts.fact import Facts
from muniment.inventory.facts.known import Known, load, read_report
from muniment.inventory.model import Record, RecordKind
from muniment.inventory.ports import Records
from muniment.inventory.recording import keep
from muniment.kernel.digest import Digest
from muniment.kernel.expressions import Outcome, evaluate, parse
from muniment.kernel.identifiers import format_time
from muniment.kernel.verb import Call, Effect, verb
from muniment.wire import oversight as wire

__all__ = ["VERBS", "Proposal", "Rules", "propose", "shipped_rules"]

_MOST_KEPT: Final = 300
"""So many differences stand in a record; the rest is counted."""


class Rule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When a change is of a class."""

    id: str
    class_: str = msgspec.field(name="class")
    when: str
    """An expression over the measures of a change."""

    because: str
    when_unknown: str | None = None
    """The class that is proposed where nothing can be said; None where that proposes none."""


class Rules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A version of the rules."""

    format: str
    id: str
    version: int
    effective: str
    title: str
    about: str
    classes: list[str]
    """The gravest first; the last one is that of a change that no rule speaks of."""

    rules: list[Rule]

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """The class that rules propose, and the rules that speak."""

    change_class: str
    reasons: tuple[wire.ClassReason, ...]


def shipped_rules() -> tuple[Rules, Digest]:
    """The rules that ship with the product, and their digest."""
    content = get_data("muniment.inventory.oversight", "change_rules.json")
    assert content is not None, "the package lacks its rules of changes"
    rules = msgspec.json.decode(content, type=Rules)
    return rules, Digest.of(content)


def propose(rules: Rules, told: Mapping[str, Any]) -> Proposal:
    """The gravest class of all rules that speak. Pure.

    Args:
        rules: the rules.
        told: the measures of a change, without those that are not known.
    """
    reasons = []
    for rule in rules.rules:
        answer = evaluate(parse(rule.when), told)
        why = "; ".join(part.why for part in answer.parts)
        if answer.outcome is Outcome.YES:
            reasons.append(wire.ClassReason(change_class=rule.class_, rule=rule.id, because=f"{rule.because} ({why})"))
        elif answer.outcome is Outcome.UNKNOWN and rule.when_unknown is not None:
            because = f"it cannot be said whether {rule.because} ({why})"
            reasons.append(wire.ClassReason(change_class=rule.when_unknown, rule=rule.id, because=because))
    reasons.sort(key=lambda reason: rules.classes.index(reason.change_class))
    return Proposal(reasons[0].change_class if reasons else rules.classes[-1], tuple(reasons))


@verb(
    "inventory:CompareVersions",
    on=MODEL,
    request=wire.CompareVersions,
    reply=wire.VersionComparison,
    event="versions.compared",
    group="catalog:read",
    effect=Effect.READ,
)
def compare_versions(call: Call, request: wire.CompareVersions) -> wire.VersionComparison:
    """Show what differs between two versions, how much, the class that the rules propose, and what was decided."""
    after, before = _two(call, request.model, request.base)
    compared = _compare(call, before, after)
    call.note(model=compared.digest, base=compared.base_digest, proposed=compared.proposed_class)
    return compared


@verb(
    "inventory:ClassifyChange",
    on=MODEL,
    request=wire.ClassifyChange,
    reply=wire.VersionComparison,
    event="change.classified",
    group="inventory:oversee",
)
def classify_change(call: Call, request: wire.ClassifyChange) -> wire.VersionComparison:
    """Decide the class of a change; a decision other than the proposal needs a reason and is shown as such."""
    after, before = _two(call, request.model, request.base)
    if why := why_not_independent(call, after.model.digest):
        raise Denied(
            "MUNI-M455",
            "who had a part in the model does not decide how grave its change is",
            principal=str(call.principal),
            because=why,
            do="ask a validator or an approver",
        )
    compared = _compare(call, before, after)
    classes = shipped_rules()[0].classes
    if request.change_class not in classes:
        raise Invalid(
            "MUNI-M163", f"{request.change_class[:40]!r} is no class of changes", given=request.change_class[:80],
            choices=classes,
        )  # fmt: skip
    reason = request.reason.strip()
    if request.change_class != compared.proposed_class and not reason:
        raise Invalid(
            "MUNI-M164",
            "a decision other than the proposed class needs a reason",
            proposed=compared.proposed_class,
            decided=request.change_class,
            do="say why: --reason TEXT",
        )
    body = {
        "from": compared.base_digest,
        "to": compared.digest,
        "differences": [_kept(one) for one in compared.differences[:_MOST_KEPT]],
        "differences_in_all": len(compared.differences),
        "proposed_class": compared.proposed_class,
        "reasons": [asdict_of(one) for one in compared.reasons],
        "not_compared": compared.not_compared,
        "decided_class": request.change_class,
        "reason": text_of(reason, "reason") if reason else "",
        "rules": compared.rules,
        "rules_digest": compared.rules_digest,
    }
    record = keep(call, RecordKind.CHANGE, compared.digest, body)
    call.note(model=compared.digest, base=compared.base_digest, decided=request.change_class)
    return _decided(compared, record)


def asdict_of(reason: wire.ClassReason) -> dict[str, str]:
    """A reason as it stands in a record."""
    return {"class": reason.change_class, "rule": reason.rule, "because": reason.because[:500]}


def _two(call: Call, model: str, base: str) -> tuple[Known, Known]:
    after, before = model_of(call, model), model_of(call, base)
    if after.digest == before.digest:
        raise Invalid("MUNI-M165", "a version is compared with another one", model=str(after.digest))
    return load(call, after.digest), load(call, before.digest)


def _compare(call: Call, before: Known, after: Known) -> wire.VersionComparison:
    old, new = _side(call, before), _side(call, after)
    found, missed = differences(old, new)
    rules, digest = shipped_rules()
    proposal = propose(rules, measures(old, new))
    decisions = [
        record
        for record in call.use(Records).about(call.project, [str(after.model.digest)], RecordKind.CHANGE)
        if record.body["from"] == str(before.model.digest)
    ]
    compared = wire.VersionComparison(
        model=label(call.session, call.project, after.model.digest),
        digest=str(after.model.digest),
        base=label(call.session, call.project, before.model.digest),
        base_digest=str(before.model.digest),
        differences=[_view(one) for one in found],
        proposed_class=proposal.change_class,
        reasons=list(proposal.reasons),
        rules=rules.name,
        rules_digest=str(digest),
        not_compared=missed,
    )
    return _decided(compared, decisions[-1]) if decisions else compared


def _decided(compared: wire.VersionComparison, record: Record) -> wire.VersionComparison:
    body = record.body
    return msgspec.structs.replace(
        compared,
        decided_class=body["decided_class"],
        decided_by=record.by,
        decided_at=format_time(record.at),
        decision=body["reason"],
        deviates=body["decided_class"] != body["proposed_class"],
    )


def _side(call: Call, known: Known) -> Side:
    wheels = known.environment.wheels if known.environment is not None else ()
    parts = [wheel.filename.split("-") for wheel in wheels]
    return Side(known, Facts(facts_from(known)), {part[0]: part[1] for part in parts}, _shares(call, known))


def _shares(call: Call, known: Known) -> dict[str, float] | None:
    """Part of the attribution by feature, of the newest explanation that says it."""
    for measured in known.explanations[:1]:
        document = read_report(call, measured.report) or {}
        features: Sequence[Any] = document.get("features") or []
        shares = {
            str(one["name"]): float(one["share"])
            for one in features
            if isinstance(one, Mapping) and isinstance(one.get("share"), (int, float))
        }
        return shares or None
    return None


def _view(one: Difference) -> wire.DifferenceView:
    return wire.DifferenceView(**asdict(one))


def _kept(one: wire.DifferenceView) -> dict[str, Any]:
    """A difference as a record holds it: numbers that are not integers as text."""
    fields = {name: _written(getattr(one, name)) for name in ("section", "name", "before", "after", "size", "unit")}
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [_written(one) for one in value][:50]
    if isinstance(value, Mapping):
        return {str(name): _written(one) for name, one in list(value.items())[:50]}
    return value[:500] if isinstance(value, str) else value


VERBS: Final = (compare_versions, classify_change)
