"""What the tests of the programs may ask for. They run in the job environment; elsewhere nothing here is collected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
JOB_ENVIRONMENT = all(find_spec(name) is not None for name in ("numpy", "pyarrow", "xgboost", "lightgbm", "skops"))
collect_ignore_glob = [] if JOB_ENVIRONMENT else ["*"]
if JOB_ENVIRONMENT:
    from muniment.programs.snapshots import SnapshotWriter, write_manifest


class Bench:
    """The ``/opt/ml`` layout of one job in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def given(self, **parameters: Any) -> None:
        """Write the hyperparameters."""
        path = self.root / "input/config/hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(parameters))

    def channel(self, name: str, files: dict[str, bytes | Path]) -> None:
        """Give an input: contents or files by name."""
        folder = self.root / "input/data" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            (folder / path).write_bytes(content.read_bytes() if isinstance(content, Path) else content)

    def result(self, name: str) -> Any:
        """A result document."""
        return json.loads((self.root / "output/data" / name).read_bytes())


def snapshot(table: Any, target: str | None = None) -> dict[str, bytes]:
    """The files of a snapshot of an Arrow table."""
    with tempfile.TemporaryDirectory() as folder:
        writer = SnapshotWriter(Path(folder), table.schema)
        writer.write(table)
        write_manifest(Path(folder) / "manifest.json", writer.close(target))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def start(root: Path, *command: str, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run Python as the sandbox would; exit status, metrics and standard error."""
    read, write = os.pipe()
    variables = {
        "MUNIMENT_ML_ROOT": str(root),
        "PYTHONPATH": str(SOURCE),
        "MUNIMENT_METRICS_FD": str(write),
    } | environment
    with subprocess.Popen(
        [sys.executable, "-s", "-P", *command], env=variables, pass_fds=[write], stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        with os.fdopen(read) as pipe:
            metrics = [json.loads(line) for line in pipe]
        _, errors = process.communicate()
    return process.returncode, metrics, errors


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    """Makes the layouts of jobs, by name."""
    return lambda name: Bench(tmp_path / name)


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """The folder of public data sets beside the repository, or None where there is none."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None
