"""The HTTP API: one route per verb, made from the verb table. A route without an action cannot exist."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, BinaryIO, Final, cast

import anyio.from_thread
import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import muniment
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.gate.door import Credential, Gate
from muniment.http.openapi import document
from muniment.kernel.verb import Download, Effect, Verb
from muniment.wire.routes import from_parameters, reads, template

_log = logging.getLogger("muniment.http")

MOST_DOCUMENT: Final = 1 << 20
"""Bytes a request document may have; bytes that are stored come as a body of their own, without this bound."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def application(gate: Gate, *, hosts: frozenset[str] | None = None) -> Starlette:
    """The API as an ASGI application.

    Args:
        gate: what every route asks.
        hosts: names by which the server may be addressed, against DNS rebinding; None takes any.
    """
    api = msgspec.json.encode(document(gate.table, muniment.__version__))

    async def openapi(_request: Request) -> Response:
        return Response(api, media_type="application/json", headers=_HEADERS)

    async def health(_request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json", headers=_HEADERS)

    routes = [_route(gate, verb, hosts) for verb in gate.table if not verb.internal]
    routes += [Route("/openapi.json", openapi), Route("/v1/health", health)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _unknown, Exception: _broken})


def _route(gate: Gate, verb: Verb, hosts: frozenset[str] | None) -> Route:
    if reads(verb.action) and verb.effect is not Effect.READ:
        raise Invalid("MUNI-H101", "a verb's phrase and its effect contradict each other", action=verb.action)

    async def answer(request: Request) -> Response:
        try:
            _check_host(request, hosts)
            credential = Credential(_token(request), request.client.host if request.client else "")
            parsed, body = await _parse(request, verb)
            reply = await run_in_threadpool(gate.invoke, verb.action, parsed, credential, body)
        except MunimentError as refused:
            return _refusal(refused)
        except ClientDisconnect:
            return Response(status_code=499)
        if isinstance(reply, Download):
            return _download(reply)
        return Response(msgspec.json.encode(reply), media_type="application/json", headers=_HEADERS)

    path = template(verb.action, in_project=verb.on.in_project)
    return Route(path, answer, methods=["GET" if reads(verb.action) else "POST"], name=verb.action)


async def _parse(request: Request, verb: Verb) -> tuple[Any, BinaryIO | None]:
    """The request as a document the gate parses, and the bytes that come along."""
    project = request.path_params.get("project")
    if reads(verb.action) or verb.takes_body:
        try:
            parsed: Any = from_parameters(verb.request, dict(request.query_params), project)
        except msgspec.ValidationError as broken:
            parsed = {"": str(broken)}  # the gate refuses it, after it has seen who asks
        return parsed, cast("BinaryIO", _Body(request)) if verb.takes_body else None
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_DOCUMENT:
            raise Invalid("MUNI-H102", "the request document is too large", limit_bytes=MOST_DOCUMENT)
    if project is None:
        return bytes(content), None
    try:
        fields = msgspec.json.decode(bytes(content) or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise Invalid("MUNI-H103", "the request is not JSON", reason=str(broken)[:200]) from broken
    if not isinstance(fields, dict) or fields.get("project", project) != project:
        raise Invalid("MUNI-H104", "the request is one JSON object about the project in its path", project=project)
    return {**fields, "project": project}, None


class _Body:
    """The request's body as a file, read from the worker thread piece by piece; nothing of it is ever put on disk."""

    def __init__(self, request: Request) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(request.stream())
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; empty at the end."""
        while not self._rest:
            piece = anyio.from_thread.run(self._next)
            if piece is None:
                return b""
            self._rest = piece
        if size < 0:
            size = len(self._rest)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    async def _next(self) -> bytes | None:
        return await anext(self._pieces, None)


def _check_host(request: Request, hosts: frozenset[str] | None) -> None:
    host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
    if hosts is not None and host not in hosts:
        raise Invalid("MUNI-H105", "the server does not go by this name", host=host[:200], names=sorted(hosts))


def _token(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _download(reply: Download) -> Response:
    headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="{reply.name}"'}
    return StreamingResponse(reply.chunks, media_type=reply.media_type, headers=headers)


def _refusal(refused: MunimentError) -> Response:
    headers = dict(_HEADERS)
    if refused.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="muniment"'
    return Response(
        msgspec.json.encode(refused.document(), enc_hook=str),
        refused.http_status,
        headers=headers,
        media_type="application/json",
    )


async def _unknown(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    refused: MunimentError = NotFound("MUNI-H201", "there is nothing here", do="see /openapi.json")
    if status == 405:
        refused = Invalid("MUNI-H106", "this path takes another method", given=request.method)
    answer = _refusal(refused)
    answer.status_code = status
    return answer


async def _broken(_request: Request, error: Exception) -> Response:
    _log.error("unexpected failure", exc_info=error)
    return JSONResponse(
        {"code": "MUNI-G500", "message": "the platform failed unexpectedly", "facts": {}}, 500, headers=_HEADERS
    )


