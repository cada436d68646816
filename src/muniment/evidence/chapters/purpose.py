"""What the model is for, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.evidence.chapters.subject import Subject, agent, at, code, dicts, prose, text, texts
from muniment.evidence.displaying import count, number
from muniment.evidence.document import (
    Block,
    Facts,
    Line,
    Mark,
    Missing,
    Paragraph,
    Part,
    Points,
    Row,
    Shape,
    Table,
    Value,
    said,
)

__all__ = ["purpose"]


def purpose(subject: Subject) -> Part:
    """The use case, the registration and the tier."""
    return Part("Purpose and use", (_use_case(subject), _registration(subject), _tier(subject), _limits(subject)))


def _use_case(subject: Subject) -> Part:
    case = subject.part("use_case")
    if not case:
        return Part("Use case", (Missing("No use case is recorded for this model."),))
    mark = subject.of_record("use-case", case)
    rows: list[tuple[str, Line]] = [
        ("Name", said(Value(text(case.get("name")) or "–", None, Shape.STRONG), *_version(case))),
        ("Owner", said(Value(agent(case.get("owner"))))),
        ("Kind of purpose", said(Value(text(case.get("purpose_class")).replace("-", " ") or "–"))),
        ("Exposure", said(Value(_money(case)))),
        ("Jurisdiction", said(Value(", ".join(texts(case.get("jurisdiction"))) or "–"))),
        ("Legal constraints", said(Value("; ".join(texts(case.get("legal"))) or "none recorded"))),
        ("Algorithms allowed", said(Value(", ".join(texts(case.get("allowed_algorithms"))) or "any"))),
        ("Attributes prohibited", _codes(texts(case.get("prohibited_attributes")))),
    ]
    blocks: list[Block] = [*prose(case.get("purpose"), mark, "No purpose is recorded."), Facts(tuple(rows), mark)]
    kpis = dicts(case.get("kpis"))
    if kpis:
        lines = tuple(
            Row((said(Value(text(one.get("name")))), said(code(one.get("expression"), None, 90)))) for one in kpis
        )
        blocks.append(Table(("Measure of success", "Expression"), lines, "ll", (0.4, 0.6), mark=mark))
    for title, name, missing in (
        ("Intended use", "intended_use", "No intended use is recorded."),
        ("Out of scope", "out_of_scope", "Nothing is recorded as out of scope."),
    ):
        blocks.append(Part(title, tuple(prose(case.get(name), mark, missing))))
    return Part("Use case", tuple(blocks))


def _version(case: Mapping[str, Any]) -> Line:
    return said(", version ", Value(number(case["version"]))) if case.get("version") is not None else ()


def _money(case: Mapping[str, Any]) -> str:
    if case.get("exposure") is None:
        return "–"
    return f"{text(case.get('currency'))} {count(case['exposure'])}".strip()


def _codes(names: list[str]) -> Line:
    pieces: list[Any] = []
    for name in names[:40]:
        pieces += [", " if pieces else "", code(name)]
    if len(names) > 40:
        pieces += [" and ", Value(count(len(names) - 40)), " more"]
    return said(*[piece for piece in pieces if piece != ""]) if pieces else said("none recorded")


def _registration(subject: Subject) -> Part:
    one = subject.part("registration")
    if not one:
        return Part("Registration", (Missing("The model is not registered in the inventory."),))
    mark = subject.of_record("registration", one)
    kinds = {"model": "a model", "non-model": "not a model in the sense of the policy", "eut": "an end-user tool"}
    rows: list[tuple[str, Line]] = [
        ("Registered as", said(code(one.get("model")))),
        ("Kind", said(Value(kinds.get(text(one.get("model_kind")), text(one.get("model_kind")) or "–")))),
        ("Origin", said(Value(text(one.get("origin")) or "–"))),
        ("Owner", said(Value(agent(one.get("owner"))))),
    ]
    if one.get("supplier"):
        rows.append(("Supplier", said(Value(text(one["supplier"])))))
    blocks: list[Block] = prose(one.get("description"), mark, "No description is recorded.")
    blocks.append(Facts(tuple(rows), mark))
    determined = subject.part("determination")
    if determined:
        signed = subject.of_record("determination", determined)
        result = text(determined.get("result"))
        what = Value(kinds.get(result, result) or "–", signed)
        line = said("It was determined to be ", what, " by ", Value(agent(determined.get("by")), signed), ":")
        blocks += [Paragraph(line), *prose(determined.get("text"), signed, "The determination bears no text.")]
    blocks += _listed("Assumptions", one.get("assumptions"), mark, "No assumption is recorded.")
    blocks += _listed("Known limits", one.get("limits"), mark, "No known limit is recorded.")
    return Part("Registration", tuple(blocks))


def _listed(title: str, of: Any, mark: Mark | None, missing: str) -> list[Block]:
    lines = texts(of)
    if not lines:
        return [Part(title, (Missing(missing),))]
    return [Part(title, (Points(tuple(said(Value(line, mark)) for line in lines)),))]


def _tier(subject: Subject) -> Part:
    tier = subject.part("tier")
    if not tier:
        return Part("Materiality", (Missing("No materiality tier is recorded."),))
    mark, asks = subject.of_record("tier", tier), tier.get("requires") or {}
    rows: list[tuple[str, Line]] = [
        ("Tier", said(Value(number(tier.get("level")), None, Shape.STRONG), ", the first being the most material")),
        ("Rule", said(code(_rule(tier.get("rule")), None, 70))),
        ("Approvals asked for", said(Value(number(at(asks, "approvals"))))),
        ("Evidence asked for", said(Value(", ".join(texts(at(asks, "evidence"))) or "–"))),
        ("Steps asked for", said(Value(", ".join(texts(at(asks, "steps"))) or "–"))),
        ("Reviewed every", said(Value(number(at(asks, "review_months"))), " months")),
    ]
    return Part("Materiality", (Facts(tuple(rows), mark),))


def _rule(rule: Any) -> str:
    if isinstance(rule, Mapping):
        return " ".join(text(rule.get(name)) for name in ("id", "version", "digest") if rule.get(name) is not None)
    return text(rule)


def _decided(subject: Subject, name: str, line: str) -> Mark | None:
    """The mark of the approval that set a condition or a limit."""
    for one in subject.parts("approvals"):
        if line in texts(one.get(name)):
            return subject.of_record(text(one.get("kind")) or "approval", one)
    return None


def _limits(subject: Subject) -> Part:
    state, ledger = subject.part("state"), subject.ledger()
    blocks: list[Block] = []
    for title, name, missing in (
        ("Conditions of the approval", "conditions", "No condition is recorded."),
        ("Limits of use", "use_limits", "No limit of use is recorded."),
    ):
        lines = tuple(said(Value(line, _decided(subject, name, line) or ledger)) for line in texts(state.get(name)))
        blocks.append(Part(title, (Points(lines),) if lines else (Missing(missing),)))
    return Part("Conditions and limits of use", tuple(blocks))
