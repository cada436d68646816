"""Requests and replies about the rows of snapshots: what they share, how they differ, and which were never used."""

from __future__ import annotations

from msgspec import Struct, field

from muniment.wire.catalog import Checkpoint
from muniment.wire.execution import JobLimits


class FingerprintDataset(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Fingerprint the rows of a snapshot; what was fingerprinted before is not made again."""

    project: str
    dataset: str
    keys: list[str] = field(default_factory=list)
    """Columns that alone take part; none for whole rows."""

    limits: JobLimits = field(default_factory=JobLimits)


class CompareRows(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Count the rows that two snapshots share."""

    project: str
    a: str
    b: str
    keys: list[str] = field(default_factory=list)
    """Columns that alone are compared, as ``NAME``, or as ``NAME=OTHER`` where B calls it otherwise; none for all that
    both have."""

    ignore_names: bool = False
    """Compare whole rows by their values, whatever the columns are called."""

    limits: JobLimits = field(default_factory=JobLimits)


class DiffDatasets(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Say how two snapshots differ: schema, counts, distributions, and rows added, removed and changed."""

    project: str
    a: str
    b: str
    keys: list[str] = field(default_factory=list)
    """Columns that name a row; without them a changed row is one removed and one added."""

    limits: JobLimits = field(default_factory=JobLimits)


class ProveRowsUnused(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Show that no row of a snapshot stood in anything that a model was made from."""

    project: str
    reference: str
    model: str
    keys: list[str] = field(default_factory=list)
    """Columns that name a row, looked at besides whole rows in every input that has them all."""

    limits: JobLimits = field(default_factory=JobLimits)


class RowsAsked(Struct, kw_only=True, frozen=True):
    """The run that counts, or the runs that have to end before it can begin: ask the same again then."""

    run: str | None
    """``run:<id>``; None while fingerprints are missing."""

    waiting: list[str] = field(default_factory=list)
    """Runs that make the missing fingerprints."""

    reused: int = 0
    """How many fingerprints were there already."""


class Fingerprints(Struct, kw_only=True, frozen=True):
    """Where the fingerprints of a snapshot stand."""

    digest: str | None
    """Of the fingerprints, once they are there."""

    run: str | None
    """The run that makes them, while they are not."""


class ShowRowProof(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a run that looked for rows came to."""

    project: str
    run: str


class RowSearch(Struct, kw_only=True, frozen=True):
    """One look for the rows of the asked snapshot in one input."""

    input: str
    label: str
    by: str
    """``names``: columns by their names; ``values``: whole rows whatever the columns are called; ``keys``."""

    columns: int
    """How many columns were compared."""

    whole: bool
    """Whether these are all columns of the asked snapshot, or the keys that were asked for: a match is a match."""

    rows: int
    """Rows of the input."""

    found: int
    """Rows of the asked snapshot that occur in the input."""

    found_once: int
    """Of those, rows that the asked snapshot has exactly once over these columns."""

    distinct: int
    """Different rows of the asked snapshot over these columns."""

    missing: list[str]
    """Columns of the asked snapshot that the input has not; the first of many."""

    grade: str


class Unsearched(Struct, kw_only=True, frozen=True):
    """Something in the upstream closure that may hold rows and could not be searched."""

    digest: str
    label: str
    kind: str
    why: str


class RowProof(Struct, kw_only=True, frozen=True):
    """Whether rows of a snapshot stood in what a model was made from, with scope, grade and checkpoint."""

    unused: bool
    """Whether none was found, whole or in part."""

    verdict: str
    """``rows-unused``, ``rows-used``, or ``rows-unclear``: some agree in the columns that an input still has."""

    grade: str
    scope: str
    checkpoint: Checkpoint
    """The state of the ledger when the closure was searched."""

    reference: str
    model: str
    digest: str
    model_digest: str
    rows: int
    """Rows of the asked snapshot."""

    found: int
    """The most rows of it that one input held."""

    repeated: int
    """Rows that have an equal one within the asked snapshot itself: common values that may meet by coincidence."""

    inputs: list[RowSearch]
    unsearched: list[Unsearched]
    keys: list[str]
    objects: str
    """What the lineage alone says of the snapshot as an object: ``used``, ``unused-object`` or ``unused``."""

    weakest: str | None
    run: str
