"""Models that scripts left are compared by what decides their predictions, whatever library and bytes they are."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
import skops.io
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from conftest import Bench, snapshot
from muniment.errors import IntegrityError, Invalid, MunimentError
from muniment.programs.compare import compare
from muniment.programs.contract import Job

RNG = np.random.default_rng(7)
ROWS = RNG.normal(size=(300, 4))
LABELS = (ROWS[:, 0] + RNG.normal(size=300) > 0).astype(int)
PROBE = pa.table({**{f"x{number}": ROWS[:, number] for number in range(4)}, "y": LABELS})
Compare = Callable[..., dict[str, Any]]


@pytest.fixture
def alike(tmp_path: Any) -> Compare:
    """Compare two models by their files."""

    def ask(a: dict[str, bytes], b: dict[str, bytes], **given: Any) -> dict[str, Any]:
        job = Bench(tmp_path / str(len(list(tmp_path.iterdir()))))
        job.given(target="y", **given)
        job.channel("a", a)
        job.channel("b", b)
        job.channel("data", snapshot(PROBE))
        compare(Job(job.root))
        found: dict[str, Any] = job.result("report.json")
        return found

    return ask


def booster(**settings: Any) -> Any:
    """A small XGBoost model with named features."""
    data = xgboost.DMatrix(ROWS, LABELS, feature_names=["x0", "x1", "x2", "x3"])
    return xgboost.train({"nthread": 1, "seed": 1, "objective": "binary:logistic", **settings}, data, 5)


def leaves(**settings: Any) -> bytes:
    """A small LightGBM model."""
    fixed = {"objective": "binary", "verbosity": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1}
    return str(lightgbm.train({**fixed, **settings}, lightgbm.Dataset(ROWS, LABELS), 5).model_to_string()).encode()


def tensors(**arrays: np.ndarray) -> bytes:
    """A safetensors file with tensors in the order given."""
    header, body = {}, b""
    for name, array in arrays.items():
        start = len(body)
        body += array.tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_one_format_of_xgboost_is_as_good_as_the_other(alike: Compare) -> None:
    """The same trees as UBJSON and as JSON: other bytes, the same model, scored by the names it holds."""
    found = alike({"model.ubj": bytes(booster().save_raw("ubj"))}, {"model.json": bytes(booster().save_raw("json"))})
    assert (found["verdict"], found["rows"], found["equal_files"]) == ("identical-predictions", 300, False)
    assert found["a"]["scores_digest"] == found["b"]["scores_digest"]


def test_lightgbm_may_name_another_number_of_threads(alike: Compare) -> None:
    """The parameter lines of the text are no part of the model."""
    found = alike({"m.txt": leaves()}, {"m.txt": leaves(num_threads=2)})
    assert (found["verdict"], found["equal_files"]) == ("identical-predictions", False)


@pytest.mark.parametrize("kind", [LogisticRegression, RandomForestClassifier])
def test_skops_is_another_file_each_time_and_the_same_model(alike: Compare, kind: Any) -> None:
    """Two dumps of equal estimators differ in their bytes and in nothing else."""
    dumps = [skops.io.dumps(kind(random_state=3).fit(ROWS, LABELS)) for _ in range(2)]
    found = alike({"m.skops": dumps[0]}, {"m.skops": dumps[1]})
    assert found["verdict"] in ("identical-predictions", "identical-bytes")
    assert (found["equal_canonical_digests"], found["flips"]) == (True, 0)


def test_a_forest_is_the_same_on_any_number_of_threads(alike: Compare) -> None:
    """Threads add up trees in any order: a forest is scored without them, and their number is no part of the model."""
    labels = np.roll(LABELS, 1)
    dumps = [
        skops.io.dumps(make_pipeline(RandomForestClassifier(30, random_state=3, n_jobs=jobs)).fit(ROWS, labels))
        for jobs in (1, 2)
    ]
    found = alike({"m.skops": dumps[0]}, {"m.skops": dumps[1]})
    assert (found["verdict"], found["differing"]) == ("identical-predictions", 0)


def test_a_last_bit_is_equivalent_and_a_tree_more_is_different(alike: Compare) -> None:
    """Within the bounds and without a flip: equivalent, with the numbers; beyond them: different, with the numbers."""
    first = LogisticRegression().fit(ROWS, LABELS)
    second = LogisticRegression().fit(ROWS, LABELS)
    second.coef_ = np.nextafter(second.coef_, np.inf)
    found = alike({"m.skops": skops.io.dumps(first)}, {"m.skops": skops.io.dumps(second)})
    assert (found["verdict"], found["flips"], found["equal_canonical_digests"]) == ("equivalent", 0, False)
    assert 0 < found["max_difference"] < 1e-9
    other = alike({"m.ubj": bytes(booster().save_raw("ubj"))}, {"m.ubj": bytes(booster(max_depth=2).save_raw("ubj"))})
    assert other["verdict"] == "different"
    assert other["max_difference"] > 1e-3


def test_a_network_is_its_tensors(alike: Compare) -> None:
    """The order of tensors in a safetensors file means nothing; a changed weight does. It is never asked for scores."""
    one, two = np.ones((2, 3), np.float32), np.zeros(4, np.float32)
    found = alike({"n.safetensors": tensors(a=one, b=two)}, {"n.safetensors": tensors(b=two, a=one)})
    assert (found["verdict"], found["equal_files"], found["rows"]) == ("identical-predictions", False, 0)
    assert "no architecture" in found["a"]["why_no_scores"]
    other = alike({"n.safetensors": tensors(a=one)}, {"n.safetensors": tensors(a=one * 2)})
    assert other["verdict"] == "different"


def test_weights_beside_a_model_are_part_of_it(alike: Compare) -> None:
    """What scores is asked; a tensor that changed beside it is another model, though the scores are the same."""
    model, one = bytes(booster().save_raw("ubj")), np.ones((2, 3), np.float32)
    found = alike({"m.ubj": model, "n.safetensors": tensors(a=one)}, {"m.ubj": model, "n.safetensors": tensors(a=one)})
    assert (found["verdict"], found["rows"]) == ("identical-bytes", 300)
    other = alike({"m.ubj": model, "n.safetensors": tensors(a=one)}, {"m.ubj": model, "n.safetensors": tensors(a=-one)})
    assert (other["verdict"], other["equal_canonical_digests"], other["differing"]) == ("equivalent", False, 0)


def test_a_model_whose_library_is_not_there_is_its_bytes(alike: Compare) -> None:
    """An environment without the library that reads a model compares it by its bytes, and says what it lacks."""
    found = alike({"n.onnx": b"graph"}, {"n.onnx": b"graph"})
    assert (found["verdict"], found["rows"]) == ("identical-bytes", 0)
    assert found["a"]["why_no_scores"] == "the job environment holds no onnx"
    assert alike({"n.onnx": b"graph"}, {"n.onnx": b"other"})["verdict"] == "different"


def test_an_absolute_bound_may_be_the_only_one(alike: Compare) -> None:
    """Single precision differs by many last places of double: without a bound on them the absolute one decides."""
    first, second = LogisticRegression().fit(ROWS, LABELS), LogisticRegression().fit(ROWS, LABELS)
    second.coef_ = second.coef_ * (1 + 1e-6)
    files = ({"m.skops": skops.io.dumps(first)}, {"m.skops": skops.io.dumps(second)})
    assert alike(*files, max_difference=1e-4)["verdict"] == "different"
    found = alike(*files, max_difference=1e-4, max_ulp=2**53)
    assert (found["verdict"], found["flips"]) == ("equivalent", 0)
    assert 0 < found["max_difference"] <= 1e-4
    assert alike(*files, max_difference=1e-9, max_ulp=2**53)["verdict"] == "different"


def test_a_model_of_other_columns_is_compared_without_scores(alike: Compare) -> None:
    """Where the probe does not fit, the report says why, and what the files mean decides."""
    narrow = bytes(xgboost.train({"nthread": 1}, xgboost.DMatrix(ROWS[:, :2], LABELS), 2).save_raw("ubj"))
    found = alike({"m.ubj": narrow}, {"m.ubj": narrow})
    assert (found["verdict"], found["rows"]) == ("identical-bytes", 0)
    assert "2 features" in found["a"]["why_no_scores"]


class Runs:
    """A pickle of this runs code."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit(7)",))


