"""Live metrics: JSON lines on a file descriptor that the sandbox's supervisor reads.

A line is ``{"name": ..., "value": ..., "step": ..., "at": ...}``; ``value`` is a finite number, or one of the texts
``NaN``, ``Infinity`` and ``-Infinity``; ``step`` is an integer or null; ``at`` is seconds since 1970 by the job's
clock, a claim of the job and nothing more. The descriptor is named by ``MUNIMENT_METRICS_FD``. Without that variable
metrics go to the tracked run that is open in this process, or nowhere, and the script runs on: the same script works
outside the platform. Standard library only.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from muniment.errors import Invalid
from muniment.kernel.tracker import current

__all__ = ["in_job", "listen", "log", "report", "send"]

_LONGEST_NAME = 256


def log(*, step: int | None = None, **metrics: float) -> None:
    """Report metrics of this moment, such as ``log(auc=0.77, step=3)``; values are numbers.

    Raises:
        Invalid: a value is not a number, or a name is longer than 256 characters.
    """
    report(step, metrics)


def report(step: int | None, metrics: Mapping[str, object]) -> None:
    """Report metrics by name, for names that are no Python identifiers; see ``log``."""
    if not in_job() and (run := current()) is not None:
        run.log_metrics(metrics, step)
        return
    now = time.time()
    number = None if step is None else int(step)
    lines = [json.dumps({"name": n, "value": _value(n, v), "step": number, "at": now}) for n, v in metrics.items()]
    send("".join(line + "\n" for line in lines).encode())
    for listener in _LISTENERS:
        listener(number, metrics)


def in_job() -> bool:
    """Whether this process is a job: somebody reads what it reports."""
    return os.environ.get("MUNIMENT_METRICS_FD", "").isdigit()


def listen(listener: Callable[[int | None, Mapping[str, object]], None]) -> None:
    """Have the metrics of this process shown to somebody else in it too; once each, however often it is asked."""
    if listener not in _LISTENERS:
        _LISTENERS.append(listener)


_LISTENERS: Final[list[Callable[[int | None, Mapping[str, object]], None]]] = []


def _value(name: str, value: object) -> float | str:
    try:
        if isinstance(value, str) or len(name) > _LONGEST_NAME:
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Invalid(
            "MUNI-D136",
            f"the metric {name[:40]!r} is not a number",
            metric=name[:80],
            type=type(value).__name__,
            do="report numbers under names of at most 256 characters",
        ) from None
    return number if math.isfinite(number) else _named(number)


def _named(number: float) -> str:
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def send(data: bytes) -> None:
    """Write whole lines to the descriptor that the supervisor reads; without one they go nowhere."""
    # Only a descriptor that was declared: any other number may be somebody else's pipe.
    declared = os.environ.get("MUNIMENT_METRICS_FD", "")
    if not declared.isdigit():
        return
    try:
        while data:
            data = data[os.write(int(declared), data) :]
    except OSError:
        # Nobody reads any more: metrics are a service to the watcher, never a reason to stop the work.
        return
