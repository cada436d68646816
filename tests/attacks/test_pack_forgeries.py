"""What an operator tries who holds the ledger's key: every forgery is signed again so that its manifest fits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evidencing import WITNESS, Files, Gallery, Key, again, gallery, resigned, told
from muniment.errors import IntegrityError
from muniment.evidence import verify
from muniment.inventory.model import RecordKind
from muniment.kernel.canonical import canonical
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.ledger.cosignature import cosign, witness_key
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.ports import CheckpointRepository
from muniment.testing.platform import Site
from muniment.wire.identity import LinkAccounts, RevokeSigningKey

pytestmark = pytest.mark.slow

APPROVAL = {
    "conditions": [], "use_limits": [], "expires": "2027-11-26T00:00:00.000000Z", "emergency": False, "completes": True,
    "counted": [], "step": 6,
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A model with a life."""
    made = gallery(site, tmp_path_factory.mktemp("forged") / "site")
    yield made
    made.platform.close()


@pytest.fixture(scope="module")
def files(shown: Gallery) -> Files:
    """The files of its pack."""
    return verify.unarchive(shown.pack())


@pytest.fixture
def own(shown: Gallery, tmp_path: Path) -> Iterator[Gallery]:
    """A copy of the platform, whose operator is the attacker."""
    shown.platform.ledger.checkpoint()
    made = again(shown, tmp_path / "own")
    yield made
    made.platform.close()


def _record(files: Files, kind: str) -> tuple[str, dict[str, Any]]:
    """The path and content of the newest record of a kind."""
    found = {name: json.loads(raw) for name, raw in files.items() if name.startswith("records/")}
    stated = {name: one for name, one in found.items() if isinstance(one, dict) and "by" in one}
    fits = [(name, one) for name, one in stated.items() if one["kind"] == kind]
    return max(fits, key=lambda pair: str(pair[1]["id"]))


