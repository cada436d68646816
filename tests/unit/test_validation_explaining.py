"""Explanations and fairness from the faces down to the queue: what is asked, what is refused, what is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from asking import furnish_catalog, recorded, state
from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.cli import muni
from muniment.cli.face import Face
from muniment.errors import Denied, Invalid, MunimentError
from muniment.execution.model import Outcome, Output
from muniment.kernel.digest import Digest
from muniment.sdk.client import Client
from muniment.sdk.explanations import Explanation, direction, rank_of, sparkline
from muniment.sdk.progress import quiet
from muniment.sdk.swarm import swarm
from muniment.testing.platform import People, Site
from muniment.testing.transport import ScriptedTransport
from muniment.validation.interpreting import explain
from muniment.wire import inventory as wi
from muniment.wire.execution import EvaluateModel, Grouping, ShowRun
from muniment.wire.validation import ExplainModel, Explanations, ListExplanations
from muniment.wire.validation import Explanation as Found
from scripted import STARTED, detail

EVIL = "evil\x1b[2J\u202e<b>"
EXPLAIN = ExplainModel(project="main", model="model:explained", data="data:credit")
EVALUATE = EvaluateModel(project="main", model="model:scorer", data="data:credit")


def feature(name: str, share: float, **more: Any) -> dict[str, Any]:
    """A feature as it stands in a report."""
    return {
        "name": name, "mean_abs": share, "mean_sq": share**2, "share": share, "direction": 0.9, "missing": 0,
        "gain": 10 * share, "split": 5.0, "weight": None, **more,
    }  # fmt: skip


REPORT: dict[str, Any] = {
    "format": "muniment.explanation/1", "method": "exact tree contributions (path-dependent)", "rows": 6000,
    "output": "log-odds", "expected_value": -1.25, "additivity": {"max_error": 3e-6, "tolerance": 1e-4},
    "target": {"name": "default", "positive": 1, "negative": 0}, "background": None, "seed": 0,
    "data": {"rows": 9000, "content_digest": "sha256:" + "4" * 64, "sampled": True}, "importances": ["gain", "split"],
    "features": [feature("PAY_0", 0.6), feature(EVIL, 0.3, direction=-0.9), feature("kind", 0.1, direction=None)],
    "rank_disagreement": {"gain_vs_split": 0.1, "gain_vs_contribution": 1.0, "split_vs_contribution": None},
    "dependence": [{"feature": "PAY_0", "grid": [0, 1, 2], "mean": [-1.0, 0.0, 1.0], "n": [20, 20, 20], "rare": 0}],
    "beeswarm": {
        "features": ["PAY_0", EVIL],
        "rows": 3,
        "points": {
            "PAY_0": [{"x": -1.0, "v": 0.0}, {"x": -1.0, "v": 0.4}, {"x": 2.0, "v": 1.0}],
            EVIL: [{"x": 0.5, "v": None}, {"x": 0.25, "v": 0.5}, {"x": 0.0, "v": 0.5}],
        },
    },
}  # fmt: skip

GROUP = {
    "group": EVIL, "rows": 310, "share": 0.31, "compared": True, "positives": 109, "favourable": 201,
    "selection_rate": 0.6484, "interval": [0.59, 0.7], "tpr": None, "fpr": 0.1, "mean_score": 0.3, "air": 0.7,
    "spd": -0.07, "smd": 0.1, "z": -2.1, "p_z": 0.03, "p_fisher": 1e-9, "undefined": {"tpr": "no row is positive"},
}  # fmt: skip
EVALUATION: dict[str, Any] = {
    "rows": 1000, "undefined": {"recall": "no row is positive", "air.other": "fewer"}, "findings": [],
    "score_bands": [
        {
            "band": 1, "low": 0.5, "high": 0.9, "rows": 100, "positives": 60, "rate": 0.6, "mean_score": 0.61,
            "cumulative_rows": 100, "cumulative_positives": 60, "capture": 0.4, "lift": 2.5,
        }
    ],
    "groups": [
        {
            "column": "SEX", "cuts": [], "threshold": 0.5, "used_by_model": True, "missing_rows": 2,
            "rare": {"least_rows": 10, "groups": 1, "rows": 3}, "favourable": "negative", "favoured": None,
            "highest": "m", "reference": "m", "air": 0.7, "air_group": EVIL, "undefined": {},
            "groups": [GROUP, {**GROUP, "group": "tiny", "compared": False, "air": None, "p_fisher": None}],
        }
    ],
    "stability": {
        "psi": 0.26, "csi": 0.12, "csi_feature": "x",
        "features": [
            {"feature": "x", "csi": 0.12, "missing": [0, 4]}, {"feature": "y", "csi": None, "missing": [0, 0]},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def team(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """One platform with a model of the platform's own format, one of a script, and a snapshot."""
    platform = site.copy(tmp_path_factory.mktemp("team")).open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    with platform.store.write() as session:
        sealed = platform.vault.seal_bytes("main", b"a model that can be explained")
        platform.vault.register(session, "main", sealed)
        recorder = Recorder(session, "main", datetime(2026, 11, 23, tzinfo=UTC))
        files = [{"path": name, "digest": str(sealed.digest), "size": 1} for name in ("model.json", "model.ubj")]
        recorder.entity(sealed.digest, EntityKind.MODEL, author="User:scientist", facts={"files": files})
        recorder.name(EntityKind.MODEL, "explained", sealed.digest, by="User:scientist")
    yield people
    platform.close()


