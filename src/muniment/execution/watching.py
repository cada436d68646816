"""Training rules over a job that runs: judged here, by the supervisor, from what comes out of the sandbox.

The job cannot undo what was judged, and the verdict follows from what it reported. What a built-in program reports is
what happened behind the walls, and so its verdicts are proven; a script reports what it likes, and so a verdict on it
is declared, be it judged by the platform or by a rule of the script's own. ``judged_by`` says which.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from muniment.analytics.rules.watch import Others, Watch
from muniment.catalog.ports import Metrics
from muniment.execution.model import Run
from muniment.kernel.grade import Grade
from muniment.kernel.ports import Session

__all__ = ["RuleWatch", "graded", "others_of"]

_EVENT: Final = b'"event"'
_MOST_EVENTS: Final = 1_000_000
_MOST_SERIES: Final = 200
_STEP: Final = 2**31


class _Event(msgspec.Struct):
    """A line that is no metric."""

    event: str
    name: str
    step: int = 0
    collection: str = "other"
    facts: dict[str, Any] = {}
    fired: bool = False
    message: str = ""


class RuleWatch:
    """The rules of one run; events may come from several threads."""

    def __init__(self, run: Run, others: Others, start: datetime) -> None:
        plan = run.job["rules"]
        # A reproduction is watched as the original was, and goes on to its end.
        stop_on = () if run.kind == "reproduce" else plan["stop_on"]
        self._watch = Watch(plan["rules"], stop_on, plan["custom"], others, start.timestamp())
        self._custom = frozenset(plan["custom"])
        self._script = run.job["kind"] == "run"
        self._lock, self._events = threading.Lock(), 0
        self.halt = threading.Event()
        """Set when a rule wants the job stopped."""

    @property
    def stopped_by(self) -> str:
        """The rule that wants the job stopped; empty for none."""
        return self._watch.stopping

    def takes(self, line: bytes, now: datetime) -> bool:
        """Look at a line of the job that is an event for rules; False for any other line."""
        if _EVENT not in line:
            return False
        try:
            one = msgspec.json.decode(line, type=_Event)
        except (msgspec.MsgspecError, RecursionError):
            return False
        if one.event not in ("tensor", "rule") or abs(one.step) >= _STEP or not 0 < len(one.name) <= 200:
            return False
        self._events += 1
        if self._events <= _MOST_EVENTS:
            with self._lock:
                if one.event == "tensor":
                    self._watch.summary(one.name, one.collection, one.step, one.facts, now.timestamp())
                else:
                    self._watch.told(one.name, one.fired, one.step, one.message, one.facts, now.timestamp())
            self._act()
        return True

    def metric(self, name: str, value: float, step: int | None, now: datetime) -> None:
        """Look at a metric."""
        with self._lock:
            self._watch.scalar(name, step, value, now.timestamp())
        self._act()

    def tick(self, now: datetime) -> None:
        """Time goes by."""
        with self._lock:
            self._watch.tick(now.timestamp())
        self._act()

    def verdicts(self) -> tuple[Mapping[str, Any], ...]:
        """What each rule came to, and who judged on whose word."""
        with self._lock:
            found = self._watch.verdicts()
        return tuple(
            {
                **one,
                "judged_by": "script" if one["rule"] in self._custom else "platform",
                "reported_by": "script" if self._script else "platform",
            }
            for one in found
        )

    def _act(self) -> None:
        if self._watch.stopping:
            self.halt.set()


def graded(verdict: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
    """A verdict with the grade that it deserves, given whether all walls stood."""
    believed = complete and "script" not in (verdict["judged_by"], verdict["reported_by"])
    return {**verdict, "grade": (Grade.PROVEN if believed else Grade.DECLARED).value}


def others_of(session: Session, run: Run) -> dict[str, dict[str, dict[int, float]]]:
    """The metrics of the runs that a run is compared with while it goes on."""
    wanted = run.job["rules"]["rules"].get("SimilarAcrossRuns", {}).get("other_trials", [])
    metrics = session.use(Metrics)
    return {
        other: {
            name: {one.step or 0: one.value for one in metrics.series(run.project, other, name)}
            for name in sorted(metrics.latest(run.project, [other]).get(other, {}))[:_MOST_SERIES]
        }
        for other in wanted
    }
