"""The strict reader: what it reads does not depend on blocks, on the order of rows or on how Arrow converts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from muniment.errors import Invalid
from muniment.programs.delimited import DelimitedReader, Dialect
from muniment.programs.sources import Limits, Source
from muniment.programs.values import Fact, Plan, kind, plan_for

QUICK = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])

NUMBERS = """0 1 -1 7 007 -07 -0 00 0x1F 1.5 .5 5. -.5e3 1e5 5.00E+05 1e-3 1e400 1e-400 NaN inf -inf NA null +5 +.5
    1_000 x ü 𝒜 true 1.0 0.1 1e22 0e5 e5 --1 1-1 - 9007199254740992 9007199254740993 9223372036854775807
    9223372036854775808 -9223372036854775808 999999999999999999999999999999"""
plain = st.sampled_from([*NUMBERS.split(), "", " 1", "1 ", " x ", " +5", " 007"])
odd = st.text('ab,"\n\r 01-', max_size=6)
fields = st.one_of(plain, st.integers().map(str), st.floats(allow_nan=False).map(repr), odd)


def line(row: list[str], marks: list[bool]) -> str:
    """A record."""
    return ",".join(written(*pair) for pair in zip(row, marks, strict=True))


def written(field: str, quoted: bool) -> str:
    if quoted or any(mark in field for mark in ',"\n\r'):
        return '"' + field.replace('"', '""') + '"'
    return field


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], list[list[bool]]]:
    """Rows of fields, and which of them are quoted without need."""
    width = draw(st.integers(1, 3))
    column = [draw(st.sampled_from([fields, st.integers(-99, 99).map(str), plain])) for _ in range(width)]
    rows = draw(st.lists(st.tuples(*column), min_size=1, max_size=12))
    marks = draw(st.lists(st.tuples(*[st.booleans()] * width), min_size=len(rows), max_size=len(rows)))
    # A blank line is a refusal of its own, tested elsewhere.
    marks = [(True,) if width == 1 and row == ("",) else mark for row, mark in zip(rows, marks, strict=True)]
    return [list(row) for row in rows], [list(mark) for mark in marks]


def read(path: Path, block_bytes: int) -> dict[str, Any] | str:
    """What the reader hands over as Python values, or the code of the refusal."""
    taken: list[pa.Table] = []

    def begin(schema: pa.Schema) -> Any:
        taken[:] = [schema.empty_table()]
        return taken.append

    try:
        DelimitedReader(Source(path, Limits()), Dialect(), block_bytes=block_bytes).read(begin)
    except Invalid as refusal:
        return refusal.code
    table = pa.concat_tables(taken)
    return {name: (str(table.schema.field(name).type), table.column(name).to_pylist()) for name in table.schema.names}


def expected(rows: list[list[str]], marks: list[list[bool]]) -> dict[str, Any] | str:
    """What the rules say, one value at a time."""
    found: dict[str, Any] = {}
    for number in range(len(rows[0])):
        texts = [
            None if row[number] == "" and not mark[number] else row[number]
            for row, mark in zip(rows, marks, strict=True)
        ]
        facts = Fact(0)
        for text in texts:
            facts |= kind(text) if text is not None else Fact(0)
        plan = plan_for(facts) if facts else Plan.TEXT
        if plan is Plan.TEXT and facts and not facts & (Fact.TEXT | Fact.LEADING_ZERO):
            return "MUNI-D155"
        convert: Any = {Plan.TEXT: str, Plan.FLOAT: float}.get(plan, lambda text: int(Decimal(text.strip(" \t"))))
        types = {Plan.TEXT: "string", Plan.FLOAT: "double"}
        values = [None if text is None else convert(text) for text in texts]
        found[f"c{number}"] = (types.get(plan, "int64"), values)
    return found


@QUICK
@given(tables(), st.sampled_from(["\n", "\r\n"]), st.sampled_from([1, 2, 3, 7, 64, 1 << 20]), st.booleans())
@example(([["1"], ["2"], ["007"]], [[False]] * 3), "\n", 1, True)
@example(([["9" * 30], ["1"], ["x"]], [[False]] * 3), "\n", 1, True)
def test_reading_follows_the_rules_whatever_the_blocks(
    tmp_path: Path, table: tuple[list[list[str]], list[list[bool]]], end: str, block: int, last: bool
) -> None:
    """Vectorised reading in blocks of any size gives what the rules give value by value, types included."""
    rows, marks = table
    lines = [",".join(f"c{n}" for n in range(len(rows[0])))]
    lines += [
        ",".join(written(*pair) for pair in zip(row, mark, strict=True)) for row, mark in zip(rows, marks, strict=True)
    ]
    path = tmp_path / "source"
    path.write_bytes((end.join(lines) + (end if last else "")).encode())
    assert repr(read(path, block)) == repr(expected(rows, marks))


@pytest.mark.parametrize("tiny", ["1e-400", "-1E-400", "0." + "0" * 400 + "1"])
def test_a_number_too_near_to_zero_is_refused_wherever_it_stands(tmp_path: Path, tiny: str) -> None:
    """What a double holds as zero and is none has no type, also when the column was one of fractions by then."""
    for column in (["1.5", "0", tiny], [tiny, "1.5", "0"], ["1.5"] + ["0"] * 50 + [tiny]):
        (tmp_path / "source").write_text("\n".join(["c", *column]) + "\n")
        assert {str(read(tmp_path / "source", block)) for block in (1, 16, 1 << 20)} == {"MUNI-D155"}


@QUICK
@given(tables(), st.randoms(use_true_random=False))
def test_the_whole_column_decides(tmp_path: Path, table: tuple[list[list[str]], list[list[bool]]], chance: Any) -> None:
    """Types, or the refusal, are the same for every order of the rows."""
    rows, marks = table
    order = list(range(len(rows)))
    chance.shuffle(order)
    outcomes = []
    for arrangement in (range(len(rows)), order):
        lines = [",".join(f"c{n}" for n in range(len(rows[0])))]
        lines += [line(rows[i], marks[i]) for i in arrangement]
        path = tmp_path / "source"
        path.write_bytes(("\n".join(lines) + "\n").encode())
        found = read(path, 16)
        outcomes.append(found if isinstance(found, str) else {name: facts[0] for name, facts in found.items()})
    assert outcomes[0] == outcomes[1]


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60).map(lambda raw: b"a,b\n" + raw), st.sampled_from([1, 5, 1 << 20]))
@example(b'a,b\n"', 1)
@example(b"a,b\n\r", 1)
@example(b'a,b\n"\r', 5)
@example(b'a,b\n1,"x"\r', 1)
def test_no_bytes_break_the_reader(tmp_path: Path, raw: bytes, block: int) -> None:
    """Any bytes are read or refused with a code; nothing else is ever raised, and blocks change nothing."""
    path = tmp_path / "source"
    path.write_bytes(raw)
    outcome = read(path, block)
    assert isinstance(outcome, dict) or outcome.startswith("MUNI-D1")
    assert repr(read(path, 1 << 20)) == repr(outcome)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("0", Fact.INTEGER),
        ("-0", Fact.INTEGER),
        (str(2**63), Fact.INTEGER | Fact.TOO_LARGE),
        (str(-(2**63)), Fact.INTEGER),
        (str(2**53 + 1), Fact.INTEGER | Fact.INEXACT),
        (str(2**54), Fact.INTEGER),
        ("5.00E+05", Fact.EXPONENT),
        ("5.5E-05", Fact.FRACTION),
        ("1e19", Fact.FRACTION),
        ("1e18", Fact.EXPONENT),
        ("1E400", Fact.FRACTION | Fact.TOO_LARGE),
        ("1e-400", Fact.FRACTION | Fact.TOO_LARGE),
        ("00", Fact.LEADING_ZERO),
        ("00.5", Fact.LEADING_ZERO),
        ("", Fact.TEXT),
        ("１", Fact.TEXT),
    ],
)
def test_the_grammar_of_numbers(text: str, facts: Fact) -> None:
    """Each text is what the module's rules say."""
    assert kind(text) == facts


