"""Files as strangers send them, each with the verdict it deserves. Seeded: the same files in every run.

ACCEPT: read, values exactly as written, nothing remarked. FLAG: read, and the report says what is suspicious. REJECT:
refused with a stable code that names the place; nothing is left behind.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import math
import pickle
import random
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class Verdict(StrEnum):
    """What a well-behaved platform does with a file."""

    ACCEPT = "accept"
    FLAG = "flag"
    REJECT = "reject"


@dataclass(frozen=True)
class Case:
    """One hostile file."""

    name: str
    verdict: Verdict
    content: bytes
    code: str = ""
    """REJECT: the code. FLAG: the finding."""

    facts: dict[str, Any] = field(default_factory=dict)
    """REJECT: facts that the refusal must state. FLAG: facts of the finding."""

    given: dict[str, Any] = field(default_factory=dict)
    values: dict[str, list[Any]] | None = None
    """What must be read back, exactly."""


GOOD = b"a,b,y\n1,x,0\n2,z,1\n"


def accept(name: str, content: bytes, values: dict[str, list[Any]] | None, **given: Any) -> Case:
    return Case(name, Verdict.ACCEPT, content, given=given, values=values)


def flag(
    name: str, content: bytes, finding: str, values: dict[str, list[Any]] | None = None, facts: Any = None, **given: Any
) -> Case:
    return Case(name, Verdict.FLAG, content, finding, facts or {}, given, values)


def reject(name: str, content: bytes, code: str, facts: Any = None, **given: Any) -> Case:
    return Case(name, Verdict.REJECT, content, code, facts or {}, given)


def cases(seed: int = 0) -> list[Case]:
    """Every case; names are unique."""
    chance = random.Random(seed)
    found = [
        *structure(),
        *encodings(),
        *quotes(),
        *numbers(),
        *targets(),
        *compressed(chance),
        *foreign(),
        *columnar(chance),
    ]
    found += [*json_lines(), *extremes(chance), *half_written(chance), *typed_rows(), *workbooks()]
    assert len({case.name for case in found}) == len(found)
    return found


def structure() -> Iterator[Case]:
    yield accept("plain", GOOD, {"a": [1, 2], "b": ["x", "z"], "y": [0, 1]})
    yield accept("crlf", GOOD.replace(b"\n", b"\r\n"), {"a": [1, 2], "b": ["x", "z"], "y": [0, 1]})
    yield reject("empty", b"", "MUNI-D101")
    yield reject("only a line end", b"\n", "MUNI-D101")
    yield reject("header only", b"a,b,y\n", "MUNI-D102")
    yield reject("header only, cut", b"a,b,y", "MUNI-D102")
    yield reject("ragged: too few", b"a,b\n1,2\n3\n", "MUNI-D103", {"line": 3, "expected": 2, "found": 1})
    yield reject("ragged: too many", b"a,b\n1,2\n3,4,5\n6,7\n", "MUNI-D103", {"line": 3, "expected": 2, "found": 3})
    late = b"a,b\n" + b"1,2\n" * 300_000
    yield reject("ragged: late", late + b"1\n" + b"1,2\n" * 9, "MUNI-D103", {"line": 300_002, "found": 1})
    yield reject("ragged behind a quoted line end", b'a,b\n"1\n1",2\n3\n', "MUNI-D103", {"line": 4})
    yield reject("duplicate column", b"a,b,a\n1,2,3\n", "MUNI-D107", {"column": "a", "positions": [1, 3]})
    yield reject("column without a name", b"a,,b\n1,2,3\n", "MUNI-D105", {"column": 2})
    yield reject("column named by blanks", b"a, ,b\n1,2,3\n", "MUNI-D105", {"column": 2})
    yield reject("index column without a name", b",a\n0,1\n", "MUNI-D105", {"column": 1})
    yield accept("names kept exactly", b"a, a,A\n1,2,3\n", {"a": [1], " a": [2], "A": [3]})
    yield accept("names as code", b"__proto__,\"a'; DROP TABLE x; --\",<b>\n1,2,3\n",
                 {"__proto__": [1], "a'; DROP TABLE x; --": [2], "<b>": [3]})  # fmt: skip
    yield reject("blank line within", b"a,b\n1,2\n\n3,4\n", "MUNI-D104", {"line": 3})
    yield reject("blank line within, crlf", b"a,b\r\n1,2\r\n\r\n3,4\r\n", "MUNI-D104", {"line": 3})
    yield reject("blank line in one column", b"a\n1\n\n2\n", "MUNI-D104", {"line": 3})
    yield flag("blank lines at the end", b"a,b\n1,2\n\n\n", "blank_lines_at_end", {"a": [1], "b": [2]}, {"lines": 2})
    yield flag("crlf and lf", b"a,b\r\n1,2\n3,4\r\n", "mixed_line_ends", {"a": [1, 3], "b": [2, 4]})
    yield reject("carriage returns alone", b"a,b\r1,2\r", "MUNI-D149", {"line": 1})
    yield reject("one carriage return alone", b"a,b\n1,2\r3,4\n", "MUNI-D149", {"line": 2})
    yield reject("semicolons", b"a;b\n1;2\n", "MUNI-D157", {"likely": ";"})
    yield reject("tabs", b"a\tb\n1\t2\n", "MUNI-D157", {"likely": "\t"})
    yield reject("quoted names between semicolons", b'"a";"b"\n1;2\n', "MUNI-D157", {"likely": ";"})
    yield accept("semicolons, declared", b"a;b\n1;x,5\n", {"a": [1], "b": ["x,5"]}, delimiter=";")
    yield flag("decimal commas", b"a;b\n1;2,5\n", "text_like_decimal_comma", {"a": [1], "b": ["2,5"]}, delimiter=";")
    yield accept("tabs, declared", b"a\tb\n1\t2\n", {"a": [1], "b": [2]}, format="tsv")
    yield accept("no header, names declared", b"1,2\n3,4\n", {"p": [1, 3], "q": [2, 4]}, columns=["p", "q"])
    yield reject("no header, too few names", b"1,2\n3,4\n", "MUNI-D103", {"line": 1}, columns=["p"])
    yield reject("delimiter of two characters", GOOD, "MUNI-D115", delimiter=",,")
    yield reject("unknown parameter", GOOD, "MUNI-D130", {"nearest": "delimiter"}, delimeter=";")
    yield reject("unknown encoding", GOOD, "MUNI-D132", {"parameter": "encoding"}, encoding="latin-1")


def encodings() -> Iterator[Case]:
    yield flag(
        "byte order mark", b"\xef\xbb\xbf" + GOOD, "byte_order_mark", {"a": [1, 2], "b": ["x", "z"], "y": [0, 1]}
    )
    yield reject("utf-16", "a,b\n1,2\n".encode("utf-16"), "MUNI-D110", {"found": "UTF-16"})
    yield reject("utf-16 without a mark", "a,b\n1,2\n".encode("utf-16-le"), "MUNI-D109", {"line": 1})
    yield reject("utf-32", "a,b\n1,2\n".encode("utf-32"), "MUNI-D110", {"found": "UTF-32"})
    yield reject(
        "latin-1", "a,b\n1,Zürich\n".encode("latin-1"), "MUNI-D108", {"line": 2, "byte": 4, "expected": "UTF-8"}
    )
    yield reject("latin-1 in the header", "Größe,b\n1,2\n".encode("latin-1"), "MUNI-D108", {"line": 1})
    yield reject("half a character at the end", b"a,b\n1,x\xc3\n", "MUNI-D108", {"line": 2})
    yield reject("overlong", b"a,b\n1,\xc0\xaf\n", "MUNI-D108", {"line": 2})
    yield reject("surrogate", b"a,b\n1,\xed\xa0\x80\n", "MUNI-D108", {"line": 2})
    yield reject("nul in a value", b"a,b\n1,x\0y\n", "MUNI-D109", {"line": 2, "byte": 4})
    yield reject("nul for a line", b"a,b\n1,2\n\0\0\0\0\n", "MUNI-D109", {"line": 3})
    yield accept(
        "text tricks", "a\n\u202eevil\n𝒜\ne\u0301\n\u00e9\n".encode(), {"a": ["\u202eevil", "𝒜", "e\u0301", "\u00e9"]}
    )
    yield accept("escape sequences", b"a,b\n\x1b[31mred,1\n", {"a": ["\x1b[31mred"], "b": [1]})
    split = b"a,b\n" + b"1,x\n" * 262_143 + "2,ü\n".encode()
    yield accept("character across a block", split, None)


def quotes() -> Iterator[Case]:
    yield accept("quoted", b'a,b\n"1,x","say ""hi"""\n', {"a": ["1,x"], "b": ['say "hi"']})
    yield accept("line end within quotes", b'a,b\n1,"x\r\n\ny\r"\n2,z\n', {"a": [1, 2], "b": ["x\r\n\ny\r", "z"]})
    yield accept("empty text and null", b'a,b\n1,""\n2,\n', {"a": [1, 2], "b": ["", None]})
    yield accept("quoted numbers", b'a,b\n"1","x"\n"2","y"\n', {"a": [1, 2], "b": ["x", "y"]})
    yield reject("quote opens within", b'a,b\n1,x"y\n', "MUNI-D111", {"line": 2})
    yield reject("text behind a quote", b'a,b\n1,"x"y\n', "MUNI-D111", {"line": 2})
    yield reject("quote never closed", b'a,b\n1,"x\n2,y\n', "MUNI-D112", {"line": 2})
    yield reject("backslash before a quote", b'a,b\n1,"x\\"y"\n', "MUNI-D111", {"line": 2})
    yield reject("blank before a quote", b'a,b\n1, "x"\n', "MUNI-D111", {"line": 2})
    yield accept("single quotes are text", b"a,b\n1,'x'\n", {"a": [1], "b": ["'x'"]})
    big = b"a,b\n" + b'1,"x\ny"\n' * 150_000
    yield accept("many line ends within quotes", big, {"a": [1] * 150_000, "b": ["x\ny"] * 150_000})