def refused(people: People, request: Any, person: str = "scientist") -> MunimentError:
    """The refusal of a request; nothing has changed, and it stands in the ledger."""
    before = state(people.platform)
    with pytest.raises(MunimentError) as caught:
        people.ask(person, request)
    assert state(people.platform) == before
    assert recorded(people.platform, caught.value)["code"] == caught.value.code
    return caught.value


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (replace(EXPLAIN, model="model:scorer"), "MUNI-T102"),
        (replace(EXPLAIN, model="data:credit"), "MUNI-K110"),
        (replace(EXPLAIN, data="model:scorer"), "MUNI-K110"),
        (replace(EXPLAIN, background="data:absent"), "MUNI-C203"),
        (replace(EXPLAIN, seed=-1), "MUNI-T103"),
        (replace(EXPLAIN, seed=2**31), "MUNI-T103"),
        (replace(EXPLAIN, rows=0), "MUNI-T103"),
        (replace(EXPLAIN, top=31), "MUNI-T103"),
        (replace(EVALUATE, groups=[Grouping(column="nowhere")]), "MUNI-X108"),
        (replace(EVALUATE, groups=[Grouping(column="age"), Grouping(column="age")]), "MUNI-X142"),
        (replace(EVALUATE, groups=[Grouping(column="age")], favourable="neither"), "MUNI-X143"),
        (replace(EVALUATE, groups=[Grouping(column="age", cuts=[60, 25])]), "MUNI-D193"),
        (replace(EVALUATE, reference="model:scorer"), "MUNI-K110"),
        (replace(EVALUATE, groups=[Grouping(column="age")], protected="data:credit"), "MUNI-X144"),
        (replace(EVALUATE, groups=[Grouping(column="age")], key="age"), "MUNI-X144"),
        (replace(EVALUATE, protected="data:credit", key="age"), "MUNI-X144"),
        (replace(EVALUATE, groups=[Grouping(column="age")], protected="data:credit", key="id"), "MUNI-X108"),
        (replace(EVALUATE, groups=[Grouping(column="age")], protected="model:scorer", key="age"), "MUNI-K110"),
        (ListExplanations(project="main", model="data:credit"), "MUNI-K110"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_work_is_refused_at_once(team: People, request_: Any, code: str) -> None:
    """An explanation or evaluation that cannot work is refused when it is asked for, and nothing is queued."""
    assert refused(team, request_).code == code


def test_a_model_of_a_script_is_told_what_can_be_explained(team: People) -> None:
    """The refusal names the formats that can be explained and what to do instead."""
    error = refused(team, replace(EXPLAIN, model="model:scorer"))
    assert "muni run" in error.facts["do"]
    assert "xgboost" in error.facts["explained"]


@pytest.mark.parametrize("person", ["scientist", "validator"])
def test_scientists_and_validators_may_measure_and_explain(team: People, person: str) -> None:
    """An independent validator needs no scientist to measure and explain; the request is recorded as his."""
    started = team.ask(person, replace(EXPLAIN, background="data:credit", seed=3, rows=100, top=5))
    run = team.ask(person, ShowRun(project="main", run=started.run))
    assert (run.kind, run.requested_by, run.job["seed"]) == ("explain", f"User:{person}", 3)
    assert run.job["program"] == "muniment.programs.explain"
    assert run.params == {"seed": 3, "rows": 100, "top": 5}
    assert set(run.inputs) == {"model", "data", "background"}
    asked = replace(EVALUATE, groups=[Grouping(column="age", cuts=[25, 60])], reference="data:credit")
    walled = replace(asked, protected="data:credit", key="age")
    run = team.ask(person, ShowRun(project="main", run=team.ask(person, walled).run))
    assert (run.params["key"], set(run.inputs)) == ("age", {"model", "data", "reference", "protected"})
    run = team.ask(person, ShowRun(project="main", run=team.ask(person, asked).run))
    assert run.params == {"groups": {"age": {"favoured": None, "cuts": [25.0, 60.0]}}, "favourable": "negative"}
    assert set(run.inputs) == {"model", "data", "reference"}


@pytest.mark.parametrize("person", ["approver", "auditor", "operator"])
def test_others_may_not(team: People, person: str) -> None:
    """Nobody else starts validation work."""
    for request in (EXPLAIN, EVALUATE):
        assert isinstance(refused(team, request, person), Denied)


def test_a_plain_evaluation_is_the_plan_it_always_was(team: People) -> None:
    """Without groups and reference neither stands in the plan, so that equal jobs keep equal plans."""
    run = team.ask("scientist", ShowRun(project="main", run=team.ask("scientist", EVALUATE).run))
    assert (run.params, set(run.inputs)) == ({}, {"model", "data"})


def test_explanations_that_have_not_ended_are_not_listed(team: People) -> None:
    """Only what ended well is an explanation."""
    team.ask("scientist", EXPLAIN)
    assert team.ask("approver", ListExplanations(project="main", model="model:explained")).explanations == []


def outcome(document: bytes | None) -> Outcome:
    """What a job left."""
    sealed = type("Sealed", (), {"digest": Digest.of(b"x"), "size": 1})()
    output = Output("output/data/report.json", sealed, b"", b"", document)
    return Outcome(exit=None, outputs=() if document is None else (output,))  # type: ignore[arg-type]


def test_the_product_is_an_explanation_or_nothing() -> None:
    """A report of the right format is kept in the role of an explanation; anything else fails the run."""
    job: Any = None
    run: Any = type("Run", (), {"id": "1"})()
    (product,) = explain(run, job, outcome(json.dumps(REPORT).encode()))
    assert (product.kind, product.role) == ("report", "explanation")
    with pytest.raises(Invalid, match="no explanation") as wrong:
        explain(run, job, outcome(b'{"format": "another"}'))
    assert wrong.value.code == "MUNI-T101"
    with pytest.raises(Invalid):
        explain(run, job, outcome(None))


# --- Faces -----------------------------------------------------------------------------------------------------------


def invoke(script: dict[str, Any], *arguments: str, transport: ScriptedTransport | None = None) -> Result:
    """Run a command line against a script."""
    asked = transport or ScriptedTransport(script)

    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        return Client(asked, project=project or "main")

    return CliRunner().invoke(muni, list(arguments), obj=Face(connect=connect))


EXPLAINED = detail("ok", kind="explain", report=REPORT, inputs={"model": "model:m@2", "data": "data:credit/test@1"})
MEASURED = detail(
    "ok",
    kind="evaluate",
    report=EVALUATION,
    metrics={"auc": 0.77, "air": 0.7, "air.SEX": 0.7, "psi": 0.26},
    inputs={"model": "model:m@2", "data": "data:credit/test@1", "reference": "data:credit/train@1"},
)


def test_explain_asks_once_and_shows_what_matters() -> None:
    """The command asks one verb; the table names features, directions and ranks; nothing from outside acts."""
    transport = ScriptedTransport({"validation:ExplainModel": STARTED, "execution:ShowRun": EXPLAINED})
    result = invoke({}, "explain", "m", "--data", "credit/test", "--seed", "4", "--rows", "10", transport=transport)
    assert result.exit_code == 0, result.output
    assert transport.asked[0][1] == ExplainModel(project="main", model="m", data="credit/test", seed=4, rows=10)
    lines = result.stdout.splitlines()
    assert lines[0] == "what model:m@2 rests on"
    first = next(line for line in lines if line.startswith("PAY_0"))
    assert re.search(r"raise it .*#1 .*#1 .*60\.0%$", first), first
    assert "6,000 of 9,000, seed 0" in result.stdout
    assert "a probability of 22.3%" in result.stdout
    assert "much the same order" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def test_explain_in_json_is_the_run_with_its_report() -> None:
    """--json gives one document: the run, and in it the whole report."""
    script = {"validation:ExplainModel": STARTED, "execution:ShowRun": EXPLAINED}
    answer = json.loads(invoke(script, "explain", "m", "--data", "d", "--json").stdout)
    assert (answer["kind"], answer["report"]["format"]) == ("explain", "muniment.explanation/1")


def test_explain_without_data_shows_what_is_on_record() -> None:
    """No job runs; where nothing is on record the command says how to make one."""
    found = Found(run="run:1", data="data:c@1", created_at="t", by="User:ana", grade="proven", report=REPORT)
    transport = ScriptedTransport({"validation:ListExplanations": Explanations(explanations=[found])})
    result = invoke({}, "explain", "m", transport=transport)
    assert "PAY_0" in result.stdout
    assert [action for action, _ in transport.asked] == ["validation:ListExplanations"]
    none = invoke({"validation:ListExplanations": Explanations(explanations=[])}, "explain", "m", "--json")
    assert (none.exit_code, json.loads(none.stdout)["code"]) == (1, "MUNI-A215")


def test_evaluate_asks_for_groups_and_reference() -> None:
    """Rules of groups are read from the command line, also of columns whose names hold colons."""
    transport = ScriptedTransport({"execution:EvaluateModel": STARTED, "execution:ShowRun": MEASURED})
    words = ["--group", "SEX", "--group", "a:b:favoured=x:y", "--group", "AGE:cuts=25,60:favoured=> 60"]
    result = invoke(
        {}, "evaluate", "m", "--data", "d", *words, "--favourable", "positive", "--reference", "r", transport=transport
    )
    assert result.exit_code == 0, result.output
    request = transport.asked[0][1]
    assert isinstance(request, EvaluateModel)
    assert request.groups == [
        Grouping(column="SEX"),
        Grouping(column="a:b", favoured="x:y"),
        Grouping(column="AGE", favoured="> 60", cuts=[25.0, 60.0]),
    ]
    assert (request.favourable, request.reference) == ("positive", "r")


def test_evaluate_shows_bands_groups_and_stability() -> None:
    """Each has its table; a ratio below four fifths is said in words; undefined is a dash and never 0."""
    script = {"execution:EvaluateModel": STARTED, "execution:ShowRun": MEASURED}
    result = invoke(script, "evaluate", "m", "--data", "d")
    assert result.exit_code == 0, result.output
    shown = result.stdout
    assert "below four fifths" in shown
    assert "another population" in shown
    assert "1 group of fewer than 10 rows, 2 rows without a value" in shown
    assert "takes this column as a feature" in shown
    assert re.search(r"recall +– no row is positive", shown)
    assert "air.SEX" not in shown, "it has a table of its own"
    assert "<0.0001" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("text", [":favoured=x", "AGE:cuts=a,b"])
def test_a_rule_that_is_none_is_wrong_usage(text: str) -> None:
    """What cannot be read is exit code 2, and nothing is asked."""
    assert invoke({}, "evaluate", "m", "--data", "d", "--group", text).exit_code == 2


def model_detail() -> wi.ModelDetail:
    """A model as it is shown."""
    return wi.ModelDetail(
        model="model:m@2", digest="sha256:" + "1" * 64, algorithm="xgboost", files=[], facts={}, run=None,
        trained_on=[], created_at="2026-11-23T09:00:00.000000Z", created_by="User:ana", grade="proven", evaluations=[],
    )  # fmt: skip


def test_a_model_explains_itself_in_a_notebook() -> None:
    """The value prints, gives a frame and a card with the beeswarm; nothing from outside stands unescaped in it."""
    transport = ScriptedTransport(
        {
            "inventory:ShowModel": model_detail(),
            "validation:ExplainModel": STARTED,
            "execution:ShowRun": EXPLAINED,
            "execution:EvaluateModel": STARTED,
        }
    )
    model = Client(transport, project="main").models.get("m")
    found = model.explain("data:credit/test", background="data:credit/train", seed=2, watch=quiet)
    assert transport.asked[1][1] == ExplainModel(
        project="main", model="model:m@2", data="data:credit/test", background="data:credit/train", seed=2
    )
    assert [one["name"] for one in found.features] == ["PAY_0", EVIL, "kind"]
    assert found.curve("PAY_0") == [(0, -1.0, 20), (1, 0.0, 20), (2, 1.0, 20)]
    assert found.curve("kind") == []
    assert "PAY_0" in repr(found)
    html = found._repr_html_()
    assert "data:image/svg+xml;base64," in html
    for text in (html, repr(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<b>evil" not in html
    model.evaluate("data:credit/test", groups=["SEX", Grouping(column="AGE", cuts=[25])], reference="r", watch=quiet)
    request = next(asked for action, asked in transport.asked if action == "execution:EvaluateModel")
    assert isinstance(request, EvaluateModel)
    assert request.groups == [Grouping(column="SEX"), Grouping(column="AGE", cuts=[25])]


def test_an_evaluation_shows_its_tables_in_a_notebook() -> None:
    """The value is still the run, with frames and a card of groups, bands and stability, and nothing acts in it."""
    script = {"inventory:ShowModel": model_detail(), "execution:EvaluateModel": STARTED, "execution:ShowRun": MEASURED}
    found = Client(ScriptedTransport(script), project="main").models.get("m").evaluate("data:credit/test", watch=quiet)
    assert (found.status, found.reference, found.metrics()["air"]) == ("ok", "run:1", 0.7)
    assert [one["column"] for one in found.groups] == ["SEX"]
    assert found.stability is not None
    html = found._repr_html_()
    for words in ("adverse impact ratio 0.7000", "PSI of scores 0.2600", "score bands", "(too few)"):
        assert words in html
    assert "\x1b" not in html
    assert "<b>, " not in html
    assert "\u202e" not in html


def test_an_evaluation_without_groups_or_reference_is_a_plain_card() -> None:
    """What was not asked for is not there."""
    plain = detail("ok", kind="evaluate", report={**EVALUATION, "groups": [], "stability": None})
    script = {"inventory:ShowModel": model_detail(), "execution:EvaluateModel": STARTED, "execution:ShowRun": plain}
    found = Client(ScriptedTransport(script), project="main").models.get("m").evaluate("d", watch=quiet)
    assert (found.groups, found.stability) == ([], None)
    assert "impact" not in found._repr_html_()


def test_the_swarm_is_a_drawing_and_the_same_each_time() -> None:
    """Well-formed, one dot per point, no script or style sheet, escaped; nothing to draw gives nothing."""
    svg = swarm(REPORT)
    assert svg is not None
    assert svg == swarm(json.loads(json.dumps(REPORT)))
    root = ElementTree.fromstring(svg)
    paths = root.findall("{http://www.w3.org/2000/svg}path")
    assert sum(path.attrib["d"].count("M") for path in paths) == 6
    assert not re.search(r"<(script|style|image|foreignObject)|on\w+=|href", svg)
    assert "evil\\x1b[2J\\u202e&lt;b&gt;" in svg
    assert swarm({}) is None
    assert swarm({"beeswarm": {"features": ["a"], "points": {"a": []}}}) is None


def test_dots_of_one_place_do_not_cover_each_other() -> None:
    """Rows with equal contributions are stacked, so that many look like many."""
    report = {"beeswarm": {"features": ["a"], "points": {"a": [{"x": 1.0, "v": 0.5}] * 5}}, "features": []}
    svg = swarm(report)
    assert svg is not None
    found = re.findall(r"M([\d.]+) ([\d.]+)h0", svg)
    assert len(set(found)) == 5
    assert len({x for x, _ in found}) == 1


def test_words_for_directions_ranks_and_curves() -> None:
    """A clear direction is said, an unclear one too; equal importances share a place; a flat curve is flat."""
    assert direction(0.95) == "raise it +0.95"
    assert direction(-0.5) == "lower it -0.50"
    assert direction(0.1) == "both ways +0.10"
    assert direction(None) == "by level"
    assert rank_of(REPORT["features"], "split") == {"PAY_0": 1, EVIL: 1, "kind": 1}
    assert rank_of(REPORT["features"], "gain")["kind"] == 3
    assert (sparkline([]), sparkline([2.0, 2.0]), sparkline([0.0, 0.5, 1.0])) == ("", "▁▁", "▁▅█")
    assert Explanation("m", Found(run="r", data="d", created_at="", by="", grade="", report={})).features == []
