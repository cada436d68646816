"""skops files with equal bytes for equal objects."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any, Final

__all__ = ["settled"]

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def settled(data: bytes) -> bytes:
    """The skops file with object numbers in order of appearance and without times: equal objects, equal bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    numbers: dict[Any, int] = {}
    files: dict[str, str] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        result: dict[str, Any] = {}
        for key, inner in value.items():
            if key == "__id__":
                result[key] = numbers.setdefault(inner, len(numbers))
            elif key == "file" and inner in members:
                result[key] = files.setdefault(inner, f"{len(files)}.{inner.rpartition('.')[2]}")
            else:
                result[key] = renumbered(inner)
        return result

    schema = renumbered(json.loads(members.pop("schema.json")))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), json.dumps(schema, sort_keys=True))
        for name in sorted(members, key=lambda name: files.get(name, name)):
            archive.writestr(zipfile.ZipInfo(files.get(name, name), _EPOCH), members[name])
    return written.getvalue()
