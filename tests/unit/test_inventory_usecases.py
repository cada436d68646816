"""Use cases: stated in versions, and a job outside of its own is refused before it enters the queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asking import furnish_catalog, recorded
from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.execution.queue import RunQueue
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire.execution import RunScript, Started, TrainModel
from muniment.wire.inventory import (
    AddUseCase,
    BindExperiment,
    Kpi,
    ListUseCases,
    RegisterModel,
    RetireUseCase,
    ShowUseCase,
    ShowVersion,
)


@pytest.fixture
def team(people: People) -> People:
    """A project with a snapshot of one column, ``age``, and a model."""
    furnish_catalog(people)
    return people


@pytest.fixture(scope="module")
def crew(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A project for requests that are refused, and leave nothing."""
    platform = site.copy(tmp_path_factory.mktemp("crew")).open()
    yield People(platform, site.tokens)
    platform.close()


def add(team: People, name: str = "cards", **given: Any) -> Any:
    """State a use case."""
    stated: dict[str, Any] = {"purpose": "limits of credit cards", "owner": "approver"}
    return team.ask("admin", AddUseCase(project=PROJECT, name=name, **stated | given))


def train(team: People, **given: Any) -> Started:
    """Ask for a training on the snapshot."""
    asked: dict[str, Any] = {"experiment": "e", "data": "data:credit", "algorithm": "xgboost", "target": "age"}
    started: Started = team.ask("scientist", TrainModel(project=PROJECT, **asked | given))
    return started


def facts_of(team: People, started: Started) -> Any:
    """What is kept with a run."""
    with team.platform.store.read() as session:
        run = session.use(RunQueue).get(PROJECT, started.run.removeprefix("run:"))
        assert run is not None
        return run.facts


def test_a_use_case_has_versions(team: People) -> None:
    """The same name again is its next version; the history names each by its record."""
    first, second = (
        add(team),
        add(team, purpose="limits and prices", kpis=[Kpi(name="auc", expression="metric.auc >= 0.7")]),
    )
    assert (first.use_case, second.use_case) == ("cards@1", "cards@2")
    shown = team.ask("auditor", ShowUseCase(project=PROJECT, name="cards"))
    assert [one.record for one in shown.history] == [first.record, second.record]
    assert shown.use_case.kpis == [Kpi(name="auc", expression="metric.auc >= 0.7")]
    assert [one.use_case for one in team.ask("auditor", ListUseCases(project=PROJECT)).use_cases] == ["cards@2"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"owner": "nobody"}, "MUNI-M102"),
        ({"exposure": -1}, "MUNI-M104"),
        ({"exposure": 10**16}, "MUNI-M104"),
        ({"currency": "euro"}, "MUNI-M105"),
        ({"purpose_class": "Credit Decision"}, "MUNI-M106"),
        ({"kpis": [Kpi(name="a", expression="metric.auc >= 0.7"), Kpi(name="a", expression="x.y")]}, "MUNI-M107"),
        ({"purpose": "  "}, "MUNI-M108"),
        ({"legal": ["x" * 5000]}, "MUNI-M108"),
        ({"legal": [str(n) for n in range(201)]}, "MUNI-M109"),
        ({"name": "Cards!"}, "MUNI-K106"),
        ({"kpis": [Kpi(name="a", expression="metric.auc >=")]}, "MUNI-K124"),
    ],
)
def test_what_makes_no_sense_is_refused(crew: People, given: dict[str, Any], code: str) -> None:
    """Each field is checked, with a code of its own."""
    with pytest.raises(Invalid) as refused:
        add(crew, **given)
    assert refused.value.code == code


def test_a_run_and_its_entry_name_the_use_case(team: People) -> None:
    """A job inside its use case carries it, with version and record, in its facts."""
    stated = add(team, allowed_algorithms=["xgboost"])
    started = train(team, use_case="cards")
    assert facts_of(team, started)["use_case"] == {"name": "cards", "version": 1, "record": stated.record}


@pytest.mark.parametrize(
    ("frame", "job", "because"),
    [
        ({"allowed_algorithms": ["logistic_regression"]}, {}, "xgboost is not among its algorithms"),
        ({"prohibited_attributes": [" AGE "]}, {"target": "age", "drop": []}, None),
        ({"prohibited_attributes": ["Age"]}, {"target": "sex"}, "prohibited: age"),
    ],
)
def test_a_job_outside_is_refused(team: People, frame: Any, job: Any, because: str | None) -> None:
    """An algorithm that is not allowed, a prohibited attribute among the features: the reason says which."""
    furnish_two_columns(team)
    add(team, **frame)
    if because is None:
        train(team, use_case="cards", data="data:people", **job)
        return
    with pytest.raises(Denied) as refused:
        train(team, use_case="cards", data="data:people", **job)
    assert because in " ".join(refused.value.facts["because"])
    assert recorded(team.platform, refused.value)["code"] == "MUNI-M410"


