"""Tracking over HTTP into a durable store, beside MLflow's server and what bare SQLite takes, in one run.

A value counts once the server has given its receipt: SQLite with ``synchronous=FULL``, PostgreSQL with ``fsync`` on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from cluster import Cluster, missing_reason
from muniment.adapters.sql.schema import METADATA
from muniment.connecting import Profile, connect, write_profile
from muniment.errors import Unavailable
from muniment.founding import initialise
from muniment.sdk.client import Client
from muniment.wire import tracking as wire
from table import Row

SINGLE, BULK, BATCH, ASKED, ASKED_VALUES = 10_000, 200_000, 1_000, 200, 100_000
TICKS = os.sysconf("SC_CLK_TCK")
PEERS = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
MLFLOW = """
import json, sys, time
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient(sys.argv[1])
run = client.create_run(client.create_experiment("bench")).info.run_id
client.log_metric(run, "warm", 0.0)
started = time.perf_counter()
for step in range(150):
    client.log_metric(run, "loss", 1.0 / (step + 1), step=step)
single = 150 / (time.perf_counter() - started)
batches = [[Metric("loss", 1.0 / (step + 1), 1, step + 1000 * batch) for step in range(1000)] for batch in range(20)]
started = time.perf_counter()
for batch in batches:
    client.log_batch(run, metrics=batch)
