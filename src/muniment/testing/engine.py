"""An engine without a sandbox: plays what a job would do, so that queues and records can be tested in milliseconds."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from muniment.errors import IntegrityError
from muniment.execution.environments import BaseRoot, JobEnvironment, Package, ReadWheel
from muniment.execution.ports import Enforcement, Exit, ExitStatus, Launch, Sink, Strength, Usage
from muniment.kernel.digest import Digest

__all__ = ["EmptyWorkshop", "PlayedEngine", "leave"]

Play = Callable[[Launch, Sink, threading.Event], ExitStatus]
"""What a job does: it may log, report, leave outputs, wait for the wish to cancel, and ends with a status."""


class PlayedEngine:
    """Claims every wall, raises none, and runs no code but the play's."""

    name = "played"

    def __init__(self, play: Play, *, strength: Strength = Strength.ENFORCED) -> None:
        self._play, self._strength = play, strength
        self.launched: list[Launch] = []
        """What was run, in order."""

    def probe(self) -> Enforcement:
        """Every wall, as strong as was said."""
        wall = self._strength
        return Enforcement(
            "played", "1", "none", wall, wall, wall, wall, wall, wall, wall, wall, Digest.of(b"{}"), b"{}"
        )

    def run(self, launch: Launch, sink: Sink, cancel: threading.Event) -> Exit:
        """Read every input to its end, then play."""
        for one in launch.inputs:
            with one.open() as source:
                while source.read(1 << 16):
                    pass
        self.launched.append(launch)
        sink.started()
        status = self._play(launch, sink, cancel)
        usage = Usage(wall_s=0.1, cpu_s=0.1, max_rss_kb=1, memory_peak_kb=1, staging_s=0.0, output_bytes=0)
        return Exit(status, 0 if status is ExitStatus.OK else 1, None, "", (), usage, False, self.probe())


class EmptyWorkshop:
    """Makes no trees, and says what they would be."""

    python = "3.11"

    def __init__(self, machine: bytes = b"this machine") -> None:
        self._machine = machine

    def machine(self) -> Mapping[str, Any]:
        """Its name."""
        return {"processor": self._machine.decode(), "flags": [], "cpus": 1}

    def base(self) -> BaseRoot:
        """A base root that is nowhere, of this machine."""
        return BaseRoot(Path("/nowhere"), Digest.of(self._machine))

    @contextmanager
    def packed_base(self) -> Iterator[BinaryIO]:
        """The name of the machine, which is all there is of it."""
        yield io.BytesIO(self._machine)

    def unpacked_base(self, digest: Digest, archive: Iterable[bytes]) -> BaseRoot:
        """Another machine's base root, if that is what the archive names."""
        if Digest.of(b"".join(archive)) != digest:
            raise IntegrityError("MUNI-A517", "the played archive holds another base root", expected=digest)
        return BaseRoot(Path("/elsewhere"), digest)

    def tree(self, environment: JobEnvironment, read: ReadWheel) -> Path:
        """A tree that is nowhere."""
        return Path("/nowhere")

    def packages(self, environment: JobEnvironment, read: ReadWheel) -> tuple[Package, ...]:
        """The packages that the names of the wheels tell of."""
        named = [wheel.filename.split("-") for wheel in environment.wheels]
        return tuple(Package(name, version, "MIT", (), "", "") for name, version, *_ in named)

    def ready(self, digest: Digest) -> bool:
        """Always."""
        return True


def leave(sink: Sink, path: str, content: bytes) -> None:
    """Leave an output, as the collector hands it over."""
    sink.output(path, io.BytesIO(content), len(content))
