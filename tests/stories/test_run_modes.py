"""What people have already: notebooks, scripts that parse their arguments, functions in a notebook, R where it is."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from muniment.errors import MunimentError
from muniment.sdk.client import Client
from muniment.testing.platform import Site
from muniment.wire.execution import GetLog, JobLimits, RunDetail, RunScript
from muniment.wire.tracking import ListArtifacts
from working import World, working

pytestmark = pytest.mark.slow

ROWS = "".join(f"{n % 13},{n % 7},{int(n % 7 > 3)}\n" for n in range(300))
CELLS = (
    ("parameters", "depth = 2"),
    ("", "import os\nprint('rows=%d' % 300)\nprint('depth', depth)"),
    ("", "import muniment\nmuniment.log(answer=42)\nopen('/opt/ml/model/m.txt', 'w').write('tree\\nversion=v4\\n')"),
    (
        "",
        "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80))\nexcept OSError:\n    print('walled=1')",
    ),
)


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose jobs run, with one data set."""
    with working(site, tmp_path_factory.mktemp("modes")) as opened:
        assert opened.add(f"a,b,y\n{ROWS}".encode(), name="credit", target="y").status == "ok"
        yield opened


def notebook(*cells: tuple[str, str], language: str = "python") -> bytes:
    """A notebook of tagged cells."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "metadata": {"tags": [tag]} if tag else {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, (tag, source) in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "any", "display_name": "any", "language": language}}
    return json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}).encode()


def run(world: World, file: str, content: bytes, **given: Any) -> RunDetail:
    """Run one file as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(file)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    request = RunScript(project="main", entry=file, **{"limits": JobLimits(wall_s=60), **given})
    return world.done(world.people.ask("scientist", request, out.getvalue()).run)


def test_a_notebook_is_a_hermetic_job(world: World) -> None:
    """Cells run in order behind the walls; the tagged parameter is set; what they print and report is there."""
    shown = run(world, "study.ipynb", notebook(*CELLS), params={"depth": 5}, inputs={"train": "data:credit"}, name="nb")
    assert shown.status == "ok", shown.error
    assert (shown.grade, shown.metrics) == ("proven", {"answer": 42.0, "rows": 300.0, "walled": 1.0})
    assert [product.kind for product in shown.products] == ["model", "artifact"]
    text = world.people.ask("scientist", GetLog(project="main", run=shown.run)).text
    assert "depth 5" in text
    kept = world.people.ask("scientist", ListArtifacts(project="main", run=shown.run)).artifacts
    assert [one.path for one in kept if one.path.endswith(".ipynb")]


def test_a_cell_that_fails_is_named_and_nothing_more(world: World) -> None:
    """Type and cell leave the sandbox, the message stays in the sealed log; the results so far are kept for nobody."""
    bad = notebook(("", "secret = 'tiger-4711'"), ("", "raise KeyError(secret)"), ("", "print('never')"))
    shown = run(world, "bad.ipynb", bad)
    assert (shown.status, shown.error and shown.error["code"]) == ("failed", "MUNI-N130")
    assert "KeyError" in shown.error["message"]
    assert shown.error["facts"]["where"] == "cell 2"
    assert "tiger" not in json.dumps(shown.error)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "MUNI-N128"),
        (b'{"cells": 5}', "MUNI-N128"),
        (notebook(("", "x <- 1"), language="R"), "MUNI-N129"),
        (notebook(("", "import os; os._exit(3)")), "MUNI-N130"),
    ],
    ids=["cut", "no notebook", "another language", "dead kernel"],
)
def test_what_is_no_notebook_is_told(world: World, content: bytes, code: str) -> None:
    """A file that is none, one of another language, a kernel that dies: each with a code, and the run has failed."""
    shown = run(world, "odd.ipynb", content)
    assert (shown.status, shown.error and shown.error["code"]) == ("failed", code)


def test_arguments_and_variables_come_as_scripts_know_them(world: World) -> None:
    """``argparse``, ``SM_HP_*`` and ``SM_CHANNEL_*`` say the same."""
    script = (
        "import argparse, os\n"
        "p = argparse.ArgumentParser()\n"
        "p.add_argument('--depth', type=int)\np.add_argument('--name')\np.add_argument('--flag', action='store_true')\n"
        "a = p.parse_args()\n"
        "assert os.environ['SM_HP_DEPTH'] == '4' and os.path.isdir(os.environ['SM_CHANNEL_TRAIN'])\n"
        "print('depth=%d' % a.depth)\nprint('named=%d' % (a.name == 'x y'))\nprint('flag=%d' % a.flag)\n"
    )
    shown = run(
        world,
        "main.py",
        script.encode(),
        params={"depth": 4, "name": "x y"},
        arguments=["--flag"],
        inputs={"train": "data:credit"},
    )
    assert (shown.status, shown.metrics) == ("ok", {"depth": 4.0, "named": 1.0, "flag": 1.0})


def test_without_r_an_r_script_is_told_so(world: World) -> None:
    """The shipped environment holds no R; the refusal names what to do."""
    shown = run(world, "study.R", b"cat('rows=1\\n')\n")
    assert (shown.status, shown.error and shown.error["code"]) == ("failed", "MUNI-N131")


def grown(depth: int = 3) -> dict[str, float]:
    """A function of a notebook."""
    parts = sorted(Path("/opt/ml/input/data/train").glob("*.parquet"))
    return {"parts": len(parts), "depth": depth, "half": depth * HALF}


def test_a_marked_function_runs_as_a_job(world: World) -> None:
    """Its source and what it names travel; the result is reported; the same call again is answered from the record."""
    grown.__module__ = "__main__"
    door = world.platform.transport(world.people.tokens["scientist"])
    client = Client(door, project="main", worker=world.platform.work_until)
    job = client.job(inputs={"train": "data:credit"}, experiment="marked", seed=3)(grown)
    first = job(lambda shown: None, depth=6)
    assert (first.detail.metrics, first.detail.grade) == ({"parts": 1.0, "depth": 6.0, "half": 3.0}, "proven")
    assert first.detail.params == {"depth": 6}
    again = job.submit(depth=6)
    assert (again.answered, again.reference) == (True, first.reference)
    with pytest.raises(MunimentError):
        job.submit(deph=6)


HALF = 0.5

from pathlib import Path  # noqa: E402 - what the function names
