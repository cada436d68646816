"""The folder of a witness under power cuts, damage and theft: it remembers what it promised, or signs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledgering import ORIGIN, PrivateKey
from muniment.adapters.witness.folder import MOST_REFUSED, WitnessFolder, make_witness
from muniment.errors import Conflict, IntegrityError, Invalid, MunimentError, NotFound
from muniment.ledger.cosignature import verify_cosignature
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.submission import parse_checkpoint
from muniment.ledger.verifier import KeyType, parse_key
from muniment.testing.fakes import CutAt, FakeClock, PowerCut, SeededEntropy
from witnessing import NAME, Grown, body

LEDGER = PrivateKey()
KEY = parse_key(verifier_key(ORIGIN, LEDGER.public_key), KeyType.LEDGER)
TREE = Grown(30)


def _note(size: int) -> str:
    return sign_checkpoint(ORIGIN, size, TREE.root(size), LEDGER).note


def _send(old: int, new: int) -> bytes:
    return body(old, TREE.proof(old, new), _note(new))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A witness that trusts the ledger and cosigned ten entries of it."""
    path = tmp_path / "witness"
    make_witness(path, NAME, SeededEntropy())
    with WitnessFolder(path).opened(FakeClock()) as witness:
        witness.trust(KEY)
        assert witness.add_checkpoint(_send(0, 10)).status == 200
    return path


def _state(folder: Path) -> Path:
    (file,) = (folder / "ledgers").glob("*.json")
    return file


