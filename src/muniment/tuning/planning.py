"""What a study does next: a function of its design and of how its trials stand. Pure.

Because nothing else is looked at, a study that was interrupted anywhere goes on from where it was: what is due is
worked out again, and what was begun is not due any more.

A trial may wait for all trials before a barrier to be over: where what it is given hangs on how others ended (TPE, the
median rule), that must be the same others whoever is faster, so that equal seeds give equal searches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Design", "Do", "Phase", "Step", "Trial", "barrier", "batch_of", "batch_range", "due"]

STARTUP: Final = 10
"""So many first trials of TPE are drawn by chance (Bergstra et al. 2011 begin the same way)."""


class Phase(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    TRAINING = "training"
    TRAINED = "trained"
    """It has ended well and is not measured yet."""

    EVALUATING = "evaluating"
    DONE = "done"
    PRUNED = "pruned"
    """The rule for early stopping fired."""

    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self in (Phase.DONE, Phase.PRUNED, Phase.FAILED)

    @property
    def running(self) -> bool:
        """Whether the trial counts against the limit of those at once."""
        return self in (Phase.TRAINING, Phase.TRAINED, Phase.EVALUATING)


@dataclass(frozen=True, slots=True)
class Design:
    """What decides how a study goes."""

    sampler: str
    """``grid``, ``random`` or ``tpe``."""

    trials: int
    concurrency: int
    early_stop: bool
    evaluates: bool
    """Whether a trial is measured by a job of its own; else by what its training reports."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a trial stands."""

    number: int
    phase: Phase
    value: float | None = None


class Do(StrEnum):
    """A kind of job of a study."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    SUGGEST = "suggest"
    EXPLAIN = "explain"


@dataclass(frozen=True, slots=True)
class Step:
    """A job that is due."""

    do: Do
    number: int
    """Of the trial, or of the batch of suggestions."""


def batch_of(design: Design, number: int) -> int | None:
    """The batch of suggestions that a trial is of; None for one that is drawn or taken from a grid."""
    if design.sampler != "tpe" or number < STARTUP:
        return None
    return (number - STARTUP) // design.concurrency


def batch_range(design: Design, batch: int) -> range:
    """The trials of a batch."""
    start = STARTUP + batch * design.concurrency
    return range(start, min(start + design.concurrency, design.trials))


def barrier(design: Design, number: int) -> int:
    """All trials below this number must be over before the trial may begin; only they may decide what it is given."""
    batch = batch_of(design, number)
    by_batch = 0 if batch is None else batch_range(design, batch).start
    by_median = number // design.concurrency * design.concurrency if design.early_stop else 0
    return max(by_batch, by_median)


def due(
    design: Design, trials: Sequence[Trial], batches: Mapping[int, bool], explaining: Collection[int]
) -> tuple[Step, ...]:
    """What is to be begun now, in order.

    Args:
        design: of the study.
        trials: all of them, by number.
        batches: of suggestions that were asked for, whether they have ended.
        explaining: not empty once the explanation was asked for.
    """
    steps = [Step(Do.EVALUATE, one.number) for one in trials if one.phase is Phase.TRAINED]
    free = design.concurrency - sum(one.phase.running for one in trials)
    over = 0
    while over < len(trials) and trials[over].phase.over:
        over += 1
    for one in trials:
        if one.phase is not Phase.WAITING:
            continue
        batch = batch_of(design, one.number)
        if barrier(design, one.number) > over:
            break
        if batch is not None and not batches.get(batch, False):
            if batch not in batches:
                steps.append(Step(Do.SUGGEST, batch))
            break
        if free <= 0:
            break
        steps.append(Step(Do.TRAIN, one.number))
        free -= 1
    if over == len(trials) and not explaining and sum(one.phase is Phase.DONE for one in trials) > 1:
        steps.append(Step(Do.EXPLAIN, 0))
    return tuple(steps)
