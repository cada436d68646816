"""Somebody who can write the database, but holds no key, wants another model, or an unapproved one, to be loaded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.catalog.model import EntityKind
from muniment.catalog.recording import Recorder
from muniment.errors import Conflict, IntegrityError, MunimentError
from muniment.inventory.model import Record, RecordKind
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.kernel.identifiers import parse_time
from muniment.testing.platform import PROJECT, People
from muniment.wire.identity import LinkAccounts
from muniment.wire.records import VerifyInventory, VerifyRecords
from promotion import LIVE, alter, approved, check, promote, records, rewrite

pytestmark = pytest.mark.slow


def _digest(row: Any, **changes: Any) -> str:
    """The digest that a changed record has: a careful forger writes it too."""
    body = {**json.loads(row["body"]), **changes}
    made = Record(
        row["id"],
        row["project"],
        RecordKind(row["kind"]),
        row["subject"],
        parse_time(row["at"]),
        row["by"],
        Grade(row["grade"]),
        body,
    )
    return str(made.digest)


def _forge(people: People, kind: str, project: str = "main", **changes: Any) -> None:
    """Change the newest record of a kind, with the digest that fits."""
    row = records(people.platform, kind, project)[-1]
    rewrite(people.platform, row, _digest(row, **changes), **changes)


def _body(people: People, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(records(people.platform, kind)[-1]["body"])
    return body


def _signed_by_a_stranger(people: People) -> dict[str, Any]:
    """The same statement under a key that nobody enrolled."""
    kept, key = dict(_body(people, "approval")["signature"]), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    text = kept["statement"].replace(kept["key"], str(Digest.of(public)))
    return {
        "statement": text,
        "signature": base64.b64encode(key.sign(text.encode())).decode(),
        "key": str(Digest.of(public)),
        "public_key": base64.b64encode(public).decode(),
    }


def _another_manifest(people: People) -> dict[str, Any]:
    body = _body(people, "registration")
    return {"manifest_document": {**body["manifest_document"], "owner": "mallory"}}


def _end_later(people: People) -> None:
    _forge(people, "approval", expires="2999-01-01T00:00:00.000000Z")


def _drop_conditions(people: People) -> None:
    _forge(people, "approval", conditions=[])


def _sign_by_a_stranger(people: People) -> None:
    _forge(people, "approval", signature=_signed_by_a_stranger(people))


def _unsign(people: People) -> None:
    _forge(people, "approval", signature=None)


def _swap_the_manifest(people: People) -> None:
    _forge(people, "registration", **_another_manifest(people))


def _unsigned_manifest(people: People) -> None:
    body = _body(people, "registration")
    _forge(people, "registration", manifest_note=body["manifest_note"][:-8] + "AAAAAA=\n")


def _ask_for_less(people: People) -> None:
    requires = {**_body(people, "tier")["requires"], "approvals": 0}
    _forge(people, "tier", requires=requires)


def _change_the_files(people: People) -> None:
    """The catalog says that other bytes are the files of the model."""
    facts = json.dumps({"files": [{"path": "part", "digest": "sha256:" + "0" * 64, "size": 3}]})
    wanted = "update catalog_entity set facts = :facts where kind = 'model' and project = 'main'"
    assert alter(people.platform, wanted, facts=facts) == 1


def _approve_by_hand(people: People) -> None:
    """The key of the approver is said to be somebody else's."""
    assert alter(people.platform, "update identity_signing_keys set account = 'scientist' where account = 'approver'")


ATTACKS: list[tuple[Callable[[People], None], str]] = [
    (_end_later, "does not tell of the approval"),
    (_drop_conditions, "about other terms than the record says"),
    (_sign_by_a_stranger, "a key that this person did not enrol"),
    (_unsign, "without a signature"),
    (_swap_the_manifest, "the manifest is not the one that its digest names"),
    (_unsigned_manifest, "not signed by the ledger's key"),
    (_ask_for_less, "does not tell of the tier"),
    (_change_the_files, "MUNI-X504"),
    (_approve_by_hand, "a key that this person did not enrol"),
]


