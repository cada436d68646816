"""Searches for parameters: asking for them, going on with them, and how they look in a notebook or on a terminal."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from muniment.errors import Conflict, MunimentError
from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.cells import card, facts, fold, note, picture, table, tiles
from muniment.sdk.drawings import bars, history, parallel
from muniment.sdk.frames import to_frame
from muniment.sdk.models import Model, model_at
from muniment.sdk.shown import brief, measure, visible
from muniment.sdk.transport import Worker
from muniment.wire import execution as wx
from muniment.wire import tuning as wire

__all__ = ["Show", "Studies", "Study", "told"]

_PAUSE_S: Final = (0.3, 2.0)
"""First and longest pause between two looks at a study; every look is a ledger entry."""

_COLUMNS: Final = ("number", "phase", "value", "model", "run", "evaluation", "suggested_by", "reason")
_TRIES: Final = 5
_ENOUGH: Final = 10
"""Below so many completed trials for each parameter, shares of variance say little."""


class Study:
    """A search as it stood at the last look."""

    def __init__(self, asking: Asking, reply: wire.Study) -> None:
        self._asking = asking
        self.reply = reply
        """The study as it was answered."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.reply.study

    @property
    def status(self) -> str:
        """``running``, ``stopped`` or ``finished``."""
        return self.reply.status

    @property
    def trials(self) -> list[wire.Trial]:
        """Its trials, by number."""
        return self.reply.trials

    @property
    def over(self) -> int:
        """Trials of which nothing more will come."""
        return sum(one.phase in ("done", "pruned", "failed") for one in self.trials)

    @property
    def best(self) -> wire.Trial | None:
        """The best trial so far."""
        return None if self.reply.best is None else self.trials[self.reply.best]

    @property
    def model(self) -> Model:
        """The model of the best trial.

        Raises:
            Conflict: no trial has ended well.
        """
        best = self.best
        if best is None or best.model is None:
            raise Conflict("MUNI-A309", "no trial of the study has ended well", study=self.name)
        return model_at(self._asking, best.model)

    def refresh(self) -> Study:
        """Look again."""
        request = wire.ShowStudy(project=self._asking.project, study=self.name)
        self.reply = self._asking.ask("tuning:ShowStudy", request, wire.Study)
        return self

    def stop(self) -> Study:
        """Begin nothing more, and stop what runs."""
        request = wire.StopStudy(project=self._asking.project, study=self.name)
        self.reply = self._asking.ask("tuning:StopStudy", request, wire.Study)
        return self

    def importances(self) -> dict[str, float]:
        """The share of the objective's variance that each parameter explains; empty before the search is over."""
        found = (self.reply.explanation or {}).get("importances") or {}
        return {name: share for name, share in found.items() if share is not None}

    def why(self) -> list[str]:
        """Why the best trial won, in sentences."""
        return told(self.reply)

    def pictures(self) -> dict[str, str]:
        """The drawings of the search by what they show, as SVG."""
        rows = [msgspec.to_builtins(one) for one in self.trials]
        r = self.reply
        drawn = {
            "objective by trial": history(rows, r.objective, maximise=r.maximise),
            "parameters and objective": parallel(rows, r.space, r.objective, maximise=r.maximise),
            "what mattered": bars(self.importances(), "share of the variance of the objective"),
        }
        return {what: svg for what, svg in drawn.items() if svg}

    def facts(self) -> dict[str, Any]:
        """What is searched and how, in words."""
        r = self.reply
        return {
            "experiment": r.experiment,
            "algorithm": r.algorithm,
            "learns from": r.data,
            "measured on": r.validation,
            "objective": f"{r.objective}, {'the larger' if r.maximise else 'the smaller'} the better",
            "sampler": f"{r.sampler}, seed {r.seed}",
            "at once": r.concurrency,
            "early stopping": None if r.early_stop == "none" else r.early_stop,
            "space": ", ".join(f"{name} {_range(one)}" for name, one in r.space.items()),
            "fixed": ", ".join(f"{name}={brief(value)}" for name, value in r.params.items()),
            "asked for": f"{r.created_at[:19]} by {r.by}",
        }

    def to_frame(self) -> Any:
        """A data frame, one row per trial, with columns ``param.*``."""
        rows = [
            {
                **{key: value for key, value in msgspec.to_builtins(one).items() if key in _COLUMNS},
                **{f"param.{name}": value for name, value in (one.params or {}).items()},
            }
            for one in self.trials
        ]
        return to_frame(rows, _COLUMNS)

    def __repr__(self) -> str:
        best = self.best
        head = f"study {self.name}  {self.status}  {self.over} of {len(self.trials)} trials"
        if best is None or best.value is None:
            return head
        params = "  ".join(f"{name} {brief(value)}" for name, value in (best.params or {}).items())
        lines = [head, f"  best trial {best.number}: {self.reply.objective} {measure(best.value)}  {params}"]
        return "\n".join([*lines, *(f"  {line}" for line in self.why())])

    def _repr_html_(self) -> str:
        best = self.best
        large = {} if best is None or best.value is None else {f"best {self.reply.objective}": best.value}
        rows = [
            [
                one.number,
                one.phase,
                "" if one.value is None else measure(one.value),
                *(brief((one.params or {}).get(name)) for name in self.reply.space),
                one.model or "",
                one.reason,
            ]
            for one in self.trials
        ]
        return card(
            f"study {self.name}",
            tiles({**large, "trials over": float(self.over), "of": float(len(self.trials))}),
            *(picture(svg, what) for what, svg in self.pictures().items()),
            note(" ".join(self.why())),
            facts(self.facts()),
            fold(
                "all trials",
                table(["trial", "phase", self.reply.objective, *self.reply.space, "model", "because"], rows),
            ),
            kind=f"{self.reply.sampler} search",
            badges=(self.status, self.reply.grade),
        )


