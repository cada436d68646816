"""Durable ledger entries against this disk's fsync rate, and the stand-alone verifier over a million of them.

Both sides make one record durable at a time for each client: ours through ``Ledger.record``, the peer by appending
the same number of bytes to a file and calling fsync. The sides alternate, and the medians are compared. A disk that
takes fsync in a fifth of a millisecond is faster than one Python process; then the processor is the limit, not the
ledger. So the same is shown once more with a pause in every commit and every fsync, as on the disk of 300 fsync/s for
which the bars were set.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import muniment.evidence
from muniment.adapters.blob.tiles import FileTiles
from muniment.adapters.sql.ledger import REPOSITORIES
from muniment.adapters.sql.schema import METADATA
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.ledger.model import Event
from muniment.ledger.service import Ledger
from table import Row, print_table

ROUNDS = 5
PEER = 300
ALONE = 300
EACH = 100
CLIENTS = 64
PAUSE_S = 1 / 300
MILLION = 1_000_000
CHECKPOINT_EVERY = 1000
VERIFIER_BAR_S = 10.0


class _Key:
    """A signer."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class _Pause:
    """A slower disk: every commit takes this much longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def point(self, name: str) -> None:
        if self.seconds and name == "store.commit":
            time.sleep(self.seconds)


class _Bench:
    """A ledger in a folder of the disk that is measured."""

    def __init__(self, folder: Path) -> None:
        self.pause = _Pause(0.0)
        self.store = SqlStore(sqlite_url(folder / "state.db"), REPOSITORIES, self.pause)
        METADATA.create_all(self.store.engine)
        self.clock, self.entropy = SystemClock(), SystemEntropy()
        files = FileTiles(folder / "ledger")
        self.ledger = Ledger(self.store, files, _Key(), "bench.example/ledger", self.clock, self.entropy, self.pause)
        self.file = folder / "peer"
        self.bytes = len(self.event().body(self.ledger.origin))

    def event(self) -> Event:
        """An event as the gate writes them."""
        id_ = new_id(self.clock, self.entropy)
        return Event(
            id_,
            "muniment.data.dataset.read.v1",
            self.clock.now(),
            "Dataset:credit@3",
            {
                "principal": "User:ana",
                "action": "data:ReadDataset",
                "resource": "Dataset:credit@3",
                "project": "credit",
                "outcome": "ok",
                "method": "token",
                "credential": id_,
                "ip": "127.0.0.1",
                "request": "sha256:" + "0" * 64,
                "policies": ["roles/scientist"],
            },
        )

    def fsyncs(self, pause_s: float) -> float:
        """Records a second by appending to a file."""
        record = b"x" * self.bytes
        with self.file.open("wb", buffering=0) as file:

            def one() -> None:
                file.write(record)
                os.fsync(file.fileno())
                if pause_s:
                    time.sleep(pause_s)

            return PEER / _seconds(lambda: [one() for _ in range(PEER)])

    def alone(self) -> float:
        """Records a second of one client."""
        return ALONE / _seconds(lambda: [self.ledger.record(self.event()) for _ in range(ALONE)])

    def crowd(self) -> float:
        """Records a second of 64 clients, each of which waits for each of his records."""
        start = threading.Barrier(CLIENTS + 1)

        def client() -> None:
            start.wait()
            for _ in range(EACH):
                self.ledger.record(self.event())

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        start.wait()
        return CLIENTS * EACH / _seconds(lambda: [thread.join() for thread in threads])


def run() -> list[Row]:
    """Measure and compare."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as name:
        folder = Path(name)
        bench = _Bench(folder)
        rows = [*_appends(bench, 0.0), *_appends(bench, PAUSE_S)]
        bench.store.close()
        return [*rows, _verifier(folder)]


def _appends(bench: _Bench, pause_s: float) -> list[Row]:
    bench.pause.seconds = pause_s
    peer, alone, crowd = [], [], []
    for _ in range(ROUNDS):
        peer.append(bench.fsyncs(pause_s))
        alone.append(bench.alone())
        crowd.append(bench.crowd())
    where = f", + {pause_s * 1000:.1f} ms a commit" if pause_s else ""
    note = "a slower disk, imitated on both sides" if pause_s else f"{bench.bytes} bytes, medians of {ROUNDS}"
    rows = []
    for name, ours, bar in (("1 client", alone, 0.8), (f"{CLIENTS} clients", crowd, 25.0)):
        ratio = statistics.median(o / p for o, p in zip(ours, peer, strict=True))
        rows.append(
            Row(
                f"durable ledger entries, {name}{where}",
                f"{statistics.median(ours):,.0f}/s",
                f"{statistics.median(peer):,.0f} fsync/s",
                ratio,
                f">= {bar:g}x",
                ratio >= bar,
                note,
            )
        )
    return rows


def _verifier(folder: Path) -> Row:
    """A million events, one checkpoint each thousand, exported, and verified by a process of its own."""
    bench = _Bench(_made(folder / "million"))
    for _ in range(MILLION // CHECKPOINT_EVERY):
        with bench.store.write() as session:
            for _ in range(CHECKPOINT_EVERY):
                bench.ledger.append(session, bench.event())
        bench.ledger.checkpoint()
    export = folder / "export.tar"
    begin = time.perf_counter()
    with export.open("wb") as file:
        for chunk in bench.ledger.export():
            file.write(chunk)
    exported = time.perf_counter() - begin
    bench.store.close()
    program = Path(str(muniment.evidence.__file__)).with_name("verify.py")
    command = [sys.executable, "-I", "-S", str(program), str(export), "--key", bench.ledger.key]
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    took = statistics.median(times)
    return Row(
        "stand-alone verifier, 1M events",
        f"{took:.1f} s",
        "",
        None,
        f"<= {VERIFIER_BAR_S:g} s",
        took <= VERIFIER_BAR_S,
        f"{MILLION // CHECKPOINT_EVERY} signatures, {export.stat().st_size / 1e6:.0f} MB, exported in {exported:.1f} s",
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _seconds(step: Callable[[], object]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print_table(run())
