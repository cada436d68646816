"""Was it used? The stories that the answer must tell truly, on every engine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from muniment.adapters.sql.store import SqlStore
from muniment.catalog.absence import AbsenceProof, Apart, Verdict, apart, decide
from muniment.catalog.declaring import Declarer
from muniment.catalog.model import ActivityKind, EntityKind
from muniment.catalog.ports import Entities
from muniment.catalog.recording import Recorder
from muniment.catalog.service import gather, scope_of
from muniment.catalog.walking import Link
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.ports import Session

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ANA = "User:ana"


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


class Story:
    """Entities are named by what stands before the slash: ``data/train`` is the data entity ``train``."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.proven, self.declared = Recorder(session, "main", NOW), Declarer(session, "main", NOW)
        self.runs = 0

    def entity(self, text: str, *, content: str | None = None, parts: Iterable[str] = (), **facts: object) -> Digest:
        kind = EntityKind(text.partition("/")[0])
        if content is not None:
            facts["content_digest"] = digest(content)
        self.proven.entity(digest(text), kind, author=ANA, facts=facts, parts=map(digest, parts))
        return digest(text)

    def ran(self, kind: str, used: str, generated: str, *, grade: Grade = Grade.PROVEN, plan: str | None = None) -> str:
        writer = self.proven if grade is Grade.PROVEN else self.declared
        self.runs += 1
        run = f"01{self.runs:024d}"
        writer.activity(
            run, ActivityKind(kind), agent=ANA, started_at=NOW, ended_at=NOW, plan=digest(plan) if plan else None
        )
        for text in used.split():
            self.entity(text)
            writer.used(run, digest(text), text.partition("/")[2])
        parts = {text: digest(text) for text in generated.split() if text.startswith("data/")}
        for text in generated.split():
            self.entity(text)
            if text.startswith("proof/"):
                proven = {"disjoint": True, "parts": parts}
                self.proven.entity(digest(text), EntityKind.PROOF, author=ANA, facts=proven)
            writer.generated(run, digest(text), text.partition("/")[2])
        return run

    def ask(self, text: str, model: str = "model/m") -> AbsenceProof:
        asked = self.session.use(Entities).find("main", [digest(text)])[digest(text)]
        return decide(gather(self.session, "main", asked, digest(model)))

    def apart(self, text: str, model: str = "model/m") -> Apart:
        asked = self.session.use(Entities).find("main", [digest(text)])[digest(text)]
        return apart(gather(self.session, "main", asked, digest(model)))


@pytest.fixture
def story(store: SqlStore) -> Iterable[Story]:
    """The founding example: a file is ingested, split with a proof, and a model is trained on one part."""
    with store.write() as session:
        told = Story(session)
        told.ran("ingest", "file/csv code/programs base/root env/tabular", "data/credit")
        told.ran(
            "split",
            "data/credit code/programs base/root env/tabular",
            "data/train data/test data/holdout proof/disjoint",
            plan="split",
        )
        told.ran("train", "data/train code/programs base/root env/tabular", "model/m", plan="train")
        yield told


def test_the_holdout_is_proven_unused_because_the_split_proved_it_disjoint(story: Story) -> None:
    """Common origin is named, and the split's proof is what separates the rows."""
    proof = story.ask("data/holdout")
    assert (proof.verdict, proof.unused, proof.grade) == (Verdict.UNUSED, True, Grade.PROVEN)
    assert set(proof.shared) == {digest("file/csv"), digest("data/credit")}
    assert [(c.proof, c.part, c.other, c.grade) for c in proof.citations] == [
        (digest("proof/disjoint"), digest("data/train"), digest("data/holdout"), Grade.PROVEN)
    ]
    assert (proof.path, proof.weakest) == ((), None)
    assert (proof.entities, proof.activities) == (7, 3)


