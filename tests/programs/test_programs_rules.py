"""What trainings report for rules: cheap, told apart by collection, and without any effect on the model."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conftest import Bench, snapshot, start
from muniment.analytics.rules.summary import summarise
from muniment.programs.debugging import Debugging

PLAN = {"rules": {"Confusion": {}, "UnchangedTensor": {"rtol": 1e-5, "atol": 1e-8}}, "stop_on": [], "custom": []}


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Rows that a model can learn from, a few of them unlabelled by the first feature."""
    chance = np.random.default_rng(3)
    matrix = chance.normal(size=(900, 5))
    labels = (matrix[:, 0] + 0.4 * chance.normal(size=900) > 0).astype(np.int64)
    columns = {f"x{number}": matrix[:, number] for number in range(5)}
    return pa.table({**columns, "y": labels})


def trained(
    desk: Bench, rows: pa.Table, algorithm: str, rules: Any, **given: Any
) -> tuple[dict[str, bytes], list[Any]]:
    """The files of a model and what its training reported."""
    desk.given(algorithm=algorithm, target="y", **given)
    desk.channel("train", snapshot(rows.slice(0, 600), "y"))
    desk.channel("validation", snapshot(rows.slice(600), "y"))
    environment = {"MUNIMENT_RULES": json.dumps(rules)} if rules else {}
    status, lines, errors = start(desk.root, "-m", "muniment.programs.train", **environment)
    assert status == 0, errors
    files = {path.name: path.read_bytes() for path in (desk.root / "model").iterdir()}
    return files, lines


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [("xgboost", {"num_boost_round": 30}), ("lightgbm", {"num_iterations": 30}), ("logistic_regression", {})],
)
def test_being_watched_changes_no_byte_of_a_model(
    bench: Callable[[str], Bench], rows: pa.Table, algorithm: str, given: dict[str, Any]
) -> None:
    """With and without rules the model's files are the same; without rules nothing is reported for them."""
    plain, quiet = trained(bench("plain"), rows, algorithm, None, **given)
    watched, told = trained(bench("watched"), rows, algorithm, PLAN, **given)
    assert plain == watched
    assert [line for line in quiet if "event" in line] == []
    events = [line for line in told if line.get("event") == "tensor"]
    collections = {line["collection"] for line in events}
    assert {"importance", "confusion"} <= collections
    assert ("trees" in collections) == (algorithm != "logistic_regression")
    assert set(next(one for one in events if one["collection"] == "importance")["facts"]) == {f"x{n}" for n in range(5)}
    matrix = next(one for one in events if one["collection"] == "confusion")["facts"]["matrix"]
    assert sum(map(sum, matrix)) == 300
    losses = {line["name"] for line in told if "value" in line}
    assert {"train.logloss", "validation.logloss"} <= losses
    assert sum(line["collection"] == "importance" for line in events) <= 31


def test_the_depth_that_is_told_is_that_of_the_trees(bench: Callable[[str], Bench], rows: pa.Table) -> None:
    """Trees are walked, leaf by leaf grown ones too: no depth beyond the bound, and the bound is reached."""
    for algorithm, given in (
        ("xgboost", {"num_boost_round": 20, "max_depth": 3, "min_child_weight": 0}),
        ("lightgbm", {"num_iterations": 20, "max_depth": 3, "num_leaves": 8, "min_data_in_leaf": 2}),
    ):
        _, told = trained(bench(algorithm), rows, algorithm, PLAN, **given)
        depths = [one["facts"] for one in told if one.get("collection") == "trees"]
        assert max(one["depth"] for one in depths) == 3
        assert sum(one["trees"] for one in depths) == 20


def test_rows_can_be_held_back(bench: Callable[[str], Bench], rows: pa.Table) -> None:
    """A share of the training rows is not learned from, drawn with the seed, and its loss is reported."""
    desk = bench("share")
    desk.given(algorithm="xgboost", target="y", num_boost_round=5, validation_fraction=0.25, seed=4)
    desk.channel("train", snapshot(rows, "y"))
    status, lines, errors = start(desk.root, "-m", "muniment.programs.train")
    assert status == 0, errors
    assert {line["step"] for line in lines if line["name"] == "validation.logloss"} == set(range(5))
    desk.given(algorithm="xgboost", target="y", validation_fraction=0.0001)
    desk.channel("train", snapshot(rows.slice(0, 40), "y"))
    status, _, errors = start(desk.root, "-m", "muniment.programs.train")
    assert status == 1
    assert "MUNI-N106" in errors


def test_a_tensor_becomes_a_few_numbers() -> None:
    """Counts, moments and shares are those of the tensor; bad values are counted and left out of moments."""
    facts = summarise(np.array([[0.0, 2.0], [np.nan, np.inf]]), "weight")
    assert (facts["size"], facts["zeros"], facts["nan"], facts["inf"]) == (4, 1, 1, 1)
    assert (facts["mean"], facts["var"], facts["mean_abs"]) == (1.0, 1.0, 1.0)
    relu = summarise(np.array([[0.0, 1.0], [0.0, 0.0]]), "relu")
    assert relu["unit_active"] == [0.0, 50.0]
    tanh = summarise(np.array([[10.0, 0.0], [9.0, -9.6]]), "tanh")
    assert tanh["unit_active"] == [50.0, 50.0]
    sigmoid = summarise(np.array([[16.9], [17.0], [-23.1], [-22.0]]), "sigmoid")
    assert sigmoid["unit_active"] == [50.0]
    images = summarise(np.full((4, 3, 2, 2), 0.5), "image")
    assert (images["samples"], images["channel_mean"]) == (4, [0.5, 0.5, 0.5])
    words = summarise(np.array([[0, 0], [0, 7]]), "sequence", tokens=["9"])
    assert words == {"size": 4, "tokens": {"0": 3, "7": 1, "9": 0}}
    assert summarise(np.ones(3), "weight", before=np.ones(3))["close"] is True
    assert summarise(np.ones(3), "weight", before=np.ones(3) * 1.01)["close"] is False
    assert summarise(np.ones(3), "weight", before=np.zeros(3))["update_mean_abs"] == 1.0
    assert "close" not in summarise(np.ones(3), "weight", before=np.ones(4))
    assert len(summarise(np.ones((2, 5000)), "relu")["unit_active"]) == 1024
    assert summarise(np.array([]), "weight")["size"] == 0


