"""Witnesses of a ledger on SQLite and PostgreSQL: named, asked, believed only as far as their signatures reach."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledgering import LedgerRoom, PrivateKey, ledger_room
from muniment.adapters.sql.repositories import REPOSITORIES
from muniment.adapters.sql.store import SqlStore, sqlite_url
from muniment.errors import Conflict, IntegrityError, Invalid, NotFound
from muniment.ledger.cosignature import cosign, verify_cosignature, witness_key
from muniment.ledger.note import sign_checkpoint
from muniment.ledger.submission import parse_submission, submission
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness import Answer
from muniment.ledger.witness_ports import Cosignature, WitnessRepository
from muniment.ledger.witnessing import Witnessed
from witnessing import NAME, Grown, Stand, stand


@pytest.fixture
def scene(tmp_path: Path, store: SqlStore) -> Iterator[Stand]:
    """A ledger of five entries under a checkpoint, on each engine, with no witness yet."""
    room = ledger_room(tmp_path / "ledger", store)
    room.history(5)
    with ExitStack() as ends:
        yield stand(room, ends)


def _statuses(scene: Stand, *, fresh: bool = True) -> list[str]:
    return [str(outcome.status) for outcome in scene.witnesses.submit(fresh=fresh)]


def _answering(scene: Stand, answer: Callable[[bytes], Answer]) -> None:
    """A witness is named, and something answers in its place."""
    key = witness_key(NAME, PrivateKey(9).public_key)
    scene.register(key)
    scene.client.at[f"https://{NAME}"] = answer


def test_the_newest_checkpoint_is_cosigned(scene: Stand, tmp_path: Path) -> None:
    """What was recorded before the call is covered; the cosignature verifies over the checkpoint's note."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    scene.room.record(3)
    (outcome,) = scene.witnesses.submit()
    assert (outcome.status, outcome.size) == (Witnessed.COSIGNED, 8)
    (made,) = scene.witnesses.cosignatures(8)
    checkpoint = scene.witnesses.cosigned_checkpoint()
    assert checkpoint == scene.room.ledger.latest()
    assert checkpoint is not None
    assert (
        verify_cosignature(checkpoint.note, made.line, made.key)
        == made.time
        == scene.room.clock.now().replace(microsecond=0)
    )
    assert scene.witnesses.cosignatures(5) == ()
    assert witness.ledgers()[0].size == 8


def test_without_witnesses_there_is_nothing(scene: Stand) -> None:
    """Nobody is asked, nothing is cosigned, and that is no error."""
    assert scene.witnesses.submit() == ()
    assert scene.witnesses.cosigned_checkpoint() is None
    assert scene.witnesses.cosignatures(5) == ()
    assert scene.witnesses.standing() == ([], 0)
    assert scene.witnesses.examine() == []


def test_who_has_cosigned_lately_is_left_alone(scene: Stand, tmp_path: Path) -> None:
    """From the background the same checkpoint is sent again only after an hour; on demand at once."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    assert _statuses(scene, fresh=False) == ["cosigned"]
    assert _statuses(scene, fresh=False) == ["current"]
    assert _statuses(scene) == ["cosigned"]
    scene.room.clock.advance(minutes=61)
    assert _statuses(scene, fresh=False) == ["cosigned"]
    (made,) = scene.witnesses.cosignatures(5)
    assert made.time == scene.room.clock.now().replace(microsecond=0)
    assert len(scene.client.sent) == 3


def test_witnessing_does_not_make_the_ledger_grow(scene: Stand, tmp_path: Path) -> None:
    """Cosignatures stand beside the tree: an idle ledger stays as it is however often it is cosigned."""
    scene.register(scene.witness(tmp_path / "w").key)
    for _ in range(3):
        scene.witnesses.beat()
    assert scene.room.ledger.checkpoint().size == 5
    assert scene.room.ledger.verify().ok


def test_a_witness_that_knows_more_or_less_is_followed(scene: Stand, tmp_path: Path) -> None:
    """A cosignature that was lost here, and a witness that was asked by others: 409 tells where to go on from."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    assert _statuses(scene) == ["cosigned"]
    scene.room.sql("delete from ledger_cosignature")
    scene.room.history(4)
    assert _statuses(scene) == ["cosigned"]
    assert [parse_submission(sent.encode()).old for sent in scene.client.sent] == [0, 0, 5]
    assert witness.ledgers()[0].size == 9


