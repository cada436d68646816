"""The evidence about a model in the formats that other people's tools read; pure functions of its dossier.

Each document says what the dossier says and nothing else, so the same dossier gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from muniment.evidence.formats.cyclonedx import model_bom, software_bom
from muniment.evidence.formats.model_card import model_card
from muniment.evidence.formats.model_signature import ModelSigner, model_signature
from muniment.evidence.formats.prov import prov_document
from muniment.evidence.formats.slsa import provenance
from muniment.ledger.ports import Signer

__all__ = ["ModelSigner", "documents"]

FOLDER: Final = "formats/"

_README: Final = """\
The same evidence in formats that other tools read. Each file is bound by the pack's manifest.

slsa-provenance.dsse.json  how the model was made: in-toto statement, SLSA provenance v1, in a DSSE envelope signed
                           with the ledger's Ed25519 key (the raw key stands in ../keys.txt)
mlbom.cdx.json             the model, its data and measurements: CycloneDX 1.6 with a model card
sbom.cdx.json              the software it was trained with: CycloneDX 1.6, a SHA-256 for each wheel
prov.json                  lineage: W3C PROV-JSON
model.sig                  OpenSSF model signature (v1.0) over the model's files:
                           model_signing verify key FOLDER --signature model.sig --public_key model-signing-key.pem
model-signing-key.pem      the public key that made it; it verifies only as far as you trust where you have it from
model-card.md              a model card for people
"""


def documents(dossier: Mapping[str, Any], ledger: Signer, models: ModelSigner) -> dict[str, bytes]:
    """Every document that the dossier has the facts for, by path in the pack.

    A model that was not trained here has no build provenance and no software list; one without files no signature.

    Args:
        dossier: a ``muniment.dossier/1``.
        ledger: the key of the ledger, which signs the provenance.
        models: the key that signs models.
    """
    found: dict[str, bytes] = {
        "README.txt": _README.encode(),
        "mlbom.cdx.json": _json(model_bom(dossier)),
        "prov.json": _json(prov_document(dossier)),
        "model-card.md": model_card(dossier).encode(),
    }
    if dossier.get("training"):
        found["slsa-provenance.dsse.json"] = _json(provenance(dossier, ledger))
    if (dossier.get("environment") or {}).get("packages"):
        found["sbom.cdx.json"] = _json(software_bom(dossier))
    if dossier["model"].get("files"):
        found["model.sig"] = _json(model_signature(dossier, models))
        found["model-signing-key.pem"] = models.public_key_pem
    return {FOLDER + name: content for name, content in sorted(found.items())}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
