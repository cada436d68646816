"""What is refused before a job is queued: wrong kinds, values out of range, names that are none, changed plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from asking import furnish_catalog, recorded, state
from muniment.adapters.sql.execution import RUNS
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.execution.model import ResolvedJob
from muniment.programs.algorithms import ALGORITHMS
from muniment.testing.platform import People, Site
from muniment.wire.catalog import GetEntity
from muniment.wire.data import AddDataset, SplitDataset
from muniment.wire.execution import (
    CancelRun,
    CompareRuns,
    DefineEnvironment,
    EvaluateModel,
    GetLog,
    JobLimits,
    ListRuns,
    ReproduceModel,
    RunScript,
    ShowEnvironment,
    ShowRun,
    StoreWheel,
    TrainModel,
    WheelName,
)

TRAIN = TrainModel(project="main", experiment="e", data="data:credit", algorithm="xgboost", target="age")
SCRIPT = RunScript(project="main", entry="train.py")
SPLIT = SplitDataset(project="main", dataset="data:credit")
EVALUATE = EvaluateModel(project="main", model="model:scorer", data="data:credit")
ADD = AddDataset(project="main", name="credit", filename="c.csv")
TEXT = "x" * 40_000


@pytest.fixture(scope="module")
def team(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """One platform for all that is refused, with things to ask about."""
    platform = site.copy(tmp_path_factory.mktemp("team")).open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    yield people
    platform.close()


def refused(people: People, request: Any, person: str = "scientist") -> MunimentError:
    """The refusal of a request; nothing has changed, and it stands in the ledger."""
    before = state(people.platform)
    with pytest.raises(MunimentError) as caught:
        people.ask(person, request, b"bytes")
    assert state(people.platform) == before
    assert recorded(people.platform, caught.value)["code"] == caught.value.code
    return caught.value


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (replace(TRAIN, algorithm="oracle"), "MUNI-X106"),
        (replace(TRAIN, params={"ets": 0.1}), "MUNI-D130"),
        (replace(TRAIN, params={"eta": 2}), "MUNI-D132"),
        (replace(TRAIN, params={"eta": "fast"}), "MUNI-D131"),
        (replace(TRAIN, params={"max_depth": 3.5}), "MUNI-D131"),
        (replace(TRAIN, params={"max_depth": 10**30}), "MUNI-D132"),
        (replace(TRAIN, params={"eta": float("nan")}), "MUNI-X127"),
        (replace(TRAIN, params={"seed": 3}), "MUNI-X126"),
        (replace(TRAIN, params={"target": "other"}), "MUNI-X126"),
        (replace(TRAIN, seed=-1), "MUNI-D132"),
        (replace(TRAIN, seed=2**31), "MUNI-D132"),
        (replace(TRAIN, target="nowhere"), "MUNI-X108"),
        (replace(TRAIN, target=None), "MUNI-X107"),
        (replace(TRAIN, drop=["nowhere"]), "MUNI-X108"),
        (replace(TRAIN, experiment="not an experiment"), "MUNI-X124"),
        (replace(TRAIN, name="../model"), "MUNI-K109"),
        (replace(TRAIN, name="model@3"), "MUNI-C101"),
        (replace(TRAIN, data="model:scorer"), "MUNI-K110"),
        (replace(TRAIN, data="data:absent"), "MUNI-C203"),
        (replace(TRAIN, data="data:credit@7"), "MUNI-C202"),
        (replace(TRAIN, env="absent"), "MUNI-X201"),
        (replace(TRAIN, env="data:credit"), "MUNI-K110"),
        (replace(TRAIN, env="sha256:" + "0" * 64), "MUNI-X201"),
        (replace(TRAIN, limits=JobLimits(memory_mb=1)), "MUNI-X110"),
        (replace(TRAIN, limits=JobLimits(wall_s=10**9)), "MUNI-X110"),
        (replace(TRAIN, limits=JobLimits(processes=-1)), "MUNI-X110"),
        (replace(SCRIPT, entry="/etc/passwd.py"), "MUNI-X109"),
        (replace(SCRIPT, entry="../x.py"), "MUNI-X109"),
        (replace(SCRIPT, entry="run.sh"), "MUNI-X109"),
        (replace(SCRIPT, entry="a\0.py"), "MUNI-X109"),
        (replace(SCRIPT, inputs={"Train!": "data:credit"}), "MUNI-X124"),
        (replace(SCRIPT, inputs={"a-b": "data:credit", "a_b": "data:credit"}), "MUNI-X129"),
        (replace(SCRIPT, inputs={"train": "run:00000000000000000000000000"}), "MUNI-C103"),
        (replace(SCRIPT, inputs={"train": "data:absent"}), "MUNI-C203"),
        (replace(SCRIPT, params={"né": 1}), "MUNI-X124"),
        (replace(SCRIPT, params={"a.b": 1, "a-b": 2}), "MUNI-X129"),
        (replace(SCRIPT, params={"a": "x\0y"}), "MUNI-X114"),
        (replace(SCRIPT, params={"a": TEXT}), "MUNI-X125"),
        (replace(SCRIPT, params={"a": 10**17}), "MUNI-K102"),
        (replace(SCRIPT, arguments=["a\0b"]), "MUNI-X125"),
        (replace(SCRIPT, arguments=[TEXT]), "MUNI-X125"),
        (replace(SCRIPT, seed=2**60), "MUNI-K102"),
        (replace(SPLIT, parts={"train": 1.0}), "MUNI-D141"),
        (replace(SPLIT, parts={"train": 0.5, "test": 0.4}), "MUNI-D142"),
        (replace(SPLIT, parts={"train": -0.5, "test": 1.5}), "MUNI-D141"),
        (replace(SPLIT, parts={"a b": 0.5, "c": 0.5}), "MUNI-D140"),
        (replace(SPLIT, parts={"model": 0.5, "c": 0.5}), "MUNI-D140"),
        (replace(SPLIT, parts={f"p{n}": 0.025 for n in range(40)}), "MUNI-D142"),
        (replace(SPLIT, stratify="nowhere"), "MUNI-D143"),
        (replace(SPLIT, stratify="age", group="age"), "MUNI-D139"),
        (replace(SPLIT, dataset="model:scorer"), "MUNI-K110"),
        (replace(EVALUATE, model="data:credit"), "MUNI-K110"),
        (replace(EVALUATE, data="model:scorer"), "MUNI-K110"),
        (replace(EVALUATE, threshold=1.5), "MUNI-X121"),
        (replace(ADD, name="Credit Card"), "MUNI-K106"),
        (replace(ADD, format="xlsx"), "MUNI-D145"),
        (replace(ADD, delimiter="||"), "MUNI-D118"),
        (replace(ADD, limits=JobLimits(output_mb=0)), "MUNI-X110"),
        (ReproduceModel(project="main", model="model:scorer"), "MUNI-X202"),
        (ReproduceModel(project="main", model="data:credit"), "MUNI-K110"),
        (CompareRuns(project="main", runs=["x"]), "MUNI-X139"),
        (ShowRun(project="main", run="run:nothing"), "MUNI-X204"),
        (GetLog(project="main", run="%"), "MUNI-X204"),
        (CancelRun(project="main", run="_" * 8), "MUNI-X204"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_work_is_refused_at_once(team: People, request_: Any, code: str) -> None:
    """A job that cannot work is refused when it is asked for, with a stable code, and nothing is queued."""
    error = refused(team, request_)
    assert (error.code, isinstance(error, (Invalid, NotFound))) == (code, True)


def test_inputs_of_the_wrong_kind_by_digest_are_refused(people: People) -> None:
    """A digest that means a model is no training data, and says what it is."""
    furnish_catalog(people)
    digest = people.ask("scientist", GetEntity(project="main", reference="model:scorer")).digest
    assert refused(people, replace(TRAIN, data=digest)).code == "MUNI-C102"


def test_parameters_are_kept_in_their_own_types(people: People) -> None:
    """Texts, as command lines and other callers send them, become numbers once, so that equal jobs are equal plans."""
    furnish_catalog(people)
    plans = set()
    for params in ({"eta": "0.3", "max_depth": "4"}, {"eta": 0.3, "max_depth": 4}):
        plans.add(people.ask("scientist", replace(TRAIN, params=params)).plan)
    assert len(plans) == 1


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_parameters_have_one_name_in_the_record(people: People, algorithm: str) -> None:
    """Every other name of a parameter asks for the same job; two names at once are refused."""
    furnish_catalog(people)
    for one in (parameter for parameter in ALGORITHMS[algorithm] if parameter.aliases):
        value = one.low if one.default is None else one.default
        named = people.ask("scientist", replace(TRAIN, algorithm=algorithm, params={one.name: value}))
        for alias in one.aliases:
            asked = people.ask("scientist", replace(TRAIN, algorithm=algorithm, params={alias: value}))
            assert asked.plan == named.plan
            with pytest.raises(Invalid) as twice:
                people.ask("scientist", replace(TRAIN, algorithm=algorithm, params={alias: value, one.name: value}))
            assert twice.value.code == "MUNI-D121"


def test_a_script_of_any_name_gives_its_model_a_name(people: People) -> None:
    """Spaces and capitals in a script's path become a name that a reference can carry."""
    started = people.ask("scientist", replace(SCRIPT, entry="My Models/Train (2).PY".replace("PY", "py")), b"tar")
    shown = people.ask("scientist", ShowRun(project="main", run=started.run))
    assert shown.label == "Train (2).py"
    with people.platform.store.engine.connect() as connection:
        assert connection.execute(RUNS.select()).mappings().one()["name"] == "scripts-train-2"