print(json.dumps({"single": single, "batch": 20_000 / (time.perf_counter() - started)}))
"""


@contextmanager
def server(scratch: Path, database: str) -> Iterator[tuple[Client, int]]:
    """A fresh installation behind HTTP: the scientist's client, and the number of the server's process."""
    home = scratch / "home"
    made = initialise(home, key_file=scratch / "keys" / "bench.keys", database=database)
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
        client = connect(json.loads(process.stdout.readline())["url"], "scientist", home=home)
        try:
            yield client, process.pid
        finally:
            client.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def sdk_single(client: Client) -> float:
    """Values a second by one call each, from the first call to the receipt of the end."""
    run = client.track("bench")
    _ = run.reference
    started = time.perf_counter()
    for step in range(SINGLE):
        run.log_metric("loss", 1.0 / (step + 1), step)
    assert run.end(wait_s=600)
    return SINGLE / (time.perf_counter() - started)


def sdk_bulk(client: Client) -> float:
    """Values a second by calls that bring many, from the first call to the receipt of the end."""
    run = client.track("bench")
    _ = run.reference
    started = time.perf_counter()
    run.log_many(("loss", 1.0 / (step + 1), step) for step in range(BULK))
    assert run.end(wait_s=600)
    rate = BULK / (time.perf_counter() - started)
    kept = client.tracking.metrics(run.reference).metrics
    assert [one.count for one in kept] == [BULK], kept
    return rate


def asked_batches(client: Client, size: int) -> float:
    """Values a second by large requests, one after the other, each durable before the next."""
    run = client.ask(
        "tracking:StartRun", wire.StartRun(project=client.project, experiment="bench"), wire.TrackedRun
    ).run
    requests = [
        wire.LogMetrics(
            project=client.project,
            run=run,
            metrics=[wire.MetricPoint("loss", 1.0 / (step + 1), step, 1) for step in range(size)],
        )
        for _ in range(ASKED_VALUES // size)
    ]
    started = time.perf_counter()
    for request in requests:
        client.ask("tracking:LogMetrics", request, wire.Logged)
    return ASKED_VALUES / (time.perf_counter() - started)


def asked_singles(client: Client, threads: int) -> float:
    """Values a second by requests of one value each, each durable and in the ledger before its answer."""
    start = wire.StartRun(project=client.project, experiment="bench")
    runs = [client.ask("tracking:StartRun", start, wire.TrackedRun).run for _ in range(threads)]

    def tell(run: str) -> None:
        for step in range(ASKED):
            point = wire.MetricPoint("loss", 1.0 / (step + 1), step)
            request = wire.LogMetrics(project=client.project, run=run, metrics=[point])
            _patiently(client, request)

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(tell, runs))
    return threads * ASKED / (time.perf_counter() - started)


def _patiently(client: Client, request: wire.LogMetrics) -> None:
    """Ask again when another change came first, as every client does."""
    while True:
        try:
            client.ask("tracking:LogMetrics", request, wire.Logged)
            return
        except Unavailable as lost:
            if not lost.facts.get("retry"):
                raise


def mlflow(scratch: Path) -> dict[str, float]:
    """The same of MLflow's server on SQLite; empty where the peers are not installed."""
    if not PEERS.exists():
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(PEERS), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{scratch}/mlflow.db",
        "--artifacts-destination",
        str(scratch / "art"),
    ]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    process = subprocess.Popen(
        command,
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=quiet,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{url}/health", process)
        told = subprocess.run(
            [str(PEERS), "-c", MLFLOW, url], capture_output=True, text=True, check=True, env=quiet, cwd=scratch
        )
        figures: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
        return figures
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "mlflow server ended"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("mlflow server did not start")


def bare(scratch: Path) -> tuple[float, float]:
    """What bare SQLite takes: rows a second in transactions of one, and of 1,000, each durable."""
    raw = sqlite3.connect(scratch / "bare.db", isolation_level=None)
    raw.execute("pragma journal_mode=wal")
    raw.execute("pragma synchronous=full")
    raw.execute(
        "create table m (activity text, position int, name text, step int, at text, value real, told int, "
        "primary key (activity, position)) without rowid"
    )
    at = "2026-11-23T09:00:00.000000Z"
    insert = "insert into m values (?, ?, ?, ?, ?, ?, ?)"
    started = time.perf_counter()
    for row in range(1_000):
        raw.execute(insert, ("r" * 26, row, "loss", row, at, 0.5, 1))
    single = 1_000 / (time.perf_counter() - started)
    started = time.perf_counter()
    for batch in range(100):
        raw.execute("begin immediate")
        raw.executemany(insert, [("s" * 26, batch * BATCH + row, "loss", row, at, 0.5, 1) for row in range(BATCH)])
        raw.execute("commit")
    many = 100 * BATCH / (time.perf_counter() - started)
    raw.close()
    return single, many


def run() -> list[Row]:
    """Both engines, MLflow and bare SQLite, one after the other on the same disk."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as made:
        scratch = Path(made)
        scratch.chmod(0o755)
        peer = mlflow(scratch)
        single, many = bare(scratch)
        (scratch / "sqlite").mkdir()
        with server(scratch / "sqlite", "") as (client, process):
            rows = _rows("SQLite", client, process, peer, single, many)
        if missing_reason():
            return rows
        cluster = Cluster(Path(tempfile.mkdtemp(prefix="muni-pg-")))
        try:
            cluster.start(METADATA)
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
                cluster._execute(f"alter system set {setting} = on")
            cluster._execute("select pg_reload_conf()")
            with cluster.database(template="template0") as url:
                (scratch / "postgres").mkdir()
                with server(scratch / "postgres", url) as (client, process):
                    rows += _rows("PostgreSQL", client, process, peer, single, many)
        finally:
            cluster.remove()
        return rows


def _spent(process: int) -> tuple[float, float]:
    """Seconds of processor time of this process and of another one."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return time.process_time(), (int(fields[11]) + int(fields[12])) / TICKS


def _rows(engine: str, client: Client, process: int, peer: dict[str, float], single: float, many: float) -> list[Row]:
    def row(
        what: str, ask: Callable[[], float], count: int, theirs: float | None, bar: float | None, limit: str, note: str
    ) -> Row:
        before = _spent(process)
        ours = ask()
        mine, servers = ((after - then) / count * 1e6 for after, then in zip(_spent(process), before, strict=True))
        note = f"{note}; CPU of a value: client {mine:,.1f}, server {servers:,.1f} us"
        told = f"{theirs:,.0f}/s MLflow server" if theirs else ""
        ratio = ours / theirs if theirs else None
        kept = None if bar is None else ours >= bar
        print(f"tracking: {what}, {engine}: {ours:,.0f}/s", file=sys.stderr)
        promised = "" if bar is None else f">= {bar:,.0f}/s"
        return Row(f"tracking, {what}, {engine}", f"{ours:,.0f}/s", told, ratio, promised, kept, f"{note}; {limit}")

    one, batch = peer.get("single"), peer.get("batch")
    alone, together = f"bare SQLite {single:,.0f}/s, one a commit", f"bare SQLite {many:,.0f}/s, 1,000 a commit"
    return [
        row("single calls", lambda: sdk_single(client), SINGLE, one, 3_000, alone, "SDK, to the receipt"),
        row("many a call", lambda: sdk_bulk(client), BULK, batch, 40_000, together, "SDK, to the receipt"),
        *(
            row(
                f"requests of {size:,}",
                lambda size=size: asked_batches(client, size),
                ASKED_VALUES,
                batch,
                40_000,
                together,
                "one after the other",
            )
            for size in (BATCH, 10 * BATCH)
        ),
        row("a request each", lambda: asked_singles(client, 1), ASKED, one, None, alone, "one client"),
        row(
            "a request each, 8 runs",
            lambda: asked_singles(client, 8),
            8 * ASKED,
            one,
            None,
            alone,
            "8 clients in one process",
        ),
    ]
