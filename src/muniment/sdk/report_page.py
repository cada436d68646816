"""A report by control catalogues as one page: HTML that needs nothing else, and Markdown. Pure.

The page may be mailed, archived and printed: no script, no font, no picture and no address is fetched by it. Nothing
from outside stands unescaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pkgutil import get_data
from typing import Any, Final

from muniment.sdk.shown import brief, count, short, visible
from muniment.wire import catalogues as wire

__all__ = [
    "CONFIDENCE",
    "DISCLAIMER",
    "SIGNS",
    "STATUSES",
    "html_page",
    "html_summary",
    "markdown",
    "missing",
    "totals",
]

STATUSES: Final = ("answered", "partly", "unanswered", "open")
"""From best to worst, in the order they are shown."""

SIGNS: Final = {"yes": "✓", "no": "✗", "unknown": "?"}

CONFIDENCE: Final = {
    "checked": "",
    "memory": "reference from memory",
    "unrecorded": "reference not recorded as checked",
}
"""What is said beside a reference that was not compared with its source."""

DISCLAIMER: Final = (
    "Not legal advice. Requirements stand in our own words and are no quotation; changes after July 2026 were not "
    "seen. An answer says that records exist which speak to a requirement and what they say, not that the requirement "
    "is met."
)

_NAMES: Final = (
    "A record is named by its digest, by <code>run:</code> and the id of a run, or by <code>checkpoint:</code> and a "
    "number of ledger entries; each can be shown, and verified, by whoever may read the project."
)

_MEANING: Final = {
    "answered": "everything that the query asks for is recorded and holds",
    "partly": "some of it holds, or the query shows only a part",
    "unanswered": "nothing of it is recorded, or what is recorded does not hold",
    "open": "no query can answer it with what is recorded today",
}
_TONES: Final = {"answered": "good", "partly": "care", "unanswered": "bad", "open": "none"}


def totals(report: wire.ModelReport) -> dict[str, int]:
    """Items by status over all catalogues of a report."""
    return {status: sum(one.counts.get(status, 0) for one in report.reports) for status in STATUSES}


def missing(answer: wire.ItemAnswer) -> list[str]:
    """What an answer lacks, in words: what is not known or does not hold, then what the query does not show."""
    return [*answer.missing, *([f"in part: {answer.item.gap}"] if answer.item.gap else [])]


def _style() -> str:
    content = get_data("muniment.sdk", "report.css")
    assert content is not None, "the package lacks the style of reports"
    return content.decode()


def html_page(report: wire.ModelReport) -> str:
    """The whole report as one HTML document."""
    title = _title(report)
    single = len(report.reports) == 1
    head = report.reports[0] if single else None
    lead = f'<p class="faint">{_text(head.summary.issuer)} · {_text(_applies(head.summary))}</p>' if head else ""
    known = {
        "model": report.model,
        "digest": report.digest,
        "project": report.project,
        **report.known,
        "asked": report.at[:19].replace("T", " ") + " UTC",
        "ledger entries": count(report.checkpoint.size),
        "ledger root": report.checkpoint.root,
        **({"catalogue": f"{head.summary.catalogue} ({head.summary.origin})"} if head else {}),
        **({"catalogue file": head.summary.digest} if head else {}),
    }
    body = [
        f"<header><h1>{_text(title)}</h1>{lead}",
        f"<dl>{''.join(_known(name, value) for name, value in known.items())}</dl>",
        _bar(totals(report)),
        _legend(totals(report), explained=True),
        "" if single else _overview(report.reports),
        "</header>",
        *(_catalogue(one, single) for one in report.reports),
        f"<footer><p>{_text(DISCLAIMER)}</p><p>{_NAMES}</p></footer>",
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{_text(title)} · {_text(report.model)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def html_summary(report: wire.ModelReport) -> str:
    """Bars only, for a notebook: styles stand on the elements, colours fit a light and a dark page."""
    rgb = {"answered": "34,163,90", "partly": "217,134,6", "unanswered": "220,60,50", "open": "128,128,128"}

    def bar(counts: dict[str, int]) -> str:
        whole = max(1, sum(counts.values()))
        pieces = "".join(
            f'<i style="display:block;width:{100 * counts[s] / whole:.2f}%;background:rgba({rgb[s]},.85)"></i>'
            for s in STATUSES
        )
        style = "display:flex;width:220px;height:9px;border-radius:5px;overflow:hidden;gap:1px"
        return f'<div style="{style}">{pieces}</div>'

    cell = "padding:3px 16px 3px 0;border:0;text-align:left;font-variant-numeric:tabular-nums"
    lines = "".join(
        f'<tr><td style="{cell}"><b>{_text(one.summary.catalogue)}</b></td><td style="{cell}">{bar(one.counts)}</td>'
        + "".join(f'<td style="{cell}">{one.counts[status]} {status}</td>' for status in STATUSES)
        + "</tr>"
        for one in report.reports
    )
    return f'<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:13px">{lines}</table></div>'


def markdown(report: wire.ModelReport) -> str:
    """The whole report as Markdown."""
    lines = [
        f"# {_plain(_title(report))}",
        "",
        f"- model: `{_code(report.model)}`, `{report.digest}`, project `{_code(report.project)}`",
        *(f"- {name}: {_plain(value)}" for name, value in report.known.items()),
        f"- asked: {report.at}",
        f"- ledger: {report.checkpoint.size} entries, root `{report.checkpoint.root}`",
        "",
        f"{_plain(DISCLAIMER)}",
        "",
        "| catalogue | answered | partly | unanswered | open |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {_plain(one.summary.catalogue)} | " + " | ".join(str(one.counts[s]) for s in STATUSES) + " |"
            for one in report.reports
        ),
    ]
    for one in report.reports:
        summary = one.summary
        lines += ["", f"## {_plain(summary.title)}", "", f"{_plain(summary.issuer)}; {_plain(_applies(summary))}."]
        lines += [f"Catalogue `{summary.catalogue}` ({summary.origin}), `{summary.digest}`. {_plain(one.status)}"]
        for answer in one.answers:
            lines += ["", *_item_lines(answer)]
    return "\n".join(lines) + "\n"


def _item_lines(answer: wire.ItemAnswer) -> Iterable[str]:
    item = answer.item
    flag = CONFIDENCE.get(item.confidence, item.confidence)
    yield f"### {_plain(item.reference)}: {_plain(item.title)}"
    yield ""
    grade = f", grade {answer.grade}" if answer.grade else ""
    yield f"**{answer.status}**{grade}" + (f" ({flag})" if flag else "")
    yield ""
    yield _plain(item.text)
    if answer.parts:
        yield ""
        for part in answer.parts:
            yield f"- {SIGNS.get(part.outcome, '?')} `{_code(part.text)}`: {_plain(part.why)}"
    for note in (item.gap, item.open):
        if note:
            yield ""
            yield f"> {_plain(note)}"
    if answer.facts:
        yield ""
        yield "| fact | value | grade | record |"
        yield "|---|---|---|---|"
        for fact in answer.facts:
            yield f"| {_plain(fact.name)} | {_plain(brief(fact.value, 120))} | {fact.grade} | `{_code(fact.record)}` |"


def _title(report: wire.ModelReport) -> str:
    if len(report.reports) == 1:
        return report.reports[0].summary.title
    return "What the records answer"


def _applies(summary: wire.CatalogueSummary) -> str:
    text = f"applies from {summary.effective_from}"
    return text + (f", superseded by {summary.superseded_by}" if summary.superseded_by else "")


def _known(name: str, value: Any) -> str:
    shown = str(value)
    inner = f'<span class="mono">{_text(shown)}</span>' if shown.startswith("sha256:") else _text(shown)
    return f"<div><dt>{_text(name)}</dt><dd>{inner}</dd></div>"


def _bar(counts: dict[str, int], thin: bool = False) -> str:
    whole = max(1, sum(counts.values()))
    pieces = "".join(
        f'<i class="{_TONES[status]}" style="width:{100 * counts[status] / whole:.2f}%"></i>'
        for status in STATUSES
        if counts[status]
    )
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    return f'<div class="bar{" thin" if thin else ""}" role="img" aria-label="{told}">{pieces}</div>'


def _legend(counts: dict[str, int], explained: bool = False) -> str:
    items = "".join(
        f'<span title="{_MEANING[status]}"><span class="dot {_TONES[status]}"></span>'
        f"<b>{counts[status]}</b> {status}</span>"
        for status in STATUSES
    )
    told = "; ".join(f"<b>{status}</b>: {_MEANING[status]}" for status in STATUSES) if explained else ""
    return f'<div class="legend">{items}</div>' + (f'<p class="faint small">{told}.</p>' if told else "")


def _overview(reports: Sequence[wire.CatalogueReport]) -> str:
    head = "".join(f'<th class="n">{status}</th>' for status in STATUSES)
    rows = "".join(
        f'<tr><td><a href="#{_text(one.summary.id)}">{_text(one.summary.title)}</a></td>'
        f"<td>{_bar(one.counts, thin=True)}</td>"
        + "".join(f'<td class="n">{one.counts[status]}</td>' for status in STATUSES)
        + "</tr>"
        for one in reports
    )
    columns = f"<tr><th>catalogue</th><th></th>{head}</tr>"
    return f'<table class="overview"><thead>{columns}</thead><tbody>{rows}</tbody></table>'


def _catalogue(one: wire.CatalogueReport, single: bool) -> str:
    summary = one.summary
    head = ""
    if not single:
        digest = f'<span class="mono" title="{_text(summary.digest)}">{_text(short(summary.digest))}</span>'
        of = " · ".join(map(_text, (summary.issuer, _applies(summary), f"{summary.catalogue} ({summary.origin})")))
        head = f'<h2>{_text(summary.title)}</h2><p class="faint small">{of} · {digest}</p>'
        head += _bar(one.counts) + _legend(one.counts)
    articles = "".join(_article(answer) for answer in one.answers)
    return f'<section id="{_text(summary.id)}">{head}<p class="small">{_text(one.status)}</p>{articles}</section>'


def _article(answer: wire.ItemAnswer) -> str:
    item = answer.item
    flag = CONFIDENCE.get(item.confidence, item.confidence)
    grade = f'<div class="grade">grade {_text(answer.grade)}</div>' if answer.grade else ""
    parts = "".join(
        f'<li><span class="{_text(part.outcome)}">{SIGNS.get(part.outcome, "?")}</span><code>{_text(part.text)}</code>'
        f'<span class="why faint">{_text(part.why)}</span></li>'
        for part in answer.parts
    )
    notes = f'<p class="note">In part: {_text(item.gap)}</p>' if item.gap else ""
    notes += f'<p class="note none">Open: {_text(item.open)}</p>' if item.open else ""
    pill = f'<span class="pill {_TONES.get(answer.status, "none")}">{_text(answer.status)}</span>'
    reference = f'<div class="ref">{_text(item.reference)}{f" · {_text(flag)}" if flag else ""}</div>'
    listed = f'<ul class="parts">{parts}</ul>' if parts else ""
    said = f"{reference}<h3>{_text(item.title)}</h3><p>{_text(item.text)}</p>{listed}{notes}{_facts(answer.facts)}"
    return f"<article><div>{pill}{grade}</div><div>{said}</div></article>"


def _facts(facts: Sequence[wire.FactFound]) -> str:
    if not facts:
        return ""
    rows = "".join(map(_fact, facts))
    head = "<tr><th>fact</th><th>value</th><th>grade</th><th>record</th><th>where it came from</th></tr>"
    return f'<table class="facts"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _fact(fact: wire.FactFound) -> str:
    record = f'<td class="mono" title="{_text(fact.record)}">{_text(short(fact.record))}</td>'
    told = "".join(f"<td>{_text(one)}</td>" for one in (fact.name, brief(fact.value, 120), fact.grade))
    return f'<tr>{told}{record}<td class="faint">{_text(fact.text)}</td></tr>'


def _text(value: object) -> str:
    return escape(visible(value))


def _plain(value: object) -> str:
    """Text that Markdown shows as it is."""
    text = visible(value)
    for letter in "\\`*_[]|#":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _code(value: object) -> str:
    return visible(value).replace("`", "'").replace("|", "\\|")
