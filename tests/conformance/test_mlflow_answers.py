"""What MLflow's protocol answers, call by call as clients send them: the same as MLflow's own server does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from mlflow_serving import Served, served
from muniment.testing.platform import Site

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def server(each_site: Site) -> Iterator[Served]:
    """A served platform, on each engine."""
    with served(each_site) as running:
        yield running


@pytest.fixture
def ask(server: Served) -> Ask:
    """Sends one call of the scientist's and gives back the document that answers it."""

    def asked(call: str, method: str = "POST", **fields: Any) -> dict[str, Any]:
        request = Request(
            f"{server.url}/mlflow/main/api/2.0/mlflow/{call}",
            json.dumps(fields).encode(),
            {"Authorization": f"Bearer {server.people.tokens['scientist']}", "Content-Type": "application/json"},
            method=method,
        )
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    return asked


def started(ask: Ask, experiment: str, **fields: Any) -> str:
    """The id of a new run."""
    return str(ask("runs/create", experiment_id=experiment, **fields)["run"]["info"]["run_id"])


def names(ask: Ask, experiment: str, text: str, order: str = "run_name") -> list[str]:
    """The names of the runs that a filter finds."""
    found = ask("runs/search", experiment_ids=[experiment], filter=text, order_by=[order])
    return [one["info"]["run_name"] for one in found.get("runs", [])]


def last(ask: Ask, run: str) -> dict[str, float]:
    """The last value of each metric of a run."""
    metrics = ask(f"runs/get?run_id={run}", "GET")["run"]["data"]["metrics"]
    return {one["key"]: one["value"] for one in metrics}


def test_the_highest_step_is_the_last_value_whatever_comes_last(ask: Ask) -> None:
    """Clients send out of order, and parts twice: the last value is that of the highest step, a history is in order."""
    experiment = ask("experiments/create", name="steps")["experiment_id"]
    run = started(ask, experiment, run_name="a")
    for step, value in ((2, 0.2), (9, 0.9), (5, 0.5)):
        ask("runs/log-metric", run_id=run, key="auc", value=value, step=step, timestamp=1000 + step)
    batch = [{"key": "auc", "value": 0.7, "step": 7, "timestamp": 1007}] * 2
    batch += [{"key": "one", "value": value, "step": 0, "timestamp": 5} for value in (2, 3, 1)]
    ask("runs/log-batch", run_id=run, metrics=batch, tags=[{"key": "t", "value": "1"}, {"key": "t", "value": "2"}])
    assert last(ask, run) == {"auc": 0.9, "one": 3}
    assert names(ask, experiment, "metrics.auc > 0.8 and tags.t = '2'") == ["a"]
    assert names(ask, experiment, "metrics.auc < 0.8") == []
    told = ask(f"metrics/get-history?run_id={run}&metric_key=auc", "GET")["metrics"]
    assert [(one["step"], one["value"]) for one in told] == [(2, 0.2), (5, 0.5), (7, 0.7), (9, 0.9)]
    assert ask(f"metrics/get-history?run_id={run}&metric_key=none", "GET") == {"metrics": []}
    ask("runs/log-metric", run_id=run, key="auc", value=1.0, step=9, timestamp=1010)
    assert last(ask, run)["auc"] == 1.0


