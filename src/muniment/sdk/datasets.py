"""Data sets and their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from muniment.errors import Invalid
from muniment.kernel.identifiers import format_time, parse_time
from muniment.sdk.asking import Asking, Job, Watch
from muniment.sdk.cells import card, facts, fold, table
from muniment.sdk.frames import to_frame
from muniment.sdk.lineage import Lineage, lineage_of
from muniment.sdk.outside import Sending, Sources, opened
from muniment.sdk.quality import Quality, Representation, assess, represent
from muniment.sdk.rows import Difference, Overlap, RowProof, absence_of_rows, difference_of, overlap_of
from muniment.sdk.shown import count, size, visible
from muniment.wire import data as wd
from muniment.wire import quality as wq

__all__ = ["Data", "Dataset", "Datasets", "Parts"]

_PART: Final = ("part", "reference", "rows", "digest", "grade")


class Dataset:
    """One immutable snapshot of a data set, or one part of a split."""

    def __init__(self, asking: Asking, detail: wd.DatasetDetail) -> None:
        self._asking = asking
        self.detail = detail
        """Everything recorded about it."""

    @property
    def reference(self) -> str:
        """``data:name@version``."""
        return self.detail.dataset

    @property
    def digest(self) -> str:
        """Digest of the snapshot: its identity."""
        return self.detail.digest

    def split(
        self,
        *,
        stratify: Literal[True] | str = True,
        group: str | None = None,
        seed: int = 0,
        watch: Watch | None = None,
        **parts: float,
    ) -> Parts:
        """Split into disjoint parts that together are complete; 0.6 train, 0.2 test, 0.2 holdout when none is given.

        Args:
            stratify: the column whose classes keep their shares; True takes the target, when one is declared.
            group: the column whose equal values stay in one part.
            seed: makes the split repeatable.
            watch: see ``Run.wait``.
            parts: share of rows by name of the part; the shares add up to 1.
        """
        request = wd.SplitDataset(
            project=self._asking.project,
            dataset=self.reference,
            parts=parts or {"train": 0.6, "test": 0.2, "holdout": 0.2},
            stratify=stratify if isinstance(stratify, str) else None,
            group=group,
            seed=seed,
        )
        run = self._asking.start("data:SplitDataset", request).wait(watch).checked()
        return Parts(parts_of(self._asking, run, request.parts))

    def quality(self, rules: Any = None, *, as_of: str | None = None, watch: Watch | None = None) -> Quality:
        """Measure its quality by declared rules.

        Args:
            rules: a file of rules (TOML or JSON), or the rules themselves, such as
                ``[{"check": "complete", "column": "age"}]``.
            as_of: the moment from which ages are counted; None takes now.
            watch: see ``Run.wait``.
        """
        return assess(self._asking, self, rules, as_of=as_of, watch=watch)

    def represent(
        self, against: Any, columns: Sequence[str], *, bound: float | None = None, watch: Watch | None = None
    ) -> Representation:
        """Compare the shares of its groups with those of a reference population.

        Args:
            against: the snapshot that stands for the population, or its reference.
            columns: columns that form groups.
            bound: greatest population stability index that is fine; None takes 0.1.
            watch: see ``Run.wait``.
        """
        return represent(self._asking, self, against, columns, bound=bound, watch=watch)

    def assessments(self, limit: int = 20) -> list[wq.Assessment]:
        """What was measured of its quality, newest first."""
        request = wq.ListAssessments(project=self._asking.project, dataset=self.reference, limit=limit)
        return list(self._asking.ask("data:ListAssessments", request, wq.Assessments).assessments)

    def profile(self, watch: Watch | None = None) -> dict[str, Any]:
        """Describe each column; gives the profile that was recorded."""
        request = wd.ProfileDataset(project=self._asking.project, dataset=self.reference)
        self._asking.start("data:ProfileDataset", request).wait(watch).checked()
        self.detail = data_at(self._asking, self.reference).detail
        return self.detail.profile or {}

    def overlap(
        self, other: Any, *, keys: Sequence[str] = (), ignore_names: bool = False, watch: Watch | None = None
    ) -> Overlap:
        """How many rows it shares with another snapshot; see ``Data.overlap``."""
        return overlap_of(self._asking, self, other, keys=keys, ignore_names=ignore_names, watch=watch)

    def diff(self, other: Any, *, keys: Sequence[str] = (), watch: Watch | None = None) -> Difference:
        """How another snapshot differs from it; see ``Data.diff``."""
        return difference_of(self._asking, self, other, keys=keys, watch=watch)

    def lineage(self) -> Lineage:
        """Where it comes from."""
        return lineage_of(self._asking, self.reference)

    def to_frame(self) -> Any:
        """Its columns as a data frame; the rows themselves never leave the platform this way."""
        return to_frame([{"column": c.name, "type": c.type, "nullable": c.nullable} for c in self.detail.columns])

    def __repr__(self) -> str:
        d = self.detail
        lines = [
            f"{d.dataset}  {count(d.rows)} rows x {len(d.columns)} columns  {size(d.bytes)}  grade {d.grade}",
            f"  digest {d.digest}",
        ]
        if d.target:
            lines.append(f"  target {visible(d.target)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        d = self.detail
        known = {
            "rows": count(d.rows),
            "columns": count(len(d.columns)),
            "size": size(d.bytes),
            "target": d.target,
            "digest": d.digest,
            "content": d.content_digest,
            "superseded by": d.superseded_by,
            "derived from": ", ".join(d.derived_from),
            "added by": d.created_by,
            "added": d.created_at,
        }
        columns = table(["column", "type", "nullable"], [[c.name, c.type, c.nullable] for c in d.columns])
        return card(d.dataset, facts(known), fold("columns", columns), badges=(d.grade,))


class Parts(Mapping[str, Dataset]):
    """The parts of a split by name, also as attributes: ``parts.train``."""

    def __init__(self, parts: Mapping[str, Dataset]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> Dataset:
        return self._parts[name]

    def __getattr__(self, name: str) -> Dataset:
        try:
            return self.__dict__["_parts"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no part {name!r}; there are {', '.join(self._parts)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def proof(self) -> dict[str, Any] | None:
        """What proves that the parts are disjoint and together complete."""
        return next((part.detail.proof for part in self._parts.values()), None)

    def to_frame(self) -> Any:
        """A data frame, one row per part."""
        return to_frame([dict(zip(_PART, row, strict=True)) for row in self._rows()], _PART)

    def _rows(self) -> list[tuple[Any, ...]]:
        return [(name, p.reference, p.detail.rows, p.digest, p.detail.grade) for name, p in self._parts.items()]

    def __repr__(self) -> str:
        return "\n".join(f"{name:12} {part!r}".splitlines()[0] for name, part in self._parts.items())

    def _repr_html_(self) -> str:
        rows = [[*row[:2], count(row[2]), *row[3:]] for row in self._rows()]
        proof = self.proof or {}
        proven: dict[str, Any] = {name: proof[name] for name in ("disjoint", "complete") if name in proof}
        return card(f"{len(self)} parts", table(_PART, rows), facts(proven))


class Datasets(tuple[wd.DatasetSummary, ...]):
    """A list of data sets, newest first."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """A data frame, one row per data set."""
        return to_frame(
            [{name: getattr(row, name) for name in row.__struct_fields__} for row in self],
            wd.DatasetSummary.__struct_fields__,
        )

    def __repr__(self) -> str:
        return "\n".join(f"{row.dataset:40} {count(row.rows):>12} rows x {row.columns} columns" for row in self)

    def _repr_html_(self) -> str:
        rows = [
            [row.dataset, count(row.rows), row.columns, size(row.bytes), row.target, row.created_at] for row in self
        ]
        return table(["data set", "rows", "columns", "size", "target", "added"], rows)


class Data:
    """The data sets of the project: ``m.data``."""

    def __init__(self, asking: Asking, sources: Sources | None = None) -> None:
        self._asking = asking
        self._sources = sources

    def open(
        self,
        source: str | Path,
        *,
        query: str | None = None,
        version: str | None = None,
        at: str | None = None,
        file: Callable[[Path], AbstractContextManager[BinaryIO]] | None = None,
    ) -> AbstractContextManager[Sending]:
        """A source on this machine, ready to be sent; see ``add`` for what it may be."""
        opener = {} if file is None else {"file": file}
        return opened(self._sources, source, query=query, version=version, at=at, **opener)

    def add(
        self,
        name: str,
        file: str | Path,
        *,
        query: str | None = None,
        sheet: str | None = None,
        version: str | int | None = None,
        at: str | None = None,
        target: str | None = None,
        columns: Mapping[str, str] | None = None,
        delimiter: str | None = None,
        header: Sequence[str] = (),
        nulls: Sequence[str] = (),
        bounds: Mapping[str, int] | None = None,
        classification: str = "confidential",
        owner: str | None = None,
        purposes: Sequence[str] = (),
        legal_basis: Sequence[str] = (),
        rights: Sequence[str] = (),
        use_until: str | None = None,
        retention: str | None = None,
        watch: Watch | None = None,
    ) -> Dataset:
        """Ingest a source as the next version of a data set, and wait for it.

        Args:
            name: name of the data set.
            file: path of a file (CSV, JSON lines, Parquet, Arrow, Excel), of which only the last part is sent along;
                folder of a Delta or Iceberg table; or a URL: ``postgresql://…``, ``sqlite:///…``, ``s3://…``.
            query: what to ask a database; one statement that reads.
            sheet: sheet of a workbook that has several.
            version: version of a table, or version id of an object.
            at: the moment whose version is wanted, in ISO 8601.
            target: the column that models shall predict.
            columns: declared types by column name, where guessing is not good enough.
            delimiter: what separates fields; None means a comma.
            header: names of the columns of a file that has no header line.
            nulls: spellings of a missing value besides the empty field, such as ``?``.
            bounds: what the file may hold at most, where that is not as usual: ``columns`` (2,000), ``rows``, ``bytes``
                after the compression is taken off, ``ratio`` of these to the compressed ones, ``record_bytes``.
            classification: how the data may be handled: public, internal, confidential or restricted.
            owner: who answers for them.
            purposes: what they may be used for.
            legal_basis: by which right they are processed.
            rights: what they are kept from: ``no-training``, ``no-scripts``, ``no-evaluation``, ``no-prediction``,
                ``no-derivation``.
            use_until: the day, or the time from now, at which the right to use them ends: ``2030-12-31``, ``2y``.
            retention: the day, or the time from now, until which they are kept.
            watch: see ``Run.wait``.
        """
        asked = None if version is None else str(version)
        with opened(self._sources, file, query=query, version=asked, at=at) as sending:
            request = wd.AddDataset(
                project=self._asking.project,
                name=name,
                target=target,
                columns=dict(columns or {}),
                delimiter=delimiter,
                header=list(header),
                nulls=list(nulls),
                bounds=dict(bounds or {}),
                sheet=sheet,
                classification=classification,
                owner=owner,
                purposes=list(purposes),
                legal_basis=list(legal_basis),
                rights=list(rights),
                use_until=use_until,
                retention=retention,
                **sending.fields,
            )
            run = self._asking.start("data:AddDataset", request, sending.body)
        return data_at(self._asking, run.wait(watch).checked().product("data"))

    def list(self, limit: int = 100) -> Datasets:
        """The data sets of the project, newest first."""
        request = wd.ListDatasets(project=self._asking.project, limit=limit)
        return Datasets(self._asking.ask("data:ListDatasets", request, wd.Datasets).datasets)

    def overlap(
        self, a: Any, b: Any, *, keys: Sequence[str] = (), ignore_names: bool = False, watch: Watch | None = None
    ) -> Overlap:
        """How many rows two snapshots share, whatever their formats, row order and column order.

        Args:
            a: a snapshot, or its reference.
            b: another one.
            keys: columns that alone are compared, ``NAME=OTHER`` where B calls one otherwise; none for all that both
                have.
            ignore_names: compare whole rows by their values, whatever the columns are called.
            watch: see ``Run.wait``.
        """
        return overlap_of(self._asking, a, b, keys=keys, ignore_names=ignore_names, watch=watch)

    def diff(self, a: Any, b: Any, *, keys: Sequence[str] = (), watch: Watch | None = None) -> Difference:
        """How B differs from A: schema, counts, distributions, and rows added, removed and changed.

        Args:
            a: a snapshot, or its reference.
            b: another one, such as its next version.
            keys: columns that name a row; without them a changed row is one removed and one added.
            watch: see ``Run.wait``.
        """
        return difference_of(self._asking, a, b, keys=keys, watch=watch)

    def prove_rows_unused(
        self, what: Any, model: Any, *, keys: Sequence[str] = (), watch: Watch | None = None
    ) -> RowProof:
        """Whether any row of this stood in what that model was made from, also under another name, format or order.

        Args:
            what: a snapshot, or its reference.
            model: the model, or its reference.
            keys: columns that name a row, looked at besides whole rows.
            watch: see ``Run.wait``.
        """
        return absence_of_rows(self._asking, what, model, keys=keys, watch=watch)

    def get(self, reference: str, *, at: str | None = None) -> Dataset:
        """One snapshot: ``data:credit@3``, ``credit``, or the one that was the latest at a moment.

        Args:
            reference: its name, with or without a version.
            at: a moment in ISO 8601 with its zone, where no version is named.
        """
        return data_at(self._asking, reference if at is None else moment_of(reference, at))


def data_at(asking: Asking, reference: str) -> Dataset:
    """The snapshot that a reference leads to."""
    request = wd.ShowDataset(project=asking.project, dataset=reference)
    return Dataset(asking, asking.ask("data:ShowDataset", request, wd.DatasetDetail))


def moment_of(reference: str, at: str) -> str:
    """The reference of the version that was the latest at a moment.

    Raises:
        Invalid: a version is named already, or the moment is none.
    """
    if "@" in reference or reference.startswith("sha256:"):
        raise Invalid("MUNI-A128", "a version is named: there is none at a time", given=reference[:200])
    return f"{reference}@{format_time(parse_time(at))}"


def parts_of(asking: Asking, run: Job, names: Iterable[str]) -> dict[str, Dataset]:
    """The data sets that a split made, by name of the part."""
    made = run.products
    return {name: data_at(asking, made[name]) for name in names}
