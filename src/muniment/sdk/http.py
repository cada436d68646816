"""The transport over HTTP; imported only when a URL is used, because httpx is slow to import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import BinaryIO, Final, TypeVar

import httpx
import msgspec

from muniment import errors
from muniment.wire import routes

__all__ = ["HttpTransport"]

T = TypeVar("T")

_CHUNK: Final = 1 << 20
"""Bytes read at once from a body; a body is never held whole."""


class HttpTransport:
    """Asks verbs of a server, with a bearer token."""

    def __init__(
        self, url: str, token: str | None, *, client: httpx.Client | None = None, timeout_s: float = 60.0
    ) -> None:
        """Reach the server at ``url``, without a token as nobody; ``client`` replaces the connection in tests.

        Raises:
            Invalid: the URL is not http or https, or would send the token unencrypted to another machine.
        """
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise errors.Invalid("MUNI-A111", f"{url!r} is not a URL of a server", given=url, expected="https://…")
        if parsed.scheme == "http" and parsed.host not in ("localhost", "127.0.0.1", "::1", "testserver"):
            raise errors.Invalid(
                "MUNI-A112",
                f"a token is not sent to {parsed.host} in clear",
                url=url,
                do="use https, or a tunnel to the loopback address",
            )
        self._url = url
        self._client = client or httpx.Client(base_url=url.rstrip("/"), timeout=timeout_s)
        self._headers = {"User-Agent": f"muniment/{version('muniment')}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def invoke(self, action: str, request: msgspec.Struct, reply: type[T], body: BinaryIO | None = None) -> T:
        """Ask a verb and read its answer.

        Raises:
            MunimentError: what the server answered.
            Unavailable: it did not answer, or not as a muniment server does.
        """
        with self._reached():
            answer = self._client.send(self._request(action, request, body))
        if answer.is_error:
            raise self._error(answer.status_code, answer.content)
        try:
            return msgspec.json.decode(answer.content, type=reply)
        except msgspec.DecodeError as strange:
            raise errors.Unavailable(
                "MUNI-A501",
                "the answer does not have the form that this version expects",
                url=self._url,
                action=action,
                detail=str(strange),
                do="check that server and client have the same version",
            ) from strange

    def download(self, action: str, request: msgspec.Struct) -> Iterator[bytes]:
        """Ask a verb whose answer is bytes, chunk by chunk."""
        with self._reached():
            answer = self._client.send(self._request(action, request, None), stream=True)
            if answer.is_error:
                raise self._error(answer.status_code, answer.read())
        return self._chunks(answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        try:
            with self._reached():
                yield from answer.iter_bytes(_CHUNK)
        finally:
            answer.close()

    def _request(self, action: str, request: msgspec.Struct, body: BinaryIO | None) -> httpx.Request:
        project = routes.project_of(request)
        path = routes.path(action, project)
        if body is not None:
            return self._client.build_request(
                "POST",
                path,
                params=routes.parameters(request),
                headers={**self._headers, "Content-Type": "application/octet-stream"},
                content=iter(lambda: body.read(_CHUNK), b""),
            )
        if routes.reads(action):
            return self._client.build_request("GET", path, params=routes.parameters(request), headers=self._headers)
        # The one written form of a request, which a server recognises and reads once.
        content = msgspec.json.encode(request, order="deterministic")
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._client.build_request("POST", path, headers=headers, content=content)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as silence:
            raise errors.Unavailable(
                "MUNI-A502",
                f"no answer from {self._url}",
                url=self._url,
                detail=str(silence) or type(silence).__name__,
                do="start the server with: muni up",
            ) from silence

    def _error(self, status: int, content: bytes) -> errors.MunimentError:
        try:
            document = msgspec.json.decode(content)
            if isinstance(document, dict) and "code" in document:
                return errors.from_document(status, document)
        except msgspec.DecodeError:
            pass
        return errors.Unavailable(
            "MUNI-A503", f"{self._url} answered {status}, not as a muniment server does", url=self._url, status=status
        )
