"""Packs the R of this machine into wheels, so that a job environment can hold it like anything else.

One wheel is R with its base packages, one the shared libraries under it, and one each R package: a bill of materials
then names every package with its version and licence. All of them lie below ``muniment_r`` in the environment: ``home``
is R's own folder, ``lib`` has the shared libraries, ``library`` the packages. Nothing is compiled, fetched or changed,
and the same installed R gives the same bytes.

The C library stays outside: a process has one, and it is the base root's. Locale and fonts come along.

Source: the binary distribution format of wheels, 1.0 (PEP 427); Writing R Extensions, section 1.1.1 (DESCRIPTION).
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_string
from pathlib import Path
from typing import Final

from muniment.errors import NotFound, Unavailable

__all__ = ["InstalledR", "find_r", "pack_r", "readers_of_parquet"]

TOP: Final = "muniment_r"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_C_LIBRARY: Final = re.compile(r"(ld-linux.*|lib(c|m|dl|pthread|rt|util|resolv|nss_[a-z]+|nsl|anl|thread_db)\.so\.\d+)")
_LINKED: Final = re.compile(r"^\s*(\S+) => (/\S+) \(0x", re.MULTILINE)
_MISSING: Final = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_LEFT_OUT_OF_HOME: Final = frozenset({"bin", "library", "site-library", "include", "doc", "tests"})
_LEFT_OUT_OF_PACKAGES: Final = frozenset({"help", "html", "doc", "demo", "tests", "po"})
"""What people read, and jobs do not."""

_LEFT_OUT: Final = frozenset({"tcltk", "translations"})
"""Base packages for a screen and for other languages than the one that jobs have."""

_SHARED: Final = ("R", "encodings", "licenses")
_MODULES_LEFT_OUT: Final = ("R_de.so", "internet.so")
"""An editor on a screen, and clients for a network that jobs do not have."""

_LOCALE: Final = Path("/usr/lib/locale/C.utf8")
"""What jobs are set to; R reads texts by it, and the base root has none."""

_FONTS: Final = ("sans", "sans:bold", "sans:italic", "serif", "mono")
_FONT_SETTINGS: Final = """<?xml version="1.0"?>
<fontconfig>
  <dir prefix="relative">.</dir>
  <cachedir>/tmp/fontconfig</cachedir>
</fontconfig>
"""
_PARQUET: Final = frozenset({"arrow", "nanoparquet", "duckdb"})
_SPDX: Final[Mapping[str, str]] = {
    "GPL-2": "GPL-2.0-only",
    "GPL-3": "GPL-3.0-only",
    "GPL (>= 2)": "GPL-2.0-or-later",
    "GPL (>= 2.0)": "GPL-2.0-or-later",
    "GPL (>= 3)": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL (>= 2)": "LGPL-2.0-or-later",
    "LGPL (>= 2.1)": "LGPL-2.1-or-later",
    "LGPL (>= 3)": "LGPL-3.0-or-later",
    "AGPL-3": "AGPL-3.0-only",
    "Apache License 2.0": "Apache-2.0",
    "Apache License (== 2.0)": "Apache-2.0",
    "Apache License (>= 2)": "Apache-2.0",
    "Apache License (>= 2.0)": "Apache-2.0",
    "Artistic-2.0": "Artistic-2.0",
    "BSL-1.0": "BSL-1.0",
    "BSD_2_clause": "BSD-2-Clause",
    "BSD_3_clause": "BSD-3-Clause",
    "MIT": "MIT",
    "MPL-2.0": "MPL-2.0",
    "CC0": "CC0-1.0",
}
"""Licences as DESCRIPTION files state them, as SPDX has them; what is not here is kept as it is stated."""


@dataclass(frozen=True, slots=True)
class InstalledR:
    """The R of this machine."""

    home: Path
    share: Path
    version: str
    """``4.2.2``."""
    said: str
    """``R version 4.2.2 Patched (2022-11-10 r83330)``."""
    libraries: tuple[Path, ...]
    """Where packages are, in the order in which R looks."""


@dataclass(slots=True)
class _Wheel:
    """What goes into one wheel."""

    name: str
    version: str
    summary: str
    licence: str
    files: list[tuple[str, Path]] = field(default_factory=list)
    """Path below the environment's packages, and the file."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """The same, and the text."""
    licence_texts: list[tuple[str, Path]] = field(default_factory=list)
    home: str = ""


def find_r() -> InstalledR:
    """The R that ``Rscript`` starts on this machine.

    Raises:
        Unavailable: there is none, or it does not start.
    """
    program = shutil.which("Rscript")
    asked = "writeLines(c(R.home(), R.home('share'), as.character(getRversion()), R.version.string, .libPaths()))"
    done = program and subprocess.run(
        [program, "--no-init-file", "--no-site-file", "-e", asked], capture_output=True, text=True, check=False
    )
    if not done or done.returncode != 0:
        raise Unavailable(
            "MUNI-B530",
            "R is not installed on this machine, or does not start",
            reason=done.stderr.strip()[-400:] if done else "Rscript is not on the search path",
            do="apt-get install --no-install-recommends r-base-core",
        )
    home, share, version, said, *libraries = done.stdout.splitlines()
    return InstalledR(Path(home), Path(share), version, said, tuple(Path(one) for one in libraries))


