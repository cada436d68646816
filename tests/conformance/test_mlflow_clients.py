"""MLflow's own client, unmodified, against the platform: tracking, artifacts, search, registry, autolog, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_serving import Served, client, served
from muniment.errors import Invalid
from muniment.testing.platform import Site
from muniment.wire.catalog import GetLineage
from muniment.wire.execution import ListRuns, ShowRun
from muniment.wire.inventory import ListModels, ListVersions
from muniment.wire.registry import FindRuns

pytestmark = pytest.mark.slow


@pytest.fixture
def server(each_site: Site) -> Iterator[Served]:
    """A served platform, on each engine."""
    with served(each_site) as running:
        yield running


@pytest.fixture
def one_server(site: Site, tmp_path: Path) -> Iterator[Served]:
    """A served platform on SQLite."""
    with served(site.copy(tmp_path / "site")) as running:
        yield running


TRACKING = """
mlflow.set_experiment("Credit risk / Q3")
with mlflow.start_run(run_name="first", tags={"team": "risk"}) as run:
    mlflow.log_param("depth", 3)
    mlflow.log_params({"eta": 0.1, "x y": "z"})
    for step in range(3):
        mlflow.log_metric("auc", 0.7 + step / 100, step=step)
    losses = [mlflow.entities.Metric("loss", 1 / (n + 1), 1000 + n, n) for n in range(999)]
    client.log_batch(run.info.run_id, metrics=losses)
    mlflow.set_tag("note", "hello")
    client.set_tag(run.info.run_id, "gone", "x")
    client.delete_tag(run.info.run_id, "gone")
    with open("f.txt", "w") as file:
        file.write("content")
    mlflow.log_artifact("f.txt")
    mlflow.log_artifact("f.txt", "deep/er")
    mlflow.log_text("süß", "t/ü.txt")
    import pandas
    mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame({"a": [1.5, 2]}), name="train"), context="training")
id = run.info.run_id
told["run"] = id
found = client.get_run(id)
told["data"] = [found.info.status, found.info.run_name, found.data.params, found.data.metrics["auc"], found.data.tags]
told["inputs"] = [one.dataset.name for one in found.inputs.dataset_inputs]
told["files"] = [[f.path for f in client.list_artifacts(id, path)] for path in (None, "deep", "deep/er")]
told["text"] = mlflow.artifacts.load_text(f"{found.info.artifact_uri}/t/ü.txt")
told["downloaded"] = open(mlflow.artifacts.download_artifacts(run_id=id, artifact_path="deep/er/f.txt")).read()
told["history"] = [[m.step, m.value, m.timestamp] for m in client.get_metric_history(id, "loss")][-2:]
told["length"] = len(client.get_metric_history(id, "loss"))
for n in range(5):
    with mlflow.start_run(run_name=f"r{n}", nested=False):
        mlflow.log_metric("auc", n / 10)
        mlflow.log_param("kind", "even" if n % 2 == 0 else "odd")

def search(text, **more):
    return [one.info.run_name for one in mlflow.search_runs(filter_string=text, output_format="list", **more)]

