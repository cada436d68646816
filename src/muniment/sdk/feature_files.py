"""Definitions of feature views as people write them: a TOML file, or a block at the top of the transform itself.

A ``.toml`` file names its transform, ``transform = "behaviour.py:transform"`` or ``"behaviour.sql"``. A ``.py`` or
``.sql`` file carries the same TOML in a block of comments, in the form of Python's inline script metadata (PyPA
specification, "Inline script metadata")::

    # /// feature-view
    # name = "behaviour"
    # entity = "customer"
    # ...
    # ///

Nothing is executed here: what is read is text. The source tree that goes along holds the transform, and what
``include`` names; a change elsewhere in the folder makes no new version.
"""

from __future__ import annotations

import difflib
import io
import re
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from muniment.errors import Invalid
from muniment.wire.features import DefineView, FeatureSpec

__all__ = ["Definition", "definition_of", "inline_definition", "read_definition"]

_FIELDS: Final = (
    "name",
    "description",
    "owner",
    "entity",
    "event_time",
    "knowledge_time",
    "ttl",
    "sources",
    "features",
    "transform",
    "include",
)
_NEEDED: Final = ("name", "entity", "event_time", "sources", "features")
_BLOCK: Final = re.compile(r"^(#|--) /// feature-view[ \t]*\n(?P<body>(?:\1.*\n)+?)\1 ///[ \t]*$", re.MULTILINE)
_MOST_FILES: Final = 500
_MOST_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as it was written, with the files of its transform."""

    fields: Mapping[str, Any]
    files: Mapping[str, bytes]
    """By path below the folder of the definition."""

    def request(self, project: str) -> DefineView:
        """What is asked of the platform."""
        given = self.fields
        features = [
            FeatureSpec(name=name, type=one)
            if isinstance(one, str)
            else FeatureSpec(name=name, type=str(one["type"]), description=str(one.get("description", "")))
            for name, one in given["features"].items()
        ]
        entry, _, function = str(given["transform"]).partition(":")
        return DefineView(
            project=project,
            name=given["name"],
            entity=[given["entity"]] if isinstance(given["entity"], str) else list(given["entity"]),
            event_time=given["event_time"],
            knowledge_time=given.get("knowledge_time"),
            ttl=given.get("ttl"),
            owner=given.get("owner"),
            description=given.get("description", ""),
            sources=dict(given["sources"]),
            features=features,
            entry=entry,
            function=function or ("transform" if entry.endswith(".py") else ""),
        )

    def pack(self) -> BinaryIO:
        """The files as a tar whose bytes depend on names and contents alone."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(self.files):
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(self.files[name]), 0o644
                tar.addfile(member, io.BytesIO(self.files[name]))
        out.seek(0)
        return out


