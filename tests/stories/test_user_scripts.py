"""Scripts as people write them, and as they should not, for real in the sandbox: what runs, comes out, and is left.

A script that goes wrong is stopped or fails with a code that names the place; nothing of it is registered, nothing of
what it printed stands in clear anywhere in the home, and no process of it stays.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from muniment.testing.platform import Site
from muniment.wire.execution import GetLog, JobLimits, ReproduceModel, RunDetail, RunScript
from working import World, working

pytestmark = pytest.mark.slow

SECRET = "tiger-4711-in-the-cellar"
ROWS = "".join(f"{n},{n % 7},{int(n % 7 > 3)}\n" for n in range(200))


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set."""
    with working(site, tmp_path_factory.mktemp("scripts")) as opened:
        assert opened.add(f"id,a,y\n{ROWS}".encode(), name="credit", target="y").status == "ok"
        yield opened


def tree(files: Mapping[str, str], modes: Mapping[str, int] | None = None) -> bytes:
    """A source tree as it is sent."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(text.encode()), (modes or {}).get(name, 0o644)
            tar.addfile(header, io.BytesIO(text.encode()))
    return out.getvalue()


def run(world: World, files: str | Mapping[str, str], **given: Any) -> RunDetail:
    """Run a script, or a tree with ``main.py``."""
    sent = given.pop("sent", None) or tree({"main.py": files} if isinstance(files, str) else files)
    request = RunScript(project="main", **{"entry": "main.py", **given})
    return world.done(world.people.ask("scientist", request, sent).run)


def log(world: World, shown: RunDetail) -> str:
    """What it printed."""
    return str(world.people.ask("scientist", GetLog(project="main", run=shown.run)).text)


def processes() -> set[str]:
    """The command lines of the processes that run from a job environment; not those under other tests that run now."""
    lines, parents = dict[int, str](), dict[int, int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        lines[int(folder.name)] = line
    found = set()
    for number, line in lines.items():
        if "/env/bin/python" in line and "muniment.programs.script" in line:
            above = [number]
            while parents.get(above[-1], 0) > 1:
                above.append(parents[above[-1]])
            if os.getpid() in above or not any("pytest" in lines.get(one, "") for one in above):
                found.add(f"{number} {line}")
    return found


def check_failed(world: World, shown: RunDetail, status: str, code: str) -> None:
    """It ended so, with this code; nothing is registered, and nothing of it is left."""
    assert (shown.status, shown.error and shown.error["code"]) == (status, code), (
        shown.error,
        log(world, shown)[-2000:],
    )
    assert shown.products == []
    assert world.end_of(shown.run)["generated"] == []
    assert processes() == set()
    checked = world.platform.vault.fsck()
    assert checked.sound
    assert checked.findings == ()


def test_a_script_of_the_public_contract_runs_unchanged(world: World) -> None:
    """Argparse with SM_* defaults and hyperparameters, channels, printed metrics, the model folder: as elsewhere."""
    shown = run(
        world,
        """
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--rate", type=float)
parser.add_argument("--layers", type=json.loads)
parser.add_argument("--flag")
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
args, rest = parser.parse_known_args()
assert (args.epochs, args.rate, args.layers, args.flag) == (3, 0.5, [1, 2], "True"), args
assert rest == ["--extra", "x y"], rest
hyper = json.load(open("/opt/ml/input/config/hyperparameters.json"))
assert hyper == json.loads(os.environ["SM_HPS"]) == {"epochs": 3, "rate": 0.5, "layers": [1, 2], "flag": True}
assert os.environ["SM_HP_EPOCHS"] == "3" and json.loads(os.environ["SM_CHANNELS"]) == ["train"]
assert json.load(open("/opt/ml/input/config/inputdataconfig.json"))["train"]["TrainingInputMode"] == "File"
assert json.load(open("/opt/ml/input/config/resourceconfig.json"))["hosts"] == ["job"]
for epoch in range(args.epochs):
    print(f"loss = {1 / (epoch + 1)}")
print("validation:auc=0.75")
with open(os.path.join(args.model_dir, "weights.txt"), "w") as file:
    file.write("tree\\nversion=v4\\n")
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "notes.txt"), "w") as file:
    file.write("done")
