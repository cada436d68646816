"""The workshop rebuilds environments offline from wheels, and notices when a tree is not what it built."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zipimport
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from muniment.adapters.sandbox.archive import build_archive, program_archive
from muniment.adapters.sandbox.base import digest_tree
from muniment.adapters.sandbox.prepare import shipped_lock
from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.adapters.sandbox.workshop import LocalWorkshop
from muniment.errors import IntegrityError, NotFound, Unavailable
from muniment.execution.environments import JobEnvironment, Wheel
from muniment.kernel.digest import Digest

pytestmark = pytest.mark.slow

_DIGEST_OF_PROGRAMS = """
from muniment.adapters.sandbox.archive import build_archive
from muniment.kernel.digest import Digest
print(Digest.of(build_archive()))
"""


def wheel(name: str, files: dict[str, str], version: str = "1") -> bytes:
    """A wheel of these files."""
    info = f"{name}-{version}.dist-info"
    all_files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in all_files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    all_files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in all_files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return out.getvalue()


class Kept:
    """Wheels as the vault has them, and the environment they make."""

    def __init__(self, *wheels: tuple[str, bytes]) -> None:
        self.content = {Digest.of(content): content for _, content in wheels}
        self.read: list[str] = []
        self.environment = JobEnvironment(
            name="own",
            version=1,
            python="3.11",
            wheels=tuple(Wheel(f"{name}-1-py3-none-any.whl", Digest.of(content)) for name, content in wheels),
            lock=Digest.of(b""),
            created_at="",
        )

    def __call__(self, wanted: Wheel) -> tuple[bytes, ...]:
        self.read.append(wanted.filename)
        return (self.content[wanted.digest],)


@pytest.fixture
def kept() -> Kept:
    """Two small wheels, one of which brings a command."""
    alpha = wheel("alpha", {"alpha/__init__.py": "NAME = 'alpha'\n", "alpha/data.txt": "data"})
    script = {
        "beta.py": "def main(): pass\n",
        "beta-1.dist-info/entry_points.txt": "[console_scripts]\nbeta = beta:main\n",
    }
    return Kept(("alpha", alpha), ("beta", wheel("beta", script)))


def packages(tree: Path) -> Path:
    """Where the modules are."""
    return tree / "lib/python3.11/site-packages"


def test_a_tree_is_built_offline_and_is_the_same_everywhere(kept: Kept, tmp_path: Path) -> None:
    """Two machines build the same tree, bit for bit; nothing in it names a machine, and nobody may write it."""
    trees = [LocalWorkshop(tmp_path / cache).tree(kept.environment, kept) for cache in ("one", "two")]
    assert digest_tree(trees[0]) == digest_tree(trees[1])
    assert (packages(trees[0]) / "alpha/data.txt").read_text() == "data"
    assert list(packages(trees[0]).rglob("*.pyc"))
    assert not (packages(trees[0]) / "bin").exists()
    for path in trees[0].rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o222 == 0
        if path.is_file() and not path.is_symlink():
            assert str(tmp_path).encode() not in path.read_bytes()


def test_a_tree_is_built_once(kept: Kept, tmp_path: Path) -> None:
    """What is built is found again without reading a wheel; several who ask at once build it once."""
    workshop = LocalWorkshop(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: workshop.tree(kept.environment, kept), range(4)))
    assert len(found) == 1
    assert sorted(kept.read) == ["alpha-1-py3-none-any.whl", "beta-1-py3-none-any.whl"]
    assert LocalWorkshop(tmp_path).tree(kept.environment, kept) in found
    assert len(kept.read) == 2


@pytest.mark.parametrize("change", ["content", "new file", "removed", "mode", "link"])
def test_a_changed_tree_is_not_used(kept: Kept, tmp_path: Path, change: str) -> None:
    """A file that was changed, added, removed, made executable or replaced by a link is noticed before the next job."""
    workshop = LocalWorkshop(tmp_path)
    tree = workshop.tree(kept.environment, kept)
    victim, folder = packages(tree) / "alpha/data.txt", packages(tree) / "alpha"
    folder.chmod(0o755)
    if change == "content":
        victim.chmod(0o644)
        victim.write_text("atad")
    elif change == "new file":
        (folder / "new.py").write_text("import os")
    elif change == "removed":
        victim.unlink()
    elif change == "mode":
        victim.chmod(0o555)
    else:
        victim.unlink()
        victim.symlink_to("/etc/passwd")
    for again in (workshop, LocalWorkshop(tmp_path)):
        with pytest.raises(IntegrityError) as refused:
            again.tree(kept.environment, kept)
        assert refused.value.code == "MUNI-B521"
    shutil.rmtree(tree, onerror=lambda _function, path, _error: Path(path).chmod(0o755))
    for left in (tmp_path / "env").glob(f"{kept.environment.digest.hex}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert (packages(LocalWorkshop(tmp_path).tree(kept.environment, kept)) / "alpha/data.txt").read_text() == "data"


def test_a_copied_cache_is_hashed_and_then_trusted(kept: Kept, tmp_path: Path) -> None:
    """A cache that was restored elsewhere has other marks and the same bytes: it is looked through once, and used."""
    LocalWorkshop(tmp_path / "one").tree(kept.environment, kept)
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    stamp = tmp_path / "two/env" / f"{kept.environment.digest.hex}.json"
    before = json.loads(stamp.read_text())
    LocalWorkshop(tmp_path / "two").tree(kept.environment, kept)
    after = json.loads(stamp.read_text())
    assert (before["tree"], len(kept.read)) == (after["tree"], 2)
    assert before["marks"] != after["marks"]


def test_what_a_dead_builder_left_is_built_again(kept: Kept, tmp_path: Path) -> None:
    """A tree without its stamp, as a builder leaves that died at the last moment, is replaced by a whole one."""
    workshop = LocalWorkshop(tmp_path)
    tree = workshop.tree(kept.environment, kept)
    (tmp_path / "env" / f"{kept.environment.digest.hex}.json").unlink()
    (packages(tree) / "alpha").chmod(0o755)
    (packages(tree) / "alpha/data.txt").unlink()
    assert not workshop.ready(kept.environment.digest)
    assert (packages(workshop.tree(kept.environment, kept)) / "alpha/data.txt").exists()
    assert [path.name for path in (tmp_path / "env").iterdir() if path.name.startswith("build-")] == []


def test_a_kept_base_root_is_unpacked_bit_for_bit(tmp_path: Path) -> None:
    """The base root of one machine comes back on another with the digest it had; the archive never differs."""
    here, there = LocalWorkshop(tmp_path / "here"), LocalWorkshop(tmp_path / "there")
    base = here.base()
    with here.packed_base() as packed:
        archive = packed.read()
    with here.packed_base() as packed:
        assert packed.read() == archive
    pieces = [archive[start : start + 100_000] for start in range(0, len(archive), 100_000)]
    found = there.unpacked_base(base.digest, pieces)
    assert (found.digest, digest_tree(found.path)) == (base.digest, base.digest)
    assert there.unpacked_base(base.digest, []) == found  # it lies there now
    (found.path / "usr/lib/python3.11/os.py").chmod(0o600)
    with (found.path / "usr/lib/python3.11/os.py").open("ab") as file:
        file.write(b"# changed\n")
    with pytest.raises(IntegrityError) as refused:
        there.unpacked_base(base.digest, [])
    assert refused.value.code == "MUNI-B526"


def test_another_archive_is_no_base_root(tmp_path: Path) -> None:
    """An archive that is cut, is none, or holds another tree unpacks to nothing."""
    workshop = LocalWorkshop(tmp_path)
    with workshop.packed_base() as packed:
        archive = packed.read()
    wanted = Digest.of(b"another")
    for pieces, code in (([archive], "MUNI-B526"), ([archive[:5000]], "MUNI-B528"), ([b"nothing"], "MUNI-B528")):
        with pytest.raises(IntegrityError) as refused:
            workshop.unpacked_base(wanted, pieces)
        assert refused.value.code == code
        assert not (tmp_path / "base" / wanted.hex[:32]).exists()


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../out", tarfile.REGTYPE, ""),
        ("/out", tarfile.REGTYPE, ""),
        ("dir/../../out", tarfile.REGTYPE, ""),
        ("out", tarfile.CHRTYPE, ""),
        ("out", tarfile.LNKTYPE, "/etc/passwd"),
        ("out", tarfile.FIFOTYPE, ""),
    ],
)
def test_a_base_root_writes_nowhere_else(tmp_path: Path, name: str, kind: bytes, target: str) -> None:
    """What an archive would put outside of its folder, or is no file, refuses the whole of it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    with pytest.raises(IntegrityError) as refused:
        LocalWorkshop(tmp_path / "cache").unpacked_base(Digest.of(b"x"), [out.getvalue()])
    assert refused.value.code == "MUNI-B527"
    assert not (tmp_path / "out").exists()