def read_definition(path: Path) -> Definition:
    """The definition in a file.

    Raises:
        Invalid: it cannot be read as one; the facts name the place.
    """
    if not path.is_file():
        raise Invalid("MUNI-A180", f"{str(path)!r} is not a regular file", file=str(path), do="name a definition")
    if path.suffix not in (".toml", ".py", ".sql"):
        raise Invalid(
            "MUNI-A181",
            f"{path.name!r} is no definition of a feature view",
            file=str(path),
            do="write a .toml file, or a block in the .py or .sql file of the transform: docs/how-to/features.md",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as broken:
        raise Invalid("MUNI-A182", f"{path.name} is not UTF-8 text", file=str(path), at=broken.start) from broken
    if path.suffix != ".toml":
        text = _block(text, path)
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise Invalid(
            "MUNI-A183", f"{path.name} is not readable: {broken}", file=str(path), reason=str(broken)
        ) from broken
    if path.suffix != ".toml":
        function = (
            f":{fields['transform']}" if path.suffix == ".py" and isinstance(fields.get("transform"), str) else ""
        )
        fields["transform"] = f"{path.name}{function}"
    return definition_of(fields, path.parent, str(path))


def definition_of(fields: Mapping[str, Any], folder: Path, where: str) -> Definition:
    """The definition that these fields are, with the files that it names below a folder.

    Raises:
        Invalid: a field is missing, unknown or of another form, or a file is missing.
    """
    _check(fields, where)
    return Definition(fields, _files(fields, folder, where))


def inline_definition(fields: Mapping[str, Any], code: str) -> Definition:
    """The definition that these fields and the text of a transform are: a Python function, else a query.

    Raises:
        Invalid: a field is missing, unknown or of another form.
    """
    python = re.search(r"^def ", code, re.MULTILINE) is not None
    entry = "transform.py" if python else "transform.sql"
    function = f":{fields['transform']}" if python and isinstance(fields.get("transform"), str) else ""
    whole = {**fields, "transform": entry + function}
    _check(whole, "definition")
    return Definition(whole, {entry: code.encode()})


def _check(fields: Mapping[str, Any], where: str) -> None:
    if strangers := sorted(set(fields) - set(_FIELDS)):
        near = difflib.get_close_matches(strangers[0], _FIELDS, n=1)
        raise _wrong(
            where, strangers[0], f"unknown; did you mean {near[0]}?" if near else f"known: {', '.join(_FIELDS)}"
        )
    if missing := [name for name in (*_NEEDED, "transform") if name not in fields]:
        raise _wrong(where, missing[0], "missing")
    for name in ("name", "event_time", "knowledge_time", "ttl", "owner", "description", "transform"):
        if not isinstance(fields.get(name, ""), str):
            raise _wrong(where, name, "must be a text")
    for name in ("sources", "features"):
        if not isinstance(fields[name], Mapping):
            raise _wrong(where, name, f"must be a table: [{name}]")
    for name, one in fields["features"].items():
        if not isinstance(one, str) and not (isinstance(one, Mapping) and isinstance(one.get("type"), str)):
            raise _wrong(where, f"features.{name}", 'must be a type, or { type = "…", description = "…" }')
        if isinstance(one, Mapping) and (more := sorted(set(one) - {"type", "description"})):
            raise _wrong(where, f"features.{name}.{more[0]}", "unknown; a feature has a type and a description")
    if not all(isinstance(one, str) for one in fields["sources"].values()):
        raise _wrong(where, "sources", "each source is a reference, such as data:payments@3")
    entity = [fields["entity"]] if isinstance(fields["entity"], str) else fields["entity"]
    if not isinstance(entity, list) or not all(isinstance(one, str) for one in entity):
        raise _wrong(where, "entity", "must be a column, or a list of columns")


def _block(text: str, path: Path) -> str:
    found = list(_BLOCK.finditer(text))
    if len(found) != 1:
        mark = "#" if path.suffix == ".py" else "--"
        raise Invalid(
            "MUNI-A184",
            f"{path.name} holds {len(found)} blocks '{mark} /// feature-view', not one",
            file=str(path),
            do=f"put one block between '{mark} /// feature-view' and '{mark} ///'",
        )
    mark = found[0][1]
    lines = found[0]["body"].splitlines()
    return "\n".join(line.removeprefix(mark).removeprefix(" ") for line in lines)


def _files(fields: Mapping[str, Any], folder: Path, where: str) -> dict[str, bytes]:
    entry = str(fields["transform"]).partition(":")[0]
    include = fields.get("include", [])
    if not isinstance(include, list) or not all(isinstance(one, str) for one in include):
        raise _wrong(where, "include", 'must be a list of patterns, such as ["lib/*.py"]')
    paths = {_inside(folder, entry, where)}
    for pattern in include:
        _inside(folder, pattern, where)
        paths |= {path for path in folder.glob(pattern) if path.is_file()}
    if len(paths) > _MOST_FILES or sum(path.stat().st_size for path in paths if path.is_file()) > _MOST_BYTES:
        raise _wrong(where, "include", f"at most {_MOST_FILES} files and {_MOST_BYTES >> 20} MiB")
    files = {}
    for path in sorted(paths):
        if path.is_symlink() or not path.is_file():
            raise _wrong(where, "transform", f"there is no regular file {path.name}")
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _inside(folder: Path, name: str, where: str) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise _wrong(where, "transform", "files lie beside the definition, or below it")
    return folder / pure


def _wrong(where: str, field: str, reason: str) -> Invalid:
    return Invalid(
        "MUNI-A185",
        f"{field} in {Path(where).name}: {reason}",
        file=where,
        field=field,
        do="docs/how-to/features.md shows a whole definition",
    )
