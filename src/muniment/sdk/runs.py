"""Runs: starting jobs, what they leave behind, and many side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

import msgspec

from muniment.errors import MunimentError
from muniment.sdk.asking import Asking, Job, reference_of
from muniment.sdk.cells import picture, table
from muniment.sdk.comparisons import Comparison
from muniment.sdk.datasets import Dataset, data_at
from muniment.sdk.experiments import Artifacts, MetricSeries, series_of
from muniment.sdk.frames import to_frame
from muniment.sdk.lineage import Lineage, lineage_of
from muniment.sdk.models import Model, model_at
from muniment.sdk.quality import quality_request, representation_request
from muniment.sdk.shown import elapsed, headline, measure, seconds, visible
from muniment.wire import data as wd
from muniment.wire import execution as wx
from muniment.wire import tracking as wt
from muniment.wire import validation as wv

__all__ = ["Comparison", "Jobs", "Run", "Runs"]

_METRICS: Final = 5
"""So many metrics stand beside a run in a list."""

_COLUMNS: Final = ("run", "kind", "status", "experiment", "label", "by", "created", "took_s", "model", "grade")


class Run(Job):
    """A job, and the way to what it used and made."""

    def __init__(self, asking: Asking, reference: str, *, answered: bool = False) -> None:
        super().__init__(asking, reference)
        self.answered = answered
        """Whether nothing was started: it is an earlier run of the same plan, which ended well."""
        self._drawn: str | None = None

    @property
    def model(self) -> Model:
        """The model it trained."""
        return model_at(self._asking, self.product("model"))

    @property
    def dataset(self) -> Dataset:
        """The data set it made."""
        return data_at(self._asking, self.product("data"))

    def series(self, name: str) -> MetricSeries:
        """Every value of one metric; a picture in a notebook."""
        return series_of(self._asking, self.reference, name)

    def artifacts(self) -> Artifacts:
        """The files that it left, such as figures."""
        request = wt.ListArtifacts(project=self._asking.project, run=self.reference)
        return Artifacts(self._asking, self._asking.ask("tracking:ListArtifacts", request, wt.TrackedArtifacts))

    def lineage(self) -> Lineage:
        """What it used, and where that comes from."""
        return lineage_of(self._asking, self.reference)

    def _repr_html_(self) -> str:
        return self.card(self._picture())

    def _picture(self) -> str:
        """Where what it made comes from; drawn once, after it has ended well."""
        if self._drawn is None and self.status == "ok":
            try:
                self._drawn = picture(self.lineage().svg, f"lineage of {self.reference}")
            except MunimentError:  # a run is shown also to somebody who may not see its lineage
                self._drawn = ""
        return self._drawn or ""


class Runs(Sequence[wx.RunSummary]):
    """A list of runs, newest first."""

    def __init__(self, rows: Sequence[wx.RunSummary]) -> None:
        self.rows = tuple(rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def to_frame(self) -> Any:
        """A data frame, one row per run, with columns ``input.*``, ``param.*`` and one per metric."""
        return to_frame([self._row(row) for row in self.rows], _COLUMNS)

    def __repr__(self) -> str:
        return "\n".join(
            f"{row.run}  {row.status:9}  {visible(row.label):22}  "
            + "  ".join(f"{visible(name)} {measure(value)}" for name, value in headline(row.metrics, 4).items())
            for row in self.rows
        )

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for row in self.rows for name in headline(row.metrics, _METRICS)))[:_METRICS]
        rows = [
            [
                row.run,
                row.label,
                row.status,
                elapsed(row.started_at, row.ended_at),
                row.grade,
                ", ".join(product for product in row.products if not product.startswith("sha256:")),
                *(measure(row.metrics[name]) if name in row.metrics else "" for name in names),
            ]
            for row in self.rows
        ]
        return table(["run", "what", "status", "took", "grade", "made", *names], rows)

    @staticmethod
    def _row(row: wx.RunSummary) -> dict[str, Any]:
        fixed = {
            "run": row.run,
            "kind": row.kind,
            "status": row.status,
            "experiment": row.experiment,
            "label": row.label,
            "by": row.requested_by,
            "created": row.created_at,
            "took_s": seconds(row.started_at, row.ended_at),
            "model": _model(row),
            "products": ", ".join(row.products),
            "grade": row.grade,
            **{f"input.{name}": value for name, value in row.inputs.items()},
            **{f"param.{name}": value for name, value in row.params.items()},
        }
        return {**fixed, **{name: value for name, value in row.metrics.items() if name not in fixed}}


def _model(row: wx.RunSummary) -> str | None:
    """The model that a run made, if it made one."""
    return next((product for product in row.products if product.startswith("model:")), None)


class Jobs:
    """Starts jobs and gives their runs back at once; nothing here waits."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add(self, request: wd.AddDataset, body: BinaryIO) -> Run:
        """Ingest a file as the next version of a data set."""
        return self.start("data:AddDataset", request, body)

    def split(self, request: wd.SplitDataset) -> Run:
        """Split a snapshot into disjoint parts that together are complete."""
        return self.start("data:SplitDataset", request)

    def profile(self, dataset: str, *, fresh: bool = False) -> Run:
        """Describe each column of a snapshot."""
        request = wd.ProfileDataset(project=self._asking.project, dataset=dataset, fresh=fresh)
        return self.start("data:ProfileDataset", request)

    def quality(self, dataset: Any, rules: Any = None, *, as_of: str | None = None, fresh: bool = False) -> Run:
        """Measure the quality of a snapshot by declared rules."""
        request = quality_request(self._asking, dataset, rules, as_of=as_of, fresh=fresh)
        return self.start("data:AssessQuality", request)

    def representation(
        self, dataset: Any, against: Any, columns: Sequence[str], *, bound: float | None = None, fresh: bool = False
    ) -> Run:
        """Compare the groups of a snapshot with those of a population."""
        request = representation_request(self._asking, dataset, against, columns, bound=bound, fresh=fresh)
        return self.start("data:AssessRepresentation", request)

    def train(self, request: wx.TrainModel) -> Run:
        """Train a built-in algorithm on one snapshot."""
        return self.start("execution:TrainModel", request)

    def script(self, request: wx.RunScript, tree: BinaryIO) -> Run:
        """Run a script of the caller; ``tree`` is a tar of its source tree."""
        return self.start("execution:RunScript", request, tree)

    def evaluate(
        self,
        model: str,
        data: str,
        threshold: float | None = None,
        *,
        groups: Sequence[wx.Grouping] = (),
        favourable: str = "negative",
        reference: str | None = None,
        protected: str | None = None,
        key: str | None = None,
    ) -> Run:
        """Measure a model on a snapshot; see ``Model.evaluate``."""
        request = wx.EvaluateModel(
            project=self._asking.project,
            model=model,
            data=data,
            threshold=threshold,
            groups=list(groups),
            favourable=favourable,
            reference=reference,
            protected=protected,
            key=key,
        )
        return self.start("execution:EvaluateModel", request)

    def explain(self, request: wv.ExplainModel) -> Run:
        """Say what each feature contributes to the output of a model; see ``Model.explain``."""
        return self.start("validation:ExplainModel", request)

    def reproduce(self, model: str) -> Run:
        """Run again, from the record alone, the job that made a model."""
        return self.start("execution:ReproduceModel", wx.ReproduceModel(project=self._asking.project, model=model))

    def start(self, action: str, request: msgspec.Struct, body: BinaryIO | None = None) -> Run:
        """Ask any verb that starts a job."""
        started = self._asking.ask(action, request, wx.Started, body)
        return Run(self._asking, started.run, answered=started.answered)


def channels(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Inputs by channel, each as its reference: a reference itself, or a value that has one."""
    return {name: reference_of(value) for name, value in inputs.items()}
