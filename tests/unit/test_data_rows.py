"""What is compared, what a plan says of keys, and what counts come to: without any job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asking import furnish_catalog
from muniment.data.rows.proving import judged
from muniment.data.rows.views import by_keys, by_names, by_values, over_names, read_keys
from muniment.errors import Invalid
from muniment.execution.model import ResolvedJob, Run
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.kernel.digest import Digest
from muniment.testing.engine import EmptyWorkshop, PlayedEngine
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import People, Site
from muniment.wire.catalog import Checkpoint
from muniment.wire.execution import RunScript, ShowRun
from muniment.wire.ledger import LedgerEntries, SearchEntries
from muniment.wire.rows import CompareRows, DiffDatasets, FingerprintDataset, RowSearch

HERE = Checkpoint(size=1, root="sha256:" + "0" * 64)


def test_a_view_is_written_as_shortly_as_it_can_be() -> None:
    """It stands in a plan, which has little room: ten thousand columns less one are one name."""
    columns = [f"c{number}" for number in range(10_000)]
    assert over_names(columns, columns) == {"by": "names"}
    assert over_names(columns[1:], columns) == {"by": "names", "except": ["c0"]}
    assert over_names(["c2", "c1"], columns) == {"by": "names", "columns": ["c1", "c2"]}


def test_the_order_in_which_keys_are_named_says_nothing() -> None:
    """Fingerprints over the same keys are found again; the pairs stay together."""
    assert by_keys([("b", "y"), ("a", "z")]) == by_keys([("a", "z"), ("b", "y")])
    assert by_keys([("b", "y"), ("a", "z")]).view_b["columns"] == ["z", "y"]


def test_what_is_compared_follows_from_the_columns() -> None:
    """Common names are compared and the rest is told; by values only where the numbers of columns are equal."""
    found = by_names(["a", "b", "c"], ["c", "a", "d"])
    assert found is not None
    assert (found.columns, found.only_a, found.only_b, found.whole) == (2, ("b",), ("d",), False)
    assert by_names(["a"], ["b"]) is None
    assert by_values(["a"], ["b"]) is not None
    assert by_values(["a"], ["b", "c"]) is by_values([], []) is None


def test_keys_may_be_called_otherwise_and_may_hold_an_equals_sign() -> None:
    """A column that is there goes before a pair; of several ways to cut a text the one that names columns is taken."""
    assert read_keys(["a", "b=x"], ["a", "b"], ["a", "x"]) == [("a", "a"), ("b", "x")]
    assert read_keys(["a=b"], ["a=b", "a"], ["a=b", "b"]) == [("a=b", "a=b")]
    assert read_keys(["p=q=r"], ["p=q"], ["r"]) == [("p=q", "r")]
    for keys, code in ((["z"], "MUNI-O115"), (["a=z"], "MUNI-O115"), (["a", "a"], "MUNI-O116")):
        with pytest.raises(Invalid) as refused:
            read_keys(keys, ["a", "b"], ["a", "x"])
        assert refused.value.code == code


def plan(**given: Any) -> ResolvedJob:
    """A plan of today's form."""
    some = Digest.of(b"x")
    return ResolvedJob(
        **{
            "kind": "fingerprint",
            "program": "p",
            "code": some,
            "source": None,
            "entry": None,
            "inputs": {"data": some},
            "params": {},
            "arguments": (),
            "env": some,
            "base": some,
            "seed": 0,
            "limits": {"memory_mb": 64},
        }
        | given
    )


def test_a_plan_without_keys_is_the_plan_it_always_was() -> None:
    """Plans of older runs keep their digests; a plan that names a key is another plan, and is read back as it was."""
    bare, keyed = plan(), plan(keys={"rows": "rows-1-00"})
    assert "keys" not in bare.document()
    assert ResolvedJob.parse(bare.document()) == bare
    assert ResolvedJob.parse(keyed.document()) == keyed
    assert keyed.digest != bare.digest


def search(**given: Any) -> RowSearch:
    """A look into an input that found nothing."""
    usual = {
        "input": "sha256:1", "label": "data:x@1", "by": "names", "columns": 3, "whole": True, "rows": 10, "found": 0,
        "found_once": 0, "distinct": 4, "missing": [], "grade": "proven",
    }  # fmt: skip
    return RowSearch(**{**usual, **given})


def verdict(*searches: RowSearch, walls: bool = True, **asked: Any) -> Any:
    """What these looks come to."""
    question = {
        "reference": "data:h@1", "reference_digest": "sha256:2", "rows": 5, "model": "model:m@1",
        "model_digest": "sha256:3", "keys": [], "objects": "unused", "grade": "proven", "weakest": None, "entities": 3,
        "activities": 2, "sources": 0, "unsearched": [],
    }  # fmt: skip
    run = Run(
        id="01", project="main", kind="overlap", label="", experiment=None, name=None, requested_by="User:a",
        created_at="", plan=Digest.of(b""), job={"params": {}}, asked={}, facts={},
        result={"enforcement": {"complete": walls}},
    )  # fmt: skip
    return judged(run, {**question, **asked}, searches, HERE)


