"""The generated credit file of the story: written by a job of the sandbox, because the control plane has no numpy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from muniment.adapters.sandbox.archive import program_archive
from muniment.bootstrap import Platform
from muniment.errors import Unavailable
from muniment.execution.environments import Environments, find_environment
from muniment.execution.launching import launch
from muniment.execution.model import Part, ResolvedJob
from muniment.execution.ports import ExitStatus
from muniment.kernel.digest import Digest
from muniment.kernel.resources import PLATFORM

_PROGRAM = "muniment.programs.generate"


def write_credit_file(platform: Platform, path: Path, seed: int) -> Path:
    """Write the generated file, equal for equal seeds.

    Raises:
        Unavailable: the sandbox could not make it.
    """
    with platform.store.read() as session:
        environment = find_environment(session.use(Environments), "tabular")
    base, archive = platform.workshop.base(), program_archive()
    job = ResolvedJob(
        kind="generate",
        program=_PROGRAM,
        code=Digest.of(archive),
        source=None,
        entry=None,
        inputs={},
        params={"seed": seed},
        arguments=(),
        env=environment.digest,
        base=base.digest,
        seed=seed,
        limits={},
    )
    tree = platform.workshop.tree(environment, lambda wheel: platform.vault.stream(PLATFORM, wheel.digest))
    sink = _File(path)
    prepared = launch(job, "credit", {}, None, archive, base.path, tree, _no_inputs)
    end = platform.engine().run(prepared, sink, threading.Event())
    if end.status is not ExitStatus.OK or not path.exists():
        raise Unavailable("MUNI-A506", "the generated file could not be made", status=end.status, reason=end.reason)
    return path


def _no_inputs(part: Part) -> Callable[[], AbstractContextManager[BinaryIO]]:
    raise AssertionError(f"the generator reads nothing, not even {part.path}")


class _File:
    """Keeps the one table that the generator writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def started(self) -> None:
        """Nothing to note."""

    def log(self, chunk: bytes) -> None:
        """Nothing to keep."""

    def metric(self, line: bytes) -> None:
        """Nothing to keep."""

    def output(self, path: str, source: BinaryIO, size: int) -> None:
        """Keep the table."""
        if path.endswith(".csv.gz"):
            self._path.write_bytes(source.read(size))
