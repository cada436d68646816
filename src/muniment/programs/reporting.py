"""What a script tells about its run: parameters, measurements, tags, files and pictures; the same calls everywhere.

Inside a job there is no network: words are JSON lines on the descriptor of the metrics, ``{"event": "param", "name",
"value"}`` and ``{"event": "tag", "name", "value"}``; files go to ``output/data``, where the collector takes their
digests at the end. Inputs are what was mounted: to name one that was not is an error, because the record is written
from the mounts. Outside a job the calls go to the run that ``muniment.track`` opened, and without one they go nowhere,
so that a script runs unchanged where nobody looks. Standard library only.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from muniment.errors import Invalid
from muniment.kernel.tracker import Tracker, current
from muniment.programs import tracking

__all__ = [
    "JobTracker",
    "log_artifact",
    "log_figure",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "set_tag",
    "set_tags",
    "track",
]

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_LONGEST: Final = 8_000
_PATH: Final = re.compile(r"(?!/)(?!(.*/)?\.{1,2}(/|\Z))(?!.*//)[^\\\x00-\x1f\x7f\ud800-\udfff]{1,300}(?<!/)")


class JobTracker:
    """The run of the job that this process is."""

    reference: Final = "the run of this job"
    cancel_requested: Final = False

    def __init__(self) -> None:
        self._root = Path(os.environ.get("MUNIMENT_ML_ROOT", "/opt/ml"))
        self._params: dict[str, str] = {}

    def log_param(self, name: str, value: Any) -> None:
        """Tell a parameter; see ``log_params``."""
        self.log_params({name: value})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Tell parameters; each is set once, and the first word stays."""
        for name, value in params.items():
            plain = value if isinstance(value, (str, bool, int, float)) or value is None else _text(value)
            self._send("param", name, plain if len(str(plain)) <= _LONGEST else _too_long(name))

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        """Tell one measurement."""
        tracking.report(step, {name: value})

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Tell measurements of one moment."""
        tracking.report(step, metrics)

    def log_many(self, points: Any) -> None:
        """Tell many measurements, each a name, a value and a step."""
        for name, value, step in points:
            tracking.report(step, {name: value})

    def set_tag(self, name: str, value: str | None) -> None:
        """Set a tag; None takes it away."""
        self.set_tags({name: value})

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Set tags; None takes one away."""
        for name, text in tags.items():
            self._send("tag", name, text if text is None or len(str(text)) <= _LONGEST else _too_long(name))

    def log_input(self, data: Any, role: str = "input") -> None:
        """Name an input of this job; what is recorded is what was mounted, not what is named here.

        Raises:
            Invalid: no channel of this name was mounted.
        """
        mounts = self._root / "input/data"
        names = [role, str(data)]
        if not any(_PATH.fullmatch(name) and (mounts / name).is_dir() for name in names):
            mounted = sorted(entry.name for entry in mounts.iterdir()) if mounts.is_dir() else []
            raise Invalid(
                "MUNI-D177",
                f"no input {role[:40]!r} was mounted, and a job uses nothing else",
                role=role[:80],
                mounted=mounted,
                do="give it to the job: muni run SCRIPT --input ROLE=data:…",
            )

    def log_artifact(self, path: Any, name: str | None = None) -> None:
        """Keep a file, or every file of a folder, among the results of this job."""
        source = Path(path)
        if not source.exists():
            raise Invalid("MUNI-D178", f"there is no file {str(path)[:80]!r}", path=str(path)[:200])
        target = self._result(name or source.name)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.resolve() != target.resolve():
            shutil.copyfile(source, target)

    def log_figure(self, figure: Any, name: str) -> None:
        """Keep a picture below ``figures/``: a matplotlib figure, SVG or HTML text, or bytes."""
        path, content = _drawn(figure, name)
        self._result(f"figures/{path}").write_bytes(content)

    def flush(self, wait_s: float = 0.0) -> bool:
        """Everything that was told has left this process."""
        return True

    def end(self, status: str = "ok", message: str | None = None, *, wait_s: float = 0.0) -> bool:
        """The end of a job is the end of its process; there is nothing to say."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """An exception goes on, and the job fails by it."""

    def _send(self, event: str, name: str, value: Any) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Invalid("MUNI-D179", "a name has 1 to 200 characters, no control characters", name=str(name)[:80])
        shown = str(value) if isinstance(value, float) and value - value != 0 else value
        line = json.dumps({"event": event, "name": name, "value": shown})
        tracking.send(line.encode("utf-8", "surrogatepass") + b"\n")

    def _result(self, name: str) -> Path:
        if not _PATH.fullmatch(name):
            raise Invalid(
                "MUNI-D169", f"{name[:80]!r} is not a path for a file of this job", name=name[:200], rule="relative"
            )
        target = self._root / "output/data" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def track(experiment: str = "", **about: Any) -> JobTracker:
    """The run of this job; experiment, trial and name were said when it was submitted, and stay as they are.

    Parameters and tags among ``about`` are told.
    """
    run = JobTracker()
    run.log_params(about.get("params") or {})
    run.set_tags(about.get("tags") or {})
    return run


def log_param(name: str, value: Any) -> None:
    """Tell a parameter of the run that goes on here."""
    log_params({name: value})


def log_params(params: Mapping[str, Any]) -> None:
    """Tell parameters of the run that goes on here; each is set once."""
    if (run := _here()) is not None:
        run.log_params(params)


def log_metric(name: str, value: Any, step: int | None = None) -> None:
    """Tell one measurement of the run that goes on here."""
    log_metrics({name: value}, step)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Tell measurements of one moment of the run that goes on here."""
    tracking.report(step, metrics)


