"""The HTTP API: one route per verb, made from the verb table. A route without an action cannot exist."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final, cast

import anyio.from_thread
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import muniment
from muniment.errors import Invalid, MunimentError, NotFound
from muniment.gate.door import Credential, Gate, Reading, Written
from muniment.http.openapi import document
from muniment.kernel.verb import Download, Effect, Verb
from muniment.wire.routes import from_parameters, reads, template

_log = logging.getLogger("muniment.http")

MOST_DOCUMENT: Final = 1 << 20
"""Bytes a request document may have; bytes that are stored come as a body of their own, without this bound."""

UPLOADS_AT_ONCE: Final = 16
"""Bodies that are read at the same time; further ones wait, and no other request waits for them."""

PATIENCE_S: Final = 60.0
"""How long the next piece of a body may take."""

_CHOSEN: Final = "muniment.route"
"""Where a request keeps the route of its verb."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """What bodies are taken."""

    limit_bytes: int = 64 << 30
    """Bytes of one body."""

    patience_s: float = PATIENCE_S


def application(
    gate: Gate,
    *,
    hosts: frozenset[str] | None = None,
    uploads: Uploads | None = None,
    mounts: Mapping[str, ASGIApp] | None = None,
) -> Starlette:
    """The API as an ASGI application.

    Args:
        gate: what every route asks.
        hosts: names by which the server may be addressed, against DNS rebinding; None takes any.
        uploads: bounds of bodies.
        mounts: other people's protocols over the same gate, by the path under which each is found.
    """
    api = msgspec.json.encode(document(gate.table, muniment.__version__))

    async def openapi(_request: Request) -> Response:
        return _json(api)

    async def health(_request: Request) -> Response:
        return _json(b'{"status":"ok"}')

    bounds, slots = uploads or Uploads(), anyio.CapacityLimiter(UPLOADS_AT_ONCE)
    routes: list[BaseRoute] = [_Verbs(_route(gate, verb, bounds, slots) for verb in gate.table if not verb.internal)]
    routes += [Route("/openapi.json", openapi), Route("/v1/health", health)]
    routes += [Mount(path, app=mounted) for path, mounted in (mounts or {}).items()]
    app = Starlette(
        routes=routes,
        middleware=[] if hosts is None else [Middleware(_KnownByName, names=hosts)],
        exception_handlers={HTTPException: _unknown, Exception: _broken},
    )
    app.router.redirect_slashes = False
    return app


def _route(gate: Gate, verb: Verb, bounds: Uploads, slots: anyio.CapacityLimiter) -> Route:
    if reads(verb.action) and verb.effect is not Effect.READ:
        raise Invalid("MUNI-H101", "a verb's phrase and its effect contradict each other", action=verb.action)

    async def answer(request: Request) -> Response:
        try:
            reading = await _reading(request, verb)
            body = cast("BinaryIO", _Body(request, bounds)) if verb.takes_body else None
            ask = partial(gate.invoke, verb.action, reading, _credential(request), body)
            reply = await anyio.to_thread.run_sync(ask, limiter=slots if verb.takes_body else None)
        except MunimentError as refused:
            return _refusal(refused)
        except ClientDisconnect:
            return Response(status_code=499)
        return _download(reply) if isinstance(reply, Download) else _json(msgspec.json.encode(reply, enc_hook=_text))

    path = template(verb.action, in_project=verb.on.in_project)
    return Route(path, answer, methods=["GET" if reads(verb.action) else "POST"], name=verb.action)


class _Verbs(BaseRoute):
    """The routes of all verbs as one: a path is compared with that of the verb it names, not with each in turn."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.path.rpartition("/")[2]: route for route in routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path names a verb, and the route of the verb to be handled by."""
        route = self._routes.get(scope["path"].rpartition("/")[2]) if scope["type"] == "http" else None
        if route is None:
            return Match.NONE, {}
        match, found = route.matches(scope)
        return match, {**found, _CHOSEN: route}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the route that was chosen does."""
        await scope[_CHOSEN].handle(scope, receive, send)


async def _reading(request: Request, verb: Verb) -> Reading:
    """How the gate is to read this request; what is wrong with it comes out only after it has seen who asks."""
    project = request.path_params.get("project")
    if reads(verb.action) or verb.takes_body:
        query = request.query_params

        def from_query(kind: type[msgspec.Struct]) -> msgspec.Struct:
            _once_each(name for name, _ in query.multi_items())
            if "project" in query and project is not None:
                raise Invalid("MUNI-H104", "the request is about the project in its path", project=project)
            return from_parameters(kind, dict(query), project)

        return from_query
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_DOCUMENT:
            break

    def from_content(kind: type[msgspec.Struct]) -> msgspec.Struct | Written:
        if len(content) > MOST_DOCUMENT:
            raise Invalid("MUNI-H102", "the request document is too large", limit_bytes=MOST_DOCUMENT)
        return _from_document(kind, bytes(content) or b"{}", project)

    return from_content


def _from_document(kind: type[msgspec.Struct], content: bytes, project: str | None) -> msgspec.Struct | Written:
    """The request that a JSON object is, in the project of its path."""
    if project is not None and (written := _written(kind, content, project)) is not None:
        return written
    fields = msgspec.json.decode(content, type=dict[str, Any])
    if fields.get("project", project) != project:
        raise Invalid("MUNI-H104", "the request is about the project in its path", project=project)
    json.loads(content, object_pairs_hook=lambda pairs: _once_each(name for name, _ in pairs))
    return msgspec.convert(fields if project is None else {**fields, "project": project}, kind)


def _written(kind: type[msgspec.Struct], content: bytes, project: str) -> Written | None:
    """The request, if these are the bytes that it is written as; None also where something is wrong with it.

    Bytes that an encoder makes of a request say nothing twice and leave nothing out, so a large one is read once.
    """
    try:
        request = msgspec.json.decode(content, type=kind)
        same = msgspec.json.encode(request, order="deterministic") == content
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return Written(request, content) if same and getattr(request, "project", None) == project else None


def _once_each(names: Iterable[str]) -> None:
    """Two readers of a document with a name twice may see two documents, so there is none to be acted on."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise Invalid("MUNI-H103", "the request says one thing twice", name=twice[0][:80])


