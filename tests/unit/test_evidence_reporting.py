"""Reports: every number leads to a record, nothing missing is passed over, and no text of a record can do anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dossiers
from muniment.adapters.typeset.typst_pages import TypstPages
from muniment.evidence.chapters.subject import Subject
from muniment.evidence.displaying import COVERED, decimal, displayable, moment, number, shortened
from muniment.evidence.document import everything
from muniment.evidence.reporting import board_document, board_report, model_document, report

DIGIT = re.compile(r"[0-9]")
KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "empty": dict,
    "trained": dossiers.trained,
    "approved": dossiers.approved,
    "vendor": dossiers.vendor,
}
HOSTILE = (
    "#panic(1) $x_1$ *b* _i_ `raw` <label> @ref = heading",
    '#read("/etc/passwd") \\ // /* ] ) } "',
    "<svg onload=alert(1)>&amp;</text></svg><!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "\u202eevil\u202c \u200f\u05d0\u05d1 \u0627\u0644\u0639 \U0001f600\U0001f468\u200d\U0001f469 字e\u0301\u0323\u0342",
    "x" * 3000,
    "a\x00b\x1b[31m\r\n\tc\ufffe\U000e0041",
    "",
    "sha256:" + "f" * 64,
    "run:" + "0" * 26,
    "2026-13-99T99:99:99Z",
)


def pages(pdf: bytes) -> pypdf.PdfReader:
    """The PDF, parsed strictly."""
    return pypdf.PdfReader(BytesIO(pdf), strict=True)


def whole_text(pdf: bytes) -> str:
    """All text of a PDF, in one line."""
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages(pdf).pages))


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_leads_to_a_record(kind: str) -> None:
    """Each value with a digit bears a mark, its own or that of its block, that stands in the index."""
    tree = model_document(KINDS[kind]()).tree()
    known = {row["number"] for row in tree["index"]}
    values = [(one, mark) for one, mark in everything([tree["cover"], tree["chapters"]]) if one["t"] != "words"]
    bare = [
        one["text"] for one, mark in values if DIGIT.search(one["text"]) and (not mark or mark["record"] not in known)
    ]
    assert bare == []
    assert kind in ("empty", "vendor") or sum(bool(DIGIT.search(one["text"])) for one, _ in values) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_the_product_hold_no_number(kind: str) -> None:
    """What is not a value has no digit in it, so no number can have been typed by hand; but for one command."""
    tree = model_document(KINDS[kind]()).tree()
    typed = {one["text"] for one, _ in everything(tree) if one["t"] == "words" and DIGIT.search(one["text"])}
    assert typed == {"python3 verify.py PACK --key KEY"}


def test_nothing_is_shown_without_its_grade() -> None:
    """Every mark names a grade that the legend explains."""
    tree = model_document(dossiers.approved()).tree()
    marks = [mark for _, mark in everything([tree["cover"], tree["chapters"]]) if mark]
    assert {mark["grade"] for mark in marks} == {"proven", "attested", "declared"}


def test_the_index_leads_to_digests_and_ledger_entries() -> None:
    """Each line names a run, a digest or a record; what people signed names its record and its ledger entry."""
    dossier = dossiers.approved()
    index = model_document(dossier).index
    assert [line["number"] for line in index] == list(range(1, len(index) + 1))
    assert all(line["run"] or line["digest"] or line["record"] or line["where"] for line in index)
    entries = {one["digest"]: one["entry"]["index"] for one in dossier["records"]}
    signed = [line for line in index if line["what"].startswith("signed")]
    assert len(signed) == 4
    assert all(line["entry"] == entries[line["record"]] for line in index if line["record"] in entries)
    assert all(line["grade"] == "attested" for line in signed)
    assert all(line["entry"] is not None for line in index if line["run"])


def test_the_weakest_word_stands_where_nothing_was_proven() -> None:
    """A model from outside has no proven fact but the state of the ledger itself."""
    index = model_document(dossiers.vendor()).index
    assert [line["what"] for line in index if line["grade"] == "proven"] == ["the dossier as it was at the checkpoint"]


@pytest.mark.slow
@pytest.mark.parametrize("gone", sorted(dossiers.approved()))
def test_what_is_missing_is_said(gone: str) -> None:
    """Without any one part, or with null or an empty list in its place, the document is whole."""
    for put in ("absent", None, [], {}):
        dossier = dossiers.approved()
        if put == "absent":
            del dossier[gone]
        else:
            dossier[gone] = put
        tree = model_document(dossier).tree()
        assert [chapter["title"] for chapter in tree["chapters"]] == CHAPTERS
        assert all(part["blocks"] for part in _parts(tree["chapters"])), gone


CHAPTERS = [
    *("Summary", "Purpose and use", "Data", "Method and development", "Performance", "Fairness", "Explanation"),
    *("Lineage and reproduction", "Validation and approval", "Environment and components", "Limits of this report"),
    "How to verify this report",
]


def _parts(blocks: Any) -> Iterator[Mapping[str, Any]]:
    for block in blocks:
        if block["t"] == "part":
            yield block
            yield from _parts(block["blocks"])


def test_an_empty_dossier_says_what_is_not_recorded() -> None:
    """Nothing at all makes a short report in which each chapter says what it lacks."""
    tree = model_document({}).tree()
    said = json.dumps(tree)
    for what in (
        "No use case is recorded",
        "No evaluation is recorded",
        "No explanation is recorded",
        "Nobody has signed",
    ):
        assert what in said


def test_points_for_attention_come_from_the_records() -> None:
    """Open findings, gates that do not hold and missing witnesses are pointed at; a closed finding is not."""
    dossier = dossiers.approved()
    summary = json.dumps(model_document(dossier).tree()["chapters"][0])
    assert "Few rows above a score of 0.8" in summary
    assert "Bands of score too fine" not in summary
    assert "challenged" in summary
    assert "No witness" not in summary
    dossier["witnesses"] = []
    assert "No witness" in json.dumps(model_document(dossier).tree()["chapters"][0])


def test_an_overdue_review_is_pointed_at() -> None:
    """A review whose day is before the checkpoint is overdue, one after it is not."""
    dossier = dossiers.approved()
    assert "overdue" not in json.dumps(model_document(dossier).tree()["chapters"][0])
    dossier["state"]["next_review"] = "2026-11-25"
    assert "overdue" in json.dumps(model_document(dossier).tree()["chapters"][0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_dossier_gives_the_same_bytes(kind: str) -> None:
    """Twice in this process and once in another one the report is the same, byte for byte."""
    first = report(KINDS[kind](), TypstPages())
    assert report(KINDS[kind](), TypstPages()) == first
    if kind == "approved":
        program = (
            "import sys, hashlib, dossiers; from muniment.evidence.reporting import report;"
            "from muniment.adapters.typeset.typst_pages import TypstPages;"
            "sys.stdout.buffer.write(report(dossiers.approved(), TypstPages()))"
        )
        folder = str(Path(dossiers.__file__).parent)
        again = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {folder!r}); {program}"],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
            cwd="/",
        ).stdout
        assert again == first


@pytest.mark.slow
def test_another_number_gives_other_bytes() -> None:
    """One digit of one metric changes the report."""
    dossier = dossiers.approved()
    before = report(dossier, TypstPages())
    dossier["evaluations"][0]["report"]["metrics"]["auc"] += 0.0001
    assert report(dossier, TypstPages()) != before


@pytest.mark.slow
def test_the_file_is_an_archive_that_everybody_can_read() -> None:
    """PDF/A-2a and PDF/UA-1: title, language, tags, embedded typefaces, the checkpoint's time, nothing active."""
    dossier = dossiers.approved()
    pdf = report(dossier, TypstPages())
    read = pages(pdf)
    root = read.trailer["/Root"]
    xmp = root["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part>" in xmp
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in xmp
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    assert root["/Lang"] == "en-GB"
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert read.metadata is not None
    assert read.metadata.title == "creditcarddefault-lightgbm · version 1 – Model report"
    assert read.metadata.creation_date == datetime.fromisoformat(dossier["checkpoint"]["time"]).replace(microsecond=0)
    assert {(round(page.mediabox.width), round(page.mediabox.height)) for page in read.pages} == {(595, 842)}
    assert read.outline
    active = {"/OpenAction", "/AA", "/AcroForm", "/Collection"}
    assert active.isdisjoint(root)
    names = root.get("/Names", {})
    assert {"/JavaScript", "/EmbeddedFiles"}.isdisjoint(names)
    fonts = list(_fonts(read))
    assert fonts
    assert all(any(name in one for name in ("/FontFile", "/FontFile2", "/FontFile3")) for one in fonts)
    links = [a.get_object() for page in read.pages for a in page.get("/Annots", [])]
    assert links
    assert all("/URI" not in json.dumps(str(link.get("/A", ""))) for link in links)


def _fonts(read: pypdf.PdfReader) -> Iterator[Mapping[str, Any]]:
    for page in read.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            for inner in font.get_object().get("/DescendantFonts", []):
                yield inner.get_object()["/FontDescriptor"]


@pytest.mark.slow
def test_the_pages_say_what_was_recorded() -> None:
    """Numbers, digests and names of the dossier can be read and copied from the pages."""
    dossier = dossiers.approved()
    text = whole_text(report(dossier, TypstPages()))
    metrics = dossier["evaluations"][0]["metrics"]
    for value in (
        f"{metrics['auc']:.4f}",
        f"{metrics['brier']:.4f}",
        "EUR 1,850,000,000",
        "otto.approver",
        "retail-card-limits",
    ):
        assert value in text
    for name in (dossier["model"]["digest"], dossier["checkpoint"]["root"], dossier["evaluations"][0]["record"]):
        assert name in text.replace(" ", "")


@pytest.mark.slow
def test_hostile_text_stays_text() -> None:
    """Whatever stands in the strings of a dossier, the pages are set, and markup is shown instead of obeyed."""
    text = whole_text(report(_spoilt(dossiers.approved()), TypstPages()))
    assert "#panic(1) $x_1$ *b* _i_ `raw`" in text
    assert "{U+1F600}" in text
    assert "{U+202E}evil{U+202C}" in text
    assert "alert(1)" in text


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_one_hostile_text_everywhere(text: str) -> None:
    """The same text in every string of a dossier breaks no page."""
    dossier = _everywhere(dossiers.approved(), text)
    assert pages(report(dossier, TypstPages())).pages
    tree = model_document(dossier).tree()
    assert all(ord(letter) in COVERED or letter == "\n" for one, _ in everything(tree) for letter in one["text"])


def _spoilt(value: Any, seen: list[int] | None = None, key: str = "") -> Any:
    """The value with texts replaced by hostile ones in turn; what names the structure is kept."""
    turn = [0] if seen is None else seen
    if isinstance(value, dict):
        return {name: _spoilt(inner, turn, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_spoilt(inner, turn, key) for inner in value]
    if isinstance(value, str) and key not in KEPT:
        turn[0] += 1
        return HOSTILE[turn[0] % len(HOSTILE)]
    return value


KEPT = {"digest", "record", "run", "activity", "entity", "id", "kind", "relation", "grade", "body", "root", "note"}


def _everywhere(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {name: _everywhere(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_everywhere(inner, text) for inner in value]
    return text if isinstance(value, str) else value


@pytest.mark.slow
def test_very_many_columns_and_records_are_cut_and_said() -> None:
    """Thousands of columns, packages, findings and features make a bounded document that says where it was cut."""
    dossier = dossiers.approved()
    whole = dossier["data"][3]
    whole["schema"] = [{"name": f"column_{place}", "type": "float64", "nullable": True} for place in range(20_000)]
    dossier["findings"] = dossier["findings"] * 2_000
    dossier["environment"]["packages"] = dossier["environment"]["packages"] * 500
    features = dossier["explanations"][0]["report"]["features"]
    dossier["explanations"][0]["report"]["features"] = features * 400
    read = pages(report(dossier, TypstPages()))
    assert len(read.pages) < 60
    assert "The table is cut" in " ".join(page.extract_text() for page in read.pages)


def test_the_typefaces_have_every_character_that_is_let_through() -> None:
    """What is called covered can be set in each face: the typesetter refuses a document with a missing glyph."""
    letters = "".join(map(chr, sorted(COVERED)))
    chunks = [letters[start : start + 60] for start in range(0, len(letters), 60)]
    dossier = {
        "registration": {"description": "\n".join(chunks), "assumptions": chunks, "model": letters[:40]},
        "model": {"name": "x", "reference": letters[40:90], "digest": letters[100:140]},
        "training": {"params": {chunk: chunk for chunk in chunks}, "run": "run:x"},
        "findings": [{"title": chunk, "severity": chunk, "owner": chunk} for chunk in chunks],
    }
    assert pages(report(dossier, TypstPages())).pages


@given(st.text(max_size=200))
def test_any_text_can_be_shown(text: str) -> None:
    """Every text becomes covered characters on one line, and becomes itself when it already is."""
    shown = displayable(text)
    assert all(ord(letter) in COVERED for letter in shown)
    assert displayable(shown) == shown


@given(st.text(max_size=60), st.text(max_size=60))
def test_different_texts_look_different(first: str, second: str) -> None:
    """Two texts look alike only when they differ in spaces, in their normal form, or in what looks like an escape."""
    if displayable(first) == displayable(second) and "{U+" not in first + second:
        assert _plain(first) == _plain(second)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))


def test_numbers_are_written_for_people() -> None:
    """Separators, a real minus, enough digits and no more; what is no number stays as it is."""
    assert number(30000) == "30,000"
    assert number(-2) == "−2"
    assert number(0.79219) == "0.7922"
    assert number(8.66e-15) == "8.66·10⁻¹⁵"
    assert number(None) == "–"
    assert number(float("nan")) == "not a number"
    assert number("0.75") == "0.75"
    assert decimal(1.0) == "1.0000"
    assert moment("2026-11-26T10:43:36.432756Z") == "26 November 2026, 10:43 UTC"
    assert moment("yesterday") == "yesterday"
    assert shortened("abcdefghij", 7) == "abcd…ij"


def test_charts_are_whole_and_refer_to_nothing() -> None:
    """Every picture is well-formed SVG of plain shapes, without scripts, links, entities or numbers that are none."""
    tree = model_document(dossiers.approved()).tree()
    pictures = list(_pictures([tree["cover"], tree["chapters"]]))
    assert len(pictures) > 15
    for one in pictures:
        root = ET.fromstring(one["svg"])
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "line", "path", "rect", "circle", "text"}
        assert not re.search(r"href|url\(|<!|nan|inf\b|on[a-z]+=", one["svg"])
        assert one["alt"]


def _pictures(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        if "svg" in value:
            yield value
        for inner in value.values():
            yield from _pictures(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pictures(inner)


def test_a_reader_is_led_from_a_run_to_the_entry_that_ended_it() -> None:
    """A run is cited with the last ledger entry that names it, a digest with the first."""
    dossier = {
        "entries": [
            {"index": 4, "id": "a", "body": '{"run":"01m8bq861yx5jq4h307ecv0r3s"}'},
            {"index": 9, "id": "b", "body": '{"run":"01m8bq861yx5jq4h307ecv0r3s","of":"' + dossiers.digest("x") + '"}'},
            {"index": 11, "id": "c", "body": dossiers.digest("x")},
        ]
    }
    subject = Subject(dossier)
    subject.citations.mark("run", run="run:01m8bq861yx5jq4h307ecv0r3s", grade="proven")
    subject.citations.mark("thing", digest=dossiers.digest("x"), grade="proven")
    assert [line["entry"] for line in subject.citations.lines()] == [9, 9]


def test_the_board_counts_once() -> None:
    """Cells of the matrix add up to the number of versions, and an approval past its end counts as expired."""
    tree = board_document(dossiers.board()).tree()
    text = json.dumps(tree)
    matrix = next(block for block in tree["chapters"][0]["blocks"][0]["blocks"] if block["t"] == "table")
    cells = [
        [int(cell[0]["text"].replace("·", "0").replace(",", "")) for cell in row["cells"][1:]] for row in matrix["rows"]
    ]
    assert [sum(column) for column in zip(*cells[:-1], strict=True)] == cells[-1]
    assert all(sum(row[:-1]) == row[-1] for row in cells)
    assert cells[-1][-1] == dossiers.board()["versions"]
    assert "expired" in text


@pytest.mark.slow
def test_the_board_names_what_many_models_rest_on() -> None:
    """Concentration, overdue reviews, emergencies and findings are listed with the versions they concern."""
    text = whole_text(board_report(dossiers.board(), TypstPages()))
    for what in ("Concentration", "data:bureau@7", "Overdue reviews", "emergency approval", "feeds", "pd-retail"):
        assert what in text


@pytest.mark.slow
@pytest.mark.parametrize("gone", sorted(dossiers.board()))
def test_the_board_copes_with_missing_parts(gone: str) -> None:
    """Without any one part the board report is set."""
    board = dossiers.board()
    del board[gone]
    assert board_report(board, TypstPages()) == board_report(board, TypstPages())


def test_every_number_of_the_board_leads_to_a_record() -> None:
    """The board report keeps the same rule."""
    tree = board_document(dossiers.board()).tree()
    known = {row["number"] for row in tree["index"]}
    found = [(one, mark) for one, mark in everything([tree["cover"], tree["chapters"]]) if DIGIT.search(one["text"])]
    assert [one["text"] for one, mark in found if one["t"] == "words" or not mark or mark["record"] not in known] == []


def test_a_report_without_a_checkpoint_is_dated_to_the_epoch() -> None:
    """No clock is read: without a checkpoint's time there is none."""
    read = pages(report({}, TypstPages()))
    assert read.metadata is not None
    assert read.metadata.creation_date == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_question_is_settled_by_a_later_word_in_its_thread() -> None:
    """A question that was asked as open is resolved when any answer below it says so, and stands open otherwise."""
    dossier = dossiers.trained()
    dossier["challenge"] = [
        {"id": "1", "text": "Why?", "by": "User:v", "in_reply_to": None, "resolved": False},
        {"id": "2", "text": "Because.", "by": "User:s", "in_reply_to": "1", "resolved": False},
        {"id": "3", "text": "And then?", "by": "User:v", "in_reply_to": None, "resolved": False},
    ]
    assert json.dumps(model_document(dossier).tree()["chapters"][0]).count("is not resolved") == 2
    dossier["challenge"].append({"id": "4", "text": "Good.", "by": "User:v", "in_reply_to": "2", "resolved": True})
    summary = model_document(dossier).tree()["chapters"][0]
    assert json.dumps(summary).count("is not resolved") == 1


def test_a_fact_that_should_hold_and_does_not_is_pointed_at() -> None:
    """Who measured a model and had a part in it is named in the summary, with the fact that says so."""
    dossier = dossiers.approved()
    dossier["facts"].append(
        {"name": "evaluation.independent", "value": False, "grade": "proven", "record": None, "text": ""}
    )
    summary = json.dumps(model_document(dossier).tree()["chapters"][0])
    assert "Who measured the model had a part in making it" in summary


def test_long_digests_in_running_text_are_cut_and_the_index_holds_them_whole() -> None:
    """What a fact says stays readable; the record it rests on is named in full."""
    dossier = dossiers.approved()
    name = dossiers.digest("a rule")
    dossier["facts"] = [
        {"name": "tier.level", "value": 2, "grade": "proven", "record": name, "text": f"by rule {name}"}
    ]
    document = model_document(dossier)
    assert f"by rule {name[:19]}…" in json.dumps(document.tree(), ensure_ascii=False)
    assert name in {line["record"] for line in document.index}
