"""Tracked runs on both engines: told once, told by one, not after their end, and found."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from muniment.errors import Conflict, Denied, Invalid, MunimentError, NotFound, Unavailable
from muniment.testing.platform import People, Site
from muniment.wire import tracking as wire
from muniment.wire.execution import CancelRun, ListRuns, ShowRun
from muniment.wire.records import VerifyRecords

Point = wire.MetricPoint
PROJECT = "main"


@pytest.fixture
def team(each_site: Site) -> Iterator[People]:
    """A team on a fresh installation, once on each engine."""
    platform = each_site.open()
    yield People(platform, each_site.tokens)
    platform.close()


def begin(team: People, **about: Any) -> str:
    """A tracked run of the scientist."""
    run: wire.TrackedRun = team.ask("scientist", wire.StartRun(project=PROJECT, **{"experiment": "exp", **about}))
    return run.run


def tell(team: People, run: str, *points: Point, **stream: Any) -> wire.Logged:
    """Measurements by the scientist."""
    logged: wire.Logged = team.ask(
        "scientist", wire.LogMetrics(project=PROJECT, run=run, metrics=list(points), **stream)
    )
    return logged


def series(team: People, run: str, name: str = "loss", **page: Any) -> wire.Series:
    """One metric of a run."""
    found: wire.Series = team.ask("scientist", wire.ListMetrics(project=PROJECT, run=run, name=name, **page))
    return found


def refused(team: People, request: Any, body: bytes | None = None, person: str = "scientist") -> MunimentError:
    """The error that a request earns."""
    with pytest.raises(MunimentError) as error:
        team.ask(person, request, body)
    return error.value


def test_measurements_are_kept_exactly(team: People) -> None:
    """NaN and infinities, repeated and out-of-order steps, backward clocks: all kept, in the order of telling."""
    run = begin(team)
    told = [
        Point("loss", 0.5, 3, 1_700_000_000_000_000),
        Point("loss", 0.25, 1, 1_600_000_000_000_000),
        Point("loss", "NaN", 3, -5),
        Point("loss", "Infinity", 3),
        Point("loss", "-Infinity", -(2**63), 2**63 - 1),
        Point("loss", 5e-324, 2**63 - 1),
    ]
    assert tell(team, run, *told).taken == 6
    kept = series(team, run)
    assert [(p.value, p.step, p.at_us) for p in kept.points] == [(p.value, p.step, p.at_us) for p in told]
    assert (kept.count, kept.grade, kept.next) == (6, "declared", None)
    summary = team.ask("scientist", wire.ShowMetrics(project=PROJECT, run=run)).metrics[0]
    assert (summary.count, summary.lowest, summary.highest, summary.last) == (6, 5e-324, 0.5, 5e-324)


def test_long_series_come_in_pages_and_thin(team: People) -> None:
    """Pages join to the whole series, and a thinned one keeps its spike."""
    run = begin(team)
    tell(team, run, *[Point("loss", 100.0 if step == 333 else step / 1000, step) for step in range(1000)])
    pages, after = list[wire.Point](), 0
    while True:
        page = series(team, run, after=after, limit=300)
        pages += page.points
        if page.next is None:
            break
        after = page.next
    assert [p.step for p in pages] == list(range(1000))
    thin = series(team, run, thin=20)
    assert len(thin.points) <= 20
    assert thin.thinned
    assert {0, 333, 999} <= {p.step for p in thin.points}


def test_what_is_told_again_is_kept_once(team: People) -> None:
    """A batch that is sent again, or overlaps what is kept, adds only what is new; a gap is refused."""
    run = begin(team)
    first = [Point("loss", float(n), n) for n in range(5)]
    assert tell(team, run, *first, writer="w", seq=1).upto == 5
    again = tell(team, run, *first, writer="w", seq=1)
    assert (again.taken, again.upto) == (0, 5)
    assert tell(team, run, Point("loss", 4.0, 4), Point("loss", 5.0, 5), writer="w", seq=5).taken == 1
    gap = refused(team, wire.LogMetrics(project=PROJECT, run=run, metrics=first, writer="w", seq=9))
    assert (gap.code, gap.facts["upto"]) == ("MUNI-R301", 6)
    assert [p.value for p in series(team, run).points] == [0, 1, 2, 3, 4, 5]
    assert tell(team, run, Point("loss", 9.0), writer="other", seq=1).taken == 1


def test_two_writers_lose_nothing(team: People) -> None:
    """Writers at the same moment: every value once, each writer's in its order, the last one shown as the last."""
    run = begin(team)
    troubles: list[Exception] = []

    def write(writer: str) -> None:
        for seq in range(1, 21):
            while True:
                try:
                    tell(
                        team,
                        run,
                        Point(writer, float(seq), seq),
                        Point("both", float(seq)),
                        writer=writer,
                        seq=2 * seq - 1,
                    )
                    break
                except Unavailable as raced:
                    if not raced.facts.get("retry"):
                        troubles.append(raced)
                        return
                except MunimentError as trouble:
                    troubles.append(trouble)
                    return

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert troubles == []
    for writer in ("a", "b"):
        assert [p.step for p in series(team, run, writer).points] == list(range(1, 21))
    both = series(team, run, "both")
    assert both.count == 40
    positions = [p.position for name in ("a", "b", "both") for p in series(team, run, name).points]
    assert sorted(positions) == list(range(1, 81))
    shown = team.ask("scientist", ShowRun(project=PROJECT, run=run))
    assert shown.metrics["both"] == both.points[-1].value


