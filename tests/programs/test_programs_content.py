"""The content digest names content: it survives every change of layout and no change of a value."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from muniment.analytics.content import ContentHasher, content_digest, type_name
from muniment.errors import Invalid

QUICK = settings(deadline=None, max_examples=200)

KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=5),
    pa.date32(): st.dates(date(1, 1, 1), date(9999, 12, 31)),
    pa.timestamp("us", "UTC"): st.integers(-(2**50), 2**50),
    pa.decimal128(20, 3): st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-3)),
}


@st.composite
def tables(draw: st.DrawFn, rows: tuple[int, int] = (1, 8)) -> pa.Table:
    """Tables of all kinds of columns, with nulls."""
    count = draw(st.integers(*rows))
    columns = {}
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(list(KINDS)))
        values = draw(st.lists(st.none() | KINDS[kind], min_size=count, max_size=count))
        columns[f"c{number}"] = pa.array(values, kind)
    return pa.table(columns)


@QUICK
@given(tables(), st.data())
def test_chunks_and_slices_leave_no_trace(table: pa.Table, data: st.DataObject) -> None:
    """However a table is cut, sliced out of a larger one or fed piece by piece, its digest is the same."""
    wanted = content_digest(table)
    cut = data.draw(st.integers(0, table.num_rows))
    assert content_digest(pa.concat_tables([table.slice(0, cut), table.slice(cut)])) == wanted
    larger = pa.concat_tables([table, table, table]).combine_chunks()
    assert content_digest(larger.slice(table.num_rows, table.num_rows)) == wanted
    hasher = ContentHasher(table.schema)
    for row in range(table.num_rows):
        hasher.update(table.slice(row, 1))
    assert hasher.digest() == wanted


@QUICK
@given(tables())
def test_storage_leaves_no_trace(table: pa.Table) -> None:
    """Dictionaries, wide offsets, Parquet with other settings and Arrow files keep the digest."""
    wanted = content_digest(table)
    for number, field in enumerate(table.schema):
        if field.type == pa.string():
            column = table.column(number)
            assert content_digest(table.set_column(number, field.name, column.dictionary_encode())) == wanted
            assert content_digest(table.set_column(number, field.name, column.cast(pa.large_string()))) == wanted
    assert content_digest(table.replace_schema_metadata({"library": "of somebody"})) == wanted
    settings_of_parquet: list[dict[str, Any]] = [
        {"compression": "none"},
        {"compression": "gzip", "row_group_size": 1},
        {"use_dictionary": False, "data_page_version": "2.0", "store_schema": False},
    ]
    for how in settings_of_parquet:
        sink = io.BytesIO()
        pq.write_table(table, sink, **how)
        assert content_digest(pq.read_table(pa.BufferReader(sink.getvalue()))) == wanted


@QUICK
@given(tables(), st.data())
def test_every_change_shows(table: pa.Table, data: st.DataObject) -> None:
    """Another value, null, type, name, order of rows or of columns is another digest."""
    wanted = content_digest(table)
    number = data.draw(st.integers(0, table.num_columns - 1))
    row = data.draw(st.integers(0, table.num_rows - 1))
    field, values = table.schema.field(number), table.column(number).to_pylist()
    other = data.draw(st.none() | KINDS[field.type])
    changed = pa.array([*values[:row], other, *values[row + 1 :]], field.type)
    assume(bits(changed[row].as_py()) != bits(table.column(number)[row].as_py()))
    assert content_digest(table.set_column(number, field.name, changed)) != wanted
    assert content_digest(table.rename_columns([f"x{n}" for n in range(table.num_columns)])) != wanted
    assert content_digest(table.slice(0, table.num_rows - 1)) != wanted
    turned = table.take(pa.array(range(table.num_rows - 1, -1, -1)))
    if bits(turned.to_pylist()) != bits(table.to_pylist()):
        assert content_digest(turned) != wanted
    if table.num_columns > 1:
        assert content_digest(table.select(table.schema.names[::-1])) != wanted


def bits(value: Any) -> Any:
    """A form in which NaN equals NaN and 0.0 differs from -0.0."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, dict):
        return {key: bits(inner) for key, inner in value.items()}
    return [bits(inner) for inner in value] if isinstance(value, list) else value


def test_types_tell_equal_numbers_apart() -> None:
    """The same integers in another type, and texts joined at another place, are other content."""
    digests = {
        content_digest(pa.table({"a": pa.array([1, 2], kind)})) for kind in (pa.int32(), pa.int64(), pa.float64())
    }
    digests.add(content_digest(pa.table({"a": ["1", "2"]})))
    digests.add(content_digest(pa.table({"a": ["12", ""]})))
    digests.add(content_digest(pa.table({"a": ["12", None]})))
    assert len(digests) == 6


def test_nan_has_one_pattern_and_minus_zero_is_kept() -> None:
    """NaNs of different bits are one content; zero and minus zero are two."""
    odd = np.frombuffer(struct.pack("<Q", 0xFFF8000000000001), np.float64)
    assert content_digest(pa.table({"a": odd})) == content_digest(pa.table({"a": [float("nan")]}))
    assert content_digest(pa.table({"a": [0.0]})) != content_digest(pa.table({"a": [-0.0]}))


def test_the_layout_is_the_published_one() -> None:
    """A digest worked out by hand from the layout in the module's text."""

    def sha(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    def canonical(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    column = {"name": "a", "type": "string", "rows": 3, "nulls": 1, "values": sha(b"xyz"),
              "lengths": sha(struct.pack("<3I", 1, 0, 2)), "null_positions": sha(struct.pack("<q", 1))}  # fmt: skip
    table = {"format": "muniment.content/1", "rows": 3, "columns": ["sha256:" + sha(canonical(column))]}
    assert content_digest(pa.table({"a": ["x", None, "yz"]})) == "sha256:" + sha(canonical(table))


@pytest.mark.parametrize("kind", [pa.binary(), pa.list_(pa.int8()), pa.duration("s"), pa.float16(), pa.time32("s")])
def test_types_without_a_layout_are_refused(kind: pa.DataType) -> None:
    """A type that the layout does not describe is refused, never hashed somehow."""
    with pytest.raises(Invalid) as refused:
        type_name(kind, "a")
    assert (refused.value.code, refused.value.facts["column"]) == ("MUNI-D129", "a")
