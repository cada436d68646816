"""Live metrics: JSON lines on a file descriptor that the sandbox's supervisor reads.

A line is ``{"name": ..., "value": ..., "step": ..., "at": ...}``; ``value`` is a finite number, or one of the texts ``NaN``,
``Infinity`` and ``-Infinity``; ``step`` is an integer or null; ``at`` is seconds since 1970 by the job's clock, a claim of the
job and nothing more. The descriptor is named by ``MUNIMENT_METRICS_FD``; without that variable, descriptor 3 is used when it
is a pipe. Where neither is open, metrics go nowhere and the script runs on: the same script works outside the platform.
Standard library only.
"""

from __future__ import annotations

import json
import math
import os
import stat
import time

from muniment.errors import Invalid

__all__ = ["log"]

_LONGEST_NAME = 256


def log(*, step: int | None = None, **metrics: float) -> None:
    """Report metrics of this moment, such as ``log(auc=0.77, step=3)``; values are numbers.

    Raises:
        Invalid: a value is not a number, or a name is longer than 256 characters.
    """
    now = time.time()
    lines = []
    for name, value in metrics.items():
        if isinstance(value, str) or len(name) > _LONGEST_NAME:
            raise Invalid("MUNI-D136", f"the metric {name[:40]!r} is not a number", metric=name[:80], type="str")
        try:
            number = float(value)
        except (TypeError, ValueError) as broken:
            kind = type(value).__name__
            raise Invalid("MUNI-D136", f"the metric {name[:40]!r} is not a number", metric=name[:80], type=kind) from broken
        shown: float | str = number if math.isfinite(number) else _named(number)
        lines.append(json.dumps({"name": name, "value": shown, "step": None if step is None else int(step), "at": now}))
    _send("".join(line + "\n" for line in lines).encode())


def _named(number: float) -> str:
    return "NaN" if number != number else ("Infinity" if number > 0 else "-Infinity")


def _descriptor() -> int | None:
    declared = os.environ.get("MUNIMENT_METRICS_FD", "")
    descriptor = int(declared) if declared.isdigit() else 3
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return None
    return descriptor if declared or stat.S_ISFIFO(mode) else None


def _send(data: bytes) -> None:
    descriptor = _descriptor()
    if descriptor is None:
        return
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        # Nobody reads any more: metrics are a service to the watcher, never a reason to stop the work.
        return