def test_a_checkpoint_that_another_process_sent_meanwhile_is_no_fork(scene: Stand, tmp_path: Path) -> None:
    """When the witness has already seen a newer checkpoint of this very ledger, that one is taken."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    once: list[int] = []

    def overtaken(content: bytes) -> Answer:
        if not once:
            once.append(1)
            scene.room.history(3)
            proof = scene.room.ledger.prove_consistency(0, 8)
            newer = submission(0, proof.path, scene.room.ledger.checkpoint().note)
            assert witness.add_checkpoint(newer.body().encode()).status == 200
        return witness.add_checkpoint(content)

    scene.client.at[f"https://{NAME}"] = overtaken
    (outcome,) = scene.witnesses.submit()
    assert (outcome.status, outcome.size) == (Witnessed.COSIGNED, 8)


def test_k_of_n(scene: Stand, tmp_path: Path) -> None:
    """A checkpoint is cosigned when as many have done so as are required: at first all, then as many as were set."""
    one, two = scene.witness(tmp_path / "1"), scene.witness(tmp_path / "2", "audit.example/w2", seed=2)
    three = witness_key("audit.example/w3", PrivateKey(3).public_key)
    scene.register(one.key)
    scene.register(two.key)
    assert _statuses(scene) == ["cosigned", "cosigned"]
    scene.register(three)
    scene.room.history(2)
    assert _statuses(scene) == ["cosigned", "cosigned", "unreachable"]
    assert scene.witnesses.cosigned_checkpoint() is None
    assert scene.witnesses.standing()[1] == 3
    scene.register(three, required=2)
    found = scene.witnesses.cosigned_checkpoint()
    assert found is not None
    assert found.size == 7
    del scene.client.at[f"https://{two.key.name}"]
    scene.room.history(2)
    assert _statuses(scene) == ["cosigned", "unreachable", "unreachable"]
    assert scene.witnesses.cosigned_checkpoint() == found
    assert [one.witness for one in scene.witnesses.cosignatures(7)] == [NAME, "audit.example/w2"]


def test_how_many_are_required_can_be_reached(scene: Stand, tmp_path: Path) -> None:
    """None, too many, and fewer left than required: refused, and everything stays as it was."""
    one, two = scene.witness(tmp_path / "1"), scene.witness(tmp_path / "2", "audit.example/w2", seed=2)
    for required in (0, 2, -1):
        with pytest.raises(Invalid, match="cannot cosign"):
            scene.register(one.key, required=required)
    assert scene.witnesses.standing() == ([], 0)
    scene.register(one.key)
    scene.register(two.key, required=2)
    with pytest.raises(Invalid, match="cannot cosign"), scene.room.store.write() as session:
        scene.witnesses.drop(session, NAME, None)
    assert len(scene.witnesses.standing()[0]) == 2
    with scene.room.store.write() as session:
        scene.witnesses.drop(session, NAME, 1)
    with scene.room.store.write() as session:
        scene.witnesses.drop(session, "audit.example/w2", None)
    scene.register(one.key)
    assert scene.witnesses.standing()[1] == 1


def test_one_key_is_one_witness(scene: Stand, tmp_path: Path) -> None:
    """The same key may change its URL; another key of a name, and another name of a key, are refused."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    scene.register(witness.key, "https://elsewhere.example/")
    assert [one.witness.url for one in scene.witnesses.standing()[0]] == ["https://elsewhere.example"]
    for name, seed in ((NAME, 4), ("other.example/w", 9)):
        other = PrivateKey(seed).public_key if seed == 4 else witness.key.public_key
        with pytest.raises(Conflict, match="this name or this key"):
            scene.register(witness_key(name, other))
    with pytest.raises(Invalid), scene.room.store.write() as session:
        scene.witnesses.register(session, scene.room.ledger.key, None, None, "User:admin")
    with pytest.raises(NotFound, match="no witness"), scene.room.store.write() as session:
        scene.witnesses.drop(session, "nobody", None)


