"""The witness decides: growth is cosigned, all else is answered as the protocol says, and nothing is forgotten."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from ledgering import ORIGIN, PrivateKey
from muniment.errors import Conflict, IntegrityError, Unavailable
from muniment.kernel.ports import NoFaults
from muniment.ledger.cosignature import cosign, verify_cosignature
from muniment.ledger.note import sign_checkpoint, sign_note, verifier_key
from muniment.ledger.submission import LONGEST, PROOF_LINES, Stated, parse_checkpoint
from muniment.ledger.tree import EMPTY_ROOT
from muniment.ledger.verifier import KeyType, VerifierKey, parse_key
from muniment.ledger.witness import SIZE_TYPE, Answer, Seen, Witness
from muniment.testing.fakes import FakeClock
from witnessing import NAME, Grown, body

LEDGER = PrivateKey()
KEY = parse_key(verifier_key(ORIGIN, LEDGER.public_key), KeyType.LEDGER)


class Remembering:
    """A Memory that keeps in this process, and may be full."""

    def __init__(self) -> None:
        self.kept: dict[str, Seen] = {}
        self.aside: list[tuple[int, str]] = []
        self.full = False
        self.late = False

    def ledgers(self) -> list[Seen]:
        """Everything."""
        return list(self.kept.values())

    def remember(self, seen: Seen) -> None:
        """Keep."""
        if self.full:
            raise Unavailable("MUNI-L524", "the folder of the witness cannot be written")
        self.kept[seen.origin] = seen
        if self.late:
            raise Unavailable("MUNI-L524", "the folder of the witness cannot be written")

    def put_aside(self, checkpoint: Stated, why: str) -> None:
        """Keep as evidence."""
        self.aside.append((checkpoint.size, why))


@pytest.fixture
def memory() -> Remembering:
    """An empty memory."""
    return Remembering()


@pytest.fixture
def witness(memory: Remembering, clock: FakeClock) -> Witness:
    """A witness that trusts the ledger and has seen nothing of it."""
    made = _open(memory, clock)
    made.trust(KEY)
    return made


def _open(memory: Remembering, clock: FakeClock) -> Witness:
    return Witness(NAME, PrivateKey(9), memory, clock, NoFaults())


def _note(tree: Grown, size: int, key: PrivateKey = LEDGER, origin: str = ORIGIN) -> str:
    return sign_checkpoint(origin, size, tree.root(size), key).note


def _ask(witness: Witness, tree: Grown, old: int, new: int) -> Answer:
    return witness.add_checkpoint(body(old, tree.proof(old, new), _note(tree, new)))


def test_growth_is_cosigned(witness: Witness, clock: FakeClock) -> None:
    """From nothing on, step by step; each line verifies and says when."""
    tree = Grown(300)
    for old, new in ((0, 1), (1, 2), (2, 7), (7, 256), (256, 300), (300, 300)):
        clock.advance(seconds=5)
        answer = _ask(witness, tree, old, new)
        assert answer.status == 200
        assert answer.body.count("\n") == 1
        assert verify_cosignature(_note(tree, new), answer.body, witness.key) == clock.now()
        assert witness.ledgers()[0].size == new


ELSEWHERE = "sigsum.org/v1/tree/985ea163f5af026723561354f51f2ebcdcf2af809ce254ccfb64aa9aadd80f90"
ELSEWHERE_KEY = "52c05edad1bf5feffa81354faae59a655d9a9a1a793ed2f62c39c26c0be2aecd"
ELSEWHERE_SENT = (
    f"old 0\n\n{ELSEWHERE}\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\N{EM DASH} {ELSEWHERE} "
    "7BKT0gOfNZ1J0So9unY3BZtm2YkPIoNYM/dce0Z2avJDs8dxN6ts9bOSwwrVrbjm6P9K3ZxpK6jJngOG6YvGGzV/lwo=\n"
)
"""What the litewitness project publishes as a submission of a Sigsum log, with the log's key."""


