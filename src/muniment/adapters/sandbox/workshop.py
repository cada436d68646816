"""Makes the trees that jobs run on, on this machine: the base root, and environments rebuilt from sealed wheels.

Trees lie in a cache that homes share, each under the digest of what it is made from: packages are public, and a tree
can be made again at any time. A tree appears under its name complete or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from uv import find_uv_bin

from muniment.adapters.sandbox.base import INTERPRETER, digest_tree, seal_base
from muniment.adapters.sandbox.describing import described
from muniment.adapters.sandbox.machine import seen_machine
from muniment.adapters.sandbox.packing import pack_tree, unpack_tree
from muniment.errors import IntegrityError, Invalid, Unavailable
from muniment.execution.environments import BaseRoot, JobEnvironment, Package, ReadWheel
from muniment.kernel.digest import Digest

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_PACKAGES: Final = f"lib/python{_PYTHON}/site-packages"


def cache_folder() -> Path:
    """Where trees and wheels of public packages are: MUNIMENT_CACHE, or ``muniment`` in the user's cache folder."""
    named = os.environ.get("MUNIMENT_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muniment"


class LocalWorkshop:
    """Builds trees below one cache folder; safe for several processes at once.

    A tree that is asked for is the one that was built: the marks that a change leaves (sizes, moments, inode numbers)
    are compared each time, and where they differ every byte is hashed again.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._base: tuple[BaseRoot, str] | None = None

    @property
    def python(self) -> str:
        """Version of Python in the base root."""
        return _PYTHON

    def machine(self) -> Mapping[str, Any]:
        """What jobs run on here."""
        return seen_machine()

    def base(self) -> BaseRoot:
        """The base root, built when it is not there yet."""
        if self._base is None or _marks(self._base[0].path) != self._base[1]:
            self._cache.mkdir(parents=True, exist_ok=True)
            sealed = seal_base(self._cache / "base")
            self._base = BaseRoot(sealed.root, sealed.digest), _marks(sealed.root)
        return self._base[0]

    @contextmanager
    def packed_base(self) -> Iterator[BinaryIO]:
        """The base root of this machine as one archive; the same root always gives the same bytes."""
        base = self.base()
        with tempfile.TemporaryFile(dir=self._cache) as packed:
            pack_tree(base.path, packed)
            packed.seek(0)
            yield packed

    def unpacked_base(self, digest: Digest, archive: Iterable[bytes]) -> BaseRoot:
        """A base root of another machine or of another time, unpacked from its archive when it is not there yet."""
        folder = self._cache / "base"
        folder.mkdir(parents=True, exist_ok=True)
        root = folder / digest.hex[:32]
        with _alone(folder / f"{digest.hex[:32]}.lock"):
            if not root.exists():
                with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as scratch:
                    unpack_tree(archive, Path(scratch, "root"))
                    _check_base(Path(scratch, "root"), digest)
                    Path(scratch, "root").rename(root)
            else:
                _check_base(root, digest)
        if not (root / INTERPRETER.lstrip("/")).exists():
            raise Invalid(
                "MUNI-B135",
                f"this base root is not of Python {_PYTHON}, which environments are built for here",
                base=str(digest),
                do="run on a machine whose Python has the same first two numbers",
            )
        return BaseRoot(root, digest)

    def ready(self, digest: Digest) -> bool:
        """Whether the tree of this environment is built on this machine."""
        return (self._cache / "env" / f"{digest.hex}.json").is_file()

    def tree(self, environment: JobEnvironment, read: ReadWheel) -> Path:
        """The tree of an environment, rebuilt offline from its sealed wheels when it is not there yet."""
        digest = environment.digest
        folder = self._cache / "env"
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{digest.hex}.lock"):
            if not self.ready(digest):
                self._build(environment, read, folder)
            elif self._stamp(digest).get("marks") != _marks(folder / digest.hex):
                self._seal(digest, self.verify(digest))
        return folder / digest.hex

    def packages(self, environment: JobEnvironment, read: ReadWheel) -> tuple[Package, ...]:
        """What the packages in the tree of an environment say of themselves, by name."""
        folder = self.tree(environment, read) / _PACKAGES
        return tuple(sorted((described(one) for one in folder.glob("*.dist-info")), key=lambda one: one.name.lower()))

    def verify(self, digest: Digest) -> Digest:
        """Hash the whole tree of an environment again and compare.

        Raises:
            IntegrityError: the tree is not what was built.
        """
        recorded = Digest(self._stamp(digest)["tree"])
        found = digest_tree(self._cache / "env" / digest.hex)
        if found != recorded:
            raise IntegrityError(
                "MUNI-B521",
                "the tree of a job environment was changed after it was built",
                env=str(digest),
                expected=str(recorded),
                found=str(found),
                do=f"find out who wrote there, then remove {self._cache / 'env' / digest.hex}*; it is built again",
            )
        return found

    def _build(self, environment: JobEnvironment, read: ReadWheel, folder: Path) -> None:
        final = folder / environment.digest.hex
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
            wheels, tree = Path(scratch, "wheels"), Path(scratch, "env")
            wheels.mkdir()
            requirements = []
            for wheel in environment.wheels:
                with (wheels / wheel.filename).open("wb") as file:
                    for piece in read(wheel):
                        file.write(piece)
                name, version = wheel.filename.split("-")[:2]
                requirements.append(f"{name}=={version} --hash=sha256:{wheel.digest.hex}")
            lock = Path(scratch, "requirements.txt")
            lock.write_text("\n".join(requirements) + "\n")
            packages = tree / _PACKAGES
            _uv(
                *(
                    "pip",
                    "install",
                    "--quiet",
                    "--offline",
                    "--no-index",
                    "--no-deps",
                    "--require-hashes",
                ),
                # What uv unpacks lies beside the tree and is linked into it: nothing is written twice.
                *("--cache-dir", str(Path(scratch, "unpacked")), "--link-mode", "hardlink"),
                *("--only-binary", ":all:", "--python", sys.executable),
                *("--find-links", str(wheels), "--target", str(packages), "--requirement", str(lock)),
            )
            _settle(tree, packages)
            if final.exists():  # without a stamp: its builder died
                final.rename(Path(scratch, "unfinished"))
            tree.rename(final)
        self._seal(environment.digest, digest_tree(final))

    def _seal(self, digest: Digest, tree: Digest) -> None:
        """Note what a tree is and the marks by which a change of it is seen."""
        folder = self._cache / "env"
        marks = _marks(folder / digest.hex)
        draft = folder / f"{digest.hex}.draft"
        draft.write_text(json.dumps({"env": str(digest), "tree": str(tree), "python": _PYTHON, "marks": marks}))
        draft.rename(folder / f"{digest.hex}.json")

    def _stamp(self, digest: Digest) -> dict[str, str]:
        stamp: dict[str, str] = json.loads((self._cache / "env" / f"{digest.hex}.json").read_text())
        return stamp


def _check_base(root: Path, digest: Digest) -> None:
    found = digest_tree(root)
    if found != digest:
        raise IntegrityError(
            "MUNI-B526", "this is not the base root that was kept", expected=str(digest), found=str(found)
        )


def _marks(root: Path) -> str:
    """What a change of any file leaves behind, of all files: nobody but root can set a change time back."""
    total, waiting, start = hashlib.sha256(), [str(root)], len(str(root))
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                facts = entry.stat(follow_symlinks=False)
                kept = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
                total.update(f"{entry.path[start:]} {kept}\n".encode(errors="surrogateescape"))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total.hexdigest()


def _settle(tree: Path, packages: Path) -> None:
    """Take out what names places of this machine, add what makes the tree an environment, compile, and lock it."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for stray in (".lock", ".uv", "_virtualenv.py", "_virtualenv.pth"):
        (packages / stray).unlink(missing_ok=True)
    for record in packages.glob("*.dist-info/*"):
        if record.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"):
            record.unlink()
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to(INTERPRETER)
    (tree / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {_PYTHON}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(packages), "-p", f"/env/{_PACKAGES}", str(packages)),
        ],
        check=False,
        capture_output=True,
    )
    for path in tree.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o555 if executable else 0o444)
    tree.chmod(0o755)


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        raise Unavailable(
            "MUNI-B522", "the job environment could not be built", reason=done.stderr.strip()[-600:], do="muni doctor"
        )


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"UV_NO_PROGRESS": "1"}


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