def test_who_was_dropped_counts_no_more(scene: Stand, tmp_path: Path) -> None:
    """What a witness cosigned stays when it is dropped, and counts again when it is named again."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    scene.witnesses.submit()
    with scene.room.store.write() as session:
        scene.witnesses.drop(session, NAME, None)
    assert scene.witnesses.cosigned_checkpoint() is None
    assert scene.witnesses.cosignatures(5) == ()
    scene.register(witness.key)
    assert scene.witnesses.cosigned_checkpoint() is not None


def test_a_ledger_that_was_set_back_is_told(scene: Stand, tmp_path: Path, elsewhere: LedgerRoom) -> None:
    """Database and files replaced by older ones, both consistent: the witness saw more, and it goes on record."""
    witness = scene.witness(tmp_path / "w")
    scene.room.history(20)
    scene.register(witness.key)
    assert _statuses(scene) == ["cosigned"]
    with ExitStack() as ends:
        elsewhere.history(9)
        older = stand(elsewhere, ends)
        older.client.at[f"https://{NAME}"] = witness.add_checkpoint
        older.register(witness.key)
        (outcome,) = older.witnesses.submit()
        assert outcome.status is Witnessed.FORKED
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.facts["witness"]) == ("MUNI-L521", NAME)
        older.witnesses.beat()
        entries = older.room.ledger.tail(10)
        told = [entry for entry in entries if entry.event["type"] == "muniment.ledger.witness.forked.v1"]
        assert [entry.event["data"]["code"] for entry in told] == ["MUNI-L521"]
        assert [one.problem.code for one in older.witnesses.standing()[0] if one.problem] == ["MUNI-L521"]
        assert older.witnesses.cosigned_checkpoint() is None


@pytest.fixture
def elsewhere(sqlite_template: Path, tmp_path: Path) -> Iterator[LedgerRoom]:
    """A ledger of the same name and key in a database of its own."""
    shutil.copyfile(sqlite_template, tmp_path / "elsewhere.db")
    opened = SqlStore(sqlite_url(tmp_path / "elsewhere.db"), REPOSITORIES)
    yield ledger_room(tmp_path / "elsewhere", opened, start_s=60)
    opened.close()


def test_a_forked_ledger_is_told(scene: Stand, tmp_path: Path, elsewhere: LedgerRoom) -> None:
    """Another history of the same key, longer or of the same length: the witness refuses, and it is called a fork."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key)
    assert _statuses(scene) == ["cosigned"]
    with ExitStack() as ends:
        elsewhere.history(5)
        other = stand(elsewhere, ends)
        other.client.at[f"https://{NAME}"] = witness.add_checkpoint
        other.register(witness.key)
        assert _statuses(other) == ["forked"]
        other.room.history(4)
        assert _statuses(other) == ["forked"]
    scene.room.history(4)
    assert _statuses(scene) == ["cosigned"]


def test_a_witness_that_does_not_know_us_says_whom_to_ask(scene: Stand, tmp_path: Path) -> None:
    """Not trusted: refused, with the command that its people need."""
    scene.register(scene.witness(tmp_path / "w", trusting=False).key)
    (outcome,) = scene.witnesses.submit()
    assert outcome.status is Witnessed.REFUSED
    assert outcome.error is not None
    assert scene.room.ledger.key in str(outcome.error.facts["do"])
    assert scene.witnesses.standing()[0][0].problem is outcome.error


def _wrong_answers() -> dict[str, Callable[[bytes], Answer]]:
    def signed(seed: int = 9, name: str = NAME, ahead: timedelta = timedelta(0)) -> Callable[[bytes], Answer]:
        def answer(content: bytes) -> Answer:
            note, now = parse_submission(content).checkpoint.note, _CLOCK[0] + ahead
            return Answer(200, cosign(note, name, PrivateKey(seed), now))

        return answer

    def other(content: bytes) -> Answer:
        note = sign_checkpoint("muniment.example/ledger", 5, Grown(5).root(5), PrivateKey()).note
        return Answer(200, cosign(note, NAME, PrivateKey(9), _CLOCK[0]))

    return {
        "another key": signed(seed=8),
        "another name": signed(name="other.example/w"),
        "another checkpoint": other,
        "a clock ahead": signed(ahead=timedelta(minutes=16)),
        "nothing": lambda content: Answer(200, ""),
        "a page": lambda content: Answer(200, "<html>\n"),
        "a redirect": lambda content: Answer(302, ""),
        "a failure": lambda content: Answer(503, "come again\n"),
        "malformed": lambda content: Answer(400, "what is this\n"),
        "no size": lambda content: Answer(409, "many\n"),
        "the size that was sent": lambda content: Answer(409, "0\n"),
        "a size going in circles": lambda content: Answer(409, f"{(parse_submission(content).old + 1) % 3}\n"),
    }


_CLOCK: list[datetime] = []  # set by the test: the moment at which the ledger's clock stands


