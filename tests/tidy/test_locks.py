"""The locks: everything pinned, every file known by its hash, and no host named."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from sources import ROOT

LOCKS = sorted([*(ROOT / "locks").glob("*.txt"), *(ROOT / "src").rglob("locks/*.txt")])
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?==([^\s;]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def _pins(lock: Path) -> dict[str, str]:
    matches = (PIN.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_is_a_pin_or_a_hash(lock: Path) -> None:
    """A lock holds pinned names, each followed by at least one SHA-256, and nothing else: no URL, no host."""
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []
    assert all(HASH.match(following) for line, following in itertools.pairwise(lines) if PIN.match(line))
    assert "://" not in "\n".join(lines)


def test_development_uses_what_is_shipped() -> None:
    """The development lock pins every runtime dependency to the version that is shipped."""
    runtime, development = _pins(ROOT / "locks" / "runtime.txt"), _pins(ROOT / "locks" / "dev.txt")
    assert runtime.items() <= development.items()


def test_the_control_plane_has_no_numerical_library() -> None:
    """Numbers are worked inside the sandbox: what the control plane installs holds no numerical library."""
    heavy = {"numpy", "pandas", "polars", "pyarrow", "scipy", "scikit-learn", "xgboost", "lightgbm", "skops"}
    assert heavy.isdisjoint(_pins(ROOT / "locks" / "runtime.txt"))
