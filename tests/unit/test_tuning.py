"""Searches through the gate: what is asked for is checked before anything runs, and steps are begun once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from asking import furnish_catalog
from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.ledger.model import Search
from muniment.sdk.tuning import study_name, told
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.fakes import CutAt, FakeClock, PowerCut
from muniment.testing.platform import People, Site
from muniment.wire.execution import CancelRun, ListRuns, RunDetail, RunScript, ShowRun, TrainModel, Watching
from muniment.wire.search import Search as Query
from muniment.wire.tuning import (
    AdvanceStudy,
    CreateStudy,
    ListStudies,
    ResumeStudy,
    ShowStudy,
    StopStudy,
    Study,
    StudyList,
)

STUDY = CreateStudy(
    project="main",
    name="s",
    experiment="e",
    algorithm="xgboost",
    data="data:credit",
    validation="data:later",
    target="age",
    space={"max_depth": "int:2..8", "eta": "log:0.01..0.3"},
    sampler="random",
    trials=4,
    concurrency=2,
)
NAMED: dict[str, Any] = {"project": "main", "study": "s"}


def play(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """Trainings whose objective follows from their parameters, evaluations of them, and suggestions."""
    files = {one.path.rpartition("/")[2]: one.content for one in launch.files}
    params = json.loads(files["hyperparameters.json"])
    module = launch.argv[4].rpartition(".")[2]
    if module == "train":
        good = params.get("max_depth", 5) / 10
        for step in range(12):
            line = {"name": "validation.auc", "value": good + step / 1000, "step": step}
            sink.metric(json.dumps(line).encode())
            if cancel.is_set():
                return ExitStatus.CANCELLED
        leave(sink, "model/model.json", b'{"algorithm":"xgboost","features":["a"]}')
        leave(sink, "model/model.txt", json.dumps(params, sort_keys=True).encode())
        leave(sink, "output/data/report.json", b"{}")
    elif module == "evaluate":
        sink.metric(b'{"name":"auc","value":0.75}')
        leave(sink, "output/data/report.json", b"{}")
    elif module == "suggest":
        made = [{"max_depth": 3 + number, "eta": 0.1} for number in range(params["count"])]
        report: dict[str, Any] = {"format": "muniment.suggestion/1", "suggestions": made}
        if params["mode"] == "explain":
            report |= {"importances": {"eta": 0.25, "max_depth": 0.75}, "marginals": {}}
        leave(sink, "output/data/report.json", json.dumps(report).encode())
    return ExitStatus.OK


class Stage:
    """A platform whose jobs are played, with two snapshots."""

    def __init__(self, place: Site) -> None:
        self.place, self.play = place, play
        self.engine = PlayedEngine(self._act)
        self.clock = FakeClock(datetime.now(UTC))
        self.open()
        furnish_catalog(self.people)
        with self.platform.store.write() as session:
            recorder, vault = Recorder(session, "main", self.clock.now()), self.platform.vault
            sealed = vault.seal_bytes("main", b"later rows")
            vault.register(session, "main", sealed)
            files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
            schema = [{"name": "age", "type": "int64", "nullable": False}]
            facts = {"files": files, "schema": schema}
            recorder.entity(sealed.digest, EntityKind.DATA, author="User:scientist", facts=facts)
            recorder.name(EntityKind.DATA, "later", sealed.digest, by="User:scientist")
        self.people.work()

    def _act(self, launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        return self.play(launch, sink, cancel)

    def open(self, **parts: Any) -> None:
        """Open the installation, again if it was open."""
        self.platform = self.place.open(clock=self.clock, engine=self.engine, workshop=EmptyWorkshop(), **parts)
        self.people = People(self.platform, self.place.tokens)

    def ask(self, request: Any, who: str = "scientist") -> Any:
        """Ask as somebody."""
        self.clock.advance(seconds=1)
        return self.people.ask(who, request)

    def drive(self, most: int = 200) -> Study:
        """Go on until nothing is due and nothing runs."""
        for _ in range(most):
            study: Study = self.ask(ShowStudy(**NAMED))
            if study.status != "running":
                return study
            if study.due:
                self.ask(AdvanceStudy(**NAMED))
            self.people.work()
        raise AssertionError("the study does not end")

    def trained(self) -> list[str | None]:
        """The trials of all trainings of the study that ended, oldest first."""
        runs = self.ask(ListRuns(project="main", experiment="e", kind="train", limit=1000)).runs
        details = [self.ask(ShowRun(project="main", run=run.run)) for run in reversed(runs)]
        return [detail.trial for detail in details if detail.trial]

    def show(self, run: str) -> RunDetail:
        """A run in full."""
        shown: RunDetail = self.ask(ShowRun(project="main", run=run))
        return shown


@pytest.fixture
def stage(site: Site, tmp_path: Path) -> Iterator[Stage]:
    """A stage of one's own."""
    made = Stage(site.copy(tmp_path / "site"))
    yield made
    made.platform.close()


