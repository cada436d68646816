"""Workbooks (``.xlsx``): one sheet whose first row names the columns.

The archive is checked before it is opened: every member is expanded once, counting, so that a bomb is refused whatever
sizes it announces. Then the sheet's XML is read for what a table cannot show: formulas without a kept value and error
cells are refused, since reading them as empty would lose values in silence; merged cells are reported. The values come
from calamine through fastexcel.

* A workbook with several sheets needs the name of one; hidden sheets count.
* A column holds one kind of value; a mixture is refused. Empty cells are null. Formulas give the value that was kept
  with the workbook.
* Excel keeps every number as a double: a column of whole numbers is read as integers, exactly, up to 2^53.
* Dates: a column of whole days is of dates; other moments have no time zone, since Excel knows none.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import fastexcel
import pyarrow as pa
import pyarrow.compute as pc

from muniment.errors import Invalid
from muniment.programs.contract import visible
from muniment.programs.findings import Finding, check_names
from muniment.programs.sources import Limits, Source, too_many_rows, too_much

__all__ = ["read_workbook"]

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 10_000
_RATIO_FROM: Final = 16 * 2**20
_EXACT: Final = 2**53
_SPACES: Final = re.compile(r"\{[^}]*\}")
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def read_workbook(
    source: Source, sheet: str | None, begin: Callable[[pa.Schema], Callable[[pa.Table], None]]
) -> tuple[dict[str, Any], list[Finding]]:
    """Read one sheet and hand it over; returns facts about it, and what is suspicious.

    Raises:
        Invalid: the archive is damaged or a bomb, the sheet is not there or not named, or it breaks a rule above.
    """
    _check_archive(source.path, source.limits)
    try:
        book = fastexcel.read_excel(str(source.path))
        names = list(book.sheet_names)
        chosen = _chosen(names, sheet)
        seen = _look(source.path, chosen)
        header = book.load_sheet(chosen, header_row=None, n_rows=1, dtypes="string").to_arrow()
        columns = [str(values[0] or "") for values in header.to_pydict().values()] if header.num_rows else []
        if not columns:
            raise Invalid("MUNI-D101", "the file is empty", sheet=visible(chosen), do="give a sheet with rows")
        check_names(columns, source.limits.max_columns)
        body = book.load_sheet(
            chosen,
            header_row=None,
            skip_rows=1,
            column_names=columns,
            schema_sample_rows=None,
            dtype_coercion="strict",
            skip_whitespace_tail_rows=True,
        ).to_arrow()
    except fastexcel.UnsupportedColumnTypeCombinationError as mixed:
        column = re.search(r"dtype for column (.*)", str(mixed))
        raise Invalid(
            "MUNI-J121",
            "a column of the sheet mixes kinds of values",
            column=visible(column[1].strip(), 80) if column else None,
            detail=visible(str(mixed).splitlines()[0], 80),
            do="make the column all text, all numbers or all dates in the workbook",
        ) from None
    except (fastexcel.FastExcelError, pa.ArrowException, ElementTree.ParseError, zipfile.BadZipFile, OSError) as broken:
        raise _damaged(str(broken)) from broken
    if body.num_rows > source.limits.max_rows:
        raise too_many_rows(source.limits.max_rows)
    table = pa.Table.from_batches([body]).rename_columns(columns)
    table = _dropped_tail(table)
    plain = pa.table({name: _plain(name, table.column(name)) for name in columns})
    begin(plain.schema)(plain)
    findings = []
    if seen["merged"]:
        findings.append(
            Finding(
                "merged_cells",
                "merged cells: the first one has the value, the others are null",
                {"cells": seen["merged"][:20], "count": len(seen["merged"])},
            )
        )
    if seen["formulas"]:
        findings.append(
            Finding("formulas", "formulas: the values that were kept with the workbook", {"count": seen["formulas"]})
        )
    return {"sheet": chosen, "sheets": names[:100]}, findings


def _chosen(names: list[str], sheet: str | None) -> str:
    if sheet is not None:
        if sheet not in names:
            raise Invalid(
                "MUNI-J120",
                f"the workbook has no sheet {visible(sheet)!r}",
                sheet=visible(sheet, 80),
                sheets=[visible(name, 80) for name in names[:50]],
                do="name one of its sheets",
            )
        return sheet
    if len(names) != 1:
        raise Invalid(
            "MUNI-J122",
            f"the workbook has {len(names)} sheets",
            sheets=[visible(name, 80) for name in names[:50]],
            do="say which one: --sheet NAME",
        )
    return names[0]


def _plain(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values in the type that a snapshot has for them."""
    kind = values.type
    if pa.types.is_floating(kind):
        known = values.drop_null()
        whole = bool(pc.all(pc.equal(pc.floor(known), known)).as_py()) if len(known) else False
        small = bool(pc.all(pc.less_equal(pc.abs(known), float(_EXACT))).as_py()) if len(known) else False
        return values.cast(pa.int64()) if whole and small else values
    if pa.types.is_timestamp(kind):
        moments = values.cast(pa.timestamp("ms"))
        days = pc.equal(pc.floor_temporal(moments, unit="day"), moments)
        if len(values) > values.null_count and pc.all(days.drop_null()).as_py():
            return moments.cast(pa.date32())
        return moments.cast(pa.timestamp("us"))
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        raise Invalid(
            "MUNI-J123",
            f"column {visible(name)!r} holds times of day or durations",
            column=visible(name, 80),
            do="write them as numbers or as text in the workbook",
        )
    return values


