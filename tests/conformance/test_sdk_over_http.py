"""One transport in process and one over HTTP, to a real server: they give the same answers and the same refusals."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from asking import furnish_catalog
from muniment.bootstrap import VERBS, InProcess, Platform
from muniment.errors import MunimentError, Unavailable
from muniment.execution.ports import ExitStatus, Launch, Sink
from muniment.http.server import Listen, configuration
from muniment.kernel.digest import Digest
from muniment.kernel.verb import Download, Effect
from muniment.sdk.http import HttpTransport
from muniment.testing.engine import EmptyWorkshop, PlayedEngine, leave
from muniment.testing.platform import People, Site
from muniment.wire.assurance import ListExaminations, ListImpacts, ListRisks, ShowGovernance, ShowInstructions
from muniment.wire.catalog import GetEntity, GetLineage, ListEntities, ProveUnused
from muniment.wire.data import AddDataset, ListDatasets, ShowDataset, SplitDataset
from muniment.wire.execution import (
    CancelRun,
    CompareRuns,
    EvaluateModel,
    GetLog,
    JobLimits,
    ListEnvironments,
    ListRuns,
    ReproduceModel,
    RunScript,
    ShowEnvironment,
    ShowRun,
    Started,
    TrainModel,
)
from muniment.wire.identity import ListProjects, WhoAmI
from muniment.wire.inventory import (
    CheckApproval,
    FetchModel,
    ListModels,
    ListUseCases,
    ListVersions,
    ShowBoard,
    ShowDependencies,
    ShowModel,
    ShowUseCase,
    ShowVersion,
)
from muniment.wire.ledger import SearchEntries
from muniment.wire.oversight import (
    CheckGates,
    CompareVersions,
    ListComments,
    ListFindings,
    ListReviews,
    ShowFacts,
    ShowFinding,
    ShowGates,
)
from muniment.wire.policy import ShowPolicies
from muniment.wire.quality import ListAssessments
from muniment.wire.routes import path
from muniment.wire.rows import ShowRowProof
from muniment.wire.stewardship import UseDataset
from muniment.wire.vault import ListKeys

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Both:
    """One platform, reached both ways."""

    platform: Platform
    people: People
    url: str
    run: str

    def ways(self, person: str) -> tuple[InProcess, HttpTransport]:
        """In process and over HTTP."""
        token = self.people.tokens[person]
        return self.platform.transport(token), HttpTransport(self.url, token)

    def answers(self, person: str, request: msgspec.Struct) -> list[Any]:
        """The answers, or the refusals without what differs from one to the next."""
        verb = next(verb for verb in VERBS if verb.request is type(request))
        given: list[Any] = []
        for way in self.ways(person):
            try:
                if verb.reply is Download:
                    given.append(b"".join(way.download(verb.action, request)))
                else:
                    body = io.BytesIO(b"a,b\n1,2\n") if verb.takes_body else None
                    given.append(way.invoke(verb.action, request, verb.reply, body))
            except MunimentError as refused:
                facts = {name: fact for name, fact in refused.facts.items() if name != "entry"}
                given.append((type(refused), refused.code, refused.message, json.dumps(facts, sort_keys=True)))
            if isinstance(way, HttpTransport):
                way.close()
        return given


def play(launch: Launch, sink: Sink, cancel: threading.Event) -> ExitStatus:
    """Train a small model."""
    sink.log("süß\n".encode())
    sink.metric(b'{"name":"auc","value":0.7,"step":1}')
    leave(sink, "model/model.json", b'{"algorithm":"xgboost","features":["a"],"target":"age"}')
    leave(sink, "model/model.txt", b"tree\nversion=v4" * 1000)
    leave(sink, "output/data/report.json", b'{"rows":3}')
    return ExitStatus.OK


@pytest.fixture(scope="module")
def both(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A platform with a trained model, and a server in a thread of its own."""
    place = site.copy(tmp_path_factory.mktemp("both"))
    platform = place.open(engine=PlayedEngine(play), workshop=EmptyWorkshop())
    people = People(platform, place.tokens)
    run = furnish_catalog(people)["Run"]
    people.work()
    server = uvicorn.Server(configuration(platform, Listen(port=0)))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Both(platform, people, f"http://127.0.0.1:{port}", run)
    server.should_exit = True
    thread.join()
    platform.close()


