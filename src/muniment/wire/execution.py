"""Requests and replies about runs, scripts, environments and reproduction."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Started(Struct, kw_only=True, frozen=True):
    """A job was accepted into the queue."""

    run: str
    """Reference of the run, ``run:<id>``."""

    plan: str
    """Digest of the resolved job."""

    answered: bool = False
    """Whether nothing was started: the run is an earlier one of the same plan, which ended well."""


class JobLimits(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a job may consume; None leaves the default."""

    memory_mb: int | None = None
    wall_s: int | None = None
    cpu_s: int | None = None
    processes: int | None = None
    output_mb: int | None = None
    tmp_mb: int | None = None
    log_kb: int | None = None


class Watching(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The training rules that look at a job while it runs."""

    rules: list[str] = field(default_factory=list)
    """Names of rules, ``default``, ``all`` or ``none``; for a script also ``FILE.py:FUNCTION`` in its source tree."""

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By rule, settings that differ from the defaults; ``acknowledge`` says why a finding is expected."""

    stop_on: list[str] = field(default_factory=list)
    """Rules that stop the job when they fire."""


class TrainModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Train a built-in algorithm hermetically on one snapshot."""

    project: str
    experiment: str
    data: str
    """Reference of the training snapshot."""

    algorithm: str
    """``logistic_regression``, ``xgboost`` or ``lightgbm``."""

    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    target: str | None = None
    """Target column; None takes the one the snapshot declares."""

    drop: list[str] = field(default_factory=list)
    name: str | None = None
    """Name of the model; None derives it from experiment and algorithm."""

    env: str = "tabular"
    limits: JobLimits = field(default_factory=JobLimits)
    use_case: str | None = None
    """Name of the use case that it is for; None takes the one its experiment is bound to, if any."""

    trial: str | None = None
    """The attempt within the experiment that the run is a component of."""

    purpose: str = ""
    """What the data are used for; empty takes the purpose of the use case, if any."""

    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""

    validation: str | None = None
    """Reference of a snapshot whose loss is reported after every round; nothing is learned from it."""

    watching: Watching = Watching(rules=["default"])
    """Training rules; by default those that fit a built-in training."""


class CodeOrigin(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a code snapshot came from, as the submitting side saw it."""

    clean: bool = False
    """Whether the tree equalled the commit; False marks a tree snapshot as dirty."""

    commit: str | None = None
    author: str | None = None
    committed_at: str | None = None
    message: str | None = None


class RunScript(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Run a script unchanged; the bytes that come along are a tar of its source tree."""

    project: str
    entry: str
    """Path of the script inside the tree."""

    experiment: str = "scripts"
    inputs: dict[str, str] = field(default_factory=dict)
    """Channel name -> reference of a snapshot or model."""

    params: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    seed: int = 0
    origin: CodeOrigin = field(default_factory=CodeOrigin)
    name: str | None = None
    env: str = "tabular"
    limits: JobLimits = field(default_factory=JobLimits)
    use_case: str | None = None
    """Name of the use case that it is for; None takes the one its experiment is bound to, if any."""

    trial: str | None = None
    """The attempt within the experiment that the run is a component of."""

    purpose: str = ""
    """What the data are used for; empty takes the purpose of the use case, if any."""

    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""

    watching: Watching = Watching()
    """Training rules; none by default, because a script says what it reports."""


class Grouping(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A column whose groups of people are compared."""

    column: str
    favoured: str | None = None
    """The group that the others are compared with; None for the one that fares best."""

    cuts: list[float] = field(default_factory=list)
    """Upper bounds, inclusive, that part a column of numbers; none: each value is a group."""


class EvaluateModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Measure a model on a snapshot, hermetically."""

    project: str
    model: str
    data: str
    threshold: float | None = None
    groups: list[Grouping] = field(default_factory=list)
    """Columns of the snapshot, or of the protected one, whose groups are compared; the model need not have them."""

    protected: str | None = None
    """Reference of a snapshot that says who the people are, one row for each key; only this job sees it."""

    key: str | None = None
    """The column that names a case in both snapshots; goes with ``protected``."""

    favourable: str = "negative"
    """Which prediction is good for the person: ``negative``, as with defaults, or ``positive``."""

    reference: str | None = None
    """Reference of the snapshot that scores and features are compared with for stability, such as the training part."""

    limits: JobLimits = field(default_factory=JobLimits)


class ReproduceModel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Run again, from the record alone, the job that made a model, and compare what comes out."""

    project: str
    model: str


class CompareModels(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Score two models on the same rows, and say how far apart they are."""

    project: str
    model: str
    other: str
    data: str | None = None
    """Rows to score; None takes what the first was made of."""

    max_difference: float = 1e-9
    """Absolute difference of scores that is still equivalent."""

    max_ulp: int = 1 << 22
    """Units in the last place of a score that are still equivalent; 2**53 for any number of them."""


class ListRuns(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The runs of a project, newest first."""

    project: str
    experiment: str | None = None
    kind: str | None = None
    status: str | None = None
    limit: int = 50
    trial: str | None = None
    deleted: bool = False
    """Whether to list deleted tracked runs too."""


class RunSummary(Struct, kw_only=True, frozen=True):
    """One line of a list of runs."""

    run: str
    kind: str
    status: str
    """queued, running, ok, failed, timeout, oom, limit, cancelled, refused or lost."""

    experiment: str | None
    label: str
    """What ran: the algorithm, program or script."""

    requested_by: str
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    products: list[str] = field(default_factory=list)
    """References of what the run generated."""

    error: dict[str, Any] | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    """Channel -> reference as it was asked for."""

    params: dict[str, Any] = field(default_factory=dict)
    grade: str = ""
    """``proven`` when everything was enforced that makes a run hermetic, else ``declared``."""

    trial: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Runs(Struct, kw_only=True, frozen=True):
    """A list of runs."""

    runs: list[RunSummary]


class ShowRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One run in full."""

    project: str
    run: str


class Product(Struct, kw_only=True, frozen=True):
    """Something a run generated."""

    reference: str
    kind: str
    digest: str
    role: str


class RunDetail(Struct, kw_only=True, frozen=True):
    """Everything recorded about a run."""

    run: str
    kind: str
    status: str
    experiment: str | None
    label: str
    requested_by: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    attempt: int
    plan: str
    job: dict[str, Any]
    """The resolved job: digests of inputs, code, environment, base root; parameters; seed; limits."""

    inputs: dict[str, str]
    """Channel -> reference as it was asked for."""

    params: dict[str, Any]
    metrics: dict[str, float]
    products: list[Product]
    enforcement: dict[str, Any] | None
    usage: dict[str, Any] | None
    refused: list[dict[str, str]]
    """Outputs that the collector refused, with the reason."""

    exit_code: int | None
    error: dict[str, Any] | None
    grade: str
    log_bytes: int
    verdict: dict[str, Any] | None = None
    """For reproductions and comparisons: the verdict, its cause, and what it rests on."""

    report: dict[str, Any] | None = None
    """The report that the program wrote, when it wrote one."""

    machine: dict[str, Any] | None = None
    """What it ran on, as the platform saw it: ``processor``, ``flags``, ``cpus``."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    """What each training rule came to: rule, fired, state, step, message, facts, settings, stopped, by whom, grade."""

    trial: str | None = None
    logged: dict[str, str] = field(default_factory=dict)
    """Parameters that the run told about itself, beside those that it was given: declared by its code."""

    tags: dict[str, str] = field(default_factory=dict)
    """Tags that the run or its owner set: declared."""

    metrics_grade: str = ""
    """``proven`` where a program of the platform measured hermetically; ``declared`` where a script or a client says
    so, also when the run itself is proven."""

    code: dict[str, Any] = field(default_factory=dict)
    """Of a script: its ``entry`` and where its tree came from, as the submitting side saw it: ``commit``, ``clean``,
    ``author``, ``committed_at``, ``message``."""


class GetLog(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a run printed, from an offset on; works while it runs."""

    project: str
    run: str
    offset: int = 0


class LogPart(Struct, kw_only=True, frozen=True):
    """A piece of a run's log."""

    text: str
    """Undecodable bytes are replaced; control characters other than line feed and tab are made visible."""

    next_offset: int
    status: str


class CancelRun(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Ask for a queued or running job to be stopped."""

    project: str
    run: str


class Cancelled(Struct, kw_only=True, frozen=True):
    """The request to stop was recorded."""

    run: str
    status: str


class CompareRuns(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Two or more runs side by side."""

    project: str
    runs: list[str]


class Comparison(Struct, kw_only=True, frozen=True):
    """Rows that differ or measure, one value per run."""

    runs: list[str]
    rows: list[ComparisonRow]
    curves: list[Curve] = field(default_factory=list)
    code: list[CodeDifference] = field(default_factory=list)
    """How source trees differ from that of the first run; nothing for one that is the same."""

    data: list[DataDifference] = field(default_factory=list)
    """How inputs differ from those of the first run; nothing for one that is the same."""


class Curve(Struct, kw_only=True, frozen=True):
    """What runs reported of one metric, step by step."""

    metric: str
    points: list[list[list[float]]]
    """For each run, step and value; thinned where there are many."""


class FileDifference(Struct, kw_only=True, frozen=True):
    """How one file of a source tree differs."""

    path: str
    change: str
    """``added``, ``removed`` or ``changed``."""

    lines: list[str] = field(default_factory=list)
    """A unified diff without its head."""

    note: str = ""
    """Why no lines are shown."""


class CodeDifference(Struct, kw_only=True, frozen=True):
    """How the source tree of a run differs from that of the first."""

    run: int
    """Place of the run in the comparison."""

    files: list[FileDifference]
    more: int = 0
    """Files that differ too and are not shown."""

    note: str = ""
    """Why nothing is shown."""


class DataDifference(Struct, kw_only=True, frozen=True):
    """How an input of a run differs from that of the first, by what is known without reading it."""

    channel: str
    run: int
    references: list[str | None]
    """Of the first run, and of this one."""

    rows: list[int | None]
    added: list[str] = field(default_factory=list)
    """Columns."""

    removed: list[str] = field(default_factory=list)
    retyped: list[str] = field(default_factory=list)
    same_content: bool = False
    """Whether schema and values are the same, and only files differ."""


class ComparisonRow(Struct, kw_only=True, frozen=True):
    """One aspect of several runs."""

    section: str
    """``run``, ``parameter``, ``input``, ``environment``, ``package``, ``rule`` or ``metric``."""

    name: str
    values: list[str | float | int | bool | None]
    differs: bool


class StoreWheel(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Keep a wheel as a sealed object; the bytes come along."""

    filename: str


class StoredWheel(Struct, kw_only=True, frozen=True):
    """A wheel that is kept."""

    filename: str
    digest: str
    size: int


class WheelName(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One wheel of an environment."""

    filename: str
    digest: str


class DefineEnvironment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Name a set of kept wheels as a job environment."""

    name: str
    wheels: list[WheelName]
    lock: str
    """The lock the wheels were taken from: a requirements file with hashes."""

    index: str | None = None
    """Name of the package index that they came from; only allowed ones are taken."""


class AllowIndex(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Allow a package index: from then on environments are made of wheels of allowed indexes only."""

    name: str
    url: str
    """Address without credentials; those are taken from the asker's own ``.netrc``."""


class ForbidIndex(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Take a package index off the list of allowed ones."""

    name: str


class ListIndexes(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The allowed package indexes."""


class PackageIndex(Struct, kw_only=True, frozen=True):
    """A package index that environments may be made from."""

    name: str
    url: str
    allowed_at: str
    allowed_by: str


class PackageIndexes(Struct, kw_only=True, frozen=True):
    """The allowed package indexes; none when any will do."""

    indexes: list[PackageIndex]


class DescribeEnvironment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the packages of an environment say of themselves."""

    env: str


class Package(Struct, kw_only=True, frozen=True):
    """One package of an environment."""

    name: str
    version: str
    wheel: str
    """Digest of its wheel."""

    licence: str
    """Its licence as it says itself: an SPDX expression, else its classifiers or its words; empty when it says none."""

    licence_files: list[str] = field(default_factory=list)
    """Names of the licence texts that the wheel carries."""

    summary: str = ""
    home: str = ""


class EnvironmentPackages(Struct, kw_only=True, frozen=True):
    """The packages of an environment, with its bill of materials."""

    env: str
    digest: str
    packages: list[Package]
    licences: dict[str, int]
    """How many packages are under each licence."""

    bom: dict[str, Any]
    """CycloneDX 1.6: every wheel with its SHA-256 and what it says of its licence."""


class ListEnvironments(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The job environments of the installation."""


class Environment(Struct, kw_only=True, frozen=True):
    """A job environment."""

    name: str
    version: int
    digest: str
    python: str
    wheels: list[WheelName]
    created_at: str
    ready: bool
    """Whether its tree is built on this machine."""

    index: str | None = None
    """Name of the package index that its wheels came from, as its maker said."""


class Environments(Struct, kw_only=True, frozen=True):
    """A list of job environments."""

    environments: list[Environment]


class ShowEnvironment(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One job environment."""

    env: str