@pytest.mark.parametrize("what", _wrong_answers())
def test_what_is_no_cosignature_is_not_kept(scene: Stand, what: str) -> None:
    """Whatever answers in place of the witness, nothing is kept but its own cosignature of this checkpoint."""
    _CLOCK[:] = [scene.room.clock.now()]
    _answering(scene, _wrong_answers()[what])
    (outcome,) = scene.witnesses.submit()
    assert outcome.status is Witnessed.UNREACHABLE
    assert outcome.error is not None
    assert scene.witnesses.cosigned_checkpoint() is None
    assert scene.room.ledger.checkpoint().size == 5


def test_the_right_answer_in_the_same_place_is_kept(scene: Stand) -> None:
    """The control of the wrong answers: a true cosignature, among lines of others, is kept."""
    _CLOCK[:] = [scene.room.clock.now()]

    def right(content: bytes) -> Answer:
        note = parse_submission(content).checkpoint.note
        mine = cosign(note, NAME, PrivateKey(9), _CLOCK[0])
        return Answer(200, cosign(note, "other.example/w", PrivateKey(8), _CLOCK[0]) + mine)

    _answering(scene, right)
    assert _statuses(scene) == ["cosigned"]
    assert scene.witnesses.cosigned_checkpoint() is not None


def test_files_are_carried_over_an_air_gap(scene: Stand, tmp_path: Path) -> None:
    """A witness without a URL is not asked: its submission goes out as a file, its cosignature comes back as one."""
    witness = scene.witness(tmp_path / "w")
    scene.register(witness.key, None)
    assert _statuses(scene) == ["offline"]
    for grow in (0, 6, 300):
        scene.room.record(grow)
        content, checkpoint = scene.witnesses.request(NAME)
        answer = witness.add_checkpoint(content.encode())
        assert answer.status == 200
        with scene.room.store.write() as session:
            (kept,) = scene.witnesses.accept(session, checkpoint.note + answer.body)
        assert (kept.witness, kept.size) == (NAME, checkpoint.size)
        assert scene.witnesses.cosigned_checkpoint() == checkpoint
    with pytest.raises(NotFound, match="no witness"):
        scene.witnesses.request("nobody")
    with pytest.raises(Invalid, match="larger"):
        scene.witnesses.request(NAME, 10_000)


def test_what_is_brought_back_is_not_believed(scene: Stand, tmp_path: Path) -> None:
    """No witness of ours, a false line, a checkpoint that is not here, one of another history: refused."""
    witness = scene.witness(tmp_path / "w")
    checkpoint = scene.room.ledger.checkpoint()
    proof = scene.room.ledger.prove_consistency(0, 5).path
    line = witness.add_checkpoint(submission(0, proof, checkpoint.note).body().encode()).body
    with pytest.raises(Invalid, match="no witness"), scene.room.store.write() as session:
        scene.witnesses.accept(session, checkpoint.note + line)
    scene.register(witness.key, None)
    tree, now = Grown(9), scene.room.clock.now()
    with pytest.raises(Invalid), scene.room.store.write() as session:
        scene.witnesses.accept(session, line)
    other = sign_checkpoint(checkpoint.origin, 4, tree.root(4), PrivateKey()).note
    key = witness_key("true.example/w", PrivateKey(9).public_key)
    scene.register(key, None)
    with pytest.raises(IntegrityError, match="does not verify"), scene.room.store.write() as session:
        scene.witnesses.accept(session, checkpoint.note + cosign(other, key.name, PrivateKey(9), now))
    assert scene.witnesses.cosigned_checkpoint() is None
    unknown = other + cosign(other, key.name, PrivateKey(9), now)
    with pytest.raises(NotFound, match="no checkpoint of this size"), scene.room.store.write() as session:
        scene.witnesses.accept(session, unknown)
    another = sign_checkpoint(checkpoint.origin, 5, tree.root(5), PrivateKey()).note
    with pytest.raises(IntegrityError, match="set back, or forked"), scene.room.store.write() as session:
        scene.witnesses.accept(session, another + cosign(another, key.name, PrivateKey(9), now))
    with scene.room.store.write() as session:
        assert len(scene.witnesses.accept(session, checkpoint.note + line)) == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "update ledger_cosignature set size = 9",
        "update ledger_cosignature set at = '2026-11-23T09:59:00.000000Z'",
        "update ledger_cosignature set line = replace(line, 'A', 'B')",
        "update ledger_cosignature set line = ''",
        "update ledger_cosignature set witness = 'x', line = replace(line, 'audit', 'oudit')",
    ],
)
def test_an_altered_cosignature_is_found(scene: Stand, tmp_path: Path, tampering: str) -> None:
    """A row that was moved, dated otherwise or changed: examined it is named, asked for it is not given out."""
    scene.register(scene.witness(tmp_path / "w").key)
    scene.witnesses.submit()
    assert scene.witnesses.examine() == []
    scene.room.history(4)
    assert scene.room.sql(tampering) == 1
    (found,) = scene.witnesses.examine()
    assert "does not verify" in found
    with pytest.raises(IntegrityError):
        scene.witnesses.cosigned_checkpoint()
    with pytest.raises(IntegrityError):
        scene.witnesses.cosignatures(9 if "size = 9" in tampering else 5)
    (standing,), _ = scene.witnesses.standing()
    assert standing.newest is None
    assert standing.problem is not None


