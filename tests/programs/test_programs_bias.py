"""Bias of data: exact where the answer is known, and None where there is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Bench, snapshot
from muniment.analytics.bias import cddl, class_imbalance, difference_in_proportions, share_gaps
from muniment.errors import Invalid
from muniment.programs.bias import bias
from muniment.programs.contract import Job

DATA = Path(__file__).resolve().parents[3] / "shared/data"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rows_of(path: Path, separator: str) -> list[list[str]]:
    """The rows of a published file; skipped where it is not there."""
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [[cell.strip() for cell in line.split(separator)] for line in lines if line.count(separator) > 5]


def test_german_credit_by_age(bench: Bench) -> None:
    """P(good | at most 25) - P(good | older) is -0.149448 by 110 of 190 and 590 of 810."""
    rows = rows_of(DATA / "german/german.data.gz", " ")
    table = pa.table({"age": [int(row[12]) for row in rows], "class": [row[20] for row in rows]})
    bench.channel("data", snapshot(table))
    bench.given(facet="age", at_most=25, label="class", favourable="1")
    bias(Job(bench.root))
    found = bench.result("report.json")
    counts = found["stereotype"]["counts"]
    assert counts["disfavoured"] == {"rows": 190, "favourable": 110}
    assert counts["favoured"] == {"rows": 810, "favourable": 590}
    assert found["stereotype"]["difference_in_proportions_of_labels"] == pytest.approx(0.149448, abs=5e-7)
    assert found["sampling"]["class_imbalance"] == 0.62
    assert found["dimensions"]["stereotype"] == "violated"


def test_adult_by_sex(bench: Bench) -> None:
    """P(>50K | female) - P(>50K | male) is -0.196276 in the training file; occupation is missing as ``?``."""
    rows = rows_of(DATA / "adult/adult.data.gz", ",")
    columns = {
        "sex": [row[9] for row in rows],
        "income": [row[14] for row in rows],
        "relationship": [row[7] for row in rows],
        "occupation": [row[6] for row in rows],
    }
    bench.channel("data", snapshot(pa.table(columns)))
    bench.given(facet="sex", disfavoured=["Female"], label="income", favourable=">50K", default_values=["?"])
    bias(Job(bench.root))
    found = bench.result("report.json")
    assert found["stereotype"]["difference_in_proportions_of_labels"] == pytest.approx(0.196276, abs=5e-7)
    assert found["stereotype"]["proxies"][0]["feature"] == "relationship"
    assert found["stereotype"]["proxies"][0]["proxy"]
    measured = {one["feature"]: one for one in found["measurement"]}
    assert measured["occupation"]["default_disfavoured"] > measured["occupation"]["default_favoured"] > 0


@pytest.mark.parametrize("kind", ["constant", "rare", "identifier", "noise", "half", "all"])
def test_a_category_tells_apart_what_it_tells_apart(bench: Bench, kind: str) -> None:
    """What has nothing to do with the group is no proxy, however its categories are spread; what has, is one."""
    chance = np.random.default_rng(3)
    worse = chance.random(4000) < 0.3
    columns = {
        "constant": np.where(chance.random(4000) < 0.95, "home", "abroad"),
        "rare": np.array([f"c{n % 900}" for n in range(4000)]),
        "identifier": np.array([f"id{n}" for n in range(4000)]),
        "noise": chance.choice(["a", "b", "c"], 4000),
        "half": np.where(worse & (chance.random(4000) < 0.5), "x", "y"),
        "all": np.where(worse, "x", "y"),
    }
    bench.channel("data", snapshot(pa.table({"sex": np.where(worse, "f", "m"), "feature": columns[kind]})))
    bench.given(facet="sex", disfavoured=["f"])
    bias(Job(bench.root))
    proxies = bench.result("report.json")["stereotype"]["proxies"]
    assert proxies[0]["auc"] == pytest.approx({"half": 0.75, "all": 1.0}.get(kind, 0.5), abs=0.03)
    assert proxies[0]["proxy"] == (kind in ("half", "all"))


def test_shares_against_a_population(bench: Bench) -> None:
    """A group that the population has and the data lack is named with a share of 0."""
    bench.channel("data", snapshot(pa.table({"g": ["a"] * 9 + ["b"], "x": [1.0] * 10})))
    bench.channel("reference", snapshot(pa.table({"g": ["a", "b", "c", "c"]})))
    bench.given(facet="g", disfavoured=["b"])
    bias(Job(bench.root))
    gaps = {one["group"]: one for one in bench.result("report.json")["sampling"]["against_reference"]}
    assert (gaps["a"]["difference"], gaps["c"]["share"], gaps["c"]["difference"]) == (0.65, 0.0, -0.5)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"facet": "nobody", "disfavoured": ["a"]}, "MUNI-W184"),
        ({"facet": "g", "disfavoured": ["z"]}, "MUNI-W185"),
        ({"facet": "g", "at_most": 3}, "MUNI-W186"),
        ({"facet": "g"}, "MUNI-W187"),
        ({"facet": "g", "disfavoured": ["a"], "label": "x"}, "MUNI-W189"),
    ],
)
def test_what_cannot_be_reviewed_is_refused(bench: Bench, parameters: dict[str, object], code: str) -> None:
    """With what is missing."""
    bench.channel("data", snapshot(pa.table({"g": ["a", "b"], "x": ["1", "2"]})))
    bench.given(**parameters)
    with pytest.raises(Invalid) as refused:
        bias(Job(bench.root))
    assert refused.value.code == code


COUNTS = st.integers(0, 50)


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS), max_size=6))
def test_disparity_lies_within_its_bounds_and_turns_with_the_groups(strata: list[tuple[int, int, int, int]]) -> None:
    """CDDL lies in [-1, 1], and swapping the groups turns its sign."""
    found = cddl(strata)
    turned = cddl([(d, a, rd, ra) for a, d, ra, rd in strata])
    assert (found is None) == (turned is None) == (sum(map(sum, strata)) == 0)
    if found is not None and turned is not None:
        assert -1 <= found <= 1
        assert found == pytest.approx(-turned)


def test_nothing_has_no_value() -> None:
    """Without rows there is no imbalance and no difference."""
    assert class_imbalance(0, 0) is None
    assert difference_in_proportions(0, 0, 1, 2) is None
    assert cddl([]) is None
    assert share_gaps({}, {"a": 1})[0]["share"] is None
