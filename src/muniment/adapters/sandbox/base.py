"""The sealed base root: the one interpreter, its standard library and the shared libraries under it, and nothing else.

A host's ``/usr`` is gigabytes of unrecorded state. The base is built once from the running interpreter, is known by the
digest of its tree, and is mounted read-only at ``/usr`` of every job: no shell, no compiler, no site-packages.

Inside every job the interpreter is ``/usr/bin/python3.11`` (``INTERPRETER``) with prefix ``/usr``. A job environment at
``/env`` is a virtual environment of it: ``/env/bin/python`` is a symbolic link to ``INTERPRETER``, and
``/env/pyvenv.cfg`` says ``home = /usr/bin``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment.errors import IntegrityError, Unavailable
from muniment.kernel.digest import Digest

__all__ = ["INTERPRETER", "SealedBase", "digest_tree", "seal_base"]

_VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER: Final = f"/usr/bin/python{_VERSION}"
"""Where the interpreter stands inside."""

_LEFT_OUT: Final = re.compile(
    r"(test|tests|idlelib|idle_test|tkinter|turtledemo|turtle\.py|lib2to3|ensurepip|pydoc_data|site-packages"
    r"|dist-packages|__pycache__|config-.*|.*\.(?:a|exe|pyc)"
    r"|_(?:tkinter|ctypes_test|test[a-z]*|xx[a-z]*)\..*\.so|xx[a-z]*\..*\.so)"
)
_LIBRARIES: Final = (
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2"),
    *("libgcc_s.so.1", "libstdc++.so.6", "libgomp.so.1", "libz.so.1"),
)
"""What compiled wheels of the manylinux kind expect of a host (PEP 600), and OpenMP."""

_LINKED: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_KNOWN: Final = re.compile(r"^\s+(\S+) \(([^)]*)\) => (\S+)$", re.MULTILINE)
_COMPILE: Final = """
import compileall, py_compile, sys
sys.exit(not compileall.compile_dir(sys.argv[1], maxlevels=20, quiet=1, stripdir=sys.argv[2], prependdir="/",
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))
"""


@dataclass(frozen=True, slots=True)
class SealedBase:
    """A base root on disk."""

    root: Path
    """The folder that holds ``usr``."""
    digest: Digest
    """Of the tree: path, executable bit and content of every file, target of every link."""
    files: int
    size: int
    """Bytes."""
    interpreter: str = INTERPRETER


def seal_base(folder: Path) -> SealedBase:
    """The base root of the running interpreter, below ``folder``; built on first use, checked on every later one.

    Args:
        folder: where base roots are kept; made when absent. Several processes may call at once.

    Returns:
        The base, its digest computed from the bytes on disk now.

    Raises:
        IntegrityError: a base root on disk is not what was sealed.
        Unavailable: the interpreter's libraries cannot be found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = _sources()
    key = hashlib.sha256(json.dumps([[str(s), str(t), *_stamp(s)] for s, t in sources]).encode()).hexdigest()[:16]
    note = folder / f"base-{key}.json"
    if note.exists():
        expected = Digest(json.loads(note.read_text())["digest"])
        root = folder / expected.hex[:32]
        if root.exists():
            found = _measure(root)
            if found.digest != expected:
                raise IntegrityError(
                    "MUNI-B502",
                    "the sealed base root was altered",
                    path=str(root),
                    expected=expected,
                    found=found.digest,
                    do="find out who wrote there, then remove the folder; it is built again",
                )
            return found
    return _build(folder, sources, note)


def digest_tree(root: Path) -> Digest:
    """The digest of a tree: SHA-256 over its sorted entries, each by path, kind, executable bit and content.

    Times, owners and other permission bits do not count.
    """
    return _measure(root).digest


