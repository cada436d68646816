"""Bad files and bad questions, end to end: a clear refusal with a stable code, and nothing of them left anywhere.

What the parser makes of each hostile byte is tested beside it (``tests/programs``). Here the whole platform is asked:
the refusal names the line or column, stands in the ledger, and leaves no data set, no plaintext and no process behind.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from muniment.errors import MunimentError
from muniment.testing.platform import PROJECT, Site
from muniment.wire.data import AddDataset, SplitDataset
from muniment.wire.execution import JobLimits, RunScript, TrainModel
from working import World, working

pytestmark = pytest.mark.slow

SECRET = "Kunigunde-Muenzenberger-4711"
"""Stands in every bad file: where it is found again afterwards, plaintext has leaked."""


@dataclass(frozen=True)
class Bad:
    """A file that is refused."""

    name: str
    content: bytes
    code: str
    facts: dict[str, Any] = field(default_factory=dict)
    """What the refusal must say, to the letter."""

    target: str | None = None
    columns: dict[str, str] = field(default_factory=dict)


def rows(*lines: str) -> bytes:
    """A CSV of these lines with the secret in its first row."""
    return "\n".join([lines[0], *lines[1:]]).replace("@", SECRET).encode() + b"\n"


BAD = [
    Bad("empty", b"", "MUNI-D101"),
    Bad("header only", b"who,n\n", "MUNI-D102"),
    Bad("ragged, too few", rows("who,n", "@,1", "@"), "MUNI-D103", {"line": 3, "expected": 2, "found": 1}),
    Bad("ragged, too many", rows("who,n", "@,1", "@,1,2"), "MUNI-D103", {"line": 3, "expected": 2, "found": 3}),
    Bad("duplicate column", rows("who,who", "@,1"), "MUNI-D107", {"column": "who", "positions": [1, 2]}),
    Bad("latin-1", rows("who,n", "@,1", "Zürich,2").decode().encode("latin-1"), "MUNI-D108", {"line": 3}),
    Bad("utf-16", rows("who,n", "@,1").decode().encode("utf-16"), "MUNI-D110", {"found": "UTF-16"}),
    Bad("nul", rows("who,n", "@,1", "x\0y,2"), "MUNI-D109", {"line": 3}),
    Bad("huge integer", rows("who,n", "@,1", f"x,{2**63}"), "MUNI-D155", {"line": 3, "column": "n"}),
    Bad("mixed type", rows("who,n", "@,1", "x,@"), "MUNI-D156", {"line": 3, "column": "n"}, columns={"n": "int64"}),
    Bad("quote within", rows("who,n", "@,1", 'x"@,2'), "MUNI-D111", {"line": 3}),
    Bad(
        "thousands of columns",
        (",".join(f"c{n}" for n in range(5000)) + "\n" + ",".join([SECRET] * 5000) + "\n").encode(),
        "MUNI-D128",
        {"found": 5000},
    ),
    Bad(
        "compressed bomb", gzip.compress(rows("who,n", "@,1") + b"x,1\n" * (16 << 20)), "MUNI-D152",
        {"setting": "max_ratio"},
    ),
    Bad("compressed and cut off", gzip.compress(rows("who,n", "@,1"))[:-9], "MUNI-D153"),
    Bad("corrupt parquet", b"PAR1" + SECRET.encode() * 50 + b"\x15\0" * 16 + b"\x20\0\0\0PAR1", "MUNI-D127"),
    Bad("half-written parquet", b"PAR1" + SECRET.encode() * 50, "MUNI-D127"),
    Bad("half-written line", b"who,n,m\n" + SECRET.encode() + b",1,2\nx,", "MUNI-D103", {"line": 3, "found": 2}),
    Bad("half-written quote", f'who,n\n{SECRET},1\n"x'.encode(), "MUNI-D112", {"line": 3}),
    Bad("target absent", rows("who,n", "@,1", "x,0"), "MUNI-D159", {"target": "y"}, target="y"),
    Bad("target constant", rows("who,y", "@,1", "x,1"), "MUNI-D160", {"target": "y"}, target="y"),
    Bad("target mostly missing", rows("who,y", "@,1", "x,", "z,", "w,0", "v,"), "MUNI-D137", {"rows": 5}, target="y"),
]  # fmt: skip
GOOD = b"who,n,y\n" + b"".join(b"a%d,%d,%d\n" % (n, n * 7 % 13, n % 2) for n in range(200))


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run."""
    with working(site, tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture(scope="module")
def good(world: World) -> str:
    """A data set that can be trained on."""
    run = world.add(GOOD, name="good", target="y")
    assert run.status == "ok", run.error
    return "data:good@1"


def descendants() -> set[int]:
    """Processes that descend from this one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def in_clear(folder: Path, *needles: bytes) -> list[Path]:
    """Files under a folder that hold one of these."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_and_leaves_nothing(world: World, bad: Bad) -> None:
    """A stable code, the line or column, an entry in the ledger; no data set, no process, no byte in clear."""
    known, processes = world.known(), descendants()
    run = world.add(bad.content, target=bad.target, columns=bad.columns)
    assert run.status == "failed", run
    assert run.error is not None
    assert run.error["code"] == bad.code, run.error
    assert {name: run.error["facts"].get(name) for name in bad.facts} == bad.facts
    assert run.products == []
    assert world.known() == known
    assert descendants() <= processes
    assert in_clear(world.platform.home, SECRET.encode(), SECRET.encode("utf-16-le")) == []
    end = world.end_of(run.run)
    assert (end["status"], end["error"], end["generated"]) == ("failed", bad.code, [])


def test_a_byte_order_mark_is_read_and_remarked(world: World) -> None:
    """The one oddity that loses nothing: it is taken off, and the data set says so."""
    run = world.add(b"\xef\xbb\xbf" + GOOD, name="marked")
    assert run.status == "ok", run.error
    assert [finding["code"] for finding in world.client.data.get("marked").detail.findings] == ["byte_order_mark"]


def test_a_wider_file_is_read_where_its_sender_says_so(world: World) -> None:
    """The limit that a refusal names can be raised for one file, and counts for no other."""
    wide = b"\n".join(b",".join(b"%s%d" % (prefix, at) for at in range(2_001)) for prefix in (b"c", b"1", b"2"))
    assert world.add(wide, name="wide").error["code"] == "MUNI-D128"
    run = world.add(wide, name="wide", bounds={"columns": 2_001})
    assert run.status == "ok", run.error
    assert len(world.client.data.get("wide").detail.columns) == 2_001


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "../up"}, "MUNI-K106"),
        ({"name": "/etc/passwd"}, "MUNI-K106"),
        ({"name": "a/b"}, "MUNI-K106"),
        ({"name": "x\n"}, "MUNI-K106"),
        ({"name": "x" * 129}, "MUNI-K106"),
        ({"name": ""}, "MUNI-K106"),
        ({"format": "pickle"}, "MUNI-D145"),
        ({"classification": "top"}, "MUNI-D145"),
        ({"bounds": {"colums": 3000}}, "MUNI-D145"),
        ({"bounds": {"columns": 0}}, "MUNI-J192"),
        ({"limits": JobLimits(memory_mb=0)}, "MUNI-X110"),
        ({"limits": JobLimits(wall_s=10**9)}, "MUNI-X110"),
    ],
)
def test_an_upload_under_a_bad_name_is_refused_before_it_is_kept(
    world: World, given: dict[str, Any], code: str
) -> None:
    """The refusal comes at once, is in the ledger, and the sealed bytes are gone again."""
    objects = world.objects()
    request = AddDataset(**{"project": PROJECT, "name": "bad", "filename": "bad.csv", **given})
    with pytest.raises(MunimentError) as refused:
        world.people.ask("scientist", request, rows("who,n", "@,1"))
    assert refused.value.code == code
    assert world.entries(refused.value.facts["entry"])[0]["code"] == code
    assert world.objects() == objects


