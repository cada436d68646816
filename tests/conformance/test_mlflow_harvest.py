"""What a script tells MLflow inside a job: gathered as results and reports; what would run code is left behind."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from muniment.programs.mlflow_harvest import harvest, prepare

SCRIPT = """
import mlflow
mlflow.set_experiment("inside")
import numpy, xgboost
X = numpy.random.default_rng(0).normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int)
with mlflow.start_run(run_name="fit it"):
    mlflow.log_params({"depth": 2, "note": "a: b"})
    for step in range(4):
        mlflow.log_metric("auc", 0.5 + step / 10, step=step)
    mlflow.set_tag("team", "risk")
    mlflow.log_text("hello", "notes/a b.txt")
    mlflow.log_dict({"a": 1}, "d.json")
    booster = xgboost.train({"max_depth": 2, "objective": "binary:logistic"}, xgboost.DMatrix(X, y), 3)
    mlflow.xgboost.log_model(booster, name="model", model_format="ubj", pip_requirements=["xgboost"])
    with mlflow.start_run(run_name="second", nested=True):
        mlflow.log_metric("auc", 0.1)
    import pickle
    with open("thing.pkl", "wb") as file:
        pickle.dump([print], file)
    mlflow.log_artifact("thing.pkl")
{end}
"""


def job(python: Path, folder: Path, script: str) -> tuple[int, Path, list[dict[str, Any]]]:
    """Run a script as a job runs it, without walls: exit code, ``/opt/ml``, and the lines of the metrics channel."""
    root = folder / "ml"
    (root / "input/config").mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text("{}")
    content = script.encode()
    with tarfile.open(root / "input/source.tar", "w") as archive:
        entry = tarfile.TarInfo("train.py")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    lines = folder / "lines"
    with lines.open("wb") as channel:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "MUNIMENT_ML_ROOT": str(root),
            "MUNIMENT_TREE": str(folder / "tree"),
            "MUNIMENT_MLFLOW_FOLDER": str(folder / "mlflow"),
            "MUNIMENT_ENTRY": "train.py",
            "MUNIMENT_METRICS_FD": str(channel.fileno()),
        }
        done = subprocess.run(
            [str(python), "-m", "muniment.programs.script"],
            cwd=folder,
            env=environment,
            pass_fds=[channel.fileno()],
            capture_output=True,
            timeout=280,
            check=False,
        )
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert b"could not all be gathered" not in done.stderr, done.stderr[-3000:]
    return done.returncode, root, told


@pytest.mark.slow
def test_a_script_that_speaks_to_mlflow_is_gathered(peers: Path, tmp_path: Path) -> None:
    """Parameters, steps, tags, files and the model of the first run stand as the job's own; nested runs beside it."""
    code, root, told = job(peers, tmp_path, SCRIPT.replace("{end}", ""))
    assert code == 0
    events = {(one["event"], one["name"]): one["value"] for one in told if "event" in one}
    assert events["param", "depth"] == "2"
    assert events["param", "note"] == "a: b"
    assert events["tag", "team"] == "risk"
    assert ("tag", "mlflow.run_id") in events
    metrics = [(one["name"], one["value"], one["step"]) for one in told if "event" not in one]
    assert [one for one in metrics if one[0] == "auc"] == [("auc", 0.5 + n / 10, n) for n in range(4)]
    assert ("second/auc", 0.1, 0) in metrics
    results = root / "output/data/mlflow"
    assert (results / "run/artifacts/notes/a-b.txt").read_text() == "hello"
    assert (root / "model/MLmodel").is_file()
    assert (root / "model/model.ubj").read_bytes()[:2] == b"{L"
    index = json.loads((results / "index.json").read_text())
    first = index["runs"][0]
    assert (first["name"], first["prefix"]) == ("fit it", "")
    assert "runs code when it is opened" in first["left"]["thing.pkl"]
    assert not list(root.rglob("*.pkl"))


@pytest.mark.slow
def test_a_script_that_fails_has_told_what_it_told(peers: Path, tmp_path: Path) -> None:
    """What was logged before a script fails is reported all the same, and the failure is the script's."""
    code, root, told = job(peers, tmp_path, SCRIPT.replace("{end}", "raise RuntimeError('no')"))
    assert code == 1
    assert any(one.get("name") == "auc" for one in told)
    assert json.loads((root / "output/failure").read_text())["code"] == "MUNI-D166"


def test_without_a_client_nothing_changes(tmp_path: Path) -> None:
    """Where MLflow is not installed nothing is set, and an empty folder gives nothing."""
    environment: dict[str, str] = {}
    assert prepare(environment, tmp_path) is False
    assert environment == {}
    assert harvest(tmp_path, tmp_path / "absent") == 0
    assert not (tmp_path / "output").exists()


def test_folders_that_lie_are_read_with_care(tmp_path: Path) -> None:
    """Links are not followed, broken lines are dropped, names are made plain, and a pickle stays behind."""
    run = tmp_path / "mlflow/1/abc"
    for folder in ("params", "tags", "metrics", "artifacts/..hidden"):
        (run / folder).mkdir(parents=True)
    (run / "meta.yaml").write_text("run_id: abc\nrun_name: 'it''s'\nstart_time: 12\nlifecycle_stage: active\n")
    (run / "params/a").write_text("1")
    (run / "params/link").symlink_to("/etc/hostname")
    (run / "metrics/loss").write_text("1 0.5 0\nnonsense\n2 nan 1\n3 x 2\n")
    (run / "artifacts/..hidden/ü\n.txt").write_text("x")
    (run / "artifacts/secret").symlink_to("/etc/passwd")
    (run / "artifacts/m.bin").write_bytes(b"\x80\x04K\x01.")
    assert harvest(tmp_path / "ml", tmp_path / "mlflow") == 1
    results = tmp_path / "ml/output/data/mlflow"
    files = sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())
    assert files == ["index.json", "run/artifacts/hidden/txt"]
    index = json.loads((results / "index.json").read_text())
    assert index["runs"][0]["params"] == {"a": "1"}
    assert list(index["runs"][0]["left"]) == ["m.bin"]