Show = Callable[[Study], None]
"""Is shown a study again and again while it goes on, and once when it is over."""


class Searching(Asking, Protocol):
    """Who asks, and may work the queue in this process."""

    @property
    def worker(self) -> Worker | None:
        """Works the queue where no server does; None where one does."""


class Studies:
    """Searches of the project."""

    def __init__(self, asking: Searching) -> None:
        self._asking = asking

    def create(self, request: wire.CreateStudy) -> Study:
        """Ask for a search; nothing runs before ``drive``."""
        return Study(self._asking, self._asking.ask("tuning:CreateStudy", request, wire.Study))

    def get(self, name: str) -> Study:
        """A search as it stands."""
        request = wire.ShowStudy(project=self._asking.project, study=name)
        return Study(self._asking, self._asking.ask("tuning:ShowStudy", request, wire.Study))

    def list(self, limit: int = 50) -> list[wire.StudyLine]:
        """The searches of the project, newest first."""
        request = wire.ListStudies(project=self._asking.project, limit=limit)
        return self._asking.ask("tuning:ListStudies", request, wire.StudyList).studies

    def resume(self, name: str, show: Show | None = None) -> Study:
        """Go on with a search that was stopped, or that nobody attends any more, until it is over."""
        request = wire.ResumeStudy(project=self._asking.project, study=name)
        return self.drive(Study(self._asking, self._asking.ask("tuning:ResumeStudy", request, wire.Study)), show)

    def drive(self, study: Study, show: Show | None = None) -> Study:
        """Begin what is due and wait, until the search is over or was stopped; may be left and begun again any time.

        Args:
            study: the search.
            show: is shown it again and again; None shows what fits a notebook or a terminal.
        """
        shown = show or _showing()
        crew = _Crew(self._asking.worker, min(study.reply.concurrency, os.cpu_count() or 1))
        pause, longest = _PAUSE_S
        try:
            while study.status == "running":
                if study.reply.due:
                    study.reply = self._advance(study.name)
                    pause = _PAUSE_S[0]
                shown(study)
                if study.reply.due:
                    continue
                crew.work(study.reply.open)
                crew.wait(pause)
                pause = min(pause * 1.3, longest)
                study.refresh()
            while study.status == "stopped" and study.reply.open and crew.works:
                crew.work(study.reply.open)
                crew.wait(_PAUSE_S[0])
                study.refresh()
        finally:
            crew.leave()
        shown(study)
        return study

    def _advance(self, name: str) -> wire.Study:
        request = wire.AdvanceStudy(project=self._asking.project, study=name)
        for attempt in range(_TRIES):
            try:
                return self._asking.ask("tuning:AdvanceStudy", request, wire.Study)
            except MunimentError as trouble:
                # Somebody else may go on with the same study at the same moment: one of the two looks again.
                if trouble.code[6:7] != "5" or attempt == _TRIES - 1:
                    raise
                time.sleep(_PAUSE_S[0] * (attempt + 1))
        raise AssertionError


class _Crew:
    """Workers in this process, as many as there are trials at once; none where a server works."""

    def __init__(self, worker: Worker | None, size: int) -> None:
        self._worker, self._size = worker, size
        self._threads: dict[str, threading.Thread] = {}
        self._leaving, self._ended = threading.Event(), threading.Event()
        self._failures: list[BaseException] = []

    @property
    def works(self) -> bool:
        """Whether jobs are worked in this process."""
        return self._worker is not None

    def work(self, runs: Sequence[str]) -> None:
        """Have these runs worked, as far as there are hands; raises what a worker met."""
        for failure in self._failures:
            raise failure
        if self._worker is None:
            return
        self._threads = {run: thread for run, thread in self._threads.items() if thread.is_alive()}
        for run in runs:
            if run not in self._threads and len(self._threads) < self._size:
                thread = threading.Thread(target=self._do, args=(run, self._worker), name=f"tune-{run}", daemon=True)
                self._threads[run] = thread
                thread.start()

    def wait(self, pause_s: float) -> None:
        """Until a run has ended here, or for so long."""
        self._ended.wait(pause_s)
        self._ended.clear()

    def leave(self) -> None:
        """Let everybody go; what is half done goes back to the queue."""
        self._leaving.set()
        for thread in self._threads.values():
            thread.join()

    def _do(self, run: str, worker: Worker) -> None:
        def tick() -> None:
            if self._leaving.is_set():
                raise _Left

        try:
            worker(run, tick)
        except _Left:
            pass
        except BaseException as failure:  # told in the thread that drives
            self._failures.append(failure)
        finally:
            self._ended.set()


