"""The folder in which MLflow keeps a file for each thing: what a name, a value, a measurement looks like there.

Standard library only. Whoever reads such a folder, inside a job or from outside, follows no links and runs nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["integer", "measurements", "plain_files", "texts", "yaml_scalars"]


def measurements(folder: Path) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, step and milliseconds since 1970 of each line below a folder ``metrics``.

    MLflow writes a line again for each logged model that it ties a measurement to; it is one measurement all the same.
    """
    for path in plain_files(folder):
        lines = [line.split(" ") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        for told in dict.fromkeys(tuple(line[:3]) for line in lines):
            with suppress(ValueError, IndexError):
                step = int(told[2]) if len(told) > 2 else 0
                yield path.relative_to(folder).as_posix(), float(told[1]), step, int(told[0])


def plain_files(folder: Path) -> Iterator[Path]:
    """The regular files below a folder, by path; links are not followed, because they may lead anywhere."""
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(files):
            path = Path(root) / name
            if path.is_file() and not path.is_symlink():
                yield path


def texts(folder: Path) -> dict[str, str]:
    """The values in a folder that holds a file for each name; none where there is no folder."""
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in plain_files(folder)
    }


def yaml_scalars(path: Path) -> dict[str, str]:
    """The scalars of a flat YAML mapping, as MLflow writes its ``meta.yaml``; anything deeper is left out."""
    told: dict[str, str] = {}
    name = ""
    if not path.is_file():
        return told
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        found = re.match(r"([A-Za-z_][\w.]*):(?: (.*))?$", line)
        if found:
            name = found[1]
            told[name] = found[2] or ""
        elif line.startswith("  ") and name:
            told[name] = f"{told[name]} {line.strip()}".strip()
    return {name: _scalar(text.strip()) for name, text in told.items() if text.strip() not in ("", "null", "~")}


def _scalar(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", _escaped, text[1:-1])
    return text


def _escaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}.get(code, code)


def integer(text: Any) -> int:
    """The integer that a value says; 0 where it says none."""
    try:
        return int(float(text)) if text not in (None, "") else 0
    except (TypeError, ValueError, OverflowError):
        return 0
