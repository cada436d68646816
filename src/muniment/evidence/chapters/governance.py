"""Who decided what, on which grounds, and what is still open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from muniment.evidence.chapters.subject import ROWS, Subject, agent, code, prose, settled, text, texts, toned
from muniment.evidence.displaying import day, moment, shortened
from muniment.evidence.document import (
    Badge,
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
    Tone,
    Value,
    Words,
    said,
)

__all__ = ["governance"]


def governance(subject: Subject) -> Part:
    """The chapter."""
    return Part(
        "Validation and approval",
        (
            _gates(subject),
            _validation(subject),
            _signatures(subject),
            _findings(subject),
            _challenge(subject),
            _schedule(subject),
            _changes(subject),
        ),
    )


def _gates(subject: Subject) -> Part:
    gates = subject.parts("gates")
    if not gates:
        return Part("Gates", (Missing("No gate was set for this model."),))
    rows = []
    for gate in gates[:ROWS]:
        outcome = text(gate.get("outcome")) or "unknown"
        word = {"yes": "holds", "no": "does not hold"}.get(outcome, outcome)
        what: list[Any] = [code(gate.get("expression"), None, 400)]
        cells = (
            said(Value(text(gate.get("name")) or "–", None, Shape.STRONG), *_fixed(gate)),
            said(*what, *_parts(gate)),
            said(Badge(word, toned(outcome))),
        )
        rows.append(Row(cells, subject.of_gate(gate)))
    intro = said(
        "A gate is an expression over recorded facts, fixed before what it judges. An unknown answer does not pass."
    )
    table = Table(("Gate", "Expression, and what was found", "Outcome"), tuple(rows), "lll", (0.3, 0.7, 0))
    return Part("Gates", (Paragraph(intro), table))


def _fixed(gate: Mapping[str, Any]) -> Line:
    pieces: list[Any] = []
    if gate.get("stage"):
        pieces += ["\n", Value(f"to {text(gate['stage'])}", None, Shape.MUTED)]
    if gate.get("hindsight"):
        pieces += ["\n", Value("fixed after what it judges", None, Shape.MUTED)]
    if gate.get("fixed_at"):
        pieces += ["\n", Value(f"fixed {day(gate['fixed_at'])}", None, Shape.MUTED)]
    return said(*pieces)


def _parts(gate: Mapping[str, Any]) -> Iterator[Words | Value]:
    parts = gate.get("parts")
    for part in list(parts)[:20] if isinstance(parts, (list, tuple)) else []:
        if isinstance(part, Mapping):
            said_, outcome, why = (text(part.get(name)) for name in ("text", "outcome", "why"))
        elif isinstance(part, (list, tuple)):
            said_, outcome, why = ([text(one) for one in part] + ["", "", ""])[:3]
        else:
            continue
        yield Words("\n")
        yield Value(f"{said_} — {outcome}" + (f": {why}" if why else ""), None, Shape.MUTED)


def _validation(subject: Subject) -> Part:
    reviews = [one for one in subject.parts("reviews") if one.get("kind") in (None, "review") and one.get("outcome")]
    if not reviews:
        return Part("Independent validation", (Missing("No independent validation is recorded."),))
    blocks: list[Block] = []
    for one in reviews[:10]:
        mark = subject.of_record("review", one)
        outcome = text(one.get("outcome"))
        facts: list[tuple[str, Line]] = [
            ("Outcome", said(Badge(outcome, toned(outcome)))),
            ("Validator", said(Value(agent(one.get("by") or subject.document_of("review", one).get("by"))))),
            ("When", said(Value(moment(one.get("at") or subject.document_of("review", one).get("at"))))),
        ]
        if one.get("scope"):
            facts.append(("Scope", said(Value(_listed(one["scope"])))))
        blocks.append(Facts(tuple(facts), mark))
        blocks += prose(one.get("text"), mark, "The validator left no text.")
        if one.get("conceptual_soundness"):
            blocks.append(Part("Conceptual soundness", tuple(prose(one["conceptual_soundness"], mark, ""))))
    return Part("Independent validation", tuple(blocks))


def _listed(of: Any) -> str:
    return ", ".join(texts(of)) if isinstance(of, (list, tuple)) else text(of)


def _signatures(subject: Subject) -> Part:
    signatures = subject.parts("signatures")
    if not signatures:
        return Part("Approvals and signatures", (Missing("Nobody has signed anything about this model."),))
    rows = []
    for one in signatures[:ROWS]:
        cells = (
            said(Value(agent(one.get("signer")), None, Shape.STRONG)),
            said(Value(text(one.get("meaning")).replace("-", " ") or "–")),
            said(Value(moment(one.get("at")))),
            said(code(one.get("key"), None, 26)),
        )
        mark = subject.of_record("signature", one, f"signed: {text(one.get('meaning'))}")
        rows.append(Row(cells, mark))
    intro = said(
        "Each person signed, with a key of their own, a statement that names the digest of what they looked at. The "
        "statements and keys are in the pack, so each signature verifies without the platform."
    )
    blocks: list[Block] = [
        Paragraph(intro),
        Table(("Who", "What it means", "When", "Key"), tuple(rows), "llll", (0, 1, 0, 0)),
    ]
    signed = {text(_subject_of(one)) for one in signatures if _subject_of(one)}
    if signed:
        blocks.append(
            Facts(tuple(("Digest signed", said(code(one, _manifest(subject, one), 80))) for one in sorted(signed)[:6]))
        )
    blocks += _decisions(subject)
    return Part("Approvals and signatures", tuple(blocks))


def _manifest(subject: Subject, digest: str) -> Mark | None:
    """The mark of a signed digest: the model's own, or that of the manifest of its registration."""
    if digest == text(subject.model.get("digest")):
        return subject.of_model()
    return subject.of_record("registration", subject.part("registration"))