def _dossier(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    dossier = json.loads(files["dossier.json"])
    change(dossier)
    return files | {"dossier.json": canonical(dossier)}


def _replaced(files: Files, kind: str, change: Callable[[dict[str, Any]], None]) -> Files:
    """A record changed wherever it stands: its file, and what the dossier says of it."""
    name, record = _record(files, kind)
    old, changed = "sha256:" + name[8:72], json.loads(json.dumps(record))
    change(changed)
    new = str(Digest.of(canonical(changed)))
    text = files["dossier.json"].decode().replace(old, new)
    for key, value in changed["body"].items():
        if value != record["body"].get(key) and not isinstance(value, dict):
            text = text.replace(json.dumps(record["body"].get(key)), json.dumps(value))
    rest = {path: content for path, content in files.items() if path != name}
    return rest | {f"records/{new[7:]}.json": canonical(changed), "dossier.json": canonical(json.loads(text))}


def _another_number(files: Files) -> Files:
    def change(dossier: dict[str, Any]) -> None:
        dossier["evaluations"][0]["metrics"]["auc"] = 0.99

    return _dossier(files, change)


def _another_number_everywhere(files: Files) -> Files:
    """The figure in the dossier, the report and the document of metrics: digests are made to fit as far as they go."""
    dossier = json.loads(files["dossier.json"])
    auc = dossier["evaluations"][0]["metrics"]["auc"]
    changed = {name: raw.replace(str(auc).encode(), b"0.99") for name, raw in files.items()}
    for name, raw in list(changed.items()):
        if name.startswith("records/") and raw != files[name]:
            new = f"records/{Digest.of(raw).hex}.json"
            changed[new] = changed.pop(name)
            changed["dossier.json"] = changed["dossier.json"].replace(name[8:72].encode(), new[8:72].encode())
    return changed


def _other_entry(files: Files) -> Files:
    bodies = files["ledger/entries.jsonl"].splitlines(keepends=True)
    bodies[-1] = bodies[-1].replace(b'"outcome":"ok"', b'"outcome":"no"')
    return files | {"ledger/entries.jsonl": b"".join(bodies)}


def _moved_proof(files: Files) -> Files:
    names = sorted(name for name in files if name.startswith("ledger/proofs/"))
    head = files[names[1]].split(b"\n", 2)
    other = files[names[2]].split(b"\n", 2)
    return files | {names[1]: b"\n".join([*head[:2], other[2]])}


def _no_signature(files: Files) -> Files:
    return {name: raw for name, raw in files.items() if not name.startswith("signatures/")}


def _other_signature_file(files: Files) -> Files:
    name = next(name for name in files if name.startswith("signatures/"))
    return files | {name: files[name].replace(b'"signature":"', b'"signature":"A')}


def _finding_left_out(files: Files) -> Files:
    def change(dossier: dict[str, Any]) -> None:
        dossier["findings"] = []

    return _dossier(files, change)


def _record_left_out(files: Files) -> Files:
    name, _ = _record(files, "finding")
    return _finding_left_out({path: raw for path, raw in files.items() if path != name})


def _edge_left_out(files: Files) -> Files:
    def change(dossier: dict[str, Any]) -> None:
        lineage = dossier["lineage"]
        lineage["edges"] = [edge for edge in lineage["edges"] if edge["role"] != "train"]
        dossier["grades"]["proven"] = len(lineage["edges"])

    return _dossier(files, change)


def _origin_left_out(files: Files) -> Files:
    """The split and what came before it, so that the model seems to come from nowhere."""

    def change(dossier: dict[str, Any]) -> None:
        lineage = dossier["lineage"]
        gone = {one["id"] for one in lineage["activities"] if one["kind"] in ("split", "ingest")}
        lineage["activities"] = [one for one in lineage["activities"] if one["id"] not in gone]
        lineage["edges"] = [edge for edge in lineage["edges"] if edge["activity"] not in gone]

    return _dossier(files, change)


def _other_verifier(files: Files) -> Files:
    return files | {"verify.py": b"print('TRUE.')\n"}


def _better_review(files: Files) -> Files:
    return _replaced(files, "review", lambda record: record["body"].update(outcome="excellent"))


def _other_author(files: Files) -> Files:
    return _replaced(files, "approval", lambda record: record.update(by="User:auditor"))


def _unknown_file(files: Files) -> Files:
    return files | {"appendix.pdf": b"%PDF"}


def _alternative_left_better(files: Files) -> Files:
    def change(dossier: dict[str, Any]) -> None:
        dossier["alternatives"][0]["metrics"]["auc"] = 0.1

    return _dossier(files, change)


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (_another_number, "the figures of"),
        (_another_number_everywhere, "no enclosed entry tells of|is missing"),
        (_alternative_left_better, "the figures of"),
        (_other_entry, "is not under the checkpoint"),
        (_moved_proof, "is not under the checkpoint|proof of entry"),
        (_no_signature, "the copy in signatures/"),
        (_other_signature_file, "the copy in signatures/"),
        (_finding_left_out, "leaves out the finding"),
        (_record_left_out, "it lists other documents"),
        (_edge_left_out, "used is not what its plan names"),
        (_origin_left_out, "leaves out where"),
        (_better_review, "no enclosed entry tells of"),
        (_other_author, "no enclosed entry tells of"),
        (_unknown_file, "is no file of a pack"),
    ],
)
def test_a_pack_that_was_changed_and_signed_again_is_refused(
    shown: Gallery, files: Files, tmp_path: Path, forge: Callable[[Files], Files], said: str
) -> None:
    """The manifest is not believed about what the ledger tells: refused, with the reason."""
    code, found = told(resigned(forge(dict(files)), shown.signer), tmp_path)
    assert code == 1
    assert any(one in found["reason"] for one in said.split("|")), found["reason"]


def test_a_replaced_verifier_is_told(shown: Gallery, files: Files, tmp_path: Path) -> None:
    """Without the key it is refused; signed again it passes for its bytes, and this program says that it is another."""
    assert told(verify.archive(_other_verifier(files)), tmp_path)[0] == 1
    code, found = told(resigned(_other_verifier(files), shown.signer), tmp_path)
    assert code == 0
    assert any("verify.py in the pack: it is not this program" in text for text in found["not_checked"])


