"""Experiments, trials, series and files of runs, as values that print well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from muniment.errors import Invalid
from muniment.sdk.asking import Asking
from muniment.sdk.cells import card, facts, picture, table
from muniment.sdk.courses import chart, spark, svg
from muniment.sdk.frames import to_frame
from muniment.sdk.shown import headline, measure, size, visible
from muniment.wire import tracking as wire

__all__ = [
    "POINTS",
    "Artifacts",
    "Experiment",
    "Experiments",
    "MetricSeries",
    "course",
    "series_of",
    "summaries_of",
]

POINTS: Final = 2_000
"""So many points of a long series are enough for a picture."""

_PAGE: Final = 50_000
_COLUMNS: Final = ("position", "step", "value", "at", "told_us")


class MetricSeries:
    """The values of one metric of one run."""

    def __init__(self, reply: wire.Series) -> None:
        self.reply = reply

    @property
    def name(self) -> str:
        """The metric."""
        return self.reply.name

    @property
    def steps(self) -> list[int]:
        """The step of each value."""
        return [point.step for point in self.reply.points]

    @property
    def values(self) -> list[float]:
        """The values in the order in which they came, NaN and infinities included."""
        return [wire.number_of(point.value) for point in self.reply.points]

    @property
    def drawn(self) -> list[tuple[float, float]]:
        """Step and value; their order where all values have one step, such as those of a script that names none."""
        steps = self.steps
        if len(set(steps)) <= 1:
            return [(float(at), value) for at, value in enumerate(self.values)]
        return sorted(((float(step), value) for step, value in zip(steps, self.values, strict=True)), key=_step)

    @property
    def svg(self) -> str:
        """The series as a drawing."""
        return svg(self.drawn, f"{self.name} of {self.reply.run}")

    def chart(self, width: int = 60, height: int = 10, *, plain: bool = False) -> list[str]:
        """The series as lines of text."""
        return chart(self.drawn, width=width, height=height, plain=plain)

    def to_frame(self) -> Any:
        """A data frame, one row per value."""
        rows = [
            {"position": p.position, "step": p.step, "value": wire.number_of(p.value), "at": p.at, "told_us": p.at_us}
            for p in self.reply.points
        ]
        return to_frame(rows, _COLUMNS)

    def __len__(self) -> int:
        return len(self.reply.points)

    def __repr__(self) -> str:
        return f"{visible(self.name)} of {self.reply.run}: {self.reply.count} values\n" + "\n".join(self.chart())

    def _repr_html_(self) -> str:
        known = {"values": self.reply.count, "last": measure(self.values[-1]) if self.values else None}
        return card(
            self.name,
            facts(known),
            picture(self.svg, f"{self.name} of {self.reply.run}"),
            kind=self.reply.run,
            badges=(self.reply.grade,),
        )


class Artifacts(Sequence[wire.TrackedArtifact]):
    """The files of a run."""

    def __init__(self, asking: Asking, reply: wire.TrackedArtifacts) -> None:
        self._asking, self.reply = asking, reply

    def __getitem__(self, index: Any) -> Any:
        return self.reply.artifacts[index]

    def __len__(self) -> int:
        return len(self.reply.artifacts)

    def read(self, path: str, version: int | None = None) -> bytes:
        """The bytes of one file."""
        request = wire.GetArtifact(project=self._asking.project, run=self.reply.run, path=path, version=version)
        return b"".join(self._asking.download("tracking:GetArtifact", request))

    def save(self, path: str, target: Path, version: int | None = None) -> Path:
        """Write one file; raises Invalid when the target is there already."""
        request = wire.GetArtifact(project=self._asking.project, run=self.reply.run, path=path, version=version)
        pieces = self._asking.download("tracking:GetArtifact", request)
        try:
            with target.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
        except FileExistsError:
            raise Invalid("MUNI-A174", f"{target} is there already", path=str(target), do="name another file") from None
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def __repr__(self) -> str:
        return "\n".join(f"{visible(one.path)}  {size(one.size)}  {one.digest}" for one in self)

    def _repr_html_(self) -> str:
        rows = [[one.path, one.version, size(one.size), one.media_type, one.digest, one.grade] for one in self]
        return table(["file", "version", "size", "type", "digest", "grade"], rows)


class Experiments(Sequence[wire.Experiment]):
    """The experiments of a project, the one with the newest run first."""

    def __init__(self, reply: wire.Experiments) -> None:
        self.reply = reply

    def __getitem__(self, index: Any) -> Any:
        return self.reply.experiments[index]

    def __len__(self) -> int:
        return len(self.reply.experiments)

    def to_frame(self) -> Any:
        """A data frame, one row per experiment."""
        names = wire.Experiment.__struct_fields__
        return to_frame([{name: getattr(one, name) for name in names} for one in self], names)

    def __repr__(self) -> str:
        return "\n".join(f"{visible(e.experiment)}  {e.runs} runs  {e.trials} trials  {e.newest_at[:19]}" for e in self)

    def _repr_html_(self) -> str:
        rows = [[e.experiment, e.runs, e.trials, e.running, e.failed, e.newest_at] for e in self]
        return table(["experiment", "runs", "trials", "running", "failed", "newest"], rows)


class Experiment:
    """One experiment: its trials and their components."""

    def __init__(self, reply: wire.ExperimentDetail) -> None:
        self.reply = reply

    @property
    def trials(self) -> list[wire.Trial]:
        """The trials, the one with the newest run first."""
        return self.reply.trials

    def best(self, metric: str, *, lowest: bool = False) -> str | None:
        """The run with the highest, or lowest, last value of a metric; None when nothing measured it."""
        found = next((one for one in self.reply.metrics if one.name == metric), None)
        return None if found is None else found.lowest_run if lowest else found.highest_run

    def to_frame(self) -> Any:
        """A data frame, one row per run, with columns ``param.*`` and one per metric."""
        fixed = ("trial", "run", "kind", "label", "status", "created", "grade")
        rows = [
            {
                "trial": trial.trial,
                "run": run.run,
                "kind": run.kind,
                "label": run.label,
                "status": run.status,
                "created": run.created_at,
                "grade": run.grade,
                **{f"param.{name}": value for name, value in run.params.items()},
                **{name: wire.number_of(value) for name, value in run.metrics.items() if name not in fixed},
            }
            for trial in self.trials
            for run in trial.runs
        ]
        return to_frame(rows, fixed)

    def __repr__(self) -> str:
        lines = [f"{visible(self.reply.experiment)}  {self.reply.runs} runs"]
        for trial in self.trials:
            lines.append(f"  {visible(trial.trial or '(no trial)')}")
            for run in trial.runs:
                metrics = headline({n: wire.number_of(v) for n, v in run.metrics.items()}, 4)
                shown = "  ".join(f"{visible(name)} {measure(value)}" for name, value in metrics.items())
                lines.append(f"    {run.run}  {run.status:9}  {visible(run.label)}  {shown}".rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        names = [*headline({one.name: one.highest for one in self.reply.metrics}, 3)]
        rows = [
            [
                trial.trial or "",
                run.run,
                run.label,
                run.status,
                run.grade,
                *(measure(wire.number_of(run.metrics[name])) if name in run.metrics else "" for name in names),
            ]
            for trial in self.trials
            for run in trial.runs
        ]
        inside = table(["trial", "run", "what", "status", "grade", *names], rows)
        return card(self.reply.experiment, inside, kind=f"{self.reply.runs} runs")


def series_of(asking: Asking, run: str, name: str, *, thin: int | None = None) -> MetricSeries:
    """The values of one metric of a run, all of them, or about ``thin`` for a picture."""
    request = wire.ListMetrics(project=asking.project, run=run, name=name, limit=_PAGE, thin=thin)
    reply = asking.ask("tracking:ListMetrics", request, wire.Series)
    points, follow = list(reply.points), reply.next
    while follow is not None:
        request = wire.ListMetrics(project=asking.project, run=run, name=name, limit=_PAGE, after=follow)
        page = asking.ask("tracking:ListMetrics", request, wire.Series)
        points += page.points
        follow = page.next
    whole = wire.Series(
        run=reply.run, name=reply.name, grade=reply.grade, count=reply.count, points=points, thinned=reply.thinned
    )
    return MetricSeries(whole)


def summaries_of(asking: Asking, run: str) -> wire.TrackedMetrics:
    """What was measured in a run, one line per metric."""
    request = wire.ShowMetrics(project=asking.project, run=run)
    return asking.ask("tracking:ShowMetrics", request, wire.TrackedMetrics)


def course(asking: Asking, run: str, name: str, *, width: int = 24, plain: bool = False) -> str:
    """The course of one metric in one line."""
    return spark(series_of(asking, run, name, thin=max(8, 4 * width)).values, width, plain=plain)


def _step(point: tuple[float, float]) -> float:
    return point[0]
