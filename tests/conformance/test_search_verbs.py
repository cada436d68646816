"""Search through the gate, on both engines: what is found, what is hidden, what is recorded, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from asking import furnish_catalog
from muniment.adapters.sql.catalog import SqlMetrics
from muniment.adapters.sql.execution import PARAMS, SqlRunQueue
from muniment.adapters.sql.indexing import FIELD, OBJECT, RUN, VALUE, reindex
from muniment.adapters.sql.search import SqlSearchIndex
from muniment.adapters.sql.store import SqlStore
from muniment.bootstrap import Platform
from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind, Metric
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.execution.model import RunStatus
from muniment.founding import upgrade
from muniment.kernel.digest import Digest
from muniment.kernel.identifiers import format_time
from muniment.search.kinds import KINDS
from muniment.search.language import parse, parse_path
from muniment.search.ports import Scope
from muniment.testing.platform import OTHER, PROJECT, People, Site
from muniment.wire.identity import AddUser, GrantRole, IssueTokenFor
from muniment.wire.ledger import TailEntries
from muniment.wire.policy import PolicyTest, PublishPolicies
from muniment.wire.policy import TestGrant as Held
from muniment.wire.search import ListSearches, RemoveSearch, SaveSearch, Search, SearchWords
from searching import NOW, Ran, World, put


@pytest.fixture
def people(each_site: Site) -> Iterator[People]:
    """A platform whose two projects hold the same things, once on each engine."""
    platform = each_site.open()
    asking = People(platform, each_site.tokens)
    furnish_catalog(asking)
    furnish_catalog(asking, OTHER)
    yield asking
    platform.close()


def found(people: People, query: str, person: str = "scientist", **more: Any) -> Any:
    """What a person finds."""
    return people.ask(person, Search(project=more.pop("project", PROJECT), query=query, **more))


def references(answer: Any) -> list[str]:
    """The references of an answer."""
    return [row.reference for row in answer.rows]


def test_everything_is_found_by_its_kind(people: People) -> None:
    """Data, models, runs and experiments are found, each with its usual columns."""
    assert references(found(people, 'data where name = credit and column.name = "age"')) == ["data:credit@1"]
    assert references(found(people, "model where name = scorer")) == ["model:scorer@1"]
    run = found(people, 'run where input.name = "credit" and status = queued and experiment = e and kind = train')
    assert [row.values["status"] for row in run.rows] == ["queued"]
    assert references(found(people, "experiment where runs >= 1")) == ["experiment:e"]
    assert found(people, "run", count=True, limit=0).total == len(found(people, "run").rows) > 0


def test_every_kind_and_every_field_can_be_asked_for(people: People) -> None:
    """No kind, no field, no order and no column fails on an installation that holds something."""
    for kind, fields in (
        (kind, people.ask("scientist", SearchWords(project=PROJECT, kind=kind)).words) for kind in _kinds(people)
    ):
        for name in fields:
            answer = found(
                people, f"{kind} where {name} is present or {name} is absent order by {name} desc", columns=[name]
            )
            assert answer.columns == [name]


def _kinds(people: People) -> list[str]:
    return list(people.ask("scientist", SearchWords(project=PROJECT)).words)


def test_only_what_may_be_seen_is_found(people: People) -> None:
    """One project by default; with 'everywhere' those that the asker may read, and who may read none is refused."""
    outsider = found(people, "data", "outsider", project=OTHER, everywhere=True)
    assert {row.project for row in outsider.rows} == {OTHER}
    assert outsider.projects == [OTHER]
    auditor = found(people, "data", "auditor", everywhere=True)
    assert {row.project for row in auditor.rows} == {PROJECT, OTHER}
    assert {row.project for row in found(people, "data", "auditor").rows} == {PROJECT}
    assert found(people, "data where name = credit", "auditor", everywhere=True, count=True).total == 2
    for person, project in (("newcomer", PROJECT), ("outsider", PROJECT), ("scientist", OTHER)):
        with pytest.raises(Denied):
            found(people, "run", person, project=project)


def test_an_object_that_policy_hides_is_not_found_nor_counted(people: People) -> None:
    """What an institution's own policy forbids to show does not stand in an answer, a count or another page."""
    before = found(people, "data", count=True)
    policy = """@id("own/hidden@1")
@reason("what the scientist brought is not shown")
forbid (principal, action == Action::"catalog:GetEntity", resource is Entity)
when { resource.author == "User:scientist" };"""
    about: dict[str, Any] = {"action": "catalog:GetEntity", "project": PROJECT, "resource": "x"}
    about["grants"] = [Held(role="scientist", scope=PROJECT)]
    tests = [
        PolicyTest(name="hidden", expect="deny", by=["own/hidden@1"], attributes={"author": "User:scientist"}, **about),
        PolicyTest(name="shown", expect="allow", by=["role/scientist@1"], attributes={"author": "User:x"}, **about),
    ]
    people.ask("admin", PublishPolicies(text=policy, tests=tests))
    after = found(people, "data", count=True)
    hidden = [row.reference for row in before.rows if row.values["author"] == "User:scientist"]
    assert hidden
    assert set(references(after)) == set(references(before)) - set(hidden)
    assert after.total == len(after.rows)
    assert found(people, "data limit 1").rows == after.rows[:1]


