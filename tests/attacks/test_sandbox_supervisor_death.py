"""kill -9 of the supervisor leaves nothing running: not while a job runs, and not while it is being set up."""

from __future__ import annotations

import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import sandboxing
from muniment.adapters.sandbox.canaries import Runner
from muniment.adapters.sandbox.cgroups import make_groups

pytestmark = pytest.mark.slow

SUPERVISOR = """
import io, sys, threading
from contextlib import contextmanager
import sandboxing
engine, stage, mark, folder = sys.argv[1:]
root = sandboxing.seal_base(sandboxing.Path(folder) / "base")
runner = sandboxing.runners(sandboxing.Path(folder))[engine]

class Stuck(io.BytesIO):
    def read(self, size=-1, /):
        print("up", flush=True)
        threading.Event().wait()

@contextmanager
def stuck():
    yield Stuck()

class Loud(sandboxing.Recorder):
    def log(self, chunk):
        print("up", flush=True)

code = '''
import os, time
for _ in range(3):
    os.fork()
os.setsid() if os.getpid() != os.getpgid(0) else None
print("up", flush=True)
while True:
    time.sleep(1)
'''
inputs = ()
if stage == "staging":
    inputs = (sandboxing.Input("/opt/ml/input/data/x/y", 9, sandboxing.Digest.of(b"x"), stuck),)
launch = sandboxing.Launch(
    argv=(root.interpreter, "-s", "-P", "-u", "/opt/ml/code/main.py", mark),
    environment={}, base=root.root, inputs=inputs,
    files=(sandboxing.Inline("/opt/ml/code/main.py", code.encode()),),
)
sandboxing.run(runner, launch, sink=Loud())
"""


def _descendants(pid: int) -> list[int]:
    """Every process below one, by its folder in /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _alive(pids: list[int]) -> list[str]:
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


@pytest.mark.parametrize("engine", ["bwrap", "landlock"])
@pytest.mark.parametrize("stage", ["running", "staging"])
def test_nothing_outlives_a_killed_supervisor(engine: str, stage: str, request: pytest.FixtureRequest) -> None:
    """Guard, engine, job and its children are gone within two seconds of SIGKILL to the supervisor."""
    request.getfixturevalue({"bwrap": "bubblewrap"}.get(engine, engine))
    mark = secrets.token_hex(16)
    tests = Path(sandboxing.__file__).parent
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, engine, stage, mark, str(sandboxing.workplace())],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tests)},
    )
    try:
        assert supervisor.stdout is not None
        assert select.select([supervisor.stdout], [], [], 30)[0]
        assert supervisor.stdout.readline() == b"up\n"
        below = _descendants(supervisor.pid)
        assert len(below) >= (3 if stage == "running" else 2 if engine == "bwrap" else 1)
    finally:
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        if supervisor.stdout is not None:
            supervisor.stdout.close()
    deadline = time.monotonic() + 2
    while (_alive(below) or sandboxing.left(mark)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _alive(below) == []
    assert sandboxing.left(mark) == []
    assert [one.name for one in Path("/dev/shm").glob(f"muniment-job-{supervisor.pid}-*")] == []


def test_a_job_dies_with_its_guard(walls: Runner) -> None:
    """Kill -9 of the guard alone ends the job too, and the exit says that the guard died."""
    mark, sink = secrets.token_hex(16), sandboxing.Recorder()

    def kill_the_guard() -> None:
        assert sink.spoke.wait(20)
        guard = next(p for p in _descendants(os.getpid()) if b"launcher" in Path(f"/proc/{p}/cmdline").read_bytes())
        os.kill(guard, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_guard)
    killer.start()
    code = "import os, time\nos.fork()\nos.write(1, b'up')\nwhile True: time.sleep(1)"
    end, _ = sandboxing.run(walls, sandboxing.job(code, mark), sink=sink)
    killer.join()
    assert (end.status, "guard" in end.reason) == ("failed", True)
    deadline = time.monotonic() + 2
    while sandboxing.left(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sandboxing.left(mark) == []


def test_no_control_group_or_folder_stays(walls: Runner) -> None:
    """A job that ended leaves no control group and no staging folder behind."""
    end, _ = sandboxing.run(walls, sandboxing.job("pass"))
    assert end.status == "ok"
    groups = make_groups(64 << 20, 16)
    mine = f"muniment-{os.getpid()}-"
    groups.remove()
    for folder in groups.folders:
        assert [one.name for one in Path(folder).parent.glob(f"{mine}*")] == []