@pytest.mark.parametrize(
    ("text", "nulls", "found"),
    [
        ("39,State-gov\n50,Private\n", (), {"number_as_name": "39"}),
        ("id,x\n1, ?\n2,a\n", ("?",), {"null_not_met": None, "blanks_beside_delimiters": None}),
        ("id,x\n1,?\n2,?\n3,a\n", ("?",), {}),
        ("x,id\n?,1\r\na,2\r\n", ("?",), {"mixed_line_ends": None}),
        ('id,x\n1,"a, b"\n', (), {}),
        ('id,x\n1, "a"\n', (), "MUNI-D111"),
        ('id,x\n1,"1234,56"\n2,"1.234,5"\n', (), {"text_like_decimal_comma": "x"}),
        ("id,x\n1,2026-01-31\n", (), {"text_like_time": "x"}),
        ("id,x\n1,2026-01-31T10:00:00+02:00\n", (), {"text_like_time": "x"}),
        ("id,x\n1,2026-01\n", (), {}),
    ],
)
def test_what_a_file_may_have_meant_otherwise_is_found(
    tmp_path: Path, text: str, nulls: tuple[str, ...], found: dict[str, str | None] | str
) -> None:
    """A missing header, a null that never comes, a decimal comma and an undeclared day are findings; else silence."""
    path = tmp_path / "source"
    path.write_text(text, newline="")
    reader = DelimitedReader(Source(path, Limits()), Dialect(nulls=nulls))
    if isinstance(found, str):
        with pytest.raises(Invalid) as refusal:
            reader.read(lambda schema: lambda table: None)
        assert refusal.value.code == found
        return
    reader.read(lambda schema: lambda table: None)
    assert {one.code: one.facts.get("column") for one in reader.findings()} == found


@pytest.mark.parametrize("text", ['[{"id": 1}]', '\n [\n  {"id": 1},\n', "[[1, 2]]"])
def test_a_json_array_is_called_what_it_is(tmp_path: Path, text: str) -> None:
    """One array of objects is not taken for a CSV with broken quotes."""
    path = tmp_path / "source"
    path.write_text(text)
    with pytest.raises(Invalid, match="one JSON array"):
        Source(path, Limits()).format()