told["search"] = [
    search("metrics.auc > 0.71 and params.depth = '3' and tags.team LIKE 'ri%'"),
    search("metrics.auc < 0.35 and params.kind = 'even'", order_by=["metrics.auc DESC"]),
    search("attributes.run_name IN ('r1', 'r3')", order_by=["attributes.start_time ASC"]),
    search("attributes.status = 'FINISHED' and metrics.`auc` >= 0.4", order_by=["metrics.auc"]),
    search("tags.note IS NULL and params.kind ILIKE 'EV%'", order_by=["params.kind", "metrics.auc DESC"]),
    search("", max_results=2, order_by=["metrics.auc DESC"]),
]
page = client.search_runs([found.info.experiment_id], max_results=4, order_by=["metrics.auc DESC"])
more = {"max_results": 4, "order_by": ["metrics.auc DESC"], "page_token": page.token}
rest = client.search_runs([found.info.experiment_id], **more)
told["pages"] = [[one.info.run_name for one in page], [one.info.run_name for one in rest], rest.token]
client.delete_run(id)
everything = search("params.depth = '3'", run_view_type=3)
told["deleted"] = [search("params.depth = '3'"), everything, client.get_run(id).info.lifecycle_stage]
client.restore_run(id)
told["restored"] = search("params.depth = '3'")
made = client.create_experiment("second", tags={"a": "b"})
client.set_experiment_tag(made, "c", "d")
client.rename_experiment(made, "renamed")
told["experiment"] = [client.get_experiment(made).name, client.get_experiment(made).tags]
client.delete_experiment(made)
told["experiments"] = sorted(one.name for one in client.search_experiments())
client.restore_experiment(made)
told["by tag"] = [one.name for one in client.search_experiments(filter_string="tags.a = 'b' and name LIKE 'ren%'")]
"""


def test_runs_are_tracked_searched_and_retained(server: Served, peers: Path, tmp_path: Path) -> None:
    """Everything a client tells comes back as it was told, is found again, and is the platform's run as well."""
    told = client(peers, TRACKING, server.environment("scientist"), tmp_path / "client")
    status, name, params, auc, tags = told["data"]
    assert (status, name, auc) == ("FINISHED", "first", 0.72)
    assert params == {"depth": "3", "eta": "0.1", "x y": "z"}
    assert {"team": "risk", "note": "hello", "muniment.grade": "declared"}.items() <= tags.items()
    assert "gone" not in tags
    assert told["inputs"] == ["train"]
    assert told["files"] == [["deep", "f.txt", "t"], ["deep/er"], ["deep/er/f.txt"]]
    assert (told["text"], told["downloaded"]) == ("süß", "content")
    assert told["length"] == 999
    assert told["history"][-1] == [998, 1 / 999, 1998]
    assert told["search"] == [
        ["first"],
        ["r2", "r0"],
        ["r1", "r3"],
        ["r4", "first"],
        ["r4", "r2", "r0"],
        ["first", "r4"],
    ]
    assert told["pages"] == [["first", "r4", "r3", "r2"], ["r1", "r0"], None]
    assert told["deleted"] == [[], ["first"], "deleted"]
    assert told["restored"] == ["first"]
    assert told["experiment"] == ["renamed", {"a": "b", "c": "d"}]
    assert told["experiments"] == ["Credit risk / Q3", "Default"]
    assert told["by tag"] == ["renamed"]
    shown = server.people.ask("scientist", ShowRun(project="main", run=told["run"]))
    assert (shown.kind, shown.status, shown.grade, shown.requested_by) == ("track", "ok", "declared", "User:scientist")
    assert server.platform.ledger.checkpoint().size > 0


REFUSALS = """
mlflow.set_experiment("e")
with mlflow.start_run() as run:
    mlflow.log_param("depth", 3)
    id = run.info.run_id
    M = mlflow.entities.Metric
    told["nan"] = refused(lambda: mlflow.log_metric("x", float("nan")))
    told["infinity"] = refused(lambda: mlflow.log_metric("x", float("inf")))
    good, bad = M("good", 1, 0, 0), M("bad", float("nan"), 0, 0)
    told["batch nan"] = refused(lambda: client.log_batch(id, metrics=[good, bad]))
    told["other value"] = refused(lambda: client.log_param(id, "depth", 4))
    other = [mlflow.entities.Param("depth", "5")]
    told["half"] = refused(lambda: client.log_batch(id, metrics=[good], params=other))
    told["climbs"] = refused(lambda: client.log_artifact(id, "script.py", "../../etc"))
    told["reserved"] = refused(lambda: client.set_tag(id, "muniment.grade", "proven"))
told["metrics"] = client.get_run(id).data.metrics
told["late metric"] = refused(lambda: client.log_metric(id, "x", 1))
told["late tag"] = refused(lambda: client.set_tag(id, "a", "b"))
told["late file"] = refused(lambda: client.log_text(id, "x", "x.txt"))
told["again"] = refused(lambda: mlflow.start_run(run_id=id))
told["end twice"] = refused(lambda: client.set_terminated(id, "FAILED"))
told["end same"] = refused(lambda: client.set_terminated(id, "FINISHED"))
told["filter"] = refused(lambda: mlflow.search_runs(filter_string="metrics.auc >"))
told["run"] = refused(lambda: client.get_run("0" * 32))
told["exists"] = refused(lambda: client.create_experiment("e"))
told["elsewhere"] = refused(lambda: client.create_experiment("f", artifact_location="s3://bucket/x"))
told["source"] = refused(lambda: client.create_model_version("m", "s3://bucket/model"))
os.environ["MLFLOW_TRACKING_TOKEN"] = sys.argv[0]
told["token"] = refused(lambda: client.get_run(id))
told["id"] = id
"""


