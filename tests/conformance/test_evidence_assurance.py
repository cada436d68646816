"""What audit, the board and readers signed stands in the evidence pack, and what was signed elsewhere is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evidencing import Gallery, Key, told
from muniment.evidence import verify
from muniment.inventory.model import RecordKind
from muniment.kernel.canonical import digest_of
from muniment.kernel.digest import Digest
from muniment.kernel.grade import Grade
from muniment.testing.platform import PROJECT
from muniment.wire.evidence import BuildPack
from notary import Notary

MODEL = "model:loans-xgboost"
STATED = {"appetite": "low", "accountable": "the CRO", "policy": "P 1", "adopted": "2026-01-01", "text": ""}


@pytest.fixture
def house(each_gallery: Gallery) -> Gallery:
    """A platform with a trained model, once on each engine."""
    return each_gallery


@pytest.fixture
def notary(house: Gallery) -> Notary:
    """People with keys, who approved the model."""
    found = Notary(house.people)
    found.approved(MODEL)
    return found


def pack(house: Gallery) -> bytes:
    """A pack of now."""
    house.clock.advance(seconds=1)
    return b"".join(house.people.ask("auditor", BuildPack(project=PROJECT, model=MODEL)).chunks)


def test_everything_that_assurance_signed_is_enclosed(house: Gallery, notary: Notary, tmp_path: Path) -> None:
    """The verifier takes it, counts the signatures, and each fact about it names a record that is enclosed."""
    today = str(house.clock.now().date())
    house.clock.advance(seconds=1)
    examined = {"outcome": "satisfactory", "text": "t", "period": (today, today), "next_due": "2099-01-01"}
    auditor, admin, operator = (notary.client(person) for person in ("auditor", "admin", "operator"))
    auditor.audits.examine(MODEL, scope=["records"], **examined)
    auditor.audits.examine(scope=["ledger"], **examined)
    admin.governance.state(**{**STATED, "adopted": today})
    admin.governance.lay(str(Digest.of(b"report")), today)
    operator.instructions.acknowledge(MODEL, operator.instructions.of(MODEL).digest)
    admin.impacts.assess(
        "cards", scopes=["fundamental rights"], process="p", period="d", affected=["a"], harms=["h"], oversight="o",
        measures=["m"], next_due="2099-01-01",
    )  # fmt: skip
    auditor.gates.facts(MODEL)
    notary.client("validator").risks.add(
        "open", "challenge.unresolved = 0", model=MODEL, description="d", harm="h", owner="scientist"
    )
    built = pack(house)
    code, found = told(built, tmp_path, key=house.platform.ledger.key)
    assert code == 0, found
    signed = [one["meaning"] for one in found["signatures"]]
    kinds = ["submission", "review", "approval", "examination", "examination", "governance", "board-report"]
    assert sorted(signed) == sorted([*kinds, "acknowledgement"])
    dossier = json.loads(verify.unarchive(built)["dossier.json"])
    enclosed = {one["digest"] for one in dossier["records"]}
    families = ("risk", "audit", "governance", "board", "impact", "instructions")
    facts = [fact for fact in dossier["facts"] if fact["name"].partition(".")[0] in families]
    assert {fact["name"].partition(".")[0] for fact in facts} == set(families)
    assert [fact["name"] for fact in facts if fact["record"] not in enclosed] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"subject": "sha256:" + "0" * 64}, "of another project"),
        ({"model": "sha256:" + "1" * 64}, "of one model"),
        ({"meaning": "examined"}, "another meaning was signed"),
        ({"terms": {**STATED, "appetite": "high"}}, "another appetite was signed"),
    ],
)
def test_what_was_signed_about_the_project_is_held_against_the_statement(
    house: Gallery, notary: Notary, tmp_path: Path, changes: dict[str, Any], reason: str | None
) -> None:
    """Another project, one model, another meaning, other words: each is found, with the reason."""
    house.enrol("admin2", Key(23))
    house.clock.advance(seconds=1)
    whole = {"format": "muniment.project/1", "origin": house.platform.ledger.origin, "project": PROJECT}
    stated: dict[str, Any] = {"model": "", "subject": str(digest_of(whole)), "terms": STATED, **changes}
    meaning = stated.pop("meaning", "stated as governance")
    body = {**STATED, "signature": house.signature("admin2", meaning, **stated)}
    house.state("admin2", RecordKind.GOVERNANCE, body, subject="governance", grade=Grade.ATTESTED)
    code, found = told(pack(house), tmp_path, key=house.platform.ledger.key)
    assert (code, reason is None or reason in str(found)) == (0 if reason is None else 1, True), found