def test_what_it_knows_is_for_its_owner_alone(folder: Path) -> None:
    """No file in the folder can be read by others, and no draft stays behind."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    assert {path.name for path in files} == {"witness.json", "key.pem", _state(folder).name}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_it_remembers_over_restarts(folder: Path) -> None:
    """Opened again it goes on from what it saw."""
    with WitnessFolder(folder).opened(FakeClock()) as witness:
        assert witness.add_checkpoint(_send(0, 20)).body == "10\n"
        assert witness.add_checkpoint(_send(10, 20)).status == 200
    (seen,) = WitnessFolder(folder).show()
    assert (seen.size, seen.root, seen.at) == (20, TREE.root(20), FakeClock().now())


def test_two_processes_do_not_share_it(folder: Path) -> None:
    """While one has the folder, another is refused; looking is allowed."""
    with WitnessFolder(folder).opened():
        with pytest.raises(Conflict, match="another process"), WitnessFolder(folder).opened():
            pass
        assert [seen.size for seen in WitnessFolder(folder).show()] == [10]
    with WitnessFolder(folder).opened() as witness:
        assert witness.key.name == NAME


def test_a_power_cut_at_any_point_keeps_every_promise(folder: Path) -> None:
    """Dead at the 1st, 2nd, 3rd … step, the witness comes back with the old or the new state, never with less.

    Whichever it is, the ledger gets its cosignature by doing what it is told.
    """
    died, points = 0, []
    for n in range(1, 30):
        cut, size = CutAt(n), WitnessFolder(folder).show()[0].size
        grown = size + 1
        try:
            with WitnessFolder(folder, cut).opened(FakeClock()) as witness:
                assert witness.add_checkpoint(_send(size, grown)).status == 200
            break
        except PowerCut:
            died += 1
            points.append(cut.died_at)
        with WitnessFolder(folder).opened(FakeClock()) as witness:
            (seen,) = witness.ledgers()
            assert (seen.size, seen.root) in ((size, TREE.root(size)), (grown, TREE.root(grown)))
            answer = witness.add_checkpoint(_send(size, grown))
            if answer.status == 409:
                assert int(answer.body) == grown
                answer = witness.add_checkpoint(_send(grown, grown))
            assert verify_cosignature(_note(grown), answer.body, witness.key)
    assert died >= 5
    assert set(points) == {
        "witness.write", "witness.sync", "witness.replace", "witness.replaced", "witness.promised",
    }  # fmt: skip


def test_a_half_written_draft_is_nothing(folder: Path) -> None:
    """What was being written when the power went is not read, and does not stand in the way."""
    draft = _state(folder).with_name(f".{_state(folder).name}.new")
    draft.write_bytes(_state(folder).read_bytes()[:100])
    with WitnessFolder(folder).opened(FakeClock()) as witness:
        assert witness.add_checkpoint(_send(10, 11)).status == 200
    assert not draft.exists()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _renamed(file: Path) -> None:
    file.rename(file.with_name("0" * 32 + ".json"))


def _smaller(file: Path) -> None:
    file.write_text(file.read_text().replace("\\n10\\n", "\\n9\\n"))


def _unsigned(file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("\N{EM DASH} audit")] + '"\n}\n')


def _other_key(file: Path) -> None:
    file.write_text(file.read_text().replace(str(KEY), verifier_key(ORIGIN, PrivateKey(8).public_key)))


def _not_text(file: Path) -> None:
    file.write_bytes(b"\xff" + file.read_bytes())


@pytest.mark.parametrize("damage", [_cut, _empty, _renamed, _smaller, _unsigned, _other_key, _not_text])
def test_a_damaged_state_is_never_taken_for_a_fresh_start(folder: Path, damage: Callable[[Path], None]) -> None:
    """Half a state file, an empty one, one that was edited: the witness does not start, and shows why."""
    damage(_state(folder))
    with pytest.raises(IntegrityError) as refused, WitnessFolder(folder).opened(FakeClock()):
        pass
    assert refused.value.code in ("MUNI-L515", "MUNI-L525")
    with pytest.raises(IntegrityError):
        WitnessFolder(folder).show()


def test_a_flipped_bit_of_the_state_changes_nothing_unseen(folder: Path) -> None:
    """Any one bit: the witness refuses to start, or remembers exactly what it cosigned."""
    state, good = _state(folder), _state(folder).read_bytes()
    refused = 0
    for at in range(0, len(good) * 8, 7):
        flipped = bytearray(good)
        flipped[at // 8] ^= 1 << at % 8
        state.write_bytes(bytes(flipped))
        try:
            with WitnessFolder(folder).opened(FakeClock()) as witness:
                found = {seen.origin: (seen.size, seen.root) for seen in witness.ledgers()}
            assert found == {ORIGIN: (10, TREE.root(10))}
        except MunimentError:
            refused += 1
    assert refused > len(good)


def test_a_ledger_whose_state_was_taken_away_is_unknown(folder: Path) -> None:
    """Without its file a ledger is not trusted any more: it is not cosigned from nothing."""
    _state(folder).unlink()
    with WitnessFolder(folder).opened(FakeClock()) as witness:
        assert witness.add_checkpoint(_send(0, 10)).status == 404


def test_a_replaced_key_signs_nothing(folder: Path, tmp_path: Path) -> None:
    """The key of another witness, a file that others can read, one that is no key: refused."""
    make_witness(tmp_path / "other", "other.example/w", SeededEntropy(3))
    key, own = folder / "key.pem", (folder / "key.pem").read_bytes()
    key.write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    with pytest.raises(IntegrityError, match="damaged"), WitnessFolder(folder).opened():
        pass
    key.write_bytes(b"no key")
    with pytest.raises(IntegrityError, match="damaged"), WitnessFolder(folder).opened():
        pass
    key.write_bytes(own)
    key.chmod(0o644)
    with pytest.raises(Invalid, match="owner alone"), WitnessFolder(folder).opened():
        pass
    key.chmod(0o600)
    with WitnessFolder(folder).opened() as witness:
        assert witness.ledgers()[0].size == 10


def test_what_contradicts_is_kept_within_bounds(folder: Path) -> None:
    """A fork that the ledger signed lies in the folder, readable; a flood of them does not fill the disk."""
    other = Grown(30, salt="x")
    with WitnessFolder(folder).opened(FakeClock()) as witness:
        for size in range(11, 31):
            note = sign_checkpoint(ORIGIN, size, other.root(size), LEDGER).note
            assert witness.add_checkpoint(body(10, [], note)).status == 422
        kept = WitnessFolder(folder)
        files = kept.refused(ORIGIN)
        assert len(files) == 20
        why, _, note = files[0].read_text().partition("\n\n")
        assert "no proof" in why
        assert parse_checkpoint(note).root == other.root(11)
        for number in range(MOST_REFUSED):
            stray = Grown(11, salt=str(number))
            witness.add_checkpoint(body(10, [], sign_checkpoint(ORIGIN, 11, stray.root(11), LEDGER).note))
    assert len(kept.refused(ORIGIN)) == MOST_REFUSED


def test_a_witness_is_made_once(folder: Path, tmp_path: Path) -> None:
    """No key is overwritten, a name that cannot stand in a note is refused, an empty folder holds no witness."""
    with pytest.raises(Conflict, match="empty folder"):
        make_witness(folder, NAME)
    with pytest.raises(Invalid, match="name"):
        make_witness(tmp_path / "new", "two words")
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotFound, match="no witness"):
        WitnessFolder(tmp_path)
    (folder / "witness.json").write_text('{"format": "muniment.witness/2", "name": "x", "key": "y"}')
    with pytest.raises(IntegrityError, match="damaged"):
        WitnessFolder(folder)