@pytest.mark.parametrize(("asked", "steps"), [("data/train", 2), ("data/credit", 4), ("file/csv", 6), ("model/m", 0)])
def test_what_is_an_ancestor_was_used_and_the_way_is_shown(story: Story, asked: str, steps: int) -> None:
    """The path goes from the model to what it used, alternating the two relations."""
    proof = story.ask(asked)
    assert (proof.verdict, proof.unused, proof.grade) == (Verdict.USED, False, Grade.PROVEN)
    assert [step.link for step in proof.path] == [Link.GENERATED, Link.USED] * (steps // 2)
    if steps:
        assert (proof.path[0].source, proof.path[-1].target) == (digest("model/m"), digest(asked))


def test_a_stranger_is_proven_unused(story: Story) -> None:
    """Without a common origin nothing needs to be separated."""
    story.ran("ingest", "file/other code/programs base/root env/tabular", "data/other")
    proof = story.ask("data/other")
    assert (proof.verdict, proof.grade, proof.shared, proof.citations) == (Verdict.UNUSED, Grade.PROVEN, (), ())


def test_without_the_splits_proof_the_answer_is_object_level_and_declared(story: Story) -> None:
    """Two parts of a split that proved nothing may share rows."""
    story.ran("split", "data/credit", "data/left data/right")
    story.ran("train", "data/left", "model/unsafe")
    proof = story.ask("data/right", "model/unsafe")
    assert (proof.verdict, proof.unused, proof.grade) == (Verdict.UNUSED_OBJECT, True, Grade.DECLARED)
    assert (proof.path[0].source, proof.path[-1].target) == (digest("model/unsafe"), digest("data/credit"))


def test_a_second_split_of_the_same_data_separates_nothing(story: Story) -> None:
    """The proof of one split says nothing about the parts of another one, whatever that one proved."""
    story.ran("split", "data/credit", "data/train2 data/holdout2 proof/disjoint2")
    story.ran("train", "data/train2", "model/leaky")
    proof = story.ask("data/holdout", "model/leaky")
    assert (proof.verdict, proof.grade) == (Verdict.UNUSED_OBJECT, Grade.DECLARED)
    assert story.ask("data/holdout2", "model/leaky").verdict is Verdict.UNUSED


def test_a_model_trained_on_the_whole_has_used_the_part(story: Story) -> None:
    """All rows of the holdout stand in what was split: reading that is reading the holdout."""
    story.ran("train", "data/credit", "model/greedy")
    proof = story.ask("data/holdout", "model/greedy")
    assert (proof.verdict, proof.unused, proof.grade) == (Verdict.USED, False, Grade.PROVEN)
    assert [step.link for step in proof.path] == [Link.GENERATED, Link.USED, Link.DERIVES]
    assert proof.path[-1].target == digest("data/holdout")


def test_ingesting_the_same_file_again_is_no_way_around(story: Story) -> None:
    """The file under another name is the same file; what is trained on it has read every row."""
    story.ran("ingest", "file/csv", "data/again")
    story.ran("train", "data/again", "model/greedy")
    assert story.ask("data/holdout", "model/greedy").verdict is Verdict.USED


def test_a_transform_of_the_whole_has_read_the_part(story: Story) -> None:
    """A script that reads the whole and writes features lets the rows in, even if it only keeps some."""
    story.ran("run", "data/credit", "artifact/features")
    story.ran("train", "artifact/features", "model/greedy")
    assert story.ask("data/holdout", "model/greedy").verdict is Verdict.USED


def test_siblings_of_a_script_are_unused_at_object_level_only(story: Story) -> None:
    """What a script made of the rows it read is unknown, so neither use nor absence of rows is claimed."""
    story.ran("run", "data/credit", "data/a")
    story.ran("run", "data/credit", "data/b")
    story.ran("train", "data/a", "model/x")
    assert story.ask("data/b", "model/x").verdict is Verdict.UNUSED_OBJECT


def test_a_merge_of_parts_is_not_cleared_by_the_proof_about_one_of_them(story: Story) -> None:
    """The proof about train and holdout says nothing about what was merged from holdout and train."""
    story.ran("run", "data/train data/holdout", "data/merged")
    proof = story.ask("data/merged")
    assert (proof.verdict, proof.unused) == (Verdict.UNUSED_OBJECT, True)


def test_a_part_of_a_part_is_separated_by_the_first_split(story: Story) -> None:
    """What is split from the holdout is inside it, so the proof about the holdout covers it."""
    story.ran("split", "data/holdout", "data/early data/late")
    proof = story.ask("data/late")
    assert (proof.verdict, proof.grade) == (Verdict.UNUSED, Grade.PROVEN)
    assert [c.other for c in proof.citations] == [digest("data/holdout")]


def test_a_copy_under_another_name_is_found_by_its_content(story: Story) -> None:
    """Other bytes with the same schema and values are the same content."""
    story.entity("data/holdout", content="values")
    story.entity("data/copy", content="values")
    story.ran("ingest", "file/reexported", "data/copy")
    story.ran("train", "data/copy", "model/cheat")
    proof = story.ask("data/holdout", "model/cheat")
    assert (proof.verdict, proof.grade) == (Verdict.USED, Grade.PROVEN)
    assert (proof.path[-1].link, proof.path[-1].source, proof.path[-1].target) == (
        Link.SHARES,
        digest("data/copy"),
        digest("data/holdout"),
    )


def test_a_copy_of_the_whole_gives_the_part_away(story: Story) -> None:
    """Another export of what was split contains the holdout too."""
    story.entity("data/credit", content="all values")
    story.entity("data/copy", content="all values")
    story.ran("ingest", "file/reexported", "data/copy")
    story.ran("train", "data/copy", "model/cheat")
    proof = story.ask("data/holdout", "model/cheat")
    assert proof.verdict is Verdict.USED
    assert [step.link for step in proof.path[-2:]] == [Link.SHARES, Link.DERIVES]


@pytest.mark.parametrize("where", ["data/overlap", "code/tree", "model/cheat"])
def test_a_shared_piece_is_use(story: Story, where: str) -> None:
    """One Parquet part in another snapshot, in a code tree or inside the model itself gives the holdout away."""
    story.entity("data/holdout", parts=["part-0", "part-1"])
    story.entity(where, parts=["part-1", "something else"])
    used = "data/train" if where == "model/cheat" else where
    story.ran("train", used, "model/cheat")
    proof = story.ask("data/holdout", "model/cheat")
    assert (proof.verdict, proof.path[-1].link, proof.path[-1].role) == (Verdict.USED, Link.SHARES, digest("part-1"))


def test_models_that_share_a_small_file_have_not_used_each_other(story: Story) -> None:
    """A requirements file in two models is no lineage."""
    story.entity("model/m", parts=["model.ubj", "features.json"])
    story.entity("model/n", parts=["other.ubj", "features.json"])
    story.ran("train", "data/train", "model/n")
    assert story.ask("model/n").verdict is Verdict.UNUSED


def test_one_declared_link_makes_the_absence_declared_and_is_named(story: Story) -> None:
    """An absence rests on the whole closure: where one activity ran without walls, nobody knows what it read."""
    run = story.ran("run", "data/test", "data/cleaned", grade=Grade.DECLARED)
    story.ran("train", "data/train data/cleaned", "model/mixed")
    proof = story.ask("data/holdout", "model/mixed")
    assert (proof.verdict, proof.grade) == (Verdict.UNUSED, Grade.DECLARED)
    assert run in {proof.weakest.source, proof.weakest.target}


def test_a_use_is_graded_by_its_own_path(story: Story) -> None:
    """A declared link elsewhere does not weaken a proven use, and of two ways the stronger is shown."""
    story.ran("run", "data/credit", "data/short", grade=Grade.DECLARED)
    story.ran("train", "data/short data/train", "model/two")
    proof = story.ask("data/credit", "model/two")
    assert (proof.verdict, proof.grade, len(proof.path)) == (Verdict.USED, Grade.PROVEN, 4)
    story.ran("train", "data/short", "model/one")
    proof = story.ask("data/credit", "model/one")
    assert (proof.grade, proof.weakest.grade) == (Grade.DECLARED, Grade.DECLARED)


def test_what_came_from_nowhere_is_declared(story: Story) -> None:
    """A snapshot that nobody is known to have made, or an imported model, does not say what it was made from."""
    story.ran("train", "data/imported", "model/unclear")
    proof = story.ask("data/holdout", "model/unclear")
    assert (proof.verdict, proof.grade, proof.weakest) == (Verdict.UNUSED, Grade.DECLARED, digest("data/imported"))
    story.entity("model/foreign")
    assert story.ask("data/holdout", "model/foreign").grade is Grade.DECLARED


def test_a_feature_view_is_written_by_people_as_code_is(story: Story) -> None:
    """Its definition has no origin to be checked; the data that it was filled from have, and are followed."""
    story.ran("transform", "data/test features/view", "data/filled")
    story.ran("join", "data/train data/filled features/view", "data/joined")
    story.ran("train", "data/joined", "model/featured")
    assert (story.ask("data/holdout", "model/featured").grade) is Grade.PROVEN
    assert story.ask("data/test", "model/featured").verdict is Verdict.USED


def test_what_lies_before_a_proven_split_is_apart_and_jobs_that_read_it_whole_are_counted(story: Story) -> None:
    """A join before the split gave its rows to parts; one way around the split, and nothing is apart any more."""
    story.ran("ingest", "file/raw", "data/raw")
    story.ran("transform", "data/raw", "data/features")
    story.ran("join", "data/raw data/features", "data/joined")
    story.ran("split", "data/joined", "data/left data/right proof/parted")
    story.ran("train", "data/left", "model/honest")
    before = story.apart("data/right", "model/honest")
    assert before.entities == {digest(one) for one in ("file/raw", "data/raw", "data/features", "data/joined")}
    assert before.mixing == 2
    assert "worked out over rows of both before they were parted, such as a mean (such jobs: 2)" in _scope(
        story, "data/right", "model/honest"
    )
    story.ran("train", "data/left data/features", "model/around")
    assert story.apart("data/right", "model/around") == Apart()
    assert story.ask("data/right", "model/around").verdict is Verdict.UNUSED_OBJECT
    assert story.apart("data/holdout", "model/honest") == Apart()


def test_code_of_people_that_read_both_parts_before_the_split_is_named(story: Story) -> None:
    """It may have written whole rows into others; a program of the platform does not, whatever it works out."""
    story.ran("ingest", "file/raw", "data/raw")
    story.ran("join", "data/raw code/programs", "data/wide")
    lagging = story.ran("transform", "data/wide code/source", "data/lagged")
    story.ran("split", "data/lagged", "data/left data/right proof/parted")
    story.ran("train", "data/left", "model/tricked")
    before = story.apart("data/right", "model/tricked")
    assert (before.mixing, before.written) == (2, (lagging,))
    story.ran("split", "data/wide", "data/one data/two proof/apart")
    story.ran("train", "data/one", "model/plain")
    assert (story.apart("data/two", "model/plain").mixing, story.apart("data/two", "model/plain").written) == (1, ())


def test_continued_training_inherits_what_the_first_model_read(story: Story) -> None:
    """Rows that entered a model stay in what is trained on from it."""
    story.ran("train", "data/credit", "model/greedy")
    story.ran("train", "model/greedy data/train", "model/continued")
    assert story.ask("data/holdout", "model/continued").verdict is Verdict.USED


def test_a_reproduction_changes_no_answer(story: Story) -> None:
    """The same digests made again by the same plan: still separated, for the split as for the model."""
    story.ran("reproduce", "data/train code/programs base/root env/tabular", "model/m", plan="train")
    story.ran(
        "reproduce", "data/credit code/programs", "data/train data/test data/holdout proof/disjoint", plan="split"
    )
    proof = story.ask("data/holdout")
    assert (proof.verdict, proof.grade) == (Verdict.UNUSED, Grade.PROVEN)


def test_another_origin_of_the_model_counts_too(story: Story) -> None:
    """When the same bytes also came out of something that read the holdout, the holdout was used."""
    story.ran("run", "data/holdout", "model/m")
    assert story.ask("data/holdout").verdict is Verdict.USED


def test_a_proof_speaks_of_the_parts_it_names_only(story: Story) -> None:
    """Which row went where is told by another output of the split; whoever reads that is not cleared by the proof."""
    story.ran("split", "data/credit", "data/t data/h artifact/assignment proof/p")
    story.ran("train", "data/t artifact/assignment", "model/x")
    proof = story.ask("data/h", "model/x")
    assert (proof.verdict, proof.path[1].target) == (Verdict.UNUSED_OBJECT, digest("artifact/assignment"))


def test_a_proof_that_a_script_wrote_clears_nothing(story: Story) -> None:
    """Only a split of the platform establishes disjoint parts; a user's script may say what it likes."""
    story.ran("run", "data/credit", "data/mine data/yours proof/fake")
    story.ran("train", "data/mine", "model/x")
    assert story.ask("data/yours", "model/x").verdict is Verdict.UNUSED_OBJECT


@pytest.mark.parametrize("squatted", ["file/csv", "data/credit", "data/holdout"])
def test_what_was_first_called_code_is_searched_for_rows_all_the_same(store: SqlStore, squatted: str) -> None:
    """Whoever hands in the bytes of a data file as a source tree, before it is ingested, hides nothing by it."""
    with store.write() as session:
        told = Story(session)
        told.proven.entity(digest(squatted), EntityKind.CODE, author=ANA, facts={"what": "main.py"})
        told.ran("ingest", "file/csv", "data/credit")
        told.ran("split", "data/credit", "data/train data/holdout proof/disjoint")
        told.ran("run", "file/csv", "model/raw")
        told.ran("train", "data/train", "model/m")
        assert told.ask("data/holdout", "model/raw").verdict is Verdict.USED
        assert told.ask("data/holdout", "model/m").verdict is Verdict.UNUSED


def test_a_proof_that_was_first_a_file_still_proves(store: SqlStore) -> None:
    """Handing in the bytes of a split's proof as a data file does not take the proof away."""
    with store.write() as session:
        told = Story(session)
        told.proven.entity(digest("proof/disjoint"), EntityKind.FILE, author=ANA, facts={"bytes": 3})
        told.ran("split", "data/credit", "data/train data/holdout proof/disjoint")
        told.ran("train", "data/train", "model/m")
        proof = told.ask("data/holdout")
        assert (proof.verdict, len(proof.citations)) == (Verdict.UNUSED, 1)


def _scope(story: Story, asked: str, model: str) -> str:
    entity = story.session.use(Entities).find("main", [digest(asked)])[digest(asked)]
    evidence = gather(story.session, "main", entity, digest(model))
    everything = {*evidence.closure.entities, *evidence.ancestry.entities}
    return scope_of(evidence, decide(evidence), "main", {node: node.short for node in everything})


def test_an_absence_counts_the_ways_that_no_digest_shows(story: Story) -> None:
    """A model washed through code, a file of other origin, a run that read the holdout: each is told by its number."""
    story.ran("run", "data/holdout code/peek", "report/seen")
    story.ran("ingest", "file/almost-the-same", "data/almost")
    run = story.ran("run", "data/train data/almost", "model/washed")
    story.proven.entity(digest("code/carrier"), EntityKind.CODE, author=ANA)
    story.proven.used(run, digest("code/carrier"), "source")
    assert story.ask("data/holdout", "model/washed").verdict is Verdict.UNUSED
    scope = _scope(story, "data/holdout", "model/washed")
    assert "Not covered: rows in files of other origin" in scope
    assert "(such files: 1)" in scope
    assert "(source trees of theirs: 1)" in scope
    assert "(runs that read it: 1)" in scope
    assert "equal values" in scope
