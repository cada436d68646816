"""A scientist of one project names things of another one in every field that takes a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from asking import furnish_catalog, state
from muniment.catalog.model import EntityKind
from muniment.catalog.naming import resolve
from muniment.errors import MunimentError, NotFound
from muniment.testing.platform import OTHER, PROJECT, People
from muniment.wire.catalog import GetEntity, GetLineage, ProveUnused
from muniment.wire.data import ProfileDataset, ShowDataset, SplitDataset
from muniment.wire.execution import (
    CancelRun,
    CompareRuns,
    EvaluateModel,
    GetLog,
    ReproduceModel,
    RunScript,
    ShowRun,
    TrainModel,
)
from muniment.wire.inventory import (
    CheckApproval,
    DeclareDependency,
    FetchModel,
    PrepareSignature,
    RegisterModel,
    ShowDependencies,
    ShowModel,
    ShowVersion,
    SubmitModel,
)

pytestmark = pytest.mark.slow

DATA, MODEL, RUN = "data", "model", "run"
ABSENT: Mapping[str, str] = {
    DATA: "sha256:" + "0" * 64,
    MODEL: "sha256:" + "0" * 64,
    RUN: "run:00000000000000000000000000",
}
HALVES = {"a": 0.5, "b": 0.5}

Asked = tuple[type[msgspec.Struct], str, dict[str, Any]]
FIELDS: list[Asked] = [
    (GetEntity, "reference:data", {}),
    (GetEntity, "reference:model", {}),
    (GetLineage, "reference:data", {}),
    (GetLineage, "reference:run", {}),
    (ProveUnused, "reference:data", {"model": "model:scorer"}),
    (ProveUnused, "model:model", {"reference": "data:credit"}),
    (ShowDataset, "dataset:data", {}),
    (SplitDataset, "dataset:data", {"parts": HALVES}),
    (ProfileDataset, "dataset:data", {}),
    (TrainModel, "data:data", {"experiment": "e", "algorithm": "xgboost", "target": "age"}),
    (RunScript, "inputs:data", {"entry": "a.py"}),
    (RunScript, "inputs:model", {"entry": "a.py"}),
    (EvaluateModel, "model:model", {"data": "data:credit"}),
    (EvaluateModel, "data:data", {"model": "model:scorer"}),
    (ReproduceModel, "model:model", {}),
    (ShowModel, "model:model", {}),
    (ShowVersion, "model:model", {}),
    (CheckApproval, "model:model", {}),
    (ShowDependencies, "model:model", {}),
    (RegisterModel, "model:model", {}),
    (PrepareSignature, "model:model", {"meaning": "submitted for validation"}),
    (SubmitModel, "model:model", {}),
    (DeclareDependency, "on:model", {"model": "model:scorer", "reason": "reads it"}),
    (FetchModel, "model:model", {}),
    (ShowRun, "run:run", {}),
    (GetLog, "run:run", {}),
    (CancelRun, "run:run", {}),
    (CompareRuns, "runs:run", {}),
]


@pytest.fixture
def theirs(people: People) -> Mapping[str, str]:
    """Things of the other project, by digest or id; this project has things with the same names."""
    furnish_catalog(people)
    run = furnish_catalog(people, OTHER)["Run"]
    with people.platform.store.read() as session:
        data = resolve(session, OTHER, "data:credit", EntityKind.DATA).digest
        model = resolve(session, OTHER, "model:scorer", EntityKind.MODEL).digest
    return {DATA: str(data), MODEL: str(model), RUN: run}


@pytest.mark.parametrize("asked", FIELDS, ids=lambda asked: f"{asked[0].__name__}.{asked[1]}")
def test_what_belongs_to_another_project_is_not_there(people: People, theirs: Mapping[str, str], asked: Asked) -> None:
    """By digest or id it is answered like something that nobody has, word for word, and nothing changes."""
    kind, field, others = asked
    name, _, what = field.partition(":")
    before = state(people.platform)
    answers = set()
    for reference in (theirs[what], ABSENT[what]):
        value: Any = {"x": reference} if name == "inputs" else [reference] * 2 if name == "runs" else reference
        request = msgspec.convert({"project": PROJECT, **others, name: value}, kind)
        with pytest.raises(MunimentError) as refused:
            people.ask("scientist", request, b"tar" if kind is RunScript else None)
        assert isinstance(refused.value, NotFound)
        said = f"{refused.value.code} {refused.value.message}"
        for part in (reference, reference.removeprefix("run:"), reference[7:19]):
            said = said.replace(part, "…")
        answers.add(said)
    assert len(answers) == 1, answers
    assert state(people.platform) == before


def test_an_ending_of_an_id_finds_no_run_of_another_project(people: People, theirs: Mapping[str, str]) -> None:
    """The short form of a run is looked up in the own project only."""
    with pytest.raises(NotFound):
        people.ask("scientist", ShowRun(project=PROJECT, run=theirs[RUN][-8:]))
    assert people.ask("outsider", ShowRun(project=OTHER, run=theirs[RUN][-8:])).run == theirs[RUN]


def test_a_name_means_what_it_means_in_the_own_project(people: People, theirs: Mapping[str, str]) -> None:
    """Both projects have a data set of this name: each scientist sees his."""
    seen = people.ask("scientist", ShowDataset(project=PROJECT, dataset="data:credit")).digest
    assert seen != theirs[DATA]
    assert people.ask("outsider", ShowDataset(project=OTHER, dataset="data:credit")).digest == theirs[DATA]
