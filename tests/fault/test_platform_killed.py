"""Processes that are killed in the middle of a job: the job dies with them, and the next worker ends the run, once."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from muniment.adapters.sql.catalog import ACTIVITY
from muniment.bootstrap import Platform
from muniment.ledger.model import Search
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import People, Site, furnish
from muniment.wire.execution import GetLog, RunDetail, RunScript, ShowRun
from muniment.wire.inventory import ListModels

pytestmark = pytest.mark.slow

MUNI = str(Path(sysconfig.get_path("scripts")) / "muni")
PATIENCE_S = 60.0
SCRIPT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", sys.argv[-1]])
print("begun", flush=True)
time.sleep(3)
child.kill()
print("auc=0.5")
open("/opt/ml/model/weights.txt", "w").write("tree\\nversion=v4")
"""
WORK = "import sys; from pathlib import Path; from muniment.bootstrap import open_platform; "
WORK += "open_platform(Path(sys.argv[1])).worker.run_one()"


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


def processes(mark: str) -> list[str]:
    """The processes whose command line holds the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in line:
            found.append(f"{folder.name} {line!r}")
    return found


class Scene:
    """A platform whose jobs run, and one run with a mark on all its processes."""

    def __init__(self, place: Site) -> None:
        self.place, self.mark = place, f"mark-{uuid4().hex}"
        self.platform: Platform = place.open()
        self.people = People(self.platform, place.tokens)
        furnish(self.people)

    def submit(self) -> str:
        """Submit the script."""
        tree = io.BytesIO()
        with tarfile.open(fileobj=tree, mode="w") as tar:
            header = tarfile.TarInfo("main.py")
            header.size = len(SCRIPT)
            tar.addfile(header, io.BytesIO(SCRIPT.encode()))
        request = RunScript(project="main", entry="main.py", arguments=[self.mark], name="m")
        return str(self.people.ask("scientist", request, tree.getvalue()).run)

    def show(self, run: str) -> RunDetail:
        """The run now."""
        shown: RunDetail = self.people.ask("scientist", ShowRun(project="main", run=run))
        return shown

    def begun(self, run: str) -> bool:
        """Whether the script prints and its child runs."""
        text = self.people.ask("scientist", GetLog(project="main", run=run)).text
        return "begun" in text and len(processes(self.mark)) >= 2

    def check_once(self, run: str, attempt: int) -> None:
        """The run ended well, once: one activity, one version of the model, one entry of its end, and all verifies."""
        shown = self.show(run)
        assert (shown.status, shown.attempt, shown.metrics) == ("ok", attempt, {"auc": 0.5}), shown.error
        models = self.people.ask("scientist", ListModels(project="main")).models
        assert [model.model for model in models] == ["model:m@1"]
        with self.platform.store.engine.connect() as connection:
            assert [row.ulid for row in connection.execute(select(ACTIVITY.c.ulid))] == [run.removeprefix("run:")]
        ended = self.platform.ledger.search(Search(type="muniment.execution.run.ended.v1", outcome="ok"))
        assert len(ended) == 1
        self.platform.ledger.checkpoint()
        assert self.platform.ledger.verify().ok
        assert self.platform.vault.fsck(deep=True).sound
        assert processes(self.mark) == []

    def work_later(self) -> None:
        """Work the queue with a clock on which the lease has run out."""
        later = self.place.open(clock=FakeClock(datetime.now(UTC) + timedelta(seconds=60)))
        assert later.worker.run_one()
        later.close()


def test_a_killed_worker_takes_its_job_along_and_the_next_begins_again(each_site: Site) -> None:
    """SIGKILL of a worker in the middle: no process of the job stays, and the run is taken over and recorded once."""
    scene = Scene(each_site)
    run = scene.submit()
    worker = subprocess.Popen([sys.executable, "-c", WORK, str(each_site.home)])
    try:
        until(lambda: scene.begun(run), "the job ran")
    finally:
        worker.kill()
        worker.wait()
    until(lambda: not processes(scene.mark), "the job died")
    assert scene.show(run).status == "running"
    assert scene.people.work() == 0
    scene.work_later()
    scene.check_once(run, attempt=2)
    scene.platform.close()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_a_server_that_ends_in_the_middle_loses_nothing(site: Site, tmp_path: Path, ending: signal.Signals) -> None:
    """A server that is killed or told to stop leaves no process of its job; told to, it hands the run back at once."""
    scene = Scene(site.copy(tmp_path / "site"))
    server = subprocess.Popen(
        [MUNI, "--home", str(scene.place.home), "--json", "up", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        assert json.loads(server.stdout.readline())["url"].startswith("http://127.0.0.1:")
        run = scene.submit()
        until(lambda: scene.begun(run), "the job ran")
        server.send_signal(ending)
        code = server.wait(PATIENCE_S)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert code == (-signal.SIGKILL if ending is signal.SIGKILL else 0)
    until(lambda: not processes(scene.mark), "the job died")
    if ending is signal.SIGKILL:
        assert scene.people.work() == 0
        scene.work_later()
    else:
        assert scene.people.work() == 1
    scene.check_once(run, attempt=2)
    scene.platform.close()
