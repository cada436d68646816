"""Files from strangers: each is accepted exactly, flagged, or refused at the right place; never anything in between."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from hostile import Case, Verdict, cases

from conftest import Bench
from muniment.errors import Invalid
from muniment.programs.contract import Job
from muniment.programs.ingest import ingest

Benches = Callable[[str], Bench]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_each_file_gets_its_verdict(case: Case, bench: Benches) -> None:
    """Verdict, code, place and values are those that the generator states."""
    desk = bench("job")
    desk.channel("file", {"source": case.content})
    desk.given(**case.given)
    if case.verdict is Verdict.REJECT:
        with pytest.raises(Invalid) as refused:
            ingest(Job(desk.root))
        assert (refused.value.code, refused.value.message) == (case.code, refused.value.message)
        assert {name: refused.value.facts.get(name) for name in case.facts} == case.facts
        assert refused.value.facts["do"]
        assert not (desk.root / "output/data/manifest.json").exists()
        return
    ingest(Job(desk.root))
    manifest, report = desk.result("manifest.json"), desk.result("report.json")
    findings = {finding["code"]: finding["facts"] for finding in report["findings"]}
    if case.verdict is Verdict.FLAG:
        assert {name: findings[case.code].get(name) for name in case.facts} == case.facts
    else:
        assert findings == {}
    if case.values is not None:
        table = pq.read_table(desk.root / "output/data/snapshot/part-00000.parquet", page_checksum_verification=True)
        assert same(table.to_pydict(), case.values)
        assert manifest["rows"] == table.num_rows


def same(found: dict[str, list[Any]], wanted: dict[str, list[Any]]) -> bool:
    """Equal values of equal types; 0.0 and -0.0 differ."""
    return list(found) == list(wanted) and all(
        [(type(v), v, math.copysign(1, v) if isinstance(v, float) else 0) for v in found[name]]
        == [(type(v), v, math.copysign(1, v) if isinstance(v, float) else 0) for v in wanted[name]]
        for name in wanted
    )


def test_the_next_file_is_fine_and_memory_stays_bounded(bench: Benches) -> None:
    """After every refusal the same process reads a good file, and all of them together stay below one gibibyte."""
    for number, case in enumerate(case for case in cases(1) if case.verdict is Verdict.REJECT):
        desk = bench(f"job{number}")
        desk.channel("file", {"source": case.content})
        desk.given(**case.given)
        with pytest.raises(Invalid):
            ingest(Job(desk.root))
    desk = bench("good")
    desk.channel("file", {"source": b"a,y\n1,0\n2,1\n"})
    desk.given(target="y")
    ingest(Job(desk.root))
    assert desk.result("manifest.json")["rows"] == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2**20