def hostile() -> dict[str, bytes]:
    """Files that are no model, or one that should not be opened."""
    rogue = io.BytesIO()
    with zipfile.ZipFile(rogue, "w") as archive:
        state = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}}
        archive.writestr("schema.json", json.dumps(state))
    return {
        "pickle.ubj": pickle.dumps(Runs()),
        "cut.ubj": bytes(booster().save_raw("ubj"))[:500],
        "nothing.txt": b"",
        "rogue.skops": rogue.getvalue(),
        "long.safetensors": (1 << 62).to_bytes(8, "little") + b"{}",
        "outside.safetensors": tensors(a=np.ones(3, np.float32))[:-4],
        "deep.json": b"[" * 100_000,
    }


@pytest.mark.parametrize("name", hostile())
def test_what_is_no_model_is_refused(alike: Compare, name: str) -> None:
    """A pickle under another name, a cut file, a foreign type: refused with a code, and nothing of it runs."""
    good = {"m.ubj": bytes(booster().save_raw("ubj"))}
    with pytest.raises((Invalid, IntegrityError)) as refused:
        alike({name: hostile()[name]}, good)
    assert isinstance(refused.value, MunimentError)


def test_several_models_are_not_one(alike: Compare) -> None:
    """A folder with two models is refused: nobody could say which was meant."""
    good = bytes(booster().save_raw("ubj"))
    with pytest.raises(Invalid) as refused:
        alike({"a.ubj": good, "b.ubj": good}, {"a.ubj": good})
    assert refused.value.code == "MUNI-D199"