def test_a_link_of_a_base_root_leads_nowhere_while_it_is_unpacked(tmp_path: Path) -> None:
    """A file below a link goes nowhere: links are made when everything else is there."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        below = tarfile.TarInfo("way/out")
        archive.addfile(below)
    with pytest.raises(IntegrityError):
        LocalWorkshop(tmp_path / "cache").unpacked_base(Digest.of(b"x"), [out.getvalue()])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"not a wheel", wheel("gamma", {"gamma.py": ""})], ids=["no wheel", "another"])
def test_a_wheel_that_is_none_builds_nothing(tmp_path: Path, content: bytes) -> None:
    """A wheel that is none, or is another package than it is called, makes no tree."""
    kept = Kept(("alpha", content))
    with pytest.raises(Unavailable) as refused:
        LocalWorkshop(tmp_path).tree(kept.environment, kept)
    assert refused.value.code == "MUNI-B522"
    assert not LocalWorkshop(tmp_path).ready(kept.environment.digest)
    assert [path.suffix for path in (tmp_path / "env").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["../../../escaped.py", "/absolute.py", "alpha-1.data/data/../../../escaped.py"])
def test_a_wheel_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    """What a wheel would put outside of its folder is put nowhere."""
    kept = Kept(("alpha", wheel("alpha", {"alpha.py": "", name: "x = 1\n"})))
    tree = LocalWorkshop(tmp_path / "cache").tree(kept.environment, kept)
    assert (packages(tree) / "alpha.py").exists()
    assert [path for path in tmp_path.rglob("*.py") if path.name in ("escaped.py", "absolute.py")] == []
    assert not Path("/absolute.py").exists()


def test_wheels_of_a_lock_are_found_by_their_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that lies there is taken when its hash stands in the lock; another's bytes under its name are not."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    content = wheel("alpha", {"alpha.py": ""})
    lock, folder = tmp_path / "lock.txt", tmp_path / "wheels"
    lock.write_text(f"alpha==1 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    folder.mkdir()
    (folder / "strange.whl").write_bytes(b"")
    (folder / "alpha-1-py3-none-any.whl").write_bytes(content)
    assert fetch_wheels(lock, folder) == [folder / "alpha-1-py3-none-any.whl"]
    (folder / "alpha-1-py3-none-any.whl").write_bytes(content + b"x")
    with pytest.raises(Unavailable) as refused:
        fetch_wheels(lock, folder)
    assert refused.value.code == "MUNI-B523"
    assert sorted(path.name for path in folder.iterdir()) == ["alpha-1-py3-none-any.whl", "strange.whl"]


def test_only_shipped_locks_have_names() -> None:
    """There is one lock that ships, and asking for another says so."""
    assert "xgboost" in shipped_lock("tabular")
    with pytest.raises(NotFound):
        shipped_lock("../tabular")


def test_the_programs_are_one_archive_of_source_and_bytecode(tmp_path: Path) -> None:
    """The archive is the same each time and in every process, holds only what runs inside, and imports from the zip."""
    archive = build_archive()
    assert archive == build_archive() == program_archive()
    bare = subprocess.run([sys.executable, "-c", _DIGEST_OF_PROGRAMS], capture_output=True, check=True, text=True)
    assert bare.stdout.strip() == str(Digest.of(archive))
    path = tmp_path / "muniment.zip"
    path.write_bytes(archive)
    with zipfile.ZipFile(path) as opened:
        rooms = {name.split("/")[1] for name in opened.namelist() if name.count("/") > 1}
        names = set(opened.namelist())
        dates = {info.date_time for info in opened.infolist()}
    assert rooms == {"kernel", "analytics", "programs"}
    assert {name for name in names if name.endswith(".py")} == {name[:-1] for name in names if name.endswith(".pyc")}
    assert dates == {(1980, 1, 1, 0, 0, 0)}
    code = zipimport.zipimporter(f"{path}/muniment").get_code("errors")
    assert code.co_filename == "/opt/ml/code/muniment.zip/muniment/errors.py"