""",
        inputs={"train": "data:credit"},
        params={"epochs": 3, "rate": 0.5, "layers": [1, 2], "flag": True},
        arguments=["--extra", "x y"],
    )
    assert shown.status == "ok", (shown.error, log(world, shown))
    assert shown.metrics == {"loss": 1 / 3, "validation:auc": 0.75}
    assert {product.role for product in shown.products} == {"model", "output"}
    assert shown.grade == "proven"


def test_inputs_are_read_as_folders(world: World) -> None:
    """Pyarrow and polars read a channel as a folder of tables, whole and in order."""
    shown = run(
        world,
        """
import os
import polars as pl
import pyarrow.dataset as ds
folder = os.environ["SM_CHANNEL_TRAIN"]
table = ds.dataset(folder).to_table()
frame = pl.read_parquet(folder)
assert table.num_rows == len(frame) == 200, (table.num_rows, len(frame))
assert frame["id"].to_list() == list(range(200)) == table["id"].to_pylist()
print(f"rows={len(frame)}")
""",
        inputs={"train": "data:credit"},
    )
    assert (shown.status, shown.metrics) == ("ok", {"rows": 200.0}), (shown.error, log(world, shown))


def test_a_tree_with_modules_processes_and_live_metrics(world: World) -> None:
    """Modules beside the script import, executables stay executable, multiprocessing works, metrics come by log()."""
    files = {
        "job/main.py": """
import multiprocessing, os, subprocess, sys
import muniment
from parts.work import square
from sibling import NAME
if __name__ == "__main__":
    assert os.access("tool.py", os.X_OK) and not os.access("job/main.py", os.X_OK)
    assert subprocess.check_output([sys.executable, "tool.py"], text=True) == "tool\\n"
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    for step in range(3):
        muniment.log(step=step, auc=0.5 + step / 10, nothing=float("nan"))
    print(NAME)
