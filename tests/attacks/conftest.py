"""What the attack tests share: the engines, and the rule for machines that lack them."""

from __future__ import annotations

import pytest

import sandboxing
from muniment.adapters.sandbox import Bubblewrap, Landlock
from muniment.adapters.sandbox.canaries import Runner
from muniment.errors import Unavailable


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
