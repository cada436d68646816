"""Rules over losses and other numbers, one per step. Pure; each looks at the end of what it is given.

Defaults are those of the SageMaker Debugger built-in rules (developer guide, "List of Debugger built-in rules").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile

from muniment.analytics.rules.events import Finding, Scalar

__all__ = [
    "exploding_scalar",
    "loss_not_decreasing",
    "median_stop",
    "overfit",
    "overtraining",
    "similar_across_runs",
    "stalled_training",
]


def loss_not_decreasing(
    losses: Sequence[Scalar], *, num_steps: int, diff_percent: float, increase_threshold_percent: float
) -> Finding | None:
    """Fire when the loss has not gone down by so much in so many steps, or has gone up from its lowest in them.

    Args:
        losses: in the order they came; the last one is judged.
        num_steps: the loss is compared with the one at least so many steps before.
        diff_percent: least decrease in percent of the earlier loss.
        increase_threshold_percent: most increase over the lowest loss since then, in percent of it.
    """
    now = losses[-1]
    window: list[Scalar] = []
    before = None
    for one in reversed(losses):  # from the end, for the window is short and a training is long
        if one.step >= now.step - num_steps:
            window.append(one)
        if one.step <= now.step - num_steps:
            before = one
            break
    if before is None or not (math.isfinite(now.value) and math.isfinite(before.value)) or before.value == 0:
        return None
    lowest = min((one.value for one in window if math.isfinite(one.value)), default=now.value)
    risen = 100 * (now.value - lowest) / abs(lowest) if lowest else 0.0
    fallen = 100 * (before.value - now.value) / abs(before.value)
    facts = {"loss": now.value, "before": before.value, "at_step": before.step, "decrease_percent": fallen}
    if risen > increase_threshold_percent:
        return Finding(
            now.step, f"the loss rose by {risen:.3g} % within {num_steps} steps", {**facts, "increase_percent": risen}
        )
    if fallen < diff_percent:
        return Finding(
            now.step,
            f"the loss fell by {fallen:.3g} % in {now.step - before.step} steps, less than {diff_percent:g} %",
            facts,
        )
    return None


def overfit(
    train: Sequence[Scalar], validation: Sequence[Scalar], *, ratio_threshold: float, patience: int, start_step: int
) -> Finding | None:
    """Fire when the validation loss is above the training loss by more than a share, more often in a row than allowed.

    Args:
        train: losses on the training rows.
        validation: losses on other rows; steps that only one side has do not count.
        ratio_threshold: of ``(validation - train) / train``.
        patience: so many steps in a row are let pass.
        start_step: earlier steps do not count.
    """
    last = list(islice(reversed(validation), patience + 1))[::-1]
    first = min(one.step for one in last)
    by_step = {one.step: one.value for one in takewhile(lambda one: one.step >= first, reversed(train))}
    ratios = [
        (one.step, (one.value - by_step[one.step]) / abs(by_step[one.step]))
        for one in last
        if one.step >= start_step and by_step.get(one.step)
    ]
    if len(ratios) <= patience or not all(ratio > ratio_threshold for _, ratio in ratios):
        return None
    step, ratio = ratios[-1]
    return Finding(
        step,
        f"the validation loss is {100 * ratio:.3g} % above the training loss, more than {100 * ratio_threshold:g} %",
        {"ratio": ratio, "train": by_step[step], "validation": validation[-1].value, "steps_in_a_row": len(ratios)},
    )


def overtraining(
    train: Sequence[Scalar],
    validation: Sequence[Scalar],
    *,
    patience_train: int,
    patience_validation: int,
    delta: float,
) -> Finding | None:
    """Fire when one of the losses has not improved on its best by ``delta`` for more steps than its patience."""
    sides = (("training", train, patience_train), ("validation", validation, patience_validation))
    for what, losses, patience in sides:
        best, waited = math.inf, 0
        for one in losses:
            if one.value < best - delta:
                best, waited = one.value, 0
            else:
                waited += 1
        if waited > patience:
            return Finding(
                losses[-1].step,
                f"the {what} loss has not improved by {delta:g} for {waited} steps",
                {"loss": losses[-1].value, "best": best, "steps": waited, "of": what},
            )
    return None


def stalled_training(last: float, now: float, *, threshold: float) -> Finding | None:
    """Fire when nothing was reported for longer than ``threshold`` seconds; the clock is the supervisor's."""
    silent = now - last
    if silent <= threshold:
        return None
    return Finding(0, f"nothing was reported for {silent:.0f} s, more than {threshold:g} s", {"silent_s": silent})


def similar_across_runs(
    mine: Sequence[Scalar], other: Mapping[int, float], *, rtol: float, atol: float
) -> Finding | None:
    """Fire when the last value is not what the other run had at the same step, within tolerances."""
    now = mine[-1]
    theirs = other.get(now.step)
    if theirs is None or now.value == theirs or (math.isnan(now.value) and math.isnan(theirs)):
        return None
    if abs(now.value - theirs) <= atol + rtol * abs(theirs):
        return None
    return Finding(now.step, f"the value is {now.value:.6g}, that of the other run was {theirs:.6g}", {"other": theirs})


def exploding_scalar(values: Sequence[Scalar], *, only_nan: bool) -> Finding | None:
    """Fire when a number is not a number, or infinite unless ``only_nan``."""
    now = values[-1]
    if math.isnan(now.value) or (math.isinf(now.value) and not only_nan):
        what = "not a number" if math.isnan(now.value) else "infinite"
        return Finding(now.step, f"the value is {what}", {"value": what})
    return None


def median_stop(values: Sequence[Scalar], curve: Mapping[int, float], *, warmup: int, maximise: bool) -> Finding | None:
    """Fire when the best value so far is worse than the median of other trials at the same step.

    The median stopping rule of Golovin et al. 2017 (Google Vizier, section 3.2.2): ``curve`` holds, by step, the
    median of the running averages of the completed trials; it is part of the plan, so the verdict repeats.
    """
    now = values[-1]
    limit = curve.get(now.step)
    if limit is None or now.step < warmup:
        return None
    finite = [one.value for one in values if math.isfinite(one.value)]
    best = (max if maximise else min)(finite, default=-math.inf if maximise else math.inf)
    if (best < limit) if maximise else (best > limit):
        return Finding(
            now.step,
            f"the best value so far, {best:.6g}, is worse than the median of other trials, {limit:.6g}",
            {"best": best if math.isfinite(best) else None, "median": limit},
        )
    return None
