"""The same script with MLflow's own client against this server and against MLflow's, in one run.

Both keep their state in SQLite on the same disk; the client process is started once for each and warmed by one run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muniment.connecting import Profile, write_profile
from muniment.founding import initialise
from table import Row

PEERS = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
SCRIPT = """
import json, os, sys, time
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient()
mlflow.set_experiment("bench")
told = {}

def timed(name, call, times=1):
    started = time.perf_counter()
    for n in range(times):
        call(n)
    told[name] = (time.perf_counter() - started) / times

with mlflow.start_run() as run:
    mlflow.log_metric("warm", 1)
    id = run.info.run_id
    with open("f.bin", "wb") as file:
        file.write(os.urandom(100_000))
    timed("log_metric", lambda n: client.log_metric(id, "loss", 1 / (n + 1), step=n), 40)
    timed("log_param", lambda n: client.log_param(id, f"p{n}", n), 40)
    batches = [[Metric("b", 1 / (s + 1), 1, 1000 * n + s) for s in range(1000)] for n in range(5)]
    timed("log_batch of 1,000", lambda n: client.log_batch(id, metrics=batches[n]), 5)
    timed("log_artifact of 100 kB", lambda n: client.log_artifact(id, "f.bin", f"d{n}"), 10)
for n in range(30):
    with mlflow.start_run():
        mlflow.log_metric("auc", n / 30)
        mlflow.log_param("depth", n % 5)
experiment = run.info.experiment_id
timed("start and end a run", lambda n: client.set_terminated(client.create_run(experiment).info.run_id), 20)
find = "metrics.auc > 0.3 and params.depth = '3'"
timed("search_runs", lambda n: client.search_runs([run.info.experiment_id], find, order_by=["metrics.auc DESC"]), 20)
timed("get_metric_history of 5,000", lambda n: client.get_metric_history(id, "b"), 3)
client.create_registered_model("m")
timed("get_run", lambda n: client.get_run(id), 20)
print(json.dumps(told))
"""


@contextmanager
def ours(scratch: Path) -> Iterator[dict[str, str]]:
    """Our server; what a client needs in its environment."""
    home = scratch / "home"
    made = initialise(home, key_file=scratch / "keys" / "bench.keys")
    write_profile(home, Profile(name="scientist", token=made.tokens["scientist"]))
    muni = str(Path(sys.executable).with_name("muni"))
    process = subprocess.Popen(
        [muni, "up", "--port", "0", "--json", "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MUNI_PROFILE": "admin"},
        text=True,
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        yield {"MLFLOW_TRACKING_URI": f"{url}/mlflow/main", "MLFLOW_TRACKING_TOKEN": made.tokens["scientist"]}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextmanager
def theirs(scratch: Path) -> Iterator[dict[str, str]]:
    """MLflow's server with one worker."""
    scratch.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [str(PEERS), "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--backend-store-uri", f"sqlite:///{scratch / 'mlflow.db'}"],
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(1200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def measure(environment: dict[str, str], folder: Path) -> dict[str, float]:
    """Seconds a call, by call."""
    folder.mkdir()
    done = subprocess.run(
        [str(PEERS), "-c", SCRIPT],
        cwd=folder,
        env=os.environ | environment | {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def run() -> list[Row]:
    """Every call of the script, ours beside MLflow's; nothing where there is no ``.venv-peers``."""
    if not PEERS.exists():
        return [Row("MLflow's client", "-", "run scripts/peers first", None, "", None)]
    with tempfile.TemporaryDirectory(prefix="muni-bench-mlflow-") as folder:
        scratch = Path(folder)
        with ours(scratch / "ours") as environment:
            here = measure(environment, scratch / "client")
        with theirs(scratch / "theirs") as environment:
            there = measure(environment, scratch / "other")
    return [
        Row(
            f"MLflow client: {what}",
            f"{here[what] * 1e3:.1f} ms",
            f"{there[what] * 1e3:.1f} ms MLflow server",
            here[what] / there[what],
            "",
            None,
        )
        for what in here
    ]
