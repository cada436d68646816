"""An Iceberg table at a snapshot, read by the rules of its specification (format versions 1 and 2), or refused.

The table's metadata names a manifest list, that its manifests, those the data files. Columns are matched by field id,
never by name, so that renamed columns keep their values and added ones are null. Position deletes are applied; equality
deletes, deletion vectors and format version 3 are refused by name: leaving them out would bring deleted rows back.
Rows come in the order of the paths of their files. Paths stand absolute in Iceberg; they are read as relative to the
table's location, so that a copied table is read as well as the original.

Source: the Iceberg table specification, https://iceberg.apache.org/spec/, sections "Scan Planning", "Delete Formats",
"Column Projection", "Schema Evolution".
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote, urlparse

import fastavro
import numpy as np
import pyarrow as pa

from muniment.errors import Invalid, NotFound
from muniment.programs.contract import visible
from muniment.programs.delta import fitted
from muniment.programs.findings import check_names
from muniment.programs.sources import too_many_rows
from muniment.programs.table_files import TableFiles, inside, unreadable, unsupported

__all__ = ["read_iceberg"]

_METADATA: Final = re.compile(r"metadata/(?:v(\d+)|(\d+)-[0-9A-Fa-f-]{36})\.metadata\.json")
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_PRIMITIVE: Final = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "string": pa.string(),
}
_EXISTING: Final = (0, 1)
"""Statuses of manifest entries that count: existing and added; 2 is deleted."""

_DATA, _POSITIONS, _EQUALITY = 0, 1, 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELD_ID: Final = b"PARQUET:field_id"
_MOST_ENTRIES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the schema that is read."""

    id: int
    field: pa.Field


@dataclass(frozen=True, slots=True)
class _File:
    """One entry of a manifest."""

    name: str
    path: str
    content: int
    size: int
    rows: int
    sequence: int
    partition: tuple[int, str]
    """The partition it belongs to: the id of the spec, and the values, as a text to compare."""

    values: Mapping[str, Any]


def read_iceberg(
    table: TableFiles,
    version: int | None,
    at: datetime | None,
    begin: Callable[[pa.Schema], Callable[[pa.Table], None]],
) -> dict[str, Any]:
    """Read one snapshot and hand it over; returns what was read: snapshot id, its time, number of files.

    Args:
        table: the files of the table's folder.
        version: id of the snapshot to read; None takes the current one.
        at: the moment whose snapshot is to be read, where no id is given.
        begin: called with the schema; returns what takes the tables.

    Raises:
        NotFound: the table has no such snapshot, or none at that time.
        Invalid: it is damaged, hostile, or uses what we do not honour.
    """
    try:
        return _Table(table).read(version, at, begin)
    except (KeyError, TypeError, AttributeError, IndexError) as broken:
        raise unreadable("its metadata lack what they must hold", detail=visible(str(broken), 80)) from broken