def test_refusals_are_shown_by_the_client(one_server: Served, peers: Path, tmp_path: Path) -> None:
    """Each refusal reaches the client with MLflow's error code and our own, and nothing of a batch is half written."""
    told = client(peers, REFUSALS, one_server.environment("scientist"), tmp_path / "client")
    assert told["metrics"] == {}
    expected = {
        "nan": ("INVALID_PARAMETER_VALUE", "MUNI-Y108"),
        "infinity": ("INVALID_PARAMETER_VALUE", "MUNI-Y108"),
        "batch nan": ("INVALID_PARAMETER_VALUE", "MUNI-Y108"),
        "other value": ("INVALID_PARAMETER_VALUE", "MUNI-X305"),
        "half": ("INVALID_PARAMETER_VALUE", "MUNI-X305"),
        "reserved": ("INVALID_PARAMETER_VALUE", "MUNI-R113"),
        "late metric": ("INVALID_STATE", "MUNI-R302"),
        "late tag": ("INVALID_STATE", "MUNI-R302"),
        "again": ("INVALID_STATE", "MUNI-Y301"),
        "end twice": ("INVALID_STATE", "MUNI-R302"),
        "filter": ("INVALID_PARAMETER_VALUE", "MUNI-Y104"),
        "run": ("RESOURCE_DOES_NOT_EXIST", "MUNI-Y204"),
        "exists": ("RESOURCE_ALREADY_EXISTS", "MUNI-R353"),
        "elsewhere": ("INVALID_PARAMETER_VALUE", "MUNI-Y112"),
        "source": ("INVALID_PARAMETER_VALUE", "MUNI-Y122"),
        "token": ("UNAUTHENTICATED", "MUNI-I"),
    }
    for name, (code, ours) in expected.items():
        assert told[name] is not None, name
        assert told[name][1] == code, told[name]
        assert ours in told[name][2], told[name]
    assert told["climbs"] is not None
    assert "MUNI-R302" in told["late file"][2]
    assert told["end same"] is None


MODELS = """
mlflow.set_experiment("models")
import numpy
from sklearn.linear_model import LogisticRegression
X = numpy.random.default_rng(0).normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int)
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(LogisticRegression().fit(X, y), name="model", pip_requirements=["scikit-learn"],
                                    registered_model_name="Credit scorer")
id = run.info.run_id
told["run"], told["model"] = id, info.model_id
told["outputs"] = [one.model_id for one in client.get_run(id).outputs.model_outputs]
told["logged"] = [[m.name, m.status.name if hasattr(m.status, "name") else str(m.status), m.source_run_id]
                  for m in mlflow.search_logged_models(output_format="list", filter_string="name = 'model'")]
expected = LogisticRegression().fit(X, y).predict(X).tolist()
second = mlflow.register_model(f"runs:/{id}/model", "Credit scorer")
client.set_registered_model_alias("Credit scorer", "champion", 1)
client.set_registered_model_tag("Credit scorer", "team", "risk")
client.transition_model_version_stage("Credit scorer", "1", "Production")
client.set_model_version_tag("Credit scorer", "1", "ok", "yes")
client.update_model_version("Credit scorer", "1", "for the board")
first = client.get_model_version_by_alias("Credit scorer", "champion")
told["versions"] = [first.version, second.version, first.run_id, first.description, first.current_stage, first.tags]
told["equal"] = [mlflow.pyfunc.load_model(uri).predict(X).tolist() == expected
                 for uri in (f"runs:/{id}/model", info.model_uri,
                             "models:/Credit scorer@champion", "models:/Credit scorer/2")]
told["latest"] = [v.version for v in client.get_latest_versions("Credit scorer", ["Production"])]
told["names"] = [m.name for m in client.search_registered_models("name ILIKE 'credit%'")]
told["found"] = [v.version for v in client.search_model_versions(f"run_id = '{id}'", order_by=["version_number ASC"])]
told["swap"] = refused(lambda: client.log_artifact(id, "script.py", "model"))
told["rename"] = refused(lambda: client.rename_registered_model("Credit scorer", "x"))
told["again"] = refused(lambda: client.create_registered_model("Credit scorer"))
told["slash"] = refused(lambda: client.create_registered_model("a/b"))
client.delete_model_version("Credit scorer", "2")
told["gone"] = refused(lambda: client.get_model_version("Credit scorer", "2"))
client.set_logged_model_tags(info.model_id, {"reviewed": "yes"})
told["tags"] = client.get_logged_model(info.model_id).tags["reviewed"]
loose = client.create_logged_model(client.get_run(id).info.experiment_id, name="loose")
client.finalize_logged_model(loose.model_id, "READY")
told["loose"] = client.get_logged_model(loose.model_id).status.name
"""


