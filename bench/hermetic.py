"""What hermetic costs: the same training-like script inside the sandbox and bare, in turns, medians.

The script reads a file of features, fits a logistic regression by gradient descent in plain Python and writes a model,
so that it needs no package: what is measured is the sandbox and not a library. Both sides run the interpreter of the
base root. Start-up is measured with a script that does nothing. Staging, which is raising the walls and filling in the
input, is shown apart from the run.
"""

from __future__ import annotations

import io
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from muniment.adapters.sandbox import Require, SealedBase, choose_engine, seal_base
from muniment.execution.ports import Engine, Inline, Input, Launch, Limits
from muniment.kernel.digest import Digest
from table import Row

ROUNDS_START, ROUNDS_TRAIN = 21, 9
CHANNEL = "/opt/ml/input/data/train/train.csv"
TRAIN = """
import json, math, os, sys
source, target = sys.argv[1:]
rows = [tuple(map(float, line.split(","))) for line in open(source)]
weights = [0.0] * (len(rows[0]) - 1)
for epoch in range(15):
    gradient = [0.0] * len(weights)
    for *features, label in rows:
        margin = sum(w * x for w, x in zip(weights, features))
        error = 1 / (1 + math.exp(-margin)) - label
        for at, x in enumerate(features):
            gradient[at] += error * x
    weights = [w - 0.5 * g / len(rows) for w, g in zip(weights, gradient)]
json.dump(weights, open(target, "w"))
"""


class _Nowhere:
    """A sink for measurements."""

    def started(self) -> None:
        """Nothing to note."""

    def log(self, chunk: bytes) -> None:
        """A script that speaks has failed."""
        sys.stderr.buffer.write(chunk)

    def metric(self, line: bytes) -> None:
        """None come."""

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Read to the end, as the vault would."""
        source.read()


def run() -> list[Row]:
    """Measure start-up and run time, hermetic against bare."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        cache = Path(folder)
        engine = choose_engine(Require.ENFORCED, cache)
        base = seal_base(cache / "base")
        python = _interpreter(base)
        data = _features()
        (cache / "train.csv").write_bytes(data)
        (cache / "train.py").write_text(TRAIN)
        (cache / "empty.py").write_text("")

        def launch(code: str, arguments: tuple[str, ...], inputs: tuple[Input, ...]) -> Launch:
            return Launch(
                argv=(base.interpreter, "-s", "-P", "/opt/ml/code/main.py", *arguments),
                environment={"PYTHONHASHSEED": "0"},
                base=base.root,
                inputs=inputs,
                files=(Inline("/opt/ml/code/main.py", code.encode()),),
                limits=Limits(memory_mb=1024),
            )

        def bare(script: str, *arguments: str) -> tuple[float, float]:
            began, worked = time.perf_counter(), _children_cpu()
            command = [*python, "-s", "-P", str(cache / script), *arguments]
            subprocess.run(command, check=True, env={"PYTHONHASHSEED": "0", "PYTHONHOME": str(base.root / "usr")})
            return time.perf_counter() - began, _children_cpu() - worked

        train = launch(TRAIN, (CHANNEL, "/opt/ml/model/model.json"), (_sealed(data),))
        start = [_pair(engine, launch("", (), ()), lambda: bare("empty.py")) for _ in range(ROUNDS_START)]
        trained = [
            _pair(engine, train, lambda: bare("train.py", str(cache / "train.csv"), str(cache / "model.json")))
            for _ in range(ROUNDS_TRAIN)
        ]
    whole, staged, _, _, peer, _ = (statistics.median(column) for column in zip(*start, strict=True))
    overhead = whole - staged - peer
    _, _, inside, _, outside, _ = (statistics.median(column) for column in zip(*trained, strict=True))
    ratio = statistics.median(one[2] / one[4] for one in trained)
    worked = statistics.median(one[3] / one[5] for one in trained)
    return [
        Row(
            "hermetic start-up beyond staging",
            f"{1000 * overhead:.0f} ms",
            f"{1000 * peer:.0f} ms bare start",
            None,
            "<= 60 ms",
            overhead <= 0.060,
            f"{engine.name}; raising the walls takes another {1000 * staged:.0f} ms",
        ),
        Row(
            "hermetic run of a training script",
            f"{1000 * inside:.0f} ms",
            f"{1000 * outside:.0f} ms bare",
            ratio,
            "<= 1.02x",
            ratio <= 1.02,
            f"release to exit; processor time {worked:.3f}x; median of {ROUNDS_TRAIN} pairs",
        ),
    ]


Bare = Callable[[], tuple[float, float]]


def _pair(engine: Engine, launch: Launch, bare: Bare) -> tuple[float, float, float, float, float, float]:
    """One hermetic run (whole, staging, release to exit, processor) and one bare (whole, processor); seconds."""
    began = time.perf_counter()
    end = engine.run(launch, _Nowhere(), threading.Event())
    whole = time.perf_counter() - began
    if end.status != "ok":
        raise RuntimeError(f"{end.status} {end.reason}")
    return whole, end.usage.staging_s, end.usage.wall_s, end.usage.cpu_s, *bare()


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _interpreter(base: SealedBase) -> list[str]:
    """The base's interpreter by its own dynamic linker, outside any wall."""
    loader = next((base.root / "usr/lib64").glob("ld-linux*"))
    library = next((base.root / "usr").rglob("libc.so.6")).parent
    return [str(loader), "--library-path", str(library), str(base.root) + base.interpreter]


def _sealed(content: bytes) -> Input:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(content)

    return Input(CHANNEL, len(content), Digest.of(content), opened)


def _features() -> bytes:
    """Thirty thousand rows of twenty features and a label, seeded."""
    draw = random.Random(7)
    lines = []
    for _ in range(30_000):
        values = [draw.gauss(0, 1) for _ in range(20)]
        label = int(draw.gauss(sum(values[:5]), 1) > 0)
        lines.append(",".join(f"{value:.6f}" for value in values) + f",{label}\n")
    return "".join(lines).encode()
