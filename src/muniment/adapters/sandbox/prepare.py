"""Gets a machine ready for jobs before there is an installation: base root, wheels, tree of the shipped environment.

Run by the set-up as ``python -m muniment.adapters.sandbox.prepare``; safe to run again.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import LocalWorkshop, cache_folder
from muniment.errors import MunimentError, NotFound
from muniment.execution.environments import JobEnvironment, Wheel
from muniment.kernel.digest import Digest

SHIPPED: Final = ("tabular", "mlflow")
"""Environments whose locks come with the product."""


def shipped_lock(name: str) -> str:
    """The lock of an environment that comes with the product; raises NotFound when there is none."""
    if name not in SHIPPED:
        raise NotFound(
            "MUNI-B201",
            f"no lock of the name {name[:80]!r} comes with the product",
            shipped=list(SHIPPED),
            do="give your own: muni env build NAME --lock requirements.txt",
        )
    return (files("muniment.adapters.sandbox") / "locks" / f"{name}.txt").read_text(encoding="utf-8")


def shipped_wheels(name: str) -> list[Path]:
    """The wheels of a shipped environment, fetched into the cache when they are not there."""
    shipped_lock(name)
    with as_file(files("muniment.adapters.sandbox") / "locks" / f"{name}.txt") as lock:
        return fetch_wheels(lock, cache_folder() / "wheels")


def prepare(name: str) -> Path:
    """Build the tree of a shipped environment on this machine."""
    workshop = LocalWorkshop(cache_folder())
    workshop.base()
    by_digest: dict[Digest, Path] = {}
    for path in shipped_wheels(name):
        with path.open("rb") as file:
            by_digest[Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())] = path
    environment = JobEnvironment(
        name=name,
        version=1,
        python=workshop.python,
        wheels=tuple(Wheel(path.name, digest) for digest, path in by_digest.items()),
        lock=Digest.of(shipped_lock(name).encode()),
        created_at="",
    )
    return workshop.tree(environment, lambda wheel: (by_digest[wheel.digest].read_bytes(),))


if __name__ == "__main__":
    try:
        for each in SHIPPED:
            prepare(each)
    except MunimentError as refused:
        sys.stderr.write(f"{refused.code}: {refused.message} {refused.facts}\n")
        sys.exit(1)