MODEL = "model:e-xgboost"
ASKED = [
    WhoAmI(),
    ListProjects(),
    ListDatasets(project="main"),
    ListDatasets(project="main", limit=1),
    ShowDataset(project="main", dataset="data:credit"),
    ShowDataset(project="main", dataset="data:ärger"),
    ShowDataset(project="main", dataset="data:credot"),
    ListAssessments(project="main", dataset="data:credit"),
    UseDataset(project="main", dataset="data:credit"),
    ShowRowProof(project="main", run="RUN"),
    ListEntities(project="main"),
    GetEntity(project="main", reference=MODEL),
    GetEntity(project="main", reference="?? & = / #"),
    GetLineage(project="main", reference=MODEL),
    ListRuns(project="main", status="ok"),
    ListRuns(project="main", experiment="a b&c=d"),
    CompareRuns(project="main", runs=["RUN", "RUN"]),
    CompareRuns(project="main", runs=[]),
    ShowRun(project="main", run="RUN"),
    GetLog(project="main", run="RUN", offset=1),
    ListEnvironments(),
    ShowEnvironment(env="tabular"),
    ShowEnvironment(env="absent"),
    ListModels(project="main"),
    ShowModel(project="main", model=MODEL),
    FetchModel(project="main", model=MODEL),
    FetchModel(project="main", model="model:absent"),
    ShowPolicies(),
    ListKeys(project="main"),
    SearchEntries(project="main", limit=1),
    CheckApproval(project="main", model=MODEL),
    CheckGates(project="main", model=MODEL),
    CompareVersions(project="main", model=MODEL, base=MODEL),
    ListComments(project="main", model=MODEL),
    ListExaminations(project="main"),
    ListFindings(project="main", severity="high"),
    ListImpacts(project="main"),
    ListReviews(project="main"),
    ListRisks(project="main"),
    ListUseCases(project="main"),
    ListVersions(project="main", tier=1, emergency=False),
    ShowBoard(project="main"),
    ShowDependencies(project="main", model=MODEL),
    ShowFacts(project="main", model=MODEL, at="2026-11-23T00:00:00Z"),
    ShowFinding(project="main", finding="absent"),
    ShowGates(project="main", history=True),
    ShowGovernance(project="main"),
    ShowInstructions(project="main", model=MODEL),
    ShowUseCase(project="main", name="absent"),
    ShowVersion(project="main", model=MODEL),
    ListDatasets(project="other"),
    ListDatasets(project="nowhere"),
    AddDataset(project="main", name="Not A Name", filename="ü.csv", columns={"a": "int64"}, purposes=["x", "y"]),
    SplitDataset(project="main", dataset="data:credit", parts={"a": 0.5, "b": 0.4}),
    TrainModel(project="main", experiment="e", data="data:credit", algorithm="xgboost", params={"eta": 7}),
    EvaluateModel(project="main", model="data:credit", data="data:credit"),
    ReproduceModel(project="main", model="model:absent"),
    RunScript(project="main", entry="no.sh", params={"a": [1, {"b": None}]}, limits=JobLimits(wall_s=3)),
    CancelRun(project="main", run="RUN"),
]


@pytest.mark.parametrize("person", ["scientist", "auditor", "outsider"])
@pytest.mark.parametrize("request_", ASKED, ids=lambda request: type(request).__name__)
def test_both_ways_say_the_same(both: Both, request_: Any, person: str) -> None:
    """Every answer and every refusal, with its type, code, message and facts, is the same in process and over HTTP."""
    fields = {
        name: value for name, value in msgspec.structs.asdict(request_).items() if value in ("RUN", ["RUN", "RUN"])
    }
    for name, value in fields.items():
        here = both.run if value == "RUN" else [both.run, both.run]
        request_ = msgspec.structs.replace(request_, **{name: here})
    in_process, over_http = both.answers(person, request_)
    if isinstance(request_, SearchEntries) and not isinstance(in_process, tuple):
        in_process, over_http = len(in_process.entries), len(over_http.entries)
    if isinstance(request_, ShowBoard) and not isinstance(in_process, tuple):
        in_process, over_http = (msgspec.structs.replace(board, at="") for board in (in_process, over_http))
    if isinstance(request_, GetLineage) and not isinstance(in_process, tuple):
        in_process, over_http = msgspec.to_builtins(in_process), msgspec.to_builtins(over_http)
    assert in_process == over_http