class _Left(Exception):
    """The work is left as it is."""


def told(study: wire.Study) -> list[str]:
    """Why the best trial won: how far it is ahead, which parameters matter, and where it lies in them."""
    if study.best is None:
        return []
    best = study.trials[study.best]
    done = sorted(
        (one.value for one in study.trials if one.phase == "done" and one.value is not None), reverse=study.maximise
    )
    sentences = []
    if best.value is not None and len(done) > 1:
        middle = done[len(done) // 2]
        sentences.append(
            f"Trial {best.number} has {study.objective} {measure(best.value)}: {abs(best.value - done[1]):.2g} better "
            f"than the next, {abs(best.value - middle):.2g} better than the median of {len(done)}."
        )
    found = study.explanation or {}
    known = sorted(
        ((name, share) for name, share in (found.get("importances") or {}).items() if share is not None),
        key=lambda one: -one[1],
    )
    for name, share in known[:3]:
        value = (best.params or {}).get(name)
        cells = [one for one in (found.get("marginals") or {}).get(name, []) if one.get("mean") is not None]
        if not cells:
            continue
        top = (max if study.maximise else min)(cells, key=lambda one: one["mean"])
        near = " to ".join(brief(one) for one in top["values"])
        inside = _inside(value, top["values"])
        where = "which is where" if inside else "while"
        sentences.append(
            f"{name} explains {share:.0%} of the variance; the best trial has {brief(value)}, {where} trials do best "
            f"on average ({near}: {measure(top['mean'])})."
        )
    if known and len(done) < _ENOUGH * len(study.space):
        sentences.append(
            f"{len(done)} completed trials are few, {_ENOUGH} for each parameter are more: what mattered may be chance."
        )
    if found.get("undefined"):
        sentences.append(f"What mattered is not known: {found['undefined']}.")
    return [visible(one) for one in sentences]


def _inside(value: Any, ends: Sequence[Any]) -> bool:
    if len(ends) == 1:
        return bool(value == ends[0])
    return isinstance(value, (int, float)) and ends[0] <= value <= ends[-1]


def _range(one: Mapping[str, Any]) -> str:
    if "choices" in one:
        return " | ".join(brief(value) for value in one["choices"])
    return f"{one['low']:g}..{one['high']:g}" + (" (log)" if one["kind"] in ("log", "logint") else "")


def _showing() -> Show:
    """What fits where this process shows things: a notebook, a terminal, or nowhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return _notebook(sys.modules["IPython"].display.display)
    return _line if sys.stderr.isatty() else _quiet


def _quiet(study: Study) -> None:
    """Show nothing."""


def _line(study: Study) -> None:
    best = study.best
    value = "" if best is None or best.value is None else f"  best {measure(best.value)} by trial {best.number}"
    end = "\n" if study.status != "running" else ""
    sys.stderr.write(f"\r\x1b[K{study.name}  {study.over}/{len(study.trials)}{value}"[:118] + end)
    sys.stderr.flush()


def _notebook(display: Any) -> Show:
    handle: Any = None

    def show(study: Study) -> None:
        nonlocal handle
        passing = _Passing(study)
        if handle is not None:
            handle.update(passing)
        elif study.status == "running":
            handle = display(passing, display_id=True)

    return show


class _Passing:
    """A study as it stands while somebody waits; empty once it is over, because its value is shown then."""

    def __init__(self, study: Study) -> None:
        running = study.status == "running"
        self._text, self._html = (repr(study), study._repr_html_()) if running else ("", "")

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def study_name(experiment: str, algorithm: str) -> str:
    """A name for a search that was given none: ``Loans 2026`` and ``xgboost`` make ``Loans-2026-xgboost``."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", experiment).strip("-._") or "study"
    return f"{plain[: 59 - len(algorithm)]}-{algorithm}"


def request_of(
    project: str,
    algorithm: str,
    data: Any,
    validation: Any,
    experiment: str,
    space: Mapping[str, Any],
    *,
    study: str | None,
    watching: wx.Watching,
    **given: Any,
) -> wire.CreateStudy:
    """The request for a search, with a name made of experiment and algorithm where none is given."""
    return wire.CreateStudy(
        project=project,
        name=study or study_name(experiment, algorithm),
        experiment=experiment,
        algorithm=algorithm,
        data=reference_of(data),
        validation=reference_of(validation),
        space=dict(space),
        watching=watching,
        **given,
    )
