"""The HTTP API: a route for each verb and none besides, and what happens to requests that no honest client sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from asking import furnish_catalog, recorded, sample, state
from muniment.bootstrap import VERBS
from muniment.errors import from_document
from muniment.http.app import MOST_DOCUMENT, application
from muniment.kernel.verb import Verb
from muniment.ledger.model import Search
from muniment.testing.platform import People, Site
from muniment.wire.routes import parameters, path, project_of, reads
from muniment.wire.tracking import StartRun
from walking import each

ASKABLE = [verb for verb in VERBS if not verb.internal]
TRAIN = {"experiment": "e", "data": "data:credit", "algorithm": "xgboost", "target": "age"}


class Web:
    """A platform behind its HTTP API, asked by hand."""

    def __init__(self, people: People, app: Starlette) -> None:
        self.people, self.app = people, app

    def ask(self, person: str | None, method: str, url: str, **how: Any) -> httpx.Response:
        """The answer."""
        headers = dict(how.pop("headers", {}))
        if person is not None:
            headers["Authorization"] = f"Bearer {self.people.tokens[person]}"
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("10.0.0.9", 5))
        whole = httpx.URL("http://testserver").copy_with(raw_path=url.encode("latin-1"))

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.request(
                    method, whole.copy_merge_params(how.pop("params", {})), headers=headers, **how
                )

        return anyio.run(send)

    def verb(self, person: str | None, verb: Verb, request: msgspec.Struct) -> httpx.Response:
        """The answer to a verb, asked as an honest client does."""
        url = path(verb.action, project_of(request))
        if reads(verb.action):
            return self.ask(person, "GET", url, params=parameters(request))
        if verb.takes_body:
            return self.ask(person, "POST", url, params=parameters(request), content=b"bytes")
        return self.ask(person, "POST", url, content=msgspec.json.encode(request))


@pytest.fixture(scope="module")
def web(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One platform for all requests of this file that change nothing."""
    platform = site.copy(tmp_path_factory.mktemp("web")).open()
    people = People(platform, site.tokens)
    furnish_catalog(people)
    app = application(platform.gate, hosts=frozenset({"testserver", "localhost"}))
    yield Web(people, app)
    platform.close()


@each(ASKABLE)
def test_each_verb_has_its_route(web: Web, verb: Verb) -> None:
    """Each verb answers at its path by its method: to nobody 401, to a person without a role 403, with stable codes."""
    nobody = web.verb(None, verb, sample(verb))
    assert nobody.status_code == (401 if not verb.public else nobody.status_code)
    assert nobody.status_code != 404 or nobody.json()["code"] != "MUNI-H201"
    assert (nobody.headers.get("www-authenticate") is not None) == (nobody.status_code == 401)
    if verb.group != "identity:self":
        person = web.verb("newcomer", verb, sample(verb))
        assert (person.status_code, person.json()["code"]) == (403, "MUNI-G403")
        document = person.json()
        assert recorded(web.people.platform, from_document(403, document))["action"] == verb.action
    wrong = web.ask("scientist", "DELETE", path(verb.action, "main" if verb.on.in_project else None))
    assert (wrong.status_code, wrong.json()["code"]) == (405, "MUNI-H106")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.internal], ids=lambda verb: verb.action)
def test_internal_verbs_have_no_route(web: Web, verb: Verb) -> None:
    """What the platform asks of itself cannot be asked from outside, by any method."""
    for project in ("main", None):
        for method in ("GET", "POST"):
            assert web.ask("admin", method, path(verb.action, project)).json()["code"] == "MUNI-H201"


