"""A source tree as one deterministic tar, with the commit it equals when it equals one.

In a git work tree these are the files that git tracks or would track (``.gitignore`` is respected); elsewhere every
file under the folder. Never taken: ``.git``, virtual environments, caches, and files that look like keys. A symbolic
link is refused, because what it points at would be somebody's choice at another moment. Same files, same bytes.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from muniment.errors import Invalid, NotFound
from muniment.wire.execution import CodeOrigin

__all__ = ["MOST_BYTES", "MOST_FILES", "SourceTree", "read_tree"]

MOST_FILES: Final = 5_000
MOST_BYTES: Final = 64 << 20
"""Of all files together."""

_NEVER: Final = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".ipynb_checkpoints",
        "node_modules",
        ".ssh",
        ".aws",
        ".gnupg",
        ".muniment",
    }
)
_SECRET: Final = re.compile(
    r"\.env(\..+)?|\.netrc|\.pypirc|\.npmrc|\.pgpass|\.git-credentials|\.htpasswd|id_(rsa|dsa|ecdsa|ed25519)"
    r"|.*\.(pem|key|keys|p12|pfx|jks|keystore|kdbx|ppk)|(service[-_]?account|credentials?|secrets?)(\.[a-z]+)?",
    re.IGNORECASE,
)
_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_GIT_S: Final = 30


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A source tree, read once."""

    root: Path
    entry: str
    """Path of the script below the root, with slashes."""

    files: dict[str, tuple[bytes, bool]]
    """Content and whether it is executable, by path below the root."""

    left_out: tuple[str, ...]
    """Paths that look like keys."""

    origin: CodeOrigin

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(content) for content, _ in self.files.values())

    def pack(self) -> BinaryIO:
        """The files as a tar whose bytes depend on nothing but names, contents and executable bits."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(self.files):
                content, executable = self.files[name]
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o755 if executable else 0o644
                tar.addfile(member, io.BytesIO(content))
        out.seek(0)
        return out


def read_tree(
    script: Path, root: Path | None = None, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
) -> SourceTree:
    """Read the tree around a script.

    Args:
        script: the script that will run.
        root: the folder to take; None takes the work tree of git, or the script's own folder where there is none.
        most_files: bound on their number.
        most_bytes: bound on all of them together.

    Raises:
        NotFound: there is no such script.
        Invalid: it lies outside the root, a link is in the tree, or the tree is too large.
    """
    if not script.exists():
        raise NotFound("MUNI-A212", f"there is no script {str(script)!r}", script=str(script))
    if script.is_symlink() or not script.is_file():
        raise Invalid("MUNI-A115", "the script is a regular file", script=str(script))
    here = script.parent.resolve()
    top = _work_tree(here)
    folder = root.resolve() if root is not None else top or here
    path = here / script.name
    if not path.is_relative_to(folder):
        raise Invalid("MUNI-A116", "the script lies outside the tree", script=str(path), tree=str(folder))
    entry = path.relative_to(folder).as_posix()
    names = _tracked(folder) if top is not None else list(_walk(folder))
    if entry not in names:
        names.append(entry)
    files, left_out = _read(folder, sorted(set(names)), most_files, most_bytes)
    if entry not in files:
        raise Invalid("MUNI-A117", "the script itself looks like a key and is not taken", script=entry)
    return SourceTree(folder, entry, files, tuple(left_out), _origin(folder) if top is not None else CodeOrigin())


def _read(
    folder: Path, names: list[str], most_files: int, most_bytes: int
) -> tuple[dict[str, tuple[bytes, bool]], list[str]]:
    files: dict[str, tuple[bytes, bool]] = {}
    left_out: list[str] = []
    total = 0
    for name in names:
        if _NEVER.intersection(name.split("/")):
            continue
        if _SECRET.fullmatch(name.rpartition("/")[2]):
            left_out.append(name)
            continue
        found = _content(folder, name, most_bytes)
        if found is None:
            continue
        if _PRIVATE.search(found[0][:65536]):
            left_out.append(name)
            continue
        files[name] = found
        total += len(found[0])
        if len(files) > most_files or total > most_bytes:
            raise Invalid(
                "MUNI-A118",
                "the source tree is too large",
                tree=str(folder),
                most_files=most_files,
                most_bytes=most_bytes,
                do="name a smaller folder with --tree, or leave data out with .gitignore; data belong in muni data add",
            )
    return files, left_out


def _content(folder: Path, name: str, most_bytes: int) -> tuple[bytes, bool] | None:
    """Content and executable bit; None for what is gone or no file of its own (a submodule)."""
    path = folder / name
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        raise Invalid(
            "MUNI-A119",
            f"{name!r} is a link or no regular file",
            path=name,
            tree=str(folder),
            do="replace it by the file itself, name a smaller folder with --tree, or list it in .gitignore",
        )
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise Invalid("MUNI-A118", "the source tree is too large", path=name, most_bytes=most_bytes)
        return file.read(), bool(mode & stat.S_IXUSR)


def _walk(folder: Path) -> Iterator[str]:
    """Every file under a folder without git; stops early when there are far too many."""
    met = 0
    for where, folders, names in os.walk(folder):
        linked = [name for name in folders if Path(where, name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if name not in _NEVER and name not in linked and not _environment(where, name)
        )
        for name in sorted([*names, *linked]):
            met += 1
            if met > 10 * MOST_FILES:
                return
            yield Path(where, name).relative_to(folder).as_posix()


def _environment(where: str, name: str) -> bool:
    return Path(where, name, "pyvenv.cfg").exists()


def _work_tree(folder: Path) -> Path | None:
    """The top of the git work tree that a folder is in; None without git or outside of one."""
    text = _git(folder, "rev-parse", "--show-toplevel")
    return Path(text.decode().rstrip("\n")).resolve() if text else None


def _tracked(folder: Path) -> list[str]:
    """What git tracks or would track below a folder, as paths below it."""
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", ".")
    return [name for name in (listed or b"").decode("utf-8", "surrogateescape").split("\0") if name]


def _origin(folder: Path) -> CodeOrigin:
    """The commit of a work tree; clean when nothing below the folder differs from it."""
    log = _git(folder, "log", "-1", "--no-show-signature", "--format=%H%x00%an <%ae>%x00%cI%x00%s")
    changed = _git(folder, "status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    if not log or changed is None:
        return CodeOrigin()
    commit, author, at, message = (part.strip()[:500] for part in log.decode("utf-8", "replace").split("\0", 3))
    return CodeOrigin(clean=not changed, commit=commit, author=author, committed_at=at, message=message)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says, with the work tree's hooks and monitors switched off; None when it fails or is not there."""
    program = shutil.which("git")
    if program is None:
        return None
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, *safe, "-C", str(folder), *arguments],
            capture_output=True,
            check=False,
            env=environment,
            timeout=_GIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
