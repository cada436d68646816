"""Tutorial and how-to pages are true: their shell blocks run as they stand, and print what the pages say they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from muniment.bootstrap import cache_folder

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "tutorials/first-model.md",
    "how-to/prove-unused.md",
    "how-to/trace-lineage.md",
    "how-to/understand-a-refusal.md",
    "how-to/run-your-own-script.md",
    "how-to/set-a-gate.md",
    "how-to/findings-and-challenge.md",
    "how-to/approve-a-model.md",
    "how-to/promote-to-production.md",
    "how-to/keep-a-risk-register.md",
    "how-to/instructions-for-use.md",
    "how-to/examine-as-internal-audit.md",
    "how-to/verify-the-ledger.md",
    "how-to/bring-data-in.md",
    "how-to/measure-data-quality.md",
)
"""In this order, in one installation: the how-to pages take up what the tutorial made."""

AUDITED = ("tutorials/first-model.md", "tutorials/verify-a-pack.md")
"""In another installation, where nothing else was stated about the model."""

PROVED = ("tutorials/prove-everything.md",)
"""On the credit file where it is given, and on a file that the page writes where it is not."""

GIVEN = DOCS.parents[1] / "shared" / "data" / "credit_default" / "UCI_Credit_Card.csv.gz"

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- end of block ---"


def _blocks(page: str) -> list[tuple[str, list[str]]]:
    """Each shell block of a page with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for kind, body in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if kind == "sh":
            found.append((body, []))
        else:
            found[-1][1].extend(line.rstrip() for line in body.splitlines() if line.strip())
    return found


def _printed(line: str, output: str) -> bool:
    """Whether a line of the page is in the output: ``…`` stands for anything, runs of blanks for one."""
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    return re.search(".*".join(parts), "\n".join(" ".join(row.split()) for row in output.splitlines())) is not None


@pytest.mark.slow
@pytest.mark.parametrize("pages", [PAGES, AUDITED, PROVED], ids=["used", "audited", "proved"])
def test_the_pages_run_as_they_stand(tmp_path: Path, pages: tuple[str, ...]) -> None:
    """One shell runs all blocks in order in an empty folder; each ends well and prints the lines shown below it."""
    if pages is PROVED and GIVEN.exists():
        shutil.copy(GIVEN, tmp_path)
    blocks = [block for page in pages for block in _blocks(page)]
    assert len(blocks) >= 12, "the pages hold shell blocks"
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
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    outputs = done.stdout.split(MARK)
    for (body, lines), output in zip(blocks, outputs, strict=False):
        missing = [line for line in lines if not _printed(line, output)]
        assert missing == [], f"after\n{body}\ncame\n{output}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, f"block {len(outputs)} failed: {done.stdout[-1000:]}{done.stderr[-2000:]}"