def test_a_search_is_recorded(people: People) -> None:
    """The ledger tells who searched what kind where, by the digest of the query and not by its words."""
    found(people, 'run where label = "secret words"')
    entry = people.ask("auditor", TailEntries(limit=5)).entries
    told = next(one for one in entry if "search" in str(one))
    assert "secret words" not in str(told)


def test_lineage_is_asked_from_both_ends(people: People) -> None:
    """A reference that is not known is refused with those that look alike; one that is has no dependants yet."""
    assert found(people, "model where downstream of data:credit@1").rows == []
    with pytest.raises(NotFound) as refused:
        found(people, "model where downstream of data:credti@1")
    assert "data:credit" in refused.value.facts["near"]


def test_a_name_that_nothing_has_is_hinted_at(people: People) -> None:
    """An answer without rows says that nothing has such a metric."""
    assert "metric.acu" in found(people, "run where metric.acu > 0.5").hints[0]


def test_searches_are_kept_and_are_their_keepers(people: People) -> None:
    """A saved query is asked by its name; only who saved it changes or removes it."""
    people.ask("scientist", SaveSearch(project=PROJECT, name="good", query="runs where status = queued"))
    assert references(found(people, "@good", "validator")) == references(found(people, 'run where status = "queued"'))
    people.ask("scientist", SaveSearch(project=PROJECT, name="good", query="run"))
    assert [one.query for one in people.ask("validator", ListSearches(project=PROJECT)).searches] == ["run"]
    for request in (RemoveSearch(project=PROJECT, name="good"), SaveSearch(project=PROJECT, name="good", query="data")):
        with pytest.raises(Conflict):
            people.ask("validator", request)
    with pytest.raises(NotFound) as unknown:
        found(people, "@goood")
    assert unknown.value.facts["near"] == ["good"]
    people.ask("scientist", RemoveSearch(project=PROJECT, name="good"))
    assert people.ask("validator", ListSearches(project=PROJECT)).searches == []
    for name, query in (("Bad Name", "run"), ("good", "run where")):
        with pytest.raises(Invalid):
            people.ask("scientist", SaveSearch(project=PROJECT, name=name, query=query))


def test_pages_together_are_the_whole(people: People) -> None:
    """Going on at the next offset gives everything once, in the same order."""
    whole, pages, offset = references(found(people, "record order by created")), [], 0
    while True:
        answer = found(people, "record order by created", limit=1, offset=offset)
        pages += references(answer)
        if not answer.more:
            break
        offset = answer.next_offset
    assert pages == whole


def test_bounds_are_checked(people: People) -> None:
    """A page, an offset and the columns have bounds; unknown columns are refused like fields."""
    for more in (
        {"limit": 0},
        {"limit": 10_001},
        {"offset": -1},
        {"columns": ["nothing"]},
        {"columns": ["status"] * 41},
    ):
        with pytest.raises(Invalid):
            found(people, "run", **more)


def test_an_answer_can_hold_at_a_checkpoint(people: People) -> None:
    """Asked to, the state of the ledger is signed at which the answer was given."""
    assert found(people, "run").checkpoint is None
    assert found(people, "run", checkpoint=True).checkpoint.size > 0


def test_what_is_indexed_can_be_made_again(store: SqlStore) -> None:
    """Without its own tables search fills them from the others, to the same content; again, it changes nothing."""
    runs = [
        Ran(
            number=1,
            metrics={"auc": 0.8},
            params={"depth": 3, "note": "x" * 100},
            tags={"team": "a"},
            inputs=["credit"],
        ),
        Ran(number=2, experiment="e", inputs=["credit", "other"], params={"flag": True}),
    ]
    with store.engine.connect() as db:
        if db.dialect.name == "sqlite":
            db.exec_driver_sql("begin")
        put(db, runs)
        before = _content(db)
        for table in (VALUE, FIELD, OBJECT, RUN, PARAMS):
            db.execute(delete(table))
        assert reindex(db) == 4
        assert _content(db) == before
        assert reindex(db) == 0
        assert _content(db) == before
        db.rollback()


