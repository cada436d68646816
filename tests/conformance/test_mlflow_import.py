"""``muni import mlflow``: stores that MLflow itself wrote come in whole, once, also after a crash in the middle."""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from muniment.bootstrap import Platform
from muniment.errors import Invalid, NotFound, Unavailable
from muniment.gateways.mlflow.importing import bring_in
from muniment.gateways.mlflow.stores import open_store
from muniment.sdk.client import Client
from muniment.testing.platform import People, Site
from muniment.wire.inventory import ListVersions
from muniment.wire.registry import AnyRun, Condition, FindRuns, ListModelVersions, ListRegisteredModels
from muniment.wire.tracking import ListArtifacts, ListMetrics

pytestmark = pytest.mark.slow

WRITE = """
import os, sys, logging, warnings
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient()
mlflow.set_experiment("Credit / risk: a test")
with mlflow.start_run(run_name="parent: one", tags={"team": "risk"}) as run:
    mlflow.log_params({"depth": 3, "note": "a: b\\nc"})
    client.log_batch(run.info.run_id, metrics=[Metric("loss", 1 / (n + 1), 1700000000000 + n, n) for n in range(900)])
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_text("hello", "deep/er/x.txt")
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input
    info = mlflow.pyfunc.log_model(name="model", python_model=Echo(), pip_requirements=["mlflow"])
    with mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("auc", 0.5)
mlflow.set_tag("later", "x") if mlflow.active_run() else None
version = mlflow.register_model(info.model_uri, "Echo model")
mlflow.register_model(info.model_uri, "Echo model")
client.set_registered_model_alias("Echo model", "champion", 2)
client.set_registered_model_tag("Echo model", "owner", "ana")
with mlflow.start_run(run_name="gone") as gone:
    mlflow.log_param("a", "b")
client.delete_run(gone.info.run_id)
killed = client.create_run(client.get_run(run.info.run_id).info.experiment_id, run_name="never ended")
print("RUN", run.info.run_id)
"""


