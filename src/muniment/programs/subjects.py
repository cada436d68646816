"""One person in tables: read from a sealed document, compared in the type of each column, never printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from muniment.errors import IntegrityError, Invalid
from muniment.programs.snapshots import bytes_digest, manifest_beside

__all__ = ["Subject", "matches", "pieces", "read_subject"]

FORMAT: Final = "muniment.subject/1"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to look for: a column, and his value in it."""

    column: str
    value: str


def read_subject(folder: Path) -> Subject:
    """The subject that a channel holds.

    Raises:
        Invalid: the document is not one.
    """
    try:
        document = json.loads((folder / "subject.json").read_bytes())
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        return Subject(str(document["column"]), str(document["value"]))
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise Invalid("MUNI-W180", "the channel holds no subject", channel=folder.name) from broken


def matches(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    """Where a column holds a value, whatever its type: ``42`` is the whole number, the fraction 42.0 and the text.

    A value that the type cannot hold is nowhere in it. Texts are compared as they stand but for the space around them,
    and where both are whole numbers without regard to leading zeros.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return matches(column.cast(kind.value_type), value)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        bare = pc.utf8_trim_whitespace(column)
        found = pc.equal(bare, value.strip())
        if value.strip().isdigit():
            digits = pc.and_(pc.utf8_is_digit(bare), pc.equal(pc.utf8_ltrim(bare, "0"), value.strip().lstrip("0")))
            found = pc.or_(found, digits)
        return pc.fill_null(found, False)
    scalar = _scalar(value.strip(), kind)
    if scalar is None:
        return pa.chunked_array([pa.array([False] * len(column), pa.bool_())])
    return pc.fill_null(pc.equal(column, scalar), False)


def _scalar(value: str, kind: Any) -> Any:
    try:
        return pa.scalar(value).cast(kind)
    except pa.ArrowException:
        pass
    try:
        number = float(value)
    except ValueError:
        return None
    if pa.types.is_integer(kind) and number.is_integer():
        try:
            return pa.scalar(int(number)).cast(kind)
        except (pa.ArrowException, OverflowError):
            return None
    return None


def pieces(folder: Path, column: str) -> Iterator[tuple[int, pa.ChunkedArray | None]]:
    """Rows and the named column of each row group of a snapshot; None where it has no such column.

    Only the column is read, row group by row group, so memory does not grow with the snapshot.

    Raises:
        Invalid: there is no part.
        IntegrityError: a part is not the one that its manifest names, or is damaged.
    """
    manifest = manifest_beside(folder)
    named = {part["path"]: part["bytes_digest"] for part in manifest["parts"]} if manifest else {}
    paths = [folder / name for name in named] or sorted(folder.glob("*.parquet"))
    if not paths:
        raise Invalid("MUNI-W181", "the input holds no Parquet part", channel=folder.name)
    for path in paths:
        if path.name in named and (not path.exists() or bytes_digest(path) != named[path.name]):
            raise IntegrityError("MUNI-W581", "a part is not the one that the manifest names", part=path.name)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                has = column in file.schema_arrow.names
                for number in range(file.num_row_groups):
                    rows = file.metadata.row_group(number).num_rows
                    yield rows, file.read_row_group(number, [column], use_threads=False)[column] if has else None
        except (pa.ArrowException, OSError) as broken:
            raise IntegrityError("MUNI-W582", "a part of the snapshot is damaged", part=path.name) from broken
