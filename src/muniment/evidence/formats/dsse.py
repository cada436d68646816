"""Dead Simple Signing Envelopes.

Source: https://github.com/secure-systems-lab/dsse, protocol version 1.0.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

IN_TOTO: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"


def encoded(statement: Mapping[str, Any]) -> bytes:
    """The payload: one form for one statement."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def preauthentication(payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length (PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)


def envelope(payload: bytes, signature: bytes, key_id: str) -> dict[str, Any]:
    """The envelope of an in-toto statement with one signature."""
    return {
        "payload": _text(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": key_id, "sig": _text(signature)}],
    }


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
