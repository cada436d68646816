"""Whoever speaks MLflow's protocol by hand, and badly: a clear refusal each time, and nothing half written."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from asking import state
from mlflow_serving import Served, served
from muniment.errors import Invalid
from muniment.testing.platform import Site
from muniment.wire.registry import Condition, DescribeRun, FindRuns
from muniment.wire.tracking import ListArtifacts, StartRun

pytestmark = pytest.mark.slow

API = "/mlflow/main/api/2.0/"


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One served platform for all attacks: refusals change nothing."""
    with served(site.copy(tmp_path_factory.mktemp("hostile"))) as running:
        yield running


@pytest.fixture(scope="module")
def run(server: Served) -> str:
    """A running run of the scientist, in the default experiment."""
    started = server.people.ask("scientist", StartRun(project="main", experiment="default"))
    return str(started.run).removeprefix("run:")


def send(
    server: Served,
    method: str,
    path: str,
    body: bytes | None = None,
    person: str | None = "scientist",
    kind: str = "application/json",
) -> tuple[int, Any]:
    """One request as it is written, without anything that would make it tidy."""
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
    headers = {"Content-Type": kind}
    if person is not None:
        headers["Authorization"] = f"Bearer {server.people.tokens.get(person, person)}"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    try:
        return answer.status, json.loads(content)
    except ValueError:
        return answer.status, content


def call(server: Served, name: str, document: Any, person: str | None = "scientist") -> tuple[int, Any]:
    """A POST of a document."""
    return send(server, "POST", f"{API}mlflow/{name}", json.dumps(document).encode(), person)


def refused(answer: tuple[int, Any], code: str, ours: str = "MUNI-") -> None:
    """The answer is a refusal in MLflow's form."""
    status, document = answer
    assert 400 <= status < 500, answer
    assert document["error_code"] == code, answer
    assert ours in document["message"], answer