@pytest.fixture(scope="module")
def idle(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for requests that are refused, and leave nothing."""
    made = Stage(site.copy(tmp_path_factory.mktemp("idle")))
    yield made
    made.platform.close()


def test_a_search_goes_through_all_its_trials(stage: Stage) -> None:
    """Every trial is trained and measured as runs of its own; the best is known, and what mattered."""
    asked: Study = stage.ask(STUDY)
    assert (asked.status, asked.due, asked.open) == ("running", True, [])
    begun: Study = stage.ask(AdvanceStudy(**NAMED))
    assert len(begun.open) == 2
    again: Study = stage.ask(AdvanceStudy(**NAMED))
    assert (again.open, again.due) == (begun.open, False)
    study = stage.drive()
    assert study.status == "finished"
    assert [one.phase for one in study.trials] == ["done"] * 4
    assert all(one.value == 0.75 and one.model and one.evaluation for one in study.trials)
    assert study.best == 0
    assert study.explanation is not None
    assert study.explanation["importances"] == {"eta": 0.25, "max_depth": 0.75}
    assert told(study)[-1] == (
        "4 completed trials are few, 10 for each parameter are more: what mattered may be chance."
    )
    assert "chance" not in " ".join(told(replace(study, trials=study.trials * 5)))
    assert study.grade == "proven"
    depth = (study.trials[0].params or {})["max_depth"]
    for query, many in (
        (f"param.max_depth = {depth}", 1),
        ("param.max_depth is absent", 0),
        ("param.threshold = 1", 0),
    ):
        answer = stage.ask(Query(project="main", query=f"model where metric.auc = 0.75 and {query}"))
        assert min(len(answer.rows), 1) == many
    listed: StudyList = stage.ask(ListStudies(project="main"))
    assert [(one.study, one.over, one.best) for one in listed.studies] == [("s", 4, 0.75)]


def test_a_step_that_begins_several_jobs_tells_of_each(stage: Stage) -> None:
    """Two trials begin with one request: its entry names plan and inputs of both, as evidence about each needs them."""
    stage.ask(STUDY)
    stage.drive()
    runs = [one for one in stage.ask(ListRuns(project="main", limit=1000)).runs if one.kind in ("train", "evaluate")]
    noted: dict[str, dict[str, Any]] = {}
    for run in runs:
        for entry in stage.platform.ledger.search(Search(text=run.run.removeprefix("run:"))):
            facts = entry.event["data"].get("facts", {})
            noted |= {one["run"]: one for one in (facts, *map(json.loads, facts.get("also", ()))) if "inputs" in one}
    assert len(runs) >= 8
    for run in runs:
        shown = stage.show(run.run)
        assert noted[run.run.removeprefix("run:")]["plan"] == shown.plan


def test_the_same_search_gives_the_same_trials(stage: Stage) -> None:
    """What a trial tries follows from the seed; another seed tries something else."""
    first = stage.ask(STUDY)
    same = stage.ask(replace(STUDY, name="t"))
    other = stage.ask(replace(STUDY, name="u", seed=1))
    assert [one.params for one in first.trials] == [one.params for one in same.trials]
    assert [one.params for one in first.trials] != [one.params for one in other.trials]


@pytest.mark.slow
def test_tpe_asks_for_suggestions_in_batches(stage: Stage) -> None:
    """After the first ten trials each batch waits for a job that knows all trials before it, and names it."""
    stage.ask(replace(STUDY, sampler="tpe", trials=13, concurrency=2))
    study = stage.drive()
    assert [one.phase for one in study.trials] == ["done"] * 13
    by = [one.suggested_by for one in study.trials]
    assert by[:10] == ["random"] * 10
    assert by[10] == by[11] != by[12]
    assert (study.trials[11].params or {})["max_depth"] == 4
    job = stage.show(by[12])
    assert (job.kind, job.trial) == ("suggest", "s.suggest-1")
    assert len(job.params["history"]["trials"]) == 12
    assert [row[2] for row in job.params["history"]["trials"]] == ["done"] * 12


@pytest.mark.slow
def test_a_suggestion_that_fails_costs_no_trial(stage: Stage) -> None:
    """The trial is drawn by chance instead, and says so."""
    stage.play = lambda launch, sink, cancel: (
        ExitStatus.FAILED if launch.argv[4].endswith("suggest") else play(launch, sink, cancel)
    )
    stage.ask(replace(STUDY, sampler="tpe", trials=11))
    study = stage.drive()
    assert study.trials[10].phase == "done"
    assert study.trials[10].suggested_by.startswith("random, because run:")


@pytest.mark.slow
def test_a_trial_that_is_worse_than_the_others_is_stopped_by_a_rule(stage: Stage) -> None:
    """The median of completed trials stands in the plan of a later one; its run ends as stopped and says what fired."""
    stage.ask(replace(STUDY, trials=12, early_stop="median", warmup=3, concurrency=1))
    study = stage.drive()
    pruned = [one for one in study.trials if one.phase == "pruned"]
    assert pruned
    assert all(one.number >= 5 for one in pruned)
    shown = stage.show(pruned[0].run or "")
    assert (shown.status, (shown.error or {})["code"]) == ("stopped", "MUNI-X145")
    (verdict,) = [one for one in shown.rules if one["rule"] == "MedianStop"]
    assert (verdict["fired"], verdict["stopped"], verdict["grade"]) == (True, True, "proven")
    assert "MedianStop" in shown.job["rules"]["stop_on"]
    assert "validation" in shown.inputs
    assert all(one.evaluation is None for one in pruned)


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_where_it_was(stage: Stage) -> None:
    """Stopping withdraws what waits; resuming does that again and nothing else: each trial ends well exactly once."""
    stage.ask(STUDY)
    stage.ask(AdvanceStudy(**NAMED))
    stopped: Study = stage.ask(StopStudy(**NAMED))
    assert (stopped.status, stopped.open) == ("stopped", [])
    with pytest.raises(Conflict) as refused:
        stage.ask(AdvanceStudy(**NAMED))
    assert refused.value.code == "MUNI-N302"
    before = [one.params for one in stopped.trials]
    resumed: Study = stage.ask(ResumeStudy(**NAMED))
    assert (resumed.status, resumed.due) == ("running", True)
    study = stage.drive()
    assert [one.phase for one in study.trials] == ["done"] * 4
    assert [one.params for one in study.trials] == before
    assert sorted(filter(None, stage.trained())) == sorted(["s.0000", "s.0001", *(f"s.000{n}" for n in range(4))])
    with pytest.raises(Conflict) as refused:
        stage.ask(StopStudy(**NAMED))
    assert refused.value.code == "MUNI-N303"


@pytest.mark.slow
def test_a_trial_that_somebody_cancels_is_over_until_the_search_is_resumed(stage: Stage) -> None:
    """A cancelled trial does not hold up the others, and comes back only when asked for."""
    stage.ask(STUDY)
    begun: Study = stage.ask(AdvanceStudy(**NAMED))
    stage.ask(CancelRun(project="main", run=begun.open[0]))
    study = stage.drive()
    assert sorted(one.phase for one in study.trials) == ["done", "done", "done", "failed"]
    resumed: Study = stage.ask(ResumeStudy(**NAMED))
    assert resumed.due
    assert [one.phase for one in stage.drive().trials] == ["done"] * 4


@pytest.mark.slow
def test_wherever_the_power_is_cut_no_trial_is_doubled_or_lost(site: Site, tmp_path: Path) -> None:
    """Cut at the 1st, 2nd, 3rd ... point of a search and open again: it ends with each trial trained once."""
    finished = False
    for cut in range(3, 400, 23):
        stage = Stage(site.copy(tmp_path / f"site{cut}"))
        stage.ask(replace(STUDY, trials=2))
        stage.platform.close()
        stage.open(faults=CutAt(cut))
        try:
            stage.drive()
            finished = True
        except PowerCut:
            pass
        stage.clock.advance(seconds=60)
        stage.open()
        study = stage.drive()
        assert [one.phase for one in study.trials] == ["done"] * 2
        assert sorted(filter(None, stage.trained())) == ["s.0000", "s.0001"]
        stage.platform.close()
        if finished:
            return
    raise AssertionError("the search was cut at every point that was tried")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "../s"}, "MUNI-N115"),
        ({"algorithm": "svm"}, "MUNI-N123"),
        ({"sampler": "cmaes"}, "MUNI-N127"),
        ({"early_stop": "hyperband"}, "MUNI-N127"),
        ({"direction": "up"}, "MUNI-N127"),
        ({"objective": "a b"}, "MUNI-N116"),
        ({"trials": 0}, "MUNI-N117"),
        ({"trials": 100_000}, "MUNI-N117"),
        ({"concurrency": 0}, "MUNI-N117"),
        ({"concurrency": 65}, "MUNI-N117"),
        ({"seed": -1}, "MUNI-N117"),
        ({"sampler": "tpe", "trials": 1000}, "MUNI-N118"),
        ({"validation": "data:credit"}, "MUNI-N122"),
        ({"params": {"eta": 0.1}}, "MUNI-N124"),
        ({"space": {"learning_rate": "log:0.01..0.3"}}, "MUNI-N125"),
        ({"space": {"seed": "int:1..5"}}, "MUNI-N126"),
        ({"space": {"max_depth": "int:2..80"}}, "MUNI-D132"),
        ({"space": {"depth": "int:2..8"}}, "MUNI-D130"),
        ({"space": {"eta": "float:0.1..0.2"}, "sampler": "grid"}, "MUNI-N110"),
        ({"params": {"nope": 1}}, "MUNI-D130"),
        ({"algorithm": "logistic_regression", "space": {"C": "log:0.1..9"}, "early_stop": "median"}, "MUNI-N119"),
        ({"watching": Watching(rules=["nope"])}, "MUNI-N105"),
    ],
)
def test_a_search_that_cannot_go_well_is_refused_at_once(idle: Stage, changes: Any, code: str) -> None:
    """What would refuse a trial refuses the search: before anything runs, with what to do."""
    with pytest.raises(Invalid) as refused:
        idle.ask(replace(STUDY, **changes))
    assert refused.value.code == code
    assert idle.ask(ListStudies(project="main")).studies == []


def test_names_of_searches_are_unique_and_found(stage: Stage) -> None:
    """A second search of the same name is refused with the way on; one that nobody asked for is not found."""
    stage.ask(STUDY)
    with pytest.raises(Conflict) as refused:
        stage.ask(STUDY)
    assert refused.value.code == "MUNI-N301"
    with pytest.raises(NotFound):
        stage.ask(ShowStudy(project="main", study="other"))
    with pytest.raises(Denied):
        stage.ask(AdvanceStudy(**NAMED), "approver")


def test_a_script_is_stopped_by_what_it_reports(stage: Stage) -> None:
    """A rule judges outside of the job; a verdict on a script's word is declared; undeclared rules are dropped."""
    lines = [
        {"name": "loss", "value": 1.0, "step": 0},
        {"event": "rule", "name": "Overfit", "fired": True, "step": 0, "message": "forged"},
        {"event": "rule", "name": "mine.py:check", "fired": True, "step": 1, "message": "low", "facts": {"loss": 1}},
        {"event": "tensor", "name": "w", "collection": "weight", "step": 1, "facts": {"size": 4, "zeros": 4}},
        {"name": "loss", "value": "NaN", "step": 2},
    ]

    def script(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
        for line in lines:
            sink.metric(json.dumps(line).encode())
        sink.metric(b'{"event": "tensor", "name": 3}')
        sink.metric(b'{"event": ' + b"[" * 5000)
        return ExitStatus.CANCELLED if cancel.is_set() else ExitStatus.OK

    stage.play = script
    watching = Watching(rules=["Overfit", "AllZero", "ExplodingTensor", "mine.py:check"], stop_on=["ExplodingTensor"])
    request = RunScript(project="main", entry="main.py", inputs={"train": "data:credit"}, watching=watching)
    run = stage.people.ask("scientist", request, b"tar").run
    stage.people.work()
    shown = stage.show(run)
    assert (shown.status, (shown.error or {})["facts"]["rule"]) == ("stopped", "ExplodingTensor")
    states = {one["rule"]: (one["state"], one["grade"], one["judged_by"]) for one in shown.rules}
    assert states == {
        "AllZero": ("fired", "declared", "platform"),
        "ExplodingTensor": ("fired", "declared", "platform"),
        "Overfit": ("nothing to judge", "declared", "platform"),
        "mine.py:check": ("fired", "declared", "script"),
    }


def test_a_plan_without_rules_is_the_plan_of_ever(stage: Stage) -> None:
    """Rules enter the digest of a plan only where there are some: plans of older releases keep theirs."""
    request = TrainModel(
        project="main", experiment="e", data="data:credit", algorithm="xgboost", target="age", fresh=True
    )
    plain = stage.show(stage.ask(replace(request, watching=Watching(rules=["none"]))).run)
    assert "rules" not in plain.job
    watched = stage.show(stage.ask(request).run)
    assert set(watched.job["rules"]) == {"rules", "stop_on", "custom"}
    assert plain.plan != watched.plan


def test_a_search_without_a_name_is_called_after_experiment_and_algorithm() -> None:
    """What a name of a search may not hold, such as blanks, becomes a hyphen; it is never too long."""
    assert study_name("Credit", "xgboost") == "Credit-xgboost"
    assert study_name("Loans of 2026 (new)", "lightgbm") == "Loans-of-2026-new-lightgbm"
    assert study_name("…", "xgboost") == "study-xgboost"
    assert len(study_name("x" * 200, "logistic_regression")) == 60