def test_another_key_is_refused(shown: Gallery, files: Files, tmp_path: Path) -> None:
    """A pack signed by somebody else, with his key enclosed, is not the institution's: its key, given, says so."""
    stranger = Key(66)
    origin = shown.platform.ledger.origin
    keys = files["keys.txt"].replace(
        shown.platform.ledger.key.encode(), verifier_key(origin, stranger.public_key).encode()
    )
    forged = resigned(files | {"keys.txt": keys}, stranger)
    code, found = told(forged, tmp_path, key=shown.platform.ledger.key)
    assert (code, "not the key that was given" in found["reason"]) == (1, True)
    code, found = told(forged, tmp_path)
    assert (code, "signed with another key" in found["reason"]) == (1, True)


def test_another_checkpoint_is_refused(shown: Gallery, files: Files, tmp_path: Path) -> None:
    """An older one, and one over another tree, both truly signed: the entries do not lead to them."""
    with shown.platform.store.read() as session:
        older = next(one for one in session.use(CheckpointRepository).each() if one.size > 30)
    assert older.size < 60
    invented = sign_checkpoint(shown.platform.ledger.origin, older.size, b"\7" * 32, shown.signer)
    for note in (older.note, invented.note):
        changed = files | {"ledger/checkpoint.txt": note.encode()}
        assert told(resigned(changed, shown.signer), tmp_path)[0] == 1
        lines = changed["manifest.txt"].decode().split("\n")
        lines[2] = " ".join(note.split("\n")[1:3])
        changed["manifest.txt"] = "\n".join(lines).encode()
        assert told(resigned(changed, shown.signer), tmp_path)[0] == 1


def test_kept_checkpoints_show_another_history(shown: Gallery, tmp_path: Path) -> None:
    """The same size with another root, a smaller one, a larger one: refused; true ones are shown."""
    checkpoint = shown.platform.ledger.checkpoint()
    with shown.platform.store.read() as session:
        older = next(one for one in session.use(CheckpointRepository).each() if one.size > 30)
    pack = shown.pack(checkpoint, since=older.size)
    origin = shown.platform.ledger.origin
    for size in (checkpoint.size, older.size, checkpoint.size + 1):
        other = sign_checkpoint(origin, size, b"\7" * 32, shown.signer)
        code, found = told(pack, tmp_path, kept=[other.note])
        assert (code, "kept" in found["reason"] or "your" in found["reason"]) == (1, True), found
    code, found = told(pack, tmp_path, kept=[older.note, checkpoint.note])
    assert (code, found["kept"]) == (0, [older.size, checkpoint.size]), found
    code, found = told(shown.pack(checkpoint), tmp_path, kept=[older.note])
    assert (code, found["kept"]) == (0, [])
    assert any(f"--since {older.size}" in text for text in found["not_checked"])


def test_witnesses_are_believed_by_their_own_keys(shown: Gallery, tmp_path: Path) -> None:
    """A cosignature by the key that was given is shown; by another key, of another checkpoint, or none: refused."""
    witness, stranger = Key(40), Key(41)
    pack = shown.pack(witness=witness)
    files = verify.unarchive(pack)
    key, other = (witness_key(WITNESS, one.public_key).text for one in (witness, stranger))
    code, found = told(pack, tmp_path, witnesses=[key])
    assert (code, found["witnesses"][0]["key_from"]) == (0, "you")
    assert not any("shows others another history" in text for text in found["not_checked"])
    for given in (other, witness_key("witness.example/w2", witness.public_key).text):
        code, found = told(pack, tmp_path, witnesses=[given])
        assert (code, "did not cosign" in found["reason"]) == (1, True), found
    assert told(shown.pack(), tmp_path, witnesses=[key])[0] == 1
    note = files["ledger/checkpoint.txt"].decode()
    old = sign_checkpoint(shown.platform.ledger.origin, 3, b"\7" * 32, shown.signer).note
    forged = cosign(old, WITNESS, witness, shown.clock.now())
    line = note.splitlines(keepends=True)[-1]
    changed = {name: raw.replace(line.encode(), forged.encode()) for name, raw in files.items()}
    dossier = json.loads(files["dossier.json"])
    dossier["witnesses"][0]["line"] = forged
    code, found = told(resigned(changed | {"dossier.json": canonical(dossier)}, shown.signer), tmp_path)
    assert (code, "the cosignature of the witness" in found["reason"]) == (1, True), found


