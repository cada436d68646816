"""Parquet and Arrow files from outside: sizes are checked before anything is allocated, checksums on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from muniment.analytics.content import type_name
from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.findings import Finding, check_names
from muniment.programs.sources import Source, too_many_rows, too_much

__all__ = ["read_arrow"]

_ROWS = 65_536


def read_arrow(source: Source, kind: str, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]) -> list[Finding]:
    """Read a Parquet (``kind`` parquet) or Arrow IPC file and hand it over; returns what is suspicious.

    Only the file's own schema counts: metadata that libraries embed are dropped. Values keep their types;
    dictionaries become their values.

    Raises:
        Invalid: the file is damaged, too large, or holds types that a snapshot does not have.
    """
    try:
        batches, schema, rows = (_parquet if kind == "parquet" else _ipc)(source)
        check_names(schema.names, source.limits.max_columns)
        if rows is not None and rows > source.limits.max_rows:
            raise too_many_rows(source.limits.max_rows)
        plain = pa.schema([pa.field(field.name, _plain(field)) for field in schema])
        take = begin(plain)
        odd: dict[str, int] = {}
        taken = 0
        for batch in batches:
            table = pa.Table.from_batches([batch]).cast(plain).replace_schema_metadata(None)
            table.validate(full=True)
            _count_odd(table, odd)
            take(table)
            taken += table.num_rows
        if rows is not None and taken != rows:
            raise pa.ArrowInvalid(f"{rows} rows announced, {taken} found")
    except (pa.ArrowException, OSError, UnicodeDecodeError, EOFError) as broken:
        raise Invalid(
            "MUNI-D127",
            f"the {kind} file is damaged",
            detail=visible(str(broken), 80),
            do="compare its checksum with the sender's",
        ) from broken
    return [
        Finding("not_a_number", "NaN or infinite values: kept as they are", {"column": name, "values": count})
        for name, count in odd.items()
    ]


def _parquet(source: Source) -> tuple[Iterator[pa.RecordBatch], pa.Schema, int | None]:
    file = pq.ParquetFile(source.seekable(), page_checksum_verification=True, arrow_extensions_enabled=False)
    metadata = file.metadata
    announced = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if announced > source.limits.max_bytes or announced < 0:
        raise too_much("bytes", source.limits.max_bytes, announced)
    return file.iter_batches(_ROWS, use_threads=False), file.schema_arrow, metadata.num_rows


def _ipc(source: Source) -> tuple[Iterator[pa.RecordBatch], pa.Schema, int | None]:
    opened: Any = source.seekable()
    if source.head.startswith(b"ARROW1"):
        reader = pa.ipc.open_file(opened)
        return (reader.get_batch(i) for i in range(reader.num_record_batches)), reader.schema, None
    stream = pa.ipc.open_stream(opened)
    return iter(stream), stream.schema, None


def _plain(field: pa.Field) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_date64(kind):
        return pa.date32()
    type_name(kind, field.name)
    return kind


def _count_odd(table: pa.Table, odd: dict[str, int]) -> None:
    for field in table.schema:
        if pa.types.is_floating(field.type):
            values = table.column(field.name)
            count = len(values) - values.null_count - (pc.sum(pc.is_finite(values)).as_py() or 0)
            if count:
                odd[field.name] = odd.get(field.name, 0) + count
