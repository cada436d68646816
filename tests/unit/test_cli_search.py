"""``muni search`` against a scripted platform: what it asks, prints, completes and points at."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from muniment.cli import muni
from muniment.cli.face import Face
from muniment.cli.search import going_on
from muniment.errors import Invalid
from muniment.sdk.client import Client
from muniment.search.language import parse
from muniment.testing.transport import ScriptedTransport
from muniment.wire import search as wire

FOUND = wire.Found(
    kind="run",
    query="run where metric.auc > 0.5",
    columns=["metric.auc", "label"],
    rows=[
        wire.FoundRow(reference="run:1", project="main", values={"metric.auc": 0.75, "label": "=cmd()"}),
        wire.FoundRow(reference="run:2", project="main", values={"metric.auc": None, "label": ["a", "b"]}),
    ],
    total=2,
    more=False,
    next_offset=None,
    projects=["main"],
    hints=[],
)
WORDS = wire.Words(words={"metric.auc": "a metric", "metric.ks": "a metric", "status": "where it stands"})
SAVED = wire.SavedSearch(name="good", query="run", by="User:ana", at="2026-11-23T09:00:00.000000Z")


def face_of(script: dict[str, Any]) -> Face:
    """A face whose platform answers by a script."""
    return Face(connect=lambda *told, **more: Client(ScriptedTransport(script), project="main"))


def invoke(script: dict[str, Any], *arguments: str) -> Result:
    """Run a command line against a script."""
    return CliRunner().invoke(muni, list(arguments), obj=face_of(script))


def test_an_answer_is_a_table_json_or_csv() -> None:
    """The columns follow the query; JSON is the whole reply; CSV holds nothing that a spreadsheet would run."""
    table = invoke({"search:Search": FOUND}, "search", "run where metric.auc > 0.5").stdout
    assert "metric.auc" in table
    assert "0.75" in table
    assert json.loads(invoke({"search:Search": FOUND}, "search", "run", "--json").stdout)["total"] == 2
    lines = invoke({"search:Search": FOUND}, "search", "run", "--csv").stdout.split()
    assert lines[:2] == ["run,metric.auc,label", "run:1,0.75,'=cmd()"]
    assert invoke({"search:Search": FOUND}, "search", "run", "--count").stdout.strip() == "2"


def test_what_is_not_understood_is_pointed_at() -> None:
    """The query is shown with a mark under the place, and the command fails."""
    query = "run where metric.auc >> 3"
    try:
        parse(query)
    except Invalid as error:
        refused = error
    result = invoke({"search:Search": refused}, "search", query)
    assert result.exit_code == 1
    shown = result.stderr.splitlines()
    at = next(number for number, line in enumerate(shown) if query in line)
    assert shown[at + 1].index("^") - shown[at].index("run") == 22


def test_searches_are_saved_listed_and_removed() -> None:
    """Each has its option; a query is needed only where something is searched for."""
    assert "muni search @good" in invoke({"search:SaveSearch": SAVED}, "search", "run", "--save", "good").stdout
    listed = invoke({"search:ListSearches": wire.SavedSearches(searches=[SAVED])}, "search", "--list").stdout
    assert "@good" in listed
    assert "good" in invoke({"search:RemoveSearch": SAVED}, "search", "--remove", "good").stdout
    assert invoke({}, "search").exit_code == 2


def test_a_query_is_completed() -> None:
    """Kinds first, then clauses, fields with the names there are, operators, and what joins tests."""
    kinds = wire.Words(words={"run": "a job", "report": "a document"})
    assert [text for text, _ in going_on(face_of({"search:SearchWords": kinds}), "r")] == ["run", "report"]
    face = face_of({"search:SearchWords": WORDS})
    assert [text for text, _ in going_on(face, "run where metric.a")] == ["run where metric.auc"]
    assert "run where metric.auc >=" in [text for text, _ in going_on(face, "run where metric.auc >")]
    assert [text for text, _ in going_on(face, "run wh")] == ["run where"]
    assert "run where status = ok and" in [text for text, _ in going_on(face, "run where status = ok ")]
    saved = face_of({"search:ListSearches": wire.SavedSearches(searches=[SAVED])})
    assert going_on(saved, "@g") == [("@good", "run")]
