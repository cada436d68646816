"""Somebody who has no SDK approves a model: HTTP requests, and OpenSSL for the signatures."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from asking import furnish_catalog
from muniment.http.server import Listen, configuration
from muniment.sdk.client import Client
from muniment.sdk.http import HttpTransport
from muniment.testing.platform import PROJECT, People, Site
from notary import SOUND, Notary

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None and "CI" not in os.environ, reason="no openssl here")


@pytest.fixture
def served(site: Site, tmp_path: Path) -> Iterator[tuple[People, str]]:
    """A platform with a model, behind a real server on loopback."""
    place = site.copy(tmp_path / "site")
    platform = place.open()
    people = People(platform, place.tokens)
    furnish_catalog(people)
    server = uvicorn.Server(configuration(platform, Listen(port=0)))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield people, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    platform.close()


class Openssl:
    """A person with OpenSSL and nothing of ours."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"})
        self.folder, self.key = folder, folder / "key.pem"
        self.run("genpkey", "-algorithm", "ed25519", "-out", str(self.key))

    def run(self, *words: str) -> bytes:
        """What openssl prints."""
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    def public_key(self) -> bytes:
        """The DER form as openssl writes it."""
        return self.run("pkey", "-in", str(self.key), "-pubout", "-outform", "DER")

    def sign(self, text: str) -> str:
        """A signature over a text, in base64."""
        file = self.folder / "statement"
        file.write_text(text, encoding="utf-8")
        return base64.b64encode(
            self.run("pkeyutl", "-sign", "-inkey", str(self.key), "-rawin", "-in", str(file))
        ).decode()

    def post(self, path: str, **request: Any) -> Any:
        """The answer to a request that goes well."""
        answer = self.http.post(path, json=request)
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_openssl_is_enough(served: tuple[People, str], tmp_path: Path) -> None:
    """A key by openssl is enrolled by its DER form and by its 32 bytes; what it signs approves a model."""
    people, url = served
    notary = Notary(people)
    notary.validated()
    approver = Openssl(url, people.tokens["approver"], tmp_path)
    der = approver.public_key()
    raw = base64.b64encode(der[-32:]).decode()
    proof = approver.sign(
        json.dumps(
            {"format": "muniment.enrolment/1", "public_key": raw, "signer": "User:approver"}, separators=(",", ":")
        )
    )
    enrolled = approver.post("/v1/identity:enrolSigningKey", public_key=base64.b64encode(der).decode(), proof=proof)
    assert enrolled["public_key"] == raw
    base = f"/v1/projects/{PROJECT}/inventory"
    terms = {"conditions": ["täglich prüfen"], "expires": None}
    prepared = approver.post(f"{base}:prepareSignature", model="model:scorer", meaning="approved", terms=terms)
    signed = {"statement": prepared["statement"], "signature": approver.sign(prepared["statement"])}
    answer = approver.post(f"{base}:approveModel", model="model:scorer", **signed)
    assert (answer["state"], answer["conditions"]) == ("approved", ["täglich prüfen"])
    approver.http.close()


@pytest.mark.slow
def test_the_sdk_over_http_goes_the_same_way(served: tuple[People, str], tmp_path: Path) -> None:
    """Key files, use cases, registration with a file, steps and the board, all behind a URL."""
    people, url = served

    def client(person: str) -> Client:
        transport = HttpTransport(url, people.tokens[person])
        return Client(transport, project=PROJECT, key_file=tmp_path / f"{person}.pem", close=transport.close)

    team = {name: client(name) for name in ("admin", "scientist", "validator", "approver", "auditor")}
    for name in ("scientist", "validator", "approver"):
        team[name].keys.enrol("file", passphrase="correct horse battery" if name == "approver" else None)
    team["admin"].use_cases.add("cards", purpose="x", owner="approver", purpose_class="marketing", exposure=2 * 10**9)
    book = tmp_path / "book.xlsx"
    book.write_bytes(b"cells")
    told = {"owner": "approver", "description": "a workbook", "use_case": "cards", "model_kind": "eut"}
    made = team["scientist"].inventory.register_external("book", origin="off-platform", file=book, **told)
    team["scientist"].models.get(made.model).submit()
    team["validator"].models.get(made.model).review("satisfactory", SOUND)
    again = client("approver")
    assert again.keys.locked
    again.keys.unlock("correct horse battery")
    assert again.models.get(made.model).approve().state == "approved"
    assert team["auditor"].inventory.board().reply.versions == 1
    assert team["auditor"].use_cases.show("cards").models == ["model:book@1"]
    for one in (*team.values(), again):
        one.close()
