"""The story inside the sandbox: a file becomes a snapshot, parts, models and measures; generated and real alike."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from conftest import Bench, snapshot
from muniment.analytics.content import content_digest
from muniment.analytics.profile import EXACT_DISTINCT_ROWS, profile_table
from muniment.analytics.synthetic import credit_defaults
from muniment.errors import Invalid
from muniment.programs.contract import Job
from muniment.programs.evaluate import evaluate
from muniment.programs.generate import credit_file, generate
from muniment.programs.ingest import ingest
from muniment.programs.profile import profile
from muniment.programs.snapshots import SnapshotWriter, read_snapshot
from muniment.programs.split import split
from muniment.programs.train import train

Benches = Callable[[str], Bench]
TARGET = "default_payment_next_month"


def folder(desk: Bench, part: str) -> dict[str, bytes | Path]:
    """The files of a snapshot that a job made."""
    files: dict[str, bytes | Path] = {path.name: path for path in (desk.root / "output/data" / part).iterdir()}
    beside = desk.root / "output/data/manifest.json"
    return {**files, "manifest.json": beside} if beside.exists() else files


def story(bench: Benches, file: bytes, algorithm: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Ingest, split, train, evaluate; the reports of ingest and evaluation and the proof of the split."""
    first, second, third, fourth = (bench(name) for name in ("ingest", "split", "train", "evaluate"))
    first.channel("file", {"source": file})
    first.given(target=TARGET)
    ingest(Job(first.root))
    second.channel("data", folder(first, "snapshot"))
    second.given(fractions={"train": 0.6, "test": 0.2, "holdout": 0.2}, stratify=TARGET, seed=7)
    split(Job(second.root))
    third.channel("train", folder(second, "train"))
    third.given(algorithm=algorithm, seed=7)
    train(Job(third.root))
    fourth.channel("model", {path.name: path for path in (third.root / "model").iterdir()})
    fourth.channel("data", folder(second, "test"))
    fourth.given()
    evaluate(Job(fourth.root))
    return first.result("report.json"), second.result("proof.json"), fourth.result("report.json")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm"])
def test_the_real_file(algorithm: str, bench: Benches, shared_data: Path | None) -> None:
    """30,000 rows, 6,636 defaults, exponent forms as integers; a tree model reaches AUC 0.77 on its test part."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout; generated data are tested instead")
    source = (shared_data / "credit_default/UCI_Credit_Card.csv.gz").read_bytes()
    report, proof, evaluation = story(bench, source, algorithm)
    assert (report["rows"], report["target"]["classes"]) == (30_000, {"0": 23_364, "1": 6_636})
    exact = {f["facts"]["column"] for f in report["findings"] if f["code"] == "exponent_integers"}
    assert "LIMIT_BAL" in exact
    assert proof["disjoint"] is proof["complete"] is True
    assert sum(part["classes"]["1"] for part in proof["parts"].values()) == 6_636
    assert evaluation["metrics"]["auc"] >= 0.77
    assert evaluation["undefined"] == {}


@pytest.mark.slow
def test_the_real_file_value_by_value(bench: Benches, shared_data: Path | None) -> None:
    """Every value equals what an independent reader makes of the same text, read as decimals."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout")
    source = (shared_data / "credit_default/UCI_Credit_Card.csv.gz").read_bytes()
    desk = bench("ingest")
    desk.channel("file", {"source": source})
    desk.given()
    ingest(Job(desk.root))
    ours = read_snapshot(desk.root / "output/data/snapshot")
    theirs = pl.read_csv(gzip.decompress(source), infer_schema=False).to_arrow()
    assert ours.schema.names == theirs.schema.names
    for name in ours.schema.names:
        assert ours.column(name).to_pylist() == [int(float(text)) for text in theirs.column(name).to_pylist()]