def readers_of_parquet(names: Iterable[str]) -> list[str]:
    """Those of these R packages that read Parquet."""
    return sorted(_PARQUET & {*names})


def pack_r(installed: InstalledR, packages: Sequence[str], folder: Path) -> list[Path]:
    """Write the wheels of R, of its recommended packages as far as they are here, and of these with all they need.

    Args:
        installed: the R.
        packages: names of installed packages.
        folder: where the wheels go; made when absent.

    Raises:
        NotFound: a package that is named or needed is not installed.
        Unavailable: a shared library that R links is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base, others = _packages(installed, packages)
    home = _home(installed, base)
    wheels = [home, *(_package(path, about) for path, about in others)]
    binaries = [path for wheel in wheels for _, path in wheel.files if path.suffix == ".so" or path.name == "R"]
    wheels.append(_system_libraries(installed, binaries))
    return [_write(wheel, folder) for wheel in wheels]


def _packages(installed: InstalledR, asked: Sequence[str]) -> tuple[list[Path], list[tuple[Path, Mapping[str, str]]]]:
    """The base packages, and the others by name with what they say of themselves."""
    described = {
        path.parent.name: (path.parent, _description(path))
        for library in reversed(installed.libraries)
        for path in sorted(library.glob("*/DESCRIPTION"))
    }
    base = {name for name, (_, about) in described.items() if about.get("Priority") == "base"}
    recommended = {name for name, (_, about) in described.items() if about.get("Priority") == "recommended"}
    if strangers := sorted({*asked} - described.keys()):
        raise _absent(strangers, asked)
    wanted, waiting = set[str](), [*asked, *recommended, *(base - _LEFT_OUT)]
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        needs = ",".join(described[name][1].get(kind, "") for kind in ("Depends", "Imports", "LinkingTo"))
        needed = {found.group() for one in needs.split(",") if (found := _NAME.match(one.strip()))} - {"R"}
        if missing := sorted(needed - described.keys()):
            raise _absent(missing, [name])
        waiting += needed
    return (
        [described[name][0] for name in sorted(wanted & base)],
        [described[name] for name in sorted(wanted - base)],
    )


def _absent(missing: Sequence[str], by: Sequence[str]) -> NotFound:
    return NotFound(
        "MUNI-B202",
        "these R packages are not installed on this machine",
        packages=missing[:10],
        asked_by=[*by][:10],
        do=f'install.packages("{missing[0]}") in R, or apt-get install r-cran-{missing[0].lower()}',
    )


def _description(path: Path) -> dict[str, str]:
    said = message_from_string(path.read_text(encoding="utf-8", errors="replace"))
    return {key: " ".join(str(value).split()) for key, value in said.items()}


def _home(installed: InstalledR, base: Sequence[Path]) -> _Wheel:
    """R itself: its folder without what compiles, teaches and draws on screens."""
    home = installed.home
    wheel = _Wheel(
        name="r-base",
        version=_version(installed.version),
        summary=f"{installed.said}: the language and its base packages",
        licence=_licence("GPL-2 | GPL-3"),
        home="https://www.r-project.org",
    )
    wheel.files.append((f"{TOP}/R/bin/exec/R", home / "bin/exec/R"))
    for part in sorted(home.iterdir()):
        if part.name in _LEFT_OUT_OF_HOME:
            continue
        wheel.files += [(f"{TOP}/R/{name}", path) for name, path in _below(part)]
    for package in base:
        wheel.files += [(f"{TOP}/R/library/{name}", path) for name, path in _below(package, _LEFT_OUT_OF_PACKAGES)]
    for shared in _SHARED:
        wheel.files += [(f"{TOP}/R/share/{name}", path) for name, path in _below(installed.share / shared)]
    wheel.files = [(name, path) for name, path in wheel.files if path.name not in _MODULES_LEFT_OUT]
    wheel.licence_texts = [(part.name, part) for part in (home / "COPYING",) if part.is_file()]
    return wheel


def _package(path: Path, about: Mapping[str, str]) -> _Wheel:
    place = "cran" if about.get("Repository") == "CRAN" else "package"
    return _Wheel(
        name=f"r-{place}-{about['Package']}",
        version=_version(about["Version"]),
        summary=about.get("Title", ""),
        licence=_licence(about.get("License", "")),
        files=[(f"{TOP}/library/{name}", one) for name, one in _below(path, _LEFT_OUT_OF_PACKAGES)],
        licence_texts=[(one, path / one) for one in ("LICENSE", "LICENCE") if (path / one).is_file()],
        home=about.get("URL", "").split(",")[0].split(" ")[0],
    )


def _below(path: Path, left_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    """Every file of a folder by its path from the folder's own name on; links are what they point to."""
    if path.is_file():
        yield path.name, path
        return
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if Path(folder) != path or name not in left_out)
        for name in sorted(names):
            one = Path(folder, name)
            if one.is_file():
                yield one.relative_to(path.parent).as_posix(), one


