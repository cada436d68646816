"""What the worker does with whatever a job does: the run ends, the worker goes on, and nothing is left lying about."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from msgspec.structs import replace

from asking import furnish_catalog
from muniment.bootstrap import Parts, Platform, open_platform
from muniment.errors import Conflict, IntegrityError, Invalid, Unavailable
from muniment.execution.ports import ExitStatus, Launch, Sink, Strength
from muniment.execution.queue import RunQueue
from muniment.kernel.identifiers import format_time
from muniment.ledger.model import Search
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import People, Site
from muniment.wire.catalog import GetEntity, GetLineage
from muniment.wire.execution import (
    CancelRun,
    GetLog,
    ListRuns,
    ReproduceModel,
    RunDetail,
    RunScript,
    ShowRun,
    TrainModel,
)
from muniment.wire.inventory import ListModels, ShowModel

TRAIN = TrainModel(project="main", experiment="e", data="data:credit", algorithm="xgboost", target="age")
SCRIPT = RunScript(project="main", entry="train.py", inputs={"train": "data:credit"}, params={"depth": 3})
Play = Callable[[Launch, Sink, threading.Event], ExitStatus]


class Stage:
    """A platform whose jobs are played."""

    def __init__(self, place: Site, play: Play, strength: Strength = Strength.ENFORCED) -> None:
        self.clock, self.play = FakeClock(datetime.now(UTC)), play
        self.engine = PlayedEngine(self._act, strength=strength)
        self.platform: Platform = place.open(clock=self.clock, engine=self.engine, workshop=EmptyWorkshop())
        self.people = People(self.platform, place.tokens)
        furnish_catalog(self.people)
        self.people.work()
        self.before = self.platform.vault.fsck()

    def _act(self, launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        return self.play(launch, sink, cancel)

    def run(self, request: Any = SCRIPT, play: Play | None = None) -> RunDetail:
        """Submit, work, and show what came of it."""
        self.play = play or self.play
        self.clock.advance(seconds=1)
        if hasattr(request, "fresh"):
            request = replace(request, fresh=True)
        started = self.people.ask("scientist", request, b"tar" if isinstance(request, RunScript) else None)
        self.people.work()
        return self.show(started.run)

    def show(self, run: str) -> RunDetail:
        """A run in full."""
        shown: RunDetail = self.people.ask("scientist", ShowRun(project="main", run=run))
        return shown

    def entry(self, run: str) -> Any:
        """What the ledger says of the end of a run."""
        found = self.platform.ledger.search(
            Search(type="muniment.execution.run.ended.v1", text=run.removeprefix("run:"))
        )
        return found[0].event["data"] if found else None

    @property
    def orphans(self) -> int:
        """Stored bytes that no record names."""
        checked = self.platform.vault.fsck(deep=True)
        assert checked.sound
        return len(checked.findings)


def nothing(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """Do nothing, and fail."""
    return ExitStatus.FAILED


def leaving(**outputs: bytes) -> Play:
    """A play that leaves these outputs; ``__`` stands for a slash, ``_DOT_`` for a dot."""

    def play(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        for name, content in outputs.items():
            leave(sink, name.replace("__", "/").replace("_DOT_", "."), content)
        return ExitStatus.OK

    return play


@pytest.fixture(scope="module")
def theatre(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for plays that do not mind what was played before."""
    made = Stage(site.copy(tmp_path_factory.mktemp("theatre")), nothing)
    yield made
    made.platform.close()


@pytest.fixture
def stage(site: Site, tmp_path: Path) -> Iterator[Stage]:
    """A stage on which the play is chosen later."""
    made = Stage(site.copy(tmp_path / "site"), nothing)
    yield made
    made.platform.close()


