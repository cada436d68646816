"""Evidence packs by the verb, on both engines: every life of a model gives one that the verifier takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evidencing import WITNESS, Gallery, Key, told
from muniment.errors import Conflict, Denied, Invalid, NotFound
from muniment.evidence import verify
from muniment.evidence.pack import MOST_BYTES
from muniment.kernel.digest import Digest
from muniment.ledger.cosignature import cosign, witness_key
from muniment.ledger.model import Search
from muniment.testing.platform import OTHER, PROJECT
from muniment.wire.data import AddDataset
from muniment.wire.evidence import BuildPack
from muniment.wire.inventory import RegisterExternalModel
from muniment.wire.oversight import OpenFinding
from muniment.wire.witness import AcceptCosignature, AddWitness
from notary import SOUND, Notary

MODEL = "model:loans-xgboost"


@pytest.fixture
def house(each_gallery: Gallery) -> Gallery:
    """A platform with a model of which nobody stated anything, once on each engine."""
    return each_gallery


def _built(house: Gallery, model: str = MODEL, person: str = "auditor", **how: Any) -> bytes:
    house.clock.advance(seconds=1)
    return b"".join(house.people.ask(person, BuildPack(project=PROJECT, model=model, **how)).chunks)


def _checked(house: Gallery, folder: Path, model: str = MODEL, **how: Any) -> dict[str, Any]:
    """A pack, built and verified; what the verifier found, and the dossier."""
    pack = _built(house, model, **how)
    code, found = told(pack, folder, key=house.platform.ledger.key)
    assert code == 0, found
    return {**found, "dossier": json.loads(verify.unarchive(pack)["dossier.json"]), "bytes": len(pack)}


def test_every_step_of_a_life_gives_a_pack_that_verifies(house: Gallery, tmp_path: Path) -> None:
    """Not registered, draft, submitted, in validation, approved, retired: told so, with the signatures so far."""
    notary, states = Notary(house.people), []

    def look() -> None:
        found = _checked(house, tmp_path)
        states.append((found["state"], len(found["signatures"])))

    look()
    notary.draft(MODEL)
    look()
    notary.model("scientist", MODEL).submit("please")
    look()
    notary.model("validator", MODEL).review("satisfactory", SOUND)
    look()
    notary.model("approver", MODEL).approve(conditions=["quarterly"], use_limits=["no new cards"])
    look()
    notary.model("approver", MODEL).retire("superseded")
    look()
    steps = [("draft", 0), ("submitted", 1), ("in_validation", 2), ("approved", 3), ("retired", 4)]
    assert states == [(None, 0), *steps]


def test_an_emergency_is_told_as_one(house: Gallery, tmp_path: Path) -> None:
    """Two administrators break the glass: the pack says that it was not approved by four eyes."""
    notary = Notary(house.people)
    notary.draft(MODEL)
    for person in ("admin", "admin2"):
        house.clock.advance(seconds=1)
        notary.model(person, MODEL).break_glass("the old one is broken")
    found = _checked(house, tmp_path)
    assert (found["state"], found["dossier"]["state"]["emergency"]) == ("approved", True)
    assert any("emergency approval" in text for text in found["notes"])
    assert any(one["severity"] == "high" for one in found["dossier"]["findings"])


def test_a_model_from_outside_has_a_pack_too(house: Gallery, tmp_path: Path) -> None:
    """Nothing of a vendor's model is proven, and the pack says that everything is declared."""
    notary = Notary(house.people)
    notary.use_case()
    request = RegisterExternalModel(
        project=PROJECT, name="scores", origin="vendor", owner="approver", description="bought", supplier="ACME",
        use_case="cards",
    )  # fmt: skip
    notary.client("scientist").ask("inventory:RegisterExternalModel", request, object)
    found = _checked(house, tmp_path, "model:scores")
    assert (found["runs"], found["dossier"]["training"], found["dossier"]["model"]["grade"]) == (0, None, "declared")
    assert any("it was not trained here" in text for text in found["notes"])
    assert [one["path"] for one in found["dossier"]["model"]["files"]] == ["entry.json"]