def test_a_proof_says_the_same_at_a_later_checkpoint(both: Both) -> None:
    """A proof of absence is the same both ways; only the checkpoint that it rests on moves on."""
    request = ProveUnused(project="main", reference="data:credit", model=MODEL)
    first, second = both.answers("scientist", request)
    assert first.unused is second.unused is False
    assert (first.scope, first.path, first.grade) == (second.scope, second.path, second.grade)


def test_bytes_come_through_whole(both: Both) -> None:
    """What is uploaded over HTTP is what is sealed, whatever its size and pieces; what is started is queued once."""
    content = bytes(range(256)) * 9000
    before = len(both.people.ask("scientist", ListRuns(project="main", limit=1000)).runs)
    over_http = both.ways("scientist")[1]
    request = AddDataset(project="main", name="bytes", filename="ü &=?.csv", purposes=["a", "b"])
    over_http.invoke("data:AddDataset", request, Started, io.BytesIO(content))
    over_http.close()
    runs = both.people.ask("scientist", ListRuns(project="main", limit=1000)).runs
    assert len(runs) == before + 1
    shown = both.people.ask("scientist", ShowRun(project="main", run=runs[0].run))
    assert shown.job["inputs"] == {"file": str(Digest.of(content))}


def test_a_script_with_many_parameters_goes_through(both: Both) -> None:
    """As many parameters as a job may have can be asked for over HTTP too, where they travel in the query."""
    over_http = both.ways("scientist")[1]
    params = {f"p{n}": "%é&=?" * 50 for n in range(50)}
    request = RunScript(project="main", entry="main.py", params=params)
    started = over_http.invoke("execution:RunScript", request, Started, io.BytesIO(b"tar"))
    over_http.close()
    assert both.people.ask("scientist", ShowRun(project="main", run=started.run)).params == params


def test_a_request_that_breaks_off_over_the_wire_leaves_nothing(both: Both) -> None:
    """A client that goes away in the middle of its bytes leaves no run, no object, and an entry that says so."""
    before = both.platform.vault.fsck()

    def broken() -> Iterator[bytes]:
        yield b"a,b\n"
        raise ConnectionError("the client died")

    headers = {"Authorization": f"Bearer {both.people.tokens['scientist']}"}
    url = both.url + path("data:AddDataset", "main") + "?name=credit&filename=c.csv"
    with pytest.raises(ConnectionError):
        httpx.post(url, content=broken(), headers=headers)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        newest = both.platform.ledger.tail(1)[0].event["data"]
        if newest["outcome"] == "failed":
            break
        time.sleep(0.02)
    assert (newest["action"], newest["code"]) == ("data:AddDataset", "MUNI-H108")
    assert both.platform.vault.fsck() == before


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """No answer is Unavailable, with the way to start a server."""
    transport = HttpTransport("http://127.0.0.1:9", None)
    with pytest.raises(Unavailable) as refused:
        transport.invoke("identity:WhoAmI", WhoAmI(), object)
    assert "muni up" in refused.value.facts["do"]
    transport.close()


def test_each_reading_verb_is_asked_in_these_tests() -> None:
    """The comparison covers every reading verb of data, models and runs."""
    rooms = {"data", "inventory", "execution", "catalog"}
    found = [verb for verb in VERBS if verb.room in rooms and verb.effect is Effect.READ]
    reading = {verb.request for verb in found if verb.on.in_project}
    assert reading <= {type(request) for request in ASKED} | {ProveUnused}