def test_nothing_found_is_as_good_as_the_weakest_of_all_that_it_rests_on() -> None:
    """The closure, each fingerprint and the count itself can each lower an absence."""
    assert (verdict(search()).verdict, verdict(search()).unused, verdict(search()).grade) == (
        "rows-unused", True, "proven"
    )  # fmt: skip
    for weaker in (
        verdict(search(), grade="declared"),
        verdict(search(grade="declared")),
        verdict(search(), walls=False),
        verdict(search(), search(grade="attested"), grade="declared"),
    ):
        assert (weaker.unused, weaker.grade) == (True, "declared")
    assert verdict(search(grade="attested")).grade == "attested"
    assert verdict(search()).repeated == 1


def test_rows_over_all_columns_were_used_and_over_some_perhaps() -> None:
    """A whole match decides, on its own evidence; a partial one proves nothing, and is not taken for absence."""
    used = verdict(search(found=2), search(grade="declared"), grade="declared")
    assert (used.verdict, used.unused, used.found, used.grade, used.weakest) == ("rows-used", False, 2, "proven", None)
    some = verdict(search(), search(whole=False, found=3, missing=["id"]))
    assert (some.verdict, some.unused, some.found, some.grade) == ("rows-unclear", False, 3, "declared")
    assert verdict(search(found=1), search(whole=False, found=3)).found == 1
    assert verdict(search(by="values", found=1)).verdict == "rows-used"


def test_what_lies_before_a_proven_split_is_named_and_not_searched() -> None:
    """Whoever reads the answer learns which snapshots hold the rows by nature, and how many jobs read them whole."""
    scope = verdict(search(), apart={"labels": ["data:credit@1"], "mixing": 2}).scope
    assert "a part proven disjoint: data:credit@1." in scope
    assert "such as a mean (such jobs: 2)" in scope
    assert "disjoint" not in verdict(search()).scope


def test_what_could_not_be_searched_stands_in_the_scope() -> None:
    """The answer names it, and says so in words."""
    missing = {"digest": "sha256:4", "label": "x", "kind": "artifact", "why": "because"}
    told = verdict(search(), unsearched=[missing], grade="declared", weakest="x: because")
    assert [one.why for one in told.unsearched] == ["because"]
    assert "1 other inputs could not be searched" in told.scope
    assert told.weakest == "x: because"


class Stage:
    """A platform whose jobs leave nothing, and what they were given."""

    def __init__(self, site: Site) -> None:
        self.engine = PlayedEngine(self._play)
        self.platform = site.open(clock=FakeClock(datetime.now(UTC)), engine=self.engine, workshop=EmptyWorkshop())
        self.people = People(self.platform, site.tokens)

    @staticmethod
    def _play(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        return ExitStatus.OK


@pytest.fixture
def stage(site: Site, tmp_path: Path) -> Iterator[Stage]:
    """A stage with a snapshot."""
    opened = Stage(site.copy(tmp_path / "site"))
    furnish_catalog(opened.people)
    opened.people.work()
    opened.engine.launched.clear()
    yield opened
    opened.platform.close()


def test_the_key_reaches_the_job_and_nothing_else(stage: Stage) -> None:
    """It lies in the sandbox as a file; plan, run, ledger, database and environment know its name alone."""
    asked = stage.people.ask("scientist", FingerprintDataset(project="main", dataset="data:credit"))
    stage.people.work()
    (launch,) = stage.engine.launched
    (key,) = [one for one in launch.files if one.path == "/opt/ml/input/config/keys/rows"]
    assert len(key.content) == 32
    shown = stage.people.ask("scientist", ShowRun(project="main", run=asked.run))
    name = shown.job["keys"]["rows"]
    assert name.startswith("rows-1-")
    assert shown.error["code"] == "MUNI-X137", "what the job did not leave is not taken for fingerprints"
    told: LedgerEntries = stage.people.ask("auditor", SearchEntries(text=asked.run.removeprefix("run:"), limit=100))
    secrets = (key.content.hex(), str(key.content), repr(key.content))
    for text in (repr(shown), repr(told), repr(launch.environment), repr(launch)):
        assert not any(secret in text for secret in secrets)
    files = [path for path in stage.platform.home.rglob("*") if path.is_file()]
    assert not any(key.content in path.read_bytes() for path in files)


def test_a_script_is_never_lent_a_key(stage: Stage) -> None:
    """Whoever could read the key could look for rows by trying them."""
    script = RunScript(project="main", entry="t.py", experiment="e", inputs={"train": "data:credit"})
    stage.people.ask("scientist", script, b"tar")
    stage.people.work()
    (launch,) = stage.engine.launched
    assert not any("keys" in one.path for one in launch.files)


def test_asking_twice_begins_nothing_twice(stage: Stage) -> None:
    """Both sides may be the same snapshot, and what is under way is waited for, whoever asked for it."""
    request = CompareRows(project="main", a="data:credit", b="data:credit")
    first = stage.people.ask("scientist", request)
    assert (first.run, len(first.waiting)) == (None, 1)
    assert stage.people.ask("validator", request).waiting == first.waiting
    one = stage.people.ask("scientist", FingerprintDataset(project="main", dataset="data:credit"))
    assert [one.run] == first.waiting


def test_a_difference_is_told_by_columns_of_one_name(stage: Stage) -> None:
    """A key that the other snapshot calls otherwise is refused there, and not quietly read as the first name."""
    request = DiffDatasets(project="main", a="data:credit", b="data:credit", keys=["age=age"])
    with pytest.raises(Invalid) as refused:
        stage.people.ask("scientist", request)
    assert refused.value.code == "MUNI-O115"
