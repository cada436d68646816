"""The same script inside a hermetic job and outside: what it tells lands in the record of its run, by whose word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.errors import NotFound
from muniment.testing.platform import Site
from muniment.wire import tracking as wire
from muniment.wire.execution import ListRuns, Runs
from muniment.wire.records import VerifyRecords
from working import World, working

pytestmark = pytest.mark.slow

SCRIPT = """
import muniment
with muniment.track("Credit", params={"lr": 0.1}) as run:
    muniment.log_param("depth", 3)
    muniment.log_param("depth", 4)
    muniment.log_param("given", "by the script")
    muniment.log_params({"cols": ["a", "b"], "limit": float("inf")})
    muniment.set_tags({"team": "risk", "muniment.deleted": "yes"})
    for step in range(50):
        muniment.log_metric("loss", 1 / (step + 1), step)
    muniment.log(auc=0.75)
    muniment.log_metric("broken", float("nan"), 1)
    muniment.log_input("train", "train")
    open("/tmp/notes.txt", "w").write("as it was")
    muniment.log_artifact("/tmp/notes.txt", "notes/first.txt")
    muniment.log_figure("<svg xmlns='http://www.w3.org/2000/svg'/>", "roc")
"""

CLAIMS = """
import muniment
muniment.log_input("data:credit@1", "holdout")
"""

PLOT = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import muniment
figure, axes = plt.subplots()
axes.plot([0, 1], [0, 1])
muniment.log_figure(figure, "line.png")
muniment.log_figure(figure, "line.svg")
"""


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set."""
    with working(site, tmp_path_factory.mktemp("tracking")) as opened:
        assert opened.add(b"id,a,y\n1,2,0\n2,3,1\n", name="credit", target="y").status == "ok"
        yield opened


def test_what_a_job_tells_is_in_its_record(world: World) -> None:
    """Parameters, tags, series, files and pictures of a job are found; the run is proven, and its word is not."""
    shown = world.script(
        SCRIPT, inputs={"train": "credit"}, params={"given": "by the asker"}, experiment="Credit", trial="first"
    )
    assert shown.status == "ok", shown.error
    assert (shown.grade, shown.metrics_grade, shown.trial) == ("proven", "declared", "first")
    assert shown.params == {"given": "by the asker"}
    assert shown.logged == {"lr": "0.1", "depth": "3", "cols": '["a", "b"]', "limit": "inf"}
    assert shown.tags == {"team": "risk"}
    assert shown.metrics["auc"] == 0.75
    tracking = world.client.tracking
    loss = tracking.series(shown.run, "loss")
    assert loss.steps == list(range(50))
    assert loss.values == [1 / (step + 1) for step in range(50)]
    assert loss.reply.grade == "declared"
    assert all(point.at_us for point in loss.reply.points)
    files = tracking.artifacts(shown.run)
    assert [(one.path, one.grade) for one in files] == [("figures/roc.svg", "proven"), ("notes/first.txt", "proven")]
    assert files.read("notes/first.txt") == b"as it was"
    listed: Runs = world.people.ask("scientist", ListRuns(project="main", trial="first"))
    assert [run.params["depth"] for run in listed.runs] == ["3"]
    world.platform.ledger.checkpoint()
    assert world.people.ask("auditor", VerifyRecords()).findings == []


def test_inputs_of_a_job_come_from_its_mounts(world: World) -> None:
    """A script that names an input which was not mounted fails, and says which ones were."""
    shown = world.script(CLAIMS, inputs={"train": "credit"})
    assert shown.status == "failed"
    assert "no input" in "".join(world.client.run(shown.run).log())


def test_pictures_are_the_same_bytes_each_time(world: World) -> None:
    """A matplotlib figure becomes PNG and SVG without a moment in it: two runs leave one digest."""
    digests = []
    for _ in range(2):
        shown = world.script(PLOT, seed=1, fresh=True)
        assert shown.status == "ok", shown.error
        digests.append([one.digest for one in world.client.tracking.artifacts(shown.run)])
    assert len(digests[0]) == 2
    assert digests[0][0] == digests[1][0]


def test_data_of_other_jobs_are_no_artifacts(world: World) -> None:
    """Who may read artifacts does not read data sets that way: the parts of an ingest are not listed."""
    ingest = next(run for run in world.client.runs(kind="ingest"))
    assert list(world.client.tracking.artifacts(ingest.run)) == []
    with pytest.raises(NotFound):
        world.people.ask("scientist", wire.GetArtifact(project="main", run=ingest.run, path="manifest.json"))


def test_the_same_script_runs_where_nobody_listens(tmp_path: Path) -> None:
    """Outside a job, with no tracked run open, logging does nothing and needs nothing."""
    script = tmp_path / "alone.py"
    script.write_text("import muniment\nmuniment.log_metric('a', 1)\nmuniment.log_param('b', 2)\nprint('done')\n")
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout == "done\n"