@pytest.mark.slow
def test_a_plan_that_was_changed_is_not_reproduced(people: People) -> None:
    """When the stored plan of a run does not have its recorded digest, the worker runs nothing and says so."""
    references = furnish_catalog(people)
    started = references["Run"].removeprefix("run:")
    with people.platform.store.engine.begin() as connection:
        changed = connection.execute(RUNS.select()).mappings().one()["job"].replace("xgboost", "lightgbm")
        connection.execute(update(RUNS).values(job=changed))
    assert people.work() == 1
    shown = people.ask("scientist", ShowRun(project="main", run=started))
    assert (shown.status, shown.error["facts"]["reason"][:11]) == ("refused", "MUNI-X503: ")


def test_runs_are_found_by_their_end(people: People) -> None:
    """Six characters from the end of a run's id are enough when they fit one run; what fits none is not found."""
    run = furnish_catalog(people)["Run"]
    shown = people.ask("scientist", ShowRun(project="main", run=run[-6:]))
    assert shown.run == run
    assert people.ask("scientist", ListRuns(project="main", limit=-5)).runs[0].run == run


LOCK = "a==1 --hash=sha256:{a}\nb==2 --hash=sha256:{b}\nc==3 ; python_version < '3' --hash=sha256:{c}\n"


def environment(people: People, lock: str, *names: str) -> DefineEnvironment:
    """A request for an environment of wheels that are kept, by their names."""
    wheels, digests = [], {}
    for name in ("a-1", "b-2", "c-3"):
        stored = people.ask("operator", StoreWheel(filename=f"{name}-py3-none-any.whl"), name.encode())
        digests[name[0]] = stored.digest.removeprefix("sha256:")
        if name in names:
            wheels.append(WheelName(filename=stored.filename, digest=stored.digest))
    return DefineEnvironment(name="own", wheels=wheels, lock=lock.format(**digests))


