"""The same attacks under a supervisor that is an ordinary user: no user ids to give away, no control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sandboxing
from ordinary import as_ordinary_user

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
SUITES = (
    "attacks/test_sandbox_limits.py",
    "attacks/test_sandbox_inputs.py",
    "attacks/test_sandbox_collector.py",
    "attacks/test_sandbox_supervisor_death.py",
    "conformance/test_sandbox_engines.py",
)


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_passes_for_an_ordinary_user(suite: str) -> None:
    """Each suite passes under a user without rights; what needs root or control groups says that it is skipped."""
    if os.geteuid() != 0:
        sandboxing.missing("not root: these suites ran as an ordinary user already")
    done = as_ordinary_user(TESTS / "attacks" / "run_suite.py", str(TESTS / suite), timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
