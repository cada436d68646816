"""The one way in: everything the SDK and the command line do is a verb asked through a Transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, TypeVar

import msgspec

__all__ = ["Transport", "Worker"]

T = TypeVar("T")


class Transport(Protocol):
    """Carries one request to the gate and brings the answer back: in this process, or over HTTP."""

    def invoke(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask a verb; ``body`` is read to its end when the verb takes bytes.

        Raises:
            MunimentError: what the platform answered, as the same error it raised.
        """

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Ask a verb whose answer is bytes; an error is raised before the first chunk."""


class Worker(Protocol):
    """Works the queue in this process, where no server does."""

    def __call__(self, run: str, tick: Callable[[], None]) -> None:
        """Return when this run has ended; calls ``tick`` often meanwhile, in the calling thread."""
