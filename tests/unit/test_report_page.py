"""Reports by control catalogues as people read them: page, Markdown, frame, terminal."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.sdk.catalogues import Report
from muniment.sdk.client import Client
from muniment.sdk.report_page import DISCLAIMER
from muniment.testing.transport import ScriptedTransport
from muniment.wire import catalogues as wire
from muniment.wire import inventory

EVIL = '<script>alert("1")</script>\x1b[2J\u202e|`*'
DIGEST = "sha256:" + "ab" * 32


def item(id_: str, **changes: Any) -> wire.CatalogueItem:
    """A requirement."""
    given = {
        **{"id": id_, "reference": f"{id_}.1", "title": f"About {id_}", "text": "It holds.", "confidence": "checked"},
        **{"answerable": "fully", "query": "tier.level is present", "gap": "", "open": ""},
        **{"records": ["tier"], "evidence": ["MOD"]},
    }
    return wire.CatalogueItem(**(given | changes))


def answer(id_: str, status: str, **changes: Any) -> wire.ItemAnswer:
    """An answer to it, with one fact unless it is open or unanswered."""
    known = [wire.FactFound(name="tier.level", value=2, grade="attested", record=DIGEST, text="by User:ana")]
    bare = status in ("open", "unanswered")
    given = {
        "item": item(id_, **({"open": "Nothing is served.", "query": ""} if status == "open" else {}), **changes),
        "status": status,
        "grade": None if bare else "attested",
        "parts": []
        if status == "open"
        else [wire.AnswerPart(text="tier.level is present", outcome="no" if bare else "yes", why="tier.level is 2")],
        "facts": [] if bare else known,
        "missing": ["it has no tier (tier.level)"] if status == "unanswered" else [],
    }
    return wire.ItemAnswer(**given)


def report(*answers: wire.ItemAnswer, catalogues: int = 1, title: str = "Rules") -> wire.ModelReport:
    """A report by so many catalogues of the same answers."""
    counts = {
        status: sum(a.status == status for a in answers) for status in ("answered", "partly", "unanswered", "open")
    }
    summaries = [
        wire.CatalogueSummary(
            **{"catalogue": f"rules-{n}@1", "id": f"rules-{n}", "version": 1, "versions": [1], "title": title},
            **{"issuer": "The bank", "effective_from": "2026-01-01", "superseded_by": None, "origin": "published"},
            **{"digest": DIGEST, "items": len(answers), "fully": 1, "in_part": 1, "open": 1},
        )
        for n in range(catalogues)
    ]
    return wire.ModelReport(
        **{"model": "model:m@1", "digest": DIGEST, "project": "main", "at": "2026-11-26T10:00:00.000000Z"},
        checkpoint=wire.Checkpoint(size=1234, root=DIGEST),
        known={"state": "approved", "tier": "2"},
        reports=[
            wire.CatalogueReport(summary=one, status="In force.", counts=counts, answers=list(answers))
            for one in summaries
        ],
    )


FOUR = (
    answer("first", "answered"),
    answer("second", "partly", gap="Shows the tier alone.", confidence="memory"),
    answer("third", "unanswered"),
    answer("fourth", "open"),
)


class Reader(HTMLParser):
    """Collects tags, and sees that every one that opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    """The page, parsed."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("catalogues", [1, 3])
def test_a_page_is_whole_and_needs_nothing_else(catalogues: int) -> None:
    """Well-formed, without script, link, picture or address; with every item, record and what keeps it from more."""
    page = Report(report(*FOUR, catalogues=catalogues)).to_html()
    found = read(page)
    assert not {"script", "img", "link", "iframe", "object", "form"} & {tag for tag, _ in found.tags}
    assert not re.search(r"https?://|url\(|@import", page)
    assert {attrs["href"] for tag, attrs in found.tags if tag == "a"} == (
        set() if catalogues == 1 else {f"#rules-{n}" for n in range(catalogues)}
    )
    for told in ("About first", "Shows the tier alone.", "Nothing is served.", "reference from memory", DISCLAIMER):
        assert told in found.text
    assert page.count(f'title="{DIGEST}"') >= 2
    assert next(a["aria-label"] for _, a in found.tags if a.get("aria-label")) == ", ".join(
        f"{catalogues} {status}" for status in ("answered", "partly", "unanswered", "open")
    )


def test_nothing_from_outside_acts_on_a_reader() -> None:
    """Markup and control characters in any text are shown as text, on the page and in Markdown."""
    hostile = report(answer("x", "partly", gap=EVIL, title=EVIL, text=EVIL, reference=EVIL), title=EVIL)
    page = Report(hostile).to_html()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    read(page)
    text = Report(hostile).to_markdown()
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\\|\\`\\*" in text


def test_markdown_tells_the_same() -> None:
    """Every item with its status, what is missing, and the records behind it."""
    text = Report(report(*FOUR)).to_markdown()
    for told in ("# Rules", "**answered**, grade attested", "> Shows the tier alone.", "> Nothing is served.", DIGEST):
        assert told in text
    assert "| rules-0@1 | 1 | 1 | 1 | 1 |" in text.replace("\\", "")


def test_a_report_prints_well_and_counts() -> None:
    """In a notebook a bar for each catalogue, on a console a line; the counts are those of all catalogues."""
    found = Report(report(*FOUR, catalogues=2))
    assert found.counts == {"answered": 2, "partly": 2, "unanswered": 2, "open": 2}
    assert "rules-1@1" in repr(found)
    assert "1 answered" in found._repr_html_()
    frame = found.to_frame()
    assert len(frame) == 8
    assert list(frame["status"])[:4] == ["answered", "partly", "unanswered", "open"]


def invoke(script: wire.ModelReport, *words: str) -> Result:
    """``muni report`` against a platform that answers so."""
    model = inventory.ModelDetail(
        **{"model": "model:m@1", "digest": DIGEST, "algorithm": "xgboost", "files": [], "facts": {}, "run": None},
        **{"trained_on": [], "created_at": "2026-11-26T10:00:00Z", "created_by": "User:ana", "grade": "proven"},
        evaluations=[],
    )
    asked = ScriptedTransport({"inventory:ShowModel": model, "evidence:ReportModel": script})
    face = Face(connect=lambda url, profile, project, home: Client(asked, project=project or "main"))
    return CliRunner().invoke(muni, ["report", "m", *words], obj=face)


def test_the_terminal_groups_by_status_and_names_records() -> None:
    """One catalogue: counts, groups from best to worst, records, what is missing, and a mark at unsure references."""
    shown = invoke(report(*FOUR), "--catalogue", "rules-0")
    assert shown.exit_code == 0, shown.output
    order = [shown.output.index(f"\n{status}\n") for status in ("answered", "partly", "unanswered", "open")]
    assert order == sorted(order)
    for told in ("1 answered  1 partly  1 unanswered  1 open", "sha256:abababababab…", "it has no tier (tier.level)"):
        assert told in shown.output
    for told in ("second.1 *", "* reference from memory", "in part: Shows the tier alone.", "Not legal advice"):
        assert told in shown.output


def test_all_catalogues_are_one_line_each() -> None:
    """Without a catalogue, and with --all: a bar and four counts a line; both options together are wrong usage."""
    shown = invoke(report(*FOUR, catalogues=3))
    assert [line.split()[-4:] for line in shown.output.splitlines() if "@1 " in line] == [["1", "1", "1", "1"]] * 3
    assert invoke(report(*FOUR, catalogues=3), "--all").output == shown.output
    assert invoke(report(*FOUR), "--all", "--catalogue", "rules-0").exit_code == 2


@pytest.mark.parametrize("ending", [".html", ".HTML", ".md", ".json"])
def test_a_report_is_written_whole_and_once(tmp_path: Path, ending: str) -> None:
    """The ending chooses the form; a file that is there stays as it is."""
    target, said = tmp_path / f"report{ending}", report(*FOUR)
    first = invoke(said, "-o", str(target), "--json")
    assert json.loads(first.stdout)["counts"]["partly"] == 1
    content = target.read_text(encoding="utf-8")
    made = {".html": Report(said).to_html(), ".md": Report(said).to_markdown()}
    if ending == ".json":
        assert msgspec.json.decode(content, type=wire.ModelReport) == said
    else:
        assert content == made[ending.lower()]
    again = invoke(said, "-o", str(target), "--json")
    assert (again.exit_code, json.loads(again.stdout)["code"]) == (1, "MUNI-A311")


def test_an_unknown_ending_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """A mistyped name costs nothing and tells which endings there are."""
    refused = invoke(report(*FOUR), "-o", str(tmp_path / "report.docx"), "--json")
    assert json.loads(refused.stdout)["code"] == "MUNI-A161"
    assert list(tmp_path.iterdir()) == []