def _subject_of(one: Mapping[str, Any]) -> str:
    """The digest that a signed statement names."""
    statement = text(one.get("statement"))
    _, found, rest = statement.partition('"subject":"')
    return rest.partition('"')[0] if found else ""


def _decisions(subject: Subject) -> list[Block]:
    rows = []
    for one in subject.parts("approvals")[:ROWS]:
        kind = text(one.get("kind")) or "approval"
        says = [
            *(f"condition: {line}" for line in texts(one.get("conditions"))),
            *(f"limit: {line}" for line in texts(one.get("use_limits"))),
            *([text(one.get("reason"))] if one.get("reason") else []),
        ]
        cells = (
            said(
                Badge(
                    kind.replace("-", " "),
                    toned({"approval": "approved", "rejection": "rejected"}.get(kind, "retired")),
                )
            ),
            said(Value(agent(one.get("by"))), *((" ", Badge("emergency", Tone.BAD)) if one.get("emergency") else ())),
            said(*_lines(says)),
            said(Value(day(one.get("expires")) if one.get("expires") else "–")),
        )
        rows.append(Row(cells, subject.of_record(kind, one)))
    if not rows:
        return []
    return [Part("Decisions", (Table(("Decision", "By", "With", "Until"), tuple(rows), "llll", (0, 0, 1, 0)),))]


def _lines(says: list[str]) -> Iterator[Words | Value]:
    for place, line in enumerate(says or ["–"]):
        if place:
            yield Words("\n")
        yield Value(line)


def _findings(subject: Subject) -> Part:
    findings = subject.parts("findings")
    if not findings:
        return Part("Findings", (Missing("No finding was raised."),))
    order = {"high": 0, "medium": 1, "low": 2}
    blocks: list[Block] = []
    rows = []
    for one in sorted(findings, key=lambda one: (bool(one.get("closed")), order.get(text(one.get("severity")), 3)))[
        :ROWS
    ]:
        severity, closed = text(one.get("severity")) or "–", one.get("closed")
        end: Line = said(Badge("open", Tone.CAREFUL))
        if isinstance(closed, Mapping):
            end = said(
                Badge("closed", Tone.GOOD),
                "\n",
                Value(day(closed.get("at"))),
                "\n",
                "by ",
                Value(agent(closed.get("by"))),
            )
        what: list[Any] = [Value(text(one.get("title")) or "–", None, Shape.STRONG)]
        if one.get("text"):
            what += ["\n", Value(text(one["text"]))]
        if isinstance(closed, Mapping) and (closed.get("text") or closed.get("evidence")):
            what += [
                "\n",
                Value(
                    "closed with: "
                    + " ".join(filter(None, (text(closed.get("text")), shortened(text(closed.get("evidence")), 40)))),
                    None,
                    Shape.MUTED,
                ),
            ]
        cells = (
            said(Badge(severity, toned(severity))),
            said(*what),
            said(Value(agent(one.get("owner")))),
            said(Value(day(one.get("due")))),
            end,
        )
        rows.append(Row(cells, subject.of_record("finding", one)))
    blocks.append(Table(("Severity", "Finding", "Owner", "Due", "State"), tuple(rows), "lllll", (0, 1, 0, 0, 0)))
    return Part("Findings", tuple(blocks))


