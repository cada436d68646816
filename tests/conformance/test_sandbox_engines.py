"""What every engine promises, on the real engines; and how one is chosen, probed and diagnosed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import sandboxing
from muniment.adapters.sandbox import (
    Bubblewrap,
    Landlock,
    NoWalls,
    Require,
    choose_engine,
    diagnose,
    explain,
)
from muniment.adapters.sandbox.canaries import Runner
from muniment.adapters.sandbox.folder import run_without_walls
from muniment.errors import Unavailable
from muniment.execution.ports import WALLS, ExitStatus, Launch, Strength
from muniment.kernel.digest import Digest

pytestmark = pytest.mark.slow

CONTRACT = """
import json, os, sys
root = os.environ["MUNIMENT_ML_ROOT"] if "MUNIMENT_ML_ROOT" in os.environ else "/opt/ml"
fd = int(os.environ["MUNIMENT_METRICS_FD"])
rows = open(os.environ["SM_CHANNEL_TRAIN"] + "/rows.txt").read().split()
config = json.load(open(root + "/input/config/hyperparameters.json"))
os.write(fd, json.dumps({"name": "rows", "value": len(rows)}).encode() + b"\\n")
os.write(fd, b'{"name": "half", '); os.write(fd, b'"value": 0.5}\\n')
open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write(config["kind"])
open(sys.argv[1], "w").write("report")
print("to out", flush=True)
print("to err", file=sys.stderr, flush=True)
print(os.path.samefile(os.getcwd(), root + "/output"), os.getuid() != 0)
"""


@pytest.fixture(params=["bwrap", "landlock", "none"])
def runner(request: pytest.FixtureRequest, sandbox_folder: Path) -> Runner:
    """Each engine in turn; one that this machine lacks is skipped, or fails in CI."""
    if request.param == "none":
        return run_without_walls
    found = sandboxing.runners(sandbox_folder).get(request.param)
    if found is None:
        sandboxing.missing(f"{request.param} is not on this machine")
    return found


@pytest.fixture(scope="module")
def sandbox_folder() -> Path:
    """Where the test engines keep base and canary reports."""
    return sandboxing.workplace()


def _contract() -> Launch:
    return Launch(
        argv=(sandboxing.base().interpreter, "-s", "-P", "/opt/ml/code/main.py", "/opt/ml/output/data/report.txt"),
        environment={"SM_CHANNEL_TRAIN": "/opt/ml/input/data/train", "SM_MODEL_DIR": "/opt/ml/model"},
        base=sandboxing.base().root,
        inputs=(sandboxing.sealed("/opt/ml/input/data/train/rows.txt", b"1 2 3"),),
        files=(
            sandboxing.Inline("/opt/ml/code/main.py", CONTRACT.encode()),
            sandboxing.Inline("/opt/ml/input/config/hyperparameters.json", b'{"kind": "gbm"}'),
        ),
    )


def test_a_job_finds_the_public_layout(runner: Runner) -> None:
    """Channels, configuration, variables, results, log, metrics and working directory are where the contract says."""
    end, recorder = sandboxing.run(runner, _contract())
    assert end.status is ExitStatus.OK, recorder.text
    assert recorder.outputs == {"model/model.txt": b"gbm", "output/data/report.txt": b"report"}
    assert recorder.metrics == [b'{"name": "rows", "value": 3}', b'{"name": "half", "value": 0.5}']
    assert sorted(recorder.text.splitlines()) == ["True True", "to err", "to out"]
    assert (end.exit_code, end.signal, end.refused, end.log_truncated) == (0, None, (), False)
    assert end.usage.output_bytes == len("gbm") + len("report")
    assert 0 < end.usage.cpu_s < 10
    assert 1000 < end.usage.max_rss_kb < 200_000


def test_a_program_that_is_not_there_fails(runner: Runner) -> None:
    """A wrong path is a failed job that says so, not an engine that hangs."""
    launch = _contract()
    end, recorder = sandboxing.run(
        runner, Launch(("/usr/bin/absent",), {}, launch.base, None, launch.inputs, launch.files)
    )
    assert end.status is ExitStatus.FAILED
    assert "No such file" in recorder.text or "absent" in recorder.text


@pytest.mark.parametrize("make", [Bubblewrap, Landlock])
def test_canaries_pass_and_are_kept(make: type[Bubblewrap] | type[Landlock], tmp_path: Path) -> None:
    """The walls that lineage rests on are enforced here; the report says each attack, and equal walls, equal digest."""
    tmp_path.chmod(0o755)
    try:
        engine = make(tmp_path)
        first = engine.probe()
    except Unavailable as broken:
        sandboxing.missing(f"{broken.message} {broken.facts}")
    assert first.complete, first.walls()
    assert first.canaries == Digest.of(first.report)
    report = json.loads(first.report)
    assert {one["verdict"] for one in report["canaries"]} <= {"blocked", "reached", "not_applicable"}
    assert sum(one["verdict"] == "blocked" for one in report["canaries"]) >= 25
    assert (first.uid, first.supervisor) == (("own", "root") if os.geteuid() == 0 else ("shared", "user"))
    stored = list(tmp_path.glob("canaries-*.json"))
    assert len(stored) == 1
    assert make(tmp_path).probe() == first
    stored[0].unlink()
    again = make(tmp_path).probe()
    assert again == first


def test_a_damaged_canary_note_is_made_again(tmp_path: Path) -> None:
    """A note that cannot be read, or lies in the future, is no finding."""
    tmp_path.chmod(0o755)
    first = Landlock(tmp_path).probe()
    note = next(tmp_path.glob("canaries-*.json"))
    note.write_bytes(b"{")
    assert Landlock(tmp_path).probe() == first
    stored = json.loads(note.read_bytes())
    note.write_text(json.dumps({**stored, "made": stored["made"] + 10 * 86400, "report": {"canaries": []}}))
    assert Landlock(tmp_path).probe() == first


def test_landlock_does_not_claim_what_it_lacks(sandbox_folder: Path) -> None:
    """Names and sizes of host files are visible behind Landlock, and disks are not bounded: on record as such."""
    found = Landlock(sandbox_folder).probe()
    assert found.metadata is Strength.NOT_ENFORCED
    assert found.disk is not Strength.ENFORCED


def test_none_claims_nothing(sandbox_folder: Path) -> None:
    """The engine without walls says so for every wall, and is never complete."""
    found = NoWalls().probe()
    assert found.walls() == dict.fromkeys(WALLS, "not_enforced")
    assert (found.engine, found.complete) == ("none", False)


def test_the_strongest_engine_is_chosen(sandbox_folder: Path) -> None:
    """Where bubblewrap passes it is taken, and every engine is diagnosed with a cause or without one."""
    found = {one.engine: one for one in diagnose(sandbox_folder)}
    chosen = choose_engine(Require.ENFORCED, sandbox_folder)
    assert found[chosen.name].works
    assert chosen.name == ("bwrap" if found["bwrap"].works else "landlock")
    assert all(one.works or one.cause for one in found.values())


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("bwrap: setting up uid map: Permission denied", "profile bwrap"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "profile bwrap"),
        ("bwrap: Creating new namespace failed: No space left on device", "max_user_namespaces"),
        ("bwrap: Failed to make / slave: Permission denied", "--security-opt"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths"),
    ],
)
def test_known_troubles_have_a_fix(said: str, part: str) -> None:
    """What engines say on the machines that are known to forbid them is explained, with what to do."""
    cause, fix = explain(said)
    assert cause != said
    assert part in fix


def test_unknown_troubles_are_shown_as_they_are() -> None:
    """Words that nobody has seen before are passed on whole, without a guess."""
    assert explain("bwrap: something new") == ("bwrap: something new", "")
