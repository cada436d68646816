"""Tracked runs: a script that runs anywhere tells, while it runs, what it does.

Every call appends to a local file and returns; a thread in the background takes the file to the server. So nothing
waits for the network, nothing is lost when this process is killed or the server is away, and nothing is kept twice.
All of it is graded declared: the platform saw nothing of it happen. Inside a job the same calls go to the job's own
channel instead; see ``muniment.programs.reporting``.
"""

from __future__ import annotations

import atexit
import io
import math
import os
import platform
import re
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from muniment.errors import Conflict, Invalid, MunimentError, NotFound, Unavailable
from muniment.kernel import tracker
from muniment.sdk.asking import Asking, reference_of
from muniment.sdk.experiments import Artifacts, Experiment, Experiments, MetricSeries, series_of, summaries_of
from muniment.sdk.sending import Sender
from muniment.sdk.spool import Spool, check_folder, leftovers
from muniment.wire import tracking as wire

__all__ = ["TrackedRun", "Tracking", "figure_bytes", "sync"]

_FLUSH_S: Final = 60.0
_EXIT_S: Final = 5.0
_START_S: Final = 10.0
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_PATH: Final = re.compile(r"(?!/)(?!(.*/)?\.{1,2}(/|\Z))[^\\\x00-\x1f\x7f\ud800-\udfff]{1,400}(?<!/)")
_LONGEST: Final = 8_000
_PART_BYTES: Final = 500_000
"""Bytes of parameters or tags in one record."""

_INTEGER: Final = 2**63
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE: Final = re.compile(r"[a-z]+:[a-z0-9][a-z0-9._/-]*(@\d+)?")
_MANY: Final = 10_000
"""Measurements that are appended at once."""

_encode: Final = msgspec.json.Encoder().encode
_encode_lines: Final = msgspec.json.Encoder().encode_lines


def _line(record: Any) -> bytes:
    return _encode(record) + b"\n"