def numbers() -> Iterator[Case]:
    top, bottom = 2**63 - 1, -(2**63)
    yield accept("edges of int64", f"a,b\n{top},{bottom}\n".encode(), {"a": [top], "b": [bottom]})
    yield accept("beyond 2^53", f"a\n{2**53 + 1}\n1\n".encode(), {"a": [2**53 + 1, 1]})
    yield reject("huge integer", f"a,b\n1,2\n3,{2**63}\n".encode(), "MUNI-D155", {"column": "b", "line": 3})
    yield reject(
        "integer of a thousand digits", b"a\n1\n" + b"9" * 1000 + b"\n", "MUNI-D155", {"column": "a", "line": 3}
    )
    yield accept("huge integer, declared text", f"a\n{2**63}\n".encode(), {"a": [str(2**63)]}, schema={"a": "string"})
    yield flag("huge integer among words", f"a\n{2**63}\nx\n".encode(), "mixed_types", {"a": [str(2**63), "x"]})
    yield reject(
        "integer beyond 2^53 among fractions",
        f"a\n{2**53 + 1}\n0.5\n".encode(),
        "MUNI-D155",
        {"column": "a", "line": 2},
    )
    yield reject("number beyond doubles", b"a\n1.5\n1e999\n", "MUNI-D155", {"line": 3})
    yield accept("fractions", b"a\n0.1\n-.5\n3.\n1e-7\n", {"a": [0.1, -0.5, 3.0, 1e-7]})
    yield accept("minus zero", b"a\n-0.0\n1.5\n", {"a": [-0.0, 1.5]})
    yield flag("exponent form", b"a\n5.00E+05\n1\n-2e0\n", "exponent_integers", {"a": [500000, 1, -2]})
    yield accept("exponent form among fractions", b"a\n5.00E+05\n0.5\n", {"a": [500000.0, 0.5]})
    yield flag("leading zeros", b"a,b\n007,1\n7,2\n", "leading_zeros", {"a": ["007", "7"], "b": [1, 2]})
    yield flag("leading zeros, quoted", b'a,b\n"007",1\n7,2\n', "leading_zeros", {"a": ["007", "7"], "b": [1, 2]})
    yield flag("leading zeros, negative", b"a\n-07\n1\n", "leading_zeros", {"a": ["-07", "1"]})
    yield flag("leading zeros, late", b"a\n" + b"1\n" * 600_000 + b"01\n", "leading_zeros", None, {"column": "a"})
    yield flag("hexadecimal", b"a\n0x10\n1\n", "mixed_types", {"a": ["0x10", "1"]})
    yield flag("words for nothing", b"a\nNaN\n1.5\n", "mixed_types", {"a": ["NaN", "1.5"]}, {"value": "NaN"})
    yield flag("infinity", b"a\ninf\n1.5\n", "mixed_types", {"a": ["inf", "1.5"]})
    yield flag("NA", b"a\nNA\n1\n", "mixed_types", {"a": ["NA", "1"]}, {"line": 2, "value": "NA"})
    yield accept("NA, declared", b"a,b\nNA,NA\n1,x\n", {"a": [None, 1], "b": [None, "x"]}, nulls=["NA"])
    yield flag("NA in quotes is text", b'a\n"NA"\nx\n', "null_not_met", {"a": ["NA", "x"]}, nulls=["NA"])
    yield flag("plus sign", b"a\n+5\n1\n", "mixed_types", {"a": ["+5", "1"]})
    yield flag("thousands separators", b'a\n"1,000"\n1\n', "mixed_types", {"a": ["1,000", "1"]})
    yield flag(
        "mixed late",
        b"a\n" + b"1\n" * 600_000 + b"x\n",
        "mixed_types",
        {"a": ["1"] * 600_000 + ["x"]},
        {"line": 600_002},
    )
    yield flag(
        "blanks around numbers", b"a,b\n 1, x\n2 ,y\n", "blanks_beside_delimiters", {"a": [1, 2], "b": [" x", "y"]}
    )
    yield accept("booleans are text", b"a\ntrue\nfalse\n", {"a": ["true", "false"]})
    yield accept(
        "booleans, declared", b"a\ntrue\n0\n\n".rstrip(b"\n") + b"\n", {"a": [True, False]}, schema={"a": "bool"}
    )
    yield reject("no boolean", b"a\ntrue\nyes\n", "MUNI-D156", {"line": 3}, schema={"a": "bool"})
    yield reject("no integer", b"a,b\n1,1\n2,x\n", "MUNI-D156", {"line": 3, "column": "b"}, schema={"b": "int64"})
    yield reject("no such day", b"a\n2026-02-30\n", "MUNI-D156", {"line": 2}, schema={"a": "date"})
    yield reject("another date format", b"a\n23.11.2026\n", "MUNI-D156", {"line": 2}, schema={"a": "date"})
    yield flag("dates are text", b"a\n2026-11-23\n", "text_like_time", {"a": ["2026-11-23"]}, {"column": "a"})
    yield reject("unknown type", GOOD, "MUNI-D116", schema={"a": "decimal"})
    yield reject("schema of another file", GOOD, "MUNI-D158", {"columns": ["q"]}, schema={"q": "string"})
    yield flag("all missing", b"a,b\n1,\n2,\n", "all_missing", {"a": [1, 2], "b": [None, None]}, {"column": "b"})
    yield accept("formulas are text", b"a,b\n=1+1,@x\n", {"a": ["=1+1"], "b": ["@x"]})