def test_a_log_of_another_kind_is_cosigned(witness: Witness) -> None:
    """The published submission of another implementation is understood to the byte."""
    witness.trust(VerifierKey(ELSEWHERE, KeyType.LEDGER, bytes.fromhex(ELSEWHERE_KEY)))
    answer = witness.add_checkpoint(ELSEWHERE_SENT.encode())
    assert answer.status == 200
    assert verify_cosignature(ELSEWHERE_SENT.partition("\n\n")[2], answer.body, witness.key)
    assert witness.add_checkpoint(ELSEWHERE_SENT.replace("\n1\n", "\n2\n").encode()).status == 403


def test_an_empty_ledger_is_cosigned(witness: Witness) -> None:
    """The tree without entries has a root as any other; a wrong one is another history."""
    assert witness.add_checkpoint(body(0, [], _note(Grown(0), 0))).status == 200
    wrong = sign_checkpoint(ORIGIN, 0, b"\1" * 32, LEDGER).note
    assert witness.add_checkpoint(body(0, [], wrong)).status == 409


def test_who_does_not_know_what_was_seen_is_told(witness: Witness) -> None:
    """A stale or an invented old size is answered 409 with the size, as text/x.tlog.size, and nothing changes."""
    tree = Grown(20)
    assert _ask(witness, tree, 0, 10).status == 200
    for old, new in ((0, 12), (9, 12), (11, 12), (0, 10), (0, 5), (5, 8)):
        answer = _ask(witness, tree, old, new)
        assert (answer.status, answer.body, answer.media_type) == (409, "10\n", SIZE_TYPE)
    assert witness.ledgers()[0].size == 10
    assert _ask(witness, tree, 10, 12).status == 200


def test_a_fork_is_refused_and_kept_as_evidence(witness: Witness, memory: Remembering) -> None:
    """Another history of the same size is 409, one that is larger is 422; both signed checkpoints are put aside."""
    tree, other = Grown(20), Grown(20, salt="other")
    assert _ask(witness, tree, 0, 10).status == 200
    same = witness.add_checkpoint(body(10, [], _note(other, 10)))
    assert (same.status, same.body) == (409, "10\n")
    assert "FORKED" in same.said
    assert _ask(witness, other, 10, 15).status == 422
    assert [size for size, _ in memory.aside] == [10, 15]
    assert _ask(witness, tree, 10, 15).status == 200


def test_a_proof_that_is_none_is_refused(witness: Witness) -> None:
    """Missing, superfluous, reordered and altered hashes: 422, each of them."""
    tree = Grown(40)
    assert witness.add_checkpoint(body(0, [tree.root(1)], _note(tree, 7))).status == 422
    assert _ask(witness, tree, 0, 7).status == 200
    proof = tree.proof(7, 40)
    for wrong in ([], proof[:-1], proof[::-1], [*proof, proof[0]], [b"\0" * 32, *proof[1:]]):
        assert witness.add_checkpoint(body(7, list(wrong), _note(tree, 40))).status == 422
    assert witness.add_checkpoint(body(7, proof, _note(tree, 7))).status == 422
    assert witness.add_checkpoint(body(7, proof, _note(tree, 40))).status == 200


def test_a_ledger_that_is_not_trusted_is_unknown(witness: Witness) -> None:
    """Another origin is 404, another key of the origin 403, also when it has the name right."""
    tree = Grown(3)
    assert witness.add_checkpoint(body(0, [], _note(tree, 3, origin="other.example/ledger"))).status == 404
    assert witness.add_checkpoint(body(0, [], _note(tree, 3, key=PrivateKey(8)))).status == 403
    assert witness.add_checkpoint(body(0, [], _note(tree, 3))).status == 200


def test_signatures_of_strangers_are_ignored(witness: Witness, memory: Remembering) -> None:
    """A checkpoint may carry other signatures; what is remembered holds those of ledger and witness alone."""
    tree = Grown(3)
    note = _note(tree, 3)
    stranger = sign_note(note.partition("\n\n")[0] + "\n", "stranger.example", PrivateKey(3)).rpartition("\n\n")[2]
    other = cosign(note, "other.example/w", PrivateKey(4), FakeClock().now())
    answer = witness.add_checkpoint(body(0, [], note.replace("\n\n", f"\n\n{stranger}{other}")))
    assert answer.status == 200
    assert memory.kept[ORIGIN].note == note + answer.body