class _Table:
    """The metadata of a table, at its newest."""

    def __init__(self, files: TableFiles) -> None:
        self._files = files
        self._name = files.start or _newest(files)
        self._metadata = files.document(self._name)
        if self._metadata.get("format-version") not in (1, 2):
            what = f"format version {visible(str(self._metadata.get('format-version')))}"
            raise unsupported(what, "export the table as Parquet, or rewrite it as version 2")
        self._location = str(self._metadata["location"]).rstrip("/")
        self._specs = {int(spec["spec-id"]): spec["fields"] for spec in self._metadata.get("partition-specs", [])}

    def read(
        self, version: int | None, at: datetime | None, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]
    ) -> dict[str, Any]:
        snapshot = self._snapshot(version, at)
        columns = self._columns(snapshot)
        schema = pa.schema([column.field for column in columns])
        check_names(schema.names, self._files.limits.max_columns)
        data: list[_File] = []
        deletes: list[_File] = []
        for entry in self._entries(snapshot):
            (data if entry.content == _DATA else deletes).append(entry)
        gone = self._positions(deletes)
        take = begin(schema)
        rows = 0
        for entry in sorted(data, key=lambda one: one.name):
            file = self._files.parquet(entry.name, entry.size)
            if file.metadata.num_rows != entry.rows:
                raise Invalid(
                    "MUNI-J116",
                    "a file holds another number of rows than the table says",
                    file=visible(entry.name, 200),
                    expected=entry.rows,
                    found=file.metadata.num_rows,
                    do="restore the file, or read another version",
                )
            rows += entry.rows
            if rows > self._files.limits.max_rows:
                raise too_many_rows(self._files.limits.max_rows)
            dead = _dead(gone.get(entry.path, ()), entry)
            places = self._places(file.schema_arrow, columns)
            start = 0
            for piece in self._files.batches(entry.name, file):
                whole = self._conform(piece, places, columns, entry)
                if dead is not None:
                    kept = np.setdiff1d(np.arange(start, start + piece.num_rows), dead, assume_unique=False) - start
                    whole = whole.take(pa.array(kept))
                start += piece.num_rows
                take(whole)
        made = snapshot.get("timestamp-ms")
        return {
            "table_version": str(snapshot["snapshot-id"]) if snapshot else None,
            "table_time": (_EPOCH + timedelta(milliseconds=made)).isoformat() if isinstance(made, int) else None,
            "files": len(data),
            "delete_files": len(deletes),
            "metadata": self._name,
        }

    def _snapshot(self, version: int | None, at: datetime | None) -> Mapping[str, Any]:
        snapshots = {one["snapshot-id"]: one for one in self._metadata.get("snapshots") or []}
        wanted = version
        if wanted is None and at is not None:
            moment = int(at.timestamp() * 1000)
            log = sorted(
                (
                    (one["timestamp-ms"], number, one["snapshot-id"])
                    for number, one in enumerate(self._metadata.get("snapshot-log") or [])
                )
            )
            passed = [identity for time, _, identity in log if time <= moment]
            if not passed:
                raise NotFound(
                    "MUNI-J202",
                    "the table has no version at that time",
                    at=at.isoformat(),
                    oldest=(_EPOCH + timedelta(milliseconds=log[0][0])).isoformat() if log else None,
                    do="choose a later time, or a version",
                )
            wanted = passed[-1]
        if wanted is None:
            wanted = self._metadata.get("current-snapshot-id")
        if wanted in (None, -1):
            return {}
        if wanted not in snapshots:
            raise NotFound(
                "MUNI-J203",
                f"the table has no snapshot {wanted}",
                version=str(wanted),
                known=[str(one) for one in list(snapshots)[-20:]],
                do="choose one of the snapshots that the table still holds",
            )
        found: Mapping[str, Any] = snapshots[wanted]
        return found

    def _columns(self, snapshot: Mapping[str, Any]) -> list[_Column]:
        schemas = {one["schema-id"]: one for one in self._metadata.get("schemas") or []}
        current = self._metadata.get("current-schema-id")
        schema = schemas.get(snapshot.get("schema-id", current)) or schemas.get(current) or self._metadata["schema"]
        found = []
        for one in schema["fields"]:
            kind = one["type"]
            decimal = _DECIMAL.fullmatch(kind) if isinstance(kind, str) else None
            if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
                arrow = pa.decimal128(int(decimal[1]), int(decimal[2]))
            elif isinstance(kind, str) and kind in _PRIMITIVE:
                arrow = _PRIMITIVE[kind]
            else:
                what = kind if isinstance(kind, str) else "nested"
                raise unsupported(
                    f"a column of type {visible(what)}", "leave the column out", column=visible(str(one["name"]), 80)
                )
            found.append(_Column(int(one["id"]), pa.field(str(one["name"]), arrow)))
        if not found:
            raise unreadable("the schema has no columns")
        return found

    def _entries(self, snapshot: Mapping[str, Any]) -> Iterator[_File]:
        """The files that count at a snapshot, with the sequence numbers that they inherit."""
        if "manifest-list" in snapshot:
            manifests = list(self._avro(self._relative(snapshot["manifest-list"])))
        else:
            manifests = [{"manifest_path": path} for path in snapshot.get("manifests") or []]
        seen = 0
        for manifest in manifests:
            for entry in self._avro(self._relative(manifest["manifest_path"])):
                seen += 1
                if seen > _MOST_ENTRIES:
                    raise too_many_rows(_MOST_ENTRIES)
                if entry["status"] not in _EXISTING:
                    continue
                data = entry["data_file"]
                content = int(data.get("content") or 0)
                kind = str(data["file_format"]).upper()
                if content == _EQUALITY:
                    raise unsupported("equality deletes", "compact the table (rewrite_data_files), then read it")
                if kind != "PARQUET":
                    what = "deletion vectors" if kind == "PUFFIN" else f"data files of format {visible(kind)}"
                    raise unsupported(what, "rewrite the table's files as Parquet")
                if content not in (_DATA, _POSITIONS):
                    raise unreadable("a manifest lists what is no file")
                sequence = entry.get("sequence_number")
                values = dict(data.get("partition") or {})
                yield _File(
                    name=self._relative(data["file_path"]),
                    path=str(data["file_path"]),
                    content=content,
                    size=int(data["file_size_in_bytes"]),
                    rows=int(data["record_count"]),
                    sequence=int(manifest.get("sequence_number") or 0) if sequence is None else int(sequence),
                    partition=(int(manifest.get("partition_spec_id") or 0), json.dumps(values, default=str)),
                    values=values,
                )

    def _positions(self, deletes: list[_File]) -> dict[str, list[tuple[_File, np.ndarray]]]:
        """By data file: which positions are deleted, and by which file."""
        found: dict[str, list[tuple[_File, np.ndarray]]] = {}
        for entry in deletes:
            file = self._files.parquet(entry.name, entry.size)
            for piece in self._files.batches(entry.name, file):
                paths = piece.column("file_path").combine_chunks().dictionary_encode()
                positions = piece.column("pos").to_numpy()
                codes = paths.indices.to_numpy(zero_copy_only=False)
                for code, path in enumerate(paths.dictionary.to_pylist()):
                    found.setdefault(path, []).append((entry, positions[codes == code]))
        return found

    def _places(self, schema: pa.Schema, columns: list[_Column]) -> dict[int, int]:
        """Where the columns of a file are, by field id; a file without ids is read by the table's mapping of names."""
        ids = [int((field.metadata or {}).get(_FIELD_ID, b"-1")) for field in schema]
        if any(one >= 0 for one in ids):
            return {identity: place for place, identity in enumerate(ids) if identity >= 0}
        told = (self._metadata.get("properties") or {}).get("schema.name-mapping.default")
        if not isinstance(told, str):
            raise unsupported("data files without field ids", "set schema.name-mapping.default, or rewrite the files")
        try:
            mapping = json.loads(told)
        except (ValueError, RecursionError):
            raise unreadable("the mapping of names is no JSON") from None
        wanted = {name: int(one["field-id"]) for one in mapping if "field-id" in one for name in one["names"]}
        return {wanted[name]: place for place, name in enumerate(schema.names) if name in wanted}

    def _conform(self, piece: pa.Table, places: Mapping[int, int], columns: list[_Column], entry: _File) -> pa.Table:
        arrays = []
        constants = self._constants(entry)
        for column in columns:
            if column.id in places:
                arrays.append(fitted(piece.column(places[column.id]), column.field, entry.name))
            elif column.id in constants:
                arrays.append(_repeated(constants[column.id], column.field, piece.num_rows))
            else:
                arrays.append(pa.nulls(piece.num_rows, column.field.type))
        return pa.table(arrays, schema=pa.schema([column.field for column in columns]))

    def _constants(self, entry: _File) -> dict[int, Any]:
        """Values that stand in the partition alone, by the id of their column."""
        fields = self._specs.get(entry.partition[0], [])
        return {
            int(one["source-id"]): entry.values[one["name"]]
            for one in fields
            if one.get("transform") == "identity" and one["name"] in entry.values
        }

    def _relative(self, path: Any) -> str:
        """A path of the table as the name of one of its files.

        Raises:
            Invalid: it does not lie below the table's location.
        """
        text = str(path)
        for start in (self._location, unquote(urlparse(self._location).path).rstrip("/")):
            if start and text.startswith(start + "/"):
                return _named(text[len(start) + 1 :])
        here = urlparse(text).path
        base = urlparse(self._location).path.rstrip("/")
        if base and here.startswith(base + "/"):
            return _named(here[len(base) + 1 :])
        return inside(text, "a file")

    def _avro(self, name: str) -> Iterator[dict[str, Any]]:
        content = self._files.small(name)
        try:
            for record in fastavro.reader(io.BytesIO(content)):
                if not isinstance(record, dict):
                    raise ValueError("a record is no record")
                yield record
        except Invalid:
            raise
        except (MemoryError, GeneratorExit):
            raise
        except Exception as broken:  # fastavro raises whatever a hostile file leads it to
            raise unreadable(
                "a manifest is damaged",
                file=visible(name, 200),
                detail=visible(f"{type(broken).__name__}: {broken}", 80),
            ) from broken


