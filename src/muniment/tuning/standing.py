"""How a study stands: worked out from what was asked for and from its runs, every time anew; nothing else is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from muniment.catalog.ports import Metrics
from muniment.execution.model import Run, RunStatus
from muniment.execution.queue import RunQueue
from muniment.execution.reading import report_of
from muniment.kernel.grade import Grade, weakest
from muniment.kernel.verb import Call
from muniment.tuning.planning import Design, Do, Phase, Trial, barrier, batch_of, batch_range
from muniment.tuning.ports import Studies, StudyRow, StudyStep
from muniment.tuning.space import Space, Value, read_space

__all__ = ["Standing", "TrialState", "design_of", "early_metric", "look"]

_AGAIN: Final = (RunStatus.CANCELLED, RunStatus.LOST)
_LEAST_OTHERS: Final = 5
"""Completed trials that a median needs."""

_MOST_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class TrialState:
    """One trial, as its runs show it."""

    trial: Trial
    params: Mapping[str, Value] | None
    suggested_by: str
    train: Run | None = None
    evaluate: Run | None = None
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A study and everything that came of it so far."""

    row: StudyRow
    design: Design
    space: Space
    trials: tuple[TrialState, ...]
    batches: Mapping[int, bool]
    """Of suggestions, whether their job has ended."""

    explaining: Run | None
    runs: tuple[Run, ...]

    @property
    def maximise(self) -> bool:
        """Whether larger is better."""
        return bool(self.row.document["maximise"])

    @property
    def over(self) -> bool:
        """Whether all its trials are."""
        return all(one.trial.phase.over for one in self.trials)

    @property
    def best(self) -> TrialState | None:
        """The trial with the best objective; of equal ones the first."""
        done = [one for one in self.trials if one.trial.phase is Phase.DONE and one.trial.value is not None]
        sign = -1 if self.maximise else 1
        return min(done, key=lambda one: (sign * (one.trial.value or 0.0), one.trial.number), default=None)

    @property
    def open(self) -> list[str]:
        """Runs that have not ended."""
        return [f"run:{run.id}" for run in self.runs if not run.status.ended]

    @property
    def grade(self) -> str:
        """The weakest grade of the runs that ended well."""
        ended = [run for run in self.runs if run.status is RunStatus.OK]
        complete = [bool((run.result.get("enforcement") or {}).get("complete")) for run in ended]
        return (weakest(Grade.PROVEN if one else Grade.DECLARED for one in complete) if ended else Grade.DECLARED).value

    def history(self, before: int) -> list[list[Any]]:
        """The trials below a number as the program that suggests reads them."""
        names = [one.name for one in self.space.dimensions]
        rows = []
        for one in self.trials[:before]:
            params = one.params or {}
            phase = one.trial.phase
            state = phase.value if phase.over else Phase.FAILED.value
            known = phase is Phase.DONE and one.trial.value is not None
            value = one.trial.value if known or phase is Phase.PRUNED else None
            if all(name in params for name in names):
                state = state if known or phase is not Phase.DONE else Phase.FAILED.value
                rows.append([[params[name] for name in names], value, state])
        return rows


def design_of(document: Mapping[str, Any]) -> Design:
    """What decides how a study goes, from its record."""
    return Design(
        sampler=document["sampler"],
        trials=document["trials"],
        concurrency=document["concurrency"],
        early_stop=document["early_stop"] == "median",
        evaluates=not reported_by_training(document["objective"]),
    )


def reported_by_training(objective: str) -> bool:
    """Whether a metric is one that the training itself reports round by round."""
    return objective.startswith(("validation.", "train."))


def early_metric(objective: str) -> tuple[str, bool]:
    """The metric by which a trial is watched while it trains, and whether larger is better."""
    if objective in ("validation.auc", "auc", "gini", "ks"):
        return "validation.auc", True
    return "validation.logloss", False


def look(call: Call, row: StudyRow) -> Standing:
    """How a study stands now."""
    document = row.document
    design, space = design_of(document), read_space(document["space"])
    queue = call.use(RunQueue)
    steps: dict[tuple[str, int], list[tuple[StudyStep, Run]]] = {}
    runs = []
    for step in call.use(Studies).steps(row.id):
        run = queue.get(row.project, step.run)
        if run is not None:
            steps.setdefault((step.do, step.number), []).append((step, run))
            runs.append(run)
    latest = {key: max(found, key=lambda one: one[0].attempt) for key, found in steps.items()}
    # What was stopped with the study is asked again; trials keep theirs until they begin anew.
    latest = {
        (do, number): (step, run)
        for (do, number), (step, run) in latest.items()
        if do in (Do.TRAIN, Do.EVALUATE) or not _again(row, step, run)
    }
    metrics = call.use(Metrics).latest(row.project, [run.id for run in runs])
    values = {
        run: {name: one.value for name, one in by_name.items() if math.isfinite(one.value)}
        for run, by_name in metrics.items()
    }
    batches = {number: run.status.ended for (do, number), (_, run) in latest.items() if do == Do.SUGGEST}
    suggested = _suggestions(call, design, space, document, latest)
    trials = tuple(
        _trial(row, design, number, *suggested.get(number, (None, "")), latest, values)
        for number in range(design.trials)
    )
    explaining = latest.get((Do.EXPLAIN, 0))
    return Standing(row, design, space, trials, batches, explaining and explaining[1], tuple(runs))