def targets() -> Iterator[Case]:
    yield reject("target absent", GOOD, "MUNI-D159", {"target": "t"}, target="t")
    yield reject("target of another case", GOOD, "MUNI-D159", target="Y")
    yield reject("target constant", b"a,y\n1,0\n2,0\n", "MUNI-D160", {"target": "y", "rows": 2}, target="y")
    mostly = b"a,y\n" + b"1,\n" * 6 + b"1,0\n1,1\n"
    yield reject("target mostly missing", mostly, "MUNI-D137", {"missing": 6, "rows": 8}, target="y")
    yield reject("target all missing", b"a,y\n1,\n2,\n", "MUNI-D137", target="y")
    yield flag("target missing somewhere", b"a,y\n1,0\n2,1\n3,\n", "target_missing", None, {"rows": 1}, target="y")
    yield accept("target", GOOD, {"a": [1, 2], "b": ["x", "z"], "y": [0, 1]}, target="y")


def compressed(chance: random.Random) -> Iterator[Case]:
    values = {"a": [1, 2], "b": ["x", "z"], "y": [0, 1]}
    yield accept("gzip", gzip.compress(GOOD), values)
    yield accept("bzip2", bz2.compress(GOOD), values)
    yield accept("xz", lzma.compress(GOOD), values)
    yield accept("zstd", pa.compress(GOOD, codec="zstd", asbytes=True), values)
    yield accept("gzip of two members", gzip.compress(GOOD[:8]) + gzip.compress(GOOD[8:]), values)
    body = b"a,b\n" + b"".join(b"%d,%d\n" % (chance.random() * 1e9, n) for n in range(5000))
    for name, pack in (("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)):
        packed = pack(body)
        yield reject(f"{name} cut off", packed[: len(packed) // 2], "MUNI-D153")
        yield reject(f"{name} cut off at the end", packed[:-3], "MUNI-D153")
        damaged = bytearray(packed)
        damaged[len(packed) // 2] ^= 0x55
        yield reject(f"{name} damaged", bytes(damaged), "MUNI-D153")
    zstd = pa.compress(body, codec="zstd", asbytes=True)
    yield reject("zstd cut off", zstd[: len(zstd) // 2], "MUNI-D153")
    lying = bytearray(gzip.compress(body))
    lying[-6] ^= 0xFF
    yield reject("gzip with a wrong checksum", bytes(lying), "MUNI-D153")
    yield reject("gzip with something behind", gzip.compress(GOOD) + b"trailing", "MUNI-D153")
    bomb = b"a,b\n" + b"1,2\n" * (16 << 20)
    yield reject("gzip bomb", gzip.compress(bomb, 9), "MUNI-D152", {"setting": "max_ratio"})
    yield reject("bzip2 bomb", bz2.compress(bomb), "MUNI-D152", {"setting": "max_ratio"})
    yield reject(
        "too many bytes",
        gzip.compress(body),
        "MUNI-D152",
        {"setting": "max_bytes", "limit": 1000},
        limits={"max_bytes": 1000},
    )
    yield reject("gzip within gzip", gzip.compress(gzip.compress(GOOD)), "MUNI-D154")
    yield reject("gzip of nothing", gzip.compress(b""), "MUNI-D101")


def foreign() -> Iterator[Case]:
    folder = io.BytesIO()
    with zipfile.ZipFile(folder, "w") as archive:
        archive.writestr("../../etc/passwd", GOOD)
    yield reject("zip", folder.getvalue(), "MUNI-D154", {"found": "a zip archive, or a spreadsheet other than .xlsx"})
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../x"), io.BytesIO())
    yield reject("tar", tape.getvalue(), "MUNI-D154", {"found": "a tar archive"})
    yield reject("tar within gzip", gzip.compress(tape.getvalue()), "MUNI-D154")
    yield reject("pickle", pickle.dumps({"a": [1]}), "MUNI-D154", {"found": "a Python pickle"})
    yield reject("sqlite", b"SQLite format 3\0" + b"\0" * 84, "MUNI-D154")
    yield reject("hdf5", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "MUNI-D154")
    yield reject("pdf", b"%PDF-1.7\n", "MUNI-D154")
    yield reject("old office", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40, "MUNI-D154")
    yield reject("zlib", zlib.compress(b"a,b\n" + b"1,2\n" * 99), "MUNI-D109")


def columnar(chance: random.Random) -> Iterator[Case]:
    table = pa.table({"a": [1, None], "b": ["x", "z"], "c": [0.5, float("-0.0")]})
    values = {"a": [1, None], "b": ["x", "z"], "c": [0.5, -0.0]}
    yield accept("parquet", parquet(table), values)
    yield accept("parquet with a dictionary", parquet(table.set_column(1, "b", table["b"].dictionary_encode())), values)
    yield accept("parquet within gzip", gzip.compress(parquet(table)), values)
    yield accept("arrow file", ipc(table, stream=False), values)
    yield accept("arrow stream", ipc(table, stream=True), values)
    wide = pa.table({"u": pa.array([2**64 - 1], pa.uint64()), "t": pa.array([2**60], pa.timestamp("ns"))})
    yield accept("parquet of extreme values", parquet(wide), None)
    good = parquet(pa.table({"a": list(range(1000))}))
    yield reject("parquet cut off", good[: len(good) // 2], "MUNI-D127")
    yield reject("parquet without its footer", good[:-40], "MUNI-D127")
    yield reject("parquet of four bytes", b"PAR1", "MUNI-D127")
    lying = good[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"
    yield reject("parquet with a lying length", lying, "MUNI-D127")
    page = bytearray(good)
    page[300] ^= 0x01
    yield reject("parquet with a flipped bit", bytes(page), "MUNI-D127")
    noise = bytes(chance.randrange(256) for _ in range(400))
    yield reject("parquet of noise", b"PAR1" + noise + b"PAR1", "MUNI-D127")
    nested = pa.table({"a": [[1, 2], [3]], "b": [{"x": 1}, {"x": 2}]})
    yield reject("parquet of lists", parquet(nested), "MUNI-D129", {"column": "a"})
    yield reject("parquet of bytes", parquet(pa.table({"a": [b"\xff\xfe"]})), "MUNI-D129", {"column": "a"})
    yield reject("parquet without rows", parquet(pa.table({"a": pa.array([], pa.int64())})), "MUNI-D102")
    yield reject("parquet without columns", parquet(pa.table({})), "MUNI-D102")
    yield reject("parquet with equal names", parquet(pa.table([[1], [2]], names=["a", "a"])), "MUNI-D107")
    yield flag("parquet with nan", parquet(pa.table({"a": [1.5, float("nan")]})), "not_a_number", None, {"values": 1})
    bomb = parquet(pa.table({"a": pa.array(["x" * 1000]).take(pa.array([0] * 200_000))}))
    yield reject("parquet dictionary bomb", bomb, "MUNI-D152", limits={"max_bytes": 1000})
    broken = bytearray(ipc(table, stream=False))
    broken[len(broken) // 2] ^= 0xFF
    yield reject("arrow cut off", ipc(table, stream=False)[:-30], "MUNI-D127")


def json_lines() -> Iterator[Case]:
    yield accept("json lines", b'{"a":1,"b":"x"}\n{"b":"z","a":2}\n', {"a": [1, 2], "b": ["x", "z"]})
    yield accept("json null", b'{"a":1}\n{"a":null}\n', {"a": [1, None]})
    yield flag(
        "json key missing", b'{"a":1,"b":2}\n{"a":2}\n', "missing_keys", {"a": [1, 2], "b": [2, None]}, {"lines": 1}
    )
    yield reject("json new key", b'{"a":1}\n{"a":2,"b":3}\n', "MUNI-D126", {"line": 2})
    yield reject("json key twice", b'{"a":1,"a":2}\n', "MUNI-D126", {"line": 1})
    yield reject("json NaN", b'{"a":1.5}\n{"a":NaN}\n', "MUNI-D126", {"line": 2})
    yield reject("json 1e999", b'{"a":1e999}\n', "MUNI-D126", {"line": 1})
    yield reject("json list", b'{"a":1}\n[1]\n', "MUNI-D126", {"line": 2})
    yield reject("json nested", b'{"a":{"b":1}}\n', "MUNI-D123", {"line": 1})
    yield reject("json cut", b'{"a":1}\n{"a":', "MUNI-D126", {"line": 2})
    yield reject("json deep", b'{"a":' + b"[" * 100_000 + b"\n", "MUNI-D126", {"line": 1})
    yield reject("json two documents", b'{"a":1} {"a":2}\n', "MUNI-D126", {"line": 1})
    yield reject("json mixed", b'{"a":1}\n{"a":"x"}\n', "MUNI-D125", {"line": 2, "expected": "int"})
    yield accept("json whole and fraction", b'{"a":1}\n{"a":0.5}\n', {"a": [1.0, 0.5]})
    yield reject("json huge integer", json.dumps({"a": 2**64}).encode() + b"\n", "MUNI-D155", {"line": 1})
    yield reject("json inexact", f'{{"a":{2**53 + 1}}}\n{{"a":0.5}}\n'.encode(), "MUNI-D155", {"line": 1})
    yield reject("json lone surrogate", b'{"a":"\\ud800"}\n', "MUNI-D126", {"line": 1})
    yield reject("json blank line", b'{"a":1}\n\n{"a":2}\n', "MUNI-D126", {"line": 2})
    yield reject("json latin-1", b'{"a":"\xfc"}\n', "MUNI-D108", {"line": 1})


def extremes(chance: random.Random) -> Iterator[Case]:
    names = [f"c{n}" for n in range(1500)]
    row = [chance.randrange(-(10**9), 10**9) for _ in names]
    many = (",".join(names) + "\n" + ",".join(map(str, row)) + "\n").encode()
    yield accept("fifteen hundred columns", many, {name: [value] for name, value in zip(names, row, strict=True)})
    more = ",".join(f"c{n}" for n in range(5000)).encode() + b"\n" + b"1," * 4999 + b"1\n"
    yield reject("five thousand columns", more, "MUNI-D128", {"limit": 2000, "found": 5000, "setting": "max_columns"})
    yield accept("five thousand columns, allowed", more, None, limits={"max_columns": 5000})
    yield accept("very long field", b"a\n" + b"x" * 1_000_000 + b"\n", {"a": ["x" * 1_000_000]})
    yield reject(
        "line without end", b"a,b\n1," + b"x" * 3_000_000, "MUNI-D150", {"line": 2, "setting": "max_record_bytes"}
    )
    yield reject("quote open for megabytes", b'a,b\n1,"' + b"x\n" * 2_000_000, "MUNI-D150", {"line": 2})
    yield reject("too many rows", b"a\n" + b"1\n" * 11, "MUNI-D151", {"limit": 10}, limits={"max_rows": 10})
    yield reject("name without end", b"x" * 300 + b",b\n1,2\n", "MUNI-D106", {"column": 1})
    yield accept("one column", b"a\n1\n2\n", {"a": [1, 2]})
    yield accept("one row", b"a,b\n1,x\n", {"a": [1], "b": ["x"]})


def half_written(chance: random.Random) -> Iterator[Case]:
    yield reject("cut within a row", b"a,b,c\n1,2,3\n4,5", "MUNI-D103", {"line": 3, "found": 2})
    yield flag(
        "cut within a value",
        b"a,b,c\n1,2,3\n4,5,67",
        "no_final_line_end",
        {"a": [1, 4], "b": [2, 5], "c": [3, 67]},
        {"line": 3},
    )
    yield reject("cut within quotes", b'a,b\n1,"x', "MUNI-D112", {"line": 2})
    yield reject("zeros at the end", GOOD + b"\0" * 4096, "MUNI-D109", {"line": 4})
    noise = bytes(chance.randrange(128, 256) for _ in range(4096))
    yield reject("noise", b"\xb1" + noise, "MUNI-D108")


def parquet(table: pa.Table) -> bytes:
    """A Parquet file whose pages carry checksums."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", write_page_checksum=True, use_dictionary=True)
    return sink.getvalue()


def ipc(table: pa.Table, *, stream: bool) -> bytes:
    """An Arrow file or stream."""
    sink = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def rows(columns: list[tuple[str, str]], *lines: Any, end: int | None = -1) -> bytes:
    """Typed rows as a connector writes them; ``end`` is the count at the end, -1 the right one, None for none."""
    header = {"format": "muniment.rows/1", "columns": [{"name": name, "type": kind} for name, kind in columns]}
    tail = [] if end is None else [{"rows": len(lines) if end == -1 else end}]
    return b"".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in [header, *lines, *tail]
    )


def typed_rows() -> Iterator[Case]:
    big, edge = 2**53 + 1, -(2**63)
    yield accept(
        "rows: null is not the empty text", rows([("a", "string")], [None], [""], ["x"]), {"a": [None, "", "x"]}
    )
    yield accept("rows: integers never through floats", rows([("a", "int64")], [big], [edge]), {"a": [big, edge]})
    yield accept(
        "rows: decimals of any scale",
        rows([("a", "decimal")], ["1.10"], ["-123456789012345678901234.5"], [None]),
        {"a": [Decimal("1.10"), Decimal("-123456789012345678901234.50"), None]},
    )
    yield accept("rows: decimals as declared", rows([("a", "decimal(6,2)")], ["1.5"]), {"a": [Decimal("1.50")]})
    yield accept(
        "rows: days and moments",
        rows([("d", "date"), ("t", "timestamp"), ("l", "timestamp_local")],
             ["0001-01-01", "2026-01-02 03:04:05.25+00", "2026-01-02 03:04:05"]),
        {"d": [date(1, 1, 1)], "t": [datetime(2026, 1, 2, 3, 4, 5, 250_000, UTC)],
         "l": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)]},
    )  # fmt: skip
    yield accept("rows: infinite numbers", rows([("a", "float64")], ["-Infinity"], [1.5]),
                 {"a": [-math.inf, 1.5]})  # fmt: skip
    yield accept("rows: found types", rows([("a", "any"), ("b", "any")], [1, None], [2.5, "x"]),
                 {"a": [1.0, 2.5], "b": [None, "x"]})  # fmt: skip
    yield accept(
        "rows: declared", rows([("d", "any")], ["2026-01-02"]), {"d": [date(2026, 1, 2)]}, schema={"d": "date"}
    )
    yield reject("rows: a type that changes", rows([("a", "any")], [1], ["x"]), "MUNI-J101", {"row": 2, "column": "a"})
    yield reject("rows: inexact", rows([("a", "any")], [big], [0.5]), "MUNI-J107", {"row": 1, "column": "a"})
    yield reject("rows: beyond 64 bits", rows([("a", "int64")], [2**63]), "MUNI-J108", {"line": 2})
    yield reject("rows: a float among integers", rows([("a", "int64")], [1], [2.0]), "MUNI-J108", {"line": 3})
    yield reject("rows: a decimal too long", rows([("a", "decimal")], ["1" * 39]), "MUNI-J102", {"digits": 39})
    yield reject("rows: a decimal that is none", rows([("a", "decimal")], ["NaN"]), "MUNI-J106", {"row": 1})
    yield reject("rows: a huge exponent", rows([("a", "decimal")], ["1e999999999"]), "MUNI-J106", {"row": 1})
    yield reject(
        "rows: not the declared type", rows([("d", "any")], ["x"]), "MUNI-J105", {"row": 1}, schema={"d": "date"}
    )
    yield reject("rows: declared, not there", rows([("d", "any")], ["x"]), "MUNI-J103", {}, schema={"e": "date"})
    yield reject("rows: cut off", rows([("a", "int64")], [1], end=None), "MUNI-J104", {"rows": 1})
    yield reject("rows: cut off within a row", rows([("a", "int64")], [12345], end=None)[:-4], "MUNI-J108")
    yield reject("rows: a wrong count", rows([("a", "int64")], [1], end=2), "MUNI-J108")
    yield reject("rows: something behind the end", rows([("a", "int64")], [1]) + b"[2]\n", "MUNI-J108")
    yield reject("rows: too few values", rows([("a", "int64"), ("b", "int64")], [1]), "MUNI-J108")
    yield reject("rows: no rows", rows([("a", "int64")]), "MUNI-D102")
    yield reject("rows: no columns", rows([]), "MUNI-J108")
    yield reject("rows: an unknown type", rows([("a", "blob")], [1]), "MUNI-J108")
    yield reject("rows: nested", rows([("a", "any")], [[1]]), "MUNI-J108")
    yield reject("rows: twice the same name", rows([("a", "int64"), ("a", "int64")], [1, 2]), "MUNI-D107")


CELL = {int: "", float: "", str: ' t="inlineStr"', bool: ' t="b"'}


def workbook(*sheets: tuple[str, list[list[Any]]], extra: str = "", xml: str = "", **files: bytes) -> bytes:
    """A small workbook; a cell that is a tuple is its XML after the reference, as it stands."""

    def cell(at: int, row: int, value: Any) -> str:
        place = f"{chr(65 + at)}{row}"
        if value is None:
            return ""
        if isinstance(value, tuple):
            return f'<c r="{place}"{value[0]}>{value[1]}</c>'
        content = (
            f"<is><t>{value}</t></is>"
            if isinstance(value, str)
            else f"<v>{int(value) if isinstance(value, bool) else value}</v>"
        )
        return f'<c r="{place}"{CELL[type(value)]}>{content}</c>'

    out = io.BytesIO()
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = 'xmlns="http://schemas.openxmlformats.org/package/2006'
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types {package}/content-types"/>')
        archive.writestr("_rels/.rels", f'<Relationships {package}/relationships"><Relationship Id="r" '
                         f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>')  # fmt: skip
        names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, (name, _) in enumerate(sheets, 1))
        archive.writestr(
            "xl/workbook.xml", f'{xml}<workbook {space} xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        links = "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships {package}/relationships">{links}</Relationships>'
        )
        for n, (_, lines) in enumerate(sheets, 1):
            body = "".join(
                f'<row r="{r}">{"".join(cell(at, r, value) for at, value in enumerate(line))}</row>'
                for r, line in enumerate(lines, 1)
            )
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml", f"<worksheet {space}><sheetData>{body}</sheetData>{extra}</worksheet>"
            )
        for name, content in files.items():
            archive.writestr(f"xl/{name}.xml", content)
    return out.getvalue()


def workbooks() -> Iterator[Case]:
    good = [["a", "b", "y"], [1, "x", 0.5], [2, None, 1.5]]
    values = {"a": [1, 2], "b": ["x", None], "y": [0.5, 1.5]}
    yield accept("workbook", workbook(("s", good)), values)
    yield accept("workbook: a sheet by name", workbook(("s", good), ("t", [["z"], [1]])), {"z": [1]}, sheet="t")
    yield accept("workbook: empty rows at the end", workbook(("s", [*good, [None], []])), values)
    yield accept("workbook: whole numbers up to 2^53", workbook(("s", [["a"], [2**53], [-1]])), {"a": [2**53, -1]})
    yield accept("workbook: true and false", workbook(("s", [["a"], [True], [False]])), {"a": [True, False]})
    yield flag("workbook: formulas", workbook(("s", [["a"], [("", "<f>1+1</f><v>2</v>")]])),
               "formulas", {"a": [2]}, {"count": 1})  # fmt: skip
    merged = '<mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells>'
    yield flag(
        "workbook: merged cells", workbook(("s", good), extra=merged), "merged_cells", values, {"cells": ["B2:B3"]}
    )
    yield reject("workbook: several sheets", workbook(("s", good), ("t", good)), "MUNI-J122", {"sheets": ["s", "t"]})
    yield reject("workbook: no such sheet", workbook(("s", good)), "MUNI-J120", {"sheets": ["s"]}, sheet="x")
    yield reject("workbook: a mixed column", workbook(("s", [["a"], [1], ["x"]])), "MUNI-J121", {"column": "a"})
    yield reject(
        "workbook: an error", workbook(("s", [["a"], [(' t="e"', "<v>#DIV/0!</v>")]])), "MUNI-J124", {"cell": "A2"}
    )
    yield reject("workbook: no kept value", workbook(("s", [["a"], [("", "<f>1+1</f>")]])), "MUNI-J125", {"cell": "A2"})
    yield reject("workbook: an empty sheet", workbook(("s", [])), "MUNI-D101")
    yield reject("workbook: header only", workbook(("s", [["a", "b"]])), "MUNI-D102")
    yield reject("workbook: a column without a name", workbook(("s", [["a", None, "b"], [1, 2, 3]])), "MUNI-D105")
    yield reject("workbook: twice the same name", workbook(("s", [["a", "a"], [1, 2]])), "MUNI-D107")
    bomb = b"<x>" + b" " * (64 << 20) + b"</x>"
    yield reject("workbook: a bomb", workbook(("s", good), bomb=bomb), "MUNI-D152", {"setting": "max_ratio"})
    lying = bytearray(workbook(("s", good), bomb=bomb))
    for place in (lying.rfind(b"PK\x03\x04") + 22, lying.rfind(b"PK\x01\x02") + 24):
        lying[place : place + 4] = (100).to_bytes(4, "little")
    yield reject("workbook: a bomb that lies", bytes(lying), "MUNI-D152", {"setting": "max_ratio"})
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    yield reject("workbook: entities", workbook(("s", good), xml=laughs), "MUNI-J126")
    whole = workbook(("s", good))
    yield reject("workbook: cut off", whole[: len(whole) // 2], "MUNI-D154")
    damaged = bytearray(whole)
    place = damaged.find(b"xl/worksheets/sheet1.xml") + 40
    damaged[place] ^= 0xFF
    yield reject("workbook: damaged", bytes(damaged), "MUNI-J126")
