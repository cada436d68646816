"""A Delta table at a version, read by the rules of the Delta protocol, or refused.

The state of version N is that of the newest checkpoint at or before N, then every commit after it in order. What a
table uses and we do not honour is refused by name: column mapping, deletion vectors, checkpoints of version 2, unknown
reader features, nested columns. Rows come in the order of the names of their files, which makes a version one sequence.

A version at a time is the last commit at or before it, by the time that commits state; a clock that went back counts
as one millisecond later than the commit before, as the protocol says.

Source: the Delta transaction log protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md, sections
"Action Reconciliation", "Checkpoints", "Reader Requirements", "Partition Value Serialization".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from muniment.errors import Invalid, NotFound
from muniment.programs.contract import visible
from muniment.programs.findings import check_names
from muniment.programs.sources import too_many_rows
from muniment.programs.table_files import TableFiles, inside, unreadable, unsupported

__all__ = ["read_delta"]

_COMMIT: Final = re.compile(r"_delta_log/(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"_delta_log/(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_OTHER_CHECKPOINT: Final = re.compile(r"_delta_log/(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(json|parquet)")
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_PRIMITIVE: Final = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_HONOURED: Final = {
    "timestampNtz",
    "columnMapping",
    "deletionVectors",
    "appendOnly",
    "invariants",
    "vacuumProtocolCheck",
}
"""Reader features that are read, or whose use is looked for and refused where it occurs."""


@dataclass(slots=True)
class _State:
    """What the log comes to at a version."""

    protocol: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def apply(self, action: Mapping[str, Any]) -> None:
        if isinstance(add := action.get("add"), dict):
            self.files[str(add.get("path"))] = add
        if isinstance(remove := action.get("remove"), dict):
            self.files.pop(str(remove.get("path")), None)
        if isinstance(told := action.get("metaData"), dict):
            self.metadata = told
        if isinstance(told := action.get("protocol"), dict):
            self.protocol = told


def read_delta(
    table: TableFiles,
    version: int | None,
    at: datetime | None,
    begin: Callable[[pa.Schema], Callable[[pa.Table], None]],
) -> dict[str, Any]:
    """Read one version and hand it over; returns what was read: version, its time, number of files.

    Args:
        table: the files of the table's folder.
        version: the version to read; None takes the newest.
        at: the moment whose version is to be read, where no version is given.
        begin: called with the schema; returns what takes the tables.

    Raises:
        NotFound: the table has no such version, or none at that time.
        Invalid: it is damaged, hostile, or uses what we do not honour.
    """
    log = _Log(table)
    wanted = log.at(at) if version is None and at is not None else log.newest if version is None else version
    if wanted not in log.readable:
        raise NotFound(
            "MUNI-J201",
            f"the table has no version {wanted}",
            version=wanted,
            oldest=log.readable[0],
            newest=log.newest,
            do="choose a version that the log still holds",
        )
    state = log.state(wanted)
    _check_protocol(state)
    assert state.metadata is not None
    schema, partitions = _schema(state.metadata)
    check_names(schema.names, table.limits.max_columns)
    take = begin(schema)
    rows = 0
    for path, add in sorted(state.files.items()):
        if add.get("deletionVector"):
            raise unsupported("deletion vectors", "write the table without them: REORG TABLE … APPLY (PURGE)")
        name = inside(path, "a data file")
        file = table.parquet(name, add.get("size"))
        rows += file.metadata.num_rows
        if rows > table.limits.max_rows:
            raise too_many_rows(table.limits.max_rows)
        _check_count(name, add, file.metadata.num_rows)
        given = add.get("partitionValues") or {}
        constants = {column: _partition(column, schema.field(column).type, given.get(column)) for column in partitions}
        for piece in table.batches(name, file):
            take(_conform(piece, schema, constants, name))
    return {"table_version": str(wanted), "table_time": log.time_text(wanted), "files": len(state.files)}


class _Log:
    """The commits and checkpoints of ``_delta_log``."""

    def __init__(self, table: TableFiles) -> None:
        self._table = table
        self._commits: dict[int, str] = {}
        checkpoints: dict[int, dict[tuple[int, int], str]] = {}
        for name in table.names:
            if match := _COMMIT.fullmatch(name):
                self._commits[int(match[1])] = name
            elif match := _CHECKPOINT.fullmatch(name):
                part = (int(match[2] or 1), int(match[3] or 1))
                checkpoints.setdefault(int(match[1]), {})[part] = name
            elif _OTHER_CHECKPOINT.fullmatch(name):
                raise unsupported("checkpoints of version 2", "write a classic checkpoint")
        if not self._commits and not checkpoints:
            raise unreadable("there is no log in _delta_log")
        self._checkpoints = {
            version: complete for version, parts in checkpoints.items() if (complete := _complete(parts)) is not None
        }
        self._bases: dict[int, int] = {}
        for version in sorted({*self._commits, *self._checkpoints}):
            if version in self._checkpoints or version == 0:
                self._bases[version] = version
            elif version - 1 in self._bases:
                self._bases[version] = self._bases[version - 1]
        self.readable = sorted(self._bases)
        self.newest = max([*self._commits, *self._checkpoints], default=0)
        if not self.readable:
            raise unreadable("commits are missing from the log", commits=len(self._commits))
        self._times: dict[int, int | None] = {}

    def at(self, moment: datetime) -> int:
        """The last version at or before a moment."""
        wanted = int(moment.timestamp() * 1000)
        before: int | None = None
        found: int | None = None
        for version in sorted(self._commits):
            time = self._time(version)
            if time is None:
                raise unreadable("a commit does not say when it was made", version=version)
            before = time if before is None else max(time, before + 1)
            if before <= wanted:
                found = version
        if found is None:
            raise NotFound(
                "MUNI-J202",
                "the table has no version at that time",
                at=moment.isoformat(),
                oldest=self.time_text(min(self._commits)) if self._commits else None,
                do="choose a later time, or a version",
            )
        return found

    def time_text(self, version: int) -> str | None:
        """When a version was committed, as its commit says."""
        time = self._time(version) if version in self._commits else None
        try:
            return None if time is None else datetime.fromtimestamp(time / 1000, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return None

    def state(self, version: int) -> _State:
        """What the log comes to at a version that is readable."""
        state = _State()
        base = self._bases[version]
        for name in self._checkpoints.get(base, ()):
            file = self._table.parquet(name)
            for piece in self._table.batches(name, file):
                for row in piece.to_pylist(maps_as_pydicts="strict"):
                    state.apply(row)
        for number in range(base + 1 if base in self._checkpoints else base, version + 1):
            for action in self._actions(number):
                state.apply(action)
        if state.metadata is None or state.protocol is None:
            raise unreadable("the log states no schema or no protocol", version=version)
        return state

    def _time(self, version: int) -> int | None:
        if version not in self._times:
            found: Any = None
            for action in self._actions(version):
                info = action.get("commitInfo")
                if isinstance(info, dict):
                    found = info.get("inCommitTimestamp", info.get("timestamp"))
            self._times[version] = found if isinstance(found, int) and not isinstance(found, bool) else None
        return self._times[version]

    def _actions(self, version: int) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for line in self._table.small(self._commits[version]).splitlines():
            if not line.strip():
                continue
            try:
                action = json.loads(line)
            except (ValueError, RecursionError):
                raise unreadable("a commit is no JSON", version=version) from None
            if not isinstance(action, dict):
                raise unreadable("a commit is no JSON", version=version)
            found.append(action)
        if not found:
            raise unreadable("a commit is empty", version=version)
        return found


def _complete(parts: Mapping[tuple[int, int], str]) -> list[str] | None:
    """The files of a checkpoint in order; None when some are missing."""
    for total in sorted({of for _, of in parts}):
        wanted = [(number, total) for number in range(1, total + 1)] if total <= len(parts) else []
        if wanted and all(part in parts for part in wanted):
            return [parts[part] for part in wanted]
    return None


def _check_protocol(state: _State) -> None:
    assert state.protocol is not None
    assert state.metadata is not None
    reader = state.protocol.get("minReaderVersion")
    features = state.protocol.get("readerFeatures") or []
    if not isinstance(reader, int) or not 1 <= reader <= 3:
        raise unsupported(f"reader version {visible(str(reader))}", "use a release that knows it")
    if strangers := sorted(str(one) for one in features if one not in _HONOURED):
        raise unsupported(f"the reader feature {visible(strangers[0])}", "drop the feature, or export the table")
    settings = _mapping(state.metadata.get("configuration"))
    if settings.get("delta.columnMapping.mode", "none") != "none":
        raise unsupported("column mapping", "rewrite the table without it, or export it as Parquet")
    provider = (state.metadata.get("format") or {}).get("provider", "parquet")
    if provider != "parquet":
        raise unsupported(f"data files of format {visible(str(provider))}", "export the table as Parquet")


def _mapping(given: Any) -> dict[str, Any]:
    """A map as JSON holds it, or as a checkpoint does: a list of pairs."""
    return dict(given) if isinstance(given, (dict, list)) else {}


def _schema(metadata: Mapping[str, Any]) -> tuple[pa.Schema, list[str]]:
    try:
        document = json.loads(metadata["schemaString"])
        fields = [(str(one["name"]), one["type"]) for one in document["fields"]]
        partitions = [str(one) for one in metadata.get("partitionColumns") or []]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise unreadable("the schema is not readable") from None
    arrow = []
    for name, kind in fields:
        decimal = _DECIMAL.fullmatch(kind) if isinstance(kind, str) else None
        if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
            arrow.append(pa.field(name, pa.decimal128(int(decimal[1]), int(decimal[2]))))
        elif isinstance(kind, str) and kind in _PRIMITIVE:
            arrow.append(pa.field(name, _PRIMITIVE[kind]))
        else:
            what = kind if isinstance(kind, str) else "nested"
            raise unsupported(
                f"a column of type {visible(str(what))}", "leave the column out", column=visible(name, 80)
            )
    names = {name for name, _ in fields}
    if not names or not set(partitions) <= names:
        raise unreadable("the partition columns are not in the schema")
    return pa.schema(arrow), partitions


def _check_count(name: str, add: Mapping[str, Any], rows: int) -> None:
    """A file that holds more or fewer rows than the log counted is not the file that was committed."""
    try:
        stats = json.loads(add["stats"]) if isinstance(add.get("stats"), str) else {}
    except (ValueError, RecursionError):
        raise unreadable("the statistics of a file are no JSON", file=visible(name, 200)) from None
    counted = stats.get("numRecords") if isinstance(stats, dict) else None
    if counted is not None and counted != rows:
        raise Invalid(
            "MUNI-J116",
            "a file holds another number of rows than the table says",
            file=visible(name, 200),
            expected=counted if isinstance(counted, int) else visible(str(counted)),
            found=rows,
            do="restore the file, or read another version",
        )


def _partition(column: str, kind: pa.DataType, text: Any) -> pa.Scalar:
    """The value of a partition column, from the text that the log holds; null and the empty text are null."""
    if text in (None, ""):
        return pa.scalar(None, kind)
    try:
        if not isinstance(text, str):
            raise ValueError(text)
        value: Any = text
        if pa.types.is_integer(kind):
            value = int(text)
        elif pa.types.is_floating(kind):
            value = float(text)
        elif pa.types.is_boolean(kind):
            value = {"true": True, "false": False}[text]
        elif pa.types.is_decimal(kind):
            value = Decimal(text)
        elif pa.types.is_date(kind):
            value = date.fromisoformat(text)
        elif pa.types.is_timestamp(kind):
            moment = datetime.fromisoformat(text)
            value = moment.replace(tzinfo=None) if kind.tz is None else _utc(moment)
        return pa.scalar(value, kind)
    except (KeyError, ValueError, ArithmeticError, pa.ArrowException):
        raise unreadable(
            "a partition value does not fit its column", column=visible(column, 80), given=visible(str(text))
        ) from None


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _conform(piece: pa.Table, schema: pa.Schema, constants: Mapping[str, pa.Scalar], name: str) -> pa.Table:
    """The rows of a file in the table's schema: partition values filled in, columns that came later null."""
    arrays = []
    for wanted in schema:
        if wanted.name in constants:
            arrays.append(pa.repeat(constants[wanted.name], piece.num_rows))
        elif wanted.name not in piece.schema.names:
            arrays.append(pa.nulls(piece.num_rows, wanted.type))
        else:
            arrays.append(fitted(piece.column(wanted.name), wanted, name))
    return pa.table(arrays, schema=schema)