def test_eight_runs_at_once_are_not_turned_away(team: People) -> None:
    """Eight who tell of eight runs at the same moment, a value a request, are all answered at the first asking."""
    runs = [begin(team) for _ in range(8)]
    troubles: list[MunimentError] = []

    def write(run: str) -> None:
        try:
            for step in range(10):
                tell(team, run, Point("loss", float(step), step))
        except MunimentError as trouble:
            troubles.append(trouble)

    writers = [threading.Thread(target=write, args=(run,)) for run in runs]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert troubles == []
    assert [series(team, run, "loss").count for run in runs] == [10] * 8


def test_nothing_changes_after_the_end(team: People) -> None:
    """After its end a run takes nothing; the same end again changes nothing, another end is refused."""
    run = begin(team, params={"lr": 0.1}, tags={"a": "b"})
    tell(team, run, Point("loss", 1.0), writer="w", seq=1)
    team.ask("scientist", wire.EndRun(project=PROJECT, run=run, status="failed", message="ValueError"))
    before = team.ask("scientist", ShowRun(project=PROJECT, run=run))
    assert (before.status, before.error["message"], before.grade) == ("failed", "ValueError", "declared")
    for request, body in (
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("loss", 2.0)]), None),
        (wire.LogParams(project=PROJECT, run=run, params={"x": 1}), None),
        (wire.SetTags(project=PROJECT, run=run, tags={"a": None}), None),
        (wire.LogInputs(project=PROJECT, run=run, inputs=[]), None),
        (wire.LogArtifact(project=PROJECT, run=run, path="a.txt"), b"late"),
        (wire.EndRun(project=PROJECT, run=run, status="ok"), None),
    ):
        assert refused(team, request, body).code == "MUNI-R302"
    assert tell(team, run, Point("loss", 1.0), writer="w", seq=1).taken == 0
    assert team.ask("scientist", wire.EndRun(project=PROJECT, run=run, status="failed")).known
    assert team.ask("scientist", ShowRun(project=PROJECT, run=run)) == before


def test_only_who_started_a_run_tells_about_it(team: People) -> None:
    """Colleagues do not, other projects do not know it, and jobs are not told about from outside."""
    run = begin(team)
    request = wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("loss", 1.0)])
    with pytest.raises(Denied):
        team.ask("validator", request)
    elsewhere = wire.LogMetrics(project="other", run=run, metrics=[Point("loss", 1.0)])
    assert isinstance(refused(team, elsewhere, person="outsider"), NotFound)
    assert isinstance(refused(team, wire.ShowMetrics(project="other", run=run), person="outsider"), NotFound)
    assert refused(team, wire.EndRun(project="other", run=run), person="outsider").code == "MUNI-X204"