class _Body:
    """The request's body as a file, read from the worker thread piece by piece; nothing of it is ever put on disk."""

    def __init__(self, request: Request, bounds: Uploads) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(request.stream())
        self._bounds, self._taken, self._rest = bounds, 0, b""
        stated = request.headers.get("content-length", "0")
        self._stated = int(stated) if stated.isdecimal() else 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; empty at the end.

        Raises:
            Invalid: the body is larger than the server takes, stops coming, or ends before the request does.
        """
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
        self._check(self._stated)
        piece = await self._piece()
        self._taken += len(piece or b"")
        self._check(self._taken)
        return piece

    def _check(self, size: int) -> None:
        if size > self._bounds.limit_bytes:
            raise Invalid(
                "MUNI-H110",
                "the body is larger than this server takes",
                limit_bytes=self._bounds.limit_bytes,
                do="raise upload_limit_gib in muniment.json, or add the file on the machine itself",
            )

    async def _piece(self) -> bytes | None:
        try:
            with anyio.fail_after(self._bounds.patience_s):
                return await anext(self._pieces, None)
        except ClientDisconnect:
            raise Invalid("MUNI-H108", "the bytes ended before the request did", do="send them again") from None
        except TimeoutError:
            raise Invalid(
                "MUNI-H111", "the bytes stopped coming", waited_s=self._bounds.patience_s, do="send them again"
            ) from None


class _KnownByName:
    """Refuses requests to a name that the server does not go by, whatever they ask for."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "http" and (host := _host(Request(scope))) not in self._names:
            refused = Invalid(
                "MUNI-H105", "the server does not go by this name", host=host[:200], names=sorted(self._names)
            )
            await _refusal(refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _host(request: Request) -> str:
    """The name or address in the Host header, without its port."""
    host = request.headers.get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _credential(request: Request) -> Credential:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    shown = token.strip() if kind.lower() == "bearer" else ""
    return Credential(shown or None, request.client.host if request.client else "", request.url.scheme == "https")


def _json(content: bytes, status: int = 200, **headers: str) -> Response:
    return Response(content, status, headers={**_HEADERS, **headers}, media_type="application/json")


def _download(reply: Download) -> Response:
    headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="{reply.name}"'}
    return StreamingResponse(reply.chunks, media_type=reply.media_type, headers=headers)


def _text(value: object) -> str:
    """Domain texts, such as digests, as the texts that they are."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"a reply holds a {type(value).__name__}")


def _refusal(refused: MunimentError, status: int | None = None) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="muniment"'} if refused.http_status == 401 else {}
    return _json(msgspec.json.encode(refused.document(), enc_hook=str), status or refused.http_status, **headers)


async def _unknown(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    refused: MunimentError = NotFound("MUNI-H201", "there is nothing here", do="see /openapi.json")
    if status == 405:
        refused = Invalid("MUNI-H106", "this path takes another method", given=request.method)
    return _refusal(refused, status)


async def _broken(_request: Request, error: Exception) -> Response:
    _log.error("unexpected failure", exc_info=error)
    return _refusal(MunimentError("MUNI-H500", "the server failed unexpectedly"))
