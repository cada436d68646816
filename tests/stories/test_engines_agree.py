"""The same plan behind other walls: the same bytes, and a record that says which walls there were."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import sandboxing
from muniment.adapters.sandbox import Bubblewrap, Landlock, NoWalls
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.errors import Unavailable
from muniment.execution.ports import Engine
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.data import AddDataset
from muniment.wire.execution import RunDetail, ShowRun, TrainModel
from working import furnished

pytestmark = pytest.mark.slow

ENGINES: dict[str, Callable[[], Engine]] = {
    "bwrap": lambda: Bubblewrap(cache_folder()),
    "landlock": lambda: Landlock(cache_folder()),
    "none": NoWalls,
}


def _table(rows: int) -> bytes:
    """A small table with a signal."""
    chance = random.Random(7)
    lines = ["income,age,default"]
    for _ in range(rows):
        income, age = chance.randint(10, 200), chance.randint(18, 80)
        lines.append(f"{income},{age},{int(income + chance.gauss(0, 40) < 60)}")
    return ("\n".join(lines) + "\n").encode()


def _trained(site: Site, folder: Path, engine: Engine, algorithm: str) -> RunDetail:
    platform = furnished(site).copy(folder).open(engine=engine)
    try:
        people = People(platform, site.tokens)
        file = AddDataset(project=PROJECT, name="small", filename="small.csv", target="default")
        people.ask("scientist", file, _table(400))
        people.work()
        job = TrainModel(project=PROJECT, experiment="Walls", data="data:small", algorithm=algorithm, seed=1)
        run = people.ask("scientist", job).run
        people.work()
        shown: RunDetail = people.ask("scientist", ShowRun(project=PROJECT, run=run))
        return shown
    finally:
        platform.close()


@pytest.mark.parametrize("algorithm", ["logistic_regression", "xgboost", "lightgbm"])
def test_the_same_job_makes_the_same_model_behind_every_engine(algorithm: str, site: Site, tmp_path: Path) -> None:
    """Plan and model have one digest each; the grade is proven behind walls and declared without."""
    runs: dict[str, RunDetail] = {}
    for name, make in ENGINES.items():
        try:
            engine = make()
            engine.probe()
        except Unavailable as lacking:
            sandboxing.missing(f"{name} does not work here: {lacking.facts}")
            continue
        runs[name] = _trained(site, tmp_path / name, engine, algorithm)
        assert (name, runs[name].status, runs[name].error) == (name, "ok", None)
    models = {next(p.digest for p in run.products if p.kind == "model") for run in runs.values()}
    assert len(models) == 1
    assert len({run.plan for run in runs.values()}) == 1
    grades = {name: run.grade for name, run in runs.items()}
    assert grades == {name: "declared" if name == "none" else "proven" for name in runs}
