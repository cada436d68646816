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
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from uv import find_uv_bin

from muniment.errors import Invalid, Unavailable

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_PLATFORM: Final = f"{os.uname().machine}-manylinux_2_28"
_HASHED: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_LARGEST: Final = 8 << 20


def resolve_lock(source: Path, *, extras: Sequence[str] = (), index: str | None = None) -> str:
    """The lock that a file asks for.

    Args:
        source: a requirements file with or without hashes, a ``pyproject.toml``, or a ``uv.lock`` beside its project.
        extras: optional dependencies of a project that are wanted too.
        index: address of the package index; None for the one that this machine is set up for.

    Returns:
        Text of a requirements file: every line pins a version with hashes, and no address is named.

    Raises:
        Invalid: the file is none of these, or what it asks for cannot be had as wheels.
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
    if source.suffix in (".txt", ".in") and _HASHED.search(source.read_text(encoding="utf-8")):
        return source.read_text(encoding="utf-8")
    return _uv(
        *("pip", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header"),
        *("--only-binary", ":all:", "--python-version", _PYTHON, "--python-platform", _PLATFORM),
        *(word for extra in extras for word in ("--extra", extra)),
        *(("--index-url", index) if index else ()),
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


def _uv(*arguments: str) -> str:
    done = subprocess.run(
        [find_uv_bin(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "UV_NO_PROGRESS": "1"},
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