def test_without_rules_a_tensor_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is worked out when nobody looks: what is given is not even taken as an array."""
    assert not Debugging({}).active
    read, write = os.pipe()
    monkeypatch.setenv("MUNIMENT_METRICS_FD", str(write))
    Debugging(PLAN).tensor("w", [1.0, 2.0], "weight", 3)
    os.close(write)
    with os.fdopen(read) as pipe:
        (line,) = [json.loads(line) for line in pipe]
    assert (line["event"], line["name"], line["collection"], line["step"]) == ("tensor", "w", "weight", 3)


def test_a_rule_of_the_users_own_looks_at_what_the_script_reports(
    bench: Callable[[str], Bench], tmp_path: Path
) -> None:
    """It is given the latest events at each step, fires once, and one that fails is told and ends nothing."""
    files = {
        "main.py": "import muniment\nfor step in range(5):\n    muniment.log(loss=5 - step, step=step)\n",
        "mine.py": "def check(window):\n    last = window[-1]\n    if last['value'] < 3:\n"
        "        return {'message': 'low', 'loss': last['value']}\n",
        "bad.py": "def check(window):\n    raise KeyError('secret')\n",
    }
    desk = bench("own")
    (desk.root / "input").mkdir(parents=True)
    with tarfile.open(desk.root / "input/source.tar", "w") as tar:
        for name, text in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(text)
            tar.addfile(header, io.BytesIO(text.encode()))
    environment = {"MUNIMENT_ENTRY": "main.py", "MUNIMENT_TREE": str(tmp_path / "tree")}
    plan = {"rules": {}, "stop_on": [], "custom": ["mine.py:check", "bad.py:check"]}
    command = ("-m", "muniment.programs.script")
    status, lines, errors = start(desk.root, *command, **environment, MUNIMENT_RULES=json.dumps(plan))
    assert status == 0, errors
    told = [line for line in lines if line.get("event") == "rule"]
    fired = [line for line in told if line["fired"]]
    assert [(one["name"], one["step"], one["message"], one["facts"]) for one in fired] == [
        ("mine.py:check", 3, "low", {"loss": 2})
    ]
    assert [one["message"] for one in told if one["name"] == "bad.py:check"] == ["the rule failed: KeyError"]
    missing = {**plan, "custom": ["none.py:check"]}
    environment["MUNIMENT_TREE"] = str(tmp_path / "tree2")
    status, _, _ = start(desk.root, *command, **environment, MUNIMENT_RULES=json.dumps(missing))
    assert status != 0


def asked(desk: Bench, **given: Any) -> dict[str, Any]:
    """The report of a suggestion."""
    desk.given(**given)
    status, _, errors = start(desk.root, "-m", "muniment.programs.suggest")
    assert status == 0, errors
    report: dict[str, Any] = desk.result("report.json")
    return report


SPACE = {
    "depth": {"kind": "int", "low": 2, "high": 8},
    "eta": {"kind": "log", "low": 0.01, "high": 0.3},
    "kind": {"kind": "choice", "choices": ["a", "b"]},
}
HISTORY = [
    [[2 + number % 7, 0.01 * (1 + number), "ab"[number % 2]], 0.7 + 0.01 * (number % 7), "done"] for number in range(14)
] + [[[3, 0.2, "a"], 0.5, "pruned"], [[3, 0.2, "b"], None, "failed"]]


def test_suggestions_follow_from_history_and_seed(bench: Callable[[str], Bench]) -> None:
    """The same history and seed give the same trials, within the space, none twice; another seed gives others."""
    given = {"mode": "suggest", "space": SPACE, "history": {"trials": HISTORY}, "count": 3, "maximise": True}
    one, same = asked(bench("one"), **given, seed=5), asked(bench("same"), **given, seed=5)
    other = asked(bench("other"), **given, seed=6)
    assert one == same
    assert one["suggestions"] != other["suggestions"]
    assert len({json.dumps(each) for each in one["suggestions"]}) == 3
    for each in one["suggestions"]:
        assert isinstance(each["depth"], int)
        assert 2 <= each["depth"] <= 8
        assert 0.01 <= each["eta"] <= 0.3
        assert each["kind"] in ("a", "b")


def test_what_mattered_is_found(bench: Callable[[str], Bench]) -> None:
    """Of an objective that hangs on the depth alone the depth explains most; with too few trials nothing is claimed."""
    told = asked(bench("told"), mode="explain", space=SPACE, history={"trials": HISTORY}, maximise=True)
    assert told["importances"]["depth"] > 0.7
    assert sum(told["importances"].values()) == pytest.approx(1.0)
    assert (told["trials"], told["best"]) == (14, pytest.approx(0.76))
    assert [cell["trials"] for cell in told["marginals"]["kind"]] == [7, 7]
    few = asked(bench("few"), mode="explain", space=SPACE, history={"trials": HISTORY[:2]}, maximise=True)
    assert few["undefined"] == "too few trials that differ"
    assert set(few["importances"].values()) == {None}
