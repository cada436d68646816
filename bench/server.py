"""What an idle server holds in memory: ``muni up`` with worker and sequencer, after one request, all its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from muniment.founding import initialise
from table import Row

BAR_MB = 150
SETTLE_S = 5.0


def resident_mb(root: int) -> float:
    """Resident memory of a process and its descendants, in MB, shared pages counted once a process."""
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
            )
        except OSError:
            continue
        parents[int(folder.name)] = int(status["PPid"])
        sizes[int(folder.name)] = int(status.get("VmRSS", "0 kB").split()[0])
    family, grown = {root}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return sum(sizes[process] for process in family) / 1024


def run() -> list[Row]:
    """Start a server on a fresh installation, ask it once, let it settle, and look."""
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as scratch:
        home = Path(scratch) / "home"
        initialise(home, key_file=Path(scratch) / "keys" / "bench.keys")
        muni = str(Path(sys.executable).with_name("muni"))
        server = subprocess.Popen(
            [muni, "up", "--port", "0", "--json", "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MUNI_PROFILE": "admin"},
            text=True,
        )
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:
                answer.read()
            time.sleep(SETTLE_S)
            ours = resident_mb(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    return [Row("idle server, resident", f"{ours:.0f} MB", "", None, f"<= {BAR_MB} MB", ours <= BAR_MB)]
