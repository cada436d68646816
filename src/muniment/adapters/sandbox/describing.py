"""What an installed package says of itself, read from its metadata; a stranger's words, bounded and never acted on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packaging.metadata import RawMetadata, parse_email

from muniment.execution.environments import Package

_LARGEST: Final = 4 << 20
_WORDS: Final = 120
_SHOWN: Final = 200


def described(folder: Path) -> Package:
    """The package whose ``*.dist-info`` folder this is.

    Source: the core metadata specification, version 2.4: Name, Version, License-Expression, License, Classifier.
    """
    path = folder / "METADATA"
    text = path.read_bytes()[:_LARGEST] if path.is_file() else b""
    said, _ = parse_email(text)
    name, _, version = folder.name.removesuffix(".dist-info").partition("-")
    texts = sorted({*said.get("license_files", ()), *_carried(folder)})
    return Package(
        name=said.get("name", name)[:_SHOWN],
        version=said.get("version", version)[:_SHOWN],
        licence=_licence(said),
        licence_files=tuple(one[:_SHOWN] for one in texts[:20]),
        summary=said.get("summary", "")[:_SHOWN],
        home=(said.get("home_page") or next(iter(said.get("project_urls", {}).values()), ""))[:_SHOWN],
    )


def _licence(said: RawMetadata) -> str:
    """The SPDX expression; else what the classifiers say, else the first line of the old field."""
    if expression := said.get("license_expression"):
        return expression[:_WORDS]
    named = [one.rpartition(" :: ")[2] for one in said.get("classifiers", ()) if one.startswith("License ::")]
    if found := sorted({one for one in named if one != "OSI Approved"}):
        return " and ".join(found)[:_WORDS]
    lines = [line.strip() for line in said.get("license", "").splitlines() if line.strip()]
    return lines[0][:_WORDS] if lines else ""


def _carried(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in files if path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))]
