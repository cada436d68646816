"""Fetches the wheels that a lock names, each checked against its hashes: the one step that needs a network."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from muniment.adapters.sandbox.resolving import check_requirements
from muniment.errors import Unavailable

_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PIN: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def fetch_wheels(lock: Path, folder: Path, index: str | None = None) -> list[Path]:
    """The wheels of a lock, one for each requirement, in a folder that serves as a cache.

    Args:
        lock: a requirements file with versions and hashes.
        folder: where wheels are kept; a wheel that is there already and has a hash of the lock is not fetched again.
        index: address of the package index; None for the one that this machine is set up for.

    Raises:
        Invalid: the lock says more than which packages are wanted.
        Unavailable: a wheel is missing and cannot be fetched, or what came has no hash of the lock.
    """
    check_requirements(lock)
    folder.mkdir(parents=True, exist_ok=True)
    text = lock.read_text(encoding="utf-8")
    wanted = {(_plain(name), version) for name, version in _PIN.findall(text)}
    hashes = set(_HASH.findall(text))
    kept = _kept(folder, wanted, hashes)
    if set(kept) != wanted:
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as fresh:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
                    *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", fresh),
                    *("--find-links", str(folder), "--requirement", str(lock)),
                    *(("--index-url", index) if index else ()),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise Unavailable(
                    "MUNI-B523",
                    "the wheels of the lock cannot be fetched",
                    reason=done.stderr.strip()[-600:],
                    do=f"check the network and the package index, or put the wheels into {folder}",
                )
            for wheel in Path(fresh).glob("*.whl"):
                wheel.replace(folder / wheel.name)
        kept = _kept(folder, wanted, hashes)
    if missing := sorted(f"{name}=={version}" for name, version in wanted - set(kept)):
        raise Unavailable("MUNI-B524", "some wheels of the lock did not come", missing=missing[:10])
    return [kept[pin] for pin in sorted(wanted)]


def _kept(folder: Path, wanted: set[tuple[str, str]], hashes: set[str]) -> dict[tuple[str, str], Path]:
    """The wheels in the folder that the lock names, by name and version."""
    found: dict[tuple[str, str], Path] = {}
    for wheel in sorted(folder.glob("*.whl")):
        name, _, rest = wheel.name.partition("-")
        pin = (_plain(name), rest.partition("-")[0])
        if pin in wanted and pin not in found:
            with wheel.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() in hashes:
                    found[pin] = wheel
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