def write_store(python: Path, folder: Path, uri: str) -> str:
    """Let MLflow write a store; the id of its first run."""
    folder.mkdir(exist_ok=True)
    (folder / "write.py").write_text(WRITE, encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    done = subprocess.run(
        [str(python), "write.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("RUN "))


@pytest.fixture(scope="module")
def database(peers: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a database of MLflow and its artifacts, and the id of a run in it."""
    folder = tmp_path_factory.mktemp("database")
    return folder, write_store(peers, folder, "sqlite:///mlflow.db")


@pytest.fixture(scope="module")
def folder(peers: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder ``mlruns`` of MLflow, and the id of a run in it."""
    place = tmp_path_factory.mktemp("folder")
    return place, write_store(peers, place, "./mlruns")


def client_of(platform: Platform, site: Site, person: str = "scientist") -> Client:
    """The SDK's client, in this process."""
    return Client(platform.transport(site.tokens[person]), project="main")


def run_of(people: People, id: str) -> AnyRun:
    """The run that had this id in its store."""
    where = [Condition(of="tag", name="import.run_id", op="=", value=id)]
    (found,) = people.ask("auditor", FindRuns(project="main", where=where, deleted=None)).runs
    assert isinstance(found, AnyRun)
    return found


def check(people: People, id: str) -> None:
    """Everything that the store held is here, declared, and as it was."""
    run = run_of(people, id)
    assert (run.status, run.label, run.grade, run.kind) == ("ok", "parent: one", "declared", "track")
    assert run.params == {"depth": "3", "note": "a: b\nc"}
    assert run.tags["team"] == "risk"
    metrics = {one.name: one.value for one in run.metrics}
    assert metrics["loss"] == 1 / 900
    assert math.isnan(float(metrics["nan"]))
    series = people.ask("auditor", ListMetrics(project="main", run=run.run, name="loss"))
    assert series.count == 900
    assert series.points[0].at_us == 1_700_000_000_000_000
    files = [one.path for one in people.ask("auditor", ListArtifacts(project="main", run=run.run)).artifacts]
    assert "deep/er/x.txt" in files
    assert any(path.startswith("mlflow-models/m-") and path.endswith("/MLmodel") for path in files)
    everything = people.ask("auditor", FindRuns(project="main", deleted=None)).runs
    assert sorted(one.label for one in everything) == ["child", "gone", "never ended", "parent: one"]
    assert {one.label: one.status for one in everything}["never ended"] == "cancelled"
    assert [one.label for one in everything if one.deleted] == ["gone"]
    (name,) = people.ask("auditor", ListRegisteredModels(project="main")).models
    assert (name.name, name.aliases, name.tags) == ("Echo model", {"champion": 2}, {"owner": "ana"})
    versions = people.ask("auditor", ListModelVersions(project="main")).versions
    assert [one.version for one in versions] == [2, 1]
    assert all(any(file.path == "MLmodel" for file in one.files) for one in versions)
    listed = people.ask("scientist", ListVersions(project="main")).versions
    assert {(one.state, one.origin) for one in listed} == {("draft", "off-platform")}


def test_a_database_comes_in_once(each_site: Site, database: tuple[Path, str]) -> None:
    """Runs, all steps, tags, files, models and versions come in; a second time nothing is doubled."""
    place, id = database
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    shown: list[str] = []
    with closing(open_store(f"sqlite:///{place / 'mlflow.db'}")) as store:
        done = bring_in(client_of(platform, each_site), store, lambda what, at, of: shown.append(what))
    assert (done.experiments, done.runs, done.names, done.versions, done.logged_models) == (1, 4, 1, 2, 1)
    assert done.metrics == 902
    assert done.not_taken == []
    assert any("Credit / risk" in what for what in shown)
    check(people, id)
    with closing(open_store(f"sqlite:///{place / 'mlflow.db'}")) as store:
        again = bring_in(client_of(platform, each_site), store)
    assert (again.runs, again.known_runs, again.versions, again.known_versions) == (0, 4, 0, 2)
    assert (again.experiments, again.names, again.files, again.metrics) == (0, 0, 0, 0)
    check(people, id)
    platform.close()


def test_a_folder_comes_in(site: Site, tmp_path: Path, folder: tuple[Path, str]) -> None:
    """The folder ``mlruns`` says the same, also when it was moved."""
    place, id = folder
    shutil.copytree(place, tmp_path / "moved")
    copied = site.copy(tmp_path / "site")
    platform = copied.open()
    with closing(open_store(str(tmp_path / "moved" / "mlruns"))) as store:
        done = bring_in(client_of(platform, copied), store)
    assert (done.runs, done.versions, done.not_taken) == (4, 2, [])
    check(People(platform, copied.tokens), id)
    platform.close()


class _Cut(Exception):
    """The process dies here."""


class _Dying:
    """A client that dies at the n-th request."""

    def __init__(self, client: Client, after: int) -> None:
        self.project, self._client, self._left = client.project, client, after

    def ask(self, action: str, request: object, reply: type, body: object = None) -> object:
        """Ask, until the end."""
        if self._left == 0:
            raise _Cut(action)
        self._left -= 1
        return self._client.ask(action, request, reply, body)  # type: ignore[arg-type, type-var]


def test_an_import_that_died_goes_on(site: Site, tmp_path: Path, database: tuple[Path, str]) -> None:
    """Wherever it was broken off, doing it again completes it, and nothing is there twice."""
    place, id = database
    copied = site.copy(tmp_path / "site")
    platform = copied.open()
    client = client_of(platform, copied)
    deaths = 0
    for after in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 60):
        with closing(open_store(f"sqlite:///{place / 'mlflow.db'}")) as store:
            try:
                bring_in(_Dying(client, after), store)  # type: ignore[arg-type]
            except _Cut:
                deaths += 1
    assert deaths >= 8
    with closing(open_store(f"sqlite:///{place / 'mlflow.db'}")) as store:
        bring_in(client, store)
    check(People(platform, copied.tokens), id)
    platform.close()


@pytest.fixture
def tracking_server(peers: Path, database: tuple[Path, str], tmp_path: Path) -> Iterator[str]:
    """MLflow's own server over a copy of the database."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    shutil.copy(database[0] / "mlflow.db", tmp_path / "copy.db")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [str(peers), "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path / 'copy.db'}"]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            for _ in range(900):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)
            server.wait()


def test_a_server_comes_in(site: Site, tmp_path: Path, tracking_server: str, database: tuple[Path, str]) -> None:
    """A tracking server is read over its own API; it and its database are two stores of the same runs."""
    copied = site.copy(tmp_path / "site")
    platform = copied.open()
    with closing(open_store(tracking_server)) as store:
        done = bring_in(client_of(platform, copied), store)
    assert (done.runs, done.versions, done.not_taken) == (4, 2, [])
    check(People(platform, copied.tokens), database[1])
    platform.close()


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """A missing file, a text, a foreign database, an empty folder, another scheme, a silent server: clear errors."""
    with pytest.raises(NotFound, match="there is no file"):
        open_store(f"sqlite:///{tmp_path / 'no.db'}")
    (tmp_path / "text.db").write_text("no database at all, but some text " * 50)
    with pytest.raises(Invalid, match="no SQLite database"):
        open_store(f"sqlite:///{tmp_path / 'text.db'}")
    (tmp_path / "empty.db").write_bytes(b"")
    with pytest.raises(Invalid, match="not one of MLflow"):
        open_store(str(tmp_path / "empty.db"))
    with pytest.raises(Invalid, match="no store of MLflow"):
        open_store(str(tmp_path))
    with pytest.raises(Invalid, match="not a store that is read"):
        open_store("postgresql://u@h/db")
    with closing(open_store("http://127.0.0.1:9")) as silent, pytest.raises(Unavailable, match="does not answer as"):
        silent.experiments()
