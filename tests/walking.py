"""One test for many like things: it goes through all of them in one home, and names each that fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from muniment.kernel.verb import Verb

Test = Callable[..., None]


def each(verbs: Iterable[Verb]) -> Callable[[Test], Test]:
    """A test of one ``verb`` becomes a test of all of them: all are tried, and the message names each that failed."""
    walked = list(verbs)
    assert walked, "a walk over nothing proves nothing"

    def made(test: Test) -> Test:
        @functools.wraps(test)
        def walk(**fixtures: Any) -> None:
            failed = {}
            for verb in walked:
                try:
                    test(**fixtures, verb=verb)
                except (Exception, pytest.fail.Exception) as broken:
                    failed[verb.action] = f"{type(broken).__name__}: {broken}"
            assert not failed, "\n\n".join(f"{action}: {why}" for action, why in failed.items())

        known = inspect.signature(test)
        asked = [one for name, one in known.parameters.items() if name != "verb"]
        walk.__signature__ = known.replace(parameters=asked)  # type: ignore[attr-defined]
        return walk

    return made
