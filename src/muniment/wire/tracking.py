"""Requests and replies about tracked runs: what somebody tells, while it happens, of a run that happens elsewhere.

Whoever tells may number what he tells: with ``writer``, a name for one stream of his own, and ``seq``, the number of
the first record in the request, counted from 1. Records that were taken before are then skipped, so a request may be
sent again whenever its answer was lost. Without a writer everything is taken as new.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct, field

__all__ = [
    "DeleteRun",
    "EndRun",
    "Experiment",
    "ExperimentDetail",
    "Experiments",
    "GetArtifact",
    "ListArtifacts",
    "ListExperiments",
    "ListMetrics",
    "LogArtifact",
    "LogInputs",
    "LogMetrics",
    "LogParams",
    "Logged",
    "MetricPoint",
    "MetricRange",
    "MetricSummary",
    "Point",
    "RestoreRun",
    "Retained",
    "Series",
    "SetTags",
    "ShowExperiment",
    "ShowMetrics",
    "StartRun",
    "TrackedArtifact",
    "TrackedArtifacts",
    "TrackedInput",
    "TrackedMetrics",
    "TrackedRun",
    "Trial",
    "TrialRun",
    "number_of",
    "value_of",
]

Value = float | Literal["NaN", "Infinity", "-Infinity"]
"""A measured number; JSON has no word for the three that are not finite, so they are text."""


class StartRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Make a run known that happens elsewhere; all that is told of it is declared by whoever tells."""

    project: str
    experiment: str
    trial: str | None = None
    name: str = "tracked"
    """What ran, for people: shown as the run's label."""

    params: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    """Chosen by the asker, at most 64 letters, digits, hyphens and underscores: asking again with the same key gives
    the same run."""

    started_at: str | None = None
    """When it began by the asker's clock, ISO 8601 with a zone; kept as declared."""


class TrackedRun(Struct, kw_only=True, frozen=True):
    """A tracked run as it stands."""

    run: str
    """``run:<id>``."""

    experiment: str
    trial: str | None
    status: str
    """running, ok, failed or cancelled."""

    known: bool = False
    """Whether it was known by its key before."""

    label: str = ""
    requested_by: str = ""
    created_at: str = ""
    started_at: str | None = None
    """When it began, as it was told or else as the server heard of it."""

    ended_at: str | None = None
    """When it ended, likewise."""

    tags: dict[str, str] | None = None
    """Its tags, where the request had to do with them."""