def test_a_witness_written_into_the_database_with_a_false_key_is_found(scene: Stand, tmp_path: Path) -> None:
    """A row whose key is none is not passed over."""
    scene.register(scene.witness(tmp_path / "w").key)
    scene.room.sql("update ledger_witness set key = 'x+00000000+AAAA'")
    with pytest.raises(IntegrityError, match="altered"):
        scene.witnesses.standing()


def test_the_repository_keeps_the_newest_of_each_size(scene: Stand) -> None:
    """A cosignature replaces the older one of the same key and size, and none else."""
    key = str(witness_key(NAME, PrivateKey(9).public_key))
    other = str(witness_key("other.example/w", PrivateKey(8).public_key))
    note, now = scene.room.ledger.checkpoint().note, scene.room.clock.now().replace(microsecond=0)
    rows = [
        Cosignature(NAME, key, 5, cosign(note, NAME, PrivateKey(9), now), now),
        Cosignature(NAME, key, 7, "a", now),
        Cosignature(NAME, key, 7, "b", now + timedelta(seconds=1)),
        Cosignature("other.example/w", other, 5, "c", now),
    ]
    with scene.room.store.write() as session:
        for row in rows:
            session.use(WitnessRepository).keep(row)
    with scene.room.store.read() as session:
        repository = session.use(WitnessRepository)
        assert repository.newest(key) == rows[2]
        assert repository.of_size(5) == [rows[0], rows[3]]
        assert list(repository.each()) == [rows[0], rows[3], rows[2]]
        assert repository.cosigned([key, other], 1) == 7
        assert repository.cosigned([key, other], 2) == 5
        assert repository.cosigned([other], 2) is None
        assert repository.cosigned([], 1) is None
        assert repository.newest("x") is None
    assert parse_key(key, KeyType.WITNESS).name == NAME


def test_the_largest_size_that_enough_cosigned(scene: Stand) -> None:
    """Whoever cosigned what: the answer is that of counting everything, also far below the newest."""
    now, chance = scene.room.clock.now(), random.Random(7)
    keys = [str(witness_key(f"w{number}.example", PrivateKey(number + 1).public_key)) for number in range(4)]
    share = (1.0, 0.7, 0.3, 0.01)
    held = {
        (key, size)
        for key, part in zip(keys, share, strict=True)
        for size in range(1, 900)
        if chance.random() < part and not (size > 100 and key == keys[2])
    }
    with scene.room.store.write() as session:
        for key, size in sorted(held):
            session.use(WitnessRepository).keep(Cosignature("w", key, size, "line", now))
    with scene.room.store.read() as session:
        repository = session.use(WitnessRepository)
        for some in (keys, keys[:3], keys[:2], keys[2:], keys[3:], keys[:1]):
            for count in range(1, 5):
                counted = Counter(size for key, size in held if key in some)
                wanted = max((size for size, number in counted.items() if number >= count), default=None)
                assert repository.cosigned(some, count) == wanted, (some, count)


def test_a_cosignature_without_a_time_is_not_passed_over(scene: Stand, tmp_path: Path) -> None:
    """A row whose time is no time: the database was altered, and that is said."""
    scene.register(scene.witness(tmp_path / "w").key)
    scene.witnesses.submit()
    scene.room.sql("update ledger_cosignature set at = 'never'")
    for ask in (scene.witnesses.examine, scene.witnesses.cosigned_checkpoint, scene.witnesses.standing):
        with pytest.raises(IntegrityError, match="altered"):
            ask()