def _suggestions(
    call: Call,
    design: Design,
    space: Space,
    document: Mapping[str, Any],
    latest: Mapping[tuple[str, int], tuple[StudyStep, Run]],
) -> dict[int, tuple[Mapping[str, Value] | None, str]]:
    """What each trial tries, as far as that is known, and who says so."""
    seed = document["seed"]
    if design.sampler == "grid":
        return {number: (point, "grid") for number, point in enumerate(space.of_grid(seed, design.trials))}
    found: dict[int, tuple[Mapping[str, Value] | None, str]] = {}
    reports: dict[int, list[Any] | None] = {}
    for number in range(design.trials):
        batch = batch_of(design, number)
        if batch is None:
            found[number] = (space.random(seed, number), "random")
            continue
        asked = latest.get((Do.SUGGEST, batch))
        if asked is None or not asked[1].status.ended:
            continue
        run = asked[1]
        if batch not in reports:
            report = report_of(call, run)
            reports[batch] = report.get("suggestions") if report is not None else None
        place = number - batch_range(design, batch).start
        rows = reports[batch]
        fits = isinstance(rows, list) and place < len(rows) and isinstance(rows[place], dict)
        # A job that failed to suggest costs the search its cleverness, not its end.
        found[number] = (
            (rows[place], f"run:{run.id}")
            if fits and isinstance(rows, list)
            else (space.random(seed, number), f"random, because run:{run.id} suggested nothing")
        )
    return found


def _trial(
    row: StudyRow,
    design: Design,
    number: int,
    params: Mapping[str, Value] | None,
    by: str,
    latest: Mapping[tuple[str, int], tuple[StudyStep, Run]],
    values: Mapping[str, Mapping[str, float]],
) -> TrialState:
    def state(phase: Phase, value: float | None = None, reason: str = "", measured: str = "") -> TrialState:
        shown = values.get(measured or (train.id if train is not None else ""), {})
        return TrialState(Trial(number, phase, value), params, by, train, evaluate, reason, shown)

    train_step, train = latest.get((Do.TRAIN, number), (None, None))
    evaluate_step, evaluate = latest.get((Do.EVALUATE, number), (None, None))
    if train is None or (train_step is not None and _again(row, train_step, train)):
        train = evaluate = None
        return state(Phase.WAITING)
    tried = train.job["params"]
    params = {name: tried[name] for name in row.document["space"] if name in tried}
    if not train.status.ended:
        evaluate = None
        return state(Phase.TRAINING)
    fired = next((one for one in train.result.get("rules", []) if one["rule"] == "MedianStop" and one["fired"]), None)
    if fired is not None:
        return state(Phase.PRUNED, fired["facts"].get("best"), fired["message"])
    if train.status is not RunStatus.OK:
        return state(Phase.FAILED, None, str((train.result.get("error") or {}).get("message", train.status.value)))
    objective = row.document["objective"]
    if not design.evaluates:
        value = values.get(train.id, {}).get(objective)
        reason = "" if value is not None else f"the training reports no {objective}"
        return state(Phase.DONE if value is not None else Phase.FAILED, value, reason)
    if evaluate is None or (evaluate_step is not None and _again(row, evaluate_step, evaluate)):
        evaluate = None
        return state(Phase.TRAINED)
    if not evaluate.status.ended:
        return state(Phase.EVALUATING)
    if evaluate.status is not RunStatus.OK:
        error = evaluate.result.get("error") or {}
        return state(Phase.FAILED, None, str(error.get("message", evaluate.status.value)))
    value = values.get(evaluate.id, {}).get(objective)
    if value is None:
        return state(Phase.FAILED, None, f"the evaluation has no {objective}", evaluate.id)
    return state(Phase.DONE, value, "", evaluate.id)


def _again(row: StudyRow, step: StudyStep, run: Run) -> bool:
    """Whether a job was stopped with its study, which then went on."""
    return run.status in _AGAIN and step.attempt < row.resumed


def curve(call: Call, standing: Standing, number: int) -> dict[str, float]:
    """The median of the running averages of the completed trials before a trial's barrier, by round.

    Empty while fewer than five have completed: then nothing is stopped.
    """
    metric, _ = early_metric(standing.row.document["objective"])
    others = [
        one.train
        for one in standing.trials[: barrier(standing.design, number)]
        if one.trial.phase is Phase.DONE and one.train is not None
    ]
    if len(others) < _LEAST_OTHERS:
        return {}
    by_step: dict[int, list[float]] = {}
    for run in others:
        total = 0.0
        for count, one in enumerate(call.use(Metrics).series(standing.row.project, run.id, metric), 1):
            total += one.value
            by_step.setdefault(one.step or 0, []).append(total / count)
    steps = [step for step, found in sorted(by_step.items()) if len(found) >= _LEAST_OTHERS]
    every = max(1, math.ceil(len(steps) / _MOST_ROUNDS))
    return {str(step): _median(by_step[step]) for step in steps[::every]}


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
