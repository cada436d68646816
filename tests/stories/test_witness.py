"""The witness from end to end: two real processes on loopback, a visit, an air gap, a witness that is away, a fork."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import muniment
from muniment.ledger.cosignature import verify_cosignature

pytestmark = pytest.mark.slow

MUNI = Path(sysconfig.get_path("scripts")) / "muni"
NAME = "audit.example/w1"


@dataclass(frozen=True)
class Machine:
    """A folder with its own idea of where home is."""

    folder: Path
    url: str = ""

    def environment(self) -> dict[str, str]:
        """What a command sees."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUNI_", "MUNIMENT_HOME"))}
        named = {"MUNIMENT_HOME": str(self.folder / "home"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        return {**kept, **named, **({"MUNI_URL": self.url} if self.url else {})}

    def muni(self, *words: str | Path, code: int = 0) -> Any:
        """A command with ``--json``: its document."""
        done = subprocess.run(
            [MUNI, "--json", *words], env=self.environment(), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *words: str | Path) -> Iterator[str]:
        """A server, until the block ends; its URL."""
        with subprocess.Popen(
            [MUNI, "--json", *words], env=self.environment(), stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            try:
                yield json.loads(server.stdout.readline())["url"]
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(60)


def _until(machine: Machine, size: int) -> Any:
    """Look at the witnesses until they have cosigned that much, or for half a minute."""
    end = time.monotonic() + 30
    while True:
        found = machine.muni("witness", "list", "--profile", "auditor")
        if (found["cosigned"] or 0) >= size or time.monotonic() > end:
            return found
        time.sleep(0.3)


def test_a_bank_and_its_auditor(tmp_path: Path) -> None:
    """The auditor's machine cosigns what the bank's ledger grows to, and refuses what replaces it."""
    bank, auditor = Machine(tmp_path / "bank"), Machine(tmp_path / "auditor")
    bank.folder.mkdir()
    auditor.folder.mkdir()
    bank.muni("init", "--require", "none")
    first = bank.muni("audit", "checkpoint", "--profile", "auditor")
    (auditor.folder / "first.json").write_text(json.dumps(first))
    folder = auditor.folder / "witness"
    key = auditor.muni("witness", "init", folder, "--name", NAME)["key"]
    trusted = auditor.muni("witness", "trust", folder, first["key"], "--checkpoint", auditor.folder / "first.json")
    assert (trusted["origin"], trusted["size"]) == (first["origin"], first["size"])
    assert not (auditor.folder / "home").exists(), "a witness needs no platform"

    with (
        auditor.running("witness", "serve", folder, "--port", "0") as where,
        bank.running("up", "--port", "0", "--witness-every", "1") as url,
    ):
        remote = Machine(bank.folder, url)
        remote.muni("witness", "add", key, "--at", where, "--profile", "scientist", code=1)
        assert remote.muni("witness", "add", key, "--at", where, "--profile", "admin")["name"] == NAME
        found = _until(remote, first["size"] + 1)
        assert found["cosigned"] > first["size"], "the server visits its witnesses by itself"
        assert (found["required"], found["witnesses"][0]["problem"]) == (1, "")
        asked = remote.muni("witness", "submit", "--profile", "operator")
        assert [one["status"] for one in asked["outcomes"]] == ["cosigned"]
        report = remote.muni("audit", "verify", "--profile", "auditor")
        assert report["ok"]
        assert report["cosigned"] >= asked["cosigned"]
        assert report["witnesses"][0]["name"] == NAME
        auditor.muni("witness", "trust", folder, first["key"], code=1)

    shown = auditor.muni("witness", "show", folder)["ledgers"][0]
    line = shown["note"].rpartition("\n\n")[2].splitlines(keepends=True)[-1]
    assert verify_cosignature(shown["note"], line, key)
    assert shown["size"] > first["size"]

    away = bank.muni("witness", "submit", "--profile", "admin", code=1)
    assert away["code"] == "MUNI-A521"
    assert bank.muni("audit", "verify", "--profile", "auditor")["ok"], "the ledger goes on without its witness"

    _by_files(bank, auditor, folder)
    _set_back(bank, auditor, folder)


def _by_files(bank: Machine, auditor: Machine, folder: Path) -> None:
    """No network: a file goes out, a file comes back; what is stale is said so, and so is where to start from."""
    out, back = bank.folder / "out.txt", auditor.folder / "back.txt"
    made = bank.muni("witness", "request", NAME, "-o", out, "--profile", "auditor")
    cosigned = auditor.muni("witness", "cosign", folder, out, "-o", back)
    assert cosigned["size"] == made["size"]
    bank.muni("witness", "accept", back, "--profile", "scientist", code=1)
    assert bank.muni("witness", "accept", back, "--profile", "admin")["kept"][0]["size"] == made["size"]
    assert bank.muni("witness", "list", "--profile", "auditor")["cosigned"] == made["size"]
    stale = auditor.muni("witness", "cosign", folder, out, code=1)
    assert (stale["code"], stale["facts"]["seen"]) == ("MUNI-A341", made["size"])
    head, _, note = out.read_text().partition("\n\n")
    again = bank.muni("witness", "request", NAME, "--since", str(made["size"]), "--profile", "auditor")["body"]
    head, _, note = again.partition("\n\n")
    (auditor.folder / "proof.txt").write_text(head + "\n")
    (auditor.folder / "checkpoint.txt").write_text(note)
    by_two = auditor.muni(
        "witness", "cosign", folder, auditor.folder / "checkpoint.txt", "--proof", auditor.folder / "proof.txt"
    )
    assert by_two["size"] > made["size"]
    (auditor.folder / "nothing.txt").write_text("nothing\n")
    assert auditor.muni("witness", "cosign", folder, auditor.folder / "nothing.txt", code=1)["code"] == "MUNI-L115"
    stranger = note.replace(by_two["origin"], "other.example/ledger")
    (auditor.folder / "stranger.txt").write_text(stranger)
    assert auditor.muni("witness", "cosign", folder, auditor.folder / "stranger.txt", code=1)["code"] == "MUNI-A222"


def _grow(bank: Machine, entries: int) -> None:
    """Let that many things happen."""
    client = muniment.connect(bank.folder / "home", "auditor")
    for _ in range(entries):
        client.audit.tail(1)
    client.close()


def _set_back(bank: Machine, auditor: Machine, folder: Path) -> None:
    """Everything of the bank is replaced by an older copy, keys and checkpoints too; only the witness knows better."""
    kept = bank.folder.parent / "older"
    shutil.copytree(bank.folder, kept)
    with auditor.running("witness", "serve", folder, "--port", "0") as where:
        key = auditor.muni("witness", "show", folder)["key"]
        bank.muni("witness", "add", key, "--at", where, "--profile", "admin")
        _grow(bank, 8)
        bank.muni("witness", "submit", "--profile", "admin")
        shutil.rmtree(bank.folder)
        shutil.copytree(kept, bank.folder)
        assert bank.muni("audit", "verify", "--profile", "auditor")["ok"], "by itself the older copy looks true"
        bank.muni("witness", "add", key, "--at", where, "--profile", "admin")
        told = bank.muni("witness", "submit", "--profile", "admin", code=1)
        assert told["code"] == "MUNI-L521"
        _grow(bank, 20)
        told = bank.muni("witness", "submit", "--profile", "admin", code=1)
        assert (told["code"], "no beginning" in told["facts"]["reason"]) == ("MUNI-L521", True)
    (seen,) = auditor.muni("witness", "show", folder)["ledgers"]
    assert len(seen["refused"]) == 1, "the signed checkpoint of the other history is kept as evidence"
    found = bank.muni("audit", "search", "--type", "muniment.ledger.witness.forked.v1", "--profile", "auditor")
    assert found["entries"], "the fork is on record"
