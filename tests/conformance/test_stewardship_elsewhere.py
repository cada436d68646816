"""Terms hold where no job is submitted by hand: online reads, searches for parameters, runs elsewhere, copies."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asking import recorded
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.recording import Recorder
from muniment.data.features.ports import Online, OnlineRow, Publication
from muniment.errors import Denied, MunimentError
from muniment.execution.queue import RunLabels
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import new_id
from muniment.kernel.ports import SystemClock, SystemEntropy
from muniment.testing.fakes import FakeClock
from muniment.testing.platform import PROJECT, People, Site
from muniment.wire import features as wf
from muniment.wire import stewardship as ws
from muniment.wire import tracking as wt
from muniment.wire.execution import EvaluateModel, ReproduceModel
from muniment.wire.tuning import AdvanceStudy, CreateStudy
from muniment.wire.validation import ExplainModel
from stewarding import Estate

SCHEMA = [{"name": "age", "type": "int64", "nullable": False}]
MOMENT = "2026-01-01T00:00:00.000Z"
CODE = b"def transform(people):\n    return people\n"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
def estate(each_site: Site, clock: FakeClock) -> Iterator[Estate]:
    """Two stewards and a data set, once on each engine."""
    platform = each_site.open(clock=clock)
    yield Estate.of(People(platform, each_site.tokens))
    platform.close()


def published(estate: Estate, *, entity: str = "customer") -> Digest:
    """A view over data:credit, built and published: three customers online. Gives the build."""
    request = wf.DefineView(
        project=PROJECT,
        name="v",
        entity=[entity],
        event_time="happened",
        features=[wf.FeatureSpec(name="age", type="int64")],
        sources={"people": "data:credit"},
        entry="v.py",
    )
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        header = tarfile.TarInfo("v.py")
        header.size = len(CODE)
        tar.addfile(header, io.BytesIO(CODE))
    view = Digest(estate.ask("scientist", request, tree.getvalue()).digest)
    build = estate.derive("data:credit", name="v", kind=ActivityKind.TRANSFORM)
    platform = estate.people.platform
    with platform.store.write() as session:
        online, run = session.use(Online), new_id(SystemClock(), SystemEntropy())
        online.put(PROJECT, view, run, [OnlineRow(f"[{n}]", 1, 1, f"[{20 + n}]") for n in (1, 2, 3)])
        done = Publication(
            id=run,
            project=PROJECT,
            view=view,
            build=build,
            as_of=MOMENT,
            at=MOMENT,
            by="User:scientist",
            key_types=json.dumps(["int64"]),
            offered=3,
            accepted=3,
            removed=0,
        )
        online.published(done)
    return build


def look_up(estate: Estate, by: str = "scientist", **given: Any) -> Any:
    """Read one customer online."""
    return estate.ask(by, wf.LookUpFeatures(project=PROJECT, view="features:v", keys=[{"customer": 2}], **given))


class TestOnlineReads:
    """What the published rows were built of decides about each read."""

    def test_purpose_right_grant_and_hold_decide(self, estate: Estate, clock: FakeClock) -> None:
        """Stated for the raw data, they count for what is read online; the ledger says why a read was refused."""
        published(estate)
        assert look_up(estate).entities[0].values == [22]
        stated = estate.terms(purposes=["scoring"])
        with pytest.raises(Denied, match="does not say what it is for") as refused:
            look_up(estate)
        assert (refused.value.code, refused.value.facts["records"]) == ("MUNI-W403", [stated.record])
        entry = recorded(estate.people.platform, refused.value)
        assert (entry["action"], entry["outcome"]) == ("features:LookUpFeatures", "denied")
        with pytest.raises(Denied, match="not for marketing"):
            look_up(estate, purpose="marketing")
        assert look_up(estate, purpose="Scoring").entities[0].found
        estate.terms(access="grant")
        with pytest.raises(Denied, match="under a grant only"):
            look_up(estate, purpose="scoring")
        estate.approve(estate.grant(days=1).id)
        assert look_up(estate, purpose="scoring").entities[0].found
        clock.advance(days=1)
        with pytest.raises(Denied, match="under a grant only"):
            look_up(estate, purpose="scoring")
        estate.approve(estate.grant(days=7).id)
        hold = ws.PlaceHold(project=PROJECT, dataset="data:credit", case="court", reason="order", forbids_use=True)
        estate.ask("steward", hold)
        with pytest.raises(Denied, match="forbids its use"):
            look_up(estate, purpose="scoring")

    def test_what_may_not_be_predicted_on_is_neither_read_nor_published(self, estate: Estate) -> None:
        """``no-prediction`` closes the online table on both sides."""
        published(estate)
        estate.terms(rights=["no-prediction"])
        with pytest.raises(Denied, match="no-prediction"):
            look_up(estate)
        uses = {use.kind: use.allowed for use in estate.rights("v").uses}
        assert (uses["lookup"], uses["publish"], uses["train"]) == (False, False, True)

    def test_what_is_due_leaves_the_online_table_with_its_snapshot(self, estate: Estate, clock: FakeClock) -> None:
        """The request names the rows, the decision takes them out, and the count stands in the record."""
        published(estate)
        estate.terms(retention=clock.now().date().isoformat())
        clock.advance(days=1)
        asked = estate.ask("steward", ws.RequestDeletion(project=PROJECT, dataset="data:v", reason="over"))
        assert [(one.kind, one.action) for one in asked.found] == [("data", "destroy"), ("online", "destroy")]
        done = estate.ask("steward2", ws.ApproveErasure(project=PROJECT, erasure=asked.id))
        assert done.online == 3
        with estate.people.platform.store.read() as session:
            online = session.use(Online)
            assert [online.count(PROJECT, view) for view in online.views(PROJECT)] == [0]


class TestJobsOfOtherKinds:
    """Purpose and rights for what learns, and for what examines."""

    def study(self, estate: Estate, **given: Any) -> Any:
        """A search for parameters."""
        request = CreateStudy(
            project=PROJECT,
            name=given.pop("name", "s"),
            experiment="e",
            algorithm="xgboost",
            data="data:credit",
            validation="data:other",
            target="age",
            space={"max_depth": "int:2..4"},
            trials=2,
            **given,
        )
        return estate.ask("scientist", request)

    def test_a_study_is_refused_as_a_training_is_and_so_is_each_trial(self, estate: Estate) -> None:
        """At its creation, and again when it goes on after the terms became narrower."""
        estate.derive("data:credit", name="other")
        estate.terms(purposes=["scoring"])
        with pytest.raises(Denied, match="does not say what it is for"):
            self.study(estate)
        assert self.study(estate, purpose="scoring").study == "s"
        assert estate.ask("scientist", AdvanceStudy(project=PROJECT, study="s")).trials
        self.study(estate, purpose="scoring", name="s2")
        estate.terms(rights=["no-training"])
        with pytest.raises(Denied, match="no-training"):
            estate.ask("scientist", AdvanceStudy(project=PROJECT, study="s2"))

    def test_who_examines_needs_no_purpose_but_is_bound_by_rights(self, estate: Estate) -> None:
        """Evaluation and explanation on purpose-bound data pass; ``no-evaluation`` stops both."""
        estate.terms(purposes=["scoring"])
        evaluate = EvaluateModel(project=PROJECT, model="model:scorer", data="data:credit")
        explain = ExplainModel(project=PROJECT, model="model:scorer", data="data:credit")
        assert estate.ask("validator", evaluate).run
        estate.terms(rights=["no-evaluation"])
        with pytest.raises(Denied, match="no-evaluation"):
            estate.ask("validator", evaluate)
        with pytest.raises(MunimentError) as refused:
            estate.ask("validator", explain)
        assert refused.value.code in ("MUNI-W403", "MUNI-T102")

    def test_a_run_elsewhere_is_written_down_with_what_it_was_not_allowed(self, estate: Estate) -> None:
        """It has happened: nothing is refused, the run bears the reasons, and a search finds it."""
        estate.terms(rights=["no-training"], purposes=["scoring"])
        run = estate.ask("scientist", wt.StartRun(project=PROJECT, experiment="x", tags={"purpose": "ads"})).run
        used = [wt.TrackedInput(role="train", reference="data:credit")]
        estate.ask("scientist", wt.LogInputs(project=PROJECT, run=run, inputs=used))
        from_there = estate.ask("scientist", wt.StartRun(project=PROJECT, experiment="x")).run
        estate.derive("data:credit", name="free")
        estate.ask("steward", ws.SetTerms(project=PROJECT, dataset="free", stands_alone=True, reason="counts"))
        with estate.people.platform.store.read() as session:
            tags = session.use(RunLabels).tags_of(PROJECT, [run.removeprefix("run:"), from_there.removeprefix("run:")])
        said = tags[run.removeprefix("run:")]["muniment.not_permitted"]
        assert "no-training" in said
        assert "not for ads" in said
        assert "muniment.not_permitted" not in tags.get(from_there.removeprefix("run:"), {})


class TestEqualBytes:
    """The strictest of all terms under which bytes ever came in."""

    def ingested(self, estate: Estate, name: str, file: bytes, content: bytes, **facts: Any) -> Digest:
        """Record that a file came in under these terms, as an ingest leaves it behind."""
        platform = estate.people.platform
        now = platform.gate._clock.now()
        with platform.store.write() as session:
            recorder = Recorder(session, PROJECT, now)
            for one in (file, content):
                platform.vault.register(session, PROJECT, platform.vault.seal_bytes(PROJECT, one))
            source, part = Digest.of(file), Digest.of(content)
            pieces = [{"path": "source", "digest": str(source), "size": len(file)}]
            recorder.entity(source, EntityKind.FILE, author="User:scientist", facts={"files": pieces}, parts=[source])
            files = [{"path": "part", "digest": str(part), "size": len(content)}]
            # The manifest is another one for each way of reading; what it holds is the same.
            snapshot = Digest.of(name.encode())
            recorder.entity(
                snapshot,
                EntityKind.DATA,
                author="User:scientist",
                facts={"files": files, "schema": SCHEMA, **facts},
                parts=[part],
            )
            run = new_id(SystemClock(), SystemEntropy())
            recorder.activity(run, ActivityKind.INGEST, agent="User:scientist", started_at=now, ended_at=now, facts={})
            recorder.used(run, source, "file")
            recorder.generated(run, snapshot, "snapshot")
            recorder.name(EntityKind.DATA, name, snapshot, by="User:scientist")
        return snapshot

    def test_adding_a_file_again_as_public_loosens_nothing(self, estate: Estate) -> None:
        """Under another name, read another way: restricted and bound to one purpose it stays, whichever came first."""
        strict = {"classification": "restricted", "purposes": ["credit decision"]}
        self.ingested(estate, "first", b"file", b"rows", **strict)
        self.ingested(estate, "again", b"file", b"rows read otherwise", classification="public")
        self.ingested(estate, "rows", b"another file", b"rows", classification="public")
        for name in ("first", "again", "rows"):
            terms = estate.rights(name).terms
            assert (terms.classification, terms.purposes) == ("restricted", ["credit decision"]), name
            with pytest.raises(Denied, match="not for ads"):
                estate.train(name, purpose="ads")
        self.ingested(estate, "loose", b"one", b"rows of it", classification="public")
        assert estate.train("loose", purpose="ads").run
        self.ingested(estate, "tight", b"one", b"rows of it, later", **strict)
        with pytest.raises(Denied, match="not for ads"):
            estate.train("loose", purpose="ads")

    def test_what_stewards_said_of_one_counts_for_its_copies(self, estate: Estate) -> None:
        """Rights, holds and the need of a grant; a part that comes back as a file is under the terms of the whole."""
        self.ingested(estate, "one", b"file", b"rows")
        self.ingested(estate, "copy", b"file", b"other rows")
        estate.derive("one", name="one/train", content=b"part")
        self.ingested(estate, "back", b"csv of the part", b"part")
        estate.terms(dataset="one", rights=["no-training"])
        for name in ("copy", "one/train", "back"):
            with pytest.raises(Denied, match="no-training"):
                estate.train(name)
        assert estate.train("data:credit").run


def test_reproduction_examines_and_needs_no_purpose(estate: Estate) -> None:
    """A model without a recorded maker cannot be made again; the purpose is not what stops it."""
    estate.terms(purposes=["scoring"])
    with pytest.raises(MunimentError) as refused:
        estate.ask("validator", ReproduceModel(project=PROJECT, model="model:scorer"))
    assert not refused.value.code.startswith("MUNI-W")
