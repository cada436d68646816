"""The client: one object per project, whose parts are the rooms of the platform."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from muniment.sdk.asking import Job, Watch, reference_of
from muniment.sdk.assurance import Audits, Governance, Impacts, Instructions, Risks
from muniment.sdk.audit import Audit
from muniment.sdk.catalogues import Catalogues
from muniment.sdk.datasets import Data
from muniment.sdk.environments import Environments
from muniment.sdk.features import Features
from muniment.sdk.inventory import Inventory
from muniment.sdk.lineage import Lineage, Proof, absence_of, lineage_of
from muniment.sdk.marked import MarkedFunction
from muniment.sdk.models import Models
from muniment.sdk.outside import Sources
from muniment.sdk.oversight import Challenge, Changes, Findings, Gates, Reviews
from muniment.sdk.progress import picture
from muniment.sdk.runs import Comparison, Jobs, Run, Runs
from muniment.sdk.search import Found, Searches, search_in
from muniment.sdk.signing import Keys
from muniment.sdk.stewardship import Stewardship
from muniment.sdk.tracking import TrackedRun, Tracking
from muniment.sdk.transport import Transport, Worker
from muniment.sdk.tuning import Show, Studies, Study, request_of
from muniment.sdk.usecases import UseCases
from muniment.wire import execution as wx

__all__ = ["Client"]

T = TypeVar("T")

_PAUSE_S: Final = (0.2, 2.0)
"""First and longest pause between two looks at a job; every look is a ledger entry."""


class Client:
    """What one person may ask about one project. Values it returns print well, also in a notebook."""

    def __init__(
        self,
        transport: Transport,
        *,
        project: str,
        worker: Worker | None = None,
        close: Callable[[], None] = lambda: None,
        key_file: Path | None = None,
        spool: Path | None = None,
        sources: Sources | None = None,
    ) -> None:
        """Ask through a transport.

        Args:
            transport: the way to the platform.
            project: name of the project.
            worker: runs jobs in this process where no server does.
            close: lets go of the connection, or of the platform in this process.
            key_file: where the asker's private signing key lies; None for one that lives in memory.
            spool: folder in which tracked runs wait for the server; None for a temporary one.
            sources: reads databases, buckets and tables on this machine; None for a client that reads files alone.
        """
        self._transport, self._worker = transport, worker
        self.close = close
        """Let go of the connection, or of the platform in this process."""
        self.project = project
        """Name of the project."""
        self.data = Data(self, sources)
        """Data sets."""
        self.features = Features(self)
        """Feature views."""
        self.models = Models(self)
        """Models."""
        self.audit = Audit(self)
        """The ledger."""
        self.catalogues = Catalogues(self)
        """Control catalogues."""
        self.environments = Environments(self)
        """Job environments."""
        self.gates = Gates(self)
        """What must hold of a model before it passes a stage."""
        self.findings = Findings(self)
        """What is not as it should be with models."""
        self.challenge = Challenge(self)
        """Questions about models, and their answers."""
        self.reviews = Reviews(self)
        """When models must be looked at again."""
        self.changes = Changes(self)
        """What differs between versions of a model."""
        self.risks = Risks(self)
        """What can go wrong with models, tied to tests."""
        self.instructions = Instructions(self)
        """Instructions for use, and who read them."""
        self.audits = Audits(self)
        """What internal audit examined."""
        self.governance = Governance(self)
        """The board's appetite, who is accountable, and what was laid before the board."""
        self.impacts = Impacts(self)
        """What uses of models do to people and to society."""
        self.keys = Keys(self, key_file)
        """One's own signing keys."""
        self.use_cases = UseCases(self)
        """What models may be used for."""
        self.inventory = Inventory(self)
        """Registered models, and the board."""
        self.tracking = Tracking(self, spool)
        """Tracked runs, experiments, and what waits for the server."""
        self.jobs = Jobs(self)
        """Starts jobs without waiting for them."""
        self.studies = Studies(self)
        """Searches for parameters."""

    @property
    def stewardship(self) -> Stewardship:
        """Who may use which data for what, and how data are let go of."""
        return Stewardship(self)

    def train(
        self,
        algorithm: str,
        data: Any,
        *,
        experiment: str,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        target: str | None = None,
        drop: tuple[str, ...] = (),
        name: str | None = None,
        use_case: str | None = None,
        purpose: str = "",
        trial: str | None = None,
        fresh: bool = False,
        validation: Any = None,
        rules: Sequence[str] = ("default",),
        rule_config: Mapping[str, Mapping[str, Any]] | None = None,
        stop_on: Sequence[str] = (),
        watch: Watch | None = None,
    ) -> Run:
        """Train a built-in algorithm hermetically on one snapshot, and wait for it.

        Args:
            algorithm: ``logistic_regression``, ``xgboost`` or ``lightgbm``.
            data: the snapshot, or its reference.
            experiment: what the run belongs to.
            params: parameters of the algorithm.
            seed: makes it repeatable.
            target: column to predict; None takes the one the snapshot declares.
            drop: columns to leave out.
            name: name of the model; None derives it from experiment and algorithm.
            use_case: what it is for; None takes the use case that the experiment is bound to, if any.
            purpose: what the data are used for; empty takes the purpose of the use case, if any.
            trial: the attempt within the experiment that the run is a component of.
            fresh: run it although the record holds the answer.
            validation: a snapshot whose loss is reported after every round, or its reference.
            rules: training rules that look at it: names, ``default``, ``all`` or ``none``.
            rule_config: settings by rule.
            stop_on: rules that stop the job when they fire.
            watch: see ``Run.wait``.

        Raises:
            MunimentError: it was refused, or the job failed.
        """
        request = wx.TrainModel(
            project=self.project,
            experiment=experiment,
            data=reference_of(data),
            algorithm=algorithm,
            params=dict(params or {}),
            seed=seed,
            target=target,
            drop=list(drop),
            name=name,
            use_case=use_case,
            purpose=purpose,
            trial=trial,
            fresh=fresh,
            validation=None if validation is None else reference_of(validation),
            watching=wx.Watching(
                rules=list(rules),
                settings={name: dict(one) for name, one in (rule_config or {}).items()},
                stop_on=list(stop_on),
            ),
        )
        return self.jobs.train(request).wait(watch).checked()

    def track(
        self,
        experiment: str,
        *,
        trial: str | None = None,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> TrackedRun:
        """Begin a run that happens here and tells about itself; all of it is graded declared.

        Args:
            experiment: what the run belongs to.
            trial: the attempt within the experiment that it is a component of.
            name: what ran, for people; None takes the script's name.
            params: parameters, each set once.
            tags: tags.
        """
        return self.tracking.open(experiment, trial=trial, name=name, params=params, tags=tags)

    def tune(
        self,
        algorithm: str,
        data: Any,
        *,
        validation: Any,
        experiment: str,
        space: Mapping[str, Any],
        study: str | None = None,
        rules: Sequence[str] = (),
        show: Show | None = None,
        **given: Any,
    ) -> Study:
        """Search for the parameters of a built-in algorithm as many hermetic trainings, and wait for the end.

        Args:
            algorithm: ``logistic_regression``, ``xgboost`` or ``lightgbm``.
            data: the snapshot that trials learn from, or its reference.
            validation: the snapshot that they are measured on.
            experiment: what the runs belong to.
            space: by parameter: ``"int:2..8"``, ``"log:0.01..0.3"``, a list of choices.
            study: name of the search; None makes one of experiment and algorithm.
            rules: training rules that look at every trial.
            show: see ``Studies.drive``.
            given: ``sampler``, ``trials``, ``concurrency``, ``objective``, ``direction``, ``seed``, ``training_seed``,
                ``early_stop``, ``warmup``, ``params``, ``target``, ``drop``, ``use_case``; see ``wire.tuning``.

        Raises:
            MunimentError: it was refused.
        """
        request = request_of(
            self.project,
            algorithm,
            data,
            validation,
            experiment,
            space,
            study=study,
            watching=wx.Watching(rules=list(rules)),
            **given,
        )
        return self.studies.drive(self.studies.create(request), show)

    @property
    def worker(self) -> Worker | None:
        """What works the queue in this process, where no server does."""
        return self._worker

    def job(
        self, *, inputs: Mapping[str, Any] | None = None, experiment: str = "notebook", seed: int = 0, **about: Any
    ) -> Callable[[Any], MarkedFunction]:
        """Mark a function of a notebook as a hermetic job: calling it sends its source, and what it names, as a script.

        Args:
            inputs: channel -> snapshot or model, mounted under ``/opt/ml/input/data/<channel>``.
            experiment: what its runs belong to.
            seed: makes them repeatable.
            about: more of what a script is given: ``name``, ``env``, ``trial``, ``use_case``, ``purpose``, ``fresh``.
        """
        given = {"inputs": inputs or {}, "experiment": experiment, "seed": seed, **about}
        return lambda function: MarkedFunction(self, function, given)

    def run(self, reference: str) -> Run:
        """One run, to look at or to wait for again."""
        run = Run(self, reference)
        run.refresh()
        return run

    def runs(
        self,
        experiment: str | None = None,
        *,
        trial: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        limit: int = 50,
        deleted: bool = False,
    ) -> Runs:
        """The runs of the project, newest first; with ``deleted`` also those that somebody took out of lists."""
        request = wx.ListRuns(
            project=self.project,
            experiment=experiment,
            trial=trial,
            kind=kind,
            status=status,
            limit=limit,
            deleted=deleted,
        )
        return Runs(self.ask("execution:ListRuns", request, wx.Runs).runs)

    @property
    def searches(self) -> Searches:
        """Queries that the project keeps."""
        return Searches(self)

    def search(
        self,
        query: str,
        *,
        columns: Sequence[str] = (),
        limit: int = 100,
        offset: int = 0,
        count: bool = False,
        everywhere: bool = False,
        checkpoint: bool = False,
    ) -> Found:
        """Find objects by a query, such as ``run where metric.auc > 0.78 order by metric.auc desc``.

        Args:
            query: see the page "Search"; ``@name`` for a saved one.
            columns: fields to show; none for those that the query speaks of and those of its kind.
            limit: so many at most.
            offset: so many are passed over.
            count: count everything that is found, see ``Found.total``.
            everywhere: look in every project that one may read.
            checkpoint: sign the state of the ledger at which the answer holds.

        Raises:
            Invalid: the query is not understood; the facts name the place.
        """
        return search_in(
            self,
            query,
            columns=columns,
            limit=limit,
            offset=offset,
            count=count,
            everywhere=everywhere,
            checkpoint=checkpoint,
        )

    def compare(self, *runs: Any) -> Comparison:
        """Two or more runs side by side."""
        request = wx.CompareRuns(project=self.project, runs=[reference_of(run) for run in runs])
        return Comparison(self.ask("execution:CompareRuns", request, wx.Comparison))

    def lineage(
        self,
        what: Any,
        *,
        direction: str = "upstream",
        depth: int | None = None,
        picture: bool = True,
        columns: bool = False,
        at: str | None = None,
    ) -> Lineage:
        """Where something comes from, or with ``direction="downstream"`` what was made of it.

        Args:
            what: a value with a reference, or a reference: an entity or a run.
            direction: ``upstream``, ``downstream`` or ``both``.
            depth: how many runs away to go at most; None goes to the end.
            picture: whether to draw it too.
            columns: whether to tell which column rests on which; the picture then shows the columns.
            at: as it was recorded at a moment of the past, or at a signed checkpoint (its number of entries).
        """
        return lineage_of(self, what, direction=direction, depth=depth, picture=picture, columns=columns, at=at)

    def prove_unused(self, what: Any, model: Any) -> Proof:
        """Was this used to make that model? The answer holds at the checkpoint it names."""
        return absence_of(self, what, model)

    def ask(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask any verb of the platform; every other method comes down to this."""
        return self._transport.invoke(action, request, reply, body)

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Ask a verb whose answer is bytes."""
        return self._transport.download(action, request)

    def sign(self, statement: str) -> str:
        """A signature over a statement with one's own key, in base64."""
        return self.keys.sign(statement)

    def start(self, action: str, request: msgspec.Struct, body: BinaryIO | None = None) -> Run:
        """Ask a verb that starts a job; gives its run at once."""
        return self.jobs.start(action, request, body)

    def attend(self, job: Job, watch: Watch | None = None) -> None:
        """Show a job again and again until it has ended, doing its work here if nobody else does.

        Args:
            job: what to wait for.
            watch: is shown the job again and again; None shows what fits a notebook or a terminal.
        """
        show = watch or picture()
        pause, longest = _PAUSE_S
        due = time.monotonic()

        def look() -> None:
            nonlocal pause, due
            if time.monotonic() >= due:
                job.refresh()
                if not job.ended:
                    show(job)
                pause = min(pause * 1.4, longest)
                due = time.monotonic() + pause

        if self._worker is not None and not job.ended:
            self._worker(job.reference, look)
        while not job.ended:
            look()
            time.sleep(max(0.0, due - time.monotonic()))
        show(job)

    def __repr__(self) -> str:
        return f"<muniment project {self.project!r}>"