def test_out_of_bounds_is_refused_whole(team: People) -> None:
    """Names, values, paths, batches and steps out of their bounds: a clear code each, and nothing half-written."""
    run = begin(team)
    big = "x" * 8_001
    requests: list[tuple[Any, str]] = [
        (wire.LogParams(project=PROJECT, run=run, params={"ok": 1, "big": big}), "MUNI-R104"),
        (wire.LogParams(project=PROJECT, run=run, params={"": 1}), "MUNI-R103"),
        (wire.LogParams(project=PROJECT, run=run, params={"n" * 201: 1}), "MUNI-R103"),
        (wire.SetTags(project=PROJECT, run=run, tags={"ok": "1", "muniment.deleted": "x"}), "MUNI-R113"),
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("ok", 1.0), Point("a\nb", 1.0)]), "MUNI-R103"),
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[]), "MUNI-R107"),
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("ok", 1.0, 2**63)]), "MUNI-R105"),
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("ok", 1.0)], writer="w"), "MUNI-R112"),
        (wire.LogMetrics(project=PROJECT, run=run, metrics=[Point("ok", 1.0)], writer="w w", seq=1), "MUNI-R102"),
        (wire.LogInputs(project=PROJECT, run=run, inputs=[wire.TrackedInput(role="x")]), "MUNI-R115"),
        (wire.StartRun(project=PROJECT, experiment="../x"), "MUNI-R101"),
        (wire.StartRun(project=PROJECT, experiment="exp", key="a b"), "MUNI-R102"),
        (wire.ListMetrics(project=PROJECT, run=run, name="none"), "MUNI-R202"),
        (wire.GetArtifact(project=PROJECT, run=run, path="none"), "MUNI-R203"),
        (wire.ShowExperiment(project=PROJECT, experiment="none"), "MUNI-R204"),
    ]
    for request, code in requests:
        assert refused(team, request).code == code, request
    for path in ("/etc/passwd", "../up", "a/../b", "a//b", "", "a\\b", "x" * 401):
        assert refused(team, wire.LogArtifact(project=PROJECT, run=run, path=path), b"x").code == "MUNI-R106", path
    shown = team.ask("scientist", ShowRun(project=PROJECT, run=run))
    assert (shown.logged, shown.tags, shown.metrics) == ({}, {}, {})
    with pytest.raises(Conflict):
        team.ask("scientist", wire.LogParams(project=PROJECT, run=run, params={"a": 1}))
        team.ask("scientist", wire.LogParams(project=PROJECT, run=run, params={"a": 2}))


def test_a_key_starts_one_run(team: People) -> None:
    """Starting with the same key again gives the same run; another person's key is another run."""
    first = team.ask("scientist", wire.StartRun(project=PROJECT, experiment="exp", key="k"))
    again = team.ask("scientist", wire.StartRun(project=PROJECT, experiment="exp", key="k"))
    assert (again.run, again.known) == (first.run, True)
    assert team.ask("outsider", wire.StartRun(project="other", experiment="exp", key="k")).run != first.run


def test_inputs_and_files_stand_in_the_record(team: People) -> None:
    """What a run says it used and made becomes declared lineage, and the ledger bears the tables out."""
    run = begin(team)
    digest = "sha256:" + "1" * 64
    told = wire.TrackedInput(role="train", digest=digest, name="rows.csv", source="/data/rows.csv", size=5)
    team.ask("scientist", wire.LogInputs(project=PROJECT, run=run, inputs=[told, told]))
    for content in (b"one", b"two", b"two"):
        team.ask("scientist", wire.LogArtifact(project=PROJECT, run=run, path="plots/roc.png"), content)
    team.ask("scientist", wire.EndRun(project=PROJECT, run=run))
    files = team.ask("scientist", wire.ListArtifacts(project=PROJECT, run=run, versions=True)).artifacts
    assert [(f.path, f.version, f.size, f.media_type, f.grade) for f in files] == [
        ("plots/roc.png", 1, 3, "image/png", "declared"),
        ("plots/roc.png", 2, 3, "image/png", "declared"),
    ]
    latest = team.ask("scientist", wire.ListArtifacts(project=PROJECT, run=run)).artifacts
    assert [f.version for f in latest] == [2]
    read = wire.GetArtifact(project=PROJECT, run=run, path="plots/roc.png", version=1)
    assert b"".join(team.ask("scientist", read).chunks) == b"one"
    with pytest.raises(Denied):
        team.ask("auditor", read)
    shown = team.ask("scientist", ShowRun(project=PROJECT, run=run))
    assert shown.inputs == {"train": "rows.csv"}
    assert [(p.kind, p.role) for p in shown.products] == [("artifact", "plots/roc.png")]
    team.platform.ledger.checkpoint()
    report = team.ask("auditor", VerifyRecords())
    assert (report.findings, report.runs) == ([], 1)


