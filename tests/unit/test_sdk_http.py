"""The transport over HTTP: what goes over the line, and what comes back as which error."""

from __future__ import annotations

import io
import json

import httpx
import msgspec
import pytest

from muniment.errors import Denied, Invalid, Unavailable
from muniment.sdk.http import HttpTransport
from muniment.wire.data import AddDataset, Datasets, ListDatasets, SplitDataset
from muniment.wire.execution import Started
from muniment.wire.inventory import FetchModel


class Server:
    """Answers every request with one answer and keeps what was asked."""

    def __init__(self, status: int = 200, content: bytes = b"{}") -> None:
        self.status, self.content = status, content
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        request.read()
        self.requests.append(request)
        return httpx.Response(self.status, content=self.content)

    def transport(self, token: str | None = "secret") -> HttpTransport:
        """A transport that talks to this server."""
        client = httpx.Client(base_url="https://muniment.example", transport=httpx.MockTransport(self))
        return HttpTransport("https://muniment.example", token, client=client)


def test_a_reading_verb_is_a_get_with_a_query() -> None:
    """The token travels in the header, the request in the query, and nothing in the body."""
    server = Server(content=b'{"datasets":[]}')
    assert (
        server.transport().invoke("data:ListDatasets", ListDatasets(project="main", limit=5), Datasets).datasets == []
    )
    [request] = server.requests
    assert (request.method, request.url.path, request.url.query) == (
        "GET",
        "/v1/projects/main/data:listDatasets",
        b"limit=5",
    )
    assert request.headers["authorization"] == "Bearer secret"
    assert request.content == b""


def test_a_writing_verb_is_a_post_with_a_document() -> None:
    """The project stands in the path, and the request as it is written is the document."""
    server = Server(content=b'{"run":"run:1","plan":"p"}')
    asked = SplitDataset(project="main", dataset="credit", seed=7)
    server.transport().invoke("data:SplitDataset", asked, Started)
    [request] = server.requests
    assert (request.method, request.url.path) == ("POST", "/v1/projects/main/data:splitDataset")
    assert request.content == msgspec.json.encode(asked, order="deterministic")  # which a server reads once


def test_bytes_are_streamed_as_they_are() -> None:
    """A body is sent untouched, with the request in the query."""
    server = Server(content=b'{"run":"run:1","plan":"p"}')
    content = bytes(range(256)) * 9000
    request_ = AddDataset(project="main", name="c", filename="c.csv", columns={"a": "int64"})
    server.transport().invoke("data:AddDataset", request_, Started, io.BytesIO(content))
    [request] = server.requests
    assert request.content == content
    assert request.headers["content-type"] == "application/octet-stream"
    assert dict(request.url.params) == {"name": "c", "filename": "c.csv", "columns": '{"a":"int64"}'}


def test_a_refusal_comes_back_as_the_error_it_was() -> None:
    """Code, message and facts survive the line; the kind follows from the status."""
    document = {"code": "MUNI-G403", "message": "no", "facts": {"entry": "412"}}
    server = Server(403, json.dumps(document).encode())
    with pytest.raises(Denied) as caught:
        server.transport().invoke("data:ListDatasets", ListDatasets(project="main"), Datasets)
    assert (caught.value.code, caught.value.facts) == ("MUNI-G403", {"entry": "412"})
    with pytest.raises(Denied):
        server.transport().download("inventory:FetchModel", FetchModel(project="main", model="m"))


@pytest.mark.parametrize(("status", "content"), [(502, b"<html>"), (500, b"[1]"), (404, b'{"a":1}'), (200, b"<html>")])
def test_whatever_is_no_muniment_server_is_unavailable(status: int, content: bytes) -> None:
    """A proxy's page or a stranger's JSON never passes for an answer."""
    with pytest.raises(Unavailable):
        Server(status, content).transport().invoke("data:ListDatasets", ListDatasets(project="main"), Datasets)


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    """Connection failures are errors with advice, and safe to retry."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = httpx.Client(base_url="https://muniment.example", transport=httpx.MockTransport(refuse))
    transport = HttpTransport("https://muniment.example", "t", client=client)
    with pytest.raises(Unavailable) as caught:
        transport.invoke("data:ListDatasets", ListDatasets(project="main"), Datasets)
    assert caught.value.facts["do"]


def test_a_download_comes_in_pieces() -> None:
    """Bytes come back as they are."""
    server = Server(content=b"tar" * 1000)
    chunks = server.transport().download("inventory:FetchModel", FetchModel(project="main", model="m"))
    assert b"".join(chunks) == b"tar" * 1000


@pytest.mark.parametrize("url", ["http://muniment.bank.example", "ftp://x", "nonsense", "http://10.0.0.7:8600"])
def test_a_token_is_never_sent_in_clear_to_another_machine(url: str) -> None:
    """Plain HTTP is for loopback only."""
    with pytest.raises(Invalid):
        HttpTransport(url, "secret")


def test_nobody_sends_no_header() -> None:
    """Without a token there is no authorization header at all."""
    server = Server(content=b'{"datasets":[]}')
    server.transport(None).invoke("data:ListDatasets", ListDatasets(project="main"), Datasets)
    assert "authorization" not in server.requests[0].headers