""",
        "job/parts/__init__.py": "",
        "job/parts/work.py": "def square(n):\n    return n * n\n",
        "job/sibling.py": "NAME = 'sibling'\n",
        "tool.py": "#!/env/bin/python\nprint('tool')\n",
    }
    sent = tree(files, {"tool.py": 0o755})
    shown = run(world, "", sent=sent, entry="job/main.py")
    assert shown.status == "ok", (shown.error, log(world, shown))
    assert shown.metrics == {"auc": 0.7}
    assert log(world, shown).endswith("sibling\n")


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("x = 1\n\nraise ValueError('SECRET')\n", "main.py:3"),
        ("def f():\n    return {}['SECRET']\n\nf()\n", "main.py:2"),
        ("x = (\n", "main.py:1"),
        ("import nowhere_to_be_found\n", "main.py:1"),
        ("class SECRET(Exception): pass\nimport json\njson.loads('SECRET')\n", "main.py:3"),
    ],
    ids=["raise", "nested", "syntax", "import", "library"],
)
def test_a_crash_names_the_line_and_nothing_else(world: World, code: str, where: str) -> None:
    """The error says type and line; what the exception says stands in the sealed log alone."""
    shown = run(world, code.replace("SECRET", SECRET.replace("-", "_")))
    check_failed(world, shown, "failed", "MUNI-D166")
    assert shown.error is not None
    assert shown.error["facts"]["where"] == where
    assert SECRET.replace("-", "_") not in str(shown.error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit(3)", ("MUNI-D165", 3)),
        ("import sys; sys.exit('no luck')", ("MUNI-D165", 1)),
        ("import os; os._exit(7)", ("MUNI-X136", 7)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ("MUNI-X136", None)),
    ],
    ids=["exit", "message", "hard exit", "signal"],
)
def test_every_way_out_is_told(world: World, code: str, expected: tuple[str, int | None]) -> None:
    """An exit code, a message, a hard exit and a signal each end the run as failed, with what there is to say."""
    shown = run(world, code)
    check_failed(world, shown, "failed", expected[0])
    assert shown.exit_code == expected[1]


HANG = "import time\nwhile True:\n    time.sleep(1)\n"
BUSY = "while True:\n    pass\n"
IGNORE = "import signal\nfor n in (signal.SIGTERM, signal.SIGINT):\n    signal.signal(n, signal.SIG_IGN)\n"
FORK = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
DAEMON = "import os, time\nif not os.fork():\n    os.setsid()\n    os.fork() or time.sleep(600)\n    os._exit(0)\n"
HUNGRY = "x = []\nwhile True:\n    x.append(bytearray(1 << 24))\n"
FILL = "with open('/opt/ml/output/data/big', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))\n"
MANY = "for n in range(3000):\n    open(f'/opt/ml/output/data/{n}', 'w').close()\n"


@pytest.mark.parametrize(
    ("code", "limits", "ends"),
    [
        (HANG, JobLimits(wall_s=1), {("timeout", "MUNI-X131")}),
        (IGNORE + HANG, JobLimits(wall_s=1), {("timeout", "MUNI-X131")}),
        (BUSY, JobLimits(cpu_s=1, wall_s=20), {("limit", "MUNI-X133")}),
        (FORK, JobLimits(wall_s=2, processes=64), {("timeout", "MUNI-X131")}),
        (HUNGRY, JobLimits(memory_mb=256, wall_s=30), {("oom", "MUNI-X132"), ("failed", "MUNI-D166")}),
        (FILL, JobLimits(output_mb=8, wall_s=30), {("failed", "MUNI-D166"), ("limit", "MUNI-X133")}),
        (MANY, JobLimits(wall_s=30), {("failed", "MUNI-D166"), ("limit", "MUNI-X133")}),
    ],
    ids=["hang", "ignores signals", "busy", "fork bomb", "hungry", "fills the disk", "endless files"],
)
def test_what_does_not_stop_is_stopped(world: World, code: str, limits: JobLimits, ends: set[tuple[str, str]]) -> None:
    """A job that hangs, spins, forks without end, eats memory or fills the disk is stopped at its limit, all of it."""
    shown = run(world, code, limits=limits)
    assert shown.error is not None
    assert (shown.status, shown.error["code"]) in ends, (shown.status, shown.error)
    check_failed(world, shown, shown.status, shown.error["code"])
    assert shown.usage is not None
    assert shown.usage["wall_s"] < 25


def test_a_daemon_does_not_outlive_its_job(world: World) -> None:
    """A process that detaches from the script is gone when the job is."""
    shown = run(world, DAEMON)
    assert shown.status == "ok", (shown.error, log(world, shown))
    assert processes() == set()


def test_a_flood_of_log_is_cut_and_blocks_nothing(world: World) -> None:
    """A log beyond its bound is cut there; the job runs to its end, and the metrics after the flood count."""
    shown = run(
        world, "for n in range(200000):\n    print('x' * 100)\nprint('\\nauc=0.5')\n", limits=JobLimits(log_kb=64)
    )
    assert (shown.status, shown.log_bytes <= 64 << 10) == ("ok", True), shown.error
    assert shown.log_bytes > 60 << 10


def test_what_a_script_prints_is_nowhere_in_clear(world: World) -> None:
    """A secret that is printed, raised, exited with or written is in the sealed log, and in no file of the home."""
    for code in (
        f"print('{SECRET}')\nimport sys\nprint('{SECRET}', file=sys.stderr)\nraise ValueError('{SECRET}')\n",
        f"import sys\nsys.exit('{SECRET}')\n",
        f"open('/opt/ml/output/failure', 'w').write('{SECRET}')\nimport os\nos._exit(1)\n",
        f"open('/tmp/x', 'w').write('{SECRET}')\nopen('/opt/ml/output/data/x', 'w').write('{SECRET}')\n",
    ):
        sent = tree({"main.py": f"exec(bytes.fromhex('{code.encode().hex()}').decode())"})
        shown = run(world, "", sent=sent)
        if "print" in code:
            assert SECRET in log(world, shown)
        assert SECRET not in str(shown)
    needles = (SECRET.encode(), SECRET.encode().hex().encode())
    clear = [
        path
        for path in world.platform.home.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]
    assert clear == []


STRANGE = """
import os, socket
root = "/opt/ml/model"
open(f"{root}/fine.txt", "w").write("tree")
os.symlink("/etc/passwd", f"{root}/link")
os.symlink("/opt/ml/input", f"{root}/folder")
os.link(f"{root}/fine.txt", f"{root}/hard")
os.mkfifo(f"{root}/pipe")
s = socket.socket(socket.AF_UNIX); s.bind(f"{root}/socket")
open(f"{root}/line\\nfeed", "w").write("x")
"""


def test_links_pipes_and_sockets_are_no_results(world: World) -> None:
    """Results are plain files: whatever else is there is named with its reason, never followed, and fails the run."""
    shown = run(world, STRANGE)
    check_failed(world, shown, "failed", "MUNI-X141")
    refused = {one["path"].rpartition("/")[2] for one in shown.refused}
    assert {"link", "folder", "pipe", "socket", "hard"} <= refused, (shown.refused, log(world, shown))


PICKLES = {
    "pickle": "import pickle\npickle.dump([1, 2], open('/opt/ml/model/model.pkl', 'wb'))\n",
    "protocol 0": "import pickle\npickle.dump(print, open('/opt/ml/model/model.txt', 'wb'), protocol=0)\n",
    "joblib": "import joblib, numpy\njoblib.dump({'a': numpy.arange(3)}, '/opt/ml/model/m.bin', compress=3)\n",
    "torch": (
        "import pickle, zipfile\n"
        "with zipfile.ZipFile('/opt/ml/model/model.pt', 'w') as z:\n"
        "    z.writestr('archive/data.pkl', pickle.dumps({'w': 1}))\n"
        "    z.writestr('archive/version', '3')\n"
    ),
    "beside the model": "import pickle\npickle.dump([1], open('/opt/ml/output/data/state.json', 'wb'))\n",
}


@pytest.mark.parametrize("code", PICKLES.values(), ids=PICKLES.keys())
def test_what_runs_code_when_opened_is_refused(world: World, code: str) -> None:
    """pickle, joblib and torch files are known by content under any name; the advice names what to save instead."""
    shown = run(world, "open('/opt/ml/model/fine.txt', 'w').write('tree\\nversion=v4')\n" + code)
    check_failed(world, shown, "failed", "MUNI-D187")
    assert shown.error is not None
    assert "save" in shown.error["facts"]["do"] or "safetensors" in shown.error["facts"]["do"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "MUNI-D163"),
        (b"not a tar at all" * 100, "MUNI-D163"),
        (tree({"other.py": ""}), "MUNI-D164"),
        (tree({"main.py": "", "../escape.py": ""}), "MUNI-D161"),
        (tree({"main.py": "", "/absolute.py": ""}), "MUNI-D161"),
        (tree({"main.py": "", "main.py/below": ""}), "MUNI-D163"),
    ],
    ids=["empty", "no tar", "no script", "dots", "absolute", "file as folder"],
)
def test_a_tree_that_is_none_is_refused_inside(world: World, sent: bytes, code: str) -> None:
    """A source tree that is no tar, leaves its folder or lacks the script fails with a code; nothing of it is run."""
    request = RunScript(project="main", entry="main.py")
    shown = world.done(world.people.ask("scientist", request, sent).run)
    check_failed(world, shown, "failed", code)


def test_a_tree_with_a_link_is_refused_inside(world: World) -> None:
    """A link in a source tree is no plain file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        header = tarfile.TarInfo("main.py")
        header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(header)
    shown = world.done(world.people.ask("scientist", RunScript(project="main", entry="main.py"), out.getvalue()).run)
    check_failed(world, shown, "failed", "MUNI-D161")