def _dropped_tail(table: pa.Table) -> pa.Table:
    """Without rows at the end in which every cell is empty: formatting alone makes Excel keep them."""
    end = table.num_rows
    while end and all(not table.column(at)[end - 1].is_valid for at in range(table.num_columns)):
        end -= 1
    return table.slice(0, end)


def _look(path: Path, sheet: str) -> dict[str, Any]:
    """What the XML of a sheet says that its values do not: merged cells, formulas, errors.

    Raises:
        Invalid: a cell holds an error, or a formula without a kept value.
    """
    merged: list[str] = []
    formulas = 0
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, sheet)
        with archive.open(member) as file:
            for _, element in ElementTree.iterparse(file):  # noqa: S314 - entities were refused when it was expanded
                tag = _SPACES.sub("", element.tag)
                if tag == "c":
                    formulas += _cell(element)
                    element.clear()
                elif tag == "mergeCell":
                    merged.append(visible(str(element.get("ref"))))
                elif tag == "row":
                    element.clear()
    return {"merged": merged, "formulas": formulas}


def _cell(cell: Any) -> int:
    """1 for a formula with a kept value, 0 for none."""
    children = {_SPACES.sub("", child.tag): child for child in cell}
    place = visible(str(cell.get("r")))
    if cell.get("t") == "e":
        found = children["v"].text if "v" in children else ""
        raise Invalid(
            "MUNI-J124",
            f"cell {place} holds an error",
            cell=place,
            found=visible(str(found)),
            do="correct the formula, or empty the cell",
        )
    if "f" not in children:
        return 0
    if "v" not in children or (children["v"].text is None and cell.get("t") != "str"):
        raise Invalid(
            "MUNI-J125",
            f"the formula in cell {place} has no value",
            cell=place,
            do="open the workbook in a spreadsheet program, let it calculate, and save it",
        )
    return 1


def _member(archive: zipfile.ZipFile, sheet: str) -> str:
    """The member of the archive that holds a sheet."""
    relations = {str(one.get("Id")): str(one.get("Target")) for one in _xml(archive, "xl/_rels/workbook.xml.rels")}
    for element in _xml(archive, "xl/workbook.xml").iter():
        if _SPACES.sub("", element.tag) == "sheet" and element.get("name") == sheet:
            target = relations.get(str(element.get(_RELATION)), "")
            name = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            if name in archive.namelist():
                return name
    raise _damaged("the sheet has no content")


def _xml(archive: zipfile.ZipFile, name: str) -> Any:
    if name not in archive.namelist():
        raise _damaged(f"{name} is missing")
    return ElementTree.fromstring(archive.read(name))  # noqa: S314 - entities were refused when it was expanded


def _check_archive(path: Path, limits: Limits) -> None:
    """Expand every member once, counting; sizes that the archive announces are not believed.

    Raises:
        Invalid: it expands beyond the limits, or is damaged.
    """
    size, total = path.stat().st_size, 0
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise too_much("files", _MOST_MEMBERS, len(members))
            names = [member.filename for member in members]
            if len(set(names)) != len(names) or any(name.startswith("/") or ".." in name.split("/") for name in names):
                raise _damaged("a member has no place in a workbook")
            for member in members:
                if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise _damaged("a member is encrypted, or compressed in an unusual way")
                markup = member.filename.endswith((".xml", ".rels"))
                before = b""
                for piece in _expanded(file, member, size):
                    total += len(piece)
                    if markup and (b"<!DOCTYPE" in before + piece or b"<!ENTITY" in before + piece):
                        raise _damaged("its XML declares entities")
                    before = piece[-16:]
                    if total > limits.max_bytes:
                        raise too_much("bytes", limits.max_bytes, total)
                    if total > _RATIO_FROM and total > limits.max_ratio * size:
                        raise too_much("ratio", limits.max_ratio, total // size)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError) as broken:
        raise _damaged(str(broken)) from broken


def _expanded(file: Any, member: zipfile.ZipInfo, size: int) -> Iterator[bytes]:
    """The bytes that come out of a member, piece by piece."""
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("a member has no header")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    left = min(member.compress_size, size)
    if member.compress_type == zipfile.ZIP_STORED:
        while left and (piece := file.read(min(_CHUNK, left))):
            left -= len(piece)
            yield piece
        return
    machine = zlib.decompressobj(-15)
    while left and not machine.eof:
        waiting = file.read(min(_CHUNK, left))
        if not waiting:
            raise zipfile.BadZipFile("a member is cut off")
        left -= len(waiting)
        while waiting and not machine.eof:
            yield machine.decompress(waiting, _CHUNK)
            waiting = machine.unconsumed_tail


def _damaged(detail: str) -> Invalid:
    return Invalid(
        "MUNI-J126",
        "the workbook is damaged, or is none",
        detail=visible(detail, 80),
        do="open it in a spreadsheet program and save it as .xlsx",
    )
