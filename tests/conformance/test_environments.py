"""Environments from what people write down: requirements, projects and locks, from indexes that are allowed."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_sandbox_workshop import wheel

from muniment.adapters.sandbox.describing import described
from muniment.adapters.sandbox.resolving import resolve_lock
from muniment.adapters.sandbox.wheelhouse import fetch_wheels
from muniment.cli import muni
from muniment.connecting import Profile, write_profile
from muniment.errors import Denied, Invalid, NotFound, Unavailable
from muniment.sdk.client import Client
from muniment.testing.platform import Site

pytestmark = pytest.mark.slow

PROJECT = """\
[project]
name = "scoring"
version = "1"
requires-python = ">=3.11"
dependencies = ["bankmath"]
[project.optional-dependencies]
plots = ["bankplot"]
"""
ELSEWHERE = """\
[project]
name = "scoring"
version = "1"
requires-python = ">=3.11"
dependencies = ["bankmath", "winonly; sys_platform == 'win32'"]
"""
LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "bankmath"
version = "1"
source = {{ registry = "https://example.invalid/simple" }}
wheels = [{{ url = "https://example.invalid/bankmath-1-py3-none-any.whl", hash = "sha256:{digest}" }}]

[[package]]
name = "winonly"
version = "1"
source = {{ registry = "https://example.invalid/simple" }}
wheels = [{{ url = "https://example.invalid/winonly-1-py3-none-any.whl", hash = "sha256:{digest}" }}]

[[package]]
name = "scoring"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "bankmath" }}, {{ name = "winonly", marker = "sys_platform == 'win32'" }}]

[package.metadata]
requires-dist = [{{ name = "bankmath" }}, {{ name = "winonly", marker = "sys_platform == 'win32'" }}]
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


class Index:
    """A private package index on loopback, as the simple repository interface has it (PEP 503)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def publish(self, name: str, filename: str, content: bytes) -> str:
        """Put a file on it; its SHA-256."""
        place = self.folder / "simple" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / filename).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        page = f'<!DOCTYPE html><html><body><a href="{filename}#sha256={digest}">{filename}</a></body></html>'
        (place / "index.html").write_text(page)
        return digest


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An index with two packages as wheels and one as source only."""
    made = Index(tmp_path / "index")
    made.publish("bankmath", "bankmath-1-py3-none-any.whl", wheel("bankmath", {"bankmath.py": "ONE = 1\n"}))
    made.publish("bankplot", "bankplot-2-py3-none-any.whl", wheel("bankplot", {"bankplot.py": "TWO = 2\n"}, "2"))
    made.publish("sourced", "sourced-1.tar.gz", b"not even an archive")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with what people write down."""
    folder = tmp_path / "written"
    folder.mkdir()
    (folder / "requirements.in").write_text("bankmath\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


def names(lock: str) -> list[str]:
    """What a lock pins."""
    return sorted(line.split()[0] for line in lock.splitlines() if "==" in line)


def test_requirements_and_projects_become_a_lock_with_hashes(index: Index, written: Path) -> None:
    """Whatever people write down, the lock pins versions with hashes and names no address; extras come when asked."""
    lock = resolve_lock(written / "requirements.in", index=index.url)
    assert names(lock) == ["bankmath==1"]
    assert "127.0.0.1" not in lock
    assert names(resolve_lock(written / "pyproject.toml", index=index.url)) == ["bankmath==1"]
    both = resolve_lock(written / "pyproject.toml", extras=["plots"], index=index.url)
    assert names(both) == ["bankmath==1", "bankplot==2"]
    (written / "locked.txt").write_text(lock)
    assert resolve_lock(written / "locked.txt") == lock


def test_a_uv_lock_is_taken_as_it_is(index: Index, written: Path) -> None:
    """Versions and hashes come from the lock alone, without an index; what is for other machines is left out."""
    digest = hashlib.sha256((index.folder / "simple/bankmath/bankmath-1-py3-none-any.whl").read_bytes()).hexdigest()
    (written / "uv.lock").write_text(LOCK.format(digest=digest))
    (written / "pyproject.toml").write_text(ELSEWHERE)
    lock = resolve_lock(written / "uv.lock")
    assert names(lock) == ["bankmath==1"]
    assert digest in lock
    assert "example.invalid" not in lock
    locked = written / "locked.txt"
    locked.write_text(lock)
    found = fetch_wheels(locked, written / "wheels", index.url)
    assert [path.name for path in found] == ["bankmath-1-py3-none-any.whl"]


@pytest.mark.parametrize("text", ["sourced\n", "nowhere-to-be-found\n"])
def test_what_cannot_be_had_as_wheels_is_refused(index: Index, written: Path, text: str) -> None:
    """A package that comes as source only is not built, an unknown one is named."""
    (written / "bad.in").write_text(text)
    with pytest.raises(Invalid) as refused:
        resolve_lock(written / "bad.in", index=index.url)
    assert refused.value.code == "MUNI-B133"
    assert text[:6] in refused.value.facts["reason"]


def test_a_build_that_no_index_has_comes_from_a_folder(index: Index, written: Path) -> None:
    """A wheel in the named folder is locked with its hash beside what the index has, and is taken from there."""
    folder = written / "wheels"
    folder.mkdir()
    build = folder / "bankown-1+cpu-py3-none-any.whl"
    build.write_bytes(wheel("bankown", {"bankown.py": "OWN = 1\n"}, "1+cpu"))
    (written / "own.in").write_text("bankown==1+cpu\nbankmath\n")
    with pytest.raises(Invalid):
        resolve_lock(written / "own.in", index=index.url)
    lock = resolve_lock(written / "own.in", index=index.url, wheels=folder)
    assert names(lock) == ["bankmath==1", "bankown==1+cpu"]
    assert hashlib.sha256(build.read_bytes()).hexdigest() in lock
    assert str(folder) not in lock
    (written / "locked.txt").write_text(lock)
    found = fetch_wheels(written / "locked.txt", folder, index.url)
    assert [path.name for path in found] == ["bankmath-1-py3-none-any.whl", build.name]


BACKEND = """
from pathlib import Path
Path({mark!r}).write_text("ran")
def build_wheel(*given, **named): raise SystemExit(1)
"""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A package that is built by code of its own, which leaves a mark when it runs."""
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "backend.py").write_text(BACKEND.format(mark=str(tmp_path / "mark")))
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "trap"\nversion = "1"\ndynamic = ["dependencies"]\n'
    )
    with tarfile.open(tmp_path / "trap.tar.gz", "w:gz") as archive:
        archive.add(folder, "trap-1")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "bankmath=1=2\n",
        "-e {trap}/trap\n",
        "--no-binary trap\n-e {trap}/trap\n",
        "--no-binary :all:\ntrap @ file://{trap}/trap.tar.gz\n",
        "{trap}/trap\n",
        "trap @ git+file://{trap}/trap\n",
        "--index-url http://127.0.0.1:9/simple\nbankmath==1\n",
        "--extra-index-url=http://127.0.0.1:9/simple\nbankmath==1\n",
        "-f {trap}\nbankmath==1\n",
        "bankmath==1 \\\n  --no-binary :all:\n",
        "--no-binary :all:\ntrap @ file://{trap}/trap.tar.gz --hash=sha256:{hash}\n",
        "-r {trap}/included.txt\n",
    ],
)
def test_a_file_that_says_more_than_packages_runs_nothing(trap: Path, tmp_path: Path, text: str) -> None:
    """Options, paths and addresses in requirements are refused by their line before anything is asked or built; so they
    are in a lock, and in what is included.
    """
    digest = hashlib.sha256((trap / "trap.tar.gz").read_bytes()).hexdigest()
    (trap / "included.txt").write_text(f"--no-binary trap\n-e {trap}/trap\n")
    file = trap / "bad.txt"
    file.write_text(text.format(trap=trap, hash=digest))
    for attempt in (lambda: resolve_lock(file), lambda: fetch_wheels(file, tmp_path / "wheels")):
        with pytest.raises(Invalid) as refused:
            attempt()
        assert refused.value.code == "MUNI-B137"
    assert not (trap / "mark").exists()


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["trap @ file://{trap}/trap"]\n',
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["trap"]\n'
        '[tool.uv.sources]\ntrap = {{path = "{trap}/trap", editable = true}}\n',
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["trap"]\n'
        '[[tool.uv.index]]\nurl = "http://127.0.0.1:9/simple"\n',
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["trap"]\n'
        '[project]\nname = "x"\nversion = "1"\ndynamic = ["dependencies"]\n[tool.uv]\nno-binary = true\n',
    ],
)
def test_a_project_that_would_be_built_is_refused(trap: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dependencies from elsewhere, indexes of its own, a build that would tell the dependencies; also from inside."""
    (trap / "pyproject.toml").write_text(text.format(trap=trap))
    monkeypatch.chdir(trap)
    with pytest.raises(Invalid):
        resolve_lock(trap / "pyproject.toml")
    assert not (trap / "mark").exists()


def test_other_files_and_dead_indexes_are_told_apart(written: Path) -> None:
    """A file of another kind is invalid; an index that does not answer is unavailable, and may be tried again."""
    (written / "setup.cfg").write_text("")
    with pytest.raises(Invalid) as refused:
        resolve_lock(written / "setup.cfg")
    assert refused.value.code == "MUNI-B131"
    with pytest.raises(Invalid):
        resolve_lock(written / "absent.txt")
    (written / "uv.lock").write_text("version = 1\n")
    (written / "pyproject.toml").unlink()
    with pytest.raises(Invalid) as refused:
        resolve_lock(written / "uv.lock")
    assert refused.value.code == "MUNI-B132"
    with pytest.raises(Unavailable):
        resolve_lock(written / "requirements.in", index="http://127.0.0.1:9/simple")


def test_a_wheel_that_was_swapped_on_the_index_is_not_taken(index: Index, written: Path) -> None:
    """The lock's hash decides, not the index."""
    lock = written / "locked.txt"
    lock.write_text(resolve_lock(written / "requirements.in", index=index.url))
    index.publish("bankmath", "bankmath-1-py3-none-any.whl", wheel("bankmath", {"bankmath.py": "ONE = 666\n"}))
    with pytest.raises(Unavailable) as refused:
        fetch_wheels(lock, written / "wheels", index.url)
    assert refused.value.code == "MUNI-B523"


def test_only_allowed_indexes_make_environments(site: Site, tmp_path: Path, index: Index, written: Path) -> None:
    """While none is allowed any will do; then only those by name; an address with credentials is never written down."""
    platform = site.copy(tmp_path / "own").open()
    try:
        admin = Client(platform.transport(site.tokens["admin"]), project="main")
        scientist = Client(platform.transport(site.tokens["scientist"]), project="main")
        lock = resolve_lock(written / "requirements.in", index=index.url)
        (written / "locked.txt").write_text(lock)
        wheels = fetch_wheels(written / "locked.txt", written / "wheels", index.url)
        assert admin.environments.define("first", lock, wheels).index is None
        with pytest.raises(Denied):
            scientist.environments.allow_index("mine", index.url)
        with pytest.raises(Invalid) as refused:
            admin.environments.allow_index("bank", "https://user:secret@packages.example/simple")
        assert "secret" not in json.dumps(refused.value.document())
        admin.environments.allow_index("bank", index.url)
        for other in (None, "pypi"):
            with pytest.raises(Denied) as denied:
                admin.environments.define("second", lock, wheels, index=other)
            assert denied.value.code == "MUNI-X401"
        assert admin.environments.define("second", lock, wheels, index="bank").index == "bank"
        assert admin.environments.get("second").index == "bank"
        assert [one.name for one in scientist.environments.indexes()] == ["bank"]
        assert list(admin.environments.forbid_index("bank")) == []
        with pytest.raises(NotFound):
            admin.environments.forbid_index("bank")
        found = scientist.environments.describe("second")
        assert [(one.name, one.version, one.licence) for one in found.packages] == [("bankmath", "1", "")]
        assert found.bom["components"][0]["hashes"][0]["content"] == hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        assert found.bom == scientist.environments.describe("second").bom
    finally:
        platform.close()


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: Apache-2.0 OR MIT\n", "Apache-2.0 OR MIT"),
        ("License: whatever\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        ("License: MIT License\n        Permission is hereby granted\n", "MIT License"),
        ("License: " + "x" * 5000 + "\n", "x" * 120),
        ("", ""),
    ],
    ids=["expression", "classifier", "words", "too many words", "nothing"],
)
def test_a_licence_is_what_the_package_says(tmp_path: Path, metadata: str, licence: str) -> None:
    """Expression before classifiers before words; always bounded; nothing said is nothing said."""
    folder = tmp_path / "thing-1.dist-info"
    (folder / "licenses").mkdir(parents=True)
    (folder / "licenses/LICENSE.txt").write_text("text")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{metadata}\nbody")
    found = described(folder)
    assert (found.name, found.version, found.licence) == ("thing", "1", licence)
    assert found.licence_files == ("licenses/LICENSE.txt",)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0" * 100, b"Name: " + b"a" * 10_000], ids=["none", "noise", "long"]
)
def test_hostile_metadata_is_only_ever_text(tmp_path: Path, content: bytes) -> None:
    """Metadata that is none gives a package by the name of the folder; names are bounded."""
    folder = tmp_path / "thing-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_bytes(content)
    assert 0 < len(described(folder).name) <= 200


def test_the_command_line_builds_from_a_project(site: Site, tmp_path: Path, index: Index, written: Path) -> None:
    """``muni env build --from`` resolves, fetches, seals and defines; ``sbom`` and ``licences`` show what it is."""
    own = site.copy(tmp_path / "own")
    write_profile(own.home, Profile(name="admin", token=own.tokens["admin"]))
    given = {"MUNIMENT_HOME": str(own.home), "MUNIMENT_CACHE": str(tmp_path)}

    def ask(*words: str) -> Any:
        done = CliRunner().invoke(muni, ["--json", *words], env=given)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    ask("env", "index", "allow", "bank", index.url)
    project = str(written / "pyproject.toml")
    made = ask("env", "build", "scoring", "--from", project, "--extra", "plots", "--index", "bank")
    assert (made["name"], made["index"], len(made["wheels"])) == ("scoring", "bank", 2)
    assert ask("env", "licences", "scoring")["licences"] == {"(none stated)": ["bankmath", "bankplot"]}
    file = tmp_path / "scoring.cdx.json"
    ask("env", "sbom", "scoring", "--file", str(file))
    assert json.loads(file.read_text())["bomFormat"] == "CycloneDX"
