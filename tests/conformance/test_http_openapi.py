"""The published OpenAPI document, by somebody else's validator."""

from __future__ import annotations

import anyio
import httpx
import pytest
from openapi_spec_validator import validate

from muniment.bootstrap import Platform
from muniment.http.app import application

pytestmark = pytest.mark.slow


def test_the_published_document_is_valid_openapi(platform: Platform) -> None:
    """``/openapi.json``, which nobody needs a token for, is a valid document of OpenAPI 3.1."""
    app = application(platform.gate, hosts=frozenset({"testserver"}))

    async def fetched() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get("http://testserver/openapi.json")

    document = anyio.run(fetched).json()
    validate(document)
    assert document["openapi"] == "3.1.0"
