"""Runs: starting jobs, watching them, and what they leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

import msgspec

from muniment.errors import MunimentError, NotFound, from_document
from muniment.sdk.frames import to_frame
from muniment.sdk.progress import Watch, terminal
from muniment.sdk.shown import brief, elapsed, facts_html, headline, measure, table_html, visible
from muniment.wire import data as wd
from muniment.wire import execution as wx

if TYPE_CHECKING:
    from muniment.sdk.client import Client
    from muniment.sdk.datasets import Dataset
    from muniment.sdk.lineage import Lineage
    from muniment.sdk.models import Model

__all__ = ["Comparison", "Jobs", "Run", "Runs"]

T = TypeVar("T", bound=msgspec.Struct)

_OPEN: Final = frozenset({"queued", "running"})
_FOLLOW_S: Final = 0.5
"""Pause between two looks at the log of a job that still runs; every look is a ledger entry."""


class Run:
    """A job that was asked for: it may still wait, run, or have ended. Looks again only while it has not ended."""

    def __init__(self, client: Client, reference: str) -> None:
        self._client = client
        self.reference = reference
        """``run:<id>``."""
        self._detail: wx.RunDetail | None = None

    @property
    def detail(self) -> wx.RunDetail:
        """Everything recorded about the run, as it stood at the last look."""
        return self._detail if self._detail is not None else self.refresh()

    @property
    def status(self) -> str:
        """``queued``, ``running``, or how it ended."""
        return self.detail.status

    @property
    def label(self) -> str:
        """What ran: the algorithm, program or script."""
        return self.detail.label

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status not in _OPEN

    def refresh(self) -> wx.RunDetail:
        """Look again."""
        if self._detail is None or self._detail.status in _OPEN:
            request = wx.ShowRun(project=self._client.project, run=self.reference)
            self._detail = self._client.ask("execution:ShowRun", request, wx.RunDetail)
        return self._detail

    def wait(self, watch: Watch | None = None) -> Run:
        """Wait until the run has ended; leaving by Ctrl-C leaves the run as it is, and ``wait`` can be called again.

        Args:
            watch: is shown the run again and again; None shows a line on a terminal.
        """
        self._client.attend(self, watch or terminal())
        return self

    def checked(self) -> Run:
        """The run itself, if it ended well.

        Raises:
            MunimentError: the error that the job ended with.
        """
        if self.status == "ok":
            return self
        facts = {"run": self.reference, "status": self.status}
        if self.detail.error:
            error = from_document(422, self.detail.error)
            error.facts = {**error.facts, **facts}
            raise error
        raise MunimentError("MUNI-A504", f"{self.reference} ended as {self.status}", **facts)

    def metrics(self) -> dict[str, float]:
        """The metrics reported so far, by name."""
        return dict(self.detail.metrics)

    def log(self) -> str:
        """Everything it printed so far, with control characters made visible."""
        return "".join(self.log_parts())

    def log_parts(self, *, follow: bool = False) -> Iterator[str]:
        """What it printed, piece by piece; with ``follow`` until it has ended."""
        offset = 0
        while True:
            request = wx.GetLog(project=self._client.project, run=self.reference, offset=offset)
            part = self._client.ask("execution:GetLog", request, wx.LogPart)
            if part.text:
                yield part.text
            elif not follow or part.status not in _OPEN:
                return
            else:
                time.sleep(_FOLLOW_S)
            offset = part.next_offset

    def cancel(self) -> str:
        """Ask for it to be stopped; gives the status after the request."""
        request = wx.CancelRun(project=self._client.project, run=self.reference)
        return self._client.ask("execution:CancelRun", request, wx.Cancelled).status

    @property
    def products(self) -> dict[str, str]:
        """References of what it generated, by role."""
        return {product.role: product.reference for product in self.detail.products}

    def product(self, kind: str) -> str:
        """Reference of the one thing of this kind that it generated.

        Raises:
            NotFound: it generated none of this kind.
        """
        for product in self.detail.products:
            if product.reference.partition(":")[0] == kind:
                return product.reference
        raise NotFound(
            "MUNI-A211", f"{self.reference} generated no {kind}", run=self.reference, status=self.status, kind=kind
        )

    @property
    def model(self) -> Model:
        """The model it trained."""
        return self._client.models.get(self.product("model"))

    @property
    def dataset(self) -> Dataset:
        """The data set it made."""
        return self._client.data.get(self.product("data"))

    def lineage(self) -> Lineage:
        """What it used, and where that comes from."""
        return self._client.lineage(self.reference)

    def __repr__(self) -> str:
        d = self.detail
        lines = [f"{d.run}  {d.kind} {visible(d.label)}  {d.status}  {elapsed(d.started_at, d.ended_at)}".rstrip()]
        lines += [f"  {visible(name)} = {measure(value)}" for name, value in d.metrics.items()]
        lines += [f"  generated {product.reference} ({product.role})" for product in d.products]
        if d.enforcement:
            lines.append(f"  enforced by {brief(d.enforcement.get('engine', d.enforcement))}")
        if d.error:
            lines.append(f"  {d.error.get('code')}: {brief(d.error.get('message'), 400)}")
        return "\n".join([*lines, f"  grade {d.grade}"])

    def _repr_html_(self) -> str:
        d = self.detail
        facts: dict[str, Any] = {
            "status": d.status,
            "kind": d.kind,
            "experiment": d.experiment,
            "asked for by": d.requested_by,
            "took": elapsed(d.started_at, d.ended_at),
            "inputs": d.inputs,
            "parameters": d.params,
            "metrics": {name: measure(value) for name, value in d.metrics.items()},
            "generated": [product.reference for product in d.products],
            "enforcement": d.enforcement,
            "error": d.error and f"{d.error.get('code')}: {d.error.get('message')}",
            "grade": d.grade,
        }
        return facts_html(f"{d.run} {d.label}", {name: value for name, value in facts.items() if value})


class Runs(Sequence[wx.RunSummary]):
    """A list of runs, newest first."""

    def __init__(self, rows: Sequence[wx.RunSummary]) -> None:
        self.rows = tuple(rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def to_frame(self) -> Any:
        """A data frame, one row per run, with a column per metric."""
        return to_frame([self._row(row) for row in self.rows])

    def __repr__(self) -> str:
        return "\n".join(
            f"{row.run}  {row.status:9}  {visible(row.label):22}  "
            + "  ".join(f"{visible(name)} {measure(value)}" for name, value in headline(row.metrics, 4).items())
            for row in self.rows
        )

    def _repr_html_(self) -> str:
        rows = [self._row(row) for row in self.rows]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return table_html(names, [[row.get(name) for name in names] for row in rows])

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
            "took": elapsed(row.started_at, row.ended_at),
            "products": ", ".join(row.products),
        }
        return {**fixed, **{name: value for name, value in row.metrics.items() if name not in fixed}}


class Comparison:
    """Runs side by side: what differs, and what was measured."""

    def __init__(self, reply: wx.Comparison) -> None:
        self.reply = reply

    def to_frame(self) -> Any:
        """A data frame, one row per aspect, one column per run."""
        return to_frame(
            [
                {"section": row.section, "name": row.name, **dict(zip(self.reply.runs, row.values, strict=True))}
                for row in self.reply.rows
            ]
        )

    def __repr__(self) -> str:
        return "\n".join(
            f"{'*' if row.differs else ' '} {row.section:11} {visible(row.name):24} "
            + "  ".join(brief(value, 24) for value in row.values)
            for row in self.reply.rows
        )

    def _repr_html_(self) -> str:
        rows = [[row.section, row.name, *row.values] for row in self.reply.rows]
        return table_html(["section", "name", *self.reply.runs], rows)


class Jobs:
    """Starts jobs and gives their runs back at once; nothing here waits."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, request: wd.AddDataset, body: BinaryIO) -> Run:
        """Ingest a file as the next version of a data set."""
        return self._start("data:AddDataset", request, body)

    def split(self, request: wd.SplitDataset) -> Run:
        """Split a snapshot into disjoint parts that together are complete."""
        return self._start("data:SplitDataset", request)

    def profile(self, dataset: str) -> Run:
        """Describe each column of a snapshot."""
        return self._start("data:ProfileDataset", wd.ProfileDataset(project=self._client.project, dataset=dataset))

    def train(self, request: wx.TrainModel) -> Run:
        """Train a built-in algorithm on one snapshot."""
        return self._start("execution:TrainModel", request)

    def script(self, request: wx.RunScript, tree: BinaryIO) -> Run:
        """Run a script of the caller; ``tree`` is a tar of its source tree."""
        return self._start("execution:RunScript", request, tree)

    def evaluate(self, model: str, data: str, threshold: float | None = None) -> Run:
        """Measure a model on a snapshot."""
        request = wx.EvaluateModel(project=self._client.project, model=model, data=data, threshold=threshold)
        return self._start("execution:EvaluateModel", request)

    def reproduce(self, model: str) -> Run:
        """Run again, from the record alone, the job that made a model."""
        return self._start("execution:ReproduceModel", wx.ReproduceModel(project=self._client.project, model=model))

    def _start(self, action: str, request: msgspec.Struct, body: BinaryIO | None = None) -> Run:
        return Run(self._client, self._client.ask(action, request, wx.Started, body).run)


def channels(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Inputs by channel, each as its reference: a reference itself, or a value that has one."""
    return {name: str(getattr(value, "reference", value)) for name, value in inputs.items()}