def test_a_false_signature_beside_a_true_one_is_refused(witness: Witness) -> None:
    """A line in the ledger's name that does not verify spoils the note (C2SP signed-note)."""
    note = _note(Grown(3), 3)
    line = note.rpartition("\n\n")[2]
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    raw[-1] ^= 1
    false = f"\N{EM DASH} {ORIGIN} {base64.b64encode(bytes(raw)).decode()}\n"
    assert witness.add_checkpoint(body(0, [], note + false)).status == 403
    assert witness.add_checkpoint(body(0, [], note + line)).status == 200


def test_extension_lines_are_cosigned_with_the_rest(witness: Witness) -> None:
    """A checkpoint of another kind of log may have further lines; they are part of what is signed."""
    tree = Grown(3)
    text = f"{ORIGIN}\n3\n{base64.b64encode(tree.root(3)).decode()}\nextended\n"
    answer = witness.add_checkpoint(body(0, [], sign_note(text, ORIGIN, LEDGER)))
    assert answer.status == 200
    assert verify_cosignature(text, answer.body, witness.key)
    with pytest.raises(IntegrityError):
        verify_cosignature(text.replace("extended", "altered"), answer.body, witness.key)


_HASH = base64.b64encode(b"\7" * 32).decode()
_GOOD = body(0, [], _note(Grown(3), 3)).decode()
_MALFORMED = {
    "empty": "",
    "not a submission": "hello\n",
    "no old size": _GOOD.replace("old 0\n", ""),
    "negative": _GOOD.replace("old 0", "old -1"),
    "leading zero": _GOOD.replace("old 0", "old 00"),
    "not ASCII": _GOOD.replace("old 0", "old ١"),
    "too large a number": _GOOD.replace("old 0", "old " + "9" * 30),
    "no empty line": _GOOD.replace("\n\n", "\n"),
    "carriage returns": _GOOD.replace("\n", "\r\n"),
    "a tab": _GOOD.replace("old 0", "old\t0"),
    "short hash": _GOOD.replace("old 0\n", "old 0\nAAAA\n"),
    "unpadded hash": _GOOD.replace("old 0\n", f"old 0\n{_HASH[:-1]}\n"),
    "hash of another spelling": _GOOD.replace("old 0\n", f"old 0\n{_HASH[:-2]}d=\n"),
    "too many hashes": _GOOD.replace("old 0\n", "old 0\n" + f"{_HASH}\n" * (PROOF_LINES + 1)),
    "unsigned": _GOOD.rpartition("\n\n")[0] + "\n",
    "only two lines": _GOOD.replace("\n3\n", "\n"),
    "a size that is none": _GOOD.replace("\n3\n", "\n3.0\n"),
    "a size with zeroes": _GOOD.replace("\n3\n", "\n03\n"),
    "not ended": _GOOD[:-1],
    "signature of three words": _GOOD[:-1] + " more\n",
    "no dash": _GOOD.replace("\N{EM DASH}", "-"),
    "too many signatures": _GOOD + _GOOD.rpartition("\n\n")[2] * 64,
    "grown backwards": _GOOD.replace("old 0", "old 4"),
}


@pytest.mark.parametrize("content", _MALFORMED.values(), ids=_MALFORMED)
def test_what_has_not_the_form_is_refused(witness: Witness, memory: Remembering, content: str) -> None:
    """Malformed: 400 with a reason, and nothing is remembered."""
    answer = witness.add_checkpoint(content.encode())
    assert answer.status == 400
    assert answer.body.endswith("\n")
    assert memory.kept[ORIGIN].note == ""


