"""Laws of the witness: whatever ledgers send it, what it cosigned is one history, and it only grows."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laws import examples
from ledgering import ORIGIN, PrivateKey
from muniment.errors import Invalid, Unavailable
from muniment.kernel.ports import NoFaults
from muniment.ledger.cosignature import verify_cosignature
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.submission import Stated, parse_submission
from muniment.ledger.tree import check_consistency
from muniment.ledger.verifier import KeyType, parse_key
from muniment.ledger.witness import Answer, Seen, Witness
from muniment.testing.fakes import FakeClock
from witnessing import NAME, Grown, body

SIZE = 40
SIZES = st.integers(0, SIZE)
KEY = parse_key(verifier_key(ORIGIN, PrivateKey().public_key), KeyType.LEDGER)


class Brief:
    """A Memory that fails when told."""

    def __init__(self) -> None:
        self.kept: dict[str, Seen] = {}
        self.failing = False

    def ledgers(self) -> list[Seen]:
        """Everything."""
        return list(self.kept.values())

    def remember(self, seen: Seen) -> None:
        """Keep, or fail."""
        if self.failing:
            raise Unavailable("MUNI-L524", "the folder of the witness cannot be written")
        self.kept[seen.origin] = seen

    def put_aside(self, checkpoint: Stated, why: str) -> None:
        """Nothing."""


class Watched(RuleBasedStateMachine):
    """Three histories that begin alike are sent in any order, with any proof; the witness dies and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.clock = Brief(), FakeClock()
        self.witness = Witness(NAME, PrivateKey(9), self.memory, self.clock, NoFaults())
        self.witness.trust(KEY)
        trunk = Grown(SIZE)
        self.histories = [trunk]
        for fork in (7, 19):
            other = Grown(SIZE, salt=f"fork {fork}")
            other.leaves[:fork] = trunk.leaves[:fork]
            self.histories.append(other)
        self.promised: list[tuple[int, bytes]] = []

    @rule(history=st.integers(0, 2), old=SIZES, new=SIZES, honest=st.booleans(), seconds=st.integers(-100, 100))
    def send(self, history: int, old: int, new: int, honest: bool, seconds: int) -> None:
        """Send a checkpoint, from what was seen last or from anywhere."""
        self.clock.advance(seconds=seconds)
        tree = self.histories[history]
        start = self.witness.ledgers()[0].size if honest else old
        proof = tree.proof(start, new) if start <= new else []
        self.take(tree, new, body(start, proof, sign_checkpoint(ORIGIN, new, tree.root(new), PrivateKey()).note))

    @rule(history=st.integers(0, 2), new=SIZES, hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=7))
    def lie(self, history: int, new: int, hashes: list[bytes]) -> None:
        """Send a proof that was made up."""
        tree, start = self.histories[history], self.witness.ledgers()[0].size
        self.take(tree, new, body(start, hashes, sign_checkpoint(ORIGIN, new, tree.root(new), PrivateKey()).note))

    @rule()
    def restart(self) -> None:
        """Die, and start from what is remembered."""
        self.witness = Witness(NAME, PrivateKey(9), self.memory, self.clock, NoFaults())

    @rule()
    def fail(self) -> None:
        """The disk is full, or has room again."""
        self.memory.failing = not self.memory.failing

    @precondition(lambda self: self.promised)
    @invariant()
    def one_history(self) -> None:
        """All that was cosigned lies on one history, each a beginning of the next, and the last is remembered."""
        assert any(all(tree.root(size) == root for size, root in self.promised) for tree in self.histories)
        sizes = [size for size, _ in self.promised]
        assert sizes == sorted(sizes)
        seen = self.witness.ledgers()[0]
        assert (seen.size, seen.root) == self.promised[-1]

    def take(self, tree: Grown, new: int, content: bytes) -> None:
        """Send, and note what is promised."""
        with suppress(Unavailable):
            answer: Answer = self.witness.add_checkpoint(content)
            assert answer.status in (200, 400, 409, 422)
            if answer.status == 200:
                verify_cosignature(parse_submission(content).checkpoint.note, answer.body, self.witness.key)
                self.promised.append((new, tree.root(new)))


TestWatched = Watched.TestCase
TestWatched.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)


@settings(deadline=None, max_examples=examples(300))
@given(st.data())
def test_no_flipped_bit_of_a_submission_gains_another_cosignature(data: st.DataObject) -> None:
    """Whatever bit is flipped on the way, the witness cosigns the one checkpoint that was signed, or nothing."""
    tree = Grown(20)
    note = sign_checkpoint(ORIGIN, 20, tree.root(20), PrivateKey()).note
    first = sign_checkpoint(ORIGIN, 6, tree.root(6), PrivateKey()).note
    content = bytearray(body(6, tree.proof(6, 20), note))
    at = data.draw(st.integers(0, len(content) * 8 - 1))
    content[at // 8] ^= 1 << at % 8
    witness = Witness(NAME, PrivateKey(9), Brief(), FakeClock(), NoFaults())
    witness.trust(KEY)
    assert witness.add_checkpoint(body(0, [], first)).status == 200
    answer = witness.add_checkpoint(bytes(content))
    if answer.status == 200:
        assert verify_cosignature(note, answer.body, witness.key)
    assert witness.ledgers()[0].root in (tree.root(6), tree.root(20))


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(content: bytes) -> None:
    """No bytes make the reader of submissions fail in any other way than by saying what is wrong."""
    with suppress(Invalid):
        assert parse_submission(content).body().encode() == content


@given(SIZES, SIZES)
def test_a_submission_is_read_as_it_was_written(old: int, new: int) -> None:
    """Text and values are two forms of one thing, and the proof in it is one."""
    old, new = min(old, new), max(old, new)
    tree = Grown(SIZE)
    note = sign_checkpoint(ORIGIN, new, tree.root(new), PrivateKey()).note
    content = body(old, tree.proof(old, new), note)
    read = parse_submission(content)
    assert read.body().encode() == content
    assert (read.old, read.checkpoint.size, read.checkpoint.note) == (old, new, note)
    assert check_consistency(old, tree.root(old), new, tree.root(new), read.proof)