def _challenge(subject: Subject) -> Part:
    comments = subject.parts("challenge")
    if not comments:
        return Part("Effective challenge", (Missing("No challenge is recorded."),))
    blocks: list[Block] = []
    answered = settled(comments)
    for one in comments[:ROWS]:
        mark = subject.of_record("comment", one)
        resolved: Line = ()
        if not one.get("in_reply_to"):
            good = text(one.get("id")) in answered or bool(one.get("resolved"))
            resolved = said("  ", Badge("resolved", Tone.GOOD) if good else Badge("not resolved", Tone.CAREFUL))
        head = said(
            Value(agent(one.get("by")), None, Shape.STRONG),
            ", ",
            Value(moment(one.get("at"))),
            *((Value(" in reply", None, Shape.MUTED),) if one.get("in_reply_to") else ()),
            *resolved,
        )
        blocks += [Paragraph(head, mark=mark), *prose(one.get("text"), mark, "The comment is empty.")]
    return Part("Effective challenge", tuple(blocks))


def _schedule(subject: Subject) -> Part:
    due = [
        one
        for one in subject.parts("reviews")
        if one.get("kind") == "review-schedule" or (one.get("due") and not one.get("outcome"))
    ]
    done = [one for one in subject.parts("reviews") if one.get("kind") == "review-done"]
    if not due and not done:
        return Part("Periodic review", (Missing("No review is scheduled."),))
    rows = [
        Row(
            (
                said(Value("due")),
                said(Value(day(one.get("due")))),
                said(Value(text(one.get("trigger")) or "–")),
                said(Value(text(one.get("reason")) or "–")),
            ),
            subject.of_record("review-schedule", one),
        )
        for one in due[:40]
    ]
    rows += [
        Row(
            (
                said(Value("done")),
                said(Value(day(one.get("at")))),
                said(Value(text(one.get("outcome")) or "–")),
                said(Value(text(one.get("text")) or "–")),
            ),
            subject.of_record("review-done", one),
        )
        for one in done[:40]
    ]
    table = Table(("Review", "When", "Trigger or outcome", "Reason"), tuple(rows), "llll", (0, 0, 0, 1))
    return Part("Periodic review", (table,))


def _changes(subject: Subject) -> Part:
    changes = subject.parts("changes")
    if not changes:
        return Part(
            "Changes against earlier versions", (Missing("No comparison with an earlier version is recorded."),)
        )
    blocks: list[Block] = []
    for one in changes[:10]:
        mark = subject.of_record("change", one)
        decided = text(one.get("decided_class"))
        facts: tuple[tuple[str, Line], ...] = (
            ("From", said(code(one.get("from"), None, 80))),
            ("To", said(code(one.get("to"), None, 80))),
            ("Class proposed", said(Value(text(one.get("proposed_class")) or "–"))),
            ("Class decided", said(Value(decided)) if decided else said("not yet decided")),
        )
        blocks.append(Facts(facts, mark))
        lines = tuple(said(Value(_change(d), mark)) for d in _list(one.get("differences"))[:60])
        if lines:
            blocks.append(Points(lines))
    return Part("Changes against earlier versions", tuple(blocks))


def _list(of: Any) -> list[Any]:
    return list(of) if isinstance(of, (list, tuple)) else []


def _change(of: Any) -> str:
    if not isinstance(of, Mapping):
        return text(of)
    name = text(of.get("name") or of.get("what") or of.get("aspect"))
    before, now = of.get("from", of.get("before")), of.get("to", of.get("after"))
    if before is None and now is None:
        return ", ".join(f"{key}: {text(value)}" for key, value in of.items())
    section = f"{text(of['section'])} " if of.get("section") else ""
    return f"{section}{name}: {shortened(text(before), 60)} → {shortened(text(now), 60)}"
