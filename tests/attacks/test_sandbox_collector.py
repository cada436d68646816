"""What a job leaves behind is taken as an enemy's: only plain files, only bytes, only within the bounds."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import BinaryIO

import pytest

from muniment.adapters.sandbox.canaries import Runner
from muniment.adapters.sandbox.collector import Collected, collect
from muniment.execution.ports import ExitStatus, Limits
from sandboxing import job, run

HOSTILE = r"""
import os, socket
os.chdir(os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml'))
def tried(call, *args):
    try:
        call(*args)
    except OSError:
        pass
open('model/good.bin', 'wb').write(b'good')
open('output/report.json', 'w').write('{}')
tried(os.symlink, '/etc/passwd', 'model/link')
tried(os.symlink, '/', 'output/root')
tried(os.symlink, '../../..', 'output/up')
tried(os.mkfifo, 'model/fifo')
s = None
try:
    s = socket.socket(socket.AF_UNIX); s.bind('output/socket')
except OSError:
    pass
tried(os.link, 'model/good.bin', 'model/second-name')
open('model/setuid', 'wb').write(b'x'); tried(os.chmod, 'model/setuid', 0o6777)
open('model/new\nline', 'w').write('x')
open(b'model/not-utf8-\xff', 'w').write('x')
open('model/.hidden', 'w').write('x')
open('model/escape\x1b[2J', 'w').write('x')
deep = 'output/' + '/'.join('d' * 12)
os.makedirs(deep); open(deep + '/deep', 'w').write('x')
tried(lambda: open('stray', 'w').write('x'))
os.makedirs('output/locked/inner'); open('output/locked/inner/file', 'w').write('kept')
tried(os.chmod, 'output/locked/inner', 0)
tried(os.chmod, 'output/locked', 0)
open('output/unreadable', 'w').write('kept'); tried(os.chmod, 'output/unreadable', 0)
tried(os.chmod, 'output', 0); tried(os.chmod, '.', 0)
"""


@pytest.mark.slow
def test_hostile_results_are_refused_or_neutralised(walls: Runner) -> None:
    """Links, pipes, sockets, hard links, odd names, depth: refused by name. Modes: ignored. Good files: delivered."""
    end, recorder = run(walls, job(HOSTILE))
    assert end.status is ExitStatus.OK, recorder.text
    assert recorder.outputs == {
        "model/setuid": b"x",
        "output/locked/inner/file": b"kept",
        "output/report.json": b"{}",
        "output/unreadable": b"kept",
    }
    reasons = {one.path: one.reason for one in end.refused}
    assert reasons["model/link"] == "not a regular file but a symbolic link"
    assert reasons["output/root"] == reasons["output/up"] == "not a regular file but a symbolic link"
    assert reasons["model/good.bin"] == reasons["model/second-name"] == "a hard link: more than one name"
    assert reasons["model/new\\nline"] == "a name with unprintable characters"
    assert reasons["model/escape\\x1b[2J"] == "a name with unprintable characters"
    assert reasons["model/not-utf8-\\xff"] == "a name that is not UTF-8"
    assert reasons["model/.hidden"] == "a hidden name"
    assert any("deeper than" in reason for reason in reasons.values())
    assert all(reason.isprintable() and path.isprintable() for path, reason in reasons.items())


@pytest.mark.slow
def test_results_of_a_failed_job_are_kept(walls: Runner) -> None:
    """A job that fails leaves its failure report behind, as the public contract has it."""
    code = (
        "import os, sys\nopen(os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml') + '/output/failure', 'w').write('why')\n"
        "sys.exit(3)"
    )
    end, recorder = run(walls, job(code))
    assert (end.status, end.exit_code, recorder.outputs) == (ExitStatus.FAILED, 3, {"output/failure": b"why"})


@pytest.mark.slow
def test_too_many_results_are_a_limit(walls: Runner) -> None:
    """Files beyond the count are refused, and a job that would be ok is not."""
    code = (
        "import os\nroot = os.environ.get('MUNIMENT_ML_ROOT', '/opt/ml')\n"
        "for n in range(30):\n    open(f'{root}/output/{n:02}', 'w').write('x')"
    )
    end, recorder = run(walls, job(code, output_files=10))
    assert (end.status, len(recorder.outputs)) == (ExitStatus.LIMIT, 10)


def _collected(folder: Path, **limits: int) -> tuple[Collected, dict[str, bytes]]:
    found: dict[str, bytes] = {}

    def deliver(path: str, source: BinaryIO, size: int) -> None:
        found[path] = source.read()
        assert len(found[path]) == size

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return collect(fd, Limits(**limits), deliver), found
    finally:
        os.close(fd)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one model in it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "output" / "data").mkdir(parents=True)
    (tmp_path / "model" / "model.ubj").write_bytes(b"trees")
    return tmp_path


def test_a_plain_folder_is_taken_whole_in_order(results: Path) -> None:
    """Files come in the order of their paths, whatever order the folder lists them in."""
    for name in ("b", "a", "c"):
        (results / "output" / "data" / name).write_text(name)
    taken, found = _collected(results)
    assert list(found) == ["model/model.ubj", "output/data/a", "output/data/b", "output/data/c"]
    assert (taken.files, taken.size, taken.refusals, taken.over_limit) == (4, 8, [], False)


def test_a_sparse_file_is_refused_before_it_is_read(results: Path) -> None:
    """Bytes are counted by what a file claims, not by what lies on disk."""
    with (results / "output" / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    taken, found = _collected(results, output_mb=1)
    assert list(found) == ["model/model.ubj"]
    assert taken.over_limit
    assert taken.refusals[0].reason == "results are larger than 1 MiB"


def test_a_link_in_place_of_a_results_folder_is_refused(tmp_path: Path) -> None:
    """Neither model nor output may be a link to somewhere else."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere")
    taken, found = _collected(tmp_path)
    assert found == {}
    assert {one.path for one in taken.refusals} >= {"model"}


def test_a_hundred_thousand_names_are_not_all_looked_at(results: Path) -> None:
    """Looking is bounded too, and the outcome says that something was left."""
    for number in range(1300):
        (results / "output" / f"{number}").symlink_to("/")
    taken, found = _collected(results, output_files=10)
    assert taken.over_limit
    assert taken.refused > len(taken.refusals)
    assert len(taken.listed()) == len(taken.refusals) + 1
    assert set(found) <= {"model/model.ubj"}


def test_a_socket_and_a_device_are_refused(results: Path) -> None:
    """Nothing but regular files is opened: opening a pipe would hang, a device would act."""
    os.mkfifo(results / "model" / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(results / "model" / "socket"))
        taken, found = _collected(results)
    assert set(found) == {"model/model.ubj"}
    assert {one.reason for one in taken.refusals} == {
        "not a regular file but a named pipe",
        "not a regular file but a socket",
    }
