"""Models made again by somebody else: the same bytes, the same predictions, nearly the same, or another model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from muniment.errors import Invalid
from muniment.sdk.client import Client
from muniment.testing.platform import Site
from muniment.wire.execution import CompareModels, RunDetail, Started
from working import World, working

pytestmark = pytest.mark.slow

ROWS = "".join(f"{n % 13},{n % 7},{int(n % 7 > 3)}\n" for n in range(300))
LOAD = """
import glob, os, time
import numpy as np, polars as pl
data = pl.concat([pl.read_parquet(part) for part in sorted(glob.glob(os.environ["SM_CHANNEL_TRAIN"] + "/*.parquet"))])
x, y = data.select("a", "b").to_numpy().astype(float), data["y"].to_numpy()
target = os.environ["SM_MODEL_DIR"] + "/"
"""
FOREST = """
import skops.io
from sklearn.ensemble import RandomForestClassifier
skops.io.dump(RandomForestClassifier(5, random_state=int(os.environ["MUNIMENT_SEED"])).fit(x, y), target + "m.skops")
"""
LEAVES = """
import lightgbm
settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}
lightgbm.train(settings, lightgbm.Dataset(x, y), 5).save_model(target + "m.txt")
"""
CLOCKWORK = """
import skops.io
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(x, y)
model.coef_ = model.coef_ + SCALE * (1 + time.time_ns() % 1000)
skops.io.dump(model, target + "m.skops")
"""
NETWORK = """
import json, struct
weights = np.random.default_rng(int(os.environ["MUNIMENT_SEED"])).normal(size=(2, 3)).astype("<f4").tobytes()
header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, len(weights)]}}).encode()
open(target + "net.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + weights)
"""


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set."""
    with working(site, tmp_path_factory.mktemp("again")) as opened:
        assert opened.add(f"a,b,y\n{ROWS}".encode(), name="credit", target="y").status == "ok"
        yield opened


def made(world: World, name: str, body: str) -> RunDetail:
    """A model that a script made."""
    shown = world.script(LOAD + body, inputs={"train": "data:credit"}, name=name, seed=5)
    assert shown.status == "ok", shown.error
    return shown


def again(world: World, site: Site, name: str) -> dict[str, Any]:
    """What a validator's reproduction comes to."""
    door = world.platform.transport(site.tokens["validator"])
    client = Client(door, project="main", worker=world.platform.work_until)
    found: dict[str, Any] = client.models.get(name).reproduce(lambda job: None)
    return found


@pytest.mark.parametrize(
    ("name", "body", "verdicts"),
    [
        ("forest", FOREST, {"identical-predictions"}),
        ("leaves", LEAVES, {"identical-bytes"}),
        ("network", NETWORK, {"identical-bytes"}),
        ("nearly", CLOCKWORK.replace("SCALE", "1e-14"), {"equivalent"}),
        ("never", CLOCKWORK.replace("SCALE", "1e-3"), {"different"}),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_a_script_is_made_again_by_another_person(
    world: World, site: Site, name: str, body: str, verdicts: set[str]
) -> None:
    """The verdict says how alike the two are: where bytes differ both are scored on what the first was made of."""
    made(world, name, body)
    found = again(world, site, name)
    assert found["verdict"] in verdicts, found
    assert (found["requested_by"], found["original_by"], found["grade"]) == (
        "User:validator",
        "User:scientist",
        "proven",
    )
    if "identical-bytes" not in verdicts:
        compared = found["comparison"]
        assert (compared["rows"], compared["a"]["why_no_scores"]) == (300, None)
        assert compared["max_difference"] <= 1e-9 or found["verdict"] == "different"
        assert compared["flips"] == 0 or found["verdict"] == "different"


def test_only_models_are_compared(world: World) -> None:
    """Data compared with a model is refused with a code."""
    made(world, "plain", LEAVES)
    with pytest.raises(Invalid):
        world.people.ask("validator", CompareModels(project="main", model="plain", other="data:credit"))


def test_two_versions_are_compared_on_chosen_rows(world: World) -> None:
    """Any two models may be put side by side; the report names the rows and the difference."""
    made(world, "left", LEAVES)
    made(world, "right", LEAVES.replace(", 5)", ", 6)"))
    request = CompareModels(project="main", model="left", other="right", data="data:credit")
    started: Started = world.people.ask("validator", request)
    shown = world.done(started.run)
    assert (shown.status, shown.report and shown.report["verdict"]) == ("ok", "different")