@pytest.mark.parametrize("filename", ["../../../etc/cron.d/x", "/etc/passwd", "a\x1b[2Jb", "\u202efdp.csv", "x" * 5000])
def test_the_name_of_a_file_is_only_ever_shown(world: World, filename: str) -> None:
    """Whatever a file is called, it is kept sealed under a keyed name, and the home holds no file called like it."""
    content = GOOD + b"x,%d,1\n" % len(filename)
    run = world.add(content, name="named", filename=filename)
    assert run.status == "ok", run.error
    assert world.client.data.get("named").detail.facts["filename"] == filename[:200]
    assert not any(filename[:200] in str(path) for path in world.platform.home.rglob("*"))
    assert in_clear(world.platform.home, content[:40]) == []


def test_a_body_that_breaks_off_leaves_nothing(world: World) -> None:
    """An upload that ends in the middle is no upload."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "the disk of the sender broke")
            return super().read(7)

    objects = world.objects()
    with pytest.raises(MunimentError) as refused:
        world.people.ask("scientist", AddDataset(project=PROJECT, name="bad", filename="b"), Broken(GOOD))
    assert refused.value.code == "MUNI-V109"
    assert world.objects() == objects


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"algorithm": "magic"}, "MUNI-X106"),
        ({"target": "absent"}, "MUNI-X108"),
        ({"drop": ["absent"]}, "MUNI-X108"),
        ({"data": "data:absent"}, "MUNI-C203"),
        ({"experiment": "../x"}, "MUNI-X124"),
        ({"params": {"max_depth": -1}}, "MUNI-D132"),
        ({"params": {"eta": 2.0}}, "MUNI-D132"),
        ({"params": {"eta": "fast"}}, "MUNI-D131"),
        ({"params": {"max_dept": 3}}, "MUNI-D130"),
        ({"limits": JobLimits(processes=-1)}, "MUNI-X110"),
    ],
)
def test_a_bad_question_is_refused_before_anything_runs(
    world: World, good: str, asked: dict[str, Any], code: str
) -> None:
    """No run enters the queue, and the refusal is in the ledger."""
    request = {"project": PROJECT, "experiment": "bad", "data": good, "algorithm": "xgboost", **asked}
    with pytest.raises(MunimentError) as refused:
        world.people.ask("scientist", TrainModel(**request))
    assert refused.value.code == code
    assert world.entries(refused.value.facts["entry"])[0]["code"] == code
    assert world.people.work() == 0


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"params": {"p": "a\0b"}}, "MUNI-X114"),
        ({"params": {"p": "x" * 200_000}}, "MUNI-X125"),
        ({"arguments": ["a\0b"]}, "MUNI-X125"),
        ({"seed": 2**80}, "MUNI-K102"),
    ],
)
def test_what_no_process_can_take_is_refused_and_stops_no_worker(
    world: World, given: dict[str, Any], code: str
) -> None:
    """A zero byte or a megabyte of parameters: that request is refused, nothing waits, and the next run is done."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("main.py"), io.BytesIO())
    with pytest.raises(MunimentError) as refused:
        world.people.ask("scientist", RunScript(project=PROJECT, entry="main.py", **given), tree.getvalue())
    assert refused.value.code == code
    assert world.people.work() == 0
    run = world.done(world.people.ask("scientist", RunScript(project=PROJECT, entry="main.py"), tree.getvalue()).run)
    assert run.status == "ok", run.error


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"parts": {"train": 0.6, "test": 0.6}}, "MUNI-D142"),
        ({"parts": {"train": 1.0}}, "MUNI-D141"),
        ({"parts": {"train": 1.5, "test": -0.5}}, "MUNI-D141"),
        ({"parts": {"../train": 0.5, "test": 0.5}}, "MUNI-D140"),
        ({"parts": {"train": 0.5, "test": 0.5}, "stratify": "absent"}, "MUNI-D143"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(world: World, good: str, asked: dict[str, Any], code: str) -> None:
    """Shares, names and columns are checked before anything runs."""
    with pytest.raises(MunimentError) as refused:
        world.people.ask("scientist", SplitDataset(project=PROJECT, dataset=good, **asked))
    assert refused.value.code == code
    assert world.people.work() == 0
