"""Engines that run jobs behind walls, and the choice between them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from muniment.adapters.sandbox.base import INTERPRETER, SealedBase, digest_tree, seal_base
from muniment.adapters.sandbox.bwrap import Bubblewrap
from muniment.execution.ports import Engine

__all__ = ["INTERPRETER", "Bubblewrap", "Require", "SealedBase", "choose_engine", "digest_tree", "seal_base"]


class Require(StrEnum):
    """What an installation asks of its engine."""

    ENFORCED = "enforced"
    """Walls whose canaries passed; nothing runs without."""
    NONE = "none"
    """Run without walls where there are none; every run records it, and lineage from it is only declared."""


def choose_engine(require: Require, cache: Path) -> Engine:
    """The strongest engine that works here."""
    return Bubblewrap(cache)
