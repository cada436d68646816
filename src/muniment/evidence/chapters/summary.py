"""The cover and the first chapter: what the model is, how it stands, and what a reader should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from muniment.evidence.chapters.subject import Subject, agent, at, code, dicts, settled, text, texts, toned
from muniment.evidence.charts.registry import grade_chart
from muniment.evidence.displaying import count, day, moment, number
from muniment.evidence.document import (
    Badge,
    Block,
    Callout,
    Facts,
    Figure,
    Line,
    Paragraph,
    Part,
    Picture,
    Points,
    Shape,
    Tiles,
    Tone,
    Value,
    Words,
    said,
)
from muniment.evidence.wording import ALGORITHMS, DOUBTS, GRADES, STATES

__all__ = ["cover", "state_of", "summary"]

_POINTS = 24
"""Points for attention that are listed."""

_SEVERITY = {"high": 0, "medium": 1, "low": 2}
_HOLDS = ("yes", "holds")


def state_of(subject: Subject) -> tuple[str, Tone]:
    """The state as words, and how it looks."""
    state = subject.part("state")
    value = text(state.get("value")) or "not registered"
    if state.get("expired") and value == "approved":
        value = "expired"
    return value.replace("_", " "), Tone(STATES.get(value, "neutral"))


def cover(subject: Subject) -> tuple[Block, ...]:
    """What stands on the first page below the title."""
    model, state, checkpoint = subject.model, subject.part("state"), subject.part("checkpoint")
    ledger, of_model = subject.ledger(), subject.of_model()
    word, tone = state_of(subject)
    status: list[Words | Value | Badge] = [Badge(word, tone, ledger)]
    if state.get("tier") is not None:
        status += [Words("  "), Badge(f"tier {number(state['tier'])}", Tone.NEUTRAL, _tier_mark(subject))]
    if state.get("emergency"):
        status += [Words("  "), Badge("emergency approval", Tone.BAD, ledger)]
    rows: list[tuple[str, Line]] = [
        ("Status", tuple(status)),
        ("Model", said(code(model.get("reference"), of_model, 60))),
        ("Method", said(Value(_algorithm(subject), of_model))),
    ]
    owner = text(subject.part("registration").get("owner")) or text(subject.part("use_case").get("owner"))
    if owner:
        kind = "registration" if subject.part("registration").get("owner") else "use-case"
        mark = subject.of_record(kind, subject.part(kind.replace("-", "_")))
        rows.append(("Owner", said(Value(agent(owner), mark))))
    if state.get("expires"):
        rows.append(("Approved until", said(Value(day(state["expires"]), ledger))))
    signed = tuple(_signed(subject))
    if signed:
        rows.append(("Signed by", signed))
    rows += [
        ("Project", said(Value(text(subject.dossier.get("project")) or "–", ledger))),
        ("Digest", said(code(model.get("digest"), of_model, 80))),
        ("As of", said(Value(moment(checkpoint.get("time")), ledger))),
        ("Checkpoint", said(Value(count(checkpoint.get("size")), ledger), " ledger entries")),
        ("Ledger", said(code(checkpoint.get("origin"), ledger, 60))),
        ("Root", said(code(checkpoint.get("root"), ledger, 80))),
    ]
    return (Facts(tuple(rows)), _grades(subject))


def _signed(subject: Subject) -> Iterator[Words | Value]:
    """Who signed what, in the order of the signatures."""
    for place, one in enumerate(subject.parts("signatures")[:12]):
        meaning = text(one.get("meaning")).replace("-", " ")
        mark = subject.of_record("signature", one, f"signed: {meaning}")
        if place:
            yield Words("\n")
        yield from (Value(agent(one.get("signer")), mark), Words(": "), Value(meaning))


def _tier_mark(subject: Subject) -> Any:
    tier = subject.part("tier")
    return subject.of_record("tier", tier) if tier else subject.ledger()


def _algorithm(subject: Subject) -> str:
    name = text(subject.model.get("algorithm")) or text(subject.part("registration").get("algorithm"))
    return ALGORITHMS.get(name, name.replace("_", " ")) or "not recorded"


def _grades(subject: Subject) -> Block:
    counts = {name: int(at(subject.dossier, "grades", name) or 0) for name in GRADES}
    ledger = subject.ledger()
    picture = Picture(grade_chart(counts), said("Statements in this dossier by grade"), ledger)
    lines = tuple(
        said(Value(count(counts[name]), ledger, Shape.STRONG), Words(f" {name}", Shape.STRONG), f": {meaning}.")
        for name, meaning in GRADES.items()
    )
    blocks: tuple[Block, ...] = (Points(lines),)
    if sum(counts.values()):
        blocks = (Figure((picture,)), *blocks)
    return Callout("What stands behind this report", blocks)


def summary(subject: Subject) -> Part:
    """The model in a few sentences, the numbers that matter most, and points for attention."""
    blocks: list[Block] = [Paragraph(tuple(_story(subject)))]
    tiles = tuple(_tiles(subject))
    if tiles:
        blocks.append(Tiles(tiles))
    points = tuple(islice(_attention(subject), _POINTS))
    if points:
        blocks.append(Callout("Points for attention", (Points(points),), Tone.CAREFUL))
    else:
        blocks.append(
            Callout(
                "Points for attention",
                (
                    Paragraph(
                        said(
                            "The records give none: no open finding, no gate that does "
                            "not hold, no overdue review, nothing that this report had to leave blank."
                        )
                    ),
                ),
                Tone.GOOD,
            )
        )
    return Part("Summary", tuple(blocks))


def _story(subject: Subject) -> Iterator[Words | Value | Badge]:
    """The executive summary, of recorded facts alone."""
    ledger, of_model, state = subject.ledger(), subject.of_model(), subject.part("state")
    word, _ = state_of(subject)
    yield Value(subject.title, of_model, Shape.STRONG)
    if subject.model.get("version") is not None:
        yield from (Words(", version "), Value(number(subject.model["version"]), of_model), Words(","))
    yield Words(" is a model of the kind ")
    yield Value(_algorithm(subject), of_model)
    case = subject.part("use_case")
    if case:
        yield from (
            Words(" for the use case "),
            Value(text(case.get("name")) or "–", subject.of_record("use-case", case)),
        )
    yield Words(". Its state is ")
    yield Value(word, ledger, Shape.STRONG)
    if state.get("expires"):
        yield from (Words(" until "), Value(day(state["expires"]), ledger))
    conditions, limits = len(texts(state.get("conditions"))), len(texts(state.get("use_limits")))
    if conditions or limits:
        yield from (
            Words(", with "),
            Value(count(conditions), ledger),
            Words(" condition and " if conditions == 1 else " conditions and "),
            Value(count(limits), ledger),
            Words(" limit of use" if limits == 1 else " limits of use"),
        )
    yield Words(". ")
    newest = next(iter(subject.parts("evaluations")), None)
    if newest:
        yield from _measured(subject, newest)
    yield from _sureness(subject)


def _measured(subject: Subject, newest: Mapping[str, Any]) -> Iterator[Words | Value]:
    mark, metrics = subject.of_run("evaluation", newest), newest.get("metrics") or {}
    rows = at(newest, "report", "rows")
    yield Words("Measured on ")
    if rows is not None:
        yield from (Value(count(rows), mark), Words(" rows of "))
    yield code(newest.get("data"), mark)
    unused = any(one.get("data") == newest.get("data") and one.get("unused") for one in subject.parts("absence"))
    yield Words(", which are proven unused in its making, " if unused else ", ")
    if metrics.get("auc") is not None:
        yield from (Words("it ranks with an AUC of "), Value(number(metrics["auc"]), mark))
    if metrics.get("ks") is not None:
        yield from (Words(" and a KS of "), Value(number(metrics["ks"]), mark))
    if metrics.get("ece") is not None:
        yield from (
            Words("; its scores miss the observed rates by "),
            Value(number(metrics["ece"]), mark),
            Words(" on average"),
        )
    yield Words(". ")


def _sureness(subject: Subject) -> Iterator[Words | Value]:
    """What was reproduced, kept apart and gated."""
    good = next(
        (one for one in subject.parts("reproductions") if str(one.get("verdict", "")).startswith("identical")), None
    )
    if good:
        mark = subject.of_run("reproduction", good)
        yield from (
            Words("It was made again from its record by "),
            Value(agent(good.get("by")), mark),
            Words(", with the verdict "),
            Value(text(good.get("verdict")).replace("-", " "), mark),
            Words(". "),
        )
    gates = subject.parts("gates")
    if gates:
        held = len(gates) - len(_closed_gates(subject))
        ledger = subject.ledger()
        yield from (
            Words("Of "),
            Value(count(len(gates)), ledger),
            Words(" gates "),
            Value(count(held), ledger),
            Words(" hold. "),
        )
    open_ = _open_findings(subject)
    if subject.parts("findings"):
        yield from (
            Value(count(len(open_)), subject.ledger()),
            Words(" of "),
            Value(count(len(subject.parts("findings"))), subject.ledger()),
            Words(" findings are open."),
        )


def _open_findings(subject: Subject) -> list[Mapping[str, Any]]:
    return [one for one in subject.parts("findings") if not one.get("closed")]


def _closed_gates(subject: Subject) -> list[Mapping[str, Any]]:
    return [gate for gate in subject.parts("gates") if text(gate.get("outcome")) not in _HOLDS]


def _tiles(subject: Subject) -> Iterator[tuple[str, Value]]:
    newest = next(iter(subject.parts("evaluations")), None)
    if newest:
        mark, metrics = subject.of_run("evaluation", newest), newest.get("metrics") or {}
        for name, title in (("auc", "AUC"), ("ks", "KS"), ("ece", "Calibration error")):
            if metrics.get(name) is not None:
                yield title, Value(f"{metrics[name]:.3f}", mark)
        groups = dicts(at(newest, "report", "groups"))
        ratios = [one["air"] for one in groups if isinstance(one.get("air"), (int, float))]
        if ratios:
            yield "Lowest impact ratio", Value(f"{min(ratios):.3f}", mark)
        psi = at(newest, "report", "stability", "psi")
        if isinstance(psi, (int, float)):
            yield "Stability (PSI)", Value(f"{psi:.3f}", mark)


def _attention(subject: Subject) -> Iterator[Line]:
    """What a careful reader would ask about first, from the records."""
    ledger, state = subject.ledger(), subject.part("state")
    word, _ = state_of(subject)
    if word != "approved":
        yield said("The model is not approved for use: its state is ", Value(word, ledger), ".")
    if state.get("emergency"):
        yield said("It is in use under an ", Value("emergency approval", ledger), ", which must be reviewed.")
    findings = sorted(_open_findings(subject), key=lambda one: _SEVERITY.get(text(one.get("severity")), 3))
    for finding in findings[:8]:
        mark = subject.of_record("finding", finding)
        severity = text(finding.get("severity")) or "–"
        yield said(
            "Open finding, severity ",
            Badge(severity, toned(severity), None),
            " ",
            Value(text(finding.get("title")), mark),
            ", due ",
            Value(day(finding.get("due")), mark),
            ".",
        )
    if len(findings) > 8:
        yield said("There are ", Value(count(len(findings) - 8), ledger), " more open findings.")
    for gate in _closed_gates(subject)[:6]:
        outcome = text(gate.get("outcome")) or "unknown"
        name = Value(text(gate.get("name")), subject.of_gate(gate))
        yield said("The gate “", name, "” does not hold: ", Badge(outcome, toned(outcome)), ".")
    answered = settled(subject.parts("challenge"))
    asked = [one for one in subject.parts("challenge") if one.get("resolved") is False and not one.get("in_reply_to")]
    for comment in [one for one in asked if text(one.get("id")) not in answered][:4]:
        mark = subject.of_record("comment", comment)
        yield said("A challenge by ", Value(agent(comment.get("by")), mark), " is not resolved.")
    yield from _doubts(subject)
    due, now = text(state.get("next_review"))[:10], text(subject.part("checkpoint").get("time"))[:10]
    if due and now and due < now:
        yield said("The review due on ", Value(day(due), ledger), " is overdue.")
    yield from _gaps(subject)


def _doubts(subject: Subject) -> Iterator[Line]:
    """Facts whose answer is no, where a reader counts on a yes."""
    for one in subject.parts("facts"):
        name = text(one.get("name"))
        if one.get("value") is False and name in DOUBTS:
            mark = subject.of_fact(one)
            yield said(f"{DOUBTS[name]} (", Value(name, mark, Shape.CODE), " is ", Value("no"), ").")


def _gaps(subject: Subject) -> Iterator[Line]:
    """What is not there, or rests on somebody's word alone."""
    training = subject.part("training")
    if not training:
        yield said("The model was not trained here, so nothing about its making is proven.")
    elif at(training, "enforcement", "complete") is not True:
        yield said(
            "The training ran without complete walls, so its lineage is ", Value("declared", subject.of_training()), "."
        )
    if not subject.parts("evaluations"):
        yield said("No evaluation is recorded.")
    elif not any(dicts(at(one, "report", "groups")) for one in subject.parts("evaluations")):
        yield said("No comparison of groups of people is recorded, so nothing is said about fairness.")
    if not subject.parts("explanations"):
        yield said("No explanation is recorded.")
    if training and not subject.parts("reproductions"):
        yield said("The model has not been reproduced.")
    if not subject.part("use_case"):
        yield said("The model is bound to no use case.")
    if not subject.parts("witnesses"):
        yield said("No witness has cosigned the ledger, so an operator who holds its key could have written it anew.")