class TrackedRun:
    """A run that is being told about; use it in a ``with`` block, or call ``end`` yourself."""

    def __init__(self, asking: Asking, spool: Spool, *, experiment: str, trial: str | None) -> None:
        self.experiment, self.trial = experiment, trial
        self._asking, self._spool = asking, spool
        self._sender = Sender(asking, spool)
        self._params: dict[str, str] = {}
        self._ended = False
        self._thread = threading.Thread(target=self._sender.work, name="tracking", daemon=True)
        self._thread.start()
        atexit.register(self._leave)

    @property
    def reference(self) -> str:
        """``run:<id>``; waits for the server to give it.

        Raises:
            Unavailable: the server has not answered yet; what is logged waits in a local file.
        """
        deadline = time.monotonic() + _START_S
        while self._sender.run is None and not self._sender.done.is_set() and time.monotonic() < deadline:
            self._sender.wait_sent(1, min(deadline, time.monotonic() + 0.05))
            if self._sender.silent:
                break
        if self._sender.run is None:
            raise self._sender.error or Unavailable(
                "MUNI-A515",
                "the server has not answered yet; what is logged waits in a local file",
                waiting=str(self._spool.folder),
                do="go on; or later: muni runs sync",
            )
        return self._sender.run

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for this run to be stopped, as far as the server has said so."""
        return self._sender.cancel_requested

    def log_param(self, name: str, value: Any) -> None:
        """Tell a parameter; see ``log_params``."""
        self.log_params({name: value})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Tell parameters; each is set once, and the same again changes nothing.

        Raises:
            Invalid: a name or value is out of its bounds: 200 and 8,000 characters.
            Conflict: a parameter has another value already.
        """
        told = {_name(name): _plain(value) for name, value in params.items()}
        fresh: dict[str, Any] = {}
        for name, value in told.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            if len(text) > _LONGEST:
                raise Invalid(
                    "MUNI-A163",
                    f"the value of {name[:40]!r} is a document, not a parameter or tag",
                    name=name,
                    characters=len(text),
                    longest=_LONGEST,
                    do="keep it as an artifact: log_artifact",
                )
            known = self._params.setdefault(name, text)
            if known != text:
                raise Conflict(
                    "MUNI-A330", f"the parameter {name[:40]!r} has another value already", name=name, value=known[:80]
                )
            fresh[name] = value
        for part in _parts(fresh):
            self._write(_line(["p", part]))

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        """Tell one measurement; NaN and infinities are measurements too."""
        self._write(_line(_point(name, value, step, time.time_ns() // 1000)))

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Tell measurements of one moment."""
        now = time.time_ns() // 1000
        if told := [_point(name, value, step, now) for name, value in metrics.items()]:
            self._write(_encode_lines(told))

    def log_many(self, points: Iterable[tuple[str, Any, int]]) -> None:
        """Tell many measurements at once, each a name, a value and a step."""
        now, remaining = time.time_ns() // 1000, iter(points)
        while told := [_point(name, value, step, now) for name, value, step in islice(remaining, _MANY)]:
            self._write(_encode_lines(told))

    def set_tag(self, name: str, value: str | None) -> None:
        """Set a tag; None takes it away."""
        self.set_tags({name: value})

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Set tags; None takes one away."""
        told = {_name(name): None if text is None else str(text) for name, text in tags.items()}
        for name, text in told.items():
            if name.startswith("muniment.") or len(text or "") > _LONGEST:
                raise Invalid(
                    "MUNI-A164",
                    "a tag has at most 8,000 characters, and no name of the platform's own",
                    name=name[:80],
                    characters=len(text or ""),
                )
        for part in _parts(told):
            self._write(_line(["t", part]))

    def log_input(self, data: Any, role: str = "input") -> None:
        """Tell what the run uses: a claim, because nothing is mounted; inside a job it must be a mounted channel.

        Args:
            data: a value with a reference, a reference such as ``data:credit@3``, a digest, or a file, whose digest is
                taken and whose bytes stay where they are.
            role: what it is to the run, such as ``train``.
        """
        self._write(_line(["i", [{"role": _name(role), **_input(data)}]]))

    def log_artifact(self, path: Any, name: str | None = None) -> None:
        """Keep a file, or every file of a folder; it is copied now and may change afterwards.

        Args:
            path: where it lies.
            name: path among the run's files; None takes its own name.
        """
        source = check_folder(Path(path))
        base = name or source.name
        found = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
        for file in found:
            path_of = base if file is source else f"{base}/{file.relative_to(source).as_posix()}"
            self._write(_line(["a", _path(path_of), self._spool.keep(file), None]))

    def log_figure(self, figure: Any, name: str) -> None:
        """Keep a picture below ``figures/``: a matplotlib or plotly figure, SVG or HTML text, or bytes."""
        path, content = figure_bytes(figure, name)
        self._write(_line(["a", _path(f"figures/{path}"), self._spool.keep_bytes(content), None]))

    def flush(self, wait_s: float = _FLUSH_S) -> bool:
        """Wait until the server has everything that was logged so far; whether it has.

        Raises:
            MunimentError: the server refused something.
        """
        size = (self._spool.folder / "records.jsonl").stat().st_size if self._spool.folder.is_dir() else 0
        sent = self._sender.wait_sent(size, time.monotonic() + wait_s)
        if self._sender.error is not None:
            raise self._sender.error
        return sent

    def end(self, status: str = "ok", message: str | None = None, *, wait_s: float = _FLUSH_S) -> bool:
        """Say how the run ended, and wait for the server's receipt; whether it came.

        Without one, because the server does not answer, everything waits in a local file for ``muni runs sync``.

        Args:
            status: ``ok``, ``failed`` or ``cancelled``.
            message: why it failed.
            wait_s: seconds to wait for the server.

        Raises:
            MunimentError: the server refused something; the local file stays.
        """
        if self._ended:
            return self._sender.done.is_set()
        if status not in ("ok", "failed", "cancelled"):
            raise Invalid("MUNI-A165", f"a run does not end as {status[:20]!r}", given=status[:80])
        self._write(_line(["e", status, datetime.now(UTC).isoformat(), message and message[:2000]]))
        self._ended = True
        tracker.close(self)
        atexit.unregister(self._leave)
        self._sender.wake()
        self._sender.done.wait(wait_s)
        if self._sender.error is not None:
            self._spool.close()
            raise self._sender.error
        if not self._sender.done.is_set():
            warnings.warn(
                f"the server did not answer; the run waits in {self._spool.folder}: muni runs sync",
                RuntimeWarning,
                stacklevel=2,
            )
            self._sender.leave()
            return False
        self._spool.remove()
        return True

    def __enter__(self) -> Self:
        tracker.open_(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        tracker.close(self)
        if kind is None:
            self.end()
        elif not self._ended:
            # Only the type: what an exception says may hold data.
            status = "cancelled" if issubclass(kind, KeyboardInterrupt) else "failed"
            try:
                self.end(status, kind.__name__)
            except MunimentError as trouble:  # the exception on its way out says more
                warnings.warn(f"{trouble.code}: {trouble.message}", RuntimeWarning, stacklevel=2)

    def __repr__(self) -> str:
        where = self._sender.run or f"waiting in {self._spool.folder}"
        return f"<tracked run {where} of {self.experiment}>"

    def _write(self, lines: bytes) -> None:
        if self._ended:
            raise Conflict(
                "MUNI-A331", "the run has ended, and nothing more is logged to it", experiment=self.experiment
            )
        if self._sender.error is not None:
            raise self._sender.error
        self._spool.append(lines)

    def _leave(self) -> None:
        """The process ends and nobody said how the run did: what was logged is sent, and the run stays open."""
        self._sender.wake()
        size = (self._spool.folder / "records.jsonl").stat().st_size if self._spool.folder.is_dir() else 0
        self._sender.wait_sent(size, time.monotonic() + _EXIT_S)


class Tracking:
    """Opens tracked runs, and sends what earlier processes left."""

    def __init__(self, asking: Asking, root: Path | None) -> None:
        self._asking, self._given = asking, root

    @cached_property
    def _root(self) -> Path:
        return self._given or Path(tempfile.mkdtemp(prefix="muniment-tracking-"))

    def open(
        self,
        experiment: str,
        *,
        trial: str | None = None,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> TrackedRun:
        """Begin a tracked run; see ``Client.track``."""
        for what, text in (("experiment", experiment), ("trial", trial)):
            if text is not None and not _LABEL.fullmatch(text):
                raise Invalid(
                    "MUNI-A166", f"{text[:80]!r} is not a name for an {what}", given=text[:200], rule=_LABEL.pattern
                )
        key = f"{time.time_ns() // 1000:x}-{os.urandom(8).hex()}"
        head = {
            "experiment": experiment,
            "trial": trial,
            "name": name or Path(sys.argv[0] or "notebook").name or "notebook",
            "key": key,
            "started_at": datetime.now(UTC).isoformat(),
            "tags": {**_surroundings(), **(tags or {})},
        }
        if next(leftovers(self._root), None) is not None:
            # What dead processes left is taken along, beside this run and without holding it up.
            threading.Thread(target=self._sync_quietly, name="tracking-sync", daemon=True).start()
        run = TrackedRun(self._asking, Spool.create(self._root / key, head), experiment=experiment, trial=trial)
        if params:
            run.log_params(params)
        return run

    def experiments(self, prefix: str = "", *, limit: int = 100, deleted: bool = False) -> Experiments:
        """The experiments of the project, the one with the newest run first."""
        request = wire.ListExperiments(project=self._asking.project, prefix=prefix, limit=limit, deleted=deleted)
        return Experiments(self._asking.ask("tracking:ListExperiments", request, wire.Experiments))

    def experiment(self, name: str, *, limit: int = 200, deleted: bool = False) -> Experiment:
        """One experiment: its trials and their components."""
        request = wire.ShowExperiment(project=self._asking.project, experiment=name, limit=limit, deleted=deleted)
        return Experiment(self._asking.ask("tracking:ShowExperiment", request, wire.ExperimentDetail))

    def series(self, run: Any, name: str) -> MetricSeries:
        """Every value of one metric of a run."""
        return series_of(self._asking, reference_of(run), name)

    def metrics(self, run: Any) -> wire.TrackedMetrics:
        """What was measured in a run, one line per metric, NaN and infinities included."""
        return summaries_of(self._asking, reference_of(run))

    def artifacts(self, run: Any, *, versions: bool = False) -> Artifacts:
        """The files of a run, tracked or hermetic."""
        request = wire.ListArtifacts(project=self._asking.project, run=reference_of(run), versions=versions)
        return Artifacts(self._asking, self._asking.ask("tracking:ListArtifacts", request, wire.TrackedArtifacts))

    def delete(self, run: Any) -> None:
        """Take a tracked run out of lists; everything of it is retained."""
        request = wire.DeleteRun(project=self._asking.project, run=reference_of(run))
        self._asking.ask("tracking:DeleteRun", request, wire.Retained)

    def restore(self, run: Any) -> None:
        """Put a deleted run back into lists."""
        request = wire.RestoreRun(project=self._asking.project, run=reference_of(run))
        self._asking.ask("tracking:RestoreRun", request, wire.Retained)

    def _sync_quietly(self) -> None:
        with suppress(MunimentError, OSError):
            self.sync()

    def sync(self) -> list[str]:
        """Send what dead processes left; references of their runs.

        Raises:
            MunimentError: the server does not answer, or refuses something; what is left stays.
        """
        return sync(self._asking, self._root)


def sync(asking: Asking, root: Path) -> list[str]:
    """Send what dead processes left below a root; references of their runs."""
    sent = []
    for folder in leftovers(root):
        spool = Spool.open(folder)
        if spool is None:
            continue
        try:
            sender = Sender(asking, spool)
            sender.drain()
        finally:
            spool.close()
        spool.remove()
        sent.append(str(sender.run))
    return sent


def figure_bytes(figure: Any, name: str) -> tuple[str, bytes]:
    """A picture as a file: its name, with an ending, and its bytes.

    Raises:
        Invalid: it is nothing that can be drawn.
    """
    path = Path(name)
    kind = path.suffix[1:].lower()
    if isinstance(figure, bytes):
        return name, figure
    if isinstance(figure, str) or hasattr(figure, "svg"):
        text = figure if isinstance(figure, str) else str(figure.svg)
        return (name if kind else f"{name}.svg" if text.lstrip().startswith(("<svg", "<?xml")) else f"{name}.html"), (
            text.encode()
        )
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
        "MUNI-A167",
        f"a {type(figure).__name__} is no picture",
        type=type(figure).__name__,
        do="give a matplotlib or plotly figure, SVG text or bytes",
    )


def _parts(told: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """As few records as fit the documents that a server takes."""
    part: dict[str, Any] = {}
    room = _PART_BYTES
    for name, value in told.items():
        size = 8 * (len(name) + len(str(value)))
        if part and size > room:
            yield part
            part, room = {}, _PART_BYTES
        part[name] = value
        room -= size
    if part:
        yield part


def _point(name: str, value: Any, step: int | None, now: int) -> tuple[str, str, float | str, int, int]:
    """One measurement as a record of the local file."""
    try:
        if isinstance(value, str):
            raise TypeError
        number = float(value)
        at = 0 if step is None else int(step)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(
            "MUNI-A168",
            f"the metric {str(name)[:40]!r} is not a number",
            metric=str(name)[:80],
            type=type(value).__name__,
        ) from None
    if not -_INTEGER <= at < _INTEGER:
        raise Invalid("MUNI-A169", "a step does not fit in 64 bits", step=str(step)[:40])
    told = number if math.isfinite(number) else wire.value_of(number)
    return "m", _name(name), told, at, now


@lru_cache(maxsize=4096)
def _fits(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _name(name: str) -> str:
    if not isinstance(name, str) or not _fits(name):
        raise Invalid(
            "MUNI-A172",
            "a name has 1 to 200 characters, no control characters",
            given=str(name)[:80],
            length=len(str(name)),
        )
    return name


def _path(name: str) -> str:
    if not _PATH.fullmatch(name) or "//" in name:
        raise Invalid(
            "MUNI-A173", f"{name[:80]!r} is not a path for an artifact", given=name[:200], rule="relative, without '..'"
        )
    return name


def _plain(value: Any) -> str | int | float | bool | None:
    """A parameter as it is sent: numbers as they are, everything else as text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a number of numpy's
        return _plain(value.item())
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return str(value)


def _input(data: Any) -> dict[str, Any]:
    """What an input is, by reference or by digest."""
    if hasattr(data, "reference"):
        return {"reference": reference_of(data)}
    text = str(data)
    if _DIGEST.fullmatch(text):
        return {"digest": text}
    path = Path(text)
    if path.is_file():
        digest = sha256()
        with path.open("rb") as content:
            while piece := content.read(1 << 20):
                digest.update(piece)
        source = str(path.absolute())[:1000]
        return {
            "digest": f"sha256:{digest.hexdigest()}",
            "name": path.name[:200],
            "source": source,
            "size": path.stat().st_size,
        }
    if isinstance(data, str) and _REFERENCE.fullmatch(text):
        return {"reference": text}
    raise NotFound(
        "MUNI-A216",
        "an input is something with a reference, a reference, a digest or a file",
        given=text[:200],
        type=type(data).__name__,
        do="write a table to a file first",
    )


def _surroundings() -> dict[str, str]:
    """Where the process runs, as far as it says by itself; declared like everything else."""
    return {
        "host.python": platform.python_version(),
        "host.system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "host.cpus": str(os.cpu_count() or 0),
    }