PATHS = [
    "0/{run}/artifacts/../../x",
    "0/{run}/artifacts/%2e%2e/%2e%2e/etc/passwd",
    "0/{run}/artifacts/..%2f..%2fetc%2fpasswd",
    "0/{run}/artifacts/a%5c..%5cb",
    "0/{run}/artifacts//etc/passwd",
    "0/{run}/artifacts/a%00b",
    "0/{run}/artifacts/./x",
    "0/{run}/artifacts/" + "x" * 300,
    "0/{run}/artifacts/" + "/".join(["d" * 100] * 6),
    "0/{run}/artifacts",
    "1/{run}/artifacts/x",
    "0/{run}/other/x",
    "{run}",
    "0/01aaaaaaaaaaaaaaaaaaaaaaaa/artifacts/x",
    "0/models/m-unknown/artifacts/x",
    "registered/nothing/1/x",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(server: Served, run: str, path: str) -> None:
    """Paths that climb, name another place, or are none: refused for writing, reading and deleting; nothing is kept."""
    place = f"{API}mlflow-artifacts/artifacts/{path.format(run=run)}"
    before = state(server.platform)
    for method in ("PUT", "GET", "DELETE"):
        status, document = send(server, method, place, b"bytes" if method == "PUT" else None, kind="text/plain")
        assert 400 <= status < 500, (method, status, document)
        assert document["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    assert server.people.ask("scientist", ListArtifacts(project="main", run=run)).artifacts == []
    assert state(server.platform) == before


VALUES = [
    '{"run_id": "RUN", "key": "x", "value": NaN}',
    '{"run_id": "RUN", "key": "x", "value": "Infinity"}',
    '{"run_id": "RUN", "key": "x", "value": -Infinity}',
    '{"run_id": "RUN", "key": "x", "value": 1e999}',
    '{"run_id": "RUN", "key": "x", "value": true}',
    '{"run_id": "RUN", "key": "x", "value": "many"}',
    '{"run_id": "RUN", "key": "x", "value": null}',
    '{"run_id": "RUN", "key": "x", "value": 1, "step": 1e300}',
    '{"run_id": "RUN", "key": "x", "value": 1, "step": 9223372036854775808}',
    '{"run_id": "RUN", "key": "x", "value": 1, "timestamp": "yesterday"}',
    '{"run_id": "RUN", "key": "", "value": 1}',
    '{"run_id": "RUN", "key": "a\\u0000b", "value": 1}',
    '{"run_id": "RUN", "key": ["x"], "value": 1}',
    '{"run_id": {"a": 1}, "key": "x", "value": 1}',
    '{"run_id": "RUN", "key": "x", "value": 1, "value": 2}',
    "[1, 2]",
    "{",
    "\xff",
    "[" * 100_000,
]


@pytest.mark.parametrize("document", VALUES, ids=lambda text: text[:48])
def test_no_value_is_taken_that_is_none(server: Served, run: str, document: str) -> None:
    """Numbers that are none, names that are none, documents that are none: a clear refusal, nothing is kept."""
    body = document.replace("RUN", run).encode("latin-1")
    before = state(server.platform)
    refused(send(server, "POST", f"{API}mlflow/runs/log-metric", body), "INVALID_PARAMETER_VALUE")
    assert state(server.platform) == before


def test_a_batch_is_kept_whole_or_not_at_all(server: Served, run: str) -> None:
    """10,000 metrics, a parameter of 1 MB, a bad value at the end: none of the batch is there afterwards."""
    good = [{"key": f"m{n}", "value": 1.0, "timestamp": 1, "step": 0} for n in range(10)]
    before = state(server.platform)
    many = [{"key": "m", "value": 1.0, "timestamp": 1, "step": n} for n in range(10_000)]
    refused(call(server, "runs/log-batch", {"run_id": run, "metrics": many}), "INVALID_PARAMETER_VALUE", "MUNI-Y116")
    huge = {"run_id": run, "metrics": good, "params": [{"key": "p", "value": "x" * (1 << 20)}]}
    refused(call(server, "runs/log-batch", huge), "INVALID_PARAMETER_VALUE", "MUNI-R104")
    bad = {"run_id": run, "metrics": [*good, {"key": "z", "value": "NaN"}], "params": [{"key": "q", "value": "1"}]}
    refused(call(server, "runs/log-batch", bad), "INVALID_PARAMETER_VALUE", "MUNI-Y108")
    tags = {"run_id": run, "metrics": good, "tags": [{"key": "muniment.grade", "value": "proven"}]}
    refused(call(server, "runs/log-batch", tags), "INVALID_PARAMETER_VALUE", "MUNI-R113")
    twice = {"run_id": run, "params": [{"key": "p", "value": "1"}, {"key": "p", "value": "2"}]}
    refused(call(server, "runs/log-batch", twice), "INVALID_PARAMETER_VALUE", "MUNI-Y109")
    assert state(server.platform) == before


SHAPES = [
    ("runs/log-inputs", {"datasets": [{"dataset": "x"}]}),
    ("runs/log-inputs", {"datasets": [{"dataset": {"name": "n", "digest": {"a": 1}}}]}),
    ("runs/log-inputs", {"datasets": [{"dataset": {"name": "n"}, "tags": "x"}]}),
    ("runs/log-inputs", {"models": [{"model_id": ["m"]}]}),
    ("runs/log-inputs", {"datasets": [{"dataset": {"name": "n"}}, {"dataset": {"name": "data:none@1"}}]}),
    ("runs/update", {"run_name": "other", "status": "FINISHED", "end_time": 2**62}),
    ("logged-models", {"experiment_id": "0", "name": "a\nb"}),
    ("logged-models", {"experiment_id": "0", "tags": [{"key": "muniment.grade", "value": "proven"}]}),
    ("runs/log-metric", {"key": "x", "value": 1, "model_id": "m-unknown"}),
    ("runs/log-batch", {"metrics": [{"key": "x", "value": 1, "model_id": "m-unknown"}], "params": [{"key": "p"}]}),
    ("registered-models/create", {"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}),
    ("registered-models/alias", {"name": "none", "alias": "Latest", "version": "1"}),
    ("registered-models/alias", {"name": "none", "alias": "v1", "version": "1"}),
    ("registered-models/get-latest-versions", {"name": "none", "stages": ["Nirvana"]}),
]


@pytest.mark.parametrize(("name", "document"), SHAPES, ids=str)
def test_what_has_no_place_here_leaves_nothing(server: Served, run: str, name: str, document: Any) -> None:
    """Data sets of strange shapes, models that there are not, prompts, aliases that mean a version: nothing is kept."""
    before = state(server.platform)
    status, answer = call(server, name, {"run_id": run, **document})
    assert status in (400, 404), answer
    assert "MUNI-" in answer["message"]
    assert state(server.platform) == before
    found = call(server, "runs/search", {"experiment_ids": ["0"], "filter": "dataset.context = 'x'"})
    assert found == (200, {"runs": []}), "one client's documents stop nobody's search"


def test_documents_that_are_nested_without_end_are_refused(server: Served, run: str) -> None:
    """Whoever asks the verb itself may give documents any shape, but none so deep that an engine cannot read it."""
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    before = state(server.platform)
    with pytest.raises(Invalid, match="nested too deeply"):
        server.people.ask("scientist", DescribeRun(project="main", run=run, inputs=[deep]))
    assert state(server.platform) == before
    odd: list[dict[str, Any]] = [{"dataset": 1}, {"tags": "x"}, {"tags": [1, {"key": []}]}, {"dataset": {"name": [1]}}]
    described = server.people.ask("scientist", StartRun(project="main", experiment="odd")).run
    server.people.ask("scientist", DescribeRun(project="main", run=described, inputs=odd))
    for text in ("dataset.context = 'x'", "dataset.name LIKE '%x%'", "dataset.digest != 'x'"):
        where = [Condition(of="dataset", name=text.split()[0].partition(".")[2], op="=", value="x")]
        assert server.people.ask("scientist", FindRuns(project="main", experiments=["odd"], where=where)).runs == []
    shown = send(server, "GET", f"{API}mlflow/runs/get?run_id={described.removeprefix('run:')}")[1]["run"]["inputs"]
    assert shown == {"dataset_inputs": [{"dataset": {}, "tags": []}], "model_inputs": []}, "clients can read it"


def test_no_file_lies_inside_another(server: Served) -> None:
    """A file where a folder is, or below a file, is refused: both could never be fetched together."""
    started = server.people.ask("scientist", StartRun(project="main", experiment="default")).run.removeprefix("run:")
    place = f"{API}mlflow-artifacts/artifacts/0/{started}/artifacts/"
    for path in ("a/b.txt", "c", "a/bc", "a-b"):
        assert send(server, "PUT", place + path, b"x", kind="text/plain")[0] == 200
    for path in ("a", "c/d", "a/b.txt/e/f"):
        refused(send(server, "PUT", place + path, b"y", kind="text/plain"), "INVALID_STATE", "MUNI-R303")
    kept = server.people.ask("scientist", ListArtifacts(project="main", run=started)).artifacts
    assert [one.path for one in kept] == ["a-b", "a/b.txt", "a/bc", "c"]


def test_no_pattern_takes_long(server: Served) -> None:
    """A pattern that would be tried in millions of ways is answered at once."""
    call(server, "experiments/create", {"name": "a" * 400})
    for op in ("LIKE", "ILIKE"):
        found = call(server, "experiments/search", {"filter": f"name {op} '{'%a' * 20}%b'", "max_results": 10})
        assert found == (200, {"experiments": []})
    found = call(server, "experiments/search", {"filter": "name ILIKE '_%A_%a%'", "max_results": 10})
    assert [one["name"] for one in found[1]["experiments"]] == ["a" * 400]


def test_bodies_without_end_are_refused(server: Served, run: str) -> None:
    """A document larger than the server reads, and a file larger than it takes, are refused before they are kept."""
    before = state(server.platform)
    huge = b'{"run_id": "' + b"x" * (5 << 20) + b'"}'
    refused(send(server, "POST", f"{API}mlflow/runs/set-tag", huge), "INVALID_PARAMETER_VALUE", "MUNI-Y134")
    place = f"{API}mlflow-artifacts/artifacts/0/{run}/artifacts/big.bin"
    refused(send(server, "PUT", place, b"x" * ((1 << 20) + 1)), "INVALID_PARAMETER_VALUE", "MUNI-Y140")
    assert state(server.platform) == before


def test_other_types_and_methods_are_refused(server: Served, run: str) -> None:
    """A document of another type, a method that a call does not take, a call that there is not."""
    body = json.dumps({"run_id": run, "key": "a", "value": "b"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = send(server, "POST", f"{API}mlflow/runs/set-tag", body, kind=kind)
        refused(answer, "INVALID_PARAMETER_VALUE", "MUNI-Y135")
    for method, path in (("GET", "mlflow/runs/set-tag"), ("DELETE", "mlflow/runs/get"), ("GET", "mlflow/traces")):
        refused(send(server, method, API + path), "ENDPOINT_NOT_FOUND", "MUNI-Y201")
    assert b"muni runs show" in send(server, "GET", "/mlflow/main/")[1], "where the links of clients lead"
    refused(send(server, "POST", "/mlflow/main/api/3.0/mlflow/traces", b"{}"), "ENDPOINT_NOT_FOUND", "MUNI-Y201")
    refused(send(server, "GET", "/mlflow/main/../../v1/health"), "ENDPOINT_NOT_FOUND", "MUNI-Y201")
    upload = f"{API}mlflow-artifacts/mpu/create/0/{run}/artifacts/x"
    answer = send(server, "POST", upload, b'{"path": "x", "num_parts": 2}')
    refused(answer, "INVALID_PARAMETER_VALUE", "MUNI-Y125")
    assert answer[1]["message"].startswith("Multipart upload is not supported")


def test_another_projects_ids_mean_nothing(server: Served, run: str) -> None:
    """A run of one project is not found in another, by nobody's token, for reading or writing, in any call."""
    other = server.people.ask("outsider", StartRun(project="other", experiment="default")).run.removeprefix("run:")
    before = state(server.platform)
    for name, document in (
        ("runs/log-metric", {"run_id": other, "key": "x", "value": 1}),
        ("runs/log-batch", {"run_id": other, "params": [{"key": "a", "value": "b"}]}),
        ("runs/set-tag", {"run_id": other, "key": "a", "value": "b"}),
        ("runs/update", {"run_id": other, "status": "FINISHED"}),
        ("runs/delete", {"run_id": other}),
        ("runs/log-inputs", {"run_id": other, "datasets": [{"dataset": {"name": "a"}}]}),
        ("logged-models", {"experiment_id": "0", "name": "m", "source_run_id": other}),
        ("runs/search", {"experiment_ids": ["123456"]}),
    ):
        refused(call(server, name, document), "RESOURCE_DOES_NOT_EXIST")
    refused(send(server, "GET", f"{API}mlflow/runs/get?run_id={other}"), "RESOURCE_DOES_NOT_EXIST")
    refused(send(server, "GET", f"{API}mlflow/artifacts/list?run_id={other}"), "RESOURCE_DOES_NOT_EXIST")
    assert call(server, "registered-models/create", {"name": "mine"})[0] == 200
    source = {"name": "mine", "source": f"mlflow-artifacts:/0/{other}/artifacts"}
    refused(call(server, "model-versions/create", source), "RESOURCE_DOES_NOT_EXIST")
    path = "/mlflow/other/api/2.0/mlflow/runs/get?run_id="
    refused(send(server, "GET", path + run), "PERMISSION_DENIED")
    refused(send(server, "GET", path + run, person="outsider"), "RESOURCE_DOES_NOT_EXIST")
    changed = state(server.platform)
    assert {name for name in changed if changed[name] != before[name]} <= {"tracking_item"}


@pytest.mark.parametrize("person", [None, "nobody", "newcomer"])
def test_without_a_right_nothing_is_told(server: Served, run: str, person: str | None) -> None:
    """Without a token, with a wrong one, without a role: refused, whatever there is or is not."""
    code = "PERMISSION_DENIED" if person == "newcomer" else "UNAUTHENTICATED"
    for id in (run, "01aaaaaaaaaaaaaaaaaaaaaaaa"):
        refused(send(server, "GET", f"{API}mlflow/runs/get?run_id={id}", person=person), code)
    refused(call(server, "runs/search", {"experiment_ids": ["0"]}, person), code)
    refused(call(server, "experiments/create", {"name": "x"}, person), code)


def test_who_did_not_start_a_run_does_not_speak_for_it(server: Served) -> None:
    """Another person of the project, with the same rights, tells nothing about somebody's run."""
    started = server.people.ask("scientist", StartRun(project="main", experiment="default")).run.removeprefix("run:")
    refused(
        call(server, "runs/log-metric", {"run_id": started, "key": "x", "value": 1}, "auditor"), "PERMISSION_DENIED"
    )
    found = server.people.ask("auditor", FindRuns(project="main", runs=[started])).runs[0]
    assert found.metrics == []


FILTERS = [
    "metrics.a > 'text'",
    "params.a > 1",
    "metrics.a LIKE 'x'",
    "attributes.secret = 'x'",
    "tags.a = 'x' OR tags.b = 'y'",
    "metrics.a > 1 AND",
    "'; DROP TABLE run; --",
    "params.a = 'x",
    "a" * 20_000,
    " and ".join(["tags.a = 'x'"] * 60),
    "status = 'NOWHERE'",
]


@pytest.mark.parametrize("text", FILTERS, ids=lambda text: text[:40])
def test_a_filter_that_is_none_says_where(server: Served, text: str) -> None:
    """Filters that are not understood, compare apples with pears, or have no end: a clear refusal."""
    refused(call(server, "runs/search", {"experiment_ids": ["0"], "filter": text}), "INVALID_PARAMETER_VALUE")


def test_texts_in_filters_are_values_and_nothing_else(server: Served) -> None:
    """Quotes, wildcards and SQL in a value are only ever compared."""
    started = server.people.ask(
        "scientist", StartRun(project="main", experiment="default", tags={"odd": "a'b; DROP TABLE run; -- [x]*?"})
    ).run.removeprefix("run:")
    for text in (
        'tags.odd = "a\'b; DROP TABLE run; -- [x]*?"',
        "tags.odd LIKE '%[x]*?'",
        "tags.odd ILIKE 'A_B; drop%'",
    ):
        status, found = call(server, "runs/search", {"experiment_ids": ["0"], "filter": text})
        assert (status, [one["info"]["run_id"] for one in found["runs"]]) == (200, [started]), text
    for text in ("tags.odd LIKE '%x]?*'", "tags.odd = \"' or '1'='1\""):
        assert call(server, "runs/search", {"experiment_ids": ["0"], "filter": text})[1]["runs"] == []
    for token in ("x", "eyJvZmZzZXQiOiAtMX0=", "bnVsbA=="):
        document = {"experiment_ids": ["0"], "page_token": token}
        refused(call(server, "runs/search", document), "INVALID_PARAMETER_VALUE", "MUNI-Y102")
    for limit in (0, -1, "many", 10**9):
        document = {"experiment_ids": ["0"], "max_results": limit}
        refused(call(server, "runs/search", document), "INVALID_PARAMETER_VALUE")
