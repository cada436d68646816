"""The verifier stands alone: one file, the standard library, old Python, no network."""

from __future__ import annotations

import ast
import bz2
import gzip
import lzma
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ledgering import ledger_room
from muniment.adapters.sql.store import SqlStore
from muniment.evidence import verify

SOURCE = Path(verify.__file__)
PLAIN = {
    *(
        "__future__",
        "argparse",
        "base64",
        "binascii",
        "collections.abc",
        "contextlib",
        "datetime",
        "functools",
        "hashlib",
        "json",
        "pathlib",
    ),
    *("re", "struct", "sys", "tarfile", "typing", "zipfile"),
}


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Its imports are plain modules of the standard library; none of them opens a connection."""
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported <= PLAIN


def test_it_is_written_in_python_3_9() -> None:
    """It parses as Python 3.9, and does not grow unseen: somebody has to read it in full."""
    source = SOURCE.read_text()
    ast.parse(source, feature_version=(3, 9))
    assert len([line for line in source.splitlines() if line.strip()]) <= 1420


def test_it_runs_alone_and_is_enclosed(tmp_path: Path, sqlite_store: SqlStore) -> None:
    """Copied out of the export and started without site packages or environment, it verifies the export."""
    room = ledger_room(tmp_path / "ledger", sqlite_store)
    room.history(3)
    export = room.export(tmp_path / "export.tar")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "verify.py").write_bytes(SOURCE.read_bytes())
    assert SOURCE.read_bytes() in export.read_bytes()
    command = [sys.executable, "-I", "-S", str(alone / "verify.py"), str(export), "--key", room.ledger.key]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("TRUE.")
    damaged = bytearray(export.read_bytes())
    damaged[damaged.index(b"User:ana")] ^= 1
    export.write_bytes(damaged)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("NOT TRUE")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_grows_without_end_is_given_up(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """A small file that says it unpacks to a large one is given up before it is unpacked."""
    member = tarfile.TarInfo("ledger-export/manifest.txt")
    member.size = verify.UNPACKED_BYTES + 1
    bomb = tmp_path / "bomb"
    bomb.write_bytes(pack(member.tobuf() + b"\0" * 10_240))
    code, found = verify.answer(bomb, None, [])
    assert (code, "give it unpacked" in found["reason"]) == (1, True), found


def test_zeros_cost_no_time_to_speak_of(tmp_path: Path) -> None:
    """A file of nothing is no pack; every format that it might be is not tried on it."""
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(100 * 2**20)
    assert verify.answer(zeros, None, [])[0] == 2


def test_what_is_shown_is_letters_that_cannot_be_mistaken() -> None:
    """No letter of another script stands for one of ours, and nothing moves the cursor of a terminal."""
    assert verify.plain("User:\u0430pprover \x1b[2J \u202e") == "User:\\u0430pprover \\x1b[2J \\u202e"