def _system_libraries(installed: InstalledR, binaries: Sequence[Path]) -> _Wheel:
    """What R links of the machine, with the licence texts that the machine has of it."""
    own = installed.home / "lib"
    done = subprocess.run(
        ["ldd", *map(str, binaries)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": str(own)},
    )
    if missing := sorted({*_MISSING.findall(done.stdout)}):
        raise Unavailable(
            "MUNI-B531",
            "R links shared libraries that this machine does not have",
            missing=missing[:10],
            do="repair the installation of R",
        )
    linked = {
        name: Path(path).resolve()
        for name, path in _LINKED.findall(done.stdout)
        if not _C_LIBRARY.fullmatch(name) and not Path(path).resolve().is_relative_to(own.resolve())
    }
    fonts = _fonts()
    origins = _origins([*linked.values(), *fonts])
    known = ", ".join(f"{name} {version}" for name, version in sorted(origins.items()))
    return _Wheel(
        name="r-system-libraries",
        version=_version(installed.version),
        summary=f"shared libraries under R: {known}",
        licence="each library has its own, see the texts that came along" if origins else "",
        files=[
            *((f"{TOP}/lib/{name}", path) for name, path in sorted(linked.items())),
            *((f"{TOP}/fonts/{path.name}", path) for path in fonts),
            *((f"{TOP}/locale/{name}", path) for name, path in _below(_LOCALE)),
        ],
        texts=[(f"{TOP}/fonts/fonts.conf", _FONT_SETTINGS)],
        licence_texts=[
            (f"{name.partition(':')[0]}.copyright", text)
            for name in sorted(origins)
            if (text := Path("/usr/share/doc", name.partition(":")[0], "copyright")).is_file()
        ],
    )


def _fonts() -> list[Path]:
    """The fonts that pictures are written with on this machine; none where it has none."""
    if shutil.which("fc-match") is None:
        return []
    asked = [["fc-match", "--format", "%{file}", kind] for kind in _FONTS]
    found = {subprocess.run(one, capture_output=True, text=True, check=False).stdout for one in asked}
    return [path for one in sorted(found) if (path := Path(one)).is_file()]


def _origins(files: Iterable[Path]) -> dict[str, str]:
    """The packages of the machine that these files are of, with their versions; none where dpkg is not known."""
    if shutil.which("dpkg-query") is None:
        return {}
    # A file may be known by its place from before /lib became a link into /usr.
    asked = [place for file in files for place in (str(file), str(file).removeprefix("/usr"))]
    found = subprocess.run(["dpkg-query", "--search", *asked], capture_output=True, text=True, check=False).stdout
    names = sorted({line.partition(": ")[0] for line in found.splitlines() if ": " in line})
    if not names:
        return {}
    told = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *names],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return dict(line.split(" ", 1) for line in told.splitlines())


def _licence(stated: str) -> str:
    """A licence as an SPDX expression where every part of it is known, else as it is stated."""
    parts = [one.split("+")[0].strip() for one in stated.split("|")]
    parts = [one for one in parts if not one.startswith("file ")] or parts
    known = [_SPDX.get(one) for one in parts]
    return " OR ".join(one for one in known if one) if all(known) else stated


def _version(stated: str) -> str:
    """A version of R's, whose dashes count as dots, as wheels write it."""
    return ".".join(part.lstrip("0") or "0" for part in re.split(r"[.-]", stated))


def _write(wheel: _Wheel, folder: Path) -> Path:
    """One wheel; its bytes depend on names, contents and executable bits alone."""
    stem = f"{wheel.name.replace('-', '_')}-{wheel.version}"
    glibc = platform.libc_ver()[1].replace(".", "_")
    tag = f"py3-none-manylinux_{glibc}_{platform.machine()}"
    info = f"{stem}.dist-info"
    expression = all(part in _SPDX.values() for part in wheel.licence.split(" OR "))
    metadata = [
        "Metadata-Version: 2.4",
        f"Name: {wheel.name}",
        f"Version: {wheel.version}",
        f"Summary: {wheel.summary}",
        *([f"Home-page: {wheel.home}"] if wheel.home else []),
        *([f"License{'-Expression' if expression else ''}: {wheel.licence}"] if wheel.licence else []),
        *(f"License-File: {name}" for name, _ in wheel.licence_texts),
    ]
    texts = {
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: muniment\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    files = dict([*wheel.files, *((f"{info}/licenses/{name}", path) for name, path in wheel.licence_texts)])
    path = folder / f"{stem}-{tag}.whl"
    draft = path.with_suffix(f".{os.getpid()}")
    record = []
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            executable = files[name].stat().st_mode & 0o100
            record.append(_add(archive, name, files[name].read_bytes(), 0o755 if executable else 0o644))
        for name, text in [*wheel.texts, *texts.items()]:
            record.append(_add(archive, name, text.encode(), 0o644))
        _add(archive, f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]).encode(), 0o644)
    draft.replace(path)
    return path


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> str:
    """Add one file; gives its line of the record."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr, entry.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=6)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    quoted = f'"{name}"' if "," in name or '"' in name else name
    return f"{quoted},sha256={digest},{len(content)}"
