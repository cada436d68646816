"""The real witness process is killed without warning: no promise is lost, and no second history is ever promised."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledgering import ORIGIN, PrivateKey
from muniment.adapters.witness.client import HttpWitnesses
from muniment.adapters.witness.folder import WitnessFolder, make_witness
from muniment.errors import Unavailable
from muniment.ledger.cosignature import verify_cosignature
from muniment.ledger.note import sign_checkpoint, verifier_key
from muniment.ledger.verifier import KeyType, parse_key
from witnessing import NAME, Grown, body

LEDGER = PrivateKey()
SIZE = 400
TREE = Grown(SIZE)

_PROCESS = """
import os, signal, sys
from pathlib import Path
from muniment.adapters.witness.folder import WitnessFolder
from muniment.http.listening import Address
from muniment.http.witness import serve

class Killed:
    def point(self, name):
        if name == sys.argv[2]:
            os.kill(os.getpid(), signal.SIGKILL)

with WitnessFolder(Path(sys.argv[1]), Killed()).opened() as witness:
    serve(witness, Address(port=0), lambda url: print(url, flush=True), lambda line: None)
"""


@dataclass
class Life:
    """A witness process from its start to its end."""

    process: subprocess.Popen[str]
    url: str

    def end(self) -> int:
        """Kill it, unless it is dead already."""
        with self.process:
            self.process.kill()
        return self.process.returncode


def _start(folder: Path, dies_at: str = "") -> Life:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROCESS, str(folder), dies_at], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return Life(process, process.stdout.readline().strip())


def _note(size: int, tree: Grown = TREE) -> str:
    return sign_checkpoint(ORIGIN, size, tree.root(size), LEDGER).note


def _send(url: str, old: int, new: int, tree: Grown = TREE) -> tuple[int, str]:
    reply = HttpWitnesses().add_checkpoint(url, body(old, tree.proof(old, new), _note(new, tree)).decode())
    return reply.status, reply.body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A witness that trusts the ledger."""
    path = tmp_path / "w"
    make_witness(path, NAME)
    with WitnessFolder(path).opened() as witness:
        witness.trust(parse_key(verifier_key(ORIGIN, LEDGER.public_key), KeyType.LEDGER))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dies_at", ["witness.sync", "witness.replace", "witness.replaced", "witness.promised"])
def test_killed_between_remembering_and_answering(folder: Path, dies_at: str) -> None:
    """The ledger got no answer; asked again the witness knows whether it had promised, and takes no other history."""
    life = _start(folder)
    assert _send(life.url, 0, 5)[0] == 200
    life.end()
    life = _start(folder, dies_at)
    with pytest.raises(Unavailable):
        _send(life.url, 5, 9)
    assert life.end() == -9
    remembered = dies_at in ("witness.replaced", "witness.promised")
    life = _start(folder)
    url = life.url
    try:
        fork = Grown(SIZE, salt="fork")
        fork.leaves[:5] = TREE.leaves[:5]
        status, answer = _send(url, 5, 9, fork if remembered else TREE)
        if remembered:
            assert (status, answer) == (409, "9\n")
            assert _send(url, 9, 9, fork) == (409, "9\n")
            status, answer = _send(url, 9, 9)
        assert status == 200
        assert verify_cosignature(_note(9), answer, WitnessFolder(folder).key)
    finally:
        life.end()


@pytest.mark.slow
def test_no_promise_is_lost_under_kill(folder: Path) -> None:
    """Four lives, each ended by SIGKILL while two submitters hurry it on: every cosignature that came is remembered."""
    promised: list[int] = []
    for number in range(1, 5):
        life, enough = _start(folder), threading.Event()
        threads = [
            threading.Thread(target=_hurry, args=(life.url, step, promised, number * 10, enough)) for step in (1, 2)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        life.end()
        for thread in threads:
            thread.join()
        (seen,) = WitnessFolder(folder).show()
        assert seen.size >= max(promised)
        assert seen.root == TREE.root(seen.size)
        assert len(promised) >= number * 10


def _hurry(url: str, step: int, promised: list[int], wanted: int, enough: threading.Event) -> None:
    """Have the ledger cosigned step by step until the witness is gone; say when there are as many as wanted."""
    old = 0
    try:
        while (new := old + step) <= SIZE:
            status, answer = _send(url, old, new)
            assert status in (200, 409)
            if status == 200:
                promised.append(new)
            old = new if status == 200 else int(answer)
            if len(promised) >= wanted:
                enough.set()
    except Unavailable:
        enough.set()


@pytest.mark.slow
def test_a_second_process_is_refused(folder: Path) -> None:
    """While a witness serves, another process on its folder ends with the reason, and the first goes on."""
    life = _start(folder)
    try:
        command = "from muniment.cli import main; main()"
        second = subprocess.run(
            [sys.executable, "-c", command, "witness", "serve", str(folder), "--port", "0", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert "MUNI-L303" in second.stdout
        assert _send(life.url, 0, 5)[0] == 200
    finally:
        life.end()
