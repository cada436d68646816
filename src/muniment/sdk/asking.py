"""What every value rests on: somebody to ask, and the job that was asked for.

Values (``Dataset``, ``Model``, ``Run``) keep who gave them as ``Asking``, and know only what stands below them. The
client stands on top: it is the one that knows them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, Protocol, Self, TypeVar

import msgspec

from muniment.errors import MunimentError, NotFound, from_document
from muniment.sdk.cells import card, facts, fold, table, tiles
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import brief, elapsed, headline, measure, visible
from muniment.wire import execution as wx

__all__ = ["Asking", "Job", "Watch", "reference_of"]

T = TypeVar("T")

_OPEN: Final = frozenset({"queued", "running"})
_FOLLOW_S: Final = 0.5
"""Pause between two looks at the log of a job that still runs; every look is a ledger entry."""

_TILES: Final = 8
"""So many metrics are shown large."""

_METRIC: Final = ("metric", "value")
_RULE: Final = ("rule", "came to", "step", "because", "grade")


class Asking(Protocol):
    """Who asks, in one project."""

    project: str
    """Name of the project."""

    def ask(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask any verb of the platform."""

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Ask a verb whose answer is bytes."""

    def start(self, action: str, request: msgspec.Struct, body: BinaryIO | None = None) -> Job:
        """Ask a verb that starts a job; gives it at once."""

    def attend(self, job: Job, watch: Watch | None) -> None:
        """Show a job until it has ended, doing its work here if nobody else does."""

    def sign(self, statement: str) -> str:
        """A signature over a statement with the asker's own key, in base64; raises NotFound when there is none."""


class Job:
    """A job that was asked for: it may still wait, run, or have ended. Looks again only while it has not ended."""

    def __init__(self, asking: Asking, reference: str) -> None:
        self._asking = asking
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
            request = wx.ShowRun(project=self._asking.project, run=self.reference)
            self._detail = self._asking.ask("execution:ShowRun", request, wx.RunDetail)
        return self._detail

    def wait(self, watch: Watch | None = None) -> Self:
        """Wait until the run has ended; leaving by Ctrl-C leaves the run as it is, and ``wait`` can be called again.

        Args:
            watch: is shown the run again and again; None shows what fits a notebook or a terminal.
        """
        self._asking.attend(self, watch)
        return self

    def checked(self) -> Self:
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
            request = wx.GetLog(project=self._asking.project, run=self.reference, offset=offset)
            part = self._asking.ask("execution:GetLog", request, wx.LogPart)
            if part.text:
                yield part.text
            elif not follow or part.status not in _OPEN:
                return
            else:
                time.sleep(_FOLLOW_S)
            offset = part.next_offset

    def cancel(self) -> str:
        """Ask for it to be stopped; gives the status after the request."""
        request = wx.CancelRun(project=self._asking.project, run=self.reference)
        return self._asking.ask("execution:CancelRun", request, wx.Cancelled).status

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

    def __repr__(self) -> str:
        d = self.detail
        lines = [f"{d.run}  {d.kind} {visible(d.label)}  {d.status}  {elapsed(d.started_at, d.ended_at)}".rstrip()]
        lines += [f"  {visible(name)} = {measure(value)}" for name, value in d.metrics.items()]
        lines += [f"  generated {product.reference} ({product.role})" for product in d.products]
        if d.enforcement:
            lines.append(f"  enforced by {brief(d.enforcement.get('engine', d.enforcement))}")
        lines += [f"  rule {one['rule']} fired: {visible(one['message'])}" for one in d.rules if one["fired"]]
        if d.error:
            lines.append(f"  {d.error.get('code')}: {brief(d.error.get('message'), 400)}")
        return "\n".join([*lines, f"  grade {d.grade}"])

    def to_frame(self) -> Any:
        """Its metrics as a data frame, one row each."""
        return to_frame([{"metric": name, "value": value} for name, value in self.metrics().items()], _METRIC)

    def _repr_html_(self) -> str:
        return self.card()

    def card(self, *more: str) -> str:
        """What a notebook shows of it as it stood at the last look, and below that ``more`` HTML."""
        d = self.detail
        enforced = d.enforcement or {}
        walls = enforced.get("walls")
        known = {
            "experiment": d.experiment,
            "asked for by": d.requested_by,
            "took": elapsed(d.started_at, d.ended_at),
            "inputs": d.inputs,
            "parameters": {name: value for name, value in d.params.items() if value not in (None, "", [], {})},
            "generated": [product.reference for product in d.products],
            "enforced by": enforced.get("engine"),
            "error": d.error and f"{d.error.get('code')}: {d.error.get('message')}",
        }
        rows = [[name, state] for name, state in walls.items()] if isinstance(walls, Mapping) else []
        large = headline(d.metrics, _TILES)
        others = [[name, measure(value)] for name, value in d.metrics.items() if name not in large]
        return card(
            self.reference,
            tiles(large),
            facts(known),
            fold(_rules_title(d.rules), table(_RULE, _rule_rows(d.rules)) if d.rules else ""),
            fold("more metrics", table(_METRIC, others) if others else ""),
            fold("what was enforced", table(["wall", "state"], rows) if rows else ""),
            *more,
            kind=d.label if d.label == d.kind else f"{d.kind} {d.label}".strip(),
            badges=(d.status, d.grade if self.ended else ""),
        )


def _rules_title(rules: Sequence[Mapping[str, Any]]) -> str:
    fired = [str(one["rule"]) for one in rules if one["fired"]]
    return f"training rules: {', '.join(fired)} fired" if fired else "training rules: none fired"


def _rule_rows(rules: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    ordered = sorted(rules, key=lambda one: not one["fired"])
    return [[one["rule"], one["state"], one["step"], one["message"], one["grade"]] for one in ordered]


Watch = Callable[[Job], None]
"""Is shown the job again and again while it is waited for, and once after it has ended."""


def reference_of(what: Any) -> str:
    """The reference of a value that has one, or the reference that was given."""
    return str(getattr(what, "reference", what))
