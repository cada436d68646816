"""The story of a lineage: overrides stand in it with their reason, and nothing in it can act on a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from muniment.errors import Unavailable
from muniment.evidence.telling import story
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.grade import Grade
from muniment.sdk.lineage import Lineage, Trace, then_called
from muniment.wire import catalog as wc

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
AT = "2026-11-23T09:00:00.000000Z"
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"
MODEL, FILE = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def entity(digest: str, kind: str, **facts: Any) -> dict[str, Any]:
    told = {"digest": digest, "kind": kind, "label": HOSTILE, "names": [], "grade": "declared", "author": "User:ana"}
    return {**told, "at": AT, "facts": facts, "hidden": False}


def lineage(**facts: Any) -> dict[str, Any]:
    """A model that somebody made elsewhere of a file, with texts that try to be something else."""
    activity = {
        "id": "r", "kind": "import", "label": HOSTILE, "agent": "User:ana", "started_at": AT, "ended_at": AT,
        "plan": None, "grade": "declared", "status": "ok", "experiment": None, "seed": None, "params": {"a": HOSTILE},
        "run": None,
    }  # fmt: skip
    edge = {"activity": "r", "role": HOSTILE, "grade": "declared", "record": None}
    return {
        "checkpoint": {"origin": "here", "size": 7, "root": "sha256:" + "0" * 64},
        "reference": "model:m@1",
        "start": MODEL,
        "lineage": {
            "entities": [entity(MODEL, "model", **facts), entity(FILE, "file")],
            "activities": [activity],
            "edges": [
                {**edge, "relation": "used", "entity": FILE},
                {**edge, "relation": "was_generated_by", "entity": MODEL},
            ],
        },
    }


def record(kind: RecordKind, **body: Any) -> Record:
    return Record("r1", "main", kind, MODEL, NOW, "User:boss", Grade.ATTESTED, body)


def test_an_override_stands_there_with_who_and_why() -> None:
    """An emergency approval is marked as such, with its reason, its author and the digest of its record."""
    stated = record(RecordKind.BREAK_GLASS, reason="the old model failed", emergency=True)
    told = story(lineage(), [stated, record(RecordKind.COMMENT, text="fine")], None)
    (mark,) = [one for one in told.marks if one.kind == "override"]
    assert (mark.by, mark.reason, mark.record) == ("User:boss", "the old model failed", str(stated.digest))
    assert not any(one.kind == "statement" for one in told.marks)
    assert (told.grade, told.complete) == ("declared", True)


def test_what_was_promoted_is_told_to_go_on_elsewhere() -> None:
    """Where nothing here made it, the story names the project that knows."""
    told = lineage(promoted_from="lab")
    told["lineage"]["activities"], told["lineage"]["edges"] = [], []
    told["lineage"]["entities"] = told["lineage"]["entities"][:1]
    page = story(told, [], None)
    assert [(mark.kind, "lab" in mark.what) for mark in page.marks] == [("elsewhere", True)]
    assert (page.steps, page.complete) == ([], False)


def test_a_page_shows_hostile_texts_as_texts() -> None:
    """Nothing that somebody wrote becomes markup or turns the direction of reading."""
    shown = Trace(story(lineage(), [record(RecordKind.BREAK_GLASS, reason=HOSTILE)], None))
    assert "<script" not in shown._repr_html_()
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown._repr_html_() + repr(shown)
    assert len(shown.rows()) == 1


def test_a_lineage_without_a_platform_has_no_other_form() -> None:
    """Who made the value by hand is told so."""
    alone = Lineage(wc.LineageView(reference="x", direction="upstream", grade="proven", nodes=[], edges=[]))
    for ask in (alone.prov, alone.openlineage, alone.in_toto, alone.trace):
        with pytest.raises(Unavailable):
            ask()
    assert len(alone.column_rows()) == 0


@pytest.mark.parametrize(
    ("reference", "at", "meant"),
    [
        ("data:a", "2026-11-01", "data:a@2026-11-01T00:00:00Z"),
        ("a", "2026-11-01T09:00:00Z", "a@2026-11-01T09:00:00Z"),
        ("data:a@2", "2026-11-01", "data:a@2"),
        ("sha256:" + "1" * 64, "2026-11-01", "sha256:" + "1" * 64),
        ("run:01", "2026-11-01", "run:01"),
        ("data:a", "42", "data:a"),
        ("data:a", None, "data:a"),
    ],
)
def test_a_bare_name_means_what_it_meant_then(reference: str, at: str | None, meant: str) -> None:
    """A moment is put to a name without version; a size of the ledger names no moment."""
    assert then_called(reference, at) == meant
