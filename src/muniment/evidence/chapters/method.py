"""How the model was made: algorithm, parameters, walls around the job, and what else was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.evidence.chapters.subject import ROWS, Subject, agent, at, code, dicts, text
from muniment.evidence.displaying import count, decimal, moment
from muniment.evidence.document import (
    Badge,
    Block,
    Facts,
    Line,
    Missing,
    Paragraph,
    Part,
    Points,
    Row,
    Table,
    Tone,
    Value,
    said,
)
from muniment.evidence.wording import ALGORITHMS, WALLS, name_of

__all__ = ["method"]


def method(subject: Subject) -> Part:
    """The chapter."""
    return Part(
        "Method and development", (_training(subject), _walls(subject), _alternatives(subject), _files(subject))
    )


def _training(subject: Subject) -> Part:
    training = subject.part("training")
    if not training:
        return Part("Training", (Missing("The model was not trained on this platform."),))
    mark, source = subject.of_training(), training.get("source")
    rows: list[tuple[str, Line]] = [
        ("Run", said(code(training.get("run")))),
        ("Requested by", said(Value(agent(training.get("requested_by"))))),
        ("Started", said(Value(moment(training.get("started_at"))))),
        ("Experiment", said(Value(text(training.get("experiment")) or "–"))),
        ("Random seed", said(Value(text(training.get("seed"))))),
        ("Plan", said(code(training.get("plan"), None, 80))),
    ]
    for channel, reference in list((training.get("inputs") or {}).items())[:20]:
        rows.append((f"Input {channel}", said(code(reference, None, 70))))
    if isinstance(source, Mapping):
        rows.append(("Source code", said(code(source.get("digest"), None, 80))))
        if at(source, "origin", "commit"):
            rows.append(("Commit", said(code(at(source, "origin", "commit")), *_clean(source))))
    else:
        rows.append(("Program", said(code(training.get("program")), ", the platform's own")))
    usage = training.get("usage") or {}
    if usage.get("wall_s") is not None:
        rows.append(("Took", said(Value(f"{float(usage['wall_s']):.1f}"), " seconds")))
    blocks: list[Block] = [Facts(tuple(rows), mark)]
    params = training.get("params") or {}
    table = tuple(
        Row((said(code(name)), said(code(_shown(value), None, 80)))) for name, value in sorted(params.items())[:ROWS]
    )
    if table:
        blocks.append(Table(("Parameter", "Value"), table, "ll", (0.35, 0.65), mark=mark))
    decisions = dicts(at(training, "report", "decisions"))
    if decisions:
        lines = tuple(
            said(
                code(one.get("column")),
                " was ",
                Value(text(one.get("decision")), mark),
                ": ",
                Value(text(one.get("because"))),
            )
            for one in decisions[:ROWS]
        )
        blocks.append(Part("Decisions of the program about columns", (Points(lines),)))
    return Part("Training", tuple(blocks))


def _clean(source: Mapping[str, Any]) -> Line:
    clean = at(source, "origin", "clean")
    return () if clean is None else said(", ", Value("as committed" if clean else "with uncommitted changes"))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_shown(one)}" for name, one in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(one) for one in value) or "none"
    return text(value) or "none"


def _walls(subject: Subject) -> Part:
    enforcement = at(subject.part("training"), "enforcement")
    if not isinstance(enforcement, Mapping):
        return Part("Walls around the job", (Missing("No enforcement report is recorded."),))
    mark, walls = subject.of_training(), enforcement.get("walls") or {}
    rows = tuple(
        Row(
            (
                said(Value(WALLS.get(name, text(name)))),
                said(Badge(text(state), Tone.GOOD if state == "enforced" else Tone.BAD)),
            )
        )
        for name, state in list(walls.items())[:20]
    )
    intro = said(
        "The job ran where nothing but its declared inputs existed. Before it, canaries tried each wall from "
        "inside; all of them held: ",
        Badge(
            "yes" if enforcement.get("complete") is True else "no",
            Tone.GOOD if enforcement.get("complete") is True else Tone.BAD,
            mark,
        ),
        ".",
    )
    facts = Facts(
        (
            ("Engine", said(Value(f"{text(enforcement.get('engine'))}, {text(enforcement.get('version'))}"))),
            ("Kernel", said(code(enforcement.get("kernel")))),
        ),
        mark,
    )
    return Part(
        "Walls around the job", (Paragraph(intro), facts, Table(("Wall", "State"), rows, "ll", (0, 0), mark=mark))
    )


def _alternatives(subject: Subject) -> Part:
    tried = subject.parts("alternatives")
    if not tried:
        return Part("Alternatives tried", (Missing("No other model of the same experiment is recorded."),))
    names = [
        name for name in ("auc", "ks", "brier", "ece") if any(at(one, "metrics", name) is not None for one in tried)
    ]
    best = {name: _best(name, tried) for name in names}
    rows = []
    ordered = sorted(tried, key=lambda one: -(at(one, "metrics", "auc") or -1.0))
    for one in ordered[:ROWS]:
        metrics = [
            said(
                Value(decimal(at(one, "metrics", name)) if at(one, "metrics", name) is not None else "–"),
                *((" ▲",) if at(one, "metrics", name) is not None and at(one, "metrics", name) == best[name] else ()),
            )
            for name in names
        ]
        algorithm = text(one.get("algorithm"))
        what = said(
            Value(ALGORITHMS.get(algorithm, algorithm) or "–"),
            *((" ", Badge("chosen", Tone.GOOD)) if one.get("chosen") else ()),
        )
        end = text(one.get("status") or "ok")
        cells = (what, said(code(_reference(one), None, 40)), *metrics, *((said(Value(end)),) if not names else ()))
        rows.append(Row(cells, subject.of_run("training run of an alternative", one), strong=bool(one.get("chosen"))))
    heads = ("Method", "Model", *(name_of(name) for name in names), *(("Ended",) if not names else ()))
    table = Table(
        heads, tuple(rows), "ll" + "r" * max(1, len(names)), (0.42, 0.58, *([0.0] * max(1, len(names)))), small=True
    )
    on = {text(one.get("measured_on")) for one in tried if one.get("measured_on")}
    where = said(" All were measured on ", code(next(iter(on)), subject.of_training()), ".") if len(on) == 1 else ()
    intro = (
        *said(
            "Everything that was trained in the same experiment, losers and failures too. A triangle marks the best "
            "value of a column."
        ),
        *where,
    )
    return Part("Alternatives tried", (Paragraph(intro), table, *_cut(len(tried))))


def _best(name: str, tried: list[Mapping[str, Any]]) -> float | None:
    values = [at(one, "metrics", name) for one in tried if isinstance(at(one, "metrics", name), (int, float))]
    return (min if name in ("brier", "ece", "log_loss") else max)(values) if len(values) > 1 else None


def _reference(one: Mapping[str, Any]) -> str:
    if one.get("model"):
        return text(one["model"])
    return f"none: {text(one.get('error') or one.get('status')) or 'not recorded'}"


def _cut(total: int) -> tuple[Block, ...]:
    return () if total <= ROWS else (Paragraph(said("The table is cut; the dossier holds all rows.")),)


def _files(subject: Subject) -> Part:
    files = dicts(subject.model.get("files"))
    if not files:
        return Part("Files of the model", (Missing("No files of the model are recorded."),))
    rows = tuple(
        Row(
            (
                said(code(one.get("path"), None, 40)),
                said(Value(count(one.get("size")))),
                said(code(one.get("digest"), None, 80)),
            )
        )
        for one in files[:ROWS]
    )
    table = Table(("File", "Bytes", "SHA-256"), rows, "lrl", (1, 0, 0), mark=subject.of_model(), small=True)
    return Part("Files of the model", (table, *_cut(len(files))))
