"""Requests about evidence packs."""

from __future__ import annotations

from msgspec import Struct, field


class BuildPack(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything the record holds about a model version, as one file that a stranger verifies."""

    project: str
    model: str
    checkpoint: int | None = None
    """Entries of a checkpoint of the past: the pack as it was then. None takes a new checkpoint over everything."""

    since: list[int] = field(default_factory=list)
    """Entries of checkpoints that the receiver kept: for each the pack proves that the ledger goes on from it."""

    cosigned: bool = False
    """With the cosignatures of witnesses. Without ``checkpoint`` the witnesses are asked first, and the newest
    checkpoint is taken that as many cosigned as are required."""


class BriefBoard(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The inventory at a glance as a report for a board, as PDF/A."""

    project: str
