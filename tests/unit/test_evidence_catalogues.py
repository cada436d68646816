"""Control catalogues: what ships is whole, what is broken is refused, and an answer claims no more than its facts."""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from muniment.errors import Invalid, NotFound
from muniment.evidence.answering import Status, answer, counts, report_facts
from muniment.evidence.catalogue import (
    CODES,
    REPORT_FACTS,
    Answerable,
    Catalogue,
    Catalogues,
    Confidence,
    check_successor,
    read,
    shipped,
)
from muniment.inventory.facts.fact import Absent, Fact, Facts
from muniment.kernel.expressions import Comparison, Containment, Expression, Membership, Name, Number, Presence
from muniment.kernel.grade import Grade

GOOD = """\
format = "muniment.catalogue/1"
id = "house-rules"
version = 1
title = "Rules of the house"
issuer = "The bank"
effective_from = 2026-01-01
status = "In force."
sources = []

[[item]]
id = "measured"
reference = "1"
title = "Measured"
text = "The model is measured."
confidence = "checked"
query = "metric.auc >= 0.7 and fairness.air >= 0.8"
records = ["evaluation", "fairness report"]
evidence = ["VAL"]

[[item]]
id = "reviewed"
reference = "2"
title = "Reviewed"
text = "The model is reviewed."
confidence = "memory"
query = "validation.present"
gap = "Whether the review was thorough."
records = ["review"]
evidence = ["VAL"]

[[item]]
id = "served"
reference = "3"
title = "Served"
text = "The model is served."
confidence = "unrecorded"
open = "Nothing is served."
records = []
evidence = ["DEP"]
"""


def catalogue(text: str = GOOD) -> Catalogue:
    """The catalogue of this text."""
    return read(text.encode(), "house-rules.toml")


def fact(name: str, value: Any, grade: Grade = Grade.PROVEN) -> Fact:
    """Something known."""
    return Fact(name, value, grade, "run:01ABC", f"{name} as it was found")


# --- what ships


def test_every_shipped_file_is_named_after_what_it_holds() -> None:
    """``ID@VERSION.toml``, each once, and each reads without a complaint."""
    names = sorted(one.name for one in (files("muniment.evidence") / "catalogues").iterdir())
    assert names == sorted(f"{one.name}.toml" for one in shipped())


def test_the_catalogues_that_were_promised_ship() -> None:
    """Fourteen bodies of rules; the rescinded one names what took its place."""
    by_id = {one.id: one for one in shipped()}
    assert set(by_id) == {
        *("sr-26-2", "sr-11-7", "ss1-23", "osfi-e-23", "ecb-internal-models", "eu-ai-act", "dora", "bcbs-239"),
        *("reg-b", "gdpr", "nist-ai-rmf", "nist-800-53", "iso-42001", "sec-17a-4"),
    }
    assert {one.id: one.superseded_by for one in shipped() if one.superseded_by} == {"sr-11-7": "sr-26-2"}
    assert by_id["sr-26-2"].effective_from.isoformat() == "2026-04-17"
    assert by_id["osfi-e-23"].effective_from.isoformat() == "2027-05-01"
    assert by_id["eu-ai-act"].effective_from.isoformat() == "2027-12-02"


FROM_THE_LIST = {
    **{"sr-11-7": 18, "sr-26-2": 7, "ecb-internal-models": 10, "ss1-23": 10, "eu-ai-act": 21, "dora": 9},
    **{"bcbs-239": 5, "reg-b": 10, "gdpr": 4, "sec-17a-4": 4, "nist-800-53": 8, "nist-ai-rmf": 4, "iso-42001": 6},
}
"""Rows of the evidence checklist by catalogue: 116 in all."""


