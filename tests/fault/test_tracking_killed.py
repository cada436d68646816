"""Clients and servers that are killed while a run tells of itself: nothing that was logged is lost, or kept twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from muniment.connecting import Profile, connect, write_profile
from muniment.errors import Conflict, Invalid, MunimentError, Unavailable
from muniment.sdk.client import Client
from muniment.sdk.spool import leftovers
from muniment.testing.platform import Site

pytestmark = pytest.mark.slow

MUNI = str(Path(sysconfig.get_path("scripts")) / "muni")
PATIENCE_S = 60.0
CLIENT = """
import sys, muniment
run = muniment.track("exp", trial="t", params={"lr": 0.5})
run.log_artifact(sys.argv[1])
step = 0
while True:
    step += 1
    run.log_metric("loss", float(step), step)
    if step % 500 == 0:
        print(step, flush=True)
"""


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


@pytest.fixture
def place(site: Site, tmp_path: Path) -> Site:
    """An installation with the scientist's profile."""
    copied = site.copy(tmp_path / "site")
    write_profile(copied.home, Profile(name="scientist", token=copied.tokens["scientist"]))
    write_profile(copied.home, Profile(name="admin", token=copied.tokens["admin"]))
    return copied


@contextmanager
def server(place: Site, port: int) -> Iterator[subprocess.Popen[str]]:
    """A server on the installation; killed at the end if it still runs."""
    process = subprocess.Popen(
        [MUNI, "up", "--port", str(port), "--json", "--home", str(place.home), "--profile", "admin"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "url" in json.loads(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check(client: Client, run: str, at_least: int) -> None:
    """The series of a run is 1, 2, 3 … without a gap, each once, and at least so long."""
    values = client.tracking.series(run, "loss").values
    assert values == [float(step) for step in range(1, len(values) + 1)]
    assert len(values) >= at_least


def test_a_killed_client_loses_nothing(place: Site, tmp_path: Path) -> None:
    """A client dies by SIGKILL in the middle of a batch; what it had logged is sent from its file, each record once."""
    note = tmp_path / "note.txt"
    note.write_text("kept")
    environment = os.environ | {"MUNIMENT_HOME": str(place.home), "MUNI_PROFILE": "scientist"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(note)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    logged = 0
    while logged < 4000:
        logged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    logged = max([logged, *map(int, process.stdout.read().split())])
    process.stdout.close()
    client = connect(place.home, "scientist")
    try:
        (run,) = client.tracking.sync()
        check(client, run, logged)
        shown = client.run(run).detail
        assert (shown.status, shown.logged, shown.trial) == ("failed", {"lr": "0.5"}, "t")
        assert "without a word" in shown.error["message"]
        assert client.tracking.artifacts(run).read("note.txt") == b"kept"
        assert client.tracking.sync() == []
    finally:
        client.close()


def test_a_killed_server_delays_and_loses_nothing(place: Site) -> None:
    """The server dies by SIGKILL while a run tells; logging goes on at once, and the next server gets it all."""
    port = free_port()
    with server(place, port) as first:
        client = connect(f"http://127.0.0.1:{port}", "scientist", home=place.home)
        run = client.track("exp")
        for step in range(1, 3001):
            run.log_metric("loss", float(step), step)
            if step == 2000:
                until(lambda: run.reference, "the run is known")
                first.kill()
                first.wait()
        assert run.flush(0.5) is False
        run.log_metric("loss", 3001.0, 3001)
    with server(place, port):
        assert run.end(wait_s=PATIENCE_S)
        check(client, run.reference, 3001)
        client.close()


def test_a_server_that_is_away_holds_nobody_up(place: Site) -> None:
    """Without any server a run is logged and ended in bounded time, with a warning; it is sent when there is one."""
    port = free_port()
    client = connect(f"http://127.0.0.1:{port}", "scientist", home=place.home)
    run = client.track("exp", params={"a": 1})
    with pytest.raises(Unavailable):
        _ = run.reference
    run.log_metric("loss", 1.0, 1)
    with pytest.warns(RuntimeWarning, match="muni runs sync"):
        assert run.end(wait_s=0.2) is False
    with pytest.raises(Conflict):
        run.log_metric("loss", 2.0)
    del run
    with server(place, port):
        until(lambda: not list(leftovers_of(place)), "it is sent")
        (listed,) = client.runs("exp")
        assert (listed.status, listed.params) == ("ok", {"a": "1"})
        check(client, listed.run, 1)
        client.close()


def leftovers_of(place: Site) -> Iterator[Path]:
    """What still waits for a server."""
    for root in (place.home / "tracking").iterdir():
        yield from leftovers(root)


def test_a_refused_record_is_told(place: Site) -> None:
    """What the server refuses for good reaches the caller as an error, and the file stays."""
    client = connect(place.home, "scientist")
    try:
        run = client.track("exp")
        run.log_input("data:nothing@1", "train")
        with pytest.raises(MunimentError) as refused, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run.end()
        assert refused.value.code.startswith("MUNI-C2")
        assert len(list(leftovers_of(place))) == 1
        for call in (
            lambda one: one.log_param("x" * 201, 1),
            lambda one: one.log_param("x", "y" * 8001),
            lambda one: one.log_metric("a", "much"),
            lambda one: one.log_metric("a", 1.0, 2**63),
            lambda one: one.set_tag("muniment.deleted", "x"),
            lambda one: one.log_figure(object(), "none"),
            lambda one: one.log_artifact("/nowhere/at/all"),
        ):
            other = client.track("exp")
            with pytest.raises(Invalid):
                call(other)
            assert other.end()
    finally:
        client.close()