def fitted(values: pa.ChunkedArray, wanted: pa.Field, name: str) -> pa.ChunkedArray:
    """Values of a file in the type of the table, exactly.

    Raises:
        Invalid: a value would change.
    """
    kind = values.type
    exact = (
        (pa.types.is_integer(kind) and pa.types.is_integer(wanted.type))
        or (pa.types.is_floating(kind) and pa.types.is_floating(wanted.type))
        or (pa.types.is_decimal(kind) and pa.types.is_decimal(wanted.type))
        or (
            pa.types.is_timestamp(kind) and pa.types.is_timestamp(wanted.type) and bool(kind.tz) == bool(wanted.type.tz)
        )
        or pa.types.is_dictionary(kind)
        or ((pa.types.is_large_string(kind) or pa.types.is_string_view(kind)) and pa.types.is_string(wanted.type))
        or kind == wanted.type
    )
    try:
        if not exact:
            raise pa.ArrowInvalid(f"{kind} is not {wanted.type}")
        return values.cast(wanted.type)
    except (pa.ArrowException, ValueError) as broken:
        raise Invalid(
            "MUNI-J117",
            f"column {visible(wanted.name)!r} of a file is not of the type that the table says",
            column=visible(wanted.name, 80),
            file=visible(name, 200),
            expected=str(wanted.type),
            found=str(kind),
            detail=visible(str(broken), 80),
            do="rewrite the file, or read another version",
        ) from broken
