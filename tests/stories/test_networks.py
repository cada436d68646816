"""A small network of PyTorch, for real: trained, watched, made again by another person, and compared, on CPUs.

PyTorch's wheel for CPUs alone has a local version, which only its makers' index has: where pip is set up to find it the
tests run, and elsewhere they say why they do not.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import cache_folder
from muniment.sdk.client import Client
from muniment.testing.platform import Site
from muniment.wire.execution import RunDetail, RunScript, Watching
from working import World, working

pytestmark = pytest.mark.slow

TORCH: Final = "2.13.0+cpu"
LOCK: Final = Path(__file__).parents[2] / "locks/torch.txt"
ROWS: Final = "".join(f"{n % 13},{n % 7},{int((n % 7) * (n % 13) > 30)}\n" for n in range(2_000))
RULES: Final = ("DeadRelu", "ExplodingTensor", "SaturatedActivation", "UnchangedTensor", "VanishingGradient")
TRAIN: Final = """
import json, os, time
import muniment, polars as pl, torch
from safetensors.torch import save_file
from torch import nn

given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
torch.manual_seed(int(os.environ["MUNIMENT_SEED"]))
torch.set_num_threads(given.get("threads", 2))
table = pl.read_parquet(os.environ["SM_CHANNEL_TRAIN"] + "/*.parquet")
x = torch.tensor(table.select("a", "b").to_numpy(), dtype=torch.float32)
y = torch.tensor(table["y"].to_numpy(), dtype=torch.float32)
# The gradient of PReLU's one weight is a sum over a whole layer, which threads divide among them.
net = nn.Sequential(
    nn.Linear(2, 64), nn.PReLU(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(), nn.Flatten(0)
)
if given.get("dead"):
    nn.init.constant_(net[2].bias, -1e3)
optimizer = torch.optim.SGD(net.parameters(), 0.1)
watched = muniment.watch(net, every=10)
for step in range(40):
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    muniment.log(step=watched.step, train_loss=loss)
time.sleep(60 if given.get("dead") else 0)
target = os.environ["SM_MODEL_DIR"]
stamp = {"at": str(time.time_ns())} if given.get("stamp") else None
save_file(net.state_dict(), target + "/net.safetensors", metadata=stamp)
if not stamp:
    kinds = {"input_names": ["rows"], "dynamic_axes": {"rows": {0: "n"}}, "dynamo": False}
    torch.onnx.export(net.eval(), (x[:2],), target + "/net.onnx", **kinds)
"""
PICKLES: Final = """
import torch
from muniment.programs.model_formats import HEAD_BYTES, recognise
net = torch.nn.Sequential(torch.nn.Linear(2, 1))
torch.save(net.state_dict(), "/tmp/state.pt")
torch.save(net.state_dict(), "/tmp/old.pt", _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(net), "/tmp/script.pt")
torch.export.save(torch.export.export(net, (torch.zeros(2, 2),)), "/tmp/program.pt2")
for name in ("state.pt", "old.pt", "script.pt", "program.pt2"):
    content = open("/tmp/" + name, "rb").read()
    found = recognise(content[:HEAD_BYTES], content[-HEAD_BYTES:])
    assert found is not None and found.dangerous, name
    print(f"refused={len(name)}")
torch.save(net.state_dict(), "/opt/ml/model/weights.bin")
"""


def torch_wheel() -> Path:
    """The wheel, from the cache of this machine or from wherever pip finds it; without one the test is skipped."""
    folder = cache_folder() / "wheels"
    wanted = f"torch-{TORCH}-cp{sys.version_info.major}{sys.version_info.minor}-*.whl"
    if not list(folder.glob(wanted)):
        command = ("pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
        done = subprocess.run(
            [sys.executable, "-m", *command, f"torch=={TORCH}"], capture_output=True, text=True, check=False
        )
        if "No matching distribution" in done.stderr:
            pytest.skip(f"pip knows no wheel of torch {TORCH} here: its makers' index for CPUs has it")
        assert done.returncode == 0, done.stderr
    return next(iter(folder.glob(wanted)))


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform with a job environment of PyTorch, and two data sets that differ in one row."""
    wheel = torch_wheel()
    with working(site, tmp_path_factory.mktemp("networks")) as opened:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lock = f"{LOCK.read_text(encoding='utf-8')}torch=={TORCH} --hash=sha256:{digest}\n"
        wheels = [wheel, *fetch_wheels(LOCK, cache_folder() / "wheels")]
        operator = Client(opened.platform.transport(opened.people.tokens["operator"]), project="main")
        operator.environments.define("torch", lock, wheels)
        for name, rows in (("credit", ROWS), ("other", ROWS + "12,6,0\n")):
            assert opened.add(f"a,b,y\n{rows}".encode(), name=name, target="y").status == "ok"
        yield opened


def trained(world: World, name: str, data: str = "credit", **params: Any) -> RunDetail:
    """A network, trained in a job and watched by rules."""
    stop_on = ["DeadRelu"] if "dead" in params else []
    return world.script(
        TRAIN,
        inputs={"train": f"data:{data}"},
        name=name,
        env="torch",
        seed=5,
        params=params,
        watching=Watching(rules=list(RULES), stop_on=stop_on),
    )


@pytest.fixture(scope="module")
def first(world: World) -> RunDetail:
    """The network that the others are set against."""
    made = trained(world, "first", threads=2)
    assert made.status == "ok", made.error
    return made


def again(world: World, name: str) -> dict[str, Any]:
    """What a validator's reproduction comes to."""
    door = world.platform.transport(world.people.tokens["validator"])
    client = Client(door, project="main", worker=world.platform.work_until)
    found: dict[str, Any] = client.models.get(name).reproduce(lambda job: None)
    return found


def beside(world: World, name: str, other: str) -> dict[str, Any]:
    """Two models, compared within what single precision can hold."""
    client = Client(
        world.platform.transport(world.people.tokens["validator"]), project="main", worker=world.platform.work_until
    )
    found: dict[str, Any] = client.models.get(name).compare(other, within=1e-4)
    return found


def test_a_network_is_made_again_bit_for_bit_by_another_person(world: World, first: RunDetail) -> None:
    """The same seed, threads, libraries and rows: the same weights and the same graph, in the same bytes."""
    found = again(world, "first")
    assert (found["verdict"], found["grade"], found["requested_by"], found["original_by"]) == (
        "identical-bytes",
        "proven",
        "User:validator",
        "User:scientist",
    )
    assert found["plan"] == first.plan


@pytest.mark.usefixtures("first")
def test_other_threads_are_equivalent_and_named(world: World) -> None:
    """Sums that are divided otherwise end in other bits: within the bound, without a flip; the threads are named."""
    made = trained(world, "single", threads=1)
    assert made.status == "ok", made.error
    found = beside(world, "first", "single")
    assert (found["verdict"], found["cause"]) == ("equivalent", "not alike: parameter threads"), found
    compared = found["comparison"]
    assert (compared["rows"], compared["flips"], compared["equal_canonical_digests"]) == (2_000, 0, False)
    assert 0 < compared["max_difference"] <= 1e-4


@pytest.mark.usefixtures("first")
def test_other_data_are_another_network_and_named(world: World) -> None:
    """One row more gives another network; the cause that comes first is the data."""
    made = trained(world, "more", data="other", threads=2)
    assert made.status == "ok", made.error
    found = beside(world, "first", "more")
    assert (found["verdict"] in ("different", "equivalent"), found["cause"]) == (True, "not alike: data (train)"), found
    assert found["comparison"]["max_difference"] > 1e-6


def test_a_file_that_tells_the_time_holds_the_same_network(world: World) -> None:
    """A file that says more than the weights has other bytes each time: the model is the same, the format the cause."""
    made = trained(world, "stamped", stamp=True)
    assert made.status == "ok", made.error
    found = again(world, "stamped")
    assert (found["verdict"], found["cause"].partition(":")[0]) == ("identical-predictions", "file format"), found
    assert (found["files"], found["comparison"]["equal_canonical_digests"]) == (["net.safetensors"], True)
    assert "no architecture" in found["comparison"]["a"]["why_no_scores"]


def test_rules_watch_a_network_and_stop_its_training(world: World, first: RunDetail) -> None:
    """A healthy network is looked at and left alone; one whose units are dead is stopped, and the verdict is kept."""
    states = {one["rule"]: (one["state"], one["looks"]) for one in first.rules}
    assert states.keys() == set(RULES)
    assert {state for state, _ in states.values()} == {"quiet"}, states
    assert states["DeadRelu"] == ("quiet", 4)
    stopped = trained(world, "dead", dead=True)
    assert stopped.error is not None
    assert (stopped.status, stopped.error["code"], stopped.error["facts"]["rule"]) == (
        "stopped",
        "MUNI-X145",
        "DeadRelu",
    )
    assert "3: 100 % of the units are dead" in stopped.error["facts"]["reason"]


def test_what_pytorch_pickles_is_refused_by_its_content(world: World) -> None:
    """State dicts old and new, TorchScript, exported programs: each holds a pickle, and is known under any name."""
    shown = world.script(PICKLES, env="torch", name="pickled")
    assert shown.error is not None
    assert (shown.status, shown.error["code"], shown.products) == ("failed", "MUNI-D187", []), shown.error
    assert shown.metrics["refused"] == len("program.pt2")
    assert "safetensors" in shown.error["facts"]["do"]
    assert "torch.onnx.export" in shown.error["facts"]["do"]


def test_a_notebook_where_none_can_be_played_is_told_what_is_missing(world: World) -> None:
    """An environment without a kernel refuses a notebook by what it lacks."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("study.ipynb"))
    request = RunScript(project="main", entry="study.ipynb", env="torch")
    shown = world.done(world.people.ask("scientist", request, tree.getvalue()).run)
    assert shown.error is not None
    assert (shown.error["code"], shown.error["facts"]["missing"]) == ("MUNI-N133", ["ipykernel", "nbclient"])