DETERMINED = """
import os, random
import numpy as np
random.seed(int(os.environ["MUNIMENT_SEED"]))
weights = np.random.default_rng(random.randrange(100)).normal(size=5)
open("/opt/ml/model/weights.txt", "w").write("tree\\n" + repr(list(map(float, weights))) + repr({"a", "b", "c"}))
"""
RANDOM = """
import os
open("/opt/ml/model/steady.txt", "w").write("always")
open("/opt/ml/model/weights.txt", "w").write(os.urandom(8).hex())
"""


@pytest.mark.parametrize(
    ("code", "name", "verdict", "files"),
    [(DETERMINED, "steady", "identical-bytes", None), (RANDOM, "chance", "different", ["weights.txt"])],
    ids=["deterministic", "random"],
)
def test_a_script_is_reproduced_by_another_person(
    world: World, code: str, name: str, verdict: str, files: list[str] | None
) -> None:
    """A deterministic script gives the validator the same bytes; one that writes chance differs, in the files named."""
    shown = run(world, code, name=name, seed=11)
    assert shown.status == "ok", (shown.error, log(world, shown))
    again = world.people.ask("validator", ReproduceModel(project="main", model=f"model:{name}"))
    reproduced = world.done(again.run)
    assert reproduced.status == "ok", reproduced.error
    assert reproduced.verdict is not None
    assert (reproduced.verdict["verdict"], reproduced.verdict.get("files")) == (verdict, files)
    assert reproduced.verdict["requested_by"] == "User:validator"


def test_no_process_of_a_job_is_left(world: World) -> None:
    """After all of this, nothing that was started inside is still running."""
    assert processes() == set()