def test_every_row_of_the_checklist_has_its_item() -> None:
    """One item a row; at least 60 of the 116 can be answered in full, and each of the others says why it cannot."""
    items = {one.id: one.items for one in shipped() if one.id in FROM_THE_LIST}
    assert {id_: len(found) for id_, found in items.items()} == FROM_THE_LIST
    assert sum(FROM_THE_LIST.values()) == 116
    reach = Counter(item.answerable for found in items.values() for item in found)
    assert reach[Answerable.FULLY] >= 60
    assert reach == {Answerable.FULLY: 61, Answerable.IN_PART: 29, Answerable.OPEN: 26}


CHECKLIST = Path(__file__).parents[3] / "shared" / "design" / "reference" / "evidence-checklist.csv"
FRAMEWORKS = {
    **{"SR 11-7": "sr-11-7", "SR 26-2": "sr-26-2", "ECB": "ecb-internal-models", "PRA": "ss1-23", "DORA": "dora"},
    **{"EU AI": "eu-ai-act", "BCBS": "bcbs-239", "ECOA": "reg-b", "FCRA": "reg-b", "GDPR": "gdpr", "ISO": "iso-42001"},
    **{"SEC": "sec-17a-4", "NIST SP": "nist-800-53", "NIST AI": "nist-ai-rmf"},
}


@pytest.mark.skipif(not CHECKLIST.exists(), reason="the checklist is kept beside the repository, not in it")
def test_the_items_agree_with_the_checklist() -> None:
    """Each row is one item with the same reference, and the evidence it speaks of is the row's."""
    by_id = {one.id: one for one in shipped()}
    mapped = []
    with CHECKLIST.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found = by_id[next(id_ for start, id_ in FRAMEWORKS.items() if row["framework"].startswith(start))]
            [item] = [item for item in found.items if item.reference == row["reference"]]
            spoken = {code for code in CODES if re.search(rf"\b{code}s?\b", row["evidence_record"])}
            assert spoken == set(item.evidence), (found.id, item.id)
            mapped.append((found.id, item.id))
    assert len(mapped) == len(set(mapped)) == 116


UNSURE = {
    "eu-ai-act": {"11 + Annex IV(1)", "Annex IV(2)", "Annex IV(3)-(5)", "Annex IV(6)-(9)", "17", "19, 26(6)"}
    | {"26(11), 86"},
    "dora": {"RTS 12"},
}
"""References from memory in catalogues whose other numbering was checked."""


def test_the_confidence_of_each_reference_is_told() -> None:
    """What was checked, what is from memory, and what nobody recorded as checked, item by item."""
    for one in shipped():
        for item in one.items:
            if one.id in ("sr-11-7", "ss1-23", "ecb-internal-models", "osfi-e-23"):
                expected = Confidence.MEMORY
            elif one.id in ("bcbs-239", "gdpr") or item.id.startswith("fcra-"):
                expected = Confidence.UNRECORDED
            else:
                expected = Confidence.MEMORY if item.reference in UNSURE.get(one.id, set()) else Confidence.CHECKED
            assert item.confidence is expected, (one.id, item.id)


def test_no_item_is_answered_by_nothing() -> None:
    """Over no facts every item is unanswered or open: no query holds because something is missing."""
    for one in shipped():
        for given in answer(one, {}).items:
            assert given.status in (Status.UNANSWERED, Status.OPEN), (one.id, given.item.id)
            assert given.grade is None


def satisfying(query: Expression) -> dict[str, Any]:
    """Values that the tests of a query ask for; numbers are 9, or 0 where 0 is asked."""
    values: dict[str, Any] = {}
    for test in query.tests():
        match test:
            case Comparison(name, _, Name(other)):
                values[name] = values[other] = 9
            case Comparison(name, _, Number(value)):
                values[name] = 0 if value == 0 else 9
            case Comparison(name, _, literal):
                values[name] = literal.value
            case Containment(name, literal):
                values.setdefault(name, []).append(literal.value)
            case Membership(name, literals):
                values[name] = literals[0].value
            case Presence(name, _):
                values.setdefault(name, "there")
    return values | {name: False for name in ("review.overdue", "audit.overdue", "impact.overdue") if name in values}


