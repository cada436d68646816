"""Bodies over HTTP have bounds: in size, in the time between two pieces, and in how many are read at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import httpx
import pytest

from asking import state
from muniment.http.app import UPLOADS_AT_ONCE, Uploads, application
from muniment.testing.platform import People, Site
from muniment.wire.routes import path

LIMIT = 10_000


@pytest.fixture(scope="module")
def people(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """One platform for all of these, since nothing of a refused body stays."""
    platform = site.copy(tmp_path_factory.mktemp("uploads")).open()
    yield People(platform, site.tokens)
    platform.close()


def client(people: People, bounds: Uploads) -> httpx.AsyncClient:
    """A client of the scientist."""
    transport = httpx.ASGITransport(application(people.platform.gate, uploads=bounds))
    return httpx.AsyncClient(
        transport=transport,
        base_url="http://testserver",
        headers={"Authorization": f"Bearer {people.tokens['scientist']}"},
    )


def url() -> str:
    """Where bytes go."""
    return path("data:AddDataset", "main") + "?name=big&filename=big.csv"


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_that_is_too_large_is_refused(people: People, stated: bool) -> None:
    """Whether its size is stated or comes to light while it is read: refused, and nothing of it stays."""
    before = state(people.platform)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1000

    async def send() -> httpx.Response:
        async with client(people, Uploads(limit_bytes=LIMIT)) as asking:
            return await asking.post(url(), content=b"x" * (2 * LIMIT) if stated else pieces())

    answer = anyio.run(send)
    assert (answer.status_code, answer.json()["code"]) == (422, "MUNI-H110")
    assert answer.json()["facts"]["limit_bytes"] == LIMIT
    assert state(people.platform) == before


def test_a_body_that_stops_coming_is_given_up(people: People) -> None:
    """A client that keeps the server waiting is told so after a bounded time, and nothing of its bytes stays."""
    before = state(people.platform)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep_forever()

    async def send() -> httpx.Response:
        async with client(people, Uploads(patience_s=0.05)) as asking:
            return await asking.post(url(), content=pieces())

    answer = anyio.run(send)
    assert (answer.status_code, answer.json()["code"]) == (422, "MUNI-H111")
    assert state(people.platform) == before


def test_slow_bodies_keep_nobody_else_waiting(people: People) -> None:
    """While more bodies dawdle than are read at once, another request is answered."""

    async def dawdling(release: anyio.Event) -> AsyncIterator[bytes]:
        yield b"x"
        await release.wait()

    async def ask() -> int:
        async with client(people, Uploads()) as asking, anyio.create_task_group() as tasks:
            release = anyio.Event()
            for _ in range(UPLOADS_AT_ONCE + 30):
                tasks.start_soon(lambda: asking.post(url(), content=dawdling(release)))
            with anyio.fail_after(20):
                answer = await asking.get(path("data:ListDatasets", "main"))
            release.set()
            tasks.cancel_scope.cancel()
            return answer.status_code

    assert anyio.run(ask) == 200