def set_tag(name: str, value: str | None) -> None:
    """Set a tag of the run that goes on here; None takes it away."""
    set_tags({name: value})


def set_tags(tags: Mapping[str, str | None]) -> None:
    """Set tags of the run that goes on here."""
    if (run := _here()) is not None:
        run.set_tags(tags)


def log_input(data: Any, role: str = "input") -> None:
    """Tell what the run that goes on here uses; inside a job it must be a mounted channel."""
    if (run := _here()) is not None:
        run.log_input(data, role)


def log_artifact(path: Any, name: str | None = None) -> None:
    """Keep a file, or every file of a folder, of the run that goes on here."""
    if (run := _here()) is not None:
        run.log_artifact(path, name)


def log_figure(figure: Any, name: str) -> None:
    """Keep a picture of the run that goes on here."""
    if (run := _here()) is not None:
        run.log_figure(figure, name)


def _here() -> Tracker | None:
    """The job that this process is, or the tracked run that is open in it; None when nobody listens."""
    return _JOB if tracking.in_job() else current()


_JOB: Final = JobTracker()


def _text(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a number of numpy's
        return value.item()
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return str(value)


def _too_long(name: str) -> Any:
    raise Invalid(
        "MUNI-D171",
        f"the value of {str(name)[:40]!r} is a document, not a parameter or tag",
        name=str(name)[:80],
        longest=_LONGEST,
        do="keep it as an artifact: log_artifact",
    )


def _drawn(figure: Any, name: str) -> tuple[str, bytes]:
    """A picture as a file: its name, with an ending, and its bytes."""
    path = Path(name)
    kind = path.suffix[1:].lower()
    if isinstance(figure, bytes):
        return name, figure
    if isinstance(figure, str):
        ending = ".svg" if figure.lstrip().startswith(("<svg", "<?xml")) else ".html"
        return name if kind else f"{name}{ending}", figure.encode()
    if hasattr(figure, "savefig"):
        kind = kind or "png"
        # No moment in the file: the same picture is the same bytes.
        silent: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=silent.get(kind))
        return str(path.with_suffix(f".{kind}")), buffer.getvalue()
    if hasattr(figure, "to_html"):
        return str(path.with_suffix(".html")), str(figure.to_html(include_plotlyjs="cdn")).encode()
    raise Invalid(
        "MUNI-D100",
        f"a {type(figure).__name__} is no picture",
        type=type(figure).__name__,
        do="give a matplotlib figure, SVG text or bytes",
    )