def test_runs_are_found_by_moments_and_data_sets_as_they_were_told(ask: Ask) -> None:
    """Filters and orders use the moments that a client told; data sets are found by name, digest and context."""
    experiment = ask("experiments/create", name="x" * 400)["experiment_id"]
    for n, (name, role) in enumerate((("train", "training"), ("test", "eval"), ("other", "training"))):
        run = started(ask, experiment, run_name=f"r{n}", start_time=10_000 * (3 - n))
        told = {"dataset": {"name": name, "digest": f"d{n}"}, "tags": [{"key": "mlflow.data.context", "value": role}]}
        ask("runs/log-inputs", run_id=run, datasets=[told, {"dataset": told["dataset"]}])
        ended = ask("runs/update", run_id=run, status="FINISHED", end_time=50_000 + n)["run_info"]
        assert (ended["run_name"], ended["start_time"], ended["end_time"]) == (f"r{n}", 10_000 * (3 - n), 50_000 + n)
        assert len(ask(f"runs/get?run_id={run}", "GET")["run"]["inputs"]["dataset_inputs"]) == 1
    expected = {
        "start_time >= 20000": ["r0", "r1"],
        "start_time = 10000": ["r2"],
        "attributes.end_time > 50000": ["r1", "r2"],
        "dataset.name = 'train'": ["r0"],
        "dataset.name LIKE 't%'": ["r0", "r1"],
        "datasets.digest IN ('d1', 'd2')": ["r1", "r2"],
        "dataset.context = 'training'": ["r0", "r2"],
        "dataset.context != 'training'": ["r1"],
        "dataset.name ILIKE 'O%' and dataset.context = 'training'": ["r2"],
        "dataset.name = 'none'": [],
        "attributes.'run name' = 'r1'": ["r1"],
        "status LIKE 'FIN%'": ["r0", "r1", "r2"],
    }
    assert {text: names(ask, experiment, text) for text in expected} == expected
    assert names(ask, experiment, "", "start_time") == ["r2", "r1", "r0"]


def test_runs_have_names_and_go_with_their_experiment(ask: Ask) -> None:
    """A run without a name gets one that can be said; runs of a deleted experiment are in no list of active ones."""
    experiment = ask("experiments/create", name="e", tags=[{"key": "a", "value": "b"}])["experiment_id"]
    first, second = (ask("runs/create", experiment_id=experiment)["run"] for _ in range(2))
    named = {one["info"]["run_name"] for one in (first, second)}
    assert len(named) == 2
    assert all(name.count("-") == 2 for name in named)
    tags = {one["key"]: one["value"] for one in first["data"]["tags"]}
    assert tags["mlflow.runName"] == first["info"]["run_name"]
    assert first["info"]["user_id"] == "scientist"
    assert len(names(ask, experiment, "")) == 2
    ask("experiments/delete", experiment_id=experiment)
    assert names(ask, experiment, "") == []
    everything = ask("runs/search", experiment_ids=[experiment], run_view_type="ALL")["runs"]
    assert len(everything) == 2


def test_a_version_is_copied_and_measured_models_are_found(server: Served, ask: Ask) -> None:
    """A copy has the bytes and tags of its origin, and the platform's word is its own; metrics know their data set."""
    experiment = ask("experiments/create", name="models")["experiment_id"]
    run = started(ask, experiment)
    model = ask("logged-models", experiment_id=experiment, name="m", source_run_id=run)["model"]["info"]["model_id"]
    place = f"{server.url}/mlflow/main/api/2.0/mlflow-artifacts/artifacts/{experiment}/models/{model}/artifacts/MLmodel"
    token = {"Authorization": f"Bearer {server.people.tokens['scientist']}"}
    with urlopen(Request(place, b"flavors: {}", token, method="PUT"), timeout=30):
        pass
    on = {"model_id": model, "dataset_name": "test", "dataset_digest": "d"}
    for step, value in ((3, 0.9), (1, 0.1)):
        ask("runs/log-metric", run_id=run, key="auc", value=value, step=step, timestamp=step, **on)
    [measured] = ask(f"logged-models/{model}", "GET")["model"]["data"]["metrics"]
    assert (measured["value"], measured["dataset_name"], measured["dataset_digest"]) == (0.9, "test", "d")
    for dataset, found in (("test", 1), ("train", 0)):
        wanted = {"filter": "metrics.auc > 0.5", "datasets": [{"dataset_name": dataset}]}
        assert len(ask("logged-models/search", experiment_ids=[experiment], **wanted)["models"]) == found
    for name in ("m-one", "two"):
        ask("registered-models/create", name=name)
    tags = [{"key": "team", "value": "risk"}]
    first = ask("model-versions/create", name="m-one", source=f"models:/{model}", tags=tags)["model_version"]
    copy = {"source": "models:/m-one/1", "tags": first["tags"]}
    second = ask("model-versions/create", name="two", **copy)["model_version"]
    shown = {one["key"]: one["value"] for one in second["tags"]}
    assert (shown["team"], shown["muniment.model"], second["run_id"]) == ("risk", "model:two@1", run)
