"""However a client is killed and its requests are lost, the server has each record exactly once, in order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from laws import examples
from muniment.errors import Conflict, Unavailable
from muniment.sdk.courses import chart, spark, svg
from muniment.sdk.sending import Sender
from muniment.sdk.spool import Spool, leftovers
from muniment.tracking.series import thin
from muniment.tracking.showing import _Row
from muniment.wire import tracking as wire


class Server:
    """Keeps streams by the rules of the platform; loses requests and answers as a list of fates says."""

    project = "main"

    def __init__(self, fates: list[str]) -> None:
        self.fates = fates
        self.kept: list[tuple[str, Any]] = []
        self.upto = 0
        self.ended = 0

    def ask(self, action: str, request: Any, reply: Any, body: BinaryIO | None = None) -> Any:
        """Answer, or lose the request before or the answer after it was acted on."""
        fate = self.fates.pop() if self.fates else "ok"
        if fate == "lost":
            raise Unavailable("MUNI-A502", "no answer")
        answer = self._act(action, request, body)
        if fate == "unanswered":
            raise Unavailable("MUNI-A502", "no answer")
        return answer

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Nothing is downloaded here."""
        raise AssertionError

    def start(self, action: str, request: msgspec.Struct, body: BinaryIO | None = None) -> Any:
        """Nothing is started here."""
        raise AssertionError

    def attend(self, job: Any, watch: Any) -> None:
        """Nothing is waited for here."""

    def sign(self, statement: str) -> str:
        """Nothing is signed here."""
        raise AssertionError

    def _act(self, action: str, request: Any, body: BinaryIO | None) -> Any:
        if action == "tracking:StartRun":
            return wire.TrackedRun(run="run:x", experiment="e", trial=None, status="running")
        if action == "tracking:EndRun":
            self.ended += 1
            return wire.TrackedRun(run="run:x", experiment="e", trial=None, status=request.status)
        told: list[tuple[str, Any]]
        if action == "tracking:LogMetrics":
            request = msgspec.json.decode(msgspec.json.encode(request), type=wire.LogMetrics)
            told = [("m", (point.name, point.value, point.step)) for point in request.metrics]
        elif action == "tracking:LogArtifact":
            assert body is not None
            told = [("a", (request.path, body.read()))]
        else:
            told = [("p", request.params)]
        if request.seq > self.upto + 1:
            raise Conflict("MUNI-R301", "records are missing", upto=self.upto)
        fresh = told[max(0, self.upto - request.seq + 1) :]
        self.kept += fresh
        self.upto = max(self.upto, request.seq + len(told) - 1)
        return wire.Logged(run="run:x", taken=len(fresh), upto=self.upto)


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.just("m"), st.sampled_from("ab"), st.integers(0, 9)),
        st.tuples(st.just("p"), st.sampled_from("xyz"), st.integers(0, 9)),
        st.tuples(st.just("a"), st.sampled_from("fg"), st.binary(max_size=9)),
    ),
    max_size=25,
)
FATES = st.lists(st.sampled_from(["ok", "lost", "unanswered", "ok"]), max_size=40)


def write(spool: Spool, records: list[tuple[Any, ...]]) -> list[tuple[str, Any]]:
    """Append the records to the file; what the server must have in the end."""
    expected: list[tuple[str, Any]] = []
    for kind, name, value in records:
        if kind == "m":
            spool.append(msgspec.json.encode(["m", name, value, 1, 2]) + b"\n")
            expected.append(("m", (name, float(value), 1)))
        elif kind == "p":
            spool.append(msgspec.json.encode(["p", {name: value}]) + b"\n")
            expected.append(("p", {name: value}))
        else:
            spool.append(msgspec.json.encode(["a", name, spool.keep_bytes(value), None]) + b"\n")
            expected.append(("a", (name, value)))
    return expected


@settings(max_examples=examples(150), deadline=None)
@given(
    records=RECORDS,
    fates=FATES,
    kills=st.lists(st.integers(0, 6), max_size=6),
    torn=st.binary(max_size=12).map(lambda tail: tail.replace(b"\n", b" ")),
)
def test_each_record_is_kept_once(
    records: list[tuple[Any, ...]], fates: list[str], kills: list[int], torn: bytes
) -> None:
    """Any interleaving of lost requests, lost answers, killed senders and a torn last line: once each, in order."""
    root = Path(tempfile.mkdtemp(prefix="muni-spool-"))
    try:
        spool: Spool | None = Spool.create(root / "k", {"experiment": "e", "key": "k"})
        assert spool is not None
        expected = write(spool, records)
        spool.append(torn)  # as a process leaves it that is killed in the middle of a line
        server = Server(fates)
        for pushes in kills:
            sender = Sender(server, spool)
            for _ in range(pushes):
                try:
                    sender.push()
                except Unavailable:
                    continue
            spool.close()  # killed: the next process begins with the file alone
            spool = Spool.open(root / "k")
            assert spool is not None
        spool.close()
        while (spool := Spool.open(root / "k")) is not None:
            try:
                Sender(server, spool).drain()
            except Unavailable:
                spool.close()
                continue
            spool.remove()
        assert server.kept == expected
        assert server.ended >= 1
        assert list(leftovers(root)) == []
    finally:
        shutil.rmtree(root, ignore_errors=True)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.one_of(st.none(), NUMBERS), max_size=300), st.integers(8, 60))
def test_thinning_keeps_what_matters(values: list[float | None], most: int) -> None:
    """A thinned series is in order, not longer than asked, and keeps its ends, its lowest and its highest value."""
    rows = [_Row(at + 1, at, value, "", None) for at, value in enumerate(values)]
    kept = thin(rows, most)
    assert len(kept) <= max(most, 1) or len(values) <= most
    assert [row.position for row in kept] == sorted({row.position for row in kept})
    if rows:
        assert (kept[0], kept[-1]) == (rows[0], rows[-1])
        finite = [row.number for row in rows if row.number is not None and abs(row.number) < float("inf")]
        if finite:
            numbers = [row.number for row in kept]
            assert min(finite) in numbers
            assert max(finite) in numbers


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1).map(float), NUMBERS), max_size=60), st.booleans())
def test_any_series_can_be_drawn(points: list[tuple[float, float]], plain: bool) -> None:
    """Whatever was measured is drawn within its bounds, in a terminal and as SVG, and never raises."""
    lines = chart(points, width=30, height=6, plain=plain)
    assert len(lines) <= 8
    assert all(len(line) <= 13 + 30 + 60 for line in lines)
    assert len(spark([value for _, value in points], 20, plain=plain)) == min(20, len(points))
    assert svg(points, "<&>").startswith("<svg")
