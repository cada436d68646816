"""Runs side by side: what differs in code and data, as text and as a page, whatever strangers put into their trees."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from muniment.errors import Invalid
from muniment.execution.differing import differences, files_of_tree
from muniment.sdk.comparisons import Comparison, page
from muniment.sdk.drawings import bars, history, lines, parallel
from muniment.wire.execution import CodeDifference, ComparisonRow, Curve, DataDifference, FileDifference
from muniment.wire.execution import Comparison as Reply


def tree(**files: bytes) -> bytes:
    """A tar of files, ``a__b_DOT_py`` for ``a/b.py``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            header = tarfile.TarInfo(name.replace("__", "/").replace("_DOT_", "."))
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def test_a_change_is_shown_as_diff_shows_it(tmp_path: Path) -> None:
    """Hunks, numbers and lines are those of ``diff -u``, for files that begin and end alike."""
    before = [f"line {number}" for number in range(60)]
    after = [*before[:10], "new", *before[10:40], *before[42:55], "other", *before[56:]]
    texts = ["\n".join(side) + "\n" for side in (before, after)]
    found, more = differences(*(files_of_tree(tree(a_DOT_py=text.encode())) for text in texts))
    for name, text in zip("ab", texts, strict=True):
        (tmp_path / name).write_text(text)
    told = subprocess.run(["diff", "-u", "a", "b"], cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert (more, [one.path for one in found]) == (0, ["a.py"])
    assert list(found[0].lines) == told.splitlines()[2:]


def test_files_that_came_or_went_are_named() -> None:
    """A new file is shown whole; equal ones are left out; a binary or large one is named and not shown."""
    before = files_of_tree(tree(same=b"x\n", gone=b"a\n", image=b"\0\1", large=b"x" * (600 << 10)))
    after = files_of_tree(tree(same=b"x\n", new=b"b\n", image=b"\0\2", large=b"y" * (600 << 10), crlf=b""))
    found = {one.path: one for one in differences(before, after)[0]}
    assert sorted(found) == ["crlf", "gone", "image", "large", "new"]
    assert (found["new"].change, found["new"].lines) == ("added", ("@@ -0,0 +1,1 @@", "+b"))
    assert (found["gone"].change, found["gone"].lines) == ("removed", ("@@ -1,1 +0,0 @@", "-a"))
    assert "no text" in found["image"].note
    assert "not compared by lines" in found["large"].note


def test_what_differs_too_much_is_not_compared_for_ever() -> None:
    """Trees that are made to keep the comparison busy are given up within seconds, and what is left is counted."""
    hard = [f"{number % 9}\n" for number in range(1_400)]
    sides = [{f"f{n}": "".join(hard[shift:]).encode() for n in range(150)} for shift in (0, 3)]
    start = time.monotonic()
    found, more = differences(*sides)
    assert time.monotonic() - start < 20
    assert (len(found), more) == (100, 50)
    longer = ({"a": b"x\n" * 5_000}, {"a": b"y\n" * 5_000})
    assert "too many to be shown" in differences(*longer)[0][0].note


@pytest.mark.parametrize("broken", [b"not a tar", b"\x1f\x8b" + b"0" * 600, tree(a=b"x" * 4000)[:700]])
def test_what_is_no_tree_is_refused(broken: bytes) -> None:
    """A stranger's bytes are read within bounds, and what is no plain tar is said to be none."""
    with pytest.raises(Invalid) as refused:
        files_of_tree(broken)
    assert refused.value.code == "MUNI-X162"


REPLY = Reply(
    runs=["run:01m8c460bjn1ahwm7xfx2g3r0p", "run:01m8c46c2y0eztqj6pvpa21qt4"],
    rows=[
        ComparisonRow(section="parameter", name="<b>eta", values=[0.1, 0.2], differs=True),
        ComparisonRow(section="environment", name="env", values=["e", "e"], differs=False),
    ],
    curves=[Curve(metric="loss", points=[[[0.0, 1.0], [1.0, 0.5]], [[0.0, 1.0]]])],
    code=[
        CodeDifference(
            run=1,
            files=[
                FileDifference(path="a.py", change="changed", lines=["@@ -1,1 +1,1 @@", "-<script>", "+\x1b[31m"]),
                FileDifference(path="b.bin", change="added", note="no text"),
            ],
            more=2,
        )
    ],
    data=[
        DataDifference(
            channel="train",
            run=1,
            references=["data:a@1", "data:a@2"],
            rows=[10, 12],
            added=["x"],
            retyped=["y: a became b"],
        )
    ],
)


def test_a_comparison_shows_itself_and_nothing_acts() -> None:
    """Text, page and notebook have code, data and curves; nothing from outside stands unescaped or moves a cursor."""
    found = Comparison(REPLY)
    text = found.code_diff()
    assert "--- a.py" in text
    assert "# added: b.bin" in text
    assert "# and 2 more files" in text
    assert "\x1b" not in text + repr(found)
    html = page(found)
    assert html == page(found)
    for word in ("<script>", "<b>eta", "\x1b"):
        assert word not in html
    for word in ("&lt;script&gt;", "10 became 12", "y: a became b", "muni data diff", "data:image/svg+xml"):
        assert word in html
    assert found.curves == {"loss": {"1: …fx2g3r0p": [(0.0, 1.0), (1.0, 0.5)], "2: …vpa21qt4": [(0.0, 1.0)]}}


def test_drawings_are_made_of_any_values_and_repeat() -> None:
    """One point, equal points, infinite ones and strange names are drawn; nothing to draw is nothing."""
    trials = [
        {"number": n, "phase": phase, "value": value, "params": {"d": n, "c": "ab"[n % 2]}}
        for n, (phase, value) in enumerate([("done", 0.5), ("pruned", 0.1), ("done", 0.5), ("failed", None)])
    ]
    space = {"d": {"kind": "int", "low": 0, "high": 5}, "c": {"kind": "choice", "choices": ["a", "b"]}}
    for maximise in (True, False):
        one = history(trials, "<auc>", maximise=maximise)
        assert one == history(trials, "<auc>", maximise=maximise)
        assert "<auc>" not in one
        assert parallel(trials, space, "auc", maximise=maximise).count("<polyline") == 2
    assert history([], "auc", maximise=True) == parallel(trials[:1], space, "auc", maximise=True) == ""
    assert lines({"a": [(0, float("nan"))]}, "loss") == bars({"a": None}, "x") == ""
    assert lines({"a": [(0, 1.0)], "b": [(0, 1.0), (5, float("inf")), (9, 2.0)]}, "loss").count("<polyline") == 2