def test_a_changed_table_contradicts_the_ledger(team: People) -> None:
    """Whoever adds an input to an ended tracked run in the tables is found out."""
    run = begin(team)
    told = wire.TrackedInput(role="train", digest="sha256:" + "1" * 64)
    team.ask("scientist", wire.LogInputs(project=PROJECT, run=run, inputs=[told]))
    team.ask("scientist", wire.EndRun(project=PROJECT, run=run))
    with team.platform.store.engine.begin() as raw:
        raw.exec_driver_sql("delete from catalog_edge where role = 'train'")
    team.platform.ledger.checkpoint()
    findings = team.ask("auditor", VerifyRecords()).findings
    assert any("as train is missing" in one for one in findings), findings


def test_a_deleted_run_is_retained(team: People) -> None:
    """Deletion takes a run out of lists and nothing else; it can be undone, and both stand in the record."""
    run = begin(team)
    tell(team, run, Point("loss", 1.0))
    team.ask("scientist", wire.EndRun(project=PROJECT, run=run))
    team.ask("scientist", wire.DeleteRun(project=PROJECT, run=run))
    assert team.ask("scientist", ListRuns(project=PROJECT)).runs == []
    assert [r.run for r in team.ask("scientist", ListRuns(project=PROJECT, deleted=True)).runs] == [run]
    assert team.ask("scientist", wire.ListExperiments(project=PROJECT)).experiments == []
    assert series(team, run).count == 1
    team.ask("scientist", wire.RestoreRun(project=PROJECT, run=run))
    assert [r.run for r in team.ask("scientist", ListRuns(project=PROJECT)).runs] == [run]


def test_experiments_are_trees(team: People) -> None:
    """Trials hold their components, newest first; ranges name the runs at both ends, and NaN is no end."""
    runs = [begin(team, trial=trial, name=name) for trial, name in (("t1", "prep"), ("t1", "fit"), ("t2", "fit"))]
    lone = begin(team, experiment="exp")
    for run, value in zip(runs, (0.5, 0.75, "NaN"), strict=True):
        tell(team, run, Point("auc", value))
    team.ask("scientist", wire.EndRun(project=PROJECT, run=runs[0], status="failed"))
    found = team.ask("scientist", wire.ListExperiments(project=PROJECT)).experiments
    assert [(e.experiment, e.runs, e.trials, e.running, e.failed, e.newest) for e in found] == [
        ("exp", 4, 2, 3, 1, lone)
    ]
    detail = team.ask("scientist", wire.ShowExperiment(project=PROJECT, experiment="exp"))
    assert [(t.trial, [r.run for r in t.runs]) for t in detail.trials] == [
        (None, [lone]),
        ("t2", [runs[2]]),
        ("t1", [runs[1], runs[0]]),
    ]
    assert detail.trials[2].metrics == {"auc": 0.75}
    assert [(m.lowest, m.lowest_run, m.highest, m.highest_run) for m in detail.metrics] == [
        (0.5, runs[0], 0.75, runs[1])
    ]
    assert math.isnan(wire.number_of(detail.trials[1].metrics["auc"]))


def test_a_request_to_stop_reaches_the_teller(team: People) -> None:
    """Whoever asks for a tracked run to be stopped is heard with the next record, and may end it as cancelled."""
    run = begin(team)
    team.ask("scientist", CancelRun(project=PROJECT, run=run))
    assert tell(team, run, Point("loss", 1.0)).cancel_requested
    assert not team.platform.worker.run_one()
    assert team.ask("scientist", wire.EndRun(project=PROJECT, run=run, status="cancelled")).status == "cancelled"


def test_a_request_without_sense_is_invalid(team: People) -> None:
    """What does not fit the wire form is refused before anything happens."""
    run = begin(team)
    with pytest.raises(Invalid):
        team.ask("scientist", wire.EndRun(project=PROJECT, run=run, status="done"))  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        tell(team, run, Point("loss", "much"))  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        tell(team, run, Point("loss", math.nan))