def test_environments_and_their_locks_belong_together(people: People) -> None:
    """Wheels that the lock does not name, requirements without wheel, addresses and missing hashes are refused."""
    good = environment(people, LOCK, "a-1", "b-2")
    assert people.ask("operator", good).version == 1
    assert people.ask("operator", good).version == 1
    bad = {
        "MUNI-X128": environment(people, LOCK, "a-1"),
        "MUNI-X102": environment(people, "a==1 --hash=sha256:{a}\n", "a-1", "b-2"),
        "MUNI-X103": replace(good, wheels=[WheelName(filename="a-1-py3-none-any.whl", digest="sha256:" + "0" * 64)]),
        "MUNI-X104": replace(good, wheels=[WheelName(filename="a-1.tar.gz", digest=good.wheels[0].digest)]),
        "MUNI-K101": replace(good, wheels=[WheelName(filename="a-1-py3-none-any.whl", digest="md5:1")]),
        "MUNI-K106": replace(good, name="Own Environment"),
    }
    for code, request in bad.items():
        assert refused(people, request, "operator").code == code
    for line in ("--index-url https://x/y", "a>=1", "a==1", "a @ https://x/a.whl --hash=sha256:{a}", "-r other.txt"):
        assert refused(people, environment(people, line, "a-1"), "operator").code == "MUNI-X101"
    for name in ("x.tar.gz", "../a-1-py3-none-any.whl", "a-1-py3-none-any.whl.exe", "a.whl"):
        assert refused(people, StoreWheel(filename=name), "operator").code == "MUNI-X104"
    assert people.ask("scientist", ShowEnvironment(env="own@1")).name == "own"


@pytest.mark.slow
def test_a_job_needs_the_base_it_was_planned_for(people: People) -> None:
    """A plan whose base root is another machine's is not run here, and says so."""
    furnish_catalog(people)
    with people.platform.store.engine.begin() as connection:
        job = json.loads(connection.execute(RUNS.select()).mappings().one()["job"])
        job["base"] = "sha256:" + "1" * 64
        plan = ResolvedJob.parse(job).digest
        connection.execute(update(RUNS).values(job=json.dumps(job), plan=str(plan)))
    people.work()
    shown = people.ask("scientist", ListRuns(project="main")).runs[0]
    assert shown.status == "refused"
    assert shown.error["facts"]["reason"].startswith("MUNI-X501: ")
