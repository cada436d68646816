"""Canonical JSON: one value, one sequence of bytes, so that a digest of it means something.

Only strings, booleans, null, integers within 2**53, finite floats, lists and mappings with string keys are taken. For
values without floats and with ASCII keys the bytes equal RFC 8785 (JCS). Records hashed into the ledger hold no
floats.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from muniment.errors import Invalid
from muniment.kernel.digest import Digest

_EXACT: Final = 2**53


def canonical(value: Any) -> bytes:
    """The canonical UTF-8 bytes of a JSON value.

    Raises:
        Invalid: the value holds something that has no single JSON form (NaN, a huge integer, a non-string key).
    """
    _check(value, "$")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as broken:
        raise Invalid("MUNI-K114", "a text with a lone surrogate has no UTF-8 form", at=broken.start) from broken


def digest_of(value: Any) -> Digest:
    """The digest of a JSON value's canonical bytes."""
    return Digest.of(canonical(value))


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) > _EXACT:
            raise Invalid("MUNI-K102", "an integer beyond 2^53 has no exact JSON form", where=where, value=str(value))
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid("MUNI-K103", "a non-finite number has no JSON form", where=where)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise Invalid("MUNI-K104", "a JSON object has text keys only", where=where, key=repr(key))
            _check(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for position, inner in enumerate(value):
            _check(inner, f"{where}[{position}]")
    else:
        raise Invalid("MUNI-K105", "not a JSON value", where=where, type=type(value).__name__)
