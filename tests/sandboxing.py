"""Jobs for tests of the engines: short ways to run one, and the survey of all attacks behind all walls.

As a script, ``python sandboxing.py FOLDER``, it makes the survey under whatever user runs it and prints it as JSON.
"""

from __future__ import annotations

import atexit
import dataclasses
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest

from muniment.adapters.sandbox import Bubblewrap, Landlock, SealedBase, seal_base
from muniment.adapters.sandbox.bwrap import Walls
from muniment.adapters.sandbox.canaries import Attempt, Runner, attempts, baits, unproven
from muniment.adapters.sandbox.folder import run_without_walls
from muniment.errors import Unavailable
from muniment.execution.ports import Exit, Inline, Input, Launch, Limits
from muniment.kernel.digest import Digest

HARMFUL = frozenset({"fill_output", "fill_tmp", "fill_shm", "fill_root", "many_processes", "write_readonly_inside"})
"""Attacks that are made inside only: outside they would fill the machine, or destroy the base root they run on."""


def missing(reason: str) -> NoReturn:
    """Skip with the reason, except in CI, where walls that cannot be tested are a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must attack the walls: {reason}")
    pytest.skip(reason)


@cache
def workplace() -> Path:
    """A folder for bases and canary reports that every user may pass; removed when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="muniment-tests-", dir="/var/tmp"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def base() -> SealedBase:
    """The base root that test jobs stand on."""
    return seal_base(workplace() / "base")


@dataclasses.dataclass
class Recorder:
    """A sink that keeps everything."""

    said: bytearray = dataclasses.field(default_factory=bytearray)
    metrics: list[bytes] = dataclasses.field(default_factory=list)
    outputs: dict[str, bytes] = dataclasses.field(default_factory=dict)
    ran: threading.Event = dataclasses.field(default_factory=threading.Event)
    spoke: threading.Event = dataclasses.field(default_factory=threading.Event)

    def started(self) -> None:
        """The job was released."""
        self.ran.set()

    def log(self, chunk: bytes) -> None:
        """Keep the chunk."""
        self.said.extend(chunk)
        self.spoke.set()

    def metric(self, line: bytes) -> None:
        """Keep the line."""
        self.metrics.append(line)

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Keep the file."""
        self.outputs[path] = source.read()

    @property
    def text(self) -> str:
        """The log as text."""
        return self.said.decode("utf-8", "replace")


def sealed(path: str, content: bytes, *, size: int | None = None, digest: Digest | None = None) -> Input:
    """An input of this content, or one that claims another size or digest."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(content)

    return Input(path, len(content) if size is None else size, digest or Digest.of(content), opened)


def job(
    code: str, *arguments: str, inputs: tuple[Input, ...] = (), env: dict[str, str] | None = None, **limits: int
) -> Launch:
    """A job that runs this Python text."""
    return Launch(
        argv=(base().interpreter, "-s", "-P", "-u", "/opt/ml/code/main.py", *arguments),
        environment=env or {},
        base=base().root,
        inputs=inputs,
        files=(Inline("/opt/ml/code/main.py", code.encode()),),
        limits=Limits(**({"memory_mb": 512, "wall_s": 30, "output_mb": 16, "processes": 64} | limits)),
    )


def run(
    engine: Runner, launch: Launch, *, cancel: threading.Event | None = None, sink: Recorder | None = None
) -> tuple[Exit, Recorder]:
    """Run a job behind a runner, such as ``engine.run_as``, and keep what it left."""
    sink = sink or Recorder()
    return engine(unproven(), launch, sink, cancel or threading.Event(), None), sink


def left(mark: str) -> list[str]:
    """Command lines of processes on this machine that carry a mark; the mark stands in a job's arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                found.append(f"{folder.name} {line!r}")
    return found


def runners(folder: Path) -> dict[str, Runner]:
    """Every wall and every wall with a part left out, by name; those that this machine has."""
    found: dict[str, Runner] = {"control": run_without_walls}
    makers = {
        "bwrap": lambda: Bubblewrap(folder),
        "bwrap without filter": lambda: Bubblewrap(folder, Walls(filter=False)),
        "bwrap without hidden arguments": lambda: Bubblewrap(folder, Walls(arguments_in_memory=False)),
        "landlock": lambda: Landlock(folder),
        "landlock without filter": lambda: Landlock(folder, with_filter=False),
    }
    for name, make in makers.items():
        try:
            found[name] = make().run_as
        except Unavailable:
            continue
    return found


def survey(names: list[str], folder: Path) -> dict[str, dict[str, Attempt]]:
    """Make every attack behind every wall, all against the same baits and under one user id."""
    found: dict[str, dict[str, Attempt]] = {}
    with baits(seal_base(folder / "base")) as offered:
        for wall, runner in runners(folder).items():
            chosen = [name for name in names if name not in HARMFUL or wall in {"bwrap", "landlock"}]
            found[wall] = attempts(runner, offered, chosen)
    return found


def decoded(text: str) -> dict[str, dict[str, Attempt]]:
    """A survey that was printed."""
    printed: dict[str, dict[str, Any]] = json.loads(text)
    return {wall: {name: Attempt(**one) for name, one in rows.items()} for wall, rows in printed.items()}


if __name__ == "__main__":
    made = survey(sys.argv[2:], Path(sys.argv[1]))
    print(json.dumps({wall: {n: dataclasses.asdict(a) for n, a in rows.items()} for wall, rows in made.items()}))