def test_a_job_that_has_just_ended_elsewhere_is_no_matter_of_the_pack(house: Gallery, tmp_path: Path) -> None:
    """The last entry under the checkpoint tells of the end of a job on other data, and the pack verifies."""
    last = ""
    for number in range(20):  # beginning and end of a played job are of one moment, in either order
        request = AddDataset(project=PROJECT, name=f"other{number}", filename="other.csv", target="default")
        house.clock.advance(seconds=1)
        house.people.ask("scientist", request, b"age,late\n3,%d\n" % number)
        house.clock.advance(seconds=1)
        assert house.people.work() == 1
        last = _checked(house, tmp_path)["dossier"]["entries"][-1]["type"]
        if last == verify.RUN_ENDED:
            break
    assert last == verify.RUN_ENDED


def test_the_request_stands_in_the_ledger_with_what_was_handed_out(house: Gallery) -> None:
    """Who took which pack of which model, at which checkpoint; the pack itself ends before its own entry."""
    pack = _built(house)
    (entry,) = house.platform.ledger.search(Search(type="muniment.evidence.pack.built.v1", limit=5))
    facts = entry.event["data"]["facts"]
    checkpoint = json.loads(verify.unarchive(pack)["dossier.json"])["checkpoint"]
    assert entry.event["data"]["principal"] == "User:auditor"
    assert facts["pack"] == str(Digest.of(pack))
    assert (facts["model"], facts["size"], facts["bytes"]) == (str(house.model), checkpoint["size"], len(pack))
    assert len(pack) < MOST_BYTES


def test_an_older_checkpoint_gives_the_older_pack_again(house: Gallery, tmp_path: Path) -> None:
    """By the size that the first one states, after the model has had a life: the same bytes as then."""
    first = _built(house)
    size = json.loads(verify.unarchive(first)["dossier.json"])["checkpoint"]["size"]
    Notary(house.people).approved(MODEL)
    house.people.ask(
        "validator",
        OpenFinding(project=PROJECT, model=MODEL, title="drift", severity="low", owner="scientist", due="2027-01-31"),
    )
    assert _built(house, checkpoint=size) == first
    later = _checked(house, tmp_path, since=[size])
    assert later["state"] == "approved"
    kept = json.loads(verify.unarchive(first)["dossier.json"])["checkpoint"]["note"]
    code, found = told(_built(house, since=[size]), tmp_path, kept=[kept])
    assert (code, found["kept"]) == (0, [size])


def test_a_cosigned_pack_bears_the_witness(house: Gallery, tmp_path: Path) -> None:
    """The newest checkpoint that was cosigned, with the cosignature; a pack without it stays possible."""
    witness, admin = Key(40), house.people
    key = witness_key(WITNESS, witness.public_key).text
    admin.ask("admin", AddWitness(key=key))
    checkpoint = house.platform.ledger.checkpoint()
    line = cosign(checkpoint.note, WITNESS, witness, house.clock.now())
    admin.ask("admin", AcceptCosignature(note=checkpoint.note + line))
    pack = _built(house, cosigned=True)
    code, found = told(pack, tmp_path, key=house.platform.ledger.key, witnesses=[key])
    assert (code, found["entries"]) == (0, checkpoint.size), found
    assert [one["key_from"] for one in found["witnesses"]] == ["you"]
    assert _built(house, cosigned=True, checkpoint=checkpoint.size) == pack
    code, found = told(_built(house), tmp_path)
    assert (code, found["witnesses"]) == (0, [])


def test_what_cannot_be_is_refused_with_the_reason(house: Gallery) -> None:
    """A size that was never signed, a proof from a larger tree, cosignatures without witnesses, a foreign project."""
    size = house.platform.ledger.checkpoint().size
    for wrong in (1 << 60, 0, -1, 3):
        with pytest.raises(NotFound) as refused:
            _built(house, checkpoint=wrong)
        assert (refused.value.code, refused.value.facts["newest"] >= size) == ("MUNI-E202", True)
    with pytest.raises(Invalid) as later:
        _built(house, since=[size + 1000])
    assert later.value.code == "MUNI-E101"
    with pytest.raises(Conflict) as alone:
        _built(house, cosigned=True)
    assert alone.value.code == "MUNI-E301"
    with pytest.raises(NotFound) as young:
        _built(house, checkpoint=_first_size(house))
    assert young.value.code == "MUNI-E201"
    with pytest.raises(Denied):
        house.people.ask("outsider", BuildPack(project=PROJECT, model=MODEL))
    with pytest.raises(NotFound):
        house.people.ask("outsider", BuildPack(project=OTHER, model=MODEL))


def _first_size(house: Gallery) -> int:
    from muniment.ledger.ports import CheckpointRepository  # noqa: PLC0415

    with house.platform.store.read() as session:
        return min(one.size for one in session.use(CheckpointRepository).each() if one.size)
