"""The content digest: one name for the logical content of a table, however its bytes are laid out.

Two files that hold the same columns, types, values and row order have the same content digest, whatever the chunks, the
dictionaries, the compression, the library or its version. Layout ``muniment.content/1``, for every column:

1. the values of all rows, one after the other, little-endian, with the slot of a null set to zero. Floats keep -0.0 and
   have one NaN pattern; booleans are one byte; a text is its UTF-8 bytes, and the lengths in bytes form a stream of
   their own (uint32);
2. the positions of the nulls (int64, counted from 0);
3. the column's digest: SHA-256 of the canonical JSON ``{name, type, rows, nulls, values, lengths, null_positions}``,
   where the last three are the SHA-256 of the streams.

The digest of the table is that of the canonical JSON ``{format, rows, columns: [digest, ...]}``. Whether a column
*may* hold nulls is a promise about other tables, not content, and takes no part.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muniment.errors import Invalid
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest

__all__ = ["ContentHasher", "content_digest", "type_name"]

FORMAT: Final = "muniment.content/1"
_MUCH: Final = 8 << 20
_THREADS: Final = 2

_PLAIN: Final = {
    pa.int8(): "int8",
    pa.int16(): "int16",
    pa.int32(): "int32",
    pa.int64(): "int64",
    pa.uint8(): "uint8",
    pa.uint16(): "uint16",
    pa.uint32(): "uint32",
    pa.uint64(): "uint64",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.bool_(): "bool",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.string_view(): "string",
    pa.date32(): "date",
}
_FLOATS: Final = ("float32", "float64")


def type_name(kind: pa.DataType, column: str | None = None) -> str:
    """The logical name of an Arrow type: how values are stored (dictionary, large, view) takes no part.

    Raises:
        Invalid: values of this type have no canonical layout (nested, binary, durations).
    """
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type, column)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pa.types.is_timestamp(kind):
        return f"timestamp[{kind.unit}]" if kind.tz is None else f"timestamp[{kind.unit},{kind.tz}]"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    raise Invalid(
        "MUNI-D129",
        f"columns of type {kind} are not supported",
        type=str(kind),
        column=column,
        supported="integers, floats, bool, string, date, timestamp, decimal up to 38 digits",
        do="leave the column out or cast it before you add the file",
    )


class _Column:
    """The running hashes of one column."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.rows = 0
        self.nulls = 0
        self.values = hashlib.sha256()
        self.lengths = hashlib.sha256()
        self.null_positions = hashlib.sha256()

    def copy(self) -> _Column:
        twin = _Column(self.name, self.kind)
        twin.rows, twin.nulls = self.rows, self.nulls
        twin.values, twin.lengths = self.values.copy(), self.lengths.copy()
        twin.null_positions = self.null_positions.copy()
        return twin

    def take(self, values: pa.ChunkedArray) -> None:
        for chunk in values.chunks:
            self.update(chunk)

    def update(self, array: pa.Array) -> None:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.null_count:
            positions = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)) + self.rows
            self.null_positions.update(positions.astype("<i8").tobytes())
            self.nulls += array.null_count
            array = pc.fill_null(array, _zero(array.type))
        if self.kind == "string":
            self._update_text(array)
        else:
            self.values.update(_plain_bytes(array, self.kind))
        self.rows += len(array)

    def _update_text(self, array: pa.Array) -> None:
        if array.type != pa.string():
            array = array.cast(pa.large_string())
        width = np.dtype("<i4" if array.type == pa.string() else "<i8")
        _, offsets, data = array.buffers()
        if not len(array):
            return
        ends = np.frombuffer(offsets, width, count=len(array) + 1, offset=array.offset * width.itemsize)
        self.lengths.update(np.diff(ends).astype("<u4").tobytes())
        if data is not None and ends[-1] > ends[0]:
            self.values.update(memoryview(data)[int(ends[0]) : int(ends[-1])])

    def digest(self) -> Digest:
        return digest_of(
            {
                "name": self.name,
                "type": self.kind,
                "rows": self.rows,
                "nulls": self.nulls,
                "values": self.values.hexdigest(),
                "lengths": self.lengths.hexdigest(),
                "null_positions": self.null_positions.hexdigest(),
            }
        )


class ContentHasher:
    """Takes a table piece by piece; the cuts between the pieces leave no trace in the digest."""

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [_Column(field.name, type_name(field.type, field.name)) for field in schema]
        self._rows = 0

    def copy(self) -> ContentHasher:
        """An independent hasher with the rows seen so far."""
        twin = ContentHasher(pa.schema([]))
        twin._columns = [column.copy() for column in self._columns]
        twin._rows = self._rows
        return twin

    def update(self, table: pa.Table) -> None:
        """Take the next rows; columns in the order of the schema.

        Columns of much content are hashed in two threads: each has hashes of its own, and SHA-256 lets the other run.
        """
        pairs = list(zip(self._columns, table.columns, strict=True))
        if len(pairs) < 2 or table.nbytes < _MUCH:
            for column, values in pairs:
                column.take(values)
        else:
            with ThreadPoolExecutor(_THREADS) as threads:
                for done in [threads.submit(column.take, values) for column, values in pairs]:
                    done.result()
        self._rows += table.num_rows

    def null_counts(self) -> dict[str, int]:
        """Nulls seen so far, by column name."""
        return {column.name: column.nulls for column in self._columns}

    def digest(self) -> Digest:
        """The content digest of all rows taken so far."""
        columns = [column.digest() for column in self._columns]
        return digest_of({"format": FORMAT, "rows": self._rows, "columns": columns})


def content_digest(table: pa.Table) -> Digest:
    """The content digest of a whole table."""
    hasher = ContentHasher(table.schema)
    hasher.update(table)
    return hasher.digest()


def _zero(kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_boolean(kind):
        return pa.scalar(False, kind)
    if type_name(kind) == "string":
        return pa.scalar("", kind)
    return pa.scalar(Decimal(0) if pa.types.is_decimal128(kind) else 0, kind)


def _plain_bytes(array: pa.Array, kind: str) -> Any:
    """The little-endian bytes of an array without nulls."""
    if kind == "bool":
        return array.to_numpy(zero_copy_only=False).astype(np.uint8).tobytes()
    if kind.startswith("decimal"):
        data = array.buffers()[1]
        return memoryview(data)[array.offset * 16 : (array.offset + len(array)) * 16] if data is not None else b""
    if kind == "date":
        array = array.view(pa.int32())
    elif kind.startswith("timestamp"):
        array = array.view(pa.int64())
    values = array.to_numpy(zero_copy_only=False)
    if kind in _FLOATS:
        broken = np.isnan(values)
        if broken.any():
            values = np.where(broken, np.array(np.nan, values.dtype), values)
    return (
        np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).data.cast("B")
        if len(values)
        else b""
    )
