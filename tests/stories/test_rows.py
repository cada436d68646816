"""A holdout that comes back as another file: its lineage does not tell, its rows do; on every engine, in real jobs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from muniment.errors import Denied, Invalid, MunimentError, NotFound
from muniment.sdk.client import Client
from muniment.testing.platform import OTHER, PROJECT, People, Site, furnish
from muniment.wire import rows as wire
from muniment.wire.data import AddDataset
from muniment.wire.execution import ListRuns
from muniment.wire.vault import RotateKey
from working import World

pytestmark = pytest.mark.slow

COLUMNS = ("id", "amount", "age", "day", "name", "bad")


def people_of(first: int, last: int) -> list[dict[str, Any]]:
    """Customers by number, always the same."""
    return [
        {
            "id": number,
            "amount": round(number * 37.41 % 5000, 2),
            "age": 18 + number * 7 % 60,
            "day": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}",
            "name": f"Kunde {number % 9}" if number % 5 else None,
            "bad": int(number % 3 == 0),
        }
        for number in range(first, last)
    ]


def as_csv(rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """A CSV with its columns in this order."""
    lines = [",".join(columns)]
    lines += [",".join("" if row[name] is None else str(row[name]) for name in columns) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def as_json_lines(rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """JSON lines with numbers of the holdout as floats."""
    return b"".join(
        json.dumps({name: float(row[name]) if name == "id" else row[name] for name in columns}).encode() + b"\n"
        for row in rows
    )


KNOWN, HOLDOUT = people_of(0, 80), people_of(100, 140)


@dataclass(frozen=True)
class Bank:
    """A platform with what is known, what is held out, and who asks."""

    people: People
    client: Client
    world: World

    def add(self, name: str, content: bytes, filename: str) -> str:
        """Ingest a file; the reference of the snapshot."""
        request = AddDataset(project=PROJECT, name=name, filename=filename, target="bad")
        run = self.world.done(self.people.ask("scientist", request, content).run)
        assert run.status == "ok", run.error
        return f"data:{name}"

    def train(self, data: str, experiment: str) -> str:
        """A model of a snapshot."""
        run = self.client.train("logistic_regression", data, experiment=experiment, drop=("name", "day"))
        return str(run.products["model"])

    def runs(self, kind: str) -> int:
        """How many runs of a kind there are."""
        return len(self.people.ask("scientist", ListRuns(project=PROJECT, kind=kind, limit=1000)).runs)


@pytest.fixture
def bank(each_site: Site) -> Iterator[Bank]:
    """Two data sets, of the same columns and of other origin."""
    platform = each_site.open()
    try:
        people = People(platform, each_site.tokens)
        furnish(people)
        client = Client(platform.transport(each_site.tokens["scientist"]), project=PROJECT, worker=platform.work_until)
        opened = Bank(people, client, World(platform, people, client))
        opened.add("known", as_csv(KNOWN), "known.csv")
        opened.add("holdout", as_csv(HOLDOUT), "holdout.csv")
        yield opened
    finally:
        platform.close()


def test_rows_of_a_holdout_are_found_in_whatever_file_they_come_back(bank: Bank) -> None:
    """Shuffled, turned around, retyped and mixed with others: counted exactly; and where there is none, zero."""
    mixed = KNOWN[:55] + HOLDOUT[:25]
    random.Random(1).shuffle(mixed)
    columns = tuple(reversed(COLUMNS))
    copy = bank.add("bureau", as_json_lines(mixed, columns), "bureau.jsonl")
    honest, cheating = bank.train("data:known", "honest"), bank.train(copy, "cheating")

    lineage = bank.client.prove_unused("holdout", cheating)
    assert (lineage.verdict, lineage.grade) == ("unused", "proven"), "by descent alone the copy is a stranger"

    absent = bank.client.data.prove_rows_unused("holdout", honest)
    assert (absent.verdict, absent.unused, absent.grade) == ("rows-unused", True, "proven")
    assert (absent.reply.rows, absent.reply.found, absent.reply.repeated) == (40, 0, 0)
    assert {(one.label, one.by, one.whole) for one in absent.reply.inputs} == {
        ("data:known@1", "names", True),
        ("data:known@1", "values", True),
    }

    present = bank.client.data.prove_rows_unused("holdout", cheating, keys=["id"])
    assert (present.verdict, present.unused, present.grade) == ("rows-used", False, "proven")
    assert (present.reply.found, present.reply.keys) == (25, ["id"])
    assert {one.by: (one.found, one.found_once) for one in present.reply.inputs} == {
        "keys": (25, 25), "names": (25, 25), "values": (25, 25)
    }  # fmt: skip
    assert "25" in repr(present)
    assert "rows-used" in present._repr_html_()

    again = bank.client.ask(
        "data:ShowRowProof", wire.ShowRowProof(project=PROJECT, run=present.reply.run), wire.RowProof
    )
    assert again.checkpoint.size > present.reply.checkpoint.size
    assert (again.verdict, again.inputs, again.scope) == (present.verdict, present.reply.inputs, present.reply.scope)


def test_what_was_fingerprinted_is_not_fingerprinted_again(bank: Bank) -> None:
    """Also after the project's key was rotated; other columns are another view, and are made once too."""
    first = bank.client.data.overlap("known", "holdout")
    assert (first.shared, first.document["rows_a"], first.document["rows_b"]) == (0, 80, 40)
    assert bank.runs("fingerprint") == 2
    bank.people.ask("admin", RotateKey(project=PROJECT))
    assert bank.client.data.overlap("holdout", "known").shared == 0
    assert bank.client.data.overlap("known", "known").shared == 80
    assert bank.runs("fingerprint") == 2
    by_name = bank.client.data.overlap("known", "holdout", keys=["name"])
    assert (by_name.document["a_in_b"], by_name.document["left_out_a"], by_name.document["left_out_b"]) == (64, 16, 8)
    assert bank.runs("fingerprint") == 4
    assert bank.client.data.overlap("holdout", "known", keys=["name"]).document["b_in_a"] == 64
    assert bank.runs("fingerprint") == 4


