"""Where the model comes from, whether it can be made again, and what was kept away from it."""

from __future__ import annotations

from muniment.evidence.chapters.subject import ROWS, Subject, abbreviated, agent, at, code, dicts, text, toned
from muniment.evidence.charts.lineage import lineage_chart
from muniment.evidence.displaying import moment, shortened
from muniment.evidence.document import (
    Badge,
    Block,
    Callout,
    Figure,
    Line,
    Missing,
    Paragraph,
    Part,
    Picture,
    Row,
    Table,
    Tone,
    Value,
    said,
)

__all__ = ["origin"]


def origin(subject: Subject) -> Part:
    """The chapter."""
    return Part(
        "Lineage and reproduction",
        (_lineage(subject), _dependencies(subject), _reproduction(subject), _absence(subject)),
    )


def _lineage(subject: Subject) -> Part:
    lineage = subject.part("lineage")
    chart = lineage_chart(lineage, text(subject.model.get("digest"))) if lineage else None
    if chart is None:
        return Part("Lineage", (Missing("No lineage is recorded: nothing is known of how this model was made."),))
    labels = {text(one.get("digest")): text(one.get("label")) for one in dicts(lineage.get("entities"))}
    jobs = {text(one.get("id")): one for one in dicts(lineage.get("activities"))}
    rows = []
    edges = dicts(lineage.get("edges"))
    for edge in edges[:ROWS]:
        job = jobs.get(text(edge.get("activity")), {})
        used = edge.get("relation") == "used"
        run = text(edge.get("activity"))
        mark = subject.citations.mark(
            f"job {text(job.get('kind')) or 'in the lineage'}",
            run=run if run.startswith("run:") else f"run:{run}",
            record=text(edge.get("record")) or None,
            grade=text(edge.get("grade")) or "declared",
        )
        rows.append(
            Row(
                (
                    said(Value(text(job.get("kind")) or "–"), " by ", Value(agent(job.get("agent")))),
                    said("used" if used else "made"),
                    said(code(labels.get(text(edge.get("entity"))) or edge.get("entity"), None, 46)),
                    said(Value(text(edge.get("role")) or "–")),
                ),
                mark,
            )
        )
    caption = said("From the sources to the model, as the platform saw it happen")
    table = Table(("Job", "", "What", "As"), tuple(rows), "llll", (0, 0, 1, 0), small=True)
    blocks: list[Block] = [Figure((Picture(chart, caption, subject.of_model()),)), Part("Every link", (table,))]
    if len(edges) > ROWS:
        blocks.append(Paragraph(said("The table is cut; the dossier holds all links.")))
    return Part("Lineage", tuple(blocks))


def _dependencies(subject: Subject) -> Part:
    found = subject.parts("dependencies")
    if not found:
        return Part("Dependencies on other models", (Missing("Nobody stated that another model feeds this one."),))
    own = text(subject.model.get("digest"))
    rows = tuple(
        Row(
            (
                said(code(one.get("reference") or one.get("on"), None, 46)),
                said("feeds this one" if text(one.get("subject")) == own else "feeds another one"),
                said(Value(text(one.get("reason")) or "–")),
            ),
            subject.of_record("dependency", one),
        )
        for one in found[:ROWS]
    )
    table = Table(("Model", "", "Reason"), rows, "lll", (0, 0, 1), small=True)
    return Part("Dependencies on other models", (table,))


def _reproduction(subject: Subject) -> Part:
    found = subject.parts("reproductions")
    if not found:
        return Part("Reproduction", (Missing("The model has not been made again from its record."),))
    rows = []
    for one in found[:ROWS]:
        verdict = text(one.get("verdict")) or "unknown"
        good = verdict.startswith("identical")
        cells = (
            said(Badge(verdict.replace("-", " "), Tone.GOOD if good else Tone.CAREFUL)),
            said(Value(agent(one.get("by")))),
            said(Value(moment(one.get("at")))),
            said(Value(", ".join(shortened(_difference(d), 40) for d in _differences(one)) or "none")),
        )
        rows.append(Row(cells, subject.of_run("reproduction", one)))
    makers = {agent(at(subject.part("training"), "requested_by"))}
    others = [
        one for one in found if text(one.get("verdict")).startswith("identical") and agent(one.get("by")) not in makers
    ]
    line: Line = said(
        "The platform takes nothing but the record: plan, inputs, code and environment by digest; it makes the model "
        "again and compares the bytes."
    )
    if others:
        line = (
            *line,
            *said(
                " It was done by somebody other than its author: ",
                Value(agent(others[0].get("by")), subject.of_run("reproduction", others[0])),
                ".",
            ),
        )
    table = Table(("Verdict", "By", "When", "Differences"), tuple(rows), "llll", (0, 0, 0, 1))
    return Part("Reproduction", (Paragraph(line), table))


def _differences(one: object) -> list[object]:
    found = at(one, "differences")
    return list(found)[:8] if isinstance(found, (list, tuple)) else []


def _difference(of: object) -> str:
    return text(at(of, "name") or at(of, "path") or of) if isinstance(of, dict) else text(of)


def _absence(subject: Subject) -> Part:
    found = subject.parts("absence")
    if not found:
        return Part("What was kept away", (Missing("No proof of absence is recorded."),))
    blocks: list[Block] = [
        Paragraph(
            said(
                "An empty search is a proof only where nothing else could have been read. Each answer states what "
                "was searched and what it does not cover."
            )
        ),
    ]
    for one in found[:20]:
        mark = subject.citations.mark(
            "proof of absence, worked out at the checkpoint",
            record=text(one.get("record")) or None,
            digest=text(one.get("digest")) or text(subject.part("checkpoint").get("root")) or None,
            grade=text(one.get("grade")) or "declared",
        )
        word = "unused" if one.get("unused") else text(one.get("verdict")) or "not proven"
        title = said(code(one.get("data"), mark, 60), "  ", Badge(word, toned(word), mark))
        lines = [
            line.strip()
            for line in abbreviated(one.get("scope")).replace("Not covered:", "\nNot covered:").splitlines()
            if line.strip()
        ]
        body: list[Block] = [Paragraph(title), *(Paragraph(said(Value(line, mark))) for line in lines)]
        blocks.append(Callout("", tuple(body)))
    return Part("What was kept away", tuple(blocks))