def test_a_good_end_is_recorded_with_everything(stage: Stage) -> None:
    """A script's model becomes a version with lineage; log, metrics and the record's digest stand in the run."""

    def train(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        sink.log("α=1\nauc=0.5\nnot a metric = at all\n  loss = 1e-3 \nauc=0.75".encode())
        sink.metric(b'{"name":"own","value":"NaN","step":3}')
        leave(sink, "model/model.txt", b"tree\nversion=v4")
        leave(sink, "output/data/extra.txt", b"extra")
        return ExitStatus.OK

    shown = stage.run(play=train)
    assert (shown.status, shown.grade, shown.error) == ("ok", "proven", None)
    assert shown.metrics == {"auc": 0.75, "loss": 0.001}
    assert [product.role for product in shown.products] == ["model", "output"]
    assert shown.products[0].reference == "model:scripts-train@1"
    assert stage.people.ask("scientist", GetLog(project="main", run=shown.run)).text.startswith("α=1\nauc=0.5")
    assert stage.entry(shown.run)["facts"]["status"] == "ok"
    used = stage.people.ask("scientist", GetLineage(project="main", reference="model:scripts-train", picture=False))
    assert {"data:credit@1"} <= {node.label for node in used.nodes}
    assert stage.orphans == 0
    launched = stage.engine.launched[-1]
    assert launched.environment["SM_CHANNEL_TRAIN"] == "/opt/ml/input/data/train"
    assert launched.environment["SM_HP_DEPTH"] == "3"


@pytest.mark.parametrize("status", [s for s in ExitStatus if s is not ExitStatus.OK])
def test_a_bad_end_leaves_no_product_and_no_bytes(theatre: Stage, status: ExitStatus) -> None:
    """However a job ends badly: an error with a code, nothing registered, and its outputs are dropped."""

    def fail(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        sink.log(b"so far so good\n")
        leave(sink, "model/model.txt", b"tree\nversion=v4")
        return status

    shown = theatre.run(play=fail)
    assert (shown.status, shown.products) == (status.value, [])
    assert shown.error is not None
    assert shown.error["code"].startswith("MUNI-X13")
    assert theatre.people.ask("scientist", ListModels(project="main")).models[0].model == "model:scorer@1"
    assert theatre.entry(shown.run)["facts"]["status"] == status.value
    assert theatre.orphans == 0


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("model__model_DOT_pkl", b"\x80\x04\x95\x10", "pickle"),
        ("model__weights_DOT_txt", b"\x80\x05K\x01.", "pickle"),
        ("output__data__model_DOT_bin", b"cos\nsystem\n(S'true'\ntR.", "pickle"),
        ("model__m_DOT_npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order'", "numpy"),
        ("model__k_DOT_h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "HDF5"),
    ],
)
def test_files_that_run_code_are_refused_with_advice(theatre: Stage, name: str, content: bytes, word: str) -> None:
    """A model that would run code when opened fails the run, by its content, wherever it lies, and says what to do."""
    shown = theatre.run(play=leaving(**{name: content, "model__fine_DOT_txt": b"tree\nversion=v4"}))
    assert (shown.status, shown.products) == ("failed", [])
    assert shown.error is not None
    assert shown.error["code"] == "MUNI-D187"
    assert word in shown.error["message"]
    assert shown.error["facts"]["do"]
    assert theatre.orphans == 0


DEEP = b'{"a":' * 3000 + b"1" + b"}" * 3000


@pytest.mark.slow
@pytest.mark.parametrize(
    "outputs",
    [
        {"model__model_DOT_json": b'{"algorithm":"xgboost","features":5}'},
        {"model__model_DOT_json": b'{"algorithm":{"a":[1,2,{}]},"target":7,"classes":"x"}'},
        {"model__model_DOT_json": b'{"algorithm":NaN,"target":1e999}'},
        {"model__model_DOT_json": b'{"algorithm":123456789012345678901234567890}'},
        {"model__model_DOT_json": b'{"algorithm":"\\ud800"}'},
        {"model__model_DOT_json": b'{"algorithm":"' + b"x" * (2 << 20) + b'"}'},
        {"model__model_DOT_json": DEEP},
        {"model__model_DOT_json": b"[1,2]"},
        {"model__model_DOT_json": b"\xff\xfe"},
        {"model__model_DOT_json": b""},
        {},
        {"output__data__report_DOT_json": b"[1,2,3]"},
        {"output__data__report_DOT_json": DEEP},
        {"output__data__report_DOT_json": b"not json"},
        {"output__failure": b'{"code":"MUNI-V508","message":"the vault is broken","facts":{}}'},
    ],
    ids=lambda outputs: next(iter(outputs.values()), b"nothing")[:24].decode("latin-1"),
)
@pytest.mark.parametrize("request_", [SCRIPT, TRAIN], ids=["script", "train"])
def test_whatever_a_job_writes_the_run_ends_and_can_be_shown(
    theatre: Stage, request_: Any, outputs: dict[str, bytes]
) -> None:
    """Documents with the wrong shape, depth, size or numbers end the run one way or the other; every reader works."""
    shown = theatre.run(request_, leaving(**outputs, model__weights_DOT_txt=b"tree\nversion=v4"))
    assert shown.status in ("ok", "failed")
    assert (shown.error is None) == (shown.status == "ok")
    assert theatre.entry(shown.run) is not None
    assert theatre.people.ask("scientist", ListRuns(project="main")).runs[0].run == shown.run
    for product in shown.products:
        if product.kind == "model":
            model = theatre.people.ask("scientist", ShowModel(project="main", model=product.reference))
            if isinstance(request_, RunScript):
                assert (model.algorithm, model.facts.keys()) == ("script train.py", set())
    assert theatre.orphans == 0
    assert theatre.run(play=leaving(model__m_DOT_txt=b"tree\nversion=v4")).status == "ok"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b'{"code":"MUNI-D166","message":"the script failed","facts":{"where":"train.py:3"}}', "MUNI-D166"),
        (b'{"code":"MUNI-V508","message":"the vault is broken","facts":{}}', "MUNI-X136"),
        (b'{"code":"MUNI-D166","message":5}', "MUNI-X136"),
        (b'{"code":"MUNI-D166","message":"m","facts":{"n":123456789012345678901}}', "MUNI-X136"),
        (b"secret text of a container", "MUNI-X136"),
        (DEEP, "MUNI-X136"),
    ],
    ids=["own", "forged", "no text", "no number", "text", "deep"],
)
def test_a_script_speaks_for_itself_only(theatre: Stage, document: bytes, code: str) -> None:
    """A failure document counts in the wrapper's own codes; a forged or unreadable one does not, and is not kept."""

    def fail(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        leave(sink, "output/failure", document)
        return ExitStatus.FAILED

    shown = theatre.run(play=fail)
    assert shown.error is not None
    assert shown.error["code"] == code
    assert "secret" not in json.dumps(shown.error)


def test_strange_metrics_are_left_out(stage: Stage) -> None:
    """Names with control characters, endless names, absurd steps and what is no number are no metrics; others stay."""

    def report(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        for line in (
            b'{"name":"a\\u0000b","value":1}',
            b'{"name":"' + b"n" * 300 + b'","value":1}',
            b'{"name":"step","value":1,"step":99999999999999999999}',
            b'{"name":"big","value":1e999}',
            b'{"name":"text","value":"many"}',
            b'{"name":"inf","value":"Infinity"}',
            b"[" * 100_000,
            b"\xff",
            b'{"name":"good","value":2,"step":4}',
        ):
            sink.metric(line)
        leave(sink, "model/m.txt", b"tree\nversion=v4")
        return ExitStatus.OK

    shown = stage.run(play=report)
    assert (shown.status, shown.metrics) == ("ok", {"good": 2.0})


@pytest.mark.slow
def test_a_log_is_read_in_parts_without_cutting_characters(stage: Stage) -> None:
    """Parts of a log join to the whole, whatever byte they begin at; what cannot be shown is made visible."""
    text = "süß €uro \x1b[31mred\x00 " * 100_000

    def talk(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        sink.log(text.encode() + "€".encode()[:2])
        return ExitStatus.FAILED

    shown = stage.run(play=talk)
    offset, parts = 0, []
    while (
        part := stage.people.ask("scientist", GetLog(project="main", run=shown.run, offset=offset))
    ).next_offset > offset:
        parts.append(part.text)
        offset = part.next_offset
    assert offset == shown.log_bytes
    assert "".join(parts) == text.replace("\x1b", "\\x1b").replace("\x00", "\\x00") + "\N{REPLACEMENT CHARACTER}"
    assert stage.people.ask("scientist", GetLog(project="main", run=shown.run, offset=2**62)).text == ""


def test_an_engine_that_breaks_ends_the_run_only(stage: Stage) -> None:
    """An unexpected exception ends the run as failed, without its text, and the worker takes the next run."""

    def fall(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        leave(sink, "model/m.txt", b"tree\nversion=v4")
        raise KeyError("customer 4711")

    shown = stage.run(play=fall)
    assert shown.status == "failed"
    assert "4711" not in json.dumps(shown.error)
    assert stage.orphans == 0
    assert stage.run(play=leaving(model__m_DOT_txt=b"tree\nversion=v4")).status == "ok"


def test_an_engine_that_does_not_answer_is_asked_again(stage: Stage) -> None:
    """While an engine is unavailable the run waits a little; after the third time it ends with the reason."""

    def away(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        raise Unavailable("MUNI-B521", "no room for another job")

    shown = stage.run(play=away)
    assert (shown.status, shown.attempt) == ("running", 1)
    assert stage.people.work() == 0
    stage.clock.advance(seconds=6)
    stage.people.work()
    stage.clock.advance(seconds=6)
    stage.people.work()
    shown = stage.show(shown.run)
    assert (shown.status, shown.attempt) == ("failed", 3)
    assert shown.error is not None
    assert "MUNI-B521" in shown.error["facts"]["reason"]


def test_what_a_lost_lease_brings_is_not_taken(stage: Stage) -> None:
    """A worker that lost its lease in the middle can record, log and measure no more; the new owner's word counts."""
    seen: dict[str, Any] = {}

    def slow(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        sink.log(b"first worker\n")
        sink.metric(b'{"name":"auc","value":1}')
        leave(sink, "model/m.txt", b"tree\nversion=of the first")
        if not seen:
            seen["at"] = stage.clock.now()
            stage.clock.advance(seconds=60)
            with stage.platform.store.write() as session:
                now = format_time(stage.clock.now())
                until = format_time(seen["at"].replace(year=2200))
                taken = session.use(RunQueue).lease("another", now, until, 3)
            assert taken is not None
        return ExitStatus.OK

    shown = stage.run(play=slow)
    assert (shown.status, shown.attempt, shown.products, shown.metrics) == ("running", 2, [], {})
    assert stage.entry(shown.run) is None
    assert stage.orphans == 0


def test_a_second_attempt_begins_from_nothing(stage: Stage) -> None:
    """What an abandoned attempt had logged and measured does not mix with the next one's."""
    attempts = iter((1, 2))

    def twice(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        attempt = next(attempts)
        sink.log(b"attempt %d\n" % attempt)
        sink.metric(b'{"name":"only.%d","value":1}' % attempt)
        leave(sink, "model/m.txt", b"tree\nversion=v4")
        if attempt == 1:
            sink.flush()  # type: ignore[attr-defined]
            raise Unavailable("MUNI-B521", "gone in the middle")
        return ExitStatus.OK

    shown = stage.run(play=twice)
    assert shown.metrics == {"only.1": 1.0}
    stage.clock.advance(seconds=10)
    stage.people.work()
    shown = stage.show(shown.run)
    assert (shown.status, shown.attempt, shown.metrics) == ("ok", 2, {"only.2": 1.0})
    assert stage.people.ask("scientist", GetLog(project="main", run=shown.run)).text == "attempt 2\n"


def test_a_running_job_is_cancelled(stage: Stage) -> None:
    """The wish to cancel reaches the job; the run ends as cancelled; an ended run cannot be cancelled."""

    def patient(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        run = launch.name.rpartition("-")[2]
        assert stage.people.ask("scientist", CancelRun(project="main", run=run)).status == "running"
        assert cancel.wait(30)
        return ExitStatus.CANCELLED

    shown = stage.run(play=patient)
    assert (shown.status, shown.error and shown.error["code"]) == ("cancelled", "MUNI-X134")
    with pytest.raises(Conflict):
        stage.people.ask("scientist", CancelRun(project="main", run=shown.run))


def test_a_stop_hands_the_run_back(stage: Stage) -> None:
    """A worker that is told to stop abandons its job, and the next one begins the run again at once."""
    stop = threading.Event()

    def interrupted(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        stop.set()
        assert cancel.wait(30)
        leave(sink, "model/m.txt", b"tree\nversion=v4")
        return ExitStatus.CANCELLED

    stage.play = interrupted
    stage.clock.advance(seconds=1)
    started = stage.people.ask("scientist", SCRIPT, b"tar")
    assert stage.platform.worker.run_one(stop)
    assert stage.show(started.run).status == "running"
    stage.play = leaving(model__m_DOT_txt=b"tree\nversion=v4")
    assert stage.people.work() == 1
    shown = stage.show(started.run)
    assert (shown.status, shown.attempt) == ("ok", 2)
    assert stage.orphans == 0


def test_a_lost_run_shows_why(stage: Stage) -> None:
    """A run whose workers vanished three times is lost, visible with its attempts, and no worker takes it."""
    stage.clock.advance(seconds=1)
    started = stage.people.ask("scientist", SCRIPT, b"tar")
    for _ in range(3):
        with stage.platform.store.write() as session:
            now = format_time(stage.clock.now())
            assert session.use(RunQueue).lease("ghost", now, now, 3) is not None
        stage.clock.advance(seconds=1)
    stage.people.work()
    shown = stage.show(started.run)
    assert shown.status == "lost"
    assert shown.error is not None
    assert (shown.error["code"], shown.error["facts"]["attempts"]) == ("MUNI-X502", 3)
    assert stage.people.ask("scientist", ListRuns(project="main")).runs[0].error == shown.error


def test_without_walls_everything_is_declared(site: Site, tmp_path: Path) -> None:
    """What ran where walls were missing is recorded as declared, and the run says so."""
    stage = Stage(site.copy(tmp_path / "site"), nothing, Strength.NOT_ENFORCED)
    shown = stage.run(play=leaving(model__m_DOT_txt=b"tree\nversion=v4"))
    assert (shown.status, shown.grade) == ("ok", "declared")
    model = stage.people.ask("scientist", GetEntity(project="main", reference=shown.products[0].reference))
    assert model.grade == "declared"
    stage.platform.close()


def training(weights: bytes, *, essence: str = "e1", probe: str = "p1", processor: str = "cpu", seed: int = 0) -> Play:
    """A play that trains, with a report as the platform's own program writes it."""
    report = {
        "seed": seed,
        "threads": 1,
        "model": {"canonical_digest": essence},
        "probe": {"digest": probe},
        "environment": {"processor": {"model": processor}, "libraries": {"xgboost": "3"}, "thread_pools": []},
    }
    return leaving(
        model__model_DOT_json=b'{"algorithm":"xgboost","features":["a"]}',
        model__model_DOT_txt=weights,
        output__data__report_DOT_json=json.dumps(report).encode(),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("again", "verdict", "cause"),
    [
        (training(b"tree one"), "identical-bytes", None),
        (training(b"tree two"), "identical-predictions", None),
        (training(b"tree two", essence="e2"), "different", "gave other bytes"),
        (training(b"tree two", probe="p2", processor="other"), "different", "processor"),
        (training(b"tree two", probe="p2", seed=1), "different", "seed"),
    ],
    ids=["same", "same predictions", "not repeatable", "other processor", "other seed"],
)
def test_a_reproduction_says_how_alike_and_why_not(stage: Stage, again: Play, verdict: str, cause: str | None) -> None:
    """The verdict is bytes, predictions, or different with files and likeliest cause; no new version is made."""
    first = stage.run(TRAIN, training(b"tree one"))
    model = next(product for product in first.products if product.kind == "model")
    shown = stage.run(ReproduceModel(project="main", model=model.reference), again)
    assert shown.status == "ok"
    assert shown.verdict is not None
    assert (shown.verdict["verdict"], shown.verdict["expected"]) == (verdict, model.digest)
    assert cause is None or cause in shown.verdict["cause"]
    if verdict != "identical-bytes":
        assert shown.verdict["files"] == ["model.txt"]
    names = [m.model for m in stage.people.ask("scientist", ListModels(project="main")).models]
    assert names.count(model.reference) == 1
    assert stage.entry(shown.run)["facts"]["verdict"] == verdict


def test_a_model_is_reproduced_on_the_base_it_was_made_on(stage: Stage, site: Site) -> None:
    """A machine with another base root unpacks the one that was kept with the first run, and makes the model on it."""
    first = stage.run(TRAIN, training(b"tree one"))
    engine = PlayedEngine(training(b"tree one"))
    parts = Parts(workshop=EmptyWorkshop(b"another machine"), engine=engine, clock=stage.clock)
    elsewhere = open_platform(stage.platform.home, parts)
    people = People(elsewhere, site.tokens)
    started = people.ask("validator", ReproduceModel(project="main", model="model:e-xgboost"))
    people.work()
    shown = people.ask("scientist", ShowRun(project="main", run=started.run))
    assert (shown.status, shown.job["base"]) == ("ok", first.job["base"])
    assert engine.launched[-1].base == Path("/elsewhere")
    assert (first.machine["processor"], shown.machine["processor"]) == ("this machine", "another machine")
    elsewhere.close()


def test_another_processor_is_named_as_the_cause(stage: Stage, site: Site) -> None:
    """Where a script's model comes out otherwise on another machine, the first thing that differs is named."""
    stage.run(replace(SCRIPT, name="own"), training(b"tree one"))
    parts = Parts(
        workshop=EmptyWorkshop(b"another machine"), engine=PlayedEngine(training(b"tree two")), clock=stage.clock
    )
    elsewhere = open_platform(stage.platform.home, parts)
    people = People(elsewhere, site.tokens)
    started = people.ask("validator", ReproduceModel(project="main", model="model:own"))
    people.work()
    verdict = people.ask("scientist", ShowRun(project="main", run=started.run)).verdict
    assert (verdict["verdict"], verdict["cause"]) == ("different", "not as it was: processor")
    elsewhere.close()


def test_a_base_that_could_not_be_kept_is_asked_for_by_name(stage: Stage, site: Site) -> None:
    """Without room for the base root runs go on; a reproduction elsewhere is refused, and says which base it needs."""

    class Full(EmptyWorkshop):
        @contextmanager
        def packed_base(self) -> Iterator[BinaryIO]:
            raise OSError(28, "No space left on device")
            yield

    stage.platform.close()
    machine = Parts(workshop=Full(b"full machine"), engine=PlayedEngine(training(b"tree one")), clock=stage.clock)
    full = open_platform(stage.platform.home, machine)
    people = People(full, site.tokens)
    people.ask("scientist", TRAIN)
    people.work()
    full.close()
    elsewhere = open_platform(stage.platform.home, Parts(workshop=EmptyWorkshop(b"another machine"), clock=stage.clock))
    with pytest.raises(Invalid) as refused:
        People(elsewhere, site.tokens).ask("validator", ReproduceModel(project="main", model="model:e-xgboost"))
    assert refused.value.code == "MUNI-X122"
    assert refused.value.facts["recorded"] != refused.value.facts["here"]
    elsewhere.close()


@pytest.mark.parametrize("request_", [TRAIN, SCRIPT], ids=["train", "script"])
def test_the_same_job_is_answered_from_the_record(stage: Stage, request_: Any) -> None:
    """Nothing runs twice: the same plan, asked for in the same words, is answered by its first run, and it is told."""
    body = b"tar" if isinstance(request_, RunScript) else None
    first = stage.run(request_, training(b"tree one"))
    launched = len(stage.engine.launched)
    again = stage.people.ask("scientist", request_, body)
    stage.people.work()
    assert (again.run, again.answered, len(stage.engine.launched)) == (first.run, True, launched)
    entries = stage.platform.ledger.search(Search(text=first.run.removeprefix("run:")))
    assert any(
        one.event["data"].get("facts", {}).get("answered_by") == first.run.removeprefix("run:") for one in entries
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"params": {"x": 1}}, {"experiment": "f"}, {"name": "other"}, {"fresh": True}],
    ids=lambda change: next(iter(change)),
)
def test_another_job_is_not_answered_from_the_record(stage: Stage, change: dict[str, Any]) -> None:
    """Another plan, another name for the result, or the wish to run it again: a run of its own."""
    first = stage.run(SCRIPT, training(b"tree one"))
    again = stage.people.ask("scientist", replace(SCRIPT, **change), b"tar")
    assert (again.run != first.run, again.answered) == (True, False)


def test_what_went_wrong_or_was_overtaken_is_run_again(stage: Stage) -> None:
    """A failed run answers nothing; neither does one whose result is no longer the newest of its name."""
    stage.run(SCRIPT, nothing)
    second = stage.run(SCRIPT, training(b"tree one"))
    assert stage.people.ask("scientist", SCRIPT, b"tar").run == second.run
    stage.run(replace(SCRIPT, seed=5), training(b"tree two"))  # the next version of the same name
    assert not stage.people.ask("scientist", SCRIPT, b"tar").answered


def test_what_a_reproduction_contradicted_is_run_again(stage: Stage) -> None:
    """A plan that is known to come out otherwise answers nothing; one that was reproduced still does."""
    first = stage.run(TRAIN, training(b"tree one"))
    model = next(product for product in first.products if product.kind == "model")
    stage.run(ReproduceModel(project="main", model=model.reference), training(b"tree one"))
    assert stage.people.ask("scientist", TRAIN).answered
    stage.run(ReproduceModel(project="main", model=model.reference), training(b"tree two", essence="e2"))
    assert not stage.people.ask("scientist", TRAIN).answered


@pytest.mark.slow
def test_without_walls_nothing_is_answered_from_the_record(site: Site, tmp_path: Path) -> None:
    """A run that was not hermetic may have come out otherwise: it is no answer."""
    stage = Stage(site.copy(tmp_path / "bare"), training(b"tree one"), Strength.NOT_ENFORCED)
    stage.run(SCRIPT)
    assert not stage.people.ask("scientist", SCRIPT, b"tar").answered
    stage.platform.close()


def test_a_script_cannot_vouch_for_its_own_reproduction(stage: Stage) -> None:
    """A report that a user's script wrote about itself makes no predictions identical."""
    script = replace(SCRIPT, name="own")
    stage.run(script, training(b"tree one"))
    shown = stage.run(ReproduceModel(project="main", model="model:own"), training(b"tree two"))
    assert shown.verdict is not None
    assert (shown.verdict["verdict"], shown.verdict["files"]) == ("different", ["model.txt"])


def test_a_damaged_input_stops_the_job_before_it_runs(stage: Stage) -> None:
    """An input whose bytes do not verify never reaches a job: the run is refused, and the ledger has it."""

    def never(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        raise IntegrityError("MUNI-V503", "the object was changed")

    shown = stage.run(play=never)
    assert shown.status in ("refused", "failed")
    assert shown.error is not None
    assert "MUNI-V503" in shown.error["facts"]["reason"]
    assert not issubclass(Invalid, IntegrityError)