@pytest.mark.parametrize(("attack", "says"), ATTACKS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_was_tampered_with_is_not_loaded(people: People, attack: Callable[[People], None], says: str) -> None:
    """A changed record, key, manifest or file is refused with the reason, at the source and in production alike."""
    approved(people, conditions=["watch it"])
    promote(people)
    people.platform.ledger.checkpoint()
    assert check(people, "main").usable
    attack(people)
    found = check(people, "main", files=False)
    assert not found.usable
    assert any(says in why for why in found.because), found.because
    assert (found.files, found.manifest) == ([], None)
    there = check(people, files=False)
    assert not there.usable
    assert there.because[0].startswith("in project main: ")


def test_an_erased_retirement_is_noticed(people: People) -> None:
    """Who deletes the record of a retirement does not bring the version back: the ledger tells of it."""
    notary = approved(people)
    notary.model("approver").retire("it is wrong")
    assert alter(people.platform, "delete from inventory_record where kind = 'retirement'") == 1
    found = check(people, "main")
    assert not found.usable
    assert "the ledger tells of a retirement" in found.because[0]


def test_an_erased_or_belittled_finding_is_noticed(people: People) -> None:
    """A high finding that is deleted, or made a low one, does not open the gate again."""
    notary = approved(people)
    findings = notary.client("validator").findings
    findings.open("model:scorer", "drift", severity="high", owner="scientist", due="2099-01-01")
    assert "1 high finding open" in check(people, "main").because
    _forge(people, "finding", severity="low")
    assert any("does not tell of the finding" in why for why in check(people, "main").because)
    alter(people.platform, "delete from inventory_record where kind = 'finding'")
    found = check(people, "main")
    assert not found.usable
    assert "the ledger tells of a finding" in found.because[0]


def test_a_closure_that_nobody_stated_closes_nothing(people: People) -> None:
    """A record put in by hand says that a high finding is remedied: the ledger knows nothing of it."""
    notary = approved(people)
    findings = notary.client("validator").findings
    opened = findings.open("model:scorer", "drift", severity="high", owner="scientist", due="2099-01-01")
    row = dict(records(people.platform, "finding")[-1])
    body = json.dumps({"evidence": "sha256:" + "0" * 64, "text": "done"})
    row |= {"kind": "finding-closure", "subject": opened.finding.removeprefix("finding:"), "body": body}
    row["id"] = row["id"][:-1] + ("0" if row["id"][-1] != "0" else "1")
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    alter(people.platform, f"insert into inventory_record ({columns}) values ({values})", **row)
    found = check(people, "main")
    assert not found.usable
    assert any("does not tell of the finding-closure" in why for why in found.because), found.because


def test_an_entry_that_was_written_to_bear_a_forgery_out_is_noticed(people: People) -> None:
    """Record and ledger entry are changed together: the entry is not the leaf that was signed."""
    approved(people)
    people.platform.ledger.checkpoint()
    row = records(people.platform, "approval")[-1]
    changes = {"expires": "2999-01-01T00:00:00.000000Z"}
    forged = _digest(row, **changes)
    rewrite(people.platform, row, forged, **changes)
    swapped = "update ledger_entries set body = replace(body, :old, :new)"
    assert alter(people.platform, swapped, old=row["digest"], new=forged)
    found = check(people, "main")
    assert not found.usable
    assert any("is not the one that was signed" in why for why in found.because), found.because
    assert alter(people.platform, swapped, old=forged, new=row["digest"])


def test_an_approval_of_another_version_approves_nothing(people: People) -> None:
    """The records of an approved version are copied to a draft: they were signed for the other one."""
    notary = approved(people)
    draft = _another_model(people)
    notary.draft("model:other")
    for kind in ("submission", "review", "approval"):
        row = {**records(people.platform, kind)[-1], "subject": draft}
        row["id"] = row["id"][:-1] + ("0" if row["id"][-1] != "0" else "1")
        row["body"] = json.dumps({**json.loads(row["body"]), "step": json.loads(row["body"])["step"] + 1})
        columns = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        alter(people.platform, f"insert into inventory_record ({columns}) values ({values})", **row)
    found = check(people, "main", model="model:other")
    assert not found.usable
    assert any("is about another model" in why for why in found.because), found.because


def _another_model(people: People) -> str:
    """A second model of the project; its digest."""
    vault = people.platform.vault
    with people.platform.store.write() as session:
        sealed = vault.seal_bytes(PROJECT, b"another model")
        vault.register(session, PROJECT, sealed)
        recorder = Recorder(session, PROJECT, datetime(2026, 11, 23, tzinfo=UTC))
        facts = {"files": [{"path": "part", "digest": str(sealed.digest), "size": sealed.size}]}
        recorder.entity(sealed.digest, EntityKind.MODEL, author="User:scientist", facts=facts)
        recorder.name(EntityKind.MODEL, "other", sealed.digest, by="User:scientist")
    return str(sealed.digest)


@pytest.mark.parametrize("what", ["bytes", "facts", "retired"])
def test_nothing_that_was_tampered_with_is_promoted(people: People, what: str) -> None:
    """Changed bytes, changed facts or an erased retirement at the source: refused, and nothing is left behind."""
    notary = approved(people)
    if what == "bytes":
        for path in (people.platform.home / "objects").rglob("*"):
            if path.is_file():
                content = bytearray(path.read_bytes())
                content[len(content) // 2] ^= 1
                path.unlink()
                path.write_bytes(bytes(content))
    elif what == "facts":
        _change_the_files(people)
    else:
        notary.model("approver").retire("it is wrong")
        alter(people.platform, "delete from inventory_record where kind = 'retirement'")
    with pytest.raises(MunimentError) as refused:
        promote(people)
    assert isinstance(refused.value, (Conflict, IntegrityError))
    assert records(people.platform, "promotion", LIVE) == []
    assert alter(people.platform, "delete from vault_sealed_object where project = 'live'") == 0
    assert alter(people.platform, "delete from catalog_entity where project = 'live'") == 0


def test_a_forged_promotion_is_refused(people: People) -> None:
    """A promotion whose conditions were taken away, or that names another project, is not borne out by the ledger."""
    approved(people, conditions=["watch it"])
    promote(people)
    _forge(people, "promotion", LIVE, conditions=[])
    found = check(people)
    assert not found.usable
    assert "does not tell of the promotion" in found.because[0]


def test_an_approver_who_turns_out_to_be_the_author_does_not_count(people: People) -> None:
    """Four eyes are looked at again when it is loaded: two accounts of one person are found out later."""
    approved(people)
    promote(people)
    people.ask("admin", LinkAccounts(account="approver", other="scientist"))
    found = check(people)
    assert not found.usable
    assert any("does not count" in why for why in found.because), found.because


def test_the_whole_record_is_still_as_the_ledger_tells(people: People) -> None:
    """A promotion is nothing that the audit of the records stumbles over."""
    approved(people)
    promote(people)
    people.platform.ledger.checkpoint()
    for request in (VerifyRecords(), VerifyInventory()):
        report = people.ask("auditor", request)
        assert report.ok, report.findings