@pytest.mark.slow
def test_the_other_public_files(bench: Benches, shared_data: Path | None) -> None:
    """Each file reads with its declared separator; equal values in other bytes have one content digest."""
    if shared_data is None:
        pytest.skip("the public data sets do not lie beside this checkout")
    columns = [f"c{n}" for n in range(15)]
    wanted = [
        ("bank_marketing/bank-additional-full.csv.gz", {"delimiter": ";", "target": "y"}, 41_188,
         {"no": 36_548, "yes": 4_640}),
        ("bank_marketing/bank-full.csv.gz", {"delimiter": ";", "target": "y"}, 45_211, {"no": 39_922, "yes": 5_289}),
        ("german/german.data.gz", {"delimiter": " ", "columns": [f"c{n}" for n in range(21)], "target": "c20"}, 1_000,
         {"1": 700, "2": 300}),
        ("german/SouthGermanCredit.asc.gz", {"delimiter": " ", "target": "kredit"}, 1_000, {"0": 300, "1": 700}),
        ("adult/adult.data.gz", {"columns": columns, "target": "c14"}, 32_561, {" <=50K": 24_720, " >50K": 7_841}),
    ]  # fmt: skip
    for number, (name, given, rows, classes) in enumerate(wanted):
        desk = bench(f"job{number}")
        desk.channel("file", {"source": shared_data / name})
        desk.given(**given)
        ingest(Job(desk.root))
        report = desk.result("report.json")
        assert (report["rows"], report["target"]["classes"]) == (rows, classes)
    text = gzip.decompress((shared_data / "german/SouthGermanCredit.asc.gz").read_bytes())
    other = bench("other")
    other.channel("file", {"source": text.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"})
    other.given(delimiter=" ")
    ingest(Job(other.root))
    assert other.result("report.json")["content_digest"] == bench("job3").result("report.json")["content_digest"]
    assert (
        other.result("report.json")["source"]["bytes_digest"]
        != bench("job3").result("report.json")["source"]["bytes_digest"]
    )


@pytest.mark.slow
def test_generated_data_tell_the_same_story(bench: Benches) -> None:
    """The generator keeps the published schema and base rate, and a tree model finds what it finds in real data."""
    report, _, evaluation = story(bench, credit_file(30_000, 7), "lightgbm")
    assert (report["rows"], report["columns"]) == (30_000, 25)
    assert report["target"]["classes"] == {"0": 30_000 - 6_636, "1": 6_636}
    assert report["findings"] == []
    assert 0.77 <= evaluation["metrics"]["auc"] <= 0.82


def test_generation_is_seeded(bench: Benches) -> None:
    """Equal seeds give equal bytes, other seeds other rows, and the report says that the data are generated."""
    desk = bench("generate")
    desk.given(rows=500, seed=3)
    generate(Job(desk.root))
    report = desk.result("report.json")
    assert report["generated"] is True
    assert (desk.root / "output/data" / report["path"]).read_bytes() == credit_file(500, 3)
    assert credit_file(500, 3) != credit_file(500, 4)
    assert sum(credit_defaults(500, 3)[TARGET]) == report["positives"] == 111


def test_ingest_is_deterministic(bench: Benches) -> None:
    """Equal files give equal manifests and parts, byte for byte, whatever they are called."""
    outcomes = []
    for number, name in enumerate(["one.csv", "two.csv"]):
        desk = bench(f"job{number}")
        desk.channel("file", {"source": credit_file(1_000, 1)})
        desk.given(name="credit", filename=name, target=TARGET)
        ingest(Job(desk.root))
        outcomes.append(
            {path.name: path.read_bytes() for path in (desk.root / "output/data").rglob("*") if path.is_file()}
        )
    first, second = outcomes
    assert first.pop("report.json") != second.pop("report.json")
    assert first == second


@pytest.mark.slow
def test_large_snapshots_are_cut_into_parts(tmp_path: Path) -> None:
    """No part exceeds the bound, each part has its own digests, and the whole has one content digest."""
    table = pa.table({"a": range(400_000), "b": [f"{n * 2654435761 % 2**32:x}" for n in range(400_000)]})
    writer = SnapshotWriter(tmp_path, table.schema, part_bytes=2**21)
    for start in range(0, 400_000, 7_777):
        writer.write(table.slice(start, 7_777))
    manifest = writer.close(None)
    assert len(manifest["parts"]) > 2
    assert all(part["bytes"] <= 2**21 for part in manifest["parts"])
    assert sum(part["rows"] for part in manifest["parts"]) == manifest["rows"] == 400_000
    assert manifest["content_digest"] == content_digest(table)
    for part in manifest["parts"]:
        assert content_digest(pa.parquet.read_table(tmp_path / part["path"])) == part["content_digest"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert read_snapshot(tmp_path).equals(table)


def test_profiles_count_and_do_not_name_the_rare(bench: Benches) -> None:
    """Counts add up to the rows, and a text that few rows share is counted and never shown."""
    rows = 400
    values = ["common"] * 300 + ["Anna Müller"] + [None] * 9 + ["less"] * 90
    table = pa.table({"t": values, "n": [i % 40 for i in range(rows)], "y": [int(i % 40 > 30) for i in range(rows)]})
    desk = bench("profile")
    desk.channel("data", snapshot(table, "y"))
    desk.given()
    profile(Job(desk.root))
    report = desk.result("report.json")
    assert "Anna" not in json.dumps(report)
    texts, numbers, _ = report["columns"]
    assert texts["values"]["top"][0] == {"value": "common", "count": 300, "positive": 63}
    assert texts["values"]["rare"] == {"values": 1, "rows": 1}
    assert (texts["nulls"], texts["completeness"], texts["distinct"]) == (9, 391 / 400, {"count": 3, "exact": True})
    histogram = numbers["histogram"]
    assert sum(histogram["counts"]) + histogram["missing"] == rows
    assert sum(histogram["positive"]) == report["target"]["positives"] == 90
    assert len(histogram["counts"]) == len(histogram["edges"]) + 1
    assert (numbers["numbers"]["min"], numbers["numbers"]["max"], numbers["numbers"]["quantiles"]["0.5"]) == (0, 39, 19)


def test_profiles_say_what_is_suspicious(bench: Benches) -> None:
    """Constants, missing columns, identifiers, formulas, control characters, leaks and copies are findings."""
    table = pa.table(
        {
            "id": [*range(60), 0],
            "constant": [1] * 61,
            "missing": pa.array([None] * 61, pa.string()),
            "formula": ["=1+1", "x\x1b[0m"] + ["a"] * 58 + ["=1+1"],
            "blanks": [" b", "b"] * 30 + [" b"],
            "leak": [float(i % 2) for i in range(61)],
            "y": [i % 2 for i in range(61)],
        }
    )
    desk = bench("profile")
    desk.channel("data", snapshot(table))
    desk.given(target="y")
    profile(Job(desk.root))
    found = {(finding["code"], finding["facts"].get("column")) for finding in desk.result("report.json")["findings"]}
    assert found == {
        ("constant", "constant"),
        ("all_missing", "missing"),
        ("formula_like", "formula"),
        ("control_characters", "formula"),
        ("equal_but_for_blanks", "blanks"),
        ("gives_target_away", "leak"),
        ("duplicate_rows", None),
    }


def test_a_profile_without_a_usable_target(bench: Benches) -> None:
    """A target of many values is left out with the reason, unless it was asked for: then it is refused."""
    desk = bench("profile")
    desk.channel("data", snapshot(pa.table({"a": [1, 2, 3]}), "a"))
    desk.given()
    profile(Job(desk.root))
    report = desk.result("report.json")
    assert report["target"] is None
    assert "two classes" in report["target_unused"]
    desk.given(target="a")
    with pytest.raises(Invalid):
        profile(Job(desk.root))


def test_damaged_snapshots_do_not_read(bench: Benches) -> None:
    """A flipped bit in a part is noticed with the manifest and without it."""
    desk = bench("profile")
    files = snapshot(pa.table({"a": list(range(1000))}))
    part = bytearray(files["part-00000.parquet"])
    part[200] ^= 4
    sink = io.BytesIO(part)
    desk.channel("data", {"manifest.json": files["manifest.json"], "part-00000.parquet": sink.getvalue()})
    desk.given()
    for _ in range(2):
        with pytest.raises(Exception, match="part") as refused:
            profile(Job(desk.root))
        assert refused.value.code in ("MUNI-D531", "MUNI-D532")  # type: ignore[attr-defined]
        (desk.root / "input/data/data/manifest.json").unlink(missing_ok=True)


@pytest.mark.slow
def test_counts_beyond_the_bound_say_so() -> None:
    """Distinct values are exact up to the bound; beyond it the profile says of how many rows the count is."""
    rows = EXACT_DISTINCT_ROWS + 1
    (column,) = profile_table(pa.table({"a": pa.array(range(rows), pa.int32())}), None, 10)
    assert column["distinct"] == {"count": EXACT_DISTINCT_ROWS, "exact": False, "of_first_rows": EXACT_DISTINCT_ROWS}
