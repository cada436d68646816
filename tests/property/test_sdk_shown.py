"""Nothing from outside reaches a terminal or a page unescaped."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muniment.sdk import cells, shown
from muniment.sdk.client import Client
from muniment.sdk.datasets import Dataset, Parts
from muniment.sdk.lineage import Lineage, Proof
from muniment.sdk.models import Model
from muniment.sdk.runs import Comparison, Run, Runs
from muniment.testing.transport import ScriptedTransport
from muniment.wire import catalog, data, execution, inventory

NASTY = st.text(max_size=20) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[2J", "\u202eabc", "a&b;", "'", "</table>"]
)
VALUES = st.recursive(
    NASTY | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=5,
)
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div", "b", "details", "summary", "img", "span"}


class Reader(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def check(html: str) -> None:
    """Only our own tags and attributes stand in a page."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.tags <= TAGS
    assert reader.attributes <= {"style", "src", "alt", "title"}
    assert not any(unicodedata.category(letter) in ("Cc", "Cf") for letter in html)


@given(VALUES)
def test_a_brief_value_is_one_visible_line(value: Any) -> None:
    """Whatever the value, what is shown has no control character and is not too long."""
    text = shown.brief(value, 60)
    assert len(text) <= 60
    assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in text)


@given(st.text())
def test_visible_text_keeps_what_is_printable(text: str) -> None:
    """Printable text is unchanged, and making text visible twice is making it visible once."""
    once = shown.visible(text)
    assert shown.visible(once) == once
    if text.isprintable():
        assert once == text


@given(st.lists(NASTY, min_size=1, max_size=4), st.lists(st.lists(VALUES, min_size=1, max_size=4), max_size=4))
def test_a_table_holds_only_our_tags(headers: list[str], rows: list[list[Any]]) -> None:
    """No header and no value becomes markup, whatever column it stands in."""
    check(cells.table(headers, rows))
    check(cells.table(["status", "grade", "verdict", "x"], rows))


@given(NASTY, NASTY, st.dictionaries(NASTY, VALUES, max_size=4), st.dictionaries(NASTY, st.floats(), max_size=3))
def test_a_card_holds_only_our_tags(title: str, word: str, facts: dict[str, Any], metrics: dict[str, float]) -> None:
    """No title, name, word, value or number becomes markup."""
    inside = (cells.facts(facts), cells.tiles(metrics), cells.note(word), cells.fold(word, cells.note(word)))
    check(cells.card(title, *inside, kind=word, badges=(word, title)))


@given(NASTY, NASTY)
def test_a_picture_acts_nowhere(svg: str, what: str) -> None:
    """Whatever a drawing holds, the page gets one image, whose source is data and not markup."""
    check(cells.picture(svg, what))


@given(text=NASTY, values=st.dictionaries(NASTY, VALUES, max_size=3))
def test_every_value_object_escapes(text: str, values: dict[str, Any]) -> None:
    """Runs, models, data sets, parts, lineages, proofs and comparisons escape every text they carry."""
    client = Client(ScriptedTransport({"execution:ShowRun": run_detail(text, values)}), project="main")
    check(Run(client, "run:x")._repr_html_())
    check(Runs([run_summary(text)])._repr_html_())
    check(Model(client, model_detail(text, values))._repr_html_())
    check(Dataset(client, dataset_detail(text, values))._repr_html_())
    check(Parts({text: Dataset(client, dataset_detail(text, values))})._repr_html_())
    check(Comparison(comparison(text))._repr_html_())
    check(Lineage(lineage_view(text))._repr_html_())
    check(Proof(proof(text))._repr_html_())


def comparison(text: str) -> execution.Comparison:
    row = execution.ComparisonRow(section=text, name=text, values=[text, None], differs=True)
    return execution.Comparison(runs=[text, text], rows=[row])


def run_summary(text: str) -> execution.RunSummary:
    return execution.RunSummary(
        run=text, kind=text, status=text, experiment=text, label=text, requested_by=text,
        created_at=text, metrics={text: 0.5}, products=[text],
    )  # fmt: skip


def run_detail(text: str, values: dict[str, Any]) -> execution.RunDetail:
    return execution.RunDetail(
        run=text, kind=text, status="ok", experiment=text, label=text, requested_by=text, created_at=text,
        started_at=None, ended_at=None, attempt=1, plan=text, job={}, inputs={text: text}, params=values,
        metrics={text: 0.5}, products=[execution.Product(reference=text, kind=text, digest=text, role=text)],
        enforcement=values, usage=values, refused=[], exit_code=0, error={"code": text, "message": text},
        grade=text, log_bytes=0,
    )  # fmt: skip


def model_detail(text: str, values: dict[str, Any]) -> inventory.ModelDetail:
    return inventory.ModelDetail(
        model=text, digest=text, algorithm=text, files=[], facts=values, run=text, trained_on=[text],
        created_at=text, created_by=text, grade=text,
        evaluations=[inventory.Evaluation(run=text, data=text, created_at=text, metrics={text: 0.5}, report={})],
    )  # fmt: skip


def dataset_detail(text: str, values: dict[str, Any]) -> data.DatasetDetail:
    return data.DatasetDetail(
        dataset=text, digest=text, content_digest=text, rows=1, bytes=1, target=text,
        columns=[data.Column(name=text, type=text, nullable=True)], created_at=text, created_by=text,
        run=None, grade=text, facts=values, findings=[],
    )  # fmt: skip


def lineage_view(text: str) -> catalog.LineageView:
    nodes = [
        catalog.LineageNode(id="a", label=text, type="entity", kind=text, depth=0),
        catalog.LineageNode(id="b", label=text, type="activity", kind=text, depth=1, agent=text),
    ]
    edge = catalog.LineageEdge(source="a", target="b", relation="was_generated_by", role=text, grade=text)
    return catalog.LineageView(reference=text, direction="upstream", grade=text, nodes=nodes, edges=[edge], svg=text)


def proof(text: str) -> catalog.AbsenceReply:
    step = catalog.ProofStep(
        relation=text, source=text, source_label=text, target=text, target_label=text, role=text, grade=text
    )
    return catalog.AbsenceReply(
        unused=False, verdict=text, grade=text, scope=text, checkpoint=catalog.Checkpoint(size=1, root=text),
        reference=text, model=text, entities=1, activities=1, path=[step], weakest=text,
    )  # fmt: skip
