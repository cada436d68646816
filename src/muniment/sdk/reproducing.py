"""Making a model again, and what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from muniment.sdk.asking import Asking
from muniment.wire import execution as wx

__all__ = ["VERDICTS", "reproduced"]

VERDICTS: Final[Mapping[str, str]] = {
    "identical-bytes": "every file of the model is the same, bit for bit",
    "identical-predictions": "files differ, and what decides predictions does not",
    "equivalent": "scores differ within the bounds, and no decision changes",
    "different": "the model decides otherwise",
}
"""What each verdict means, the best first."""


def reproduced(asking: Asking, model: str, wait: Callable[[Any], Any]) -> dict[str, Any]:
    """Make a model again from its record alone; where other bytes come out, score both on what it was made of.

    Args:
        asking: the client.
        model: reference of the model.
        wait: waits for a run until it has ended well.

    Returns:
        The verdict with what it rests on: the run that made it again, and ``comparison`` where scores decided.
    """
    again = wx.ReproduceModel(project=asking.project, model=model)
    run = wait(asking.start("execution:ReproduceModel", again))
    found: dict[str, Any] = {"run": run.reference, "grade": run.detail.grade, **(run.detail.verdict or {})}
    if found.get("verdict") == "different" and found.get("made"):
        request = wx.CompareModels(project=asking.project, model=found["expected"], other=found["made"])
        compared = wait(asking.start("execution:CompareModels", request))
        report = compared.detail.report or {}
        found |= {"comparison": {"run": compared.reference, **report}, "verdict": report.get("verdict", "different")}
    return found