def test_every_answer_forbids_what_browsers_do(web: Web) -> None:
    """No answer is cached, sniffed, framed or run as a page, whether it is one or a refusal."""
    for answer in (web.ask(None, "GET", "/v1/health"), web.ask(None, "GET", "/nothing"), web.ask(None, "GET", "/v1/x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "url",
    [
        "/v1/projects/main/../other/data:listDatasets",
        "/v1/projects/main%2f..%2fother/data:listDatasets",
        "/v1/projects/main/%2e%2e/data:listDatasets",
        "/v1/projects/main/data%3AlistDatasets;x=1",
        "/v1/projects/main;/data:listDatasets",
        "/v1/projects/main%252fother/data:listDatasets",
        "/v1/projects/%6dain%00/data:listDatasets",
        "/v1//projects/main/data:listDatasets",
        "/v1/projects/main/data:listDatasets/",
        "/v1/projects/main/data:ListDatasets",
        "/v1/projects//data:listDatasets",
        "/v1/projects/main/data:listDatasets%0d%0aX:1",
        "/V1/projects/main/data:listDatasets",
    ],
)
def test_strange_paths_lead_nowhere(web: Web, url: str) -> None:
    """A path with dots, slashes, semicolons or encodings is another project or nothing, never a way around a check."""
    before = state(web.people.platform)
    answer = web.ask("scientist", "GET", url)
    assert answer.status_code in (403, 404)
    assert answer.json()["code"] in ("MUNI-G403", "MUNI-H201")
    assert state(web.people.platform) == before


def test_an_encoded_name_is_the_same_name(web: Web) -> None:
    """Percent-encoding a letter changes nothing: the decision is about the decoded name."""
    for url in ("/v1/projects/%6dain/data:listDatasets", "/v1/projects/main%2Fdata%3AlistDatasets"):
        assert web.ask("scientist", "GET", url).status_code == 200
        assert web.ask("outsider", "GET", url).status_code == 403


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"experiment":"e","experiment":"f","data":"data:credit","algorithm":"xgboost"}', "MUNI-H103"),
        (b'{"experiment":"e","data":"data:credit","algorithm":"xgboost","params":{"eta":1,"eta":2}}', "MUNI-H103"),
        (b'{"project":"other","experiment":"e","data":"data:credit","algorithm":"xgboost"}', "MUNI-H104"),
        (b'{"project":"other","project":"main","experiment":"e","data":"d","algorithm":"xgboost"}', "MUNI-H103"),
        (b"[]", "MUNI-G104"),
        (b'"x"', "MUNI-G104"),
        (b"null", "MUNI-G104"),
        (b"", "MUNI-G104"),
        (b"{", "MUNI-G104"),
        (b"[" * 100_000, "MUNI-G104"),
        (b'{"params":' + b'{"a":' * 50_000, "MUNI-G104"),
        (b'{"experiment":"e","data":"d","algorithm":"x","seed":NaN}', "MUNI-G104"),
        (b'{"experiment":"e","data":"d","algorithm":"x","seed":1e999}', "MUNI-G104"),
        (b'{"experiment":"e","data":"d","algorithm":"x","seed":"1"}', "MUNI-G104"),
        (b'{"experiment":"e","data":"d","algorithm":"x","seed":1.5}', "MUNI-G104"),
        (b'{"experiment":"e","data":"d","algorithm":"x","extra":1}', "MUNI-G104"),
        (b'{"experiment":"\xff","data":"d","algorithm":"x"}', "MUNI-G104"),
        (b'{"experiment":"\\ud800","data":"d","algorithm":"x"}', "MUNI-G104"),
        (b"\x00" * 100, "MUNI-G104"),
        (b'{"experiment":"' + b"x" * MOST_DOCUMENT + b'"}', "MUNI-H102"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:24].decode("latin-1"),
)
def test_strange_documents_are_refused_after_the_asker_is_known(web: Web, content: bytes, code: str) -> None:
    """A document that does not fit is refused with a code, to who may ask and who may not; nobody learns even that."""
    before = state(web.people.platform)
    url = path("execution:TrainModel", "main")
    refused = web.ask("scientist", "POST", url, content=content)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert recorded(web.people.platform, from_document(422, refused.json()))["principal"] == "User:scientist"
    assert web.ask(None, "POST", url, content=content).json()["code"] == "MUNI-I401"
    assert state(web.people.platform) == before


