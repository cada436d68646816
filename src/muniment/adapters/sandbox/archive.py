"""The platform's programs as an importable zip: what every sandbox gets on its path, known by its digest."""

from __future__ import annotations

import importlib.util
import io
import marshal
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[2]
"""Where ``muniment`` lies. The package itself is not imported for that: it is the front door, and stands above."""

_ROOMS: Final = ("kernel", "analytics", "programs")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_PLAIN: Final = 2
"""The newest form of ``marshal`` without references: where those stand depends on what else this process holds."""


@cache
def program_archive() -> bytes:
    """The archive of this process: to compile it takes longer than everything else of opening an installation."""
    return build_archive()


def build_archive() -> bytes:
    """A deterministic zip of the modules that run inside, as source and as bytecode that is never checked again."""
    sources = [_PACKAGE / "__init__.py", _PACKAGE / "errors.py"]
    for room in _ROOMS:
        sources += sorted((_PACKAGE / room).rglob("*.py"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for source in sorted(sources):
            name = f"muniment/{source.relative_to(_PACKAGE).as_posix()}"
            text = source.read_bytes()
            _add(archive, name, text)
            _add(archive, name + "c", _bytecode(text, name))
    return buffer.getvalue()


def _bytecode(source: bytes, name: str) -> bytes:
    """A .pyc with an unchecked hash (PEP 552), so that no time stamp enters the archive."""
    code = compile(source, f"/opt/ml/code/muniment.zip/{name}", "exec", dont_inherit=True, optimize=0)
    return (
        importlib.util.MAGIC_NUMBER
        + (1).to_bytes(4, "little")
        + importlib.util.source_hash(source)
        + marshal.dumps(code, _PLAIN)
    )


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o444 << 16
    archive.writestr(entry, content)
