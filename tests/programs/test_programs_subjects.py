"""Looking for one person in tables, and taking him out: exact in every type, and silent about who he is."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conftest import Bench, snapshot
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job
from muniment.programs.redact import redact
from muniment.programs.scan import scan
from muniment.programs.snapshots import read_snapshot
from muniment.programs.subjects import matches


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def give_subject(bench: Bench, column: str, value: str) -> None:
    document = {"format": "muniment.subject/1", "salt": "00", "column": column, "value": value}
    bench.channel("subject", {"subject.json": json.dumps(document).encode()})


@pytest.mark.parametrize(
    ("values", "kind", "asked", "where"),
    [
        ([41, 42, None, 42], pa.int64(), "42", [1, 3]),
        ([41, 42, None, 42], pa.int8(), "42.0", [1, 3]),
        ([41, 42], pa.int8(), "4200", []),
        ([41, 42], pa.int64(), "x", []),
        ([41, 42], pa.int64(), "42.5", []),
        ([1.5, 42.0, float("nan")], pa.float64(), "42", [1]),
        (["42", "042", " 42 ", "x42", None, "4 2"], pa.string(), "42", [0, 1, 2]),
        (["Ana", "ana", "Ana "], pa.string(), "Ana", [0, 2]),
        (["0", "00", "", "a"], pa.string(), "0", [0, 1]),
        ([True, False, None], pa.bool_(), "true", [0]),
        ([Decimal("42.00"), Decimal("1.00")], pa.decimal128(10, 2), "42.00", [0]),
    ],
)
def test_a_value_is_found_in_the_type_of_its_column(values: list[Any], kind: Any, asked: str, where: list[int]) -> None:
    """What means the value is found, what does not is not, and a missing value is nobody."""
    found = matches(pa.chunked_array([pa.array(values, kind)]), asked).to_pylist()
    assert [at for at, hit in enumerate(found) if hit] == where


def test_a_dictionary_is_its_values() -> None:
    """How a text is stored makes no difference."""
    assert matches(pa.chunked_array([pa.array(["a", "b", "a"]).dictionary_encode()]), "a").to_pylist() == [1, 0, 1]


def test_every_snapshot_is_counted_and_nothing_tells_who(bench: Bench) -> None:
    """Row groups and parts add up; one without the column says so; the report does not hold the value."""
    many = pa.table({"ID": list(range(200_000)), "x": [0.5] * 200_000})
    bench.channel("d0", snapshot(many))
    bench.channel("d1", snapshot(pa.table({"ID": ["031337", "7"], "y": [1, 2]})))
    bench.channel("d2", snapshot(pa.table({"other": [31337]})))
    give_subject(bench, "ID", "31337")
    bench.given(channels=["d0", "d1", "d2"])
    scan(Job(bench.root))
    report = bench.result("report.json")
    assert report["snapshots"] == {
        "d0": {"rows": 200_000, "matches": 1, "has_column": True},
        "d1": {"rows": 2, "matches": 1, "has_column": True},
        "d2": {"rows": 1, "matches": 0, "has_column": False},
    }
    assert "31337" not in (bench.root / "output/data/report.json").read_text()


def test_a_damaged_part_is_not_taken_for_one_without_him(bench: Bench) -> None:
    """A part that is not the one of its manifest ends the search: no count is better than a wrong one."""
    files = snapshot(pa.table({"ID": [1, 2]}))
    other = snapshot(pa.table({"ID": [3, 4]}))
    bench.channel("d0", {**files, "part-00000.parquet": other["part-00000.parquet"]})
    give_subject(bench, "ID", "1")
    bench.given(channels=["d0"])
    with pytest.raises(IntegrityError) as told:
        scan(Job(bench.root))
    assert told.value.code == "MUNI-W581"


def test_a_snapshot_without_him_keeps_everybody_else_in_order(bench: Bench) -> None:
    """All other rows come out as they were, and the target stays."""
    table = pa.table({"ID": [1, 2, 1, 3], "y": ["a", "b", "c", None]})
    bench.channel("data", snapshot(table, target="y"))
    give_subject(bench, "ID", "1")
    redact(Job(bench.root))
    folder = bench.root / "output/data/snapshot"
    made = read_snapshot(folder)
    assert made.to_pydict() == {"ID": [2, 3], "y": ["b", None]}
    manifest = bench.result("manifest.json")
    assert (manifest["target"], manifest["rows"]) == ("y", 2)
    assert bench.result("report.json") == {"rows": 2, "removed": 2}


@pytest.mark.parametrize(("column", "code"), [("ID", "MUNI-W183"), ("nobody", "MUNI-W182")])
def test_there_must_be_somebody_to_take_out(bench: Bench, column: str, code: str) -> None:
    """A snapshot that does not hold him, or has no such column, is refused."""
    bench.channel("data", snapshot(pa.table({"ID": [1]})))
    give_subject(bench, column, "9")
    with pytest.raises(Invalid) as refused:
        redact(Job(bench.root))
    assert refused.value.code == code


def test_a_stranger_in_the_place_of_the_subject_is_refused(bench: Bench) -> None:
    """A document of another form is no subject."""
    bench.channel("subject", {"subject.json": b'{"format": "x"}'})
    bench.channel("d0", snapshot(pa.table({"ID": [1]})))
    bench.given(channels=["d0"])
    with pytest.raises(Invalid) as refused:
        scan(Job(bench.root))
    assert refused.value.code == "MUNI-W180"
