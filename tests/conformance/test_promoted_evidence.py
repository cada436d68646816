"""What is told of a promoted version: facts, board and pack of the target claim what its own records show, no more."""

from __future__ import annotations

from pathlib import Path

from muniment.evidence.verify import main as verify
from muniment.sdk.client import Client
from muniment.testing.platform import People, Site
from muniment.wire.oversight import ShowFacts
from promotion import LIVE, approved, promote


def test_facts_name_the_project_that_decided(each_site: Site) -> None:
    """Count, end and conditions are those of the promotion; who signed and who had a part is not claimed here."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    approved(people, conditions=["watch it"])
    made = promote(people)
    found = people.ask("operator", ShowFacts(project=LIVE, model="model:scorer"))
    facts = {fact.name: fact for fact in found.facts}
    assert facts["approval.count"].value == 1
    assert "in project main, by User:approver" in facts["approval.count"].text
    assert facts["approval.conditions"].value == ["watch it"]
    assert facts["approval.count"].record == made.record
    assert not {"approval.signed", "approval.independent", "validation.present"} & facts.keys()
    assert (facts["lineage.complete"].value, facts["lineage.grade"].value) == (False, "declared")
    platform.close()


def test_a_pack_of_a_promoted_version_verifies(each_site: Site, tmp_path: Path) -> None:
    """A model with a file of its own, approved in one project: the pack of the other one is whole and true."""
    platform = each_site.open()
    people = People(platform, each_site.tokens)
    notary = approved(people)
    file = tmp_path / "rules.bin"
    file.write_bytes(b"if rich then yes")
    told = {"origin": "vendor", "supplier": "ACME", "owner": "scientist", "use_case": "cards"}
    notary.client("scientist").inventory.register_external("rules", description="bought rules", file=file, **told)
    notary.model("scientist", "model:rules").submit("please")
    notary.model("validator", "model:rules").review("satisfactory", "sound")
    notary.model("approver", "model:rules").approve()
    assert promote(people, model="model:rules").files == 2
    auditor = Client(platform.transport(people.tokens["auditor"]), project=LIVE)
    pack = tmp_path / "rules.zip"
    auditor.models.get("model:rules").evidence(pack)
    assert verify([str(pack), "--key", platform.ledger.key]) == 0
    assert auditor.models.get("model:rules").approval(files=True).usable
    platform.close()