def test_columns_that_were_renamed_left_out_or_added(bank: Bank) -> None:
    """Renamed columns are found by values; fewer columns make the answer unclear; keys may be called otherwise."""
    names = {"id": "nr", "amount": "betrag", "age": "alter", "day": "tag", "name": "wer", "bad": "bad"}
    renamed = [{names[name]: value for name, value in row.items()} for row in HOLDOUT]
    bank.add("renamed", as_csv(renamed, tuple(names.values())), "renamed.csv")
    assert bank.client.data.overlap("holdout", "renamed", ignore_names=True).shared == 40
    assert bank.client.data.overlap("holdout", "renamed", keys=["id=nr"]).shared == 40
    partly = bank.client.data.overlap("holdout", "renamed")
    assert (partly.partial, partly.document["columns"], partly.document["only_a_columns"]) == (True, 1, 5)

    fewer = bank.add("fewer", as_csv(HOLDOUT[:10], ("amount", "age", "bad")), "fewer.csv")
    run = bank.client.train("logistic_regression", fewer, experiment="fewer")
    unclear = bank.client.data.prove_rows_unused("holdout", run.products["model"])
    assert (unclear.verdict, unclear.unused, unclear.grade) == ("rows-unclear", False, "declared")
    (search,) = unclear.reply.inputs
    assert (search.found, search.found_once, search.missing) == (10, 10, ["id", "day", "name"])

    run = bank.client.train("logistic_regression", "renamed", experiment="renamed", drop=("wer", "tag"))
    found = bank.client.data.prove_rows_unused("holdout", run.products["model"])
    assert (found.verdict, found.reply.found) == ("rows-used", 40)


