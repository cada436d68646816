"""Writes the table of a channel as one CSV file, for languages that read nothing else by themselves."""

from __future__ import annotations

from pathlib import Path

import polars as pl

__all__ = ["write_csv"]


def write_csv(channel: Path, file: Path) -> None:
    """Write every row of a channel's Parquet parts, in the order of their names; floats shortest and exact.

    Missing values are empty fields. Columns of lists or structs are JSON texts, and binary ones hexadecimal.
    """
    table = pl.scan_parquet(sorted(channel.rglob("*.parquet")))
    columns = [_plain(name, kind) for name, kind in table.collect_schema().items()]
    table.select(columns).sink_csv(file)


def _plain(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Binary):
        return column.bin.encode("hex")
    if isinstance(kind, pl.List | pl.Array | pl.Struct):
        # polars writes structs as JSON, and nothing else: the value is taken out of one.
        text = pl.struct(column.alias("x")).struct.json_encode().str.strip_prefix('{"x":').str.strip_suffix("}")
        return pl.when(column.is_not_null()).then(text).alias(name)
    return column