def test_each_item_is_answered_by_some_facts() -> None:
    """A query that nothing can satisfy would be a requirement that looks unanswered for ever."""
    for one in shipped():
        for item in one.items:
            if item.query is not None:
                known = {name: fact(name, value) for name, value in satisfying(item.query).items()}
                [given] = [given for given in answer(one, known).items if given.item is item]
                expected = Status.PARTLY if item.gap else Status.ANSWERED
                assert given.status is expected, (one.id, item.id, given.pieces)


# --- what is refused


def test_a_good_file_reads_back() -> None:
    """Every field of the file stands in the value, and the digest is that of the bytes."""
    found = catalogue()
    assert (found.name, found.title, found.effective_from.year) == ("house-rules@1", "Rules of the house", 2026)
    assert [item.answerable for item in found.items] == [Answerable.FULLY, Answerable.IN_PART, Answerable.OPEN]
    assert str(found.items[0].query) == "metric.auc >= 0.7 and fairness.air >= 0.8"
    assert read(GOOD.encode() + b"\n", "f").digest != found.digest


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ("version = 1", "version = ", "MUNI-E150", {}),
        ("version = 1", "version = 0", "MUNI-E151", {"key": "version"}),
        ("version = 1", "version = true", "MUNI-E151", {"key": "version"}),
        ("/1", "/2", "MUNI-E151", {"key": "format"}),
        ('id = "house-rules"', 'id = "House Rules"', "MUNI-E151", {"key": "id"}),
        ("effective_from = 2026-01-01", 'effective_from = "soon"', "MUNI-E151", {"key": "effective_from"}),
        ("2026-01-01", "2026-01-01T00:00:00Z", "MUNI-E151", {"key": "effective_from"}),
        ('title = "Rules of the house"\n', "", "MUNI-E151", {"key": "title", "problem": "it is missing; it is a text"}),
        ('status = "In force."', 'status = "\\u001b[2J"', "MUNI-E151", {"key": "status"}),
        ('issuer = "The bank"', 'isuer = "The bank"', "MUNI-E151",
         {"key": "isuer", "problem": "there is no such key; did you mean 'issuer'?"}),
        ('id = "reviewed"', 'id = "measured"', "MUNI-E151",
         {"key": "id", "problem": "two items have the id 'measured'"}),
        ('reference = "2"', 'reference = "1"', "MUNI-E151", {"key": "reference"}),
        ('confidence = "memory"', 'confidence = "sure"', "MUNI-E151", {"item": "item 'reviewed'", "key": "confidence"}),
        ('records = ["review"]', 'records = ["gossip"]', "MUNI-E151", {"item": "item 'reviewed'", "key": "records"}),
        ('records = ["review"]', "records = []", "MUNI-E151", {"key": "records"}),
        ('evidence = ["DEP"]', 'evidence = ["DEP", "DEP"]', "MUNI-E151", {"key": "evidence"}),
        ('open = "Nothing is served."', "", "MUNI-E151", {"item": "item 'served'", "key": "open"}),
        ('query = "validation.present"', "", "MUNI-E151", {"item": "item 'reviewed'", "key": "open"}),
        ('query = "validation.present"', 'query = "validation.present"\nopen = "no"', "MUNI-E151", {"key": "open"}),
        ('open = "Nothing is served."', 'open = "Nothing."\ngap = "x"', "MUNI-E151", {"key": "gap"}),
        ("metric.auc >= 0.7", "metric.auc => 0.7", "MUNI-E152", {"item": "item 'measured'", "column": 13}),
        ("metric.auc >= 0.7", "metric.auc >=", "MUNI-E152", {"column": 15, "reason": "MUNI-K124"}),
        ("validation.present", "validation.presnt", "MUNI-E153",
         {"item": "item 'reviewed'", "fact": "validation.presnt"}),
        ("validation.present", "report.catalog is present", "MUNI-E153", {"fact": "report.catalog"}),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_the_place(old: str, new: str, code: str, told: dict[str, Any]) -> None:
    """Each mistake has its code, and names the file, the item and the key."""
    assert old in GOOD
    with pytest.raises(Invalid) as refused:
        catalogue(GOOD.replace(old, new))
    assert refused.value.code == code
    assert {name: refused.value.facts.get(name) for name in told} == told
    assert refused.value.facts["file"] == "house-rules.toml"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"item = 3",
        b"a = " + b"[" * 5_000,
        b"#" * 300_000,
        GOOD.encode() + b"\n[[item]]\n" * 600,
        GOOD.split("[[item]]", maxsplit=1)[0].encode(),
        GOOD.split("[[item]]", maxsplit=1)[0].encode() + b'item = ["x"]',
    ],
)
def test_hostile_content_is_refused(content: bytes) -> None:
    """Whatever the bytes are, they are a catalogue or they are refused."""
    with pytest.raises(Invalid) as refused:
        read(content, "f")
    assert refused.value.code in ("MUNI-E150", "MUNI-E151")


