"""Models: bit for bit the same when repeated, opened without running code, bound to their features by name."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from conftest import SOURCE, Bench, snapshot, start
from muniment.analytics.split import keys
from muniment.errors import IntegrityError, Invalid
from muniment.programs.compare import compare
from muniment.programs.contract import Job
from muniment.programs.evaluate import evaluate
from muniment.programs.models import load
from muniment.programs.predict import predict
from muniment.programs.train import train

Benches = Callable[[str], Bench]
SMALL: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "xgboost": {"num_boost_round": 15},
    "lightgbm": {"num_iterations": 15},
}
FILES = {"logistic_regression": "model.skops", "xgboost": "model.ubj", "lightgbm": "model.txt"}


def table(rows: int = 600, shift: int = 0) -> pa.Table:
    """Numbers, texts with nulls and odd names; the label depends on two of them."""
    drawn = keys(rows * 4, 5 + shift).reshape(4, rows)
    x = (drawn[0] % 1000).astype(np.float64) / 100
    kind = np.array(["a", "b", "ü [<x>]", None], object)[drawn[1] % 4]
    noise = (drawn[2] % 1000).astype(np.float64) / 1000
    label = (x / 10 + (kind == "b") * 0.5 + noise > 1.0).astype(np.int64)
    x[drawn[3] % 17 == 0] = np.nan
    return pa.table(
        {
            "ID": range(rows),
            "x [0,<1]": pa.array(x, from_pandas=True),
            "kind": pa.array(kind.tolist(), pa.string()),
            "n": pa.array((drawn[3] % 7).astype(np.int64)),
            "flag": pa.array(drawn[2] % 2 == 0),
            "y": label,
        }
    )


def trained(desk: Bench, algorithm: str, data: pa.Table | None = None, /, **given: Any) -> dict[str, Any]:
    """Train in this process; the report."""
    desk.channel("train", snapshot(table() if data is None else data, "y"))
    desk.given(**({"algorithm": algorithm} | SMALL[algorithm] | given))
    train(Job(desk.root))
    return desk.result("report.json")


def model_files(desk: Bench) -> dict[str, bytes | Path]:
    return {path.name: path for path in (desk.root / "model").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SMALL)
def test_repeats_are_bit_exact(algorithm: str, bench: Benches) -> None:
    """Other processes, hash seeds, time zones and folders give the same model bytes and the same probe predictions."""
    outcomes = []
    for number, (seed, zone) in enumerate([("0", "UTC"), ("1", "Asia/Tokyo"), ("random", "UTC")]):
        desk = bench(f"job{number}")
        desk.channel("train", snapshot(table(), "y"))
        desk.given(algorithm=algorithm, seed=3, **SMALL[algorithm])
        environment = {
            "MUNIMENT_ML_ROOT": str(desk.root),
            "PYTHONPATH": str(SOURCE),
            "PYTHONHASHSEED": seed,
            "TZ": zone,
        }
        command = [sys.executable, "-s", "-P", "-m", "muniment.programs.train"]
        subprocess.run(command, env=os.environ | environment, check=True)
        files = {path.name: path.read_bytes() for path in (desk.root / "model").iterdir()}
        outcomes.append((files, desk.result("report.json")["probe"]["digest"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SMALL)
def test_threads_change_no_prediction(algorithm: str, bench: Benches) -> None:
    """One thread and two give models with equal canonical digests; the number is recorded."""
    reports = [trained(bench(f"job{threads}"), algorithm, threads=threads) for threads in (1, 2)]
    assert reports[0]["model"]["canonical_digest"] == reports[1]["model"]["canonical_digest"]
    assert reports[0]["probe"]["digest"] == reports[1]["probe"]["digest"]
    assert [report["threads"] for report in reports] == [1, 2]


def test_another_seed_or_order_is_another_model(bench: Benches) -> None:
    """What decides the bits is in the record: another seed or order of rows gives another model."""
    data = table()
    reports = [
        trained(bench("a"), "xgboost", seed=1),
        trained(bench("b"), "xgboost", seed=2),
        trained(bench("c"), "xgboost", data.take(list(range(data.num_rows - 1, -1, -1))), seed=1),
    ]
    assert len({report["model"]["canonical_digest"] for report in reports}) == 3
    assert len({report["content_digest"] for report in reports}) == 2


@pytest.mark.parametrize("algorithm", SMALL)
def test_train_evaluate_predict_agree(algorithm: str, bench: Benches) -> None:
    """A model opened from its files scores as evaluated and predicted; order and columns of the data do not matter."""
    desk = bench("train")
    report = trained(desk, algorithm)
    assert [decision["column"] for decision in report["decisions"]] == ["ID"]
    test = table(300, shift=1)
    digests = []
    for number, data in enumerate([test, test.select(["y", "flag", "kind", "n", "x [0,<1]"])]):
        job = bench(f"evaluate{number}")
        job.channel("model", model_files(desk))
        job.channel("data", snapshot(data))
        job.given()
        evaluate(Job(job.root))
        result = job.result("report.json")
        assert result["metrics"]["auc"] > 0.8
        digests.append(result["scores_digest"])
        predict(Job(job.root))
        digests.append(job.result("report.json")["scores_digest"])
    assert len(set(digests)) == 1


@pytest.mark.parametrize("algorithm", SMALL)
def test_levels_that_training_did_not_see_are_missing_and_said(algorithm: str, bench: Benches) -> None:
    """An unknown level scores as a null would, and the report counts the rows."""
    desk = bench("train")
    trained(desk, algorithm)
    data = table(50, shift=2)
    where = data.schema.names.index("kind")
    scores = []
    for values in (["unseen"] * 50, [None] * 50):
        changed = data.set_column(where, "kind", pa.array(values, pa.string()))
        job = bench(f"predict{len(scores)}")
        job.channel("model", model_files(desk))
        job.channel("data", snapshot(changed))
        job.given()
        predict(Job(job.root))
        scores.append(job.result("report.json"))
    assert scores[0]["scores_digest"] == scores[1]["scores_digest"]
    assert [score["unknown_levels"] for score in scores] == [{"kind": 50}, {}]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data.drop_columns(["n"]), "MUNI-D185"),
        (lambda data: data.set_column(3, "n", pa.array(["x"] * data.num_rows)), "MUNI-D122"),
        (lambda data: data.set_column(1, "x [0,<1]", pa.array([float("inf")] * data.num_rows)), "MUNI-D190"),
        (lambda data: data.drop_columns(["y"]), "MUNI-D159"),
        (lambda data: data.set_column(5, "y", pa.array([2] * data.num_rows)), "MUNI-D188"),
        (lambda data: data.set_column(5, "y", pa.array([None] * data.num_rows, pa.int64())), "MUNI-D181"),
    ],
)
def test_data_of_another_shape_are_refused(change: Callable[[pa.Table], pa.Table], code: str, bench: Benches) -> None:
    """A missing feature, another type, infinite values, other classes: named, never guessed around."""
    desk = bench("train")
    trained(desk, "xgboost")
    job = bench("evaluate")
    job.channel("model", model_files(desk))
    job.channel("data", snapshot(change(table(20))))
    job.given()
    with pytest.raises(Invalid) as refused:
        evaluate(Job(job.root))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("given", "code", "facts"),
    [
        ({"algorithm": "forest"}, "MUNI-D132", {"parameter": "algorithm"}),
        ({"algorithm": None}, "MUNI-D133", {"parameter": "algorithm"}),
        ({"max_dept": 3}, "MUNI-D130", {"nearest": "max_depth"}),
        ({"max_depth": 99}, "MUNI-D132", {"allowed": "1 <= integer <= 16"}),
        ({"num_leaves": 7}, "MUNI-D130", {}),
        ({"eta": -1}, "MUNI-D132", {}),
        ({"target": "z"}, "MUNI-D159", {}),
        ({"target": "n"}, "MUNI-D180", {}),
        ({"target": "kind"}, "MUNI-D181", {}),
        ({"positive": "7"}, "MUNI-D117", {}),
        ({"drop": ["q"]}, "MUNI-D172", {"column": "q"}),
        ({"drop": ["x [0,<1]", "kind", "n", "flag"]}, "MUNI-D184", {}),
    ],
)
def test_training_that_cannot_be_is_refused(
    given: dict[str, Any], code: str, facts: dict[str, Any], bench: Benches
) -> None:
    """Unknown or impossible parameters and targets: the refusal names them, the range and the nearest name."""
    with pytest.raises(Invalid) as refused:
        trained(bench("job"), "xgboost", **given)
    assert refused.value.code == code
    assert {name: refused.value.facts[name] for name in facts} == facts
    assert not list((bench("job").root / "model").glob("*"))


def test_the_positive_class_can_be_named(bench: Benches) -> None:
    """Naming the other class turns the scores around."""
    as_is, turned = (trained(bench(f"job{p}"), "logistic_regression", positive=p) for p in ("1", "0"))
    assert as_is["classes"] == {"positive": turned["classes"]["negative"], "negative": turned["classes"]["positive"]}
    scores = [load(bench(f"job{p}").root / "model").score(table()) for p in ("1", "0")]
    assert np.abs(scores[0] + scores[1] - 1).max() < 1e-6


def test_suspicious_features_are_said(bench: Benches) -> None:
    """A constant, a column without repeats and one that gives the label away are findings, not obstacles."""
    data = table()
    data = data.append_column("constant", pa.array([1] * data.num_rows))
    data = data.append_column("number", pa.array(range(data.num_rows)))
    data = data.append_column("known afterwards", pa.array([y * 10.0 + n for y, n in zip(
        data.column("y").to_pylist(), data.column("n").to_pylist(), strict=True)]))  # fmt: skip
    report = trained(bench("job"), "xgboost", data)
    assert {(f["code"], f["facts"]["column"]) for f in report["findings"]} == {
        ("constant_feature", "constant"),
        ("unique_integers", "number"),
        ("gives_target_away", "known afterwards"),
    }


@pytest.mark.parametrize("algorithm", SMALL)
def test_a_changed_model_file_is_refused(algorithm: str, bench: Benches) -> None:
    """One flipped bit in the model file and it is not opened: the digest in model.json decides."""
    desk = bench("job")
    trained(desk, algorithm)
    path = desk.root / "model" / FILES[algorithm]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as refused:
        load(desk.root / "model")
    assert refused.value.code == "MUNI-D534"


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("algorithm", SMALL)
@pytest.mark.parametrize("registered", [True, False])
def test_opening_a_model_runs_no_code(algorithm: str, registered: bool, bench: Benches, tmp_path: Path) -> None:
    """A pickle in place of a model is refused by content, also when model.json names its digest."""
    desk = bench("job")
    trained(desk, algorithm)
    mark = tmp_path / "mark"
    folder = desk.root / "model"
    content = pickle.dumps(Trap(mark))
    (folder / FILES[algorithm]).write_bytes(content)
    document = json.loads((folder / "model.json").read_bytes())
    if registered:
        document["file_digest"] = "sha256:" + hashlib.sha256(content).hexdigest()
        (folder / "model.json").write_text(json.dumps(document))
    with pytest.raises(Invalid) as refused:
        load(folder)
    assert refused.value.code == "MUNI-D187"
    assert not mark.exists()


def test_foreign_skops_types_are_refused(bench: Benches, tmp_path: Path) -> None:
    """A skops file that holds anything but the one estimator is not opened, also when its digest is the named one."""
    desk = bench("job")
    trained(desk, "logistic_regression")
    content = skops.io.dumps(FunctionTransformer(os.system))
    folder = desk.root / "model"
    document = json.loads((folder / "model.json").read_bytes())
    document["file_digest"] = "sha256:" + hashlib.sha256(content).hexdigest()
    (folder / "model.skops").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError) as refused:
        load(folder)
    assert refused.value.code == "MUNI-D535"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"{", "MUNI-D186"), (b'{"format":"other/1"}', "MUNI-D186"), (b"[]", "MUNI-D186"), (None, "MUNI-D119")],
)
def test_a_model_without_its_document_is_refused(content: bytes | None, code: str, bench: Benches) -> None:
    """No model.json, or one that is damaged or of another format."""
    desk = bench("job")
    trained(desk, "xgboost")
    path = desk.root / "model/model.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Invalid) as refused:
        load(desk.root / "model")
    assert refused.value.code == code


def test_comparison_tells_identical_from_equivalent_from_different(bench: Benches) -> None:
    """The verdict: same files; other file but same predictions; within bounds; anything else."""
    one, two, other = bench("one"), bench("two"), bench("other")
    trained(one, "lightgbm", threads=1)
    trained(two, "lightgbm", threads=2)
    trained(other, "lightgbm", seed=9)
    verdicts = []
    for number, (left, right) in enumerate([(one, one), (one, two), (one, other)]):
        job = bench(f"compare{number}")
        job.channel("a", model_files(left))
        job.channel("b", model_files(right))
        job.channel("data", snapshot(table(200, shift=3)))
        job.given()
        compare(Job(job.root))
        verdicts.append(job.result("report.json")["verdict"])
    job.given(max_difference=1, max_ulp=2**53)
    compare(Job(job.root))
    loose = job.result("report.json")
    assert verdicts == ["identical-bytes", "identical-predictions", "different"]
    assert loose["verdict"] == ("different" if loose["flips"] else "equivalent")


def test_predictions_of_other_rows_cannot_be_compared(bench: Benches) -> None:
    """Two sets of predictions of unequal length are refused, not cut."""
    desk = bench("train")
    trained(desk, "xgboost")
    job = bench("compare")
    for name, rows in (("a", 20), ("b", 30)):
        scoring = bench(name)
        scoring.channel("model", model_files(desk))
        scoring.channel("data", snapshot(table(rows)))
        scoring.given()
        predict(Job(scoring.root))
        job.channel(name, {"predictions.parquet": scoring.root / "output/data/predictions.parquet"})
    job.given()
    with pytest.raises(Invalid) as refused:
        compare(Job(job.root))
    assert refused.value.code == "MUNI-D191"


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm"])
def test_each_round_is_reported_live(algorithm: str, bench: Benches) -> None:
    """Every boosting round sends its measures of the training part and, when there is one, the validation part."""
    desk = bench("job")
    desk.channel("train", snapshot(table(), "y"))
    desk.channel("validation", snapshot(table(200, shift=4)))
    desk.given(algorithm=algorithm, **SMALL[algorithm])
    status, metrics, _ = start(desk.root, "-m", "muniment.programs.train")
    assert status == 0
    steps = {name: [m["step"] for m in metrics if m["name"] == name] for name in ("train.auc", "validation.logloss")}
    assert steps == {"train.auc": list(range(15)), "validation.logloss": list(range(15))}
    assert metrics[-1]["step"] is None
