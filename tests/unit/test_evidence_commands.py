"""``muni evidence`` and ``muni verify``: what they ask, write, print and exit with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evidencing import PAGES
from muniment.cli import muni
from muniment.cli.face import Face
from muniment.errors import Conflict
from muniment.evidence import verify
from muniment.sdk.client import Client
from muniment.sdk.evidence import EvidencePack, save_pack
from muniment.testing.transport import ScriptedTransport
from muniment.wire import inventory as wi

PACK = verify.archive(dict(PAGES))
MODEL = wi.ModelDetail(
    model="model:m@1", digest="sha256:" + "1" * 64, algorithm="xgboost", files=[], facts={}, run=None, trained_on=[],
    created_at="2026-11-26T00:00:00.000000Z", created_by="User:ana", grade="proven", evaluations=[],
)  # fmt: skip


def _run(transport: ScriptedTransport | None, *arguments: str) -> Result:
    def connect(url: str | None, profile: str | None, project: str | None, home: str | None) -> Client:
        assert transport is not None, "this command needs no platform"
        return Client(transport, project=project or "main")

    return CliRunner().invoke(muni, list(arguments), obj=Face(connect=connect))


@pytest.fixture
def transport() -> ScriptedTransport:
    """A platform that hands out a pack of a model."""
    return ScriptedTransport({"inventory:ShowModel": MODEL, "evidence:BuildPack": PACK})


def test_a_pack_is_written_and_named_by_its_digest(transport: ScriptedTransport, tmp_path: Path) -> None:
    """The request says which checkpoint, from where on, and whether cosigned; the answer what was written."""
    path = tmp_path / "m.zip"
    asked = ("--checkpoint", "9", "--since", "3", "--since", "5", "--cosigned")
    result = _run(transport, "evidence", "m", "-o", str(path), *asked, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    digest = f"sha256:{hashlib.sha256(PACK).hexdigest()}"
    assert (answer["pack"], answer["pack_digest"], answer["size"]) == (str(path), digest, len(PACK))
    assert (answer["model"], answer["digest"]) == ("model:m@1", MODEL.digest)
    assert path.read_bytes() == PACK
    request = next(one for action, one in transport.asked if action == "evidence:BuildPack")
    assert (request.checkpoint, request.since, request.cosigned) == (9, [3, 5], True)


def test_no_file_is_overwritten_and_no_half_one_left(transport: ScriptedTransport, tmp_path: Path) -> None:
    """A file that is there stays; a download that breaks leaves nothing behind."""
    path = tmp_path / "m.zip"
    path.write_bytes(b"mine")
    refused = _run(transport, "evidence", "m", "-o", str(path), "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (1, "MUNI-A311")
    assert path.read_bytes() == b"mine"

    def broken() -> Any:
        yield b"PK"
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="dead"):
        save_pack("model:m@1", broken(), tmp_path / "other.zip")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m.zip"]
    with pytest.raises(Conflict):
        save_pack("model:m@1", [PACK], path)


def test_a_pack_shows_itself(tmp_path: Path) -> None:
    """In a terminal and in a notebook it says what it is about and how to check it."""
    made = save_pack("model:<b>@1", [PACK], tmp_path / "m.zip")
    assert isinstance(made, EvidencePack)
    assert "muni verify" in repr(made)
    assert "&lt;b&gt;" in made._repr_html_()


def test_verify_needs_no_platform(tmp_path: Path) -> None:
    """What is no pack, what is damaged, and a key that cannot be read: exit codes 2, 1 and 1, without a home."""
    nothing, damaged = tmp_path / "text", tmp_path / "pack.zip"
    nothing.write_text("not a pack")
    damaged.write_bytes(verify.archive({"dossier.json": b"{}"}))
    assert _run(None, "verify", str(nothing)).exit_code == 2
    assert _run(None, "verify", str(tmp_path / "absent")).exit_code == 2
    result = _run(None, "verify", str(damaged), "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)
    result = _run(None, "verify", str(damaged), "--key", str(tmp_path / "none.key"), "--json")
    assert (result.exit_code, json.loads(result.stdout)["code"]) == (1, "MUNI-A171")