def test_a_training_is_found_by_the_evaluation_of_its_model(store: SqlStore) -> None:
    """By the latest that ended well, and not where it measured itself; made again, the index says the same."""
    model = Digest.of(b"model")
    training = Ran(number=1, metrics={"loss": 0.25}, params={"max_depth": 3}, inputs=["credit"])
    evaluations = [Ran(number=2, kind="evaluate"), Ran(number=3, kind="evaluate"), Ran(number=4, kind="explain")]
    evaluations.append(Ran(number=5, kind="evaluate"))
    query = parse('run where metric.auc > 0.7 and input.name = "credit" and param.max_depth in (3, 5)')
    with store.engine.connect() as db:
        if db.dialect.name == "sqlite":
            db.exec_driver_sql("begin")
        put(db, [training, *evaluations])
        writer = Declarer(World(db), PROJECT, NOW)
        writer.entity(model, EntityKind.MODEL, author="User:ana")
        for run in (training, *evaluations):
            writer.activity(run.id, ActivityKind(run.kind), agent="User:ana", started_at=NOW, ended_at=NOW)
        writer.generated(training.id, model, "model")
        queue, moment = SqlRunQueue(db), format_time(NOW)
        assert queue.lease("w", moment, moment, 3)
        queue.finish(training.id, "w", RunStatus.OK, moment, {})
        for run, auc in zip(evaluations, (0.6, 0.8, 0.5, 0.5), strict=True):
            writer.used(run.id, model, "model")
            told = [Metric("auc", auc, NOW, 0), Metric("loss", 9.0, NOW, 0)]
            SqlMetrics(db).append_many(PROJECT, run.id, told)
            assert queue.lease("w", moment, moment, 3)
            queue.finish(run.id, "w", RunStatus.FAILED if run is evaluations[-1] else RunStatus.OK, moment, {})

        def answers() -> list[dict[str, Any]]:
            columns = [parse_path(name, KINDS["run"]) for name in ("metric.auc", "metric.loss")]
            hits = SqlSearchIndex(db).find(query, Scope(projects=(PROJECT,), now=NOW), columns, limit=9, offset=0)
            return [{"reference": hit.reference, **hit.values} for hit in hits]

        expected = [{"reference": f"run:{training.id}", "metric.auc": 0.8, "metric.loss": 0.25}]
        assert answers() == expected
        for table in (VALUE, FIELD, OBJECT, RUN):
            db.execute(delete(table))
        reindex(db)
        assert answers() == expected
        db.rollback()


def _content(db: Any) -> Any:
    """What the tables say, whatever their numbers."""
    runs = {row.number: row for row in db.execute(select(RUN))}
    fields = {row.id: (row.space, row.name) for row in db.execute(select(FIELD))}

    def bearer(row: Any) -> Any:
        return row.object if fields[row.field][0] in ("fact", "column") else runs[row.object].run

    values = sorted(
        (*fields[row.field], str(bearer(row)), row.place, repr(row.number), str(row.prefix), str(row.text))
        for row in db.execute(select(VALUE))
    )
    things = sorted(
        (runs[row.run].run, row.side, row.role, row.digest, row.entity) for row in db.execute(select(OBJECT))
    )
    params = sorted((row.run, row.name, row.text, str(row.number), row.prefix) for row in db.execute(select(PARAMS)))
    return values, things, params, sorted(tuple(map(str, row))[1:] for row in runs.values())


def test_an_upgraded_home_is_found_too(site: Site, tmp_path: Path) -> None:
    """What an older release recorded is found once the home is upgraded."""
    place = site.copy(tmp_path)
    platform: Platform = place.open()
    people = People(platform, place.tokens)
    furnish_catalog(people)
    queries = ("run where param.nothing is absent", 'run where input.name = "credit"', 'data where column.name = "age"')
    before = [references(found(people, query)) for query in queries]
    with platform.store.engine.connect() as db:
        db.exec_driver_sql("begin")
        for table in (VALUE, FIELD, OBJECT, RUN, PARAMS):
            db.execute(delete(table))
        db.commit()
    platform.close()
    upgrade(place.home)
    platform = place.open()
    people = People(platform, place.tokens)
    assert [references(found(people, query)) for query in queries] == before
    assert all(before)
    platform.close()


def test_a_member_of_several_projects_finds_in_each(people: People) -> None:
    """Membership in two projects is two projects' worth of answers, and no third's."""
    people.ask("admin", AddUser(name="both"))
    people.tokens["both"] = people.ask("admin", IssueTokenFor(owner="both")).token
    for scope in (PROJECT, OTHER):
        people.ask("admin", GrantRole(subject="both", role="validator", scope=scope))
    answer = found(people, "model where name = scorer order by name", "both", everywhere=True)
    assert {row.project for row in answer.rows} == {PROJECT, OTHER}