def _named(name: str) -> str:
    return inside(name.replace("%", "%25"), "a file")


def _newest(files: TableFiles) -> str:
    """The newest metadata file: the one that ``version-hint.text`` names, else that of the greatest number.

    Raises:
        Invalid: there is none, or two of them bear the greatest number.
    """
    if "metadata/version-hint.text" in files:
        hint = files.small("metadata/version-hint.text").decode("ascii", "replace").strip()
        if (name := f"metadata/v{hint}.metadata.json") in files:
            return name
    numbers: dict[int, list[str]] = {}
    for name in files.names:
        if match := _METADATA.fullmatch(name):
            numbers.setdefault(int(match[1] or match[2]), []).append(name)
    if not numbers:
        raise unreadable("there is no metadata file in metadata/")
    newest = numbers[max(numbers)]
    if len(newest) > 1:
        raise Invalid(
            "MUNI-J118",
            "two metadata files claim to be the newest",
            files=newest[:10],
            do="name the metadata file instead of the folder; the catalogue knows which one is current",
        )
    return newest[0]


def _dead(gone: Any, entry: _File) -> np.ndarray | None:
    """The positions deleted from a data file: by deletes that are not older and lie in its partition."""
    hit = [
        positions
        for delete, positions in gone
        if delete.sequence >= entry.sequence and delete.partition == entry.partition
    ]
    return np.unique(np.concatenate(hit)) if hit else None


def _repeated(value: Any, field: pa.Field, rows: int) -> pa.Array:
    if isinstance(value, datetime) and field.type.tz is None:
        value = value.replace(tzinfo=None)
    if isinstance(value, date) and not isinstance(value, datetime) and not pa.types.is_date(field.type):
        raise unreadable("a partition value does not fit its column", column=visible(field.name, 80))
    try:
        return pa.repeat(pa.scalar(value, field.type), rows)
    except (pa.ArrowException, TypeError) as broken:
        raise unreadable("a partition value does not fit its column", column=visible(field.name, 80)) from broken
