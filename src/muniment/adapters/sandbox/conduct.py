"""The course of one job, the same behind every kind of wall: raise, fill, release, follow, collect, judge."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

from muniment.adapters.sandbox.cgroups import JobGroups, make_groups
from muniment.adapters.sandbox.collector import Collected, collect
from muniment.adapters.sandbox.seats import Seat, take_seat
from muniment.adapters.sandbox.supervise import Ended, Order, Stopped, Supervision
from muniment.execution.ports import (
    METRICS_FD,
    Enforcement,
    Exit,
    ExitStatus,
    Launch,
    Limits,
    Refusal,
    Sink,
    Usage,
)

__all__ = ["ENGINE_PROCESSES", "SETUP_S", "STAGING_BYTES_PER_S", "Stage", "conduct", "job_environment"]

ENGINE_PROCESSES: Final = 4
"""Processes that the engine itself counts for under the job's user id."""
SETUP_S: Final = 30.0
STAGING_BYTES_PER_S: Final = 10 << 20
"""Slower than any disk in use; staging that is slower still is stuck."""


class Stage(Protocol):
    """Where one job will run: what differs between engines."""

    def order(self, seat: Seat, groups: JobGroups) -> Order:
        """What the guard is to start."""

    def complete(self, watch: Supervision) -> None:
        """Raise the walls and fill in the inputs.

        Raises:
            Stopped: something did not verify or did not happen; the job must be killed.
        """

    def release(self) -> None:
        """Let the job start."""

    def results(self) -> int:
        """A descriptor of the folder that holds ``model`` and ``output``, valid after ``complete``."""

    def close(self) -> None:
        """Take everything down; nothing of the job is running."""


def conduct(
    stage: Callable[[Seat], Stage],
    enforcement: Enforcement,
    launch: Launch,
    sink: Sink,
    cancel: threading.Event,
    seat: Seat | None = None,
) -> Exit:
    """Run one job to its end.

    Args:
        stage: makes the place for the job of that seat.
        enforcement: what the exit states about the walls.
        launch: the job.
        sink: where its traces go; what it raises kills the job and passes through.
        cancel: set by whoever wants the job to end.
        seat: the user id to run under; None takes a free one.
    """
    began = time.monotonic()
    limits, released, stopped, results = launch.limits, None, None, Collected()
    with ExitStack() as stack:
        if seat is None:
            seat = stack.enter_context(take_seat())
        staged = sum(one.size for one in launch.inputs) + sum(len(one.content) for one in launch.files)
        groups = make_groups((limits.memory_mb << 20) + staged, limits.processes + ENGINE_PROCESSES)
        stack.callback(groups.remove)
        place = stage(seat)
        stack.callback(place.close)
        watch = stack.enter_context(Supervision(place.order(seat, groups), launch, sink, cancel))
        try:
            place.complete(watch)
            released = time.monotonic()
            watch.traces.release()
            place.release()
            watch.follow(limits)
        except Stopped as decision:
            stopped = decision
            watch.kill()
        ended = watch.finish()
        groups.kill()
        finished = time.monotonic()
        if released is not None and not ended.error:
            results = collect(place.results(), limits, sink.output)
    status, code, number, reason = _verdict(ended, stopped, released is not None, results, limits)
    refused = list(results.listed())
    if watch.traces.metrics_dropped:
        refused.append(Refusal("metrics", f"{watch.traces.metrics_dropped} lines were too long or too many"))
    return Exit(
        status=status,
        exit_code=code,
        signal=number,
        reason=reason,
        refused=tuple(refused),
        usage=Usage(
            wall_s=0.0 if released is None else finished - released,
            cpu_s=ended.cpu_s,
            max_rss_kb=ended.max_rss_kb,
            memory_peak_kb=ended.memory_peak_kb,
            staging_s=(released or finished) - began,
            output_bytes=results.size,
        ),
        log_truncated=watch.traces.log_truncated,
        enforcement=enforcement,
    )


def job_environment(launch: Launch) -> dict[str, str]:
    """The whole environment of a job."""
    return {
        "PATH": "/env/bin:/usr/bin" if launch.env is not None else "/usr/bin",
        "HOME": "/tmp",  # noqa: S108  the job's own
        "MUNIMENT_METRICS_FD": str(METRICS_FD),
        **launch.environment,
    }


def _verdict(
    ended: Ended, stopped: Stopped | None, released: bool, results: Collected, limits: Limits
) -> tuple[ExitStatus, int | None, int | None, str]:
    """Status, exit code, signal and reason; the strongest cause first."""
    if not released:
        if stopped is None:
            return ExitStatus.REFUSED, None, None, ended.error
        return stopped.status, None, None, stopped.reason
    code, number = _how_it_ended(ended)
    if stopped is not None and stopped.status is not ExitStatus.OOM:
        return stopped.status, code, number, stopped.reason
    if stopped is not None or ended.memory_kills:
        return ExitStatus.OOM, code, number, f"needed more than {limits.memory_mb} MiB of memory"
    if ended.error:
        return ExitStatus.FAILED, code, number, ended.error
    if number == signal.SIGXCPU or (number == signal.SIGKILL and ended.cpu_s >= limits.cpu_s):
        return ExitStatus.LIMIT, code, number, f"used more than {limits.cpu_s} s of processor time"
    if number == signal.SIGXFSZ:
        return ExitStatus.LIMIT, code, number, f"wrote a file larger than {limits.output_mb} MiB"
    if code != 0:
        return ExitStatus.FAILED, code, number, f"ended by signal {number}" if number else f"exit code {code}"
    if results.over_limit:
        return ExitStatus.LIMIT, code, number, "the results are beyond the limits"
    return ExitStatus.OK, code, number, ""


def _how_it_ended(ended: Ended) -> tuple[int | None, int | None]:
    """Exit code or signal; bubblewrap tells a signal the way shells do."""
    if ended.status is None:
        return None, None
    if os.WIFSIGNALED(ended.status):
        return None, os.WTERMSIG(ended.status)
    code = os.WEXITSTATUS(ended.status)
    return (None, code - 128) if 128 < code < 128 + signal.NSIG else (code, None)
