"""The evidence in other people's formats, read by their own public tools."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement
from model_signing import verifying
from prov.model import ProvActivity, ProvDocument, ProvEntity
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from modelling import FILES, dossier, vendor_dossier
from muniment.adapters.kms.local import LocalKeys, LocalModelSigner, LocalSigner
from muniment.evidence.formats import documents

pytestmark = pytest.mark.slow

HOSTILE = "x\"'\\\n---\n# <b>|`$(id)` \N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}\x07" + "y" * 5000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalSigner, LocalModelSigner]:
    """The keys of an installation."""
    folder = tmp_path_factory.mktemp("keys")
    opened = LocalKeys.create(folder / "ledger.keys", home=folder / "home")
    return opened.signer("ledger"), opened.model_signer("models")


def hostile() -> dict[str, Any]:
    """A dossier in which people gave names and texts that try to be something else."""
    told = dossier(use_case={"name": HOSTILE, "purpose": HOSTILE}, registration={"owner": HOSTILE, "limits": [HOSTILE]})
    told["data"][0]["reference"] = told["model"]["algorithm"] = HOSTILE
    told["lineage"]["entities"][1]["label"] = HOSTILE
    return told


DOSSIERS = {"full": dossier, "vendor": vendor_dossier, "hostile": hostile}


@pytest.mark.parametrize("kind", DOSSIERS)
def test_the_same_dossier_gives_the_same_bytes(kind: str, keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """Nothing comes from the clock or from chance, signatures included."""
    assert documents(DOSSIERS[kind](), *keys) == documents(DOSSIERS[kind](), *keys)


def test_what_is_not_known_has_no_document(keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """A model from elsewhere has no build provenance, no software list and no signature of ours."""
    full, vendor = (set(documents(made(), *keys)) for made in (dossier, vendor_dossier))
    assert full - vendor == {
        "formats/model-signing-key.pem",
        "formats/model.sig",
        "formats/sbom.cdx.json",
        "formats/slsa-provenance.dsse.json",
    }
    assert vendor < full


@pytest.mark.parametrize("kind", DOSSIERS)
@pytest.mark.parametrize("name", ["mlbom.cdx.json", "sbom.cdx.json"])
def test_bills_of_materials_are_cyclonedx(kind: str, name: str, keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """CycloneDX's own schema, read strictly, takes both bills; every dependency is a component of the bill."""
    made = documents(DOSSIERS[kind](), *keys).get(f"formats/{name}")
    if made is None:
        assert (kind, name) == ("vendor", "sbom.cdx.json")
        return
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made.decode()) is None
    bill = json.loads(made)
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {ref for one in bill["dependencies"] for ref in (one["ref"], *one["dependsOn"])} == known


def test_the_model_bill_holds_the_measurements(keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """Each metric stands in the model card with the data that it was measured on, digit for digit."""
    card = json.loads(documents(dossier(), *keys)["formats/mlbom.cdx.json"])["metadata"]["component"]["modelCard"]
    assert {"type": "auc", "value": "0.781", "slice": "data:credit/test@1"} in card["quantitativeAnalysis"][
        "performanceMetrics"
    ]


def test_provenance_is_slsa_in_a_signed_envelope(keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """The envelope verifies under the ledger's key and under no other; what is in it is in-toto and SLSA."""
    ledger, models = keys
    envelope = Envelope.from_dict(json.loads(documents(dossier(), ledger, models)["formats/slsa-provenance.dsse.json"]))
    key_id = next(iter(envelope.signatures))
    public = {"public": ledger.public_key.hex()}
    envelope.verify([SSlibKey(key_id, "ed25519", "ed25519", public)], 1)
    stranger = SSlibKey(key_id, "ed25519", "ed25519", {"public": LocalSigner(b"x" * 32).public_key.hex()})
    with pytest.raises(VerificationError):
        envelope.verify([stranger], 1)
    stated = json.loads(envelope.payload)
    predicate = json_format.ParseDict(stated["predicate"], provenance_pb2.Provenance())
    statement = json_format.ParseDict(stated, Statement(subjects=[], predicate_type="", predicate={}).pb)
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    assert len(statement.subject) == 1 + len(FILES)
    used = {one.name: one.digest["sha256"] for one in predicate.build_definition.resolved_dependencies}
    assert used.keys() == {"train", "programs", "environment", "base"}
    assert predicate.run_details.metadata.started_on.seconds > 0


@pytest.mark.parametrize("kind", DOSSIERS)
def test_lineage_is_prov(kind: str, keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """The PROV library reads all of it, keeps it through a round trip, and counts what the dossier counts."""
    told = DOSSIERS[kind]()
    made = documents(told, *keys)["formats/prov.json"].decode()
    read = ProvDocument.deserialize(content=made, format="json")
    assert ProvDocument.deserialize(content=read.serialize(format="json"), format="json") == read
    assert len(list(read.get_records(ProvEntity))) == len(told["lineage"]["entities"])
    assert len(list(read.get_records(ProvActivity))) == len(told["lineage"]["activities"])


def test_the_model_signature_verifies_over_the_files(
    keys: tuple[LocalSigner, LocalModelSigner], tmp_path: Path
) -> None:
    """OpenSSF's verifier takes the files as they are fetched, and refuses one that was changed, added or removed."""
    made = documents(dossier(), *keys)
    signature, key, folder = tmp_path / "model.sig", tmp_path / "key.pem", tmp_path / "model"
    signature.write_bytes(made["formats/model.sig"])
    key.write_bytes(made["formats/model-signing-key.pem"])
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    verifier.verify(folder, signature)
    (folder / "model.json").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"(?i)mismatch"):
        verifier.verify(folder, signature)
    (folder / "model.json").write_bytes(FILES["model.json"])
    (folder / "more").write_bytes(b"")
    with pytest.raises(ValueError, match=r"(?i)extra"):
        verifier.verify(folder, signature)


@pytest.mark.parametrize("kind", DOSSIERS)
def test_nothing_breaks_out_of_the_model_card(kind: str, keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """Whatever people wrote, the card has the sections it has, its front matter its six values."""
    card = documents(DOSSIERS[kind](), *keys)["formats/model-card.md"].decode()
    front, body = card.split("\n---\n", 1)
    values = dict(line.split(": ", 1) for line in front.splitlines()[1:])
    assert len([json.loads(value) for value in values.values()]) == 6
    headings = [line for line in body.splitlines() if line.startswith("#")]
    assert len(headings) == 8
    assert "<b>" not in body
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body


def test_payloads_are_what_is_shown(keys: tuple[LocalSigner, LocalModelSigner]) -> None:
    """The signed payloads decode to JSON in one form, so that they can be read and compared by eye."""
    made = documents(dossier(), *keys)
    for name, inner in (("slsa-provenance.dsse.json", None), ("model.sig", "dsseEnvelope")):
        document = json.loads(made[f"formats/{name}"])
        payload = base64.b64decode((document[inner] if inner else document)["payload"])
        stated = json.loads(payload)
        assert json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == payload
