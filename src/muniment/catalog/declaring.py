"""Writes what others claim: imported facts, and the lineage of jobs that ran without walls."""

from __future__ import annotations

from typing import ClassVar

from muniment.catalog.writing import Writer
from muniment.kernel.grade import Grade


class Declarer(Writer):
    """Writes claims; nobody checked them."""

    grade: ClassVar[Grade] = Grade.DECLARED
