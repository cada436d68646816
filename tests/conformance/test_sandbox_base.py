"""The sealed base root: small, known by its digest, the same each time, and noticed when altered."""

from __future__ import annotations

from pathlib import Path

import pytest

import sandboxing
from muniment.adapters.sandbox import INTERPRETER, digest_tree, seal_base
from muniment.adapters.sandbox.folder import run_without_walls
from muniment.errors import IntegrityError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a base is sealed."""
    return tmp_path_factory.mktemp("base")


def test_two_builds_are_the_same_base(folder: Path, tmp_path: Path) -> None:
    """Equal sources give equal bytes, bytecode included: another machine's folder has the same digest."""
    first, second = seal_base(folder), seal_base(tmp_path)
    assert first.digest == second.digest == digest_tree(first.root)
    assert (first.files, first.size) == (second.files, second.size)
    assert seal_base(folder) == first


def test_nothing_but_an_interpreter_is_in_it(folder: Path) -> None:
    """No shell, no compiler, no package, no test, no setuid program; less than 120 MB."""
    base = seal_base(folder)
    assert [path.name for path in sorted((base.root / "usr" / "bin").iterdir())] == ["python3", Path(INTERPRETER).name]
    assert (str(base.root) + INTERPRETER, True) == (
        str(base.root) + base.interpreter,
        (base.root / base.interpreter.lstrip("/")).is_file(),
    )
    names = {path.name for path in base.root.rglob("*")}
    assert not names & {"site-packages", "dist-packages", "ensurepip", "idlelib", "tkinter", "test", "sh", "bash", "su"}
    assert {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgomp.so.1", "libz.so.1", "libgcc_s.so.1"} <= names
    assert not any(path.lstat().st_mode & 0o6022 for path in base.root.rglob("*") if not path.is_symlink())
    assert base.size < 120e6


def test_the_standard_library_imports(folder: Path) -> None:
    """Everything that a program of the standard library needs is there, C extensions and their libraries too."""
    base = seal_base(folder)
    wanted = "asyncio ctypes csv decimal gzip hashlib json lzma bz2 multiprocessing sqlite3 ssl statistics uuid zlib"
    code = f"import importlib\nfor name in {wanted.split()!r}:\n    importlib.import_module(name)\nprint('all')"
    end, recorder = sandboxing.run(run_without_walls, sandboxing.job(code))
    assert (end.status, recorder.text) == ("ok", "all\n")
    assert base.digest == sandboxing.base().digest


@pytest.mark.parametrize("change", ["content", "new file", "executable bit", "link"])
def test_an_altered_base_is_refused(tmp_path: Path, change: str) -> None:
    """A byte, a file, an executable bit or a link that was not sealed stops everything."""
    base = seal_base(tmp_path)
    library = base.root / "usr" / "lib" / Path(INTERPRETER).name
    if change == "content":
        (library / "os.py").write_bytes((library / "os.py").read_bytes() + b"#")
    elif change == "new file":
        (library / "planted.py").write_text("")
    elif change == "executable bit":
        (library / "os.py").chmod(0o755)
    else:
        (library / "planted").symlink_to("/etc")
    with pytest.raises(IntegrityError) as refused:
        seal_base(tmp_path)
    assert refused.value.code == "MUNI-B502"
