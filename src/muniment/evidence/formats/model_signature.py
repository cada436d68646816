"""An OpenSSF model signature: a Sigstore bundle with a DSSE envelope over the digests of the model's files.

The tools of that format know elliptic curve keys and no Ed25519, so models have a signing key of their own.

Source: OpenSSF Model Signing specification v1.0 (https://model_signing/signature/v1.0); Sigstore bundle v0.3.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

from muniment.evidence.formats.dsse import IN_TOTO, STATEMENT, encoded, preauthentication

PREDICATE: Final = "https://model_signing/signature/v1.0"
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IGNORED: Final = (".git", ".gitattributes", ".github", ".gitignore")


class ModelSigner(Protocol):
    """Holds the P-256 key that signs models."""

    @property
    def public_key_pem(self) -> bytes:
        """The public key as PEM, SubjectPublicKeyInfo."""

    def sign(self, message: bytes) -> bytes:
        """The DER signature over SHA-256, with the nonce of RFC 6979: the same message, the same bytes."""


def model_signature(dossier: Mapping[str, Any], signer: ModelSigner) -> dict[str, Any]:
    """The bundle; verifies over the folder that ``muni model fetch`` gives."""
    payload = encoded(statement(dossier))
    signature = signer.sign(preauthentication(payload))
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(signer.public_key_pem).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": IN_TOTO,
            "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
        },
    }


def statement(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The statement: every file with its SHA-256 in order of its name, and one digest over all of those digests."""
    files = sorted((file["path"], file["digest"].partition(":")[2]) for file in dossier["model"]["files"])
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in files))
    return {
        "_type": STATEMENT,
        "subject": [{"name": dossier["model"]["reference"], "digest": {"sha256": root.hexdigest()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(_IGNORED),
            },
            "resources": [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in files],
        },
    }