def _approve(own: Gallery, person: str, **how: Any) -> None:
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 5})
    own.sign(person, RecordKind.APPROVAL, how.pop("said", "approved"), dict(APPROVAL), **how)


def test_an_author_cannot_approve(own: Gallery, tmp_path: Path) -> None:
    """A record that the platform would never have kept, put into database and ledger, is refused by the verifier."""
    _approve(own, "scientist")
    code, found = told(own.pack(), tmp_path)
    assert (code, "had a part in the model" in found["reason"]) == (1, True), found


def test_a_second_account_of_an_author_cannot_approve(own: Gallery, tmp_path: Path) -> None:
    """Accounts that an administrator linked are one person."""
    own.people.ask("admin", LinkAccounts(account="approver", other="scientist"))
    _approve(own, "approver")
    code, found = told(own.pack(), tmp_path)
    assert (code, "User:approver had a part" in found["reason"]) == (1, True), found


def test_too_few_approvals_are_refused(own: Gallery, tmp_path: Path) -> None:
    """A version that stands as approved by fewer people than its tier asks for."""
    requires = {"approvals": 2, "steps": ["approval"], "evidence": [], "review_months": 12}
    own.state("scientist", RecordKind.TIER, {"level": 1, "rule": "r", "requires": requires, "step": 5})
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 6})
    own.sign("approver", RecordKind.APPROVAL, "approved", {**APPROVAL, "step": 7})
    code, found = told(own.pack(), tmp_path)
    assert (code, "1 of 2 approvals" in found["reason"]) == (1, True), found


def test_a_tier_that_is_raised_later_makes_no_approval_false(own: Gallery, tmp_path: Path) -> None:
    """The tier of the day on which it was approved counts; that more would be asked for now is told."""
    requires = {"approvals": 2, "steps": ["approval"], "evidence": [], "review_months": 12}
    own.state("scientist", RecordKind.TIER, {"level": 1, "rule": "r", "requires": requires, "step": 5})
    code, found = told(own.pack(), tmp_path)
    assert (code, found.get("four_eyes")) == (0, True), found
    assert any("raised after the approval" in one for one in found["not_checked"])


def test_a_step_that_was_left_out_is_missed(own: Gallery, tmp_path: Path) -> None:
    """The steps of a life are numbered: a review that came out badly cannot be left out between two others."""
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 6})
    code, found = told(own.pack(), tmp_path)
    assert (code, "a step in the life" in found["reason"]) == (1, True), found


def test_two_accounts_of_one_person_are_one_approver(own: Gallery, tmp_path: Path) -> None:
    """Two linked accounts that both approved make one approval of two."""
    requires = {"approvals": 2, "steps": ["approval"], "evidence": [], "review_months": 12}
    own.enrol("auditor", Key(14))
    own.people.ask("admin", LinkAccounts(account="auditor", other="approver"))
    own.state("scientist", RecordKind.TIER, {"level": 1, "rule": "r", "requires": requires, "step": 5})
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 6})
    first = own.sign("approver", RecordKind.APPROVAL, "approved", {**APPROVAL, "completes": False, "step": 7})
    own.sign("auditor", RecordKind.APPROVAL, "approved", {**APPROVAL, "counted": [first.id], "step": 8}, by=Key(14))
    code, found = told(own.pack(), tmp_path)
    assert (code, "1 of 2 approvals" in found["reason"]) == (1, True), found


