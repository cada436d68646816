"""Splits: disjoint, complete, true to their shares, the same everywhere, and proven from what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conftest import Bench, snapshot
from muniment.analytics.content import content_digest
from muniment.analytics.split import assign, check_shares, keys
from muniment.errors import IntegrityError, Invalid
from muniment.programs.contract import Job
from muniment.programs.snapshots import read_snapshot
from muniment.programs.split import prove, split

QUICK = settings(deadline=None, max_examples=200)
SHARES = check_shares({"train": 0.6, "test": 0.2, "holdout": 0.2})


@QUICK
@given(st.integers(20, 300), st.integers(), st.lists(st.integers(0, 3), min_size=300, max_size=300))
def test_strata_keep_their_shares(rows: int, seed: int, classes: list[int]) -> None:
    """Every row has one part, and in each class each part holds its share to less than one row."""
    strata = np.array(classes[:rows])
    chosen = assign(rows, SHARES, seed, strata=strata)
    assert set(np.unique(chosen)) <= {0, 1, 2}
    for value in np.unique(strata):
        size = int((strata == value).sum())
        for number, share in enumerate(SHARES.values()):
            assert abs(Fraction(int(((strata == value) & (chosen == number)).sum())) - share * size) < 1


@QUICK
@given(st.integers(0, 2**63), st.lists(st.integers(0, 40), min_size=100, max_size=400))
def test_groups_are_never_cut(seed: int, drawn: list[int]) -> None:
    """Rows of one group stand in one part."""
    _, groups = np.unique(np.array(drawn), return_inverse=True)
    try:
        chosen = assign(len(groups), SHARES, seed, groups=groups)
    except Invalid:
        assume(False)
    for value in range(groups.max() + 1):
        assert len(set(chosen[groups == value])) == 1


def test_the_order_of_names_is_no_input() -> None:
    """The same shares in another order give the same parts; another seed gives others."""
    first = check_shares({"a": "0.5", "b": 0.3, "c": 0.2})
    second = check_shares({"c": 0.2, "a": 0.5, "b": 0.3})
    assert np.array_equal(assign(1000, first, 7), assign(1000, second, 7))
    assert not np.array_equal(assign(1000, first, 7), assign(1000, first, 8))


def test_keys_are_splitmix64() -> None:
    """The keys are the published generator: worked out again in plain integers."""
    mask = 2**64 - 1
    state = int.from_bytes(hashlib.sha256(b"muniment.split/1:7").digest()[:8], "big")
    wanted = []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        wanted.append(z ^ (z >> 31))
    assert keys(5, 7).tolist() == wanted


@pytest.mark.parametrize(
    "shares",
    [{"a": 1}, {"a": 0.5}, {"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {"a": "x", "b": 1}, {"a": 0, "b": 1}, {}],
)
def test_shares_must_add_up(shares: dict[str, object]) -> None:
    """Shares that are no partition of the whole are refused."""
    with pytest.raises(Invalid) as refused:
        check_shares(shares)
    assert refused.value.code == "MUNI-D170"


def credit(rows: int = 500) -> pa.Table:
    values = keys(rows, 1)
    return pa.table({"id": range(rows), "x": (values % 5).astype(np.int64), "y": (values % 3 == 0).astype(np.int64)})


def test_the_job_proves_what_it_wrote(bench: Callable[[str], Bench]) -> None:
    """Parts are read back, put together by the assignment, and have the content of the whole; the proof says so."""
    table = credit()
    desk = bench("split")
    desk.channel("data", snapshot(table, "y"))
    desk.given(fractions={"train": 0.6, "test": 0.2, "holdout": 0.2}, stratify="y", seed="7")
    split(Job(desk.root))
    proof = desk.result("proof.json")
    assert proof["disjoint"] is proof["complete"] is True
    assert proof["recombined_digest"] == proof["content_digest"] == content_digest(table)
    labels = pq.read_table(desk.root / "output/data/assignment.parquet").column("part").to_pylist()
    for name, facts in proof["parts"].items():
        folder = desk.root / "output/data" / name
        rows = [row for row, label in enumerate(labels) if label == name]
        assert content_digest(read_snapshot(folder)) == content_digest(table.take(rows)) == facts["content_digest"]
        assert json.loads((folder / "manifest.json").read_bytes())["target"] == "y"
        assert sum(facts["classes"].values()) == facts["rows"] == len(rows)


def test_equal_rows_in_different_parts_are_counted(bench: Callable[[str], Bench]) -> None:
    """Copies of one row that fall into different parts are a finding, also when only an identifier tells them apart."""
    table = pa.table({"id": range(100), "x": [1] * 60 + list(range(2, 42)), "y": [0, 1] * 50})
    desk = bench("split")
    desk.channel("data", snapshot(table))
    desk.given(fractions={"a": 0.5, "b": 0.5}, seed=1)
    split(Job(desk.root))
    proof = desk.result("proof.json")
    assert proof["equal_rows_in_different_parts"] == {
        "rows": 0, "without_unique_columns": 60, "unique_columns": ["id"]
    }  # fmt: skip
    assert [finding["code"] for finding in proof["findings"]] == ["equal_rows_in_different_parts"]


@pytest.mark.parametrize("damage", ["swap", "lose", "change"])
def test_a_false_proof_cannot_be_made(damage: str, bench: Callable[[str], Bench]) -> None:
    """Parts that are swapped, lack a row or hold a changed value do not prove."""
    table = credit(50)
    chosen = assign(50, check_shares({"a": 0.5, "b": 0.5}), 3)
    desk = bench("split")
    parts = [table.filter(pa.array(chosen == number)) for number in (0, 1)]
    if damage == "swap":
        parts.reverse()
    elif damage == "lose":
        parts[0] = parts[0].slice(1)
    else:
        parts[0] = parts[0].set_column(1, "x", pa.array([9] * len(parts[0])))
    folders = []
    for name, part in zip("ab", parts, strict=True):
        desk.channel(name, snapshot(part))
        folders.append(desk.root / "input/data" / name)
    with pytest.raises(IntegrityError) as refused:
        prove(table, folders, chosen)
    assert refused.value.code == "MUNI-D533"


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"stratify": "z"}, "MUNI-D172"),
        ({"stratify": "id"}, "MUNI-D176"),
        ({"stratify": "y", "group": "x"}, "MUNI-D174"),
        ({"fractions": {"../x": 0.5, "b": 0.5}}, "MUNI-D175"),
        ({"fractions": {"a": 0.9999, "b": "0.0001"}}, "MUNI-D173"),
        ({"seed": "x"}, "MUNI-D131"),
    ],
)
def test_a_split_that_cannot_be_is_refused(given_: dict[str, object], code: str, bench: Callable[[str], Bench]) -> None:
    """Absent columns, too many classes, contradictions, names that are paths, empty parts: each has its code."""
    desk = bench("split")
    desk.channel("data", snapshot(credit()))
    desk.given(**({"fractions": {"a": 0.5, "b": 0.5}} | given_))
    with pytest.raises(Invalid) as refused:
        split(Job(desk.root))
    assert refused.value.code == code
