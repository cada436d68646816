"""What the attack tests share: the engines, and the rule for machines that lack them."""

from __future__ import annotations

import pytest

import sandboxing
from muniment.adapters.sandbox import Bubblewrap, Landlock
from muniment.adapters.sandbox.canaries import Runner
from muniment.errors import Unavailable


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the rows that prove nothing on this machine, so that nobody counts them as passed."""
    rows = [
        f"{report.nodeid.partition('::')[2]}: {report.longrepr[2]}"
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and "not applicable" in report.longrepr[2]
    ]
    if rows:
        terminalreporter.section("attacks that are not applicable on this machine: neither passed nor failed")
        for row in sorted(rows):
            terminalreporter.line(row)


@pytest.fixture(scope="session")
def bubblewrap() -> Bubblewrap:
    """The engine ``bwrap``, after a job ran in it."""
    try:
        engine = Bubblewrap(sandboxing.workplace())
    except Unavailable as broken:
        sandboxing.missing(broken.message)
    end, _ = sandboxing.run(engine.run_as, sandboxing.job("pass"))
    if end.status != "ok":
        sandboxing.missing(end.reason)
    return engine


@pytest.fixture(scope="session")
def landlock() -> Landlock:
    """The engine ``landlock``, after a job ran in it."""
    try:
        engine = Landlock(sandboxing.workplace())
    except Unavailable as broken:
        sandboxing.missing(broken.message)
    end, recorder = sandboxing.run(engine.run_as, sandboxing.job("pass"))
    if end.status != "ok":
        sandboxing.missing(f"{end.reason} {recorder.text}")
    return engine


@pytest.fixture(params=["bwrap", "landlock"])
def walls(request: pytest.FixtureRequest) -> Runner:
    """Each engine with walls in turn."""
    engine: Bubblewrap | Landlock = request.getfixturevalue({"bwrap": "bubblewrap"}.get(request.param, request.param))
    return engine.run_as
