"""The faces against a running server: command line and SDK over HTTP, jobs, interruption and return."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import muniment
from muniment.errors import Denied, MunimentError, NotFound
from muniment.sdk.progress import quiet

pytestmark = pytest.mark.slow

MUNI = Path(sysconfig.get_path("scripts")) / "muni"
ROWS = "".join(f"{n},{n % 7},{(n * 37) % 11},{int((n % 7) + (n * 37) % 11 > 8)}\n" for n in range(400))


@dataclass(frozen=True)
class Served:
    """A home with a server."""

    home: Path
    url: str

    def environment(self, **extra: str) -> dict[str, str]:
        """What a command sees."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUNI_", "MUNIMENT_HOME"))}
        config = str(self.home.parent / "config")
        return {**kept, "MUNIMENT_HOME": str(self.home), "XDG_CONFIG_HOME": config, "MUNI_URL": self.url, **extra}

    def muni(self, *words: str, code: int = 0, **extra: str) -> Any:
        """A command with ``--json``: its document."""
        done = subprocess.run(
            [MUNI, "--json", *words],
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform with its server, and a small data set in two parts."""
    folder = tmp_path_factory.mktemp("served")
    local = Served(folder / "home", "")
    local.muni("init")
    server = subprocess.Popen(
        [MUNI, "--json", "up", "--port", "0"], env=local.environment(), stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        it = Served(local.home, json.loads(server.stdout.readline())["url"])
        (folder / "credit.csv").write_text("id,a,b,y\n" + ROWS)
        it.muni("data", "add", "credit", str(folder / "credit.csv"), "--target", "y")
        it.muni("data", "split", "credit", "--part", "train=0.7", "--part", "holdout=0.3", "--seed", "1")
        yield it
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        server.stdout.close()


def connect(served: Served, profile: str, monkeypatch: pytest.MonkeyPatch) -> muniment.sdk.client.Client:  # type: ignore[name-defined]
    """A client as a notebook makes it."""
    monkeypatch.setenv("MUNIMENT_HOME", str(served.home))
    return muniment.connect(served.url, profile)


def test_a_notebook_goes_through_the_story(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, look, compare, prove and reproduce over HTTP, with the values of the SDK."""
    m = connect(served, "scientist", monkeypatch)
    parts = m.data.get("credit/train"), m.data.get("credit/holdout")
    run = m.train("xgboost", parts[0], experiment="e", params={"max_depth": 2}, watch=quiet)
    assert run.status == "ok"
    assert "model:" in repr(run)
    model = run.model
    measured = model.evaluate(parts[1], watch=quiet)
    assert 0.5 <= measured.metrics()["auc"] <= 1
    assert model.metrics == measured.metrics()
    proof = m.prove_unused(parts[1], model)
    assert (proof.unused, proof.grade) == (True, "proven")
    assert not m.prove_unused(parts[0], model).unused
    lineage = model.lineage()
    assert lineage.svg is not None
    assert lineage.grade == "proven"
    assert {"data:credit/train@1", "data:credit@1"} <= {row["node"] for row in lineage.rows()}
    assert "<img" in lineage._repr_html_()
    assert [row.run for row in m.runs("e", kind="train")] == [run.reference]
    m.close()
    validator = connect(served, "validator", monkeypatch)
    assert validator.models.get(model.reference).reproduce(quiet)["verdict"].startswith("identical")
    validator.close()


def test_errors_are_the_same_from_afar(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals and mistakes arrive as the errors they are, with code, facts and ledger entry."""
    m = connect(served, "auditor", monkeypatch)
    with pytest.raises(Denied) as denied:
        m.train("xgboost", "data:credit/train", experiment="e", watch=quiet)
    assert denied.value.code == "MUNI-G403"
    assert denied.value.facts["entry"]
    with pytest.raises(NotFound):
        m.data.get("nowhere")
    m.close()
    scientist = connect(served, "scientist", monkeypatch)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(MunimentError) as failed:
        scientist.data.add("empty", tmp_path / "empty.csv", watch=quiet)
    assert failed.value.facts["run"].startswith("run:")
    scientist.close()


def test_a_script_runs_unchanged(served: Served, tmp_path: Path) -> None:
    """A plain script gets its inputs, parameters and arguments; its log, metrics and model come back."""
    (tmp_path / "part.py").write_text("LOSS = 0.25\n")
    (tmp_path / "train.py").write_text(
        "import json, os, sys\n"
        "import part\n"
        "params = json.load(open('/opt/ml/input/config/hyperparameters.json'))\n"
        "assert os.listdir(os.environ['SM_CHANNEL_TRAIN'])\n"
        "print('said', params['word'], sys.argv[-1], '\\x1b[31m')\n"
        "print('loss=%s' % part.LOSS)\n"
        "open('/opt/ml/model/model.txt', 'w').write('m')\n"
    )
    words = ["run", str(tmp_path / "train.py"), "--input", "train=credit/train", "--param", "word=two words"]
    run = served.muni(*words, "--", "last")
    assert run["status"] == "ok"
    assert run["metrics"]["loss"] == 0.25
    text = served.muni("runs", "logs", run["run"])["text"]
    assert "said two words last" in text
    assert "\x1b" not in text
    model = next(product["reference"] for product in run["products"] if product["reference"].startswith("model:"))
    served.muni("model", "fetch", model, "-o", str(tmp_path / "model.tar"))
    assert (tmp_path / "model.tar").stat().st_size > 0


def test_a_detached_run_is_watched_again(served: Served, tmp_path: Path) -> None:
    """--detach returns at once; runs watch waits for the same run; the server did the work meanwhile."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\nprint('done=1')\n")
    started = served.muni("run", str(tmp_path / "slow.py"), "--detach")
    assert started["status"] in ("queued", "running")
    assert served.muni("runs", "watch", started["run"])["metrics"] == {"done": 1.0}


def test_a_run_is_cancelled(served: Served, tmp_path: Path) -> None:
    """A running job is stopped on request, and waiting for it then exits 1."""
    (tmp_path / "endless.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    started = served.muni("run", str(tmp_path / "endless.py"), "--detach")
    served.muni("runs", "cancel", started["run"])
    ended = served.muni("runs", "watch", started["run"], code=1)
    assert ended["facts"]["status"] == "cancelled"


def test_ctrl_c_detaches(served: Served, tmp_path: Path) -> None:
    """An interrupted wait leaves the run to the server and names the way back."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(3)\nprint('done=1')\n")
    waiting = subprocess.Popen(
        [MUNI, "run", str(tmp_path / "slow.py")],
        env=served.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if "run:" in line:
            break
    waiting.send_signal(signal.SIGINT)
    _, rest = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "muni runs watch run:" in rest
    reference = rest.split("muni runs watch ")[1].split()[0]
    assert served.muni("runs", "watch", reference)["status"] == "ok"


def test_a_home_is_used_in_process_too(served: Served) -> None:
    """The same home answers in process while its server runs."""
    done = subprocess.run(
        [sys.executable, "-c", "import muniment; m = muniment.connect(); print(len(m.data.list()))"],
        env={**served.environment(), "MUNI_URL": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "3"
