"""From what people write down (requirements, ``pyproject.toml``, ``uv.lock``) to a lock with a hash for every wheel.

Resolving is done by uv, and needs the package index once; a job environment is made of the lock alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from uv import find_uv_bin

from muniment.errors import Invalid, Unavailable

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_PLATFORM: Final = f"{os.uname().machine}-manylinux_2_28"
_HASHED: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_LARGEST: Final = 8 << 20
_DEEPEST: Final = 8
_COMMENT: Final = re.compile(r"(^|\s)#.*")
_INCLUDES: Final = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]\s*(\S+)")
_OPTION_HASH: Final = re.compile(r"\s--hash[=\s]sha256:[0-9a-f]{64}(?=\s|$)")
_ELSEWHERE: Final = frozenset({"sources", "index", "index-url", "extra-index-url", "find-links"})
"""Settings of uv that say where packages come from."""


def resolve_lock(
    source: Path, *, extras: Sequence[str] = (), index: str | None = None, wheels: Path | None = None
) -> str:
    """The lock that a file asks for.

    Args:
        source: a requirements file with or without hashes, a ``pyproject.toml``, or a ``uv.lock`` beside its project.
        extras: optional dependencies of a project that are wanted too.
        index: address of the package index; None for the one that this machine is set up for.
        wheels: a folder of wheels that count as those of the index do, such as builds that no index has.

    Returns:
        Text of a requirements file: every line pins a version with hashes, and no address is named.

    Raises:
        Invalid: the file is none of these, what it asks for cannot be had as wheels, or it would have another index be
            asked, or code of its own be run here.
        Unavailable: the index does not answer.
    """
    if not source.is_file() or source.stat().st_size > _LARGEST:
        raise Invalid("MUNI-B130", f"there is no readable file {source}", file=str(source), most_bytes=_LARGEST)
    if source.name == "uv.lock":
        return _exported(source, extras)
    if source.suffix not in (".txt", ".in") and source.name != "pyproject.toml":
        raise Invalid(
            "MUNI-B131",
            f"{source.name} is nothing that environments are made from",
            file=str(source),
            takes="requirements files (.txt, .in), pyproject.toml, uv.lock",
        )
    if source.name == "pyproject.toml":
        _check_project(source)
    else:
        check_requirements(source)
    if source.suffix in (".txt", ".in") and _HASHED.search(source.read_text(encoding="utf-8")):
        return source.read_text(encoding="utf-8")
    return _uv(
        *("pip", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header"),
        *("--only-binary", ":all:", "--python-version", _PYTHON, "--python-platform", _PLATFORM),
        *(word for extra in extras for word in ("--extra", extra)),
        *(("--index-url", index) if index else ()),
        *(("--find-links", str(wheels.absolute())) if wheels is not None and wheels.is_dir() else ()),
        str(source.absolute()),
    )


def _exported(lock: Path, extras: Sequence[str]) -> str:
    """The requirements of a uv project, from its lock alone: nothing is resolved anew, and the project is left out."""
    project = lock.with_name("pyproject.toml")
    if not project.is_file():
        raise Invalid(
            "MUNI-B132",
            "a uv.lock is read beside its project",
            file=str(lock),
            do=f"put pyproject.toml into {lock.parent}",
        )
    with tempfile.TemporaryDirectory() as scratch:
        for path in (lock, project):
            shutil.copyfile(path, Path(scratch, path.name))
        text = _uv(
            *("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-annotate", "--no-header"),
            *("--format", "requirements.txt", "--project", scratch),
            *(word for extra in extras for word in ("--extra", extra)),
        )
    return _wanted_here(text)


def _wanted_here(text: str) -> str:
    """The lines of a universal lock that hold for jobs, without the conditions that made them hold."""
    kept = []
    for line in text.replace("\\\n", " ").splitlines():
        stated, _, hashes = line.partition(" --hash")
        if not hashes:
            continue
        wanted = Requirement(stated.strip())
        if wanted.url is not None:
            raise Invalid(
                "MUNI-B134",
                "an environment is made of wheels of an index, by name and version",
                given=stated.strip()[:200],
                do="publish the package as a wheel on an index of your own",
            )
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            wanted.marker = None
            kept.append(" \\\n    ".join([str(wanted), *_HASHED.findall(line)]) + "\n")
    return "".join(kept)


def check_requirements(file: Path, depth: int = 0) -> None:
    """Refuse a requirements file, or one that it includes, that says more than which packages are wanted.

    An option in it could name another index, or have a package built, which runs the package's code on this machine.

    Raises:
        Invalid: a line is no requirement by name; the line is named.
    """
    if depth > _DEEPEST or not file.is_file() or file.stat().st_size > _LARGEST:
        raise Invalid("MUNI-B130", f"there is no readable file {file}", file=str(file), most_bytes=_LARGEST)
    text = file.read_text(encoding="utf-8")
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        stated = _COMMENT.sub("", line).strip()
        included = _INCLUDES.fullmatch(stated)
        if included is not None and "://" not in included[1]:
            check_requirements(file.parent / included[1], depth + 1)
        elif stated:
            _check_wanted(_OPTION_HASH.sub("", stated), file)


def _check_project(file: Path) -> None:
    """Refuse a project whose dependencies come from elsewhere than an index, or that says which index."""
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise Invalid("MUNI-B136", f"{file.name} is no TOML", file=str(file), reason=str(broken)[:200]) from broken
    own = _table(_table(told, "tool"), "uv")
    if strange := sorted(_ELSEWHERE & own.keys()):
        raise _not_by_name(f"[tool.uv] {strange[0]}", file)
    project = _table(told, "project")
    for group in (project.get("dependencies"), *_table(project, "optional-dependencies").values()):
        for one in group if isinstance(group, list) else ():
            _check_wanted(str(one), file)


def _table(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return dict(found) if isinstance(found, dict) else {}


def _check_wanted(stated: str, file: Path) -> None:
    try:
        named = Requirement(stated).url is None
    except InvalidRequirement:
        named = False
    if not named:
        raise _not_by_name(stated, file)


def _not_by_name(stated: str, file: Path) -> Invalid:
    return Invalid(
        "MUNI-B137",
        "an environment is asked for by names and versions of packages, and by nothing else",
        given=stated[:200],
        file=file.name,
        do="take options, paths and addresses out; another index is named by --index, once an administrator allowed it",
    )


def _uv(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as empty:  # uv takes settings from where it stands, and from all folders above
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=empty,
            env={**os.environ, "UV_NO_PROGRESS": "1", "UV_NO_BUILD": "1"},
        )
    if done.returncode == 0:
        return done.stdout
    reason = done.stderr.strip()[-800:]
    if any(word in reason for word in ("error sending request", "Failed to fetch", "Could not connect", "dns error")):
        raise Unavailable(
            "MUNI-B529", "the package index does not answer", reason=reason, do="check the network, or name an --index"
        )
    raise Invalid(
        "MUNI-B133",
        "what the file asks for cannot be had",
        reason=reason,
        do="each package is needed as a wheel for the Python of jobs; source distributions are not built",
    )
