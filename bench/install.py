"""How much a control plane weighs: the files that a fresh installation of ours and of MLflow put on the disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from table import Row

ROOT = Path(__file__).resolve().parents[1]
UV = str(Path(sys.executable).with_name("uv"))


def install(folder: Path, *arguments: str) -> int:
    """Install into a new virtual environment and return its size in bytes."""
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *arguments],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return sum(path.lstat().st_size for path in (folder / "lib").rglob("*") if path.is_file() and not path.is_symlink())


def run() -> list[Row]:
    """Ours from the lock with the package itself, against ``pip install mlflow`` of the same moment."""
    what = "control-plane install, without job environments"
    with tempfile.TemporaryDirectory(prefix="muni-bench-") as scratch:
        ours = install(Path(scratch) / "ours", "--require-hashes", "--no-deps", "--requirement", "locks/runtime.txt")
        ours += sum(path.stat().st_size for path in (ROOT / "src").rglob("*.py"))
        with_numpy = any((Path(scratch) / "ours").rglob("numpy/__init__.py"))
        note = "holds numpy" if with_numpy else "no numpy"
        try:
            peer = install(Path(scratch) / "peer", "mlflow")
        except subprocess.CalledProcessError as failed:
            reason = (failed.stderr or "").strip().splitlines()[-1:]
            return [
                Row(what, f"{ours / 1e6:.0f} MB", "MLflow could not be installed", None, "<= 0.5x", None, f"{reason}")
            ]
        kept = ours / peer <= 0.5 and not with_numpy
        return [Row(what, f"{ours / 1e6:.0f} MB", f"{peer / 1e6:.0f} MB MLflow", ours / peer, "<= 0.5x", kept, note)]