def test_however_a_request_is_written_it_is_the_same_request(web: Web) -> None:
    """The form in which requests are written, and the same in another order without the project: one digest."""
    asked = StartRun(project="main", experiment="e", key="k", params={"eta": 0.1, "depth": 3})
    written = msgspec.json.encode(asked, order="deterministic")
    other = b'{ "key": "k", "params": {"eta": 1e-1, "depth": 3}, "experiment": "e" }'
    url = path("tracking:StartRun", "main")
    answers = [web.ask("scientist", "POST", url, content=content) for content in (written, other)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["run"] == answers[1].json()["run"]
    [event] = [verb.event for verb in VERBS if verb.action == "tracking:StartRun"]
    first, second = web.people.platform.ledger.search(Search(type=event, limit=2))
    assert first.event["data"]["request"] == second.event["data"]["request"]
    elsewhere = web.ask("scientist", "POST", path("tracking:StartRun", "other"), content=written)
    assert elsewhere.json()["code"] == "MUNI-H104"


def test_a_query_says_everything_once(web: Web) -> None:
    """A query with a name twice, an unknown one, or a value of another type is refused."""
    url = path("data:ListDatasets", "main")
    for query, code in (("limit=1&limit=2", "MUNI-H103"), ("limit=x", "MUNI-G104"), ("limits=1", "MUNI-G104")):
        assert web.ask("scientist", "GET", f"{url}?{query}").json()["code"] == code
        assert web.ask(None, "GET", f"{url}?{query}").json()["code"] == "MUNI-I401"
    assert web.ask("scientist", "GET", f"{url}?project=main").json()["code"] == "MUNI-H104"


def test_an_endless_document_is_not_taken(web: Web) -> None:
    """The server stops reading a document at its bound."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64 * MOST_DOCUMENT:
            taken += 1 << 16
            yield b" " * (1 << 16)

    answer = web.ask("scientist", "POST", path("execution:TrainModel", "main"), content=endless())
    assert answer.json()["code"] == "MUNI-H102"


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "evil.example:80", "", "[::1]", "127.0.0.1"]
)
def test_a_name_that_is_not_ours_gets_nothing(web: Web, host: str) -> None:
    """A request to a name that the server does not go by is refused, whatever it asks for."""
    for url in ("/v1/health", "/openapi.json", path("data:ListDatasets", "main"), "/nothing"):
        answer = web.ask("scientist", "GET", url, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (422, "MUNI-H105")


def test_ports_and_brackets_belong_to_a_host(web: Web) -> None:
    """The port is no part of the name, also behind an address in brackets."""
    app = application(web.people.platform.gate, hosts=frozenset({"::1", "localhost"}))
    for host in ("localhost", "LOCALHOST:8600", "[::1]", "[::1]:8600"):
        assert Web(web.people, app).ask(None, "GET", "/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer x y", "Token x", "Bearer \xe9"])
def test_what_is_no_bearer_token_is_nobody(web: Web, header: str) -> None:
    """Anything but one bearer token is an unknown credential."""
    headers = {"Authorization": header.encode("latin-1")}
    answer = web.ask(None, "GET", path("data:ListDatasets", "main"), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "MUNI-I401")


def test_a_token_in_the_query_opens_nothing(web: Web) -> None:
    """Credentials are taken from the header alone, where no log keeps them."""
    token = web.people.tokens["scientist"]
    query = {"access_token": token, "token": token}
    answer = web.ask(None, "GET", path("data:ListDatasets", "main"), params=query)
    assert answer.status_code == 401


def test_bytes_that_break_off_leave_nothing(web: Web) -> None:
    """A body that ends before the request did is refused, recorded, and leaves nothing behind."""
    before = state(web.people.platform)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path("data:AddDataset", "main"),
        "raw_path": path("data:AddDataset", "main").encode(),
        "query_string": b"name=credit&filename=c.csv",
        "headers": [
            (b"host", b"testserver"),
            (b"authorization", f"Bearer {web.people.tokens['scientist']}".encode()),
            (b"content-length", b"1000"),
        ],
        "client": ("10.0.0.9", 5),
        "server": ("testserver", 80),
        "scheme": "http",
        "root_path": "",
    }
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"a,b\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(web.app, scope, receive, send)
    document = json.loads(b"".join(message.get("body", b"") for message in sent))
    assert document["code"] == "MUNI-H108"
    entry = recorded(web.people.platform, from_document(422, document))
    assert (entry["outcome"], entry["ip"]) == ("failed", "10.0.0.9")
    assert state(web.people.platform) == before


def test_the_address_is_that_of_the_socket(web: Web) -> None:
    """Headers that claim another address are not believed."""
    headers = {"X-Forwarded-For": "10.9.9.9", "Forwarded": "for=10.9.9.9", "X-Real-IP": "10.9.9.9"}
    answer = web.ask("newcomer", "GET", path("identity:ListUsers", None), headers=headers)
    assert recorded(web.people.platform, from_document(403, answer.json()))["ip"] != "10.9.9.9"


def test_the_published_document_is_of_exactly_the_public_verbs(web: Web) -> None:
    """``/openapi.json`` names each verb that can be asked, once, and says how each parameter is written."""
    document = web.ask(None, "GET", "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    found = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
    assert found == {verb.action for verb in ASKABLE}
    for item in document["paths"].values():
        for operation in item.values():
            assert {"200", "401", "403", "404", "409", "422", "500", "503"} == operation["responses"].keys()
            for parameter in operation.get("parameters", []):
                assert ("schema" in parameter) != ("content" in parameter)


def test_reads_are_recorded_with_what_was_asked(web: Web) -> None:
    """A read over HTTP is one ledger entry with the principal, the action and the digest of the request."""
    web.ask("auditor", "GET", path("data:ListDatasets", "main"))
    newest = web.people.platform.ledger.search(Search(principal="User:auditor", limit=1))[0].event["data"]
    assert (newest["action"], newest["outcome"]) == ("data:ListDatasets", "ok")
    assert newest["request"].startswith("sha256:")
