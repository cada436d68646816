"""Independent validation for real: a validator measures and explains what a scientist made, in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from muniment.testing.platform import Site
from muniment.wire.catalog import GetLineage, LineageView
from muniment.wire.execution import EvaluateModel, Grouping, RunDetail, TrainModel
from muniment.wire.validation import ExplainModel, ListExplanations
from working import World, working

pytestmark = pytest.mark.slow

ROWS = "".join(
    f"{n},{n % 7},{(n * 37) % 11},{'fm'[n % 5 < 2]},{20 + n % 50},{int((n % 7) + (n * 37) % 11 > 8)}\n"
    for n in range(600)
)


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set and a model of each algorithm."""
    with working(site, tmp_path_factory.mktemp("validation")) as opened:
        assert opened.add(f"id,a,b,sex,age,y\n{ROWS}".encode(), name="credit", target="y").status == "ok"
        for algorithm in ("xgboost", "lightgbm", "logistic_regression"):
            request = TrainModel(
                project="main", experiment="e", data="data:credit", algorithm=algorithm, drop=["sex", "age"],
                name=algorithm.replace("_", "-"),
            )  # fmt: skip
            assert opened.done(opened.people.ask("scientist", request).run).status == "ok"
        yield opened


def asked(world: World, request: Any) -> RunDetail:
    """A job of the validator, until it has ended."""
    return world.done(world.people.ask("validator", request).run)


@pytest.mark.parametrize("model", ["xgboost", "lightgbm", "logistic-regression"])
def test_a_validator_explains(world: World, model: str) -> None:
    """The run is the validator's and proven; the report adds up, is kept as an explanation, and is on the record."""
    found = asked(world, ExplainModel(project="main", model=f"model:{model}", data="data:credit"))
    assert (found.status, found.grade, found.requested_by) == ("ok", "proven", "User:validator"), found.error
    assert found.report is not None
    assert found.report["format"] == "muniment.explanation/1"
    assert {one["name"] for one in found.report["features"]} == {"a", "b"}
    assert found.report["additivity"]["max_error"] <= 1e-5
    assert [(product.kind, product.role) for product in found.products] == [("report", "explanation")]
    listed = world.people.ask("approver", ListExplanations(project="main", model=f"model:{model}")).explanations
    assert (listed[0].run, listed[0].by, listed[0].grade) == (found.run, "User:validator", "proven")
    assert listed[0].report == found.report
    again = asked(world, ExplainModel(project="main", model=f"model:{model}", data="data:credit"))
    assert [one.digest for one in again.products] == [one.digest for one in found.products]


def test_a_validator_measures_fairness_and_stability(world: World) -> None:
    """Groups come from columns that the model never saw, and metrics can be judged by name."""
    request = EvaluateModel(
        project="main", model="model:xgboost", data="data:credit", reference="data:credit",
        groups=[Grouping(column="sex"), Grouping(column="age", cuts=[40])],
    )  # fmt: skip
    found = asked(world, request)
    assert (found.status, found.grade) == ("ok", "proven"), found.error
    assert {"air", "air.sex", "air.age", "spd", "psi", "csi"} <= set(found.metrics)
    assert found.metrics["psi"] == 0
    assert found.report is not None
    assert found.report["metrics"]["air"] == min(one["air"] for one in found.report["groups"])


def test_the_lineage_of_an_explanation_names_model_and_data(world: World) -> None:
    """Where an explanation comes from is on the record: the run used the model and the data."""
    found = asked(world, ExplainModel(project="main", model="model:xgboost", data="data:credit"))
    view = world.people.ask("auditor", GetLineage(project="main", reference=found.run))
    assert isinstance(view, LineageView)
    assert {"model:xgboost@1", "data:credit@1"} <= {node.label for node in view.nodes}