def test_what_is_left_out_is_not_learnt_from(team: People) -> None:
    """A prohibited column that the job drops is no feature, so the job is admitted."""
    furnish_two_columns(team)
    add(team, prohibited_attributes=["age"])
    admitted = train(team, use_case="cards", data="data:people", target="sex", drop=["age"])
    assert facts_of(team, admitted)["use_case"]["name"] == "cards"


def test_a_script_sees_every_column(team: People) -> None:
    """A script could learn from all that it is given: one prohibited column refuses it."""
    add(team, prohibited_attributes=["age"])
    with pytest.raises(Denied) as refused:
        team.ask(
            "scientist", RunScript(project=PROJECT, entry="a.py", inputs={"d": "data:credit"}, use_case="cards"), b"x"
        )
    assert "prohibited: age" in refused.value.facts["because"][0]


def test_a_bound_experiment_cannot_forget_its_use_case(team: People) -> None:
    """Once bound, each job of an experiment belongs to the use case, named or not; another one is refused."""
    add(team, allowed_algorithms=["logistic_regression"])
    add(team, "other")
    team.ask("admin", BindExperiment(project=PROJECT, experiment="e", use_case="cards"))
    for named in (None, "cards"):
        with pytest.raises(Denied):
            train(team, use_case=named)
    with pytest.raises(Denied) as refused:
        train(team, use_case="other")
    assert "bound to the use case cards" in refused.value.facts["because"][0]
    team.ask("admin", BindExperiment(project=PROJECT, experiment="e"))
    assert "use_case" not in facts_of(team, train(team))


def test_a_retired_use_case_admits_nothing(team: People) -> None:
    """No job, no binding and no new version; it is still shown, as retired."""
    add(team)
    team.ask("admin", RetireUseCase(project=PROJECT, name="cards", reason="product closed"))
    with pytest.raises(Conflict):
        train(team, use_case="cards")
    with pytest.raises(Conflict):
        add(team)
    with pytest.raises(Conflict):
        team.ask("admin", BindExperiment(project=PROJECT, experiment="e", use_case="cards"))
    with pytest.raises(Conflict):
        team.ask("admin", RetireUseCase(project=PROJECT, name="cards", reason="again"))
    assert team.ask("auditor", ListUseCases(project=PROJECT)).use_cases[0].retired
    assert team.ask("auditor", ListUseCases(project=PROJECT, retired=False)).use_cases == []


def test_an_unknown_use_case_is_not_found(team: People) -> None:
    """The answer lists those there are."""
    add(team)
    with pytest.raises(NotFound) as refused:
        train(team, use_case="card")
    assert refused.value.facts["known"] == ["cards"]


def furnish_two_columns(team: People) -> None:
    """A snapshot ``people`` with the columns age and sex."""
    vault = team.platform.vault
    with team.platform.store.write() as session:
        recorder = Recorder(session, PROJECT, datetime(2026, 11, 23, tzinfo=UTC))
        sealed = vault.seal_bytes(PROJECT, b"two columns")
        vault.register(session, PROJECT, sealed)
        files = [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]
        schema = [{"name": name, "type": "int64", "nullable": False} for name in ("age", "sex")]
        facts = {"files": files, "schema": schema}
        recorder.entity(sealed.digest, EntityKind.DATA, author="User:scientist", facts=facts)
        recorder.name(EntityKind.DATA, "people", sealed.digest, by="User:scientist")


def play(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """A training that leaves a model."""
    leave(sink, "model/model.json", b'{"algorithm": "xgboost"}')
    return ExitStatus.OK


def test_a_model_keeps_the_use_case_of_its_making(site: Site, tmp_path: Path) -> None:
    """Who registers it can neither leave the use case out, and with it gates and tier, nor name another one."""
    platform = site.copy(tmp_path / "made").open(engine=PlayedEngine(play), workshop=EmptyWorkshop())
    try:
        team = People(platform, site.tokens)
        furnish_catalog(team)
        for name, exposure in (("cards", 10**9), ("toys", 1)):
            add(team, name, purpose_class="credit-decision", exposure=exposure)
        train(team, use_case="cards", name="m")
        assert team.work() == 2
        with pytest.raises(Invalid) as refused:
            team.ask("scientist", RegisterModel(project=PROJECT, model="model:m", use_case="toys"))
        assert refused.value.code == "MUNI-M117"
        registered = team.ask("scientist", RegisterModel(project=PROJECT, model="model:m"))
        assert registered.tier == 1
        shown = team.ask("auditor", ShowVersion(project=PROJECT, model="model:m"))
        assert shown.registration["use_case"] == "cards"
    finally:
        platform.close()
