"""A channel as one CSV file: every value comes back as it was, in the order of the parts."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from muniment.programs.csv_tables import write_csv


def test_every_value_can_be_read_back(tmp_path: Path) -> None:
    """Floats are exact, missing values empty, marks quoted; lists are JSON and bytes hexadecimal."""
    table = pl.DataFrame(
        {
            "id": [1, None],
            "rate": [0.1 + 0.2, 1e-300],
            "text": ['Süd, "x"\ny', None],
            "flag": [True, None],
            "at": [datetime(2020, 2, 29, 12, tzinfo=UTC), None],
            "many": [[1, 2], None],
            "pair": [{"a": 1, "b": "x"}, {"a": None, "b": None}],
            "raw": [b"\x00\xff", None],
        }
    )
    channel = tmp_path / "train"
    channel.mkdir()
    table.write_parquet(channel / "part-0.parquet")
    write_csv(channel, tmp_path / "train.csv")
    with (tmp_path / "train.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (float(first["rate"]), float(second["rate"])) == (0.1 + 0.2, 1e-300)
    assert (first["id"], first["text"], first["flag"]) == ("1", 'Süd, "x"\ny', "true")
    assert first["at"].startswith("2020-02-29T12:00:00")
    assert (first["many"], first["pair"], first["raw"]) == ("[1,2]", '{"a":1,"b":"x"}', "00ff")
    assert [second[name] for name in ("id", "text", "flag", "at", "many", "raw")] == [""] * 6


def test_parts_follow_the_order_of_their_names(tmp_path: Path) -> None:
    """A data set of several parts is one table."""
    for number in (2, 0, 1):
        pl.DataFrame({"n": [number]}).write_parquet(tmp_path / f"part-{number}.parquet")
    write_csv(tmp_path, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text() == "n\n0\n1\n2\n"