class LogParams(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Tell parameters; each is set once."""

    project: str
    run: str
    params: dict[str, str | int | float | bool | None]
    writer: str | None = None
    seq: int | None = None


class MetricPoint(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One measurement; in JSON the array ``[name, value, step, at_us]``, of which the last two may be left out."""

    name: str
    value: Value
    step: int = 0
    at_us: int | None = None
    """When it was measured by the teller's clock: microseconds since 1970; kept as declared."""


class LogMetrics(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Tell measurements in the order in which they were made, at most 20,000; each is one record of the stream."""

    project: str
    run: str
    metrics: list[MetricPoint]
    writer: str | None = None
    seq: int | None = None


class SetTags(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Set tags; null takes one away."""

    project: str
    run: str
    tags: dict[str, str | None]
    writer: str | None = None
    seq: int | None = None


class TrackedInput(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Something that a tracked run says it used."""

    role: str
    """What it was to the run, such as ``train``."""

    reference: str | None = None
    """Reference of something that the project knows."""

    digest: str | None = None
    """Digest of something that it need not know: ``sha256:`` and 64 hex digits."""

    name: str | None = None
    """What the unknown is called, for people."""

    source: str | None = None
    """Where it lay, such as a path or a URL, for people."""

    size: int | None = None
    """Its bytes."""


class LogInputs(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Tell what the run used: a claim, as long as nothing was mounted."""

    project: str
    run: str
    inputs: list[TrackedInput]
    writer: str | None = None
    seq: int | None = None


class LogArtifact(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Keep a file that the run made; the bytes come along. The same path again makes a next version."""

    project: str
    run: str
    path: str
    """Relative, with slashes: ``plots/roc.png``."""

    media_type: str | None = None
    """None derives it from the path."""

    writer: str | None = None
    seq: int | None = None


class Logged(Struct, kw_only=True, frozen=True):
    """It is kept."""

    run: str
    taken: int
    """How many records were new."""

    upto: int | None = None
    """The last record of the writer's stream that is kept; None without a writer."""

    cancel_requested: bool = False
    """Whether somebody asked for the run to be stopped."""


class EndRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Say that a tracked run has ended; after that nothing about it changes. Saying the same again changes nothing."""

    project: str
    run: str
    status: Literal["ok", "failed", "cancelled"] = "ok"
    ended_at: str | None = None
    """When it ended by the asker's clock, ISO 8601 with a zone; kept as declared."""

    message: str | None = None
    """Why it failed, at most 2,000 characters."""


class DeleteRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a tracked run out of lists; everything of it is retained."""

    project: str
    run: str


class RestoreRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Put a deleted run back into lists."""

    project: str
    run: str


class Retained(Struct, kw_only=True, frozen=True):
    """A run that is deleted or restored."""

    run: str
    deleted: bool


class ListArtifacts(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The files of a run, tracked or hermetic."""

    project: str
    run: str
    versions: bool = False
    """Whether to list overwritten versions too."""


class TrackedArtifact(Struct, kw_only=True, frozen=True):
    """A file of a run."""

    path: str
    version: int
    digest: str
    size: int
    media_type: str
    at: str | None = None
    """When it was kept; None for files that a job left at its end."""

    grade: str
    """``proven`` when the collector of a hermetic run saw it, else ``declared``."""


class TrackedArtifacts(Struct, kw_only=True, frozen=True):
    """The files of a run, by path."""

    run: str
    artifacts: list[TrackedArtifact]


class GetArtifact(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The bytes of one file of a run."""

    project: str
    run: str
    path: str
    version: int | None = None
    """None for the latest."""


class ShowMetrics(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What was measured in a run, one line per name."""

    project: str
    run: str


class MetricSummary(Struct, kw_only=True, frozen=True):
    """One metric of a run."""

    name: str
    count: int
    last: Value
    """The value that came last."""

    last_step: int
    lowest: float | None
    """The lowest finite value; None when there is none."""

    highest: float | None


class TrackedMetrics(Struct, kw_only=True, frozen=True):
    """The metrics of a run by name."""

    run: str
    grade: str
    """``proven`` where a program of the platform measured hermetically; ``declared`` where user code or a client says
    so, also inside a hermetic run."""

    metrics: list[MetricSummary]


class ListMetrics(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The values of one metric of a run, in the order in which they came."""

    project: str
    run: str
    name: str
    after: int = 0
    """Position behind which to begin."""

    limit: int = 10_000
    """So many at most, up to 100,000."""

    thin: int | None = None
    """Give about so many points of the whole series instead, lows and highs kept; for pictures."""


class Point(Struct, frozen=True, array_like=True):
    """One value of a series; in JSON the array ``[position, step, value, at, at_us]``."""

    position: int
    """Its place among all measurements of the run."""

    step: int
    value: Value
    at: str
    """When the server took it."""

    at_us: int | None = None
    """When it was measured by the teller's clock, as he told it."""


class Series(Struct, kw_only=True, frozen=True):
    """The values of one metric."""

    run: str
    name: str
    grade: str
    count: int
    """How many there are in all."""

    points: list[Point]
    next: int | None = None
    """Ask on with ``after`` at this position; None at the end."""

    thinned: bool = False


class ListExperiments(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The experiments of a project, the one with the newest run first."""

    project: str
    prefix: str = ""
    limit: int = 100
    deleted: bool = False
    """Whether to count deleted runs too."""


class Experiment(Struct, kw_only=True, frozen=True):
    """An experiment at a glance."""

    experiment: str
    runs: int
    trials: int
    running: int
    failed: int
    """Runs that ended otherwise than well."""

    first_at: str
    newest_at: str
    newest: str
    """The newest run."""


class Experiments(Struct, kw_only=True, frozen=True):
    """A list of experiments."""

    experiments: list[Experiment]


class ShowExperiment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An experiment as a tree: its trials and their components."""

    project: str
    experiment: str
    limit: int = 200
    """So many of the newest runs at most."""

    deleted: bool = False


class TrialRun(Struct, kw_only=True, frozen=True):
    """A component of a trial: one run."""

    run: str
    kind: str
    label: str
    status: str
    created_at: str
    ended_at: str | None
    requested_by: str
    grade: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Value] = field(default_factory=dict)
    """The last value of each metric."""

    deleted: bool = False


class Trial(Struct, kw_only=True, frozen=True):
    """A trial: the runs that belong together; one without a name holds one run."""

    trial: str | None
    runs: list[TrialRun]
    metrics: dict[str, Value] = field(default_factory=dict)
    """The last value of each metric, of its latest component that measured it."""


class MetricRange(Struct, kw_only=True, frozen=True):
    """Between which runs a metric moves; which end is the better one is for the reader to say."""

    name: str
    lowest: float
    lowest_run: str
    highest: float
    highest_run: str


class ExperimentDetail(Struct, kw_only=True, frozen=True):
    """An experiment in full."""

    experiment: str
    runs: int
    shown: int
    trials: list[Trial]
    metrics: list[MetricRange]


def value_of(number: float) -> Value:
    """A number as it stands in a message: the three that are not finite as ``NaN``, ``Infinity`` and ``-Infinity``."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def number_of(value: Value) -> float:
    """The number that a message means."""
    return float(value)