def test_what_cannot_be_searched_is_named(bank: Bank) -> None:
    """A script that carries rows away as an artifact leaves a trace that lowers the answer, or gives it away."""
    part = "/opt/ml/input/data/train/part-00000.parquet"
    code = f"import shutil; shutil.copy('{part}', '/opt/ml/output/data/rows.parquet')"
    carried = bank.world.script(code, inputs={"train": "data:holdout"}, experiment="carry")
    assert carried.status == "ok", carried.error
    artifact = next(one.reference for one in carried.products if one.kind == "artifact")
    code = "import pathlib; pathlib.Path('/opt/ml/model/weights.json').write_text('{}')"
    learnt = bank.world.script(code, inputs={"train": artifact}, experiment="learn", name="learnt")
    assert learnt.status == "ok", learnt.error
    other = bank.client.data.prove_rows_unused("known", "learnt")
    assert (other.verdict, other.grade) == ("rows-unused", "declared")
    assert [(one.kind, one.why) for one in other.reply.unsearched] == [
        ("artifact", "a job read this artifact directly, and only snapshots have fingerprints")
    ]
    assert other.reply.weakest is not None
    assert bank.client.data.prove_rows_unused("holdout", "learnt").reply.found == 40


def test_two_versions_differ_as_they_do(bank: Bank) -> None:
    """The next version of a data set: rows added, removed and changed by key, and the column that moved first."""
    later = [{**row, "amount": row["amount"] + 9000} if row["id"] < 30 else row for row in KNOWN[10:]]
    bank.add("known", as_csv(later + HOLDOUT[:5], tuple(reversed(COLUMNS))), "later.csv")
    found = bank.client.data.diff("known@1", "known@2", keys=["id"])
    assert {name: found.rows[name] for name in ("added", "removed", "changed", "unchanged")} == {
        "added": 5, "removed": 10, "changed": 20, "unchanged": 50
    }  # fmt: skip
    assert found.columns[0]["name"] == "amount"
    assert found.columns[0]["changed"] == 20
    assert "PSI" in found._repr_html_()


def test_bad_questions_are_refused_with_their_reason(bank: Bank) -> None:
    """Unknown columns, nothing in common, no snapshot, no search, other projects: refused, and nothing runs."""
    bank.add("stranger", b"bad,z\n1,2\n0,3\n", "z.csv")
    model = bank.train("data:known", "m")
    before = bank.runs("fingerprint"), bank.runs("overlap"), bank.runs("difference")
    trained = bank.people.ask("scientist", ListRuns(project=PROJECT, kind="train", limit=1)).runs[0].run

    def compare(**given: Any) -> wire.CompareRows:
        return wire.CompareRows(**{"project": PROJECT, "a": "data:known", "b": "data:holdout", **given})

    def prove(reference: str) -> wire.ProveRowsUnused:
        return wire.ProveRowsUnused(project=PROJECT, reference=reference, model=model)

    refused: list[tuple[Any, type[MunimentError], str]] = [
        (compare(keys=["nope"]), Invalid, "MUNI-O115"),
        (compare(keys=["id", "id"]), Invalid, "MUNI-O116"),
        (compare(keys=["id"], ignore_names=True), Invalid, "MUNI-O118"),
        (compare(b="data:stranger", ignore_names=True), Invalid, "MUNI-O119"),
        (compare(a="data:nobody"), NotFound, "MUNI-C203"),
        (compare(a=model), Invalid, "MUNI-K110"),
        (wire.DiffDatasets(project=PROJECT, a="data:known", b="data:stranger", keys=["id"]), Invalid, "MUNI-O115"),
        (prove(model), Invalid, "MUNI-O117"),
        (wire.ShowRowProof(project=PROJECT, run=trained), Invalid, "MUNI-O122"),
    ]
    for request, kind, code in refused:
        with pytest.raises(kind) as said:
            bank.people.ask("scientist", request)
        assert said.value.code == code, request
    for person, request in (
        ("outsider", compare()),
        ("newcomer", prove("data:holdout")),
        ("auditor", compare()),
        ("outsider", wire.CompareRows(project=OTHER, a="data:known", b="data:holdout")),
    ):
        with pytest.raises((Denied, NotFound)):
            bank.people.ask(person, request)
    assert (bank.runs("fingerprint"), bank.runs("overlap"), bank.runs("difference")) == before
    waiting = bank.people.ask("validator", prove("data:holdout")).waiting
    assert len(waiting) == 2
    assert bank.people.ask("scientist", prove("data:holdout")).waiting == waiting, (
        "what is under way is not begun again"
    )
