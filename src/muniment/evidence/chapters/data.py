"""The data: where they come from, what they look like, how good they are, and how they were divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from muniment.evidence.chapters.subject import ROWS, Subject, agent, at, code, dicts, text
from muniment.evidence.displaying import count, day, number, percent, shortened
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
    said,
)

__all__ = ["data"]


def data(subject: Subject) -> Part:
    """The chapter."""
    sets = subject.parts("data")
    if not sets:
        return Part("Data", (Missing("No data set is recorded: the model was not trained or measured here."),))
    whole = max(
        sets, key=lambda one: (one.get("profile") is not None, len(dicts(one.get("schema"))), one.get("rows") or 0)
    )
    return Part("Data", (_sets(subject, sets), _split(subject), _quality(subject, whole), _columns(subject, whole)))


def _sets(subject: Subject, sets: list[Mapping[str, Any]]) -> Part:
    rows = []
    for one in sets[:ROWS]:
        cells = (
            said(code(one.get("reference"), None, 34)),
            said(Value(shortened(text(one.get("role")), 20) or "–")),
            said(Value(count(one.get("rows")))),
            said(Value(count(one.get("columns")))),
            said(Value(shortened(text(one.get("classification")), 20) or "–")),
            said(Value(_made(one))),
        )
        rows.append(Row(cells, subject.of_data(one)))
    table = Table(
        ("Data set", "Part played", "Rows", "Columns", "Class", "Came from"), tuple(rows), "llrrll", (0, 0, 0, 0, 0, 1)
    )
    intro = said(
        "Each set is named by the digest of its bytes; what a model was trained on was mounted into its job "
        "by that digest, and nothing else could be read there."
    )
    return Part("Sets and their origin", (Paragraph(intro), table, *_more(len(sets))))


def _more(total: int) -> tuple[Block, ...]:
    if total <= ROWS:
        return ()
    return (Paragraph(said("The table is cut; the dossier holds all rows.")),)


def _made(one: Mapping[str, Any]) -> str:
    origin = one.get("origin") or {}
    kind, by = text(origin.get("kind")), text(origin.get("by"))
    if origin.get("filename"):
        return f"{shortened(text(origin['filename']), 36)}, brought in by {agent(by)}"
    sources = ", ".join(shortened(text(one), 22) for one in (origin.get("from") or {}).values())
    if kind:
        return f"{kind} of {sources}" + (f" by {agent(by)}" if by else "")
    return f"recorded by {agent(one.get('author'))}, {day(one.get('at'))}" if one.get("author") else "–"


def _split(subject: Subject) -> Part:
    split = subject.part("split")
    if not split:
        return Part("How the data were divided", (Missing("No split is recorded."),))
    mark, proof = subject.of_run("split and its proof", split), split.get("proof") or {}
    facts: list[tuple[str, Line]] = [
        ("No row in two parts", said(_answer(split.get("disjoint")))),
        ("Together complete", said(_answer(split.get("complete")))),
    ]
    if proof.get("stratify"):
        facts.append(("Stratified by", said(code(proof["stratify"]))))
    if proof.get("group"):
        facts.append(("Grouped by", said(code(proof["group"]))))
    if proof.get("seed") is not None:
        facts.append(("Seed", said(Value(text(proof["seed"])))))
    equal = at(proof, "equal_rows_in_different_parts", "without_unique_columns")
    if equal is not None:
        facts.append(("Equal rows across", said(Value(count(equal)), ", not counting identifiers")))
    blocks: list[Block] = [
        Paragraph(
            said(
                "The platform divided the data itself and wrote a proof: parts are disjoint and together are "
                "the whole, shown by the digests of their content."
            )
        ),
        Facts(tuple(facts), mark),
    ]
    parts: Mapping[str, Any] = found if isinstance(found := proof.get("parts"), Mapping) else {}
    rows = [
        Row(
            (
                said(Value(name, None, Shape.STRONG)),
                said(Value(count(at(part, "rows")))),
                said(Value(percent(at(part, "share")))),
                said(Value(_classes(part))),
            )
        )
        for name, part in list(parts.items())[:ROWS]
    ]
    if rows:
        blocks.append(Table(("Part", "Rows", "Share", "Rows by class"), tuple(rows), "lrrl", (0, 0, 0, 1), mark=mark))
    return Part("How the data were divided", tuple(blocks))


def _classes(part: Any) -> str:
    classes = at(part, "classes")
    if not isinstance(classes, Mapping):
        return "–"
    return ", ".join(f"{shortened(str(name), 16)}: {count(rows)}" for name, rows in list(classes.items())[:6])


def _answer(of: Any) -> Badge:
    return Badge(
        "yes" if of is True else "no" if of is False else "not known",
        Tone.GOOD if of is True else Tone.BAD if of is False else Tone.CAREFUL,
    )


def _quality(subject: Subject, whole: Mapping[str, Any]) -> Part:
    blocks: list[Block] = []
    profile = dicts(at(whole, "profile", "columns"))
    mark = _profile_mark(subject, whole)
    if profile:
        incomplete = [one for one in profile if (one.get("completeness") or 0) < 1]
        constant = [one for one in profile if at(one, "distinct", "count") == 1]
        facts = (
            ("Columns profiled", said(Value(count(len(profile))))),
            ("With missing values", said(Value(count(len(incomplete))), *_worst(incomplete))),
            ("Constant columns", said(Value(count(len(constant))))),
            ("Rows", said(Value(count(whole.get("rows"))))),
        )
        blocks += [
            Paragraph(
                said("The set ", code(whole.get("reference"), mark), " was profiled in full, inside the sandbox.")
            ),
            Facts(facts, mark),
        ]
    else:
        blocks.append(Missing("No profile of the data is recorded."))
    found = [line for one in subject.parts("data") for line in _findings(subject, one)]
    blocks.append(
        Part(
            "What was found on reading",
            (Points(tuple(found[:40])),) if found else (Missing("Reading the source found nothing to report."),),
        )
    )
    return Part("Quality", tuple(blocks))


def _worst(incomplete: list[Mapping[str, Any]]) -> Line:
    if not incomplete:
        return ()
    worst = min(incomplete, key=lambda one: one.get("completeness") or 0)
    return said(
        ", the least complete being ", code(worst.get("name")), " with ", Value(percent(worst.get("completeness")))
    )


def _findings(subject: Subject, one: Mapping[str, Any]) -> Iterator[Line]:
    mark = subject.of_data(one)
    for finding in dicts(one.get("findings")):
        column = finding.get("column") or at(finding, "facts", "column")
        message = text(finding.get("message")) or text(finding.get("code"))
        yield said(*((code(column), ": ") if column else ()), Value(message, mark))


def _profile_mark(subject: Subject, whole: Mapping[str, Any]) -> Mark | None:
    run = text(whole.get("profiled_by")) or None
    return subject.citations.mark("profile of the data", run=run, grade="proven") if run else subject.of_data(whole)


def _columns(subject: Subject, whole: Mapping[str, Any]) -> Part:
    schema = dicts(whole.get("schema"))
    if not schema:
        return Part("Columns", (Missing("No schema is recorded."),))
    profile = {text(one.get("name")): one for one in dicts(at(whole, "profile", "columns"))}
    rows = []
    for column in schema[:ROWS]:
        name = text(column.get("name"))
        one = profile.get(name, {})
        numbers = one.get("numbers") or {}
        rows.append(
            Row(
                (
                    said(code(name, None, 34)),
                    said(Value(shortened(text(column.get("type")), 24) or "–")),
                    said(Value(percent(one.get("completeness")) if one else "–")),
                    said(Value(count(at(one, "distinct", "count")))),
                    said(Value(number(numbers.get("min")))),
                    said(Value(number(at(numbers, "quantiles", "0.5")))),
                    said(Value(number(numbers.get("mean")))),
                    said(Value(number(numbers.get("max")))),
                )
            )
        )
    table = Table(
        ("Column", "Type", "Complete", "Distinct", "Least", "Median", "Mean", "Greatest"),
        tuple(rows),
        "llrrrrrr",
        (1, 0, 0, 0, 0, 0, 0, 0),
        mark=_profile_mark(subject, whole) if profile else subject.of_data(whole),
        small=True,
    )
    return Part("Columns", (table, *_more(len(schema))))
