"""Files from strangers: each is accepted exactly, flagged, or refused at the right place; never anything in between."""

from __future__ import annotations

import math
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import Case, Verdict, cases, ipc, parquet

from conftest import Bench
from muniment.errors import Invalid
from muniment.programs.arrow_files import read_arrow
from muniment.programs.contract import Job
from muniment.programs.ingest import ingest
from muniment.programs.sources import Limits, Source

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


@pytest.mark.parametrize("files", [{}, {"a": b"a,b\n1,2\n", "b": b"a,b\n1,2\n"}])
def test_exactly_one_file_is_read(files: dict[str, bytes], bench: Benches) -> None:
    """No file, or more than one, is refused before anything is parsed."""
    desk = bench("job")
    desk.channel("file", files)
    with pytest.raises(Invalid) as refused:
        ingest(Job(desk.root))
    assert refused.value.code == ("MUNI-D113" if files else "MUNI-D134")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "arrow file", "arrow stream"])
def test_damaged_columnar_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    """Three hundred files with bytes changed or cut off: each is read or refused with a code; nothing else happens."""
    table = pa.table({"a": list(range(500)), "b": [f"x{n % 7}" for n in range(500)], "c": [n / 3 for n in range(500)]})
    whole = parquet(table) if kind == "parquet" else ipc(table, stream=kind == "arrow stream")
    refusals = 0
    for seed in range(300):
        chance, damaged = random.Random(seed), bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 20])):
            damaged[chance.randrange(0 if chance.random() < 0.5 else len(whole) - 900, len(whole))] = chance.randrange(
                256
            )
        path = tmp_path / "source"
        path.write_bytes(damaged[: chance.randrange(8, len(whole))] if chance.random() < 0.1 else damaged)
        try:
            source = Source(path, Limits())
            if (found := source.format()) in ("parquet", "arrow"):
                read_arrow(source, found, lambda schema: lambda table: None)
        except Invalid as refused:
            refusals += refused.code.startswith("MUNI-D1")
    assert refusals > 50
