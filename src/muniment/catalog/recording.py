"""The only writer of proven lineage; ``execution`` alone may import it, and writes what it mounted and collected."""

from __future__ import annotations

from typing import ClassVar

from muniment.catalog.writing import Writer
from muniment.kernel.grade import Grade


class Recorder(Writer):
    """Writes what the platform itself saw."""

    grade: ClassVar[Grade] = Grade.PROVEN
