"""Requests and replies about the quality of data, and about whom they represent."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from muniment.wire.execution import JobLimits


class AssessQuality(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Measure the quality of a snapshot by declared rules, hermetically."""

    project: str
    dataset: str
    rules: dict[str, Any] = field(default_factory=dict)
    """``{"rule": [{"check": …}, …]}``; without rules nulls and duplicates are counted, and nothing is judged."""

    as_of: str | None = None
    """The moment from which ages are counted; None takes the moment of the request."""

    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""

    limits: JobLimits = field(default_factory=JobLimits)


class AssessRepresentation(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Compare the groups of a snapshot with those of a reference population, hermetically."""

    project: str
    dataset: str
    against: str
    """The snapshot that stands for the population."""

    columns: list[str]
    """Columns that form groups."""

    bound: float | None = None
    """Greatest population stability index that is fine; None takes 0.1."""

    fresh: bool = False
    """Run it although the record holds the answer: a run of the same plan that ended well."""

    limits: JobLimits = field(default_factory=JobLimits)


class ListAssessments(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What was measured of the quality of a snapshot, newest first."""

    project: str
    dataset: str
    limit: int = 20


class Assessment(Struct, kw_only=True, frozen=True):
    """One measurement."""

    run: str
    what: str
    """``quality`` or ``representation``."""

    verdict: str
    """``ok``, ``violated`` or ``unknown``."""

    created_at: str
    by: str
    grade: str
    report: dict[str, Any]


class Assessments(Struct, kw_only=True, frozen=True):
    """A list of measurements."""

    assessments: list[Assessment]