def test_a_successor_must_be_known() -> None:
    """A catalogue cannot be superseded by one that nobody knows, nor by itself."""
    superseded = GOOD.replace('id = "house-rules"', 'id = "house-rules"\nsuperseded_by = "other-rules"')
    check_successor(catalogue(superseded), {"other-rules"})
    with pytest.raises(Invalid) as refused:
        check_successor(catalogue(superseded), {"house-rules"})
    assert refused.value.code == "MUNI-E154"
    with pytest.raises(Invalid) as refused:
        catalogue(superseded.replace("other-rules", "house-rules"))
    assert refused.value.facts["key"] == "superseded_by"


def test_the_newest_version_is_meant_unless_one_is_named() -> None:
    """``id`` is the newest version, ``id@1`` the first for ever; what is not there is refused with what is near."""
    known = Catalogues([catalogue(), catalogue(GOOD.replace("version = 1", "version = 2")), *shipped()])
    assert known.get("house-rules").version == 2
    assert known.get("house-rules@1").version == 1
    assert known.versions("house-rules") == (1, 2)
    assert [one.name for one in known.newest()][-1] == "sr-11-7@1"
    for wrong, near in (("house-rule", "house-rules"), ("house-rules@3", "house-rules@2"), ("sr-26-2@²", "sr-26-2@1")):
        with pytest.raises(NotFound) as refused:
            known.get(wrong)
        assert refused.value.code == "MUNI-E250"
        assert near in refused.value.facts["near"]


# --- what an answer says


def test_an_answer_rests_on_its_facts_and_deserves_the_weakest_grade() -> None:
    """All hold: answered, with facts and their records; the grade is the weakest among them."""
    known = [fact("metric.auc", 0.78), fact("fairness.air", 0.9, Grade.DECLARED), fact("tier.level", 1)]
    given = answer(catalogue(), Facts(known)).items[0]
    assert given.status is Status.ANSWERED
    assert [one.name for one in given.facts] == ["metric.auc", "fairness.air"]
    assert given.grade is Grade.DECLARED


def test_an_item_with_a_gap_is_answered_in_part_at_best() -> None:
    """Whatever the facts say, the gap remains."""
    assert (
        answer(catalogue(), {"validation.present": fact("validation.present", True)}).items[1].status is Status.PARTLY
    )


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ({"metric.auc": 0.78, "fairness.air": 0.9}, "answered"),
        ({"metric.auc": 0.78, "fairness.air": 0.7}, "partly"),
        ({"metric.auc": 0.78}, "partly"),
        ({"metric.auc": 0.6}, "unanswered"),
        ({"metric.auc": "high"}, "unanswered"),
        ({}, "unanswered"),
    ],
)
def test_some_of_what_must_hold_is_part_of_an_answer(known: dict[str, Any], status: str) -> None:
    """All, some, none: answered, partly, unanswered; unknown is not yes."""
    facts = {name: fact(name, value) for name, value in known.items()}
    assert answer(catalogue(), facts).items[0].status == status