def test_bytes_that_are_no_text_and_too_many_are_refused(witness: Witness) -> None:
    """Not UTF-8 and longer than any submission: 400."""
    assert witness.add_checkpoint(b"old 0\n\n\xff\xfe").status == 400
    assert witness.add_checkpoint(b"o" * (LONGEST + 1)).status == 400


def test_nothing_is_promised_that_cannot_be_remembered(witness: Witness, memory: Remembering) -> None:
    """When the disk is full there is no answer, and the state is as before: the checkpoint can be sent again."""
    tree = Grown(9)
    memory.full = True
    with pytest.raises(Unavailable):
        _ask(witness, tree, 0, 5)
    assert witness.ledgers()[0].size == 0
    memory.full = False
    assert _ask(witness, tree, 0, 7).status == 200


def test_what_came_to_stand_on_the_disk_counts(witness: Witness, memory: Remembering) -> None:
    """A write that failed after it was done: nothing was promised, yet no other history is cosigned in its place."""
    tree, other = Grown(9), Grown(9, salt="other")
    memory.late = True
    with pytest.raises(Unavailable):
        _ask(witness, tree, 0, 5)
    memory.late = False
    assert _ask(witness, other, 0, 5).body == "5\n"
    assert witness.add_checkpoint(body(5, [], _note(other, 5))).status == 409
    assert _ask(witness, tree, 5, 5).status == 200


def test_time_does_not_run_backwards(memory: Remembering, clock: FakeClock) -> None:
    """When the clock is set back, cosignatures keep the last time, also after the witness was started again."""
    witness = _open(memory, clock)
    witness.trust(KEY)
    tree = Grown(9)
    clock.advance(days=1)
    first = verify_cosignature(_note(tree, 3), _ask(witness, tree, 0, 3).body, witness.key)
    clock.advance(days=-1)
    again = _open(memory, clock)
    second = verify_cosignature(_note(tree, 5), _ask(again, tree, 3, 5).body, again.key)
    assert second == first
    clock.advance(days=2)
    third = verify_cosignature(_note(tree, 6), _ask(again, tree, 5, 6).body, again.key)
    assert third - first == timedelta(days=1)


def test_a_second_key_of_a_ledger_must_be_wanted(witness: Witness, memory: Remembering) -> None:
    """A ledger is not taken over by whoever has another key of its name; with consent both may sign on."""
    tree, fresh = Grown(9), PrivateKey(8)
    assert _ask(witness, tree, 0, 3).status == 200
    key = parse_key(verifier_key(ORIGIN, fresh.public_key), KeyType.LEDGER)
    with pytest.raises(Conflict, match="by another key"):
        witness.trust(key)
    assert witness.add_checkpoint(body(3, tree.proof(3, 5), _note(tree, 5, key=fresh))).status == 403
    witness.trust(key, besides=True)
    assert memory.kept[ORIGIN].size == 3
    assert witness.add_checkpoint(body(3, tree.proof(3, 5), _note(tree, 5, key=fresh))).status == 200
    assert _ask(witness, tree, 5, 6).status == 200
    assert witness.trust(KEY).size == 6


def test_an_altered_memory_is_not_believed(witness: Witness, memory: Remembering, clock: FakeClock) -> None:
    """What is remembered must bear the witness's own cosignature, or the witness does not start."""
    tree = Grown(9)
    assert _ask(witness, tree, 0, 5).status == 200
    kept = memory.kept[ORIGIN]
    unsigned = _note(tree, 3)
    forged = unsigned + cosign(unsigned, NAME, PrivateKey(2), clock.now())
    other = sign_checkpoint("other.example/x", 5, tree.root(5), PrivateKey(3)).note
    for note in (unsigned, forged, other + cosign(other, NAME, PrivateKey(9), clock.now()), "", "nonsense"):
        memory.kept[ORIGIN] = Seen(kept.keys, note)
        if note:
            with pytest.raises(IntegrityError, match="not what it cosigned"):
                _open(memory, clock)
    memory.kept[ORIGIN] = kept
    assert _open(memory, clock).ledgers()[0].size == 5
    assert parse_checkpoint(kept.note).root == tree.root(5) != EMPTY_ROOT