def test_a_registered_model_is_fixed_and_stands_in_the_inventory(server: Served, peers: Path, tmp_path: Path) -> None:
    """What a client registers is loaded back as it was, cannot be swapped, and is a declared draft in the inventory."""
    told = client(peers, MODELS, server.environment("scientist"), tmp_path / "client")
    assert told["outputs"] == [told["model"]]
    assert told["logged"] == [["model", "READY", told["run"]]]
    first, second, run, description, stage, tags = told["versions"]
    assert (first, second, run, description, stage) == ("1", "2", told["run"], "for the board", "Production")
    assert {"ok": "yes", "muniment.state": "draft", "muniment.grade": "declared"}.items() <= tags.items()
    assert told["equal"] == [True, True, True, True]
    assert (told["latest"], told["found"], told["names"]) == (["1"], ["1", "2"], ["Credit scorer"])
    assert "MUNI-R302" in told["swap"][2]
    assert "MUNI-R358" in told["rename"][2]
    assert (told["again"][1], told["slash"][1]) == ("RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE")
    assert told["gone"][1] == "RESOURCE_DOES_NOT_EXIST"
    assert (told["tags"], told["loose"]) == ("yes", "READY")
    ask = server.people.ask
    listed = ask("scientist", ListVersions(project="main")).versions
    assert {(one.origin, one.state, one.owner) for one in listed} == {("off-platform", "draft", "scientist")}
    assert len(listed) == 2, "a version that a client deleted stays in the inventory"
    models = ask("scientist", ListModels(project="main")).models
    assert {one.grade for one in models} == {"declared"}
    graph = ask("scientist", GetLineage(project="main", reference=listed[0].model))
    assert f"run:{told['run']}" in {node.id for node in graph.nodes}
    assert graph.grade == "declared"


AUTOLOG = """
import numpy
X = numpy.random.default_rng(0).normal(size=(80, 3))
y = (X[:, 0] > 0).astype(int)
mlflow.set_experiment("auto")
which = {which!r}
if which == "sklearn":
    from sklearn.linear_model import LogisticRegression
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        LogisticRegression(C=0.5).fit(X, y)
elif which == "xgboost":
    import xgboost
    mlflow.xgboost.autolog()
    with mlflow.start_run() as run:
        matrix = xgboost.DMatrix(X, y)
        params = {{"max_depth": 2, "eval_metric": "auc", "objective": "binary:logistic"}}
        xgboost.train(params, matrix, 4, evals=[(matrix, "train")], verbose_eval=False)
else:
    import lightgbm
    mlflow.lightgbm.autolog()
    with mlflow.start_run() as run:
        data = lightgbm.Dataset(X, y)
        lightgbm.train({{"objective": "binary", "metric": "auc", "verbose": -1}}, data, 4, valid_sets=[data])
found = client.get_run(run.info.run_id)
told["status"], told["params"], told["metrics"] = found.info.status, found.data.params, found.data.metrics
told["history"] = [m.step for m in client.get_metric_history(run.info.run_id, sorted(found.data.metrics)[0])]
told["files"] = [f.path for f in client.list_artifacts(run.info.run_id)]
model = found.outputs.model_outputs[0].model_id
told["predictions"] = len(mlflow.pyfunc.load_model(f"models:/{{model}}").predict(X))
"""


@pytest.mark.parametrize(
    ("which", "param", "metric"),
    [
        ("sklearn", ("C", "0.5"), "training_accuracy_score"),
        ("xgboost", ("max_depth", "2"), "train-auc"),
        ("lightgbm", ("objective", "binary"), "training-auc"),
    ],
)
def test_autolog_works_unchanged(
    one_server: Served, peers: Path, tmp_path: Path, which: str, param: tuple[str, str], metric: str
) -> None:
    """Autologging writes parameters, metrics, pictures and a model that loads back; all of it is declared."""
    script = AUTOLOG.format(which=which)
    told = client(peers, script, one_server.environment("scientist"), tmp_path / "client")
    assert told["status"] == "FINISHED"
    assert told["params"][param[0]] == param[1]
    assert 0 < told["metrics"][metric] <= 1
    assert told["files"]
    assert told["predictions"] == 80
    runs = one_server.people.ask("scientist", ListRuns(project="main", kind="track")).runs
    assert {one.grade for one in runs} == {"declared"}


def test_others_see_what_policy_lets_them_see(one_server: Served, peers: Path, tmp_path: Path) -> None:
    """An auditor reads and does not write; somebody of another project sees nothing; the ledger knows each refusal."""
    folder = tmp_path / "client"
    made = client(
        peers,
        "with mlflow.start_run() as run:\n    mlflow.log_metric('a', 1)\ntold['run'] = run.info.run_id",
        one_server.environment("scientist"),
        folder,
    )
    script = f"""
told["read"] = refused(lambda: client.get_run({made["run"]!r}))
told["write"] = refused(lambda: client.create_run("0"))
told["register"] = refused(lambda: client.create_registered_model("x"))
"""
    auditor = client(peers, script, one_server.environment("auditor"), folder)
    assert auditor["read"] is None
    assert auditor["write"][1] == auditor["register"][1] == "PERMISSION_DENIED"
    outsider = client(peers, script, one_server.environment("outsider"), folder)
    assert outsider["read"][1] == outsider["write"][1] == "PERMISSION_DENIED"
    elsewhere = client(peers, script, one_server.environment("outsider", "other"), folder)
    assert elsewhere["read"][1] == "RESOURCE_DOES_NOT_EXIST"
    assert elsewhere["write"] is None
    with pytest.raises(Invalid, match="a page has"):
        one_server.people.ask("scientist", FindRuns(project="main", limit=0))
