"""Source trees: deterministic bytes, the commit when it is clean, and nothing that looks like a key."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from muniment.adapters.git import tree
from muniment.adapters.git.tree import read_tree
from muniment.errors import Invalid, NotFound


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody."""
    who = {"GIT_AUTHOR_NAME": "Ana", "GIT_AUTHOR_EMAIL": "ana@example.org", "GIT_COMMITTER_NAME": "Ana"}
    who |= {
        "GIT_COMMITTER_EMAIL": "ana@example.org",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env={**os.environ, **who})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work tree with one commit."""
    folder = tmp_path / "work"
    (folder / "lib").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)\n")
    (folder / "lib" / "part.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("big/\n*.log\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first\n\nmore")
    return folder


def names(source: tree.SourceTree) -> list[str]:
    """What the tar holds."""
    with tarfile.open(fileobj=source.pack()) as tar:
        return tar.getnames()


def test_a_clean_tree_carries_its_commit(work: Path) -> None:
    """Commit, author and message come along when the tree equals the commit."""
    source = read_tree(work / "train.py")
    assert names(source) == [".gitignore", "lib/part.py", "train.py"]
    assert source.entry == "train.py"
    origin = source.origin
    assert (origin.clean, origin.author, origin.message) == (True, "Ana <ana@example.org>", "first")
    assert origin.commit is not None
    assert len(origin.commit) == 40


@pytest.mark.parametrize("change", ["edit", "new", "delete", "stage"])
def test_any_difference_makes_it_dirty(work: Path, change: str) -> None:
    """An edited, new, deleted or staged file marks the snapshot as dirty, and is in it as it is now."""
    if change == "edit":
        (work / "train.py").write_text("print(2)\n")
    elif change == "delete":
        (work / "lib" / "part.py").unlink()
    else:
        (work / "new.py").write_text("y = 2\n")
        if change == "stage":
            git(work, "add", "new.py")
    source = read_tree(work / "train.py")
    assert not source.origin.clean
    assert source.origin.commit is not None
    assert ("new.py" in source.files) == (change in ("new", "stage"))
    assert ("lib/part.py" in source.files) == (change != "delete")
    if change == "edit":
        assert source.files["train.py"][0] == b"print(2)\n"


def test_ignored_files_stay_out(work: Path) -> None:
    """What .gitignore names is not taken, and does not make the tree dirty."""
    (work / "big").mkdir()
    (work / "big" / "data.csv").write_text("1\n")
    (work / "run.log").write_text("x\n")
    source = read_tree(work / "train.py")
    assert source.origin.clean
    assert not {"big/data.csv", "run.log"} & set(source.files)


def test_the_same_files_give_the_same_bytes(work: Path, tmp_path: Path) -> None:
    """Neither time, owner, place nor order of the files changes the tar."""
    other = tmp_path / "other"
    (other / "lib").mkdir(parents=True)
    for name in ("train.py", "lib/part.py", ".gitignore"):
        (other / name).write_bytes((work / name).read_bytes())
        os.utime(other / name, (1, 1))
    assert read_tree(work / "train.py").pack().read() == read_tree(other / "train.py").pack().read()


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "id_rsa", "server.pem", "prod.key", "credentials.json", ".netrc"]
)
def test_files_that_look_like_keys_stay_out(work: Path, name: str) -> None:
    """Keys are left out by name, tracked or not, and the caller is told."""
    (work / name).write_text("hush\n")
    git(work, "add", "-f", name)
    source = read_tree(work / "train.py")
    assert name not in source.files
    assert source.left_out == (name,)


def test_private_keys_stay_out_by_content(work: Path) -> None:
    """A private key under an innocent name is left out too."""
    (work / "notes.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    assert read_tree(work / "train.py").left_out == ("notes.txt",)


def test_outside_git_every_file_but_the_usual_waste_is_taken(tmp_path: Path) -> None:
    """Without git the folder is taken, without virtual environments and caches, and no commit is claimed."""
    (tmp_path / "train.py").write_text("print(1)\n")
    for waste in ("__pycache__/a.pyc", ".venv/bin/python", "myenv/lib/x.py", ".git-not/x.py"):
        (tmp_path / waste).parent.mkdir(parents=True)
        (tmp_path / waste).write_text("x")
    (tmp_path / "myenv" / "pyvenv.cfg").write_text("home = /usr\n")
    source = read_tree(tmp_path / "train.py")
    assert sorted(source.files) == [".git-not/x.py", "train.py"]
    assert source.origin.commit is None


@pytest.mark.parametrize("in_git", [True, False])
def test_links_are_refused(work: Path, tmp_path: Path, in_git: bool) -> None:
    """A symbolic link to a file or a folder refuses the whole snapshot, and is named."""
    folder = work if in_git else tmp_path / "plain"
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text("print(1)\n")
    for target in ("/etc/passwd", "/etc"):
        link = folder / "innocent"
        link.symlink_to(target)
        with pytest.raises(Invalid) as caught:
            read_tree(folder / "train.py")
        assert caught.value.facts["path"] == "innocent"
        link.unlink()


def test_devices_are_refused(tmp_path: Path) -> None:
    """A named pipe in the tree is refused instead of read for ever."""
    (tmp_path / "train.py").write_text("print(1)\n")
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(Invalid) as caught:
        read_tree(tmp_path / "train.py")
    assert caught.value.facts["path"] == "pipe.py"


def test_a_tree_has_bounds(work: Path) -> None:
    """Too many files or too many bytes are refused with advice."""
    for number in range(20):
        (work / f"f{number}.py").write_text("x" * 100)
    with pytest.raises(Invalid, match="too large"):
        read_tree(work / "train.py", most_files=10)
    with pytest.raises(Invalid, match="too large"):
        read_tree(work / "train.py", most_bytes=1000)
    with pytest.raises(Invalid, match="too large"):
        read_tree(work / "train.py", most_bytes=5)
    assert len(read_tree(work / "train.py", most_files=23, most_bytes=3000).files) == 23


def test_the_script_must_be_in_the_tree(work: Path, tmp_path: Path) -> None:
    """A missing script, a folder, a link and a script outside the tree are each refused."""
    with pytest.raises(NotFound):
        read_tree(work / "nowhere.py")
    with pytest.raises(Invalid):
        read_tree(work / "lib")
    (tmp_path / "link.py").symlink_to(work / "train.py")
    with pytest.raises(Invalid):
        read_tree(tmp_path / "link.py")
    with pytest.raises(Invalid, match="outside"):
        read_tree(work / "train.py", work / "lib")


def test_a_smaller_tree_can_be_named(work: Path) -> None:
    """--tree limits the snapshot to a folder, whose own state decides whether it is clean."""
    (work / "train.py").write_text("changed\n")
    source = read_tree(work / "lib" / "part.py", work / "lib")
    assert (list(source.files), source.entry, source.origin.clean) == (["part.py"], "part.py", True)


def test_hooks_and_monitors_of_the_tree_are_not_run(work: Path, tmp_path: Path) -> None:
    """Reading a tree runs nothing that the tree configures."""
    flag = tmp_path / "ran"
    script = work / ".git" / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {flag}\n")
    script.chmod(0o755)
    git(work, "config", "core.fsmonitor", str(script))
    git(work, "config", "core.hooksPath", str(work / ".git"))
    read_tree(work / "train.py")
    assert not flag.exists()
