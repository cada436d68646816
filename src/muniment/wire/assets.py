"""Requests about the register of assets and the list of changes, as open files (DORA, articles 8 and 9)."""

from __future__ import annotations

from msgspec import Struct


class ExportAssets(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything there is to look after, one row each: projects, data, models, environments, keys, people."""

    form: str = "csv"
    """``csv`` or ``json``."""

    scope: str | None = None
    """Only what belongs to this project; None for the whole installation."""


class ExportChanges(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything that was changed in a period, one row for each entry of the ledger."""

    form: str = "csv"
    """``csv`` or ``json``."""

    since: str | None = None
    """At or after this moment or day, ISO 8601; None from the beginning."""

    until: str | None = None
    """Before this moment or day; None until now."""

    scope: str | None = None
    """Only what concerns this project."""
