"""Making a model again, and what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from muniment.errors import IntegrityError, Invalid
from muniment.sdk.asking import Asking
from muniment.wire import execution as wx

__all__ = ["VERDICTS", "compared", "reproduced"]

_ANY_ULP: Final = 1 << 53
"""No bound in last places: those of single precision lie far above those of double, and one bound is enough."""

VERDICTS: Final[Mapping[str, str]] = {
    "identical-bytes": "every file of the model is the same, bit for bit",
    "identical-predictions": "files differ, and what decides predictions does not",
    "equivalent": "scores differ within the bounds, and no decision changes",
    "different": "scores lie beyond the bounds, a decision changes, or there are no scores to show otherwise",
}
"""What each verdict means, the best first."""


def reproduced(
    asking: Asking, model: str, wait: Callable[[Any], Any], *, within: float | None = None
) -> dict[str, Any]:
    """Make a model again from its record alone; where other bytes come out, score both on what it was made of.

    Args:
        asking: the client.
        model: reference of the model.
        wait: waits for a run until it has ended well.
        within: largest difference of a score that is still equivalent; see ``compared``.

    Returns:
        The verdict with what it rests on: the run that made it again, and ``comparison`` where scores decided, or
        ``not_scored``, why there are none.
    """
    again = wx.ReproduceModel(project=asking.project, model=model)
    run = wait(asking.start("execution:ReproduceModel", again))
    found: dict[str, Any] = {"run": run.reference, "grade": run.detail.grade, **(run.detail.verdict or {})}
    if found.get("verdict") == "different" and found.get("made"):
        try:
            beside = compared(asking, found["expected"], found["made"], wait, within=within)
        except (Invalid, IntegrityError) as refusal:  # other bytes came out, whatever a second job makes of them
            return {**found, "not_scored": f"{refusal.message} [{refusal.code}]"}
        wanted = ("verdict", "comparison", *(("cause",) if beside["verdict"] == "identical-predictions" else ()))
        found |= {name: beside[name] for name in wanted if name in beside}
    return found


def compared(
    asking: Asking,
    model: str,
    other: str,
    wait: Callable[[Any], Any],
    *,
    data: str | None = None,
    within: float | None = None,
) -> dict[str, Any]:
    """Score two models on the same rows, and name the first thing in which their makings differ.

    Args:
        asking: the client.
        model: reference of one model.
        other: reference of the other.
        wait: waits for a run until it has ended well.
        data: rows to score; None takes what the first was made of.
        within: largest difference of a score that is still equivalent; None takes bounds that suit double precision.

    Returns:
        The verdict, its cause, and ``comparison`` with what was measured.
    """
    request = wx.CompareModels(project=asking.project, model=model, other=other, data=data)
    if within is not None:
        request = msgspec.structs.replace(request, max_difference=within, max_ulp=_ANY_ULP)
    run = wait(asking.start("execution:CompareModels", request))
    report = run.detail.report or {}
    found = {"verdict": report.get("verdict", "different"), **(run.detail.verdict or {})}
    return {**found, "comparison": {"run": run.reference, **report}}