def test_what_a_report_says_of_itself_is_no_part_of_an_answer_about_the_model() -> None:
    """Every report has a checkpoint: that alone does not answer in part what asks for more."""
    asked = catalogue(GOOD.replace("validation.present", "validation.present and report.checkpoint is present"))
    assert answer(asked, report_facts(asked, 7)).items[1].status is Status.UNANSWERED
    itself = catalogue(GOOD.replace("validation.present", "report.checkpoint is present"))
    assert answer(itself, report_facts(itself, 7)).items[1].status is Status.PARTLY


@pytest.mark.parametrize("idle", ["not review.overdue", "findings.high = 0", "review.overdue = false"])
def test_that_nothing_happened_is_no_part_of_an_answer(idle: str) -> None:
    """No finding of a model that nobody looked at says nothing; beside a review it does."""
    asked = catalogue(GOOD.replace("validation.present", f"validation.present and {idle}"))
    known = {"review.overdue": fact("review.overdue", False), "findings.high": fact("findings.high", 0)}
    assert answer(asked, known).items[1].status is Status.UNANSWERED
    known["validation.present"] = fact("validation.present", True)
    assert answer(asked, known).items[1].status is Status.PARTLY


def test_an_answer_says_why_a_fact_is_absent() -> None:
    """The reason that whoever gathered the facts gave stands in the answer."""
    known = Facts([fact("metric.auc", 0.6), Absent("fairness.", "no evaluation compared groups")])
    given = answer(catalogue(), known).items[0]
    assert [(piece.outcome.value, piece.why) for piece in given.pieces] == [
        ("no", "metric.auc is 0.6"),
        ("unknown", "fairness.air is not recorded: no evaluation compared groups"),
    ]
    assert given.missing == ("metric.auc is 0.6", "no evaluation compared groups (fairness.air)")


def test_what_lacks_for_one_reason_is_told_once() -> None:
    """Whoever reads what is missing reads each reason once, with all facts that it keeps away."""
    asked = catalogue(GOOD.replace("validation.present", "validation.present and validation.independent"))
    known = Facts(
        [Absent("validation.present", "never validated"), Absent("validation.independent", "never validated")]
    )
    assert answer(asked, known).items[1].missing == ("never validated (validation.present, validation.independent)",)


def test_a_report_knows_itself() -> None:
    """The facts of the report are those that a catalogue may ask for, and the counts name every status."""
    found = catalogue()
    assert set(report_facts(found, 7)) == set(REPORT_FACTS)
    assert counts(answer(found, {}).items) == {"answered": 0, "partly": 0, "unanswered": 2, "open": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"a" + b".a" * 120_000 + b" = 1",
        b"[a" + b".a" * 120_000 + b"]",
        b"x = {a" + b".a" * 120_000 + b" = 1}",
        b"x = " + b"[" * 200_000,
        b"x = " + b"{a=" * 60_000,
        b"x = " + b"9" * 200_000,
        b"[[item]]\n" * 20_000,
        b"".join(b"k%d = 1\n" % number for number in range(20_000)),
        b"".join(b"[b%d" % number + b".a" * 100 + b"]\n" for number in range(1200)),
    ],
    ids=["key", "table", "inline", "arrays", "inline tables", "digits", "items", "keys", "tables"],
)
def test_a_file_that_is_made_to_exhaust_is_refused(content: bytes) -> None:
    """As small as a catalogue may be, and dear to read: it is refused within the size that it may have."""
    with pytest.raises(Invalid) as refused:
        read(content, "made.toml")
    assert refused.value.code.startswith("MUNI-E1")