def _measure(root: Path) -> SealedBase:
    total, files, size = hashlib.sha256(), 0, 0
    for path in sorted(_walk(root), key=lambda p: os.fsencode(p.relative_to(root))):
        name = os.fsencode(path.relative_to(root))
        if path.is_symlink():
            kind, content = b"l", os.fsencode(os.readlink(path))  # noqa: PTH115  bytes of the target as they are
            inner = hashlib.sha256(content).digest()
        else:
            kind = b"x" if path.stat().st_mode & 0o100 else b"f"
            with path.open("rb") as stream:
                inner = hashlib.file_digest(stream, "sha256").digest()
            size += path.stat().st_size
        files += 1
        total.update(b"%d:%s%s%s" % (len(name), name, kind, inner))
    return SealedBase(root, Digest.from_bytes(total.digest()), files, size)


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        yield from (here / name for name in names)
        yield from (here / name for name in folders if (here / name).is_symlink())


def _build(folder: Path, sources: list[tuple[Path, Path]], note: Path) -> SealedBase:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
        root = Path(scratch) / "root"
        for source, target in sources:
            place = root / target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            place.chmod(0o755 if _executable(source) else 0o644)
        (root / f"usr/bin/python{_VERSION}").chmod(0o755)
        (root / "usr/bin/python3").symlink_to(f"python{_VERSION}")
        # One fresh process with a fixed seed compiles everything in order, so equal sources give equal bytecode.
        subprocess.run(
            [_interpreter(), "-I", "-S", "-c", _COMPILE, str(root / f"usr/lib/python{_VERSION}"), str(root)],
            env={"PYTHONHASHSEED": "0"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for path in [root, *root.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        built = _measure(root)
        home = folder / built.digest.hex[:32]
        if not home.exists():
            try:
                root.rename(home)
            except OSError:
                if not home.exists():  # another process may have been faster
                    raise
    waiting = note.with_name(f"{note.name}.{os.getpid()}")
    waiting.write_text(json.dumps({"digest": built.digest}))
    waiting.replace(note)
    return SealedBase(home, built.digest, built.files, built.size)


def _sources() -> list[tuple[Path, Path]]:
    """Every file of the base: where it is on the host, and where it goes."""
    python = _interpreter()
    library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
    target = Path(f"usr/lib/python{_VERSION}")
    files = [(python, Path(f"usr/bin/python{_VERSION}"))]
    binaries = [python]
    for path in _modules(library):
        files.append((path, target / path.relative_to(library)))
        if path.suffix == ".so":
            binaries.append(path)
    known = _known_libraries()
    wanted = [known[name] for name in _LIBRARIES if name in known]
    linked = _linked([*binaries, *wanted])
    libc = next((path for path in linked if path.name == "libc.so.6"), None)
    loader = next((path for path in linked if path.name.startswith("ld-linux")), None)
    if libc is None or loader is None:
        raise Unavailable(
            "MUNI-B511",
            "cannot find the C library under the interpreter",
            interpreter=str(python),
            do="run on a Linux with glibc",
        )
    files.append((loader.resolve(), Path("usr/lib64") / loader.name))
    home = (
        Path("usr") / libc.resolve().parent.relative_to("/usr")
        if libc.resolve().is_relative_to("/usr")
        else Path("usr/lib")
    )
    files += [(path.resolve(), home / path.name) for path in sorted({*linked, *wanted}) if path != loader]
    return sorted({str(goes): (path, goes) for path, goes in files}.values(), key=lambda pair: str(pair[1]))


def _interpreter() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _modules(library: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if not _LEFT_OUT.fullmatch(name))
        yield from (Path(folder) / name for name in sorted(names) if not _LEFT_OUT.fullmatch(name))


def _linked(binaries: Iterable[Path]) -> list[Path]:
    """Every shared library that these need, by the dynamic linker itself."""
    listed = subprocess.run(
        ["ldd", *map(str, binaries)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        check=False,
    ).stdout
    return sorted({Path(found) for found in _LINKED.findall(listed)})


def _known_libraries() -> dict[str, Path]:
    listed = subprocess.run(
        ["ldconfig", "-p"], capture_output=True, text=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}, check=False
    ).stdout
    word = "x86-64" if sys.maxsize > 2**32 and os.uname().machine == "x86_64" else "AArch64"
    return {name: Path(path) for name, kind, path in reversed(_KNOWN.findall(listed)) if word in kind}


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _executable(path: Path) -> bool:
    return path.suffix not in {".py", ".txt"} and bool(path.stat().st_mode & 0o111)
