"""The tutorial is true: its shell blocks run as they stand, and print what it says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from muniment.bootstrap import cache_folder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "first-model.md"
BLOCK = re.compile(r"^```(sh|text|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- end of block ---"


def _blocks() -> list[tuple[str, list[str]]]:
    """Each shell block of the page with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "sh":
            found.append((body, []))
        elif kind == "text":
            found[-1][1].extend(line.rstrip() for line in body.splitlines() if line.strip())
    return found


def _printed(line: str, output: str) -> bool:
    """Whether a line of the page is in the output: ``…`` stands for anything, runs of blanks for one."""
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    return re.search(".*".join(parts), "\n".join(" ".join(row.split()) for row in output.splitlines())) is not None


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    """One shell runs all blocks in order in an empty folder; each ends well and prints the lines shown below it."""
    blocks = _blocks()
    assert len(blocks) >= 5, "the page holds shell blocks"
    script = "set -eu\n" + "".join(f"{body}\necho '{MARK}'\n" for body, _ in blocks)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MUNIMENT_HOME": str(tmp_path / "home"),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "160",
        "MUNIMENT_CACHE": str(cache_folder()),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    outputs = done.stdout.split(MARK)
    assert done.returncode == 0, (
        f"block {len(outputs)} failed:\n{blocks[len(outputs) - 1][0]}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    )
    for (body, lines), output in zip(blocks, outputs, strict=False):
        missing = [line for line in lines if not _printed(line, output)]
        assert missing == [], f"after\n{body}\ncame\n{output}"