def test_who_submitted_it_once_cannot_approve(own: Gallery, tmp_path: Path) -> None:
    """Also when somebody else submitted it after him."""
    own.sign("approver", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 5})
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 6})
    own.sign("approver", RecordKind.APPROVAL, "approved", {**APPROVAL, "step": 7})
    code, found = told(own.pack(), tmp_path)
    assert (code, "had a part in the model" in found["reason"]) == (1, True), found


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"by": Key(77)}, "no entry tells whose the key is"),
        ({"subject": "sha256:" + "0" * 64}, "another manifest was signed"),
        ({"model": "sha256:" + "0" * 64}, "of another model"),
        ({"said": "validated"}, "another meaning was signed"),
        ({"origin": "elsewhere"}, "another origin was signed"),
        ({"terms": {"expires": "2026-12-01T00:00:00.000000Z"}}, "another expires was signed"),
        ({"signer": "User:auditor"}, "another signer was signed"),
    ],
)
def test_a_signature_means_what_it_says_and_nothing_else(
    own: Gallery, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    """Another key, manifest, model, meaning, ledger, term or signer than the record says: refused."""
    _approve(own, "approver", **how)
    code, found = told(own.pack(), tmp_path)
    assert (code, said in found["reason"]) == (1, True), found


def test_a_signature_with_one_bit_changed_is_refused(own: Gallery, tmp_path: Path) -> None:
    """The record was made by the operator, who cannot sign for the approver."""
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 5})
    signature = own.signature("approver", "approved")
    raw = bytearray(base64.b64decode(signature["signature"]))
    raw[7] ^= 1
    signature["signature"] = base64.b64encode(raw).decode()
    own.state("approver", RecordKind.APPROVAL, {**APPROVAL, "signature": signature}, grade=Grade.ATTESTED)
    code, found = told(own.pack(), tmp_path)
    assert (code, "the signature does not fit" in found["reason"]) == (1, True), found


def test_a_revoked_key_signs_nothing_any_more(own: Gallery, tmp_path: Path) -> None:
    """What it signed before stays; what bears it afterwards is refused."""
    own.clock.advance(seconds=1)
    own.people.ask("approver", RevokeSigningKey(key=own.keys["approver"].name))
    assert told(own.pack(), tmp_path)[0] == 0
    _approve(own, "approver")
    code, found = told(own.pack(), tmp_path)
    assert (code, "after the key was revoked" in found["reason"]) == (1, True), found


def test_a_key_signs_nothing_before_it_is_known(own: Gallery, tmp_path: Path) -> None:
    """A record dated before the key of its signature was enrolled."""
    late = Key(88)
    own.keys["auditor"] = late
    own.sign("scientist", RecordKind.SUBMISSION, "submitted for validation", {"note": "", "step": 5})
    own.sign("auditor", RecordKind.APPROVAL, "approved", dict(APPROVAL))
    own.enrol("auditor", late)
    code, found = told(own.pack(), tmp_path)
    assert (code, "before the key was known" in found["reason"]) == (1, True), found


def test_what_only_the_database_holds_ends_the_making_of_a_pack(own: Gallery) -> None:
    """A record that no entry tells of, and metrics that were rewritten: no pack is made."""
    own.state("validator", RecordKind.COMMENT, {"text": "fine", "in_reply_to": None, "resolved": True}, told=False)
    with pytest.raises(IntegrityError) as refused:
        own.pack()
    assert refused.value.code == "MUNI-E501"


def test_rewritten_metrics_end_the_making_of_a_pack(own: Gallery) -> None:
    """The value of a metric in the database is held against the digest that the run's record names."""
    with own.platform.store.engine.connect() as connection:
        struck = connection.exec_driver_sql("update catalog_metric_latest set value = 0.99 where name = 'auc'")
        assert struck.rowcount
        connection.commit()
    with pytest.raises(IntegrityError) as refused:
        own.pack()
    assert refused.value.code == "MUNI-E502"
