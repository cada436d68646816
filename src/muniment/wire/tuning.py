"""Requests and replies about searches for parameters."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.execution import JobLimits, Watching


class CreateStudy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Begin a search: what may be chosen, what is measured, and how many trials there may be."""

    project: str
    name: str
    """Of the study, unique in the project."""

    experiment: str
    algorithm: str
    data: str
    """Reference of the training snapshot."""

    validation: str
    """Reference of the snapshot that each trial is measured on, and by which the best is chosen."""

    space: dict[str, Any]
    """By parameter: ``int:2..8``, ``float:0..1``, ``log:0.01..0.3``, ``logint:10..1000``, ``a|b|c`` or a list."""

    params: dict[str, Any] = field(default_factory=dict)
    """Parameters that every trial has."""

    sampler: str = "tpe"
    """``grid``, ``random`` or ``tpe``."""

    trials: int | None = None
    """How many; None for the whole grid, else for 20."""

    concurrency: int = 1
    """How many at once."""

    objective: str = "auc"
    """A metric of the evaluation, or one that the training reports, such as ``validation.logloss``."""

    direction: str | None = None
    """``maximise`` or ``minimise``; None for what the objective is known for."""

    seed: int = 0
    """Of the search."""

    training_seed: int = 0
    """Of each training."""

    early_stop: str = "none"
    """``median``: a trial that is worse than the median of the others at the same round is stopped; or ``none``."""

    warmup: int = 10
    """Rounds before which no trial is stopped."""

    watching: Watching = Watching()
    """Training rules that look at every trial."""

    target: str | None = None
    drop: list[str] = field(default_factory=list)
    env: str = "tabular"
    limits: JobLimits = field(default_factory=JobLimits)
    use_case: str | None = None
    purpose: str = ""
    """What the data are used for, by every trial; empty takes the purpose of the use case, if any."""


class AdvanceStudy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Begin what is due in a study, and nothing twice."""

    project: str
    study: str


class ShowStudy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A study as it stands."""

    project: str
    study: str


class StopStudy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Begin nothing more of a study, and stop what runs."""

    project: str
    study: str


class ResumeStudy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Let a study that was stopped go on; trials that were stopped are done again."""

    project: str
    study: str


class ListStudies(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The studies of a project, newest first."""

    project: str
    limit: int = 50


class Trial(Struct, kw_only=True, frozen=True):
    """One trial of a study."""

    number: int
    phase: str
    """waiting, training, trained, evaluating, done, pruned or failed."""

    params: dict[str, Any] | None = None
    """What it tries; None while nobody knows."""

    value: float | None = None
    """The objective; of a pruned trial the best it had reached of the metric that it was watched by."""

    run: str | None = None
    """The run that trained it."""

    evaluation: str | None = None
    """The run that measured it."""

    model: str | None = None
    suggested_by: str = ""
    """``grid``, ``random`` or the run that suggested it."""

    reason: str = ""
    """Why it was pruned or failed."""

    metrics: dict[str, float] = field(default_factory=dict)


class Study(Struct, kw_only=True, frozen=True):
    """A study with its trials."""

    study: str
    status: str
    """running, stopped or finished."""

    due: bool
    """Whether something can begin now: ask ``AdvanceStudy``."""

    open: list[str]
    """Runs that have not ended."""

    by: str
    created_at: str
    experiment: str
    algorithm: str
    data: str
    validation: str
    space: dict[str, Any]
    params: dict[str, Any]
    sampler: str
    concurrency: int
    objective: str
    maximise: bool
    seed: int
    early_stop: str
    trials: list[Trial]
    best: int | None = None
    """Number of the best trial so far."""

    explanation: dict[str, Any] | None = None
    """Which parameters mattered, once the search is over, and the run that worked it out."""

    grade: str = "declared"
    """The weakest grade of the runs that it rests on."""


class StudyLine(Struct, kw_only=True, frozen=True):
    """A study in one line."""

    study: str
    status: str
    experiment: str
    algorithm: str
    sampler: str
    objective: str
    by: str
    created_at: str
    trials: int
    over: int
    """Trials of which nothing more will come."""

    best: float | None = None


class StudyList(Struct, kw_only=True, frozen=True):
    """Studies."""

    studies: list[StudyLine]
